"""Rows, label sets, weights: input as typed records."""
