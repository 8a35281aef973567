"""Data: an embedded real data set, files, whole and in blocks, and laws with a known truth."""

from __future__ import annotations

from ._datasets.extreme import XMCBlocks, read_xmc, write_xmc
from ._datasets.fasttext import FastTextBlocks, iter_fasttext, read_fasttext
from ._datasets.label_set_laws import make_label_sets
from ._datasets.parquet import ParquetBlocks
from ._datasets.python_imports import load_python_imports
from ._datasets.svmlight import SVMLightBlocks

__all__ = [
    "FastTextBlocks",
    "ParquetBlocks",
    "SVMLightBlocks",
    "XMCBlocks",
    "iter_fasttext",
    "load_python_imports",
    "make_label_sets",
    "read_fasttext",
    "read_xmc",
    "write_xmc",
]
