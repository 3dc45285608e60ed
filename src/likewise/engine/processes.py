"""Several processes under `torchrun`, or the one there usually is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Processes:
    """This process's place among those that fit together. The caller starts and ends the process group."""

    rank: int = 0
    world: int = 1

    @classmethod
    def current(cls) -> Processes:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return cls(torch.distributed.get_rank(), torch.distributed.get_world_size())
        return cls()

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module with gradients averaged over processes, for the parameters that require one now."""
        if self.world == 1:
            return module
        # A player may leave some of its parameters without a gradient in some turns.
        place = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=place, find_unused_parameters=True)

    def share(self, index: Tensor) -> Tensor:
        """This process's part of a minibatch; never empty."""
        if self.world == 1:
            return index
        places = torch.arange(self.rank, max(len(index), self.rank + 1), self.world, device=index.device)
        return index[places % len(index)]

    def mean(self, figures: list[float], device: torch.device) -> list[float]:
        """The means over processes, the same numbers to the bit in all of them."""
        if self.world == 1:
            return figures
        total = torch.tensor(figures, dtype=torch.float64, device=device)
        torch.distributed.all_reduce(total)
        means: list[float] = (total / self.world).tolist()
        return means

    def same(self, tensors: Iterable[Tensor]) -> None:
        """Copies what the first process holds to all."""
        if self.world > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor, src=0)

    def from_first(self, figure: float, device: torch.device) -> float:
        """The first process's figure, in all of them."""
        if self.world == 1:
            return figure
        tensor = torch.tensor(figure, dtype=torch.float64, device=device)
        torch.distributed.broadcast(tensor, src=0)
        return tensor.item()
