"""The multi-class classifiers inside: what they can take, their fits and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_regressor
from sklearn.dummy import DummyClassifier

from .._data.inner_fits import last_step
from .._sklearn import _num_samples, _safe_indexing
from .class_table import ClassTable

__all__ = [
    "Job",
    "class_proba",
    "mean_size",
    "run",
    "seeded",
    "size_proba",
    "take_rows",
    "takes_label_sets",
    "takes_weights",
]


@dataclass(frozen=True)
class Job:
    """A fit of one model.

    Parameters
    ----------
    model : estimator
        Is fitted.
    X, y : object
        Its data; y are codes from 0, label sets, or numbers for a regressor.
    weights : ndarray of shape (n_rows,)
        Weights of the rows.
    n_classes : int or None
        None for a regressor.
    params : dict
        Metadata for its `fit`.
    """

    model: Any
    X: Any
    y: Any
    weights: np.ndarray
    n_classes: int | None
    params: dict[str, Any]


def takes_label_sets(estimator: Any) -> bool:
    """Whether the classifier trains on label sets itself.

    Such a classifier has the class attribute ``_takes_label_sets = True`` and a parameter
    ``reduction``; it then gets an indicator matrix, and rows are not repeated.
    """
    last = last_step(estimator)[1]
    return getattr(last, "_takes_label_sets", False) and hasattr(last, "reduction")


def takes_weights(estimator: Any, method: str) -> bool:
    """Whether `fit` or `partial_fit` of the classifier has ``sample_weight``."""
    last = last_step(estimator)[1]
    # Without the method only where one class is all that is known, see `run`.
    return "sample_weight" in signature(getattr(last, method, last.fit)).parameters


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Rows of X; X itself where that is all of them in order."""
    n_rows = _num_samples(X)
    if len(rows) == n_rows and np.array_equal(rows, np.arange(n_rows)):
        return X
    return _safe_indexing(X, rows)


def seeded(estimator: Any, rng: np.random.RandomState | None) -> Any:
    """Clone; with a generator, parameters ``random_state`` that are None get seeds from it."""
    model = clone(estimator)
    if rng is not None:
        seeds = {
            name: rng.randint(2**31 - 1)
            for name, value in sorted(model.get_params().items())
            if value is None and f"__{name}".endswith("__random_state")
        }
        model.set_params(**seeds)
    return model


def run(job: Job, method: str) -> Any:
    """Fit by `fit` or `partial_fit`."""
    model, n_classes = job.model, job.n_classes
    if n_classes == 1:
        # Many classifiers refuse a single class, the answer is the same for all.
        n_rows = _num_samples(job.X)
        return DummyClassifier(strategy="prior").fit(
            np.empty((n_rows, 0)), np.zeros(n_rows, dtype=np.int64)
        )
    params = dict(job.params)
    if np.any(job.weights != 1) and takes_weights(model, method):
        prefix, last = last_step(model)
        if prefix and get_config()["enable_metadata_routing"]:
            getattr(last, f"set_{method}_request")(sample_weight=True)
            prefix = ""
        params[prefix + "sample_weight"] = job.weights
    if method == "partial_fit" and n_classes is not None and job.y.ndim == 1:
        params["classes"] = np.arange(n_classes)
    return getattr(model, method)(job.X, job.y, **params)


def _finite_proba(model: Any, X: Any) -> np.ndarray:
    proba = model.predict_proba(X)
    if not np.all(np.isfinite(proba)):
        raise ValueError(
            f"{type(model).__name__}.predict_proba gives NaN for rows of X: its numbers "
            "over- or underflow. Scale X, drop constant features, or choose another estimator."
        )
    return proba


def class_proba(model: Any, X: Any, n_classes: int) -> np.ndarray:
    """Probabilities of the classes, float64 or float32."""
    proba = _finite_proba(model, X)
    if proba.shape[1] == n_classes:
        return proba
    # A classifier may know fewer classes, if resampling left none of a rare one.
    full = np.zeros((proba.shape[0], n_classes), dtype=proba.dtype)
    full[:, model.classes_] = proba
    return full


def size_proba(model: Any, X: Any, table: ClassTable, seen: np.ndarray) -> np.ndarray:
    """Probabilities of the sizes, of a classifier whose classes are the positions `seen`."""
    out = np.zeros((_num_samples(X), len(table.size_values)))
    out[:, seen[model.classes_]] = _finite_proba(model, X)
    return out


def mean_size(model: Any, X: Any, table: ClassTable, seen: np.ndarray | None) -> np.ndarray:
    """Expected number of labels of each row, of a classifier of the sizes or a regressor."""
    if is_regressor(model):
        least = 0.0 if table.none else 1.0
        return np.clip(np.ravel(model.predict(X)), least, table.sizes.largest)
    if hasattr(model, "predict_proba"):
        return size_proba(model, X, table, seen) @ table.size_values
    return table.size_values[seen[model.predict(X)]]
