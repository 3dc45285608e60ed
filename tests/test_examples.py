"""Examples run as they are; the quick form of each says what it would."""

from __future__ import annotations

import mode_collapse
import numpy as np
import pytest
from matplotlib.image import imread

import likewise as lw


def test_mode_collapse_prints_its_table_and_leaves_its_figure(tmp_path, capsys) -> None:
    figure = tmp_path / "figure.png"
    outcomes = mode_collapse.main(["--quick", "--out", str(figure)])
    assert list(outcomes) == list(mode_collapse.ROWS)
    printed = capsys.readouterr().out
    for name, row in outcomes.items():
        assert len(row) == 1
        assert np.isfinite(row[0].points).all()
        assert f"\n{name} " in printed
    height, width, _ = imread(figure).shape
    assert height > 2 * width  # one seed, eight rows


@pytest.mark.parametrize(("toy", "kept", "found"), [("two_blobs", 2, 2), ("two_blobs", 1, 1), ("one_blob", 1, 1)])
def test_modes_are_found_where_samples_are(monkeypatch, toy: str, kept: int, found: int) -> None:
    """Of the truth all modes are found, and of the truth without one of them one fewer."""
    truth = lw.datasets.toy(toy)

    class Known:
        def __init__(self, **settings: object) -> None: ...
        def fit(self, records: object) -> None: ...

        def sample(self, size: int, random_state: int):
            made = truth.sample(4 * size, random_state=random_state)
            near = np.linalg.norm(made.to_numpy()[:, None] - truth.modes, axis=2).argmin(1)
            return made[near < kept].head(size)

    monkeypatch.setattr(mode_collapse.lw, "GAN", Known)
    outcome = mode_collapse.fit(truth, {}, 0)
    assert outcome.modes == found
    assert outcome.quality == pytest.approx(0.989, abs=0.01)  # 1 - exp(-9 / 2), in two dimensions
