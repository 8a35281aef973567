"""Classes of the multi-class problem: labels, or pairs of a label and a number of labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._data.label_sets import LabelSets

__all__ = ["ClassTable", "SizeClasses", "with_table"]

# Merging large sizes moves the marginals of a row by 2 % of the mean size on average, at
# most (6.8); by 4.7 that costs at most 4 % of micro Jaccard, in practice far less.
_MERGE_TOLERANCE = 0.02


@dataclass(frozen=True)
class SizeClasses:
    """Sizes of label sets as classes; all sizes from `cap` on are the last class.

    ``total`` and ``weight`` are the sums behind the mean size of that last class, so that
    batches can be added; ``largest`` is the largest size so far.
    """

    cap: int
    total: float = 0.0
    weight: float = 0.0
    largest: float = 1.0

    @classmethod
    def choose(cls, sizes: np.ndarray, weights: np.ndarray, max_size: Any) -> SizeClasses:
        """Read `max_size`; for "auto" the least cap within `_MERGE_TOLERANCE`."""
        largest = int(sizes.max(initial=1))
        if max_size is None:
            return cls(largest)
        if max_size != "auto":
            return cls(int(max_size))
        allowed = _MERGE_TOLERANCE * (weights @ sizes)
        for cap in range(1, largest):
            tail = sizes >= cap
            mean = np.average(sizes[tail], weights=weights[tail])
            if weights[tail] @ np.abs(sizes[tail] - mean) <= allowed:
                return cls(cap)
        return cls(largest)

    def add(self, sizes: np.ndarray, weights: np.ndarray) -> SizeClasses:
        """Count further rows."""
        tail = sizes >= self.cap
        return SizeClasses(
            self.cap,
            self.total + float(weights[tail] @ sizes[tail]),
            self.weight + float(weights[tail].sum()),
            max(self.largest, float(sizes.max())),
        )

    @property
    def values(self) -> np.ndarray:
        """Representative of each class: the size, for the last class the mean (6.8)."""
        values = np.arange(1.0, self.cap + 1)
        if self.weight > 0:
            values[-1] = self.total / self.weight
        return values

    def index(self, sizes: np.ndarray) -> np.ndarray:
        """Class of each positive size."""
        return np.minimum(sizes, self.cap) - 1


@dataclass(frozen=True)
class ClassTable:
    """What the classes of the classifier stand for.

    Parameters
    ----------
    n_labels : int
        Number of labels.
    none : bool
        Whether empty sets are a class, after all others; their size is then the first.
    joint : bool
        Whether classes are pairs (label, class of the size) instead of labels.
    sizes : SizeClasses or None
        The sizes that are told apart, where sizes are modelled.
    codes : ndarray of shape (n_columns,), int64
        Classes that the classifier knows, ascending.
    """

    n_labels: int
    none: bool = False
    joint: bool = False
    sizes: SizeClasses | None = None
    codes: np.ndarray | None = None

    def count(self, sizes: np.ndarray, weights: np.ndarray, max_size: Any) -> ClassTable:
        """Count the sizes of further rows; those of the first decide what is told apart."""
        classes = self.sizes or SizeClasses.choose(sizes, weights, max_size)
        return replace(self, sizes=classes.add(sizes, weights))

    def knowing(self, codes: np.ndarray) -> ClassTable:
        """The same classes, of which the classifier knows these."""
        return replace(self, codes=codes)

    @property
    def _n_sizes(self) -> int:
        """Number of classes of a label."""
        return self.sizes.cap if self.joint else 1

    @property
    def n_classes(self) -> int:
        """Number of classes that there can be."""
        return self.n_labels * self._n_sizes + self.none

    @property
    def labels(self) -> np.ndarray:
        """Label of each column of the classifier, -1 for that of empty sets."""
        is_label = self.codes < self.n_labels * self._n_sizes
        return np.where(is_label, self.codes // self._n_sizes, -1)

    @property
    def size_values(self) -> np.ndarray:
        """Numbers of labels that are told apart."""
        values = self.sizes.values
        return np.concatenate([[0.0], values]) if self.none else values

    @property
    def column_sizes(self) -> np.ndarray:
        """Position in `size_values` of each column of the classifier, whose classes are pairs."""
        return np.where(self.labels >= 0, self.codes % self._n_sizes + self.none, 0)

    @property
    def pairs(self) -> np.ndarray:
        """Label, and position in `size_values`, of each pair; array of shape (n_pairs, 2)."""
        labels = self.labels
        return np.column_stack([labels, self.column_sizes])[labels >= 0]

    def size_positions(self, sizes: np.ndarray) -> np.ndarray:
        """Position in `size_values` of each size."""
        positions = self.sizes.index(sizes)
        return np.where(sizes > 0, positions + 1, 0) if self.none else positions

    def class_sets(self, sets: LabelSets) -> LabelSets:
        """Class codes of each row: its labels or pairs, or the class of empty sets."""
        codes, sizes = sets.indices.astype(np.int64), sets.sizes
        if self._n_sizes > 1:
            codes = codes * self._n_sizes + np.repeat(self.sizes.index(sizes), sizes)
        if np.all(sizes > 0):
            return LabelSets(sets.indptr, codes, self.n_classes)
        filled = np.maximum(sizes, 1)
        indptr = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(filled, out=indptr[1:])
        with_none = np.full(indptr[-1], self.n_labels * self._n_sizes, dtype=np.int64)
        with_none[np.repeat(sizes > 0, filled)] = codes
        return LabelSets(indptr, with_none, self.n_classes)

    def to_labels(self, columns: np.ndarray, fill: Any) -> np.ndarray:
        """Columns of the classifier as columns of labels; `fill` for those that it lacks."""
        labels = self.labels
        if np.array_equal(labels, np.arange(self.n_labels)):
            return columns
        out = np.empty((columns.shape[0], self.n_labels), dtype=columns.dtype)
        out[:] = fill
        known = labels >= 0
        out[:, labels[known]] = columns[:, known]
        return out

    def of_none(self, proba: np.ndarray) -> np.ndarray:
        """Probability of the class of empty sets."""
        return proba[:, self.labels < 0].sum(axis=1)

    def sum_by_label(self, columns: np.ndarray) -> np.ndarray:
        """Sums over the sizes of each label."""
        return columns @ _indicator(self.labels, self.n_labels)

    def sum_by_size(self, columns: np.ndarray) -> np.ndarray:
        """Sums over the labels of each size."""
        return columns @ _indicator(self.column_sizes, len(self.size_values))

    def spread(self, delta: np.ndarray) -> np.ndarray:
        """Columns by pair as an array of shape (n_rows, n_labels, n_sizes)."""
        pairs = self.pairs
        out = np.zeros((delta.shape[0], self.n_labels, len(self.size_values)))
        out[:, pairs[:, 0], pairs[:, 1]] = delta
        return out


def _indicator(groups: np.ndarray, n_groups: int) -> sp.csc_array:
    """Matrix that sums columns by group; negative groups are left out."""
    members = np.flatnonzero(groups >= 0)
    return sp.csc_array(
        (np.ones(len(members)), (members, groups[members])), shape=(len(groups), n_groups)
    )


def with_table(state: dict[str, Any]) -> dict[str, Any]:
    """State of an estimator of form 1, whose table was five attributes."""
    if "_codes" in state:
        sizes = state.pop("_size_classes", None)
        if sizes is not None:
            sizes = replace(sizes, largest=state.pop("_size_limit"))
        del state["_column_labels"], state["_column_sizes"]
        state["_table"] = ClassTable(
            state["n_labels_"],
            state["unlabeled"] == "none",
            state["size_model"] == "joint",
            sizes,
            state.pop("_codes"),
        )
    return state
