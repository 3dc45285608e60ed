"""Energy-based models: what chains keep, what scores and draws are by enumeration, and what each objective learns."""

import itertools
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import likewise as lw
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.estimators import fitting
from likewise.events import Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.energy.chains import Target
from likewise.families.energy.family import GUARD, EnergyFamily
from likewise.families.energy.objectives import denoising, noise_contrastive, one_entry_changed, sliced
from likewise.mathematics.monotone import EDGE, MonotoneMap

UNIT = MonotoneMap.affine(centre=0.0, scale=1.0)
COLOUR = Entry("colour", Categorical(4), unseen=3, reserved=0.05)
SHAPE = Entry("shape", Categorical(3))
COUNT = Entry("count", Categorical(2), Quantised(UNIT, 0.5, 0.0, low=-3, high=3))
MASS = Entry("mass", Categorical(1), Real(UNIT))
DISCRETE = Event(Columns(), (COLOUR, SHAPE, COUNT))
MIXED = Event(Columns(), (SHAPE, COUNT, MASS))


def records(event, size=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.stack([torch.randint(entry.seen, (size,), generator=generator) for entry in event.all], 1)
    values = torch.randn(size, len(event), generator=generator, dtype=torch.float64)
    return event.complete(codes, values)


def built(event, objective="noise_contrastive", base="auto", strength=1.0, **settings):
    """A counted base, and an energy with weights of its own: nothing that was learned."""
    sizes = {"width": 16, "layers": 1, "bumps": 4, "chains": 256} | settings
    family = fitting.build(EnergyFamily, event, {"objective": objective, "base": base, **sizes}, 0)
    family.prepare(records(event), torch.Generator().manual_seed(0))
    with torch.no_grad():
        family.energy.leave.weight.copy_(strength * torch.randn(1, 16, generator=torch.Generator().manual_seed(1)))
    return family.eval()


def states(event):
    """Every record without an unseen state of an event that has finitely many."""
    each = []
    for entry in event.all:
        cells = [] if entry.value is None else [(0, 0.5 * k) for k in range(entry.value.low, entry.value.high + 1)]
        each.append(cells + [(code, 0.0) for code in range(len(cells) > 0, entry.seen)])
    joint = list(itertools.product(*each))
    codes = torch.tensor([[code for code, _ in state] for state in joint])
    values = torch.tensor([[value for _, value in state] for state in joint], dtype=torch.float64)
    return event.complete(codes, values)


def places(event, batch):
    """Which of `states` a record is."""
    known = {key: k for k, key in enumerate(_keys(states(event)))}
    return torch.tensor([known[key] for key in _keys(batch)])


def _keys(batch):
    return [
        (tuple(c), tuple(v))
        for c, v in zip(batch.codes.tolist(), batch.values.double().round(decimals=3).tolist(), strict=True)
    ]


def shares(event, batch):
    return torch.bincount(places(event, batch), minlength=len(states(event))).double() / len(batch)


@pytest.mark.parametrize("base", ["tree", "independent"])
def test_a_model_that_has_learned_nothing_is_its_base(base):
    objective = "noise_contrastive" if base == "tree" else "score_matching"
    family = built(MIXED, objective, base, strength=0.0)
    assert family.examine(records(MIXED)) == {"log_partition": 0.0, "log_partition_error": 0.0}
    batch = records(MIXED, 20, seed=3)
    assert torch.equal(family.log_prob(batch).values, family.base.log_prob(batch))


def test_the_normaliser_is_that_of_all_states_and_states_never_seen_keep_what_is_reserved():
    family = built(DISCRETE)
    family.examine(records(DISCRETE))
    every = states(DISCRETE)
    raw = family.unnormalised(every).values
    exact = float(torch.logsumexp(raw, 0)) - math.log1p(-COLOUR.reserved)
    error = float(family.log_partition_error)
    assert 0 < error < 0.05
    assert abs(float(family.log_partition) - exact) < 3 * error
    found = family.log_prob(every)
    assert found.kind == "estimate"
    assert torch.allclose(found.standard_error, family.log_partition_error.expand(len(every)))
    codes = every.codes.clone()
    codes[:, 0] = COLOUR.unseen
    never = family.unnormalised(DISCRETE.complete(codes, every.values)).values
    rest = family.unnormalised(every.hide([0])).values
    assert torch.allclose(never, rest + math.log(COLOUR.reserved))


def test_an_unknown_code_is_summed_out_exactly_and_a_value_within_its_error():
    family = built(DISCRETE)
    every = states(DISCRETE)
    raw = family.unnormalised(every).values
    found = family.unnormalised(every.hide([0]))
    together = raw.view(COLOUR.seen, -1).logsumexp(0) - math.log1p(-COLOUR.reserved)
    assert torch.allclose(found.values[: len(together)], together)
    assert not bool(found.standard_error.any())
    hidden = every.rows(slice(0, 30)).hide([2])
    found = family.unnormalised(hidden, seed=0)
    count = len(states(Event(Columns(), (COUNT,))))
    exact = raw.view(-1, count).logsumexp(1).repeat_interleave(count)[:30]
    assert bool((found.standard_error > 0).all())
    assert float(((found.values - exact) / found.standard_error).abs().max()) < 4


def test_samples_are_as_frequent_as_their_energy_says():
    family = built(DISCRETE, strength=2.0, candidates=8, moves=12)
    exact = family.unnormalised(states(DISCRETE)).values.softmax(0)
    drawn = family.sample(20_000, torch.Generator().manual_seed(0))
    plain = family.sample_borrowed(20_000, torch.Generator().manual_seed(0))
    assert float((shares(DISCRETE, drawn) - exact).abs().sum()) < 0.08
    assert float((shares(DISCRETE, plain) - exact).abs().sum()) > 0.3


@pytest.mark.parametrize("base", ["tree", "independent"])
def test_chains_go_from_the_base_to_the_model(base):
    """Langevin moves and changes of codes over independent columns, draws of one entry over a tree."""
    objective = "noise_contrastive" if base == "tree" else "contrastive_divergence"
    family = built(DISCRETE, objective, base, strength=2.0)
    exact = family.unnormalised(states(DISCRETE)).values.softmax(0)
    generator = torch.Generator().manual_seed(0)
    target = Target(family.base, family.energy)
    start = target.points(family.base.sample(10_000, generator), generator)
    points = target.run(start, 60, torch.tensor(-0.2), generator)
    assert float((shares(DISCRETE, target.records(points)) - exact).abs().sum()) < 0.12
    assert float((shares(DISCRETE, target.records(start)) - exact).abs().sum()) > 0.3


@pytest.mark.parametrize("base", ["tree", "independent"])
def test_slopes_of_codes_are_what_the_base_gains(base):
    family = built(MIXED, "noise_contrastive" if base == "tree" else "score_matching", base, strength=0.0)
    target, generator = Target(family.base, family.energy), torch.Generator().manual_seed(0)
    points = target.points(records(MIXED, 50), generator)
    level, slope = target.evaluate(points)
    for i, block in zip(target.coded, target.blocks, strict=True):
        now = points[:, block].argmax(1)
        for code in range(block.stop - block.start):
            other = points.clone()
            other[:, block] = torch.nn.functional.one_hot(torch.tensor(code), block.stop - block.start).float()
            gain = target.evaluate(other)[0] - level
            said = slope[:, block.start + code] - slope[:, block][torch.arange(50), now]
            assert torch.allclose(gain, said, atol=1e-4), MIXED.all[i].name


def test_records_under_evidence_have_the_conditional_distribution():
    family = built(DISCRETE)
    every = states(DISCRETE)
    told = every.rows(torch.tensor([0])).hide([0, 2])
    kept = torch.tensor([[True, False, True, False]])
    told = told.restrict(0, Restriction(kept, torch.tensor([[[-EDGE, EDGE]]], dtype=torch.float64)))
    found = family.conditional(told, 8_000, torch.Generator().manual_seed(0))
    agrees = (every.codes[:, 1] == told.codes[0, 1]) & kept[0][every.codes[:, 0]]
    exact = family.unnormalised(every).values.masked_fill(~agrees, -torch.inf).softmax(0)
    assert float((shares(DISCRETE, found.batch) - exact).abs().sum()) < 0.1
    assert 10 < float(found.effective_sample_size) <= 8_000


def test_evidence_that_hardly_any_candidate_carries_is_refused_with_the_figure():
    family = built(MIXED, strength=200.0)
    told = records(MIXED, 3).hide([0, 1, 2])
    with pytest.raises(lw.DataError, match=r"only \d+\.\d of \d+ candidates carry weight"):
        family.conditional(told, 200, torch.Generator().manual_seed(0))


def test_what_a_value_says_is_not_seen_where_it_is_absent():
    family = built(MIXED)
    dense = family._view.dense(records(MIXED, 50)).float()
    column, gate = family._view.value_columns[1], family._view.code_columns[1].start
    other = dense.clone()
    other[:, column] += 1.0
    same = family.energy(dense) == family.energy(other)
    assert torch.equal(same, dense[:, gate] == 0)


# ----------------------------------------------------------------------------------------------------------- objectives


def test_noise_contrast_is_least_at_the_log_ratio_with_its_normaliser():
    """Data are half zeros and half ones, the base nine to one: f = log(p / q), for one and for three noise records."""
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])
    for times in (1, 3):
        f = torch.log(p / q).requires_grad_()
        real = f[torch.tensor([0] * 500 + [1] * 500)]
        noise = f[torch.tensor([0] * 900 * times + [1] * 100 * times)]
        noise_contrastive(real, noise).mean().backward()
        assert f.grad.abs().max() < 1e-4


def test_a_changed_entry_is_told_by_the_difference_alone():
    real, changed = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 4.0])
    assert torch.allclose(one_entry_changed(real, changed), one_entry_changed(real + 7, changed + 7))
    assert one_entry_changed(real, real).tolist() == pytest.approx([math.log(2)] * 2)


def test_denoising_is_least_at_the_score_of_the_blurred_data():
    """Of N(0, 1) blurred by sigma the score is -z / (1 + sigma^2)."""
    generator, sigma = torch.Generator().manual_seed(0), 0.8
    clean, noise = (torch.randn(400_000, 1, generator=generator, dtype=torch.float64) for _ in range(2))
    slope = torch.tensor(-1 / (1 + sigma**2), dtype=torch.float64, requires_grad=True)
    present = torch.ones_like(clean)
    loss = denoising(slope * (clean + sigma * noise), noise, sigma, present)
    loss.mean().backward()
    assert abs(float(slope.grad)) < 0.01
    assert denoising(clean, noise, sigma, 0 * present).tolist()[:3] == [0.0] * 3


def test_sliced_score_matching_of_a_linear_score_has_its_closed_form():
    """Of s = A z it is v' A v + (v' A z)^2 / 2."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(50, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    v = torch.randn(50, 3, generator=generator, dtype=torch.float64).sign()
    found = sliced(z @ matrix.t(), z, v, torch.ones(50, 3))
    exact = ((v @ matrix) * v).sum(1) + 0.5 * ((z @ matrix.t()) * v).sum(1).square()
    assert torch.allclose(found, exact)


def test_chains_that_run_away_spoil_the_loss_and_are_named():
    family = built(MIXED, "contrastive_divergence", strength=0.0).train()
    batch = records(MIXED, 64)
    assert math.isfinite(family(batch, "energy", torch.Generator().manual_seed(0)).item())
    assert len(family.remarks()) == 1
    with torch.no_grad():
        family.energy.leave.weight.fill_(1e4)
    assert math.isnan(family(batch, "energy", torch.Generator().manual_seed(0)).item())
    gap = abs(family._gap)
    assert gap > GUARD
    assert f"{gap:.3g} nats apart" in family.remarks()[1]


def test_a_tree_has_no_slopes_to_follow():
    with pytest.raises(lw.DataError, match="base='tree'"):
        lw.EnergyModel(objective="score_matching", base="tree", max_steps=1).fit(lw.datasets.load("iris"))


def test_what_is_not_the_processor_is_refused_with_a_sentence():
    with pytest.raises(lw.NotSupported, match="fitted on the processor"):
        lw.EnergyModel(device="cuda", max_steps=1).fit(lw.datasets.load("iris"))


OBJECTIVES = ["noise_contrastive", "contrastive_divergence", "score_matching", "sliced_score_matching"]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_how_two_columns_hang_together(objective):
    """Independent columns as the base: what numbers and codes have to do with each other is the energy's alone."""
    noise = np.random.default_rng(0)
    x = noise.normal(size=3_000)
    frame = pd.DataFrame({"x": x, "y": 0.8 * x + 0.6 * noise.normal(size=3_000)})
    frame["side"] = np.where(frame["x"] + 0.3 * noise.normal(size=3_000) > 0, "right", "left")
    model = lw.EnergyModel(
        objective=objective,
        base="independent",
        width=32,
        layers=1,
        bumps=8,
        chain_moves=2,
        moves=40,
        max_steps=300,
        random_state=0,
    ).fit(frame)
    drawn = model.sample(2_000, random_state=0)
    assert drawn["x"].corr(drawn["y"]) == pytest.approx(0.8, abs=0.15)
    right = drawn["side"] == "right"
    assert drawn["x"][right].mean() - drawn["x"][~right].mean() == pytest.approx(1.55, abs=0.35)
    plain = model.sample_borrowed(2_000, random_state=0)
    assert abs(plain["x"].corr(plain["y"])) < 0.1


def test_scores_are_normalised_unless_they_are_asked_not_to_be():
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=400)})
    model = lw.EnergyModel(width=8, layers=1, bumps=4, max_steps=20, random_state=0).fit(frame)
    whole, raw = model.log_likelihood(frame), model.log_likelihood(frame, normalised=False)
    assert (whole.kind, raw.kind) == ("estimate", "unnormalised")
    assert np.allclose(raw.values - whole.values, model.log_partition_)
    assert np.allclose(whole.standard_error, model.log_partition_error_)
    assert not raw.standard_error.any()
    grid = pd.DataFrame({"x": np.linspace(-12, 12, 4_001)})
    mass = np.exp(model.score_samples(grid)).sum() * 24 / 4_000
    assert mass == pytest.approx(1.0, abs=0.02 + 3 * model.log_partition_error_)


def test_a_fit_says_what_a_sample_costs():
    model = lw.EnergyModel(width=8, layers=1, candidates=5, moves=7, max_steps=30, random_state=0)
    remarks = model.fit(lw.datasets.load("iris")).training_record_["remarks"]
    assert any("5 candidates and 7 moves" in remark for remark in remarks)


@pytest.mark.parametrize("objective", ["noise_contrastive", "contrastive_divergence"])
def test_a_resumed_fit_is_the_fit_that_ran_through(objective, tmp_path):
    """Chains, their step and the noise that was drawn and not used included."""
    sizes = {"objective": objective, "width": 8, "layers": 1, "bumps": 4, "chains": 64, "chain_moves": 1}
    batch = records(MIXED, 96)

    def fit(folder, steps, resume=False):
        family = fitting.build(EnergyFamily, MIXED, sizes, 0)
        plan = Plan(max_steps=10, batch_size=32, device="cpu", checkpoint_steps=steps)
        train(family, batch, batch, plan, seed=0, checkpoint=folder, resume=resume)
        return family

    whole = fit(tmp_path / "whole", 6)
    cut = sorted((tmp_path / "whole").glob("*.safetensors"))
    assert len(cut) > 1
    (tmp_path / "cut").mkdir()
    shutil.copy(cut[0], tmp_path / "cut" / cut[0].name)
    resumed = fit(tmp_path / "cut", 6, resume=True)
    for name, part in whole.state_dict().items():
        assert torch.equal(part, resumed.state_dict()[name]), name
