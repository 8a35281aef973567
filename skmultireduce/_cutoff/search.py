"""The best cut over all cuts and all score maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .averages import search_macro, search_samples
from .counters import Accumulator, Histogram, InfeasibleError, Search, values_of
from .metric import METRICS, feasible
from .micro import search_micro
from .scores import DenseScores, row_weights

__all__ = ["Found", "Pairs", "find", "find_among_quantiles"]

_SEARCHES = {"micro": search_micro, "samples": search_samples, "macro": search_macro}


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


def find(search: Search) -> Found:
    """Best cut of the pooled scores, over all cuts and all score maps; exact.

    Parameters
    ----------
    search : Search
        What is searched.

    Returns
    -------
    found : Found

    Raises
    ------
    InfeasibleError
        If no cut satisfies the constraint.
    """
    histograms = search.histograms()
    score, index, key = _SEARCHES[search.average](search, histograms)
    if key is None:
        raise InfeasibleError(_best_reachable(search, histograms))
    return Found(index, values_of(np.atleast_1d(key))[0], score, histograms[index])


def _best_reachable(search: Search, histograms: list[Histogram]) -> str:
    constraint = search.constraint
    wanted = " and ".join(f"min_{name}={least:g}" for name, least in constraint.items())
    start = f"No cutoff satisfies {wanted} on the held-out data."
    if "precision" in constraint:
        others = {k: v for k, v in constraint.items() if k != "precision"}
        precise = replace(search, metric=METRICS["precision"], constraint=others)
        best, _, key = search_micro(precise, histograms)
        if key is not None:
            also = "".join(f" with min_{k}={v:g}" for k, v in others.items())
            return (
                f"{start} The best reachable precision{also} is {best:.6g}; lower min_precision."
            )
    recall = max(
        float(METRICS["recall"].ratio(c.tp[0], 0, c.positives))
        for c in [h.candidates() for h in histograms]
    )
    return f"{start} The best reachable recall is {recall:.6g}; lower min_recall."


class Pairs(Accumulator):
    """All (row, label) pairs that are not below a cut, with their scores."""

    def __init__(self, value: Any):
        self.value = value
        self.n_rows = 0
        self.parts: list[tuple[np.ndarray, ...]] = []

    def facts(self) -> tuple:
        return np.asarray(self.value).dtype, self.value

    def add(self, scores: DenseScores, sets: LabelSets, weight: np.ndarray | None) -> None:
        """Collect from one block."""
        chosen = scores.values >= self.value
        rows, labels = scores.pairs(chosen)
        self.parts.append((rows + self.n_rows, labels, scores.values[chosen]))
        self.n_rows += scores.n_rows

    def chosen(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and labels of the pairs."""
        rows, labels, _ = (np.concatenate(p) for p in zip(*self.parts, strict=True))
        return rows, labels

    def __add__(self, other: Pairs) -> Pairs:
        """Pairs of both sets of rows, one below the other."""
        self.check_same(other)
        out = Pairs(self.value)
        out.n_rows = self.n_rows + other.n_rows
        moved = [(rows + self.n_rows, *rest) for rows, *rest in other.parts]
        out.parts = self.parts + moved
        return out


def find_among_quantiles(
    search: Search, score_pairs: Callable[[np.ndarray, np.ndarray], float], n_quantiles: int
) -> tuple[Found, np.ndarray, np.ndarray]:
    """Best cut among quantiles of the positives' scores, for any metric; not exact.

    Keeps the pairs that the lowest of the cuts predicts.

    Parameters
    ----------
    search : Search
        What is searched; its metric has no meaning.
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
    weighted = search.weighted
    undefined = False
    histograms = search.histograms()
    best: tuple[Found, np.ndarray, np.ndarray] | None = None
    for i, (score_map, histogram) in enumerate(zip(search.maps, histograms, strict=True)):
        own = histogram.candidates()
        share = (np.arange(n_quantiles) + 0.5) / n_quantiles
        positive = np.sort(np.concatenate(histogram.keys))
        positive = positive[np.isin(positive, own.keys[:-1])]
        picked = positive[(share * len(positive)).astype(np.int64)] if len(positive) else []
        keys = np.unique(np.append(np.asarray(picked, own.keys.dtype), own.keys[-1]))
        values = values_of(keys)
        pairs = search.run(lambda _, low=values[0]: Pairs(low), [score_map])[0]
        rows, labels, scores = (np.concatenate(p) for p in zip(*pairs.parts, strict=True))
        result = np.full(len(values), -np.inf)
        tp = own.tp[np.searchsorted(own.keys, keys)]
        for j, value in enumerate(values):
            kept = scores >= value
            fp = np.count_nonzero(kept) if not weighted else None
            if fp is None:
                row_weight = np.concatenate([row_weights(pool) for pool in search.pools])
                fp = row_weight[rows[kept]].sum()
            if feasible(search.constraint, tp[j], fp - tp[j], own.positives):
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
        raise InfeasibleError(_best_reachable(search, histograms))
    return best
