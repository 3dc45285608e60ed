"""What the settings of a variational autoencoder may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHOICES = {"prior": ("gaussian", "mixture", "flow"), "noise": ("learned", "fixed")}


def check(settings: Mapping[str, Any], counts: tuple[str, ...]) -> None:
    """ValueError, naming the setting, where one is out of range; those in `counts` are positive whole numbers."""
    for name, known in CHOICES.items():
        if settings[name] not in known:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, not {settings[name]!r}")
    for name in counts:
        if type(settings[name]) is not int or settings[name] < 1:
            raise ValueError(f"{name} must be a positive whole number, not {settings[name]!r}")
    if type(settings["warmup"]) is not int or settings["warmup"] < 0:
        raise ValueError(f"warmup must be a whole number of steps, not {settings['warmup']!r}")
    for name in ("beta", "free_bits", "weight_decay"):
        if settings[name] < 0:
            raise ValueError(f"{name} must not be negative, not {settings[name]!r}")
    for name in ("noise_scale", "learning_rate"):
        if not settings[name] > 0:
            raise ValueError(f"{name} must be positive, not {settings[name]!r}")
    for name in ("dropout", "ema_decay"):
        if not 0 <= settings[name] < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, not {settings[name]!r}")
    if not 0 <= settings["hidden_share"] <= 1:
        raise ValueError(f"hidden_share must be between 0 and 1, not {settings['hidden_share']!r}")
