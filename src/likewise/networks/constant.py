"""Tensors that follow from how a network was built: kept with it, never in its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class Constant:
    """A tensor made from an array when it is first asked for on a device.

    A buffer would do, but a model that is rebuilt from a file is built without memory: what is not read from the file
    must be made afterwards.

    Examples
    --------
    >>> Constant(np.array([2, 0])).on(torch.device("cpu"))
    tensor([2, 0])
    """

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array
        self._made: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """The tensor on this device."""
        if device not in self._made:
            with torch.inference_mode(False):  # what is made while scoring must serve learning too
                self._made[device] = torch.tensor(self.array, device=device)
        return self._made[device]
