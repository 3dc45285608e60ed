"""Family x event: every family keeps the contract on every kind of event."""

import inspect
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import check_estimator

from likewise import datasets
from likewise.engine.plan import Plan
from likewise.errors import DataError, NotSupported
from likewise.estimators import fitting
from likewise.estimators.checks import check_generative
from likewise.estimators.family_checks import check_family
from likewise.estimators.generative import Generative
from likewise.estimators.taxonomy import ESTIMATORS, estimator_class
from likewise.events import Categorical, Entry, Event, Grid, Quantised
from likewise.families.family import ClosedFormLearner
from likewise.families.registry import FAMILIES, family_class
from likewise.mathematics.monotone import MonotoneMap

SETTINGS = {
    "autoregressive": {"width": 8, "hidden": 16, "layers": 1, "components": 3},
    "bayesian_network": {"structure": "chow_liu", "conditionals": "tables", "max_bins": 4},
    "diffusion": {
        "width": 8,
        "hidden": 8,
        "layers": 1,
        "bumps": 4,
        "steps": 3,
        "score_levels": 2,
        "score_draws": 2,
        "flow_steps": 4,
    },
    "energy": {"width": 8, "layers": 1, "bumps": 4, "candidates": 4, "moves": 4},
    "flow": {
        "blocks": 1,
        "width": 8,
        "layers": 1,
        "bins": 4,
        "bumps": 4,
        "code_width": 8,
        "code_hidden": 8,
        "code_layers": 1,
        "importance_samples": 2,
    },
    "gan": {"width": 8, "layers": 1, "critic_width": 8, "critic_layers": 1, "latent": 4, "candidates": 2},
    "vae": {
        "latent": 3,
        "width": 8,
        "hidden": 16,
        "layers": 1,
        "components": 2,
        "prior_components": 3,
        "score_importance_samples": 4,
    },
}
"""Of each family, settings with which it learns in a moment."""

FAST = {
    name: estimator_class(name)(
        **settings, **({} if issubclass(family_class(name), ClosedFormLearner) else {"max_steps": 6})
    )
    for name, settings in SETTINGS.items()
}
"""Of each family, an estimator that fits in a moment."""

CONDITIONAL = [name for name in FAST if "conditional" in inspect.signature(family_class(name)).parameters]
"""Those that can learn p(x | y)."""


def mixed():
    """A column of every kind: with a spike, blanks, categories, truth values, dates, a constant, an identifier."""
    noise, size = np.random.default_rng(0), 60
    return pd.DataFrame(
        {
            "amount": np.where(noise.random(size) < 0.4, 0.0, noise.lognormal(size=size) * 100 / 7),
            "price": np.where(noise.random(size) < 0.2, np.nan, np.round(noise.normal(20, 5, size), 2)),
            "kind": pd.Categorical(noise.choice(["a", "b", "c"], size), categories=["c", "b", "a", "d"]),
            "grade": np.where(noise.random(size) < 0.2, None, noise.choice(["low", "high"], size)),
            "member": noise.random(size) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(noise.integers(0, 500, size), "D"),
            "unit": "kg",
            "id": [f"row-{i:04d}" for i in range(size)],
        }
    )


def categorical():
    noise = np.random.default_rng(1)
    return {
        "colour": noise.choice(["red", "green", "blue"], 60).tolist(),
        "odd": noise.choice([True, False], 60).tolist(),
    }


def real():
    return np.random.default_rng(2).normal(size=(60, 3)) @ np.array([[1.0, 0.5, 0], [0, 1, 0.5], [0, 0, 1]]) / 7


def one_column():
    return pd.DataFrame({"waiting": np.random.default_rng(3).exponential(size=40) * 10 / 3})


def digits():
    """Pixels of the middle of scikit-learn's digits, as a plain array of whole numbers."""
    return load_digits().images[:60, 2:4, 2:5].reshape(60, -1)


RECORDS = {each.__name__: each for each in (mixed, categorical, real, one_column, digits)}


def test_every_family_is_under_contract():
    assert set(FAST) == set(SETTINGS) == set(FAMILIES) == set(ESTIMATORS)


@pytest.mark.parametrize("records", RECORDS)
@pytest.mark.parametrize("family", FAST)
def test_an_estimator_keeps_the_contract(family, records):
    check_generative(FAST[family], RECORDS[records]())


@pytest.mark.parametrize("records", ["categorical", "real"])
@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("diffusion", {"likelihood": "flow", "schedule": "flow", "conditioning": "inpainting"}),
        ("energy", {"objective": "contrastive_divergence", "chains": 20, "chain_moves": 2}),
    ],
)
def test_other_ways_to_score_and_to_learn_keep_the_contract(family, settings, records):
    check_generative(clone(FAST[family]).set_params(**settings), RECORDS[records]())


@pytest.fixture
def hidden_tree(monkeypatch):
    monkeypatch.setattr("likewise.families.bayesian_network.hidden_tree.learning.MAX_PASSES", 2)
    monkeypatch.setattr("likewise.families.bayesian_network.hidden_tree.setting.WAYS", ())
    return clone(FAST["bayesian_network"]).set_params(structure="hidden_tree", states=3, components=2)


@pytest.mark.parametrize("records", RECORDS)
def test_trees_of_hidden_states_keep_the_contract(hidden_tree, records):
    check_generative(hidden_tree, RECORDS[records]())


def test_trees_of_hidden_states_keep_the_contract_with_labels(hidden_tree):
    check_generative(hidden_tree, digits()[:, :3], pd.Series(load_digits().target[:60] % 3, name="digit"))


def test_trees_of_hidden_states_keep_the_contract_of_scikit_learn(hidden_tree):
    assert {result["status"] for result in check_estimator(hidden_tree, on_skip=None)} <= {"passed", "skipped"}


@pytest.mark.parametrize("family", FAST)
def test_an_estimator_keeps_the_contract_with_labels(family):
    target = pd.Series(load_digits().target[:60] % 3, name="digit")
    check_generative(FAST[family], digits()[:, :3], target)


@pytest.mark.parametrize("family", CONDITIONAL)
def test_a_conditional_model_keeps_the_contract(family):
    target = pd.Series(load_digits().target[:60] % 3, name="digit")
    check_generative(FAST[family], digits()[:, :3], target, conditional=True)


@pytest.mark.parametrize("family", CONDITIONAL)
def test_a_conditional_model_needs_labels(family):
    with pytest.raises(DataError, match=r"conditional=True needs labels: fit\(X, y\)"):
        clone(FAST[family]).fit(digits(), conditional=True)


def test_what_cannot_be_conditional_names_what_can():
    with pytest.raises(NotSupported, match="use Autoregressive or "):
        clone(FAST["bayesian_network"]).fit(digits(), load_digits().target[:60], conditional=True)


@pytest.mark.parametrize("family", FAST)
def test_an_estimator_keeps_the_contract_of_scikit_learn(family):
    results = check_estimator(FAST[family], on_skip=None)
    assert len(results) > 30
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert [result["check_name"] for result in results if result["status"] == "skipped"] == ["check_array_api_input"]


@pytest.mark.parametrize("family", [name for name in FAST if not issubclass(family_class(name), ClosedFormLearner)])
def test_a_fit_that_is_given_more_steps_is_one_that_had_them_at_once(family, tmp_path, monkeypatch):
    plan = Generative._plan
    # Else the warm-up is a tenth of budgets as small as these.
    monkeypatch.setattr(Generative, "_plan", lambda model: replace(plan(model), warmup=0, validate_every=4))
    records = datasets.toy("mixed").sample(200, random_state=0)

    def fitted(steps, **more):
        return clone(FAST[family]).set_params(max_steps=steps, random_state=0, **more).fit(records)

    for steps in (8, 30):
        model = fitted(steps, checkpoint=tmp_path, resume=True)
    whole = fitted(30)
    for part, tensor in whole.family_.state_dict().items():
        assert torch.equal(model.family_.state_dict()[part], tensor), part
    assert {**model.training_record_, "seconds": None} == {**whole.training_record_, "seconds": None}
    assert model.sample(5, random_state=1).equals(whole.sample(5, random_state=1))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_keeps_the_contract_on_images(family):
    images = load_digits()
    affine = MonotoneMap.affine(centre=8.0, scale=5.0)
    shade = Quantised(affine, 1.0, 0.0, low=0, high=16)
    pixels = tuple(Entry(f"{row},{column}", Categorical(1), shade) for row in range(4) for column in range(6))
    event = Event(Grid(4, 6), pixels, (Entry("digit", Categorical(10)),))
    codes = torch.zeros(300, 25, dtype=torch.int64)
    codes[:, 24] = torch.from_numpy(images.target[:300])
    values = torch.zeros(300, 25, dtype=torch.float64)
    values[:, :24] = affine.forward(torch.from_numpy(images.images[:300, 2:6, 1:7].reshape(300, 24)))
    batch = event.complete(codes, values)
    model = fitting.build(family_class(family), event, SETTINGS[family], 0)
    parts = batch.rows(slice(0, 270)), batch.rows(slice(270, 300))
    options = {"checkpoint": None, "resume": False, "verbose": 0, "partial": False}
    fitting.learn(model, parts, Plan(max_steps=6, device="cpu"), 0, **options)
    check_family(model.eval(), batch.rows(slice(0, 10)), entries=1)
