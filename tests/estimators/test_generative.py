"""What users of an estimator are promised: kinds of records, labels, splits, seeds, budgets, and errors that help."""

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import likewise as lw
from likewise.errors import DataError, ModelFileError, NotSupported
from likewise.estimators import fitting
from likewise.estimators.randomness import seed_from
from likewise.families.family import Density, Latent
from likewise.families.registry import FAMILIES, families_with, family_class

FAST = {
    "autoregressive": lw.Autoregressive(width=8, hidden=16, layers=1, components=2, max_steps=4, random_state=0),
    "bayesian_network": lw.BayesianNetwork(structure="chow_liu", conditionals="tables", max_bins=4, random_state=0),
    "diffusion": lw.Diffusion(
        width=8,
        hidden=8,
        layers=1,
        bumps=4,
        steps=3,
        score_levels=2,
        score_draws=16,
        flow_steps=4,
        max_steps=4,
        random_state=0,
    ),
    "flow": lw.Flow(
        blocks=1, width=8, layers=1, bins=4, code_width=8, code_hidden=8, code_layers=1, max_steps=4, random_state=0
    ),
    "energy": lw.EnergyModel(width=8, layers=1, bumps=4, candidates=4, moves=4, max_steps=4, random_state=0),
    "gan": lw.GAN(width=8, layers=1, critic_width=8, critic_layers=1, latent=4, max_steps=4, random_state=0),
    "vae": lw.VAE(latent=3, width=8, hidden=8, layers=1, components=2, prior_components=3, max_steps=4, random_state=0),
}


@pytest.fixture(params=FAST)
def estimator(request):
    return clone(FAST[request.param])


@pytest.fixture(params=[name for name in FAST if name in families_with(Density)])
def scoring(request):
    return clone(FAST[request.param])


@pytest.fixture
def network():
    return clone(FAST["bayesian_network"])


def frame(size=60):
    noise = np.random.default_rng(0)
    side = noise.normal(size=size)
    return pd.DataFrame(
        {"side": side, "area": side**2 + noise.normal(size=size), "kind": noise.choice(["a", "b"], size)}
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_signature_says_what_its_family_takes(family):
    own = set(inspect.signature(family_class(family).__init__).parameters) - {"self", "event"}
    derived = {"network", "orders", "any_share", "conditional"}  # learned, chosen by the family, or said in fit
    assert set(FAST[family]._settings()) == own - derived
    parameters = inspect.signature(type(FAST[family]).__init__).parameters.values()
    assert not [p for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    defaults = {name: p.default for name, p in inspect.signature(family_class(family).__init__).parameters.items()}
    for name, value in type(FAST[family])()._settings().items():
        assert value == defaults[name], name


KINDS = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "array of objects": lambda frame: frame.to_numpy(),
    "array of numbers": lambda frame: frame[["side", "area"]].to_numpy(),
    "columns": lambda frame: frame.to_dict("list"),
    "rows": lambda frame: frame.to_dict("records"),
    "lists": lambda frame: frame.to_numpy().tolist(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_every_kind_go_in_and_come_out(estimator, kind):
    records = KINDS[kind](frame())
    model = estimator.fit(records)
    sample = model.sample(7, random_state=0)
    assert isinstance(sample, np.ndarray if kind == "lists" else type(records))
    assert not isinstance(model.family_, Density) or len(model.score_samples(sample)) == 7
    named = kind in ("pandas", "polars", "arrow", "columns", "rows")
    assert hasattr(model, "feature_names_in_") == named
    if named:
        assert model.feature_names_in_.tolist() == ["side", "area", "kind"]


def test_paths_and_bundled_sets_are_read(network, tmp_path):
    frame().to_csv(tmp_path / "data.csv", index=False)
    model = network.fit(tmp_path / "data.csv")
    assert model.feature_names_in_.tolist() == ["side", "area", "kind"]
    assert model.score(str(tmp_path / "data.csv")) == model.score(frame())
    assert clone(network).fit("iris").n_features_in_ == 5


def test_scores_sum_out_labels_that_are_not_given(scoring):
    target = pd.Series(np.where(frame()["side"] > 0, "up", "down"), name="direction")
    model = scoring.fit(frame(), target)
    each = [model.log_likelihood(frame(), pd.Series([label] * 60, name="direction")) for label in ("up", "down")]
    together = np.logaddexp(*(scores.values for scores in each))
    without = model.log_likelihood(frame())
    # A bound estimates a probability without bias, with a relative error of its own: so do sums of them.
    errors = [without.standard_error, *(np.exp(one.values - together) * one.standard_error for one in each)]
    error = np.sqrt(np.square(errors).sum(0))
    # What no training record was has its reserved share besides the two.
    beside, apart = without.values - together, 5 * error + 1e-9
    assert np.all((-apart <= beside) & (beside <= 0.1 + apart))
    assert abs(beside.mean()) <= 0.1 + 5 * np.sqrt(np.square(error).sum()) / 60
    with pytest.raises(DataError, match="inconsistent numbers"):
        model.score_samples(frame(), ["up"])


def test_labels_are_sampled_and_conditioned_on_by_name(scoring):
    target = pd.Series(np.where(frame()["side"] > 0, "up", "down"), name="direction")
    model = scoring.fit(frame(), target)
    records, labels = model.sample(20, labels=True, random_state=0)
    assert records.columns.tolist() == ["side", "area", "kind"]
    assert set(labels) <= {"up", "down"}
    _, labels = model.sample(20, labels=True, random_state=0, given={"direction": "up"})
    assert set(labels) == {"up"}
    assert set(model.conditional({"direction": "down"}, 5).labels) == {"down"}
    plain = clone(model).fit(frame(), target.tolist())
    assert set(plain.sample(5, labels=True, given={"label": "up"})[1]) == {"up"}
    with pytest.raises(DataError, match="fitted with labels"):
        clone(model).fit(frame()).sample(2, labels=True)


def test_base_measures_name_what_is_summed_out(network):
    counted = pd.DataFrame({"n": np.arange(60) % 7, "kind": ["a", "b"] * 30})
    model = network.fit(counted, np.random.default_rng(0).normal(size=60))
    assert model.log_likelihood(counted).base_measure == "counting"
    assert "Lebesgue on label" in model.log_likelihood(counted, np.zeros(60)).base_measure


def test_evidence_keeps_values_sets_and_intervals(scoring):
    model = scoring.fit(frame())
    for given in ({"kind": "a"}, {"kind": ["a"]}, {"kind": ["a", "b"], "side": (0.0, None)}):
        sample = model.sample(20, random_state=0, given=given)
        assert set(sample["kind"]) <= set(given["kind"])
        assert "side" not in given or (sample["side"] >= 0).all()
    exact = frame()["side"][3]
    assert (model.sample(5, given={"side": exact})["side"] == exact).all()
    blanks = frame()[:4].assign(area=np.nan)
    result = model.conditional(blanks, draws=3, random_state=0)
    assert len(result.records) == 12
    assert result.records["side"].tolist() == np.repeat(blanks["side"], 3).tolist()
    assert result.records["area"].notna().all()
    assert result.effective_sample_size.tolist() == [3.0] * 4


def test_bad_evidence_is_explained(network):
    model = network.fit(frame())
    with pytest.raises(DataError, match="There is no column 'shape'"):
        model.sample(2, given={"shape": 1})
    with pytest.raises(DataError, match="must map columns"):
        model.sample(2, given=frame())
    with pytest.raises(DataError, match="must be a whole number"):
        model.conditional({"kind": "a"}, draws=0)


def test_no_records_have_no_scores_and_teach_nothing_but_are_no_rows_of_evidence(scoring):
    model = scoring.fit(frame())
    for ask in (model.log_likelihood, model.score_samples, model.score, model.partial_fit):
        for nothing in (frame(0), frame(0).to_dict("list")):
            with pytest.raises(DataError, match=r"no rows \(0 sample\(s\)\) while a minimum of 1 is required"):
                ask(nothing)
    found = model.conditional(frame(0), draws=3, random_state=0)
    assert found.records.shape == (0, 3)
    assert list(found.records.columns) == ["side", "area", "kind"]
    assert len(found.effective_sample_size) == 0


def test_random_states_of_every_sort(network):
    model = network.fit(frame())
    by = {sort: [model.sample(5, random_state=make()) for _ in range(2)] for sort, make in {
        "whole number": lambda: 3,
        "RandomState": lambda: np.random.RandomState(3),
        "Generator": lambda: np.random.default_rng(3),
        "nothing": lambda: None,
    }.items()}  # fmt: skip
    for sort, (first, second) in by.items():
        assert first.equals(second) == (sort != "nothing"), sort
    with pytest.raises(DataError, match="random_state"):
        model.sample(5, random_state="seed")


def test_a_seed_is_drawn_and_kept_where_none_is_given(network):
    first, second = (clone(network).set_params(random_state=None).fit(frame()) for _ in range(2))
    assert first.seed_ != second.seed_
    assert clone(network).set_params(random_state=first.seed_).fit(frame()).score(frame()) == first.score(frame())


def test_the_split_is_seeded_disjoint_and_recorded(network):
    for size, expected in {2: (2, 2), 9: (9, 9), 10: (7, 3), 60: (54, 6)}.items():
        train, held_out = fitting.split(size, 0.1, 0)
        assert (len(train), len(held_out)) == expected
        assert size < 10 or not set(train) & set(held_out)
    record = network.fit(frame()).training_record_
    assert (record["train_records"], record["held_out_records"]) == (54, 6)
    assert network.set_params(validation_fraction=0).fit(frame()).training_record_["held_out_records"] == 0


def test_the_schema_is_learned_from_training_records_only():
    records = frame()
    _, held_out = fitting.split(60, 0.1, 0)
    records.loc[held_out, "side"] += 1000
    model = clone(FAST["bayesian_network"]).fit(records)
    side = model.domain_.facts[0]
    assert side.limits[1] < 100


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"validation_fraction": 1.0}, "validation_fraction must be at least 0 and below 1"),
        ({"validation_fraction": "a"}, "validation_fraction"),
        ({"max_time": "soon"}, "duration"),
        ({"max_steps": 0}, "max_steps must be a whole number of at least 1"),
        ({"max_steps": 2.5}, "max_steps"),
        ({"random_state": -1}, "random_state"),
        ({"resume": True, "random_state": None}, "resume=True needs random_state"),
        ({"width": 0}, "width"),
        ({"order": "none"}, "order"),
        ({"device": "abacus"}, "device"),
    ],
)
def test_bad_parameters_are_explained_in_fit(parameters, words):
    estimator = clone(FAST["autoregressive"]).set_params(**parameters)
    with pytest.raises(DataError, match=words):
        estimator.fit(frame())


@pytest.mark.parametrize("structure", ["forest", [("side", "nothing")]])
def test_a_bad_structure_is_explained_in_fit(structure):
    with pytest.raises(DataError):
        lw.BayesianNetwork(structure=structure).fit(frame())


def test_edges_are_given_by_name(tmp_path):
    model = lw.BayesianNetwork(structure=[("kind", "side")], conditionals="tables", random_state=0).fit(frame())
    assert model.family_.network.parents == [[2], [], []]
    model.save(tmp_path / "model.safetensors")
    assert lw.load(tmp_path / "model.safetensors").family_.network.parents == [[2], [], []]


def test_before_fitting_everything_says_so(scoring, tmp_path):
    for call in (
        lambda: scoring.sample(),
        lambda: scoring.score(frame()),
        lambda: scoring.conditional({"kind": "a"}),
        lambda: scoring.save(tmp_path / "model.safetensors"),
    ):
        with pytest.raises(NotFittedError):
            call()
    with pytest.raises(ModelFileError):
        type(scoring).load(tmp_path / "model.safetensors")


@pytest.mark.parametrize("family", sorted(set(FAST) - set(families_with(Latent))))
def test_a_latent_space_that_is_not_there_is_not_there(family):
    estimator = FAST[family]
    for name in ("encode", "decode", "interpolate"):
        assert not hasattr(estimator, name)
        with pytest.raises(AttributeError) as caught:
            getattr(estimator, name)
        assert isinstance(caught.value.__cause__, NotSupported)
        with pytest.raises(AttributeError):
            getattr(type(estimator), name)(estimator, frame())


def test_partial_fit_goes_on_instead_of_starting_anew(scoring):
    scoring.set_params(max_steps=30) if "max_steps" in scoring.get_params() else None
    model = clone(scoring).fit(frame())
    before = model.score(frame())
    for _ in range(3):
        model.partial_fit(frame())
    again = model.score(frame())
    assert again != before
    assert again > before - 0.5
    with pytest.raises(DataError, match="area"):
        model.partial_fit(frame()[["side", "kind"]])


def test_a_gradient_fit_goes_on_from_its_checkpoint(tmp_path):
    estimator = clone(FAST["autoregressive"]).set_params(checkpoint=tmp_path / "kept")
    model = estimator.fit(frame())
    assert (tmp_path / "kept" / "training.jsonl").exists()
    resumed = clone(estimator).set_params(resume=True).fit(frame())
    assert np.array_equal(model.score_samples(frame()), resumed.score_samples(frame()))


def test_scikit_learn_can_cross_validate(network):
    scores = cross_val_score(network, frame(), cv=3)
    assert np.isfinite(scores).all()


def test_columns_go_by_name_in_any_order(network):
    model = network.fit(frame())
    shuffled = frame()[["kind", "area", "side"]].assign(more=1)
    assert np.array_equal(model.score_samples(frame()), model.score_samples(shuffled))
    with pytest.raises(DataError, match="area"):
        model.score_samples(frame()[["side", "kind"]])


def test_seeds_are_whole_numbers_below_2_63():
    assert seed_from(np.int64(5)) == 5
    assert 0 <= seed_from(None) < 2**63
