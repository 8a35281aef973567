"""Metrics of counts, and what `scoring` stands for.

All metrics here rise with a true positive and do not rise with a false one: what the
searches for cutoffs need, and all that they need.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.metrics import (
    f1_score,
    fbeta_score,
    get_scorer,
    jaccard_score,
    precision_score,
    recall_score,
)

from .._data.label_sets import LabelSets, Target
from .._data.naming import naming
from .._sklearn import _BaseScorer

__all__ = [
    "AVERAGES",
    "METRICS",
    "FBeta",
    "Jaccard",
    "Metric",
    "Precision",
    "Recall",
    "Scoring",
    "feasible",
]

AVERAGES = ("micro", "samples", "macro")
# Bootstrap samples for the spread of a scorer that is not exact.
_N_SAMPLES = 100


@dataclass(frozen=True)
class Metric(ABC):
    """A ratio of counts that are linear in true positives, false positives and positives."""

    name: ClassVar[str]
    # Ranks cuts as ``tp / (pooled[0] * positives + pooled[1] * fp)`` does.
    pooled: ClassVar[tuple[float, float]]

    @abstractmethod
    def terms(self, tp: Any, fp: Any, positives: Any) -> tuple[Any, Any]:
        """Numerator and denominator."""

    @abstractmethod
    def slopes(self) -> tuple[float, float, float, float]:
        """Derivatives of the terms by counts.

        Of the numerator by a true positive; of the denominator by a predicted label, by a
        positive and, besides, by a true positive.
        """

    def ratio(self, tp: Any, fp: Any, positives: Any) -> Any:
        """Value of the metric; 0 where it is 0 / 0.

        Parameters
        ----------
        tp, fp, positives : array-like
            True positives, false positives, all positives.

        Returns
        -------
        value : ndarray of float64
        """
        above, below = self.terms(tp, fp, positives)
        above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
        return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


@dataclass(frozen=True)
class Jaccard(Metric):
    """Jaccard index: tp / (positives + fp)."""

    name: ClassVar[str] = "jaccard"
    pooled: ClassVar[tuple[float, float]] = (1, 1)

    def terms(self, tp: Any, fp: Any, positives: Any) -> tuple[Any, Any]:
        return tp, positives + fp

    def slopes(self) -> tuple[float, float, float, float]:
        return 1.0, 1.0, 1.0, -1.0


@dataclass(frozen=True)
class FBeta(Metric):
    """F-beta: (1 + beta**2) tp / (beta**2 positives + tp + fp).

    Parameters
    ----------
    beta : float, default=1
        Weight of recall against precision.
    """

    beta: float = 1
    name: ClassVar[str] = "f1"

    @property
    def pooled(self) -> tuple[float, float]:
        return self.beta**2, 1

    def terms(self, tp: Any, fp: Any, positives: Any) -> tuple[Any, Any]:
        square = self.beta**2
        return (1 + square) * tp, square * positives + tp + fp

    def slopes(self) -> tuple[float, float, float, float]:
        square = float(self.beta) ** 2
        return 1 + square, 1.0, square, 0.0


@dataclass(frozen=True)
class Precision(Metric):
    """Precision: tp / (tp + fp)."""

    name: ClassVar[str] = "precision"
    pooled: ClassVar[tuple[float, float]] = (0, 1)

    def terms(self, tp: Any, fp: Any, positives: Any) -> tuple[Any, Any]:
        return tp, tp + fp

    def slopes(self) -> tuple[float, float, float, float]:
        return 1.0, 1.0, 0.0, 0.0


@dataclass(frozen=True)
class Recall(Metric):
    """Recall: tp / positives."""

    name: ClassVar[str] = "recall"
    pooled: ClassVar[tuple[float, float]] = (1, 0)

    def terms(self, tp: Any, fp: Any, positives: Any) -> tuple[Any, Any]:
        return tp, positives + 0 * tp

    def slopes(self) -> tuple[float, float, float, float]:
        return 1.0, 0.0, 1.0, 0.0


METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (Jaccard(), FBeta(), Precision(), Recall())
}


def feasible(constraint: Mapping[str, float], tp: Any, fp: Any, positives: Any) -> np.ndarray:
    """Whether counts reach the least value of each metric in the constraint."""
    ok = np.ones(np.shape(tp), dtype=bool)
    for name, least in constraint.items():
        ok &= METRICS[name].ratio(tp, fp, positives) >= least
    return ok


# scikit-learn's functions whose optimum is found exactly.
_EXACT: dict[Callable, Callable[[dict], Metric]] = {
    jaccard_score: lambda options: Jaccard(),
    f1_score: lambda options: FBeta(),
    fbeta_score: lambda options: FBeta(options["beta"]),
    precision_score: lambda options: Precision(),
    recall_score: lambda options: Recall(),
}


class Scoring:
    """What `scoring` stands for.

    Parameters
    ----------
    scoring : str or callable
        Name of a scorer, a scorer or ``scoring(y_true, y_pred) -> float``.

    Attributes
    ----------
    scorer : scorer or None
        With its metadata requests.
    exact : bool
        Whether `metric` and `average` are what it computes. If not they are what curves
        show.
    metric : Metric
    average : {"micro", "samples", "macro"}
    """

    def __init__(self, scoring: str | Callable[..., float]):
        scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
        self.scorer = scorer if isinstance(scorer, _BaseScorer) else None
        self.exact, self.metric, self.average = False, METRICS["jaccard"], "micro"
        if self.scorer is None:
            self.function: Callable[..., float] = scoring
            return
        function, options = scorer._score_func, dict(scorer._kwargs)
        if (
            function in _EXACT
            # pos_label has no meaning for multi-label targets; 0 / 0 is 0 here.
            and set(options) <= {"average", "pos_label", "zero_division", "beta"}
            and options.get("average") in AVERAGES
            and options.get("zero_division", "warn") in ("warn", 0)
            and scorer._sign > 0
        ):
            self.exact = True
            self.metric, self.average = _EXACT[function](options), options["average"]
            return
        if scorer._response_method != "predict":
            raise ValueError(
                f"scoring={scoring!r} judges scores, not predictions, so that no cutoff changes "
                "it. Choose a scoring of predictions, such as 'jaccard_micro'."
            )
        self.function = lambda y, p, **kw: scorer._sign * function(y, p, **options, **kw)

    def on_pairs(
        self, sets: list[LabelSets], weights: list[np.ndarray | None], target: Target
    ) -> Callable[[np.ndarray, np.ndarray], float]:
        """Metric of predicted (row, label) pairs against the truth of all pools."""
        y_true, weight = _truth(sets, weights, target)

        def score(rows: np.ndarray, labels: np.ndarray) -> float:
            return self._value(y_true, _predicted(rows, labels, y_true.shape[0], target), weight)

        return score

    def spread(
        self,
        sets: list[LabelSets],
        weights: list[np.ndarray | None],
        target: Target,
        pairs: tuple[np.ndarray, np.ndarray],
    ) -> float:
        """Standard deviation of the metric of predicted pairs over bootstrap samples of rows."""
        y_true, weight = _truth(sets, weights, target)
        n_rows = y_true.shape[0]
        y_pred = _predicted(*pairs, n_rows, target)
        rng = np.random.default_rng(n_rows)
        found = []
        with warnings.catch_warnings():
            # What is undefined in a sample need not be so in all rows.
            warnings.simplefilter("ignore")
            for _ in range(_N_SAMPLES):
                rows = rng.integers(0, n_rows, n_rows)
                own = None if weight is None else weight[rows]
                try:
                    found.append(self._value(y_true[rows], y_pred[rows], own))
                except ValueError:
                    return float("nan")
        return float(np.std(found, ddof=1))

    def _value(self, y_true: Any, y_pred: Any, weight: np.ndarray | None) -> float:
        found = self.function(y_true, y_pred, **_as_kwargs(weight))
        with naming("scoring"):
            return float(found)


def _as_kwargs(weight: np.ndarray | None) -> dict[str, np.ndarray]:
    return {} if weight is None else {"sample_weight": weight}


def _truth(
    sets: list[LabelSets], weights: list[np.ndarray | None], target: Target
) -> tuple[Any, np.ndarray | None]:
    """True labels and weights of the rows of all pools, as a scorer takes them."""
    sizes = np.concatenate([np.zeros(1, np.int64), *(s.sizes for s in sets)])
    y_true = target.to_output(np.cumsum(sizes), np.concatenate([s.indices for s in sets]))
    return y_true, None if weights[0] is None else np.concatenate(weights)


def _predicted(rows: np.ndarray, labels: np.ndarray, n_rows: int, target: Target) -> Any:
    """Predicted labels as a scorer takes them."""
    order = np.lexsort((labels, rows))
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=indptr[1:])
    return target.to_output(indptr, labels[order].astype(np.int32))
