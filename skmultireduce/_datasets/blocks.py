"""Readers for `fit_stream`: files as blocks (X, y), one in memory, as often as needed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._data.notices import warn
from .._sklearn import Interval, _align_api_if_sparse

__all__ = ["PATH", "SIZE", "Blocks", "LabelCount", "check_names", "columns_of", "indicator"]

SIZE = Interval(Integral, 1, None, closed="left")
PATH = [str, os.PathLike]


class LabelCount:
    """How many labels of a source have a column, and how many have not.

    Parameters
    ----------
    name : str
        Name of the source.
    target_names : ndarray of shape (n_labels,)
        The labels that have a column.
    """

    def __init__(self, name: str, target_names: np.ndarray) -> None:
        self.name = name
        self.target_names = target_names
        self.n_known = 0
        self.n_unknown = 0
        self.example: Any = None

    def add(self, n_known: int, unknown: list) -> None:
        """Count the labels of some rows."""
        self.n_known += int(n_known)
        if unknown and not self.n_unknown:
            self.example = unknown[0]
        self.n_unknown += len(unknown)

    @property
    def message(self) -> str | None:
        """What is to be said; None if there is nothing."""
        if not self.n_unknown:
            return None
        if not self.n_known:
            return (
                f"None of the {self.n_unknown} labels of {self.name} is in target_names: a label "
                f"is {_short(self.example)}, a name {_short(self.target_names[0])}. Give the "
                "names as they are in the file, without what marks a label."
            )
        return (
            f"{self.name} has {self.n_unknown} labels that are not in target_names, "
            f"{_short(self.example)} for one; they are left out and the rows stay."
        )

    def warn(self) -> None:
        """Say it."""
        if self.message is not None:
            warn("unknown labels", self.message)


def _short(value: Any) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class Blocks:
    """What the readers share: blocks by number, and one warning of unknown labels."""

    target_names: np.ndarray
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
        count = LabelCount(self._name, self.target_names)
        while (block := next(raw, None)) is not None:
            X, y, unknown = self._read(block)
            count.add(y.nnz if sp.issparse(y) else np.count_nonzero(y), unknown)
            # Nothing of a block stays while the next one is made.
            del block
            yield X, y
            del X, y
        if n_blocks == 0 and not self._warned:
            self._warned = True
            if count.n_unknown and not count.n_known:
                raise ValueError(count.message)
            count.warn()
            self._warn()

    def _raw_blocks(self) -> Iterator[Any]:
        raise NotImplementedError

    def _read(self, block: Any) -> tuple[Any, Any, list]:
        """X, y and the labels that are not known."""
        raise NotImplementedError

    def _warn(self) -> None:
        """What else is to be said after the first reading."""


def indicator(lengths: np.ndarray, columns: np.ndarray, n_labels: int) -> Any:
    """CSR indicator of shape (n_rows, n_labels); columns of -1 are left out."""
    known = columns >= 0
    rows = np.repeat(np.arange(len(lengths)), lengths)[known]
    places = np.unique(rows * n_labels + columns[known])
    values = np.ones(len(places), dtype=np.int8)
    y = sp.csr_array((values, np.divmod(places, n_labels)), shape=(len(lengths), n_labels))
    return _align_api_if_sparse(y)


def check_names(target_names: Any) -> np.ndarray:
    """Names of labels as an array, of objects if they are strings.

    In an array of strings, all would take the memory of the longest one.

    Parameters
    ----------
    target_names : array-like of shape (n_labels,)

    Returns
    -------
    names : ndarray of shape (n_labels,)

    Raises
    ------
    ValueError
        If they are not in one dimension, or two are the same.
    """
    if isinstance(target_names, list | tuple) and any(isinstance(n, str) for n in target_names):
        names = np.empty(len(target_names), dtype=object)
        names[:] = target_names
    else:
        names = np.asarray(target_names)
    if names.ndim != 1 or not len(names):
        raise ValueError(
            "target_names should be a 1-D array of at least one label name, got an array of "
            f"shape {names.shape}."
        )
    if names.dtype.kind in "UT":
        names = names.astype(object)
    name, count = Counter(map(str, names.tolist())).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"target_names has {_short(name)} more than once; each label needs one column."
        )
    return names


def columns_of(target_names: np.ndarray) -> dict[str, int]:
    """Column of each name."""
    return {str(name): i for i, name in enumerate(target_names.tolist())}
