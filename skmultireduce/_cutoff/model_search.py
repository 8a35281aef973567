"""Models and cutoffs tuned together, in one round of folds.

Every candidate is judged by the score at its own best cutoff: of the same models that are
fitted for the cutoff anyway, so that a search costs as many fits as candidates times folds,
where a search around a tuned cutoff costs that many times the folds once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline

from .._data.notices import warn
from .tuning import Tuned

__all__ = ["Candidates", "Trial", "search_models"]

# Factors of the automatic penalty that are tried first, and where the search for better ones
# ends. On 14 sets the score of neighbours differs by at most 3 %, at the best by 1 %.
_FIRST_SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
_SCALE_LIMIT = 2.0**12


@dataclass(frozen=True)
class Trial:
    """One candidate, fitted on the folds, with its own best cutoff.

    Parameters
    ----------
    params : dict
        Its parameters.
    fitted : list
        Estimators of the folds.
    found : list of dict
        What their fits warn about.
    tuned : Tuned or None
        None if a fit failed, or no cutoff satisfies the constraint.
    fit_times : list of float
        Seconds of each fit.
    tune_time : float
        Seconds of the search for the cutoff.
    error : Exception or None
        Why there is no cutoff.
    """

    params: dict[str, Any]
    fitted: list[Any]
    found: list[dict]
    tuned: Tuned | None
    fit_times: list[float]
    tune_time: float
    error: Exception | None = None

    @property
    def score(self) -> float:
        """Score at the best cutoff; minus infinity without one."""
        return -np.inf if self.tuned is None else self.tuned.score


class Candidates:
    """What `param_grid` stands for.

    Parameters
    ----------
    param_grid : dict, sequence of dict, iterable of dict or "auto"
    estimator : estimator
        Whose parameters they are.
    """

    def __init__(self, param_grid: Any, estimator: Any) -> None:
        self.given: list[dict[str, Any]] | None = None
        if isinstance(param_grid, str):
            self.name = _name_of_scale(estimator)
        else:
            self.given = _listed(param_grid)
            for params in self.given:
                clone(estimator).set_params(**params)

    def batches(self, trials: Sequence[Trial]) -> Iterator[list[dict[str, Any]]]:
        """Candidates to try next, by the trials so far, which the caller appends to."""
        if self.given is not None:
            yield self.given
            return
        yield [{self.name: scale} for scale in _FIRST_SCALES]
        while True:
            tried = sorted(trial.params[self.name] for trial in trials)
            best = max(trials, key=lambda trial: trial.score).params[self.name]
            if best == tried[0] and best > 1 / _SCALE_LIMIT:
                yield [{self.name: best / 2}]
            elif best == tried[-1] and best < _SCALE_LIMIT:
                yield [{self.name: best * 2}]
            else:
                return


def _name_of_scale(estimator: Any) -> str:
    """Name of `alpha_scale` in the estimator, which may be the last step of pipelines."""
    prefix, last = "", estimator
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    params = last.get_params(deep=False)
    if "alpha_scale" not in params:
        raise ValueError(
            "param_grid='auto' moves alpha_scale, the factor of the automatic penalty, which "
            f"{type(last).__name__} does not have. Give the parameters to try, for example "
            "param_grid={'estimator__C': [0.1, 1, 10]}."
        )
    if params["alpha"] != "auto":
        raise ValueError(
            "param_grid='auto' moves alpha_scale, the factor of the automatic penalty, but "
            f"alpha={params['alpha']!r} is given. Set alpha='auto', or param_grid={{'{prefix}"
            "alpha': [...]}."
        )
    return f"{prefix}alpha_scale"


def _listed(param_grid: Any) -> list[dict[str, Any]]:
    if isinstance(param_grid, Iterator):
        raise ValueError(
            f"param_grid is a {type(param_grid).__name__}, which can be read just once. Pass a "
            "list, a ParameterGrid or a ParameterSampler."
        )
    given = param_grid
    if isinstance(param_grid, Mapping) or (
        isinstance(param_grid, Sequence)
        and all(
            isinstance(one, Mapping) and all(_is_grid(values) for values in one.values())
            for one in param_grid
        )
    ):
        given = ParameterGrid(param_grid)
    if not isinstance(given, Iterable):
        raise ValueError(
            "param_grid should be 'auto', a dict or list of dicts as for GridSearchCV, or an "
            f"iterable of dicts of parameters; got {param_grid!r}."
        )
    listed = list(given)
    if not listed or not all(isinstance(params, Mapping) for params in listed):
        raise ValueError(
            f"param_grid should give at least one dict of parameters, got {listed[:1] or 'none'}."
        )
    return [dict(params) for params in listed]


def _is_grid(values: Any) -> bool:
    return isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)


def search_models(
    candidates: Candidates,
    attempt: Callable[[list[dict[str, Any]]], Iterator[Trial]],
    error_score: float | str,
) -> tuple[Trial, dict[str, Any], int]:
    """Try all candidates.

    Parameters
    ----------
    candidates : Candidates
    attempt : callable
        Gives a trial for each of some dicts of parameters, in their order.
    error_score : float or "raise"
        Score of a candidate whose fit fails, or that has no cutoff.

    Returns
    -------
    best : Trial
        Of the highest score; of equal ones the first. It alone still has its estimators.
    results : dict
        As `search_results_`.
    index : int
        Number of the best.
    """
    trials: list[Trial] = []
    best: Trial | None = None
    index = 0
    for batch in candidates.batches(trials):
        for trial in attempt(batch):
            if trial.error is not None and error_score == "raise":
                raise trial.error
            if best is None or trial.score > best.score:
                best, index = trial, len(trials)
            # Models of the others are given up: they may be large.
            trials.append(replace(trial, fitted=[], found=[]))
    failed = [trial for trial in trials if trial.error is not None]
    if len(failed) == len(trials):
        raise failed[-1].error
    if failed:
        warn(
            "failed candidates",
            f"{len(failed)} of {len(trials)} candidates of param_grid have no score; their score "
            f"is set to {error_score}. The last one failed with "
            f"{type(failed[-1].error).__name__}: {failed[-1].error} error_score='raise' shows "
            "where.",
            FitFailedWarning,
        )
    return best, _results(trials, error_score), index


def _results(trials: list[Trial], error_score: float | str) -> dict[str, Any]:
    """Columns of a table, a row a candidate; as scikit-learn's searches name them."""
    nan = float("nan")
    scores = np.array(
        [error_score if t.tuned is None else t.score for t in trials], dtype=np.float64
    )
    ranked = np.where(np.isnan(scores), -np.inf, scores)
    results: dict[str, Any] = {"params": [trial.params for trial in trials]}
    for name in sorted({name for trial in trials for name in trial.params}):
        column = np.ma.masked_all(len(trials), dtype=object)
        for i, trial in enumerate(trials):
            if name in trial.params:
                column[i] = trial.params[name]
        results[f"param_{name}"] = column
    results["score"] = scores
    results["std_score"] = np.array(
        [nan if t.tuned is None else t.tuned.score_std for t in trials]
    )
    results["rank_score"] = np.array([1 + int(np.sum(ranked > score)) for score in ranked])
    thresholds = [None if t.tuned is None else t.tuned.threshold for t in trials]
    if all(np.ndim(t) == 0 for t in thresholds if t is not None):
        results["threshold"] = np.array([nan if t is None else float(t) for t in thresholds])
    else:
        results["threshold"] = thresholds
    results["mean_fit_time"] = np.array([np.mean(t.fit_times) for t in trials])
    results["tune_time"] = np.array([t.tune_time for t in trials])
    return results
