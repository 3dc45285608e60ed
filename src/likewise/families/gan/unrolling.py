"""The critic as it will be a few turns from now, as a function of the generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from likewise.families.gan.losses import Judge
from likewise.networks.dense import DenseCritic

UNROLLED = "unrolled."
"""How the names of what is remembered start."""


class _Judging(nn.Module):
    """A critic called on features."""

    def __init__(self, critic: DenseCritic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, features: Tensor) -> Tensor:
        return self.critic.judge(features)


class Unrolling:
    """Steps of the critic that gradients pass (Metz et al. 2016, section 2.2).

    The critic's parameters w become w_K(G), with w_0 = w and

        w_{k+1} = w_k - rate * g_k / (sqrt(v_k) + eps),  g_k = grad_w L(w_k, G),

    and the generator G makes its loss under w_K(G) small, whose gradient knows how the critic will answer. v_k is the
    mean square of g that Adam without momentum would have; it is a scale, and counts as a constant.
    """

    def __init__(self, steps: int, rate: float, beta2: float, eps: float, bound: float | None = None) -> None:
        self.steps, self._rate, self._beta2, self._eps, self._bound = steps, rate, beta2, eps, bound
        self._squares: dict[str, Tensor] = {}

    def state(self) -> Mapping[str, Tensor]:
        """What it remembers."""
        return {UNROLLED + name: part for name, part in self._squares.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Remembers that; other names are passed over."""
        self._squares = {name.removeprefix(UNROLLED): part for name, part in state.items() if name.startswith(UNROLLED)}

    def critic(self, critic: DenseCritic, loss: Callable[[Judge], Tensor]) -> Judge:
        """The critic that has minimised `loss`, drawn anew at each step, for so many steps; it stays as it is."""
        module = _Judging(critic)
        parameters = {name: part.detach().clone().requires_grad_() for name, part in module.named_parameters()}
        squares, weight = dict(self._squares), self._squares.get("weight", torch.zeros(()))

        def judge(features: Tensor) -> Tensor:
            numbers: Tensor = functional_call(module, parameters, (features,))
            return numbers

        for step in range(self.steps):
            slopes = torch.autograd.grad(loss(judge), list(parameters.values()), create_graph=True)
            weight = self._beta2 * weight + (1 - self._beta2)
            for (name, part), slope in zip(list(parameters.items()), slopes, strict=True):
                square = squares.get(name, torch.zeros_like(part)).lerp(slope.detach().square(), 1 - self._beta2)
                moved = part - self._rate * slope / ((square / weight.to(square)).sqrt() + self._eps)
                squares[name] = square.detach()
                parameters[name] = moved if self._bound is None else moved.clamp(-self._bound, self._bound)
            if step == 0:
                self._squares = {**squares, "weight": weight}
        return judge
