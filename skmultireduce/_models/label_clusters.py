"""Shapes of label trees: which labels are below which node."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .._data.rows import Rows
from .._kernels import tree as _kernel
from .model import check_arrays

__all__ = ["LabelTree", "auto_branching", "clustered_tree", "tree_of_parents"]

# A node of up to so many children is as good as any split of it, and as fast.
_FLAT = 1024
# Labels up to which two levels are better than three (measured, benchmarks/many_labels.py).
_TWO_LEVELS = 50_000
# Labels below a node of the last level, about: a chunk of weights. Each trains against the others
# there, so that fewer are told apart worse: P@1 on held-out rows with 48, 64 and 90 labels is
# .861, .859 and .857 where labels have no hierarchy, .723, .728 and .728 in planted groups of 50.
_LAST = 64

# Entries of a label's vector: those of at least this share of the largest, this many at most.
_SMALLEST_ENTRY = 0.02
_MOST_ENTRIES = 128
# Labels whose vectors one call makes.
_LABELS_A_CALL = 4096
# Sides that threads split further by themselves.
_PARTS_A_TASK = 32


@dataclass(frozen=True)
class LabelTree:
    """A tree whose leaves are labels; nodes are numbered level by level from the root, 0.

    Parameters
    ----------
    parents : ndarray of shape (n_nodes,), int32
        Parent of each node, -1 for the root; ascending.
    first_child : ndarray of shape (n_nodes + 1,), int32
        The children of node v are those from ``first_child[v]`` to ``first_child[v + 1]``.
    labels : ndarray of shape (n_nodes,), int32
        Label of each leaf, -1 for inner nodes.
    levels : ndarray of shape (n_levels + 1,), int64
        First node of each level.
    """

    parents: np.ndarray
    first_child: np.ndarray
    labels: np.ndarray
    levels: np.ndarray

    def check(self) -> None:
        """Raise a ValueError if the arrays are no tree.

        For trees that come from a file: the kernels check no bounds.
        """
        n = len(self.parents)
        first, levels = self.first_child, self.levels
        check_arrays(
            self,
            {
                "parents": ((n,), np.int32),
                "first_child": ((n + 1,), np.int32),
                "labels": ((n,), np.int32),
                "levels": ((len(levels),), np.int64),
            },
        )
        n_children = np.diff(first.astype(np.int64))
        if n < 2 or (first[0], first[-1]) != (1, n) or np.any(n_children < 0):
            raise ValueError("`first_child` does not divide the nodes")
        owners = np.repeat(np.arange(n), n_children)
        if self.parents[0] != -1 or not np.array_equal(self.parents[1:], owners):
            raise ValueError("`parents` are not those of the children")
        bounds = levels.tolist()
        whole = len(bounds) >= 3 and bounds[:2] == [0, 1] and bounds[-1] == n
        if not whole or any(a >= b for a, b in pairwise(bounds)):
            raise ValueError("`levels` do not divide the nodes")
        if not np.array_equal(first[levels[:-1]], levels[1:]):
            raise ValueError("`levels` are not those of the children")
        leaf = n_children == 0
        if not np.array_equal(np.sort(self.labels[leaf]), np.arange(int(leaf.sum()))):
            raise ValueError("`labels` are not one for each leaf")
        if np.any(self.labels[~leaf] != -1):
            raise ValueError("`labels` has one of an inner node")

    @property
    def n_nodes(self) -> int:
        """Number of nodes, leaves included."""
        return len(self.parents)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.leaves)

    @property
    def depth(self) -> int:
        """Number of levels below the root."""
        return len(self.levels) - 2

    @cached_property
    def leaves(self) -> np.ndarray:
        """Node of each label, int32."""
        nodes = np.flatnonzero(self.labels >= 0).astype(np.int32)
        out = np.empty(len(nodes), dtype=np.int32)
        out[self.labels[nodes]] = nodes
        return out

    @cached_property
    def widest(self) -> int:
        """Largest number of children of a node."""
        return int(np.diff(self.first_child).max())

    def paths(self, labels: np.ndarray) -> np.ndarray:
        """Nodes on the way to labels.

        Returns
        -------
        nodes : ndarray of shape (n_levels - 1, n), int32
            Column by column, from below the root to the leaf; -1 beyond a leaf.
        """
        out = np.full((self.depth, len(labels)), -1, dtype=np.int32)
        nodes = self.leaves[labels]
        level = np.searchsorted(self.levels, nodes, side="right") - 2
        at = np.arange(len(labels))
        while len(at):
            out[level, at] = nodes
            nodes, level = self.parents[nodes], level - 1
            inside = level >= 0
            nodes, level, at = nodes[inside], level[inside], at[inside]
        return out


def auto_branching(n_labels: int) -> tuple[int, ...]:
    """Numbers of children from the root down, but for the last level, whose are the labels."""
    if n_labels <= _FLAT:
        return ()
    last = n_labels / _LAST
    if n_labels <= _TWO_LEVELS:
        return (_even(last),)
    # No last node has more than a chunk.
    root = _even(last**0.5 + 8)
    return (root, _even(last / root + 8))


def _even(number: float) -> int:
    """The nearest multiple of 16, so that blocks of children fill whole vectors."""
    return max(16, 16 * round(number / 16))


def _numbered(parents: np.ndarray, labels: np.ndarray, levels: np.ndarray) -> LabelTree:
    counts = np.bincount(parents[1:], minlength=len(parents))
    first_child = np.ones(len(parents) + 1, dtype=np.int32)
    np.cumsum(counts, out=first_child[1:])
    first_child[1:] += 1
    return LabelTree(
        parents.astype(np.int32), first_child, labels.astype(np.int32), levels.astype(np.int64)
    )


def tree_of_parents(parents: Any, n_labels: int) -> LabelTree:
    """Tree given by an array of parents.

    Parameters
    ----------
    parents : array-like of shape (n_nodes,)
        Parent of each node; nodes below n_labels are the labels, the others the inner nodes,
        in any order; -1: of the root.
    n_labels : int

    Raises
    ------
    ValueError
        If this is no tree whose leaves are the labels.
    """
    given = np.asarray(parents)
    if given.ndim != 1 or given.dtype.kind not in "iu" or len(given) <= n_labels:
        raise ValueError(
            f"parents must be a 1-D array of integers for the {n_labels} labels and the inner "
            f"nodes behind them; got dtype {given.dtype}, shape {given.shape}."
        )
    given = given.astype(np.int64)
    roots = np.flatnonzero(given < 0)
    inner = np.unique(given[given >= 0])
    if len(roots) != 1 or roots[0] < n_labels:
        raise ValueError(
            f"parents must have -1 for one inner node, the root; {len(roots)} nodes have it."
        )
    if not np.array_equal(inner, np.arange(n_labels, len(given))):
        raise ValueError(
            f"parents must name each of the inner nodes {n_labels} to {len(given) - 1} at least "
            "once, and no label."
        )
    order, levels = [roots], [0, 1]
    children = np.argsort(given, kind="stable")[1:]
    start = np.searchsorted(given[children], np.arange(len(given) + 1))
    while len(order[-1]):
        level = [children[start[v] : start[v + 1]] for v in order[-1]]
        order.append(np.concatenate(level).astype(np.int64))
        levels.append(levels[-1] + len(order[-1]))
    nodes = np.concatenate(order)
    if len(nodes) < len(given):
        raise ValueError("parents must be a tree: some nodes are not below the root.")
    number = np.empty(len(given), dtype=np.int64)
    number[nodes] = np.arange(len(nodes))
    above = np.where(given[nodes] < 0, -1, number[given[nodes]])
    labels = np.where(nodes < n_labels, nodes, -1)
    return _numbered(above, labels, np.array(levels[:-1]))


def clustered_tree(
    rows: Rows,
    label_sets: LabelSets,
    row_weight: np.ndarray,
    branching: tuple[int, ...],
    *,
    seed: int,
    n_threads: int,
) -> LabelTree:
    """Tree in which labels whose rows are alike are near each other.

    A label is the sum of its rows, scaled to unit norm and without its small entries; labels
    are split in halves of equal size by spherical 2-means, again and again (Prabhu et al.,
    "Parabel", WWW 2018).

    Parameters
    ----------
    rows : Rows
        Sparse, float32.
    label_sets : LabelSets
    row_weight : ndarray of shape (n_rows,) or (0,), float32
    branching : tuple of int
        Children of the root, of its children, ...; the labels are what is below the last.
    seed : int
    n_threads : int

    Returns
    -------
    tree : LabelTree
        Parts have sizes that differ by at most 1; none is empty.
    """
    n_labels = label_sets.n_labels
    order = np.arange(n_labels, dtype=np.int32)
    bounds = np.array([0, n_labels], dtype=np.int64)
    parents, levels = [np.array([-1])], [0, 1]
    vectors = None
    for depth, n_children in enumerate(branching):
        if vectors is None:
            vectors = _label_vectors(rows, label_sets, row_weight, n_threads)
        first, sizes = bounds[:-1], np.diff(bounds)
        counts = np.minimum(sizes, n_children)
        above = np.repeat(np.arange(len(sizes)), counts)
        rank = np.arange(len(above)) - np.repeat(np.cumsum(counts) - counts, counts)
        bounds = np.append(first[above] + rank * sizes[above] // counts[above], n_labels)
        parts = np.append(0, np.cumsum(counts))
        _split(order, bounds, parts, vectors, rows.shape[1], seed + depth, n_threads)
        parents.append(above + levels[-2])
        levels.append(levels[-1] + len(above))
    parents.append(np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)) + levels[-2])
    levels.append(levels[-1] + n_labels)
    labels = np.full(levels[-1], -1, dtype=np.int64)
    # Of a cluster, labels in the order of their numbers.
    cluster = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    labels[levels[-2] :] = order[np.lexsort((order, cluster))]
    return _numbered(np.concatenate(parents), labels, np.array(levels))


def _label_vectors(
    rows: Rows, label_sets: LabelSets, row_weight: np.ndarray, n_threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """indptr, indices and data of the labels' vectors."""
    n_labels, n_features = label_sets.n_labels, rows.shape[1]
    members = label_sets.rows[np.argsort(label_sets.indices, kind="stable")].astype(np.int32)
    start = np.zeros(n_labels + 1, dtype=np.int64)
    np.cumsum(np.bincount(label_sets.indices, minlength=n_labels), out=start[1:])
    most = min(_MOST_ENTRIES, n_features)

    def make(first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        last = min(first + _LABELS_A_CALL, n_labels)
        room = (last - first) * most
        counts = np.empty(last - first, dtype=np.int32)
        indices, data = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.float32)
        work = (
            np.zeros(n_features, dtype=np.float32),
            np.empty(n_features, dtype=np.float32),
            np.empty(n_features, dtype=np.int32),
        )
        _kernel.label_vectors(
            (rows.data, rows.indices, rows.indptr),
            start,
            members,
            row_weight,
            first,
            last,
            _SMALLEST_ENTRY,
            most,
            work,
            (counts, indices, data),
        )
        n = int(counts.sum())
        return counts, indices[:n].copy(), data[:n].copy()

    parts = _in_threads(make, range(0, n_labels, _LABELS_A_CALL), n_threads)
    indptr = np.zeros(n_labels + 1, dtype=np.int64)
    np.cumsum(np.concatenate([counts for counts, _, _ in parts]), out=indptr[1:])
    indices = np.concatenate([part[1] for part in parts])
    return indptr, indices, np.concatenate([part[2] for part in parts])


def _split(
    order: np.ndarray,
    bounds: np.ndarray,
    parts: np.ndarray,
    vectors: tuple[np.ndarray, np.ndarray, np.ndarray],
    n_features: int,
    seed: int,
    n_threads: int,
) -> None:
    """Split the labels of each node into its parts, in place."""
    # A split of many parts alone, then those of its two sides, until sides are small.
    tasks = list(pairwise(parts.tolist()))
    while tasks:
        large = [(a, b) for a, b in tasks if b - a > _PARTS_A_TASK]
        small = [(a, b) for a, b in tasks if b - a <= _PARTS_A_TASK]
        halves = [(a, (a + b) // 2, b) for a, b in large]
        calls = [(np.array([bounds[a], bounds[m], bounds[b]]), 0, 2, a) for a, m, b in halves]
        calls += [(bounds, a, b, 0) for a, b in small]

        def run(group: list) -> None:
            work = (
                np.zeros(2 * n_features, dtype=np.float32),
                np.empty(len(order), dtype=np.float32),
            )
            for ends, low, high, salt in group:
                _kernel.cluster_labels(vectors, order, ends, low, high, seed + salt, work)

        n_groups = min(len(calls), 8 * n_threads)
        _in_threads(run, [calls[i::n_groups] for i in range(n_groups)], n_threads)
        tasks = [side for a, m, b in halves for side in ((a, m), (m, b)) if b - a > 1]


def _in_threads(function: Callable[[Any], Any], arguments: Any, n_threads: int) -> list:
    if n_threads <= 1:
        return [function(argument) for argument in arguments]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, arguments))
