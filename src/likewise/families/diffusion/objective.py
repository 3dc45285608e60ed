"""What a diffusion makes small: a bound of the codes, and the squared error of what is said of values with noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from likewise.events import Batch
from likewise.families.diffusion.views import View, labelled, masked, noised

if TYPE_CHECKING:
    from likewise.families.diffusion.family import DiffusionFamily


def losses(family: DiffusionFamily, batch: Batch, share: float, generator: torch.Generator) -> Tensor:
    """The loss (B,) of each record; a `share` of them are seen as evidence, see `views.py`.

    Of codes it is the mean of -log p over hidden ones, times how many codes there are. With the number of hidden codes
    uniform this is, on average, the negative log-probability along a random order (Uria et al. 2014, equation 8;
    Hoogeboom et al. 2022, equation 3): the bound of masked diffusion (Austin et al. 2021; Sahoo et al. 2024,
    equation 10).
    """
    size, entries = batch.codes.shape
    total = batch.values.new_zeros(size)
    hides = family.settings["label_dropout"] if family.given and family.training else 0.0
    told = torch.rand(size, 1, generator=generator, device=generator.device) >= hides
    if family.coded:
        view = labelled(masked(size, entries, family.coded, share, generator), family.given, told)
        logits = family.denoiser.codes(family.denoiser.context(batch.codes, batch.values, *view), generator).float()
        hidden = ~view.known[:, family.coded]
        mean = family.reader.mean_hidden(family.coded, logits, batch.codes, hidden)
        total = total - mean * len(family.coded)
    if family.values:
        view = labelled(noised(size, entries, share, generator), family.given, told)
        total = total + squared_errors(family, batch, view, generator)
    return total


def squared_errors(family: DiffusionFamily, batch: Batch, view: View, generator: torch.Generator) -> Tensor:
    """The squared errors (B,) of what the network says of values with noise, added up (Ho et al. 2020, equation 14)."""
    at, size, device = family.values, len(batch), generator.device
    uniform = torch.rand(size, len(family.dequantisation.quantised), generator=generator, device=device)
    here = (family.event.present(batch.codes) & view.known & ~view.exact)[:, at]
    values, lower, width = (part[:, at] for part in (batch.values, batch.lower, batch.width))
    x, _ = family.dequantisation(values, lower, width, here, None, uniform)
    # Levels of a minibatch are spread evenly over their quantiles (Kingma et al. 2021, appendix I.1).
    even = (torch.arange(size, device=device) + torch.rand(1, generator=generator, device=device)) / size
    level = family.schedule.draw(even[torch.randperm(size, generator=generator, device=device)]).to(x).unsqueeze(1)
    path = family.schedule.path(level)
    noise = torch.randn(x.shape, generator=generator, device=device).to(x)
    z = path.alpha * x + path.sigma * noise
    context = family.denoiser.context(batch.codes, batch.values, *view)
    said = family.denoiser.values(context, z, here, level.squeeze(1), generator).float()
    found: Tensor = ((said - path.target(family.prediction, x, noise)).square() * here).sum(1)
    return found
