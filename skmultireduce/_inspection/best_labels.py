"""The best labels of rows, from any shape of scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._cutoff.scores import Source
from .._data.blocks import indexable_rows, iter_row_blocks
from .._data.label_names import names_of
from .._data.naming import naming
from .._sklearn import _num_samples, _safe_indexing

__all__ = ["best_labels"]


def best_labels(
    estimator: Any, X: Any, k: int, method: str, label_names: Any
) -> tuple[list, Iterator[tuple[int, np.ndarray, np.ndarray]]]:
    """Names of all labels, and the best ones of each row, block by block.

    Parameters
    ----------
    estimator : object
    X : {array-like, sparse} of shape (n_samples, n_features)
    k : int
    method : {"predict_proba", "decision_function"}
    label_names : array-like of shape (n_labels,) or None

    Returns
    -------
    names : list of length n_labels
    blocks : iterator of (int, ndarray, ndarray)
        First row; numbers and scores of the labels, both of shape (n_rows, min(k, n_labels)).
    """
    X = indexable_rows(X)
    n_rows = _num_samples(X)
    if not n_rows:
        raise ValueError(f"Found array with 0 sample(s) (shape={np.shape(X)}) in X.")
    n_labels = _n_scores(getattr(estimator, method)(_safe_indexing(X, np.arange(1))))
    names = _names(estimator, n_labels, label_names)
    source = Source(method, n_labels)

    def blocks() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for block in iter_row_blocks(n_rows, n_labels * 8):
            part = X
            if block != slice(0, n_rows):
                part = _safe_indexing(X, np.arange(block.start, block.stop))
            scores = source.scores(estimator, part)
            labels = scores.top(min(k, n_labels))
            yield block.start, labels, np.take_along_axis(scores.values, labels, axis=1)

    return names, blocks()


def _n_scores(scores: Any) -> int:
    if isinstance(scores, list | tuple):
        return len(scores)
    if np.ndim(scores) != 2 or sp.issparse(scores):
        raise ValueError(
            "The estimator gives one score for both of two classes. Pass response_method="
            "'predict_proba', or fit it on a multi-label indicator."
        )
    return np.shape(scores)[1]


def _names(estimator: Any, n_labels: int, label_names: Any) -> list:
    if label_names is not None:
        with naming("label_names"):
            names = list(label_names)
        if len(names) != n_labels:
            raise ValueError(
                f"label_names has {len(names)} names, but the estimator has {n_labels} labels. "
                "Pass one name for each column of y."
            )
        return names
    names = names_of(estimator)
    classes = getattr(estimator, "classes_", None)
    if names is None and isinstance(classes, np.ndarray) and classes.ndim == 1:
        names = classes
    return list(range(n_labels)) if names is None or len(names) != n_labels else names.tolist()
