"""Label sets: every container that y may come in, and the way back.

The only module that knows y's containers. Everything behind it sees label sets in CSR
form: row ``i`` has the labels ``indices[indptr[i]:indptr[i + 1]]``, ascending.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .._sklearn import _num_samples, csr
from .label_forms import (
    as_array,
    as_float,
    column_names,
    missing_values,
    no_indicator,
    only_zeros_and_ones,
    refuse_joined_labels,
    refuse_label_lists,
)
from .naming import naming
from .sparse import check_sparse, stacked_offsets

__all__ = ["LabelSets", "Target", "read_labels"]


# Sums and squares of label weights up to this stay far from the end of float32.
_LARGEST_WEIGHT = 1e15


@dataclass(frozen=True)
class LabelSets:
    """Label sets of ``n_rows`` rows in CSR form.

    Parameters
    ----------
    indptr : ndarray of shape (n_rows + 1,), int64
        Where the labels of each row start.
    indices : ndarray of shape (n_pairs,), int32
        The labels, ascending within a row.
    n_labels : int
        Number of labels.
    values : ndarray of shape (n_pairs,), float64, or None
        Weights of the labels where y was real-valued, else None.
    """

    indptr: np.ndarray
    indices: np.ndarray
    n_labels: int
    values: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.indptr.shape[0] - 1

    @property
    def sizes(self) -> np.ndarray:
        """Number of labels of each row, int64."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> np.ndarray:
        """Row of each (row, label) pair, int64."""
        return np.repeat(np.arange(self.n_rows), self.sizes)

    def counts(self, sample_weight: np.ndarray | None = None) -> np.ndarray:
        """Number (or total weight) of the rows of each label, float64."""
        weights = None if sample_weight is None else np.repeat(sample_weight, self.sizes)
        return np.bincount(self.indices, weights=weights, minlength=self.n_labels).astype(float)

    def take(self, rows: np.ndarray) -> LabelSets:
        """Label sets of the given rows (integer indices), in that order."""
        sizes = self.sizes[rows]
        indptr = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(sizes, out=indptr[1:])
        # Position of each kept pair: its row's old start plus its rank in the row.
        pairs = np.arange(indptr[-1]) + np.repeat(self.indptr[rows] - indptr[:-1], sizes)
        values = None if self.values is None else self.values[pairs]
        return replace(self, indptr=indptr, indices=self.indices[pairs], values=values)

    def part(self, first: int, last: int) -> LabelSets:
        """Label sets of the rows first:last; shares memory with these."""
        start, stop = self.indptr[first], self.indptr[last]
        values = None if self.values is None else self.values[start:stop]
        return replace(
            self,
            indptr=self.indptr[first : last + 1] - start,
            indices=self.indices[start:stop],
            values=values,
        )

    @classmethod
    def stacked(cls, parts: list[LabelSets]) -> LabelSets:
        """The label sets of all parts, over the same labels."""
        values = None
        if any(part.values is not None for part in parts):
            ones = [np.ones(len(p.indices)) if p.values is None else p.values for p in parts]
            values = np.concatenate(ones)
        return cls(
            stacked_offsets([part.indptr for part in parts]),
            np.concatenate([part.indices for part in parts]),
            parts[0].n_labels,
            values,
        )

    def to_csr(self, dtype: Any = np.int8) -> sp.csr_array:
        """Indicator matrix of shape (n_rows, n_labels)."""
        return sp.csr_array(
            (np.ones(self.indices.shape[0], dtype=dtype), self.indices, self.indptr),
            shape=(self.n_rows, self.n_labels),
        )


@dataclass(frozen=True)
class Target:
    """What y looked like, so that predictions can look the same.

    Parameters
    ----------
    kind : {"multilabel", "multiclass"}
        ``"multiclass"`` for 1-D y.
    n_labels : int
        Number of labels (of classes for 1-D y).
    classes : ndarray
        For 1-D y the sorted classes. For multi-label y an array of shape (n_labels, 2)
        whose rows are ``[0, 1]``, the classes of each label: in this form scikit-learn's
        scorers and ``cross_val_predict`` recognise a multi-label classifier even when
        there are just two labels (with ``arange(2)`` they take it for a binary one).
    sparse : bool
        Whether y was sparse.
    dtype : dtype
        Type of y.
    names : ndarray of shape (n_labels,), default=None
        Names of the labels of multi-label y; None if they are not known.
    """

    kind: str
    n_labels: int
    classes: np.ndarray
    sparse: bool
    dtype: np.dtype
    names: np.ndarray | None = None

    @property
    def label_names(self) -> np.ndarray:
        """Names of the labels: those that are known, else numbers; classes for 1-D y."""
        if self.kind == "multiclass":
            return self.classes
        return np.arange(self.n_labels) if self.names is None else self.names

    def to_output(self, indptr: np.ndarray, indices: np.ndarray) -> Any:
        """Label sets as predictions in the form of y.

        Parameters
        ----------
        indptr, indices : ndarray
            Label sets in CSR form; for 1-D y one label a row.

        Returns
        -------
        y : ndarray of shape (n_rows,) or (n_rows, n_labels), or CSR of that shape
        """
        if self.kind == "multiclass":
            return self.classes[indices]
        # bool and ints count up to 1; other types take the value as it is.
        shape = (len(indptr) - 1, self.n_labels)
        if self.sparse:
            values = np.ones(len(indices), dtype=self.dtype)
            return csr((values, indices, indptr), shape)
        out = np.zeros(shape, dtype=self.dtype)
        out[np.repeat(np.arange(shape[0]), np.diff(indptr)), indices] = 1
        return out


def read_labels(
    y: Any,
    *,
    target: Target | None = None,
    classes: Any = None,
    allow_multiclass: bool = True,
    allow_weights: bool = False,
    input_name: str = "y",
) -> tuple[LabelSets, Target]:
    """Read y in any container.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or {array-like, sparse} of shape \
            (n_samples, n_labels)
        Classes, or a multi-label indicator of any int, bool or float dtype.
    target : Target, default=None
        What an earlier y looked like; this one must fit to it.
    classes : array-like, default=None
        All classes, for 1-D y of which this is only a part.
    allow_multiclass : bool, default=True
        Whether 1-D y is accepted.
    allow_weights : bool, default=False
        Whether label weights are accepted: non-negative numbers of a float type that are
        not all whole. Whole numbers are numbers of labels or counts far more often.
    input_name : str, default="y"
        Name in error messages.

    Returns
    -------
    label_sets : LabelSets
    target : Target

    Raises
    ------
    ValueError
        If y is neither, or has another number of labels or unknown classes; with code
        that makes an indicator of what y is.
    """
    if y is None:
        # scikit-learn's common checks look for this wording.
        raise ValueError(
            f"requires {input_name} to be passed, but the target {input_name} is None."
        )
    with naming(input_name):
        if sp.issparse(y):
            label_sets, found = _read_sparse(y, allow_weights, input_name)
        else:
            array = _as_array(y, input_name)
            if array.ndim == 2 and array.shape[1] > 1:
                label_sets, found = _read_dense(y, array, allow_weights, input_name)
                found = replace(found, names=column_names(y))
            else:
                return _read_classes(y, array, target, classes, allow_multiclass, input_name)
    if target is None:
        return label_sets, found
    if target.kind != "multilabel" or target.n_labels != found.n_labels:
        expected = f"{target.n_labels} labels" if target.kind == "multilabel" else "1-D classes"
        raise ValueError(
            f"{input_name} has {found.n_labels} labels, but this estimator was fitted with "
            f"{expected}. Pass {input_name} with the same columns, or fit a new estimator."
        )
    if target.names is not None and found.names is not None:
        other = np.flatnonzero(target.names.astype(str) != found.names)
        if len(other):
            raise ValueError(
                f"{input_name} has other labels, or has them in another order, than in the first "
                f"fit: column {other[0]} is {found.names[other[0]]!r} and was "
                f"{target.names[other[0]]!r}. Pass the columns of label_names_ in their order."
            )
    return label_sets, target


def _as_array(y: Any, input_name: str) -> np.ndarray:
    _num_samples(y)  # rejects scalars with scikit-learn's message
    array = as_array(y)
    refuse_label_lists(y, array, input_name)
    if array.dtype.names is not None:
        raise no_indicator(y, array, input_name)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{input_name} should be a 1-D array of classes or a 2-D multi-label indicator, "
            f"got an array of shape {array.shape}."
        )
    return array


def _read_classes(
    given: Any,
    y: np.ndarray,
    target: Target | None,
    classes: Any,
    allow_multiclass: bool,
    input_name: str,
) -> tuple[LabelSets, Target]:
    y = column_or_1d(y, warn=True)
    # Also rejects NaN and mixed objects.
    y = check_array(y, dtype=None, ensure_2d=False, input_name=input_name, ensure_min_samples=1)
    if target is None and classes is None:
        # Where classes are known, a part of y may well hold each of them once.
        check_classification_targets(y)
        known = np.unique(y)
        if known.dtype.kind in "OUT":
            refuse_joined_labels(given, known, input_name)
    if not allow_multiclass:
        raise ValueError(
            f"{input_name} is 1-D, a multi-label indicator of shape (n_samples, n_labels) is "
            "needed. For single-label targets use sklearn.model_selection."
            "TunedThresholdClassifierCV, or binarize y with sklearn.preprocessing.LabelBinarizer."
        )
    if target is not None:
        if target.kind != "multiclass":
            raise ValueError(
                f"{input_name} is 1-D, but this estimator was fitted with an indicator of "
                f"{target.n_labels} labels."
            )
        known = target.classes
    elif classes is not None:
        known = np.unique(np.asarray(classes))
    codes = np.searchsorted(known, y)
    codes[codes == len(known)] = 0
    unknown = known[codes] != y
    if np.any(unknown):
        raise ValueError(
            f"{input_name} contains the class {y[unknown].tolist()[0]!r}, which is not among the "
            f"known classes {known!r}. Pass all classes as `classes` in the first call."
        )
    label_sets = LabelSets(
        indptr=np.arange(len(y) + 1, dtype=np.int64),
        indices=codes.astype(np.int32),
        n_labels=len(known),
    )
    return label_sets, Target("multiclass", len(known), known, False, known.dtype)


def _multilabel(n_labels: int, sparse: bool, dtype: np.dtype) -> Target:
    classes = np.tile(np.array([0, 1]), (n_labels, 1))
    return Target("multilabel", n_labels, classes, sparse, dtype)


def _read_dense(
    given: Any, y: np.ndarray, allow_weights: bool, input_name: str
) -> tuple[LabelSets, Target]:
    dtype = y.dtype
    if dtype.kind == "O":
        numbers = as_float(y)
        if numbers is None:
            raise no_indicator(given, y, input_name)
        y = numbers
    elif dtype.kind not in "biuf":
        raise no_indicator(given, y, input_name)
    if y.shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={y.shape}) in {input_name}.")
    rows, columns = np.nonzero(y)
    values = _check_values(y[rows, columns], given, y, dtype, allow_weights, input_name)
    indptr = np.zeros(y.shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(rows, minlength=y.shape[0]), out=indptr[1:])
    label_sets = LabelSets(indptr, columns.astype(np.int32), y.shape[1], values)
    return label_sets, _multilabel(y.shape[1], False, _output_dtype(y.dtype))


def _read_sparse(y: Any, allow_weights: bool, input_name: str) -> tuple[LabelSets, Target]:
    if y.ndim != 2:
        raise ValueError(f"{input_name} is sparse with {y.ndim} dimension(s); 2 are needed.")
    if y.shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={y.shape}) in {input_name}.")
    if y.shape[1] == 0:
        raise ValueError(f"{input_name} has no label columns (shape={y.shape}).")
    if y.dtype.kind not in "biuf":
        raise ValueError(
            f"{input_name} is sparse of dtype {y.dtype}; a multi-label indicator of 0 and 1 "
            "(bool, int or float) is needed."
        )
    dtype = _output_dtype(y.dtype)
    check_sparse(y, input_name)
    csr = y.tocsr()
    canonical = csr.has_canonical_format
    if not canonical or np.any(csr.data == 0):
        # A copy, so that the caller's matrix stays as it is; in float64, so that
        # duplicates do not wrap around in small integer types.
        csr = csr.astype(np.float64, copy=True)
        csr.sum_duplicates()
        csr.eliminate_zeros()
    # The buffers of a sliced or pruned matrix may be longer than it is.
    nnz = int(csr.indptr[-1])
    values = _check_values(csr.data[:nnz], y, csr, y.dtype, allow_weights, input_name)
    label_sets = LabelSets(
        csr.indptr.astype(np.int64), csr.indices[:nnz].astype(np.int32), csr.shape[1], values
    )
    return label_sets, _multilabel(csr.shape[1], True, dtype)


def _output_dtype(dtype: np.dtype) -> np.dtype:
    return dtype.newbyteorder("=")


def _check_values(
    values: np.ndarray,
    given: Any,
    y: Any,
    dtype: np.dtype,
    allow_weights: bool,
    input_name: str,
) -> np.ndarray | None:
    """Weights of the labels, None if all are 1."""
    if np.all(values == 1):
        return None
    values = values.astype(np.float64)
    if not np.all(np.isfinite(values)):
        raise missing_values(given, input_name)
    # Numbers of labels are whole, in whatever type they come; as weights they would be
    # taken without a word.
    whole = bool(np.all(values == np.floor(values)))
    if allow_weights and not whole and dtype.kind == "f":
        if np.any(values < 0):
            raise ValueError(
                f"Unknown label type: {input_name} must be a multi-label indicator with "
                f"non-negative label weights, but contains {values.min():g}. Put 0 for a label "
                "that does not hold."
            )
        if values.max() > _LARGEST_WEIGHT:
            raise ValueError(
                f"{input_name} contains the label weight {values.max():g}; only ratios of "
                "weights matter, scale them to a mean of 1, for example."
            )
        return values
    why = None if not allow_weights else "whole" if whole else "type"
    raise only_zeros_and_ones(given, y, values[values != 1][0], why, input_name)
