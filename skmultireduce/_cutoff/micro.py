"""The best cut for a micro average, in two passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .counters import (
    Accumulator,
    Candidates,
    Histogram,
    Search,
    counter,
    suffix_sums,
)
from .metric import feasible
from .scores import DenseScores

__all__ = ["search_micro"]

# Bounds and values are rounded differently when rows have weights.
_SLACK = 1 - 1e-12


@dataclass(frozen=True)
class Plan:
    """Which buckets are still to be looked into, and the candidates in them."""

    shift: int
    alive: np.ndarray
    first: np.ndarray
    slots: np.ndarray
    candidates: Candidates
    above: np.ndarray


class Bins(Accumulator):
    """Counts of the scores of the alive buckets, between candidates."""

    def __init__(self, plan: Plan, weighted: bool):
        self.plan, self.weighted = plan, weighted
        self.counts = counter(len(plan.slots), weighted)

    def facts(self) -> tuple:
        return self.plan.slots.dtype, self.weighted, self.plan.shift, self.plan.slots

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Count one block."""
        plan = self.plan
        scores.add_bins(weight, plan.shift, plan.alive, plan.first, plan.slots, self.counts)

    def __add__(self, other: Bins) -> Bins:
        """Add up the counts of both sets of scores."""
        self.check_same(other)
        out = Bins(self.plan, self.weighted)
        out.counts = self.counts + other.counts
        return out


def _bounds(histogram: Histogram, candidates: Candidates, gained: bool) -> tuple[np.ndarray, ...]:
    """Bucket of each candidate, scores above it, least and most false positives."""
    bucket = (candidates.keys >> candidates.keys.dtype.type(histogram.shift)).astype(np.int64)
    at_least = suffix_sums(histogram.counts)
    above = (at_least - histogram.counts)[bucket]
    if gained:
        # A true label may take away from what is counted as wrong.
        return bucket, above, above - candidates.tp, at_least[bucket] - candidates.tp
    tp = np.append(candidates.tp, candidates.tp.dtype.type(0))
    # Buckets ascend: candidates of the same one are neighbours.
    new = np.append(True, bucket[1:] != bucket[:-1])
    start, number = np.append(np.flatnonzero(new), len(bucket)), np.cumsum(new)
    tp_above = tp[start[number]]
    tp_within = tp[start[number - 1]]
    return bucket, above, np.maximum(above - tp_above, 0), at_least[bucket] - tp_within


def _plan(
    search: Search, histogram: Histogram, floor: float
) -> tuple[float, Callable[[float], Plan | None]]:
    """Lower bound of the optimum, and the plan for a given lower bound."""
    candidates = histogram.candidates()
    bucket, above, fp_least, fp_most = _bounds(histogram, candidates, search.gained)
    tp, positives = candidates.tp, candidates.positives
    upper = search.metric.ratio(tp, fp_least, positives)
    lower = search.metric.ratio(tp, fp_most, positives)
    possible = feasible(search.constraint, tp, fp_least, positives)
    if search.gained:
        # A bound may have nothing below the line.
        empty = np.asarray(search.metric.terms(tp, fp_least, positives)[1]) <= 0
        upper[empty] = np.inf
        possible = np.ones(len(tp), dtype=bool)
    sure = feasible(search.constraint, tp, fp_most, positives)
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
        first = np.zeros(len(alive) + 1, dtype=np.int32)
        np.cumsum(np.bincount((slots >> shift).astype(np.int64), minlength=len(alive)),
                  out=first[1:])  # fmt: skip
        return Plan(histogram.shift, alive, first, slots, chosen, above[kept])

    return floor, build


def _solve(search: Search, bins: Bins) -> tuple[float, Any]:
    """Best value and key among the candidates of a plan; (-inf, None) if none is feasible."""
    plan = bins.plan
    total = np.append(suffix_sums(bins.counts), bins.counts.dtype.type(0))
    keys = plan.candidates.keys
    slot = np.searchsorted(plan.slots, keys)
    end = plan.first[(keys >> keys.dtype.type(plan.shift)).astype(np.int64) + 1]
    fp = plan.above + total[slot] - total[end] - plan.candidates.tp
    counts = plan.candidates.tp, fp, plan.candidates.positives
    value = search.metric.ratio(*counts)
    ok = feasible(search.constraint, *counts)
    if not ok.any():
        return -np.inf, None
    value[~ok] = -np.inf
    # Of equal ones the highest cut: the fewest labels.
    best = len(value) - 1 - int(np.argmax(value[::-1]))
    return float(value[best]), keys[best]


def search_micro(search: Search, histograms: Sequence[Histogram]) -> tuple[float, int, Any]:
    """Best value, index of its map, and key; (-inf, 0, None) if no cut is feasible."""
    floor, builders = -np.inf, []
    for histogram in histograms:
        floor, build = _plan(search, histogram, floor)
        builders.append(build)
    plans = [build(floor) for build in builders]
    alive = [i for i, plan in enumerate(plans) if plan is not None]
    if not alive:
        return -np.inf, 0, None
    weighted = search.weighted
    bins = search.run(lambda i: Bins(plans[alive[i]], weighted), [search.maps[i] for i in alive])
    best = (-np.inf, 0, None)
    for i, own in zip(alive, bins, strict=True):
        value, key = _solve(search, own)
        if key is not None and value > best[0]:
            best = (value, i, key)
    return best
