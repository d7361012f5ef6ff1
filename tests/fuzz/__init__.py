"""Damaged files for every reader: small samples, seeded changes of their bytes, and what may come of reading them."""
