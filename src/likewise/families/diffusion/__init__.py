"""Diffusion models: codes are unmasked, values are denoised."""

from likewise.families.diffusion.family import DiffusionFamily

__all__ = ["DiffusionFamily"]
