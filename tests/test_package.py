"""The package as a stranger meets it: light to import, complete in its names, truthful in its instructions."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import likewise
from likewise.estimators.generative import Generative

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "sklearn", "pandas", "pyarrow", "scipy", "numpy")


def modules_after(code: str) -> set[str]:
    """The modules that a new process has loaded after running the code."""
    program = f"import sys\n{code}\nprint(' '.join(sys.modules), file=sys.stderr)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return set(run.stderr.split())


def blocks() -> dict[str, str]:
    """The marked code blocks of the README by their marks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"<!-- ([a-z-]+) -->\n```sh\n(.*?)```", text, flags=re.DOTALL))


@pytest.mark.parametrize(
    "code",
    [
        "import likewise; dir(likewise)",
        "from likewise.cli.app import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass",
        "from likewise.cli.app import app\ntry:\n    app(['fit', '--help'])\nexcept SystemExit:\n    pass",
    ],
    ids=["import likewise", "likewise --help", "likewise fit --help"],
)
def test_nothing_heavy_is_imported(code):
    loaded = modules_after(code)
    assert "likewise" in loaded
    assert not loaded & set(HEAVY)


def test_python_m_likewise_is_the_command_line():
    run = subprocess.run(
        [sys.executable, "-m", "likewise", "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert run.stdout.strip() == f"likewise {likewise.__version__}"


@pytest.mark.parametrize("name", likewise.__all__)
def test_every_public_name_is_there(name):
    assert getattr(likewise, name) is not None
    assert name in dir(likewise)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'likewise' has no attribute 'Floww'"):
        _ = likewise.Floww


def test_families_is_a_room_and_a_function():
    code = """
import likewise
import likewise.families.registry as registry
assert [card.name for card in likewise.families()] == list(registry.FAMILIES)
import likewise.estimators
from likewise import families
assert families() and families.registry is registry
"""
    modules_after(code)


def test_type_checkers_see_the_same_names_in_the_same_homes():
    tree = ast.parse((ROOT / "src/likewise/__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.asname: node.module for node in guarded.body for alias in node.names}
    assert seen == {**likewise._HOMES, **dict.fromkeys(likewise._ROOMS, "likewise")}


def test_ci_runs_the_commands_that_the_readme_gives():
    assert set(blocks()) >= {"set-up", "main-job", "tests"}
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\(readme ([a-z-]+)\)", ci)) == {"set-up", "main-job", "tests"}
    assert len(blocks()["set-up"].splitlines()) == 2
    assert len(blocks()["tests"].splitlines()) == 1


def test_the_python_of_the_readme_runs(few_trees, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # As it stands, but for how long networks learn.
    plan = Generative._plan
    monkeypatch.setattr(Generative, "_plan", lambda model: replace(plan(model), max_steps=40))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert names["scores"].kind == "exact"
    assert (tmp_path / "wine.safetensors").exists()


def test_dependencies_have_lower_bounds_and_no_caps_and_are_pinned_for_the_tests():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    for requirement in wanted:
        if requirement.startswith("likewise["):
            continue
        found = Requirement(requirement)
        assert [bound.operator for bound in found.specifier] == [">="], requirement
        if found.marker is None or found.marker.evaluate():
            assert found.name.lower() in pinned, requirement
    assert pinned["torch"] == "2.13.0"


def test_every_dependency_is_imported_somewhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    modules = {"scikit-learn": "sklearn"}
    for requirement in project["dependencies"]:
        name = requirement.split(">=")[0]
        assert re.search(rf"^\s*(import|from) {modules.get(name, name)}\b", code, flags=re.MULTILINE), name
