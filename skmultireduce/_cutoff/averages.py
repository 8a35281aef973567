"""The best cut for averages over rows or labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .counters import Accumulator, Histogram, LabelBins, Search, keys_of, suffix_sums
from .metric import Metric, feasible
from .score_map import ScoreMap
from .scores import DenseScores

__all__ = ["RowGains", "label_counts", "search_macro", "search_samples"]

# Sums of fractions: what differs by rounding only is equal.
_ROUNDING = 1e-13


class RowGains(Accumulator):
    """What each candidate adds to the sum over rows of a metric of the row."""

    def __init__(self, metric: Metric, candidates: np.ndarray):
        self.metric, self.candidates = metric, candidates
        self.gain = np.zeros(len(candidates))
        self.count = np.zeros(len(candidates))

    def facts(self) -> tuple:
        return self.candidates.dtype, self.metric, self.candidates

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Add one block, in pieces: the arrays are some ten times as large as the scores."""
        step = max(1, 250_000 // scores.values.shape[1])
        for start in range(0, scores.n_rows, step):
            stop = min(start + step, scores.n_rows)
            self._add(
                scores.part(start, stop),
                sets.part(start, stop),
                np.ones(stop - start) if weight is None else weight[start:stop],
            )

    def _add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray) -> None:
        keys = keys_of(scores.values)
        order = np.argsort(keys, axis=1)[:, ::-1]
        hit = np.take_along_axis(scores.hits(sets), order, axis=1)
        keys = np.take_along_axis(keys, order, axis=1)
        tp = np.cumsum(hit, axis=1)
        fp = np.arange(1, keys.shape[1] + 1) - tp
        value = self.metric.ratio(tp, fp, sets.sizes[:, None])
        gain = np.diff(value, axis=1, prepend=0.0) * weight[:, None]
        # A score between two candidates is predicted from the lower one on.
        used = keys >= self.candidates[0]
        slot = np.searchsorted(self.candidates, keys[used], side="right") - 1
        self.gain += np.bincount(slot, gain[used], minlength=len(self.gain))
        weights = np.broadcast_to(weight[:, None], used.shape)[used]
        self.count += np.bincount(slot, weights, minlength=len(self.count))

    def __add__(self, other: RowGains) -> RowGains:
        """Gains of both sets of rows."""
        self.check_same(other)
        out = RowGains(self.metric, self.candidates)
        out.gain, out.count = self.gain + other.gain, self.count + other.count
        return out


def search_samples(search: Search, histograms: Sequence[Histogram]) -> tuple[float, int, Any]:
    """Best mean over rows, index of its map, and key."""
    candidates = [h.candidates() for h in histograms]
    gains = search.run(lambda i: RowGains(search.metric, candidates[i].keys))
    best = (-np.inf, 0, None)
    for i, (own, gain) in enumerate(zip(candidates, gains, strict=True)):
        value = suffix_sums(gain.gain) / histograms[i].n_rows
        fp = suffix_sums(gain.count) - own.tp
        value[~feasible(search.constraint, own.tp, fp, own.positives)] = -np.inf
        j = int(np.flatnonzero(value >= value.max() - _ROUNDING)[-1])
        if value[j] > best[0]:
            best = (float(value[j]), i, own.keys[j])
    return best


class Events(Accumulator):
    """Scores that fall into given segments of keys, with their labels."""

    def __init__(self, edges: np.ndarray, alive: np.ndarray):
        self.edges, self.alive = edges, alive
        self.parts: list[tuple[np.ndarray, ...]] = []

    def facts(self) -> tuple:
        return self.edges.dtype, self.edges, self.alive

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Collect from one block."""
        keys = keys_of(scores.values)
        # Cheap test first: most scores are below all segments that matter.
        alive = np.flatnonzero(self.alive)
        near = np.flatnonzero((keys >= self.edges[alive[0]]) & (keys < self.edges[alive[-1] + 1]))
        near_keys = keys.reshape(-1)[near]
        segment = np.searchsorted(self.edges, near_keys, side="right") - 1
        inside = self.alive[segment]
        near, segment = near[inside], segment[inside]
        rows, labels = scores.pairs(near)
        true = scores.hits(sets).reshape(-1)[near]
        weights = np.ones(len(rows)) if weight is None else weight[rows]
        self.parts.append(
            (near_keys[inside], labels.astype(np.int32), segment.astype(np.int32), true, weights)
        )

    def __add__(self, other: Events) -> Events:
        """Events of both sets of scores."""
        self.check_same(other)
        out = Events(self.edges, self.alive)
        out.parts = self.parts + other.parts
        return out

    def concatenated(self) -> list[np.ndarray]:
        """All keys, labels, segments, whether true, weights."""
        return [np.concatenate(part) for part in zip(*self.parts, strict=True)]


def search_macro(search: Search, histograms: Sequence[Histogram]) -> tuple[float, int, Any]:
    """Best mean over labels, index of its map, and key; key None if no cut is feasible."""
    best = (-np.inf, 0, None)
    for i, (score_map, histogram) in enumerate(zip(search.maps, histograms, strict=True)):
        value, key = _search_macro_one(search, score_map, histogram)
        if key is not None and value > best[0]:
            best = (value, i, key)
    return best


def _search_macro_one(
    search: Search, score_map: ScoreMap, histogram: Histogram
) -> tuple[float, Any]:
    metric, constraint = search.metric, search.constraint
    candidates = histogram.candidates()
    n_edges = int(min(4096, max(64, 2**21 // search.n_labels), len(candidates.keys)))
    picked = np.unique(np.linspace(0, len(candidates.keys) - 1, n_edges).astype(np.int64))
    edges = candidates.keys[picked]
    tp, fp, positives = label_counts(search, score_map, histogram, edges)
    value = metric.ratio(tp, fp, positives).mean(axis=0)
    tp_all, fp_all = tp.sum(axis=0), fp.sum(axis=0)
    total = positives.sum()
    ok = feasible(constraint, tp_all, fp_all, total)
    value[~ok] = -np.inf
    at = len(value) - 1 - int(np.argmax(value[::-1]))
    best = (float(value[at]), edges[at] if ok[at] else None)

    # Segment b holds the candidates from edge b up to edge b + 1.
    upper = metric.ratio(tp[:, :-1], fp[:, 1:], positives).mean(axis=0)
    alive = upper >= best[0] - _ROUNDING
    alive &= feasible(constraint, tp_all[:-1], fp_all[1:], total)
    alive &= np.diff(picked) > 1
    if not alive.any():
        return best
    events = search.run(lambda _: Events(edges, alive), [score_map])[0]
    e_keys, e_labels, e_segments, e_true, e_weights = events.concatenated()
    order = np.argsort(e_segments, kind="stable")
    bounds = np.searchsorted(e_segments[order], np.arange(len(alive) + 1))
    for b in np.flatnonzero(alive)[::-1]:
        own = order[bounds[b] : bounds[b + 1]]
        found = _macro_segment(
            search,
            (
                e_keys[own],
                e_labels[own],
                np.where(e_true[own], e_weights[own], 0.0),
                np.where(e_true[own], 0.0, e_weights[own]),
            ),
            (tp[:, b + 1].astype(float), fp[:, b + 1].astype(float), positives[:, 0]),
            candidates.keys[picked[b] : picked[b + 1]],
        )
        if found[1] is not None and found[0] > best[0] + _ROUNDING:
            best = found
    return best


def label_counts(
    search: Search, score_map: ScoreMap, histogram: Histogram, cuts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count true and false positives (n_labels, n_cuts) and positives (n_labels, 1) at cuts."""
    n_labels = search.n_labels
    slots = np.concatenate([np.zeros(1, cuts.dtype), cuts])
    shape = n_labels, len(slots)
    bins = search.run(
        lambda _: LabelBins(
            np.arange(n_labels + 1, dtype=np.int64) * len(slots),
            np.tile(slots, n_labels),
            histogram.weighted,
        ),
        [score_map],
    )[0]
    keys, labels, weights = histogram.positives()
    cell = labels * np.int64(len(slots)) + np.searchsorted(cuts, keys, side="right")
    given = weights if histogram.weighted else None
    true = np.bincount(cell, given, minlength=n_labels * len(slots)).reshape(shape)
    tp = suffix_sums(true)
    fp = bins.at_least().reshape(shape)[:, 1:] - tp[:, 1:]
    return tp[:, 1:], fp, tp[:, :1]


def _macro_segment(
    search: Search,
    events: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    base: tuple[np.ndarray, np.ndarray, np.ndarray],
    candidates: np.ndarray,
) -> tuple[float, Any]:
    """Best cut of one segment by a walk down its scores, label by label.

    Events are keys, labels, true and false positives; the base are true positives, false
    positives and positives of each label above the segment.
    """
    keys, labels, tp, fp = events
    base_tp, base_fp, positives = base
    metric = search.metric
    order = np.lexsort((~keys, labels))
    own = labels[order]
    start = np.flatnonzero(np.diff(own, prepend=-1))
    length = np.diff(np.append(start, len(own)))
    running = []
    for delta, above in ((tp[order], base_tp), (fp[order], base_fp)):
        total = np.cumsum(delta)
        before = np.repeat(total[start] - delta[start], length)
        running.append(total - before + above[own])
    value = metric.ratio(running[0], running[1], positives[own])
    begin = metric.ratio(base_tp, base_fp, positives)
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
    ok = feasible(search.constraint, tp_all[last], fp_all[last], positives.sum())
    if not ok.any():
        return -np.inf, None
    result[~ok] = -np.inf
    j = int(np.flatnonzero(result >= result.max() - _ROUNDING)[-1])
    return float(result[j]), candidates[j]
