"""Reductions: how label sets become targets and weights for the kernels.

With p = softmax(z) the softmax reductions are one loss, the sum over a row's labels of
``row_weight * label_weight * -log p``:

* ``pick_one`` shows the kernel one label a row, drawn anew in each epoch;
* ``pick_all_normalized`` shows all labels, row weights divided by S;
* ``pick_all`` shows all labels.

The one-vs-rest reductions have targets 1 or 1/S for the labels of a row, 0 for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .draws import draw_labels
from .table import BY_NAME, Loss, Reduction, loss_of

__all__ = ["Targets"]


@dataclass(frozen=True)
class Targets:
    """What the kernels need to know of y, for all epochs.

    Parameters
    ----------
    reduction : Reduction
        What a row shows of its labels.
    loss : Loss
        Loss of the kernels.
    label_sets : LabelSets
        The label sets.
    row_weight : ndarray of shape (n_rows,) or (0,)
        Weight of each row; empty if all are 1.
    label_weight : ndarray of shape (n_pairs,) or (0,)
        Weight of each (row, label) pair; empty if all are 1.
    row_share : ndarray of shape (n_rows,), float64
        Sample weight of each row over the mean of the positive ones, 0 for rows without a
        target.
    sample_weight_sum : float
        Number of rows that have a target, each counted with its sample weight as given.
    mean_weight : float
        Sample weight of a row that counts as one.
    """

    reduction: Reduction
    loss: Loss
    label_sets: LabelSets
    row_weight: np.ndarray
    label_weight: np.ndarray
    row_share: np.ndarray
    sample_weight_sum: float
    mean_weight: float

    @classmethod
    def build(
        cls,
        label_sets: LabelSets,
        *,
        reduction: str,
        loss: str,
        sample_weight: np.ndarray | None,
        class_weight: np.ndarray | None,
        dtype: Any,
        mean_weight: float | None = None,
    ) -> Targets:
        """Targets from label sets and weights.

        Parameters
        ----------
        label_sets : LabelSets
            With `values` only for the softmax reductions.
        reduction : str
            One of `table.REDUCTIONS`.
        loss : {"log_loss", "squared_hinge"}
            The estimator's parameter.
        sample_weight : ndarray of shape (n_rows,) or None
            A row of weight 2 counts as two rows.
        class_weight : ndarray of shape (n_labels,) or None
            Weight of each label where a row has it.
        dtype : dtype
            Type of the weights for the kernels.
        mean_weight : float, default=None
            Mean of the positive sample weights, if these rows are a part of more.

        Returns
        -------
        targets : Targets
        """
        form = BY_NAME[reduction]
        sizes = label_sets.sizes
        row_weight = np.empty(0)
        label_weight = np.empty(0)
        if mean_weight is None:
            mean_weight = 1.0
            if sample_weight is not None:
                mean_weight = float(sample_weight[sample_weight > 0].mean())
        if sample_weight is not None:
            row_weight = sample_weight / mean_weight
        elif mean_weight != 1:
            row_weight = np.full(len(sizes), 1 / mean_weight)
        row_share = row_weight.copy() if len(row_weight) else np.ones(len(sizes))
        if form.softmax:
            row_share[sizes == 0] = 0
        if form.divides:
            share = 1 / np.maximum(sizes, 1)
            row_weight = share * row_weight if len(row_weight) else share
        if class_weight is not None:
            label_weight = class_weight[label_sets.indices]
        if label_sets.values is not None and not form.draws:
            values = label_sets.values
            if form.divides:
                # In proportion to the values, with the sum S that the row weight divides.
                filled = np.flatnonzero(sizes)
                total = np.add.reduceat(values, label_sets.indptr[filled])
                values = values * np.repeat(sizes[filled] / total, sizes[filled])
            label_weight = values * label_weight if len(label_weight) else values
        return cls(
            form,
            loss_of(reduction, loss),
            label_sets,
            row_weight.astype(dtype),
            label_weight.astype(dtype),
            row_share,
            float(row_share.sum()) * mean_weight,
            mean_weight,
        )

    @property
    def softmax(self) -> bool:
        """Whether the reduction is one of the softmax ones."""
        return self.reduction.softmax

    @property
    def n_targets(self) -> int:
        """Number of rows that have a target; the softmax has none for empty sets."""
        sizes = self.label_sets.sizes
        return int(np.count_nonzero(sizes)) if self.softmax else len(sizes)

    @property
    def soft_target(self) -> bool:
        """Whether a row's labels have the target 1/S instead of 1."""
        return self.reduction.soft_target

    def shown(
        self, *, seed: int, epoch: int, first_row: int = 0, label_sampling: str = "random"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Labels that each row shows in an epoch.

        Returns
        -------
        start, stop : ndarray of shape (n_rows,), int64
            Ranges of positions in the label sets.
        """
        indptr = self.label_sets.indptr
        if not self.reduction.draws:
            return indptr[:-1], indptr[1:]
        start = draw_labels(
            indptr,
            seed=seed,
            epoch=epoch,
            first_row=first_row,
            method=label_sampling,
            values=self.label_sets.values,
        )
        return start, start + (np.diff(indptr) > 0)

    def label_mass(self) -> np.ndarray:
        """Weight with which each label is shown in an epoch, as expected over the draws.

        Returns
        -------
        mass : ndarray of shape (n_labels,), float64
            In rows of mean weight; for ``"pick_one"``.
        """
        sets = self.label_sets
        filled = np.flatnonzero(sets.sizes)
        share = np.ones(len(sets.indices)) if sets.values is None else sets.values
        total = np.add.reduceat(share, sets.indptr[filled])
        share = share / np.repeat(total, sets.sizes[filled])
        if len(self.label_weight):
            share *= self.label_weight
        if len(self.row_weight):
            share *= np.repeat(self.row_weight, sets.sizes)
        return np.bincount(sets.indices, share, minlength=sets.n_labels)

    def total_weight(self) -> np.ndarray:
        """Largest weight of the loss of each row, over the draws; float64.

        The gradient of a row is at most this times the smoothness of its loss.
        """
        sizes = self.label_sets.sizes
        filled = np.flatnonzero(sizes)
        first = self.label_sets.indptr[filled]
        if self.softmax:
            total = np.zeros(len(sizes))
            if self.reduction.draws:
                total[filled] = 1
                if len(self.label_weight):
                    total[filled] = np.maximum.reduceat(self.label_weight, first)
            elif len(self.label_weight):
                total[filled] = np.add.reduceat(self.label_weight, first, dtype=np.float64)
            else:
                total[:] = sizes
        else:
            total = np.ones(len(sizes))
            if len(self.label_weight):
                total[filled] = np.maximum(1, np.maximum.reduceat(self.label_weight, first))
        return total * self.row_weight if len(self.row_weight) else total
