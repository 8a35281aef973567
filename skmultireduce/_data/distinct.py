"""How many different rows have come by, in memory that does not grow with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .hashing import hash64
from .label_sets import LabelSets
from .rows import Rows

__all__ = ["DistinctRows"]

# 2 ** 12 registers of a byte: a relative standard error of 1.6 %.
_INDEX_BITS = 12
_N_REGISTERS = 2**_INDEX_BITS
_BIAS = 0.7213 / (1 + 1.079 / _N_REGISTERS)


def _row_hashes(rows: Rows, label_sets: LabelSets) -> np.ndarray:
    """64 bits for each row, of its non-zero values and its labels."""
    n_rows, n_features = rows.shape
    out = np.zeros(n_rows, dtype=np.uint64)
    if rows.dense:
        for block, values in rows.blocks():
            out[block] = _value_hashes(np.arange(n_features), values).sum(axis=1)
    else:
        filled = np.flatnonzero(np.diff(rows.indptr))
        if len(filled):
            hashes = _value_hashes(rows.indices, rows.data)
            out[filled] = np.add.reduceat(hashes, rows.indptr[filled])
    filled = np.flatnonzero(label_sets.sizes)
    if len(filled):
        hashes = hash64(1, label_sets.indices, np.zeros(len(label_sets.indices), np.uint64))
        out[filled] += np.add.reduceat(hashes, label_sets.indptr[filled])
    return out


def _value_hashes(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """64 bits for each value and its column; 0 for a 0, which sparse rows need not store."""
    bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
    hashes = hash64(0, columns, bits)
    hashes[values == 0] = 0
    return hashes


@dataclass
class DistinctRows:
    """Estimate of the number of distinct pairs of a row and its label set.

    HyperLogLog (Flajolet, Fusy, Gandouet and Meunier 2007) over hashes of the values and
    labels: in whatever order and batches the rows come again, they do not count again. Equal
    rows within a batch do count, as many times as the batch has them.

    Parameters
    ----------
    registers : ndarray of shape (4096,), uint8
    """

    registers: np.ndarray = field(default_factory=lambda: np.zeros(_N_REGISTERS, np.uint8))

    def add(self, rows: Rows, label_sets: LabelSets) -> None:
        """Count the rows of a batch."""
        hashes = np.sort(_row_hashes(rows, label_sets))
        new = np.flatnonzero(np.append(True, hashes[1:] != hashes[:-1]))
        occurrence = np.arange(len(hashes)) - np.repeat(new, np.diff(np.append(new, len(hashes))))
        bits = hash64(2, occurrence, hashes)
        place = (bits >> np.uint64(64 - _INDEX_BITS)).astype(np.intp)
        rest = bits << np.uint64(_INDEX_BITS)
        # Position of the first bit that is set, from 1.
        rank = 64 - np.floor(np.log2(np.maximum(rest, 1).astype(np.float64))).astype(np.int64)
        rank = np.minimum(rank, 64 - _INDEX_BITS + 1).astype(np.uint8)
        registers = self.registers.copy()
        np.maximum.at(registers, place, rank)
        self.registers = registers

    @property
    def count(self) -> float:
        """The estimate; exact to about a percent."""
        n_empty = int(np.count_nonzero(self.registers == 0))
        estimate = _BIAS * _N_REGISTERS**2 / np.sum(2.0 ** -self.registers.astype(np.float64))
        if estimate <= 2.5 * _N_REGISTERS and n_empty:
            return float(_N_REGISTERS * np.log(_N_REGISTERS / n_empty))
        return float(estimate)
