"""Weights of rows and of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._sklearn import _check_sample_weight
from .label_sets import Target
from .naming import naming

__all__ = ["read_class_weight", "read_sample_weight"]


def read_sample_weight(
    sample_weight: Any, X: Any, n_rows: int | None = None, *, allow_all_zero: bool = False
) -> np.ndarray | None:
    """Sample weights as float64, None if there are none.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        Non-negative weights, at least one of them positive.
    X : object
        Whose number of rows is to be met.
    n_rows : int, default=None
        Number of rows, if `X` is not at hand.
    allow_all_zero : bool, default=False
        Whether all may be 0, as in a part of the rows.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,) or None

    Raises
    ------
    ValueError
        For negative, NaN or all-zero weights.
    """
    if sample_weight is None:
        return None
    like = np.empty((n_rows, 0)) if n_rows is not None else X
    with naming("sample_weight"):
        return _check_sample_weight(
            sample_weight,
            like,
            dtype=np.float64,
            ensure_non_negative=True,
            allow_all_zero_weights=allow_all_zero,
        )


def read_class_weight(class_weight: Any, target: Target, counts: np.ndarray) -> np.ndarray | None:
    """Weights of the labels.

    Parameters
    ----------
    class_weight : dict, "balanced", array-like of shape (n_labels,), or None
        A dict maps labels (their names or column numbers; classes for 1-D y) to weights, 1
        for those that it leaves out. ``"balanced"``: n_pairs / (n_labels * count of the label).
    target : Target
    counts : ndarray of shape (n_labels,)
        Number of rows of each label.

    Returns
    -------
    class_weight : ndarray of shape (n_labels,), float64, or None

    Raises
    ------
    ValueError
        For unknown labels, a wrong number of weights, negative or infinite weights.
    """
    if class_weight is None:
        return None
    n_labels = target.n_labels
    if isinstance(class_weight, str):
        present = counts > 0
        weights = np.ones(n_labels)
        weights[present] = counts.sum() / (present.sum() * counts[present])
        return weights
    if isinstance(class_weight, dict):
        position = {name: k for k, name in enumerate(target.label_names.tolist())}
        if target.kind == "multilabel":
            position = {**{k: k for k in range(n_labels)}, **position}
        weights = np.ones(n_labels)
        for name, weight in class_weight.items():
            if name not in position:
                # As in scikit-learn, a class that the data does not have is no error for
                # 1-D y: folds may lack it.
                if target.kind == "multiclass":
                    continue
                raise ValueError(
                    f"class_weight has the label {name!r}, but labels are the column numbers "
                    f"0 to {n_labels - 1} of y, or the names of its columns if y is a data frame."
                )
            with naming("class_weight"):
                weights[position[name]] = weight
    else:
        with naming("class_weight"):
            weights = np.asarray(class_weight, dtype=np.float64)
        if weights.shape != (n_labels,):
            raise ValueError(
                f"class_weight is an array of shape {weights.shape}; one weight for each of "
                f"the {n_labels} labels is needed."
            )
    if not np.all(np.isfinite(weights)) or np.any(weights < 0) or not np.any(weights > 0):
        raise ValueError(
            "class_weight must hold finite non-negative weights, at least one of them positive."
        )
    return weights
