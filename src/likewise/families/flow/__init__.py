"""Normalizing flows: an invertible map takes records to a simple distribution, and back."""

from likewise.families.flow.family import FlowFamily

__all__ = ["FlowFamily"]
