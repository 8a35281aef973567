"""Names of labels: found in y, given later, and carried along by what is fitted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .label_sets import Target
from .naming import naming

__all__ = ["NamedLabels", "names_of", "with_names"]


class NamedLabels:
    """Mixin: `label_names_` of an estimator that keeps what y looked like in ``_target``."""

    _target: Target

    def _label_target(self) -> Target:
        check_is_fitted(self)
        return self._target

    @property
    def label_names_(self) -> np.ndarray:
        """Names of the labels, in the order of the columns of y.

        Those of the columns of a data frame (pandas, polars, pyarrow), of the reader that a
        model was streamed from, or given by `set_label_names`; else the numbers of the
        columns. For 1-D y the classes.

        Returns
        -------
        names : ndarray of shape (n_labels,)
        """
        return self._label_target().label_names

    def set_label_names(self, label_names: Any) -> Any:
        """Give a fitted model the names of its labels.

        For a model that was fitted on an array or a sparse matrix, which have no names.

        Parameters
        ----------
        label_names : array-like of shape (n_labels,)
            One name for each column of y.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there are more or fewer names than labels, or two are the same; for 1-D y,
            whose labels are the classes.
        """
        self._target = with_names(self._label_target(), label_names)
        self._share_label_names()
        return self

    def _share_label_names(self) -> None:
        """Tell an inner estimator that has the same labels, or ask it for its names."""
        inner = getattr(self, "estimator_", None)
        if inner is None or self._target.kind != "multilabel":
            return
        if self._target.names is None:
            found = names_of(inner)
            if found is not None and len(found) == self._target.n_labels:
                self._target = replace(self._target, names=found)
        elif inner is not getattr(self, "estimator", None):
            last = _last(inner)
            if isinstance(last, NamedLabels) and last._target.n_labels == self._target.n_labels:
                last.set_label_names(self._target.names)


def with_names(target: Target, label_names: Any) -> Target:
    """The target with names, which are checked.

    Parameters
    ----------
    target : Target
    label_names : array-like of shape (n_labels,)

    Returns
    -------
    target : Target

    Raises
    ------
    ValueError
        As `NamedLabels.set_label_names`.
    """
    if target.kind != "multilabel":
        raise ValueError(
            "label_names is for multi-label models; for 1-D y the names are those of the classes."
        )
    with naming("label_names"):
        given = list(label_names)
    if len(given) != target.n_labels:
        raise ValueError(
            f"label_names has {len(given)} names, but the model has {target.n_labels} labels. "
            "Pass one name for each column of y."
        )
    name, count = Counter(map(str, given)).most_common(1)[0]
    if count > 1:
        raise ValueError(f"label_names has {name!r} more than once; each label has its own name.")
    names = np.empty(len(given), dtype=object)
    names[:] = given
    return replace(target, names=names)


def names_of(estimator: Any) -> np.ndarray | None:
    """Names of the labels of a fitted estimator, None if it has none but numbers.

    Parameters
    ----------
    estimator : object
        Also a pipeline, a search or a wrapper around one that has names.

    Returns
    -------
    names : ndarray of shape (n_labels,) or None
    """
    last = _last(estimator)
    if isinstance(last, NamedLabels):
        target = last._label_target()
        if target.names is not None or target.kind == "multiclass":
            return target.label_names
    found = getattr(last, "label_names_", None)
    if found is not None and not isinstance(last, NamedLabels):
        return np.asarray(found)
    for name in ("best_estimator_", "estimator_"):
        if hasattr(last, name):
            return names_of(getattr(last, name))
    return None


def _last(estimator: Any) -> Any:
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator
