"""The linear model inside of an estimator, and the names of its features and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.frozen import FrozenEstimator
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, NuSVC
from sklearn.utils.validation import check_is_fitted

from .._data.label_names import names_of
from .._data.naming import naming
from .._data.sparse import check_sparse
from .._sklearn import _num_samples

__all__ = [
    "LinearParts",
    "as_one_row",
    "dense_row",
    "feature_names_of",
    "find_linear_parts",
    "label_names_of",
    "largest",
    "predicted_labels",
    "select_labels",
]


@dataclass
class LinearParts:
    """A linear model and the transformers before it."""

    coef: Any
    intercept: np.ndarray
    classes: np.ndarray | None
    input_names: np.ndarray | None
    transformers: list[Pipeline]


def find_linear_parts(estimator: Any) -> LinearParts:
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
    return LinearParts(*parts, classes, input_names, transformers)


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
            coef[label], intercept[label] = dense_row(part[0], 0), part[1][0]
        elif type(model).__name__ == "_ConstantPredictor":
            # scikit-learn's stand-in for a label that every row has, or none.
            intercept[label] = np.ravel(model.y_)[0]
        else:
            return None
    return coef, intercept


def feature_names_of(linear: LinearParts, feature_names: Any) -> list[Any]:
    """Names of the features that the linear model sees: given, or from the transformers."""
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


def label_names_of(linear: LinearParts, label_names: Any, estimator: Any) -> list[Any]:
    """Names that are given, or that the estimator has; else classes or numbers."""
    n_labels = linear.coef.shape[0]
    if label_names is not None:
        names = list(label_names)
        if len(names) != n_labels:
            raise ValueError(
                f"label_names has {len(names)} names, but the linear model has {n_labels} "
                "labels. Pass one name for each column of y."
            )
        return names
    known = names_of(estimator)
    if known is not None and len(known) == n_labels:
        return known.tolist()
    if linear.classes is None:
        return list(range(n_labels))
    # The one row of a two-class model is for the second class.
    return linear.classes[-n_labels:].tolist()


def select_labels(labels: Any, label_names: list[Any]) -> Sequence[int]:
    """Numbers of the labels that are asked for by name."""
    if labels is None:
        return range(len(label_names))
    # Numbers are understood too, where they are no names.
    numbers = {number: number for number in range(len(label_names))}
    if any(isinstance(name, Number) for name in label_names):
        numbers = {}
    numbers |= {name: number for number, name in enumerate(label_names)}
    unknown = [label for label in labels if label not in numbers]
    if unknown:
        raise ValueError(
            f"labels contains {unknown[0]!r}, which is not among the {len(label_names)} label "
            f"names ({', '.join(map(repr, label_names[:5]))}, …). Pass label_names, or the "
            "numbers of the labels."
        )
    return [numbers[label] for label in labels]


def predicted_labels(y: Any, linear: LinearParts, label_names: list[Any]) -> list[int]:
    """Numbers of the labels in a prediction for one row."""
    if isinstance(y, np.ndarray) and y.ndim == 1 and isinstance(y[0], list):
        return [label_names.index(name) for name in y[0]]
    if sp.issparse(y) or np.ndim(y) == 2:
        return dense_row(y, 0).nonzero()[0].tolist()
    n_labels = linear.coef.shape[0]
    if n_labels == 1:
        return [0]
    return np.flatnonzero(linear.classes == np.asarray(y)[0]).tolist()


def as_one_row(x: Any) -> Any:
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


def dense_row(matrix: Any, row: int) -> np.ndarray:
    """One row of a matrix, sparse or not."""
    if sp.issparse(matrix):
        return matrix.tocsr()[[row]].toarray().ravel()
    return np.asarray(matrix[row])


def largest(values: np.ndarray, n: int | None, direction: int) -> Iterator[tuple[int, int, float]]:
    """Rank, place and value of the largest values; of equal ones the first comes first."""
    size = np.abs(values) if direction == 0 else direction * values
    places = np.flatnonzero(size > 0)
    if n is not None and n < len(places):
        least = np.partition(size[places], -n)[-n]
        places = places[size[places] >= least]
    places = places[np.argsort(-size[places], kind="stable")][:n]
    for rank, place in enumerate(places, start=1):
        yield rank, int(place), values[place]
