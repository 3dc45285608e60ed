"""Tables: columns of numbers, categories, dates and blanks become events, and come back as they were."""

from likewise.domains.table.table import Table

__all__ = ["Table"]
