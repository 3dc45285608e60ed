"""Variational autoencoders: latents decoded to records, learned through an encoder that bounds their likelihood."""

from likewise.families.vae.family import VAEFamily

__all__ = ["VAEFamily"]
