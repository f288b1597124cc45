"""Which telephone rings for which dialled number: one table a company, the source of every dial plan."""
