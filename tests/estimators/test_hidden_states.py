"""Hidden states in the user's words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import likewise as lw
from likewise.errors import DataError, NotSupported


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Two kinds of shops."""
    rng = np.random.default_rng(0)
    busy = rng.random(600) < 0.7
    return pd.DataFrame(
        {
            "kind": np.where(busy, "market", "kiosk"),
            "sales": np.where(busy, rng.normal(300, 20, 600), rng.normal(50, 5, 600)),
            "staff": np.where(busy, 12, 1) + rng.integers(0, 3, 600),
            "rating": np.where(rng.random(600) < np.where(busy, 0.1, 0.9), np.nan, rng.random(600).round(2)),
            "open": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.where(busy, 0, 300) + rng.integers(0, 9, 600), "D"),
            "country": "NL",
        }
    )


@pytest.fixture(scope="module")
def model(frame: pd.DataFrame) -> lw.BayesianNetwork:
    return lw.BayesianNetwork(structure="hidden_tree", states=2, components=1, random_state=0).fit(frame)


def test_states_are_told_in_the_units_of_the_records(model: lw.BayesianNetwork, frame: pd.DataFrame) -> None:
    found = model.hidden_states("sales")
    assert found["state"].nunique() == 2
    # Both rows of a state have its probability, the most probable state comes first, constants are not told of.
    assert set(found["column"]) == set(frame.columns) - {"country"}
    first, second = (rows.set_index("column") for _, rows in found.groupby("state", sort=False))
    assert first["probability"].iloc[0] == pytest.approx(frame["kind"].eq("market").mean(), abs=0.02)
    assert first["probability"].iloc[0] + second["probability"].iloc[0] == pytest.approx(1)
    for rows, kind in ((first, "market"), (second, "kiosk")):
        own = frame[frame["kind"] == kind]
        assert rows.loc["kind", "typical"] == kind
        assert rows.loc["kind", "share"] > 0.95
        assert rows.loc["kind", ["low", "high"]].tolist() == [None, None]
        for name, error in (("sales", 4), ("staff", 1)):
            told = [rows.loc[name, part] for part in ("low", "typical", "high")]
            assert told == pytest.approx(own[name].quantile([0.1, 0.5, 0.9]).tolist(), abs=error)
            assert np.isnan(rows.loc[name, "share"])
        days = pd.to_datetime([rows.loc["open", part] for part in ("low", "typical", "high")])
        assert own["open"].min() <= days[0] <= days[1] <= days[2] <= own["open"].max()
    assert first.loc["rating", "typical"] == pytest.approx(0.5, abs=0.15)
    # Most ratings of kiosks are missing, and that is what is typical of them.
    assert second.loc["rating", "typical"] is None
    assert second.loc["rating", "share"] == pytest.approx(0.9, abs=0.05)


def test_columns_come_by_what_a_state_says_of_them(model: lw.BayesianNetwork) -> None:
    found = model.hidden_states()
    for _, rows in found.groupby("state"):
        assert rows["bits"].is_monotonic_decreasing
        assert (rows["bits"] >= 0).all()
    assert len(model.hidden_states(top=1)) == len(found) // 2
    assert model.hidden_states(top=None).equals(found)
    root = ({"kind", "sales", "staff", "rating", "open"} & set(model.to_networkx())) - {c for _, c in model.edges_}
    assert found.equals(model.hidden_states(root.pop()))


def test_what_a_state_shows_is_what_its_records_are(model: lw.BayesianNetwork) -> None:
    """The shares of states weigh their columns to what the column is by itself."""
    found = model.hidden_states("kind", top=None)
    kind = found[found["column"] == "kind"]
    both = np.where(kind["typical"] == "market", kind["share"], 1 - kind["share"])
    assert (kind["probability"] * both).sum() == pytest.approx(model.query("kind")["probability"]["market"], rel=1e-6)


def test_what_has_no_hidden_states_says_so(model: lw.BayesianNetwork, frame: pd.DataFrame) -> None:
    plain = lw.BayesianNetwork(structure=[], random_state=0).fit(frame)
    with pytest.raises(NotSupported, match="structure='hidden_tree'"):
        plain.hidden_states()
    with pytest.raises(DataError, match="no column 'city'"):
        model.hidden_states("city")
    with pytest.raises(DataError, match="the model has 1, numbered from 0"):
        model.hidden_states(tree=1)
    with pytest.raises(DataError, match="top must be a whole number"):
        model.hidden_states(top=0)
