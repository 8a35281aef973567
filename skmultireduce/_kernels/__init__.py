"""Compiled inner loops; `skmultireduce._reference` holds their NumPy twins."""
