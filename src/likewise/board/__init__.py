"""The side-by-side evaluation of several models on held-out records."""
