"""Trees of hidden states, one behind every column: exact like any tree, close to the data like a deep model."""
