"""Tuning: from pools of held-out scores to the cutoff, its score and its spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri

from .._data.label_sets import Target
from .counters import InfeasibleError, MixedTypesError, Search
from .evaluation import Cut, curve, evaluate
from .intervals import score_interval
from .metric import Scoring
from .score_map import ScoreMap
from .scores import Pool, Source
from .search import Pairs, find_among_quantiles
from .strategies import N_QUANTILES, Chosen, Strategy

__all__ = ["Tuned", "Tuning"]

_N_CURVE_POINTS = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Tuned:
    """What tuning finds.

    Parameters
    ----------
    score_map : ScoreMap
        From scores to what the cutoff is compared with.
    threshold : ndarray of shape () or (n_labels,)
        The cutoff as users see it.
    score, stderr : float
        Metric of the pooled rows; its standard error, NaN if the metric is not exact.
    score_std : float
        Standard deviation over the folds of their scores at the cutoff; NaN for one fold, if
        the metric is not exact, and where it is not wanted.
    fold_thresholds : ndarray of shape (n_folds,) or (n_folds, n_labels)
        Each fold's own optimum.
    cut : Cut
        What the cutoff does to the held-out scores.
    silent : ndarray of shape (n_labels,), bool, or None
        Labels that cannot reach the constraint.
    curve : dict or None
        Metric against cutoff.
    source : Source
        Where scores come from, in one type.
    interval : (float, float)
        Of the score of new rows; NaN if the metric is not exact or labels have their own cuts.
    promise : str or None
        What is promised of new rows.
    """

    score_map: ScoreMap
    threshold: np.ndarray
    score: float
    stderr: float
    score_std: float
    fold_thresholds: np.ndarray
    cut: Cut
    silent: np.ndarray | None
    curve: dict[str, np.ndarray] | None
    source: Source
    interval: tuple[float, float] = (float("nan"), float("nan"))
    promise: str | None = None

    @property
    def lowest_candidate(self) -> float | None:
        """Lower end of the searched range, for scores of some labels only."""
        if not self.source.sparse:
            return None
        return float(self.score_map.readable(np.asarray(self.cut.lowest), self.cut.lowest))

    @property
    def threshold_std(self) -> np.ndarray:
        """Spread of the folds' optima; NaN for one fold, and where a fold has none."""
        if len(self.fold_thresholds) < 2:
            return np.full(np.shape(self.threshold), np.nan)
        # A label that is never predicted in a fold has no number there.
        finite = np.where(np.isinf(self.fold_thresholds), np.nan, self.fold_thresholds)
        return np.std(finite, axis=0, ddof=1)

    def messages(self) -> dict[str, str]:
        """What users should be warned about, by kind."""
        found = {}
        cut, limits = self.cut, self.score_map
        # An edge that min_labels or max_labels put there is what the user asked for.
        if cut.constant and not limits.limited:
            found["edge"] = (
                "All scores of the estimator are equal, so that every cutoff predicts everything "
                "or nothing. Check the estimator, or its parameters."
            )
        elif cut.nothing and limits.min_labels == 0 and self.silent is None:
            found["edge"] = (
                "The best cutoff lies above all scores: no label is predicted. "
                "Check the estimator, or whether y has any labels in the held-out rows."
            )
        elif cut.everything and self.source.sparse:
            found["edge"] = (
                f"The best cutoff lies below all of the {self.source.n_candidates} candidates of "
                "each row: all of them are predicted, more labels might be better. Raise "
                "n_candidates."
            )
        elif cut.everything and limits.max_labels is None:
            found["edge"] = (
                "The best cutoff lies below all scores: every label is predicted. "
                "Scores may not separate the labels, check the estimator."
            )
        if self.silent is not None and self.silent.any():
            reach = "reach min_precision or min_recall with no cutoff on the held-out data"
            if self.promise is not None:
                reach = "have too few held-out rows to promise min_precision or min_recall"
            found["unreachable"] = (
                f"{np.count_nonzero(self.silent)} of {len(self.silent)} labels {reach}; they are "
                "never predicted. "
                "`unreachable_labels_` has their numbers; lower the constraint to predict them."
            )
        return found


@dataclass(frozen=True)
class Tuning:
    """How a cutoff is tuned.

    Parameters
    ----------
    strategy : Strategy
        Form of the cutoff.
    scoring : Scoring
        What is maximised.
    n_jobs : int or None
        Threads over pools.
    store : bool
        Whether the curve is wanted.
    spread : bool
        Whether the spread of the folds' scores is wanted.
    interval : bool
        Whether an interval of the score is wanted, which costs as much as the search.
    """

    strategy: Strategy
    scoring: Scoring
    n_jobs: int | None = None
    store: bool = False
    spread: bool = False
    interval: bool = False

    def check(self) -> None:
        """Refuse parameters that contradict each other."""
        self.strategy.check(self.scoring)
        if self.store and not self.strategy.single:
            raise ValueError(
                "store_cv_results=True needs a strategy with a single threshold, "
                f"strategy={self.strategy.name!r} has none. Set store_cv_results=False."
            )

    def run(self, pools: Sequence[Pool], source: Source, target: Target) -> Tuned:
        """Tune.

        Parameters
        ----------
        pools : sequence of Pool
            A pool for each fold.
        source : Source
            Where scores come from.
        target : Target
            Form of y.

        Returns
        -------
        tuned : Tuned
            If blocks of scores differ in their type all of them were taken as float64.
        """
        try:
            return self._run(pools, source, target, None)
        except MixedTypesError:
            return self._run(_in_float64(pools), source, target, np.dtype(np.float64))

    def crossed(self, pools: Sequence[Pool], source: Source, target: Target) -> float:
        """Mean score of each pool at the cutoff that the others give.

        Forms of the cutoff are compared by it: the more numbers one has, the more its score on
        the rows that it is tuned on says too much. Of a scorer of the user's own, and of one
        pool, that score is all there is.
        """
        if not self.scoring.exact or len(pools) < 2:
            return self.run(pools, source, target).score
        try:
            return self._crossed(pools, source, target)
        except MixedTypesError:
            return self._crossed(_in_float64(pools), source, target)

    def _crossed(self, pools: Sequence[Pool], source: Source, target: Target) -> float:
        scores = []
        for k, pool in enumerate(pools):
            search, best = self._choose([*pools[:k], *pools[k + 1 :]], source, target)
            alone = replace(search.only(best.score_map), pools=[pool])
            scores.append(evaluate(alone, _lowest_predicted(best.cut)).score)
        return float(np.mean(scores))

    def _choose(
        self, pools: Sequence[Pool], source: Source, target: Target
    ) -> tuple[Search, Chosen]:
        """Search the cutoff; give also what was searched."""
        search = Search(
            pools,
            self.strategy.maps(source.probability),
            self.scoring.metric,
            self.scoring.average,
            {} if self.strategy.promises else self.strategy.constraint,
            self.n_jobs,
            self.strategy.promise(self.scoring, source.n_labels, source.n_scores),
        )
        return search, self.strategy.choose(search, self._score_pairs(search, target))

    def _run(self, pools: Sequence[Pool], source: Source, target: Target, dtype: Any) -> Tuned:
        search, best = self._choose(pools, source, target)
        own = search.only(best.score_map)
        folds = [best.threshold]
        if len(pools) > 1:
            folds = [self._fold(replace(own, pools=[pool]), best, target) for pool in pools]
        return Tuned(
            best.score_map,
            best.threshold,
            best.score,
            best.cut.stderr if self.scoring.exact else float("nan"),
            self._spread(own, best),
            np.stack(folds),
            best.cut,
            best.silent,
            self._curve(own, target) if self.store else None,
            replace(source, dtype=dtype),
            self._interval(own, best, target),
            None if search.promise is None else search.promise.text(),
        )

    def _score_pairs(
        self, search: Search, target: Target
    ) -> Callable[[np.ndarray, np.ndarray], float] | None:
        if self.scoring.exact:
            return None
        sets = [pool.label_sets for pool in search.pools]
        return self.scoring.on_pairs(sets, [pool.weight for pool in search.pools], target)

    def _fold(self, search: Search, best: Chosen, target: Target) -> np.ndarray:
        try:
            return self.strategy.choose(search, self._score_pairs(search, target)).threshold
        except InfeasibleError:
            return np.full(np.shape(best.threshold), np.nan)

    def _interval(self, search: Search, best: Chosen, target: Target) -> tuple[float, float]:
        if not self.interval or best.histogram is None:
            return float("nan"), float("nan")
        if not self.scoring.exact:
            pairs = search.run(lambda _: Pairs(best.value))[0].chosen()
            facts = zip(*((pool.label_sets, pool.weight) for pool in search.pools), strict=True)
            spread = self.scoring.spread(*map(list, facts), target, pairs)
            reach = float(ndtri((1 + _CONFIDENCE) / 2)) * spread
            return best.score - reach, best.score + reach
        tuned = not self.strategy.constraint
        return score_interval(search, best.histogram, best.value, _CONFIDENCE, tuned=tuned)

    def _spread(self, search: Search, best: Chosen) -> float:
        if not (self.spread and self.scoring.exact) or len(search.pools) < 2:
            return float("nan")
        value = _lowest_predicted(best.cut)
        scores = [evaluate(replace(search, pools=[p]), value).score for p in search.pools]
        return float(np.std(scores, ddof=1))

    def _curve(self, search: Search, target: Target) -> dict[str, np.ndarray]:
        score_pairs = self._score_pairs(search, target)
        if score_pairs is None:
            results = curve(search, _N_CURVE_POINTS)
            thresholds = results["thresholds"]
        else:
            free = replace(search, constraint={})
            _, values, scores = find_among_quantiles(free, score_pairs, N_QUANTILES)
            kept = np.isfinite(values)
            thresholds = np.nextafter(values[kept], values.dtype.type(-np.inf))
            results = {"scores": scores[kept]}
        return {**results, "thresholds": search.maps[0].readable_curve(thresholds)}


def _lowest_predicted(cut: Cut) -> np.ndarray:
    """The lowest score that is predicted: the cutoff lies between two."""
    threshold = np.asarray(cut.threshold)
    return np.nextafter(threshold, threshold.dtype.type(np.inf))


def _in_float64(pools: Sequence[Pool]) -> list[Pool]:
    return [replace(pool, dtype=np.dtype(np.float64)) for pool in pools]
