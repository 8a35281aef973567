"""The best labels of rows, by name, from any shape of scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._cutoff.scores import best_scores
from .._data.blocks import indexable_rows
from .._data.label_names import names_of
from .._data.naming import naming
from .._sklearn import _num_samples

__all__ = ["best_labels"]


def best_labels(
    estimator: Any,
    X: Any,
    k: int,
    threshold: float | None,
    response_method: str,
    label_names: Any,
) -> tuple[list, Iterator[list[tuple[int, float]]]]:
    """Names of all labels, and the best ones of each row.

    Parameters
    ----------
    estimator : object
    X : {array-like, sparse} of shape (n_samples, n_features)
    k : int
    threshold : float or None
        Least score.
    response_method : str
        Where scores come from.
    label_names : array-like of shape (n_labels,) or None

    Returns
    -------
    names : list of length n_labels
    rows : iterator of list of (int, float)
        Numbers and scores of each row's labels, best first, of equal ones by number.
    """
    if not _num_samples(indexable_rows(X)):
        raise ValueError(f"Found array with 0 sample(s) (shape={np.shape(X)}) in X.")
    found = best_scores(estimator, X, k, threshold, response_method)

    def rows() -> Iterator[list[tuple[int, float]]]:
        for first, last in zip(found.indptr[:-1], found.indptr[1:], strict=True):
            labels, scores = found.indices[first:last], found.data[first:last]
            order = np.lexsort((labels, -scores))
            yield list(zip(labels[order].tolist(), scores[order].tolist(), strict=True))

    return _names(estimator, found.shape[1], label_names), rows()


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
