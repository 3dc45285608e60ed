"""Cures of mode collapse: unrolled critics, spectral normalisation, two time scales, and the textbook's form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import likewise as lw
from likewise.engine.loop import train
from likewise.engine.plan import Plan
from likewise.errors import DataError
from likewise.events import Categorical, Columns, Entry, Event, Real
from likewise.families.gan import GANFamily
from likewise.families.gan.calibration import Calibration
from likewise.families.gan.losses import CLIP, GAMES, Criticism, Judge
from likewise.families.gan.unrolling import Unrolling
from likewise.mathematics.monotone import MonotoneMap
from likewise.networks.dense import DenseCritic
from likewise.networks.spectral import SpectralLinear

UNIT = MonotoneMap.affine(0.0, 1.0)
PLANE = Event(Columns(), (Entry("x", Categorical(1), Real(UNIT)), Entry("y", Categorical(1), Real(UNIT))))
SMALL = {"width": 16, "layers": 1, "critic_width": 16, "critic_layers": 1, "latent": 4}
TEXTBOOK = {**SMALL, "start": "marginals", "marginals": "learned", "pair_weight": 0.0, "candidates": 1}


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plane(size: int, seed: int = 0):
    values = torch.randn(size, 2, generator=noise(seed), dtype=torch.float64)
    return PLANE.complete(torch.zeros(size, 2, dtype=torch.int64), values).to(dtype=torch.float32)


def critic_and_game(penalty: str = "none") -> tuple[DenseCritic, Callable[[Tensor], Callable[[Judge], Tensor]]]:
    """A critic in double precision, and its loss for generated records moved by a number."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = DenseCritic(PLANE, 8, 1, 4).double()
        torch.nn.init.normal_(critic.layers[0].second.weight, std=0.3)  # type: ignore[union-attr, arg-type]
    real, fake = (torch.randn(32, 2, generator=noise(seed), dtype=torch.float64) for seed in (1, 2))
    criticism = Criticism(GAMES["nonsaturating"], penalty, 1.0)  # type: ignore[arg-type]

    def loss_of(shift: Tensor) -> Callable[[Judge], Tensor]:
        return lambda judge: criticism.loss(judge, critic.packed(real), critic.packed(fake + shift), 0, noise(3))

    return critic, loss_of


# ----------------------------------------------------------------------------------------------------------- unrolling


def test_the_critic_ahead_is_where_adam_without_momentum_takes_it() -> None:
    critic, loss_of = critic_and_game()
    loss, at = loss_of(torch.zeros(2)), torch.randn(5, critic.features.size, generator=noise(4), dtype=torch.float64)
    before = {name: part.clone() for name, part in critic.state_dict().items()}
    unrolling = Unrolling(3, 0.01, 0.9, 1e-8)
    ahead = unrolling.critic(critic, loss)(at)
    for name, part in critic.state_dict().items():
        assert torch.equal(part, before[name])  # looking ahead is not going there
    assert all(part.grad is None for part in critic.parameters())
    optimiser = torch.optim.Adam(critic.parameters(), lr=0.01, betas=(0.0, 0.9), eps=1e-8)
    for _ in range(3):
        optimiser.zero_grad()
        loss(critic.judge).backward()
        optimiser.step()
    torch.testing.assert_close(ahead, critic.judge(at))


@pytest.mark.parametrize("penalty", ["none", "r1r2", "gradient"])
def test_the_generators_gradient_passes_the_steps_of_the_critic(penalty: str) -> None:
    """Against finite differences; with a large eps the steps are plain gradient descent at rate / eps."""
    critic, loss_of = critic_and_game(penalty)
    at = critic.packed(torch.ones(1, 2, dtype=torch.float64))

    def number(shift: Tensor) -> Tensor:
        return Unrolling(3, 1e8, 0.9, 1e9).critic(critic, loss_of(shift))(at).sum()

    shift = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(number(shift), shift)
    steps = 1e-5 * torch.eye(2, dtype=torch.float64)
    expected = torch.stack([(number(shift + step) - number(shift - step)).detach() / 2e-5 for step in steps])
    assert float(expected.abs().max()) > 1e-3  # the critic's answer does depend on the generator
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-8)


def test_ahead_of_a_zero_sum_game_no_part_of_the_loss_is_left_out() -> None:
    real, fake = (torch.randn(6, generator=noise(seed), requires_grad=True) for seed in (1, 2))
    assert [name for name, game in GAMES.items() if game.zero_sum] == ["minimax", "wasserstein"]
    for game in GAMES.values():
        plain, ahead = (torch.autograd.grad(loss(real, fake), fake)[0] for loss in (game.generator, game.ahead))
        torch.testing.assert_close(plain, ahead)
        if game.zero_sum:
            torch.testing.assert_close(game.ahead(real, fake), -game.critic(real, fake))


def test_weights_ahead_keep_within_the_bound_of_clipping() -> None:
    critic, loss_of = critic_and_game()
    with torch.no_grad():
        for part in critic.parameters():
            part.clamp_(-CLIP, CLIP)
    top = critic.features.size * CLIP * 8 * CLIP + 2 * CLIP + 8 * CLIP * CLIP  # the largest number of such weights
    far, near = (Unrolling(2, 10.0, 0.9, 1e-8, bound).critic(critic, loss_of(torch.ones(2))) for bound in (None, CLIP))
    at = torch.ones(1, critic.features.size, dtype=torch.float64)
    assert float(far(at).detach().abs()) > 100 * top
    assert float(near(at).detach().abs()) < 2 * top


def test_looking_no_step_ahead_is_the_plain_turn() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = GANFamily(PLANE, **SMALL, unroll=0)  # type: ignore[arg-type]
        ahead = GANFamily(PLANE, **SMALL, unroll=2, critic_learning_rate=0.0)  # type: ignore[arg-type]
    batch = plane(64)
    plain.prepare(batch, noise())
    ahead.load_state_dict(plain.state_dict())
    torch.testing.assert_close(plain(batch, "generator", noise(1)), ahead(batch, "generator", noise(1)))


# ---------------------------------------------------------------------------------------------- spectral normalisation


def test_a_spectrally_normalised_map_has_norm_one() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = SpectralLinear(7, 5)
    layer.iterate(200)
    matrix = layer(torch.eye(7)) - layer.bias
    assert float(torch.linalg.matrix_norm(matrix.detach(), 2)) == pytest.approx(1.0, abs=1e-5)
    scaled = matrix.detach()
    with torch.no_grad():
        layer.weight.mul_(3.0)
    torch.testing.assert_close((layer(torch.eye(7)) - layer.bias).detach(), scaled)


def test_a_spectral_critic_is_as_smooth_as_its_layers_say() -> None:
    """Records a step apart differ by no more than the norms of the layers: 1, and 2 for each residual one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = GANFamily(PLANE, **SMALL, penalty="spectral")  # type: ignore[arg-type]
    batch = plane(200)
    train(family, batch, batch, Plan(max_steps=60, batch_size=64, device="cpu", clip=100.0), seed=0)
    critic = family.critic
    assert isinstance(critic, DenseCritic)
    at = critic.packed(torch.randn(500, 2, generator=noise(3))).requires_grad_()
    (slope,) = torch.autograd.grad(critic.judge(at).sum(), at)
    assert 0 < float(slope.norm(dim=1).max()) <= 2.1
    for part in critic.modules():
        if isinstance(part, SpectralLinear):
            norm = torch.linalg.matrix_norm(part.weight.detach(), 2)
            assert float(part.left @ part.weight.detach() @ part.right) == pytest.approx(float(norm), rel=0.05)
    assert not any(isinstance(part, SpectralLinear) for part in family.referee.modules())


# ------------------------------------------------------------------------------------------ both survive what fits meet


def test_a_resumed_fit_is_one_that_was_never_stopped(tmp_path) -> None:
    """Vectors of power iteration and mean squares of unrolled turns included."""
    batch = plane(400)
    plan = {"max_steps": 16, "batch_size": 64, "device": "cpu", "validate_every": 4, "checkpoint_steps": 4}

    def fitted(folder: str, **how: bool) -> GANFamily:
        torch.manual_seed(0)
        family = GANFamily(PLANE, **SMALL, penalty="spectral", unroll=2)  # type: ignore[arg-type]
        train(family, batch, batch, Plan(**plan), seed=0, checkpoint=tmp_path / folder, **how)  # type: ignore[arg-type]
        return family

    with torch.random.fork_rng():
        through = fitted("a")
        fitted("b")
        kept = sorted((tmp_path / "b").glob("*.safetensors"))
        assert len(kept) > 1
        kept[-1].unlink()
        resumed = fitted("b", resume=True)
    for name, part in through.state_dict().items():
        assert torch.equal(part, resumed.state_dict()[name]), name
    for name, part in through.learner_state().items():
        assert torch.equal(part, resumed.learner_state()[name]), name
    assert any(name.startswith("unrolled.") for name in through.learner_state())


def test_a_model_file_keeps_a_spectral_critic(tmp_path) -> None:
    settings = {**TEXTBOOK, "penalty": "spectral", "unroll": 1, "loss": "nonsaturating"}
    records = lw.datasets.toy("two_blobs").sample(300, random_state=0)
    model = lw.GAN(**settings, max_steps=6, random_state=0).fit(records)  # type: ignore[arg-type]
    model.save(tmp_path / "model.safetensors")
    loaded = lw.load(tmp_path / "model.safetensors")
    assert loaded.get_params()["unroll"] == 1
    for name, part in model.family_.state_dict().items():
        assert torch.equal(part, loaded.family_.state_dict()[name]), name
    assert loaded.sample(50, random_state=1).equals(model.sample(50, random_state=1))


# --------------------------------------------------------------------------------------------------- the textbook's GAN


def test_two_time_scales_are_two_learning_rates() -> None:
    """The first step of Adam without momentum is as long as the rate, whatever the gradient (Heusel et al. 2017)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        family = GANFamily(PLANE, **TEXTBOOK, learning_rate=1e-4, critic_learning_rate=4e-4, ema_decay=0.0)  # type: ignore[arg-type]
    batch = plane(200)
    family.prepare(batch, noise())
    before = {name: part.clone() for name, part in family.state_dict().items()}
    train(
        family,
        batch,
        batch,
        Plan(max_steps=1, batch_size=64, device="cpu", clip=100.0, ema_decay=0.0),
        seed=0,
        fresh=False,
    )
    moved = {name: (part - before[name]).abs().max() for name, part in family.state_dict().items()}
    assert float(moved["critic.leave.weight"] / moved["generator.leave.weight"]) == pytest.approx(4.0, rel=0.01)


def test_whole_numbers_will_do_for_the_rates_of_adam() -> None:
    family = GANFamily(PLANE, **SMALL, beta1=0)  # type: ignore[arg-type]
    for player in family.players():
        torch.optim.AdamW(player.parameters, betas=player.betas)


def test_learned_marginals_are_what_the_generator_says() -> None:
    counted, learned = Calibration(PLANE), Calibration(PLANE, "learned")
    real = torch.rand(1000, 2, generator=noise()) + 5
    raw = torch.randn(1000, generator=noise(1))
    for calibration in (counted, learned):
        calibration.prepare(real)
        calibration.update(raw.unsqueeze(1).expand(-1, 2), {0: raw, 1: raw}, real)
    assert torch.equal(learned.value(0, raw), raw)
    assert float(counted.value(0, raw).min()) > 4


def test_the_largest_gradient_is_a_setting() -> None:
    assert lw.GAN()._plan().clip == 100.0
    assert lw.GAN(gradient_clip=0.5)._plan().clip == 0.5
    records = lw.datasets.toy("two_blobs").sample(100, random_state=0)
    for wrong in (0.0, -1.0, float("inf"), True):
        with pytest.raises(DataError, match="gradient_clip"):
            lw.GAN(**TEXTBOOK, gradient_clip=wrong, max_steps=2).fit(records)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"unroll": -1}, {"unroll": 1.5}, {"marginals": "none"}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GANFamily(PLANE, **wrong)  # type: ignore[arg-type]
