"""The best cut of each label."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .certify import Windows
from .counters import (
    Histogram,
    InfeasibleError,
    LabelBins,
    Search,
    keys_of,
    values_of,
)
from .metric import feasible
from .search import Found, find

__all__ = ["LabelCuts", "find_for_labels"]


class LabelCuts(NamedTuple):
    """A cut for each label.

    Parameters
    ----------
    values : ndarray of shape (n_labels,)
        Cuts.
    rare : ndarray of shape (n_labels,), bool
        Labels that took the common cut.
    common : Found or None
        The common cut; None if there are no rare labels, or it does not exist.
    silent : ndarray of shape (n_labels,), bool
        Labels that no cut brings within the constraint; their cut is infinity.
    """

    values: np.ndarray
    rare: np.ndarray
    common: Found | None
    silent: np.ndarray


def find_for_labels(
    search: Search, min_positives: int = 0, windows: Windows | None = None
) -> LabelCuts:
    """Best cut of each label, exact.

    For ``average="macro"`` each label has its own optimum. For ``"micro"`` the cuts are the
    joint optimum, by Dinkelbach's method: the ratio N / D of counts is at least c iff
    max(N - c D) >= 0, and for given c every label can be solved alone; c rises to the
    optimum in a few steps (Dinkelbach 1967). Micro F1 and micro Jaccard have the same
    optimum (theory 4.1).

    Each label must reach the constraint alone. With a least precision it may also have no
    predictions; a label that cannot reach the constraint has none.

    Parameters
    ----------
    search : Search
        With one map, and a micro or macro average.
    min_positives : int, default=0
        Labels with fewer positives (rows, unweighted) take the cut that is best as the only
        one.
    windows : Windows or None
        The cuts of each label that keep a promise, in place of the constraint; no label takes
        a common cut then.

    Returns
    -------
    cuts : LabelCuts
    """
    n_labels = search.n_labels
    if windows is not None:
        min_positives = 0
    rare = sum(pool.counts() for pool in search.pools) < min_positives
    histogram, common = _common_cut(search, rare)
    keys, labels, weights = histogram.positives()
    limits = keys_of(np.array([-np.inf, np.inf], histogram.dtype))

    # Slots of a label: 0, its distinct scores, infinity; of a rare one: 0, the common cut.
    usable = ~rare[labels] & (keys > limits[0]) & (keys < limits[1])
    every = np.arange(n_labels)
    top = np.full(n_labels, limits[1])
    if common is not None:
        top[rare] = keys_of(np.array([common.value], histogram.dtype))[0]
    slot_keys = np.concatenate([keys[usable], np.zeros(n_labels, keys.dtype), top])
    slot_labels = np.concatenate([labels[usable], every, every])
    order = np.lexsort((slot_keys, slot_labels))
    slot_keys, slot_labels = slot_keys[order], slot_labels[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(slot_labels) != 0) | (slot_keys[1:] != slot_keys[:-1])
    slot_keys, slot_labels = slot_keys[new], slot_labels[new]
    first = np.searchsorted(slot_labels, np.arange(n_labels + 1)).astype(np.int64)

    bins = search.run(lambda _: LabelBins(first, slot_keys, histogram.weighted))[0]
    # Positives are counted like all scores: by the slot that they fall into.
    slot = _slots_of(keys, labels, slot_keys, slot_labels)
    true = LabelBins(first, slot_keys, histogram.weighted)
    np.add.at(true.counts, slot, weights)
    tp = true.at_least()
    fp = bins.at_least() - tp
    positives = np.zeros(n_labels, dtype=weights.dtype)
    np.add.at(positives, labels, weights)

    # Slot 0 is not a cut.
    is_cut = np.ones(len(slot_keys), dtype=bool)
    is_cut[first[:-1]] = False
    tp, fp, cuts, owner = tp[is_cut], fp[is_cut], slot_keys[is_cut], slot_labels[is_cut]
    silent = np.zeros(n_labels, dtype=bool)
    if search.constraint or windows is not None:
        if windows is None:
            ok = feasible(search.constraint, tp, fp, positives[owner])
            never_none = "recall" in search.constraint
        else:
            ok = (cuts > windows.low[owner]) & (cuts <= windows.high[owner])
            never_none = windows.never_none
        kept, silent = _within(ok, owner, n_labels, never_none)
        tp[silent[owner]] = fp[silent[owner]] = 0
        tp, fp, cuts, owner = tp[kept], fp[kept], cuts[kept], owner[kept]
    start = np.searchsorted(owner, every)
    if search.average == "macro":
        chosen = _last_argmax(search.metric.ratio(tp, fp, positives[owner]), start)
    else:
        chosen = _dinkelbach(tp, fp, positives.sum(), search.metric.pooled, start)
    values = values_of(cuts[chosen])
    values[silent] = np.inf
    return LabelCuts(values, rare, common, silent)


def _common_cut(search: Search, rare: np.ndarray) -> tuple[Histogram, Found | None]:
    if rare.any():
        try:
            common = find(search)
        except InfeasibleError:
            pass
        else:
            return common.histogram, common
    return search.histograms()[0], None


def _slots_of(
    keys: np.ndarray, labels: np.ndarray, slot_keys: np.ndarray, slot_labels: np.ndarray
) -> np.ndarray:
    """Find the last slot of the same label that is not above, for each key."""
    n_slots = len(slot_keys)
    is_key = np.repeat([0, 1], [n_slots, len(keys)])
    order = np.lexsort(
        (is_key, np.concatenate([slot_keys, keys]), np.concatenate([slot_labels, labels]))
    )
    last = np.cumsum(order < n_slots) - 1
    slot = np.empty(len(order), dtype=np.int64)
    slot[order] = last
    return slot[n_slots:]


def _within(
    ok: np.ndarray, owner: np.ndarray, n_labels: int, never_none: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts that are allowed, and labels that have none."""
    start = np.searchsorted(owner, np.arange(n_labels))
    silent = ~np.logical_or.reduceat(ok, start)
    last = np.append(start[1:], len(owner)) - 1
    # The highest cut predicts nothing, which is not imprecise.
    ok[last] |= silent | (not never_none)
    return ok, silent


def _last_argmax(value: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Position of the last maximum of each segment."""
    highest = np.maximum.reduceat(value, start)
    length = np.diff(np.append(start, len(value)))
    at_top = np.flatnonzero(value == np.repeat(highest, length))
    return at_top[np.searchsorted(at_top, np.append(start[1:], len(value))) - 1]


def _dinkelbach(
    tp: np.ndarray,
    fp: np.ndarray,
    positives: Any,
    pooled: tuple[float, float],
    start: np.ndarray,
) -> np.ndarray:
    """Cut of each label such that sum(tp) / (a * positives + b * sum(fp)) is highest."""
    constant, slope = pooled[0] * positives, pooled[1]
    above, below = tp.dtype.type(0), max(constant, tp.dtype.type(1))
    chosen = _last_argmax(np.zeros(len(tp)), start)
    while True:
        # In integers without weights, so that the comparison of ratios is exact.
        new = _last_argmax(tp * below - above * slope * fp, start)
        new_above, new_below = tp[new].sum(), constant + slope * fp[new].sum()
        if not new_above * below > above * new_below:
            return chosen
        above, below, chosen = new_above, new_below, new
