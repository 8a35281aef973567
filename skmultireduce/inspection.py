"""Why this label: the features that a linear model looks at, through pipelines and wrappers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ._inspection.best_labels import best_labels
from ._inspection.linear_parts import (
    as_one_row,
    dense_row,
    feature_names_of,
    find_linear_parts,
    label_names_of,
    largest,
    predicted_labels,
    select_labels,
)
from ._sklearn import Interval, StrOptions, check_matplotlib_support, validate_params

__all__ = [
    "Contribution",
    "FeatureWeight",
    "LabelScore",
    "TopFeaturesDisplay",
    "explain_row",
    "top_features",
    "top_labels",
]


class FeatureWeight(NamedTuple):
    """A feature that speaks for or against a label.

    Parameters
    ----------
    label : object
        Name of the label.
    rank : int
        From 1, the largest weight.
    feature : object
        Name of the feature.
    weight : float
        Coefficient of the feature in the label's score.

    Examples
    --------
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.inspection import top_features
    >>> X, y = [[1, 0], [0, 1], [1, 1], [0, 0]], [[1, 0], [0, 1], [1, 1], [0, 0]]
    >>> model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
    >>> best = top_features(model, ["red", "blue"], n=1, label_names=["warm", "cold"])
    >>> [(found.label, found.feature, found.rank) for found in best]
    [('warm', 'red', 1), ('cold', 'blue', 1)]
    """

    label: Any
    rank: int
    feature: Any
    weight: float


class Contribution(NamedTuple):
    """What a feature of a row adds to the score of a label.

    Parameters
    ----------
    label : object
        Name of the label.
    score : float
        The label's linear score: `intercept` and all contributions.
    intercept : float
        Score of a row without features.
    rank : int
        From 1, the largest contribution.
    feature : object
        Name of the feature.
    value : float
        Value of the feature in the row, as the linear model sees it.
    weight : float
        Coefficient of the feature in the label's score.
    contribution : float
        Value times weight.

    Examples
    --------
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.inspection import explain_row
    >>> X, y = [[1, 0], [0, 1], [1, 1], [0, 0]], [[1, 0], [0, 1], [1, 1], [0, 0]]
    >>> model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
    >>> parts = explain_row(model, [2, 1], ["red", "blue"], labels=[0], n=2)
    >>> [(part.feature, part.value) for part in parts]
    [('red', 2.0), ('blue', 1.0)]
    >>> parts[0].contribution == parts[0].value * parts[0].weight
    True
    """

    label: Any
    score: float
    intercept: float
    rank: int
    feature: Any
    value: float
    weight: float
    contribution: float


class LabelScore(NamedTuple):
    """One of the best labels of a row.

    Parameters
    ----------
    row : int
        Number of the row, from 0.
    rank : int
        From 1, the highest score.
    label : object
        Name of the label.
    score : float
        Its score.

    Examples
    --------
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.inspection import top_labels
    >>> X, y = [[1, 0], [0, 1], [1, 1], [0, 0]], [[1, 0], [0, 1], [1, 1], [0, 0]]
    >>> model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0).fit(X, y)
    >>> [[best]] = top_labels(model, [[1, 0]], 1, label_names=["warm", "cold"])
    >>> best.row, best.rank, best.label
    (0, 1, 'warm')
    """

    row: int
    rank: int
    label: Any
    score: float


@validate_params(
    {
        "k": [Interval(Integral, 1, None, closed="left")],
        "label_names": ["array-like", None],
        "threshold": [Real, None],
        "response_method": [
            StrOptions({"auto", "predict_proba", "decision_function", "predict_scores"})
        ],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def top_labels(
    estimator: Any,
    X: Any,
    k: int = 5,
    *,
    threshold: float | None = None,
    label_names: Sequence | None = None,
    response_method: str = "auto",
    as_frame: bool = False,
) -> Any:
    """List the k best labels of each row by name, with their scores.

    Parameters
    ----------
    estimator : object
        A fitted multi-label classifier with `predict_proba` or `decision_function` in any of
        scikit-learn's shapes, or with `predict_scores`, or a classifier of 1-D y; also a
        pipeline or a search.
    X : {array-like, sparse} of shape (n_samples, n_features)
        Rows, of what the estimator takes.
    k : int, default=5
        Number of labels for each row, in [1, inf); all if there are fewer.
    threshold : float, default=None
        Labels with a lower score are left out.
    label_names : array-like of shape (n_labels,), default=None
        Names of the labels. None: the estimator's `label_names_`, or the classes of 1-D y,
        else the numbers of the labels.
    response_method : {"auto", "predict_proba", "decision_function", "predict_scores"}, \
            default="auto"
        Where scores come from; ``"auto"``: probabilities if there are some. Of estimators
        with `predict_scores` only the labels that are asked for are scored.
    as_frame : bool, default=False
        If True, return a ``pandas.DataFrame``.

    Returns
    -------
    records : list of list of LabelScore, or DataFrame
        For each row its labels by falling score, of equal ones the first column first. The
        frame has the columns `row`, `rank`, `label` and `score`.

    Raises
    ------
    ValueError
        If names do not fit to the number of labels.
    AttributeError
        If the estimator has no scores.
    ImportError
        If `as_frame` is True and pandas is not installed.

    See Also
    --------
    explain_row : Why a label has its score.

    Notes
    -----
    Scores are read in blocks of rows that fit into scikit-learn's ``working_memory``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.inspection import top_labels
    >>> texts = ["import numpy", "import pandas", "numpy pandas", "import os"] * 5
    >>> y = pd.DataFrame({"array": [1, 0, 1, 0] * 5, "frame": [0, 1, 1, 0] * 5})
    >>> model = make_pipeline(
    ...     CountVectorizer(), MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    ... ).fit(texts, y)
    >>> [best.label for best in top_labels(model, ["numpy", "pandas"], 1)[1]]
    ['frame']
    """
    names, rows = best_labels(estimator, X, k, threshold, response_method, label_names)
    records = [
        [
            LabelScore(row, rank, names[label], score)
            for rank, (label, score) in enumerate(best, start=1)
        ]
        for row, best in enumerate(rows)
    ]
    if not as_frame:
        return records
    import pandas as pd

    flat = [record for row in records for record in row]
    return pd.DataFrame(flat, columns=list(LabelScore._fields))


@validate_params(
    {
        "feature_names": ["array-like", None],
        "n": [Interval(Integral, 1, None, closed="left"), None],
        "labels": ["array-like", None],
        "label_names": ["array-like", None],
        "sign": [StrOptions({"positive", "negative", "both"})],
    },
    prefer_skip_nested_validation=True,
)
def top_features(
    estimator: Any,
    feature_names: Sequence | None = None,
    *,
    n: int | None = 10,
    labels: Sequence | None = None,
    label_names: Sequence | None = None,
    sign: str = "positive",
) -> list[FeatureWeight]:
    """List the features with the largest weights for each label.

    Parameters
    ----------
    estimator : object
        A fitted linear classifier, that is one with ``coef_`` of shape (n_labels,
        n_features), or a :class:`~sklearn.multiclass.OneVsRestClassifier` or
        :class:`~sklearn.multioutput.MultiOutputClassifier` of such ones; also as the last
        step of a pipeline, inside a search (``best_estimator_``) or inside a wrapper like
        :class:`~skmultireduce.ThresholdedMultiLabel` (``estimator_``).
    feature_names : array-like of shape (n_features,), default=None
        Names of the features that the linear model sees, behind all transformers. None:
        from the transformers' ``get_feature_names_out``, else from ``feature_names_in_``,
        else ``x0``, ``x1``, ….
    n : int or None, default=10
        Number of features for each label, in [1, inf); None: all.
    labels : array-like, default=None
        Which labels, by name. None: all.
    label_names : array-like of shape (n_labels,), default=None
        Names of the labels. None: the estimator's `label_names_` (the columns of a data
        frame, for example), the classes of 1-D y, else the numbers of the labels.
    sign : {"positive", "negative", "both"}, default="positive"
        Features that speak for the label, against it, or the largest absolute weights.
        Features of weight zero are never listed.

    Returns
    -------
    records : list of FeatureWeight
        For each label by falling absolute weight; ``pandas.DataFrame(records)`` makes a
        table of them.

    Raises
    ------
    ValueError
        If the estimator is not linear, or names do not fit to its shape.

    See Also
    --------
    explain_row : The same for the score of one row.
    TopFeaturesDisplay : Bar charts.

    Notes
    -----
    Weights of features on different scales cannot be compared. The two-class models of
    scikit-learn have one row of weights, which is for their second class.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmultireduce.inspection import top_features
    >>> texts = ["import numpy", "import pandas", "numpy pandas", "import os"]
    >>> y = [[1, 0], [0, 1], [1, 1], [0, 0]]
    >>> model = make_pipeline(CountVectorizer(), OneVsRestClassifier(LogisticRegression()))
    >>> for record in top_features(model.fit(texts, y), n=1, label_names=["array", "frame"]):
    ...     print(record.label, record.feature)
    array numpy
    frame pandas
    """
    linear = find_linear_parts(estimator)
    names = feature_names_of(linear, feature_names)
    label_names = label_names_of(linear, label_names, estimator)
    direction = {"positive": 1, "negative": -1, "both": 0}[sign]
    return [
        FeatureWeight(label_names[label], rank, names[feature], float(weight))
        for label in select_labels(labels, label_names)
        for rank, feature, weight in largest(dense_row(linear.coef, label), n, direction)
    ]


@validate_params(
    {
        "feature_names": ["array-like", None],
        "n": [Interval(Integral, 1, None, closed="left"), None],
        "labels": ["array-like", None],
        "label_names": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def explain_row(
    estimator: Any,
    x: Any,
    feature_names: Sequence | None = None,
    *,
    n: int | None = 10,
    labels: Sequence | None = None,
    label_names: Sequence | None = None,
) -> list[Contribution]:
    """List the features of a row that add most to the scores of its labels.

    Parameters
    ----------
    estimator : object
        As for :func:`top_features`.
    x : object
        One row of what the estimator predicts from: a text, an array of shape
        (n_features,) or (1, n_features), a sparse matrix, data frame or list of one row.
    feature_names : array-like of shape (n_features,), default=None
        As for :func:`top_features`.
    n : int or None, default=10
        Number of features for each label, in [1, inf); None: all that are not zero.
    labels : array-like, default=None
        Which labels, by name. None: those that the estimator predicts, or the one with
        the highest score where it predicts none.
    label_names : array-like of shape (n_labels,), default=None
        As for :func:`top_features`.

    Returns
    -------
    records : list of Contribution
        For each label by falling absolute contribution; features that contribute nothing
        are not listed. ``pandas.DataFrame(records)`` makes a table of them.

    Raises
    ------
    ValueError
        If the estimator is not linear, if `x` is not one row or is a corrupt sparse matrix,
        or names do not fit.

    See Also
    --------
    top_features : The same for all rows.

    Notes
    -----
    With ``n=None`` the contributions of a label and its intercept sum to its score, the
    ``decision_function`` of the linear model.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.multiclass import OneVsRestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmultireduce.inspection import explain_row
    >>> texts = ["import numpy", "import pandas", "numpy pandas", "import os"]
    >>> y = [[1, 0], [0, 1], [1, 1], [0, 0]]
    >>> model = make_pipeline(CountVectorizer(), OneVsRestClassifier(LogisticRegression()))
    >>> model = model.fit(texts, y)
    >>> for record in explain_row(model, "import numpy numpy", label_names=["array", "frame"]):
    ...     print(record.label, record.feature, record.value, round(record.contribution, 2))
    array numpy 2.0 1.48
    array import 1.0 -0.34
    """
    linear = find_linear_parts(estimator)
    names = feature_names_of(linear, feature_names)
    label_names = label_names_of(linear, label_names, estimator)
    X = as_one_row(x)
    row = X
    for transformer in linear.transformers:
        row = transformer.transform(row)
    row = dense_row(row if sp.issparse(row) else np.asarray(row, dtype=float), 0)
    if len(row) != linear.coef.shape[1]:
        raise ValueError(
            f"x has {len(row)} features, but the linear model has {linear.coef.shape[1]}. Pass "
            "a row of what the estimator predicts from."
        )
    scores = np.asarray(linear.coef @ row).ravel() + linear.intercept
    if labels is None:
        chosen = predicted_labels(estimator.predict(X), linear, label_names)
        if not len(chosen):
            chosen = [int(np.argmax(scores))]
    else:
        chosen = select_labels(labels, label_names)
    records = []
    for label in chosen:
        weights = dense_row(linear.coef, label)
        records += [
            Contribution(
                label_names[label],
                float(scores[label]),
                float(linear.intercept[label]),
                rank,
                names[feature],
                float(row[feature]),
                float(weights[feature]),
                float(contribution),
            )
            for rank, feature, contribution in largest(weights * row, n, 0)
        ]
    return records


class TopFeaturesDisplay:
    """Bar charts of the features that speak for or against labels.

    Make it with :meth:`from_estimator` or :meth:`from_row`.

    Parameters
    ----------
    labels : array-like of shape (n_bars,)
        Label that each bar belongs to; the bars of a label follow each other.
    features : array-like of shape (n_bars,)
        Feature of each bar.
    weights : array-like of shape (n_bars,)
        Length of each bar.
    quantity : str, default="weight"
        What the length is.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure, after :meth:`plot`.
    axes_ : ndarray of matplotlib Axes
        The chart of each label, after :meth:`plot`.
    bars_ : list of matplotlib BarContainer
        The bars of each label, after :meth:`plot`.

    See Also
    --------
    top_features, explain_row : The figures behind it.

    Examples
    --------
    >>> from skmultireduce.inspection import TopFeaturesDisplay
    >>> display = TopFeaturesDisplay(["a", "a", "b"], ["x", "y", "x"], [2.0, 1.0, 0.5])
    >>> display.plot().axes_.shape
    (2,)
    """

    def __init__(
        self, labels: Sequence, features: Sequence, weights: Sequence, *, quantity: str = "weight"
    ):
        self.labels = np.asarray(labels)
        self.features = np.asarray(features)
        self.weights = np.asarray(weights, dtype=float)
        self.quantity = quantity

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        feature_names: Sequence | None = None,
        *,
        n: int | None = 10,
        labels: Sequence | None = None,
        label_names: Sequence | None = None,
        sign: str = "positive",
        axes: Any = None,
        n_columns: int = 3,
        bar_kwargs: dict | None = None,
    ) -> TopFeaturesDisplay:
        """Plot the top features of each label.

        Parameters
        ----------
        estimator, feature_names, n, labels, label_names, sign : object
            As for :func:`top_features`.
        axes, n_columns, bar_kwargs : object
            As for :meth:`plot`.

        Returns
        -------
        display : TopFeaturesDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        records = top_features(
            estimator, feature_names, n=n, labels=labels, label_names=label_names, sign=sign
        )
        display = cls(*_columns(records, "label", "feature", "weight"))
        return display.plot(axes, n_columns=n_columns, bar_kwargs=bar_kwargs)

    @classmethod
    def from_row(
        cls,
        estimator: Any,
        x: Any,
        feature_names: Sequence | None = None,
        *,
        n: int | None = 10,
        labels: Sequence | None = None,
        label_names: Sequence | None = None,
        axes: Any = None,
        n_columns: int = 3,
        bar_kwargs: dict | None = None,
    ) -> TopFeaturesDisplay:
        """Plot what the features of one row contribute to its labels.

        Parameters
        ----------
        estimator, x, feature_names, n, labels, label_names : object
            As for :func:`explain_row`.
        axes, n_columns, bar_kwargs : object
            As for :meth:`plot`.

        Returns
        -------
        display : TopFeaturesDisplay
        """
        check_matplotlib_support(f"{cls.__name__}.from_row")
        records = explain_row(
            estimator, x, feature_names, n=n, labels=labels, label_names=label_names
        )
        display = cls(
            *_columns(records, "label", "feature", "contribution"), quantity="contribution"
        )
        return display.plot(axes, n_columns=n_columns, bar_kwargs=bar_kwargs)

    def plot(
        self, axes: Any = None, *, n_columns: int = 3, bar_kwargs: dict | None = None
    ) -> TopFeaturesDisplay:
        """Draw one chart for each label.

        Parameters
        ----------
        axes : matplotlib Axes or array-like of them, default=None
            Where to draw, one for each label. None: in a new figure.
        n_columns : int, default=3
            Charts side by side in a new figure.
        bar_kwargs : dict, default=None
            Passed to ``Axes.barh``.

        Returns
        -------
        display : TopFeaturesDisplay
            Itself.

        Raises
        ------
        ValueError
            If there is nothing to draw, or another number of axes than of labels.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        groups = _runs(self.labels)
        if not groups:
            raise ValueError(
                "There is no bar to draw: no label has a feature with a weight of this sign. "
                "Ask for other labels, or for sign='both'."
            )
        if axes is None:
            n_columns = max(1, min(n_columns, len(groups)))
            n_lines = -(-len(groups) // n_columns)
            most = max(group.stop - group.start for group in groups)
            figure, grid = plt.subplots(
                n_lines,
                n_columns,
                figsize=(3.6 * n_columns, n_lines * (0.9 + 0.24 * most)),
                squeeze=False,
                layout="constrained",
            )
            axes = grid.ravel()
            for unused in axes[len(groups) :]:
                unused.remove()
            axes = axes[: len(groups)]
        else:
            axes = np.array(axes, dtype=object, ndmin=1).ravel()
            if len(axes) != len(groups):
                raise ValueError(
                    f"axes has {len(axes)} axes, but there are {len(groups)} labels to draw. "
                    "Pass one for each, or choose labels."
                )
            figure = axes[0].figure
        self.bars_ = []
        for ax, group in zip(axes, groups, strict=True):
            weights = self.weights[group]
            places = np.arange(len(weights))
            style = {"color": np.where(weights > 0, "C0", "C3"), **(bar_kwargs or {})}
            self.bars_.append(ax.barh(places, weights, **style))
            ax.set_yticks(places, [str(feature) for feature in self.features[group]])
            ax.invert_yaxis()
            ax.axvline(0, color="gray", linewidth=0.8)
            ax.set(title=str(self.labels[group.start]), xlabel=self.quantity)
        self.figure_, self.axes_ = figure, axes
        return self


def _columns(records: list[Any], *names: str) -> list[list[Any]]:
    return [[getattr(record, name) for record in records] for name in names]


def _runs(labels: np.ndarray) -> list[slice]:
    """Where each label's bars are."""
    if not len(labels):
        return []
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    return [slice(*ends) for ends in zip(starts, [*starts[1:], len(labels)], strict=True)]
