"""Pure functions on tensors: no data frames, no modules, no state. The lowest floor of the house."""
