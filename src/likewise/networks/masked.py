"""Masked autoregressive maps: every coordinate moves, by an amount that those before it in an order decide."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.networks.coupling import Elementwise
from likewise.networks.invertible import Invertible
from likewise.networks.smooth import smooth_centres, steps_and_bumps


class MaskedLinear(nn.Linear):
    """A linear layer whose outputs see the inputs of at most their own degree.

    Parameters
    ----------
    inputs, outputs : sequence of int
        The degree of each.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__(len(inputs), len(outputs))
        self._degrees = list(inputs), list(outputs)
        # Made when first asked for, and no buffer: it is neither learned nor taken from files.
        self._mask: Tensor | None = None

    def masked(self) -> Tensor:
        """The weights (outputs, inputs), those that do not count being 0."""
        weight = self.weight
        if self._mask is None or self._mask.device != weight.device or self._mask.dtype != weight.dtype:
            with torch.inference_mode(False):
                inputs, outputs = (torch.tensor(degrees, device=weight.device) for degrees in self._degrees)
                # A product with numbers takes a fraction of the time of one with booleans.
                self._mask = (inputs <= outputs.unsqueeze(1)).to(weight.dtype)
        return weight * self._mask

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.masked(), self.bias)


class MaskedNetwork(nn.Module):
    """A residual network whose outputs for a coordinate see only the coordinates before it (Germain et al. 2015).

    Each hidden unit has a degree, the number of leading coordinates it may see, the same in all layers; a unit sees the
    units of at most its own degree, and the outputs for the coordinate in place p those of degree at most p. Units are
    sorted by degree, so that all that a degree may see is one leading block of the weights: `Walk` lives by that.
    The last layer starts at zero.

    Parameters
    ----------
    order : sequence of int (D,)
        The coordinates, the one that sees no other first.
    features : int
        How many numbers say what a coordinate is; those of one coordinate stand side by side.
    context : int
        Numbers behind them, which all units see.
    outputs : int
        For each coordinate.
    width, layers, dropout : as those of `ResidualNetwork`
    """

    def __init__(
        self, order: Sequence[int], features: int, context: int, outputs: int, width: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        size = len(order)
        self.order, self.features, self.context, self.outputs = list(order), features, context, outputs
        self.dropout = dropout
        place = {i: at for at, i in enumerate(self.order)}
        # Without a context, a unit that sees no coordinate would be a constant.
        least = 0 if context or size == 1 else 1
        degrees = [least + unit * (size - least) // width for unit in range(width)]
        # The units of degree p are those from starts[p] to starts[p + 1].
        self.starts = [bisect_left(degrees, degree) for degree in range(size + 1)]
        seen_from = [place[i] + 1 for i in range(size) for _ in range(features)] + [0] * context
        self.enter = MaskedLinear(seen_from, degrees)
        self.first = nn.ModuleList(MaskedLinear(degrees, degrees) for _ in range(layers))
        self.second = nn.ModuleList(MaskedLinear(degrees, degrees) for _ in range(layers))
        self.leave = MaskedLinear(degrees, [place[i] for i in range(size) for _ in range(outputs)])
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, inputs: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Outputs (D * outputs, B), records side by side, of inputs (B, D * features + context)."""
        h = self.enter(inputs)
        for first, second in zip(self.first, self.second, strict=True):
            inner = F.silu(first(F.silu(h)))
            if self.training and self.dropout > 0:
                keep = torch.empty_like(inner).bernoulli_(1 - self.dropout, generator=generator)
                inner = inner * (keep / (1 - self.dropout))
            h = h + second(inner)
        return torch.addmm(self.leave.bias.unsqueeze(1), self.leave.masked(), F.silu(h).t())


class Walk:
    """The outputs of a `MaskedNetwork` for one coordinate after another, in its order.

    A unit is computed once, as soon as the coordinates that it sees are known: the whole walk takes no more
    multiplications than one pass. Units by records are kept in rows, so that those of one degree lie side by side.
    Nothing here has gradients or dropout.
    """

    def __init__(self, network: MaskedNetwork, size: int, context: Tensor | None) -> None:
        self.network = network
        weight = network.enter.weight
        width, known = len(weight), len(network.order) * network.features
        by_place = torch.tensor(network.order, device=weight.device)
        self._enter = weight[:, :known].view(width, -1, network.features)[:, by_place].reshape(width, known)
        self._inputs = weight.new_empty(known, size)
        bias = network.enter.bias.unsqueeze(1)
        if context is None:
            self._start = bias.expand(width, size)
        else:
            self._start = torch.addmm(bias, weight[:, known:], context.to(weight).t())
        # Before and within each residual layer, and before the last layer.
        self._units = weight.new_empty(2 * len(network.first) + 1, width, size)

    def outputs(self, place: int) -> Tensor:
        """The outputs (B, outputs) for the coordinate in this place; those in the places before it are known."""
        network, seen = self.network, self.network.starts[place + 1]
        new = slice(network.starts[place], seen)
        if new.start < new.stop:
            known = place * network.features
            h = torch.addmm(self._start[new], self._enter[new, :known], self._inputs[:known])
            for i, (first, second) in enumerate(zip(network.first, network.second, strict=True)):
                assert isinstance(first, MaskedLinear)
                assert isinstance(second, MaskedLinear)
                outer, inner = self._units[2 * i], self._units[2 * i + 1]
                torch.sigmoid(h, out=outer[new]).mul_(h)
                into = torch.addmm(first.bias[new].unsqueeze(1), first.weight[new, :seen], outer[:seen])
                torch.sigmoid(into, out=inner[new]).mul_(into)
                h = h.addmm_(second.weight[new, :seen], inner[:seen]).add_(second.bias[new].unsqueeze(1))
            torch.sigmoid(h, out=self._units[-1, new]).mul_(h)
        first_row = network.order[place] * network.outputs
        rows = slice(first_row, first_row + network.outputs)
        bias, weight = network.leave.bias[rows].unsqueeze(1), network.leave.weight[rows, :seen]
        return torch.addmm(bias, weight, self._units[-1, :seen]).t()

    def know(self, place: int, features: Tensor) -> None:
        """Takes the features (B, features) of the coordinate in this place."""
        count = self.network.features
        self._inputs[place * count : (place + 1) * count] = features.t()


class MaskedAutoregressive(Invertible):
    """y_i = g(x_i; network(x_j for all j before i, context)) (Papamakarios, Pavlakou and Murray 2017).

    The Jacobian is triangular in the order of the coordinates. The inverse goes through the coordinates one after
    another, computes each hidden unit once, and has no gradients.

    Parameters
    ----------
    order : sequence of int (D,)
        The coordinates, the one that moves by itself first.
    elementwise : Elementwise
    context : int
        The size of the context.
    width, layers, dropout : of its `MaskedNetwork`
    bumps : int
        Steps and bumps through which the network sees a coordinate, besides the coordinate itself.
    """

    fast = "forward"

    def __init__(
        self,
        order: Sequence[int],
        elementwise: Elementwise,
        context: int,
        width: int,
        layers: int,
        dropout: float = 0.0,
        bumps: int = 0,
    ) -> None:
        super().__init__()
        self.elementwise, self.bumps = elementwise, bumps
        if bumps:
            self.centres = nn.Buffer(smooth_centres(bumps))
        self.network = MaskedNetwork(order, 1 + 2 * bumps, context, elementwise.size, width, layers, dropout)

    def _features(self, x: Tensor, present: Tensor | None) -> Tensor:
        """What the network sees (..., features) of coordinates (...): nothing but zeros where they are absent."""
        seen = x.unsqueeze(-1)
        if not self.bumps:
            return seen
        smooth = steps_and_bumps(x, self.centres)
        if present is not None:
            smooth = smooth * present.unsqueeze(-1)
        return torch.cat([seen, smooth], -1)

    def forward(
        self,
        x: Tensor,
        present: Tensor | None = None,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        if present is not None:
            x = x.masked_fill(~present, 0.0)
        inputs = self._features(x, present).flatten(1)
        if context is not None:
            inputs = torch.cat([inputs, context], 1)
        raw = self.network(inputs, generator).t().view(*x.shape, self.elementwise.size)
        y, log_slope = self.elementwise(x, raw, False)
        if present is not None:
            y, log_slope = y * present, log_slope * present
        return y.to(x.dtype), log_slope.sum(1)

    @torch.no_grad()
    def inverse(self, y: Tensor, present: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        # Coordinates in rows, so that those of one place lie side by side.
        columns, x = y.t().contiguous(), y.new_empty(y.shape[1], len(y))
        here = None if present is None else present.t()
        walk = Walk(self.network, len(y), context)
        for place, i in enumerate(self.network.order):
            found, _ = self.elementwise(columns[i], walk.outputs(place), True)
            x[i] = found if here is None else found.masked_fill(~here[i], 0.0)
            walk.know(place, self._features(x[i], None if here is None else here[i]))
        return x.t().contiguous()
