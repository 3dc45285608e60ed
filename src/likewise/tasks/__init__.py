"""What is done with any fitted model: one task a file."""
