"""Train on synthetic, test on real: where the answer is known."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import r2_score, roc_auc_score

from likewise.metrics.features import Column
from likewise.metrics.interval import NoFigure
from likewise.metrics.utility import default_target, utility


def classes(seed: int, size: int = 600, sharp: float = 2.0) -> tuple[np.ndarray, Column]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 2))
    logits = sharp * np.column_stack([x[:, 0], x[:, 1], -x.sum(1)]) + rng.gumbel(size=(size, 3))
    return x, Column("k", "category", logits.argmax(1), ("a", "b", "c"))


def number(seed: int, sign: float = 1.0) -> tuple[np.ndarray, Column]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(600, 2))
    return x, Column("y", "number", sign * x[:, 0] + 0.5 * rng.normal(size=600))


def test_classes_are_measured_by_the_macro_area_of_scikit_learn():
    made, real, test = classes(0), classes(1), classes(2)
    found = utility(made, real, test)
    order = np.random.default_rng(0).permutation(600)
    trees = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    trees.fit(made[0][order], made[1].values[order])
    expected = roc_auc_score(test[1].values, trees.predict_proba(test[0]), multi_class="ovr")
    assert found.measure == "AUC"
    assert found.generated.value == pytest.approx(expected, abs=1e-9)
    assert found.generated.low < found.real.value < found.generated.high


def test_labels_without_sense_are_worth_one_half():
    x, column = classes(0)
    shuffled = x, column.rows(np.random.default_rng(0).permutation(600))
    assert utility(shuffled, classes(1), classes(2)).generated.value == pytest.approx(0.5, abs=0.1)


def test_a_class_that_is_never_generated_costs_its_share():
    x, column = classes(0)
    kept = column.values != 2
    found = utility((x[kept], column.rows(kept)), classes(1), classes(2))
    assert found.generated.high < found.real.low


def test_one_class_alone_ranks_nothing():
    x, column = classes(0)
    one = x, Column("k", "category", np.zeros_like(column.values), column.levels)
    assert utility(one, classes(1), classes(2)).generated.value == 0.5


def test_numbers_are_measured_by_the_coefficient_of_determination():
    found = utility(number(0), number(1), number(2))
    assert found.measure == "R2"
    # Of all predictors the best has 1 / 1.25.
    assert 0.6 < found.generated.value <= 0.85
    assert utility(number(0, sign=-1.0), number(1), number(2)).generated.value < -1
    assert r2_score(number(2)[1].values, number(2)[0][:, 0]) == pytest.approx(0.8, abs=0.05)


def test_records_without_a_target_do_not_count():
    x, column = number(0)
    holes = np.where(np.arange(600) < 100, np.nan, column.values)
    found = utility((x, Column("y", "number", holes)), number(1), number(2))
    assert found.generated.value > 0.6


def test_the_default_target_is_the_last_small_category_then_the_last_number():
    few = Column("few", "category", np.arange(20) % 3, ("a", "b", "c"))
    many = Column("many", "category", np.arange(20), tuple(map(str, range(20))))
    x = Column("x", "number", np.arange(20.0))
    assert default_target([few, x, many]) == "few"
    assert default_target([x, many]) == "x"
    assert default_target([many]) is None


def test_a_target_that_does_not_vary_has_no_figure():
    x, column = classes(0)
    with pytest.raises(NoFigure, match="does not vary"):
        utility(classes(0), classes(1), (x, Column("k", "category", np.zeros_like(column.values), column.levels)))
