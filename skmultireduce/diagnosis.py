"""Which reduction is safe for these data, by the bounds of the theory page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from textwrap import wrap
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._cutoff.counters import Search
from ._cutoff.evaluation import best_jaccard, evaluate
from ._cutoff.folds import row_numbers, splitter_of
from ._cutoff.scores import Pool, Source
from ._cutoff.search import find
from ._data.blocks import indexable_rows
from ._data.inner_fits import fit_inner, indicator
from ._data.label_sets import LabelSets, Target, read_labels
from ._data.notices import gathered, pass_on
from ._data.sparse import check_sparse
from ._sklearn import _safe_indexing

__all__ = ["Diagnosis", "diagnose"]

# A guaranteed loss of at most this is called safe.
_SAFE = 0.05
# Letters of a line of advice.
_WIDTH = 79

# Dense features from which on X looks like embeddings.
_MANY_FEATURES = 64


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What :func:`diagnose` found; statement numbers are those of the theory page.

    Attributes
    ----------
    n_rows, n_labels, n_unlabeled : int
        Rows, labels, and rows without labels.
    mean_size, sd_size : float
        Mean and standard deviation of the number of labels S of a row.
    relative_sd_size : float
        sd(S) / E[S].
    relative_deviation : float
        min over c of E[abs(S - c)] / E[S] over all rows, those without labels too, as the
        softmax leaves them out (2.3); at most `relative_sd_size` and 1, and 0 if all rows
        have the same number of labels.
    jaccard_regret_bound : float
        What one cutoff on the softmax of ``"pick_one"`` can lose against the best rule, in
        micro-averaged Jaccard: at most (1 + J) * `relative_deviation` (4.6d), given here
        for J = 1, and at most 1, which says nothing.
    precision_regret_bound : float
        What ranking by that softmax can lose in precision at 1 (divide by k for precision
        at k): E[abs(S - median(S))] over rows with labels (3.3b). From k on it says nothing.
    harmonic_mean_sizes : ndarray of shape (n_labels,)
        Harmonic mean of S over the rows of each label, NaN for labels without rows (1.5).
        Where they differ, ``"pick_one"`` shows labels in other shares than the data.
    harmonic_ratio : float
        Largest over smallest of them.
    sigma_quantiles : ndarray of shape (3,) or None
        5 %, 50 % and 95 % quantile, weighted by q, of sigma = E[S | label picked, x] over
        rows and labels (4.6); from a model with ``size_model="joint"``.
    sigma_regret_bound : float or None
        `jaccard_regret_bound` with the spread of sigma in place of that of S, of which it
        is a part; an estimate, as far as the model is right. It holds for the softmax with
        the same `unlabeled` as the model.
    jaccard, threshold : float or None
        Largest micro-averaged Jaccard index that one cutoff on the model's scores reaches
        on these rows, and that cutoff.
    jaccard_ratio_bound : float or None
        Least share of the best micro-averaged Jaccard index that one cutoff on the softmax
        of ``"pick_one"`` keeps (4.12), from the sizes of all rows, with `jaccard` for the
        best one; a better model can only raise it. In [0, 1].
    sigma_ratio_bound : float or None
        The same by the spread of sigma; an estimate as `sigma_regret_bound` is, and the
        sharpest of the bounds.
    pick_jaccard : float or None
        What one cutoff on the law of the pick of the same model reaches on these rows, for
        ``size_model="joint"``: `jaccard` less this is the measured loss, which the bounds
        are to be compared with. None too if the model leaves out rows without labels.
    max_kept : int or None
        Largest set that this cutoff can keep, for scores that sum to at most 1 (4.10).
    share_beyond_cutoff : float or None
        Share of rows with more labels than that, which cannot be recovered.
    recommendations : dict
        For ``"recall_at_k"``, ``"precision_at_k"``, ``"jaccard_micro"`` and
        ``"f1_samples"`` a sentence; where rows have no label, one for ``"unlabeled"`` too, and
        where X is an array of 64 or more dense features, one for ``"dense"``.

    Examples
    --------
    >>> from skmultireduce import diagnose
    >>> found = diagnose(None, None, [[1, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]])
    >>> found.mean_size, found.relative_deviation
    (1.75, 0.42857142857142855)
    >>> print(found.recommendations["recall_at_k"])
    reduction='pick_one' or 'pick_all_normalized': their ranking is optimal for every k.
    """

    n_rows: int
    n_labels: int
    n_unlabeled: int
    mean_size: float
    sd_size: float
    relative_sd_size: float
    relative_deviation: float
    jaccard_regret_bound: float
    precision_regret_bound: float
    harmonic_mean_sizes: np.ndarray
    harmonic_ratio: float
    sigma_quantiles: np.ndarray | None = None
    sigma_regret_bound: float | None = None
    jaccard: float | None = None
    threshold: float | None = None
    jaccard_ratio_bound: float | None = None
    sigma_ratio_bound: float | None = None
    pick_jaccard: float | None = None
    max_kept: int | None = None
    share_beyond_cutoff: float | None = None
    recommendations: dict[str, str] = field(default_factory=dict)

    def _lines(self) -> list[tuple[str, str]]:
        """Names and values to show."""
        lines = [
            ("rows, labels", f"{self.n_rows}, {self.n_labels}"),
            ("rows without labels", f"{self.n_unlabeled}"),
            ("labels a row, mean and sd", f"{self.mean_size:.3g}, {self.sd_size:.3g}"),
            ("sd / mean", f"{self.relative_sd_size:.3g}"),
            ("one cutoff on the softmax, micro Jaccard: loses at most", self._regret()),
            ("ranking by the softmax, precision@1: loses at most", self._precision()),
            (
                "harmonic mean sizes of labels, largest / smallest",
                f"{np.nanmax(self.harmonic_mean_sizes):.3g} / "
                f"{np.nanmin(self.harmonic_mean_sizes):.3g}",
            ),
        ]
        if self.sigma_quantiles is not None:
            low, middle, high = self.sigma_quantiles
            lines.append(("sigma, 5 %, 50 %, 95 %", f"{low:.3g}, {middle:.3g}, {high:.3g}"))
        if self.jaccard is not None:
            lines += [
                (
                    "micro Jaccard at the best cutoff",
                    f"{self.jaccard:.3g} at {self.threshold:.3g}",
                ),
                ("one cutoff on the softmax keeps at least", f"{self.jaccard_ratio_bound:.1%}"),
            ]
        if self.sigma_ratio_bound is not None:
            lines.append(("the same, by sigma", f"{self.sigma_ratio_bound:.1%}"))
        if self.pick_jaccard is not None:
            lines.append(
                ("its micro Jaccard on these rows", f"{self.pick_jaccard:.3g} at its best cutoff")
            )
        if self.max_kept is not None:
            lines.append(
                (
                    f"rows with more than the {self.max_kept} labels it can keep",
                    f"{self.share_beyond_cutoff:.1%}",
                )
            )
        return lines

    def _regret(self) -> str:
        """The bound 4.6d, as far as it says something."""
        best = 1.0 if self.jaccard is None else self.jaccard
        bound = (1 + best) * self.relative_deviation
        return "no guarantee" if bound >= best else f"{bound:.3g}"

    def _precision(self) -> str:
        bound = self.precision_regret_bound
        return "no guarantee" if bound >= 1 else f"{bound:.3g}"

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self._lines())
        text = [f"{name:<{width}}  {value}" for name, value in self._lines()]
        text.append("")
        for name, advice in self.recommendations.items():
            text += wrap(f"{name}: {advice}", _WIDTH, subsequent_indent="  ")
        return "\n".join(text)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td style='text-align:left'>{escape(name)}</td><td>{escape(value)}</td></tr>"
            for name, value in self._lines()
        )
        advice = "".join(
            f"<li><code>{escape(name)}</code>: {escape(text)}</li>"
            for name, text in self.recommendations.items()
        )
        return f"<table><tbody>{rows}</tbody></table><ul>{advice}</ul>"


def diagnose(estimator: Any, X: Any, y: Any, *, cv: Any = 3) -> Diagnosis:
    """Tell which reductions are safe for these data, and by how much.

    Parameters
    ----------
    estimator : classifier or None
        None: from y alone. A fitted classifier is judged on these rows, which should not be
        those that it was fitted on. Another is fitted on parts of the rows and judged on
        the rest. Any that :class:`~skmultireduce.ThresholdedMultiLabel` takes with
        ``response_method="auto"``. A
        :class:`~skmultireduce.reduction.MultiClassReduction` with ``size_model="joint"``
        adds the spread of sigma, the sharpest of the criteria.
    X : {array-like, sparse} of shape (n_samples, n_features) or None
        Data; not used if `estimator` is None.
    y : {array-like, sparse} of shape (n_samples, n_labels)
        Multi-label indicator.
    cv : int, float, cross-validation generator or iterable, default=3
        Parts for a classifier that is not fitted, as of
        :class:`~skmultireduce.ThresholdedMultiLabel`; for an int or a float, shuffled with
        a fixed seed.

    Returns
    -------
    diagnosis : Diagnosis
        With text and HTML representation.

    Raises
    ------
    ValueError
        If y is no multi-label indicator or has no label at all, or scores have another
        shape than y.
    AttributeError
        If the estimator has neither ``predict_proba`` nor ``decision_function``.

    Examples
    --------
    >>> from skmultireduce.diagnosis import diagnose
    >>> result = diagnose(None, None, [[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> result.jaccard_regret_bound
    0.0
    >>> print(result.recommendations["jaccard_micro"])
    One cutoff on the plain softmax is safe: it loses at most 0.
    """
    sets, target = read_labels(y, allow_multiclass=False)
    sizes = sets.sizes.astype(float)
    if not np.any(sizes):
        raise ValueError("No row of y has a label; at least one is needed.")
    found = _from_labels(sets, sizes)
    if estimator is not None:
        check_consistent_length(X, np.empty((sets.n_rows, 0)))
        found |= _from_scores(estimator, X, sets, target, cv)
    learns_empty = getattr(estimator, "unlabeled", "drop") == "none"
    recommendations = _recommend(found, learns_empty)
    if estimator is not None and _is_dense(X):
        recommendations["dense"] = (
            "The guarantees are about cutting scores, not about learning them. From dense rows "
            "such as embeddings one-vs-rest has learnt better label sets than the softmax "
            "reductions where it was measured (guide: Heads on embeddings); compare both here."
        )
    return Diagnosis(**found, recommendations=recommendations)


def _is_dense(X: Any) -> bool:
    """Whether X is an array of many dense features."""
    if not isinstance(X, np.ndarray) or X.ndim != 2 or X.dtype.kind != "f":
        return False
    return X.shape[1] >= _MANY_FEATURES


class _Spread:
    """How far values scatter about c, for every c: the quantities of 4.6d and 4.12.

    Parameters
    ----------
    values, weights : ndarray of shape (n,)
        Sizes of rows, or sigma of (row, label) pairs with the probabilities of the picks.
    scale : float
        What the sums are divided by: the sum of all sizes.
    """

    def __init__(self, values: np.ndarray, weights: np.ndarray, scale: float) -> None:
        order = np.argsort(values)
        c, weights = values[order], weights[order]
        mass, moment = np.cumsum(weights), np.cumsum(weights * c)
        # Both are piecewise linear in c, so the best c is one of the values.
        self.over = np.maximum(0, (c * mass - moment) / scale)
        self.under = np.maximum(0, (moment[-1] - moment - c * (mass[-1] - mass)) / scale)

    def deviation(self) -> float:
        """Least mean absolute deviation; c = 0, which predicts nothing, has 1."""
        return float(min(1.0, np.min(self.over + self.under)))

    def ratio(self, jaccard: float) -> float:
        """The largest (theta - under) / (theta + over) for theta = J / (1 + J)."""
        theta = jaccard / (1 + jaccard)
        return float(np.clip(np.max((theta - self.under) / (theta + self.over)), 0, 1))


def _from_labels(sets: LabelSets, sizes: np.ndarray) -> dict[str, Any]:
    mean = sizes.mean()
    spread = _Spread(sizes, np.ones_like(sizes), sizes.sum())
    # The median of the rows with labels minimises the mean absolute deviation over them;
    # rows without labels have no precision to lose.
    filled = sizes[sizes > 0]
    deviation = float(np.abs(filled - np.median(filled)).sum() / len(sizes))
    with np.errstate(divide="ignore"):
        shares = np.where(sizes > 0, 1 / sizes, 0.0)
    counts, picks = sets.counts(), sets.counts(shares)
    harmonic = np.divide(counts, picks, out=np.full(sets.n_labels, np.nan), where=counts > 0)
    return {
        "n_rows": sets.n_rows,
        "n_labels": sets.n_labels,
        "n_unlabeled": int(np.count_nonzero(sizes == 0)),
        "mean_size": float(mean),
        "sd_size": float(sizes.std()),
        "relative_sd_size": float(sizes.std() / mean),
        "relative_deviation": spread.deviation(),
        "jaccard_regret_bound": min(1.0, 2 * spread.deviation()),
        "precision_regret_bound": deviation,
        "harmonic_mean_sizes": harmonic,
        "harmonic_ratio": float(np.nanmax(harmonic) / np.nanmin(harmonic)),
    }


def _judged(
    estimator: Any, X: Any, sets: LabelSets, target: Target, cv: Any
) -> list[tuple[Any, np.ndarray | None, np.ndarray | None]]:
    """Models with the rows that they are judged on (None: all), and what they never saw."""
    try:
        check_is_fitted(estimator)
        return [(estimator, None, None)]
    except NotFittedError:
        pass
    y = indicator(sets, target)
    found = []
    splits = list(splitter_of(cv, y, 0).split(X, y))
    with gathered() as notices:
        for i, (train, test) in enumerate(splits):
            train, test = row_numbers(train), row_numbers(test)
            model = fit_inner(
                clone(estimator),
                _safe_indexing(X, train),
                _safe_indexing(y, train),
                {},
                rows=f"fold {i + 1} of {len(splits)}",
            )
            found.append((model, test, sets.take(train).counts() == 0))
    pass_on(notices)
    return found


def _from_scores(
    estimator: Any, X: Any, sets: LabelSets, target: Target, cv: Any
) -> dict[str, Any]:
    check_sparse(X, "X")
    X = indexable_rows(X)
    judged = _judged(estimator, X, sets, target, cv)
    source = Source.of("auto", sets.n_labels, *(model for model, _, _ in judged))
    every = np.arange(sets.n_rows)
    rows = np.concatenate([every if test is None else test for _, test, _ in judged])
    pools = [
        Pool(
            replace(source, never=never).blocks(model, X, test),
            sets if test is None else sets.take(test),
        )
        for model, test, never in judged
    ]
    search = Search(pools)
    best = find(search)
    sizes = sets.sizes[rows].astype(float)
    threshold, jaccard = float(evaluate(search, best.value).threshold), best.score
    found = {
        "jaccard": jaccard,
        "threshold": threshold,
        "jaccard_ratio_bound": _Spread(sizes, np.ones_like(sizes), sizes.sum()).ratio(jaccard),
    }
    if source.probability and threshold > 0 and _largest_sum(pools) <= 1 + 1e-3:
        kept = int(min(np.ceil(1 / threshold) - 1, sets.n_labels))
        found["max_kept"] = kept
        found["share_beyond_cutoff"] = float(np.mean(sizes > kept))
    if getattr(estimator, "size_model", None) == "joint":
        parts = [X if test is None else _safe_indexing(X, test) for _, test, _ in judged]
        models = [model for model, _, _ in judged]
        found |= _from_pairs(models, parts, sets.take(rows), jaccard)
    return found


def _largest_sum(pools: list[Pool]) -> float:
    """Largest sum of a row's scores; labels that are never predicted count 0."""
    return max(
        float(np.where(scores.values == -np.inf, 0, scores.values).sum(axis=1).max())
        for pool in pools
        for _, scores in pool.blocks()
        if scores.n_rows
    )


def _from_pairs(
    models: list[Any], parts: list[Any], sets: LabelSets, jaccard: float
) -> dict[str, Any]:
    """What models of pairs of label and size tell of the law of the pick."""
    sigma, picks = [], []
    for model, X in zip(models, parts, strict=True):
        delta = model.predict_label_size_proba(X, compact=True)
        label, size = model.pairs_.T
        starts = np.flatnonzero(np.diff(label, prepend=-1))
        q, m = np.zeros((2, len(delta), sets.n_labels))
        q[:, label[starts]] = np.add.reduceat(delta / model.sizes_[size], starts, axis=1)
        m[:, label[starts]] = np.add.reduceat(delta, starts, axis=1)
        sigma.append(np.divide(m, q, out=np.ones_like(m), where=q > 0))
        picks.append(q)
    sigma, picks = np.concatenate(sigma), np.concatenate(picks)
    drops, sizes = models[0].unlabeled == "drop", sets.sizes.astype(float)
    found = _from_sigma(sigma, picks, sizes, drops, jaccard)
    if not drops or sizes.all():  # else the models have no marginals to compare with
        found["pick_jaccard"] = best_jaccard(sets, picks)[1]
    return found


def _from_sigma(
    sigma: np.ndarray, picks: np.ndarray, sizes: np.ndarray, drops: bool, jaccard: float
) -> dict[str, Any]:
    """Spread of sigma, and the sum of q * abs(sigma - c) of the proofs of 4.6d and 4.12.

    A softmax without rows that have no label gives each row the mass 1. Its share over the
    rows with labels estimates q; the rest is c for each row without, as if sigma were 0.
    """
    n_empty = 0
    if drops:
        filled = sizes > 0
        sigma, picks, n_empty = sigma[filled], picks[filled], np.count_nonzero(~filled)
    values, weights = np.append(sigma.ravel(), 0.0), np.append(picks.ravel(), n_empty)
    spread = _Spread(values, weights, sizes.sum())
    order = np.argsort(sigma, axis=None)
    share = np.cumsum(picks.ravel()[order])
    share /= share[-1]
    at = np.minimum(np.searchsorted(share, [0.05, 0.5, 0.95]), sigma.size - 1)
    return {
        "sigma_quantiles": sigma.ravel()[order][at],
        "sigma_regret_bound": min(1.0, 2 * spread.deviation()),
        "sigma_ratio_bound": spread.ratio(jaccard),
    }


def _recommend(found: dict[str, Any], learns_empty: bool) -> dict[str, str]:
    precision = found["precision_regret_bound"]
    advice = {
        "recall_at_k": "reduction='pick_one' or 'pick_all_normalized': their ranking is optimal "
        "for every k."
    }
    if precision <= _SAFE:
        advice["precision_at_k"] = (
            f"Any reduction: ranking by the plain softmax loses at most {precision:.2g} / k."
        )
    else:
        advice["precision_at_k"] = (
            "reduction='pick_all', or one-vs-rest: they rank by marginals. The guarantee for "
            f"'pick_one' and 'pick_all_normalized' allows a loss of {precision:.2g} / k"
            + (f", which is none for k up to {int(precision)}." if precision >= 1 else ".")
        )
    advice["jaccard_micro"] = _advise_jaccard(found, learns_empty)
    advice["f1_samples"] = (
        "size_model='joint' (with few rows for each label 'expected') and decision='f1': the "
        "best set depends on how sure its labels are, even where all rows have as many."
    )
    if found["n_unlabeled"]:
        advice["unlabeled"] = (
            f"{found['n_unlabeled'] / found['n_rows']:.2g} of the rows have no label. A softmax "
            "leaves them out and scores them as if they had one: one-vs-rest learns from them, "
            "and so does MultiClassReduction(unlabeled='none')."
        )
    return advice


def _advise_jaccard(found: dict[str, Any], learns_empty: bool) -> str:
    """Whether one cutoff on the softmax is safe, by the first bound that tells so."""
    plain = "the plain softmax"
    # What sigma and the measured loss are about: the softmax that the model is built on.
    same = f"{plain} with unlabeled='none'" if learns_empty and found["n_unlabeled"] else plain
    bound, sharper = found["jaccard_regret_bound"], found.get("sigma_regret_bound", 1.0)
    ratio, sharpest = found.get("jaccard_ratio_bound", 0.0), found.get("sigma_ratio_bound", 0.0)
    if bound <= _SAFE:
        return f"One cutoff on {plain} is safe: it loses at most {bound:.2g}."
    if ratio >= 1 - _SAFE:
        return (
            f"One cutoff on {plain} is safe: it keeps at least {ratio:.1%} of the best Jaccard "
            "index."
        )
    if sharper <= _SAFE or sharpest >= 1 - _SAFE:
        return (
            f"One cutoff on {same} is safe if the model of sizes is right: it then loses at most "
            f"{sharper:.2g} and keeps at least {sharpest:.1%} of the best Jaccard index."
        )
    if found["n_unlabeled"]:
        remedy = "one-vs-rest, or MultiClassReduction(size_model='joint', unlabeled='none')"
    else:
        remedy = "size_model='expected' or 'joint', or one-vs-rest"
    advice = f"One cutoff on marginals: {remedy}."
    best = found.get("jaccard", 1.0)
    if (1 + best) * found["relative_deviation"] >= best:
        advice += f" There is no guarantee for {plain}"
    else:
        advice += f" The guarantee for {plain} allows a loss of {bound:.2g}"
    if ratio:
        advice += f" but to keep {ratio:.1%} of the best Jaccard index"
    if sharpest:
        advice += f", by the model of sizes {sharpest:.1%} for {same}"
    if "pick_jaccard" in found:
        advice += f"; {same} reaches {found['pick_jaccard']:.3g} of {best:.3g} on these rows"
    return advice + "."
