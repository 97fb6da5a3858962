"""What the projections share: bitemporal tables in SQLite, their buffer and cache, queries, text index, annotations."""
