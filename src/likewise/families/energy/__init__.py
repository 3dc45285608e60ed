"""Energy-based models: records are likely where an energy is low, and no more is said."""

from likewise.families.energy.family import EnergyFamily

__all__ = ["EnergyFamily"]
