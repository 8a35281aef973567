"""Dense rows of the linear model, block of rows by block of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data.rows import WIDE, DenseRows, Rows
from .._kernels import dense as _kernel
from .._kernels import mlp as _products
from .._reductions.targets import Targets
from .memory import aligned_zeros, padded
from .model import Visit

__all__ = ["BlockWork", "block_scores", "takes_blocks"]

# Threads of a softmax, which meet at each row, pay only if each has this many labels.
_LABELS_A_THREAD = 256

# Rows that predictions take at once.
_ROWS = 64


def takes_blocks(rows: Rows) -> bool:
    """Whether blocks of these rows are faster than one row after the other."""
    return isinstance(rows, DenseRows) and rows.shape[1] >= WIDE


def _block_size(n_labels: int) -> int:
    """Rows of a block: the more labels, the less the rows' inner products matter.

    Measured with AVX-512, as share of the rate of sgemm on blocks of 64 rows: 768 features
    and 20 labels .39 with 16 rows, .32 with 64; 384 and 200 .96, 1.0, .73 and .64 with 16, 32,
    64 and 128; 768 and 1,000 .55, .81, 1.2 and 1.2.
    """
    return 16 if n_labels < 64 else 32 if n_labels < 400 else 64


class BlockWork:
    """Room for the epochs of a training.

    Parameters
    ----------
    n_features, n_labels : int
    softmax : bool
        Whether threads share the labels; else they have panels of their own.
    n_threads : int
        Threads that may be used.
    n_panels : int
    dtype : dtype
    """

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        softmax: bool,
        n_threads: int,
        n_panels: int,
        dtype: Any,
    ) -> None:
        self.n_labels = n_labels
        self.softmax = softmax
        n_blocks = len(_kernel.label_bounds(n_labels)) - 1
        if not softmax:
            self.n_threads = min(n_threads, n_panels)
        elif _products.HAS_THREADS:
            self.n_threads = max(1, min(n_threads, n_labels // _LABELS_A_THREAD))
        else:
            self.n_threads = 1
        size = _block_size(n_labels)
        columns = padded(n_labels if softmax else min(n_labels, _products.LABEL_BLOCK), dtype)
        flipped = (n_features, size) if _products.PRODUCTS_PAY else (0, 0)
        shapes = (
            (size, n_features),
            flipped,
            (2, size, size),
            (3, size),
            (2, size, columns),
            (3, padded(n_labels, dtype)),
        )
        self._rooms = []
        for _ in range(self.n_threads if softmax else n_panels):
            arrays = [aligned_zeros(shape, dtype) for shape in shapes]
            arrays[-1][0] = 1
            self._rooms.append(
                (*arrays, np.zeros(n_blocks + 1, np.int64), np.zeros(size, np.int64))
            )
        # Of a softmax; a cache line each, or several.
        n_own = -(-n_blocks // self.n_threads)
        line = 8 + 2 * n_own * np.dtype(dtype).itemsize
        self._meeting = aligned_zeros((self.n_threads, size, 8 * -(-line // 64)), np.int64)
        self._barrier = np.zeros(16, np.int64)

    def begin(self) -> None:
        """Prepare for an epoch in which threads meet."""
        self._meeting[:] = 0

    def train(
        self,
        number: int,
        panel: tuple[int, int, np.ndarray],
        parameters: tuple[np.ndarray, np.ndarray],
        rows: DenseRows,
        targets: Targets,
        visit: Visit,
        max_step: np.ndarray,
        rates: tuple[float, float],
        loss: np.ndarray,
    ) -> None:
        """Train an epoch on a panel, or as thread `number` of a softmax.

        Parameters
        ----------
        number : int
            Of the panel or thread.
        panel : tuple
            First and last label, weights.
        parameters : tuple of ndarray
            Intercepts, and the factor of the weights.
        rows, targets, visit, max_step, loss
            As in the kernel.
        rates : tuple of float
            Penalty, and rate of the intercepts.
        """
        first, last, weights = panel
        _kernel.dense_epoch(
            (weights, *parameters),
            rows.matrix,
            visit.order,
            (
                *visit.shown,
                targets.label_sets.indices,
                targets.label_weight,
                targets.row_weight,
                targets.loss.code,
                targets.soft_target,
            ),
            max_step,
            # The middle of each row's interval.
            visit.eta[0] - visit.eta_change / 2,
            visit.eta_change,
            *rates,
            first,
            last,
            self.n_labels,
            _products.PRODUCTS_PAY,
            number if self.softmax else 0,
            self.n_threads if self.softmax else 1,
            self._barrier,
            self._meeting,
            self._rooms[number],
            loss,
        )


def block_scores(
    panel: tuple[int, int, np.ndarray],
    intercepts: np.ndarray,
    decay: float,
    rows: DenseRows,
    first: int,
    last: int,
    out: np.ndarray,
) -> None:
    """Scores of the rows first:last for a panel of labels into the columns of out."""
    first_label, last_label, weights = panel
    _kernel.dense_scores(
        weights,
        intercepts,
        decay,
        rows.matrix,
        first,
        last,
        first_label,
        last_label,
        _products.PRODUCTS_PAY,
        np.empty((min(_ROWS, max(1, last - first)), rows.shape[1]), dtype=out.dtype),
        out,
    )
