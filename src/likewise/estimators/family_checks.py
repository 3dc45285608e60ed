"""The part of the contract that knows only events: what any fitted family must keep, whatever its records look like."""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch
from torch import Tensor

from likewise.errors import DataError, ModelFileError, NotSupported
from likewise.estimators.files import rebuild
from likewise.estimators.scoring import score
from likewise.events import Batch, Event, Quantised, Restriction, Status
from likewise.families.family import Answering, Conditional, Density, Family, Latent, Question
from likewise.mathematics.monotone import EDGE

ENUMERABLE = 400
"""Entries of at most so many states are summed over one by one."""


def check_family(family: Family, batch: Batch, *, entries: int = 4) -> None:
    """Checks a fitted family on some fully observed records.

    Parameters
    ----------
    family : Family
    batch : Batch
        At least three records of its event.
    entries : int
        How many entries, spread over the event, the checks of evidence look at.

    Raises
    ------
    AssertionError
        With a sentence that says what is not kept.
    """
    step = max(1, len(family.event) // entries)
    chosen = list(range(0, len(family.event), step))[:entries] + list(family.event.label_entries[-1:])
    check_samples(family)
    check_rebuilding(family, batch)
    if isinstance(family, Density):
        check_scores(family, batch)
        for entry in dict.fromkeys(chosen):
            # The labels of a conditional model are given: its score has no term of theirs to sum over.
            if entry < len(family.event.entries) or not is_conditional(family):
                check_marginal(family, batch.rows(slice(0, 3)), entry)
    if isinstance(family, Conditional):
        check_draws(family, Batch.unknown(family.event, 3), "nothing known")
        check_free_draws(family)
        for entry in dict.fromkeys(chosen):
            check_evidence(family, batch.rows(slice(0, 3)), entry)
    if isinstance(family, Answering):
        for entry in dict.fromkeys(chosen):
            check_answers(family, batch.rows(slice(0, 3)), entry)
    if isinstance(family, Latent):
        check_latents(family, batch)


def is_conditional(family: Family) -> bool:
    """Whether the family has learned p(entries | labels)."""
    return bool(family.settings.get("conditional", False))


def check_samples(family: Family) -> None:
    """Samples are fully observed, lie in the event, depend on the generator alone, and are never an unseen state."""
    first, again, other = (family.sample(50, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert len(first) == 50, f"sample(50) drew {len(first)} records"
    assert first.fully_observed, "sample drew records that are not fully observed"
    assert _same(first, again), "sample drew different records from equal generators"
    assert len(family.event) == 0 or not _same(first, other), "sample drew the same records from different generators"
    _check_codes(family.event, first, "sample")
    whole = family.event.complete(first.codes, first.values)
    for name in ("values", "lower", "width"):
        found, expected = getattr(first, name).double(), getattr(whole, name)
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-3), (
            f"sample drew {name} that are not those of their cells"
        )


def check_rebuilding(family: Family, batch: Batch) -> None:
    """Settings and tensors are all there is to a family, and building it costs nothing on the meta device."""
    settings = json.loads(json.dumps(family.settings, allow_nan=False))
    tensors = {name: tensor.detach().clone() for name, tensor in family.state_dict().items()}
    try:
        built = rebuild(type(family), family.event, settings, tensors)
    except ModelFileError as error:
        raise AssertionError(f"a family must be rebuilt from its settings and tensors, but {error}") from error
    first, again = (each.sample(20, torch.Generator().manual_seed(0)) for each in (family, built))
    assert _same(first, again), "a family rebuilt from its settings and tensors samples other records"
    if isinstance(family, Density):
        before, after = score(family, batch, 0), score(built, batch, 0)
        assert (before.values == after.values).all(), "a family rebuilt from its settings and tensors scores otherwise"


def check_scores(family: Family, batch: Batch) -> None:
    """Scores are finite float64 of a kind that the family promises; each depends on its record and the seed alone."""
    assert isinstance(family, Density)
    scores = score(family, batch, 0)
    assert scores.values.shape == (len(batch),), f"{len(batch)} records have scores of shape {scores.values.shape}"
    assert str(scores.values.dtype) == "float64", f"scores are {scores.values.dtype}, not float64"
    assert bool(torch.isfinite(torch.from_numpy(scores.values)).all()), "a training record's score is not finite"
    assert scores.kind in family.kinds, f"scores are of the kind {scores.kind!r}, not one of {family.kinds}"
    assert scores.standard_error.shape == scores.values.shape, "standard errors are not one for each record"
    if scores.kind == "exact":
        assert not scores.standard_error.any(), "exact scores have standard errors other than zero"
    assert scores.base_measure, "scores have no base measure"
    backwards = torch.arange(len(batch) - 1, -1, -1)
    for words, parts in {
        "its place in the batch": [backwards],
        "the other records of the batch": [torch.tensor([i]) for i in range(min(len(batch), 5))],
    }.items():
        for part in parts:
            found = torch.from_numpy(score(family, batch.rows(part), 0).values)
            expected = torch.from_numpy(scores.values)[part]
            assert torch.allclose(found, expected, rtol=1e-9, atol=1e-9), f"a record's score depends on {words}"
    if not len(family.event.entries):
        return
    partial = batch.rows(slice(0, 2)).hide([0])
    alone, beside = score(family, partial, 0), score(family, Batch.join([batch.rows(slice(0, 3)), partial]), 0)
    assert (abs(alone.values - beside.values[3:]) < 1e-9).all(), (
        "a partial record's score depends on whole ones beside it"
    )


def check_marginal(family: Family, batch: Batch, entry: int) -> None:
    """The score with an entry unknown, or restricted, is the sum over the states it stands for.

    Only where scores are exact and the entry has few states: real values are for the family's own tests.
    """
    assert isinstance(family, Density)
    event = family.event
    name = event.all[entry].name
    states = list(_states(event, entry))
    if not states or score(family, batch, 0).kind != "exact":
        return
    size = len(states)
    each = batch.repeat(size)
    for i, (code, z) in enumerate(states):
        each.codes[i::size, entry] = code
        cell = event.measure(entry, z) if z is not None else (torch.zeros(1), torch.zeros(1), torch.ones(1))
        for part, number in zip((each.values, each.lower, each.width), cell, strict=True):
            part[i::size, entry] = number.item()
    summands = torch.from_numpy(score(family, each, 0).values).reshape(len(batch), size)
    unknown = torch.from_numpy(score(family, batch.hide([entry]), 0).values)
    assert torch.allclose(unknown, summands.logsumexp(1), rtol=1e-6, atol=1e-6), (
        f"the score with {name!r} unknown is not the sum over its states"
    )
    whole = torch.tensor([[-EDGE, EDGE]], dtype=torch.float64)
    kept = torch.arange(event.code_sizes[entry]) % 2 == 0
    restricted = batch.restrict(
        entry, Restriction(kept.expand(len(batch), -1).clone(), whole.expand(len(batch), -1, -1).clone())
    )
    allowed = torch.tensor([bool(kept[code]) for code, _ in states])
    found = torch.from_numpy(score(family, restricted, 0).values)
    assert torch.allclose(found, summands[:, allowed].logsumexp(1), rtol=1e-6, atol=1e-6), (
        f"the score with {name!r} restricted to some codes is not the sum over their states"
    )


def check_evidence(family: Family, batch: Batch, entry: int) -> None:
    """Draws agree with their evidence: one entry known, all but one known, one restricted."""
    assert isinstance(family, Conditional)
    event = family.event
    name = event.all[entry].name
    others = [i for i in range(len(event)) if i != entry]
    sizes = torch.arange(event.code_sizes[entry])
    # The code that the record has stays allowed, and half the axis around its value.
    kept = (sizes % 2 == 0) | (sizes == batch.codes[:, [entry]])
    centre = batch.values[:, entry].double()
    half = torch.stack([centre, torch.full_like(centre, EDGE)], 1)[:, None, :]
    cases = {
        f"only {name!r} known": batch.hide(others),
        f"all but {name!r} known": batch.hide([entry]),
        f"{name!r} restricted": batch.hide(others).restrict(entry, Restriction(kept, half)),
    }
    for words, evidence in cases.items():
        check_draws(family, evidence, words)


def check_draws(family: Family, evidence: Batch, words: str) -> None:
    """Draws under this evidence are fully observed, agree with it, and depend on the generator alone."""
    assert isinstance(family, Conditional)
    event = family.event
    try:
        found = family.conditional(evidence, 4, torch.Generator().manual_seed(0))
    except NotSupported:
        return
    except DataError as error:
        # Too few effective draws are refused, with the figure; where nothing is known that is no excuse.
        figures = any(character.isdigit() for character in str(error))
        if figures and bool((evidence.status != Status.UNKNOWN).any()):
            return
        raise AssertionError(f"draws with {words} are refused: {error}") from error
    drawn, told, worth = found.batch, evidence.repeat(4), found.effective_sample_size
    if worth is not None:
        assert worth.shape == (len(evidence),), "effective sample sizes are not one for each record of evidence"
        within = (worth > 0) & (worth <= 4)
        assert bool(within.all()), f"an effective sample size with {words} does not lie within (0, draws]: {worth}"
    assert len(drawn) == len(told), f"4 draws for {len(evidence)} records of evidence gave {len(drawn)}"
    assert drawn.fully_observed, f"draws with {words} are not fully observed"
    _check_codes(event, drawn, "conditional", told)
    known = told.status == Status.OBSERVED
    assert bool((drawn.codes == told.codes)[known].all()), f"draws with {words} changed a code that was known"
    same = torch.isclose(drawn.values.double(), told.values.double(), rtol=1e-4, atol=1e-4)
    assert bool(same[known].all()), f"draws with {words} changed a value that was known"
    for i, allowed in told.restrictions.items():
        inside = allowed.codes.gather(1, drawn.codes[:, [i]])[:, 0]
        assert bool(inside.all()), f"draws with {words} have a code that is not allowed"
        slack = 1e-4 + drawn.width[:, i].double().clamp(max=1.0)  # a cell that the interval touches is inside
        low, high = allowed.intervals[:, 0, 0] - slack, allowed.intervals[:, 0, 1] + slack
        values = drawn.values[:, i].double()
        within = ~event.present(drawn.codes)[:, i] | ((values >= low) & (values <= high))
        assert bool(within.all()), f"draws with {words} have a value outside its interval"
    if bool(known.any()):
        return
    again = family.conditional(evidence, 4, torch.Generator().manual_seed(0)).batch
    assert _same(drawn, again), f"draws with {words} differ between equal generators"


def check_answers(family: Family, batch: Batch, entry: int) -> None:
    """The posterior of an entry is in proportion to the probability of the record with each of its states.

    So is what is most probable. An observed entry is in the state it is in.
    """
    assert isinstance(family, Answering)
    assert isinstance(family, Density)
    name, states = family.event.all[entry].name, family.states(entry)
    hidden = batch.hide([entry])
    logs = torch.zeros(len(batch), len(states), dtype=torch.float64)
    for k, state in enumerate(states):
        codes = torch.zeros(len(batch), family.event.all[entry].code.size, dtype=torch.bool)
        codes[:, state.code] = True
        ends = (1.0, -1.0) if state.low is None or state.high is None else (state.low, state.high)
        within = torch.tensor(ends, dtype=torch.float64).expand(len(batch), 1, 2)
        try:
            told = score(family, hidden.restrict(entry, Restriction(codes, within)), 0)
        except NotSupported:
            return
        logs[:, k] = torch.from_numpy(told.values)
    (found,) = family.posterior(Question(hidden), [entry])
    assert torch.allclose(found, torch.softmax(logs, 1), atol=1e-6), (
        f"the posterior of {name!r} is not in proportion to the probabilities of its states"
    )
    best, log = family.most_probable(Question(hidden), [entry])
    assert torch.allclose(found.gather(1, best)[:, 0], found.amax(1)), f"the most probable state of {name!r} is another"
    assert torch.allclose(log.exp(), found.amax(1)), f"the most probable state of {name!r} has another probability"
    (known,) = family.posterior(Question(batch), [entry])
    assert bool(((known == 0) | (known == 1)).all()), f"{name!r} is observed, and its posterior doubts it"
    assert bool((known.sum(1) == 1).all()), f"{name!r} is observed, and its posterior says in no state"


def check_latents(family: Family, batch: Batch) -> None:
    """Latents are finite float64, a record's depend on that record alone; what is decoded is a record of the event.

    A conditional model refuses to decode them.
    """
    assert isinstance(family, Latent)
    event, size = family.event, family.latent_size
    with torch.inference_mode():
        latent = family.encode(batch)
        one_by_one = torch.cat([family.encode(part) for part in batch.tiles(1)])
    assert latent.shape == (len(batch), size), (
        f"{len(batch)} records have latents of shape {tuple(latent.shape)}, latent_size is {size}"
    )
    assert latent.dtype == torch.float64, f"latents are {latent.dtype}, not float64"
    assert bool(torch.isfinite(latent).all()), "a training record's latent is not finite"
    assert torch.allclose(latent, one_by_one, rtol=1e-5, atol=1e-5), "a record's latent depends on the other records"
    prior, same = (family.prior_latent(20, torch.Generator().manual_seed(0)) for _ in range(2))
    assert prior.shape == (20, size), f"20 points of the prior have the shape {tuple(prior.shape)}"
    assert torch.equal(prior, same), "points of the prior differ between equal generators"
    if is_conditional(family):
        try:
            family.decode(latent)
        except NotSupported:
            return
        raise AssertionError("latents say nothing of the labels that decoding needs, and are decoded all the same")
    with torch.inference_mode():
        decoded, again = family.decode(latent), family.decode(latent)
    assert decoded.codes.shape == (len(batch), len(event)), f"decoded codes have the shape {tuple(decoded.codes.shape)}"
    assert decoded.fully_observed, "decode gave records that are not fully observed"
    assert _same(decoded, again), "decode gave different records for the same latents"
    _check_codes(event, family.decode(prior), "decoding the prior")


def check_free_draws(family: Family, draws: int = 400, tolerance: float = 0.2) -> None:
    """Draws given nothing are distributed as samples are, entry by entry.

    The largest difference of cumulative shares (Kolmogorov and Smirnov's) of that many draws exceeds the tolerance by
    chance once in ten million.
    """
    assert isinstance(family, Conditional)
    free = family.sample(draws, torch.Generator().manual_seed(2))
    given = family.conditional(Batch.unknown(family.event, 1), draws, torch.Generator().manual_seed(3)).batch
    for i, entry in enumerate(family.event.all):
        # States in a row: values, which code 0 has, then the other codes.
        places = [
            torch.where(batch.codes[:, i] > 0, batch.codes[:, i] + 2 * EDGE, batch.values[:, i].double())
            for batch in (free, given)
        ]
        levels = torch.cat(places).sort().values
        shares = [torch.searchsorted(place.sort().values, levels, right=True) / draws for place in places]
        apart = float((shares[0] - shares[1]).abs().max())
        assert apart < tolerance, f"draws given nothing have another distribution of {entry.name!r} than samples"


def _states(event: Event, entry: int) -> Iterator[tuple[int, Tensor | None]]:
    """Every state of an entry, a code and the centre of its cell where it carries a value; none where uncountable."""
    value, size = event.all[entry].value, event.code_sizes[entry]
    if value is None:
        yield from ((code, None) for code in range(size) if size <= ENUMERABLE)
    elif isinstance(value, Quantised) and value.size is not None and value.size <= ENUMERABLE:
        assert value.low is not None
        centres = value.cells(torch.arange(value.low, value.low + value.size))[0]
        yield from ((0, centre[None]) for centre in centres)
        yield from ((code, None) for code in range(1, size))


def _check_codes(event: Event, batch: Batch, what: str, told: Batch | None = None) -> None:
    assert batch.codes.shape == (len(batch), len(event)), f"{what} drew codes of shape {tuple(batch.codes.shape)}"
    for i, entry in enumerate(event.all):
        codes = batch.codes[:, i]
        assert bool(((codes >= 0) & (codes < entry.code.size)).all()), (
            f"{what} drew a code of {entry.name!r} out of range"
        )
        if entry.unseen is not None:
            free = torch.ones_like(codes, dtype=torch.bool) if told is None else told.status[:, i] == Status.UNKNOWN
            assert not bool((codes[free] == entry.unseen).any()), f"{what} drew a state of {entry.name!r} never seen"


def _same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.codes, b.codes) and torch.equal(a.values, b.values)
