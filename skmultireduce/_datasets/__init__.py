"""Readers and generators of data, a file each."""
