"""Networks of discrete nodes: bins, tables and trees, and how they are learned."""
