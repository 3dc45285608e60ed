"""`lw.gallery`: what is told of families on known distributions, and that it is kept, resumed and shown."""

import io
import json
import re

import matplotlib.image
import numpy as np
import pytest

import likewise as lw
from likewise.board.gallery.facts import Cell
from likewise.board.gallery.gallery import SHOWN, Gallery
from likewise.board.gallery.plane import planar, plane_of
from likewise.board.gallery.views import averaged
from likewise.board.report.raster import STRENGTHS, png, speckle
from likewise.board.seeds import seed_for
from likewise.estimators.bayesian_network import BayesianNetwork

RECORDS, GRID, FRAMES = 1200, 40, 6


class Broken:
    """A generator that cannot learn."""

    def fit(self, X):
        raise RuntimeError("no luck <today>")

    def sample(self, n):
        raise AssertionError


class Parrot:
    """A generator of another kind than ours, which repeats what it has seen."""

    def fit(self, X):
        self.seen = X
        return self

    def sample(self, n, random_state=None):
        return self.seen.sample(n, replace=n > len(self.seen), random_state=random_state)


def families():
    flow = lw.Flow(blocks=3, width=32, max_steps=200)
    return {"counted": BayesianNetwork(), "flow": flow, "parrot": Parrot(), "broken": Broken()}


@pytest.fixture(scope="module")
def found(few_trees, tmp_path_factory) -> Gallery:
    folder = tmp_path_factory.mktemp("gallery") / "all"
    return lw.gallery(
        ["banana", "two_moons"], families(), None, folder, 0, records=RECORDS, grid=GRID, frames=FRAMES, device="cpu"
    )


def test_the_toys_of_the_plane_have_all_their_mass_in_view():
    assert set(planar()) == {"ring", "grid", "two_moons", "pinwheel", "checkerboard", "banana", "one_blob", "two_blobs"}
    for name in planar():
        toy = lw.datasets.toy(name)
        plane = plane_of(toy)
        mass = averaged(toy.log_density(plane.lattice(160)), 2).sum() * plane.cell(80)
        records = toy.sample(4000, random_state=1).to_numpy()
        places = plane.place(records)
        assert mass == pytest.approx(((places >= 0) & (places <= 1)).all(1).mean(), abs=0.015), name
        assert mass > 0.99, name


def test_a_gallery_is_of_toys_of_the_plane():
    for wrong in ("mixed", "two_modes"):
        with pytest.raises(lw.DataError, match="none of the plane"):
            lw.gallery([wrong], ["bayesian_network"])
    with pytest.raises(lw.DataError, match="at least one toy"):
        lw.gallery([], ["bayesian_network"])
    with pytest.raises(lw.DataError, match="no family called 'flown'"):
        lw.gallery(["ring"], ["flown"])


def test_an_exact_density_has_mass_one_and_is_lower_where_the_truth_is(found):
    for toy, truth in found.toys.items():
        for model in ("counted", "flow"):
            cell = found.cells[toy, model]
            assert cell.kind == "exact"
            assert cell.mass == pytest.approx(1.0, abs=0.1), (toy, model)
            assert cell.density.shape == truth.density.shape == (GRID, GRID)
            overlap = np.minimum(cell.density, truth.density).sum() * truth.plane.cell(GRID)
            assert 0.55 < overlap < 1.0, (toy, model)
        turned = np.minimum(found.cells[toy, "flow"].density[::-1], truth.density).sum() * truth.plane.cell(GRID)
        assert turned < 0.5, toy  # the first row is the top one


def test_the_divergence_is_what_a_model_loses_on_fresh_records(found):
    for toy, truth in found.toys.items():
        distribution = lw.datasets.toy(toy)
        fresh = distribution.sample(RECORDS // 2, np.random.default_rng(seed_for(0, toy, "fresh")))
        np.testing.assert_allclose(truth.records, fresh.to_numpy()[:SHOWN], atol=1e-4)
        assert truth.entropy == pytest.approx(-distribution.log_density(fresh).mean())
        model = lw.load(found.folder / toy / "models" / "flow.safetensors")
        cell = found.cells[toy, "flow"]
        assert cell.divergence == pytest.approx(-truth.entropy - model.score(fresh))
        assert 0.0 < cell.divergence < 1.0
        assert 0.0 < cell.divergence_error < 0.2
        np.testing.assert_allclose(cell.latents.points, model.encode(fresh)[:SHOWN], atol=1e-4)


def test_a_way_begins_in_noise_and_ends_in_samples(found):
    truth, cell = found.toys["banana"], found.cells["banana", "flow"]
    assert cell.journey.shape[0] == FRAMES

    def bent(points):
        return np.corrcoef(points[:, 0] ** 2, points[:, 1])[0, 1]

    size = cell.journey.shape[1]
    assert abs(bent(cell.journey[0])) < 4 / np.sqrt(size)
    assert bent(cell.journey[-1]) > 0.6
    for column in range(2):  # in the units of the columns, noise is each column by itself
        first, real = (np.quantile(part[:, column], [0.25, 0.5, 0.75]) for part in (cell.journey[0], truth.records))
        assert np.abs(first - real).max() < 0.5 * truth.records[:, column].std()


def test_what_a_model_has_not_is_said(found):
    for toy in found.toys:
        assert "latent space" in found.cells[toy, "counted"].reasons["latents"]
        assert found.cells[toy, "counted"].journey is None
        parrot = found.cells[toy, "parrot"]
        assert set(parrot.reasons) == {"density", "latents", "journey"}
        assert parrot.divergence is parrot.density is None
        assert parrot.status == "ok"
        # Records of the toy itself cannot be told from others of it.
        assert parrot.score.value > 0.8
        assert found.toys[toy].score.value > 0.8


def test_a_failure_is_told_and_stops_nothing(found):
    assert found.failures == {(toy, "broken"): "RuntimeError: no luck <today>" for toy in found.toys}
    assert len(found.cells) == 8
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [(row["toy"], row["model"]) for row in told["rows"]] == list(found.cells)
    assert "density" not in told["rows"][0]


def test_what_is_kept_is_what_was_found(found):
    for cell in found.cells.values():
        again = Cell.from_json(json.loads(json.dumps(cell.to_json(), allow_nan=False)))
        assert again.to_json() == cell.to_json()


def test_a_stopped_gallery_goes_on_without_fitting_again(few_trees, tmp_path, monkeypatch):
    arguments = {"records": 300, "grid": 10, "device": "cpu"}
    fits = []
    learned = BayesianNetwork.fit

    def fit(self, X, y=None, **options):
        fits.append(len(X))
        if len(fits) == 2:
            raise KeyboardInterrupt
        return learned(self, X, y, **options)

    monkeypatch.setattr(BayesianNetwork, "fit", fit)
    one = {"counted": BayesianNetwork()}
    with pytest.raises(KeyboardInterrupt):
        lw.gallery(["ring", "banana"], one, None, tmp_path / "kept", 0, **arguments)
    first = lw.gallery(["ring", "banana"], one, None, tmp_path / "kept", 0, **arguments)
    assert fits == [300] * 3
    same = lw.gallery(["ring", "banana"], one, None, tmp_path / "kept", 0, **arguments)
    assert fits == [300] * 3
    assert same.to_json()["rows"] == first.to_json()["rows"]
    # A model made otherwise is another one, and is fitted; another seed is another gallery.
    lw.gallery(
        ["ring"], {"counted": BayesianNetwork(values="linear_gaussian")}, None, tmp_path / "kept", 0, **arguments
    )
    assert len(fits) == 4
    with pytest.raises(lw.DataError, match="another gallery"):
        lw.gallery(["ring"], one, None, tmp_path / "kept", 1, **arguments)
    alone = lw.gallery(["banana"], one, None, None, 0, **arguments)
    assert alone.cells["banana", "counted"].divergence == first.cells["banana", "counted"].divergence


def test_the_page_shows_everything_and_asks_for_nothing(found, tmp_path):
    page = found.report(tmp_path / "gallery.html", command="likewise gallery").read_text("utf-8")
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "<script" not in page
    assert {one for one in re.findall(r"url\((.{0,15})", page) if one[0] != "#"} == {"data:image/png;"}
    pictures = re.findall(r'role="img"[^>]*', page)
    assert all('aria-label="' in one for one in pictures)
    # Of each toy: two of the truth, two of what is counted, four of the flow, one of the parrot.
    assert len(pictures) == 2 * (2 + 2 + 4 + 1)
    assert page.count('class="picture way"') == 2
    assert page.count("no luck &lt;today&gt;") == 2 * 2
    assert "prefers-reduced-motion" in page
    assert f"{found.cells['banana', 'flow'].divergence:.3f}" in page
    assert len(page) < 1_000_000


def test_a_mask_is_as_opaque_as_it_is_strong():
    strengths = np.random.default_rng(0).random((5, 7))
    read = matplotlib.image.imread(io.BytesIO(png(strengths)), format="png")
    assert read.shape == (5, 7, 4)
    np.testing.assert_allclose(read[..., 3], strengths, atol=0.5 / (STRENGTHS - 1) + 0.5 / 255 + 1e-6)
    assert not read[..., :3].any()


def test_dots_lie_where_their_points_are_and_nowhere_else():
    places = np.array([[[0.25, 0.75], [1.5, 0.5]], [[0.75, 0.25], [0.75, 0.25]]])
    sheet = speckle(places, 20, 1.0)
    assert sheet.shape == (20, 40)
    for frame, (row, column) in enumerate([(5, 5), (15, 15)]):
        part = sheet[:, 20 * frame : 20 * frame + 20]
        inked = np.argwhere(part > 0)
        assert np.abs(inked + 0.5 - (row, column)).max() < 2.0
        assert part.sum() == pytest.approx(np.pi, rel=0.15)
