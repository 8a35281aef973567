"""Predictions of a model, block of rows by block of rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from sklearn import get_config

from .._data.blocks import iter_row_blocks
from .._data.rows import Rows
from .._data.score_matrix import score_matrix, select_scores
from .._kernels import linear as _kernel
from .._models.model import Model

__all__ = [
    "LINKS",
    "all_scores",
    "best_scores",
    "kept_inside",
    "nearest_simplex",
    "positives",
    "top_labels",
]

# Results of prediction are made in blocks of at most this size (and at most scikit-learn's
# working_memory): small enough to stay in cache between the passes over them.
_BLOCK_MIB = 8.0


def _half_rows(scores: np.ndarray) -> None:
    """Turn scores into (1 + score) / 2, in place."""
    scores += 1
    scores /= 2


# What makes probabilities of a block of scores, in place; what is not in [0, 1] is clipped.
LINKS = {"softmax": _kernel.softmax_rows, "logistic": _kernel.expit_rows, "linear": _half_rows}


def _for_blocks(
    model: Model,
    rows: Rows,
    function: Callable[[slice], Any],
    n_threads: int,
    itemsize: int = 8,
) -> list:
    """Call a function for blocks of rows, in threads; results in order."""
    size = min(_BLOCK_MIB, get_config()["working_memory"])
    blocks = list(iter_row_blocks(rows.shape[0], itemsize * model.n_labels, size))
    n_threads = min(n_threads, len(blocks))
    with model.scoring(rows):
        if n_threads <= 1:
            return [function(block) for block in blocks]
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(function, blocks))


def _fill(model: Model, rows: Rows, block: slice, out: np.ndarray) -> None:
    model.scores(rows, block.start, block.stop, out)
    if not np.isfinite(np.sum(out, dtype=np.float64)):
        raise ValueError(
            f"The scores of some rows of X overflow {model.dtype}. Scale X as in training, "
            "or set dtype='float64'."
        )


def _block_scores(model: Model, rows: Rows, block: slice) -> np.ndarray:
    out = np.empty((block.stop - block.start, model.n_labels), dtype=model.dtype)
    _fill(model, rows, block, out)
    return out


def kept_inside(probabilities: np.ndarray) -> np.ndarray:
    """Clip to what is strictly between 0 and 1, in place; float32 rounds to them."""
    smallest, largest = _inside(probabilities.dtype)
    # np.clip's answer; for a single row at a third of its time.
    np.maximum(probabilities, smallest, out=probabilities)
    return np.minimum(probabilities, largest, out=probabilities)


@cache
def _inside(dtype: np.dtype) -> tuple[Any, Any]:
    one = dtype.type(1)
    return np.finfo(dtype).tiny, np.nextafter(one, one - one)


def all_scores(
    model: Model, rows: Rows, *, link: str | None = None, n_threads: int = 1
) -> np.ndarray:
    """Scores of all labels, or probabilities.

    Parameters
    ----------
    model : Model
    rows : Rows
    link : {"softmax", "logistic", "linear"} or None, default=None
        What makes probabilities of scores; they are then strictly between 0 and 1.
    n_threads : int, default=1

    Returns
    -------
    scores : ndarray of shape (n_rows, n_labels)

    Raises
    ------
    ValueError
        If a score is not finite.
    """
    out = np.empty((rows.shape[0], model.n_labels), dtype=model.dtype)

    def fill(block: slice) -> None:
        part = out[block]
        _fill(model, rows, block, part)
        if link is not None:
            LINKS[link](part)
            kept_inside(part)

    _for_blocks(model, rows, fill, n_threads, out.itemsize)
    return out


def best_scores(
    model: Model,
    rows: Rows,
    top_k: int | None,
    threshold: float | None,
    *,
    finish: Callable[[np.ndarray], np.ndarray],
    n_threads: int = 1,
) -> Any:
    """Scores of the best labels of each row; never of all rows and labels at once.

    Parameters
    ----------
    model : Model
    rows : Rows
    top_k : int or None
        So many labels of each row.
    threshold : float or None
        Labels with at least this.
    finish : callable
        What is compared and given, of an array of scores (n, n_labels); may change it.
    n_threads : int, default=1

    Returns
    -------
    scores : CSR of shape (n_rows, n_labels)

    Raises
    ------
    ValueError
        If a score is not finite.
    """

    def select(block: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return select_scores(finish(_block_scores(model, rows, block)), top_k, threshold)

    parts = _for_blocks(model, rows, select, n_threads, model.dtype.itemsize)
    return score_matrix(parts, model.n_labels)


def nearest_simplex(values: np.ndarray) -> np.ndarray:
    """The rows of numbers >= 0 that sum to 1 which are nearest to these rows.

    All that is positive loses the same, so the order stays.
    """
    sorted_values = -np.sort(-values, axis=1)
    excess = np.cumsum(sorted_values, axis=1) - 1
    counts = np.arange(1, values.shape[1] + 1)
    kept = np.count_nonzero(sorted_values * counts > excess, axis=1)
    lost = excess[np.arange(len(values)), kept - 1] / kept
    return np.maximum(values - lost[:, None], 0)


def top_labels(model: Model, rows: Rows, *, n_threads: int = 1) -> np.ndarray:
    """Label with the largest score of each row, int32; the first of equal ones."""

    def top(block: slice) -> np.ndarray:
        return _block_scores(model, rows, block).argmax(axis=1)

    found = _for_blocks(model, rows, top, n_threads)
    return np.concatenate(found).astype(np.int32)


def positives(model: Model, rows: Rows, *, n_threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a score of at least 0, as offsets of the rows and label numbers."""

    def positive(block: slice) -> tuple[np.ndarray, np.ndarray]:
        hit = _block_scores(model, rows, block) >= 0
        return hit.sum(axis=1), np.nonzero(hit)[1].astype(np.int32)

    parts = _for_blocks(model, rows, positive, n_threads)
    indptr = np.zeros(rows.shape[0] + 1, dtype=np.int64)
    np.cumsum(np.concatenate([sizes for sizes, _ in parts]), out=indptr[1:])
    return indptr, np.concatenate([labels for _, labels in parts])
