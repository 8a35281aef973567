"""Several label trees whose probabilities are averaged, and how rows are searched in blocks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._data.rows import Rows, to_rows
from .label_search import ScoredPairs, Searcher
from .label_tree import LabelTreeModel

__all__ = ["LabelForest", "sparse_rows"]

# Rows of a block: so many for each node of the last level, so that its chunk is entered once
# for several of them, within these bounds.
_ROWS_A_NODE = 2
_LEAST_ROWS, _MOST_ROWS = 8192, 32768

# Nodes that a search opens before it looks at what else may be as good as what it has found.
_WIDTH_OF_EXACT = 10


def sparse_rows(rows: Rows) -> Rows:
    """Rows in CSR form with int32 columns."""
    if rows.dense:
        return to_rows(sp.csr_array(rows.data.reshape(rows.shape)))
    if rows.indices.dtype == np.int32:
        return rows
    return Rows(rows.data, rows.indices.astype(np.int32), rows.indptr, rows.shape)


class LabelForest:
    """The mean of label trees over the same labels.

    Parameters
    ----------
    trees : list of LabelTreeModel
    """

    def __init__(self, trees: list[LabelTreeModel]) -> None:
        self.trees = trees

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.trees[0].tree.n_labels

    @property
    def nbytes(self) -> int:
        """Memory of the weights."""
        return sum(tree.nbytes for tree in self.trees)

    def top(self, rows: Rows, k: int, width: int | None, n_threads: int) -> ScoredPairs:
        """The k best labels of each row.

        Parameters
        ----------
        rows : Rows
        k : int
        width : int or None
            Nodes that a beam search opens at each level; None: exactly the best.
        n_threads : int
        """
        k = min(k, self.n_labels)

        def search(part: Rows) -> ScoredPairs:
            several = len(self.trees) > 1
            searchers = [Searcher(tree, part, remember=several) for tree in self.trees]
            beam = width or _WIDTH_OF_EXACT
            # Of several trees, labels beyond the k best of one may be among those of the mean.
            n = max(k, beam) if several else k
            best = [s.best(beam, n) for s in searchers]
            found = _best(self._mean(searchers, best, n), k)
            if width is not None:
                return found
            # No label that is better than the k-th so far is below it in every tree.
            least = np.zeros(part.shape[0], dtype=np.float32)
            if len(found.rows) == k * part.shape[0]:
                least = found.values.reshape(-1, k).min(axis=1)
            return _best(self._mean(searchers, [s.above(least) for s in searchers]), k)

        return self._in_blocks(search, rows, n_threads)

    def above(self, rows: Rows, threshold: float, n_threads: int) -> ScoredPairs:
        """All labels whose probability is at least the threshold."""
        least = np.float32(threshold)
        if least < threshold:
            least = np.nextafter(least, np.float32(np.inf))

        def search(part: Rows) -> ScoredPairs:
            thresholds = np.full(part.shape[0], least)
            searchers = [Searcher(tree, part) for tree in self.trees]
            # What reaches it in the mean reaches it in one of them.
            found = self._mean(searchers, [s.above(thresholds) for s in searchers])
            kept = found.values >= least
            return ScoredPairs(found.rows[kept], found.labels[kept], found.values[kept])

        return self._in_blocks(search, rows, n_threads)

    def dense(self, rows: Rows, n_threads: int) -> np.ndarray:
        """Probabilities of all labels, of shape (n_rows, n_labels), float32."""
        out = np.empty((rows.shape[0], self.n_labels), dtype=np.float32)
        step = max(1, min(_LEAST_ROWS, 2**22 // self.n_labels))

        def fill(first: int) -> None:
            block = slice(first, min(first + step, rows.shape[0]))
            part = sparse_rows(rows.part(block.start, block.stop))
            total = out[block]
            total[:] = 0
            for tree in self.trees:
                found = Searcher(tree, part).above(np.zeros(part.shape[0], dtype=np.float32))
                total += found.sorted().values.reshape(total.shape)
            if len(self.trees) > 1:
                total /= np.float32(len(self.trees))

        _in_threads(fill, range(0, rows.shape[0], step), n_threads)
        return out

    def _mean(
        self, searchers: list[Searcher], found: list[ScoredPairs], n: int | None = None
    ) -> ScoredPairs:
        """The mean over trees of what any of them has found; of each row the n best so far."""
        if len(found) == 1:
            return found[0].sorted()
        together = ScoredPairs(*map(np.concatenate, zip(*found, strict=True)))
        order = together.order()
        rows, labels = together.rows[order], together.labels[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (labels[1:] != labels[:-1]) | (rows[1:] != rows[:-1])
        rows, labels = rows[new], labels[new]
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.cumsum(new) - 1
        values = np.full((len(found), len(rows)), -1, dtype=np.float32)
        first = 0
        for own, pairs in zip(values, found, strict=True):
            own[place[first : first + len(pairs.rows)]] = pairs.values
            first += len(pairs.rows)
        if n is not None:
            kept = _are_best(rows, np.maximum(values, 0).sum(axis=0), n)
            rows, labels, values = rows[kept], labels[kept], values[:, kept]
        for searcher, own in zip(searchers, values, strict=True):
            # A label that this tree left out is not of probability 0 there.
            missing = np.flatnonzero(own < 0)
            if len(missing):
                paths = searcher.tree.paths(labels[missing])
                own[missing] = searcher.along(rows[missing], paths)[-1]
        total = np.zeros(len(rows), dtype=np.float32)
        for own in values:
            total += own
        total /= np.float32(len(found))
        return ScoredPairs(rows, labels, total)

    def _in_blocks(
        self, search: Callable[[Rows], ScoredPairs], rows: Rows, n_threads: int
    ) -> ScoredPairs:
        n_rows = rows.shape[0]
        n_inner = max(int(np.sum(tree.tree.labels < 0)) for tree in self.trees)
        step = int(np.clip(_ROWS_A_NODE * n_inner, _LEAST_ROWS, _MOST_ROWS))
        step = max(1, min(step, -(-n_rows // n_threads)))

        def run(first: int) -> ScoredPairs:
            found = search(sparse_rows(rows.part(first, min(first + step, n_rows))))
            return found._replace(rows=found.rows + np.int32(first))

        parts = _in_threads(run, range(0, n_rows, step), n_threads)
        return ScoredPairs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _are_best(rows: np.ndarray, values: np.ndarray, k: int) -> np.ndarray:
    """Which are the k best of their row; ties go to the one that comes first."""
    counts = np.bincount(rows)
    most = int(counts.max(initial=0))
    if most <= k:
        return np.ones(len(rows), dtype=bool)
    # Bits of a probability are in the order of its value; the place breaks ties.
    keys = np.full((len(counts), most), -1, dtype=np.int64)
    inside = np.arange(most) < counts[:, None]
    place = np.broadcast_to(np.arange(most - 1, -1, -1), inside.shape)[inside]
    keys[inside] = (np.abs(values).view(np.int32).astype(np.int64) << 32) | place
    least = np.partition(keys, most - k, axis=1)[:, most - k]
    return (keys >= np.maximum(least, 0)[:, None])[inside]


def _best(pairs: ScoredPairs, k: int) -> ScoredPairs:
    """The k best labels of each row; ties go to the smaller label."""
    kept = _are_best(pairs.rows, pairs.values, k)
    return ScoredPairs(*(array[kept] for array in pairs))


def _in_threads(function: Callable[[Any], Any], arguments: Any, n_threads: int) -> list:
    if n_threads <= 1:
        return [function(argument) for argument in arguments]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, arguments))
