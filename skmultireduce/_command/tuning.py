"""What `train --tune` tries: losses, reductions, penalties and strategies, on the same folds."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from .._cutoff.counters import InfeasibleError
from .._cutoff.folds import splitter_of
from .._cutoff.metric import Scoring
from .._cutoff.scores import Pool, Source
from .._cutoff.strategies import STRATEGIES, log_prior_of, make_strategy
from .._cutoff.tuning import Tuning
from .._data.label_sets import read_labels
from .._data.notices import gathered
from .._reductions.table import has_loss
from ..threshold import ThresholdedMultiLabel

__all__ = ["tune"]

# "adjusted" holds "global" as a special case; counts of labels and fractions are rarely best.
_STRATEGIES = ("adjusted", "per_label")
_SCALES = (0.25, 0.5, 2.0, 4.0)
_N_PARTS = 5
_FORMS = (
    ("one_vs_rest", "squared_hinge"),
    ("one_vs_rest", "log_loss"),
    ("pick_all_normalized", "log_loss"),
    ("pick_one", "log_loss"),
)


class _Trial(NamedTuple):
    """A model and a form of its cutoff; minus infinity: none satisfies the constraint."""

    score: float
    params: dict[str, Any]
    strategy: str


def tune(
    cutoff: ThresholdedMultiLabel,
    X: Any,
    y: Any,
    splits: list | None,
    options: argparse.Namespace,
    say: Callable[[str], None],
) -> ThresholdedMultiLabel:
    """The best of some models and forms of the cutoff, by the held-out rows of the same folds.

    Each model is fitted once a fold; all forms of the cutoff are judged by its scores. What the
    options give stays. First the forms of the model are tried, then penalties around the best.

    Parameters
    ----------
    cutoff : ThresholdedMultiLabel
        With the defaults; unfitted.
    X : CSR of shape (n_rows, n_features)
    y : CSR of shape (n_rows, n_labels)
    splits : list of tuple or None
        Given rows to train and to judge on; None: five folds.
    options : Namespace
        Of `train`.
    say : callable
        Told each result.

    Returns
    -------
    best : ThresholdedMultiLabel
        Unfitted.
    """
    if splits is None:
        splits = list(splitter_of(None, y, options.seed).split(X))
    names = [options.strategy] if options.strategy else list(_STRATEGIES)
    end = time.perf_counter() + options.time
    best, seconds = None, 0.0

    def candidates() -> Iterator[dict[str, Any]]:
        yield from _forms(cutoff.estimator, options)
        base = {} if best is None else best.params
        for changed in _penalties(cutoff.estimator):
            yield {**base, **changed}

    for tried, params in enumerate(candidates()):
        begin = time.perf_counter()
        # The next one takes about as long as the last.
        if tried and begin + seconds > end:
            say(f"tune      stopped after {options.time:g} s, {tried} models tried")
            break
        model = clone(cutoff.estimator).set_params(**params)
        found = _judged(clone(cutoff).set_params(estimator=model), params, X, y, splits, names)
        seconds = time.perf_counter() - begin
        for trial in found:
            told = ", ".join(map(str, params.values()))
            say(f"tune      {trial.score:.4f}  {told}, {trial.strategy}  ({seconds:.1f} s)")
        best = max([*([best] if best else []), *found], key=lambda trial: trial.score)
    # If none satisfies --min-precision, the fit says so.
    model = clone(cutoff.estimator).set_params(**best.params)
    return clone(cutoff).set_params(estimator=model, strategy=best.strategy, cv=cutoff.cv)


def _forms(model: Any, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Reductions and losses, those of the default first."""
    seen = set()
    for form in ((model.reduction, model.loss), *_FORMS):
        reduction, loss = options.reduction or form[0], options.loss or form[1]
        if has_loss(reduction, loss) and (reduction, loss) not in seen:
            seen.add((reduction, loss))
            yield {"reduction": reduction, "loss": loss}


def _penalties(model: Any) -> Iterator[dict[str, Any]]:
    """Factors of the automatic penalty, for models that have one."""
    if "alpha_scale" in model.get_params(deep=False):
        for scale in _SCALES:
            yield {"alpha_scale": scale}


def _judged(
    cutoff: ThresholdedMultiLabel,
    params: dict[str, Any],
    X: Any,
    y: Any,
    splits: list,
    names: list[str],
) -> list[_Trial]:
    """Score of each strategy, for one model; of several, at cutoffs of the other folds."""
    label_sets, target = read_labels(y)
    with gathered():
        models = [clone(cutoff.estimator).fit(X[train], y[train]) for train, _ in splits]
    n_candidates = cutoff.n_candidates
    source = Source.of(cutoff.response_method, target.n_labels, *models, n_candidates=n_candidates)
    found = []
    for name in names:
        strategy = make_strategy({**cutoff.get_params(deep=False), "strategy": name})
        # In one thread: a search is short, and there are many.
        tuning = Tuning(strategy, Scoring(cutoff.scoring))
        tuning.check()
        pools = []
        for model, (train, test) in zip(models, splits, strict=True):
            counts = label_sets.take(np.asarray(train)).counts()
            own = replace(source, never=counts == 0)
            prior = log_prior_of(counts, len(train)) if STRATEGIES[name].uses_prior else None
            # Rows that are given to judge on are parts for one another, as folds are.
            n_parts = min(_N_PARTS, len(test)) if len(splits) == 1 else 1
            for rows in np.array_split(np.asarray(test), n_parts):
                held_out = label_sets.take(rows)
                pools.append(Pool(own.blocks(model, X, rows), held_out, None, prior))
        try:
            if len(names) > 1:
                score = tuning.crossed(pools, source, target)
            else:
                score = tuning.run(pools, source, target).score
        except InfeasibleError:
            score = -np.inf
        found.append(_Trial(score, params, name))
    return found
