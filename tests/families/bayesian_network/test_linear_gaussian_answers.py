"""What a linear-Gaussian network answers, against closed forms, enumeration and its own scores."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chi2, norm
from sklearn.datasets import load_diabetes
from torch import Tensor

import likewise as lw
from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction, State
from likewise.families.bayesian_network.linear_gaussian import answers as gaussian_answers
from likewise.families.bayesian_network.linear_gaussian.network import LinearGaussianNetwork
from likewise.families.family import Question
from likewise.mathematics.monotone import EDGE, MonotoneMap

UNIT = MonotoneMap.affine(0.0, 1.0)
GRID = Quantised(MonotoneMap.affine(3.0, 2.0), 1.0, 0.0, 0, 6)
DECILES = norm.ppf(np.arange(11) / 10)


def network_of(
    event: Event, codes: list[list[int]], values: dict[int, tuple[list[int], list[int]]], seed: int
) -> LinearGaussianNetwork:
    """A network with random parameters."""
    generator = torch.Generator().manual_seed(seed)
    regressions = [
        {"codes": values[i][0], "values": values[i][1]} if i in event.value_entries else None for i in range(len(event))
    ]
    conditionals = [{"parents": above, "splits": None} for above in codes]
    network = LinearGaussianNetwork(event, conditionals, regressions, 1 << 30)
    for i, entry in enumerate(event.all):
        table = network.codes.of(i).table
        table.copy_(torch.rand(table.shape, generator=generator, dtype=torch.float64) + 0.2)
        if entry.unseen is not None:
            table[:, entry.unseen] = 0
            table *= (1 - entry.reserved) / table.sum(1, keepdim=True)
            table[:, entry.unseen] = entry.reserved
        table /= table.sum(1, keepdim=True)
        if i in event.value_entries:
            own = network.of(i)
            own.coefficients.copy_(torch.randn(own.coefficients.shape, generator=generator, dtype=torch.float64) * 0.7)
            own.deviations.copy_(torch.rand(own.deviations.shape, generator=generator, dtype=torch.float64) + 0.3)
    return network


def mixed(seed: int) -> LinearGaussianNetwork:
    """A category with an unseen code, a grid with missing values, a real column with a spike, a leaf, a lonely one."""
    event = Event(
        Columns(),
        (
            Entry("k", Categorical(4), unseen=3, reserved=0.05),
            Entry("q", Categorical(3), GRID, missing=1, unseen=2, reserved=0.02),
            Entry("r", Categorical(2), Real(UNIT)),
            Entry("t", Categorical(1), Real(UNIT)),
            Entry("u", Categorical(2)),
        ),
    )
    return network_of(event, [[], [0], [1], [], [0, 2]], {1: ([0], []), 2: ([0], [1]), 3: ([4], [2])}, seed)


def restricted(network: LinearGaussianNetwork, batch: Batch, i: int, states: Sequence[State]) -> Batch:
    """The records with entry `i` in one of some states."""
    allowed = torch.zeros(len(batch), network.event.all[i].code.size, dtype=torch.bool)
    allowed[:, [state.code for state in states]] = True
    spans = [[state.low, state.high] for state in states if state.low is not None] or [[1.0, -1.0]]
    return batch.restrict(i, Restriction(allowed, torch.tensor(spans, dtype=torch.float64).expand(len(batch), -1, -1)))


def only_seen(network: LinearGaussianNetwork, batch: Batch) -> Batch:
    """The records with what is unknown said to be in some state that was seen."""
    for i in range(len(network.event)):
        if (batch.status[:, i] == 1).all():
            batch = restricted(network, batch, i, network.states(i))
    return batch


def by_scores(network: LinearGaussianNetwork, batch: Batch, i: int) -> Tensor:
    """The posterior of entry `i` by one score a state."""
    batch = only_seen(network, batch.hide([i]) if int(batch.status[0, i]) == 1 else batch)
    logs = torch.stack([network.log_prob(narrowed(network, batch, i, state)) for state in network.states(i)], 1)
    return torch.softmax(logs, 1)


def narrowed(network: LinearGaussianNetwork, batch: Batch, i: int, state: State) -> Batch:
    """The records in which entry `i`, already restricted, is also in a state."""
    old = batch.restrictions[i]
    new = restricted(network, batch, i, [state])
    own = new.restrictions[i]
    if state.low is None:
        return replace(new, restrictions={**new.restrictions, i: Restriction(old.codes & own.codes, own.intervals)})
    low = torch.maximum(old.intervals[..., 0], own.intervals[..., 0])
    high = torch.minimum(old.intervals[..., 1], own.intervals[..., 1])
    both = Restriction(old.codes & own.codes, torch.stack([low, high], -1))
    return replace(new, restrictions={**new.restrictions, i: both})


def nothing(network: LinearGaussianNetwork) -> Batch:
    return Batch.unknown(network.event, 1)


# ------------------------------------------------------------------------------------------------------- closed forms


@pytest.fixture(scope="module")
def pair() -> LinearGaussianNetwork:
    event = Event(Columns(), tuple(Entry(name, Categorical(1), Real(UNIT)) for name in "xy"))
    network = network_of(event, [[], []], {0: ([], []), 1: ([], [0])}, 0)
    network.of(0).coefficients.zero_()
    network.of(0).deviations.fill_(1.0)
    network.of(1).coefficients.copy_(torch.tensor([[0.0, 0.8, 0.0]], dtype=torch.float64))
    network.of(1).deviations.fill_(0.6)
    return network


def given_values(network: LinearGaussianNetwork, values: dict[int, float]) -> Batch:
    """One record of present values, the rest unknown."""
    row = torch.zeros(1, len(network.event), dtype=torch.float64)
    for i, value in values.items():
        row[0, i] = value
    batch = network.event.complete(torch.zeros(1, len(network.event), dtype=torch.int64), row)
    return batch.hide([i for i in range(len(network.event)) if i not in values])


def test_values_are_in_tenths_when_nothing_is_known(pair: LinearGaussianNetwork) -> None:
    for part in pair.posterior(Question(nothing(pair)), [0, 1]):
        np.testing.assert_allclose(part.numpy(), 0.1, atol=1e-12)


@pytest.mark.parametrize(("known", "asked"), [(0, 1), (1, 0)])
def test_the_other_of_two_values_is_the_conditional_normal(pair: LinearGaussianNetwork, known: int, asked: int) -> None:
    found = pair.posterior(Question(given_values(pair, {known: 1.3})), [asked])[0][0].numpy()
    np.testing.assert_allclose(found, np.diff(norm(0.8 * 1.3, 0.6).cdf(DECILES)), atol=1e-12)


def test_to_set_a_value_says_nothing_of_what_it_depends_on(pair: LinearGaussianNetwork) -> None:
    found = pair.posterior(Question(given_values(pair, {1: 1.3}), set_from_outside=(1,)), [0, 1])
    np.testing.assert_allclose(found[0].numpy(), 0.1, atol=1e-12)
    assert found[1].argmax() == 9
    found = pair.posterior(Question(given_values(pair, {0: 1.3}), set_from_outside=(0,)), [1])
    np.testing.assert_allclose(found[0][0].numpy(), np.diff(norm(0.8 * 1.3, 0.6).cdf(DECILES)), atol=1e-12)


def test_a_mixture_by_codes_is_its_hand_enumeration() -> None:
    event = Event(Columns(), (Entry("k", Categorical(3)), Entry("x", Categorical(2), Real(UNIT))))
    network = network_of(event, [[], [0]], {1: ([0], [])}, 1)
    shares, present = network.codes.of(0).table[0].numpy(), network.codes.of(1).table[:, 0].numpy()
    means, spreads = network.of(1).coefficients[:, 0].numpy(), network.of(1).deviations.numpy()
    inside = np.stack([np.diff(norm(m, s).cdf(DECILES)) for m, s in zip(means, spreads, strict=True)])
    expected = np.append((shares * present) @ inside, (shares * (1 - present)).sum())
    found = network.posterior(Question(nothing(network)), [1, 0])
    np.testing.assert_allclose(found[0][0].numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(found[1][0].numpy(), shares, atol=1e-12)
    weights = shares * present * norm(means, spreads).pdf(0.4)
    found = network.posterior(Question(given_values(network, {1: 0.4})), [0, 1])
    np.testing.assert_allclose(found[0][0].numpy(), weights / weights.sum(), atol=1e-12)
    assert found[1][0].tolist() == [float(low <= 0.4 < high) for low, high in itertools.pairwise(DECILES)] + [0.0]


# ------------------------------------------------------------------------------------------------ ratios of log_prob


@pytest.mark.parametrize("seed", range(4))
def test_posteriors_are_ratios_of_scores(seed: int) -> None:
    network = mixed(seed)
    records = network.sample(10, torch.Generator().manual_seed(seed))
    rng = np.random.default_rng(seed)
    interval = State(0, -0.7, 0.9)
    asked = 0
    for row in range(10):
        batch = records.rows(slice(row, row + 1))
        for i in range(5):
            chance = rng.random()
            if chance < 0.4:
                batch = batch.hide([i])
            elif chance < 0.6:
                states = [state for state in network.states(i) if state.low is None][: 1 + (i != 4)]
                value = network.event.all[i].value is not None
                batch = restricted(network, batch, i, [interval, *states] if value else states)
        open_ = [i for i in range(5) if int(batch.status[0, i]) != 0]
        try:
            expected = [by_scores(network, batch, i) for i in open_]
        except NotSupported:
            with pytest.raises(NotSupported, match="no closed form"):
                network.posterior(Question(batch), open_)
            continue
        found = network.posterior(Question(batch), open_)
        asked += len(open_)
        for got, want in zip(found, expected, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(got.sum(1), torch.ones(1, dtype=torch.float64), rtol=1e-12, atol=0)
    assert asked > 8


def test_rows_of_many_patterns_are_answered_each_as_if_alone() -> None:
    network = mixed(7)
    records = network.sample(12, torch.Generator().manual_seed(0))
    parts = [records.rows(slice(k, k + 1)).hide([3, k % 3]) for k in range(12)]
    together = network.posterior(Question(Batch.join(parts)), range(5))
    for k, part in enumerate(parts):
        for whole, alone in zip(together, network.posterior(Question(part), range(5)), strict=True):
            torch.testing.assert_close(whole[k], alone[0])
    for whole in together:
        torch.testing.assert_close(whole.sum(1), torch.ones(12, dtype=torch.float64))


def test_a_tile_of_worlds_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    network = mixed(2)
    batch = network.sample(9, torch.Generator().manual_seed(0)).hide([0, 1, 2])
    whole = network.posterior(Question(batch), range(5))
    monkeypatch.setattr("likewise.families.bayesian_network.linear_gaussian.network.TILE", 1)
    for part, one in zip(whole, network.posterior(Question(batch), range(5)), strict=True):
        torch.testing.assert_close(part, one)


# ------------------------------------------------------------------------------------------- evidence without a bearing


@pytest.mark.parametrize("seed", range(6))
def test_evidence_that_is_left_out_changes_no_answer(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    kinds = [Categorical(2), Categorical(3), *(Categorical(size) for size in (1, 2, 1, 2))]
    event = Event(
        Columns(),
        tuple(Entry(f"c{i}", kind, Real(UNIT) if i > 1 else None) for i, kind in enumerate(kinds)),
    )

    def some(chosen: range) -> list[int]:
        return [p for p in chosen if rng.random() < 0.35]

    codes = [[p for p in some(range(i)) if kinds[p].size > 1] if kinds[i].size > 1 else [] for i in range(6)]
    values = {i: ([p for p in some(range(i)) if kinds[p].size > 1], some(range(2, i))) for i in range(2, 6)}
    network = network_of(event, codes, values, seed)
    batch = network.sample(3, torch.Generator().manual_seed(seed))
    questions = []
    for _ in range(8):
        hidden = [i for i in range(6) if rng.random() < 0.5]
        part = batch.hide(hidden)
        if rng.random() < 0.5 and hidden and hidden[0] > 1:
            part = restricted(network, part, hidden[0], [State(0, -0.8, 0.6)])
        set_ = tuple(i for i in range(6) if i not in hidden and rng.random() < 0.2)
        noticed = [i for i in hidden if i < 2 and rng.random() < 0.4]
        soft = {i: torch.from_numpy(rng.random((3, len(network.states(i))))) for i in noticed}
        questions.append(Question(part, soft, set_))
    found = [network.posterior(question, range(6)) for question in questions]
    monkeypatch.setattr(gaussian_answers, "bearing", lambda network, observed, noticed, _: (observed | noticed, set()))
    for question, answers in zip(questions, found, strict=True):
        for i, got in enumerate(answers):
            try:
                expected = network.posterior(question, [i])[0]
            except NotSupported:
                continue
            torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


def test_evidence_without_a_bearing_is_no_obstacle() -> None:
    event = Event(Columns(), tuple(Entry(name, Categorical(1), Real(UNIT)) for name in "abcde"))
    network = network_of(event, [[]] * 5, {0: ([], []), **{i: ([], [0]) for i in (1, 2, 3)}, 4: ([], [0])}, 0)
    batch = nothing(network)
    for i in (1, 2, 3):
        batch = restricted(network, batch, i, [State(0, -1.0, 1.0)])
    with pytest.raises(NotSupported, match="b, c, d, e are known or asked about"):
        network.posterior(Question(batch), [4])
    shown = given_values(network, {0: 0.5})
    for i in (1, 2, 3):
        shown = restricted(network, shown, i, [State(0, -1.0, 1.0)])
    alone = network.posterior(Question(given_values(network, {0: 0.5})), [4])[0]
    torch.testing.assert_close(network.posterior(Question(shown), [4])[0], alone)


# ------------------------------------------------------------------------------------------- soft evidence, impossible


@pytest.mark.parametrize("soft", [(0,), (2,), (1, 4), (0, 3)])
def test_soft_evidence_is_a_weighted_sum_over_states(soft: tuple[int, ...]) -> None:
    network = mixed(3)
    generator = torch.Generator().manual_seed(1)
    batch = network.sample(1, generator).hide([*soft, *({0, 1} - set(soft))])
    weights = {i: torch.rand(1, len(network.states(i)), generator=generator).double().round(decimals=1) for i in soft}
    target = 4 if 4 not in soft else 0
    batch = batch.hide([target]) if target not in soft else batch
    question = Question(batch, weights)
    expected = torch.zeros(1, len(network.states(target)), dtype=torch.float64)
    for joint in itertools.product(*(range(len(network.states(i))) for i in soft)):
        hard = batch
        for i, s in zip(soft, joint, strict=True):
            hard = restricted(network, hard, i, [network.states(i)[s]])
        weight = float(np.prod([weights[i][0, s] for i, s in zip(soft, joint, strict=True)]))
        for k, state in enumerate(network.states(target)):
            own = only_seen(network, restricted(network, hard, target, [state]))
            expected[0, k] += weight * network.log_prob(own).exp().item()
    torch.testing.assert_close(network.posterior(question, [target])[0], expected / expected.sum(), rtol=1e-9, atol=0)
    ones = Question(batch, {i: 7 * torch.ones_like(part) for i, part in weights.items()})
    plain = network.posterior(Question(batch), [target])[0]
    torch.testing.assert_close(network.posterior(ones, [target])[0], plain, rtol=1e-9, atol=1e-12)


def test_soft_evidence_on_the_target_itself_weighs_its_posterior() -> None:
    network = mixed(4)
    batch = network.sample(3, torch.Generator().manual_seed(0)).hide([0, 2])
    batch = restricted(network, batch, 2, [State(0, -0.5, 1.0), State(1)])
    for i in (0, 2):
        before = network.posterior(Question(batch), [i])[0]
        weights = torch.linspace(0, 2, before.shape[1]).double().expand(3, -1)
        found = network.posterior(Question(batch, {i: weights}), [i])[0]
        expected = before * weights
        torch.testing.assert_close(found, expected / expected.sum(1, keepdim=True), rtol=1e-9, atol=1e-13)


def test_impossible_evidence_names_its_row() -> None:
    network = mixed(0)
    batch = network.sample(3, torch.Generator().manual_seed(0)).hide([0, 3])
    weights = torch.ones(3, 3, dtype=torch.float64)
    weights[1] = 0
    for ask in (network.posterior, network.most_probable):
        with pytest.raises(DataError, match="Row 1 of the evidence has probability zero"):
            ask(Question(batch, {0: weights}), [0])
    batch.codes[2, 1] = 2  # a code that no record had
    assert len(network.posterior(Question(batch), [0])[0]) == 3
    with pytest.raises(DataError, match="Row 2 observes q in a state that no training record had"):
        network.posterior(Question(batch), [1])


# ------------------------------------------------------------------------------------------------------- interventions


def test_interventions_are_questions_to_a_network_without_the_causes() -> None:
    network = mixed(5)
    by_hand = network_of(network.event, [[], [0], [], [], [0, 2]], {1: ([0], []), 2: ([], []), 3: ([4], [2])}, 5)
    for i in (0, 1, 4):
        by_hand.codes.of(i).table.copy_(network.codes.of(i).table)
    for i in (1, 3):
        by_hand.of(i).coefficients.copy_(network.of(i).coefficients)
        by_hand.of(i).deviations.copy_(network.of(i).deviations)
    by_hand.codes.of(2).table.fill_(0.5)
    before = {name: part.clone() for name, part in network.state_dict().items()}
    for code in (0, 1):
        batch = given_values(network, {2: 0.9})
        batch.codes[0, 2] = code
        batch.values[0, 2] *= 1 - code
        set_ = network.posterior(Question(batch, set_from_outside=(2,)), [0, 1, 3, 4])
        expected = by_hand.posterior(Question(batch), [0, 1, 3, 4])
        seen = network.posterior(Question(batch), [0, 1, 3, 4])
        for got, want in zip(set_, expected, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-13)
        assert (set_[0] - seen[0]).abs().max() > 1e-2  # a cause
        prior = network.posterior(Question(nothing(network)), [0, 1])
        for got, want in zip(set_[:2], prior, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-13)
    for name, part in network.state_dict().items():
        assert torch.equal(part, before[name])


# ------------------------------------------------------------------------------------------------------- most probable


def test_the_most_probable_states_are_those_of_an_enumeration() -> None:
    network = mixed(6)
    batch = network.sample(4, torch.Generator().manual_seed(3)).hide([0, 2, 4])
    batch = only_seen(network, batch)
    targets = [2, 0, 1, 4]
    found, logs = network.most_probable(Question(batch), targets)
    for row in range(4):
        scores = {}
        for joint in itertools.product(*(range(len(network.states(i))) for i in (2, 0, 4))):
            one = batch.rows(slice(row, row + 1))
            for i, s in zip((2, 0, 4), joint, strict=True):
                one = narrowed(network, one, i, network.states(i)[s])
            scores[joint] = network.log_prob(one).item()
        best = max(scores, key=lambda joint: scores[joint])
        assert tuple(found[row, [0, 1, 3]].tolist()) == best
        total = torch.tensor(list(scores.values()), dtype=torch.float64).logsumexp(0)
        assert logs[row].item() == pytest.approx(scores[best] - total.item(), abs=1e-9)
        assert found[row, 2] == network.posterior(Question(batch), [1])[0][row].argmax()


def test_two_values_are_jointly_most_probable(pair: LinearGaussianNetwork) -> None:
    found, log = pair.most_probable(Question(nothing(pair)), [1, 0])
    assert found[0].tolist() in ([0, 0], [9, 9])
    chance = pair.posterior(Question(restricted(pair, nothing(pair), 0, [State(0, -EDGE, DECILES[1])])), [1])[0][0, 0]
    assert log.exp().item() == pytest.approx(0.1 * chance.item(), rel=1e-10)


def test_too_many_joint_states_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    network = mixed(6)
    monkeypatch.setattr(gaussian_answers, "MAX_COMBINATIONS", 100)
    with pytest.raises(NotSupported, match="there are 110; at most 100 are possible: ask for fewer targets"):
        network.most_probable(Question(nothing(network)), [2, 3])


# ------------------------------------------------------------------------------------------------------------- samples


def _inside(state: State, codes: Tensor, values: Tensor) -> Tensor:
    if state.low is None or state.high is None:
        return codes == state.code
    return (codes == 0) & (values >= state.low) & (values < state.high)


def test_draws_under_evidence_follow_the_posterior() -> None:
    network = mixed(8)
    size = 20_000
    rows = network.sample(200, torch.Generator().manual_seed(0))
    at = int(((rows.codes[:, 1] == 0) & (rows.codes[:, 2] == 0)).nonzero()[0])
    batch = restricted(network, rows.rows(slice(at, at + 1)).hide([0, 2, 4]), 2, [State(0, -1.5, 0.8), State(1)])
    drawn = network.conditional(batch, size, torch.Generator().manual_seed(1))
    for i in (0, 2, 4):
        states = network.states(i)
        expected = size * network.posterior(Question(batch), [i])[0][0].numpy()
        counts = np.array([float(_inside(state, drawn.codes[:, i], drawn.values[:, i]).sum()) for state in states])
        assert counts.sum() == size
        assert counts[expected == 0].sum() == 0
        large = expected > 5
        statistic = ((counts - expected)[large] ** 2 / expected[large]).sum()
        assert statistic < chi2.ppf(0.9999, large.sum())


# ------------------------------------------------------------------------------------------------------- the estimator


@pytest.fixture(scope="module")
def diabetes() -> tuple[lw.BayesianNetwork, pd.DataFrame]:
    frame = load_diabetes(as_frame=True).frame[["age", "sex", "bmi", "bp", "s4", "s5", "target"]]
    frame = frame.assign(target=(frame["target"] - 152.13) / 77.09)
    return lw.BayesianNetwork(values="linear_gaussian", random_state=0).fit(frame), frame


def test_the_estimator_answers_questions_about_values(diabetes: tuple[lw.BayesianNetwork, pd.DataFrame]) -> None:
    model, frame = diabetes
    high, low = (model.query("target", {"bmi": bmi})["probability"].to_numpy() for bmi in (0.1, -0.08))
    middle = model.query("target", {"bmi": 0.1})["without evidence"].to_numpy()
    rank = np.arange(len(middle))
    assert high @ rank > middle @ rank + 1 > low @ rank + 2
    found = model.posterior(frame.drop(columns="target"), "target")["target"]
    np.testing.assert_allclose(found.sum(1), 1)
    assert np.corrcoef(found @ rank, frame["target"])[0, 1] > 0.6
    told = model.most_probable({"bmi": 0.1}, ["target", "sex"])
    assert told.states["target"][0] == model.states_of("target")[int(high.argmax())]


def test_the_estimator_says_what_a_finding_is_worth(diabetes: tuple[lw.BayesianNetwork, pd.DataFrame]) -> None:
    model, _ = diabetes
    bits = model.value_of_information("target", {"sex": model.states_of("sex")[0]}, ["bmi", "s5", "s4"])["bits"]
    assert (bits > 0.01).all()
    back = model.value_of_information("bmi", {"sex": model.states_of("sex")[0]}, ["target"])["bits"]
    assert back["target"] == pytest.approx(bits["bmi"], rel=1e-6)  # mutual information knows no direction
    told = model.explain("target", {"bmi": 0.08, "s5": (0.05, None)})
    assert set(told.index) == {"bmi", "s5"}
    assert (told.iloc[:, 1:] > 0).to_numpy().all()
