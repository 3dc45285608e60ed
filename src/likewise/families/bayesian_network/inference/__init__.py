"""Exact and approximate inference in discrete networks."""
