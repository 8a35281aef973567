"""Accumulators that count scores block by block, and passes over pools.

A cut is a score value v: everything with ``score >= v`` is predicted. All metrics here rise
with a true positive and do not rise with a false one, so the best cut is at the score of a
positive, or above all scores. Positives are few (y is sparse), their scores are kept and
sorted; all scores are only counted, block by block, in accumulators that add up (``+``)
over blocks and folds. Costs, for n rows, K labels, p positives:

=================  ======================================  ==========================
search             passes over the scores, time            state
=================  ======================================  ==========================
micro              2, O(n K)                               O(p + 2**17) (2**20 float64)
samples            2, O(n K log K)                         O(p)
macro              3, O(n K log B + e log e)               O(p + K B + e)
one for each label 2 (+2 if `min_positives`),              O(p + K)
                   O(n K log(p / K))
=================  ======================================  ==========================

B <= 4096 are the segments that candidates are divided into, e the number of scores in
those segments that can hold the optimum (few, unless all scores are tied).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from .._data.label_sets import LabelSets
from .metric import METRICS, Metric
from .score_map import ScoreMap
from .scores import DenseScores, Pool, true_weights

__all__ = [
    "Accumulator",
    "Candidates",
    "Histogram",
    "InfeasibleError",
    "LabelBins",
    "MixedTypesError",
    "PooledBins",
    "Search",
    "add_up",
    "counter",
    "keys_of",
    "suffix_sums",
    "values_of",
]

_NO_WEIGHT = np.empty(0)
# Buckets of the histogram: sign, exponent and 8 bits of the mantissa, so that a bucket is
# 0.4 % wide relative to its value.
_BITS = {4: 17, 8: 20}
# When many score maps are tried at once each gets a smaller histogram.
_BITS_MANY = 16


class InfeasibleError(ValueError):
    """No cutoff satisfies the constraint, or has a score."""


class MixedTypesError(TypeError):
    """Scores differ in their type, so that counts of them cannot be added."""


# --- keys: order-preserving integers of floats ------------------------------------------


def keys_of(scores: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of the scores."""
    scores = np.ascontiguousarray(scores)
    bits = scores.view(np.uint32 if scores.itemsize == 4 else np.uint64)
    sign = bits.dtype.type(1) << bits.dtype.type(8 * bits.itemsize - 1)
    return np.where(bits & sign, ~bits + bits.dtype.type(1), bits | sign)


def values_of(keys: np.ndarray) -> np.ndarray:
    """Scores of keys."""
    sign = keys.dtype.type(1) << keys.dtype.type(8 * keys.itemsize - 1)
    bits = np.where(keys & sign, keys ^ sign, ~keys + keys.dtype.type(1))
    return bits.view(np.float32 if keys.itemsize == 4 else np.float64)


def suffix_sums(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Sums from each place on."""
    return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis)


def counter(size: int, weighted: bool) -> np.ndarray:
    """Zeros to count in: integers, unless rows have weights."""
    return np.zeros(size, dtype=np.float64 if weighted else np.int64)


# --- accumulators -----------------------------------------------------------------------


class Accumulator:
    """What is counted of the scores of some rows; adds up over blocks and pools."""

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        raise NotImplementedError

    def facts(self) -> tuple:
        """What two accumulators must share to be added: arrays and plain values."""
        raise NotImplementedError

    def check_same(self, other: Accumulator) -> None:
        """Refuse to add counts of different things."""
        if type(self) is not type(other):
            raise TypeError(f"{type(self).__name__} and {type(other).__name__} cannot be added.")
        for ours, theirs in zip(self.facts(), other.facts(), strict=True):
            if ours is theirs:
                continue
            if isinstance(ours, np.dtype) and ours != theirs:
                raise MixedTypesError(f"Counts of {ours} and {theirs} scores cannot be added.")
            if not np.array_equal(ours, theirs):
                raise ValueError(
                    f"Two {type(self).__name__} that count different things cannot be added."
                )


class Histogram(Accumulator):
    """Counts of all scores in buckets, and the keys of the positives."""

    def __init__(self, weighted: bool, many: bool = False):
        self.weighted, self.many = weighted, many
        self.counts: np.ndarray | None = None
        self.dtype: Any = None
        self.keys: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.n_rows = 0.0

    def facts(self) -> tuple:
        return self.dtype, self.weighted, self.many

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        if self.counts is None:
            size = scores.dtype.itemsize
            n_bits = _BITS_MANY if self.many else _BITS[size]
            self.dtype, self.shift = scores.dtype, 8 * size - n_bits
            self.counts = counter(2**n_bits, self.weighted)
        if scores.dtype != self.dtype:
            raise MixedTypesError(f"Blocks of {self.dtype} and {scores.dtype} scores.")
        if scores.add_histogram(weight, self.shift, self.counts):
            raise ValueError(
                "The estimator's scores contain NaN. Check its training data and parameters."
            )
        self.keys.append(keys_of(scores.of(sets.rows, sets.indices)))
        self.labels.append(sets.indices)
        self.weights.append(_NO_WEIGHT if weight is None else true_weights(sets, weight))
        self.n_rows += scores.n_rows if weight is None else weight.sum()

    def __add__(self, other: Histogram) -> Histogram:
        """Histogram of both sets of scores."""
        # A pool without rows has counted nothing.
        if isinstance(other, Histogram) and (self.counts is None or other.counts is None):
            return other if self.counts is None else self
        self.check_same(other)
        out = Histogram(self.weighted, self.many)
        out.dtype, out.shift, out.counts = self.dtype, self.shift, self.counts + other.counts
        out.n_rows = self.n_rows + other.n_rows
        for name in ("keys", "labels", "weights"):
            setattr(out, name, getattr(self, name) + getattr(other, name))
        return out

    def positives(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keys, labels and weights of the positives."""
        keys, labels = np.concatenate(self.keys), np.concatenate(self.labels)
        weights = np.concatenate(self.weights) if self.weighted else np.ones(len(keys), np.int64)
        return keys, labels, weights

    def candidates(self) -> Candidates:
        """Distinct keys of the positives, and what is true above each."""
        keys, _, weights = self.positives()
        lowest, infinity = keys_of(np.array([-np.inf, np.inf], self.dtype))
        total = weights.sum()
        if self.weighted:
            order = np.argsort(keys, kind="stable")
            keys, weights = keys[order], weights[order]
            above = np.append(suffix_sums(weights), weights.dtype.type(0))
        else:
            keys = np.sort(keys)
            above = np.arange(len(keys), -1, -1)
        new = np.append(np.ones(min(1, len(keys)), dtype=bool), keys[1:] != keys[:-1])
        first = np.flatnonzero(new & (keys > lowest) & (keys < infinity))
        distinct = np.append(keys[first], infinity)
        first = np.append(first, np.searchsorted(keys, infinity))
        return Candidates(distinct, above[first], total)


@dataclass(frozen=True)
class Candidates:
    """Cuts worth a look, ascending; the last one is infinity."""

    keys: np.ndarray
    tp: np.ndarray
    positives: Any


class LabelBins(Accumulator):
    """Counts of the scores of each label, between the label's candidates."""

    def __init__(self, first: np.ndarray, slots: np.ndarray, weighted: bool):
        self.first, self.slots, self.weighted = first, slots, weighted
        self.counts = counter(len(slots), weighted)

    def facts(self) -> tuple:
        return self.slots.dtype, self.weighted, self.first, self.slots

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        scores.add_label_bins(weight, self.first, self.slots, self.counts)

    def __add__(self, other: LabelBins) -> LabelBins:
        """Add up the counts of both sets of scores."""
        self.check_same(other)
        out = copy.copy(self)
        out.counts = self.counts + other.counts
        return out

    def at_least(self) -> np.ndarray:
        """Count the label's scores that are not below each slot."""
        total = np.append(suffix_sums(self.counts), self.counts.dtype.type(0))
        end = np.repeat(self.first[1:], np.diff(self.first))
        return total[:-1] - total[end]


class PooledBins(LabelBins):
    """Counts of all scores between candidates, as if there were one label."""

    def __init__(self, candidates: np.ndarray, weighted: bool):
        slots = np.concatenate([np.zeros(1, candidates.dtype), candidates])
        super().__init__(np.array([0, len(slots)], dtype=np.int64), slots, weighted)

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        scores.add_pooled_bins(weight, self.first, self.slots, self.counts)


# --- passes -----------------------------------------------------------------------------


def add_up(accumulators: Sequence[list[Any]]) -> list[Any]:
    """Accumulators of each map, added up over pools in their order."""
    merged = accumulators[0]
    for other in accumulators[1:]:
        merged = [a + b for a, b in zip(merged, other, strict=True)]
    return merged


@dataclass(frozen=True)
class Search:
    """What is searched: the best cut of pooled scores.

    Parameters
    ----------
    pools : sequence of Pool
        Folds.
    maps : sequence of ScoreMap
        All are tried.
    metric : Metric, default=Jaccard()
        What is maximised.
    average : {"micro", "samples", "macro"}, default="micro"
        How counts are pooled. Rows (labels) that have no label (row) count 0, as in
        scikit-learn.
    constraint : dict, default={}
        Least ``"precision"`` and ``"recall"``: micro averages, or of each label where each
        has its own cut.
    n_jobs : int, default=None
        Threads over pools.
    promise : Promise or None, default=None
        What the cut has to keep on new rows.
    """

    pools: Sequence[Pool]
    maps: Sequence[ScoreMap] = (ScoreMap(),)
    metric: Metric = METRICS["jaccard"]
    average: str = "micro"
    constraint: Mapping[str, float] = field(default_factory=dict)
    n_jobs: int | None = None
    promise: Any = None

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return any(pool.weighted for pool in self.pools)

    @property
    def gained(self) -> bool:
        """Whether true labels count otherwise than predictions."""
        return self.pools[0].gain is not None

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.pools[0].n_labels

    def only(self, score_map: ScoreMap) -> Search:
        """Give the same search with one map."""
        return replace(self, maps=(score_map,))

    def run(
        self, make: Callable[[int], Accumulator], maps: Sequence[ScoreMap] | None = None
    ) -> list[Any]:
        """One pass over all pools; the accumulator of each map, merged over the pools."""
        maps = self.maps if maps is None else maps
        results = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(pool.accumulate)([(m, make(i)) for i, m in enumerate(maps)])
            for pool in self.pools
        )
        return add_up(results)

    def histograms(self) -> list[Histogram]:
        """First pass: counts of the scores of each map."""
        weighted, many = self.weighted, len(self.maps) > 1
        return self.run(lambda _: Histogram(weighted, many))
