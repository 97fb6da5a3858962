"""How fast the registry is, as ratios to limits measured in the same run. It prints a table and judges nothing."""
