"""The report of a real comparison: whole, closed to the world, and truthful in what it draws."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_examples import report_of

import likewise as lw
from likewise.board.report import ModelReport, ReportData, write_report
from likewise.board.report.drawing import model_colour
from likewise.board.report.page import render
from likewise.board.report.pareto import Mark, pareto
from likewise.board.report.wording import lead
from likewise.estimators.taxonomy import FamilyCard
from likewise.metrics.features import Column


@pytest.fixture(scope="module")
def data() -> ReportData:
    """Two models of a small table with categories, counts and blanks."""
    frame = lw.datasets.toy("mixed").sample(240, random_state=0)
    frame["size"] = np.random.default_rng(0).lognormal(2, 1, 240).round(2)
    models = {
        "Autoregressive": lw.Autoregressive(width=16, hidden=32, max_steps=30, random_state=0),
        "BayesianNetwork": lw.BayesianNetwork(random_state=0),
    }
    return report_of(frame, models, name="mixed & <odd>.csv")


@pytest.fixture(scope="module")
def page(data: ReportData) -> str:
    return render(data)


class _Tags(HTMLParser):
    """All tags with their attributes, and whether each that opens also closes in its place."""

    VOID = ("meta", "br", "wbr", "link", "img", "hr", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_names_are_unique(page: str) -> None:
    tags = _Tags(page)
    assert tags.open == []
    names = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(names) == len(set(names))
    targets = re.findall(r'(?:href="|url\()#([^")]+)', page)
    assert set(targets) <= set(names)


def test_rounds_are_told_where_there_were_any(data: ReportData, page: str) -> None:
    assert 'id="rounds"' not in page
    why = "stopped after 20 s, when it looked 0.12 real"
    first = {"limit": 10.0, "steps": 300, "seconds": 9.8, "score": 0.1, "score_low": 0.05, "score_high": 0.15}
    second = {**first, "steps": 1600, "seconds": 19.7, "score": None, "score_low": None, "score_high": None}
    rows = [{"hearings": [first, second], "stopped": why}, {"hearings": [first], "stopped": None}]
    models = [replace(one, row={**one.row, **row}) for one, row in zip(data.models, rows, strict=True)]
    told = render(replace(data, models=tuple(models)))
    assert _Tags(told).open == []
    section = told[told.index('<section id="rounds"') :].split("</section>")[0]
    assert why.capitalize() in section
    assert "Went on" in section
    assert section.count("9.8 s, 300 steps") == 2
    assert "0.100" in section
    assert "20 s, 1,600 steps" in section
    lines = re.findall("<tr>.*?</tr>", section, re.DOTALL)
    assert [len(re.findall("<t[dh]", line)) for line in lines] == [4, 4, 4]


def test_the_page_asks_for_nothing_and_runs_nothing(page: str) -> None:
    tags = _Tags(page)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & {tag for tag, _ in tags.found}
    assert all(
        str(value).startswith("#")
        for _, attributes in tags.found
        for name, value in attributes.items()
        if name in ("src", "href")
    )
    assert "default-src 'none'" in page
    assert "://" not in page
    assert "@import" not in page


def test_what_users_wrote_stands_as_text(data: ReportData, page: str) -> None:
    assert "mixed &amp; &lt;odd&gt;.csv" in page
    assert "<odd>" not in page
    hostile = replace(data, failures=(("<script>alert(1)</script>", '"&<b>'),))
    assert "<script" not in render(hostile)


def test_every_drawing_says_in_words_what_it_shows(page: str) -> None:
    drawings = [attributes for tag, attributes in _Tags(page).found if tag == "svg"]
    assert len(drawings) >= 2 * 4 + 2
    assert all(drawing["role"] == "img" and len(str(drawing["aria-label"])) > 20 for drawing in drawings)


def test_drawings_take_their_colours_from_the_page(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert re.findall(r"#[0-9a-fA-F]{6}", drawings) == []
    defined = set(re.findall(r"(--[\w-]+):", page))
    assert set(re.findall(r"var\((--[\w-]+)", drawings)) <= defined


def test_drawings_take_their_letters_from_the_page(page: str) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "font-size" in drawings
    assert "font-family" not in drawings
    assert "font:" not in drawings


@pytest.mark.parametrize("together", [3, 5])
def test_names_in_a_crowd_stand_clear_of_each_other_and_of_marks(together: int) -> None:
    marks = [
        Mark(f"model {i}", model_colour(i), 10.0 * 1.1**i, 0.7 + 0.02 * i, 0.6 + 0.02 * i, 0.8) for i in range(together)
    ]
    drawing = pareto([*marks, Mark("fast", model_colour(5), 0.5, 0.4, 0.3, 0.5)], [("real", 0.9)], "time", "time")
    names = re.findall(r'<text style="([^"]*)" x="([\d.]+)" y="([\d.]+)">model (\d)</text>', drawing)
    found = re.findall(r'<use href="[^"]*" x="([\d.]+)" y="([\d.]+)"', drawing)
    dots = [(float(x), float(y)) for x, y in found]
    assert len(names) == together == len(dots) - 1
    boxes = []
    for style, x, y, k in names:
        assert f"var(--model-{k})" in style
        left = float(x) - 38 * ("anchor: end" in style)
        boxes.append((left, float(y) - 8, left + 38, float(y)))
        assert not any(left < across < left + 38 and float(y) - 8 < down < float(y) for across, down in dots)
    for at, one in enumerate(boxes):
        assert all(min(one[2], b[2]) <= max(one[0], b[0]) or min(one[3], b[3]) <= max(one[1], b[1]) for b in boxes[:at])


def test_the_same_comparison_gives_the_same_page(data: ReportData, page: str) -> None:
    assert render(data) == page


def test_figures_stand_on_the_page_as_the_rows_have_them(data: ReportData, page: str) -> None:
    for report in data.models:
        assert f"{report.row['c2st_heldout']:.3f}" in page
        assert f"{report.row['log_likelihood']:.3f}".replace("-", "−") in page
    assert "Fresh real records" in page
    assert "Independent columns" in page
    assert "Copy of the training set" in page
    assert html.escape(data.command) in page


def test_a_missing_figure_is_a_dash_with_its_reason(data: ReportData) -> None:
    first, *others = data.models
    reasons = {"score": "too few held-out records", "log_likelihood": "this family has no density"}
    row = {**first.row, "score": None, "log_likelihood": None, "reasons": reasons}
    page = render(replace(data, models=(replace(first, row=row), *others)))
    assert re.search(r'<li id="lead-1">too few held-out records</li>', page)
    assert 'href="#lead-1"' in page
    assert ">[1]</a>" in page
    assert "this family has no density" in page


@pytest.mark.parametrize("kept", [0, 1])
def test_a_comparison_of_few_models_still_has_a_page(data: ReportData, kept: int) -> None:
    page = render(replace(data, models=data.models[:kept], references=data.references if kept else ()))
    assert _Tags(page).open == []
    assert ("No model finished." in page) == (kept == 0)


def test_what_a_model_lacks_is_left_out(data: ReportData) -> None:
    bare = ModelReport({"model": "foreign", "family": "external", "status": "ok"}, "nothing is known of it")
    assert _Tags(render(replace(data, models=(bare,)))).open == []


def test_wide_tables_show_the_columns_worth_showing(data: ReportData) -> None:
    # 25 copies of each column under other names, of which models err in one.
    def widened(columns: tuple[Column, ...]) -> tuple[Column, ...]:
        return tuple(replace(one, name=f"{one.name}_{copy}") for copy in range(25) for one in columns)

    models = tuple(
        replace(
            report,
            columns=widened(report.columns),
            marginal_errors={
                f"{name}_{copy}": error / 10 for name, error in report.marginal_errors.items() for copy in range(25)
            }
            | {"size_17": 0.9},
            worst_pairs=(("size_17", "group_3", 0.8),),
            tells=(),
        )
        for report in data.models
    )
    references = tuple(replace(report, columns=widened(report.columns)) for report in data.references)
    wide = replace(
        data, models=models, references=references, training=widened(data.training), held_out=widened(data.held_out)
    )
    page = render(wide)
    assert "24 of 100 columns are shown" in page
    assert "16 of 100 columns are shown" in page
    headings = re.findall(r'<h3 class="plain">(.*?)</h3>', page)
    assert headings[0].replace("<wbr>", "") == "size_17"
    assert len(page.encode()) < 3_000_000


def test_the_file_appears_whole(data: ReportData, page: str, tmp_path: Path) -> None:
    path = write_report(data, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == page
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def _scored(name: str, score: float, family: str | None = None) -> ModelReport:
    row = {"model": name, "family": name if family is None else family, "status": "ok", "score": score}
    return ModelReport({**row, "score_low": score - 0.1, "score_high": score + 0.1}, "")


def test_the_first_sentence_claims_no_more_than_the_intervals_do(data: ReportData) -> None:
    floor = _scored("independent", 0.1, "reference")
    ceiling = _scored("real", 0.98, "reference")
    clear = lead(replace(data, models=(_scored("flow", 0.9), _scored("gan", 0.5)), references=(ceiling, floor)))
    assert clear == (
        "Flow comes first with a score of 0.900; fresh real records would have 0.980, independent columns 0.100."
    )
    close = lead(replace(data, models=(_scored("flow", 0.9), _scored("gan", 0.75)), references=()))
    assert close == "Flow comes first with a score of 0.900, within the reach of GAN."
    vague = lead(replace(data, models=(_scored("flow", 0.25),), references=(ceiling, floor)))
    assert vague.endswith("So few records hardly tell models from independent columns.")


@pytest.mark.parametrize("card", lw.families(), ids=lambda card: card.name)
def test_people_read_of_a_family_by_the_name_of_its_estimator(data: ReportData, card: FamilyCard) -> None:
    other = _scored("flow" if card.name != "flow" else "vae", 0.6)
    report = replace(data, models=(_scored(card.name, 0.9), other, _scored("mine", 0.4, card.name)))
    assert lead(report).startswith(f"{card.estimator} comes first")
    assert lead(replace(report, models=report.models[::-1])).startswith("mine comes first")
    page = re.sub("<style>.*?</style>|<wbr>|&#8288;", "", render(report), flags=re.DOTALL)
    assert f"</span>{card.estimator}</span>" in page
    assert f'<span class="family">{card.estimator}</span>' in page
    assert page.count(card.estimator) > 3
    assert not re.search(rf"[ >]{card.name}[ <,.:;]", page)
