"""Displays, in scikit-learn's form; matplotlib is imported when something is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._cutoff.counters import Pool, ScoreMap, curve, evaluate, search
from ._data.blocks import indexable_rows
from ._data.label_sets import read_labels
from ._sklearn import check_matplotlib_support
from .metrics import _score_pool
from .threshold import ThresholdedMultiLabel, _score_blocks

__all__ = ["LabelThresholdDisplay", "ThresholdCurveDisplay"]

_N_POINTS = 1000


class ThresholdCurveDisplay:
    """A metric against the cutoff, with the optimum.

    Build it with `from_estimator` or `from_predictions`.

    Parameters
    ----------
    thresholds, scores : ndarray of shape (n_points,)
        The curve.
    best_threshold, best_score : float
        The optimum, or the threshold that a tuned estimator uses.
    metric_name : str
        Name of the metric.
    precision, recall : ndarray of shape (n_points,), default=None
        Micro averages along the curve.
    fold_thresholds : ndarray of shape (n_folds,), default=None
        Optima of the folds.
    estimator_name : str, default=None
        Name in the legend.

    Attributes
    ----------
    line_, best_ : matplotlib artists
        The curve and the optimum.
    precision_line_, recall_line_ : matplotlib artists or None
        If they were asked for.
    fold_lines_ : list of matplotlib artists
        Optima of the folds.
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from skmultireduce.plotting import ThresholdCurveDisplay
    >>> display = ThresholdCurveDisplay.from_predictions(
    ...     [[1, 0, 0], [0, 1, 1]], [[0.9, 0.2, 0.6], [0.1, 0.8, 0.4]]
    ... )  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        thresholds: np.ndarray,
        scores: np.ndarray,
        best_threshold: float,
        best_score: float,
        metric_name: str,
        precision: np.ndarray | None = None,
        recall: np.ndarray | None = None,
        fold_thresholds: np.ndarray | None = None,
        estimator_name: str | None = None,
    ):
        self.thresholds = thresholds
        self.scores = scores
        self.best_threshold = best_threshold
        self.best_score = best_score
        self.metric_name = metric_name
        self.precision = precision
        self.recall = recall
        self.fold_thresholds = fold_thresholds
        self.estimator_name = estimator_name

    def plot(
        self, ax: Any = None, *, precision_recall: bool = False, **kwargs: Any
    ) -> ThresholdCurveDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to; a new figure if None.
        precision_recall : bool, default=False
            Whether micro precision and recall are drawn too.
        **kwargs : dict
            For the curve, as in `matplotlib.pyplot.plot`.

        Returns
        -------
        display : ThresholdCurveDisplay
        """
        check_matplotlib_support("ThresholdCurveDisplay.plot")
        if precision_recall and self.precision is None:
            raise ValueError(
                "precision_recall=True, but this display has no precision and recall. Build it "
                "with from_estimator or from_predictions."
            )
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        label = self.estimator_name or self.metric_name
        (self.line_,) = ax.plot(
            self.thresholds, self.scores, **{"label": label, "zorder": 3, **kwargs}
        )
        self.precision_line_ = self.recall_line_ = None
        if precision_recall:
            grey = {"color": "0.5", "linewidth": 1}
            (self.precision_line_,) = ax.plot(
                self.thresholds, self.precision, label="precision", linestyle="--", **grey
            )
            (self.recall_line_,) = ax.plot(
                self.thresholds, self.recall, label="recall", linestyle=":", **grey
            )
        color = self.line_.get_color()
        self.fold_lines_ = []
        if self.fold_thresholds is not None and len(self.fold_thresholds) > 1:
            for i, threshold in enumerate(self.fold_thresholds):
                line = ax.axvline(
                    threshold,
                    color=color,
                    alpha=0.25,
                    linewidth=1,
                    label="optima of the folds" if i == 0 else None,
                )
                self.fold_lines_.append(line)
        (self.best_,) = ax.plot(
            [self.best_threshold],
            [self.best_score],
            "o",
            color=color,
            zorder=4,
            label=f"{self.best_score:.3f} at {self.best_threshold:.4g}",
        )
        ax.set(xlabel="Cutoff", ylabel=self.metric_name, ylim=(0, 1.02))
        ax.legend(loc="best")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: Any,
        y: Any,
        *,
        metric: str = "jaccard",
        average: str = "micro",
        response_method: str = "auto",
        sample_weight: Any = None,
        name: str | None = None,
        ax: Any = None,
        precision_recall: bool = False,
        **kwargs: Any,
    ) -> ThresholdCurveDisplay:
        """Curve of a fitted classifier on given data.

        Parameters
        ----------
        estimator : estimator
            Any fitted multi-label classifier with scores. For a `ThresholdedMultiLabel`
            the point on the curve is the cutoff that it uses, and the optima of its folds
            are shown; for others it is the best cutoff on this data.
        X : {array-like, sparse} of shape (n_samples, n_features)
            Data.
        y : {array-like, sparse} of shape (n_samples, n_labels)
            The truth.
        metric : {"jaccard", "f1"}, default="jaccard"
            Metric.
        average : {"micro", "samples", "macro"}, default="micro"
            Average.
        response_method : {"auto", "predict_proba", "decision_function"}, default="auto"
            Where scores come from, unless `estimator` is a `ThresholdedMultiLabel`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        name : str, default=None
            Name in the legend.
        ax, precision_recall, **kwargs
            As in `plot`.

        Returns
        -------
        display : ThresholdCurveDisplay
        """
        check_is_fitted(estimator)
        label_sets, _ = read_labels(y, allow_multiclass=False)
        X = indexable_rows(X)
        score_map, log_prior, fold_thresholds, used = ScoreMap(), None, None, None
        never = None
        inner = estimator
        if isinstance(estimator, ThresholdedMultiLabel):
            if estimator.strategy == "per_label":
                raise ValueError(
                    "An estimator with strategy='per_label' has no single cutoff. Use "
                    "LabelThresholdDisplay.from_estimator."
                )
            inner, method = estimator.estimator_, estimator._response_method
            score_map, log_prior = estimator._score_map, estimator._log_prior
            if estimator.strategy != "top_k":
                fold_thresholds = estimator.fold_thresholds_
            used, never = estimator._cutoff, estimator._never
        elif response_method == "auto":
            method = (
                "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"
            )
        else:
            method = response_method
        blocks = _score_blocks(inner, X, None, method, label_sets.n_labels, never)
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
        pool = Pool(blocks, label_sets, weight, log_prior)
        return cls._build(
            pool, score_map, metric, average, used, fold_thresholds, name or type(inner).__name__
        ).plot(ax, precision_recall=precision_recall, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_score: Any,
        *,
        metric: str = "jaccard",
        average: str = "micro",
        sample_weight: Any = None,
        name: str | None = None,
        ax: Any = None,
        precision_recall: bool = False,
        **kwargs: Any,
    ) -> ThresholdCurveDisplay:
        """Curve of given scores, and their best cutoff.

        Parameters
        ----------
        y_true : {array-like, sparse} of shape (n_samples, n_labels)
            The truth.
        y_score : array-like of shape (n_samples, n_labels)
            Scores.
        metric, average, sample_weight, name, ax, precision_recall, **kwargs
            As in `from_estimator`.

        Returns
        -------
        display : ThresholdCurveDisplay
        """
        pool = _score_pool(y_true, y_score, sample_weight)
        return cls._build(pool, ScoreMap(), metric, average, None, None, name).plot(
            ax, precision_recall=precision_recall, **kwargs
        )

    @classmethod
    def _build(
        cls,
        pool: Pool,
        score_map: ScoreMap,
        metric: str,
        average: str,
        used: np.ndarray | None,
        fold_thresholds: np.ndarray | None,
        name: str | None,
    ) -> ThresholdCurveDisplay:
        if metric not in ("jaccard", "f1"):
            raise ValueError(f"metric={metric!r} is unknown; choose 'jaccard' or 'f1'.")
        if average not in ("micro", "samples", "macro"):
            raise ValueError(
                f"average={average!r} is unknown; choose 'micro', 'samples' or 'macro'."
            )
        points = curve([pool], score_map, metric, average, _N_POINTS)
        if used is None:
            value: Any = search([pool], [score_map], metric, average).value
            best = evaluate([pool], score_map, value, metric, average)
            threshold, score = float(best.threshold), best.score
        else:
            _, sample = next(pool.blocks())
            dtype = score_map.mapped(sample, pool.log_prior).dtype.type
            value = np.nextafter(dtype(used), dtype(np.inf))
            best = evaluate([pool], score_map, value, metric, average)
            threshold, score = float(used), best.score
        title = {"jaccard": "Jaccard index", "f1": "F1"}[metric]
        return cls(
            thresholds=points["thresholds"],
            scores=points["scores"],
            best_threshold=threshold,
            best_score=score,
            metric_name=f"{title} ({average})",
            precision=points["precision"],
            recall=points["recall"],
            fold_thresholds=fold_thresholds,
            estimator_name=name,
        )


class LabelThresholdDisplay:
    """Cutoffs of the labels against the labels' frequencies.

    Rare labels have few positives, so their cutoffs scatter: a picture of how much a cutoff
    for each label overfits.

    Parameters
    ----------
    thresholds : ndarray of shape (n_labels,)
        Cutoffs.
    counts : ndarray of shape (n_labels,)
        Number of rows of each label.
    errors : ndarray of shape (n_labels,), default=None
        Spread of the cutoffs over folds.

    Attributes
    ----------
    points_ : matplotlib artist
        The labels.
    errors_ : matplotlib artist or None
        Spread of the cutoffs over folds.
    ax_, figure_ : matplotlib Axes and Figure
    """

    def __init__(
        self, *, thresholds: np.ndarray, counts: np.ndarray, errors: np.ndarray | None = None
    ):
        self.thresholds = thresholds
        self.counts = counts
        self.errors = errors

    def plot(self, ax: Any = None, **kwargs: Any) -> LabelThresholdDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to; a new figure if None.
        **kwargs : dict
            As in `matplotlib.pyplot.scatter`.

        Returns
        -------
        display : LabelThresholdDisplay
        """
        check_matplotlib_support("LabelThresholdDisplay.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        # Labels without rows have no place on a logarithmic axis.
        seen = self.counts > 0
        self.errors_ = None
        if self.errors is not None and np.all(np.isfinite(self.errors)):
            self.errors_ = ax.errorbar(
                self.counts[seen],
                self.thresholds[seen],
                yerr=self.errors[seen],
                fmt="none",
                ecolor="0.8",
                zorder=1,
            )
        self.points_ = ax.scatter(
            self.counts[seen], self.thresholds[seen], **{"s": 12, "zorder": 2, **kwargs}
        )
        ax.set(xscale="log", xlabel="Rows of the label", ylabel="Cutoff")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls, estimator: ThresholdedMultiLabel, y: Any, *, ax: Any = None, **kwargs: Any
    ) -> LabelThresholdDisplay:
        """Cutoffs of a fitted `ThresholdedMultiLabel` with ``strategy="per_label"``.

        Parameters
        ----------
        estimator : ThresholdedMultiLabel
            Fitted.
        y : {array-like, sparse} of shape (n_samples, n_labels)
            Where labels are counted; the training data's.
        ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : LabelThresholdDisplay
        """
        check_is_fitted(estimator)
        if getattr(estimator, "strategy", None) != "per_label":
            raise ValueError(
                "estimator has no cutoffs for each label. Fit a ThresholdedMultiLabel with "
                "strategy='per_label'."
            )
        label_sets, _ = read_labels(y, allow_multiclass=False)
        if label_sets.n_labels != len(estimator.best_threshold_):
            raise ValueError(
                f"y has {label_sets.n_labels} labels, but the estimator has "
                f"{len(estimator.best_threshold_)}."
            )
        return cls(
            thresholds=estimator.best_threshold_,
            counts=label_sets.counts(),
            errors=estimator.threshold_std_,
        ).plot(ax, **kwargs)
