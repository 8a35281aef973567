"""Maps from an estimator's scores to those that a cutoff is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .scores import DenseScores

__all__ = ["AdjustedMap", "RankMap", "RelativeMap", "ScoreMap"]


@dataclass(frozen=True)
class ScoreMap:
    """The scores themselves, within limits on the number of labels of a row.

    In all maps ``-inf`` stays: such a label is never predicted.

    Parameters
    ----------
    probability : bool
        Whether the scores are probabilities.
    min_labels : int
        This many labels of a row, the highest ones, are always predicted.
    max_labels : int or None
        Labels beyond the highest `max_labels` of a row are never predicted.
    """

    probability: bool = False
    min_labels: int = 0
    max_labels: int | None = None

    # Whether the estimator's scores themselves are compared with the cutoff.
    plain: ClassVar[bool] = True
    # Whether users see cutoffs as the numbers that mapped scores are compared with.
    own_units: ClassVar[bool] = True

    def mapped(
        self, scores: DenseScores, log_prior: np.ndarray | None, memo: dict | None = None
    ) -> DenseScores:
        """Scores that a cutoff is compared with, all of them finite or as they were."""
        return scores

    def readable(self, threshold: np.ndarray, value: Any) -> np.ndarray:
        """Cutoff as users see it, of ``score > threshold`` and ``score >= value``."""
        return np.asarray(threshold, dtype=np.float64)

    def readable_curve(self, thresholds: np.ndarray) -> np.ndarray:
        """Cutoffs of a curve as users see them, of ``score > threshold``."""
        return thresholds.astype(np.float64)

    def internal(self, cutoff: np.ndarray) -> np.ndarray:
        """Cutoff that mapped scores are compared with, from the readable one."""
        return cutoff

    def lowest(self, n_labels: int, dtype: Any) -> Any:
        """Lowest cut that has a number below it: all that has a score is predicted."""
        return np.nextafter(np.finfo(dtype).min, np.dtype(dtype).type(0))

    @property
    def limited(self) -> bool:
        """Whether the number of labels of a row is limited."""
        return self.min_labels > 0 or self.max_labels is not None

    def limits(self, mapped: DenseScores) -> tuple[np.ndarray, np.ndarray]:
        """Labels that each row always has, and labels that it may have.

        Returns
        -------
        always : ndarray of shape (n_rows, min(min_labels, n_columns)), int32
            Columns of the values.
        allowed : ndarray of shape (n_rows, min(max_labels, n_columns)), int32
        """
        n_columns = mapped.values.shape[1]
        k_min = min(self.min_labels, n_columns)
        k_max = n_columns if self.max_labels is None else min(self.max_labels, n_columns)
        top = mapped.top(max(k_min, k_max if k_max < n_columns else 0))
        return top[:, :k_min], top[:, :k_max]

    def within_limits(
        self, mapped: DenseScores, given: np.ndarray, always_is: Any, never_is: Any
    ) -> np.ndarray:
        """Replace an array like the values where a limit decides, not the cutoff."""
        if not self.limited:
            return given
        always, allowed = self.limits(mapped)
        if self.max_labels is not None and self.max_labels < mapped.values.shape[1]:
            out = np.full_like(given, never_is)
            np.put_along_axis(out, allowed, np.take_along_axis(given, allowed, 1), axis=1)
        else:
            out = given.copy()
        can = np.take_along_axis(mapped.values, always, 1) > -np.inf
        np.put_along_axis(out, always, np.where(can, always_is, never_is), axis=1)
        return out

    def __call__(
        self, scores: DenseScores, log_prior: np.ndarray | None = None, memo: dict | None = None
    ) -> DenseScores:
        """Scores for the search: ``inf`` is always predicted, ``-inf`` never.

        With them the number of labels of a row needs no further thought: a cut at v
        predicts exactly what ``score >= v`` says.
        """
        mapped = self.mapped(scores, log_prior, memo)
        if not self.limited:
            return mapped
        return mapped.like(self.within_limits(mapped, mapped.values, np.inf, -np.inf))


@dataclass(frozen=True)
class AdjustedMap(ScoreMap):
    """u - prior_weight * log_prior + row_weight * (u - max u of the row).

    u is the log of a probability or the decision value.

    Parameters
    ----------
    probability, min_labels, max_labels
        As in `ScoreMap`.
    prior_weight, row_weight : float
        The weights.
    """

    prior_weight: float = 0.0
    row_weight: float = 0.0

    plain: ClassVar[bool] = False

    def mapped(
        self, scores: DenseScores, log_prior: np.ndarray | None, memo: dict | None = None
    ) -> DenseScores:
        u, highest = self._log_scores(scores, {} if memo is None else memo)
        own = u.dtype.type
        out = u * own(1 + self.row_weight)
        out -= own(self.row_weight) * highest
        out -= scores.per_label((self.prior_weight * log_prior).astype(u.dtype))
        return scores.like(out)

    def _log_scores(self, scores: DenseScores, memo: dict) -> tuple[np.ndarray, np.ndarray]:
        if "u" not in memo:
            u = scores.values
            if self.probability:
                # A probability of 0 stays comparable: differences of -inf are not numbers.
                u = np.log(np.maximum(u, np.finfo(u.dtype).tiny))
                u[np.isneginf(scores.values)] = -np.inf
            highest = scores.like(u).row_highest()
            memo["u"] = u, np.where(np.isneginf(highest), 0, highest).astype(u.dtype)
        return memo["u"]


@dataclass(frozen=True)
class RelativeMap(ScoreMap):
    """Fraction of the row's highest score, for scores that are not negative."""

    plain: ClassVar[bool] = False

    def lowest(self, n_labels: int, dtype: Any) -> Any:
        return np.dtype(dtype).type(0)

    def mapped(
        self, scores: DenseScores, log_prior: np.ndarray | None, memo: dict | None = None
    ) -> DenseScores:
        values, highest = scores.values, scores.row_highest()
        never = np.isneginf(values)
        if np.any((values < 0) & ~never):
            raise ValueError(
                "strategy='relative' cuts at a fraction of the row's highest score, which has no "
                "meaning for negative scores. Use response_method='predict_proba', or "
                "strategy='adjusted' with prior_weight=0, which cuts at a difference."
            )
        out = np.divide(values, highest, out=np.zeros_like(values), where=highest > 0)
        out[never] = -np.inf
        return scores.like(out)


@dataclass(frozen=True)
class RankMap(ScoreMap):
    """Minus the rank in the row, from 0; ties go to the label that comes first.

    Users see a cutoff as k, the number of labels of a row.
    """

    plain: ClassVar[bool] = False
    own_units: ClassVar[bool] = False

    def mapped(
        self, scores: DenseScores, log_prior: np.ndarray | None, memo: dict | None = None
    ) -> DenseScores:
        values = scores.values
        order = np.argsort(-values, axis=1, kind="stable")
        rank = np.empty(values.shape, dtype=np.float32)
        np.put_along_axis(
            rank, order, -np.arange(values.shape[1], dtype=np.float32)[None, :], axis=1
        )
        rank[np.isneginf(values)] = -np.inf
        return scores.like(rank)

    def lowest(self, n_labels: int, dtype: Any) -> Any:
        return np.dtype(dtype).type(1 - n_labels)

    def readable(self, threshold: np.ndarray, value: Any) -> np.ndarray:
        return np.array(0 if np.isposinf(value) else int(1 - value))

    def readable_curve(self, thresholds: np.ndarray) -> np.ndarray:
        return np.ceil(0.5 - thresholds).astype(int)

    def internal(self, cutoff: np.ndarray) -> np.ndarray:
        return 0.5 - cutoff
