"""The variational autoencoder against closed forms, and on events small enough to be enumerated."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.errors import NotSupported
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.vae import VAEFamily
from likewise.families.vae.bounds import (
    LEAST_LOG_SCALE,
    Posterior,
    doubly_reparameterised,
    log_mean_exp,
    standard_log_density,
    with_free_bits,
)
from likewise.families.vae.heads import Heads
from likewise.families.vae.hiding import hidden_entries
from likewise.families.vae.priors import FlowPrior, MixturePrior
from likewise.families.vae.scores import log_likelihood
from likewise.mathematics.monotone import EDGE, MonotoneMap

GRID = Quantised(MonotoneMap.affine(2.0, 2.0), step=1.0, origin=0.0, low=0, high=4)
DISCRETE = Event(
    Columns(),
    (
        Entry("colour", Categorical(4), unseen=3, reserved=0.01),
        Entry("count", Categorical(3), GRID, missing=2),
        Entry("flag", Categorical(2)),
    ),
)
IDENTITY = Real(MonotoneMap.affine(0.0, 1.0))
PLANE = Event(Columns(), (Entry("a", Categorical(1), IDENTITY), Entry("b", Categorical(1), IDENTITY)))
SIZES: dict[str, Any] = {
    "latent": 2,
    "beta": 1.0,
    "width": 8,
    "hidden": 8,
    "layers": 1,
    "components": 2,
    "prior_components": 3,
    "prior_width": 4,
    "prior_layers": 2,
}


def wild(event: Event, **settings: Any) -> VAEFamily:
    """A family whose entries depend strongly on the latent, without any learning."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = VAEFamily(event, **{**SIZES, **settings})
        with torch.no_grad():
            family.fitted.fill_(True)
            for name, parameter in family.named_parameters():
                parameter.add_((0.1 if name.startswith("learned") else 0.4) * torch.randn_like(parameter))
            # Posteriors far from the truth give weights whose mean takes for ever.
            family.encoder.leave.weight.mul_(0.2)
            family.encoder.leave.bias.mul_(0.2)
    return family.eval()


def every_record() -> Batch:
    """All states of the discrete event."""
    states = []
    for entry in DISCRETE.all:
        own = [(code, 0.0) for code in range(1 if entry.value is not None else 0, entry.code.size)]
        if entry.value is not None:
            own += [(0, float(z)) for z in GRID.cells(torch.arange(5))[0]]
        states.append(own)
    rows = list(itertools.product(*states))
    codes = torch.tensor([[code for code, _ in row] for row in rows])
    return DISCRETE.complete(codes, torch.tensor([[z for _, z in row] for row in rows], dtype=torch.float64))


# ---------------------------------------------------------------------------------------------- a linear-Gaussian model


class Loadings(nn.Module):
    """x = z W + b: the mean of a factor model."""

    def __init__(self, columns: list[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.8, -0.5]])[:, columns])
        self.shift = nn.Parameter(torch.tensor([0.1, -0.2])[columns])

    def forward(self, latent: Tensor, given: object = None, generator: object = None) -> Tensor:
        return latent @ self.weight + self.shift


class Guess(nn.Module):
    """A posterior that is near the true one, and wider."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[0.5], [-0.3]]))
        self.raw = nn.Parameter(torch.tensor(math.log(0.7)))

    def forward(self, codes: Tensor, values: Tensor, known: Tensor, generator: object = None) -> Tensor:
        mean = values @ self.weight
        # So that the scale is e to the `raw` after its soft floor.
        raw = LEAST_LOG_SCALE + torch.log(torch.expm1(self.raw - LEAST_LOG_SCALE))
        return torch.cat([mean, raw.expand_as(mean)], 1)


def linear(**settings: Any) -> VAEFamily:
    """p(x) = N(b, W'W + s^2 I), with s = .6."""
    family = VAEFamily(
        PLANE, **{**SIZES, "latent": 1, "noise": "fixed", "noise_scale": 0.6, "prior": "gaussian"} | settings
    )
    at = [family.heads.outputs(i)[0] for i in range(2)]
    family.decoder, family.encoder = Loadings([at.index(k) for k in range(2)]), Guess()  # type: ignore[assignment]
    return family


def points(size: int) -> tuple[Batch, np.ndarray]:
    """Draws of the model, and their true log-density."""
    weight, shift = np.array([[0.8, -0.5]]), np.array([0.1, -0.2])
    truth = stats.multivariate_normal(shift, weight.T @ weight + 0.36 * np.eye(2))
    x = truth.rvs(size, random_state=np.random.default_rng(0)).reshape(size, 2).clip(-3.5, 3.5)
    return PLANE.complete(torch.zeros(size, 2, dtype=torch.int64), torch.from_numpy(x)), truth.logpdf(x)


def test_the_importance_weighted_bound_converges_to_the_closed_form_from_below() -> None:
    batch, truth = points(40)
    means = [float(linear(score_importance_samples=k).log_prob(batch).values.mean()) for k in (1, 8, 64, 4096)]
    assert means == sorted(means)
    assert means[0] < truth.mean() - 0.05
    many = linear(score_importance_samples=4096).log_prob(batch)
    assert many.kind == "bound"
    assert np.abs(many.values.numpy() - truth).max() < 0.1
    assert abs(means[-1] - truth.mean()) < 0.01
    z = (many.values.numpy() - truth) / many.standard_error.numpy()
    assert 0.6 < np.sqrt((z**2).mean()) < 1.6


def test_bounds_of_partial_evidence_converge_to_the_marginal() -> None:
    batch, _ = points(10)
    truth = stats.norm(0.1, math.sqrt(0.64 + 0.36)).logpdf(batch.values[:, 0].numpy())
    found = linear(score_importance_samples=4096).log_prob(batch.hide([1])).values.numpy()
    assert np.abs(found - truth).mean() < 0.01
    half = Restriction(torch.ones(10, 1, dtype=torch.bool), torch.tensor([[-1e4, 0.5]]).double().expand(10, 1, 2))
    below = linear(score_importance_samples=4096).log_prob(batch.hide([1]).restrict(0, half)).values.numpy()
    assert np.abs(below - stats.norm(0.1, 1.0).logcdf(0.5)).max() < 0.05


def gradients(family: VAEFamily, batch: Batch, seed: int) -> tuple[Tensor, Tensor]:
    """Of the loss: at the encoder's weights, at the decoder's."""
    family.zero_grad()
    family.train()(batch.to(dtype=torch.float32), "model", torch.Generator().manual_seed(seed)).backward()
    return family.encoder.weight.grad.clone(), family.decoder.weight.grad.clone()  # type: ignore[union-attr, operator]


def test_doubly_reparameterised_gradients_agree_with_the_plain_ones_and_are_less_noisy() -> None:
    batch = points(20)[0].repeat(20)
    both: list[list[Tensor]] = []
    for doubly in (True, False):
        family = linear(importance_samples=8, doubly_reparameterised=doubly, hidden_share=0.0)
        drawn = [gradients(family, batch, seed) for seed in range(50)]
        both.append([torch.stack([pair[0] for pair in drawn])[:, 0, 0], torch.stack([pair[1] for pair in drawn])])
    spread = [part[0].std() for part in both]
    assert abs(float(both[0][0].mean() - both[1][0].mean())) < 3 * float(spread[1]) / math.sqrt(50)
    assert float(spread[0]) < 0.5 * float(spread[1])
    torch.testing.assert_close(both[0][1], both[1][1], rtol=1e-4, atol=1e-5)  # the decoder's are the same


def test_weights_are_the_softmax_of_log_weights() -> None:
    log_weight = torch.tensor([[0.0, 1.0, -2.0]], requires_grad=True)
    latent = torch.zeros(1, 3, 1)
    bound = doubly_reparameterised(latent, log_weight)
    bound.backward()
    torch.testing.assert_close(log_weight.grad, torch.softmax(log_weight.detach(), 1))
    assert float(bound.detach()) == pytest.approx(float(log_mean_exp(log_weight.detach())))


# -------------------------------------------------------------------------------------------------------- the objective


def test_divergence_and_density_of_a_posterior_are_the_closed_forms() -> None:
    noise = torch.Generator().manual_seed(0)
    posterior = Posterior(*(torch.randn(5, 3, generator=noise, dtype=torch.float64) for _ in range(2)))
    own = torch.distributions.Normal(posterior.mean, posterior.log_scale.exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(posterior.divergence(), expected.double())
    z = torch.randn(5, 3, generator=noise, dtype=torch.float64)
    torch.testing.assert_close(posterior.log_density(z), own.log_prob(z).sum(1))
    torch.testing.assert_close(standard_log_density(z), torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1))


def test_free_bits_hold_up_the_dimensions_below_them() -> None:
    divergence = torch.tensor([[0.1, 2.0], [0.3, 4.0]])
    assert float(with_free_bits(divergence, 0.0)) == pytest.approx(3.2)
    assert float(with_free_bits(divergence, 0.5)) == pytest.approx(3.5)


def loss(batch: Batch, turns: int = 0, **settings: Any) -> float:
    family = wild(DISCRETE, hidden_share=0.0, **settings).train()
    family.load_learner_state({"turns": torch.tensor(turns)})
    return float(family(batch.to(dtype=torch.float32), "model", torch.Generator().manual_seed(1)).detach())


def test_beta_weighs_the_divergence_and_the_warm_up_lets_it_grow() -> None:
    batch = every_record()
    family = wild(DISCRETE)
    single = batch.to(dtype=torch.float32)
    divergence = float(family._posterior(single, family._known(single)).divergence().sum(1).mean().detach())
    none = loss(batch, beta=0.0)
    assert loss(batch, beta=2.0) - none == pytest.approx(2 * divergence, rel=1e-4)
    assert loss(batch, warmup=100, turns=24) - none == pytest.approx(0.25 * divergence, rel=1e-3)
    assert loss(batch, warmup=100, turns=500) == pytest.approx(loss(batch), rel=1e-6)


# ------------------------------------------------------------------------------------------------- heads given a latent


@pytest.mark.parametrize("noise", ["learned", "fixed"])
def test_probabilities_given_a_latent_sum_to_one(noise: str) -> None:
    family = wild(DISCRETE, noise=noise, noise_scale=0.3).double()
    records = every_record()
    for latent in torch.randn(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64):
        each = log_likelihood(family, records, latent.expand(len(records), 2))
        assert float(each.detach().exp().sum()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("noise", ["learned", "fixed"])
def test_evidence_given_a_latent_has_the_probability_of_the_records_it_allows(noise: str) -> None:
    family = wild(DISCRETE, noise=noise, noise_scale=0.3).double()
    records = every_record()
    latent = torch.tensor([[0.3, -1.0]], dtype=torch.float64)
    each = log_likelihood(family, records, latent.expand(len(records), 2)).detach().exp()
    _, lower, width = GRID.cells(torch.tensor([1, 2]))
    allowed = Restriction(
        torch.tensor([[True, False, True]]), torch.stack([lower[0], lower[1] + width[1]]).view(1, 1, 2)
    )
    evidence = records.rows(slice(0, 1)).hide([2]).restrict(1, allowed)
    cell = GRID.index(records.values[:, 1])
    inside = (records.codes[:, 1] == 2) | ((records.codes[:, 1] == 0) & ((cell == 1) | (cell == 2)))
    inside &= records.codes[:, 0] == evidence.codes[0, 0]
    assert float(log_likelihood(family, evidence, latent).detach().exp()) == pytest.approx(
        float(each[inside].sum()), rel=1e-9
    )


@pytest.mark.parametrize("noise", ["learned", "fixed"])
def test_heads_together_say_what_each_says_by_itself(noise: Any) -> None:
    event = Event(
        Columns(), (*DISCRETE.entries, Entry("a", Categorical(2), IDENTITY, missing=1), Entry("one", Categorical(1)))
    )
    heads = Heads(event, range(5), 2, noise, 0.3)
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(4, heads.size, generator=generator, dtype=torch.float64)
    codes = torch.tensor([[0, 0, 1, 0, 0], [3, 1, 0, 1, 0], [2, 2, 1, 0, 0], [1, 0, 0, 0, 0]])
    batch = event.complete(codes, torch.randn(4, 5, generator=generator))
    found = heads.log_prob(raw, batch)
    for i in range(5):
        alone = heads.entry(i, raw).log_prob(batch.codes[:, i], batch.lower[:, i], batch.width[:, i])
        torch.testing.assert_close(found[:, i], alone)


def test_decoding_gives_the_most_probable_code_and_the_median() -> None:
    family = wild(DISCRETE)
    latent = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    decoded = family.decode(latent)
    assert decoded.fully_observed
    assert not bool((decoded.codes[:, 0] == 3).any())
    with torch.no_grad():
        heads = family.heads.entry(1, family.decoder(latent.float()))
        assert heads.mixture is not None
        median = heads.mixture.median()
        below = heads.mixture.log_set(torch.stack([torch.full_like(median, -1e4), median], 1)[:, None].float())
    torch.testing.assert_close(below.exp(), torch.full((6,), 0.5), rtol=1e-3, atol=1e-3)
    present = decoded.codes[:, 1] == 0
    assert torch.equal(GRID.index(decoded.values[:, 1])[present], GRID.index(median)[present])
    assert torch.equal(decoded.codes, family.decode(latent).codes)


# ----------------------------------------------------------------------------------------------------- the distribution


@pytest.mark.parametrize("prior", ["gaussian", "mixture", "flow"])
@pytest.mark.parametrize("k", [1, 16])
def test_bounds_are_unbiased_for_probabilities_that_sum_to_one(prior: str, k: int) -> None:
    """E[exp(IWAE_k)] = p(x), whatever the encoder: summed over all records it is 1."""
    family = wild(DISCRETE, prior=prior, score_importance_samples=k)
    records = every_record()
    totals = np.array([float(family.log_prob(records, seed).values.exp().sum()) for seed in range(40)])
    assert abs(totals.mean() - 1) < 3 * totals.std(ddof=1) / math.sqrt(40)


@pytest.mark.parametrize("prior", ["gaussian", "flow"])
def test_samples_have_the_stated_frequencies(prior: str) -> None:
    family = wild(DISCRETE, prior=prior, score_importance_samples=2048)
    records = every_record()
    probability = family.log_prob(records).values.exp().numpy() * (records.codes[:, 0] != 3).numpy()
    drawn = family.sample(20_000, torch.Generator().manual_seed(3))
    key = {tuple(row): k for k, row in enumerate(rows_of(records))}
    counts = np.bincount([key[tuple(row)] for row in rows_of(drawn)], minlength=len(records))
    assert 0.5 * np.abs(counts / counts.sum() - probability / probability.sum()).sum() < 0.03


def rows_of(batch: Batch) -> list[list[int]]:
    cells = torch.where(batch.codes[:, 1] == 0, GRID.index(batch.values[:, 1]), 0)
    return torch.cat([batch.codes, cells.unsqueeze(1)], 1).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("prior", [MixturePrior(2, 3), FlowPrior(2, 4, 2)], ids=["mixture", "flow"])
def test_learned_priors_are_distributions_that_draw_what_they_say(prior: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape, generator=generator))
        axis = torch.linspace(-12, 12, 400)
        grid = torch.cartesian_prod(axis, axis)
        weight = torch.exp(prior.log_density(grid)) * (axis[1] - axis[0]) ** 2
        assert float(weight.sum()) == pytest.approx(1, abs=2e-3)
        mean = (weight[:, None] * grid).sum(0)
        torch.testing.assert_close(prior.draw(40_000, 2, generator).mean(0), mean, rtol=0, atol=0.05)


def test_the_plain_prior_is_told_beside_the_learned_one() -> None:
    family = wild(DISCRETE, prior="mixture")
    plain = wild(DISCRETE, prior="gaussian")
    plain.load_state_dict({name: part for name, part in family.state_dict().items() if not name.startswith("learned")})
    first, second, third = (
        rows_of(draw(400, torch.Generator().manual_seed(0)))
        for draw in (family.sample, family.sample_borrowed, plain.sample)
    )
    assert first != second
    assert second == third


def test_a_prior_learns_the_aggregated_posterior_and_leaves_the_autoencoder_alone() -> None:
    family = wild(DISCRETE, prior="mixture").train()
    batch = every_record().to(dtype=torch.float32)
    family(batch, "prior", torch.Generator().manual_seed(0)).backward()
    assert all(parameter.grad is None for parameter in [*family.encoder.parameters(), *family.decoder.parameters()])
    assert all(parameter.grad is not None for parameter in family.prior.parameters())


def test_both_priors_are_examined_after_a_fit() -> None:
    family = wild(DISCRETE, prior="mixture")
    found = family.examine(every_record())
    plain = wild(DISCRETE, prior="gaussian")
    plain.load_state_dict({name: part for name, part in family.state_dict().items() if not name.startswith("learned")})
    alone = plain.examine(every_record())
    assert found["bound_with_gaussian_prior"] == pytest.approx(alone["bound"], abs=1e-9)
    assert alone["bound"] == alone["bound_with_gaussian_prior"] != found["bound"]
    assert found["active_dimensions"] == alone["active_dimensions"] <= family.latent_size


def test_latents_that_nobody_uses_are_told() -> None:
    family = wild(DISCRETE, latent=5)
    with torch.no_grad():
        family.encoder.leave.weight[1:5] = 0.0
    batch = every_record().repeat(3).to(dtype=torch.float32)
    family.validate(batch, torch.Generator().manual_seed(0))
    assert family.remarks() == ["1 of 5 latent dimensions are active: the posteriors of the others are the prior."]


def test_hidden_entries_are_of_the_stated_share() -> None:
    hidden = hidden_entries(10_000, DISCRETE, 0.4, torch.Generator().manual_seed(0))
    assert float(hidden.double().mean()) == pytest.approx(0.2, abs=0.01)
    labelled = Event(Columns(), DISCRETE.entries[:2], DISCRETE.entries[2:])
    hidden = hidden_entries(10_000, labelled, 1.0, torch.Generator().manual_seed(0))
    only = hidden[:, 2] & ~hidden[:, :2].any(1)
    assert float(only.double().mean()) == pytest.approx(0.5 + 0.5 / 12, abs=0.02)


def test_learns_the_frequencies_of_a_small_population() -> None:
    noise = torch.Generator().manual_seed(0)
    event = Event(Columns(), (Entry("a", Categorical(3)), Entry("b", Categorical(3))))
    table = torch.tensor([[0.3, 0.02, 0.08], [0.05, 0.2, 0.05], [0.01, 0.09, 0.2]])
    drawn = torch.multinomial(table.flatten(), 4000, replacement=True, generator=noise)
    batch = event.complete(torch.stack([drawn // 3, drawn % 3], 1), torch.zeros(4000, 2))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = VAEFamily(
            event,
            **{
                **SIZES,
                "width": 32,
                "hidden": 32,
                "prior": "gaussian",
                "importance_samples": 8,
                "learning_rate": 6e-3,
                "ema_decay": 0.98,
            },
        )
    parts = batch.rows(slice(0, 3500)), batch.rows(slice(3500, 4000))
    train(family, *parts, Plan(max_steps=250, batch_size=256, device="cpu"), seed=0)
    states = event.complete(torch.cartesian_prod(torch.arange(3), torch.arange(3)), torch.zeros(9, 2))
    bound = family.log_prob(states).values.exp()
    assert float(bound.sum()) == pytest.approx(1, abs=0.1)
    codes = family.sample(20_000, torch.Generator().manual_seed(0)).codes
    learned = torch.bincount(codes[:, 0] * 3 + codes[:, 1], minlength=9) / len(codes)
    assert 0.5 * float((learned - table.flatten()).abs().sum()) < 0.06


LABELLED = Event(Columns(), DISCRETE.entries[:2], DISCRETE.entries[2:])


@pytest.mark.parametrize("prior", ["gaussian", "mixture", "flow"])
def test_given_labels_every_conditional_distribution_sums_to_one(prior: str) -> None:
    family = wild(LABELLED, conditional=True, prior=prior, score_importance_samples=2048)
    records = every_record()
    family.prepare(records.rows(records.codes[:, 0] != 3), torch.Generator().manual_seed(0))
    scores = family.log_prob(records)
    each = scores.values.exp()
    for label in (0, 1):
        mine = records.codes[:, 2] == label
        error = float((each * scores.standard_error)[mine].square().sum().sqrt())
        assert abs(float(each[mine].sum()) - 1) < 4 * error + 1e-3
    # Labels that are unknown are summed over, here with a half each.
    pairs = each.view(-1, 2).mean(1)
    found = family.log_prob(records.rows(slice(0, None, 2)).hide([2])).values.exp()
    torch.testing.assert_close(found, pairs, rtol=1e-6, atol=1e-9)


def test_given_labels_records_are_drawn_with_labels_as_they_were_counted() -> None:
    family = wild(LABELLED, conditional=True, score_importance_samples=1024)
    records = every_record().rows(slice(0, 42))
    family.prepare(records.rows(records.codes[:, 2] == 1), torch.Generator().manual_seed(0))
    drawn = family.sample(300, torch.Generator().manual_seed(0))
    assert drawn.fully_observed
    assert bool((drawn.codes[:, 2] == 1).all())
    with pytest.raises(NotSupported, match="labels"):
        family.decode(family.encode(records))


@pytest.mark.parametrize("prior", ["gaussian", "mixture"])
def test_draws_under_evidence_have_the_conditional_distribution(prior: str) -> None:
    """Given one observed and one restricted entry, against sums over all records."""
    family = wild(DISCRETE, prior=prior, score_importance_samples=4096)
    records = every_record()
    codes = torch.tensor([[True, True, False]])
    halves = torch.tensor([[[-EDGE, 0.4]]], dtype=torch.float64)
    evidence = records.rows(slice(0, 1)).hide([1, 2]).restrict(1, Restriction(codes, halves))
    fits = (records.codes[:, 0] == records.codes[0, 0]) & (
        ((records.codes[:, 1] == 0) & (records.values[:, 1] <= 0.4)) | (records.codes[:, 1] == 1)
    )
    share = family.log_prob(records.rows(fits)).values.exp()
    share = share / share.sum()
    drawn = family.conditional(evidence, 2000, torch.Generator().manual_seed(0))
    assert drawn.effective_sample_size is not None
    size = float(drawn.effective_sample_size[0])
    assert size > 100
    kept = records.rows(fits)
    for k in range(len(kept)):
        same = (drawn.batch.codes == kept.codes[k]).all(1) & ((drawn.batch.values - kept.values[k]).abs() < 1e-6).all(1)
        error = float((share[k] * (1 - share[k]) / size).sqrt())
        assert abs(float(same.double().mean()) - float(share[k])) < 4.5 * error + 0.01


def test_conditional_needs_labels() -> None:
    with pytest.raises(ValueError, match="needs labels"):
        VAEFamily(DISCRETE, conditional=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"latent": 0}, "latent"),
        ({"prior": "uniform"}, "prior"),
        ({"noise": "none"}, "noise"),
        ({"beta": -1.0}, "beta"),
        ({"hidden_share": 1.5}, "hidden_share"),
        ({"warmup": -1}, "warmup"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        VAEFamily(DISCRETE, **settings)
