"""Displays, in scikit-learn's form; matplotlib is imported when something is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._cutoff.counters import Search
from ._cutoff.evaluation import curve, evaluate
from ._cutoff.intervals import check_confidence, curve_margin
from ._cutoff.metric import AVERAGES, METRICS
from ._cutoff.rule import CutRule, rule_of
from ._cutoff.scores import Pool, Source
from ._cutoff.search import find
from ._data.blocks import indexable_rows
from ._data.label_sets import read_labels
from ._sklearn import check_matplotlib_support
from .metrics import _score_pool

__all__ = ["LabelThresholdDisplay", "ThresholdCurveDisplay"]

_N_POINTS = 1000
_TITLES = {"jaccard": "Jaccard index", "f1": "F1"}


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
    margin : float, default=None
        The curve of new rows is within the scores plus or minus this number.

    Attributes
    ----------
    line_, best_ : matplotlib artists
        The curve and the optimum.
    band_ : matplotlib artist or None
        The curve plus or minus its margin.
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
        margin: float | None = None,
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
        self.margin = margin

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
        self.band_ = None
        if self.margin is not None:
            self.band_ = ax.fill_between(
                self.thresholds,
                np.clip(self.scores - self.margin, 0, 1),
                np.clip(self.scores + self.margin, 0, 1),
                color=self.line_.get_color(),
                alpha=0.15,
                linewidth=0,
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
        confidence: float | None = None,
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
        confidence : float in (0, 1), default=None
            Draw the band that holds the curve of new rows with this probability, as in
            `jaccard_threshold_curve`.
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
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=float)
        found = rule_of(estimator, X)
        if found is None:
            source = Source.of(response_method, label_sets.n_labels, estimator)
            blocks = source.blocks(estimator, X)
            name = name or type(estimator).__name__
            pool = Pool(blocks, label_sets, weight)
            display = cls._build(pool, metric, average, name, confidence)
        else:
            inner, rule = found
            if not rule.single:
                raise ValueError(
                    "An estimator with a cutoff for each label, as with strategy='per_label', has "
                    "no single cutoff. Use LabelThresholdDisplay.from_estimator."
                )
            pool = rule.pool(inner, X, label_sets, weight)
            name = name or type(inner).__name__
            display = cls._build(pool, metric, average, name, confidence, rule)
            if rule.score_map.own_units:
                display.fold_thresholds = getattr(estimator, "fold_thresholds_", None)
        return display.plot(ax, precision_recall=precision_recall, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_score: Any,
        *,
        metric: str = "jaccard",
        average: str = "micro",
        sample_weight: Any = None,
        confidence: float | None = None,
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
        metric, average, sample_weight, confidence, name, ax, precision_recall, **kwargs
            As in `from_estimator`.

        Returns
        -------
        display : ThresholdCurveDisplay
        """
        pool = _score_pool(y_true, y_score, sample_weight)
        return cls._build(pool, metric, average, name, confidence).plot(
            ax, precision_recall=precision_recall, **kwargs
        )

    @classmethod
    def _build(
        cls,
        pool: Pool,
        metric: str,
        average: str,
        name: str | None,
        confidence: float | None,
        rule: CutRule | None = None,
    ) -> ThresholdCurveDisplay:
        if metric not in _TITLES:
            raise ValueError(
                f"metric={metric!r} is unknown; choose {' or '.join(map(repr, _TITLES))}."
            )
        if average not in AVERAGES:
            raise ValueError(
                f"average={average!r} is unknown; choose 'micro', 'samples' or 'macro'."
            )
        check_confidence(confidence)
        search = Search([pool], metric=METRICS[metric], average=average)
        if rule is not None:
            search = search.only(rule.score_map)
        points = curve(search, _N_POINTS)
        if rule is None:
            best = evaluate(search, find(search).value)
            threshold = float(best.threshold)
        else:
            _, scores = next(pool.typed_blocks())
            own = rule.score_map.mapped(scores, pool.log_prior).dtype.type
            best = evaluate(search, np.nextafter(own(rule.cutoff), own(np.inf)))
            threshold = float(rule.cutoff)
        return cls(
            thresholds=points["thresholds"],
            scores=points["scores"],
            best_threshold=threshold,
            best_score=best.score,
            metric_name=f"{_TITLES[metric]} ({average})",
            precision=points["precision"],
            recall=points["recall"],
            estimator_name=name,
            margin=None if confidence is None else curve_margin(search, confidence),
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

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
    >>> from skmultireduce.plotting import LabelThresholdDisplay
    >>> X, y = make_multilabel_classification(random_state=0)
    >>> classifier = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    >>> model = ThresholdedMultiLabel(
    ...     classifier, scoring="jaccard_macro", strategy="per_label", random_state=0
    ... ).fit(X, y)
    >>> display = LabelThresholdDisplay.from_estimator(model, y)  # doctest: +SKIP
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
        cls, estimator: BaseEstimator, y: Any, *, ax: Any = None, **kwargs: Any
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
        found = rule_of(estimator)
        if found is None or found[1].single:
            raise ValueError(
                "estimator has no cutoffs for each label. Fit a ThresholdedMultiLabel with "
                "strategy='per_label'."
            )
        thresholds = found[1].cutoff
        label_sets, _ = read_labels(y, allow_multiclass=False)
        if label_sets.n_labels != len(thresholds):
            raise ValueError(
                f"y has {label_sets.n_labels} labels, but the estimator has {len(thresholds)}."
            )
        return cls(
            thresholds=thresholds,
            counts=label_sets.counts(),
            errors=getattr(estimator, "threshold_std_", None),
        ).plot(ax, **kwargs)
