"""How far samples of a diffusion are from the truth for want of steps, along levels spaced in several ways.

    python benchmarks/diffusion_levels.py

Denoisers are exact, those of mixtures of normals in one dimension with variance one, so that all that is wrong is the
sampler's. The figure is the greatest difference between the distribution functions of samples, started at evenly spaced
quantiles of noise, and of the mixture: the worst over the mixtures. Levels are spaced evenly in their logarithm, which
is the default, or as Karras et al. (2022), equation 5, with rho = 7 have it; `high` and `low` are the first and last.
"""

from __future__ import annotations

import torch
from torch import Tensor

from likewise.mathematics.samplers import Denoiser, last, sampled, start
from likewise.mathematics.schedules import even_levels

MIXTURES = {
    "normal": ([0.0], 1.0, [1.0]),
    "two": ([-1.0, 1.0], 0.25, [0.5, 0.5]),
    "narrow": ([-1.0, 1.0], 0.06, [0.3, 0.7]),
    "five": ([-2.0, -1.0, 0.0, 1.0, 2.0], 0.08, [0.1, 0.2, 0.4, 0.2, 0.1]),
    "spike": ([0.0, 1.0], 0.02, [0.6, 0.4]),
}
"""Name -> means, deviation of every part, weights; then scaled to mean 0 and variance 1."""

QUANTILES = ((torch.arange(4_000, dtype=torch.float64) + 0.5) / 4_000).unsqueeze(1)


class Mixture:
    def __init__(self, means: list[float], deviation: float, weights: list[float]) -> None:
        at, self.weights = torch.tensor(means, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)
        centre = (self.weights * at).sum()
        scale = ((self.weights * (at - centre).square()).sum() + deviation**2).sqrt()
        self.means, self.deviation = (at - centre) / scale, float(deviation / scale)

    def denoise(self, y: Tensor, level: float) -> Tensor:
        variance = self.deviation**2 + level**2
        part = torch.softmax(self.weights.log() - (y - self.means).square() / (2 * variance), 1)
        return (part * (self.means + (y - self.means) * self.deviation**2 / variance)).sum(1, keepdim=True)

    def cdf(self, x: Tensor) -> Tensor:
        return (self.weights * torch.special.ndtr((x - self.means) / self.deviation)).sum(1, keepdim=True)


def karras(low: float, high: float, steps: int, rho: float = 7.0) -> list[float]:
    """Rising levels (steps + 1,) of Karras et al. (2022), equation 5."""
    return torch.linspace(low ** (1 / rho), high ** (1 / rho), steps + 1, dtype=torch.float64).pow(rho).tolist()


def error(mixture: Mixture, denoise: Denoiser, levels: list[float]) -> float:
    noise = torch.special.ndtri(QUANTILES)
    falling = torch.tensor([*reversed(levels), 0.0], dtype=torch.float64)
    drawn = last(sampled("dpm++", denoise, start(noise, levels[-1]), falling, torch.Generator()))
    return float((mixture.cdf(drawn) - QUANTILES).abs().max())


def main() -> None:
    mixtures = [Mixture(*parts) for parts in MIXTURES.values()]
    counts = (8, 16, 24, 32, 48, 64)
    print(f"{'levels':28}" + "".join(f"{steps:>8} steps" for steps in counts))
    for name, spaced in (("equation 5", karras), ("logarithm", even_levels)):
        for high in (80.0, 40.0):
            for low in (0.002, 0.005):
                worst = [max(error(m, m.denoise, spaced(low, high, steps - 1)) for m in mixtures) for steps in counts]
                print(f"{name:12}{high:>6} .. {low:<8}" + "".join(f"{found:>14.4f}" for found in worst))


if __name__ == "__main__":
    main()
