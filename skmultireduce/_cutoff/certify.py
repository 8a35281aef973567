"""What can be promised of a cutoff, from the scores of held-out rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._data.label_sets import LabelSets
from .counters import (
    Accumulator,
    Histogram,
    InfeasibleError,
    MixedTypesError,
    Search,
    keys_of,
    suffix_sums,
    values_of,
)
from .evaluation import evaluate, metric_at
from .metric import feasible
from .promises import (
    certified,
    conformal,
    label_precision_windows,
    label_recall_tops,
    order_of,
    pick_start,
    precision_path,
    recall_path,
    rows_needed,
)
from .scores import DenseScores
from .search import Found

__all__ = ["Promise", "Windows", "find_promised", "label_windows"]

# Share of the rows that choose where the tests of a precision begin, for one cutoff and for
# one of each label.
_SEEN, _SEEN_LABELS = 0.1, 0.2
# Sums of fractions: what differs by rounding only is equal.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class Promise:
    """What is promised of new rows.

    Parameters
    ----------
    metric : {"precision", "recall"}
    least : float
        What is promised of it.
    confidence : float or None
        With this probability over the held-out rows; None: on average over them.
    kind : {"micro", "samples", "label"}
        Of all labels together, the mean over rows, or each label.
    most_predicted : int
        Labels that a row can be predicted at most.
    most_true : int
        Labels that a row can have at most.
    """

    metric: str
    least: float
    confidence: float | None
    kind: str
    most_predicted: int
    most_true: int

    @property
    def alpha(self) -> float:
        """Share that may be wrong or missed."""
        return 1 - self.least

    @property
    def delta(self) -> float:
        """Risk that the promise is broken."""
        return 1 - self.confidence

    @property
    def by_row(self) -> bool:
        """Whether it is about the mean over rows."""
        return self.kind == "samples"

    @property
    def bound(self) -> float:
        """Largest loss of a row."""
        most = self.most_predicted if self.metric == "precision" else self.most_true
        return self.least * (1 if self.by_row else most)

    def text(self) -> str:
        """Give the statement."""
        what = {
            "micro": f"the micro-averaged {self.metric} of new rows",
            "samples": f"the mean {self.metric} of new rows",
            "label": f"on new rows the {self.metric} of all labels but unreachable_labels_",
        }[self.kind]
        if self.confidence is None:
            return (
                f"{what} is at least {self.least:g}, in expectation over the held-out rows "
                "(theory 5.9)"
            )
        number = "5.11" if self.kind == "label" else "5.10"
        return (
            f"with probability {self.confidence:g} over the held-out rows {what} is at least "
            f"{self.least:g} (theory {number})"
        )


class Windows(NamedTuple):
    """Keys of the cuts of each label that are certified: above low, up to high.

    With `never_none` a label with such cuts is predicted, whatever the metric.
    """

    low: np.ndarray
    high: np.ndarray
    never_none: bool


class _Drawn(Accumulator):
    """Rows, labels and keys of true labels, and of the other pairs from a floor on.

    Parameters
    ----------
    floor : floating, ndarray of shape (n_labels,), or None
        None: true labels alone.
    """

    def __init__(self, floor: Any = None):
        self.floor = floor
        self.n_rows = 0
        self.dtype: Any = None
        # Whether each row has a score for each label, so that a low cut predicts all.
        self.complete = True
        self.sizes: list[np.ndarray] = []
        self.parts: list[tuple[np.ndarray, ...]] = []

    def facts(self) -> tuple:
        return self.dtype, self.floor

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Collect from one block."""
        if self.dtype is not None and scores.dtype != self.dtype:
            raise MixedTypesError(f"Blocks of {self.dtype} and {scores.dtype} scores.")
        self.dtype = scores.dtype
        rows, labels = sets.rows, sets.indices
        self.parts.append(
            (
                rows + self.n_rows,
                labels,
                keys_of(scores.of(rows, labels)),
                np.ones(len(rows), bool),
            )
        )
        if self.floor is None:
            self.complete &= scores.values.shape[1] == scores.n_labels and bool(
                np.all(scores.values > -np.inf)
            )
        else:
            chosen = (scores.values >= scores.per_label(self.floor)) & ~scores.hits(sets)
            rows, labels = scores.pairs(chosen)
            keys = keys_of(scores.values[chosen])
            self.parts.append((rows + self.n_rows, labels, keys, np.zeros(len(rows), bool)))
        self.sizes.append(sets.sizes)
        self.n_rows += scores.n_rows

    def __add__(self, other: _Drawn) -> _Drawn:
        """Collect both sets of rows, one below the other."""
        if isinstance(other, _Drawn) and (not self.n_rows or not other.n_rows):
            return other if not self.n_rows else self
        self.check_same(other)
        out = _Drawn(self.floor)
        out.dtype, out.n_rows = self.dtype, self.n_rows + other.n_rows
        out.complete = self.complete and other.complete
        out.sizes = self.sizes + other.sizes
        out.parts = self.parts + [(rows + self.n_rows, *rest) for rows, *rest in other.parts]
        return out

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows, labels and keys of the pairs, and whether they are true."""
        rows, labels, keys, hit = (np.concatenate(p) for p in zip(*self.parts, strict=True))
        if self.floor is None:
            return rows, labels, keys, hit
        floor = keys_of(np.atleast_1d(np.asarray(self.floor, self.dtype)))
        kept = keys >= (floor[0] if np.ndim(self.floor) == 0 else floor[labels])
        return rows[kept], labels[kept], keys[kept], hit[kept]


def find_promised(search: Search, promise: Promise) -> Found:
    """Best of the cuts that keep a promise.

    Parameters
    ----------
    search : Search
        With one map, and without weights.
    promise : Promise

    Returns
    -------
    found : Found

    Raises
    ------
    InfeasibleError
        If no cut can be shown to keep it.
    """
    histogram = search.histograms()[0]
    candidates = histogram.candidates()
    if promise.metric == "precision":
        low, high = _precision_window(search, promise, histogram)
    else:
        low, high = candidates.keys.dtype.type(0), _highest_cut(search, promise)
    # Not the last one, which predicts nothing.
    kept = np.flatnonzero((candidates.keys[:-1] > low) & (candidates.keys[:-1] <= high))
    if not len(kept):
        # A recall that no cut at a true label has: everything is predicted.
        value = values_of(np.atleast_1d(high))[0]
        return Found(0, value, evaluate(search, value).score, histogram)
    keys, tp = candidates.keys[kept], candidates.tp[kept]
    scores, _ = metric_at(search, histogram, keys, tp, candidates.positives)
    best = int(np.flatnonzero(scores >= scores.max() - _ROUNDING)[-1])
    return Found(0, values_of(keys[best : best + 1])[0], float(scores[best]), histogram)


def _highest_cut(search: Search, promise: Promise) -> Any:
    """Key of the highest cut whose recall is promised; of the lowest if all is predicted."""
    drawn = search.run(lambda _: _Drawn())[0]
    rows, _, keys, _ = drawn.pairs()
    n_rows = drawn.n_rows
    path = recall_path(keys, rows, np.concatenate(drawn.sizes), promise.alpha, promise.by_row)
    if promise.confidence is None:
        n_events = conformal(path, promise.bound)
        due = -path.start.mean()
        needed = promise.bound / due if due > 0 else np.inf
    else:
        in_order = path.taken(order_of(n_rows))
        n_events = certified(in_order, _n_watched(n_rows), promise.delta, promise.bound)
        needed = rows_needed(path, promise.delta, promise.bound)
        path = in_order
    never, always = keys_of(np.array([-np.inf, np.inf], drawn.dtype))
    if n_events >= 0:
        found = path.keys[n_events] if n_events < len(path.keys) else always
        # True labels without a score are missed at any cut.
        if found > never:
            return found
    if promise.confidence is None and drawn.complete:
        # That a cutoff below all scores predicts everything is part of the statement.
        return keys_of(np.array([search.maps[0].lowest(search.n_labels, drawn.dtype)]))[0]
    raise InfeasibleError(_no_cut(promise, n_rows, needed))


def _precision_window(search: Search, promise: Promise, histogram: Histogram) -> tuple[Any, Any]:
    """Keys of the cuts whose precision is certified: above the first, up to the second."""
    candidates = histogram.candidates()
    top, last = candidates.keys[-1], values_of(candidates.keys[:1])[0]
    n_rows, needed = int(histogram.n_rows), np.inf
    for floor in _floors(promise, histogram):
        drawn = search.run(lambda _, floor=floor: _Drawn(floor))[0]
        rows, _, keys, hit = drawn.pairs()
        n_rows, order = drawn.n_rows, order_of(drawn.n_rows)
        path = precision_path(keys, rows, hit, n_rows, promise.alpha, promise.by_row)
        needed = rows_needed(path, promise.delta, promise.bound)
        in_order, high = path.taken(order), top
        n_seen, begin = _n_watched(n_rows), 0
        if not promise.by_row:
            n_seen = max(1, round(_SEEN * n_rows))
            seen = path.taken(order[:n_seen])
            n_true = np.concatenate(drawn.sizes)[order[:n_seen]].sum()
            n_hits = np.count_nonzero(seen.after < seen.before)
            # True labels below the last floor have no score.
            n_more = int(n_true - n_hits) if floor > last else 0
            begin = pick_start(seen, promise.alpha, n_more)
            if begin < 0:
                continue
            if begin == 0:
                break
            high = seen.keys[begin - 1]
            begin = int(np.count_nonzero(in_order.keys >= high))
        in_order = in_order.starting_at(begin)
        end = certified(in_order, n_seen, promise.delta, promise.bound)
        if end < 0:
            break
        if end == len(in_order.keys) and floor > last:
            continue
        low = in_order.keys[end] if end < len(in_order.keys) else candidates.keys.dtype.type(0)
        if np.any((candidates.keys[:-1] > low) & (candidates.keys[:-1] <= high)):
            return low, high
        break
    raise InfeasibleError(_no_cut(promise, n_rows, needed))


def _floors(promise: Promise, histogram: Histogram) -> list[Any]:
    """From where on pairs are looked at: first few of them, then as many as can matter."""
    candidates = histogram.candidates()
    if len(candidates.keys) < 2:
        return []
    last = values_of(candidates.keys[:1])
    keys, tp = candidates.keys[:-1], candidates.tp[:-1]
    # A bucket's scores are all taken to be wrong: this is where to begin, no more.
    bucket = (keys >> keys.dtype.type(histogram.shift)).astype(np.int64)
    fp = suffix_sums(histogram.counts)[bucket] - tp
    # Of rows the mean may be much better than of labels.
    low = promise.least / (4 if promise.by_row else 2)
    near = feasible({"precision": low}, tp, fp, candidates.positives)
    return [*values_of(keys[near][:1]), last[0]]


def _n_watched(n_rows: int) -> int:
    """Rows that only tell how much losses scatter."""
    return -(-n_rows // 32)


def label_windows(search: Search, promise: Promise, min_positives: int) -> Windows:
    """Cuts of each label that keep a promise.

    Parameters
    ----------
    search : Search
        With one map, and without weights.
    promise : Promise
    min_positives : int
        Labels with fewer positives are given up.

    Returns
    -------
    windows : Windows

    Raises
    ------
    InfeasibleError
        If no label has a cut that can be shown to keep it.
    """
    n_labels = search.n_labels
    counts = sum(pool.counts() for pool in search.pools)
    if promise.metric == "recall":
        drawn = search.run(lambda _: _Drawn())[0]
        _, labels, keys, _ = drawn.pairs()
        known, high = label_recall_tops(keys, labels, promise.alpha, promise.delta, n_labels)
        known &= high > keys_of(np.array([-np.inf], drawn.dtype))[0]
        # At the best, no row of the label is missed.
        needed = np.log(promise.delta / n_labels) / np.log(promise.least)
        needed *= drawn.n_rows / max(counts.max(), 1)
        low = np.where(known, 0, np.iinfo(keys.dtype).max).astype(keys.dtype)
    else:
        lowest = search.run(lambda _: _Drawn())[0]
        _, labels, keys, _ = lowest.pairs()
        floor = np.full(n_labels, keys_of(np.array([np.inf], lowest.dtype))[0])
        np.minimum.at(floor, labels, keys)
        # What has no score is no candidate.
        floor = np.maximum(floor, keys_of(np.array([np.finfo(lowest.dtype).min], lowest.dtype)))
        drawn = search.run(lambda _: _Drawn(values_of(floor)))[0]
        rows, labels, keys, hit = drawn.pairs()
        n_seen = max(1, round(_SEEN_LABELS * drawn.n_rows))
        seen = np.zeros(drawn.n_rows, dtype=bool)
        seen[order_of(drawn.n_rows)[:n_seen]] = True
        share = (drawn.n_rows - n_seen) / n_seen
        low, high = label_precision_windows(
            keys, labels, hit, seen[rows], share, promise.alpha, promise.delta, n_labels
        )
        # At the best, each prediction of the label is right.
        needed = np.log(promise.delta / n_labels) / np.log(promise.least)
        needed *= drawn.n_rows / max(counts.max(), 1) / (1 - _SEEN_LABELS)
    low[counts < min_positives] = np.iinfo(low.dtype).max
    if not np.any(low < high):
        raise InfeasibleError(_no_cut(promise, drawn.n_rows, needed))
    return Windows(low, high, promise.metric == "recall")


def _no_cut(promise: Promise, n_rows: int, needed: float) -> str:
    name = f"min_{promise.metric}={promise.least:g}"
    certainty = (
        "guarantee='expectation'"
        if promise.confidence is None
        else f"confidence={promise.confidence:g}"
    )
    start = f"No cutoff can be promised to keep {name} with {certainty} from {n_rows} rows."
    if not np.isfinite(needed):
        return f"{start} None keeps it on these rows; lower min_{promise.metric}."
    other = "lower confidence or" if promise.confidence is not None else "or lower"
    limits = {
        "precision": ", or max_labels, which bounds what a row can do",
        "recall": "; max_labels, n_candidates and labels without training rows may forbid it",
    }[promise.metric]
    return (
        f"{start} At the best it takes about {max(needed, n_rows + 1):.0f} rows. Pass more, "
        f"{other} min_{promise.metric}{limits}."
    )
