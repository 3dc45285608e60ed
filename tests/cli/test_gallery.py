"""`gallery` in the terminal: its page, its table, exit codes, and going on."""

import json
from pathlib import Path

import pytest

import likewise as lw

pytestmark = pytest.mark.usefixtures("few_trees")

QUICK = ["--toys", "ring,banana", "--families", "bayesian_network", "--records", "300", "--grid", "12", "--seed", "3"]


def test_a_gallery_ends_with_a_table_and_a_page_and_goes_on(likewise, tmp_path):
    result = likewise("gallery", *QUICK, "--json", "gallery.json")
    assert result.exit_code == 0, result.output
    head, _, row = (line.split() for line in result.stdout.splitlines() if line.strip())
    assert head[-2:] == ["ring", "banana"]
    content = json.loads((tmp_path / "gallery.json").read_text())
    assert row == ["bayesian_network", *(f"{one['divergence']:.3f}".replace("-", "−") for one in content["rows"])]
    page = (tmp_path / "gallery" / "gallery.html").read_text("utf-8")
    assert "likewise gallery --toys ring,banana --families bayesian_network" in page
    assert lw.load(tmp_path / "gallery" / "ring" / "models" / "bayesian_network.safetensors").seed_ == 3
    assert "MB" in result.stderr

    again = likewise("gallery", *QUICK, "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["rows"] == content["rows"]
    assert again.stderr.count("(as before)") == 2


def test_some_failures_are_exit_code_3_and_all_of_them_1(likewise, monkeypatch):
    from likewise.estimators.bayesian_network import BayesianNetwork

    learned = BayesianNetwork.fit
    calls = []

    def fit(self, X, y=None):
        calls.append(X)
        if len(calls) != 2:
            raise lw.TrainingDiverged("The loss exploded.", {})
        return learned(self, X, y)

    monkeypatch.setattr(BayesianNetwork, "fit", fit)
    some = likewise("gallery", *QUICK, "-q")
    assert some.exit_code == 3, some.output
    assert some.stderr == "Failed: bayesian_network on ring: The loss exploded.\n"
    assert "failed" in some.stdout
    assert likewise("gallery", *QUICK[2:], "--toys", "ring", "-q").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--toys", "mixed"], "none of the plane"),
        (["--toys", "moon"], "no toy called 'moon'"),
        (["--families", "flown"], "no family called 'flown'"),
        (["--time", "soon"], "not a duration"),
        (["--out", "no/such"], "does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(likewise, arguments, said):
    result = likewise("gallery", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not Path("gallery").exists()
