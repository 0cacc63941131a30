"""Tests of the contract between training and serving."""

from hypothesis import settings

reproducible = settings(derandomize=True, database=None, deadline=None, max_examples=100)
"""The same examples on every run; a test may ask for fewer or more with `settings(reproducible, ...)`."""
