"""The training loop: one function that can be read from top to bottom."""

from __future__ import annotations

import copy
import hashlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from likewise.engine.checkpoint import Checkpoints, fingerprint
from likewise.engine.device import Precision, choose_device, choose_precision, stopwatch, trainable_copy
from likewise.engine.learner import Learner, Observer
from likewise.engine.moving import Average, Moving, Seat, Tensors
from likewise.engine.plan import Plan
from likewise.engine.processes import Processes
from likewise.engine.progress import Progress
from likewise.engine.record import TrainingLog, TrainingRecord
from likewise.engine.schedule import due, early, factor, finished
from likewise.engine.standing import Standing
from likewise.errors import DataError, TrainingDiverged
from likewise.events import Batch

VALIDATION_TILE = 1024


def train(
    family: Learner,
    train: Batch,
    held_out: Batch,
    plan: Plan,
    *,
    seed: int,
    fresh: bool = True,
    checkpoint: Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    log: Path | TextIO | None = None,
) -> TrainingRecord:
    """Learns the parameters of `family` in place and leaves it with the averaged weights of the best validation.

    With `plan.max_time` None the outcome is a function of the arguments and the number of threads alone; on the
    processor to the bit, also when the fit was killed at some moment and resumed.

    Parameters
    ----------
    family : Learner
        A module that is called as `module(batch, player, generator)`.
    train, held_out : Batch
        `held_out` may be empty: then the averaged weights of the last step are kept, and the plan needs a budget.
    seed : int
        Of everything random in the fit. Torch's global generators are neither used nor changed.
    fresh : bool
        Whether the family has learned nothing yet, and prepares itself; else it goes on from the weights it has.
    checkpoint : Path or None
        A folder. Interrupting the fit (SIGINT) also leaves a checkpoint there.
    resume : bool
        Goes on from the newest checkpoint in the folder, if there is one. With another budget than before, the fit goes
        on from where the old one had not yet made the learning rate fall, as if it had had the new one all along.
    progress, log
        A line for a person, and a file that gets one line of JSON an event.

    Raises
    ------
    DataError
        When there is nothing to learn from, the checkpoint belongs to another fit, or another budget is used up there.
    ModelFileError
        When there are checkpoints to resume from, but none that can be read.
    TrainingDiverged
        When the loss leaves the finite numbers or explodes again and again.
    KeyboardInterrupt
        After a checkpoint has been written.
    """
    assert isinstance(family, nn.Module)
    if resume and checkpoint is None:
        raise DataError("resume=True needs checkpoint=, the folder to go on from.")
    plan = plan.settled(len(train), len(held_out))
    assert plan.batch_size is not None
    assert plan.validate_every is not None
    keeper = found = None
    if checkpoint is not None:
        facts = fingerprint(family, train, held_out, plan, seed, fresh)
        keeper = Checkpoints(checkpoint, facts, plan.checkpoint_seconds, plan.checkpoint_steps)
        found = keeper.newest() if resume else None

    processes, device = Processes.current(), choose_device(plan.device)
    with (
        _on_loan(family, device),
        _interruptible(keeper is not None) as interrupted,
        progress or Progress(enabled=False) as line,
        TrainingLog(log if processes.rank == 0 else None) as journal,
    ):
        # ---- setting up: records on the device, players with their optimisers, everything as it was in a checkpoint
        records = trainable_copy(train, device)
        judges = trainable_copy(_sample(held_out, plan.validation_records, seed), device)
        if fresh:
            family.prepare(records, _generator(device, seed, "prepare"))
        processes.same(family.state_dict().values())
        minibatches = Minibatches(len(records), plan.batch_size, seed, device, processes)

        def measure(precision: Precision) -> float:
            trial = copy.deepcopy(family)
            _lay_out(trial, precision)
            seat = _seats(trial, Processes(), device)[0]
            batch, noise = records.rows(minibatches(0)), _generator(device, seed, "probe")
            return stopwatch(lambda: seat.turn(batch, noise, precision, 0.0, plan.clip), device)

        if found is None:
            precision = choose_precision(plan.precision, family, device, plan.batch_size, measure)
        else:
            precision = Precision(**found[0]["precision"])
        _lay_out(family, precision)
        seats = _seats(family, processes, device)
        learned = list(dict.fromkeys(parameter for seat in seats for parameter in seat.parameters))
        average = Average(seats, plan.ema_decay)
        moving = Moving(family, seats, average, _generator(device, seed, "noise", processes.rank))
        standing = Standing()
        if found is not None:
            standing = Standing.from_json(found[0]["standing"])
            if keeper is not None and keeper.differing(found[0]):
                standing.extend(plan)
            moving.unpack(found[1])
            if processes.rank > 0:
                moving.noise = _generator(device, seed, "noise", processes.rank, standing.step)
        journal.write(
            "start" if found is None else "resume",
            step=standing.step,
            seconds=standing.elapsed,
            records=len(train),
            held_out=len(held_out),
            parameters=sum(parameter.numel() for parameter in learned),
            device=str(device),
            precision=precision.name,
            threads=torch.get_num_threads(),
            seed=seed,
            plan=vars(plan),
        )

        def everything() -> tuple[dict[str, Any], Tensors]:
            header = {"standing": standing.to_json(), "precision": vars(precision)}
            return header, moving.pack(standing.good_step == standing.step)

        # ---- the loop
        # Looking at a loss makes an accelerator wait, so there it is done rarely.
        look_every = 1 if device.type == "cpu" else 8
        first_step, start = standing.step, time.perf_counter() - standing.elapsed
        pending: list[tuple[str, Tensor]] = []
        while standing.stopped is None:
            # One step: every player takes its turn.
            if standing.cooling is None and (cooling := due(plan, standing.step, standing.elapsed)) is not None:
                if keeper is not None and processes.rank == 0:
                    keeper.keep_warm(*everything())
                standing.cool(cooling)
            rate = standing.scale * factor(plan, standing.step, standing.elapsed, standing.cooling)
            for seat in seats:
                if len(seats) > 1:
                    seat.focus()
                with average.in_place(seat.against):
                    for _ in range(seat.turns if standing.cooling is None else seat.late_turns):
                        batch = records.rows(minibatches(standing.draws))
                        pending.append((seat.name, seat.turn(batch, moving.noise, precision, rate, plan.clip)))
                        standing.draws += 1
            standing.step += 1
            average.update(standing.step)

            # Look at losses, clock and interruption, on which all processes agree.
            validating = standing.step % plan.validate_every == 0
            if not (validating or standing.step % look_every == 0 or standing.step == plan.max_steps):
                continue
            seen = torch.cat([figures for _, figures in pending]).tolist()
            seen += [time.perf_counter() - start, float(interrupted.is_set())]
            *looked, standing.elapsed, stopping = processes.mean(seen, device)
            exploded = False
            for (name, _), loss, norm in zip(pending, looked[::2], looked[1::2], strict=True):
                # A gradient that is not finite has spoilt the weights, whatever the loss was.
                exploded |= standing.take(name, loss if math.isfinite(norm) else math.nan, plan.explosion)
            pending.clear()

            # Roll back when a loss has exploded.
            if exploded:
                standing.fall_back()
                journal.write("rollback", step=standing.step, to=standing.good_step, learning_rate_scale=standing.scale)
                line.say(f"The loss exploded at step {standing.step}: back to {standing.good_step}, half the rate.")
                if standing.failures > plan.max_rollbacks:
                    raise TrainingDiverged(
                        f"The loss exploded {standing.failures} times, last at step {standing.step}, although the fit "
                        "went back each time and halved the learning rate: start with a lower one.",
                        standing.losses(),
                    )
                moving.roll_back()

            # Validate the averaged weights, keep the best, see whether they still improve.
            standing.stopped = finished(plan, standing.step, standing.elapsed, standing.cooling)
            if validating or standing.stopped is not None:
                figure = None
                if len(judges) > 0:
                    with average.in_place():
                        figure = _validate(family, judges, seed) if processes.rank == 0 else 0.0
                        figure = processes.from_first(figure, device)
                        if standing.judge(figure, plan.tolerance):
                            moving.keep_best()
                    if isinstance(family, Observer) and processes.rank == 0:
                        for remark in standing.note(family.remarks()):
                            journal.write("remark", step=standing.step, text=remark)
                            line.say(remark)
                if standing.stale >= plan.patience and standing.stopped is None:
                    if standing.cooling is None:
                        standing.cool(early(plan, standing.step, standing.elapsed))
                    else:
                        standing.stopped = "worsening"
                point = standing.mark(figure)
                if standing.calm:
                    standing.good_step = standing.step
                    moving.keep_good()
                journal.write("validation", **vars(point), best=standing.best, seconds=standing.elapsed, rate=rate)

            # Tell, save, stop.
            speed = (standing.step - first_step) / max(time.perf_counter() - start, 1e-9)
            line.show(plan, standing, speed, force=standing.stopped is not None)
            saving = keeper is not None and (keeper.due(standing.step) or stopping or standing.stopped is not None)
            if keeper is not None and saving and processes.rank == 0:
                keeper.write(standing.step, *everything())
            if stopping:
                journal.write("interrupted", step=standing.step, seconds=standing.elapsed)
                raise KeyboardInterrupt

        # ---- the family holds the best weights
        if len(judges) == 0:
            with average.in_place():
                moving.keep_best()
        elif standing.best is None:
            raise TrainingDiverged("The validation figure was never a finite number.", standing.losses())
        moving.load_best()
        outcome = TrainingRecord(
            steps=standing.step,
            epochs=standing.draws / minibatches.in_epoch,
            seconds=standing.elapsed,
            best=standing.best,
            best_step=standing.best_step,
            stopped=standing.stopped,
            curve=tuple(standing.curve),
            rollbacks=tuple(standing.rollbacks),
            remarks=tuple(standing.remarks),
            device=str(device),
            precision=precision.name,
            threads=torch.get_num_threads(),
            parameters=sum(parameter.numel() for parameter in learned),
            batch_size=plan.batch_size,
        )
        journal.write("end", **{name: fact for name, fact in outcome.to_json().items() if name != "curve"})
        return outcome


class Minibatches:
    """Minibatch number k of an endless walk through the records, each pass in an order of its own.

    A pass is cut into parts of equal size (to one record), at most `batch_size`, so that no small rest remains. The
    order depends on seed and pass alone, so that a walk can be taken up anywhere.
    """

    def __init__(self, records: int, batch_size: int, seed: int, device: torch.device, processes: Processes) -> None:
        self.records, self.in_epoch = records, math.ceil(records / batch_size)
        self._seed, self._device, self._processes = seed, device, processes
        self._epoch = -1
        self._order = torch.empty(0)

    def __call__(self, k: int) -> Tensor:
        """The positions of the records, this process's share of them."""
        epoch, part = divmod(k, self.in_epoch)
        if epoch != self._epoch:
            order = torch.randperm(self.records, generator=_generator("cpu", self._seed, "order", epoch))
            self._order, self._epoch = order.to(self._device), epoch
        start, stop = (self.records * edge // self.in_epoch for edge in (part, part + 1))
        return self._processes.share(self._order[start:stop])


def _validate(family: Learner, judges: Batch, seed: int) -> float:
    """The mean figure on held-out records, with the same noise every time."""
    assert isinstance(family, nn.Module)
    noise = _generator(judges.codes.device, seed, "validation")
    family.eval()
    with torch.no_grad():
        figures = [family.validate(tile, noise).cpu().double() for tile in judges.tiles(VALIDATION_TILE)]
    family.train()
    return float(torch.cat(figures).mean())


def _sample(batch: Batch, size: int, seed: int) -> Batch:
    """At most `size` of the records, chosen at random."""
    if len(batch) <= size:
        return batch
    return batch.rows(torch.randperm(len(batch), generator=_generator("cpu", seed, "held out"))[:size].sort().values)


def _generator(device: torch.device | str, seed: int, *purpose: object) -> torch.Generator:
    """A generator of its own for each purpose."""
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _seats(family: Learner, processes: Processes, device: torch.device) -> list[Seat]:
    assert isinstance(family, nn.Module)
    return [Seat(family, player, processes, device) for player in family.players()]


def _lay_out(module: nn.Module, precision: Precision) -> None:
    if precision.channels_last:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@contextmanager
def _on_loan(module: nn.Module, device: torch.device) -> Iterator[None]:
    """The module on the device, ready to learn; afterwards where it was, in evaluation mode."""
    home = next(module.parameters()).device
    requiring = {parameter for parameter in module.parameters() if parameter.requires_grad}
    module.to(device).train()
    try:
        yield
    finally:
        for parameter in module.parameters():
            parameter.requires_grad_(parameter in requiring)
            parameter.grad = None
        module.to(device=home, memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]


@contextmanager
def _interruptible(wanted: bool) -> Iterator[threading.Event]:
    """An event that SIGINT sets, so that a step is never cut in two; a second SIGINT interrupts at once."""
    event = threading.Event()
    main = threading.current_thread() is threading.main_thread()
    if not (wanted and main and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
        yield event
        return

    def note(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
