"""Generative adversarial networks: noise is mapped to records that a critic cannot tell from real ones."""

from likewise.families.gan.family import GANFamily

__all__ = ["GANFamily"]
