"""All the tensors that a fit changes: players with their optimisers, averaged weights, and copies to return to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from likewise.engine.device import Precision
from likewise.engine.learner import Learner, Player
from likewise.engine.processes import Processes
from likewise.events import Batch

Tensors = dict[str, Tensor]


class Average:
    """The exponential moving average of parameters, `a <- d a + (1 - d) w`, with `d` growing as (1 + t) / (10 + t).

    The growth forgets the untrained weights quickly: after t steps the average reaches back about t / 9 of them.
    Players may have decays of their own.
    """

    def __init__(self, seats: Sequence[Seat], decay: float) -> None:
        own = {
            parameter: decay if seat.ema_decay is None else seat.ema_decay
            for seat in seats
            for parameter in seat.parameters
        }
        self.parameters: list[Tensor] = list(own)
        self.values = [parameter.detach().clone() for parameter in own]
        self._groups = {
            decay: [i for i, each in enumerate(own.values()) if each == decay] for decay in dict.fromkeys(own.values())
        }
        place = {parameter: i for i, parameter in enumerate(own)}
        self._of_seat = {seat.name: [place[parameter] for parameter in seat.parameters] for seat in seats}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes up the weights after step number `step`, the first being 1."""
        for longest, places in self._groups.items():
            decay = min(longest, (1 + step) / (10 + step))
            values, parameters = ([part[i] for i in places] for part in (self.values, self.parameters))
            torch._foreach_lerp_(values, parameters, 1 - decay)

    @contextmanager
    def in_place(self, players: Sequence[str] | None = None) -> Iterator[None]:
        """Within, the parameters hold their average: those of some players, or all."""
        names = self._of_seat if players is None else players
        places = sorted({i for name in names for i in self._of_seat[name]})
        if not places:
            yield
            return
        parameters = [self.parameters[i] for i in places]
        kept = [parameter.detach().clone() for parameter in parameters]
        try:
            _put(parameters, [self.values[i] for i in places])
            yield
        finally:
            _put(parameters, kept)


class Seat:
    """A player at the table: its parameters, its optimiser, and the module through which it computes its loss."""

    def __init__(self, family: nn.Module, player: Player, processes: Processes, device: torch.device) -> None:
        self.name = player.name
        self.turns = player.steps
        self.late_turns = player.steps if player.late_steps is None else player.late_steps
        self.against = tuple(player.against)
        self.ema_decay = player.ema_decay
        self.learning_rate = player.learning_rate
        self.parameters = list(dict.fromkeys(player.parameters))
        self._family = family
        self.focus()
        self._module = processes.wrap(family, device)
        # Biases and gains are not pulled to zero: that would be a statement about the data.
        decaying = [p for p in self.parameters if p.dim() > 1 and player.weight_decay > 0]
        others = [p for p in self.parameters if p.dim() <= 1 or player.weight_decay == 0]
        groups = [(decaying, player.weight_decay), (others, 0.0)]
        self.optimiser = torch.optim.AdamW(
            [{"params": group, "weight_decay": decay} for group, decay in groups if group],
            lr=player.learning_rate,
            betas=player.betas,
            eps=player.eps,
            fused=device.type in ("cpu", "cuda", "mps"),
        )

    def focus(self) -> None:
        """Lets gradients flow to this player's parameters and no others."""
        mine = set(self.parameters)
        for parameter in self._family.parameters():
            parameter.requires_grad_(parameter in mine)

    def turn(self, batch: Batch, noise: torch.Generator, precision: Precision, rate: float, clip: float) -> Tensor:
        """One step of the optimiser; the loss and the norm of its gradient."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * rate
        self.optimiser.zero_grad(set_to_none=True)
        with precision.autocast(batch.codes.device):
            loss: Tensor = self._module(batch, self.name, noise)
        loss.float().backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, clip)
        self.optimiser.step()
        return torch.stack((loss.detach().float(), norm.detach().float()))


class Moving:
    """All tensors that steps change, and the two copies of them that matter: the best weights, the last good state."""

    def __init__(self, family: Learner, seats: Sequence[Seat], average: Average, noise: torch.Generator) -> None:
        assert isinstance(family, nn.Module)
        self.family, self.seats, self.average, self.noise = family, seats, average, noise
        self.best: Tensors = {}
        self.good: Tensors = self._capture()

    def keep_best(self) -> None:
        """Remembers the present weights as the best."""
        self.best = {name: part.detach().clone() for name, part in self.family.state_dict().items()}

    def load_best(self) -> None:
        self._load(self.best)

    def keep_good(self) -> None:
        """Remembers the present state as one to go back to."""
        self.good = self._capture()

    def roll_back(self) -> None:
        """Goes back to the last good state; randomness goes on, so that the way forward is another one."""
        self._restore(self.good)

    def pack(self, good_is_now: bool) -> Tensors:
        """Everything, for a checkpoint; a good state that is the present one is not written twice."""
        parts = [("best", self.best), ("now", self._capture()), ("good", {} if good_is_now else self.good)]
        packed = {f"{prefix}.{name}": part for prefix, tensors in parts for name, part in tensors.items()}
        return {**packed, "noise": self.noise.get_state()}

    def unpack(self, packed: Tensors) -> None:
        """Everything as it was when it was packed."""
        self.noise.set_state(packed["noise"])
        device = next(self.family.parameters()).device
        self.best = {name: part.to(device) for name, part in _under("best", packed).items()}
        # Through the optimisers and back, so that copies have the same device and layout as in a fit never stopped.
        self._restore(_under("good", packed) or _under("now", packed))
        self.good = self._capture()
        self._restore(_under("now", packed))

    def _capture(self) -> Tensors:
        tensors = {f"weights.{name}": part for name, part in self.family.state_dict().items()}
        tensors |= {f"average.{i}": part for i, part in enumerate(self.average.values)}
        tensors |= {f"learner.{name}": part for name, part in self.family.learner_state().items()}
        for seat in self.seats:
            for i, parameter in enumerate(seat.parameters):
                moments = seat.optimiser.state.get(parameter, {})
                tensors |= {f"optimiser.{seat.name}.{i}.{key}": part for key, part in moments.items()}
        return {name: part.detach().clone() for name, part in tensors.items()}

    def _restore(self, tensors: Tensors) -> None:
        self._load(_under("weights", tensors))
        for i, part in enumerate(self.average.values):
            part.copy_(tensors[f"average.{i}"])
        current = self.family.learner_state()
        self.family.load_learner_state(
            {
                name: part.to(current[name].device if name in current else part.device, copy=True)
                for name, part in _under("learner", tensors).items()
            }
        )
        for seat in self.seats:
            seat.optimiser.state.clear()
            for name, part in _under(f"optimiser.{seat.name}", tensors).items():
                index, key = name.split(".", 1)
                parameter = seat.parameters[int(index)]
                # The layout in memory must be the parameter's own, or the next step might round differently.
                layout = parameter if part.shape == parameter.shape else part
                moment = torch.empty_like(layout, dtype=part.dtype, device=parameter.device)
                seat.optimiser.state[parameter][key] = moment.copy_(part)

    @torch.no_grad()
    def _load(self, weights: Tensors) -> None:
        for name, part in self.family.state_dict().items():
            part.copy_(weights[name])


@torch.no_grad()
def _put(parameters: list[Tensor], values: list[Tensor]) -> None:
    torch._foreach_copy_(parameters, values)


def _under(prefix: str, tensors: Tensors) -> Tensors:
    return {name[len(prefix) + 1 :]: part for name, part in tensors.items() if name.startswith(prefix + ".")}
