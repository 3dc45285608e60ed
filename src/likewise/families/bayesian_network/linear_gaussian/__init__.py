"""Networks whose values are linear in their parents, with Gaussian noise."""
