"""Texts to matrices by the compiled pass of ``_kernels/text.pyx``."""
