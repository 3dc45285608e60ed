"""What the settings of a GAN may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from likewise.families.gan.emission import Codes, Start
from likewise.families.gan.losses import GAMES, Penalty

CHOICES = {"loss": tuple(GAMES), "penalty": get_args(Penalty), "codes": get_args(Codes), "start": get_args(Start)}


def check_settings(named: Mapping[str, str], sizes: Mapping[str, int], rates: Mapping[str, float]) -> None:
    """Refuses settings that mean nothing: ValueError, naming the first of them."""
    for name, chosen in named.items():
        if chosen not in CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(CHOICES[name])}, not {chosen!r}")
    for name, value in sizes.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} must be a positive whole number, not {value!r}")
    for name, rate in rates.items():
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate >= 0:
            raise ValueError(f"{name} must be a number of at least 0, not {rate!r}")
    if not rates["temperature"] > 0 or not max(rates[name] for name in ("ema_decay", "beta1", "beta2")) < 1:
        raise ValueError("temperature must be positive, and ema_decay, beta1 and beta2 below 1")
