"""Training of label trees, level by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._data.rows import Rows
from .._models.label_search import Searcher
from .._models.label_tree import LabelTreeModel, NodeOptions
from .._reductions.targets import Targets

__all__ = ["TreeRows"]

# A row's step is at most this over its own curvature, as for the other models.
_LARGEST_STEP = 2.0

# Rows whose best nodes are searched at a time.
_ROWS_A_SEARCH = 8192


@dataclass(frozen=True)
class TreeRows:
    """Rows, their labels and what they show, for the training of any number of trees.

    Parameters
    ----------
    rows : Rows
        Sparse, float32, int32.
    targets : Targets
    picks : ndarray of shape (n_epochs, n_rows) or (0,), int32
        Label that each row shows in each epoch, -1: none; empty: all.
    max_step : ndarray of shape (n_rows,), float32
        Bound of each row's step.
    """

    rows: Rows
    targets: Targets
    picks: np.ndarray
    max_step: np.ndarray

    @classmethod
    def build(
        cls,
        rows: Rows,
        targets: Targets,
        *,
        smoothness: float,
        intercept_square: float,
        epochs: range,
        seed: int,
    ) -> TreeRows:
        """With bounds of the steps and, for ``reduction="pick_one"``, the draws of the epochs."""
        curvature = smoothness * (rows.squared_norms + intercept_square)
        if len(targets.row_weight):
            curvature *= targets.row_weight
        max_step = np.full(rows.shape[0], np.finfo(np.float32).max, dtype=np.float32)
        np.divide(
            _LARGEST_STEP, curvature, out=max_step, where=curvature > 1e-30, casting="same_kind"
        )
        picks = np.empty(0, dtype=np.int32)
        if targets.reduction.draws:
            sets = targets.label_sets
            shown = []
            for epoch in epochs:
                start, stop = targets.shown(seed=seed, epoch=epoch)
                labels = np.full(rows.shape[0], -1, dtype=np.int32)
                labels[stop > start] = sets.indices[start[stop > start]]
                shown.append(labels)
            picks = np.stack(shown)
        return cls(rows, targets, picks, max_step)

    def train_level(
        self,
        model: LabelTreeModel,
        level: int,
        options: NodeOptions,
        *,
        n_negatives: int,
        n_threads: int,
        dtype: str,
    ) -> np.ndarray:
        """Train the nodes of one level; the levels above are trained.

        Returns
        -------
        losses : ndarray of shape (n_epochs,)
            Sums of the losses of all its nodes.
        """
        negatives = self._negatives(model, level, n_negatives) if n_negatives and level else None
        return model.train_level(
            level,
            self.rows,
            self.targets.label_sets,
            self.targets.label_weight,
            self.targets.row_weight,
            self.max_step,
            options,
            negatives=negatives,
            picks=self.picks,
            n_threads=n_threads,
            dtype=dtype,
        )

    def _negatives(
        self, model: LabelTreeModel, level: int, n: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Of the n best nodes of each row, those without a label of the row below them.

        Matcher-aware negatives (Yu et al., "PECOS", JMLR 2022).
        """
        sets, n_nodes = self.targets.label_sets, model.tree.n_nodes
        own = np.unique(sets.rows * n_nodes + model.nodes_of_labels(level)[sets.indices])
        counts, nodes = [], []
        for first in range(0, self.rows.shape[0], _ROWS_A_SEARCH):
            last = min(first + _ROWS_A_SEARCH, self.rows.shape[0])
            found_rows, found, _ = Searcher(model, self.rows.part(first, last)).beam(level, n)
            keys = np.sort((found_rows + np.int64(first)) * n_nodes + found)
            at = np.minimum(np.searchsorted(own, keys), len(own) - 1) if len(own) else None
            keys = keys if at is None else keys[own[at] != keys]
            counts.append(np.bincount(keys // n_nodes - first, minlength=last - first))
            nodes.append((keys % n_nodes).astype(np.int32))
        start = np.zeros(self.rows.shape[0] + 1, dtype=np.int64)
        np.cumsum(np.concatenate(counts), out=start[1:])
        return start, np.concatenate(nodes)
