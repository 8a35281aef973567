"""Cutoffs on the best scores of each row, against all cuts: 1,000 random problems."""

import itertools
import warnings
from collections import Counter

import numpy as np
import pytest
from sklearn import config_context
from sklearn.metrics import fbeta_score, get_scorer, make_scorer
from test_candidates import AVERAGES, STRATEGIES, OnlyScores, Proba, problem

from skmultireduce import ThresholdedMultiLabel

METRICS = ["jaccard", "f1", "precision", "recall", "fbeta"]
BETA = 2


def ratio(above, below):
    return np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)


def metric_values(metric, average, y, predicted, weight):
    """Metric of each prediction; predicted is of shape (n_cuts, n_rows, n_labels)."""
    if average == "samples":
        tp, found = (y & predicted).sum(axis=2), predicted.sum(axis=2)
        positives = np.broadcast_to(y.sum(axis=1), found.shape)
    else:
        tp, found, positives = (
            np.einsum("n,...nk->...k", weight, part.astype(float))
            for part in (y & predicted, predicted, y)
        )
        positives = np.broadcast_to(positives, found.shape)
        if average == "micro":
            tp, found, positives = (part.sum(axis=1) for part in (tp, found, positives))
    value = {
        "jaccard": lambda: ratio(tp, positives + found - tp),
        "f1": lambda: ratio(2 * tp, positives + found),
        "precision": lambda: ratio(tp, found),
        "recall": lambda: ratio(tp, positives),
        "fbeta": lambda: ratio((1 + BETA**2) * tp, BETA**2 * positives + found),
    }[metric]()
    if average == "samples":
        return value @ weight / weight.sum()
    return value.mean(axis=1) if average == "macro" else value


def mapped_scores(scores, rank, k, probability, strategy, prior_weight, row_weight, log_prior):
    """What a cutoff is compared with; -inf if the label is no candidate."""
    if strategy == "top_k":
        values = -rank.astype(float)
    elif strategy == "relative":
        values = scores / scores.max(axis=1, keepdims=True)
    elif strategy == "adjusted":
        u = np.log(scores) if probability else scores
        own = u.dtype.type
        values = u * own(1 + row_weight)
        values -= own(row_weight) * u.max(axis=1, keepdims=True)
        values -= (prior_weight * log_prior).astype(u.dtype)
    else:
        values = scores.copy()
    return np.where(rank < k, values, -np.inf)


def within_limits(values, least, most):
    """inf for the best labels of a row, -inf beyond those it may have; ties by label."""
    rank = np.argsort(np.argsort(-values, axis=1, kind="stable"), axis=1)
    there = values > -np.inf
    out = np.where(rank < (values.shape[1] if most is None else most), values, -np.inf)
    return np.where(there & (rank < least), np.inf, out)


def one_cut_predictions(values):
    """All predictions of one cut."""
    cuts = np.unique(values[values > -np.inf])
    return values >= np.append(cuts, np.inf)[:, None, None]


def label_cut_predictions(values, y, weight, constraint):
    """All predictions of a cut for each label that reaches the constraint, or is silent."""
    options = []
    for label, column in enumerate(values.T):
        cuts = np.unique(column[np.isfinite(column)])
        predicted = column >= np.append(cuts, np.inf)[:, None]
        ok = satisfied(constraint, y[:, [label]], predicted[:, :, None], weight)
        if constraint and not ok.any():
            predicted = np.zeros((1, len(column)), bool)
        elif constraint:
            # Nothing is not imprecise.
            ok |= ~predicted.any(axis=1) & ("min_recall" not in constraint)
            predicted = predicted[ok]
        options.append(predicted)
    return np.array([np.transpose(chosen) for chosen in itertools.product(*options)])


def satisfied(constraint, y, predicted, weight):
    ok = np.ones(len(predicted), bool)
    for name, least in constraint.items():
        value = metric_values(name.removeprefix("min_"), "micro", y, predicted, weight)
        ok &= value >= least - 1e-12
    return ok


def draw(seed):
    """Parameters of a problem; contradictions are left out."""
    rng = np.random.default_rng([seed, 20])
    strategy = str(rng.choice(STRATEGIES))
    metric = str(rng.choice(METRICS))
    average = str(rng.choice(AVERAGES))
    constraint = {}
    if rng.random() < 0.4:
        constraint = {
            str(rng.choice(["min_precision", "min_recall"])): rng.choice([0.2, 0.4, 0.6])
        }
    limits = [(0, None), (1, None), (0, 2), (2, 2), (1, 3)][rng.integers(5)]
    if strategy == "per_label":
        average = str(rng.choice(["micro", "macro"]))
        limits = (0, None) if constraint else limits
    return rng, strategy, metric, average, constraint, limits


def check(seed):
    """One problem; returns what it was about."""
    rng, strategy, metric, average, constraint, (least, most) = draw(seed)
    n_rows, n_labels = (6, 4) if strategy == "per_label" else (12, 6)
    dtype = rng.choice([np.float32, np.float64])
    scores, y = problem(seed, n_rows, n_labels, dtype)
    y = y > 0
    k = int(rng.integers(max(1, least), n_labels))
    probability = strategy == "relative" or rng.random() < 0.5
    if not probability:
        scores = (4 * scores - 2).astype(dtype)
    weight = rng.integers(1, 4, n_rows).astype(float) if rng.random() < 0.4 else None
    adjusted = {}
    if strategy == "adjusted":
        adjusted = {"prior_weight": [0.0, 0.25], "row_weight": [0.0, 0.5]}
    scoring = f"{metric}_{average}"
    if metric == "fbeta":
        scoring = make_scorer(fbeta_score, beta=BETA, average=average, zero_division=0)
    weights = {}
    if weight is not None:
        weights = {"sample_weight": weight}
        scoring = get_scorer(scoring).set_score_request(sample_weight=True)
    tuned = ThresholdedMultiLabel(
        (Proba if probability else OnlyScores)().fit(scores, y.astype(int)),
        cv="prefit", response_method="predict_scores", n_candidates=k, strategy=strategy,
        scoring=scoring, min_labels=least, max_labels=most, min_positives=0, **constraint,
        **adjusted,
    )  # fmt: skip

    # The same by hand.
    ones = np.ones(n_rows) if weight is None else weight
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    log_prior = np.log((y.sum(axis=0) + 0.5) / (n_rows + 1))
    best = -np.inf
    for prior_weight, row_weight in itertools.product(
        adjusted.get("prior_weight", [0]), adjusted.get("row_weight", [0])
    ):
        values = mapped_scores(
            scores, rank, k, probability, strategy, prior_weight, row_weight, log_prior
        )
        values = within_limits(values, least, most)
        if strategy == "per_label":
            predicted = label_cut_predictions(values, y, ones, constraint)
            ok = np.ones(len(predicted), bool)
        else:
            predicted = one_cut_predictions(values)
            ok = satisfied(constraint, y, predicted, ones)
        found = metric_values(metric, average, y, predicted[ok], ones)
        best = max(best, found.max(initial=-np.inf))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if best == -np.inf:
            with pytest.raises(ValueError, match="min_"):
                tuned.fit(scores, y.astype(int), **weights)
            return strategy, metric, average, "infeasible"
        tuned.fit(scores, y.astype(int), **weights)
    assert tuned.best_score_ == pytest.approx(best, abs=1e-12), seed
    predicted = tuned.predict(scores) > 0
    reached = metric_values(metric, average, y, predicted[None], ones)[0]
    assert reached == pytest.approx(best, abs=1e-12), seed
    assert not predicted[rank >= k].any()
    assert np.all(predicted.sum(axis=1) >= min(least, k))
    assert most is None or np.all(predicted.sum(axis=1) <= most)
    if strategy != "per_label":
        assert satisfied(constraint, y, predicted[None], ones).all()
    return strategy, metric, average, *constraint


@config_context(enable_metadata_routing=True)
def test_search_equals_brute_force_over_the_candidates():
    """Every strategy, scoring, constraint, limit, with weights and without."""
    counts = Counter(part for seed in range(1000) for part in check(seed))
    names = [*STRATEGIES, *METRICS, *AVERAGES, "min_precision", "min_recall", "infeasible"]
    assert set(counts) == set(names)
    assert min(counts.values()) > 5
