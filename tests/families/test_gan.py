"""Generative adversarial networks: losses in closed form, penalties of linear critics, and what helps the generator."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import likewise as lw
from likewise.dense_view import DenseView
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.errors import DataError
from likewise.events import Batch, Categorical, Columns, Entry, Event, Quantised, Real, Restriction
from likewise.families.autoregressive.family import AutoregressiveFamily
from likewise.families.family import Borrower, Conditional, Density, Latent
from likewise.families.gan import GANFamily
from likewise.families.gan.calibration import Calibration, interpolate, quantiles
from likewise.families.gan.counted import Counted
from likewise.families.gan.emission import Emission, Start
from likewise.families.gan.losses import CLIP, GAMES, between, one_centred, zero_centred
from likewise.families.gan.monitor import Monitor
from likewise.families.gan.pairs import PairCritic
from likewise.families.gan.presentation import Presentation
from likewise.mathematics.monotone import MonotoneMap
from likewise.networks.dense import DenseCritic, DenseFeatures

UNIT = MonotoneMap.affine(0.0, 1.0)
COUNTS = Quantised(MonotoneMap.affine(3.0, 2.0), step=1.0, origin=0.0, low=0, high=6)
MIXED = Event(
    Columns(),
    (
        Entry("colour", Categorical(4), unseen=3, reserved=0.01),
        Entry("count", Categorical(3), COUNTS, missing=2),
        Entry("mass", Categorical(1), Real(UNIT)),
    ),
)
PLANE = Event(Columns(), (Entry("x", Categorical(1), Real(UNIT)), Entry("y", Categorical(1), Real(UNIT))))
SMALL = {"width": 16, "layers": 1, "critic_width": 16, "critic_layers": 1, "latent": 4}


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixed(size: int, seed: int = 0) -> Batch:
    """Records whose colour decides where count and mass lie."""
    generator = noise(seed)
    colour = torch.randint(3, (size,), generator=generator)
    codes = torch.stack([colour, torch.where(colour == 2, 2, 0), torch.zeros_like(colour)], 1)
    mass = colour - 1 + 0.2 * torch.randn(size, generator=generator, dtype=torch.float64)
    values = torch.stack([torch.zeros_like(mass), 0.5 * colour.double() - 0.5, mass], 1)
    return MIXED.complete(codes, values)


def single(batch: Batch) -> Batch:
    return batch.to(dtype=torch.float32)


def learned(event: Event, batch: Batch, steps: int, **settings: object) -> GANFamily:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = GANFamily(event, **{**SMALL, **settings})  # type: ignore[arg-type]
    plan = Plan(max_steps=steps, batch_size=128, device="cpu", clip=100.0, cooldown=0.4)
    train(family, batch, batch.rows(slice(0, 200)), plan, seed=0)
    return family.eval()


# -------------------------------------------------------------------------------------------------------------- losses


def test_the_losses_are_those_of_the_papers() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.25])
    d_real, d_fake = torch.sigmoid(real), torch.sigmoid(fake)
    entropy = -d_real.log().mean() - (1 - d_fake).log().mean()
    pairs = torch.sigmoid(real - fake)
    expected = {
        "minimax": (entropy, (1 - d_fake).log().mean()),
        "nonsaturating": (entropy, -d_fake.log().mean()),
        "wasserstein": (fake.mean() - real.mean(), -fake.mean()),
        "relativistic": (-pairs.log().mean(), -(1 - pairs).log().mean()),
    }
    assert set(expected) == set(GAMES)
    for name, (critic, generator) in expected.items():
        torch.testing.assert_close(GAMES[name].critic(real, fake), critic)
        torch.testing.assert_close(GAMES[name].generator(real, fake), generator)


def test_penalties_of_a_linear_critic_are_functions_of_its_slope() -> None:
    slope = torch.tensor([3.0, 4.0])
    gradient = slope.expand(7, 2)
    assert float(zero_centred(gradient)) == pytest.approx(25.0)
    assert float(one_centred(gradient)) == pytest.approx(16.0)
    real, fake = torch.zeros(50, 2), torch.ones(50, 2)
    middle = between(real, fake, noise())
    assert bool((middle[:, 0] == middle[:, 1]).all())
    assert 0.3 < float(middle.mean()) < 0.7


@pytest.mark.parametrize("penalty", ["none", "r1", "r1r2", "gradient"])
def test_penalties_add_what_they_say_to_the_critics_loss(penalty: str) -> None:
    family = GANFamily(PLANE, **SMALL, loss="wasserstein", penalty=penalty, gamma=2.0)  # type: ignore[arg-type]
    # A critic that is linear in its features, so that its gradient is the same everywhere.
    with torch.no_grad():
        critic = family.critic
        assert isinstance(critic, DenseCritic)
        critic.layers = torch.nn.ModuleList()
        critic.enter.weight.mul_(0.01)
        critic.enter.bias.fill_(10.0)  # all units stay on the linear side of the rectifier
    batch = single(PLANE.complete(torch.zeros(64, 2, dtype=torch.int64), torch.randn(64, 2, generator=noise())))
    family.prepare(batch, noise())
    slope = (critic.leave.weight @ critic.enter.weight).detach().norm()
    expected = {"none": 0.0, "r1": slope**2, "r1r2": 2 * slope**2, "gradient": 2 * (slope - 1) ** 2}[penalty]
    plain = GANFamily(PLANE, **SMALL, loss="wasserstein", penalty="none")  # type: ignore[arg-type]
    plain.load_state_dict({**plain.state_dict(), **family.state_dict()}, strict=False)
    plain.critic = family.critic
    difference = (family(batch, "critic", noise(1)) - plain(batch, "critic", noise(1))).detach()
    assert float(difference) == pytest.approx(float(expected), rel=1e-4, abs=1e-5)


def test_clipping_keeps_the_critics_weights_small() -> None:
    family = GANFamily(PLANE, **SMALL, loss="wasserstein", penalty="clip")  # type: ignore[arg-type]
    batch = single(PLANE.complete(torch.zeros(8, 2, dtype=torch.int64), torch.zeros(8, 2)))
    family(batch, "critic", noise())
    assert max(float(p.detach().abs().max()) for p in family.critic.parameters()) <= CLIP


def test_gradients_reach_only_the_player_whose_turn_it_is() -> None:
    family = GANFamily(MIXED, **SMALL)  # type: ignore[arg-type]
    batch = single(mixed(64))
    family.prepare(batch, noise())
    for player in family.players():
        mine = set(player.parameters)
        for parameter in family.parameters():
            parameter.requires_grad_(parameter in mine)
            parameter.grad = None
        family(batch, player.name, noise()).backward()
        assert all((p.grad is not None) == (p in mine) for p in family.parameters()), player.name


# -------------------------------------------------------------------------------------------------------- presentation


def test_a_pack_is_records_side_by_side() -> None:
    critic = DenseCritic(PLANE, 8, 1, 4, pack=3)
    dense = torch.randn(10, 2, generator=noise())
    packed = critic.packed(dense)
    assert packed.shape == (3, 3 * critic.features.size)
    torch.testing.assert_close(packed[1], critic.features(dense[3:6]).flatten())
    assert critic(dense[:2]).shape == (1,)


def test_features_vanish_where_no_value_is_present() -> None:
    batch = mixed(200)
    features = DenseFeatures(MIXED, 5)
    seen = features(DenseView(MIXED).dense(batch).float())
    assert seen.shape == (200, features.size) == (200, 4 + 3 + 2 * 11)
    missing = batch.codes[:, 1] == 2
    assert not seen[missing, 7:18].any()
    assert bool(seen[~missing, 7:18].any(1).all())


def test_real_values_are_spread_over_their_cells_and_keep_them() -> None:
    batch = single(mixed(2000))
    presentation = Presentation(MIXED, "straight_through", 0.7)
    dense = presentation.real(batch, torch.zeros(0), noise())
    codes, values = presentation.view.harden(dense)
    present = MIXED.present(codes)
    torch.testing.assert_close(codes, batch.codes)
    assert len(values[present[:, 1], 1].unique()) > 1000
    snapped = MIXED.complete(codes, values)
    torch.testing.assert_close(snapped.values[:, 1].float(), batch.values[:, 1])
    torch.testing.assert_close(values[:, 2], batch.values[:, 2])  # a real value has no cell


def test_relaxed_real_codes_cannot_be_told_from_generated_ones() -> None:
    """Generated at the logits of the frequencies and real: the same distribution of softness."""
    event = Event(Columns(), (Entry("kind", Categorical(3)),))
    frequency = torch.tensor([0.6, 0.3, 0.1])
    size = 40_000
    codes = torch.multinomial(frequency, size, replacement=True, generator=noise()).unsqueeze(1)
    presentation = Presentation(event, "relaxed", 0.7)
    real = presentation.real(single(event.complete(codes, torch.zeros(size, 1))), frequency, noise(1))
    emission = Emission(event, "relaxed", 0.7, "marginals")
    fake, _ = emission(frequency.log().expand(size, 3), Calibration(event), noise(2))
    torch.testing.assert_close(real.argmax(1), codes[:, 0])
    for column in range(3):
        a, b = real[:, column].sort().values, fake[:, column].sort().values
        assert float((a - b).abs().mean()) < 0.01


# ------------------------------------------------------------------------------------------------------------ emission


def drawn(event: Event, batch: Batch, start: Start, size: int = 8000) -> Batch:
    """Records of what counting `batch` alone gives."""
    view = DenseView(event)
    counted = Counted(event, "straight_through", 0.7, start)
    counted.prepare(view.dense(batch).float())
    return event.complete(*view.harden(counted.draw(size, noise(5))))


def test_the_start_is_the_tree_that_explains_most() -> None:
    """A chain a - b - c of coins that agree nine times in ten: every pair comes out, also the one that is no edge."""
    event = Event(Columns(), tuple(Entry(name, Categorical(2)) for name in "acb"))
    generator = noise()
    a = torch.rand(30_000, generator=generator) < 0.4
    b = a ^ (torch.rand(30_000, generator=generator) < 0.1)
    c = b ^ (torch.rand(30_000, generator=generator) < 0.1)
    codes = torch.stack([a, c, b], 1).long()
    made = drawn(event, event.complete(codes, torch.zeros(30_000, 3)), "tree", 30_000).codes
    for i, j in ((0, 1), (0, 2), (1, 2)):
        share = [float((part[:, i] == part[:, j]).double().mean()) for part in (codes, made)]
        assert share[1] == pytest.approx(share[0], abs=0.015)
    alone = drawn(event, event.complete(codes, torch.zeros(30_000, 3)), "marginals", 30_000).codes
    torch.testing.assert_close(alone.double().mean(0), codes.double().mean(0), atol=0.015, rtol=0)
    assert abs(float(torch.corrcoef(alone.double().t())[0, 2])) < 0.03


def test_the_start_carries_from_codes_to_values_and_back() -> None:
    batch = mixed(6000)
    made = drawn(MIXED, batch, "tree")
    assert float(((made.codes[:, 0] == 2) != (made.codes[:, 1] == 2)).double().mean()) < 0.02
    found, expected = (
        torch.corrcoef(torch.stack([part.codes[:, 0].double(), part.values[:, 2]]))[0, 1] for part in (made, batch)
    )
    assert float(found) == pytest.approx(float(expected), abs=0.05)


# --------------------------------------------------------------------------------------- calibration, pairs, monitor


def test_interpolation_goes_through_its_knots_and_beyond() -> None:
    x = torch.tensor([0.0, 1.0, 3.0])
    y = torch.tensor([0.0, 2.0, 3.0])
    torch.testing.assert_close(
        interpolate(torch.tensor([-1.0, 0.5, 1.0, 2.0, 5.0]), x, y), torch.tensor([-2.0, 1.0, 2.0, 2.5, 4.0])
    )
    levels = quantiles(torch.arange(100.0), 4)
    torch.testing.assert_close(levels, torch.tensor([12.0, 37.0, 62.0, 87.0]), atol=1e-4, rtol=0)


def test_calibration_finds_the_marginals_of_the_training_records() -> None:
    """From a generator that knows nothing: its frequencies and quantiles become those of the records."""
    generator = noise()
    size = 4000
    codes = torch.zeros(size, 3, dtype=torch.int64)
    codes[:, 0] = torch.multinomial(torch.tensor([0.7, 0.25, 0.05]), size, replacement=True, generator=generator)
    z = torch.randn(size, generator=generator, dtype=torch.float64)
    batch = MIXED.complete(codes, torch.stack([torch.zeros_like(z), torch.zeros_like(z), torch.sign(z) * z**2], 1))
    calibration, view = Calibration(MIXED), DenseView(MIXED)
    real = view.dense(batch).float()
    calibration.prepare(real)
    emission = Emission(MIXED, "straight_through", 0.7, "marginals")
    for _ in range(300):
        outputs = 3 + 0.5 * torch.randn(512, emission.size, generator=generator)
        drawn, raw = emission(outputs, calibration, generator)
        calibration.update(drawn.detach(), raw, real[:512])
    outputs = 3 + 0.5 * torch.randn(size, emission.size, generator=generator)
    drawn = emission(outputs, calibration, generator)[0].detach()
    torch.testing.assert_close(drawn[:, :4].mean(0), real[:, :4].mean(0), atol=0.03, rtol=0)
    assert not drawn[:, 3].any()  # a state no training record had
    levels = torch.linspace(0.02, 0.98, 25)
    torch.testing.assert_close(drawn[:, -1].quantile(levels), real[:, -1].quantile(levels), atol=0.15, rtol=0.1)


def test_the_critic_of_pairs_tells_dependence_that_no_marginal_shows() -> None:
    event = Event(Columns(), (Entry("a", Categorical(2)), Entry("b", Categorical(2))))
    view = DenseView(event)
    same = torch.tensor([[0, 0], [1, 1]]).repeat(64, 1)
    every = torch.tensor([[0, 0], [1, 1], [0, 1], [1, 0]]).repeat(32, 1)
    real, fake = (view.dense(event.complete(codes, torch.zeros(128, 2))).float() for codes in (same, every))
    pairs = PairCritic(event)
    assert pairs.usable
    assert float(pairs.loss(real, real)) == pytest.approx(0, abs=1e-6)
    fake.requires_grad_()
    pairs.loss(real, fake).backward()
    assert fake.grad is not None
    # A descent on the loss turns (0, 1) into an equal pair.
    assert float(fake.grad[2, 0]) > float(fake.grad[2, 1])


def test_the_monitor_prefers_the_truth_and_names_what_is_left_out() -> None:
    train_part, held_out, fresh = mixed(4000, 1), mixed(1000, 2), mixed(4000, 3)
    monitor = Monitor(MIXED)
    monitor.prepare(train_part)
    truth = monitor.judge(held_out, fresh.codes, fresh.values)
    assert truth.coverage > 0.98
    collapsed = fresh.rows(fresh.codes[:, 0] != 1)
    missing = monitor.judge(held_out, collapsed.codes, collapsed.values)
    assert missing.coverage < 0.8
    assert float(missing.figures.mean()) > float(truth.figures.mean()) + 0.5
    order = torch.randperm(len(fresh), generator=noise())
    shuffled = monitor.judge(held_out, fresh.codes, fresh.values[order] * (fresh.codes != 2))
    assert float(shuffled.figures.mean()) > float(truth.figures.mean()) + 0.1


@torch.no_grad()
def test_what_the_referee_saves_is_the_logarithm_of_how_its_choice_changes_the_density() -> None:
    """A fair coin; heads have odds e against 1, so of 16 candidates a head is picked as a binomial sum says."""
    event = Event(Columns(), (Entry("coin", Categorical(2)),))
    fair = event.complete(torch.tensor([[0], [1]] * 2000), torch.zeros(4000, 1))
    family = GANFamily(event, start="marginals", width=8, critic_width=8).eval()
    family.prepare(single(fair), noise())
    heads = single(event.complete(torch.ones(4000, 1, dtype=torch.int64), torch.zeros(4000, 1)))
    family.referee.leave.weight.data.zero_()
    family.referee.leave.bias.data.zero_()
    plain = float(family.validate(heads, noise(1)).mean())
    assert plain == pytest.approx(math.log(2) / 2, abs=0.03)
    family.referee.forward = lambda dense, generator: dense[:, 1]  # type: ignore[method-assign, assignment]
    count = torch.arange(16, dtype=torch.float64)
    chance = torch.exp(torch.lgamma(torch.tensor(16.0)) - torch.lgamma(count + 1) - torch.lgamma(16 - count)) / 2**15
    saved = float((chance * torch.log(16 * math.e / (math.e * (count + 1) + 15 - count))).sum())
    assert plain - float(family.validate(heads, noise(1)).mean()) == pytest.approx(saved, abs=0.02)


def test_the_composite_code_length_of_the_truth_is_its_entropy() -> None:
    event = Event(Columns(), (Entry("coin", Categorical(2)),))
    codes = (torch.rand(20_000, 1, generator=noise()) < 0.25).long()
    batch = event.complete(codes, torch.zeros(20_000, 1))
    monitor = Monitor(event)
    monitor.prepare(batch)
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    assert float(monitor.judge(batch, codes, torch.zeros(20_000, 1)).figures.mean()) == pytest.approx(entropy, abs=0.01)


# ------------------------------------------------------------------------------------------------------ learned models


def test_a_gan_promises_samples_and_no_density() -> None:
    for protocol in (Density, Latent):
        assert not issubclass(GANFamily, protocol)
    assert issubclass(GANFamily, Conditional)
    model = lw.GAN()
    assert not hasattr(model, "score_samples")
    assert hasattr(model, "conditional")
    (card,) = [card for card in lw.families() if card.name == "gan"]
    assert (card.likelihood, card.density, card.scores) == ("implicit", "none", False)
    assert (card.evidence.split(",")[0], card.conditions) == ("rejection", True)


def test_what_was_counted_stays_as_it_was_while_the_players_learn() -> None:
    batch = mixed(500)
    families = [learned(MIXED, batch, steps) for steps in (1, 30)]
    borrowed = [family.sample_borrowed(500, noise(1)) for family in families]
    assert torch.equal(borrowed[0].codes, borrowed[1].codes)
    assert torch.equal(borrowed[0].values, borrowed[1].values)
    assert not torch.equal(families[0].emission.weight, families[1].emission.weight)
    assert isinstance(families[0], Borrower)
    assert not issubclass(AutoregressiveFamily, Borrower)


def test_the_referee_makes_records_likelier_to_be_real() -> None:
    """Colour decides whether count is missing: fewer candidates, more records that cannot be."""
    batch = mixed(3000)
    slow = {"learning_rate": 1e-3, "critic_learning_rate": 1e-3, "gamma": 1.0}
    family = learned(MIXED, batch, 300, **slow, critic_width=32, pair_weight=0.0, start="marginals")

    def impossible(candidates: int) -> float:
        family.candidates = candidates
        codes = family.sample(4000, noise()).codes
        return float(((codes[:, 0] == 2) != (codes[:, 1] == 2)).double().mean())

    alone, chosen = impossible(1), impossible(16)
    assert chosen < 0.6 * alone


@pytest.mark.parametrize("loss", ["relativistic", "nonsaturating", "minimax", "wasserstein"])
def test_every_loss_learns_where_records_are(loss: str) -> None:
    """Alone, without the referee and the critic of pairs: colour and mass become dependent."""
    batch = mixed(3000)
    penalty = "r1r2" if loss in ("nonsaturating", "minimax") else "auto"
    rates = {"learning_rate": 3e-3, "critic_learning_rate": 3e-3, "gamma": 1.0 if loss == "wasserstein" else 0.1}
    rest = {"pair_weight": 0.0, "candidates": 1, "start": "marginals"}
    family = learned(MIXED, batch, 200, loss=loss, penalty=penalty, **rates, **rest)
    drawn = family.sample(3000, noise())
    found = np.corrcoef(drawn.codes[:, 0], drawn.values[:, 2])[0, 1]
    assert found > 0.5


@torch.no_grad()
def test_draws_under_evidence_are_those_of_sample_that_agree_with_it() -> None:
    """Two coins and a referee with a taste: shares are as the choice among candidates has them."""
    event = Event(Columns(), (Entry("a", Categorical(2)), Entry("b", Categorical(2)), Entry("c", Categorical(4))))
    codes = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(4)).repeat(100, 1)
    family = GANFamily(event, start="marginals", candidates=3, width=8, critic_width=8).eval()
    family.prepare(single(event.complete(codes, torch.zeros(1600, 3))), noise())
    family.generator.leave.weight.data.zero_()
    favour = torch.tensor([0.0, 0.0, 0.0, 1.5, 0.0, 0.5, 1.0, -1.0])
    family.referee.forward = lambda dense: dense @ favour  # type: ignore[method-assign, assignment]
    evidence = Batch.unknown(event, 1)
    evidence.status[0, 0] = 0
    evidence.codes[0, 0] = 1
    found = family.conditional(evidence, 20_000, noise(1))
    assert found.effective_sample_size is not None
    assert float(found.effective_sample_size) == 20_000
    assert bool((found.batch.codes[:, 0] == 1).all())
    sampled = family.sample(60_000, noise(2)).codes
    sampled = sampled[sampled[:, 0] == 1]
    both = (found.batch.codes, sampled)
    shares = [torch.bincount(4 * codes[:, 1] + codes[:, 2], minlength=8).double() / len(codes) for codes in both]
    torch.testing.assert_close(*shares, atol=0.015, rtol=0)
    assert float(shares[0].max()) > 0.2  # the referee has its say


KINDS = Event(Columns(), PLANE.entries, (Entry("kind", Categorical(3), unseen=2, reserved=0.01),))


def blobs(share: float, size: int, seed: int = 0) -> Batch:
    """x and y about (-1, 1) where kind is 0 and about (1, 0) where it is 1, which a given share of records is."""
    generator = noise(seed)
    kind = (torch.rand(size, generator=generator) < share).long()
    centre = torch.stack([2.0 * kind - 1, 1.0 - kind], 1).double()
    place = centre + 0.3 * torch.randn(size, 2, generator=generator, dtype=torch.float64)
    codes = torch.stack([torch.zeros_like(kind), torch.zeros_like(kind), kind], 1)
    return KINDS.complete(codes, torch.cat([place, torch.zeros(size, 1)], 1))


@pytest.mark.parametrize("share", [0.5, 0.15])
def test_given_a_kind_records_do_not_depend_on_the_share_of_kinds(share: float) -> None:
    family = learned(KINDS, blobs(share, 3000), 150, conditional=True, width=32, critic_width=32)
    drawn = family.sample(3000, noise(1))
    assert float(drawn.codes[:, 2].double().mean()) == pytest.approx(share, abs=0.04)
    evidence = Batch.unknown(KINDS, 2)
    evidence.status[:, 2] = 0
    evidence.codes[:, 2] = torch.tensor([1, 0])
    found = family.conditional(evidence, 1000, noise(2))
    assert found.effective_sample_size is not None
    assert found.effective_sample_size.tolist() == [1000.0, 1000.0]
    assert found.batch.codes[:, 2].tolist() == [1] * 1000 + [0] * 1000
    place = found.batch.values[:, :2].view(2, 1000, 2)
    torch.testing.assert_close(place.mean(1), torch.tensor([[1.0, 0.0], [-1.0, 1.0]]).double(), atol=0.15, rtol=0)
    torch.testing.assert_close(place.std(1), torch.full((2, 2), 0.3).double(), atol=0.12, rtol=0)


def test_the_counted_start_of_a_conditional_model_is_told_its_labels() -> None:
    family = GANFamily(KINDS, **SMALL, conditional=True)  # type: ignore[arg-type]
    family.prepare(single(blobs(0.3, 4000)), noise())
    drawn = family.sample_borrowed(4000, noise(1))
    kind = drawn.codes[:, 2]
    assert float(kind.double().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(drawn.values[kind == 1, 0].mean()) == pytest.approx(1, abs=0.1)
    assert float(drawn.values[kind == 0, 0].mean()) == pytest.approx(-1, abs=0.1)
    labels = family.labels
    assert labels is not None
    told = labels.show(torch.ones(5, 1, dtype=torch.int64), torch.zeros(5, 1), noise())
    dense, _ = family._generate(5, noise(), labels=told)
    assert torch.equal(labels.of(dense), told)  # they come back unchanged
    with pytest.raises(ValueError, match=r"fit\(X, y\)"):
        GANFamily(PLANE, conditional=True)


def test_unknown_labels_beside_evidence_are_drawn_with_the_records() -> None:
    family = GANFamily(KINDS, **SMALL, conditional=True)  # type: ignore[arg-type]
    family.prepare(single(blobs(0.3, 4000)), noise())
    right = torch.tensor([[[0.5, 9.0]]], dtype=torch.float64)
    evidence = Batch.unknown(KINDS, 1).restrict(0, Restriction(torch.tensor([[True]]), right))
    found = family.conditional(evidence, 500, noise(1)).batch
    assert float(found.codes[:, 2].double().mean()) > 0.9
    assert float(found.values[:, 0].min()) >= 0.5
    # Given to one record and unknown to the next, labels are each what they should be.
    both = Batch.unknown(KINDS, 2)
    both.status[1, 2] = 0
    mixed_kinds = family.conditional(both, 500, noise(2)).batch.codes[:, 2].view(2, 500).double().mean(1)
    assert 0.2 < float(mixed_kinds[0]) < 0.4
    assert float(mixed_kinds[1]) == 0


def test_two_generators_of_one_seed_are_one(tmp_path) -> None:
    """A fit that was cut and resumed is the fit that ran through: moments of pairs, turns and averages included."""
    batch = single(mixed(400))
    plan = {"max_steps": 24, "batch_size": 64, "device": "cpu", "validate_every": 6, "cooldown": 0.5}
    families = []
    for k in range(2):
        torch.manual_seed(0)
        family = GANFamily(MIXED, **SMALL)  # type: ignore[arg-type]
        keeping = {"checkpoint": tmp_path / str(k)}
        train(family, batch, batch, Plan(**plan, checkpoint_steps=6), seed=0, **keeping)  # type: ignore[arg-type]
        families.append(family)
    newest = sorted((tmp_path / "1").glob("*.safetensors"))
    assert len(newest) > 1
    newest[-1].unlink()
    torch.manual_seed(0)
    resumed = GANFamily(MIXED, **SMALL)  # type: ignore[arg-type]
    train(resumed, batch, batch, Plan(**plan, checkpoint_steps=6), seed=0, checkpoint=tmp_path / "1", resume=True)  # type: ignore[arg-type]
    for name, part in families[0].state_dict().items():
        assert torch.equal(part, resumed.state_dict()[name]), name


def test_mode_collapse_is_named_in_the_record_of_the_fit() -> None:
    """A generator that cannot move leaves nearly everything out."""
    places = np.random.default_rng(0).integers(0, 8, size=3000)  # the ring, each mode named
    frame = pd.DataFrame({"x": np.cos(places * np.pi / 4) * 2, "y": np.sin(places * np.pi / 4) * 2, "k": places})
    frame["x"] += np.random.default_rng(1).normal(size=3000) * 0.05
    stuck = lw.GAN(
        learning_rate=0.0,
        width=8,
        layers=1,
        critic_width=8,
        critic_layers=1,
        max_steps=30,
        candidates=1,
        start="marginals",
        random_state=0,
    ).fit(frame)
    assert any("Mode collapse" in remark for remark in stuck.training_record_["remarks"])


def test_records_without_their_labels_are_refused() -> None:
    family = GANFamily(MIXED, **SMALL)  # type: ignore[arg-type]
    batch = single(mixed(64))
    family.prepare(batch, noise())
    with pytest.raises(DataError, match="whole records"):
        family(batch.hide([0]), "critic", noise())


@pytest.mark.parametrize("wrong", [{"loss": "hinge"}, {"penalty": "l2"}, {"pack": 0}, {"gamma": -1.0}, {"beta2": 1.0}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GANFamily(MIXED, **wrong)  # type: ignore[arg-type]
