"""The fitted cutoff as one value: how scores become label sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import get_config

from .._data.blocks import indexable_rows, iter_row_blocks
from .._sklearn import _num_samples, _safe_indexing
from .score_map import ScoreMap
from .scores import DenseScores, Pool, estimator_scores, score_blocks

__all__ = ["CutRule", "rule_of"]


@dataclass(frozen=True)
class CutRule:
    """A cutoff and all that is needed to apply it.

    Parameters
    ----------
    score_map : ScoreMap
        From the estimator's scores to those that are compared.
    cutoff : ndarray of shape () or (n_labels,)
        ``mapped score > cutoff`` is predicted.
    method : str
        Where the estimator's scores come from.
    n_labels : int
        Number of labels.
    never : ndarray of shape (n_labels,), bool, or None
        Labels that had no positives in training and are never predicted.
    log_prior : ndarray of shape (n_labels,) or None
        Logarithm of the labels' frequencies.
    dtype : dtype or None
        Type that scores are converted to; None leaves them.
    """

    score_map: ScoreMap
    cutoff: np.ndarray
    method: str
    n_labels: int
    never: np.ndarray | None = None
    log_prior: np.ndarray | None = None
    dtype: Any = None

    @property
    def single(self) -> bool:
        """Whether there is one cutoff for all labels."""
        return np.ndim(self.cutoff) == 0

    def pool(self, estimator: Any, X: Any, label_sets: Any, weight: Any = None) -> Pool:
        """Scores of rows whose truth is known."""
        blocks = score_blocks(estimator, X, None, self.method, self.n_labels, self.never)
        return Pool(blocks, label_sets, weight, self.log_prior, self.dtype)

    def blocks(self, estimator: Any, X: Any) -> Iterator[DenseScores]:
        """Iterate over the mapped scores of rows, block by block."""
        X = indexable_rows(X)
        n_rows = _num_samples(X)
        working_memory = get_config()["working_memory"]
        blocks = list(iter_row_blocks(n_rows, self.n_labels * 8, working_memory / 64))
        for block in blocks or [slice(0, n_rows)]:
            whole = len(blocks) < 2
            part = X if whole else _safe_indexing(X, np.arange(block.start, block.stop))
            scores = estimator_scores(estimator, part, self.method, self.n_labels, self.never)
            if self.dtype is not None:
                scores = scores.astype(self.dtype)
            yield self.score_map.mapped(scores, self.log_prior)

    def above(self, mapped: DenseScores) -> np.ndarray:
        """Whether values are above the cutoff."""
        return mapped.values > mapped.per_label(self.cutoff.astype(mapped.dtype))

    def decide(self, mapped: DenseScores) -> np.ndarray:
        """Whether each value's label is predicted."""
        return self.score_map.within_limits(mapped, self.above(mapped), True, False)

    def decision(self, mapped: DenseScores) -> np.ndarray:
        """Values minus the cutoff, positive exactly where the label is predicted."""
        out = mapped.values - mapped.per_label(self.cutoff.astype(mapped.dtype))
        # Metrics refuse infinite scores.
        np.maximum(out, np.finfo(out.dtype).min, out=out)
        before, final = self.above(mapped), self.decide(mapped)
        out[final & ~before] = np.finfo(out.dtype).tiny
        out[before & ~final] = 0
        return out

    def label_sets(self, estimator: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Predicted label sets of rows in CSR form: offsets and labels."""
        sizes, indices = [np.zeros(1, dtype=np.int64)], [np.empty(0, dtype=np.int32)]
        for mapped in self.blocks(estimator, X):
            rows, labels = mapped.pairs(self.decide(mapped))
            sizes.append(np.bincount(rows, minlength=mapped.n_rows))
            indices.append(labels.astype(np.int32))
        return np.cumsum(np.concatenate(sizes)), np.concatenate(indices)

    def decisions(self, estimator: Any, X: Any) -> np.ndarray:
        """Decisions of all rows, of shape (n_rows, n_labels)."""
        return np.concatenate([self.decision(mapped) for mapped in self.blocks(estimator, X)])


def rule_of(estimator: Any, X: Any = None) -> tuple[Any, CutRule] | None:
    """Give the scoring estimator and the rule of a fitted estimator that has a cutoff.

    Parameters
    ----------
    estimator : estimator
        Any.
    X : object, default=None
        Rows, for estimators that were not fitted themselves.

    Returns
    -------
    found : (estimator, CutRule) or None
        None if there is no cutoff.
    """
    parts = getattr(estimator, "_fitted_parts", None)
    if parts is None:
        return None
    inner, _, rule = parts(X)
    return None if rule is None else (inner, rule)
