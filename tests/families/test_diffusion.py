"""Diffusion on events small enough to be enumerated, and on records whose distribution is known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import likewise as lw
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.errors import DataError, NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.diffusion import DiffusionFamily
from likewise.families.diffusion.views import labelled, masked, noised
from likewise.mathematics.monotone import MonotoneMap

PLAIN = Real(MonotoneMap.affine(0.0, 1.0))
GRID = Quantised(MonotoneMap.affine(3.0, 2.0), step=1.0, origin=0.0, low=0, high=6)
PLANE = Event(Columns(), (Entry("x", Categorical(1), PLAIN), Entry("y", Categorical(1), PLAIN)))
CODES = Event(
    Columns(),
    (
        Entry("colour", Categorical(4), unseen=3, reserved=0.01),
        Entry("flag", Categorical(2)),
        Entry("size", Categorical(3)),
    ),
)
MIXED = Event(
    Columns(),
    (
        Entry("flag", Categorical(2)),
        Entry("mass", Categorical(2), Real(MonotoneMap.affine(10.0, 3.0)), missing=1),
        Entry("count", Categorical(3), GRID, missing=2),
    ),
)
SMALL = {"width": 16, "hidden": 16, "layers": 1, "bumps": 4, "steps": 8}


def wild(event: Event, seed: int = 0, noise: float = 0.4, **settings: object) -> DiffusionFamily:
    """A family whose entries depend strongly on each other, without any learning."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        family = DiffusionFamily(event, **{**SMALL, **settings})  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in family.parameters():
                parameter.add_(noise * torch.randn_like(parameter))
    return family.eval()


def states(event: Event, sizes: tuple[int, ...]) -> Batch:
    codes = torch.tensor(list(itertools.product(*(range(size) for size in sizes))))
    return event.complete(codes, torch.zeros(codes.shape, dtype=torch.float64))


def orders(family: DiffusionFamily, batch: Batch) -> torch.Tensor:
    """log p of whole codes along every order, (orders, B)."""
    nothing = torch.zeros_like(batch.codes, dtype=torch.bool)
    found = []
    for order in itertools.permutations(family.coded):
        known, total = nothing.clone(), torch.zeros(len(batch), dtype=torch.float64)
        for i in order:
            logits = family.logits(batch.codes, batch.values, known, nothing)
            total = total + family.reader.log_prob(i, logits, batch.codes).double()
            known = known.clone()
            known[:, i] = True
        found.append(total)
    return torch.stack(found)


# ---------------------------------------------------------------------------------------------------------------- codes


@torch.no_grad()
def test_the_bound_of_codes_is_the_mean_over_orders_and_below_their_mixture() -> None:
    family = wild(CODES, score_draws=1).double()
    batch = states(CODES, (3, 2, 3))
    along = orders(family, batch)
    bounds = torch.stack([family.log_prob(batch, seed).values for seed in range(200)])
    assert family.log_prob(batch, 0).kind == "bound"
    error = bounds.std(0) / math.sqrt(len(bounds))
    assert bool(((bounds.mean(0) - along.mean(0)).abs() < 4.5 * error + 1e-6).all())
    truth = along.logsumexp(0) - math.log(len(along))
    assert bool((along.mean(0) <= truth + 1e-12).all())
    assert float((truth - along.mean(0)).max()) > 1e-3
    # The states that were seen have all the mass but that of the one that was not.
    assert float(truth.exp().sum()) == pytest.approx(0.99, abs=1e-9)


@torch.no_grad()
def test_an_unseen_state_has_its_reserved_probability() -> None:
    family = wild(CODES, score_draws=400).double()
    batch = CODES.complete(torch.tensor([[3, 1, 2]]), torch.zeros(1, 3, dtype=torch.float64))
    rest = family.log_prob(batch.hide([0]), 0).values
    assert float(family.log_prob(batch, 0).values - rest) == pytest.approx(math.log(0.01), abs=0.1)


@torch.no_grad()
def test_the_score_of_a_partial_record_does_not_depend_on_whole_ones_beside_it() -> None:
    family = wild(CODES, score_levels=4)
    batch = states(CODES, (3, 2, 3))
    partial = batch.hide([0])
    mixed = Batch.join([batch.rows(slice(0, 5)), partial.rows(slice(5, 9))])
    alone = family.log_prob(partial.rows(slice(5, 9)), 0).values
    assert torch.allclose(family.log_prob(mixed, 0).values[5:], alone, rtol=0, atol=1e-9)


@torch.no_grad()
def test_codes_are_drawn_along_random_orders() -> None:
    family = wild(CODES)
    size = 20_000
    drawn = family.sample(size, torch.Generator().manual_seed(1)).codes
    batch = states(CODES, (3, 2, 3))
    share = (orders(family, batch).logsumexp(0) - math.log(6)).exp() / 0.99
    counts = torch.stack([(drawn == code).all(1).sum() for code in batch.codes]).double()
    chi = ((counts - size * share) ** 2 / (size * share)).sum()
    assert int(counts.sum()) == size
    assert float(chi) < 46  # 17 degrees of freedom, exceeded once in five thousand


@torch.no_grad()
def test_draws_under_sets_of_codes_are_those_of_the_conditional() -> None:
    family = wild(CODES)
    allowed = Restriction(torch.tensor([[True, False, True, False]]), torch.zeros(1, 0, 2, dtype=torch.float64))
    evidence = Batch.unknown(CODES, 1).restrict(0, allowed)
    evidence.status[0, 1], evidence.codes[0, 1] = 0, 1
    found = family.conditional(evidence, 6_000, torch.Generator().manual_seed(0))
    assert found.effective_sample_size is not None
    assert float(found.effective_sample_size) > 3_000
    assert set(found.batch.codes[:, 0].tolist()) == {0, 2}
    # Evidence comes first: it is shown exactly, then an order of the two others.
    told = torch.tensor([[False, True, False]])
    one = CODES.complete(torch.tensor([[0, 1, 0]]), torch.zeros(1, 3, dtype=torch.float64))
    logits = family.logits(one.codes, one.values, told, told)
    first = family.reader.log_codes(0, logits).exp()[0, [0, 2]]
    share = found.batch.codes[:, 0].eq(2).double().mean()
    # Half of the orders take it first; the other half, after `size`.
    after = []
    for size in range(3):
        one.codes[0, 2] = size
        known = torch.tensor([[False, True, True]])
        logits_after = family.logits(one.codes, one.values, known, told)
        weight = family.reader.log_codes(2, logits).exp()[0, size]
        after.append(weight * family.reader.log_codes(0, logits_after).exp()[0, [0, 2]])
    pair = 0.5 * first + 0.5 * torch.stack(after).sum(0)
    assert float(share) == pytest.approx(float(pair[1] / pair.sum()), abs=0.04)


# --------------------------------------------------------------------------------------------------------------- values


def test_the_simple_loss_is_that_of_ho_et_al() -> None:
    family = DiffusionFamily(PLANE, schedule="linear", prediction="noise", **SMALL)

    class Silent(nn.Module):
        """Says 0 of everything: then the loss is the square of the noise, 1 a coordinate."""

        def context(self, codes: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(codes), 1)

        def values(self, context: torch.Tensor, noised: torch.Tensor, *rest: object) -> torch.Tensor:
            return torch.zeros_like(noised)

    family.denoiser = Silent()  # type: ignore[assignment]
    x = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = PLANE.complete(torch.zeros(x.shape, dtype=torch.int64), x).to(dtype=torch.float32)
    loss = family.validate(batch, torch.Generator().manual_seed(1)).mean()
    assert float(loss) == pytest.approx(2.0, abs=0.05)


COVARIANCE = torch.tensor([[1.0, 0.7], [0.7, 1.0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def gaussian() -> DiffusionFamily:
    """Fitted to a correlated normal distribution in the plane."""
    noise = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, 2, generator=noise, dtype=torch.float64) @ torch.linalg.cholesky(COVARIANCE).t()
    batch = PLANE.complete(torch.zeros(x.shape, dtype=torch.int64), x)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = DiffusionFamily(PLANE, width=48, hidden=96, layers=2, bumps=8, steps=24, evidence_share=0.8)
    train(family, batch.rows(slice(0, 19_000)), batch.rows(slice(19_000, None)), Plan(max_steps=900), seed=0)
    return family


def fresh(size: int) -> tuple[Batch, torch.Tensor]:
    noise = torch.Generator().manual_seed(7)
    x = torch.randn(size, 2, generator=noise, dtype=torch.float64) @ torch.linalg.cholesky(COVARIANCE).t()
    truth = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=torch.float64), COVARIANCE).log_prob(x)
    return PLANE.complete(torch.zeros(x.shape, dtype=torch.int64), x), truth


def test_the_flow_says_the_density_and_the_bound_lies_below(gaussian: DiffusionFamily) -> None:
    batch, truth = fresh(200)
    bound = gaussian.log_prob(batch, 0)
    gaussian.likelihood = "flow"
    flow = gaussian.log_prob(batch, 0)
    gaussian.likelihood = "bound"
    assert (flow.kind, bound.kind) == ("estimate", "bound")
    assert float(flow.values.mean()) == pytest.approx(float(truth.mean()), abs=0.02)
    error = float((bound.values - flow.values).std() / math.sqrt(len(batch)))
    assert float((flow.values - bound.values).mean()) > -3 * error
    assert float((flow.values - bound.values).mean()) < 0.2


def test_samples_have_the_moments_of_the_records(gaussian: DiffusionFamily) -> None:
    drawn = gaussian.sample(8_000, torch.Generator().manual_seed(3)).values
    assert torch.allclose(torch.cov(drawn.t()), COVARIANCE, atol=0.08)
    assert torch.allclose(drawn.mean(0), torch.zeros(2, dtype=torch.float64), atol=0.06)


@pytest.mark.parametrize("conditioning", ["learned", "inpainting"])
def test_draws_given_a_point_have_the_moments_of_the_conditional(gaussian: DiffusionFamily, conditioning: str) -> None:
    evidence = PLANE.complete(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([[1.0, 0.0]])).hide([1])
    settings = gaussian.conditioning, gaussian.steps
    gaussian.conditioning = conditioning  # type: ignore[assignment]
    gaussian.steps = 24 if conditioning == "learned" else 80
    drawn = gaussian.conditional(evidence, 4_000, torch.Generator().manual_seed(0)).batch.values
    gaussian.conditioning, gaussian.steps = settings
    assert bool((drawn[:, 0] == 1.0).all())
    assert float(drawn[:, 1].mean()) == pytest.approx(0.7, abs=0.12)
    assert float(drawn[:, 1].var()) == pytest.approx(0.51, abs=0.13)


def test_the_probability_of_half_the_axis_is_a_half(gaussian: DiffusionFamily) -> None:
    half = Restriction(torch.ones(1, 1, dtype=torch.bool), torch.tensor([[[0.0, 50.0]]], dtype=torch.float64))
    found = gaussian.log_prob(Batch.unknown(PLANE, 1).restrict(0, half), 0)
    assert found.kind == "estimate"
    assert abs(float(found.values) - math.log(0.5)) < 4 * float(found.standard_error)


def test_a_marginal_is_the_density_of_what_is_known(gaussian: DiffusionFamily) -> None:
    batch, _ = fresh(400)
    found = gaussian.log_prob(batch.hide([1]), 0)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(batch.values[:, 0])
    assert found.kind == "estimate"
    assert float(found.values.mean()) == pytest.approx(float(expected.mean()), abs=0.1)


def test_latents_are_standard_normal_and_lead_back(gaussian: DiffusionFamily) -> None:
    batch, _ = fresh(400)
    latent = gaussian.encode(batch)
    assert torch.allclose(torch.cov(latent.t()), torch.eye(2, dtype=torch.float64), atol=0.25)
    assert torch.allclose(gaussian.decode(latent).values, batch.values, atol=2e-3)


def test_a_set_that_nothing_meets_is_refused(gaussian: DiffusionFamily) -> None:
    far = Restriction(torch.ones(1, 1, dtype=torch.bool), torch.tensor([[[40.0, 50.0]]], dtype=torch.float64))
    with pytest.raises(DataError, match="carry weight"):
        gaussian.conditional(Batch.unknown(PLANE, 1).restrict(0, far), 20, torch.Generator().manual_seed(0))


@torch.no_grad()
def test_absent_values_are_invisible() -> None:
    family = wild(MIXED, score_draws=1).double()
    one = MIXED.complete(torch.tensor([[1, 1, 0]]), torch.tensor([[0.0, 0.0, 0.3]], dtype=torch.float64))
    other = Batch(one.codes, one.values.clone(), one.lower, one.width, one.status)
    other.values[0, 1] = 2.5
    every = torch.ones_like(one.codes, dtype=torch.bool)
    first, second = (family.denoiser.context(each.codes, each.values, every, every) for each in (one, other))
    assert torch.equal(first, second)


@torch.no_grad()
def test_codes_and_values_lead_to_latents_and_back() -> None:
    family = wild(MIXED, noise=0.1, flow_steps=24)
    batch = family.sample(40, torch.Generator().manual_seed(0))
    back = family.decode(family.encode(batch))
    assert torch.equal(back.codes, batch.codes)
    assert torch.allclose(back.values, batch.values.double(), atol=5e-3)


@pytest.mark.parametrize("event", [PLANE, MIXED, CODES], ids=["values", "both", "codes"])
def test_a_journey_begins_in_noise_and_ends_in_a_sample(event: Event) -> None:
    family = wild(event, noise=0.1)
    frames = family.journey(300, 5, torch.Generator().manual_seed(0))
    drawn = family.sample(300, torch.Generator().manual_seed(0))
    assert len(frames) == 5
    assert torch.equal(frames[-1].codes, drawn.codes)
    assert torch.allclose(frames[-1].values, drawn.values)
    if event is PLANE:
        assert torch.allclose(torch.cov(frames[0].values.t()), torch.eye(2, dtype=torch.float64), atol=0.3)


# ---------------------------------------------------------------------------------------------------------------- views


def test_views_hide_as_many_codes_as_they_should() -> None:
    coded = [0, 2, 3]
    view = masked(30_000, 5, coded, 0.0, torch.Generator().manual_seed(0))
    hidden = ~view.known
    assert not bool(hidden[:, [1, 4]].any())
    assert not bool(view.exact.any())
    counts = hidden.sum(1).bincount(minlength=4).double() / 30_000
    assert torch.allclose(counts, torch.tensor([0, 1 / 3, 1 / 3, 1 / 3], dtype=torch.float64), atol=0.015)
    assert torch.allclose(hidden[:, coded].double().mean(0), torch.full((3,), 2 / 3).double(), atol=0.015)


def test_views_of_evidence_show_values_only_of_what_is_known() -> None:
    for view in (
        masked(5_000, 3, [0, 2], 1.0, torch.Generator().manual_seed(0)),
        noised(5_000, 3, 1.0, torch.Generator().manual_seed(0)),
    ):
        assert bool(view.exact.any())
        assert not bool((view.exact & ~view.known).any())
    told = torch.tensor([[True], [False]])
    view = labelled(noised(2, 3, 0.0, torch.Generator().manual_seed(0)), [2], told)
    assert view.known[:, 2].tolist() == [True, False]


# ------------------------------------------------------------------------------------------------------------ estimator


def classes() -> tuple[pd.DataFrame, pd.Series]:
    noise = np.random.default_rng(0)
    label = noise.integers(0, 2, 1_500)
    frame = pd.DataFrame({"x": noise.normal(label * 2.0 - 1.0, 1.0), "y": noise.normal(size=1_500)})
    return frame, pd.Series(np.where(label == 1, "right", "left"), name="side")


def test_guidance_goes_beyond_what_labels_ask_for() -> None:
    frame, side = classes()
    settings = {"width": 32, "hidden": 64, "layers": 1, "bumps": 8, "steps": 16, "max_steps": 300, "random_state": 0}
    plain = lw.Diffusion(**settings).fit(frame, side, conditional=True)
    pushed = lw.Diffusion(**settings, guidance=2.0).fit(frame, side, conditional=True)
    means = [model.sample(800, given={"side": "right"}, random_state=0)["x"].mean() for model in (plain, pushed)]
    assert means[0] == pytest.approx(1.0, abs=0.35)
    assert means[1] > means[0] + 0.3
    # Nothing has a likelihood under guidance: scores are those of the model without it.
    assert np.array_equal(plain.score_samples(frame[:20], side[:20]), pushed.score_samples(frame[:20], side[:20]))


def test_a_conditional_model_decodes_no_latents() -> None:
    frame, side = classes()
    model = lw.Diffusion(**SMALL, max_steps=3, random_state=0).fit(frame[:60], side[:60], conditional=True)
    with pytest.raises(NotSupported, match="labels"):
        model.decode(model.encode(frame[:3]))


def test_an_estimator_scores_along_the_flow() -> None:
    frame, _ = classes()
    model = lw.Diffusion(**SMALL, likelihood="flow", max_steps=3, random_state=0).fit(frame[:100])
    found = model.log_likelihood(frame[:10])
    assert found.kind == "estimate"
    with torch.no_grad():
        expected = model.family_.log_prob(model.domain_.encode(model.domain_.read(frame[:10])), model.seed_)
    assert np.allclose(found.values, expected.values.numpy())


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "heun", "dpm++"])
@pytest.mark.parametrize("schedule", ["linear", "cosine", "edm", "flow"])
def test_every_sampler_goes_with_every_schedule(schedule: str, sampler: str) -> None:
    frame, _ = classes()
    model = lw.Diffusion(**SMALL, schedule=schedule, sampler=sampler, max_steps=3, random_state=0).fit(frame[:100])
    drawn = model.sample(20, random_state=0)
    assert np.isfinite(drawn.to_numpy()).all()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"schedule": "square"}, "schedule must be one of linear, cosine, edm, flow"),
        ({"prediction": "score"}, "prediction must be one of noise, velocity, data"),
        ({"steps": 0}, "steps must be a positive whole number"),
        ({"evidence_share": 2}, "evidence_share must be a number between 0 and 1"),
        ({"guidance": -1.0}, "guidance must be a number of at least 0"),
    ],
)
def test_settings_are_checked(setting: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        lw.Diffusion(**setting).fit(classes()[0])
