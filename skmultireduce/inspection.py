"""Why this label: the features that a linear model looks at, through pipelines and wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.frozen import FrozenEstimator
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, NuSVC
from sklearn.utils.validation import check_is_fitted

from ._cutoff.scores import best_scores
from ._data.label_names import names_of
from ._data.naming import naming
from ._data.sparse import check_sparse
from ._sklearn import Interval, StrOptions, _num_samples, check_matplotlib_support, validate_params

__all__ = [
    "Contribution",
    "FeatureWeight",
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
    """

    label: Any
    score: float
    intercept: float
    rank: int
    feature: Any
    value: float
    weight: float
    contribution: float


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
        Names of the labels. None: the classes of 1-D y, else the numbers of the labels.
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
    linear = _find_linear_model(estimator)
    names = _feature_names(linear, feature_names)
    label_names = _label_names(linear, label_names)
    direction = {"positive": 1, "negative": -1, "both": 0}[sign]
    return [
        FeatureWeight(label_names[label], rank, names[feature], float(weight))
        for label in _select(labels, label_names)
        for rank, feature, weight in _largest(_dense_row(linear.coef, label), n, direction)
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
    linear = _find_linear_model(estimator)
    names = _feature_names(linear, feature_names)
    label_names = _label_names(linear, label_names)
    X = _as_one_row(x)
    row = X
    for transformer in linear.transformers:
        row = transformer.transform(row)
    row = _dense_row(row if sp.issparse(row) else np.asarray(row, dtype=float), 0)
    if len(row) != linear.coef.shape[1]:
        raise ValueError(
            f"x has {len(row)} features, but the linear model has {linear.coef.shape[1]}. Pass "
            "a row of what the estimator predicts from."
        )
    scores = np.asarray(linear.coef @ row).ravel() + linear.intercept
    if labels is None:
        chosen = _predicted(estimator.predict(X), linear)
        if not len(chosen):
            chosen = [int(np.argmax(scores))]
    else:
        chosen = _select(labels, label_names)
    records = []
    for label in chosen:
        weights = _dense_row(linear.coef, label)
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
            for rank, feature, contribution in _largest(weights * row, n, 0)
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


@dataclass
class _LinearModel:
    """A linear model and the transformers before it."""

    coef: Any
    intercept: np.ndarray
    classes: np.ndarray | None
    input_names: np.ndarray | None
    transformers: list[Pipeline]


def _find_linear_model(estimator: Any) -> _LinearModel:
    """Look through pipelines and wrappers."""
    check_is_fitted(estimator)
    transformers: list[Pipeline] = []
    model, input_names = estimator, None
    while True:
        if isinstance(model, Pipeline):
            if len(model) > 1:
                transformers.append(model[:-1])
            model, input_names = model[-1], None
            continue
        input_names = getattr(model, "feature_names_in_", input_names)
        parts = _coefficients(model)
        if parts is not None:
            break
        inner = _inner(model)
        if inner is None:
            raise ValueError(
                f"{type(estimator).__name__} is not a linear classifier: {type(model).__name__} "
                "has no coef_ of shape (n_labels, n_features). Features have weights in linear "
                "models only; for others see sklearn.inspection.permutation_importance."
            )
        seen, sees = (getattr(m, "n_features_in_", None) for m in (model, inner))
        if seen is not None and sees is not None and seen != sees:
            raise ValueError(
                f"{type(model).__name__} changes the features before its estimator sees them "
                f"({seen} to {sees}). Make it a step of a pipeline, before the classifier."
            )
        model = inner
    n_labels, n_rows = _n_labels(estimator), parts[0].shape[0]
    if n_labels is not None and n_labels != n_rows:
        raise ValueError(
            f"{type(estimator).__name__} predicts {n_labels} labels, but its linear model "
            f"{type(model).__name__} has {n_rows} row(s) of weights: its classes are not the "
            "labels. Pass a model with one row of weights for each label."
        )
    classes = getattr(model, "classes_", None)
    classes = classes if isinstance(classes, np.ndarray) and classes.ndim == 1 else None
    return _LinearModel(*parts, classes, input_names, transformers)


def _n_labels(estimator: Any) -> int | None:
    """Return the number of labels where ``classes_`` tells it: a row for each label."""
    classes = getattr(estimator, "classes_", None)
    return len(classes) if isinstance(classes, np.ndarray) and classes.ndim == 2 else None


def _inner(model: Any) -> Any:
    """Return what a wrapper predicts with."""
    if isinstance(model, FrozenEstimator):
        return model.estimator
    for name in ("estimator_", "best_estimator_"):
        if hasattr(model, name):
            return getattr(model, name)
    return None


def _coefficients(model: Any) -> tuple[Any, np.ndarray] | None:
    """Weights (n_labels, n_features) and intercepts, None if the model has none."""
    if isinstance(model, SVC | NuSVC):
        # The rows of its coef_ are pairs of classes.
        return None
    if isinstance(model, OneVsRestClassifier | MultiOutputClassifier):
        return _stacked(model.estimators_)
    coef = getattr(model, "coef_", None)
    if coef is None or np.ndim(coef) != 2:
        return None
    intercept = np.ravel(getattr(model, "intercept_", 0.0))
    return coef, np.broadcast_to(intercept, coef.shape[0])


def _stacked(models: list[Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Weights of two-class models, one for each label."""
    parts = [_coefficients(model) for model in models]
    known = [part for part in parts if part is not None]
    if not known or any(coef.shape[0] != 1 for coef, _ in known):
        return None
    coef = np.zeros((len(models), known[0][0].shape[1]))
    intercept = np.zeros(len(models))
    for label, (model, part) in enumerate(zip(models, parts, strict=True)):
        if part is not None:
            coef[label], intercept[label] = _dense_row(part[0], 0), part[1][0]
        elif type(model).__name__ == "_ConstantPredictor":
            # scikit-learn's stand-in for a label that every row has, or none.
            intercept[label] = np.ravel(model.y_)[0]
        else:
            return None
    return coef, intercept


def _feature_names(linear: _LinearModel, feature_names: Any) -> list[Any]:
    n_features = linear.coef.shape[1]
    if feature_names is not None:
        names = np.asarray(feature_names)
        if names.shape != (n_features,):
            raise ValueError(
                f"feature_names has shape {names.shape}, but the linear model has {n_features} "
                "features. Pass the names behind the transformers, or leave it None."
            )
        return names.tolist()
    names = linear.input_names
    if linear.transformers:
        names = None
        for transformer in linear.transformers:
            try:
                names = transformer.get_feature_names_out(names)
            except AttributeError as error:
                raise ValueError(
                    "The names of the features are not known, a transformer has no "
                    f"get_feature_names_out ({error}). Pass feature_names, {n_features} names."
                ) from error
    return [f"x{i}" for i in range(n_features)] if names is None else names.tolist()


def _label_names(linear: _LinearModel, label_names: Any) -> list[Any]:
    n_labels = linear.coef.shape[0]
    if label_names is not None:
        names = list(label_names)
        if len(names) != n_labels:
            raise ValueError(
                f"label_names has {len(names)} names, but the linear model has {n_labels} "
                "labels. Pass one name for each column of y."
            )
        return names
    if linear.classes is None:
        return list(range(n_labels))
    # The one row of a two-class model is for the second class.
    return linear.classes[-n_labels:].tolist()


def _select(labels: Any, label_names: list[Any]) -> Sequence[int]:
    """Numbers of the labels that are asked for by name."""
    if labels is None:
        return range(len(label_names))
    numbers = {name: number for number, name in enumerate(label_names)}
    unknown = [label for label in labels if label not in numbers]
    if unknown:
        raise ValueError(
            f"labels contains {unknown[0]!r}, which is not among the {len(label_names)} label "
            f"names ({', '.join(map(repr, label_names[:5]))}, …). Pass label_names, or the "
            "numbers of the labels."
        )
    return [numbers[label] for label in labels]


def _predicted(y: Any, linear: _LinearModel) -> list[int]:
    """Numbers of the labels in a prediction for one row."""
    if sp.issparse(y) or np.ndim(y) == 2:
        return _dense_row(y, 0).nonzero()[0].tolist()
    n_labels = linear.coef.shape[0]
    if n_labels == 1:
        return [0]
    return np.flatnonzero(linear.classes == np.asarray(y)[0]).tolist()


def _as_one_row(x: Any) -> Any:
    """X of one row."""
    if isinstance(x, str | bytes | dict):
        return [x]
    if sp.issparse(x):
        check_sparse(x, "x")
        x = x.reshape(1, -1).tocsr() if x.ndim == 1 else x
    elif hasattr(x, "to_frame") and (len(x) > 1 or x.dtype.kind in "biuf"):
        x = x.to_frame().T.infer_objects()
    elif np.ndim(x) == 1 and np.asarray(x).dtype.kind in "biuf":
        x = np.reshape(x, (1, -1))
    with naming("x"):
        n_rows = _num_samples(x)
    if n_rows != 1:
        raise ValueError(
            f"x should be one row, but has {n_rows}. Pass X[[i]], X.iloc[[i]] or a single text."
        )
    return x


def _dense_row(matrix: Any, row: int) -> np.ndarray:
    """One row of a matrix, sparse or not."""
    if sp.issparse(matrix):
        return matrix.tocsr()[[row]].toarray().ravel()
    return np.asarray(matrix[row])


def _largest(
    values: np.ndarray, n: int | None, direction: int
) -> Iterator[tuple[int, int, float]]:
    """Rank, place and value of the largest values; of equal ones the first comes first."""
    size = np.abs(values) if direction == 0 else direction * values
    places = np.flatnonzero(size > 0)
    if n is not None and n < len(places):
        least = np.partition(size[places], -n)[-n]
        places = places[size[places] >= least]
    places = places[np.argsort(-size[places], kind="stable")][:n]
    for rank, place in enumerate(places, start=1):
        yield rank, int(place), values[place]


def _columns(records: list[Any], *names: str) -> list[list[Any]]:
    return [[getattr(record, name) for record in records] for name in names]


def _runs(labels: np.ndarray) -> list[slice]:
    """Where each label's bars are."""
    if not len(labels):
        return []
    starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    return [slice(*ends) for ends in zip(starts, [*starts[1:], len(labels)], strict=True)]


@validate_params(
    {
        "X": "no_validation",
        "k": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Real, None],
        "label_names": ["array-like", None],
        "output": [StrOptions({"list", "frame"})],
    },
    prefer_skip_nested_validation=True,
)
def top_labels(
    estimator: Any,
    X: Any,
    *,
    k: int = 5,
    threshold: float | None = None,
    label_names: Any = None,
    output: str = "list",
) -> Any:
    """Find the best labels of each row, with their names and scores.

    Parameters
    ----------
    estimator : estimator
        Fitted; any with `predict_scores`, `predict_proba` or `decision_function`, also as
        the last step of a pipeline that begins with raw texts.
    X : object
        Rows, as the estimator takes them.
    k : int, default=5
        Number of labels of a row; of equal scores the label that comes first.
    threshold : float, default=None
        Labels with a lower score are left out.
    label_names : array-like of shape (n_labels,), default=None
        Names. None: the estimator's own (`label_names_`), or numbers.
    output : {"list", "frame"}, default="list"
        A list of lists of pairs, or a pandas data frame with the columns ``row``, ``rank``
        (from 1), ``label`` and ``score``.

    Returns
    -------
    labels : list of list of tuple, or DataFrame
        Best first.

    Raises
    ------
    ValueError
        If there are more or fewer names than labels.
    AttributeError
        If the estimator has no scores.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.inspection import top_labels
    >>> texts = ["sweet cake", "sour lemon", "sweet lemon cake"] * 20
    >>> y = [[1, 0], [0, 1], [1, 1]] * 20
    >>> model = make_pipeline(
    ...     CountVectorizer(), MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    ... ).fit(texts, y)
    >>> best = top_labels(model, ["sweet cake"], k=1, label_names=["baking", "fruit"])
    >>> [[name for name, score in row] for row in best]
    [['baking']]
    """
    check_is_fitted(estimator)
    scores = best_scores(estimator, X, k, threshold)
    names = names_of(estimator) if label_names is None else label_names
    if names is None:
        names = np.arange(scores.shape[1])
    with naming("label_names"):
        names = list(names)
    if len(names) != scores.shape[1]:
        raise ValueError(f"label_names has {len(names)} names for {scores.shape[1]} labels.")
    rows = np.repeat(np.arange(scores.shape[0]), np.diff(scores.indptr))
    order = np.lexsort((scores.indices, -scores.data, rows))
    labels, values = scores.indices[order].tolist(), scores.data[order].tolist()
    found = [(names[label], value) for label, value in zip(labels, values, strict=True)]
    if output == "list":
        ends = scores.indptr.tolist()
        return [found[start:stop] for start, stop in pairwise(ends)]
    import pandas as pd

    rank = 1 + np.arange(len(rows)) - np.repeat(scores.indptr[:-1], np.diff(scores.indptr))
    return pd.DataFrame(
        {
            "row": rows,
            "rank": rank,
            "label": [name for name, _ in found],
            "score": scores.data[order],
        }
    )
