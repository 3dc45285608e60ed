"""The pages in a browser, light and dark, wide and narrow: axe finds nothing, nothing is loaded, nothing sticks out.

Wants Chromium on the path, and LIKEWISE_AXE naming a file axe.min.js; an HTML validator is asked too where LIKEWISE_VNU
names a file vnu.jar. LIKEWISE_REPORTS, paths joined as in PATH, has other reports checked instead of a small one.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_examples import report_of

import likewise as lw
from likewise.board.report import write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE, VALIDATOR = os.environ.get("LIKEWISE_AXE"), os.environ.get("LIKEWISE_VNU")

PROBE = """
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  const told = {
    violations: found.violations.map(one => one.id + ": " + one.nodes[0].html.slice(0, 200)),
    passes: found.passes.length,
    loaded: performance.getEntriesByType("resource").map(one => one.name),
    sticksOut: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    width: innerWidth,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
  };
  const place = parent.document.createElement("pre");
  place.id = "found";
  place.textContent = JSON.stringify(told);
  parent.document.body.append(place);
});
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    named = os.environ.get("LIKEWISE_REPORTS")
    if named:
        return [Path(one) for one in named.split(os.pathsep)]
    models = {"BayesianNetwork": lw.BayesianNetwork(random_state=0)}
    data = report_of(lw.datasets.toy("mixed").sample(240, random_state=0), models)
    folder = tmp_path_factory.mktemp("report")
    flow = lw.Flow(width=8, max_steps=5)
    gallery = lw.gallery(["two_moons"], [flow, "bayesian_network", lw.GAN(max_steps=-1)], records=300, grid=12)
    assert len(gallery.failures) == 1
    return [write_report(data, folder / "report.html"), gallery.report(folder / "gallery.html")]


@pytest.mark.skipif(BROWSER is None or AXE is None, reason="wants Chromium, and LIKEWISE_AXE naming axe.min.js")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_has_nothing_to_find(reports: list[Path], width: int, dark: bool, tmp_path: Path) -> None:
    for report in reports:
        found = probe(report, width, dark, tmp_path)
        assert (found["width"], found["dark"]) == (width, dark)
        assert found["passes"] > 10
        assert found["violations"] == []
        assert found["loaded"] == []
        assert found["sticksOut"] <= 0


@pytest.mark.skipif(VALIDATOR is None, reason="wants LIKEWISE_VNU naming vnu.jar")
def test_a_validator_has_nothing_to_say(reports: list[Path]) -> None:
    assert VALIDATOR is not None
    for report in reports:
        told = subprocess.run(["java", "-jar", VALIDATOR, "--stdout", str(report)], capture_output=True, text=True)
        assert told.stdout == ""


def probe(report: Path, width: int, dark: bool, folder: Path) -> dict[str, object]:
    """What a browser finds on a page in a frame of this width."""
    assert BROWSER is not None
    assert AXE is not None
    page = report.read_text(encoding="utf-8")
    # Only the probe is let in: the page's own policy would forbid it.
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    scripts = f"<script>{Path(AXE).read_text(encoding='utf-8')}</script><script>{PROBE}</script>"
    page = page.replace("</body>", scripts + "</body>")
    frame = f'<iframe style="border:0" width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe>'
    outer = folder / f"frame-{width}-{dark}.html"
    outer.write_text(f"<!DOCTYPE html><body>{frame}</body>", encoding="utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={folder / 'profile'}", f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        "--window-size=1400,1000", "--virtual-time-budget=60000", "--dump-dom", outer.as_uri(),
    ]  # fmt: skip
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    found = re.search(r'<pre id="found">(.*?)</pre>', dumped, re.DOTALL)
    assert found is not None, dumped[-2000:]
    told: dict[str, object] = json.loads(html.unescape(found[1]))
    return told
