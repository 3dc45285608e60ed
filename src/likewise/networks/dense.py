"""Networks on the dense view of an event: from noise to records, and from records to a number."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from likewise.dense_view import DenseView
from likewise.events import Event
from likewise.networks.smooth import smooth_centres, steps_and_bumps
from likewise.networks.spectral import SpectralLinear


class DenseResidual(nn.Module):
    """h + W2 s(W1 s(h)) with s the leaky rectifier: no normalisation, and the identity at first.

    With `spectral` both maps have norm 1, and it is not the identity at first.
    """

    def __init__(self, width: int, spectral: bool = False) -> None:
        super().__init__()
        linear = SpectralLinear if spectral else nn.Linear
        self.first = linear(width, width)
        self.second = linear(width, width)
        if not spectral:
            nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h: Tensor) -> Tensor:
        change: Tensor = self.second(F.leaky_relu(self.first(F.leaky_relu(h, 0.2)), 0.2))
        return h + change


class DenseGenerator(nn.Module):
    """Noise (B, latent) to numbers (B, outputs), by residual layers.

    Parameters
    ----------
    event : Event
    latent, width, layers, outputs : int
        Dimensions of the noise, units of a layer, number of residual layers, numbers given.
    """

    def __init__(self, event: Event, latent: int, width: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.enter = nn.Linear(latent, width)
        self.layers = nn.ModuleList(DenseResidual(width) for _ in range(layers))
        self.leave = nn.Linear(width, outputs)

    def forward(self, noise: Tensor) -> Tensor:
        h = self.enter(noise)
        for layer in self.layers:
            h = layer(h)
        out: Tensor = self.leave(F.leaky_relu(h, 0.2))
        return out


class DenseFeatures(nn.Module):
    """What a critic sees of the dense view: indicators of codes, and smooth steps and bumps of values.

    A value becomes itself, `bumps` logistic steps and as many Gaussian bumps over [-3, 3] normal scores, all of them 0
    where no value is present: fine detail of a marginal is then a linear function of them.
    """

    def __init__(self, event: Event, bumps: int) -> None:
        super().__init__()
        view = DenseView(event)
        places = [i for i, column in enumerate(view.value_columns) if column is not None]
        self.codes = [c for columns in view.code_columns for c in range(columns.start, columns.stop)]
        self.values = [column for column in view.value_columns if column is not None]
        # A value whose entry has one code is always present: its gate is the constant column behind the view.
        gates = [view.code_columns[i] for i in places]
        self.gates = [gate.start if gate.stop > gate.start else view.size for gate in gates]
        self.centres = nn.Buffer(smooth_centres(bumps))
        self.size = len(self.codes) + len(places) * (2 * bumps + 1)

    def forward(self, dense: Tensor) -> Tensor:
        """Features (B, size) of a dense view, which may be relaxed."""
        if not self.values:
            return dense
        values = dense[:, self.values]
        smooth = torch.cat([values.unsqueeze(-1), steps_and_bumps(values, self.centres)], -1)
        present = F.pad(dense, (0, 1), value=1.0)[:, self.gates].unsqueeze(-1)
        return torch.cat([dense[:, self.codes], (smooth * present).flatten(1)], 1)


class DenseCritic(nn.Module):
    """A number for each pack of `pack` records, from their features side by side (Lin et al. 2018 for packs).

    Parameters
    ----------
    event : Event
    width, layers, bumps, pack : int
    dropout : float
        Of the last layer.
    spectral : bool
        Whether every linear map has norm 1 (Miyato et al. 2018); a residual layer then at most doubles a distance.
    """

    def __init__(
        self,
        event: Event,
        width: int,
        layers: int,
        bumps: int = 16,
        pack: int = 1,
        dropout: float = 0.0,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        self.pack, self.dropout = pack, dropout
        self.features = DenseFeatures(event, bumps)
        linear = SpectralLinear if spectral else nn.Linear
        self.enter = linear(pack * self.features.size, width)
        self.layers = nn.ModuleList(DenseResidual(width, spectral) for _ in range(layers))
        self.leave = linear(width, 1)

    def iterate(self, rounds: int = 1) -> None:
        """Rounds of power iteration in every map that is spectrally normalised."""
        for module in self.modules():
            if isinstance(module, SpectralLinear):
                module.iterate(rounds)

    def packed(self, dense: Tensor) -> Tensor:
        """Features (B // pack, pack * size) of records in packs; those that fill no pack are left out."""
        if len(dense) < self.pack:
            dense = dense[torch.arange(self.pack, device=dense.device) % len(dense)]
        packs = len(dense) // self.pack
        features: Tensor = self.features(dense[: packs * self.pack])
        return features.reshape(packs, -1)

    def judge(self, features: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The number (N,) of packs given as features (N, pack * size)."""
        h = self.enter(features)
        for layer in self.layers:
            h = layer(h)
        h = F.leaky_relu(h, 0.2)
        if self.training and self.dropout > 0:
            keep = torch.rand(h.shape, generator=generator, device=h.device) >= self.dropout
            h = h * (keep / (1 - self.dropout))
        out: Tensor = self.leave(h)
        return out.squeeze(1)

    def forward(self, dense: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.judge(self.packed(dense), generator)
