"""Cutoffs as users get them, their score, and curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .averages import RowGains, label_counts
from .counters import Accumulator, Histogram, PooledBins, Search, suffix_sums, values_of
from .metric import METRICS, Metric
from .score_map import ScoreMap
from .scores import DenseScores, Pool, array_blocks, true_weights
from .search import find

__all__ = ["Cut", "best_jaccard", "curve", "evaluate", "metric_at"]


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
    lowest : floating
        The lowest score.
    """

    threshold: np.ndarray
    score: float
    stderr: float
    counts: dict[str, np.ndarray] = field(repr=False)
    nothing: bool = False
    everything: bool = False
    constant: bool = False
    lowest: Any = -np.inf


class _Sides(Accumulator):
    """Both sides of a cut, and the moments of each row's counts.

    `value` has the cut of each label; with `common` all of them are the same, and the sides
    are those of all scores together.
    """

    def __init__(self, value: np.ndarray, metric: Metric, average: str, common: bool):
        self.value, self.metric, self.average, self.common = value, metric, average, common
        shape = value.shape
        self.sides = np.full((3, 1 if common else len(value)), -np.inf, value.dtype)
        self.sides[0] = np.inf
        self.tp, self.fp, self.positives = np.zeros((3, *shape))
        self.moments = np.zeros(6)

    def facts(self) -> tuple:
        return self.value.dtype, self.metric, self.average, self.common, self.value

    @property
    def lowest(self) -> np.ndarray:
        """Lowest score."""
        return self.sides[0]

    @property
    def below(self) -> np.ndarray:
        """Highest score below the cut."""
        return self.sides[1]

    @property
    def highest(self) -> np.ndarray:
        """Highest score."""
        return self.sides[2]

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Add one block."""
        if self.common:
            sides = self.sides.reshape(-1)
            predicted = scores.add_common_cut(self.value[:1], sides)
        else:
            predicted = scores.add_cut(self.value, *self.sides)
        rows, labels = sets.rows, sets.indices
        w = np.ones(scores.n_rows) if weight is None else weight
        hit = scores.of(rows, labels) >= self.value[labels]
        size, true_weight = len(self.value), true_weights(sets, w)
        self.positives += np.bincount(labels, true_weight, minlength=size)
        true = np.bincount(labels[hit], true_weight[hit], minlength=size)
        self.tp += true
        if self.average == "macro":
            chosen = scores.values >= scores.per_label(self.value)
            self.fp += scores.count_labels(chosen, w) - true
        gain = true_weights(sets, np.ones(scores.n_rows))
        row_tp = np.bincount(rows[hit], gain[hit], minlength=scores.n_rows)
        positives = np.bincount(rows, gain, minlength=scores.n_rows)
        above, below = self.metric.terms(row_tp, predicted - row_tp, positives)
        if self.average == "samples":
            above = np.divide(above, below, out=np.zeros(len(w)), where=below > 0)
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
        self.check_same(other)
        out = _Sides(self.value, self.metric, self.average, self.common)
        np.minimum(self.lowest, other.lowest, out=out.sides[0])
        np.maximum(self.sides[1:], other.sides[1:], out=out.sides[1:])
        for name in ("tp", "fp", "positives", "moments"):
            setattr(out, name, getattr(self, name) + getattr(other, name))
        return out


class _MacroError(Accumulator):
    """Sum of the squared influences of the rows on a macro average (delta method)."""

    def __init__(self, value: np.ndarray, sides: _Sides):
        self.value, self.sides = value, sides
        by_hit, *self.slopes = sides.metric.slopes()
        above, below = sides.metric.terms(sides.tp, sides.fp, sides.positives)
        safe = np.where(below > 0, below, 1.0)
        # A row adds `hit` for a true positive, and takes `miss` for each unit of the
        # denominator.
        self.hit, self.miss = np.where(below > 0, [by_hit / safe, above / safe / safe], 0.0)
        self.total = 0.0

    def facts(self) -> tuple:
        return self.value.dtype, self.sides.metric, self.value

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Add one block."""
        rows, labels = sets.rows, sets.indices
        by_predicted, by_positive, by_hit = self.slopes
        hit = scores.of(rows, labels) >= self.value[labels]
        chosen = scores.values >= scores.per_label(self.value)
        influence = -scores.sum_labels(chosen, by_predicted * self.miss)
        missed = self.miss[labels] * (by_positive + by_hit * hit)
        influence += np.bincount(rows, self.hit[labels] * hit - missed, minlength=scores.n_rows)
        w = 1.0 if weight is None else weight
        self.total += float(np.sum((w * influence) ** 2))

    def __add__(self, other: _MacroError) -> _MacroError:
        """Sum over both sets of rows."""
        self.check_same(other)
        out = _MacroError(self.value, self.sides)
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


def evaluate(search: Search, value: Any) -> Cut:
    """Threshold, score and its standard error of a given cut.

    Parameters
    ----------
    search : Search
        With one map.
    value : floating or ndarray of shape (n_labels,)
        The cut, of the scores' type.

    Returns
    -------
    cut : Cut
    """
    metric, average = search.metric, search.average
    common = np.ndim(value) == 0
    values = np.ascontiguousarray(np.broadcast_to(np.asarray(value), (search.n_labels,)))
    sides = search.run(lambda _: _Sides(values, metric, average, common))[0]
    a, b, aa, ab, bb, fp = sides.moments
    if average == "macro":
        score = float(metric.ratio(sides.tp, sides.fp, sides.positives).mean())
        error = search.run(lambda _: _MacroError(values, sides))[0]
        stderr = float(np.sqrt(error.total)) / len(values)
    else:
        score = float(a / b) if b > 0 else 0.0
        stderr = (
            float(np.sqrt(max(aa - 2 * score * ab + score**2 * bb, 0.0)) / b) if b > 0 else 0.0
        )
    threshold = _between(sides.below, values[: len(sides.below)])
    nothing = bool(np.all(values[: len(sides.below)] > sides.highest))
    everything = bool(np.all(np.isneginf(sides.below)))
    return Cut(
        threshold=threshold[0] if common else threshold,
        score=score,
        stderr=stderr,
        counts={"tp": sides.tp.sum(), "fp": fp, "positives": sides.positives},
        nothing=nothing,
        everything=everything and not nothing,
        constant=bool(np.all(sides.lowest >= sides.highest)),
        lowest=sides.lowest.min(),
    )


def curve(search: Search, n_points: int | None = None) -> dict[str, np.ndarray]:
    """Metric at the cuts just below the scores of positives, where its local maxima are.

    Parameters
    ----------
    search : Search
        With one map.
    n_points : int, default=None
        At most this many cuts, evenly spread over the distinct scores of the positives,
        the first and the last included. All of them if None.

    Returns
    -------
    curve : dict of str to ndarray of shape (n,)
        ``thresholds``, ascending: the largest floats below the scores; ``scores``; and the
        micro averages ``precision`` and ``recall``.
    """
    histogram: Histogram = search.histograms()[0]
    every = histogram.candidates()
    chosen = np.arange(len(every.keys) - 1)
    if n_points is not None and len(chosen) > n_points:
        chosen = np.linspace(0, len(chosen) - 1, n_points).astype(np.int64)
    keys = every.keys[chosen]
    thresholds = values_of(keys - keys.dtype.type(1)).astype(np.float64)
    if not len(keys):
        none = np.empty(0)
        return {"thresholds": none, "scores": none, "precision": none, "recall": none}
    tp = every.tp[chosen]
    scores, fp = metric_at(search, histogram, keys, tp, every.positives)
    counts = tp, fp, every.positives
    return {
        "thresholds": thresholds,
        "scores": scores,
        "precision": METRICS["precision"].ratio(*counts),
        "recall": METRICS["recall"].ratio(*counts),
    }


def metric_at(
    search: Search, histogram: Histogram, keys: np.ndarray, tp: np.ndarray, positives: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Metric, and number of false positives, at cuts with ascending keys.

    Parameters
    ----------
    search : Search
        With one map.
    histogram : Histogram
        Of its scores.
    keys, tp : ndarray of shape (n,)
        Finite cuts, and the true positives there.
    positives : number
        All positives.

    Returns
    -------
    scores, fp : ndarray of shape (n,)
    """
    bins = search.run(lambda _: PooledBins(keys, histogram.weighted))[0]
    fp = bins.at_least()[1:] - tp
    if search.average == "micro":
        return search.metric.ratio(tp, fp, positives), fp
    if search.average == "samples":
        gains = search.run(lambda _: RowGains(search.metric, keys))[0]
        return suffix_sums(gains.gain) / histogram.n_rows, fp
    step = max(1, 2**22 // search.n_labels)
    parts = [
        search.metric.ratio(
            *label_counts(search, search.maps[0], histogram, keys[i : i + step])
        ).mean(axis=0)
        for i in range(0, len(keys), step)
    ]
    return np.concatenate(parts), fp


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
    search = Search([Pool(array_blocks(scores), label_sets)], (ScoreMap(),))
    found = find(search)
    return float(evaluate(search, found.value).threshold), found.score
