"""What a network prepares for questions follows its parameters, and is no part of its copies."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import likewise as lw


@pytest.mark.parametrize(
    "settings", [{"structure": [("a", "b")]}, {"structure": "hidden_tree", "states": 2, "components": 1}]
)
def test_new_parameters_give_new_answers_and_copies_carry_nothing_prepared(settings: dict[str, Any]) -> None:
    frame = pd.DataFrame({"a": ["x", "y", "x"] * 30, "b": ["u", "v", "v"] * 30})
    model = lw.BayesianNetwork(random_state=0, **settings).fit(frame)
    network: Any = model.family_.network
    before = model.posterior({"a": "x"}, "b")["b"]
    assert network.prepared is network.prepared
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert vars(twin)["_prepared"] is None
    other = copy.deepcopy(model).partial_fit(pd.DataFrame({"a": ["x"] * 500, "b": ["u"] * 500}))
    after = other.posterior({"a": "x"}, "b")["b"]
    assert after[0, 0] > before[0, 0] + 0.1
    np.testing.assert_array_equal(model.posterior({"a": "x"}, "b")["b"], before)
    model.family_.load_state_dict(other.family_.state_dict())
    np.testing.assert_array_equal(model.posterior({"a": "x"}, "b")["b"], after)
