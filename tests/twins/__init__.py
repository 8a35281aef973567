"""Slow NumPy twins of the compiled kernels."""
