"""Learning trees of hidden states: expected counts are those of enumeration, and what is learned comes close."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import likewise as lw
from likewise import storage
from likewise.errors import ModelFileError
from likewise.events import Batch, Categorical, Columns, Entry, Event
from likewise.families.bayesian_network.discrete.nodes import Nodes
from likewise.families.bayesian_network.family import BayesianNetworkFamily
from likewise.families.bayesian_network.hidden_tree import learning
from likewise.families.bayesian_network.hidden_tree import pace as pace_module
from likewise.families.bayesian_network.hidden_tree import setting as setting_module
from likewise.families.bayesian_network.hidden_tree.learning import fit
from likewise.families.bayesian_network.hidden_tree.network import HiddenTreeNetwork
from likewise.families.bayesian_network.hidden_tree.pace import Pace
from likewise.families.bayesian_network.hidden_tree.partition import Groups, Partition
from likewise.families.bayesian_network.hidden_tree.passes import Shape, Tables
from likewise.families.bayesian_network.hidden_tree.regularisation import START
from likewise.families.bayesian_network.hidden_tree.setting import WAYS, Setting, settled
from likewise.families.bayesian_network.hidden_tree.tables import Strengths
from likewise.families.bayesian_network.hidden_tree.tree import expected


def random_tables(rng: np.random.Generator, shape: Shape, states: int, sizes: list[int]) -> Tables:
    """Sharp distributions."""
    leaves = [rng.dirichlet(np.full(size, 0.4), states).T for size in sizes]
    parts = rng.dirichlet(np.ones(states)), rng.dirichlet(np.full(states, 0.4), (len(shape), states))
    return Tables(*(torch.from_numpy(part) for part in (*parts, np.concatenate(leaves))))


@pytest.mark.parametrize("seed", range(4))
def test_expected_counts_are_those_of_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    states, sizes = 2 + seed % 3, [3, 2, 4, 2]
    shape, starts = Shape(((2, -1, 1, 1), (-1, 0, 1, 2), (1, 2, 3, -1), (3, 3, 3, -1))[seed]), np.array([0, 3, 5, 9])
    tables = random_tables(rng, shape, states, sizes)
    rows = np.stack([rng.integers(0, size, 30) for size in sizes], 1) + starts
    logs, found = expected(shape, tables, torch.from_numpy(rows))
    root, steps, leaves = (np.zeros(part.shape) for part in (tables.root, tables.steps, tables.leaves))
    for row, log in zip(rows, logs.tolist(), strict=True):
        total = 0.0
        joint = []
        for z in itertools.product(range(states), repeat=4):
            share = 1.0
            for i, above in enumerate(shape.parents):
                share *= float(tables.root[z[i]] if above < 0 else tables.steps[i, z[above], z[i]])
                share *= float(tables.leaves[row[i], z[i]])
            joint.append((z, share))
            total += share
        assert log == pytest.approx(math.log(total), abs=1e-12)
        for z, share in joint:
            for i, above in enumerate(shape.parents):
                leaves[row[i], z[i]] += share / total
                if above < 0:
                    root[z[i]] += share / total
                else:
                    steps[i, z[above], z[i]] += share / total
    np.testing.assert_allclose(found.root, root, atol=1e-12)
    np.testing.assert_allclose(found.leaves, leaves, atol=1e-12)
    np.testing.assert_allclose(found.steps, steps, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_step_of_expectation_maximisation_never_lowers_the_likelihood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes, shape = [3, 4, 2, 3, 3], Shape((-1, 0, 0, 2, 2))
    starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
    rows = torch.from_numpy(np.stack([rng.integers(0, size, 200) for size in sizes], 1)) + starts
    tables = random_tables(rng, shape, 4, sizes)
    before = -math.inf
    for _ in range(40):
        logs, counts = expected(shape, tables, rows)
        assert float(logs.sum()) >= before - 1e-9
        before = float(logs.sum())
        leaves = torch.cat([part / part.sum(0) for part in counts.leaves.split(sizes)])
        tables = Tables(counts.root / counts.root.sum(), counts.steps / counts.steps.sum(-1, keepdim=True), leaves)


# ------------------------------------------------------------------------------------------------------ what is learned


@pytest.fixture
def few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees are learned in few passes, and no settings are tried."""
    monkeypatch.setattr(learning, "MAX_PASSES", 6)
    monkeypatch.setattr(setting_module, "WAYS", ())


SIZES = [5, 4, 6, 5, 4, 5]
PARENTS = [-1, 0, 1, 1, 0, 4]


def categorical_event(sizes: list[int]) -> Event:
    return Event(Columns(), tuple(Entry(f"x{i}", Categorical(size)) for i, size in enumerate(sizes)))


@pytest.fixture(scope="module")
def truth() -> HiddenTreeNetwork:
    """A tree with four hidden states behind every column, and columns that tell them apart."""
    rng = np.random.default_rng(5)
    network = HiddenTreeNetwork(categorical_event(SIZES), [None] * 6, [], [])
    network.shown.fill_(1.0)
    tables = random_tables(rng, Shape(tuple(PARENTS)), 4, SIZES)
    counts = Tables(*(1e6 * part for part in (tables.root, tables.steps, tables.leaves)))
    network.add(PARENTS, counts, Strengths(*torch.full((3, 6), 1e-3)))
    return network


@pytest.fixture(scope="module")
def drawn(truth: HiddenTreeNetwork) -> tuple[Batch, Batch, Batch]:
    rows = truth.sample(9000, torch.Generator().manual_seed(0))
    return rows.rows(slice(0, 4000)), rows.rows(slice(4000, 5000)), rows.rows(slice(5000, 9000))


def test_what_is_learned_is_nearly_as_good_as_the_truth(
    truth: HiddenTreeNetwork, drawn: tuple[Batch, Batch, Batch]
) -> None:
    train, held_out, test = drawn
    # Two states more than the truth has: with as many, expectation maximisation may end where two have become one.
    learned, description, record = fit(truth.event, train, held_out, learning.Options(6, 1), 0)
    best, found = float(truth.log_prob(test).mean()), float(learned.log_prob(test).mean())
    assert best - 0.04 < found < best + 0.01
    assert record["held_out_log_prob"] == pytest.approx(float(learned.log_prob(held_out).mean()), abs=1e-4)
    assert [tuple(parents) for parents in description["trees"]] == [learned.of(0).shape.parents]
    alone = BayesianNetworkFamily(truth.event, structure=[])
    alone.fit_closed_form(train, held_out, 0)
    assert found > float(alone.log_prob(test).values.mean()) + 0.3


def test_the_tree_does_not_depend_on_the_order_of_columns(drawn: tuple[Batch, Batch, Batch]) -> None:
    states = drawn[0].codes
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    edges = []
    for names in (torch.arange(6), order):
        nodes = Nodes(categorical_event([SIZES[i] for i in names]), [None] * 6)
        groups = Groups(nodes, states[:, names])
        parents = Partition(groups, states[:, names], torch.zeros(len(states), dtype=torch.int64)).trees[0].parents
        edges.append({frozenset(names[[i, above]].tolist()) for i, above in enumerate(parents) if above >= 0})
    assert edges[0] == edges[1]
    assert len(edges[0]) == 5


@pytest.mark.usefixtures("few_passes")
def test_more_trees_are_only_kept_where_held_out_rows_gain(drawn: tuple[Batch, Batch, Batch]) -> None:
    train, held_out, _ = (part.rows(slice(0, 600)) for part in drawn)
    event = categorical_event(SIZES)
    network, _, record = fit(event, train, held_out, learning.Options(3, None), 0)
    alone = [tried["held_out_log_prob"] for tried in record["tried"]]
    assert record["components"] == len(network.trees)
    assert len(alone) - len(network.trees) in (0, 1)
    assert record["held_out_log_prob"] >= alone[0]
    assert record["held_out_log_prob"] == pytest.approx(float(network.log_prob(held_out).mean()), abs=1e-4)


@pytest.mark.usefixtures("few_passes")
def test_there_are_no_more_mixtures_than_a_file_has_room_for(
    drawn: tuple[Batch, Batch, Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "GAIN", -math.inf)
    train, held_out, _ = (part.rows(slice(0, 600)) for part in drawn)
    tree = 3 + len(SIZES) * 3**2 + sum(SIZES) * 3
    for room, mixtures in ((1, 1), (2 * tree, 2), (3 * tree - 1, 2), (3 * tree, 3)):
        monkeypatch.setattr(learning, "MAX_NUMBERS", room)
        _, _, record = fit(categorical_event(SIZES), train, held_out, learning.Options(3), 0)
        assert [tried["components"] for tried in record["tried"]] == [1] * mixtures


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_rows_of_different_trees_are_told_apart(noise: float) -> None:
    """Two classes with equal marginals: columns are copies of their neighbour, or of the column three places before."""
    generator = torch.Generator().manual_seed(0)
    size, columns = 4000, 12
    kind = torch.rand(size, generator=generator) < 0.3
    rows = torch.randint(3, (size, columns), generator=generator)
    for i in range(columns):
        kept = torch.rand(size, generator=generator) >= noise
        if i % 2:
            rows[:, i] = torch.where(kept & kind, rows[:, i - 1], rows[:, i])
        if i % 6 >= 3:
            rows[:, i] = torch.where(kept & ~kind, rows[:, i - 3], rows[:, i])
    groups = Groups(Nodes(categorical_event([3] * columns), [None] * columns), rows)
    first = kind ^ (torch.rand(size, generator=generator) < 0.4)
    found = Partition(groups, rows, first.long())
    shares = found.shares(rows)
    right = ((shares.argmax(1) == int(shares[kind].mean(0).argmax())) == kind).float().mean()
    assert right > 0.95
    assert sorted(math.exp(tree.log_weight) for tree in found.trees) == pytest.approx([0.3, 0.7], abs=0.04)


@pytest.mark.usefixtures("few_passes")
def test_every_part_of_the_rows_has_a_tree_that_weighs_as_much(drawn: tuple[Batch, Batch, Batch]) -> None:
    train, held_out, _ = (part.rows(slice(0, 800)) for part in drawn)
    network, _, record = fit(categorical_event(SIZES), train, held_out, learning.Options(3, 4), 0)
    sizes = torch.stack([network.of(t).root.sum() for t in range(len(network.trees))]).double()
    assert 1 < len(sizes) <= 4
    assert float(sizes.sum()) == pytest.approx(800, rel=1e-4)
    torch.testing.assert_close(network.weights, sizes / sizes.sum())
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    assert record["held_out_log_prob"] == pytest.approx(float(network.log_prob(held_out).mean()), abs=1e-4)


@pytest.fixture
def threads() -> Iterator[None]:
    """Threads are as many as before, whatever the test does."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("few_passes", "threads")
def test_trees_learned_side_by_side_are_those_learned_one_after_the_other(drawn: tuple[Batch, Batch, Batch]) -> None:
    train, held_out, test = (part.rows(slice(0, 800)) for part in drawn)
    scores = []
    for count in (1, 3):
        torch.set_num_threads(count)
        network, _, _ = fit(categorical_event(SIZES), train, held_out, learning.Options(3, 4), 0)
        scores.append(network.log_prob(test))
        assert torch.get_num_threads() == count
        assert ThreadPoolExecutor(1).submit(torch.get_num_threads).result() == count
    torch.testing.assert_close(*scores, rtol=0, atol=1e-4)


@pytest.mark.usefixtures("threads")
def test_where_one_tree_fails_the_others_do_not_go_on(
    learner: learning.Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(2)
    passed: list[int] = []
    another = threading.Event()
    begun = itertools.count()
    tree = learner.tree

    def failing(part: learning.Part, *settings: Any) -> learning.Learned:
        if next(begun) == 0:
            assert another.wait(60)
            raise RuntimeError("no")
        another.set()
        found = tree(part, *settings)
        passed.append(found.passes)
        return found

    monkeypatch.setattr(learner, "tree", failing)
    monkeypatch.setattr(learning, "PATIENCE", math.inf)
    with pytest.raises(RuntimeError, match="no"):
        learner.mixture(learner.parts(4), Setting())
    assert 1 <= max(passed) < learning.MAX_PASSES


@pytest.fixture
def learner(drawn: tuple[Batch, Batch, Batch]) -> learning.Learner:
    """Of 4,000 rows, without a deadline."""
    return learning.Learner(categorical_event(SIZES), drawn[0], drawn[1], learning.Options(3), 0)


@pytest.fixture
def pace(learner: learning.Learner) -> Pace:
    return learner.pace


def test_states_are_as_many_as_rows_suffice_for(pace: Pace) -> None:
    assert [pace.states(rows, 16) for rows in (1, 30, 31, 6000, 10**7)] == [8, 8, 9, 126, 512]
    assert pace.states(1500, 64) == pace.states(6000, 16)


def test_states_are_as_many_as_seconds_suffice_for(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "seconds_a_row", lambda states: states**2)
    for most, seconds in ((8, 0.0), (8, 16**2 - 1), (16, 16**2), (64, 97**2 - 1), (97, 97**2)):
        assert pace.states(3600, 16, pace_module.FEWEST_PASSES * 3600 * seconds) == most


def test_a_tree_is_never_larger_than_allowed(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    columns, shown = len(SIZES), sum(SIZES)
    monkeypatch.setattr(pace_module, "MAX_TREE_NUMBERS", columns * 20**2 + shown * 20)
    assert pace.states(10**6, 16) == 20
    monkeypatch.setattr(pace_module, "MAX_TREE_NUMBERS", columns * 20**2 + shown * 20 - 1)
    assert pace.states(10**6, 16) == 19
    monkeypatch.setattr(pace_module, "MAX_TREE_NUMBERS", 1)
    assert pace.states(10**6, 16) == 1


def test_seconds_a_row_are_those_of_a_minibatch_that_is_timed_once(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that shows the work done: so many rows, and three units a minibatch for what else there is."""
    clock = 0.0

    def timed(*args: Any) -> Any:
        nonlocal clock
        clock += len(args[2]) + 3.0
        return expected(*args)

    monkeypatch.setattr(pace_module, "expected", timed)
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: clock)
    for _ in range(3):
        assert pace.seconds_a_row(8) == pytest.approx((512 + 3) / 512)
    assert clock == 2 * 515


@pytest.mark.usefixtures("few_passes")
def test_a_tree_has_hidden_states_for_its_rows(
    drawn: tuple[Batch, Batch, Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "FEWEST_STATES", 2)
    train, held_out, _ = (part.rows(slice(0, 600)) for part in drawn)
    network, description, record = fit(categorical_event(SIZES), train, held_out, learning.Options(None, 3), 0)
    rows = [round(float(weight) * 600) for weight in network.weights]
    states = [math.isqrt(Setting().steps * own // len(SIZES)) for own in rows]
    assert len(set(states)) > 1
    assert [len(network.of(t).root) for t in range(len(states))] == network.hidden == states
    assert description["states"] == record["states"] == record["tried"][0]["states"] == states


@pytest.mark.parametrize(
    ("best", "tried"),
    [
        (Setting(16, 0.4), [(16, 0.4), (16, 0.6), (16, 0.25), (64, 0.4)]),
        (Setting(256, 0.6), [(16, 0.4), (16, 0.6), (16, 0.8), (64, 0.6), (256, 0.6), (1024, 0.6)]),
        (Setting(16, 0.15), [(16, 0.4), (16, 0.6), (16, 0.25), (16, 0.15), (64, 0.15)]),
        (Setting(1024, 0.8), [(16, 0.4), (16, 0.6), (16, 0.8), (64, 0.8), (256, 0.8), (1024, 0.8)]),
    ],
)
def test_settings_are_changed_one_way_after_the_other(best: Setting, tried: list[tuple[int, float]]) -> None:
    met: list[tuple[int, float]] = []

    def trial(setting: Setting) -> torch.Tensor:
        met.append((setting.steps, setting.decay))
        worth = -abs(math.log(setting.steps / best.steps)) - abs(math.log(setting.decay / best.decay))
        return worth + torch.linspace(-5.0, 5.0, 100)

    assert settled(trial) == best
    assert met == tried
    met.clear()
    assert settled(trial, {"decay"}).decay == 0.4
    assert {decay for _, decay in met} == {0.4}


def test_a_setting_is_only_left_for_more_than_two_standard_errors() -> None:
    noise = torch.linspace(-1.0, 1.0, 100)
    error = float(noise.std(correction=0)) / 10

    def found(gain: float) -> Setting:
        return settled(lambda setting: gain * (setting.decay > 0.4) + noise * setting.decay, {"steps"})

    assert found(0.99 * 2 * 0.2 * error) == Setting()
    assert found(1.01 * 2 * 0.2 * error) == Setting(decay=0.6)


def test_settings_that_there_is_no_time_for_are_left_out() -> None:
    def trial(most: int) -> Callable[[Setting], torch.Tensor | None]:
        return lambda setting: torch.full((9,), float(setting.steps)) if setting.steps <= most else None

    assert settled(lambda _: None) == Setting()
    assert [settled(trial(most)).steps for most in (16, 64, 1024)] == [16, 64, 1024]
    assert max(max(values) for name, values in WAYS if name == "steps") == 1024


@pytest.mark.parametrize(("size", "more"), [(4, False), (100, True)])
def test_a_tree_has_more_hidden_states_where_held_out_rows_gain(
    size: int, more: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four copies of one column: with fewer states than it has, some values of others cannot be told from it."""
    monkeypatch.setattr(learning, "MAX_PASSES", 6)
    codes = torch.randint(size, (1000, 1), generator=torch.Generator().manual_seed(0)).expand(1000, 4)
    event = categorical_event([size] * 4)
    rows = event.complete(codes, torch.zeros(1000, 0, dtype=torch.float64))
    train, held_out = rows.rows(slice(0, 800)), rows.rows(slice(800, 1000))
    network, _, _ = fit(event, train, held_out, learning.Options(components=1), 0)
    usual = math.isqrt(Setting().steps * 800 // 4)
    assert (network.hidden[0] > usual) is more
    assert float(network.log_prob(held_out).mean()) == pytest.approx(-math.log(size), abs=0.5)


@pytest.mark.usefixtures("few_passes")
def test_without_held_out_rows_there_is_one_mixture_of_what_was_learned_last(drawn: tuple[Batch, Batch, Batch]) -> None:
    train, held_out, _ = (part.rows(slice(0, 300)) for part in drawn)
    network, _, record = fit(categorical_event(SIZES), train, held_out.rows(slice(0, 0)), learning.Options(3), 0)
    assert len(record["tried"]) == 1
    assert record["components"] == len(network.trees) == record["tried"][0]["components"]
    assert record["tried"][0]["passes"] == 6
    for t in range(len(network.trees)):  # with strengths that nothing told to change
        assert torch.equal(network.of(t).smoothing, torch.tensor(START)[:, None].expand(3, 6))
    some, _, _ = fit(categorical_event(SIZES), train, held_out, learning.Options(3), 0)
    gap = float((some.log_prob(held_out) - network.log_prob(held_out)).mean())
    assert gap < 0.3


@pytest.mark.parametrize("rows", [2, 3, 60, 3000])
def test_rare_categories_and_few_rows_leave_parts_with_rows_alone(rows: int) -> None:
    """A category among two hundred is a cluster, and no part of a mixture over eight groups of them."""
    rng = np.random.default_rng(rows)
    frame = pd.DataFrame({"city": rng.choice([f"c{i}" for i in range(200)], rows), "v": rng.choice(["a", "b"], rows)})
    domain = lw.Table().fit(frame)
    nodes = Nodes(domain.event, [None] * 2)
    states = nodes.states(domain.encode(frame))
    counts = states[:, 0].bincount()
    rare = states[:, 0] == counts.masked_fill(counts == 0, rows).argmin()
    for first in (~rare, torch.arange(rows) % 5, torch.arange(rows) > 0):
        found = Partition(Groups(nodes, states), states, first.long())
        assert sum(math.exp(tree.log_weight) for tree in found.trees) <= 1 + 1e-5
        assert found.shares(states).isfinite().all()


def test_time_is_obeyed(drawn: tuple[Batch, Batch, Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that shows how often rows were learned from: a second when all were, once."""
    train, held_out, _ = (part.rows(slice(0, 300)) for part in drawn)
    clock = 0.0

    def timed(*args: Any) -> Any:
        nonlocal clock
        clock += len(args[2]) / (learning.MINIBATCHES * 300)  # there are so many orders of few rows in a pass
        return expected(*args)

    monkeypatch.setattr(learning, "expected", timed)
    monkeypatch.setattr(pace_module, "expected", timed)
    monkeypatch.setattr(learning.time, "monotonic", lambda: clock)
    passes = []
    for seconds in (0.9, 4.0):
        clock = 0.0
        network, _, record = fit(categorical_event(SIZES), train, held_out, learning.Options(3, 8, None, seconds), 0)
        passes.append([tried["passes"] for tried in record["tried"]])
        assert clock <= seconds + 1.0
        assert network.log_prob(held_out).isfinite().all()
    assert passes[0] == [1]
    assert 2 <= passes[1][0] <= 5


@pytest.mark.usefixtures("few_passes")
def test_of_many_held_out_rows_some_say_how_much_is_smoothed_and_all_are_scored(
    drawn: tuple[Batch, Batch, Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.Tensor] = []

    def chosen(*args: Any) -> Strengths:
        asked.append(args[-1])
        return learning_chosen(*args)

    learning_chosen = learning.chosen
    monkeypatch.setattr(learning, "chosen", chosen)
    monkeypatch.setattr(learning, "MAX_SMOOTHING_ROWS", 100)
    train, held_out, _ = (part.rows(slice(0, 400)) for part in drawn)
    network, _, record = fit(categorical_event(SIZES), train, held_out, learning.Options(3, 1), 0)
    every = {tuple(row) for row in (held_out.codes + torch.tensor(network.starts)).tolist()}
    assert len(asked) > 2
    assert all(torch.equal(rows, asked[0]) for rows in asked)
    assert asked[0].shape == (100, len(SIZES))
    assert {tuple(row) for row in asked[0].tolist()} <= every
    assert record["held_out_log_prob"] == pytest.approx(float(network.log_prob(held_out).mean()), abs=1e-4)


# ----------------------------------------------------------------------------------------------------------- estimator


def settings(**more: object) -> dict[str, object]:
    return {"structure": "hidden_tree", "states": 4, "components": 2, "random_state": 0, **more}


def records(size: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], size, p=[0.6, 0.3, 0.1])
    amount = np.where(kind == "a", rng.normal(10, 1, size), rng.normal(20, 3, size)) / 7
    return pd.DataFrame({"kind": kind, "amount": amount, "count": rng.poisson(np.where(kind == "b", 8, 2)), "unit": 1})


@pytest.mark.usefixtures("few_passes")
def test_a_model_from_a_file_gives_the_same_numbers(tmp_path: Path) -> None:
    frame = records()
    model = lw.BayesianNetwork(**settings()).fit(frame)
    model.save(tmp_path / "model.safetensors")
    again = lw.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.score_samples(frame), model.score_samples(frame))
    pd.testing.assert_frame_equal(again.sample(50, random_state=1), model.sample(50, random_state=1))
    np.testing.assert_array_equal(
        again.posterior({"amount": (1.0, 2.0)}, "kind")["kind"], model.posterior({"amount": (1.0, 2.0)}, "kind")["kind"]
    )
    assert again.edges_ == model.edges_


@pytest.mark.usefixtures("few_passes")
def test_more_records_add_to_the_counts() -> None:
    frame = records()
    model = lw.BayesianNetwork(**settings()).fit(frame)

    def counted() -> list[float]:
        trees = [model.family_.network.of(t) for t in range(len(model.family_.network.trees))]
        return [
            sum(float(part.double().sum()) for part in parts)
            for parts in zip(*((t.root, t.leaves) for t in trees), strict=True)
        ]

    before = counted()
    rare = frame[frame["kind"] == "c"]
    chance = model.query("kind")["probability"]["c"]
    model.partial_fit(pd.concat([rare] * 20))
    size = 20 * len(rare) * 9 // 10  # a tenth is held out
    after = counted()
    assert after[0] - before[0] == pytest.approx(size, rel=1e-4)
    assert after[1] - before[1] == pytest.approx(size * len(model.family_.event), rel=1e-4)
    now = model.query("kind")["probability"]["c"]
    assert chance < 0.15
    assert now == pytest.approx((0.1 * 300 + size) / (300 + size), abs=0.05)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"kind": ["a", "b", "b"] * 20}),
        pd.DataFrame({"amount": np.random.default_rng(0).normal(size=60)}),
        pd.DataFrame({"a": ["x", "y"] * 30, "b": ["u", "v", "w"] * 20, "c": [True, False, False] * 20}),
        records()[["kind", "unit"]].assign(other="same"),
        records(12),
        pd.DataFrame({"unit": ["kg"] * 20}),
    ],
    ids=["one category", "one number", "categories", "constants", "twelve rows", "nothing that varies"],
)
@pytest.mark.usefixtures("few_passes")
def test_small_and_plain_tables_are_learned(frame: pd.DataFrame) -> None:
    model = lw.BayesianNetwork(**settings()).fit(frame)
    scores = model.log_likelihood(frame)
    assert scores.kind == "exact"
    assert np.isfinite(scores.values).all()
    assert model.sample(20, random_state=0).shape == (20, frame.shape[1])
    for name, chances in model.posterior({}).items():
        assert chances.sum() == pytest.approx(1), name
        assert len(chances[0]) == len(model.states_of(name)), name
    if frame.select_dtypes(float).empty:  # then scores are probabilities, of records that differ
        every = frame.drop_duplicates()
        assert np.exp(model.score_samples(every)).sum() <= 1 + 1e-9


def test_held_out_rows_in_states_that_no_training_row_had_count_for_the_rest() -> None:
    event = Event(Columns(), (Entry("kind", Categorical(3), unseen=2, reserved=0.01), Entry("other", Categorical(2))))
    train = np.random.default_rng(0).integers(0, 2, (30, 2))
    odd = np.array([[2, 0], [2, 1], [2, 1]])
    batches = [event.complete(torch.from_numpy(rows), torch.zeros(1, 1, dtype=torch.float64)) for rows in (train, odd)]
    network, _, record = fit(event, *batches, learning.Options(2, None), 0)
    assert record["held_out_log_prob"] == pytest.approx(float(network.log_prob(batches[1]).mean()), abs=1e-4)
    assert len(network.trees) < 4


@pytest.mark.usefixtures("few_passes")
def test_hostile_trees_in_a_file_are_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    lw.BayesianNetwork(**settings(states=3, max_bins=4)).fit(records()).save(path)
    header, tensors = storage.read(path)
    network = header["settings"]["network"]
    nodes = len(network["trees"][0])
    chain = [[i - 1 for i in range(nodes)]] * 2
    assert nodes == 4

    def changed(**parts: object) -> None:
        own = {**header["settings"], "network": {**network, **parts}}
        storage.write(other, {**header, "settings": own}, tensors)
        lw.load(other)

    changed()
    changed(trees=chain)  # another tree over the same columns is as good as any
    wrong = ([], {}, "trees", None, chain[:1], [*chain, chain[0]], [[-1, -1, 0, 0]] * 2, [[1, 2, 3, 0]] * 2)
    for trees in (*wrong, [[-1, 2, 1, 0]] * 2, [[-1, 0, 1]] * 2, [[-1, 0, 1, 4]] * 2, [[-1, 0, 1, 10**9]] * 2):
        with pytest.raises(ModelFileError):
            changed(trees=trees)
    for states in (0, -1, 2, 4, 10**9, 3.0, "3", True, None):
        with pytest.raises(ModelFileError):
            changed(states=states)


def test_trees_too_large_for_a_file_are_refused_before_they_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likewise.families.bayesian_network.hidden_tree.tree.MAX_PARAMETERS", 2000)
    monkeypatch.setattr(learning.Learner, "tree", None)
    frame = pd.DataFrame(np.random.default_rng(0).integers(0, 3, (50, 3)).astype(str), columns=list("abc"))
    with pytest.raises(lw.NotSupported, match="Trees over 3 columns with states=40 behind each are too large"):
        lw.BayesianNetwork(structure="hidden_tree", states=40).fit(frame)
