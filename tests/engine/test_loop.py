"""Facts about the training loop, on families whose answers are known in closed form."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from small_families import Duel, Gaussian, Noisy, Player, records
from torch import Tensor, nn

from likewise.engine import loop
from likewise.engine.checkpoint import Checkpoints
from likewise.engine.loop import Minibatches, train
from likewise.engine.moving import Seat
from likewise.engine.plan import Plan
from likewise.engine.processes import Processes
from likewise.engine.record import TrainingRecord
from likewise.errors import DataError, TrainingDiverged
from likewise.events import Batch

TRAIN, HELD_OUT = records(1000), records(200, seed=1)
NONE = TRAIN.rows(slice(0, 0))


def events(log: io.StringIO, kind: str) -> list[dict[str, object]]:
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == kind]


class Scripted(Gaussian):
    """A Gaussian to whose loss a script adds something at chosen steps, the first being 1; all weights are recorded."""

    def __init__(self, script: dict[int, float], **settings: float) -> None:
        super().__init__(**settings)
        self.script, self.step = script, 0
        self.seen: list[list[Tensor]] = []

    def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
        self.step += 1
        self.seen.append([parameter.detach().clone() for parameter in self.parameters()])
        return super().forward(batch, player, generator) + self.script.get(self.step, 0.0) * (1 + self.mean.sum())


# ------------------------------------------------------------------------------------------------------ what is learned


def test_finds_the_maximum_of_the_likelihood() -> None:
    family = Gaussian()
    record = train(family, TRAIN, TRAIN, Plan(max_steps=800, batch_size=250), seed=0)
    torch.testing.assert_close(family.mean.double(), TRAIN.values.mean(0), atol=5e-3, rtol=0)
    torch.testing.assert_close(family.log_scale.exp().double(), TRAIN.values.std(0, correction=0), atol=5e-3, rtol=0)
    least = family.nll(TRAIN.to("cpu", torch.float32)).mean().item()
    assert record.best == pytest.approx(least, abs=1e-5)


def test_players_take_turns_and_reach_their_equilibrium() -> None:
    family = Duel()
    record = train(family, TRAIN, HELD_OUT, Plan(max_steps=500), seed=0)
    assert family.turns[:6] == ["generator", "critic", "critic"] * 2
    assert len(family.turns) == 3 * record.steps
    assert family.generator.item() == pytest.approx(TRAIN.values[:, 0].mean().item(), abs=0.05)
    assert family.critic.item() == pytest.approx(0.0, abs=0.05)


def test_holds_the_averaged_weights_of_the_best_validation() -> None:
    family = Gaussian(learning_rate=0.3)
    record = train(family, TRAIN, HELD_OUT, Plan(max_steps=300, validate_every=10), seed=0)
    assert record.best == min(point.figure for point in record.curve if point.figure is not None)
    assert record.best_step in [point.step for point in record.curve if point.figure == record.best]
    assert family.nll(HELD_OUT.to("cpu", torch.float32)).mean().item() == pytest.approx(record.best, abs=1e-5)
    assert not family.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in family.parameters())


def test_average_equals_the_recursion_by_hand() -> None:
    family = Scripted({})
    train(family, TRAIN, NONE, Plan(max_steps=40, ema_decay=0.7), seed=0)
    # A 41st set of weights, those after the last step, follows from the average itself; here from a second fit.
    longer = Scripted({})
    train(longer, TRAIN, NONE, Plan(max_steps=40, ema_decay=0.0), seed=0)
    weights = [*family.seen, [parameter.detach() for parameter in longer.parameters()]]
    # With decay 0 the average is the weights themselves.
    average = weights[0]
    for t, now in enumerate(weights[1:], start=1):
        decay = min(0.7, (1 + t) / (10 + t))
        average = [decay * a + (1 - decay) * w for a, w in zip(average, now, strict=True)]
    for expected, held in zip(average, family.parameters(), strict=True):
        torch.testing.assert_close(held.detach(), expected, atol=1e-6, rtol=1e-6)


def test_weight_decay_spares_vectors() -> None:
    family = nn.Linear(3, 2)
    before = {name: part.detach().clone() for name, part in family.named_parameters()}
    seat = Seat(
        family, Player("model", list(family.parameters()), 0.1, weight_decay=0.5), Processes(), torch.device("cpu")
    )
    for parameter in family.parameters():
        parameter.grad = torch.zeros_like(parameter)
    seat.optimiser.step()
    torch.testing.assert_close(family.weight.detach(), before["weight"] * (1 - 0.1 * 0.5))
    assert torch.equal(family.bias, before["bias"])


def test_every_record_is_seen_once_a_pass() -> None:
    minibatches = Minibatches(103, 25, 0, torch.device("cpu"), Processes())
    passes = [torch.cat([minibatches(k) for k in range(5 * e, 5 * e + 5)]) for e in range(2)]
    assert all(torch.equal(seen.sort().values, torch.arange(103)) for seen in passes)
    assert not torch.equal(*passes)
    assert {len(minibatches(k)) for k in range(5)} == {20, 21}
    shares = [Minibatches(103, 25, 0, torch.device("cpu"), Processes(rank, 4))(3) for rank in range(4)]
    assert torch.equal(torch.cat(shares).sort().values, minibatches(3).sort().values)


def test_only_a_fresh_fit_prepares_the_family() -> None:
    class Prepared(Gaussian):
        def prepare(self, train: Batch, generator: torch.Generator) -> None:
            with torch.no_grad():
                self.mean.fill_(float(len(train)))

    family = Prepared(learning_rate=1e-6)
    train(family, TRAIN, HELD_OUT, Plan(max_steps=1), seed=0)
    assert family.mean.tolist() == pytest.approx([1000.0] * 2, abs=0.1)
    train(family, TRAIN.rows(slice(0, 10)), HELD_OUT, Plan(max_steps=1), seed=0, fresh=False)
    assert family.mean.tolist() == pytest.approx([1000.0] * 2, abs=0.1)


# ------------------------------------------------------------------------------------------------------------- schedule


def test_learning_rate_rises_stays_and_falls() -> None:
    log = io.StringIO()
    record = train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=200, validate_every=1, patience=999), seed=0, log=log)
    rates = [float(str(line["rate"])) for line in events(log, "validation")]
    assert record.steps == len(rates) == 200
    assert record.stopped == "max_steps"
    assert rates[:20] == pytest.approx([(k + 1) / 21 for k in range(20)])
    assert rates[20:150] == [1.0] * 130
    assert rates[150:] == pytest.approx([(200 - k) / 50 for k in range(150, 200)])


def test_a_plateau_starts_the_cooldown_early() -> None:
    plan = Plan(max_steps=100_000, patience=5, validate_every=10)
    record = train(Gaussian(), TRAIN, HELD_OUT, plan, seed=0)
    assert record.stopped in ("plateau", "worsening")
    assert record.steps < 2000
    without_budget = train(Gaussian(), TRAIN, HELD_OUT, Plan(patience=5, validate_every=10), seed=0)
    assert without_budget.curve == record.curve


def test_cooldown_after_a_plateau_is_a_quarter_of_the_whole() -> None:
    class Still(Gaussian):
        def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
            return torch.ones(len(batch))

    record = train(Still(), TRAIN, HELD_OUT, Plan(patience=30, validate_every=10), seed=0)
    # 1 validation sets the mark, 30 do not improve on it: step 310; the cool-down takes a third of that.
    assert (record.steps, record.stopped) == (310 + 103, "plateau")


def test_a_figure_that_worsens_during_the_cooldown_ends_it() -> None:
    class Worsening(Gaussian):
        told = 0

        def validate(self, batch: Batch, generator: torch.Generator) -> Tensor:
            self.told += 1
            return torch.full((len(batch),), float(self.told))

    record = train(Worsening(), TRAIN, HELD_OUT, Plan(max_steps=1000, patience=4, validate_every=10), seed=0)
    # A mark at 10 and four worse figures: the cool-down goes from 50 to 50 + 50 / 3.
    assert (record.steps, record.stopped, record.best_step) == (67, "plateau", 10)
    # The cool-down begins at 40 and has its own mark at 50; 29 worse figures follow.
    late = Plan(max_steps=400, patience=29, validate_every=10, cooldown=0.9)
    record = train(Worsening(), TRAIN, HELD_OUT, late, seed=0)
    assert (record.steps, record.stopped) == (340, "worsening")


def test_a_budget_of_time_is_kept_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**9))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(ticks)))
    log = io.StringIO()
    record = train(Gaussian(), TRAIN, HELD_OUT, Plan(max_time=400.0, validate_every=1, patience=999), seed=0, log=log)
    assert record.stopped == "max_time"
    assert 400 <= record.seconds <= 410
    lines = events(log, "validation")
    late = [float(str(line["rate"])) for line in lines if float(str(line["seconds"])) > 310]
    assert late == sorted(late, reverse=True)
    assert late[-1] < 0.1


def test_without_held_out_records_a_budget_is_needed() -> None:
    with pytest.raises(DataError, match="max_time or max_steps"):
        train(Gaussian(), TRAIN, NONE, Plan(), seed=0)
    record = train(Gaussian(), TRAIN.rows(slice(0, 1)), NONE, Plan(max_steps=3), seed=0)
    assert (record.steps, record.best, record.epochs) == (3, None, 3.0)
    with pytest.raises(DataError, match="no records"):
        train(Gaussian(), NONE, NONE, Plan(max_steps=3), seed=0)


# ----------------------------------------------------------------------------------------------------------- safeguards


@pytest.mark.parametrize("script", [{60: float("nan")}, {60: float("inf")}, dict.fromkeys(range(56, 61), 1e4)])
def test_an_exploding_loss_is_rolled_back(script: dict[int, float]) -> None:
    log, family = io.StringIO(), Scripted(script)
    record = train(family, TRAIN, HELD_OUT, Plan(max_steps=400, validate_every=50), seed=0, log=log)
    assert record.rollbacks == (60,)
    # Forward call number k sees the weights after k - 1 steps.
    assert all(torch.equal(a, b) for a, b in zip(family.seen[60], family.seen[50], strict=True))
    rates = [float(str(line["rate"])) for line in events(log, "validation")]
    assert rates[:4] == [1.0, 0.5, 0.5, 0.5]
    torch.testing.assert_close(family.mean.double(), TRAIN.values.mean(0), atol=0.05, rtol=0)


def test_one_wild_minibatch_is_no_explosion() -> None:
    record = train(Scripted({60: 1e4}), TRAIN, HELD_OUT, Plan(max_steps=100), seed=0)
    assert record.rollbacks == ()


def test_a_gradient_that_is_not_finite_is_an_explosion() -> None:
    class Cusp(Scripted):
        def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
            loss = super().forward(batch, player, generator)
            return loss + (self.mean * 0).abs().sqrt().sum() if self.step == 30 else loss

    record = train(Cusp({}), TRAIN, HELD_OUT, Plan(max_steps=100), seed=0)
    assert record.rollbacks == (30,)
    assert record.best is not None


def test_divergence_is_an_error_with_the_curve() -> None:
    family = Scripted(dict.fromkeys(range(60, 1000), float("nan")))
    with pytest.raises(TrainingDiverged, match="exploded 5 times") as caught:
        train(family, TRAIN, HELD_OUT, Plan(max_steps=500, validate_every=25), seed=0)
    assert [step for step, _ in caught.value.curve] == [25, 50]
    assert all(parameter.isfinite().all() for parameter in family.parameters()) or family.step == 64


# --------------------------------------------------------------------------------------------- randomness, interruption


def weights(family: nn.Module) -> list[Tensor]:
    return [part.clone() for part in family.state_dict().values()]


def equal(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_seed_decides_and_global_generators_are_left_alone() -> None:
    fits, plan = [], Plan(max_steps=60)
    for seed in (3, 3, 4):
        torch.manual_seed(len(fits))
        family = Noisy()
        before = torch.get_rng_state()
        train(family, TRAIN, HELD_OUT, plan, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        fits.append(weights(family))
    assert equal(fits[0], fits[1])
    assert not equal(fits[0], fits[2])


@pytest.fixture
def whole() -> tuple[list[Tensor], TrainingRecord]:
    family = Noisy()
    record = train(family, TRAIN, HELD_OUT, Plan(max_steps=120, validate_every=25), seed=0)
    return weights(family), record


@pytest.mark.parametrize("at", [1, 24, 25, 97])
def test_an_interrupted_fit_goes_on_to_the_bit(
    at: int, tmp_path: Path, whole: tuple[list[Tensor], TrainingRecord]
) -> None:
    class Interrupted(Noisy):
        calls = 0

        def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
            self.calls += 1
            if self.calls == at:
                os.kill(os.getpid(), signal.SIGINT)
            return super().forward(batch, player, generator)

    plan = Plan(max_steps=120, validate_every=25)
    with pytest.raises(KeyboardInterrupt):
        train(Interrupted(), TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    found = Checkpoints(tmp_path, {})._files()
    assert len(found) == 1
    family = Noisy()
    record = train(family, TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path, resume=True)
    assert equal(weights(family), whole[0])
    assert record.curve == whole[1].curve
    again = Noisy()
    assert train(again, TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path, resume=True) == record
    assert equal(weights(again), whole[0])


def test_a_roll_back_after_a_resume_goes_back_as_far(tmp_path: Path) -> None:
    class Failing(Noisy):
        def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
            loss = super().forward(batch, player, generator)
            if int(self.passes) != 70 or not self.armed:
                return loss
            self.armed = False
            return loss * float("nan")

        armed = True

    plan = Plan(max_steps=120, validate_every=25, checkpoint_steps=10)
    family = Failing()
    record = train(family, TRAIN, HELD_OUT, plan, seed=0)
    assert record.rollbacks == (70,)

    class Stopped(Failing):
        def forward(self, batch: Batch, player: str, generator: torch.Generator) -> Tensor:
            if int(self.passes) == 60:
                raise RuntimeError("the power fails")
            return super().forward(batch, player, generator)

    with pytest.raises(RuntimeError, match="power"):
        train(Stopped(), TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path)
    resumed = Failing()
    assert train(resumed, TRAIN, HELD_OUT, plan, seed=0, checkpoint=tmp_path, resume=True).rollbacks == record.rollbacks
    assert equal(weights(resumed), weights(family))


# -------------------------------------------------------------------------------------------------------- what is told


def test_log_is_strict_json_and_the_record_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "fit.jsonl"
    record = train(Gaussian(), TRAIN, HELD_OUT, Plan(max_steps=60, validate_every=20), seed=0, log=path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", *["validation"] * 3, "end"]
    assert [line["step"] for line in lines[1:4]] == [20, 40, 60]
    assert lines[-1]["best"] == record.best
    assert TrainingRecord.from_json(json.loads(json.dumps(record.to_json(), allow_nan=False))) == record
    assert (record.parameters, record.device, record.threads) == (4, "cpu", torch.get_num_threads())
    assert record.epochs == pytest.approx(60 / 16)
