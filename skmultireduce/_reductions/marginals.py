"""From probabilities of classes to marginals, sizes and best label sets."""

from __future__ import annotations

import numpy as np

from .class_table import ClassTable
from .fmeasure import f_optimal_sets
from .table import Reduction

__all__ = [
    "best_sets",
    "joint",
    "joint_as_independent",
    "joint_marginals",
    "open_unit_interval",
    "scores_of_labels",
]

# A constant label column, or any probability that a classifier gives as 0 or 1, is moved
# by less than the precision of the type, so that logits stay finite.
_SMALLEST = 1e-30


def joint(
    proba: np.ndarray, table: ClassTable, reduction: Reduction
) -> tuple[np.ndarray, np.ndarray]:
    """P(label in Y, size | x) and P(size | x), of a classifier whose classes are pairs.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_columns)
        Probabilities of the pairs, and of the class of empty sets.
    table : ClassTable
        What the columns are.
    reduction : Reduction
        What the classifier was trained with.

    Returns
    -------
    delta : ndarray of shape (n_rows, n_columns), float64
        By column of the classifier (statement 6.1).
    size_proba : ndarray of shape (n_rows, n_sizes), float64
    """
    picked = proba.astype(np.float64, copy=False)
    columns = table.column_sizes
    # The class of empty sets counts as one label.
    sizes = np.maximum(table.size_values[columns], 1.0)
    if reduction.learns == "marginals":
        picked = picked / sizes
        picked /= picked.sum(axis=1, keepdims=True)
    size_proba = table.sum_by_size(picked)
    # Statement 6.2: no label is in more sets of a size than there are.
    return np.minimum(picked * sizes, size_proba[:, columns]), size_proba


def joint_marginals(
    delta: np.ndarray, size_proba: np.ndarray, table: ClassTable
) -> tuple[np.ndarray, np.ndarray]:
    """Marginals of the labels, and probability of the empty set."""
    empty = size_proba[:, 0] if table.none else np.zeros(len(delta))
    return table.sum_by_label(delta), empty


def scores_of_labels(
    proba: np.ndarray, table: ClassTable, mean_size: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of labels and of the empty set, of a classifier whose classes are labels.

    Parameters
    ----------
    proba : ndarray of shape (n_rows, n_columns)
        Probabilities of the classes.
    table : ClassTable
        What the columns are.
    mean_size : ndarray of shape (n_rows,), default=None
        Expected number of labels. If given, the scores are marginals (6.9 A): the softmax
        over labels alone, times this.

    Returns
    -------
    scores : ndarray of shape (n_rows, n_labels)
    empty : ndarray of shape (n_rows,)
    """
    none = table.of_none(proba)
    scores = table.to_labels(proba, 0)
    if mean_size is None:
        return scores, none
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(none < 1, mean_size / (1 - none), 0.0)
    return scores * factor[:, None], none * factor


def joint_as_independent(
    marginals: np.ndarray, size_proba: np.ndarray, table: ClassTable
) -> np.ndarray:
    """P(label in Y, size | x), as if given x each size had its share of the marginals (6.7b).

    Returns
    -------
    delta : ndarray of shape (n_rows, n_labels, n_sizes)
    """
    share = size_proba * table.size_values
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(share / share.sum(axis=1, keepdims=True))
    return np.minimum(marginals[:, :, None] * share[:, None], size_proba[:, None])


def best_sets(
    delta: np.ndarray, size_proba: np.ndarray, table: ClassTable, *, beta: float, single: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Set of each row that maximises its expected F-measure (6.3).

    Parameters
    ----------
    delta : ndarray of shape (n_rows, n_labels, n_sizes)
        P(label in Y, size | x).
    size_proba : ndarray of shape (n_rows, n_sizes)
        P(size | x).
    table : ClassTable
        The sizes.
    beta : float
        Weight of recall.
    single : bool
        Whether each row has one label, as with 1-D y.

    Returns
    -------
    sizes : ndarray of shape (n_rows,)
        Sizes of the sets.
    indices : ndarray of shape (sizes.sum(),)
        Their labels.
    """
    sizes, empty = table.size_values, None
    if table.none:
        delta, sizes = delta[:, :, 1:], sizes[1:]
        empty = None if single else size_proba[:, 0]
    indptr, indices, _ = f_optimal_sets(
        delta, sizes, empty, beta=beta, max_labels=1 if single else None
    )
    return np.diff(indptr), indices


def open_unit_interval(proba: np.ndarray) -> np.ndarray:
    """Clip in place to (0, 1) without the ends."""
    top = 1 - np.finfo(proba.dtype).epsneg
    return np.clip(proba, _SMALLEST, top, out=proba)
