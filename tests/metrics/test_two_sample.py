"""The two-sample test against its judge, and where its score is known."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from likewise.metrics.interval import Interval, NoFigure
from likewise.metrics.two_sample import TwoSample, _area, area, deal, two_sample


def normal(size: int, seed: int, width: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, width))


def correlated(size: int, seed: int) -> np.ndarray:
    x = normal(size, seed)
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    return x


def judged(generated: np.ndarray, real: np.ndarray, seed: int = 0) -> TwoSample:
    rows = np.concatenate([generated, real])
    keys = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    names = [f"x{i}" for i in range(rows.shape[1])]
    sides = keys[: len(generated)], keys[len(generated) :]
    return two_sample(generated, real, sides, names, np.arange(len(names)), seed)


def test_the_area_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 20, 500) / 20, rng.random(500) < 0.3
    assert area(scores, truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)


def test_the_variance_of_the_area_is_that_of_repeated_draws():
    areas, variances = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        truth = np.arange(200) < 100
        scores = rng.normal(size=200) + truth
        value, variance = _area(scores, truth, np.arange(200))
        areas.append(value)
        variances.append(variance)
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.15)


def test_records_that_are_alike_lie_in_one_fold_and_folds_are_balanced():
    rng = np.random.default_rng(0)
    groups, fake = rng.integers(0, 900, 3000), np.arange(3000) < 1500
    folds = deal(groups, fake, rng)
    assert all(len(set(folds[groups == g].tolist())) <= 1 for g in range(900))
    for side in (fake, ~fake):
        np.testing.assert_allclose(np.bincount(folds[side]) / 1500, 1 / 3, atol=0.03)


def test_fresh_records_score_near_one_and_a_copy_is_not_known_by_its_twin():
    real = correlated(1500, 0)
    assert judged(correlated(1500, 1), real).score.high > 0.97
    shuffled = real[np.random.default_rng(0).permutation(1500)]
    assert judged(shuffled, real).score.value > 0.97


def test_repeated_records_are_no_tell_either():
    real = np.random.default_rng(0).integers(0, 3, (1500, 4)).astype(float)
    fake = np.random.default_rng(1).integers(0, 3, (1500, 4)).astype(float)
    assert judged(fake, real).score.high > 0.97


def test_a_shift_of_one_column_is_found_and_named():
    fake = correlated(1500, 1)
    fake[:, 2] += 2.0
    found = judged(fake, correlated(1500, 0))
    # The best of all classifiers has the area Phi(2 / sqrt(2)) = .921.
    assert found.score.value == pytest.approx(1 - 2 * (0.921 - 0.5), abs=0.06)
    assert found.tells[0][0] == "x2"
    assert found.tells[0][1] > 0.9
    assert sum(part for _, part in found.tells) == pytest.approx(1.0)


def test_suspicion_points_at_the_records_that_are_wrong():
    fake = correlated(1500, 1)
    fake[:75] = 6.0 + normal(75, 3)
    found = judged(fake, correlated(1500, 0))
    assert found.positions.tolist() == list(range(1500))
    assert set(np.argsort(-found.suspicion)[:50].tolist()) <= set(range(75))


def test_the_larger_side_is_cut_down():
    found = judged(correlated(1200, 1), correlated(400, 0))
    assert len(found.suspicion) == len(np.unique(found.positions)) == 400


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5])
def test_scores_agree_with_xgboost(shift):
    import xgboost
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    fake, real = correlated(3000, 1), correlated(3000, 0)
    fake[:, 1] += shift * fake[:, 2]
    x, y = np.concatenate([fake, real]).astype(np.float32), np.arange(6000) < 3000
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    auc = cross_val_score(xgboost.XGBClassifier(n_jobs=1), x, y, scoring="roc_auc", cv=folds).mean()
    assert judged(fake, real).score.value == pytest.approx(1 - 2 * max(auc - 0.5, 0), abs=0.035)


def test_too_few_records_have_no_figure():
    with pytest.raises(NoFigure):
        judged(correlated(5, 0), correlated(5, 1))


def test_the_score_is_one_function_of_the_seed():
    one, two = (judged(correlated(300, 1), correlated(300, 0), seed=3) for _ in range(2))
    assert one.score == two.score
    assert isinstance(one.score, Interval)
