"""Bayesian networks: a graph over the columns, exact in every answer."""
