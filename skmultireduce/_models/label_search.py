"""Search in label trees: the best labels of rows, those above a threshold, given ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._data.rows import Rows
from .._kernels import tree as _kernel
from .label_tree import LabelTreeModel

__all__ = ["ScoredPairs", "Searcher"]

_NONE = np.empty(0, dtype=np.int32)


_SINGLE = np.empty(0, dtype=np.float32)
_NOT_WANTED = (np.empty(0, dtype=np.int64), _NONE, _SINGLE)
_NOT_ABOVE = (_SINGLE, _NONE, _NONE, _SINGLE)
_NOT_BEST = (
    _SINGLE.reshape(0, 1),
    _NONE.reshape(0, 1),
    _NONE,
    _SINGLE.reshape(0, 1),
    _NONE.reshape(0, 1),
    _NONE,
    np.empty(0, dtype=np.int64),
    _SINGLE,
)


class ScoredPairs(NamedTuple):
    """Labels of rows and their probabilities."""

    rows: np.ndarray
    labels: np.ndarray
    values: np.ndarray

    def order(self) -> np.ndarray:
        """By row and then label."""
        return np.argsort((self.rows.astype(np.int64) << 32) | self.labels)

    def sorted(self) -> ScoredPairs:
        """The same by row and then label."""
        order = self.order()
        return ScoredPairs(*(array[order] for array in self))


class Searcher:
    """Opens nodes of a tree for some rows."""

    def __init__(self, model: LabelTreeModel, rows: Rows, *, remember: bool = False) -> None:
        self.model = model
        # Of each level: rows and nodes that were opened, as one sorted number each, and the
        # probabilities of their children.
        self.remember = remember
        self.opened: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.rows = (rows.data, rows.indices, rows.indptr)
        self.n_rows = rows.shape[0]
        self.tree = model.tree
        self.kind = _kernel.PROBABILITY_CODES[model.probability]
        self.kind += _kernel.DIVIDED if model.normalized else 0
        largest = [chunks for chunks in model.chunks if chunks.n_chunks]
        self.work = (
            np.zeros(model.n_features + 1, dtype=np.int32),
            np.empty(
                1 + max(int(np.diff(c.feature_start).max()) for c in largest), dtype=np.int32
            ),
            np.empty(1 + max(int(np.diff(c.entry_start).max()) for c in largest), np.float32),
            np.empty(_kernel.SCORES_AT_A_TIME + self.tree.widest + 64, dtype=np.float32),
        )

    def _root(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return (
            np.arange(self.n_rows, dtype=np.int32),
            np.zeros(self.n_rows, dtype=np.int32),
            np.ones(self.n_rows, dtype=np.float32),
        )

    def _open(
        self, level: int, requests: tuple, first: int, wanted: tuple, best: tuple, above: tuple
    ) -> tuple[int, int]:
        model = self.model
        first_node = int(self.tree.levels[level])
        # Chunks of the level are numbered from its first node's on.
        first_chunk = model.first_chunk - model.first_chunk[first_node]
        tree = (self.tree.first_child, first_chunk, self.tree.labels, model.intercepts)
        return _kernel.open_nodes(
            self.rows,
            tree,
            model.chunks[level].as_arguments(),
            self.kind,
            requests,
            first,
            wanted,
            best,
            above,
            self.work,
        )

    def best(self, width: int, n_labels: int) -> ScoredPairs:
        shape = (self.n_rows, min(n_labels, self.tree.n_labels))
        labels = (
            np.empty(shape, dtype=np.float32),
            np.empty(shape, dtype=np.int32),
            np.zeros(self.n_rows, dtype=np.int32),
        )
        self._descend(self.tree.depth, width, labels)
        values, numbers, counts = labels
        inside = np.arange(shape[1]) < counts[:, None]
        found_rows = np.repeat(np.arange(self.n_rows, dtype=np.int32), counts)
        return ScoredPairs(found_rows, numbers[inside], values[inside])

    def beam(self, level: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = (
            np.empty((self.n_rows, 1), dtype=np.float32),
            np.empty((self.n_rows, 1), dtype=np.int32),
            np.zeros(self.n_rows, dtype=np.int32),
        )
        return self._descend(level, width, labels)

    def _descend(self, depth: int, width: int, labels: tuple) -> tuple:
        """Requests at a depth, by beam search; the labels on the way go into heaps."""
        requests = self._root()
        for level in range(depth):
            shape = (self.n_rows, width)
            nodes = (
                np.empty(shape, dtype=np.float32),
                np.empty(shape, dtype=np.int32),
                np.zeros(self.n_rows, dtype=np.int32),
            )
            saved = _NOT_BEST[6:]
            if self.remember:
                start, end = self._places(requests[1])
                saved = (start, np.empty(end, dtype=np.float32))
                self.opened[level] = (self._keys(*requests[:2]), *saved)
            self._open(level, requests, 0, _NOT_WANTED, (*nodes, *labels, *saved), _NOT_ABOVE)
            inside = np.arange(width) < nodes[2][:, None]
            requests = _by_node(
                np.repeat(np.arange(self.n_rows, dtype=np.int32), nodes[2]),
                nodes[1][inside],
                nodes[0][inside],
            )
            if not len(requests[0]):
                break
        return requests

    def _keys(self, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        return nodes.astype(np.int64) * self.n_rows + rows

    def _places(self, nodes: np.ndarray) -> tuple[np.ndarray, int]:
        """Where the children of each of these nodes go, and the end."""
        ends = np.cumsum(np.diff(self.tree.first_child)[nodes], dtype=np.int64)
        return np.append(np.int64(0), ends[:-1]), int(ends[-1])

    def above(self, thresholds: np.ndarray) -> ScoredPairs:
        requests, found = self._root(), []
        room = _kernel.SCORES_AT_A_TIME + self.tree.widest
        for level in range(self.tree.depth):
            parts, first = [], 0
            while first < len(requests[0]):
                out = (
                    np.empty(room, dtype=np.int32),
                    np.empty(room, dtype=np.int32),
                    np.empty(room, dtype=np.float32),
                )
                first, n = self._open(
                    level, requests, first, _NOT_WANTED, _NOT_BEST, (thresholds, *out)
                )
                parts.append(tuple(array[:n].copy() for array in out))
            if not parts:
                break
            hit_rows, nodes, values = (np.concatenate(p) for p in zip(*parts, strict=True))
            labels = self.tree.labels[nodes]
            leaf = labels >= 0
            found.append((hit_rows[leaf], labels[leaf], values[leaf]))
            requests = _by_node(hit_rows[~leaf], nodes[~leaf], values[~leaf])
        return ScoredPairs(*map(np.concatenate, zip(*found, strict=True)))

    def along(self, pair_rows: np.ndarray, paths: np.ndarray) -> np.ndarray:
        """Probabilities of the nodes on the way to labels, as products from the root on.

        Parameters
        ----------
        pair_rows : ndarray of shape (n,), int32
        paths : ndarray of shape (depth, n), int32
            Of `LabelTree.paths`.

        Returns
        -------
        values : ndarray of shape (depth, n), float32
            The last ones are those of the labels.
        """
        out = np.ones(paths.shape, dtype=np.float32)
        for level, nodes in enumerate(paths):
            value = out[level]
            if level:
                value[:] = out[level - 1]
            going = np.flatnonzero(nodes >= 0)
            parent = self.tree.parents[nodes[going]]
            key = self._keys(pair_rows[going], parent)
            order = np.argsort(key)
            going, parent, key = going[order], parent[order], key[order]
            rank = nodes[going] - self.tree.first_child[parent]
            if level in self.opened:
                keys, start, saved = self.opened[level]
                at = np.searchsorted(keys, key)
                at[at == len(keys)] = 0
                known = keys[at] == key
                value[going[known]] = saved[start[at[known]] + rank[known]]
                new = ~known
                going, parent, rank, key = going[new], parent[new], rank[new], key[new]
            if len(going):
                value[going] *= self._shares(level, pair_rows[going], parent, rank, key)
        return out

    def _shares(
        self,
        level: int,
        rows: np.ndarray,
        nodes: np.ndarray,
        ranks: np.ndarray,
        keys: np.ndarray,
    ) -> np.ndarray:
        """Probabilities of children, by rank, of nodes of a level, in the order of the keys."""
        # Pairs of the same row and node are one request.
        new = np.ones(len(keys), dtype=bool)
        new[1:] = keys[1:] != keys[:-1]
        first = np.flatnonzero(new)
        start = np.append(first, len(keys)).astype(np.int64)
        requests = (rows[first], nodes[first], np.ones(len(first), dtype=np.float32))
        out = np.empty(len(keys), dtype=np.float32)
        self._open(level, requests, 0, (start, ranks.astype(np.int32), out), _NOT_BEST, _NOT_ABOVE)
        return out


def _by_node(
    rows: np.ndarray, nodes: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort((nodes.astype(np.int64) << 32) | rows)
    return rows[order], nodes[order], values[order]
