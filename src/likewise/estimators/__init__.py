"""What users hold: one estimator a family, its contract, its files, and the taxonomy."""
