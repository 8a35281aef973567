"""Exact search of the cutoff that turns scores into label sets.

A cut is a score value v: everything with ``score >= v`` is predicted. All metrics here rise
with a true positive and fall with a false one, so the best cut is at the score of a
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

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from .._data.label_sets import LabelSets
from .._kernels import cutoff as _kernels

__all__ = [
    "Cut",
    "Found",
    "InfeasibleError",
    "Pool",
    "ScoreMap",
    "add_up",
    "array_blocks",
    "best_jaccard",
    "count_ratio",
    "curve",
    "evaluate",
    "search",
    "search_labels",
    "search_quantiles",
]

_NO_WEIGHT = np.empty(0)
# Buckets of the histogram: sign, exponent and 8 bits of the mantissa, so that a bucket is
# 0.4 % wide relative to its value.
_BITS = {4: 17, 8: 20}
# When many score maps are tried at once each gets a smaller histogram.
_BITS_MANY = 16
# Bounds and values are rounded differently when rows have weights.
_SLACK = 1 - 1e-12


class InfeasibleError(ValueError):
    """No cutoff satisfies the constraint, or has a score."""


@dataclass(frozen=True)
class Pool:
    """Held-out rows of one fold.

    Parameters
    ----------
    blocks : callable
        ``blocks()`` iterates over pairs (slice of rows, scores of shape (n, n_labels)); the
        scores C-contiguous float32 or float64. It is called once for each pass.
    label_sets : LabelSets
        The truth.
    weight : ndarray of shape (n_rows,), float64, or None
        Weights of the rows.
    log_prior : ndarray of shape (n_labels,) or None
        Logarithm of the labels' frequencies in training, for ``"adjusted"``.
    """

    blocks: Callable[[], Iterator[tuple[slice, np.ndarray]]]
    label_sets: LabelSets
    weight: np.ndarray | None = None
    log_prior: np.ndarray | None = None

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.label_sets.n_labels

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return self.weight is not None

    def counts(self) -> np.ndarray:
        """Number of rows of each label."""
        return self.label_sets.counts()

    def accumulate(self, jobs: list[tuple[ScoreMap, Any]]) -> list[Any]:
        """One pass over the scores, mapped, into an accumulator for each map."""
        for rows, scores in self.blocks():
            sets = self.label_sets.take(np.arange(rows.start, rows.stop))
            weight = None if self.weight is None else self.weight[rows]
            memo: dict = {}
            for score_map, accumulator in jobs:
                accumulator.add(score_map(scores, self.log_prior, memo), sets, weight)
        return [accumulator for _, accumulator in jobs]


@dataclass(frozen=True)
class ScoreMap:
    """From an estimator's scores to those that a cutoff is compared with.

    Parameters
    ----------
    strategy : {"global", "per_label", "adjusted", "relative", "top_k"}
        ``"adjusted"``: u - prior_weight * log_prior + row_weight * (u - max u of the row),
        with u the log of a probability or the decision value. ``"relative"``: fraction of
        the row's highest score. ``"top_k"``: minus the rank in the row, from 0.
    probability : bool
        Whether the scores are probabilities.
    prior_weight, row_weight : float
        For ``"adjusted"``.
    min_labels : int
        This many labels of a row, the highest ones, are always predicted.
    max_labels : int or None
        Labels beyond the highest `max_labels` of a row are never predicted.
    """

    strategy: str = "global"
    probability: bool = False
    prior_weight: float = 0.0
    row_weight: float = 0.0
    min_labels: int = 0
    max_labels: int | None = None

    def mapped(
        self, scores: np.ndarray, log_prior: np.ndarray | None, memo: dict | None = None
    ) -> np.ndarray:
        """Scores that a cutoff is compared with, all of them finite or as they were."""
        if self.strategy == "adjusted":
            u, highest = self._log_scores(scores, {} if memo is None else memo)
            own = u.dtype.type
            out = u * own(1 + self.row_weight)
            out -= own(self.row_weight) * highest
            out -= (self.prior_weight * log_prior).astype(u.dtype)
            return out
        if self.strategy == "relative":
            highest = scores.max(axis=1, keepdims=True)
            if np.any((scores < 0) & (scores > -np.inf)):
                raise ValueError(
                    "strategy='relative' cuts at a fraction of the row's highest score, which "
                    "has no meaning for negative scores. Use response_method='predict_proba', "
                    "or strategy='adjusted' with prior_weight=0, which cuts at a difference."
                )
            return np.divide(scores, highest, out=np.zeros_like(scores), where=highest > 0)
        if self.strategy == "top_k":
            order = np.argsort(-scores, axis=1, kind="stable")
            rank = np.empty(scores.shape, dtype=np.float32)
            np.put_along_axis(
                rank, order, -np.arange(scores.shape[1], dtype=np.float32)[None, :], axis=1
            )
            return rank
        return scores

    def _log_scores(self, scores: np.ndarray, memo: dict) -> tuple[np.ndarray, np.ndarray]:
        if "u" not in memo:
            u = scores
            if self.probability:
                # A probability of 0 stays comparable: differences of -inf are not numbers.
                u = np.log(np.maximum(scores, np.finfo(scores.dtype).tiny))
            highest = u.max(axis=1, keepdims=True)
            memo["u"] = u, np.where(np.isneginf(highest), 0, highest).astype(u.dtype)
        return memo["u"]

    @property
    def limited(self) -> bool:
        """Whether the number of labels of a row is limited."""
        return self.min_labels > 0 or self.max_labels is not None

    def limits(self, mapped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels that each row always has, and labels that it may have.

        Returns
        -------
        always : ndarray of shape (n_rows, min(min_labels, n_labels)), int32
        allowed : ndarray of shape (n_rows, min(max_labels, n_labels)), int32
        """
        n_labels = mapped.shape[1]
        k_min = min(self.min_labels, n_labels)
        k_max = n_labels if self.max_labels is None else min(self.max_labels, n_labels)
        k = max(k_min, k_max if k_max < n_labels else 0)
        if k > 128:
            top = np.argsort(-mapped, axis=1, kind="stable")[:, :k].astype(np.int32)
        else:
            top = np.empty((len(mapped), k), dtype=np.int32)
            if k:
                _kernels.top_labels(np.ascontiguousarray(mapped), top)
        return top[:, :k_min], top[:, :k_max]

    def __call__(
        self, scores: np.ndarray, log_prior: np.ndarray | None = None, memo: dict | None = None
    ) -> np.ndarray:
        """Scores for the search: ``inf`` is always predicted, ``-inf`` never.

        With them the number of labels of a row needs no further thought: a cut at v
        predicts exactly what ``score >= v`` says.
        """
        mapped = self.mapped(scores, log_prior, memo)
        if not self.limited:
            return mapped
        always, allowed = self.limits(mapped)
        if self.max_labels is not None and self.max_labels < mapped.shape[1]:
            out = np.full_like(mapped, -np.inf)
            np.put_along_axis(out, allowed, np.take_along_axis(mapped, allowed, 1), axis=1)
        else:
            out = mapped.copy()
        np.put_along_axis(out, always, np.inf, axis=1)
        return out


# --- keys: order-preserving integers of floats ------------------------------------------


def _bits(scores: np.ndarray) -> np.ndarray:
    return scores.view(np.uint32 if scores.itemsize == 4 else np.uint64)


def _keys(scores: np.ndarray) -> np.ndarray:
    bits = _bits(np.ascontiguousarray(scores))
    sign = bits.dtype.type(1) << bits.dtype.type(8 * bits.itemsize - 1)
    return np.where(bits & sign, ~bits + bits.dtype.type(1), bits | sign)


def _values(keys: np.ndarray) -> np.ndarray:
    sign = keys.dtype.type(1) << keys.dtype.type(8 * keys.itemsize - 1)
    bits = np.where(keys & sign, keys ^ sign, ~keys + keys.dtype.type(1))
    return bits.view(np.float32 if keys.itemsize == 4 else np.float64)


def _suffix_sums(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis)


# --- metrics ----------------------------------------------------------------------------


def count_ratio(metric: str, tp: Any, fp: Any, positives: Any) -> Any:
    """Metric of counts; 0 where it is 0 / 0.

    Parameters
    ----------
    metric : {"jaccard", "f1", "precision", "recall"}
        Name.
    tp, fp, positives : array-like
        True positives, false positives, all positives.

    Returns
    -------
    value : ndarray of float64
    """
    if metric == "jaccard":
        above, below = tp, positives + fp
    elif metric == "f1":
        above, below = 2 * tp, positives + tp + fp
    elif metric == "precision":
        above, below = tp, tp + fp
    else:
        above, below = tp, positives + 0 * tp
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


def _feasible(constraint: dict[str, float], tp: Any, fp: Any, positives: Any) -> np.ndarray:
    ok = np.ones(np.shape(tp), dtype=bool)
    for name, least in constraint.items():
        ok &= count_ratio(name, tp, fp, positives) >= least
    return ok


# --- accumulators -----------------------------------------------------------------------


def _counter(size: int, weighted: bool) -> np.ndarray:
    return np.zeros(size, dtype=np.float64 if weighted else np.int64)


def _weight(weight: np.ndarray | None) -> np.ndarray:
    return _NO_WEIGHT if weight is None else np.require(weight, requirements="CA")


class Histogram:
    """Counts of all scores in buckets, and the keys of the positives."""

    def __init__(self, weighted: bool, many: bool = False):
        self.weighted, self.many = weighted, many
        self.counts: np.ndarray | None = None
        self.keys: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        self.n_rows = 0.0

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        if self.counts is None:
            n_bits = _BITS_MANY if self.many else _BITS[scores.itemsize]
            self.shift = 8 * scores.itemsize - n_bits
            self.counts = _counter(2**n_bits, self.weighted)
        if _kernels.add_histogram(_bits(scores), _weight(weight), self.shift, self.counts):
            raise ValueError(
                "The estimator's scores contain NaN. Check its training data and parameters."
            )
        rows = sets.rows
        self.keys.append(_keys(scores[rows, sets.indices]))
        self.labels.append(sets.indices)
        self.weights.append(_NO_WEIGHT if weight is None else weight[rows])
        self.n_rows += len(scores) if weight is None else weight.sum()

    def __add__(self, other: Histogram) -> Histogram:
        """Histogram of both sets of scores."""
        if self.counts is None or other.counts is None:
            return other if self.counts is None else self
        out = Histogram(self.weighted, self.many)
        out.shift, out.counts = self.shift, self.counts + other.counts
        out.n_rows = self.n_rows + other.n_rows
        for name in ("keys", "labels", "weights"):
            setattr(out, name, getattr(self, name) + getattr(other, name))
        return out

    def candidates(self) -> Candidates:
        """Distinct keys of the positives, and what is true above each."""
        keys = np.concatenate(self.keys)
        weights = np.concatenate(self.weights) if self.weighted else np.ones(len(keys), np.int64)
        infinity = keys.dtype.type(_keys(np.array([np.inf], _values(keys[:0]).dtype))[0])
        lowest = keys.dtype.type(_keys(np.array([-np.inf], _values(keys[:0]).dtype))[0])
        total = weights.sum()
        order = np.argsort(keys, kind="stable")
        keys, weights = keys[order], weights[order]
        distinct = np.unique(keys)
        distinct = distinct[(distinct > lowest) & (distinct < infinity)]
        distinct = np.append(distinct, infinity)
        above = np.append(_suffix_sums(weights), weights.dtype.type(0))
        return Candidates(distinct, above[np.searchsorted(keys, distinct)], total)


@dataclass(frozen=True)
class Candidates:
    """Cuts worth a look, ascending; the last one is infinity."""

    keys: np.ndarray
    tp: np.ndarray
    positives: Any


class Bins:
    """Counts of the scores of the alive buckets, between candidates."""

    def __init__(self, plan: Plan, weighted: bool):
        self.plan, self.weighted = plan, weighted
        self.counts = _counter(len(plan.slots), weighted)

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        plan = self.plan
        _kernels.add_bins(
            _bits(scores),
            _weight(weight),
            plan.shift,
            plan.alive,
            plan.first,
            plan.slots,
            self.counts,
        )

    def __add__(self, other: Bins) -> Bins:
        """Add up the counts of both sets of scores."""
        out = Bins(self.plan, self.weighted)
        out.counts = self.counts + other.counts
        return out


class LabelBins:
    """Counts of the scores of each label, between the label's candidates."""

    def __init__(self, first: np.ndarray, slots: np.ndarray, weighted: bool):
        self.first, self.slots, self.weighted = first, slots, weighted
        self.counts = _counter(len(slots), weighted)

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        _kernels.add_label_bins(
            _bits(scores), _weight(weight), self.first, self.slots, self.counts
        )

    def __add__(self, other: LabelBins) -> LabelBins:
        """Add up the counts of both sets of scores."""
        out = LabelBins(self.first, self.slots, self.weighted)
        out.counts = self.counts + other.counts
        return out

    def at_least(self) -> np.ndarray:
        """Count the label's scores that are not below each slot."""
        total = np.append(_suffix_sums(self.counts), self.counts.dtype.type(0))
        end = np.repeat(self.first[1:], np.diff(self.first))
        return total[:-1] - total[end]


class PooledBins(LabelBins):
    """Counts of all scores between candidates, as if there were one label."""

    def __init__(self, candidates: np.ndarray, weighted: bool):
        slots = np.concatenate([np.zeros(1, candidates.dtype), candidates])
        super().__init__(np.array([0, len(slots)], dtype=np.int64), slots, weighted)

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        if weight is not None:
            weight = np.repeat(weight, scores.shape[1])
        super().add(scores.reshape(-1, 1), sets, weight)


class RowGains:
    """What each candidate adds to the sum over rows of a metric of the row."""

    def __init__(self, metric: str, candidates: np.ndarray):
        self.metric, self.candidates = metric, candidates
        self.gain = np.zeros(len(candidates))
        self.count = np.zeros(len(candidates))

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Add one block, in pieces: the arrays are some ten times as large as the scores."""
        step = max(1, 250_000 // scores.shape[1])
        for start in range(0, len(scores), step):
            rows = np.arange(start, min(start + step, len(scores)))
            self._add(
                scores[rows],
                sets.take(rows),
                np.ones(len(rows)) if weight is None else weight[rows],
            )

    def _add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray) -> None:
        keys = _keys(scores)
        order = np.argsort(keys, axis=1)[:, ::-1]
        hit = np.zeros(scores.shape, dtype=bool)
        hit[sets.rows, sets.indices] = True
        hit = np.take_along_axis(hit, order, axis=1)
        keys = np.take_along_axis(keys, order, axis=1)
        tp = np.cumsum(hit, axis=1)
        fp = np.arange(1, scores.shape[1] + 1) - tp
        value = count_ratio(self.metric, tp, fp, sets.sizes[:, None])
        gain = np.diff(value, axis=1, prepend=0.0) * weight[:, None]
        # A score between two candidates is predicted from the lower one on.
        used = keys >= self.candidates[0]
        slot = np.searchsorted(self.candidates, keys[used], side="right") - 1
        self.gain += np.bincount(slot, gain[used], minlength=len(self.gain))
        weights = np.broadcast_to(weight[:, None], used.shape)[used]
        self.count += np.bincount(slot, weights, minlength=len(self.count))

    def __add__(self, other: RowGains) -> RowGains:
        """Gains of both sets of rows."""
        out = RowGains(self.metric, self.candidates)
        out.gain, out.count = self.gain + other.gain, self.count + other.count
        return out


class Events:
    """Scores that fall into given segments of keys, with their labels."""

    def __init__(self, edges: np.ndarray, alive: np.ndarray):
        self.edges, self.alive = edges, alive
        self.parts: list[tuple[np.ndarray, ...]] = []

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Collect from one block."""
        keys = _keys(scores)
        # Cheap test first: most scores are below all segments that matter.
        alive = np.flatnonzero(self.alive)
        near = np.flatnonzero((keys >= self.edges[alive[0]]) & (keys < self.edges[alive[-1] + 1]))
        near_keys = keys.reshape(-1)[near]
        segment = np.searchsorted(self.edges, near_keys, side="right") - 1
        inside = self.alive[segment]
        near, segment = near[inside], segment[inside]
        rows, labels = np.divmod(near, scores.shape[1])
        hit = np.zeros(scores.shape, dtype=bool)
        hit[sets.rows, sets.indices] = True
        true = hit[rows, labels]
        weights = np.ones(len(rows)) if weight is None else weight[rows]
        self.parts.append(
            (near_keys[inside], labels.astype(np.int32), segment.astype(np.int32), true, weights)
        )

    def __add__(self, other: Events) -> Events:
        """Events of both sets of scores."""
        out = Events(self.edges, self.alive)
        out.parts = self.parts + other.parts
        return out

    def concatenated(self) -> list[np.ndarray]:
        """All keys, labels, segments, whether true, weights."""
        return [np.concatenate(part) for part in zip(*self.parts, strict=True)]


# --- passes -----------------------------------------------------------------------------


def add_up(accumulators: list[list[Any]]) -> list[Any]:
    """Accumulators of each map, added up over pools in their order."""
    merged = accumulators[0]
    for other in accumulators[1:]:
        merged = [a + b for a, b in zip(merged, other, strict=True)]
    return merged


def _run(
    pools: list[Pool], maps: list[ScoreMap], make: Callable[[int], Any], n_jobs: int | None
) -> list[Any]:
    """One pass over all pools; the accumulator of each map, merged over the pools."""
    results = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(pool.accumulate)([(m, make(i)) for i, m in enumerate(maps)]) for pool in pools
    )
    return add_up(results)


# --- one cutoff for all: micro ----------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Which buckets are still to be looked into, and the candidates in them."""

    shift: int
    alive: np.ndarray
    first: np.ndarray
    slots: np.ndarray
    candidates: Candidates
    above: np.ndarray


def _bounds(histogram: Histogram, candidates: Candidates) -> tuple[np.ndarray, ...]:
    """Bucket of each candidate, scores above it, least and most false positives."""
    bucket = (candidates.keys >> candidates.keys.dtype.type(histogram.shift)).astype(np.int64)
    at_least = _suffix_sums(histogram.counts)
    above = (at_least - histogram.counts)[bucket]
    tp = np.append(candidates.tp, candidates.tp.dtype.type(0))
    tp_above = tp[np.searchsorted(bucket, bucket, side="right")]
    tp_within = tp[np.searchsorted(bucket, bucket, side="left")]
    return bucket, above, np.maximum(above - tp_above, 0), at_least[bucket] - tp_within


def _plan(
    histogram: Histogram, candidates: Candidates, metric: str, constraint: dict, floor: float
) -> tuple[float, Callable[[float], Plan | None]]:
    """Lower bound of the optimum, and the plan for a given lower bound."""
    bucket, above, fp_least, fp_most = _bounds(histogram, candidates)
    tp, positives = candidates.tp, candidates.positives
    upper = count_ratio(metric, tp, fp_least, positives)
    lower = count_ratio(metric, tp, fp_most, positives)
    possible = _feasible(constraint, tp, fp_least, positives)
    sure = _feasible(constraint, tp, fp_most, positives)
    floor = max(floor, lower[sure].max(initial=-np.inf))

    def build(floor: float) -> Plan | None:
        kept = possible & (upper >= floor * _SLACK)
        if not kept.any():
            return None
        chosen = Candidates(candidates.keys[kept], tp[kept], positives)
        buckets = np.unique(bucket[kept])
        alive = np.zeros(len(histogram.counts), dtype=np.uint8)
        alive[buckets] = 1
        shift = candidates.keys.dtype.type(histogram.shift)
        slots = np.union1d(buckets.astype(chosen.keys.dtype) << shift, chosen.keys)
        edges = np.arange(len(alive), dtype=np.uint64).astype(slots.dtype) << shift
        first = np.append(np.searchsorted(slots, edges), len(slots)).astype(np.int32)
        return Plan(histogram.shift, alive, first, slots, chosen, above[kept])

    return floor, build


def _solve(bins: Bins, metric: str, constraint: dict) -> tuple[float, Any]:
    """Best value and key among the candidates of a plan; (-inf, None) if none is feasible."""
    plan = bins.plan
    total = np.append(_suffix_sums(bins.counts), bins.counts.dtype.type(0))
    keys = plan.candidates.keys
    slot = np.searchsorted(plan.slots, keys)
    end = plan.first[(keys >> keys.dtype.type(plan.shift)).astype(np.int64) + 1]
    fp = plan.above + total[slot] - total[end] - plan.candidates.tp
    value = count_ratio(metric, plan.candidates.tp, fp, plan.candidates.positives)
    ok = _feasible(constraint, plan.candidates.tp, fp, plan.candidates.positives)
    if not ok.any():
        return -np.inf, None
    value[~ok] = -np.inf
    # Of equal ones the highest cut: the fewest labels.
    best = len(value) - 1 - int(np.argmax(value[::-1]))
    return float(value[best]), keys[best]


def _search_micro(
    pools: list[Pool],
    maps: list[ScoreMap],
    histograms: list[Histogram],
    metric: str,
    constraint: dict,
    n_jobs: int | None,
) -> tuple[float, int, Any]:
    weighted = histograms[0].weighted
    candidates = [h.candidates() for h in histograms]
    floor, builders = -np.inf, []
    for histogram, own in zip(histograms, candidates, strict=True):
        floor, build = _plan(histogram, own, metric, constraint, floor)
        builders.append(build)
    plans = [build(floor) for build in builders]
    alive = [i for i, plan in enumerate(plans) if plan is not None]
    if not alive:
        return -np.inf, 0, None
    bins = _run(pools, [maps[i] for i in alive], lambda i: Bins(plans[alive[i]], weighted), n_jobs)
    best = (-np.inf, 0, None)
    for i, own in zip(alive, bins, strict=True):
        value, key = _solve(own, metric, constraint)
        if key is not None and value > best[0]:
            best = (value, i, key)
    return best


# --- one cutoff for all: averages -------------------------------------------------------


def _search_samples(
    pools: list[Pool],
    maps: list[ScoreMap],
    histograms: list[Histogram],
    metric: str,
    constraint: dict,
    n_jobs: int | None,
) -> tuple[float, int, Any]:
    candidates = [h.candidates() for h in histograms]
    gains = _run(pools, maps, lambda i: RowGains(metric, candidates[i].keys), n_jobs)
    best = (-np.inf, 0, None)
    for i, (own, gain) in enumerate(zip(candidates, gains, strict=True)):
        value = _suffix_sums(gain.gain) / histograms[i].n_rows
        fp = _suffix_sums(gain.count) - own.tp
        value[~_feasible(constraint, own.tp, fp, own.positives)] = -np.inf
        # Sums of fractions: what differs by rounding only is equal.
        j = int(np.flatnonzero(value >= value.max() - 1e-13)[-1])
        if value[j] > best[0]:
            best = (float(value[j]), i, own.keys[j])
    return best


def _search_macro(
    pools: list[Pool],
    maps: list[ScoreMap],
    histograms: list[Histogram],
    metric: str,
    constraint: dict,
    n_jobs: int | None,
) -> tuple[float, int, Any]:
    best = (-np.inf, 0, None)
    for i, (score_map, histogram) in enumerate(zip(maps, histograms, strict=True)):
        value, key = _search_macro_one(pools, score_map, histogram, metric, constraint, n_jobs)
        if key is not None and value > best[0]:
            best = (value, i, key)
    return best


def _search_macro_one(
    pools: list[Pool],
    score_map: ScoreMap,
    histogram: Histogram,
    metric: str,
    constraint: dict,
    n_jobs: int | None,
) -> tuple[float, Any]:
    n_labels = pools[0].n_labels
    candidates = histogram.candidates()
    n_edges = int(min(4096, max(64, 2**21 // n_labels), len(candidates.keys)))
    picked = np.unique(np.linspace(0, len(candidates.keys) - 1, n_edges).astype(np.int64))
    edges = candidates.keys[picked]
    tp, fp, positives = _label_counts(pools, score_map, histogram, edges, n_jobs)
    value = count_ratio(metric, tp, fp, positives).mean(axis=0)
    tp_all, fp_all = tp.sum(axis=0), fp.sum(axis=0)
    total = positives.sum()
    ok = _feasible(constraint, tp_all, fp_all, total)
    value[~ok] = -np.inf
    at = len(value) - 1 - int(np.argmax(value[::-1]))
    best = (float(value[at]), edges[at] if ok[at] else None)

    # Segment b holds the candidates from edge b up to edge b + 1.
    upper = count_ratio(metric, tp[:, :-1], fp[:, 1:], positives).mean(axis=0)
    alive = upper >= best[0] - 1e-13
    alive &= _feasible(constraint, tp_all[:-1], fp_all[1:], total)
    alive &= np.diff(picked) > 1
    if not alive.any():
        return best
    events = _run(pools, [score_map], lambda _: Events(edges, alive), n_jobs)[0]
    e_keys, e_labels, e_segments, e_true, e_weights = events.concatenated()
    order = np.argsort(e_segments, kind="stable")
    bounds = np.searchsorted(e_segments[order], np.arange(len(alive) + 1))
    for b in np.flatnonzero(alive)[::-1]:
        own = order[bounds[b] : bounds[b + 1]]
        found = _macro_segment(
            e_keys[own],
            e_labels[own],
            np.where(e_true[own], e_weights[own], 0.0),
            np.where(e_true[own], 0.0, e_weights[own]),
            tp[:, b + 1].astype(float),
            fp[:, b + 1].astype(float),
            positives[:, 0],
            metric,
            constraint,
            candidates.keys[picked[b] : picked[b + 1]],
        )
        if found[1] is not None and found[0] > best[0] + 1e-13:
            best = found
    return best


def _label_counts(
    pools: list[Pool],
    score_map: ScoreMap,
    histogram: Histogram,
    cuts: np.ndarray,
    n_jobs: int | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count true and false positives (n_labels, n_cuts) and positives (n_labels, 1) at cuts."""
    n_labels = pools[0].n_labels
    slots = np.concatenate([np.zeros(1, cuts.dtype), cuts])
    shape = n_labels, len(slots)
    bins = _run(
        pools,
        [score_map],
        lambda _: LabelBins(
            np.arange(n_labels + 1, dtype=np.int64) * len(slots),
            np.tile(slots, n_labels),
            histogram.weighted,
        ),
        n_jobs,
    )[0]
    keys, labels = np.concatenate(histogram.keys), np.concatenate(histogram.labels)
    weights = np.concatenate(histogram.weights) if histogram.weighted else None
    cell = labels * np.int64(len(slots)) + np.searchsorted(cuts, keys, side="right")
    true = np.bincount(cell, weights, minlength=n_labels * len(slots)).reshape(shape)
    tp = _suffix_sums(true)
    fp = bins.at_least().reshape(shape)[:, 1:] - tp[:, 1:]
    return tp[:, 1:], fp, tp[:, :1]


def _macro_segment(
    keys: np.ndarray,
    labels: np.ndarray,
    tp: np.ndarray,
    fp: np.ndarray,
    base_tp: np.ndarray,
    base_fp: np.ndarray,
    positives: np.ndarray,
    metric: str,
    constraint: dict,
    candidates: np.ndarray,
) -> tuple[float, Any]:
    """Best cut of one segment by a walk down its scores, label by label."""
    order = np.lexsort((~keys, labels))
    own = labels[order]
    start = np.flatnonzero(np.diff(own, prepend=-1))
    length = np.diff(np.append(start, len(own)))
    running = []
    for delta, base in ((tp[order], base_tp), (fp[order], base_fp)):
        total = np.cumsum(delta)
        before = np.repeat(total[start] - delta[start], length)
        running.append(total - before + base[own])
    value = count_ratio(metric, running[0], running[1], positives[own])
    begin = count_ratio(metric, base_tp, base_fp, positives)
    gain = np.diff(value, prepend=0.0)
    gain[start] = value[start] - begin[own[start]]
    by_key = np.argsort(~keys[order], kind="stable")
    sorted_keys = keys[order][by_key]
    curve = (begin.sum() + np.cumsum(gain[by_key])) / len(positives)
    tp_all = base_tp.sum() + np.cumsum(tp[order][by_key])
    fp_all = base_fp.sum() + np.cumsum(fp[order][by_key])
    # The last score that is not below each candidate.
    last = np.searchsorted(~sorted_keys, ~candidates, side="right") - 1
    result = curve[last]
    ok = _feasible(constraint, tp_all[last], fp_all[last], positives.sum())
    if not ok.any():
        return -np.inf, None
    result[~ok] = -np.inf
    j = int(np.flatnonzero(result >= result.max() - 1e-13)[-1])
    return float(result[j]), candidates[j]


# --- the search -------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Where the optimum is.

    Parameters
    ----------
    index : int
        Number of the best score map.
    value : floating
        The cut: scores that are not below are predicted.
    score : float
        Metric there.
    histogram : Histogram
        Of the best map's scores.
    """

    index: int
    value: Any
    score: float
    histogram: Histogram = field(repr=False)


_SEARCHES = {"micro": _search_micro, "samples": _search_samples, "macro": _search_macro}


def search(
    pools: list[Pool],
    maps: list[ScoreMap],
    metric: str = "jaccard",
    average: str = "micro",
    constraint: dict[str, float] | None = None,
    n_jobs: int | None = None,
) -> Found:
    """Best cut of the pooled scores, over all cuts and all score maps; exact.

    Parameters
    ----------
    pools : list of Pool
        Folds.
    maps : list of ScoreMap
        All are tried.
    metric : {"jaccard", "f1"}
        With ``average="micro"`` also ``"precision"``.
    average : {"micro", "samples", "macro"}
        How counts are pooled. Rows (labels) that have no label (row) count 0, as in
        scikit-learn.
    constraint : dict, default=None
        Least micro ``"precision"`` and ``"recall"``.
    n_jobs : int, default=None
        Threads over pools.

    Returns
    -------
    found : Found

    Raises
    ------
    InfeasibleError
        If no cut satisfies the constraint.
    """
    constraint = constraint or {}
    weighted = any(pool.weighted for pool in pools)
    many = len(maps) > 1
    histograms = _run(pools, maps, lambda _: Histogram(weighted, many), n_jobs)
    score, index, key = _SEARCHES[average](pools, maps, histograms, metric, constraint, n_jobs)
    if key is None:
        raise InfeasibleError(_best_reachable(pools, maps, histograms, constraint, n_jobs))
    return Found(index, _values(np.atleast_1d(key))[0], score, histograms[index])


def _best_reachable(
    pools: list[Pool],
    maps: list[ScoreMap],
    histograms: list[Histogram],
    constraint: dict,
    n_jobs: int | None,
) -> str:
    wanted = " and ".join(f"min_{name}={least:g}" for name, least in constraint.items())
    start = f"No cutoff satisfies {wanted} on the held-out data."
    if "precision" in constraint:
        others = {k: v for k, v in constraint.items() if k != "precision"}
        best, _, key = _search_micro(pools, maps, histograms, "precision", others, n_jobs)
        if key is not None:
            also = "".join(f" with min_{k}={v:g}" for k, v in others.items())
            return (
                f"{start} The best reachable precision{also} is {best:.6g}; lower min_precision."
            )
    recall = max(
        float(count_ratio("recall", c.tp[0], 0, c.positives))
        for c in [h.candidates() for h in histograms]
    )
    return f"{start} The best reachable recall is {recall:.6g}; lower min_recall."


def search_labels(
    pools: list[Pool],
    score_map: ScoreMap,
    metric: str,
    average: str,
    min_positives: int = 0,
    n_jobs: int | None = None,
) -> tuple[np.ndarray, np.ndarray, Found | None]:
    """Best cut of each label, exact.

    For ``average="macro"`` each label has its own optimum. For ``"micro"`` the cuts are the
    joint optimum, by Dinkelbach's method: the ratio N / D of counts is at least c iff
    max(N - c D) >= 0, and for given c every label can be solved alone; c rises to the
    optimum in a few steps (Dinkelbach 1967). Micro F1 and micro Jaccard have the same
    optimum (theory 4.1).

    Parameters
    ----------
    pools, score_map, metric, n_jobs
        As in `search`.
    average : {"micro", "macro"}
        As in `search`.
    min_positives : int, default=0
        Labels with fewer positives (rows, unweighted) take the cut that is best as the only
        one.

    Returns
    -------
    values : ndarray of shape (n_labels,)
        Cuts.
    rare : ndarray of shape (n_labels,), bool
        Labels that took the common cut.
    common : Found or None
        The common cut; None if there are no rare labels.
    """
    weighted = any(pool.weighted for pool in pools)
    n_labels = pools[0].n_labels
    n_positives = sum(pool.counts() for pool in pools)
    rare = n_positives < min_positives
    common = search(pools, [score_map], metric, average, None, n_jobs) if rare.any() else None
    histogram = (
        common.histogram
        if common is not None
        else _run(pools, [score_map], lambda _: Histogram(weighted), n_jobs)[0]
    )
    keys, labels = np.concatenate(histogram.keys), np.concatenate(histogram.labels)
    weights = np.concatenate(histogram.weights) if weighted else np.ones(len(keys), np.int64)
    dtype = _values(keys[:0]).dtype
    limits = _keys(np.array([-np.inf, np.inf], dtype))

    # Slots of a label: 0, its distinct scores, infinity; of a rare one: 0, the common cut.
    usable = ~rare[labels] & (keys > limits[0]) & (keys < limits[1])
    every = np.arange(n_labels)
    top = np.full(n_labels, limits[1])
    if common is not None:
        top[rare] = _keys(np.array([common.value], dtype))[0]
    slot_keys = np.concatenate([keys[usable], np.zeros(n_labels, keys.dtype), top])
    slot_labels = np.concatenate([labels[usable], every, every])
    order = np.lexsort((slot_keys, slot_labels))
    slot_keys, slot_labels = slot_keys[order], slot_labels[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(slot_labels) != 0) | (slot_keys[1:] != slot_keys[:-1])
    slot_keys, slot_labels = slot_keys[new], slot_labels[new]
    first = np.searchsorted(slot_labels, np.arange(n_labels + 1)).astype(np.int64)

    bins = _run(pools, [score_map], lambda _: LabelBins(first, slot_keys, weighted), n_jobs)[0]
    # Positives are counted like all scores: by the slot that they fall into.
    rank = np.lexsort((keys, labels))
    sorted_labels, sorted_keys = labels[rank], keys[rank]
    slot = np.empty(len(keys), dtype=np.int64)
    for label in np.unique(sorted_labels):
        at = slice(*np.searchsorted(sorted_labels, [label, label + 1]))
        own = slot_keys[first[label] : first[label + 1]]
        slot[rank[at]] = first[label] + np.searchsorted(own, sorted_keys[at], side="right") - 1
    true = LabelBins(first, slot_keys, weighted)
    np.add.at(true.counts, slot, weights)
    tp = true.at_least()
    fp = bins.at_least() - tp
    positives = np.zeros(n_labels, dtype=weights.dtype)
    np.add.at(positives, labels, weights)

    # Slot 0 is not a cut.
    is_cut = np.ones(len(slot_keys), dtype=bool)
    is_cut[first[:-1]] = False
    tp, fp, cuts, owner = tp[is_cut], fp[is_cut], slot_keys[is_cut], slot_labels[is_cut]
    start = np.searchsorted(owner, every)
    if average == "macro":
        chosen = _last_argmax(count_ratio(metric, tp, fp, positives[owner]), start)
    else:
        chosen = _dinkelbach(tp, fp, positives.sum(), start)
    return _values(cuts[chosen]), rare, common


def _last_argmax(value: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Position of the last maximum of each segment."""
    highest = np.maximum.reduceat(value, start)
    length = np.diff(np.append(start, len(value)))
    at_top = np.flatnonzero(value == np.repeat(highest, length))
    return at_top[np.searchsorted(at_top, np.append(start[1:], len(value))) - 1]


def _dinkelbach(tp: np.ndarray, fp: np.ndarray, positives: Any, start: np.ndarray) -> np.ndarray:
    """Cut of each label such that sum(tp) / (positives + sum(fp)) is highest."""
    above, below = tp.dtype.type(0), max(positives, tp.dtype.type(1))
    chosen = _last_argmax(np.zeros(len(tp)), start)
    while True:
        # In integers without weights, so that the comparison of ratios is exact.
        new = _last_argmax(tp * below - above * fp, start)
        new_above, new_below = tp[new].sum(), positives + fp[new].sum()
        if not new_above * below > above * new_below:
            return chosen
        above, below, chosen = new_above, new_below, new


# --- evaluation -------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """A cutoff as users get it: ``score > threshold`` is predicted.

    Parameters
    ----------
    threshold : ndarray of shape () or (n_labels,)
        Midpoint between the lowest predicted score and its lower neighbour, in the scores'
        own type.
    score : float
        Metric on the pooled rows.
    stderr : float
        Standard error of the score, by the delta method (theory 5.6).
    counts : dict of str to ndarray of shape (n_labels,)
        ``tp``, ``fp``, ``positives``.
    nothing, everything, constant : bool
        Whether the cut is above all scores, below all, and whether all scores are equal.
    """

    threshold: np.ndarray
    score: float
    stderr: float
    counts: dict[str, np.ndarray] = field(repr=False)
    nothing: bool = False
    everything: bool = False
    constant: bool = False


class _Sides:
    """Both sides of a cut, and the moments of each row's counts."""

    def __init__(self, value: np.ndarray, metric: str, average: str):
        self.value, self.metric, self.average = value, metric, average
        shape = value.shape
        self.lowest = np.full(shape, np.inf, value.dtype)
        self.below = np.full(shape, -np.inf, value.dtype)
        self.highest = np.full(shape, -np.inf, value.dtype)
        self.tp, self.fp, self.positives = np.zeros((3, *shape))
        self.moments = np.zeros(6)

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Add one block."""
        predicted = np.empty(len(scores), dtype=np.int64)
        _kernels.add_cut(scores, self.value, self.lowest, self.below, self.highest, predicted)
        rows, labels = sets.rows, sets.indices
        w = np.ones(len(scores)) if weight is None else weight
        hit = scores[rows, labels] >= self.value[labels]
        size = len(self.value)
        self.positives += np.bincount(labels, w[rows], minlength=size)
        true = np.bincount(labels[hit], w[rows][hit], minlength=size)
        self.tp += true
        if self.average == "macro":
            self.fp += w @ (scores >= self.value) - true
        row_tp = np.bincount(rows[hit], minlength=len(scores)).astype(float)
        above, below = _row_terms(self.metric, row_tp, predicted - row_tp, sets.sizes)
        if self.average == "samples":
            above = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
            below = np.ones_like(above)
        self.moments += [
            w @ above,
            w @ below,
            np.sum((w * above) ** 2),
            np.sum(w * w * above * below),
            np.sum((w * below) ** 2),
            w @ (predicted - row_tp),
        ]

    def __add__(self, other: _Sides) -> _Sides:
        """Sides of both sets of scores."""
        out = _Sides(self.value, self.metric, self.average)
        out.lowest = np.minimum(self.lowest, other.lowest)
        out.below = np.maximum(self.below, other.below)
        out.highest = np.maximum(self.highest, other.highest)
        for name in ("tp", "fp", "positives", "moments"):
            setattr(out, name, getattr(self, name) + getattr(other, name))
        return out


def _row_terms(
    metric: str, tp: np.ndarray, fp: np.ndarray, positives: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if metric == "jaccard":
        return tp, positives + fp
    return 2 * tp, positives + tp + fp


class _MacroError:
    """Sum of the squared influences of the rows on a macro average (delta method)."""

    def __init__(self, value: np.ndarray, metric: str, sides: _Sides):
        self.value, self.metric, self.sides = value, metric, sides
        double = 2.0 if metric == "f1" else 1.0
        _, below = _row_terms(metric, sides.tp, sides.fp, sides.positives)
        safe = np.where(below > 0, below, 1.0)
        ratio = double * sides.tp / safe
        # A row adds `hit` for a true positive, and takes `miss` for each unit of the
        # denominator: predicted labels, and true ones that are not predicted (Jaccard) or
        # all true ones (F1).
        self.hit, self.miss = np.where(below > 0, [double / safe, ratio / safe], 0.0)
        self.total = 0.0

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Add one block."""
        rows, labels = sets.rows, sets.indices
        hit = scores[rows, labels] >= self.value[labels]
        influence = -((scores >= self.value) @ self.miss)
        missed = self.miss[labels] * (1.0 if self.metric == "f1" else ~hit)
        influence += np.bincount(rows, self.hit[labels] * hit - missed, minlength=len(scores))
        w = 1.0 if weight is None else weight
        self.total += float(np.sum((w * influence) ** 2))

    def __add__(self, other: _MacroError) -> _MacroError:
        """Sum over both sets of rows."""
        out = _MacroError(self.value, self.metric, self.sides)
        out.total = self.total + other.total
        return out


def _between(below: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Threshold t with below <= t < value, in their own type; the midpoint if there is one."""
    with np.errstate(invalid="ignore", over="ignore"):
        middle = below / 2 + value / 2
        exact = (below.astype(np.float64) + value) / 2 if below.itemsize == 4 else middle
        middle = exact.astype(below.dtype)
        # Rounding may lead to `value` itself, halving a denormal below `below`.
        middle = np.where((middle >= value) | (middle < below), below, middle)
        lower_edge = np.nextafter(value, value.dtype.type(-np.inf))
    out = np.where(np.isneginf(below), lower_edge, middle)
    out = np.where(np.isposinf(value), below, out)
    # No finite score at all: every threshold does the same.
    return np.where(np.isinf(out) & np.isinf(below), np.zeros_like(out), out)


def evaluate(
    pools: list[Pool],
    score_map: ScoreMap,
    value: Any,
    metric: str,
    average: str,
    n_jobs: int | None = None,
) -> Cut:
    """Threshold, score and its standard error of a given cut.

    Parameters
    ----------
    pools, score_map, metric, average, n_jobs
        As in `search`.
    value : floating or ndarray of shape (n_labels,)
        The cut, of the scores' type.

    Returns
    -------
    cut : Cut
    """
    common = np.ndim(value) == 0
    values = np.ascontiguousarray(np.broadcast_to(np.asarray(value), (pools[0].n_labels,)))
    sides = _run(pools, [score_map], lambda _: _Sides(values, metric, average), n_jobs)[0]
    a, b, aa, ab, bb, fp = sides.moments
    if average == "macro":
        score = float(count_ratio(metric, sides.tp, sides.fp, sides.positives).mean())
        error = _run(pools, [score_map], lambda _: _MacroError(values, metric, sides), n_jobs)[0]
        stderr = float(np.sqrt(error.total)) / len(values)
    else:
        score = float(a / b) if b > 0 else 0.0
        stderr = (
            float(np.sqrt(max(aa - 2 * score * ab + score**2 * bb, 0.0)) / b) if b > 0 else 0.0
        )
    below, lowest, highest = sides.below, sides.lowest, sides.highest
    if common:
        below, lowest, highest = below.max(), lowest.min(), highest.max()
        threshold = _between(np.atleast_1d(below), values[:1])[0]
    else:
        threshold = _between(below, values)
    nothing = bool(np.all(values > highest))
    everything = bool(np.all(np.isneginf(below)))
    return Cut(
        threshold=threshold,
        score=score,
        stderr=stderr,
        counts={"tp": sides.tp.sum(), "fp": fp, "positives": sides.positives},
        nothing=nothing,
        everything=everything and not nothing,
        constant=bool(np.all(lowest >= highest)),
    )


def curve(
    pools: list[Pool],
    score_map: ScoreMap,
    metric: str,
    average: str,
    n_points: int | None = None,
    n_jobs: int | None = None,
) -> dict[str, np.ndarray]:
    """Metric at the cuts just below the scores of positives, where its local maxima are.

    Parameters
    ----------
    pools, score_map, metric, average, n_jobs
        As in `search`.
    n_points : int, default=None
        At most this many cuts, evenly spread over the distinct scores of the positives,
        the first and the last included. All of them if None.

    Returns
    -------
    curve : dict of str to ndarray of shape (n,)
        ``thresholds``, ascending: the largest floats below the scores; ``scores``; and the
        micro averages ``precision`` and ``recall``.
    """
    weighted = any(pool.weighted for pool in pools)
    histogram = _run(pools, [score_map], lambda _: Histogram(weighted), n_jobs)[0]
    every = histogram.candidates()
    chosen = np.arange(len(every.keys) - 1)
    if n_points is not None and len(chosen) > n_points:
        chosen = np.linspace(0, len(chosen) - 1, n_points).astype(np.int64)
    keys = every.keys[chosen]
    thresholds = _values(keys - keys.dtype.type(1)).astype(np.float64)
    if not len(keys):
        none = np.empty(0)
        return {"thresholds": none, "scores": none, "precision": none, "recall": none}
    n_labels = pools[0].n_labels
    bins = _run(pools, [score_map], lambda _: PooledBins(keys, weighted), n_jobs)[0]
    counts = every.tp[chosen], bins.at_least()[1:] - every.tp[chosen], every.positives
    if average == "micro":
        scores = count_ratio(metric, *counts)
    elif average == "samples":
        gains = _run(pools, [score_map], lambda _: RowGains(metric, keys), n_jobs)[0]
        scores = _suffix_sums(gains.gain) / histogram.n_rows
    else:
        step = max(1, 2**22 // n_labels)
        scores = np.concatenate(
            [
                count_ratio(
                    metric,
                    *_label_counts(pools, score_map, histogram, keys[i : i + step], n_jobs),
                ).mean(axis=0)
                for i in range(0, len(keys), step)
            ]
        )
    return {
        "thresholds": thresholds,
        "scores": scores,
        "precision": count_ratio("precision", *counts),
        "recall": count_ratio("recall", *counts),
    }


class Pairs:
    """All (row, label) pairs that are not below a cut, with their scores."""

    def __init__(self, value: Any):
        self.value = value
        self.n_rows = 0
        self.parts: list[tuple[np.ndarray, ...]] = []

    def add(self, scores: np.ndarray, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Collect from one block."""
        rows, labels = np.nonzero(scores >= self.value)
        self.parts.append((rows + self.n_rows, labels, scores[rows, labels]))
        self.n_rows += len(scores)

    def __add__(self, other: Pairs) -> Pairs:
        """Pairs of both sets of rows, one below the other."""
        out = Pairs(self.value)
        out.n_rows = self.n_rows + other.n_rows
        moved = [(rows + self.n_rows, *rest) for rows, *rest in other.parts]
        out.parts = self.parts + moved
        return out


def search_quantiles(
    pools: list[Pool],
    maps: list[ScoreMap],
    score_pairs: Callable[[np.ndarray, np.ndarray], float],
    n_quantiles: int,
    constraint: dict[str, float] | None = None,
    n_jobs: int | None = None,
) -> tuple[Found, np.ndarray, np.ndarray]:
    """Best cut among quantiles of the positives' scores, for any metric; not exact.

    Keeps the pairs that the lowest of the cuts predicts.

    Parameters
    ----------
    pools, maps, constraint, n_jobs
        As in `search`.
    score_pairs : callable
        ``score_pairs(rows, labels)`` is the metric of these predicted pairs; rows are
        counted over all pools.
    n_quantiles : int
        Number of cuts; the empty prediction is tried too.

    Returns
    -------
    found : Found
    values, scores : ndarray of shape (n,)
        The cuts that were tried with the best map, and their metrics.
    """
    weighted = any(pool.weighted for pool in pools)
    undefined = False
    histograms = _run(pools, maps, lambda _: Histogram(weighted, len(maps) > 1), n_jobs)
    best: tuple[Found, np.ndarray, np.ndarray] | None = None
    for i, (score_map, histogram) in enumerate(zip(maps, histograms, strict=True)):
        own = histogram.candidates()
        share = (np.arange(n_quantiles) + 0.5) / n_quantiles
        positive = np.sort(np.concatenate(histogram.keys))
        positive = positive[np.isin(positive, own.keys[:-1])]
        picked = positive[(share * len(positive)).astype(np.int64)] if len(positive) else []
        keys = np.unique(np.append(np.asarray(picked, own.keys.dtype), own.keys[-1]))
        values = _values(keys)
        pairs = _run(pools, [score_map], lambda _, low=values[0]: Pairs(low), n_jobs)[0]
        rows, labels, scores = (np.concatenate(p) for p in zip(*pairs.parts, strict=True))
        result = np.full(len(values), -np.inf)
        tp = own.tp[np.searchsorted(own.keys, keys)]
        for j, value in enumerate(values):
            kept = scores >= value
            fp = np.count_nonzero(kept) if not weighted else None
            if fp is None:
                row_weight = np.concatenate([_row_weights(pool) for pool in pools])
                fp = row_weight[rows[kept]].sum()
            if _feasible(constraint or {}, tp[j], fp - tp[j], own.positives):
                result[j] = score_pairs(rows[kept], labels[kept])
        # A cutoff with NaN is none of the best.
        j = len(result) - 1 - int(np.argmax(np.nan_to_num(result[::-1], nan=-np.inf)))
        undefined |= bool(np.any(np.isnan(result)))
        if np.isfinite(result[j]) and (best is None or result[j] > best[0].score):
            best = Found(i, values[j], float(result[j]), histogram), values, result
    if best is None and undefined:
        raise InfeasibleError(
            "scoring gives no number but NaN for the held-out rows. Choose another scoring, or a "
            "cv whose held-out rows it is defined for."
        )
    if best is None:
        raise InfeasibleError(_best_reachable(pools, maps, histograms, constraint or {}, n_jobs))
    return best


def _row_weights(pool: Pool) -> np.ndarray:
    return np.ones(pool.label_sets.n_rows) if pool.weight is None else pool.weight


def best_jaccard(label_sets: LabelSets, scores: np.ndarray) -> tuple[float, float]:
    """Exact best micro Jaccard index of an array of scores, for early stopping.

    Parameters
    ----------
    label_sets : LabelSets
        The truth.
    scores : ndarray of shape (n_rows, n_labels)
        Any real scores.

    Returns
    -------
    threshold : float
        ``scores > threshold`` is the best prediction by one cutoff.
    score : float
        Its micro Jaccard index.
    """
    pool = Pool(array_blocks(scores), label_sets)
    found = search([pool], [ScoreMap()])
    cut = evaluate([pool], ScoreMap(), found.value, "jaccard", "micro")
    return float(cut.threshold), found.score


def array_blocks(
    scores: np.ndarray, step: int | None = None
) -> Callable[[], Iterator[tuple[slice, np.ndarray]]]:
    """Blocks of an array of scores, for `Pool`."""
    scores = np.asarray(scores)
    if scores.dtype != np.float32:
        scores = scores.astype(np.float64, copy=False)
    # Kernels take numbers to lie at multiples of their size.
    scores = np.require(scores, requirements="CA")
    # Blocks of about 1 MB stay in the cache while several counters look at them.
    size = step or max(1, 2**20 // max(1, scores.shape[1] * scores.itemsize))

    def blocks() -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, len(scores), size):
            rows = slice(start, min(start + size, len(scores)))
            yield rows, scores[rows]

    return blocks
