"""The whole panel: references and planted bad generators in their places, and the way to a file and back."""

import json

import numpy as np
import pandas as pd
import pytest

from likewise.datasets import toy
from likewise.domains.table import Table
from likewise.errors import DataError
from likewise.metrics.features import Features
from likewise.metrics.panel import PARTS, Panel, evaluate

ROWS = 1000


def draw(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """A ring of eight modes with a category and a count that depend on the mode."""
    frame = toy("ring").sample(rows, random_state=seed)
    rng = np.random.default_rng(seed)
    mode = np.rint(np.arctan2(frame["y"], frame["x"]) / (np.pi / 4)).astype(int) % 8
    frame["side"] = np.where(mode % 2 == 0, "even", "odd")
    frame["count"] = rng.poisson(2 + 3 * mode)
    return frame


TRAINING, HELD_OUT = draw(1), draw(2)


def gaussian(rng: np.random.Generator) -> pd.DataFrame:
    numbers = TRAINING[["x", "y", "count"]]
    made = pd.DataFrame(rng.multivariate_normal(numbers.mean(), numbers.cov(), ROWS), columns=numbers.columns)
    made["count"] = made["count"].round().clip(0).astype(int)
    made["side"] = rng.choice(TRAINING["side"], ROWS)
    return made[list(TRAINING)]


def dropped(rng: np.random.Generator) -> pd.DataFrame:
    fresh = draw(4, 2 * ROWS)
    kept = fresh[~((fresh["x"] > 0) & (fresh["y"].abs() < 0.5))]
    return kept.iloc[:ROWS].reset_index(drop=True)


def outliers(rng: np.random.Generator) -> pd.DataFrame:
    made = draw(5)
    made.loc[:49, ["x", "y"]] = 3 * np.sign(rng.normal(size=(50, 2))) * TRAINING[["x", "y"]].abs().max().to_numpy()
    return made


def noisy(rng: np.random.Generator) -> pd.DataFrame:
    made = TRAINING.iloc[rng.permutation(ROWS)].reset_index(drop=True)
    made[["x", "y"]] += 0.005 * rng.normal(size=(ROWS, 2))
    return made


GENERATORS = {
    "real": lambda rng: draw(3),
    "independent": lambda rng: pd.DataFrame({c: TRAINING[c].to_numpy()[rng.permutation(ROWS)] for c in TRAINING}),
    "copy": lambda rng: TRAINING.iloc[rng.permutation(ROWS)].reset_index(drop=True),
    "gaussian": gaussian,
    "dropped": dropped,
    "outliers": outliers,
    "noisy": noisy,
    "sorted": lambda rng: pd.DataFrame({c: np.sort(TRAINING[c].to_numpy()) for c in TRAINING}),
}


@pytest.fixture(scope="module")
def panels() -> dict[str, Panel]:
    features = Features(Table().fit(TRAINING), TRAINING)
    rng = np.random.default_rng(0)
    return {name: evaluate(make(rng), TRAINING, HELD_OUT, features, target="side") for name, make in GENERATORS.items()}


def value(panels: dict[str, Panel], name: str, figure: str) -> float:
    found = getattr(panels[name], figure)
    assert found.low <= found.value <= found.high
    return found.value


def test_every_figure_is_there_with_an_interval(panels):
    for name, panel in panels.items():
        figures = panel.figures()
        # Sorted columns lie along a line, near a few dozen real records.
        dashes = {"closer_to_train"} if name == "sorted" else set()
        assert set(panel.reasons) == dashes
        assert {figure for figure, found in figures.items() if found is None} == dashes
        assert all(found is None or found.low <= found.value <= found.high for found in figures.values())
        assert list(panel.figures()) == [figure for names in PARTS.values() for figure in names]


def test_fresh_records_are_the_ceiling(panels):
    assert value(panels, "real", "c2st_heldout") > 0.9
    assert value(panels, "real", "marginal_error") < 0.05
    assert panels["real"].closer_to_train.low < 0.5 < panels["real"].closer_to_train.high
    assert value(panels, "real", "exact_copies") == 0.0
    assert panels["real"].utility.high > panels["real"].utility_real.value


@pytest.mark.parametrize("bad", ["independent", "gaussian", "dropped", "sorted"])
def test_each_bad_generator_is_told_from_fresh_records(panels, bad):
    assert panels[bad].c2st_heldout.value < panels["real"].c2st_heldout.low
    assert panels[bad].mmd.low > panels["real"].mmd.high
    assert panels[bad].coverage.high < panels["real"].coverage.low


def test_perfect_marginals_do_not_hide_lost_dependence(panels):
    for bad in ("independent", "sorted"):
        assert value(panels, bad, "marginal_error") < 0.05
        assert value(panels, bad, "pair_error") > 3 * value(panels, "real", "pair_error")
        assert value(panels, bad, "c2st_heldout") < 0.3
    assert panels["independent"].details.pairs.mutual_information.value > 0.8


def test_a_dropped_mode_shows_in_recall_and_not_in_precision(panels):
    assert panels["dropped"].recall.high < panels["real"].recall.low
    assert value(panels, "dropped", "precision") > 0.9
    regions = panels["dropped"].details.marginals.detail["x"]
    lost = next(region for region in regions if region.real > region.generated)
    assert lost.from_quantile >= 0.7


def test_outliers_are_told_and_are_the_suspects(panels):
    assert panels["outliers"].precision.high < panels["real"].precision.low
    assert panels["outliers"].mmd.value > panels["real"].mmd.high
    assert {suspect.row for suspect in panels["outliers"].details.suspects} <= set(range(50))
    beyond = [r for r in panels["outliers"].details.marginals.detail["x"] if r.kind in ("below", "above")]
    assert sum(r.generated for r in beyond) == pytest.approx(0.05, abs=0.01)


def test_copies_are_memorised_however_good_they_look(panels):
    assert value(panels, "copy", "c2st_train") > 0.97
    assert value(panels, "copy", "exact_copies") == 1.0
    for bad in ("copy", "noisy"):
        assert value(panels, bad, "closer_to_train") > 0.97
        assert panels[bad].near_copies.low > 0.8 > 2 * panels[bad].near_copies_real.high


def test_useless_records_are_useless(panels):
    assert panels["independent"].utility.high < panels["independent"].utility_real.low
    assert panels["independent"].details.target == "side"


def test_suspects_have_their_nearest_training_record(panels):
    for suspect in panels["noisy"].details.suspects:
        assert suspect.distance < 0.1


def test_a_panel_comes_back_from_json_as_it_was(panels):
    for panel in panels.values():
        text = json.dumps(panel.to_json(), allow_nan=False)
        again = Panel.from_json(json.loads(text))
        assert again.figures() == panel.figures()
        assert again.details.marginals == panel.details.marginals
        assert again.details.pairs == panel.details.pairs
        assert again.details.suspects == panel.details.suspects
        np.testing.assert_array_equal(again.details.two_sample.positions, panel.details.two_sample.positions)
        np.testing.assert_allclose(again.details.two_sample.suspicion, panel.details.two_sample.suspicion, rtol=1e-5)
        assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize("broken", [{}, {"c2st_train": None}, []])
def test_what_is_no_panel_is_refused(broken):
    with pytest.raises((ValueError, KeyError, TypeError)):
        Panel.from_json(broken)


def test_without_training_records_the_rest_is_measured():
    features = Features(Table().fit(HELD_OUT), HELD_OUT)
    panel = evaluate(draw(3)[:300], None, HELD_OUT[:300], features, parts=["two_sample", "utility", "memorisation"])
    assert panel.c2st_heldout is not None
    missing = {name for name, reason in panel.reasons.items() if reason == "The training records are not known."}
    assert missing == {"c2st_train", "utility", "utility_real", *PARTS["memorisation"]}


def test_records_too_few_have_reasons():
    features = Features(Table().fit(TRAINING), TRAINING)
    panel = evaluate(draw(3, 2), TRAINING, HELD_OUT, features, parts=["two_sample", "coverage", "distances"])
    assert all(found is None for found in panel.figures().values())
    assert all(reason.endswith(".") and reason[0].isupper() for reason in panel.reasons.values())
    assert set(panel.reasons) == set(panel.figures())


def test_one_column_has_no_pairs_and_nothing_to_predict():
    one = TRAINING[["x"]]
    features = Features(Table().fit(one), one)
    panel = evaluate(draw(3)[["x"]], one, HELD_OUT[["x"]], features, parts=["marginals", "pairs", "utility"])
    assert panel.marginal_error is not None
    assert panel.reasons["pair_error"] == panel.reasons["utility"] == "There is only one column."


def test_unknown_parts_and_targets_are_refused_by_name():
    features = Features(Table().fit(TRAINING), TRAINING)
    with pytest.raises(DataError, match="'speed'"):
        evaluate(HELD_OUT, TRAINING, HELD_OUT, features, parts=["speed"])
    with pytest.raises(DataError, match="'height'"):
        evaluate(HELD_OUT, TRAINING, HELD_OUT, features, target="height", parts=["utility"])
