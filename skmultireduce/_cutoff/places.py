"""Places of true labels in the order of scores, for metrics at k."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._data.label_sets import LabelSets
from .scores import DenseScores, ScoreBlocks

__all__ = ["Places", "find_places"]


@dataclass(frozen=True)
class Places:
    """Where true labels stand among the k labels of highest score of their rows.

    Labels that tie share their places: what is computed is the mean over all ways to break
    ties.

    Parameters
    ----------
    label_sets : LabelSets
        The truth.
    k : int
        Number of places.
    greater : ndarray of shape (n_pairs,), int64
        Labels of the row that have a higher score than the true label, as far as that is
        fewer than k.
    equal : ndarray of shape (n_pairs,), int64
        Labels of the row with the same score, the true label included.
    chosen : ndarray of shape (n_labels,), float64, or None
        Weight of the rows that have the label among the k, if it was asked for.
    """

    label_sets: LabelSets
    k: int
    greater: np.ndarray
    equal: np.ndarray
    chosen: np.ndarray | None = None

    def hits(self) -> np.ndarray:
        """Probability of each true label to be among the k."""
        return np.clip((self.k - self.greater) / self.equal, 0.0, 1.0)

    def discounts(self) -> np.ndarray:
        """Mean of 1 / log2(place + 1) of each true label, 0 beyond the k places."""
        total = np.append(0.0, np.cumsum(discount(self.k)))
        first = np.minimum(self.greater, self.k)
        last = np.minimum(self.greater + self.equal, self.k)
        return (total[last] - total[first]) / self.equal

    def row_sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over the true labels of each row."""
        return np.bincount(self.label_sets.rows, values, minlength=self.label_sets.n_rows)


def discount(k: int) -> np.ndarray:
    """1 / log2(place + 1) of the places 1 to k."""
    return 1 / np.log2(np.arange(2, k + 2))


def find_places(
    blocks: ScoreBlocks,
    label_sets: LabelSets,
    k: int,
    *,
    count_chosen: bool = False,
    weight: np.ndarray | None = None,
) -> Places:
    """Places of the true labels.

    Parameters
    ----------
    blocks : callable
        Scores, block by block.
    label_sets : LabelSets
        The truth.
    k : int
        Number of places, in [1, n_labels].
    count_chosen : bool, default=False
        Whether the labels among the k are counted.
    weight : ndarray of shape (n_rows,) or None, default=None
        Weights of rows, for `chosen`.

    Returns
    -------
    places : Places
    """
    greater, equal = np.zeros((2, len(label_sets.indices)), dtype=np.int64)
    chosen = np.zeros(label_sets.n_labels) if count_chosen else None
    for block, scores in blocks():
        sets = label_sets.part(block.start, block.stop)
        pairs = slice(label_sets.indptr[block.start], label_sets.indptr[block.stop])
        best = _best_values(scores.values, k)
        tied = np.count_nonzero(scores.values == best[:, -1:], axis=1)
        greater[pairs], equal[pairs] = _of_pairs(scores, sets, best, tied)
        if chosen is not None:
            w = np.ones(scores.n_rows) if weight is None else weight[block]
            chosen += _chosen(scores, best[:, -1], tied, k, w)
    return Places(label_sets, k, greater, equal, chosen)


def _best_values(values: np.ndarray, k: int) -> np.ndarray:
    """The k highest values of each row, or all of them, descending."""
    k = min(k, values.shape[1])
    best = np.partition(values, values.shape[1] - k, axis=1)[:, values.shape[1] - k :]
    return -np.sort(-best, axis=1)


def _of_pairs(
    scores: DenseScores, sets: LabelSets, best: np.ndarray, tied: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rows = sets.rows
    own = scores.of(rows, sets.indices)
    greater, equal = np.zeros((2, len(own)), dtype=np.int64)
    for column in best.T:
        at = column[rows]
        greater += at > own
        equal += at == own
    last = own == best[:, -1][rows]
    equal[last] = tied[rows[last]]
    # What has no score is below all others, in one tie.
    absent = np.isneginf(own)
    if absent.any():
        stored = np.count_nonzero(scores.values > -np.inf, axis=1)[rows[absent]]
        greater[absent], equal[absent] = stored, scores.n_labels - stored
    return greater, np.maximum(equal, 1)


def _chosen(
    scores: DenseScores, last: np.ndarray, tied: np.ndarray, k: int, weight: np.ndarray
) -> np.ndarray:
    """Weight of the rows that choose each label."""
    values = scores.values
    above = values > last[:, None]
    found = scores.count_labels(above, weight)
    free = np.minimum(k, scores.n_labels) - np.count_nonzero(above, axis=1)
    short = np.isneginf(last)
    share = np.where(short, 0.0, np.minimum(1.0, free / np.maximum(tied, 1)))
    found = found + scores.count_labels(values == last[:, None], weight * share)
    # Rows with fewer than k scores: the rest of the places is for any of the other labels.
    stored = np.count_nonzero(values > -np.inf, axis=1)
    left = np.where(share < 1, 0, free - tied)
    left = np.where(short, k - stored, left)
    rest = np.where(left > 0, left / np.maximum(scores.n_labels - stored, 1), 0.0) * weight
    if rest.any():
        found = found + rest.sum() - scores.count_labels(values > -np.inf, rest)
    return found
