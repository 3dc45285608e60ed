"""The autoregressive family: p(x) = p(x_1) p(x_2 | x_1) ..., in one order or as a mixture over several."""

from likewise.families.autoregressive.family import AutoregressiveFamily

__all__ = ["AutoregressiveFamily"]
