"""Stratified folds of label sets: which row goes where."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from .._kernels import stratify as kernels
from .label_sets import LabelSets

__all__ = ["assign_folds", "stratified_holdout"]

# Random stream of a seed that is used here; epochs use those from 0.
_STREAM = 2**32 - 1

# What exchanging rows may cost: within the first number small data have all that they need,
# within the second large data take little longer than without it.
_LOOKS = 500_000
_LOOKS_A_PAIR = 1


def assign_folds(label_sets: LabelSets, sizes: np.ndarray, rng: Any = None) -> np.ndarray:
    """Place each row into a fold so that every label is spread in proportion.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, Algorithm 1) with fold
    sizes that are kept exactly; see ``_kernels/stratify.pyx``.

    Parameters
    ----------
    label_sets : LabelSets
        Weights of the labels, if any, do not matter.
    sizes : ndarray of shape (n_folds,), int64
        Number of rows of each fold, at least 1, in all the number of rows.
    rng : RandomState or Generator, default=None
        Makes rows, folds and the rounding of each label's share random: labels with few
        rows then have their chance in small folds too. Without it rows and folds are taken
        as they come, and the sizes must not differ by more than one.

    Returns
    -------
    folds : ndarray of shape (n_rows,), int32
    """
    label_sets = _label_the_empty(label_sets)
    sizes = np.asarray(sizes, dtype=np.int64)
    n_rows, n_labels, n_folds = label_sets.n_rows, label_sets.n_labels, len(sizes)
    if rng is None:
        row_order, fold_order = np.arange(n_rows), np.arange(n_folds)
    else:
        row_order, fold_order = rng.permutation(n_rows), rng.permutation(n_folds)
        label_sets = label_sets.take(row_order)
    room = sizes[fold_order]
    by_label = label_sets.to_csr().tocsc()
    counts = np.diff(by_label.indptr).astype(np.int64)
    if np.ptp(sizes) <= 1:
        # Equal folds want the same, whatever it is: a label's surplus rows then go where
        # there is the most room.
        share, size_weight = np.zeros(n_folds), 1.0
        wanted = np.zeros((n_labels, n_folds), dtype=np.int64)
    else:
        share, size_weight = room / n_rows, 16.0
        wanted = _round_shares(counts, room, rng)
    folds = np.empty(n_rows, dtype=np.int32)
    both = (
        label_sets.indptr,
        label_sets.indices,
        by_label.indptr.astype(np.int64),
        by_label.indices.astype(np.int64),
    )
    kernels.assign_folds(
        *both,
        share,
        size_weight,
        wanted,
        room,
        folds,
        np.empty(n_labels, dtype=np.int64),
        np.empty(counts.max() + 1, dtype=np.int32),
        np.empty(n_labels, dtype=np.int32),
        np.empty(n_labels, dtype=np.int32),
    )
    budget = _LOOKS + _LOOKS_A_PAIR * len(label_sets.indices)
    kernels.exchange_rows(*both, wanted, folds, budget)
    out = np.empty(n_rows, dtype=np.int32)
    out[row_order] = fold_order[folds]
    return out


def _label_the_empty(label_sets: LabelSets) -> LabelSets:
    """Give the rows without labels a label of their own, so that they are spread too."""
    empty = np.flatnonzero(label_sets.sizes == 0)
    if not len(empty):
        return label_sets
    shift = np.zeros(label_sets.n_rows + 1, dtype=np.int64)
    shift[empty + 1] = 1
    return replace(
        label_sets,
        indptr=label_sets.indptr + np.cumsum(shift),
        indices=np.insert(label_sets.indices, label_sets.indptr[empty], label_sets.n_labels),
        n_labels=label_sets.n_labels + 1,
        values=None,
    )


def _round_shares(counts: np.ndarray, sizes: np.ndarray, rng: Any) -> np.ndarray:
    """Share of each label in each fold, rounded at random without bias.

    Systematic sampling over the labels from the rarest to the most frequent one: the sum
    over the labels of any range of frequency is rounded by less than one. Rounding to the
    nearest would never hold out a label with few rows.

    Returns
    -------
    wanted : ndarray of shape (n_labels, n_folds), int64
        Sums over folds to `counts`; expectation ``counts * sizes / sizes.sum()``.
    """
    order = np.lexsort((rng.permutation(len(counts)), counts))
    left = counts[order]
    wanted = np.empty((len(counts), len(sizes)), dtype=np.int64)
    for fold in range(len(sizes)):
        share = left * (sizes[fold] / sizes[fold:].sum())
        total = np.floor(np.cumsum(share) + rng.uniform())
        wanted[order, fold] = np.minimum(np.diff(total, prepend=0.0), left)
        left = left - wanted[order, fold]
    return wanted


def stratified_holdout(
    label_sets: LabelSets, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a stratified part of the rows.

    Parameters
    ----------
    label_sets : LabelSets
        Labels of the rows.
    fraction : float
        In (0, 1); ``ceil(fraction * n_rows)`` rows are held out.
    seed : int
        In [0, 2**63). Same seed, same rows.

    Returns
    -------
    train_rows, held_out_rows : ndarray of int64
        Ascending; together all rows.

    Raises
    ------
    ValueError
        If no row is left on one side.
    """
    n_rows = label_sets.n_rows
    n_held_out = ceil(fraction * n_rows)
    if not 0 < n_held_out < n_rows:
        raise ValueError(
            f"Holding out a fraction of {fraction:g} of {n_rows} row(s) leaves "
            f"{n_rows - n_held_out} row(s) to train on; both parts need one at least. Pass a "
            "validation_fraction between 0 and 1 that leaves some, or more rows, or turn "
            "early_stopping off."
        )
    rng = np.random.Generator(np.random.PCG64([seed, _STREAM]))
    sizes = np.array([n_rows - n_held_out, n_held_out])
    held_out = assign_folds(label_sets, sizes, rng) == 1
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
