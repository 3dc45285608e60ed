"""The contract of an estimator, made executable: what someone who adds a family runs."""

from __future__ import annotations

import copy
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from likewise.domains.table import Table
from likewise.domains.table.columns import conform
from likewise.domains.table.sources import Source, read
from likewise.errors import DataError, ModelFileError, NotSupported
from likewise.estimators.family_checks import check_family, is_conditional
from likewise.estimators.files import describe, load
from likewise.estimators.fitting import take
from likewise.estimators.generative import Generative
from likewise.estimators.validation import check_labels
from likewise.families.family import Conditional, Density, Latent

METHODS = {
    "score_samples": Density,
    "log_likelihood": Density,
    "score": Density,
    "conditional": Conditional,
    "encode": Latent,
    "decode": Latent,
    "interpolate": Latent,
}
"""What a method needs of the family; `fit`, `partial_fit`, `sample`, `save` and `load` need nothing."""


def check_generative(estimator: Generative, records: Any, labels: Any = None, *, conditional: bool = False) -> None:
    """Checks that an estimator keeps the contract of this library, beyond scikit-learn's `check_estimator`.

    It is cloned and fitted a handful of times: give it settings that fit fast.

    Parameters
    ----------
    estimator : Generative
        Not fitted, and left so.
    records : anything that `fit` takes
        A few dozen records or more.
    labels : labels of the records, optional
    conditional : bool
        Whether p(records | labels) is learned.

    Raises
    ------
    AssertionError
        With a sentence that says what is not kept.

    Examples
    --------
    >>> import likewise as lw
    >>> lw.check_generative(lw.BayesianNetwork(), {"size": [1.5, 2.25, 3.0, 2.5] * 9, "kind": ["a", "b", "b"] * 12})
    """
    estimator = clone(estimator)
    estimator.set_params(random_state=0)
    check_capabilities(estimator, fitted=False)
    before = global_states()
    model = check_fitting(estimator, records, labels, conditional)
    check_capabilities(model, fitted=True)
    check_samples(model)
    check_scores(model, records, labels)
    check_evidence(model, records)
    check_latents(model, records)
    check_files(model, records)
    check_refitting(model, records, labels, conditional)
    source = model.domain_.read(records)
    size = min(len(source), 20)
    some = None if labels is None else np.asarray(labels)[:size]
    check_family(model.family_, model.domain_.encode(source.rows(np.arange(size)), some))
    assert global_states() == before, "a global random state was used or changed: randomness is an argument"


def check_capabilities(estimator: Generative, *, fitted: bool) -> None:
    """`hasattr` tells the truth before and after fitting; what is not there names a family that can."""
    name = type(estimator).__name__
    for method, protocol in METHODS.items():
        able = issubclass(estimator.family_class(), protocol)
        assert hasattr(estimator, method) == able, f"hasattr({name}, {method!r}) is not what its family can do"
        if not able:
            try:
                getattr(estimator, method)
            except AttributeError as error:
                if isinstance(error.__cause__, NotSupported):
                    continue
            raise AssertionError(f"{name}.{method} is missing without NotSupported")
        elif not fitted:
            try:
                getattr(estimator, method)(*([np.zeros((1, 1))] * (2 if method == "interpolate" else 1)))
            except NotFittedError:
                continue
            raise AssertionError(f"{name}.{method} does not say that the model is not fitted")


def check_fitting(estimator: Generative, records: Any, labels: Any, conditional: bool) -> Generative:
    """Constructing stores; fitting returns self and adds only attributes that end in an underscore; seeds decide."""
    parameters = estimator.get_params(deep=False)
    assert not [name for name in vars(estimator) if name.endswith("_")], "a new estimator has fitted state"
    first: Generative = clone(estimator)
    before = copy.deepcopy(records)
    given = _said(conditional)
    returned = first.fit(records, labels, **given)
    assert equal_records(records, before), "fitting changed the records"
    assert returned is first, "fit does not return the estimator"
    added = set(vars(first)) - set(parameters)
    wrong = sorted(name for name in added if not name.endswith("_"))
    assert not wrong, f"fitting set {wrong}, which do not end in an underscore"
    after = first.get_params(deep=False)
    assert all(after[name] is value for name, value in parameters.items()), "fitting changed a parameter"
    second = clone(estimator).partial_fit(records, labels, **given)
    assert tensors_equal(first, second), "two fits with one random_state differ, or the first partial_fit is not a fit"
    assert first.n_features_in_ == len(first.domain_.read(records).names), "n_features_in_ is not the number of columns"
    assert isinstance(first.training_record_, dict), "training_record_ is no dict"
    return first


def check_samples(model: Generative) -> None:
    """Samples are records that could have been given, as many as were asked for, decided by random_state."""
    first, again, other = (
        model.sample(30, random_state=0),
        model.sample(30, random_state=0),
        model.sample(30, random_state=1),
    )
    source = model.domain_.read(first)
    assert len(source) == 30, f"sample(30) drew {len(source)} records"
    assert equal_records(first, again), "two samples with one random_state differ"
    assert not equal_records(first, other), "samples with two random_states are the same"
    if isinstance(model.domain_, Table):
        assert isinstance(source, Source)
        for part in ("container", "names"):
            found, expected = source.memory[part], model.domain_.memory[part]
            assert found == expected, f"samples have other {part} than the records: {found}, not {expected}"
    for wrong in (0, -1, 2.5, "many"):
        try:
            model.sample(wrong)  # type: ignore[arg-type]
        except DataError:
            continue
        raise AssertionError(f"sample({wrong!r}) does not raise DataError")
    if isinstance(model.family_, Density):
        assert bool(np.isfinite(model.score_samples(first)).all()), "a record that was sampled has no finite score"


def _said(conditional: bool) -> dict[str, Any]:
    """What `fit` is told: nothing that an estimator without conditional models would not know."""
    return {"conditional": True} if conditional else {}


def check_scores(model: Generative, records: Any, labels: Any) -> None:
    """`score_samples`, `log_likelihood` and `score` agree; labels are summed out where they are not given."""
    if not isinstance(model.family_, Density):
        return
    scores = model.log_likelihood(records)
    assert np.array_equal(model.score_samples(records), scores.values), "score_samples and log_likelihood disagree"
    assert model.score(records) == scores.mean, "score is not the mean log-likelihood"
    if labels is None:
        try:
            model.score_samples(records, np.zeros(len(scores)))
        except DataError:
            return
        raise AssertionError("labels are taken by a model that was fitted without any")
    joint = model.log_likelihood(records, labels)
    if joint.kind == scores.kind == "exact" and not is_conditional(model.family_):
        assert bool((joint.values <= scores.values + 1e-6).all()), "log p(x, y) is larger than log p(x)"


def check_evidence(model: Generative, records: Any) -> None:
    """Under evidence, columns of every kind come back as they were given; what does not exist is refused."""
    if not isinstance(model.family_, Conditional):
        return
    try:
        model.sample(1, given={"no such column": 1})
    except DataError:
        pass
    else:
        raise AssertionError("evidence about a column that does not exist is taken")
    if not isinstance(model.domain_, Table):
        return
    source = model.domain_.read(records)
    kept = 0
    for facts in model.domain_.facts:
        vector = (
            source.vector(facts.name)
            if facts.name in source.names
            else source.vectors[model.domain_.facts.index(facts)]
        )
        rows = np.flatnonzero(~vector.missing)[:3]
        if not facts.modelled or not len(rows):
            continue
        alone = Source(
            (facts.name,), (vector.rows(rows),), {"container": "columns", "names": [facts.name], "dtypes": [{}]}
        )
        expected = [cell for cell in alone.vectors[0].scalars() for _ in range(4)]
        try:
            result = model.conditional(alone, draws=4, random_state=0)
        except NotSupported:  # a family may refuse points on real values, not intervals
            kept += vector.family == "number" and check_interval(model, facts.name, vector.scalars())
            continue
        except DataError:  # or what is too rare to be drawn well
            continue
        found = columns_of(model, result.records)[facts.name]
        assert found == expected, f"draws given {facts.name!r} = {expected[::4]} have {found} there"
        assert result.effective_sample_size.shape == (len(rows),), (
            "effective sample sizes are not one a row of evidence"
        )
        again = model.conditional(alone, draws=4, random_state=0)
        assert equal_records(result.records, again.records), "draws with one random_state differ"
        if vector.family != "moment":
            drawn = model.sample(4, random_state=0, given={facts.name: expected[0]})
            assert columns_of(model, drawn)[facts.name] == expected[:4], (
                f"a sample given {facts.name!r} has another there"
            )
        kept += 1
    assert kept or not model.domain_.event.value_entries, "no column can be given as evidence"
    some = source.rows(np.arange(min(len(source), 3)))
    try:
        whole = model.conditional(some, draws=2, random_state=0)
    except (NotSupported, DataError):
        return
    found_columns, given_columns = columns_of(model, whole.records), columns_of(model, some)
    for name, cells in given_columns.items():
        for row, cell in enumerate(cells):
            pair = found_columns[name][2 * row : 2 * row + 2]
            assert cell is None or pair == [cell] * 2, f"draws given whole records have {pair} for {cell!r} in {name!r}"


def check_interval(model: Generative, name: str, cells: list[Any]) -> bool:
    """Records drawn given an interval have their values in it."""
    low, high = (float(level) for level in np.quantile([cell for cell in cells if cell is not None], [0.2, 0.8]))
    drawn = columns_of(model, model.sample(20, random_state=0, given={name: (low, high)}))[name]
    assert all(cell is not None and low <= cell <= high for cell in drawn), f"{name!r} is not within ({low}, {high})"
    return True


def check_latents(model: Generative, records: Any) -> None:
    """What is encoded can be decoded: latents of all records are finite, and decoding them gives as many records."""
    if not isinstance(model.family_, Latent):
        return
    latents = model.encode(records)
    assert latents.dtype == np.float64, f"latents are {latents.dtype}, not float64"
    assert latents.ndim == 2, f"latents have {latents.ndim} axes, not 2"
    assert bool(np.isfinite(latents).all()), "a latent coordinate is not finite"
    assert np.array_equal(model.encode(records), latents), "two encodings of the same records differ"
    if is_conditional(model.family_):
        try:
            model.decode(latents)
        except NotSupported:
            return
        raise AssertionError("latents say nothing of the labels that decoding needs, and are decoded all the same")
    decoded = model.domain_.read(model.decode(latents))
    assert len(decoded) == len(latents), f"decoding {len(latents)} latents gave {len(decoded)} records"
    for kind in ("linear", "spherical"):
        ends = model.decode(latents[:2]), model.decode(latents[2:4])
        path = model.domain_.read(model.interpolate(*ends, steps=3, path=kind))
        assert len(path) == 6, f"interpolating 2 pairs in 3 steps gave {len(path)} records"
    for wrong in (latents[0], latents[:, 1:], np.full_like(latents, np.nan)):
        try:
            model.decode(wrong)
        except DataError:
            continue
        raise AssertionError(f"latents of shape {wrong.shape} that cannot be are decoded")


def check_files(model: Generative, records: Any) -> None:
    """A model read from its file, or unpickled, scores and samples to the bit as the one that was written."""
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "model.safetensors", Path(folder) / "again.safetensors"
        model.save(path)
        loaded = load(path)
        assert type(loaded) is type(model), f"the file of a {type(model).__name__} holds a {type(loaded).__name__}"
        assert describe(path)["family"] == model.family_name, "the file names another family"
        loaded.save(again)
        assert path.read_bytes() == again.read_bytes(), "a model that was read is written otherwise"
        path.write_bytes(path.read_bytes()[:-1])
        try:
            load(path)
        except ModelFileError:
            pass
        else:
            raise AssertionError("a truncated file is read")
    for words, other in {"read from its file": loaded, "unpickled": pickle.loads(pickle.dumps(model))}.items():
        assert equal_records(model.sample(20, random_state=0), other.sample(20, random_state=0)), (
            f"a model {words} samples other records"
        )
        if isinstance(model.family_, Density):
            assert np.array_equal(model.score_samples(records), other.score_samples(records)), (
                f"a model {words} has other scores"
            )


def check_refitting(model: Generative, records: Any, labels: Any, conditional: bool) -> None:
    """A second fit forgets the first; `partial_fit` goes on from it, and keeps its schema."""
    half = model.domain_.read(records)
    index = np.arange(0, len(half), 2)
    half, some = half.rows(index), None if labels is None else take(check_labels(labels, len(half)), index)
    given = _said(conditional)
    refitted = copy.deepcopy(model).fit(half, some, **given)
    assert tensors_equal(refitted, clone(model).fit(half, some, **given)), "a second fit remembers the first"
    more = copy.deepcopy(model).partial_fit(half, some)
    assert not tensors_equal(more, model), "partial_fit on more records learns nothing"
    assert more.domain_.event.code_sizes == model.domain_.event.code_sizes, "partial_fit changed the schema"
    assert more.partial_fit(half, some) is more, "partial_fit does not return the estimator"


# -------------------------------------------------------------------------------------------------------- comparisons


def columns_of(model: Generative, records: Any) -> dict[str, list[Any]]:
    """The cells of records of a table by column, in the terms of the learned schema."""
    assert isinstance(model.domain_, Table)
    source = model.domain_.read(records)
    found = {}
    for facts, name in zip(model.domain_.facts, source.names, strict=True):
        found[facts.name] = conform(facts, source.vector(name)).scalars()
    return found


def equal_records(a: Any, b: Any) -> bool:
    """Whether records of any kind are the same cell by cell; blanks are the same as blanks."""
    first, second = read(a), read(b)
    return first.names == second.names and all(
        x.scalars() == y.scalars() for x, y in zip(first.vectors, second.vectors, strict=True)
    )


def tensors_equal(a: Generative, b: Generative) -> bool:
    """Whether two fitted models have the same tensors."""
    first, second = a.family_.state_dict(), b.family_.state_dict()
    return set(first) == set(second) and all(torch.equal(part, second[name]) for name, part in first.items())


def global_states() -> tuple[bytes, bytes]:
    """The global random states of torch and of numpy."""
    return torch.get_rng_state().numpy().tobytes(), pickle.dumps(np.random.mtrand._rand)
