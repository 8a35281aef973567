"""How sure a score is: exact intervals for fixed predictions, bootstrap for what was tuned.

Theory 5.12. A fixed prediction of one label is a binomial matter, that of whole rows one of
bounded losses, by betting. A curve over cutoffs and the score at the best of them are
bootstrapped by random weights of the rows, whose terms are kept at a few cuts.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
from scipy.special import betaincinv, log_ndtr, ndtri

from .._data.label_sets import LabelSets
from .averages import label_counts
from .counters import Accumulator, Histogram, Search, keys_of, suffix_sums, values_of
from .metric import Metric
from .promises import LARGEST_BET, N_BLOCKS, order_of
from .scores import DenseScores, true_weights

__all__ = [
    "betting_interval",
    "binomial_interval",
    "check_confidence",
    "curve_margin",
    "score_interval",
]

# Rows share a random weight beyond so many.
_N_GROUPS = 1024
_N_DRAWS = 499
# Cuts at which the curve is drawn anew: for its whole, and around its maximum.
_N_CUTS, _N_NEAR = 256, 64
# For a macro average each cut is a pass over the scores.
_N_MACRO = 24
_N_VALUES = 400


def check_confidence(confidence: float | None) -> None:
    """Refuse what is no probability."""
    if confidence is not None and not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} should be between 0 and 1, for example .95.")


def binomial_interval(
    hits: np.ndarray, trials: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of a probability (Clopper and Pearson); from 0 to 1 without trials."""
    tail = (1 - confidence) / 2
    misses = trials - hits
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail), 1.0)
    return low, high


def betting_interval(
    above: np.ndarray, below: np.ndarray, bound: float, confidence: float
) -> tuple[float, float]:
    """Interval of the ratio E above / E below, exact for any number of independent rows.

    Parameters
    ----------
    above, below : ndarray of shape (n_rows,)
        Terms of each row, 0 <= above <= below.
    bound : float
        Largest possible `below`.
    confidence : float

    Returns
    -------
    low, high : float
        In [0, 1], rounded outwards.
    """
    order = order_of(len(above))
    values = np.arange(_N_VALUES + 1) / _N_VALUES
    loss = above[order, None] - values * below[order, None]
    tail = (1 - confidence) / 2
    # Too high: E loss >= 0 is refuted; and the reverse.
    high = _refuted(loss, (1 - values) * bound, tail)[::-1]
    low = _refuted(-loss, values * bound, tail)
    n_high = len(high) if high.all() else int(np.argmin(high))
    n_low = len(low) if low.all() else int(np.argmin(low))
    return (
        float(values[n_low - 1]) if n_low else 0.0,
        float(values[::-1][n_high - 1]) if n_high else 1.0,
    )


def _refuted(loss: np.ndarray, bound: np.ndarray, tail: float) -> np.ndarray:
    """Whether E loss >= 0 is refuted, for each column of losses up to a bound."""
    n_rows, n_columns = loss.shape
    largest = LARGEST_BET / np.maximum(bound, 1e-12)
    log_wealth, best, squares = np.zeros((3, n_columns))
    edges = np.linspace(0, n_rows, min(N_BLOCKS, n_rows) + 1).astype(np.int64)
    for first, last in itertools.pairwise(edges):
        if first > 0:
            variance = np.maximum(squares / first, 1e-9) * (n_rows - first)
            chance = np.clip(np.exp(log_wealth) * tail, 1e-300, 0.999)
            slope = np.exp(-0.5 * ndtri(chance) ** 2 - log_ndtr(ndtri(chance)))
            bet = np.minimum(slope / np.sqrt(2 * np.pi * variance), largest)
            bet[log_wealth >= np.log(1 / tail)] = 0.0
            log_wealth = log_wealth + np.log1p(-bet * loss[first:last]).sum(axis=0)
            best = np.maximum(best, log_wealth)
        squares = squares + np.sum(loss[first:last] ** 2, axis=0)
    return best >= np.log(1 / tail)


# --- bootstrap ----------------------------------------------------------------------------


class _RowTerms(Accumulator):
    """Terms of a metric at some cuts, summed over rows that share a random weight."""

    def __init__(self, metric: Metric, by_row: bool, cuts: np.ndarray):
        self.metric, self.by_row, self.cuts = metric, by_row, cuts
        self.n_rows = 0
        self.above, self.below = np.zeros((2, _N_GROUPS, len(cuts)))

    def facts(self) -> tuple:
        return self.metric, self.by_row, self.cuts.dtype, self.cuts

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Add one block."""
        near = np.flatnonzero(scores.values >= self.cuts[0])
        rows, _ = scores.pairs(near)
        size = self._count(rows, scores.values.reshape(-1)[near], scores.n_rows)
        own = scores.of(sets.rows, sets.indices)
        high = own >= self.cuts[0]
        gain = true_weights(sets, np.ones(scores.n_rows))
        tp = self._count(sets.rows[high], own[high], scores.n_rows, gain[high])
        positives = np.bincount(sets.rows, gain, minlength=scores.n_rows)
        above, below = self.metric.terms(tp, size - tp, positives[:, None])
        if self.by_row:
            above = np.divide(above, below, out=np.zeros(tp.shape), where=below > 0)
            below = np.ones_like(above)
        w = np.ones((scores.n_rows, 1)) if weight is None else weight[:, None]
        group = (self.n_rows + np.arange(scores.n_rows)) % _N_GROUPS
        np.add.at(self.above, group, w * above)
        np.add.at(self.below, group, w * below)
        self.n_rows += scores.n_rows

    def _count(
        self, rows: np.ndarray, values: np.ndarray, n_rows: int, weight: np.ndarray | None = None
    ) -> np.ndarray:
        """Values of each row that are not below each cut."""
        n_cuts = len(self.cuts)
        slot = np.searchsorted(self.cuts, values, side="right") - 1
        counts = np.bincount(rows * n_cuts + slot, weight, minlength=n_rows * n_cuts)
        return suffix_sums(counts.reshape(n_rows, n_cuts))

    def __add__(self, other: _RowTerms) -> _RowTerms:
        """Terms of both sets of rows, those of the other after ours."""
        self.check_same(other)
        out = copy.copy(self)
        out.n_rows = self.n_rows + other.n_rows
        for name in ("above", "below"):
            moved = np.roll(getattr(other, name), self.n_rows % _N_GROUPS, axis=0)
            setattr(out, name, getattr(self, name) + moved)
        return out

    def draw(self, weights: np.ndarray) -> np.ndarray:
        """Metric at each cut, for each draw of weights (n_draws, n_groups)."""
        n_groups = weights.shape[1]
        above, below = weights @ self.above[:n_groups], weights @ self.below[:n_groups]
        return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


class _MacroTerms(_RowTerms):
    """First-order influence of rows on a macro average, at some cuts."""

    def __init__(self, search: Search, histogram: Histogram, cuts: np.ndarray):
        super().__init__(search.metric, False, cuts)
        tp, fp, positives = label_counts(
            search, search.maps[0], histogram, keys_of(np.asarray(cuts, histogram.dtype))
        )
        self.score = self.metric.ratio(tp, fp, positives).mean(axis=0)
        above, below = self.metric.terms(tp, fp, positives + 0 * tp)
        safe = np.where(below > 0, below, 1.0)
        by_hit, *self.slopes = self.metric.slopes()
        # What a true positive adds, and what a unit of the denominator takes.
        self.hit, self.miss = np.where(below > 0, [by_hit / safe, above / safe**2], 0.0) / len(tp)

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        by_predicted, by_positive, by_hit = self.slopes
        rows, labels = sets.rows, sets.indices
        own = scores.of(rows, labels)
        group = (self.n_rows + np.arange(scores.n_rows)) % _N_GROUPS
        w = 1.0 if weight is None else weight
        for j, cut in enumerate(self.cuts):
            hit = own >= cut
            influence = -scores.sum_labels(
                scores.values >= cut, np.ascontiguousarray(by_predicted * self.miss[:, j])
            )
            gain = self.hit[labels, j] * hit
            gain -= self.miss[labels, j] * (by_positive + by_hit * hit)
            influence = influence + np.bincount(rows, gain, minlength=scores.n_rows)
            np.add.at(self.above[:, j], group, w * influence)
        self.n_rows += scores.n_rows

    def draw(self, weights: np.ndarray) -> np.ndarray:
        return self.score + (weights - 1) @ self.above[: weights.shape[1]]


def _draws(search: Search, histogram: Histogram, cuts: np.ndarray) -> tuple[np.ndarray, ...]:
    """The metric at cuts: as it is, and for random weights of the rows."""
    if search.average == "macro":
        terms = search.run(lambda _: _MacroTerms(search, histogram, cuts))[0]
    else:
        by_row = search.average == "samples"
        terms = search.run(lambda _: _RowTerms(search.metric, by_row, cuts))[0]
    n_groups = min(terms.n_rows, _N_GROUPS)
    weights = np.random.default_rng(n_groups).exponential(size=(_N_DRAWS, n_groups))
    return terms.draw(np.ones((1, n_groups)))[0], terms.draw(weights)


def _spread_cuts(search: Search, histogram: Histogram, keys: np.ndarray, n: int) -> np.ndarray:
    """Some of the cuts with these ascending keys, the first and the last included."""
    if search.average == "macro":
        n = min(n, _N_MACRO)
    if len(keys) > n:
        keys = keys[np.linspace(0, len(keys) - 1, n).astype(np.int64)]
    return values_of(keys)


def curve_margin(search: Search, confidence: float) -> float:
    """Number by which the curve over all cutoffs may be off everywhere at once.

    Parameters
    ----------
    search : Search
        With one map.
    confidence : float

    Returns
    -------
    margin : float
        NaN if there is no true label.
    """
    histogram = search.histograms()[0]
    keys = histogram.candidates().keys[:-1]
    if not len(keys):
        return float("nan")
    score, drawn = _draws(search, histogram, _spread_cuts(search, histogram, keys, _N_CUTS))
    return float(np.quantile(np.abs(drawn - score).max(axis=1), confidence))


def score_interval(
    search: Search, histogram: Histogram, value: Any, confidence: float, *, tuned: bool
) -> tuple[float, float]:
    """Interval of the metric of new rows at a cut.

    Parameters
    ----------
    search : Search
        With one map.
    histogram : Histogram
        Of its scores.
    value : floating
        The cut.
    confidence : float
    tuned : bool
        Whether the cut is the best on these rows, so that its score is too high.

    Returns
    -------
    low, high : float
    """
    key = keys_of(np.atleast_1d(np.asarray(value, histogram.dtype)))
    keys, tp = _near(search, histogram, key) if tuned else (key, None)
    score, drawn = _draws(search, histogram, values_of(keys))
    here = int(np.searchsorted(keys, key[0]))
    noise = drawn - score
    at = np.full(len(drawn), here)
    if tuned and len(keys) > 4:
        # What is found on other rows as many: the curve without its own noise, with new noise.
        at = np.argmax(_smooth(np.log(tp), score) + noise, axis=1)
    error = noise[np.arange(len(noise)), at]
    tail = (1 - confidence) / 2
    high, low = score[here] - np.quantile(error, [tail, 1 - tail])
    return float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


def _near(search: Search, histogram: Histogram, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keys of some cuts with half to twice as many true positives as one, and their number."""
    candidates = histogram.candidates()
    own = candidates.tp[np.searchsorted(candidates.keys, key[0])]
    kept = (candidates.tp >= own / 2) & (candidates.tp <= 2 * own)
    kept[-1] = False
    some = _spread_cuts(search, histogram, candidates.keys[kept], _N_NEAR)
    keys = np.union1d(keys_of(some), key) if len(some) else key
    return keys, np.maximum(candidates.tp[np.searchsorted(candidates.keys, keys)], 1)


def _smooth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cubic of the least squares through a curve."""
    x = (x - x.mean()) / max(x.std(), 1e-12)
    powers = np.vander(x, 4)
    return powers @ np.linalg.lstsq(powers, y, rcond=None)[0]
