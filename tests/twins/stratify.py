"""Slow NumPy twin of ``_kernels/stratify.pyx``, for the tests."""

from __future__ import annotations

import numpy as np

__all__ = ["assign_folds", "exchange_rows"]


def assign_folds(
    indicator: np.ndarray,
    share: np.ndarray,
    size_weight: float,
    wanted: np.ndarray,
    room: np.ndarray,
) -> np.ndarray:
    """Place rows into folds, the rarest label first.

    Parameters
    ----------
    indicator : ndarray of shape (n_rows, n_labels), bool
        At least one label in each row.
    share : ndarray of shape (n_folds,), float64
        Part of the rows that each fold gets, or zeros for equal folds.
    size_weight : float
        How many labels the size of a fold counts for.
    wanted : ndarray of shape (n_labels, n_folds), int64
        How many rows of each label each fold should get, or zeros for equal folds.
    room : ndarray of shape (n_folds,), int64
        How many rows each fold gets.

    Returns
    -------
    folds : ndarray of shape (n_rows,), int32

    Notes
    -----
    The order among labels with equally many rows left is the kernel's: the label that came
    to this number last is first, and at the start the first label.
    """
    wanted, room = wanted.copy(), room.copy()
    folds = np.full(len(indicator), -1, dtype=np.int32)
    n_labels = indicator.shape[1]
    arrival = -np.arange(n_labels)
    clock = 0
    while np.any(folds < 0):
        left = indicator[folds < 0].sum(axis=0)
        rarest = np.flatnonzero(left == left[left > 0].min())
        label = rarest[np.argmax(arrival[rarest])]
        for row in np.flatnonzero(indicator[:, label] & (folds < 0)):
            labels = np.flatnonzero(indicator[row])
            rows_left = np.count_nonzero(folds < 0)
            need = size_weight * (room / rows_left - share)
            for other in labels:
                need += wanted[other] / np.sum(indicator[folds < 0, other]) - share
            open_folds = room > 0
            if np.any(open_folds & (wanted[label] > 0)):
                open_folds &= wanted[label] > 0
            fold = np.argmax(np.where(open_folds, need, -np.inf))
            folds[row] = fold
            room[fold] -= 1
            for other in labels:
                wanted[other, fold] -= 1
                clock += 1
                arrival[other] = clock
    return folds


def exchange_rows(
    indicator: np.ndarray, wanted: np.ndarray, folds: np.ndarray, budget: int
) -> np.ndarray:
    """Exchange rows of two folds while that makes the sum of squares of `wanted` smaller.

    Parameters
    ----------
    indicator : ndarray of shape (n_rows, n_labels), bool
    wanted : ndarray of shape (n_labels, n_folds), int64
        How many rows of each label each fold lacks.
    folds : ndarray of shape (n_rows,), int32
    budget : int
        How many rows, and labels of rows, may be looked at.

    Returns
    -------
    folds : ndarray of shape (n_rows,), int32
    """
    wanted, folds = wanted.copy(), folds.copy()
    n_rows, n_labels = indicator.shape
    start, careful = 0, True

    def exchange(label: int) -> bool:
        nonlocal budget, start, wanted
        most, least = np.argmin(wanted[label]), np.argmax(wanted[label])
        if wanted[label, least] - wanted[label, most] < 2:
            return False
        own = 2 * (wanted[label, most] - wanted[label, least] + 1)
        for row in np.flatnonzero(indicator[:, label] & (folds == most)):
            for _ in range(min(n_rows, 1000)):
                other, start = start, (start + 1) % n_rows
                budget -= 1
                if folds[other] != least:
                    continue
                budget -= np.count_nonzero(indicator[other])
                after = wanted.copy()
                after[indicator[row], most] += 1
                after[indicator[row], least] -= 1
                after[indicator[other], least] += 1
                after[indicator[other], most] -= 1
                change = np.sum(after**2) - np.sum(wanted**2)
                if change < 0 and (change <= own + 4 or not careful):
                    wanted = after
                    folds[row], folds[other] = least, most
                    return True
            if budget <= 0:
                break
        return False

    improved = True
    while (improved or careful) and budget > 0:
        careful = careful and improved
        improved = False
        for label in range(n_labels):
            while budget > 0 and exchange(label):
                improved = True
    return folds
