"""Benchmarks of the registry, as ratios to limits measured in the same run. They print tables and fail nothing."""
