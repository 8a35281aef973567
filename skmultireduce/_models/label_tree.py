"""A tree of linear models: its weights, and the training of its nodes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .._data.label_sets import LabelSets
from .._data.rows import Rows
from .._kernels import tree as _kernel
from .._reductions.table import LOSSES
from .label_clusters import LabelTree
from .model import check_arrays

__all__ = ["Chunks", "LabelTreeModel", "NodeOptions"]

_CHUNK = _kernel.CHUNK
_NONE = np.empty(0, dtype=np.int32)

# Threads take tasks of about this many multiplications at a time.
_WORK_A_CALL = 2e8


@dataclass(frozen=True)
class NodeOptions:
    """How nodes are trained.

    Parameters
    ----------
    loss : {"softmax", "sigmoid", "squared_hinge"}
    steps : ndarray of shape (n_epochs, 2), float64
        Step at the begin and the end of each epoch.
    alpha : float
        Penalty of each node.
    intercept_rate : float
        Step of the intercepts over that of the weights; 0: no intercepts.
    min_magnitude : float
        Smaller weights are left out at the end.
    seed : int
    first_epoch : int, default=0
        Number of epochs of the trainings before.
    """

    loss: str
    steps: np.ndarray
    alpha: float
    intercept_rate: float
    min_magnitude: float
    seed: int
    first_epoch: int = 0


@dataclass(frozen=True)
class Chunks:
    """Weights of blocks of at most 64 children, entry by entry.

    Parameters
    ----------
    feature_start, entry_start : ndarray of shape (n_chunks + 1,), int64
    features : ndarray of shape (n,), int32
        Features that occur in a chunk, ascending.
    sizes : ndarray of shape (n,), uint8
        Number of entries of each of them.
    children : ndarray of shape (n_entries,), uint8
        Child of each entry, within its chunk.
    values : ndarray of shape (n_entries,), float32 or float16
        Weights.
    """

    feature_start: np.ndarray
    entry_start: np.ndarray
    features: np.ndarray
    sizes: np.ndarray
    children: np.ndarray
    values: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return sum(getattr(self, name).nbytes for name in self.__dataclass_fields__)

    @property
    def n_chunks(self) -> int:
        """Number of chunks."""
        return len(self.feature_start) - 1

    @classmethod
    def empty(cls, n_chunks: int) -> Chunks:
        """Chunks without entries."""
        start = np.zeros(n_chunks + 1, dtype=np.int64)
        byte = np.empty(0, dtype=np.uint8)
        return cls(start, start, _NONE, byte, byte, np.empty(0, dtype=np.float32))

    @classmethod
    def joined(cls, counts: np.ndarray, pieces: list[tuple[np.ndarray, ...]]) -> Chunks:
        """Chunks from pieces with numbers of features and entries of each chunk."""
        starts = np.zeros((len(counts) + 1, 2), dtype=np.int64)
        np.cumsum(counts, axis=0, out=starts[1:])
        arrays = [np.concatenate(parts) for parts in zip(*pieces, strict=True)]
        return cls(starts[:, 0].copy(), starts[:, 1].copy(), *arrays)

    def check(self, widths: np.ndarray, n_features: int) -> None:
        """Raise a ValueError if the arrays are not chunks of so many children and features."""
        n, n_entries, n_chunks = len(self.features), len(self.values), len(widths)
        check_arrays(
            self,
            {
                "feature_start": ((n_chunks + 1,), np.int64),
                "entry_start": ((n_chunks + 1,), np.int64),
                "features": ((n,), np.int32),
                "sizes": ((n,), np.uint8),
                "children": ((n_entries,), np.uint8),
                "values": ((n_entries,), self.values.dtype),
            },
        )
        if self.values.dtype not in (np.dtype(np.float32), np.dtype(np.float16)):
            raise ValueError("`values` are neither float32 nor float16")
        for start, end in ((self.feature_start, n), (self.entry_start, n_entries)):
            if (start[0], start[-1]) != (0, end) or np.any(np.diff(start) < 0):
                raise ValueError("parts of the chunks are not in order")
        if n and not 0 <= self.features.min() <= self.features.max() < n_features:
            raise ValueError("`features` are not numbers of features")
        falls = np.flatnonzero(np.diff(self.features) <= 0) + 1
        if not np.isin(falls, self.feature_start).all():
            raise ValueError("`features` of a chunk are not ascending")
        ends = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(self.sizes, out=ends[1:])
        if not np.array_equal(ends[self.feature_start], self.entry_start):
            raise ValueError("`sizes` are not those of the entries")
        if np.any(self.children >= np.repeat(widths, np.diff(self.entry_start))):
            raise ValueError("`children` are not those of a chunk")

    def as_arguments(self) -> tuple[np.ndarray, ...]:
        """In the form of the kernel; values as one of two arrays, by their type."""
        half = self.values.dtype == np.float16
        return (
            self.feature_start,
            self.entry_start,
            self.features,
            self.sizes,
            self.children,
            np.empty(0, dtype=np.float32) if half else self.values,
            self.values.view(np.uint8) if half else np.empty(0, dtype=np.uint8),
        )

    def entries(self, chunk: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Feature, child and weight of the entries of a chunk."""
        part = slice(*self.feature_start[chunk : chunk + 2])
        entries = slice(*self.entry_start[chunk : chunk + 2])
        features = np.repeat(self.features[part], self.sizes[part])
        return features, self.children[entries], self.values[entries].astype(np.float32)

    def pruned(self, min_magnitude: float) -> Chunks:
        """Without the entries that are smaller."""
        kept = np.abs(self.values) >= min_magnitude
        running = np.zeros(len(kept) + 1, dtype=np.int64)
        np.cumsum(kept, out=running[1:])
        ends = np.zeros(len(self.sizes) + 1, dtype=np.int64)
        np.cumsum(self.sizes, out=ends[1:])
        sizes = np.diff(running[ends])
        filled = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes > 0, out=filled[1:])
        return Chunks(
            filled[self.feature_start],
            running[self.entry_start],
            self.features[sizes > 0],
            sizes[sizes > 0].astype(np.uint8),
            self.children[kept],
            self.values[kept],
        )

    def astype(self, dtype: Any) -> Chunks:
        """With values of another type."""
        return replace(self, values=self.values.astype(dtype, copy=False))


class _Level(NamedTuple):
    """The rows of the nodes of one level; see `level_targets` of the kernel."""

    node_start: np.ndarray
    rows: np.ndarray
    pair_start: np.ndarray
    pairs: np.ndarray
    pair_weight: np.ndarray


class LabelTreeModel:
    """Weights of all nodes of a label tree.

    Parameters
    ----------
    tree : LabelTree
    n_features : int
    probability : {"logistic", "linear", "exponential", "softmax"}
        How scores of children become probabilities.
    normalized : bool, default=False
        Whether probabilities of the children of a node are divided by their sum.
    """

    def __init__(
        self, tree: LabelTree, n_features: int, probability: str, normalized: bool = False
    ) -> None:
        self.tree = tree
        self.n_features = n_features
        self.probability = probability
        self.normalized = normalized
        self.intercepts = np.zeros(tree.n_nodes, dtype=np.float32)
        n_chunks = -(-np.diff(tree.first_child) // _CHUNK)
        self.first_chunk = np.zeros(tree.n_nodes + 1, dtype=np.int32)
        np.cumsum(n_chunks, out=self.first_chunk[1:])
        # Of each level, chunks in the order of its nodes.
        self.chunks = [
            Chunks.empty(int(self.first_chunk[last] - self.first_chunk[first]))
            for first, last in self._inner_levels()
        ]

    def _inner_levels(self) -> Iterator[tuple[int, int]]:
        """First and last node of the levels that have children."""
        yield from zip(self.tree.levels[:-2], self.tree.levels[1:-1], strict=True)

    def check(self) -> None:
        """Raise a ValueError if the arrays are not what the kernels rely on.

        For models that come from a file, whose tree has been checked.
        """
        tree = self.tree
        check_arrays(self, {"intercepts": ((tree.n_nodes,), np.float32)})
        if len(self.chunks) != tree.depth:
            raise ValueError("there are not chunks for each level")
        for (first, last), chunks in zip(self._inner_levels(), self.chunks, strict=True):
            n_children = np.diff(tree.first_child[first : last + 1])
            n_chunks = np.diff(self.first_chunk[first : last + 1])
            widths = np.full(int(n_chunks.sum()), _CHUNK)
            # The last chunk of a node has the rest.
            ends = np.cumsum(n_chunks)[n_chunks > 0] - 1
            widths[ends] = n_children[n_chunks > 0] - (n_chunks[n_chunks > 0] - 1) * _CHUNK
            chunks.check(widths, self.n_features)

    @property
    def nbytes(self) -> int:
        """Memory of the weights."""
        return self.intercepts.nbytes + sum(chunks.nbytes for chunks in self.chunks)

    @property
    def n_weights(self) -> int:
        """Number of weights that are kept."""
        return sum(len(chunks.values) for chunks in self.chunks)

    def prune(self, min_magnitude: float, dtype: Any) -> None:
        """Leave out smaller weights, keep the others in this type."""
        self.chunks = [chunks.pruned(min_magnitude).astype(dtype) for chunks in self.chunks]

    def copy(self) -> LabelTreeModel:
        """A model of its own: training replaces chunks and changes intercepts in place."""
        other = copy(self)
        other.intercepts = self.intercepts.copy()
        other.chunks = list(self.chunks)
        return other

    # ----------------------------------------------------------------- training
    def train_level(
        self,
        level: int,
        rows: Rows,
        label_sets: LabelSets,
        label_weight: np.ndarray,
        row_weight: np.ndarray,
        max_step: np.ndarray,
        options: NodeOptions,
        *,
        negatives: tuple[np.ndarray, np.ndarray] | None = None,
        picks: np.ndarray = _NONE,
        n_threads: int = 1,
        dtype: Any = np.float32,
    ) -> np.ndarray:
        """Train the nodes of one level, from their present weights on.

        Parameters
        ----------
        level : int
            0 is the root.
        rows : Rows
            Sparse, float32, int32.
        label_sets : LabelSets
        label_weight : ndarray of shape (n_pairs,) or (0,), float32
        row_weight, max_step : ndarray of shape (n_rows,), float32
        options : NodeOptions
        negatives : (indptr, nodes), default=None
            Nodes of this level that rows without a label below train as well.
        picks : ndarray of shape (n_epochs, n_rows), int32
            Label that each row shows in each epoch, -1: none; empty: all.
        n_threads : int, default=1
        dtype : dtype
            Of the weights kept.

        Returns
        -------
        losses : ndarray of shape (n_epochs,)
            Sum of the losses of all nodes.
        """
        tree = self.tree
        first, last = int(tree.levels[level]), int(tree.levels[level + 1])
        child_of = self.nodes_of_labels(level + 1)
        softmax = LOSSES[options.loss].softmax
        targets = _level_targets(
            tree, first, last, label_sets, label_weight, child_of, negatives, softmax
        )
        shown = _NONE
        if len(picks):
            shown = np.where(picks >= 0, child_of[picks], -1).astype(np.int32).reshape(-1)
        old = self.chunks[level]
        has_old = len(old.features) > 0
        tasks = self._tasks(first, last, targets, rows, softmax, old if has_old else None)
        trainer = _Trainer(
            rows, targets, tasks, options, old, shown, self.intercepts, max_step, row_weight
        )
        counts, pieces, losses = trainer.run(n_threads, dtype)
        self.chunks[level] = Chunks.joined(counts, pieces)
        return losses

    def nodes_of_labels(self, level: int) -> np.ndarray:
        """The node of a level that each label is below, or is; -1: the label is above."""
        nodes = self.tree.leaves
        first, last = self.tree.levels[level], self.tree.levels[level + 1]
        for _ in range(self.tree.depth - level):
            nodes = np.where(nodes >= last, self.tree.parents[nodes], nodes)
        return np.where(nodes >= first, nodes, -1).astype(np.int32)

    def _tasks(
        self,
        first: int,
        last: int,
        targets: _Level,
        rows: Rows,
        softmax: bool,
        old: Chunks | None,
    ) -> np.ndarray:
        """Table of the tasks of a level; see `train_nodes` of the kernel."""
        tree = self.tree
        n_children = np.diff(tree.first_child[first : last + 1]).astype(np.int64)
        n_blocks = np.minimum(n_children, 1) if softmax else -(-n_children // _CHUNK)
        node = np.repeat(np.arange(last - first), n_blocks)
        rank = np.arange(len(node)) - np.repeat(np.cumsum(n_blocks) - n_blocks, n_blocks)
        size = n_children[node] if softmax else np.full(len(node), _CHUNK)
        begin = rank * size
        n_values = _sums_of_parts(np.diff(rows.indptr)[targets.rows], targets.node_start)
        table = np.zeros((len(node), 10), dtype=np.int64)
        table[:, 0] = targets.node_start[node]
        table[:, 1] = targets.node_start[node + 1]
        table[:, 2] = begin
        table[:, 3] = np.minimum(begin + size, n_children[node])
        table[:, 4] = node + first
        table[:, 5] = tree.first_child[node + first]
        bound = n_values[node]
        whole = np.diff(targets.node_start)[node] == rows.shape[0]
        if old is not None:
            chunk = self.first_chunk[node + first] - self.first_chunk[first] + begin // _CHUNK
            table[:, 8] = chunk
            table[:, 9] = chunk + -(-(table[:, 3] - begin) // _CHUNK)
            bound = bound + old.feature_start[table[:, 9]] - old.feature_start[chunk]
        table[:, 6] = np.where(whole, rows.shape[1], np.minimum(bound, rows.shape[1]))
        table[:, 7] = whole
        return table


class _Trainer:
    """Trains the tasks of a level in threads."""

    def __init__(
        self,
        rows: Rows,
        targets: _Level,
        tasks: np.ndarray,
        options: NodeOptions,
        old: Chunks,
        picks: np.ndarray,
        intercepts: np.ndarray,
        max_step: np.ndarray,
        row_weight: np.ndarray,
    ) -> None:
        self.tasks = tasks
        self.n_features = rows.shape[1]
        self.options = options
        self.intercepts = intercepts
        self.rows = (rows.data, rows.indices, rows.indptr, max_step, row_weight)
        self.targets = (
            targets.rows,
            targets.pair_start,
            targets.pairs,
            targets.pair_weight,
            picks,
        )
        self.old = old.astype(np.float32).as_arguments()[:6]
        self.rates = (
            LOSSES[options.loss].code,
            options.seed,
            options.first_epoch,
            options.steps,
            options.alpha,
            options.intercept_rate,
            options.min_magnitude,
        )
        n_values = _sums_of_parts(
            np.diff(rows.indptr)[targets.rows],
            np.append(tasks[:, 0], len(targets.rows)),
            tasks[:, 1],
        )
        n_rows = tasks[:, 1] - tasks[:, 0]
        n_children = tasks[:, 3] - tasks[:, 2]
        copied = tasks[:, 7] == 0
        self.n_values = int(n_values[copied].max(initial=0))
        self.n_rows = int(n_rows.max(initial=0))
        self.n_own_rows = int(n_rows[copied].max(initial=0))
        self.n_weights = int((tasks[:, 6] * (-(-n_children // 16) * 16)).max(initial=1))
        self.width = int(tasks[:, 3].max(initial=1)) + 32
        self.room_features = int((tasks[:, 6] * -(-n_children // _CHUNK)).max(initial=1))
        self.room_entries = int((tasks[:, 6] * n_children).max(initial=1))
        self.work_of_tasks = n_values * n_children + 1000

    def run(
        self, n_threads: int, dtype: Any
    ) -> tuple[np.ndarray, list[tuple[np.ndarray, ...]], np.ndarray]:
        """Numbers of each chunk, pieces of weights in the order of the tasks, losses."""
        ends = np.cumsum(self.work_of_tasks)
        n_calls = int(min(len(self.tasks), max(8 * n_threads, ends[-1] // _WORK_A_CALL, 1)))
        targets = ends[-1] * np.arange(1, n_calls) / n_calls
        bounds = np.unique([0, *np.searchsorted(ends, targets), len(self.tasks)])
        calls = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        local = threading.local()

        def train(call: tuple[int, int]) -> tuple[list, list, np.ndarray]:
            if not hasattr(local, "work"):
                local.work = self._workspace()
            return self._train(slice(*call), local.work, dtype)

        if n_threads > 1:
            # The largest first, so that threads end together.
            order = sorted(range(len(calls)), key=lambda i: -self._work(calls[i]))
            with ThreadPoolExecutor(n_threads) as pool:
                done = list(pool.map(train, [calls[i] for i in order]))
            found = [done[i] for i in np.argsort(order)]
        else:
            found = [train(call) for call in calls]
        losses = np.concatenate([part[2] for part in found]).sum(axis=0)
        counts = np.concatenate([c for part in found for c in part[0]])
        return counts, [piece for part in found for piece in part[1]], losses

    def _work(self, call: tuple[int, int]) -> float:
        return float(self.work_of_tasks[slice(*call)].sum())

    def _workspace(self) -> tuple[tuple, tuple]:
        n = self.n_features
        work = (
            np.zeros(n // 64 + 1, dtype=np.uint64),
            np.empty(n + 64, dtype=np.int32),
            np.empty(n + 64, dtype=np.int32),
            np.empty(self.n_weights, dtype=np.float32),
            np.empty(self.n_values + 1, dtype=np.float32),
            np.empty(self.n_values + 1, dtype=np.int32),
            np.empty(self.n_own_rows + 1, dtype=np.int64),
            np.empty(self.n_rows + 1, dtype=np.int32),
            np.empty(5 * self.width, dtype=np.float32),
            np.empty(self.width // 16 + 2, dtype=np.float64),
        )
        room = (
            np.empty(2 * self.room_features, dtype=np.int32),
            np.empty(2 * self.room_features, dtype=np.uint8),
            np.empty(2 * self.room_entries, dtype=np.uint8),
            np.empty(2 * self.room_entries, dtype=np.float32),
        )
        return work, room

    def _train(
        self, part: slice, workspace: tuple[tuple, tuple], dtype: Any
    ) -> tuple[list, list, np.ndarray]:
        work, room = workspace
        tasks = self.tasks[part]
        losses = np.zeros((len(tasks), len(self.options.steps)))
        checksum = np.zeros(1)
        counts = np.empty((int((-(-(tasks[:, 3] - tasks[:, 2]) // _CHUNK)).sum()), 2), np.int64)
        all_counts, pieces, task = [], [], 0
        while task < len(tasks):
            task, n_chunks = _kernel.train_nodes(
                self.rows,
                self.targets,
                tasks,
                task,
                self.rates,
                self.old,
                self.intercepts,
                work,
                (*room, counts, losses, checksum),
            )
            all_counts.append(counts[:n_chunks].copy())
            n_features, n_entries = all_counts[-1].sum(axis=0)
            pieces.append(
                (
                    room[0][:n_features].copy(),
                    room[1][:n_features].copy(),
                    room[2][:n_entries].copy(),
                    room[3][:n_entries].astype(dtype),
                )
            )
        if not np.isfinite(checksum[0]):
            raise FloatingPointError
        return all_counts, pieces, losses


def _sums_of_parts(
    values: np.ndarray, start: np.ndarray, stop: np.ndarray | None = None
) -> np.ndarray:
    running = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum(values, out=running[1:])
    return running[start[1:] if stop is None else stop] - running[start[:-1]]


def _level_targets(
    tree: LabelTree,
    first: int,
    last: int,
    label_sets: LabelSets,
    label_weight: np.ndarray,
    child_of: np.ndarray,
    negatives: tuple[np.ndarray, np.ndarray] | None,
    weighted: bool,
) -> _Level:
    n_pairs = len(label_sets.indices)
    extra_start, extra = negatives or (np.empty(0, dtype=np.int64), _NONE)
    most = int(label_sets.sizes.max(initial=1))
    work = (
        np.empty(most + 1, dtype=np.int32),
        np.empty(most + 1, dtype=np.float32),
        np.zeros(2 * (last - first + 1), dtype=np.int64),
    )
    n_rows = n_pairs + len(extra)
    out = (
        np.empty(last - first + 1, dtype=np.int64),
        np.empty(n_rows + 1, dtype=np.int32),
        np.empty(n_rows + 2, dtype=np.int64),
        np.empty(n_pairs + 1, dtype=np.int32),
        np.empty(n_pairs + 1 if weighted else 0, dtype=np.float32),
    )
    _kernel.level_targets(
        (label_sets.indptr, label_sets.indices, label_weight),
        child_of,
        tree.parents,
        (extra_start, extra),
        first,
        last,
        work,
        out,
    )
    node_start, rows, pair_start, pairs, pair_weight = out
    n_rows = int(node_start[-1])
    n_pairs = int(pair_start[n_rows])
    # Numbered within their node.
    pairs[:n_pairs] -= tree.first_child[tree.parents[pairs[:n_pairs]]]
    return _Level(
        node_start,
        np.append(rows[:n_rows], np.int32(0)),
        pair_start[: n_rows + 1],
        np.append(pairs[:n_pairs], np.int32(0)),
        pair_weight[: n_pairs + 1],
    )
