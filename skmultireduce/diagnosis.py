"""Which reduction is safe for these data, by the bounds of the theory page."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, check_cv
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._cutoff.counters import best_jaccard
from ._data.blocks import indexable_rows
from ._data.label_sets import LabelSets, read_labels
from ._data.sparse import check_sparse
from ._sklearn import _safe_indexing

__all__ = ["Diagnosis", "diagnose"]

# A guaranteed loss of at most this is called safe.
_SAFE = 0.05


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
        min over c of E[abs(S - c); S >= 1] / E[S], at most `relative_sd_size`; 0 if all
        rows with labels have the same number of them.
    jaccard_regret_bound : float
        What one cutoff on the softmax of ``"pick_one"`` can lose against the best rule, in
        micro-averaged Jaccard: at most (1 + J) * `relative_deviation` (4.6d), given here
        for J = 1, and at most 1.
    precision_regret_bound : float
        What ranking by that softmax can lose in precision at 1 (divide by k for precision
        at k), at most E[abs(S - median(S))] over rows with labels (3.3b), and at most 1.
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
        is a part; an estimate, as far as the model is right.
    jaccard, threshold : float or None
        Largest micro-averaged Jaccard index that one cutoff on the model's scores reaches
        on these rows, and that cutoff.
    max_kept : int or None
        Largest set that this cutoff can keep, for scores that sum to at most 1 (4.10).
    share_beyond_cutoff : float or None
        Share of rows with more labels than that, which cannot be recovered.
    recommendations : dict
        For ``"recall_at_k"``, ``"precision_at_k"``, ``"jaccard_micro"`` and
        ``"f1_samples"`` a sentence.
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
            ("bound on what one cutoff loses, micro Jaccard", f"{self.jaccard_regret_bound:.3g}"),
            ("bound on what the ranking loses, precision@1", f"{self.precision_regret_bound:.3g}"),
            (
                "harmonic mean sizes of labels, largest / smallest",
                f"{np.nanmax(self.harmonic_mean_sizes):.3g} / "
                f"{np.nanmin(self.harmonic_mean_sizes):.3g}",
            ),
        ]
        if self.sigma_quantiles is not None:
            low, middle, high = self.sigma_quantiles
            lines += [
                ("sigma, 5 %, 50 %, 95 %", f"{low:.3g}, {middle:.3g}, {high:.3g}"),
                ("the first bound, by sigma", f"{self.sigma_regret_bound:.3g}"),
            ]
        if self.jaccard is not None:
            lines.append(
                ("micro Jaccard at the best cutoff", f"{self.jaccard:.3g} at {self.threshold:.3g}")
            )
        if self.max_kept is not None:
            lines.append(
                (
                    f"rows with more than the {self.max_kept} labels it can keep",
                    f"{self.share_beyond_cutoff:.1%}",
                )
            )
        return lines

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self._lines())
        text = [f"{name:<{width}}  {value}" for name, value in self._lines()]
        text += ["", *(f"{name}: {advice}" for name, advice in self.recommendations.items())]
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
        None: from y alone. A fitted classifier with ``predict_proba`` is judged on these
        rows, which should not be those that it was fitted on. Another is fitted on parts
        of the rows and judged on the rest. A
        :class:`~skmultireduce.reduction.MultiClassReduction` with ``size_model="joint"``
        adds the spread of sigma, the sharpest of the criteria.
    X : {array-like, sparse} of shape (n_samples, n_features) or None
        Data; not used if `estimator` is None.
    y : {array-like, sparse} of shape (n_samples, n_labels)
        Multi-label indicator.
    cv : int, cross-validation generator or iterable, default=3
        Parts for a classifier that is not fitted; for an int, shuffled with a fixed seed.

    Returns
    -------
    diagnosis : Diagnosis
        With text and HTML representation.

    Raises
    ------
    ValueError
        If y is no multi-label indicator or has no label at all.

    Examples
    --------
    >>> from skmultireduce.diagnosis import diagnose
    >>> result = diagnose(None, None, [[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> result.jaccard_regret_bound
    0.0
    >>> print(result.recommendations["jaccard_micro"])
    One cutoff on the plain softmax is safe: it loses at most 0.
    """
    sets, _ = read_labels(y, allow_multiclass=False)
    sizes = sets.sizes.astype(float)
    if not np.any(sizes):
        raise ValueError("No row of y has a label; at least one is needed.")
    found = _from_labels(sets, sizes)
    if estimator is not None:
        if not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"estimator must have predict_proba, {type(estimator).__name__} has none. Use "
                "another one, or None to judge by y alone."
            )
        check_consistent_length(X, np.empty((sets.n_rows, 0)))
        found |= _from_scores(estimator, X, y, sets, sizes, cv)
    return Diagnosis(**found, recommendations=_recommend(found))


def _from_labels(sets: LabelSets, sizes: np.ndarray) -> dict[str, Any]:
    mean = sizes.mean()
    filled = sizes[sizes > 0]
    # The median of the rows with labels minimises the mean absolute deviation over them.
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
        "relative_deviation": float(deviation / mean),
        "jaccard_regret_bound": float(min(1.0, 2 * deviation / mean)),
        "precision_regret_bound": min(1.0, deviation),
        "harmonic_mean_sizes": harmonic,
        "harmonic_ratio": float(np.nanmax(harmonic) / np.nanmin(harmonic)),
    }


def _from_scores(
    estimator: Any, X: Any, y: Any, sets: LabelSets, sizes: np.ndarray, cv: Any
) -> dict[str, Any]:
    check_sparse(X, "X")
    try:
        check_is_fitted(estimator)
        parts = [(estimator, np.arange(sets.n_rows))]
        X_rows = X
    except NotFittedError:
        X_rows = indexable_rows(X)
        y_rows = y.tocsr() if issparse(y) else np.asarray(y)
        if isinstance(cv, Integral):
            cv = KFold(cv, shuffle=True, random_state=0)
        parts = []
        for train, test in check_cv(cv).split(X_rows, y_rows):
            model = clone(estimator)
            model.fit(_safe_indexing(X_rows, train), y_rows[train])
            parts.append((model, test))
    scores, sigma, weights, rows = [], [], [], []
    for model, test in parts:
        X_test = X if model is estimator else _safe_indexing(X_rows, test)
        proba = model.predict_proba(X_test)
        if getattr(proba, "shape", None) != (len(test), sets.n_labels):
            raise ValueError(
                f"The predict_proba of {type(estimator).__name__} does not give an array of "
                f"shape (n_samples, {sets.n_labels}); wrap the estimator in "
                "MultiClassReduction or sklearn.multiclass.OneVsRestClassifier."
            )
        scores.append(proba)
        rows.append(test)
        if getattr(model, "size_model", None) == "joint":
            delta = model.predict_label_size_proba(X_test, compact=True)
            label, size = model.pairs_.T
            picked = delta / model.sizes_[size]
            starts = np.flatnonzero(np.diff(label, prepend=-1))
            q = np.add.reduceat(picked, starts, axis=1)
            m = np.add.reduceat(delta, starts, axis=1)
            sigma.append(np.divide(m, q, out=np.ones_like(m), where=q > 0).ravel())
            weights.append(q.ravel())
    rows = np.concatenate(rows)
    scores = np.concatenate(scores)
    threshold, jaccard = best_jaccard(sets.take(rows), scores)
    found = {"jaccard": jaccard, "threshold": threshold}
    if scores.sum(axis=1).max() <= 1 + 1e-3 and threshold > 0:
        kept = int(min(np.ceil(1 / threshold) - 1, sets.n_labels))
        found["max_kept"] = kept
        found["share_beyond_cutoff"] = float(np.mean(sizes[rows] > kept))
    if sigma:
        found |= _from_sigma(np.concatenate(sigma), np.concatenate(weights), scores)
    return found


def _from_sigma(sigma: np.ndarray, weights: np.ndarray, marginals: np.ndarray) -> dict[str, Any]:
    """Spread of sigma, and the sum of q * abs(sigma - c) of the proof of 4.6d."""
    order = np.argsort(sigma)
    share = np.cumsum(weights[order])
    share /= share[-1]
    at = np.minimum(np.searchsorted(share, [0.05, 0.5, 0.95]), len(sigma) - 1)
    quantiles = sigma[order][at]
    spread = float(weights @ np.abs(sigma - quantiles[1]) / marginals.sum())
    return {"sigma_quantiles": quantiles, "sigma_regret_bound": min(1.0, 2 * spread)}


def _recommend(found: dict[str, Any]) -> dict[str, str]:
    bound = found["jaccard_regret_bound"]
    sharper = found.get("sigma_regret_bound")
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
            f"'pick_one' and 'pick_all_normalized' allows a loss of {precision:.2g} / k."
        )
    if bound <= _SAFE:
        advice["jaccard_micro"] = (
            f"One cutoff on the plain softmax is safe: it loses at most {bound:.2g}."
        )
    elif sharper is not None and sharper <= _SAFE:
        advice["jaccard_micro"] = (
            "One cutoff on the plain softmax is safe if the model of sizes is right: it then "
            f"loses at most {sharper:.2g}."
        )
    else:
        advice["jaccard_micro"] = (
            "One cutoff on marginals: size_model='expected' or 'joint', or one-vs-rest. The "
            f"guarantee for the plain softmax allows a loss of {bound:.2g}."
        )
    if found["relative_deviation"] == 0 and found["n_unlabeled"] == 0:
        advice["f1_samples"] = (
            f"The {found['mean_size']:.0f} labels ranked first: all rows have as many."
        )
    else:
        advice["f1_samples"] = (
            "size_model='joint' (with few rows for each label 'expected') and decision='f1': "
            "the best set depends on how many labels the row has."
        )
    return advice
