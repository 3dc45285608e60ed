"""What was learned by heart is found, and nothing else."""

import numpy as np
import pytest

from likewise.metrics.interval import NoFigure
from likewise.metrics.memorisation import Memorisation, memorisation


def normal(rows: int, seed: int, width: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def found(generated: np.ndarray, training: np.ndarray, held_out: np.ndarray) -> Memorisation:
    rows = np.concatenate([generated, training, held_out])
    keys = np.unique(rows, axis=0, return_inverse=True)[1].ravel()
    a, b, c = np.split(keys, np.cumsum([len(generated), len(training)]))
    return memorisation((generated, training, held_out), (a, b, c))


@pytest.mark.parametrize("held_out", [200, 800, 2000])
def test_fresh_records_are_as_close_to_held_out_ones_however_many_those_are(held_out):
    panel = found(normal(1500, 0), normal(800, 1), normal(held_out, 2))
    assert panel.closer_to_train.low < 0.5 < panel.closer_to_train.high
    assert panel.exact_copies.value == 0.0
    assert panel.near_copies.value == pytest.approx(panel.near_copies_real.value, abs=0.02)


@pytest.mark.parametrize("held_out", [200, 800])
def test_a_copy_is_always_closer_to_training(held_out):
    training = normal(800, 1)
    panel = found(training[::-1], training, normal(held_out, 2))
    assert panel.closer_to_train.value == 1.0
    assert panel.exact_copies.value == panel.near_copies.value == 1.0
    assert panel.exact_copies_real.value == 0.0


def test_copies_with_a_little_noise_are_near_copies():
    training = normal(800, 1)
    panel = found(training + 0.01 * normal(800, 3), training, normal(800, 2))
    assert panel.exact_copies.value == 0.0
    assert panel.near_copies.value > 0.99
    assert panel.near_copies_real.value < 0.05
    assert panel.closer_to_train.value > 0.99


@pytest.mark.parametrize("held_out", [300, 800])
def test_a_share_of_copies_moves_the_figure_by_half_of_it(held_out):
    training = normal(800, 1)
    mixed = np.concatenate([training[:400], normal(1600, 5)])
    panel = found(mixed, training, normal(held_out, 2))
    assert panel.closer_to_train.value == pytest.approx(0.6, abs=0.05)
    assert panel.exact_copies.value == pytest.approx(0.2)


def test_few_held_out_records_give_no_figure_unless_it_is_plain():
    training, held_out = normal(120, 1), normal(15, 2)
    assert found(normal(120, 0), training, held_out).closer_to_train is None
    assert found(training, training, held_out).closer_to_train.value == 1.0


def coarse(rows: int, seed: int, levels: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, (rows, 3)).astype(np.float32)


def test_records_that_are_equally_near_count_each_its_part():
    panel = found(coarse(500, 0), coarse(400, 1), coarse(100, 2))
    assert panel.closer_to_train.value == pytest.approx(0.5, abs=0.03)
    assert panel.exact_copies.value == panel.exact_copies_real.value == 1.0


@pytest.mark.parametrize("levels", [3, 6, 12])
def test_coarse_records_of_an_honest_model_are_not_closer_to_training(levels):
    values = [
        found(coarse(300, 3 * k, levels), coarse(300, 3 * k + 1, levels), coarse(100, 3 * k + 2, levels))
        .closer_to_train.value for k in range(60)
    ]  # fmt: skip
    assert np.mean(values) == pytest.approx(0.5, abs=3 * np.std(values) / np.sqrt(60))


def test_the_interval_holds_one_half_nineteen_times_in_twenty():
    panels = [found(normal(400, 3 * k, 2), normal(300, 3 * k + 1, 2), normal(150, 3 * k + 2, 2)) for k in range(150)]
    held = np.mean([p.closer_to_train.low <= 0.5 <= p.closer_to_train.high for p in panels])
    assert 0.9 <= held <= 0.99


def test_one_training_record_has_no_figure():
    with pytest.raises(NoFigure):
        found(normal(5, 0), np.repeat(normal(1, 1), 4, axis=0), normal(5, 2))
