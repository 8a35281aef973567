"""Compiled inner loops; their slow NumPy twins stand with the tests."""
