"""The fitted cutoff as one value: how scores become label sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .score_map import ScoreMap
from .scores import DenseScores, Pool, Source

__all__ = ["CutRule", "count_apart", "rule_of"]


@dataclass(frozen=True)
class CutRule:
    """A cutoff and all that is needed to apply it.

    Parameters
    ----------
    score_map : ScoreMap
        From the estimator's scores to those that are compared.
    cutoff : ndarray of shape () or (n_labels,)
        ``mapped score > cutoff`` is predicted.
    source : Source
        Where the estimator's scores come from.
    log_prior : ndarray of shape (n_labels,) or None
        Logarithm of the labels' frequencies.
    """

    score_map: ScoreMap
    cutoff: np.ndarray
    source: Source
    log_prior: np.ndarray | None = None

    @property
    def single(self) -> bool:
        """Whether there is one cutoff for all labels."""
        return np.ndim(self.cutoff) == 0

    def pool(self, estimator: Any, X: Any, label_sets: Any, weight: Any = None) -> Pool:
        """Scores of rows whose truth is known."""
        return Pool(self.source.blocks(estimator, X), label_sets, weight, self.log_prior)

    def blocks(self, estimator: Any, X: Any) -> Iterator[DenseScores]:
        """Iterate over the mapped scores of rows, block by block."""
        for scores in self.source.each_block(estimator, X):
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

    def decision_scores(self, estimator: Any, X: Any) -> Iterator[DenseScores]:
        """Iterate over the decisions of rows, ``-inf`` where there is no score."""
        for mapped in self.blocks(estimator, X):
            never = np.isneginf(mapped.values)
            yield mapped.like(np.where(never, mapped.values, self.decision(mapped)))

    def label_sets(self, estimator: Any, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Predicted label sets of rows in CSR form: offsets and labels."""
        sizes, indices = [np.zeros(1, dtype=np.int64)], [np.empty(0, dtype=np.int32)]
        for mapped in self.blocks(estimator, X):
            rows, labels = mapped.pairs(self.decide(mapped))
            sizes.append(np.bincount(rows, minlength=mapped.n_rows))
            indices.append(labels.astype(np.int32))
        return np.cumsum(np.concatenate(sizes)), np.concatenate(indices)

    def decisions(self, estimator: Any, X: Any) -> np.ndarray:
        """Decisions of all rows, of shape (n_rows, n_labels).

        Where there are scores of some labels only, the others have the lowest number.
        """
        out = []
        for mapped in self.blocks(estimator, X):
            decision = self.decision(mapped)
            out.append(mapped.dense(decision, np.finfo(decision.dtype).min))
        return np.concatenate(out)


def count_apart(first: tuple[CutRule, Any], second: tuple[CutRule, Any], X: Any) -> int:
    """Labels of rows that two pairs of a rule and an estimator decide differently."""
    numbers = []
    for rule, estimator in (first, second):
        offsets, labels = rule.label_sets(estimator, X)
        rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        numbers.append(rows * np.int64(rule.source.n_labels) + labels)
    return len(np.setxor1d(*numbers, assume_unique=True))


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
