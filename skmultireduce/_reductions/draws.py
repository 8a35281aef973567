"""Draws: the label that each row shows, the order of the rows, the fold of a row.

Pure functions of (seed, epoch, row). A draw does not depend on the order of the rows, on
how they are split into chunks, on threads or on earlier draws, so training can be
stopped, resumed, streamed or distributed and still sees the same labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._data.hashing import hash64, uniforms

__all__ = [
    "draw_labels",
    "fold_numbers",
    "row_order",
    "uniforms",
]

# Stream of the folds, which no epoch has.
_FOLDS = -1


def _rows_by_size(sizes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Sizes above 1, and the rows that have each."""
    for size in np.unique(sizes[sizes > 1]).tolist():
        yield size, np.flatnonzero(sizes == size)


def draw_labels(
    indptr: np.ndarray,
    *,
    seed: int,
    epoch: int,
    first_row: int = 0,
    method: str = "random",
    values: np.ndarray | None = None,
) -> np.ndarray:
    """Draw one label of each row.

    Parameters
    ----------
    indptr : ndarray of shape (n_rows + 1,), int64
        Offsets of the label sets.
    seed : int
        In [0, 2**63).
    epoch : int
        Number of the epoch, from 0.
    first_row : int, default=0
        Global number of the first row, for chunks.
    method : {"random", "cycle"}, default="random"
        ``"random"``: independent draws. ``"cycle"``: in any S consecutive epochs that
        start at a multiple of S, a row of S labels shows each of them once, in a random
        order (theory 1.3: the mean of S draws then has no variance).
    values : ndarray of shape (n_pairs,), default=None
        Positive weights; draws are in proportion. Only for ``"random"``.

    Returns
    -------
    position : ndarray of shape (n_rows,), int64
        Position of the drawn pair in the CSR arrays; ``indptr[i]`` for a row without
        labels.
    """
    sizes = np.diff(indptr)
    rows = np.arange(first_row, first_row + len(sizes))
    position = indptr[:-1].copy()
    if method == "random":
        u = uniforms(seed, epoch, rows)
        if values is None:
            position += (u * sizes).astype(np.int64)
            return position
        for size, group in _rows_by_size(sizes):
            # Sums row by row: in a sum over rows small weights would drown in those of other
            # rows, and a draw would depend on the rows before it.
            total = np.cumsum(values[position[group, None] + np.arange(size)], axis=1)
            drawn = np.sum(total <= u[group, None] * total[:, -1:], axis=1)
            # Rounding may lead out of the row.
            position[group] += np.minimum(drawn, size - 1)
        return position
    for size, group in _rows_by_size(sizes):
        # Rows of the same size form a matrix of random keys; the order of a row's keys is
        # its order of labels during `size` epochs.
        turn, step = divmod(epoch, size)
        counter = rows[group, None] * np.int64(size) + np.arange(size)
        keys = hash64(seed, np.int64(turn), counter.reshape(-1)).reshape(counter.shape)
        position[group] += np.argsort(keys, axis=1, kind="stable")[:, step]
    return position


def row_order(
    n_rows: int, *, seed: int, epoch: int, first_row: int = 0, shuffle: bool = True
) -> np.ndarray:
    """Order in which an epoch visits the rows.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    seed : int
        In [0, 2**63).
    epoch : int
        Number of the epoch, from 0.
    first_row : int, default=0
        Global number of the first row, for chunks, each with an order of its own.
    shuffle : bool, default=True
        If False, rows come as they are.

    Returns
    -------
    order : ndarray of shape (n_rows,), int64
    """
    if not shuffle:
        return np.arange(n_rows, dtype=np.int64)
    entropy = [seed, epoch, first_row] if first_row else [seed, epoch]
    return np.random.Generator(np.random.PCG64(entropy)).permutation(n_rows)


def fold_numbers(
    n_rows: int, *, seed: int, n_folds: int = 1, test_size: float | None = None, first_row: int = 0
) -> np.ndarray:
    """Fold in which each row is held out.

    A function of the global row number: folds do not depend on how rows are split into
    parts.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    seed : int
        In [0, 2**63).
    n_folds : int, default=1
        Each `n_folds` neighbouring rows are spread over the folds, in a random order.
    test_size : float, default=None
        Instead of `n_folds`: fold 0 is about this share of the rows, -1 the others.
    first_row : int, default=0
        Global number of the first row.

    Returns
    -------
    fold : ndarray of shape (n_rows,), int64
    """
    last = first_row + n_rows
    if test_size is not None:
        u = uniforms(seed, _FOLDS, np.arange(first_row, last))
        return np.where(u < test_size, 0, -1)
    first_group = first_row // n_folds
    counter = np.arange(first_group * n_folds, -(-last // n_folds) * n_folds)
    keys = hash64(seed, _FOLDS, counter).reshape(-1, n_folds)
    fold = np.argsort(keys, axis=1, kind="stable").ravel()
    return fold[first_row - first_group * n_folds :][:n_rows]
