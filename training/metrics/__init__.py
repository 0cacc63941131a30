"""Measures on exported graphs and arrays: no torch."""
