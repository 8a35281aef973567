"""Readers for `fit_stream`: files as blocks (X, y), one in memory, as often as needed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._sklearn import Interval, _align_api_if_sparse

__all__ = ["PATH", "SIZE", "Blocks", "check_names", "columns_of", "indicator", "warn_unknown"]

SIZE = Interval(Integral, 1, None, closed="left")
PATH = [str, os.PathLike]


class Blocks:
    """What the readers share: blocks by number, and one warning of unknown labels."""

    _name: str
    _warned = False

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.iter_from(0)

    def iter_from(self, n_blocks: int) -> Iterator[tuple[Any, Any]]:
        """Blocks after the first `n_blocks`, which are passed over without being parsed.

        Parameters
        ----------
        n_blocks : int
            Number of blocks to pass over.

        Yields
        ------
        X, y : {ndarray, CSR}, CSR or ndarray
            Rows and label sets of a block.
        """
        raw = islice(self._raw_blocks(), n_blocks, None)
        n_unknown = 0
        while (block := next(raw, None)) is not None:
            X, y, unknown = self._read(block)
            n_unknown += unknown
            # Nothing of a block stays while the next one is made.
            del block
            yield X, y
            del X, y
        if n_blocks == 0 and not self._warned:
            self._warned = True
            warn_unknown(n_unknown, self._name, stacklevel=2)

    def _raw_blocks(self) -> Iterator[Any]:
        raise NotImplementedError

    def _read(self, block: Any) -> tuple[Any, Any, int]:
        """X, y and the number of labels that are not known."""
        raise NotImplementedError


def indicator(lengths: np.ndarray, columns: np.ndarray, n_labels: int) -> Any:
    """CSR indicator of shape (n_rows, n_labels); columns of -1 are left out."""
    known = columns >= 0
    rows = np.repeat(np.arange(len(lengths)), lengths)[known]
    places = np.unique(rows * n_labels + columns[known])
    values = np.ones(len(places), dtype=np.int8)
    y = sp.csr_array((values, np.divmod(places, n_labels)), shape=(len(lengths), n_labels))
    return _align_api_if_sparse(y)


def check_names(target_names: Any) -> np.ndarray:
    """Names of labels as an array, or an error that says what is wrong with them."""
    names = np.asarray(target_names)
    if names.ndim != 1 or not len(names):
        raise ValueError(
            "target_names should be a 1-D array of at least one label name, got an array of "
            f"shape {names.shape}."
        )
    unique, counts = np.unique(names.astype(str), return_counts=True)
    if np.any(counts > 1):
        raise ValueError(
            f"target_names has {str(unique[counts > 1][0])!r} more than once; each label "
            "needs one column."
        )
    return names


def columns_of(target_names: np.ndarray) -> dict[str, int]:
    """Column of each name."""
    return {name: i for i, name in enumerate(target_names.astype(str).tolist())}


def warn_unknown(n_unknown: int, name: str, stacklevel: int) -> None:
    """Say once how many labels were left out."""
    if n_unknown:
        warnings.warn(
            f"{name} has {n_unknown} labels that are not in target_names; they are left out "
            "and the rows stay.",
            UserWarning,
            stacklevel=stacklevel,
        )
