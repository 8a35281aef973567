"""Scores of the best labels of rows, as CSR matrices; zeros and negative values are stored."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._kernels import cutoff as _kernels
from .._sklearn import _align_api_if_sparse

__all__ = ["best_columns", "check_request", "no_scores", "score_matrix", "select_scores"]

# Beyond this many labels of a row sorting is quicker than insertion.
_MOST_INSERTED = 128


def check_request(top_k: Any, threshold: Any) -> None:
    """Refuse what `predict_scores` cannot answer.

    Raises
    ------
    ValueError
        If neither is given, `top_k` is below 1 or `threshold` is NaN.
    TypeError
        If they are no numbers.
    """
    if top_k is None and threshold is None:
        raise ValueError(
            "predict_scores needs top_k (so many labels of each row), threshold (all labels with "
            "at least this score), or both."
        )
    for name, value, kind in (("top_k", top_k, Integral), ("threshold", threshold, Real)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
            raise TypeError(f"{name}={value!r} must be a number, or None.")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k} must be at least 1.")
    if threshold is not None and np.isnan(threshold):
        raise ValueError("threshold is NaN; give a number.")


def best_columns(values: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k highest values of each row, best first, ties by column; int32."""
    k = min(k, values.shape[1])
    if k <= _MOST_INSERTED:
        best = np.empty((len(values), k), dtype=np.int32)
        if k:
            _kernels.top_labels(np.ascontiguousarray(values), best)
        return best
    if k < values.shape[1]:
        # Of equal values at the end the first ones: what is above them, then they in order.
        last = -np.partition(-values, k - 1, axis=1)[:, k - 1, None]
        level = values == last
        free = k - np.count_nonzero(values > last, axis=1)[:, None]
        kept = (values > last) | (level & (np.cumsum(level, axis=1) <= free))
        columns = np.nonzero(kept)[1].reshape(len(values), k)
        values = np.take_along_axis(values, columns, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        return np.take_along_axis(columns, order, 1).astype(np.int32)
    return np.argsort(-values, axis=1, kind="stable").astype(np.int32)


def select_scores(
    values: np.ndarray, top_k: int | None, threshold: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of the `top_k` labels of each row, of those at or above `threshold`, or both.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_labels), float32 or float64
        Scores; ``-inf`` is never chosen.
    top_k : int or None
        So many labels of each row.
    threshold : float or None
        In the values' own type.

    Returns
    -------
    sizes : ndarray of shape (n_rows,), int64
        Number of chosen labels.
    labels : ndarray of shape (n_chosen,), int32
        Row by row, ascending.
    scores : ndarray of shape (n_chosen,)
        Their scores.
    """
    least = -np.inf if threshold is None else threshold
    if top_k is None:
        kept = values >= least
        if threshold is None or np.isneginf(threshold):
            kept = values > -np.inf
        rows, labels = np.nonzero(kept)
        return np.bincount(rows, minlength=len(values)), labels.astype(np.int32), values[kept]
    columns = np.sort(best_columns(values, top_k), axis=1)
    scores = np.take_along_axis(values, columns, 1)
    kept = (scores >= least) & (scores > -np.inf)
    return np.count_nonzero(kept, axis=1), columns[kept], scores[kept]


def no_scores(like: np.ndarray) -> Any:
    """CSR of no rows, in the type of an array of no rows."""
    return score_matrix([select_scores(like, 1, None)], like.shape[1])


def score_matrix(parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], n_labels: int) -> Any:
    """CSR of shape (n_rows, n_labels) from the selections of blocks of rows.

    Parameters
    ----------
    parts : iterable of tuple
        Of `select_scores`; at least one.
    n_labels : int
        Number of labels.

    Returns
    -------
    scores : CSR
        With ascending columns.
    """
    sizes, labels, scores = (np.concatenate(found) for found in zip(*parts, strict=True))
    indptr = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=indptr[1:])
    shape = (len(sizes), n_labels)
    return _align_api_if_sparse(sp.csr_array((scores, labels, indptr), shape=shape))
