"""Strategies: which forms of a cutoff there are, and how each is found.

A new one is a class here, with a map of its own in `score_map` if it compares something
else than the scores.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from .._data.naming import naming
from .certify import Promise, find_promised, label_windows
from .counters import Histogram, Search
from .evaluation import Cut, evaluate
from .metric import Scoring
from .per_label import find_for_labels
from .score_map import AdjustedMap, RankMap, RelativeMap, ScoreMap
from .search import find, find_among_quantiles

__all__ = ["N_QUANTILES", "STRATEGIES", "Chosen", "Strategy", "log_prior_of", "make_strategy"]

# Candidates of `strategy="adjusted"`, of probabilities and of decision values.
# Log-probabilities spread over many units, decision
# values of linear classifiers over about two, hence the smaller weights of the log prior.
_PRIOR_WEIGHTS = {
    True: (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    False: (0.0, 0.025, 0.05, 0.1, 0.15, 0.2),
}
_ROW_WEIGHTS = {
    True: (0.0, 0.25, 0.5, 1.0, 2.0),
    False: (0.0, 0.125, 0.25, 0.5, 1.0),
}
N_QUANTILES = 100


@dataclass(frozen=True)
class Chosen:
    """The best cutoff of a search.

    Parameters
    ----------
    score_map : ScoreMap
        The best map.
    threshold : ndarray of shape () or (n_labels,)
        The cutoff as users see it.
    cut : Cut
        What it does to the held-out scores.
    score : float
        What was maximised.
    silent : ndarray of shape (n_labels,), bool, or None
        Labels that cannot reach the constraint.
    value : floating
        The cut, if there is one.
    histogram : Histogram or None
        Of the mapped scores then.
    """

    score_map: ScoreMap
    threshold: np.ndarray
    cut: Cut
    score: float
    silent: np.ndarray | None = None
    value: Any = None
    histogram: Histogram | None = None


@dataclass(frozen=True)
class Strategy(ABC):
    """One form of a cutoff; the fields are the parameters of the estimators.

    This class does what most have in common: one number, for the scores themselves.
    """

    min_labels: int = 0
    max_labels: int | None = None
    min_positives: int = 5
    min_precision: float | None = None
    min_recall: float | None = None
    guarantee: str | None = None
    confidence: float | None = None
    label_propensities: Any = None
    prior_weight: Any = "auto"
    row_weight: Any = "auto"

    name: ClassVar[str]
    score_map: ClassVar[type[ScoreMap]] = ScoreMap
    # Whether there is one number, so that the metric has a curve over it.
    single: ClassVar[bool] = True
    uses_prior: ClassVar[bool] = False

    @property
    def constraint(self) -> dict[str, float]:
        """Least precision and recall on the held-out rows."""
        given = {"precision": self.min_precision, "recall": self.min_recall}
        return {name: least for name, least in given.items() if least is not None}

    @property
    def promises(self) -> bool:
        """Whether the constraint is promised for new rows."""
        return self.guarantee is not None or self.confidence is not None

    def promise(self, scoring: Scoring, n_labels: int, n_scores: int) -> Promise | None:
        """What is promised of rows with at most so many scores, if anything is."""
        if not self.promises:
            return None
        ((metric, least),) = self.constraint.items()
        kind = "samples" if scoring.average == "samples" else "micro"
        most = n_scores if self.max_labels is None else min(self.max_labels, n_scores)
        return Promise(
            metric, least, self.confidence, kind if self.single else "label", most, n_labels
        )

    def _check_promise(self, scoring: Scoring) -> None:
        given = self.guarantee, self.confidence, tuple(self.constraint)
        if given not in (
            ("expectation", None, ("recall",)),
            (None, self.confidence, ("precision",)),
            (None, self.confidence, ("recall",)),
        ):
            raise ValueError(
                "Promises for new rows are min_recall with guarantee='expectation', and "
                f"min_precision or min_recall with confidence. Got {self._given_promise()}. Give "
                "one of these pairs."
            )
        (least,) = self.constraint.values()
        if not 0 < least < 1:
            raise ValueError(
                f"min_{given[2][0]}={least:g} is no promise that could be kept or broken; give a "
                "number between 0 and 1."
            )
        if not scoring.exact:
            raise ValueError(
                "A promise needs a scoring that is a micro, samples or macro average of jaccard, "
                "f1, fbeta, precision or recall. Choose one of them."
            )

    def _check_missing(self, scoring: Scoring) -> None:
        if not (scoring.exact and scoring.average == "micro"):
            raise ValueError(
                "label_propensities corrects sums over all rows and labels, as in micro averages "
                "of jaccard, f1, fbeta, precision or recall. Choose one of them as scoring."
            )
        if self.promises:
            raise ValueError(
                "label_propensities are known from elsewhere at best; guarantee and confidence "
                "promise something of what is in y. Leave one of them out."
            )

    def gain(self, n_labels: int) -> np.ndarray | None:
        """What a true label counts, where some are missing; None if none are."""
        if self.label_propensities is None:
            return None
        with naming("label_propensities"):
            chance = np.asarray(self.label_propensities, dtype=np.float64)
        if chance.shape != (n_labels,):
            raise ValueError(
                f"label_propensities has the shape {chance.shape}; a number for each of the "
                f"{n_labels} labels is needed."
            )
        if not np.all((chance > 0) & (chance <= 1)):
            raise ValueError("label_propensities should be in (0, 1].")
        return 1 / chance

    def _given_promise(self) -> str:
        names = ("guarantee", "confidence", "min_precision", "min_recall")
        given = {name: getattr(self, name) for name in names}
        return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)

    def check(self, scoring: Scoring) -> None:
        """Refuse parameters that contradict each other."""
        if self.promises:
            self._check_promise(scoring)
        if self.label_propensities is not None:
            self._check_missing(scoring)
        if self.max_labels is not None and self.min_labels > self.max_labels:
            raise ValueError(
                f"min_labels={self.min_labels} is larger than max_labels={self.max_labels}. "
                "Lower min_labels or raise max_labels."
            )
        if not self.uses_prior:
            for name in ("prior_weight", "row_weight"):
                if not isinstance(getattr(self, name), str):
                    raise ValueError(
                        f"{name} is for strategy='adjusted' only. Choose that strategy, or leave "
                        f"{name}='auto'."
                    )

    def maps(self, probability: bool) -> list[ScoreMap]:
        """Maps to try, for scores that are probabilities or not."""
        return [self.score_map(probability, self.min_labels, self.max_labels)]

    def choose(
        self, search: Search, score_pairs: Callable[[np.ndarray, np.ndarray], float] | None
    ) -> Chosen:
        """Find the best cutoff.

        Parameters
        ----------
        search : Search
            What is searched.
        score_pairs : callable or None
            The metric of predicted pairs, if it is not that of the search.

        Returns
        -------
        chosen : Chosen
        """
        if search.promise is not None:
            found = find_promised(search, search.promise)
        elif score_pairs is None:
            found = find(search)
        else:
            found = find_among_quantiles(search, score_pairs, N_QUANTILES)[0]
        score_map = search.maps[found.index]
        cut = evaluate(search.only(score_map), found.value)
        threshold = score_map.readable(cut.threshold, found.value)
        score = cut.score if score_pairs is None else found.score
        return Chosen(
            score_map, threshold, cut, score, value=found.value, histogram=found.histogram
        )


class Global(Strategy):
    """One cutoff."""

    name = "global"


class PerLabel(Strategy):
    """One cutoff for each label."""

    name = "per_label"
    single = False

    def check(self, scoring: Scoring) -> None:
        super().check(scoring)
        if not scoring.exact or scoring.average == "samples":
            raise ValueError(
                "strategy='per_label' needs a scoring that is a micro or macro average of "
                "jaccard, f1, fbeta, precision or recall. Choose one of them, or "
                "strategy='adjusted'."
            )
        if self.guarantee is not None:
            raise ValueError(
                "guarantee='expectation' is about all labels together, or the mean over rows. "
                "With strategy='per_label' give confidence, or choose strategy='global'."
            )
        if self.constraint and self.min_labels:
            name = f"min_{next(iter(self.constraint))}"
            raise ValueError(
                f"{name} with strategy='per_label' leaves labels out that cannot reach it, "
                f"min_labels={self.min_labels} would predict them all the same. Choose "
                "min_labels=0, or strategy='global'."
            )

    def choose(self, search: Search, score_pairs: Any) -> Chosen:
        windows = None
        if search.promise is not None:
            windows = label_windows(search, search.promise, self.min_positives)
        cuts = find_for_labels(search, self.min_positives, windows)
        cut = evaluate(search, cuts.values)
        threshold = cut.threshold.astype(np.float64)
        if cuts.common is not None:
            threshold[cuts.rare] = evaluate(search, cuts.common.value).threshold
        threshold[cuts.silent] = np.inf
        silent = cuts.silent if self.constraint else None
        return Chosen(search.maps[0], threshold, cut, cut.score, silent)


class Adjusted(Strategy):
    """One cutoff on scores that are adjusted for the label's frequency and the row."""

    name = "adjusted"
    score_map = AdjustedMap
    uses_prior = True

    def check(self, scoring: Scoring) -> None:
        super().check(scoring)
        if self.promises:
            raise ValueError(
                "strategy='adjusted' tries several scores and may know the labels' frequencies "
                "from the held-out rows, so that nothing is promised. Choose "
                "strategy='global', 'relative', 'top_k' or 'per_label'."
            )

    def maps(self, probability: bool) -> list[ScoreMap]:
        limits = self.min_labels, self.max_labels
        return [
            AdjustedMap(probability, *limits, float(prior), float(row))
            for prior in _grid("prior_weight", self.prior_weight, _PRIOR_WEIGHTS[probability])
            for row in _grid("row_weight", self.row_weight, _ROW_WEIGHTS[probability])
        ]


class TopK(Strategy):
    """As many labels for each row."""

    name = "top_k"
    score_map = RankMap


class Relative(Strategy):
    """A fraction of the row's highest score."""

    name = "relative"
    score_map = RelativeMap


STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy for strategy in (Global, PerLabel, Adjusted, TopK, Relative)
}


def make_strategy(parameters: Mapping[str, Any]) -> Strategy:
    """Strategy of an estimator's parameters."""
    strategy = STRATEGIES[parameters["strategy"]]
    return strategy(**{field.name: parameters[field.name] for field in fields(strategy)})


def log_prior_of(counts: np.ndarray, n_rows: int) -> np.ndarray:
    """Log of the labels' smoothed frequencies."""
    return np.log((counts + 0.5) / (n_rows + 1.0))


def _grid(name: str, given: Any, default: tuple[float, ...]) -> np.ndarray:
    if isinstance(given, str):
        return np.array(default)
    grid = np.unique(np.asarray(given, dtype=np.float64))
    if grid.ndim != 1 or not len(grid) or not np.all(np.isfinite(grid)) or grid[0] < 0:
        raise ValueError(f"{name} must be 'auto', or one or more numbers that are at least 0.")
    return grid
