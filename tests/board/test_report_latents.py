"""The section on latents: only where a model has some, and truthful in what it draws."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from whitening import Whitening, registered

import likewise as lw
from likewise.board.dossier import dossier
from likewise.board.latents import POINTS, latents_of
from likewise.board.report.latents import latent_map, rows_of
from likewise.board.report.page import render
from likewise.domains.table import Table


def frame(size=160):
    noise = np.random.default_rng(0)
    side, alone = noise.normal(size=(2, size))
    area = 2 * side + 0.3 * noise.normal(size=size)
    kind = np.where(side > 0, "large", "small")
    return pd.DataFrame({"side": side, "area": area, "kind": kind, "alone": alone})


@pytest.fixture(scope="module")
def data(few_trees):
    """The report of a comparison of one model with latents and one without."""
    models = {"white": Whitening(components=3), "network": lw.BayesianNetwork(structure="chow_liu", max_bins=4)}
    with registered():
        return dossier(lw.compare(frame(), families=models, random_state=0))


@pytest.fixture(scope="module")
def latents(data):
    return next(one.latents for one in data.models if one.name == "white")


def section_of(data):
    """The section on latents of the page; nothing else is drawn, so that it is quick."""
    bare = [replace(one, columns=(), curve=None) for one in data.models]
    page = render(replace(data, models=tuple(bare), references=()))
    return "".join(re.findall(r'<section id="latents".*?</section>', page, re.DOTALL)), page


def test_only_models_with_latents_have_a_section(data):
    assert {one.name: one.latents is not None for one in data.models} == {"white": True, "network": False}
    section, page = section_of(data)
    assert page.count("#latents") == 1
    assert "white" in section
    assert "network" not in section
    assert len(re.findall("<svg", section)) == 3
    section, page = section_of(replace(data, models=tuple(replace(one, latents=None) for one in data.models)))
    assert section == ""
    assert "#latents" not in page


def test_the_report_is_about_held_out_records(data, latents):
    assert latents.report.records == data.n_held_out == 32
    assert len(latents.map.points) == 32


def test_the_map_shows_the_first_two_components_and_says_how_much_they_are(data, latents):
    rng = np.random.default_rng(0)
    model = Whitening(components=3, random_state=0).fit(frame())
    held_out = Table().fit(frame()).read(model.decode(rng.normal(size=(900, 3)) * np.array([3.0, 2.0, 0.5])))
    found = latents_of(model, held_out, 0)
    codes = model.encode(held_out)
    variances = np.linalg.eigvalsh(np.cov(codes.T))[::-1]
    assert found.map.explained == pytest.approx(variances[:2].sum() / variances.sum())
    assert found.map.points.shape == (POINTS, 2)
    assert abs(np.corrcoef(found.map.points.T)[0, 1]) < 0.15
    assert np.ptp(found.map.points[:, 0]) > np.ptp(found.map.points[:, 1])


def test_two_latents_are_shown_as_they_are_and_one_on_a_line():
    for size in (1, 2):
        model = Whitening(components=size, random_state=0).fit(frame())
        held_out = Table().fit(frame()).read(frame(80))
        found = latents_of(model, held_out, 0).map
        np.testing.assert_allclose(found.points[:, :size], model.encode(frame(80)))
        assert found.explained == 1
        assert not found.principal
        if size == 2:
            assert ">z2<" in latent_map(found, "map", "model", "#000010")


def test_the_colour_is_the_column_that_the_map_tells_best():
    noise = np.random.default_rng(0)
    records = pd.DataFrame(noise.normal(size=(300, 3)), columns=["a", "b", "c"])
    records["d"] = records["e"] = records["c"]
    model = Whitening(components=1, random_state=0).fit(records)
    found = latents_of(model, Table().fit(records).read(records), 0)
    assert found.map.column.name in ("c", "d", "e")


def test_every_record_of_a_map_is_drawn_in_one_colour(latents):
    drawing = latent_map(latents.map, "map", "white", "#000010")
    tree = ElementTree.fromstring(drawing)
    paths = [path for path in tree.iter("path") if "stroke-linecap: round" in path.get("style", "")]
    drawn = sum(path.get("d").count("M") for path in paths)
    legend = len(paths) // 2
    assert drawn - legend == len(latents.map.points)


def test_latents_that_move_nothing_have_no_row(latents):
    effects = np.array([[0.9, 0.0, 0.0], [0.02, 0.0, 0.03], [0.0, 0.3, 0.0]])
    assert list(rows_of(replace(latents.report, effects=effects))) == [0, 2]
    assert list(rows_of(replace(latents.report, effects=effects * 0))) == [0]


def test_a_latent_space_of_too_few_records_says_why():
    model = Whitening(random_state=0).fit(frame())
    found = latents_of(model, Table().fit(frame()).read(frame(12)), 0)
    assert found.report is None
    assert "12 records" in found.reason


def test_a_page_with_a_reason_instead_of_latents(data):
    models = tuple(
        replace(one, latents=one.latents and replace(one.latents, report=None, map=None, reason="too few records"))
        for one in data.models
    )
    section, _ = section_of(replace(data, models=models))
    assert "too few records" in section
    assert "<svg" not in section


def test_the_page_stays_small(data):
    assert 5_000 < len(section_of(data)[0]) < 60_000


def test_wide_tables_have_the_columns_and_latents_that_move_most():
    noise = np.random.default_rng(0)
    wide = pd.DataFrame(noise.normal(size=(120, 40)), columns=[f"c{i}" for i in range(40)])
    model = Whitening(components=20, random_state=0).fit(wide)
    found = latents_of(model, Table().fit(wide).read(wide), 0)
    assert len(found.report.probes) == 24
    assert found.report.effects.shape == (20, 40)
