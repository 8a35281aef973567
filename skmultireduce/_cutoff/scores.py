"""Scores of held-out rows, block by block; the only place that knows a block's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.pipeline import Pipeline

from .._data.blocks import indexable_rows, iter_row_blocks
from .._data.inner_fits import has_method, last_step
from .._data.label_sets import LabelSets
from .._data.score_matrix import best_columns, score_matrix, select_scores
from .._data.sparse import check_sparse
from .._kernels import cutoff as _kernels
from .._sklearn import BaseSearchCV, _num_samples, _safe_indexing

__all__ = [
    "CandidateScores",
    "DenseScores",
    "Pool",
    "ScoreBlocks",
    "Source",
    "array_blocks",
    "best_scores",
    "csr_blocks",
    "predict_scores",
    "response_method_of",
    "row_weights",
    "rows_of",
    "sorted_scores",
    "true_weights",
]

_NO_WEIGHT = np.empty(0)
# Blocks of about 2 MB stay in the cache while several counters look at them.
_BLOCK_BYTES = 2**22


def _weight(weight: np.ndarray | None) -> np.ndarray:
    return _NO_WEIGHT if weight is None else np.require(weight, requirements="CA")


class DenseScores:
    """Scores of some rows for all labels; ``-inf`` is never predicted.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_labels), float32 or float64
        C-contiguous and aligned.
    """

    def __init__(self, values: np.ndarray):
        self.values = values

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.values.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Type of the scores."""
        return self.values.dtype

    def like(self, values: np.ndarray) -> DenseScores:
        """Other values of the same rows and labels."""
        return DenseScores(values)

    def astype(self, dtype: Any) -> DenseScores:
        """Scores in another type."""
        return self if self.dtype == dtype else self.like(self.values.astype(dtype))

    def part(self, first: int, last: int) -> DenseScores:
        """Scores of the rows first:last, not copied."""
        return DenseScores(self.values[first:last])

    # --- looking ---

    def bits(self) -> np.ndarray:
        """Values as integers of the same size."""
        return self.values.view(np.uint32 if self.values.itemsize == 4 else np.uint64)

    def of(self, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Scores of (row, label) pairs."""
        return self.values[rows, labels]

    def hits(self, sets: LabelSets) -> np.ndarray:
        """Whether each value belongs to a true label."""
        out = np.zeros(self.values.shape, dtype=bool)
        out[sets.rows, sets.indices] = True
        return out

    def per_label(self, vector: np.ndarray) -> np.ndarray:
        """Give the number of each value's label, in a shape that broadcasts."""
        return vector

    def dense(self, values: np.ndarray, rest: Any) -> np.ndarray:
        """Array of shape (n_rows, n_labels) of given values, `rest` where there are none."""
        return values

    def select(
        self, top_k: int | None, threshold: float | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sizes of rows, labels and scores of the best labels; see `select_scores`."""
        sizes, columns, scores = select_scores(self.values, top_k, threshold)
        rows = np.repeat(np.arange(self.n_rows), sizes)
        return sizes, self.pairs(rows * self.values.shape[1] + columns)[1].astype(np.int32), scores

    def pairs(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and labels of the chosen values: a mask, or positions in the flat array."""
        if chosen.dtype == bool:
            return np.nonzero(chosen)
        return np.divmod(chosen, self.n_labels)

    def row_highest(self) -> np.ndarray:
        """Highest score of each row, of shape (n_rows, 1)."""
        return self.values.max(axis=1, keepdims=True)

    def top(self, k: int) -> np.ndarray:
        """Columns of `values` with the k highest of each row, ties by label; (n_rows, k)."""
        return best_columns(self.values, k)

    # --- counting ---

    def count_labels(self, chosen: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weight of the rows with a chosen value, for each label."""
        return weight @ chosen

    def sum_labels(self, chosen: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Sum of a number of the label over the chosen values of each row."""
        return chosen @ vector

    def add_histogram(self, weight: np.ndarray | None, shift: int, counts: np.ndarray) -> int:
        """Count in buckets; return the number of NaNs."""
        return _kernels.add_histogram(self.bits(), _weight(weight), shift, counts)

    def add_bins(
        self,
        weight: np.ndarray | None,
        shift: int,
        alive: np.ndarray,
        first: np.ndarray,
        slots: np.ndarray,
        counts: np.ndarray,
    ) -> None:
        """Count between the slots of the alive buckets."""
        _kernels.add_bins(self.bits(), _weight(weight), shift, alive, first, slots, counts)

    def add_label_bins(
        self, weight: np.ndarray | None, first: np.ndarray, slots: np.ndarray, counts: np.ndarray
    ) -> None:
        """Count between the slots of each label."""
        _kernels.add_label_bins(self.bits(), _weight(weight), first, slots, counts)

    def add_pooled_bins(
        self, weight: np.ndarray | None, first: np.ndarray, slots: np.ndarray, counts: np.ndarray
    ) -> None:
        """Count between slots that are the same for all labels."""
        if weight is not None:
            weight = np.repeat(weight, self.values.shape[1])
        bits = self.bits().reshape(-1, 1)
        _kernels.add_label_bins(bits, _weight(weight), first, slots, counts)

    def add_common_cut(self, value: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Both sides of one cut of all labels; return the number of labels of each row.

        Sides are the lowest score, the highest one below the cut, and the highest one.
        """
        predicted = np.empty(self.n_rows, dtype=np.int64)
        _kernels.add_common_cut(self.values, value, sides, predicted)
        return predicted

    def add_cut(
        self, value: np.ndarray, lowest: np.ndarray, below: np.ndarray, highest: np.ndarray
    ) -> np.ndarray:
        """Both sides of a cut, for each label; return the number of labels of each row."""
        predicted = np.empty(self.n_rows, dtype=np.int64)
        _kernels.add_cut(self.values, value, lowest, below, highest, predicted)
        return predicted


class CandidateIndex:
    """The labels of `CandidateScores`, shared by all values of the same rows.

    Parameters
    ----------
    labels : ndarray of shape (n_rows, n_columns), int32
        Ascending in each row. Rows with fewer labels begin with 0 as often as need be; the
        value there is ``-inf``.
    n_labels : int
        Number of labels.
    """

    def __init__(self, labels: np.ndarray, n_labels: int):
        self.labels, self.n_labels = labels, n_labels

    @cached_property
    def numbers(self) -> np.ndarray:
        """Ascending number of each (row, label) pair."""
        start = np.arange(len(self.labels), dtype=np.int64)[:, None] * self.n_labels
        return (start + self.labels).reshape(-1)

    def find(self, rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions of pairs in the flat array, and whether they are there."""
        wanted = rows * np.int64(self.n_labels) + labels
        # The last of equal ones: those before it fill the row.
        at = np.searchsorted(self.numbers, wanted, side="right") - 1
        at = np.maximum(at, 0)
        return at, self.numbers[at] == wanted

    def part(self, first: int, last: int) -> CandidateIndex:
        """Labels of the rows first:last, not copied."""
        return CandidateIndex(self.labels[first:last], self.n_labels)


class CandidateScores(DenseScores):
    """Scores of some rows for some labels of each; all others are lower, and not predicted.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns), float32 or float64
        C-contiguous and aligned.
    index : CandidateIndex
        Whose scores they are.
    """

    def __init__(self, values: np.ndarray, index: CandidateIndex):
        super().__init__(values)
        self.index = index

    @classmethod
    def of_rows(
        cls, indptr: np.ndarray, labels: np.ndarray, data: np.ndarray, n_labels: int
    ) -> CandidateScores:
        """Scores in CSR form, labels ascending."""
        sizes = np.diff(indptr)
        shape = len(sizes), int(sizes.max(initial=1))
        if np.all(sizes == shape[1]):
            values = np.require(data.reshape(shape), requirements="CA")
            labels = np.require(labels.reshape(shape), np.int32)
            return cls(values, CandidateIndex(labels, n_labels))
        values = np.full(shape, -np.inf, data.dtype)
        columns = np.zeros(shape, np.int32)
        filled = np.arange(shape[1]) >= shape[1] - sizes[:, None]
        values[filled], columns[filled] = data, labels
        return cls(values, CandidateIndex(columns, n_labels))

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.index.n_labels

    def like(self, values: np.ndarray) -> CandidateScores:
        return CandidateScores(values, self.index)

    def part(self, first: int, last: int) -> CandidateScores:
        return CandidateScores(self.values[first:last], self.index.part(first, last))

    def of(self, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        at, there = self.index.find(rows, labels)
        return np.where(there, self.values.reshape(-1)[at], self.dtype.type(-np.inf))

    def hits(self, sets: LabelSets) -> np.ndarray:
        at, there = self.index.find(sets.rows, sets.indices)
        out = np.zeros(self.values.size, dtype=bool)
        out[at[there]] = True
        return out.reshape(self.values.shape)

    def per_label(self, vector: np.ndarray) -> np.ndarray:
        return vector[self.index.labels] if np.ndim(vector) else vector

    def dense(self, values: np.ndarray, rest: Any) -> np.ndarray:
        out = np.full((self.n_rows, self.n_labels), rest, values.dtype)
        rows, columns = np.nonzero(self.values > -np.inf)
        out[rows, self.index.labels[rows, columns]] = values[rows, columns]
        return out

    def pairs(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if chosen.dtype == bool:
            rows, columns = np.nonzero(chosen)
        else:
            rows, columns = np.divmod(chosen, self.values.shape[1])
        return rows, self.index.labels[rows, columns]

    def count_labels(self, chosen: np.ndarray, weight: np.ndarray) -> np.ndarray:
        rows, labels = self.pairs(chosen)
        return np.bincount(labels, weight[rows], minlength=self.n_labels)

    def sum_labels(self, chosen: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return np.where(chosen, vector[self.index.labels], 0.0).sum(axis=1)

    def add_label_bins(
        self, weight: np.ndarray | None, first: np.ndarray, slots: np.ndarray, counts: np.ndarray
    ) -> None:
        _kernels.add_candidate_bins(
            self.bits(), self.index.labels, _weight(weight), first, slots, counts
        )

    def add_cut(
        self, value: np.ndarray, lowest: np.ndarray, below: np.ndarray, highest: np.ndarray
    ) -> np.ndarray:
        predicted = np.empty(self.n_rows, dtype=np.int64)
        _kernels.add_candidate_cut(
            self.values, self.index.labels, value, lowest, below, highest, predicted
        )
        return predicted


ScoreBlocks = Callable[[], Iterator[tuple[slice, DenseScores]]]


@dataclass(frozen=True)
class Pool:
    """Held-out rows of one fold.

    Parameters
    ----------
    blocks : callable
        ``blocks()`` iterates over pairs (slice of rows, `DenseScores`). It is called once
        for each pass.
    label_sets : LabelSets
        The truth.
    weight : ndarray of shape (n_rows,), float64, or None
        Weights of the rows.
    log_prior : ndarray of shape (n_labels,) or None
        Logarithm of the labels' frequencies in training, for ``"adjusted"``.
    dtype : dtype or None
        Type that scores are converted to; None leaves them.
    gain : ndarray of shape (n_labels,) or None
        What a true label counts; None: 1.
    """

    blocks: ScoreBlocks
    label_sets: LabelSets
    weight: np.ndarray | None = None
    log_prior: np.ndarray | None = None
    dtype: Any = None
    gain: np.ndarray | None = None

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.label_sets.n_labels

    @property
    def weighted(self) -> bool:
        """Whether rows have weights, or labels gains: whether counts are no integers."""
        return self.weight is not None or self.gain is not None

    def counts(self) -> np.ndarray:
        """Number of rows of each label."""
        return self.label_sets.counts()

    def typed_blocks(self) -> Iterator[tuple[slice, DenseScores]]:
        """Blocks in the pool's type."""
        for rows, scores in self.blocks():
            yield rows, scores if self.dtype is None else scores.astype(self.dtype)

    def accumulate(self, jobs: list[tuple[Any, Any]]) -> list[Any]:
        """One pass over the scores, mapped, into an accumulator for each map."""
        for rows, scores in self.typed_blocks():
            sets = self.label_sets.part(rows.start, rows.stop)
            weight = None if self.weight is None else self.weight[rows]
            gains = None
            if self.gain is not None:
                gains = self.gain[sets.indices]
                weight = np.ones(sets.n_rows) if weight is None else weight
            # Where y was real-valued its values are not meant here.
            sets = replace(sets, values=gains)
            memo: dict = {}
            for score_map, accumulator in jobs:
                accumulator.add(score_map(scores, self.log_prior, memo), sets, weight)
        return [accumulator for _, accumulator in jobs]


def row_weights(pool: Pool) -> np.ndarray:
    """Weights of a pool's rows, 1 if there are none."""
    return np.ones(pool.label_sets.n_rows) if pool.weight is None else pool.weight


def true_weights(sets: LabelSets, weight: np.ndarray) -> np.ndarray:
    """What each true label counts: the weight of its row, times its gain."""
    own = weight[sets.rows]
    return own if sets.values is None else own * sets.values


def array_blocks(scores: np.ndarray, step: int | None = None) -> ScoreBlocks:
    """Blocks of an array of scores, for `Pool`."""
    scores = np.asarray(scores)
    if scores.dtype != np.float32:
        scores = scores.astype(np.float64, copy=False)
    # Kernels take numbers to lie at multiples of their size.
    whole = DenseScores(np.require(scores, requirements="CA"))
    size = step or max(1, _BLOCK_BYTES // max(1, scores.shape[1] * scores.itemsize))

    def blocks() -> Iterator[tuple[slice, DenseScores]]:
        for start in range(0, whole.n_rows, size):
            rows = slice(start, min(start + size, whole.n_rows))
            yield rows, whole.part(rows.start, rows.stop)

    return blocks


def csr_blocks(scores: Any, step: int | None = None) -> ScoreBlocks:
    """Blocks of scores in CSR form, where what is not stored is lower, for `Pool`."""
    scores = sorted_scores(scores)
    offsets, n_labels = scores.indptr.astype(np.int64), scores.shape[1]
    blocks_of_rows = _even_blocks(np.diff(offsets), scores.dtype.itemsize, step)

    def blocks() -> Iterator[tuple[slice, DenseScores]]:
        for rows in blocks_of_rows:
            begin, end = offsets[rows.start], offsets[rows.stop]
            part = CandidateScores.of_rows(
                offsets[rows.start : rows.stop + 1] - begin,
                scores.indices[begin:end],
                scores.data[begin:end],
                n_labels,
            )
            yield rows, part

    return blocks


def sorted_scores(scores: Any) -> Any:
    """CSR of float32 or float64 with ascending columns; stored zeros stay."""
    scores = scores.tocsr()
    if scores.dtype != np.float32:
        scores = scores.astype(np.float64, copy=False)
    if not scores.has_canonical_format:
        scores = scores.copy()
        scores.sum_duplicates()
    return scores


def _even_blocks(sizes: np.ndarray, itemsize: int, step: int | None) -> list[slice]:
    """Rows whose scores, with the rows' ends filled up, are a block."""
    most = _BLOCK_BYTES // itemsize
    if step is None and sizes.max(initial=0) * len(sizes) <= most:
        step = len(sizes)
    if step is None and len(sizes) and sizes.max() < 2 * max(1.0, sizes.mean()):
        step = max(1, most // int(sizes.max(initial=1)))
    if step is not None:
        step = max(1, step)
        starts = range(0, len(sizes), step)
        return [slice(start, min(start + step, len(sizes))) for start in starts]
    # Few rows may be much longer than the others: they do not share a block with many.
    out, start, widest, stored = [], 0, 1, 0
    for row, size in enumerate(sizes.tolist()):
        widest, stored = max(widest, size), stored + size
        filled = widest * (row + 1 - start)
        if row > start and (filled > most or filled > max(2 * stored, most // 8)):
            out.append(slice(start, row))
            start, widest, stored = row, max(1, size), size
    out.append(slice(start, len(sizes)))
    return out


# --- of estimators ------------------------------------------------------------------------


def _cut_scores(estimator: Any) -> bool:
    """Whether a model of this package clips its probabilities, in pipelines and searches too."""
    last = last_step(estimator)[1]
    if isinstance(last, BaseSearchCV):
        return _cut_scores(getattr(last, "best_estimator_", last.estimator))
    return getattr(last, "_cut_scores", False)


def response_method_of(response_method: str, *estimators: Any) -> str:
    """Name of the method that the scores of estimators come from.

    Parameters
    ----------
    response_method : {"auto", "predict_proba", "decision_function", "predict_scores"}
        ``"auto"``: the first of the others that all estimators have; decisions before
        probabilities for the squared hinge, whose probabilities are clipped scores.
    *estimators : estimators

    Raises
    ------
    AttributeError
        If there is none.
    """
    names = [response_method]
    if response_method == "auto":
        names = ["predict_proba", "decision_function"]
        if any(_cut_scores(estimator) for estimator in estimators):
            names.reverse()
        names.append("predict_scores")
    for name in names:
        if all(has_method(estimator, name) for estimator in estimators):
            return name
    raise AttributeError(
        f"{type(estimators[0]).__name__} has none of {', '.join(names)}. Choose another "
        "response_method or estimator."
    )


def predict_scores(
    estimator: Any, X: Any, *, top_k: int | None = None, threshold: float | None = None
) -> Any:
    """``estimator.predict_scores``, through pipelines and searches."""
    while not hasattr(estimator, "predict_scores"):
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator.steps) > 1 else X
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            raise AttributeError(
                f"{type(estimator).__name__} has no predict_scores. Choose another "
                "response_method."
            )
    return estimator.predict_scores(X, top_k=top_k, threshold=threshold)


@dataclass(frozen=True)
class Source:
    """Where an estimator's scores come from.

    Parameters
    ----------
    method : {"predict_proba", "decision_function", "predict_scores"}
        The method.
    n_labels : int
        Number of labels.
    n_candidates : int, default=50
        Labels of each row that `predict_scores` is asked for.
    never : ndarray of shape (n_labels,), bool, or None
        Labels whose scores become ``-inf``: those without positives have arbitrary ones (the
        decision value 0 of OneVsRestClassifier is above those of most true labels).
    dtype : dtype or None
        Type that scores are converted to; None leaves them.
    probability : bool
        Whether scores are probabilities.
    """

    method: str
    n_labels: int
    n_candidates: int = 50
    never: np.ndarray | None = None
    dtype: Any = None
    probability: bool = True

    @classmethod
    def of(
        cls, response_method: str, n_labels: int, *estimators: Any, n_candidates: int = 50
    ) -> Source:
        """Source that all of the estimators have; see `response_method_of`."""
        name = response_method_of(response_method, *estimators)
        # `predict_scores` has the values of `predict_proba`, if that exists.
        proba = all(has_method(estimator, "predict_proba") for estimator in estimators)
        return cls(name, n_labels, n_candidates, probability=proba and name != "decision_function")

    @property
    def sparse(self) -> bool:
        """Whether there are scores of some labels only."""
        return self.method == "predict_scores"

    @property
    def n_scores(self) -> int:
        """Number of scores of a row, at most."""
        return min(self.n_candidates, self.n_labels) if self.sparse else self.n_labels

    @property
    def row_bytes(self) -> int:
        """Memory that the scores of a row take, at most."""
        # With the labels' numbers, and what is made of them.
        return (24 if self.sparse else 8) * self.n_scores

    def scores(self, estimator: Any, X: Any) -> DenseScores:
        """Scores of rows, from any of scikit-learn's multi-label shapes.

        Other shapes are refused: the columns of the scores are those of the predictions.
        """
        check_sparse(X, "X")
        return self._scores(estimator, X)

    def _scores(self, estimator: Any, X: Any) -> DenseScores:
        found = self._candidates(estimator, X) if self.sparse else self._array(estimator, X)
        return found if self.dtype is None else found.astype(self.dtype)

    def _array(self, estimator: Any, X: Any) -> DenseScores:
        scores = getattr(estimator, self.method)(X)
        if isinstance(scores, list | tuple):
            scores = _stacked_columns(estimator, scores, self.method)
        scores = np.asarray(scores)
        self._check_shape(estimator, scores.shape, _num_samples(X))
        dtype = np.float32 if scores.dtype == np.float32 else np.float64
        if self.never is None or not self.never.any():
            return DenseScores(np.require(scores, dtype=dtype, requirements="CA"))
        out = np.array(scores, dtype=dtype, order="C")
        out[:, self.never] = -np.inf
        return DenseScores(out)

    def _candidates(self, estimator: Any, X: Any) -> DenseScores:
        k = min(self.n_candidates, self.n_labels)
        found = predict_scores(estimator, X, top_k=k)
        if not sp.issparse(found):
            raise ValueError(
                f"{type(estimator).__name__}.predict_scores gives a {type(found).__name__}; a "
                "SciPy CSR array of shape (n_samples, n_labels) is needed."
            )
        self._check_shape(estimator, found.shape, _num_samples(X))
        found = sorted_scores(found)
        scores = CandidateScores.of_rows(
            found.indptr.astype(np.int64), found.indices, found.data, self.n_labels
        )
        if self.never is None or not self.never.any():
            return scores
        values = np.where(self.never[scores.index.labels], -np.inf, scores.values)
        return scores.like(values.astype(scores.dtype))

    def _check_shape(self, estimator: Any, shape: tuple, n_rows: int) -> None:
        if shape != (n_rows, self.n_labels):
            remedy = "Fit the estimator on a y with the same columns."
            if self.n_labels == 1:
                remedy = "Pass 1-D y for a single label."
            raise ValueError(
                f"{type(estimator).__name__}.{self.method} gives scores of shape {shape} for "
                f"{n_rows} rows, but y has {self.n_labels} labels. {remedy}"
            )

    def each_block(self, estimator: Any, X: Any) -> Iterator[DenseScores]:
        """Iterate over the scores of rows, block by block; at least once."""
        X = indexable_rows(X)
        n_rows = _num_samples(X)
        most = get_config()["working_memory"] / 64
        blocks = list(iter_row_blocks(n_rows, self.row_bytes, most))
        for block in blocks or [slice(0, n_rows)]:
            yield self._scores(estimator, rows_of(X, block))

    def blocks(self, estimator: Any, X: Any, rows: np.ndarray | None = None) -> ScoreBlocks:
        """Scores of the given rows of X, block by block, as `Pool` takes them.

        A block takes at most 1/64 of scikit-learn's ``working_memory``. All blocks together
        are kept for the later passes if they fit into 1/16 of it (64 MiB by default),
        otherwise the estimator scores the rows again.
        """
        n_rows = _num_samples(X) if rows is None else len(rows)
        working_memory = get_config()["working_memory"]
        keep = n_rows * self.row_bytes <= working_memory * 2**20 / 16
        kept: list[tuple[slice, DenseScores]] = []

        def blocks() -> Iterator[tuple[slice, DenseScores]]:
            if kept:
                yield from kept
                return
            seen = []
            for block in iter_row_blocks(n_rows, self.row_bytes, working_memory / 64):
                scores = self.scores(estimator, rows_of(X, block, rows))
                row_bytes = max(1, scores.values.shape[1] * scores.dtype.itemsize)
                step = max(1, _BLOCK_BYTES // row_bytes)
                for start in range(0, scores.n_rows, step):
                    piece = scores.part(start, min(start + step, scores.n_rows))
                    first = block.start + start
                    item = slice(first, first + piece.n_rows), piece
                    if keep:
                        seen.append(item)
                    yield item
            # Only now they are complete: a pass may end early.
            kept.extend(seen)

        return blocks


def best_scores(
    estimator: Any,
    X: Any,
    top_k: int | None,
    threshold: float | None,
    response_method: str = "auto",
) -> Any:
    """CSR scores of the best labels of each row, of any estimator that has scores."""
    name = response_method_of(response_method, estimator)
    asked = name == "predict_scores" or response_method == "auto"
    if asked and has_method(estimator, "predict_scores") and name != "decision_function":
        return predict_scores(estimator, X, top_k=top_k, threshold=threshold)
    X = indexable_rows(X)
    first = getattr(estimator, name)(rows_of(X, slice(0, min(1, _num_samples(X)))))
    if not isinstance(first, list | tuple) and np.ndim(first) != 2:
        raise ValueError(
            "The estimator gives one score for both of two classes. Pass response_method="
            "'predict_proba', or fit it on a multi-label indicator."
        )
    n_labels = len(first) if isinstance(first, list | tuple) else np.shape(first)[1]
    found = Source(name, n_labels).each_block(estimator, X)
    return score_matrix((scores.select(top_k, threshold) for scores in found), n_labels)


def rows_of(X: Any, block: slice, rows: np.ndarray | None = None) -> Any:
    """A block of X, or of some of its rows; of an array a view, not a copy."""
    if rows is not None:
        return _safe_indexing(X, rows[block])
    if block.start == 0 and block.stop == _num_samples(X):
        return X
    if type(X) is np.ndarray:
        # Of many blocks, scikit-learn's questions after the kind of X take a tenth of a search.
        return X[block]
    return _safe_indexing(X, block)


def _stacked_columns(estimator: Any, scores: list | tuple, method: str) -> np.ndarray:
    """One array from a list with an array for each label."""
    classes = getattr(estimator, "classes_", None)
    columns = []
    for label, part in enumerate(scores):
        part = np.asarray(part)
        if part.ndim == 1:
            columns.append(part)
        elif part.shape[1] == 2:
            columns.append(part[:, 1])
        elif part.shape[1] == 1 and method == "predict_proba" and classes is not None:
            # A label that is the same for all rows of a fold has one class.
            always = bool(np.ravel(classes[label])[0])
            columns.append(part[:, 0] if always else np.zeros_like(part[:, 0]))
        else:
            raise ValueError(
                f"{type(estimator).__name__}.{method} gives {part.shape[1]} columns for "
                f"label {label}; 2 (or 1 for a constant label, with `classes_`) are needed."
            )
    return np.stack(columns, axis=1)
