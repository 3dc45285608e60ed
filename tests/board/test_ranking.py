"""The order of models, and the words for them, as functions of what the metrics found."""

from dataclasses import replace

import numpy as np
import pytest

import likewise as lw
from likewise.board.leaderboard import board, text
from likewise.board.ranking import RULE, left_out_of, standing
from likewise.board.results import REFERENCE, Result
from likewise.board.verdict import verdict
from likewise.metrics.interval import Interval
from likewise.metrics.marginals import MarginalErrors, Region
from likewise.metrics.pairs import Pair, PairErrors
from likewise.metrics.panel import Panel, PanelDetails
from likewise.metrics.support import Omission, Support
from likewise.metrics.two_sample import TwoSample


def at(value: float, reach: float = 0.01) -> Interval:
    return Interval(value, value - reach, value + reach)


CLEAN = Support(at(0.0, 0.0), at(0.0, 0.0), 0.0, 0.0, at(0.0, 0.0), 0.0, ())
HONEST = Panel(
    c2st_train=at(0.95),
    c2st_heldout=at(0.93),
    closer_to_train=at(0.5),
    exact_copies=at(0.001, 0.001),
    exact_copies_real=at(0.001, 0.001),
    near_copies=at(0.1),
    near_copies_real=at(0.1),
    details=PanelDetails(rows={"compared": 5000}),
)


def result(panel: Panel = HONEST, support: Support = CLEAN, **panel_changes) -> Result:
    return Result("one", "flow", panel=replace(panel, **panel_changes), support=support)


def words(found: Result) -> str:
    return verdict(found, standing(found, {}), {})


def test_an_honest_model_keeps_its_two_sample_score():
    found = standing(result(), {})
    assert found.score == pytest.approx(0.93)
    assert (found.plausible, found.complete, found.fresh, found.copy) == (1.0, 1.0, 1.0, False)


def test_the_lower_of_the_two_scores_counts():
    assert standing(result(c2st_train=at(0.3)), {}).score == pytest.approx(0.3)
    assert standing(result(c2st_train=None), {}).score == pytest.approx(0.93)


def test_without_a_score_against_held_out_records_there_is_none():
    found = standing(result(c2st_heldout=None), {})
    assert found.score is None
    assert found.order < standing(result(c2st_heldout=at(0.0), c2st_train=at(0.0)), {}).order


@pytest.mark.parametrize(
    "signs",
    [
        {"exact_copies": at(1.0, 0.0), "closer_to_train": at(1.0, 0.0), "near_copies": at(1.0, 0.0)},
        {"exact_copies": at(0.8)},
        {"near_copies": at(0.9)},
        {"closer_to_train": at(0.95)},
    ],
)
def test_any_sign_of_copying_puts_a_model_below_the_worst_honest_one(signs):
    copied = standing(result(c2st_heldout=at(1.0, 0.0), c2st_train=at(1.0, 0.0), **signs), {})
    worst = standing(result(c2st_heldout=at(0.0, 0.0), c2st_train=at(0.0, 0.0)), {})
    assert copied.copy
    assert copied.score == 0.0
    assert copied.order < worst.order


@pytest.mark.parametrize("share", [0.2, 0.3, 0.4])
def test_a_share_of_copies_costs_a_share_of_the_score(share):
    some = standing(result(exact_copies=at(share)), {})
    more = standing(result(exact_copies=at(share + 0.05)), {})
    assert 0.93 > some.score > more.score > 0
    assert "repeats training records" in words(result(exact_copies=at(share)))


def test_where_records_repeat_copies_are_told_by_what_the_copy_itself_shows():
    often = {"exact_copies_real": at(0.7), "near_copies": at(0.7), "near_copies_real": at(0.7)}
    full = {"exact_copies": at(1.0, 0.0), "closer_to_train": at(0.65), **often}
    copy = replace(result(**full), name="copy", family=REFERENCE)
    copied = result(exact_copies=at(0.99), closer_to_train=at(0.64), **often)
    honest = result(exact_copies=at(0.7), closer_to_train=at(0.505), **often)
    assert standing(copied, {"copy": copy}).copy
    assert standing(honest, {"copy": copy}).fresh == 1.0
    assert standing(copy, {"copy": copy}).score == 0.0


def test_no_better_than_independent_columns_is_said():
    floor = Result("independent", REFERENCE, panel=replace(HONEST, c2st_heldout=at(0.8), c2st_train=at(0.8)))
    found = result(c2st_heldout=at(0.79))
    told = verdict(found, standing(found, {}), {"independent": floor})
    assert told.startswith("no closer to real than independent columns")
    assert verdict(result(), standing(result(), {}), {"independent": floor}).startswith("hard to tell")


def test_what_a_model_borrows_is_told_beside_its_own_figure():
    assert "borrows" not in words(result())
    lent = replace(result(), borrowed=at(0.47))
    assert words(lent).endswith("; with its factor of codes and independent values it scores 0.47")
    assert Result.from_json(lent.to_json()) == lent


def test_a_table_in_which_real_records_repeat_is_no_table_of_copies():
    found = standing(result(exact_copies=at(0.9), exact_copies_real=at(0.9)), {})
    assert found.fresh == 1.0


def test_four_far_outliers_in_a_hundred_cost_everything_and_strays_nearby_little():
    def of(share: float, excess: float) -> Support:
        return replace(CLEAN, strays=at(share, 0.0), excess=at(share * excess, 0.0))

    assert standing(result(support=of(0.04, 10.0)), {}).score == 0.0
    assert standing(result(support=of(0.05, 0.9)), {}).score > 0.85
    assert "outliers" in words(result(support=of(0.05, 9.0)))
    assert "outliers" not in words(result(support=of(0.05, 0.9)))
    assert "5% of its records lie where no real ones do" in words(result(support=of(0.05, 0.9)))


def test_real_records_that_stray_as_far_are_no_fault():
    support = replace(CLEAN, strays=at(0.05, 0.0), strays_real=0.05, excess=at(0.3, 0.0), excess_real=0.3)
    assert standing(result(support=support), {}).score == pytest.approx(0.93)


def test_a_lost_mode_and_a_lost_category_cost_everything():
    hole = replace(CLEAN, uncovered=at(0.15, 0.0))
    lost = replace(CLEAN, omissions=(Omission("group", "west", 0.2, 0.0),))
    for support in (hole, lost):
        assert standing(result(support=support), {}).score == 0.0
        assert "leaves out a part of the data" in words(result(support=support))
    assert "group west" in words(result(support=lost))


def test_what_is_left_out_is_summed_within_a_column_only():
    both = (Omission("a", "x", 0.03, 0.0), Omission("a", "y", 0.02, 0.0), Omission("b", "z", 0.04, 0.0))
    assert left_out_of(replace(CLEAN, omissions=both)) == pytest.approx(0.05)


def test_an_average_that_flatters_says_so():
    spoilt = result(support=replace(CLEAN, uncovered=at(0.2, 0.0)))
    assert words(spoilt).startswith("hard to tell from real on average, but not as a whole")
    assert words(result()).startswith("hard to tell from real;")


@pytest.mark.parametrize(
    ("score", "opening"),
    [
        (0.95, "hard to tell from real"),
        (0.8, "close to real"),
        (0.5, "can be told from real"),
        (0.2, "easily told from real"),
        (0.02, "nothing like real"),
    ],
)
def test_the_opening_follows_the_score(score, opening):
    assert words(result(c2st_heldout=at(score), c2st_train=at(1.0))).startswith(opening)


def test_a_wide_interval_is_mentioned():
    assert "as far as so few records can say" in words(result(c2st_heldout=at(0.9, 0.2)))


def test_honest_records_memorise_nothing_and_unknown_training_is_said():
    assert words(result()).endswith("memorises nothing")
    unknown = result(
        closer_to_train=None, exact_copies=None, exact_copies_real=None, near_copies=None, near_copies_real=None
    )
    assert "unknown" in words(unknown)
    assert "memorises nothing" not in words(unknown)


def _details(**parts) -> Panel:
    return replace(HONEST, details=PanelDetails(rows={"compared": 5000}, **parts))


def test_lost_and_invented_dependence_are_named():
    def pairs(real: float, generated: float) -> Panel:
        found = PairErrors(at(0.2), at(0.9), (Pair("x", "y", 0.2, real, generated),))
        return _details(pairs=found)

    assert "its columns are independent of each other" in words(result(pairs(0.4, 0.01)))
    assert "its columns depend too little on each other" in words(result(pairs(0.4, 0.15)))
    assert "ties columns together that are not, x and y above all" in words(result(pairs(0.1, 0.6)))
    assert "columns" not in words(result(pairs(0.4, 0.38)))
    assert "columns" not in words(result(pairs(0.001, 0.0)))


def test_misrepresented_parts_of_a_column_are_named_by_where_they_lie():
    def margins(region: Region) -> Panel:
        return _details(marginals=MarginalErrors(at(0.1), {"income": 0.1}, {"income": (region,)}))

    large = Region("range", 0.10, 0.08, low=5e4, high=1e5, from_quantile=0.9, to_quantile=1.0)
    assert "slightly under-represents large income" in words(result(margins(large)))
    for value in (0.0, 2500.0):
        atom = Region("range", 0.6, 0.3, low=value, high=np.nextafter(value, np.inf), to_quantile=0.6)
        assert f"strongly under-represents income {value:g};" in words(result(margins(atom)))
    level = Region("level", 0.2, 0.4, level="none")
    assert "strongly over-represents income none" in words(result(margins(level)))
    chance = Region("level", 0.2, 0.21, level="none")
    assert "represents" not in words(result(margins(chance)))


def test_a_spike_that_is_smeared_and_values_outside_of_real_ones_are_named():
    at_zero = Region("range", 0.6, 0.01, low=0.0, high=np.nextafter(0.0, 1.0), to_quantile=0.6)
    below = Region("below", 0.0, 0.25, high=0.0, to_quantile=0.0)
    panel = _details(marginals=MarginalErrors(at(0.6), {"gain": 0.6}, {"gain": (at_zero, below)}))
    smeared = replace(CLEAN, omissions=(Omission("gain", "0", 0.6, 0.01), Omission("group", "west", 0.04, 0.0)))
    told = words(result(panel, smeared))
    assert "has no spike at gain 0; leaves out a part of the data: 4% of real records (group west)" in told
    assert "25% of its gain lie where no real ones do, below all of them" in told
    assert "gain 0;" not in told.replace("spike at gain 0;", "")
    assert standing(result(panel, smeared), {}).score == 0.0
    assert "leaves out" not in words(result(panel, replace(smeared, omissions=smeared.omissions[:1])))
    kept = replace(at_zero, generated=0.3)
    panel = _details(marginals=MarginalErrors(at(0.3), {"gain": 0.3}, {"gain": (kept,)}))
    assert "spike" not in words(result(panel))


def test_what_real_records_get_wrong_too_is_no_fault():
    region = Region("level", 0.2, 0.3, level="none")
    panel = _details(marginals=MarginalErrors(at(0.1), {"income": 0.1}, {"income": (region,)}))
    real = Result("real", REFERENCE, panel=panel, support=CLEAN)
    found = result(panel)
    assert "represents" not in verdict(found, standing(found, {}), {"real": real})


def test_where_nothing_simpler_is_wrong_the_columns_that_gave_it_away_are_named():
    told = TwoSample(at(0.5), (("age", 0.7), ("sex", 0.2)), np.zeros(0), np.zeros(0, np.int64))
    found = result(_details(two_sample=told), c2st_heldout=at(0.5))
    assert "given away by age, sex" in words(found)


@pytest.mark.parametrize("card", lw.families(), ids=lambda card: card.name)
def test_the_board_as_text_has_families_by_the_names_of_their_estimators(card):
    borrowing = replace(result(), name=card.name, family=card.name, borrowed=at(0.5))
    own = replace(result(), name="mine", family=card.name)
    lost = Result("lost", card.name, status="failed", reason="no luck")
    told = text(board([borrowing, own, lost, replace(lost, name=card.name)]))
    assert f"{card.estimator}: hard to tell from real" in told
    assert f"{card.estimator}: failed: no luck" in told
    assert "mine: hard to tell" in told
    assert f"{card.name} " not in told
    assert f"{card.name}:" not in told


def test_the_rule_names_every_factor():
    for word in ("two-sample", "plausible", "complete", "fresh", "Copies"):
        assert word in RULE


def test_a_result_survives_its_json():
    found = result(support=replace(CLEAN, omissions=(Omission("a", "x", 0.03, 0.0),)))
    again = Result.from_json(found.to_json())
    assert again.figures() == found.figures()
    assert again.support == found.support
