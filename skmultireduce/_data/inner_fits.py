"""Fits of estimators inside of others, of which little is known: the y that they get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.dummy import DummyClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline

from .._sklearn import BaseSearchCV, _align_api_if_sparse
from .label_sets import LabelSets, Target

__all__ = [
    "fit_inner",
    "has_method",
    "indicator",
    "inner_has",
    "last_step",
    "takes_sparse_y",
]

# A label with fewer rows with it, or fewer without it, is named when a fit fails: inner folds
# of five need that many of each.
_FEW_ROWS = 5

# Of scikit-learn, those that work on sparse y. Others refuse it, or read the matrix as one
# target, with or without an error.
_TAKE_SPARSE = (DummyClassifier, OneVsRestClassifier)


def last_step(estimator: Any) -> tuple[str, Any]:
    """Prefix of the parameters of a pipeline's last step, and that step."""
    prefix = ""
    while isinstance(estimator, Pipeline):
        name, estimator = estimator.steps[-1]
        prefix += name + "__"
    return prefix, estimator


def takes_sparse_y(estimator: Any) -> bool:
    """Whether an estimator is known to train on a sparse indicator.

    The estimators of this package and what inherits from them, scikit-learn's
    OneVsRestClassifier and DummyClassifier; pipelines that end with one of these, searches
    over their parameters.
    """
    last = last_step(estimator)[1]
    if isinstance(last, BaseSearchCV):
        return takes_sparse_y(last.estimator)
    ours = any(cls.__module__.startswith("skmultireduce.") for cls in type(last).__mro__)
    return ours or isinstance(last, _TAKE_SPARSE)


def indicator(label_sets: LabelSets, target: Target) -> Any:
    """Y as inner estimators and splitters get it, whatever it came in.

    An array, or CSR if y was sparse, of 0 and 1 in the type of y; of int32 where that cannot
    hold the number of labels (some classifiers number the labels in y's own type, which
    wraps around beyond 127 for int8), or is one of which SciPy makes no sparse matrix or
    scikit-learn before 1.7 no multi-label target.

    Parameters
    ----------
    label_sets : LabelSets
        Rows of y, or some of them.
    target : Target
        What y looked like; multi-label.

    Returns
    -------
    y : ndarray or CSR of shape (n_rows, n_labels)
    """
    dtype = np.dtype(target.dtype)
    narrow = dtype.kind in "iu" and np.iinfo(dtype).max < target.n_labels
    if narrow or dtype.kind not in "biuf" or dtype in (np.float16, np.longdouble):
        dtype = np.dtype(np.int32)
    y = label_sets.to_csr(dtype.newbyteorder("="))
    return _align_api_if_sparse(y) if target.sparse else y.toarray()


def fit_inner(estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], *, rows: str) -> Any:
    """Fit an estimator of which little is known.

    Parameters
    ----------
    estimator : estimator
        Is fitted; not cloned.
    X : {array-like, sparse} of shape (n_rows, n_features)
        Data.
    y : ndarray or CSR of shape (n_rows, n_labels), or array-like of shape (n_rows,)
        Of `indicator`, or classes. If sparse, estimators that are not known to take that
        get a dense copy.
    fit_params : dict
        Further arguments of ``estimator.fit``.
    rows : str
        What the rows are, for error messages, such as ``"fold 2 of 5"``.

    Returns
    -------
    estimator : estimator
        What its `fit` returns.

    Raises
    ------
    ValueError
        What the estimator raises; with the rarest label, if that has few rows.
    MemoryError
        If there is no room for the dense copy.
    """
    # A single column is a target of classes for scikit-learn, which it takes dense alone.
    if sp.issparse(y) and (y.shape[1] == 1 or not takes_sparse_y(estimator)):
        y = _dense(estimator, y)
    try:
        return estimator.fit(X, y, **fit_params)
    except ValueError as error:
        rare = _rarest_label(y)
        if rare is None:
            raise
        raise ValueError(
            f"{type(estimator).__name__} could not be fitted on the training rows of {rows}: "
            f"{str(error).rstrip('.')}. That may be due to rare labels: {rare}. Leave such labels "
            "out, use fewer folds, or an estimator that takes them, such as OneVsRestClassifier "
            "instead of MultiOutputClassifier, or the classifiers of skmultireduce."
        ) from error


def _dense(estimator: Any, y: Any) -> np.ndarray:
    try:
        return y.toarray()
    except MemoryError as error:
        raise MemoryError(
            f"{type(estimator).__name__} is not known to train on sparse y, and there is no "
            f"memory for a dense copy of {y.shape[0]} rows and {y.shape[1]} labels "
            f"({np.prod(y.shape, dtype=float) * y.dtype.itemsize / 2**30:.1f} GiB). Use "
            "OneVsRestClassifier around a binary classifier, or the classifiers of skmultireduce."
        ) from error


def _rarest_label(y: Any) -> str | None:
    """The label that most or nearly all rows lack, in words; None if all have enough rows."""
    if np.ndim(y) != 2 or not y.shape[0]:
        return None
    positives = np.asarray((y != 0).sum(axis=0)).ravel()
    least = np.minimum(positives, y.shape[0] - positives)
    label = int(np.argmin(least))
    if least[label] >= _FEW_ROWS:
        return None
    others = np.count_nonzero(least < _FEW_ROWS) - 1
    more = f", and {others} more have fewer than {_FEW_ROWS} rows with, or without, them"
    return (
        f"label {label} is there in {positives[label]} of {y.shape[0]} rows"
        f"{more if others else ''}"
    )


def has_method(estimator: Any, name: str) -> bool:
    """Whether the estimator has the method; for `predict_scores` whether the last step has.

    OneVsRestClassifier says so if the model of its first label has it, which for a label
    that all rows share has other methods than the rest.
    """
    if name == "predict_scores":
        return hasattr(_last_model(estimator), name)
    one_vs_rest = isinstance(estimator, OneVsRestClassifier)
    parts = getattr(estimator, "estimators_", ()) if one_vs_rest else ()
    return hasattr(estimator, name) and all(hasattr(part, name) for part in parts)


def _last_model(estimator: Any) -> Any:
    """Last step of pipelines, best estimator of searches: they do not pass every method on."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = last_step(estimator)[1]
        elif not hasattr(estimator, "predict_scores") and hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def inner_has(name: str) -> Callable[[Any], bool]:
    """Condition for `available_if`: the inner estimator, fitted or not, has the method."""

    def check(self: Any) -> bool:
        estimator = getattr(self, "estimator_", self.estimator)
        # Says of whom it is missed.
        getattr(estimator, name)
        return has_method(estimator, name)

    return check
