"""Rows: every container that X may come in, as typed buffers for the kernels.

The only module that knows X's containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_array, validate_data

from .naming import naming
from .sparse import check_sparse, stacked_offsets

__all__ = ["WIDE", "DenseRows", "Rows", "read_X", "to_rows"]

# Dense X is converted, and looked through, in blocks of rows of about this size.
_BLOCK_BYTES = 2**22

# From so many features on the linear model takes dense rows by the block (with 32 features that
# is slower than one by one for most numbers of labels, with 100 faster for all), and converts
# them as it does: dense X stays in the form that it has. Else it is converted at once.
WIDE = 64

_NO_INDEX = np.empty(0, dtype=np.int32)
_NO_OFFSET = np.empty(0, dtype=np.int64)
_LARGEST = np.finfo(np.float32).max


@dataclass(frozen=True)
class Rows:
    """Rows of X as the kernels take them.

    Parameters
    ----------
    data : ndarray of shape (n_values,), float32 or float64
        The non-zero values; all values, row by row, if X is dense.
    indices : ndarray of shape (n_values,), int32 or int64
        Column of each value; empty if X is dense.
    indptr : ndarray of shape (n_rows + 1,), int64
        Where each row starts; empty if X is dense.
    shape : tuple of int
        (n_rows, n_features)
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]

    @property
    def dense(self) -> bool:
        """Whether X is dense."""
        return self.indptr.shape[0] == 0

    def take(self, rows: np.ndarray) -> Rows:
        """The given rows (integer indices), in that order."""
        shape = (len(rows), self.shape[1])
        sizes = np.diff(self.indptr)[rows]
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(sizes, out=indptr[1:])
        values = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], sizes)
        return Rows(self.data[values], self.indices[values], indptr, shape)

    def part(self, first: int, last: int) -> Rows:
        """The rows first:last; shares memory with these."""
        if (first, last) == (0, self.shape[0]):
            return self
        shape = (last - first, self.shape[1])
        start, stop = self.indptr[first], self.indptr[last]
        return Rows(
            self.data[start:stop],
            self.indices[start:stop],
            self.indptr[first : last + 1] - start,
            shape,
        )

    @classmethod
    def stacked(cls, parts: list[Rows]) -> Rows:
        """The rows of all parts, all of them dense or all of them sparse."""
        if len(parts) == 1:
            return parts[0]
        if parts[0].dense:
            return DenseRows(
                np.concatenate([part.data.reshape(part.shape) for part in parts]),
                parts[0].data.dtype,
            )
        return cls(
            np.concatenate([part.data for part in parts]),
            np.concatenate([part.indices for part in parts]),
            stacked_offsets([part.indptr for part in parts]),
            (sum(part.shape[0] for part in parts), parts[0].shape[1]),
        )

    @cached_property
    def squared_norms(self) -> np.ndarray:
        """Squared Euclidean norm of each row, float64."""
        out = np.zeros(self.shape[0])
        filled = np.flatnonzero(np.diff(self.indptr))
        # In pieces, so that the float64 squares never take as much memory as X.
        for chunk in np.array_split(filled, max(1, len(self.data) // 4_000_000)):
            if len(chunk):
                first = self.indptr[chunk[0]]
                part = self.data[first : self.indptr[chunk[-1] + 1]].astype(np.float64)
                out[chunk] = np.add.reduceat(part * part, self.indptr[chunk] - first)
        return out

    def nonzero_counts(self) -> np.ndarray:
        """Number of values of each column that are not 0, int64."""
        indices = self.indices if self.data.all() else self.indices[self.data != 0]
        return np.bincount(indices, minlength=self.shape[1])

    def absolute_sums(self) -> np.ndarray:
        """Sum of the absolute values of each row, float64."""
        out = np.zeros(self.shape[0])
        filled = np.flatnonzero(np.diff(self.indptr))
        if len(filled):
            # Of a part of the rows the data may go on behind the last one.
            data = np.abs(self.data[: self.indptr[-1]])
            out[filled] = np.add.reduceat(data, self.indptr[filled], dtype=np.float64)
        return out


class DenseRows(Rows):
    """Rows of a dense X in the form that it came in, of any layout, or mapped from a file.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_features), float16, float32 or float64
    dtype : dtype
        ``float32`` or ``float64``: type of `data`.
    """

    matrix: np.ndarray
    dtype: np.dtype

    def __init__(self, matrix: np.ndarray, dtype: Any) -> None:
        values = {
            "matrix": matrix,
            "dtype": np.dtype(dtype),
            "indices": _NO_INDEX,
            "indptr": _NO_OFFSET,
            "shape": matrix.shape,
        }
        # The class that it inherits from is frozen.
        self.__dict__.update(values)

    def __reduce__(self) -> tuple:
        return DenseRows, (self.matrix, self.dtype)

    @cached_property
    def data(self) -> np.ndarray:
        """All values, row by row: of a matrix that is not C-ordered or of another type a copy."""
        # The compiler may take numbers to lie at multiples of their size, as they do but in
        # views of files and messages.
        return np.require(self.matrix, self.dtype, requirements="CAE").reshape(-1)

    def take(self, rows: np.ndarray) -> DenseRows:
        """The given rows (integer indices), in that order."""
        return DenseRows(self.matrix[rows], self.dtype)

    def part(self, first: int, last: int) -> DenseRows:
        """The rows first:last; shares memory with these."""
        if (first, last) == (0, self.shape[0]):
            return self
        return DenseRows(self.matrix[first:last], self.dtype)

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Slices of the rows, each with their values as `dtype`."""
        step = max(1, _BLOCK_BYTES // max(1, 8 * self.shape[1]))
        for first in range(0, self.shape[0], step):
            block = slice(first, min(first + step, self.shape[0]))
            yield block, np.asarray(self.matrix[block], dtype=self.dtype)

    @cached_property
    def squared_norms(self) -> np.ndarray:
        """Squared Euclidean norm of each row, float64."""
        out = np.empty(self.shape[0])
        for block, values in self.blocks():
            np.einsum("ij,ij->i", values, values, dtype=np.float64, out=out[block])
        return out

    def nonzero_counts(self) -> np.ndarray:
        """Number of values of each column that are not 0, int64."""
        # In int32, which blocks need at most: half the time of np.count_nonzero along an axis.
        parts = ((values != 0).sum(axis=0, dtype=np.int32) for _, values in self.blocks())
        return sum(parts, np.int64(0))

    def absolute_sums(self) -> np.ndarray:
        """Sum of the absolute values of each row, float64."""
        out = np.empty(self.shape[0])
        for block, values in self.blocks():
            np.abs(values).sum(axis=1, dtype=np.float64, out=out[block])
        return out


def _stays(X: Any, dtype: Any) -> bool:
    """Whether X is a dense array that the kernels can read as it is."""
    return (
        isinstance(X, np.ndarray)
        and not isinstance(X, np.ma.MaskedArray | np.matrix)
        and X.ndim == 2
        and X.shape[1] >= WIDE
        and X.dtype in (np.float16, np.float32, np.float64)
        and X.dtype.isnative
        and X.flags.aligned
        and not (X.dtype == dtype and X.flags.c_contiguous)
    )


def _check_finite(rows: DenseRows, estimator: Any, input_name: str) -> None:
    """Raise scikit-learn's error if a value is not finite as `dtype`."""
    for _, values in rows.blocks():
        if not np.isfinite(np.sum(values, dtype=np.float64)):
            check_array(values, dtype=rows.dtype, estimator=estimator, input_name=input_name)


def read_X(  # noqa: N802
    estimator: Any, X: Any, *, dtype: Any, reset: bool, input_name: str = "X"
) -> Rows:
    """Validate X with scikit-learn's rules and give it as `Rows`.

    Parameters
    ----------
    estimator : object
        Gets ``n_features_in_`` and ``feature_names_in_`` if `reset`, is checked against
        them otherwise.
    X : {array-like, sparse} of shape (n_samples, n_features)
        Any container that scikit-learn accepts. Not changed; converted to `dtype` at most
        once, or by the block of rows if it is an array with many features.
    dtype : dtype
        ``float32`` or ``float64``.
    reset : bool
        Whether this is the X of a first fit.
    input_name : str, default="X"
        Name in error messages.

    Returns
    -------
    rows : Rows
    """
    check_sparse(X, input_name)
    if not reset and _is_plain(estimator, X):
        return to_rows(X, dtype)
    # Values beyond the range of `dtype` become infinite, and infinity is rejected.
    with np.errstate(over="ignore"), naming(input_name):
        if _stays(X, dtype):
            X = validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
            rows = DenseRows(np.asarray(X), dtype)
            _check_finite(rows, estimator, input_name)
            return rows
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=dtype,
            order="C",
            accept_large_sparse=True,
        )
    return to_rows(X)


def _is_plain(estimator: Any, X: Any) -> bool:
    """Whether scikit-learn's checks have nothing to say to X and leave it as it is.

    They take longer than the scores of a single text. X is a CSR matrix of floats whose
    structure was checked, and has no names.
    """
    if (
        type(X) not in (sp.csr_matrix, sp.csr_array)
        or X.dtype not in (np.float32, np.float64)
        or X.ndim != 2
        or not X.shape[0]
        or X.shape[1] != getattr(estimator, "n_features_in_", None)
        or hasattr(estimator, "feature_names_in_")
    ):
        return False
    # What float32 cannot hold is left to them, too; a NaN is not at most anything.
    largest = np.abs(X.data).max(initial=0)
    return bool(largest <= _LARGEST)


def to_rows(X: Any, dtype: Any = None) -> Rows:
    """`Rows` of a validated dense C-ordered array or CSR matrix, with values of `dtype`."""
    if not sp.issparse(X):
        return DenseRows(np.require(X, requirements="CAE"), X.dtype)
    if not X.has_canonical_format:
        # Sorted, without duplicates: results then do not depend on the container that X
        # came in. On a copy, the caller's matrix stays as it is.
        X = X.copy()
        X.sum_duplicates()
    # indptr may be shorter than the buffers of a sliced or pruned matrix.
    nnz = int(X.indptr[-1])
    # Aligned, as `DenseRows.data`.
    index_dtype = np.int64 if X.indices.dtype.itemsize == 8 else np.int32
    return Rows(
        _buffer(X.data[:nnz], X.dtype if dtype is None else dtype),
        _buffer(X.indices[:nnz], index_dtype),
        _buffer(X.indptr, np.int64),
        X.shape,
    )


def _buffer(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Values as a kernel takes them; at a fifth of the time that np.require takes."""
    values = np.asarray(values)
    if values.dtype == dtype and values.flags.c_contiguous and values.flags.aligned:
        return values
    return np.array(values, dtype=dtype, order="C")
