"""Normalizing flows on events small enough to be integrated and enumerated."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import likewise as lw
from likewise.errors import DataError
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.flow import FlowFamily
from likewise.mathematics.monotone import MonotoneMap

GRID = Quantised(MonotoneMap.affine(3.0, 2.0), step=1.0, origin=0.0, low=0, high=6)
PLAIN = Real(MonotoneMap.affine(0.0, 1.0))
PLANE = Event(Columns(), (Entry("x", Categorical(1), PLAIN), Entry("y", Categorical(1), PLAIN)))
CODES = Event(Columns(), (Entry("colour", Categorical(4), unseen=3, reserved=0.01), Entry("flag", Categorical(2))))
COUNTS = Event(Columns(), (Entry("flag", Categorical(2)), Entry("count", Categorical(3), GRID, missing=2)))
MASSES = Event(
    Columns(),
    (Entry("flag", Categorical(2)), Entry("mass", Categorical(2), Real(MonotoneMap.affine(10.0, 3.0)), missing=1)),
)
MIXED = Event(
    Columns(),
    (
        Entry("flag", Categorical(2)),
        Entry("mass", Categorical(2), Real(MonotoneMap.affine(10.0, 3.0)), missing=1),
        Entry("count", Categorical(3), GRID, missing=2),
    ),
)
SMALL = {"blocks": 2, "width": 16, "layers": 1, "bins": 6, "code_width": 16, "code_hidden": 16, "code_layers": 1}


def wild(event: Event, seed: int = 0, noise: float = 0.3, **settings: object) -> FlowFamily:
    """A family whose entries depend strongly on each other, without any learning."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        family = FlowFamily(event, **{**SMALL, **settings})  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in family.parameters():
                parameter.add_(noise * torch.randn_like(parameter))
    return family.eval()


def at(event: Event, codes: list[list[int]], values: list[list[float]]) -> Batch:
    return event.complete(torch.tensor(codes), torch.tensor(values, dtype=torch.float64))


@pytest.mark.parametrize(
    ("architecture", "base"), [("spline", "normal"), ("spline", "student"), ("realnvp", "mixture")]
)
def test_a_density_in_the_plane_integrates_to_one(architecture: str, base: str) -> None:
    family = wild(PLANE, architecture=architecture, base=base, noise=0.15)
    # In model units, over a box that holds all but the tails of a Student-t.
    line = torch.linspace(-12, 12, 301, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    zero = torch.zeros(grid.shape, dtype=torch.int64)
    batch = Batch(zero, grid, grid, torch.ones_like(grid), zero.to(torch.uint8))
    scores = family.log_prob(batch)
    assert scores.kind == "exact"
    total = float(scores.values.exp().sum() * (line[1] - line[0]) ** 2)
    assert total == pytest.approx(1, abs=2e-3 if base == "student" else 1e-3)


@pytest.mark.parametrize("toy", ["two_moons", "ring", "pinwheel", "checkerboard", "banana"])
def test_fitted_toys_integrate_to_one_in_the_users_units(toy: str) -> None:
    truth = lw.datasets.toy(toy)
    records = truth.sample(600, random_state=0)
    model = lw.Flow(**SMALL, max_steps=12, random_state=0).fit(records)
    # In model units, where nothing is far away. What is left is the mass that blanks are reserved.
    line = torch.linspace(-6, 6, 201, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    event = model.domain_.event
    batch = event.complete(torch.zeros(grid.shape, dtype=torch.int64), grid)
    scores = model.family_.log_prob(batch)
    volume = batch.width.log().sum(1)
    assert scores.kind == "exact"
    expected = math.prod(1 - entry.reserved for entry in event.all)
    assert float((scores.values - volume).exp().sum() * (line[1] - line[0]) ** 2) == pytest.approx(expected, abs=1e-3)


def test_probabilities_of_all_codes_sum_to_one_and_are_exact() -> None:
    family = wild(CODES)
    batch = at(CODES, [[a, b] for a in range(4) for b in range(2)], [[0.0, 0.0]] * 8)
    scores = family.log_prob(batch)
    assert scores.kind == "exact"
    assert float(scores.values.exp().sum()) == pytest.approx(1, abs=1e-9)
    assert float(scores.values[6:].exp().sum()) == pytest.approx(0.01, abs=1e-9)


@pytest.mark.parametrize("dequantisation", ["uniform", "variational"])
def test_bounds_lie_below_the_mass_of_cells_and_tighten(dequantisation: str) -> None:
    centres = GRID.cells(torch.arange(7))[0]
    batch = at(COUNTS, [[flag, 0] for flag in range(2) for _ in range(7)], [[0.0, float(z)] for z in [*centres] * 2])
    loose = wild(COUNTS, noise=0.15, dequantisation=dequantisation, importance_samples=1)
    tight = wild(COUNTS, noise=0.15, dequantisation=dequantisation, importance_samples=400)
    truth = _cell_masses(loose, batch)
    bounds = torch.stack([loose.log_prob(batch, seed).values for seed in range(60)])
    found = tight.log_prob(batch)
    assert found.kind == "bound"
    gap = truth - bounds.mean(0)
    assert bool((gap > -3 * bounds.std(0) / math.sqrt(60) - 1e-6).all())
    assert float(gap.mean()) > 1e-4
    assert bool(((found.values - truth).abs() < 5 * found.standard_error + 1e-2).all())
    assert float((truth - found.values).abs().mean()) < 0.5 * float(gap.mean())
    assert not torch.equal(loose.log_prob(batch, 0).values, loose.log_prob(batch, 1).values)


def _cell_masses(family: FlowFamily, batch: Batch) -> torch.Tensor:
    """log p(codes) + log of the integral of the density of the value over its cell, by Gauss-Legendre."""
    precise = wild(COUNTS, noise=0.15, dequantisation=family.settings["dequantisation"]).double()
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(200))
    assert precise.flow is not None
    low = batch.lower[:, 1].clamp(min=-12)
    high = (batch.lower[:, 1] + batch.width[:, 1]).clamp(max=12)
    z = low[:, None] + (high - low)[:, None] * (nodes + 1) / 2
    context = precise._context(batch.codes, batch.values)
    assert context is not None
    repeated = context.repeat_interleave(len(nodes), 0)
    present = torch.ones(z.numel(), 1, dtype=torch.bool)
    with torch.no_grad():
        base, log_det = precise.flow(z.reshape(-1, 1), present, repeated)
        density = (precise.base.log_prob(base, present) + log_det).exp().view(z.shape)
        mass = (density * weights * (high - low)[:, None] / 2).sum(1)
        return mass.log() + precise.codes.log_prob(batch, 0)


def test_the_width_of_a_real_value_is_its_volume() -> None:
    family = wild(MIXED)
    batch = at(MIXED, [[1, 0, 1]], [[0.0, 0.7, 0.0]])
    stretched = Batch(
        batch.codes, batch.values, batch.lower, batch.width * torch.tensor([[1.0, 5.0, 1.0]]), batch.status
    )
    assert float(family.log_prob(stretched).values - family.log_prob(batch).values) == pytest.approx(
        math.log(5), abs=1e-9
    )


def test_absent_values_are_invisible() -> None:
    family = wild(MIXED)
    present, context = torch.tensor([[False, True]]), family._context(torch.tensor([[0, 1, 0]]), torch.zeros(1, 3))
    with torch.no_grad():
        base, _ = family.flow(torch.tensor([[0.0, 0.4]]), present, context)  # type: ignore[misc]
        back = family.flow.inverse(base, present, context)  # type: ignore[union-attr]
    assert float(base[0, 0]) == 0
    assert float(back[0, 0]) == 0
    assert float(back[0, 1]) == pytest.approx(0.4, abs=1e-4)
    assert float(family.base.log_prob(base, present)) == pytest.approx(stats.norm.logpdf(float(base[0, 1])), abs=1e-5)


def test_samples_have_the_frequencies_of_the_scores() -> None:
    family = wild(COUNTS, noise=0.15, importance_samples=400)
    drawn = family.sample(20_000, torch.Generator().manual_seed(0))
    centres = GRID.cells(torch.arange(7))[0]
    states = [(flag, 0, float(z)) for flag in range(2) for z in centres]
    states += [(flag, code, 0.0) for flag in range(2) for code in (1, 2)]
    batch = at(COUNTS, [[flag, code] for flag, code, _ in states], [[0.0, z] for _, _, z in states])
    expected = family.log_prob(batch).values.exp().numpy()
    seen = [
        int(((drawn.codes == torch.tensor([flag, code])).all(1) & ((drawn.values[:, 1] - z).abs() < 1e-6)).sum())
        for flag, code, z in states
    ]
    assert sum(seen) == 20_000
    assert expected.sum() == pytest.approx(1, abs=0.01)
    assert stats.chisquare(seen, 20_000 * expected / expected.sum()).pvalue > 1e-3


def test_records_and_latents_are_each_others_image() -> None:
    family = wild(MIXED, noise=0.2)
    drawn = family.sample(300, torch.Generator().manual_seed(1))
    latent = family.encode(drawn)
    assert latent.shape == (300, family.latent_size)
    back = family.decode(latent)
    assert torch.equal(back.codes, drawn.codes)
    assert torch.allclose(back.values, drawn.values, atol=1e-6)


def test_records_of_the_model_have_standard_normal_latents() -> None:
    family = wild(MASSES)
    drawn = family.sample(4000, torch.Generator().manual_seed(2))
    mass = family.encode(drawn)[:, -1][drawn.codes[:, 1] == 0]
    assert stats.kstest(mass.numpy(), "norm").pvalue > 1e-3
    decoded = family.decode(family.prior_latent(4000, torch.Generator().manual_seed(3)))
    flags = [int((part.codes[:, 0] == 1).sum()) for part in (drawn, decoded)]
    assert stats.chi2_contingency([[flag, 4000 - flag] for flag in flags]).pvalue > 1e-3


def test_the_borrowed_part_has_the_codes_and_not_the_dependence() -> None:
    model = lw.Flow(**SMALL, max_steps=150, random_state=0).fit(lw.datasets.toy("banana").sample(2000, random_state=0))
    dependence = []
    for draw in (model.family_.sample, model.family_.sample_borrowed):
        x, y = draw(4000, torch.Generator().manual_seed(0)).values.numpy().T
        dependence.append(abs(np.corrcoef(abs(x), y)[0, 1]))
    assert dependence[1] < 0.06 < 0.3 < dependence[0]


def test_far_values_and_large_weights_leave_numbers() -> None:
    for architecture in ("spline", "realnvp"):
        family = FlowFamily(MIXED, **SMALL, architecture=architecture).train()  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in family.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter)).mul_(10)
        # Ten thousand standard deviations out, in the user's units.
        far = 3.0 * torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4], dtype=torch.float64) + 10.0
        values = torch.zeros(5, 3, dtype=torch.float64)
        values[:, 1] = MonotoneMap.affine(10.0, 3.0).forward(far)
        batch = MIXED.complete(torch.zeros(5, 3, dtype=torch.int64), values).to(dtype=torch.float32)
        loss = family(batch, "model", torch.Generator().manual_seed(0))
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert all(bool(torch.isfinite(p.grad).all()) for p in family.parameters() if p.grad is not None)


def test_the_round_trip_is_measured_after_a_fit() -> None:
    model = lw.Flow(**SMALL, max_steps=30, random_state=0).fit(lw.datasets.toy("two_moons").sample(400, random_state=0))
    assert 0 <= model.training_record_["examined"]["round_trip_error"] < 1e-2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"architecture": "glow"}, "architecture must be one of spline, realnvp, maf"),
        ({"base": "cauchy"}, "base must be one of"),
        ({"bins": 1}, "bins must be a whole number of at least 2"),
        ({"blocks": 0}, "blocks must be a positive whole number"),
        ({"bound": -1.0}, "bound must be a positive number"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FlowFamily(MIXED, **settings)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------ evidence


REALS = Event(
    Columns(),
    (
        Entry("flag", Categorical(2)),
        Entry("x", Categorical(1), PLAIN),
        Entry("y", Categorical(2), PLAIN, missing=1),
    ),
)


def density(family: FlowFamily, flag: int, x: float, size: int = 1201) -> tuple[torch.Tensor, torch.Tensor]:
    """log p(flag, x, y present) at a fine grid of y, and the grid."""
    line = torch.linspace(-10, 10, size, dtype=torch.float64)
    batch = at(REALS, [[flag, 0, 0]] * size, [[0.0, x, float(y)] for y in line])
    return family.log_prob(batch).values - batch.width[:, 2].log(), line


def test_unknown_values_are_integrated_out() -> None:
    family = wild(REALS, noise=0.2)
    each, line = density(family, 1, 0.5)
    absent = family.log_prob(at(REALS, [[1, 0, 1]], [[0.0, 0.5, 0.0]])).values.exp()
    truth = float((each.exp().sum() * (line[1] - line[0]) + absent).log())
    found = family.log_prob(at(REALS, [[1, 0, 0]], [[0.0, 0.5, 0.0]]).hide([2]))
    assert found.kind == "estimate"
    assert abs(float(found.values) - truth) < 4 * float(found.standard_error) + 1e-3
    assert float(found.standard_error) < 0.2


def test_intervals_have_the_mass_of_the_density_within_them() -> None:
    family = wild(REALS, noise=0.2)
    each, line = density(family, 0, -0.3)
    inside = (line >= -0.5) & (line <= 1.0)
    truth = float((each[inside].exp().sum() * (line[1] - line[0])).log())
    within = Restriction(torch.tensor([[True, False]]), torch.tensor([[[-0.5, 1.0], [1.0, 0.0]]], dtype=torch.float64))
    found = family.log_prob(at(REALS, [[0, 0, 0]], [[0.0, -0.3, 0.0]]).restrict(2, within))
    assert abs(float(found.values) - truth) < 4 * float(found.standard_error) + 2e-2


def test_unknown_codes_are_summed_out_exactly() -> None:
    family = wild(REALS, noise=0.2)
    pair = at(REALS, [[0, 0, 0], [1, 0, 0]], [[0.0, 0.4, -0.7]] * 2)
    found = family.log_prob(pair.rows(slice(0, 1)).hide([0]))
    assert found.kind == "exact"
    assert float(found.values) == pytest.approx(float(family.log_prob(pair).values.logsumexp(0)), abs=1e-9)


@pytest.mark.parametrize("told", ["a point", "an interval", "a code", "a late code"])
def test_draws_under_evidence_have_the_conditional_distribution(told: str) -> None:
    """Of flag and the presence of y given x, against quadrature."""
    family = wild(REALS, noise=0.1)
    evidence = at(REALS, [[0, 0, 0]], [[0.0, 0.5, 0.0]])
    if told == "a point":
        evidence = evidence.hide([0, 2])
        xs = torch.tensor([0.5])
    elif told == "an interval":
        whole = torch.tensor([[True]]), torch.tensor([[[0.2, 1.5]]], dtype=torch.float64)
        evidence = evidence.hide([0, 2]).restrict(1, Restriction(*whole))
        xs = torch.linspace(0.2, 1.5, 14)[:-1] + 0.05
    else:
        late = told == "a late code"
        evidence = at(REALS, [[1, 0, 1]], [[0.0, 0.0, 0.0]]).hide([0, 1] if late else [1, 2])
        xs = torch.linspace(-6, 6, 41)
    mass = torch.zeros(2, 2, dtype=torch.float64)
    for flag in range(2):
        for x in xs.tolist():
            each, line = density(family, flag, x, 301)
            mass[flag, 0] += each.exp().sum() * (line[1] - line[0])
            mass[flag, 1] += family.log_prob(at(REALS, [[flag, 0, 1]], [[0.0, x, 0.0]])).values.exp()[0]
    if told == "a code":
        mass[0] = 0.0
    if told == "a late code":
        mass[:, 0] = 0.0
    drawn = family.conditional(evidence, 1500, torch.Generator().manual_seed(0))
    size = 1500 if drawn.effective_sample_size is None else float(drawn.effective_sample_size[0])
    assert (drawn.effective_sample_size is None) == (told == "a code")
    assert size > 100
    share = (mass / mass.sum()).flatten()
    codes = drawn.batch.codes
    found = torch.bincount(2 * codes[:, 0] + codes[:, 2], minlength=4) / 1500
    error = (share * (1 - share) / size).sqrt()
    assert bool(((found - share).abs() < 4.5 * error + 0.012).all())


def test_evidence_that_cannot_be_is_refused_with_a_figure() -> None:
    family = wild(REALS, noise=0.2)
    never = Restriction(torch.tensor([[False, False]]), torch.tensor([[[1.0, 0.0]]], dtype=torch.float64))
    with pytest.raises(DataError, match="candidates carry weight"):
        family.conditional(Batch.unknown(REALS, 1).restrict(2, never), 5, torch.Generator().manual_seed(0))


# -------------------------------------------------------------------------------------------------------- given labels

GIVEN = Event(
    Columns(),
    (Entry("flag", Categorical(2)), Entry("x", Categorical(1), PLAIN)),
    (Entry("label", Categorical(2)), Entry("dose", Categorical(1), PLAIN)),
)


def test_given_labels_the_density_of_the_rest_integrates_to_one() -> None:
    family = wild(GIVEN, conditional=True, noise=0.1)
    line = torch.linspace(-25, 25, 1501, dtype=torch.float64)
    totals, shapes = [], []
    for label, dose in ((0, -1.0), (1, -1.0), (1, 1.5)):
        rows = [(flag, float(x)) for flag in range(2) for x in line]
        batch = at(GIVEN, [[flag, 0, label, 0] for flag, _ in rows], [[0.0, x, 0.0, dose] for _, x in rows])
        each = (family.log_prob(batch).values - batch.width[:, 1].log()).exp()  # a density of model units
        totals.append(float(each.sum() * (line[1] - line[0])))
        shapes.append(each)
    assert totals == pytest.approx([1, 1, 1], abs=1e-3)
    assert not torch.allclose(shapes[0], shapes[1])
    assert not torch.allclose(shapes[1], shapes[2])


def test_what_is_learned_of_records_given_labels_does_not_depend_on_their_shares() -> None:
    """Two blobs, of which the second is rare in training: given the label, it is drawn and scored as it is."""
    noise = np.random.default_rng(0)
    label = (noise.random(3000) < 0.05).astype(int)
    frame = pd.DataFrame({"x": noise.normal(4.0 * label, 1.0)})
    model = lw.Flow(**SMALL, max_steps=150, random_state=0).fit(frame, label, conditional=True)
    rare = model.sample(600, random_state=0, given={"label": 1})["x"]
    assert abs(rare.mean() - 4.0) < 0.35
    scores = model.log_likelihood(frame[label == 1], label[label == 1])
    assert scores.mean == pytest.approx(-0.5 * math.log(2 * math.pi * math.e), abs=0.25)
    _, drawn = model.sample(2000, random_state=0, labels=True)
    assert np.mean(drawn) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("event", [PLANE, MIXED, CODES], ids=["values", "both", "codes"])
def test_a_journey_goes_through_the_layers_to_a_sample(event: Event) -> None:
    family = wild(event, noise=0.15)
    frames = family.journey(300, 4, torch.Generator().manual_seed(0))
    drawn = family.sample(300, torch.Generator().manual_seed(0))
    assert len(frames) == 4
    assert torch.equal(frames[-1].codes, drawn.codes)
    assert torch.allclose(frames[-1].values, drawn.values)
