"""Finding the graph: scores, searches, comparison."""
