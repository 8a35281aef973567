"""Metrics for multi-label predictions and scores."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import check_array

from ._cutoff.counters import Search
from ._cutoff.evaluation import curve
from ._cutoff.intervals import check_confidence, curve_margin
from ._cutoff.metric import AVERAGES, METRICS, Metric
from ._cutoff.places import Places, discount, find_places
from ._cutoff.report import Report, count_labels
from ._cutoff.scores import Pool, ScoreBlocks, array_blocks, csr_blocks
from ._data.label_sets import read_labels
from ._data.naming import naming
from ._data.sparse import check_sparse
from ._data.weights import read_sample_weight
from ._sklearn import Interval, Options, StrOptions, validate_params

__all__ = [
    "coverage_at_k_score",
    "f1_at_k_score",
    "jaccard_threshold_curve",
    "label_propensities",
    "multilabel_report",
    "ndcg_at_k_score",
    "precision_at_k_score",
    "psndcg_at_k_score",
    "psprecision_at_k_score",
    "psrecall_at_k_score",
    "recall_at_k_score",
]


def _score_pool(y_true: Any, y_score: Any, sample_weight: Any) -> Pool:
    """Truth and scores, checked, for the search functions."""
    label_sets, _ = read_labels(y_true, allow_multiclass=False, input_name="y_true")
    y_score = _read_scores(y_score)
    if y_score.shape != (label_sets.n_rows, label_sets.n_labels):
        raise ValueError(
            f"y_score has shape {y_score.shape}, but y_true has shape "
            f"{(label_sets.n_rows, label_sets.n_labels)}. Pass one score for each row and label."
        )
    weight = read_sample_weight(sample_weight, None, n_rows=label_sets.n_rows)
    return Pool(_blocks_of(y_score), label_sets, weight)


def _read_scores(y_score: Any) -> Any:
    check_sparse(y_score, "y_score")
    with naming("y_score"):
        return check_array(
            y_score, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="y_score"
        )


def _blocks_of(y_score: Any) -> ScoreBlocks:
    return csr_blocks(y_score) if sp.issparse(y_score) else array_blocks(y_score)


def jaccard_threshold_curve(
    y_true: Any,
    y_score: Any,
    *,
    average: str = "micro",
    sample_weight: Any = None,
    n_thresholds: int | None = None,
    confidence: float | None = None,
) -> tuple[Any, ...]:
    """Jaccard index of ``y_score > threshold`` for all thresholds that can be best.

    A lower threshold that only lets in false positives lowers the Jaccard index, so all
    local maxima lie just below the scores of true labels. Those are the thresholds given
    here; the exact maximum of the curve is the maximum over all real thresholds.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        Multi-label indicator.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Finite scores; in sparse ones what is not stored is lower, and never predicted.
    average : {"micro", "samples", "macro"}, default="micro"
        As in :func:`sklearn.metrics.jaccard_score`; rows (labels) without a true label
        count 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    n_thresholds : int, default=None
        At most this many thresholds, evenly spread over those above, the first and the last
        included. None: all.
    confidence : float in (0, 1), default=None
        Give the margin of the curve too.

    Returns
    -------
    scores : ndarray of shape (n_thresholds,)
        Jaccard index of each threshold, in [0, 1].
    thresholds : ndarray of shape (n_thresholds,)
        Ascending; each is the largest number of the scores' type below a score.
    margin : float
        With `confidence`: the curve of new rows is within `scores` plus or minus this number,
        at all thresholds at once, with that probability; asymptotically, by bootstrap over
        rows (theory 5.12).

    Raises
    ------
    ValueError
        If shapes differ, `y_score` is not finite, or `average` or `confidence` is none.

    References
    ----------
    Theory 4.1, 4.2 and 5.12.

    Examples
    --------
    >>> from skmultireduce.metrics import jaccard_threshold_curve
    >>> scores, thresholds = jaccard_threshold_curve(
    ...     [[1, 0, 0], [0, 1, 1]], [[0.9, 0.2, 0.6], [0.1, 0.8, 0.4]]
    ... )
    >>> scores
    array([0.75      , 0.66666667, 0.33333333])
    >>> thresholds.round(3)
    array([0.4, 0.8, 0.9])
    """
    if average not in AVERAGES:
        raise ValueError(f"average={average!r} is unknown; choose 'micro', 'samples' or 'macro'.")
    if n_thresholds is not None and n_thresholds < 2:
        raise ValueError(f"n_thresholds={n_thresholds} must be at least 2, or None for all.")
    check_confidence(confidence)
    search = Search([_score_pool(y_true, y_score, sample_weight)], average=average)
    points = curve(search, n_thresholds)
    found = points["scores"], points["thresholds"]
    return found if confidence is None else (*found, curve_margin(search, confidence))


_CONSTRAINTS = {
    "y_true": ["array-like", "sparse matrix"],
    "y_score": ["array-like", "sparse matrix"],
    "k": [Interval(Integral, 1, None, closed="left")],
    "average": [StrOptions({"samples", "micro", "macro"})],
    "sample_weight": ["array-like", None],
    "zero_division": [Options(Real, {0.0, 1.0}), "nan", StrOptions({"warn"})],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def precision_at_k_score(
    y_true: Any,
    y_score: Any,
    *,
    k: int = 1,
    average: str = "samples",
    sample_weight: Any = None,
    zero_division: float | str = 0.0,
) -> float:
    """Compute precision@k: the share of true labels among the k of highest score.

    Labels that tie for the last of the k places share it: the score is the mean over all
    ways to break the tie, so that it does not depend on the order of the labels.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores: probabilities, decision values or any numbers, higher is better. In sparse
        scores, those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    average : {"samples", "micro", "macro"}, default="samples"
        The mean over rows, or counts pooled over rows. As k is the same for all rows,
        precision@k is the same number either way. ``"macro"``: the mean over labels of the
        share of their rows among those that have them among the k, 0 for labels that are
        never there.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    zero_division : {0.0, 1.0, np.nan, "warn"}, default=0.0
        Precision of a row without labels, of which no ranking does better than 0. With
        ``np.nan`` such rows are left out, as fastText's ``test`` does; ``"warn"`` gives 0
        and warns.

    Returns
    -------
    score : float
        In [0, 1]; nan if all rows are left out.

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ or `k` is more than n_labels.

    Warns
    -----
    UndefinedMetricWarning
        If there are rows without labels and ``zero_division="warn"``, or if all rows are
        left out.

    See Also
    --------
    recall_at_k_score : The share of the true labels that are among the k.

    Notes
    -----
    Ranking by the marginals ``P(label | x)`` is optimal; ranking by the law of the picked
    label, which ``reduction="pick_one"`` learns, is if it orders the labels alike (theory
    3.2 to 3.5).

    Examples
    --------
    >>> import numpy as np
    >>> from skmultireduce.metrics import precision_at_k_score
    >>> y_true = np.array([[1, 1, 0], [0, 0, 1]])
    >>> y_score = np.array([[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]])
    >>> precision_at_k_score(y_true, y_score, k=1)
    1.0
    >>> precision_at_k_score(y_true, y_score, k=2)
    0.5

    In a search or cross-validation:

    >>> from sklearn.metrics import make_scorer
    >>> scorer = make_scorer(
    ...     precision_at_k_score, response_method=("predict_proba", "decision_function"), k=3
    ... )
    """
    if average == "macro":
        return _macro(y_true, y_score, k, sample_weight, METRICS["precision"])
    places, weight = _read(y_true, y_score, k, sample_weight)
    values = places.row_sums(places.hits()) / k
    unlabeled = places.label_sets.sizes == 0
    if np.any(unlabeled):
        values[unlabeled] = _value_without_labels(zero_division, "Precision", unlabeled)
    return _mean(values, weight, "Precision")


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def recall_at_k_score(
    y_true: Any,
    y_score: Any,
    *,
    k: int = 1,
    average: str = "samples",
    sample_weight: Any = None,
    zero_division: float | str = "warn",
) -> float:
    """Compute recall@k: the share of the true labels that are among the k of highest score.

    Labels that tie for the last of the k places share it: the score is the mean over all
    ways to break the tie, so that it does not depend on the order of the labels.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores: probabilities, decision values or any numbers, higher is better. In sparse
        scores, those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    average : {"samples", "micro", "macro"}, default="samples"
        ``"samples"``: the mean of the recalls of the rows. ``"micro"``: found labels over
        true labels, pooled over all rows, as fastText's ``test`` reports it. ``"macro"``:
        the mean over labels of the share of their rows in which they are found, 0 for labels
        without rows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    zero_division : {0.0, 1.0, np.nan, "warn"}, default="warn"
        With ``average="samples"`` the recall of a row without labels; ``np.nan`` leaves
        such rows out. With ``average="micro"``, where they do not count anyway, the
        result if no row has labels. ``"warn"`` gives 0 and warns.

    Returns
    -------
    score : float
        In [0, 1]; nan if all rows are left out.

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ or `k` is more than n_labels.

    Warns
    -----
    UndefinedMetricWarning
        If there are rows without labels (with ``"micro"``: if there are no labels at all)
        and ``zero_division="warn"``, or if all rows are left out.

    See Also
    --------
    precision_at_k_score : The share of true labels among the k.

    Notes
    -----
    With ``average="samples"``, ranking by the law of the picked label, which
    ``reduction="pick_one"`` learns, is optimal for all k at once (theory 3.1).

    Examples
    --------
    >>> import numpy as np
    >>> from skmultireduce.metrics import recall_at_k_score
    >>> y_true = np.array([[1, 1, 0], [0, 0, 1]])
    >>> y_score = np.array([[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]])
    >>> recall_at_k_score(y_true, y_score, k=1)
    0.75
    >>> round(recall_at_k_score(y_true, y_score, k=1, average="micro"), 3)
    0.667
    """
    if average == "macro":
        return _macro(y_true, y_score, k, sample_weight, METRICS["recall"])
    places, weight = _read(y_true, y_score, k, sample_weight)
    hits, sizes = places.row_sums(places.hits()), places.label_sets.sizes
    if average == "micro":
        found, total = (hits, sizes) if weight is None else (hits * weight, sizes * weight)
        if total.sum() > 0:
            return float(found.sum() / total.sum())
        return float(_value_without_labels(zero_division, "Recall", sizes == 0))
    unlabeled = sizes == 0
    values = hits / np.maximum(sizes, 1)
    if np.any(unlabeled):
        values[unlabeled] = _value_without_labels(zero_division, "Recall", unlabeled)
    return _mean(values, weight, "Recall")


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def f1_at_k_score(
    y_true: Any,
    y_score: Any,
    *,
    k: int = 1,
    average: str = "samples",
    sample_weight: Any = None,
) -> float:
    """Compute F1@k: the F1 of the k labels of highest score, as if they were predicted.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores, higher is better; labels that tie share their places. In sparse scores,
        those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    average : {"samples", "micro", "macro"}, default="samples"
        The mean over rows, counts pooled over rows, or the mean over labels. Rows without
        labels, and labels without rows, count 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    score : float
        In [0, 1].

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ or `k` is more than n_labels.

    Examples
    --------
    >>> from skmultireduce.metrics import f1_at_k_score
    >>> f1_at_k_score([[1, 1, 0], [0, 0, 1]], [[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]], average="micro")
    0.8
    """
    if average == "macro":
        return _macro(y_true, y_score, k, sample_weight, METRICS["f1"])
    places, weight = _read(y_true, y_score, k, sample_weight)
    hits, sizes = places.row_sums(places.hits()), places.label_sets.sizes
    if average == "samples":
        return float(np.average(2 * hits / (k + sizes), weights=weight))
    w = np.ones(len(hits)) if weight is None else weight
    return float(2 * (w @ hits) / (w @ (k + sizes)))


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def ndcg_at_k_score(
    y_true: Any,
    y_score: Any,
    *,
    k: int = 1,
    sample_weight: Any = None,
    zero_division: float | str = 0.0,
) -> float:
    """Compute nDCG@k: true labels among the k of highest score, earlier places count more.

    A true label in place i counts 1 / log2(i + 1); the sum of a row is divided by the
    largest that it could be. The same as :func:`sklearn.metrics.ndcg_score`, without a dense
    array of all labels.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores, higher is better; labels that tie share their places. In sparse scores,
        those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    zero_division : {0.0, 1.0, np.nan, "warn"}, default=0.0
        Score of a row without labels; ``np.nan`` leaves such rows out, ``"warn"`` gives 0
        and warns.

    Returns
    -------
    score : float
        In [0, 1]; nan if all rows are left out.

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ or `k` is more than n_labels.

    References
    ----------
    Jarvelin and Kekalainen, Cumulated gain-based evaluation of IR techniques, 2002.

    Examples
    --------
    >>> from skmultireduce.metrics import ndcg_at_k_score
    >>> y_true, y_score = [[1, 0, 0], [0, 0, 1]], [[0.5, 0.2, 0.3], [0.1, 0.8, 0.7]]
    >>> round(ndcg_at_k_score(y_true, y_score, k=2), 3)
    0.815
    """
    places, weight = _read(y_true, y_score, k, sample_weight)
    sizes = places.label_sets.sizes
    best = np.append(0.0, np.cumsum(discount(k)))[np.minimum(sizes, k)]
    unlabeled = sizes == 0
    values = places.row_sums(places.discounts()) / np.where(unlabeled, 1.0, best)
    if np.any(unlabeled):
        values[unlabeled] = _value_without_labels(zero_division, "nDCG", unlabeled)
    return _mean(values, weight, "nDCG")


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def coverage_at_k_score(
    y_true: Any, y_score: Any, *, k: int = 1, sample_weight: Any = None
) -> float:
    """Compute coverage@k: the share of labels that are rightly among the k at least once.

    Of the labels that have rows in `y_true`.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores, higher is better; labels that tie share their places. In sparse scores,
        those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Rows of weight 0 are left out; other weights do not matter.

    Returns
    -------
    score : float
        In [0, 1]; 0 if no row has labels.

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ or `k` is more than n_labels.

    Examples
    --------
    >>> from skmultireduce.metrics import coverage_at_k_score
    >>> coverage_at_k_score([[1, 0, 0], [0, 0, 1]], [[0.5, 0.2, 0.3], [0.1, 0.8, 0.7]])
    0.5
    """
    places, weight = _read(y_true, y_score, k, sample_weight)
    sets = places.label_sets
    kept = np.ones(len(sets.indices), bool) if weight is None else weight[sets.rows] > 0
    # Of independent ways to break ties in the rows: in none of them.
    missed = np.ones(sets.n_labels)
    np.multiply.at(missed, sets.indices[kept], 1 - places.hits()[kept])
    labels = np.unique(sets.indices[kept])
    return float(np.mean(1 - missed[labels])) if len(labels) else 0.0


def label_propensities(y: Any, *, A: float = 0.55, B: float = 1.5) -> np.ndarray:
    """Chance that a label that holds is noted, by how frequent the label is.

    1 / (1 + C (n_l + B)**-A) with C = (log n - 1) (B + 1)**A, for n rows of which n_l have
    label l; 1 for n < 3, where C is not positive.

    Parameters
    ----------
    y : {array-like, sparse} of shape (n_samples, n_labels)
        Labels of the training rows.
    A, B : float, default=0.55, 1.5
        Of the law; 0.5 and 0.4 fit Wikipedia, 0.6 and 2.6 Amazon.

    Returns
    -------
    propensities : ndarray of shape (n_labels,), float64
        In (0, 1].

    References
    ----------
    Jain, Prabhu and Varma, Extreme multi-label loss functions for recommendation, tagging,
    ranking and other missing label applications, KDD 2016.

    Examples
    --------
    >>> from skmultireduce.metrics import label_propensities
    >>> label_propensities([[1, 0]] * 9 + [[1, 1]]).round(2)
    array([0.64, 0.43])
    """
    sets, _ = read_labels(y, allow_multiclass=False)
    scale = max(np.log(sets.n_rows) - 1, 0.0) * (B + 1) ** A
    return 1 / (1 + scale * (sets.counts() + B) ** -A)


_PS_CONSTRAINTS = {
    **_CONSTRAINTS,
    "propensities": ["array-like", None],
    "normalize": ["boolean"],
}


@validate_params(_PS_CONSTRAINTS, prefer_skip_nested_validation=True)
def psprecision_at_k_score(
    y_true: Any,
    y_score: Any,
    *,
    k: int = 1,
    propensities: Any = None,
    normalize: bool = True,
    sample_weight: Any = None,
) -> float:
    """Compute propensity-scored precision@k: true labels among the k, rare ones count more.

    A true label counts 1 / propensity.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores, higher is better; labels that tie share their places. In sparse scores,
        those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    propensities : array-like of shape (n_labels,), default=None
        Chance that a label that holds is noted, in (0, 1]. None: `label_propensities` of
        `y_true`; those of the training rows are usual.
    normalize : bool, default=True
        Whether the sum over rows is divided by the largest that it could be.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    score : float
        In [0, 1] if normalized.

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ, `k` is more than n_labels or
        propensities are not in (0, 1].

    References
    ----------
    Jain, Prabhu and Varma, KDD 2016.

    Examples
    --------
    >>> from skmultireduce.metrics import psprecision_at_k_score
    >>> y_true, y_score = [[1, 1, 0], [0, 0, 1]], [[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]]
    >>> round(psprecision_at_k_score(y_true, y_score, propensities=[0.9, 0.5, 0.5]), 3)
    0.778
    """
    return _propensity_scored(
        "precision", y_true, y_score, k, propensities, normalize, sample_weight
    )


@validate_params(_PS_CONSTRAINTS, prefer_skip_nested_validation=True)
def psrecall_at_k_score(
    y_true: Any,
    y_score: Any,
    *,
    k: int = 1,
    propensities: Any = None,
    normalize: bool = True,
    sample_weight: Any = None,
) -> float:
    """Compute propensity-scored recall@k: the weight of true labels that are among the k.

    A true label counts 1 / propensity.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores, higher is better; labels that tie share their places. In sparse scores,
        those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    propensities : array-like of shape (n_labels,), default=None
        Chance that a label that holds is noted, in (0, 1]. None: `label_propensities` of
        `y_true`; those of the training rows are usual.
    normalize : bool, default=True
        Whether the sum over rows is divided by the largest that it could be.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    score : float
        In [0, 1] if normalized.

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ, `k` is more than n_labels or
        propensities are not in (0, 1].

    References
    ----------
    Jain, Prabhu and Varma, KDD 2016.

    Examples
    --------
    >>> from skmultireduce.metrics import psrecall_at_k_score
    >>> y_true, y_score = [[1, 1, 0], [0, 0, 1]], [[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]]
    >>> round(psrecall_at_k_score(y_true, y_score, propensities=[0.9, 0.5, 0.5]), 3)
    0.852
    """
    return _propensity_scored("recall", y_true, y_score, k, propensities, normalize, sample_weight)


@validate_params(_PS_CONSTRAINTS, prefer_skip_nested_validation=True)
def psndcg_at_k_score(
    y_true: Any,
    y_score: Any,
    *,
    k: int = 1,
    propensities: Any = None,
    normalize: bool = True,
    sample_weight: Any = None,
) -> float:
    """Compute propensity-scored nDCG@k: rare labels and earlier places count more.

    A true label counts 1 / propensity.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        True labels, as an indicator of 0 and 1.
    y_score : {array-like, sparse} of shape (n_samples, n_labels)
        Scores, higher is better; labels that tie share their places. In sparse scores,
        those that are not stored are lower than all others, and equal.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    propensities : array-like of shape (n_labels,), default=None
        Chance that a label that holds is noted, in (0, 1]. None: `label_propensities` of
        `y_true`; those of the training rows are usual.
    normalize : bool, default=True
        Whether the sum over rows is divided by the largest that it could be.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    score : float
        In [0, 1] if normalized.

    Raises
    ------
    ValueError
        If `y_true` is no indicator, the shapes differ, `k` is more than n_labels or
        propensities are not in (0, 1].

    References
    ----------
    Jain, Prabhu and Varma, KDD 2016.

    Examples
    --------
    >>> from skmultireduce.metrics import psndcg_at_k_score
    >>> y_true, y_score = [[1, 1, 0], [0, 0, 1]], [[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]]
    >>> round(psndcg_at_k_score(y_true, y_score, propensities=[0.9, 0.5, 0.5]), 3)
    0.778
    """
    return _propensity_scored("ndcg", y_true, y_score, k, propensities, normalize, sample_weight)


def _propensity_scored(
    kind: str,
    y_true: Any,
    y_score: Any,
    k: int,
    propensities: Any,
    normalize: bool,
    sample_weight: Any,
) -> float:
    places, weight = _read(y_true, y_score, k, sample_weight)
    sets = places.label_sets
    if propensities is None:
        propensities = label_propensities(sets.to_csr())
    with naming("propensities"):
        propensities = check_array(propensities, ensure_2d=False, dtype=np.float64)
    if propensities.shape != (sets.n_labels,) or not np.all(
        (propensities > 0) & (propensities <= 1)
    ):
        raise ValueError(
            f"propensities must be {sets.n_labels} numbers in (0, 1], one for each label; got "
            f"shape {propensities.shape}."
        )
    gain = 1 / propensities[sets.indices]
    # The best order of each row: its true labels, the rarest first.
    order = np.lexsort((-gain, sets.rows))
    place = np.arange(len(gain)) - np.repeat(sets.indptr[:-1], sets.sizes)
    of_place = np.append(discount(k) if kind == "ndcg" else np.ones(k), 0.0)
    best = places.row_sums(gain[order] * of_place[np.minimum(place, k)])
    found = places.row_sums(gain * (places.discounts() if kind == "ndcg" else places.hits()))
    if kind == "precision":
        below = np.full(sets.n_rows, float(k))
    elif kind == "recall":
        below = np.maximum(sets.sizes, 1.0)
    else:
        below = np.append(1.0, np.cumsum(discount(k)))[np.minimum(sets.sizes, k)]
    w = np.ones(sets.n_rows) if weight is None else weight
    total = w @ (best / below) if normalize else w.sum()
    return float(w @ (found / below) / total) if total > 0 else 0.0


@validate_params(
    {
        "y_true": ["array-like", "sparse matrix"],
        "y_pred": ["array-like", "sparse matrix"],
        "names": ["array-like", None],
        "thresholds": ["array-like", Real, None],
        "sample_weight": ["array-like", None],
        "digits": [Interval(Integral, 0, None, closed="left")],
        "max_labels": [Interval(Integral, 0, None, closed="left")],
        "output": [StrOptions({"text", "dict", "frame"})],
    },
    prefer_skip_nested_validation=True,
)
def multilabel_report(
    y_true: Any,
    y_pred: Any,
    *,
    names: Any = None,
    thresholds: Any = None,
    sample_weight: Any = None,
    digits: int = 3,
    max_labels: int = 50,
    output: str = "text",
    confidence: float | None = None,
) -> Any:
    """Build a report of predicted label sets: each label, groups of labels, averages.

    Precision, recall, F1 and Jaccard index, where 0 / 0 is 0, the number of true
    (``support``) and of predicted rows. Figures that
    :func:`sklearn.metrics.classification_report` has are the same, under the same names.

    Parameters
    ----------
    y_true, y_pred : {array-like, sparse} of shape (n_samples, n_labels)
        True and predicted labels, as indicators of 0 and 1.
    names : array-like of shape (n_labels,), default=None
        Names of the labels. None: those of the columns of a data frame, else numbers.
    thresholds : float or array-like of shape (n_labels,), default=None
        Cutoffs to be shown, for example ``model.best_threshold_``.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    digits : int, default=3
        Digits of the text.
    max_labels : int, default=50
        With more labels the text has groups of labels by their number of rows instead,
        each with the means over its labels.
    output : {"text", "dict", "frame"}, default="text"
        ``"dict"``: of the rows by their names, of columns by theirs, with the groups under
        ``"groups"``. ``"frame"``: a pandas data frame with a row for each label and each
        average.
    confidence : float in (0, 1), default=None
        Add an interval of each metric in the columns ``"precision_low"``, ``"precision_high"``
        and so on; the text has those of F1. They hold for predictions that were fixed before
        these rows were seen, exactly, whatever the number of rows: for each label alone
        (Clopper and Pearson), and for the micro and samples averages by betting (theory 5.12).
        Macro and weighted averages have none.

    Returns
    -------
    report : str, dict or DataFrame

    Raises
    ------
    ValueError
        If an argument is no indicator, shapes differ, or weights are given with `confidence`.

    Examples
    --------
    >>> from skmultireduce.metrics import multilabel_report
    >>> y_true, y_pred = [[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]
    >>> print(multilabel_report(y_true, y_pred, names=["a", "b", "c"], digits=2))
                   precision     recall   f1-score    jaccard    support  predicted
    <BLANKLINE>
               a        1.00       1.00       1.00       1.00          1          1
               b        0.00       0.00       0.00       0.00          1          1
               c        1.00       1.00       1.00       1.00          1          1
    <BLANKLINE>
       micro avg        0.67       0.67       0.67       0.50          3          3
       macro avg        0.67       0.67       0.67       0.67          3          3
    weighted avg        0.67       0.67       0.67       0.67          3          3
     samples avg        0.75       0.75       0.67       0.50          3          3
    <BLANKLINE>
    """
    true, target = read_labels(y_true, allow_multiclass=False, input_name="y_true")
    predicted, _ = read_labels(y_pred, allow_multiclass=False, input_name="y_pred")
    shapes = [(sets.n_rows, sets.n_labels) for sets in (true, predicted)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"y_pred has the shape {shapes[1]}, but y_true has {shapes[0]}.")
    names = np.asarray(target.label_names if names is None else names, dtype=object)
    if names.shape != (true.n_labels,):
        raise ValueError(
            f"names has the shape {names.shape}; {true.n_labels} names are needed, one for each "
            "label."
        )
    cutoffs = None
    if thresholds is not None:
        with naming("thresholds"):
            cutoffs = np.broadcast_to(np.asarray(thresholds, float), (true.n_labels,))
    weight = read_sample_weight(sample_weight, None, n_rows=true.n_rows)
    check_confidence(confidence)
    if confidence is not None and weight is not None:
        raise ValueError(
            "confidence takes rows as equal draws, which sample_weight contradicts. Leave one of "
            "them out."
        )
    report = Report.of(count_labels(true, predicted, weight), names, cutoffs, confidence)
    if output == "dict":
        return report.as_dict()
    return report.as_frame() if output == "frame" else report.as_text(digits, max_labels)


def _read(
    y_true: Any, y_score: Any, k: int, sample_weight: Any, *, count_chosen: bool = False
) -> tuple[Places, np.ndarray | None]:
    """Places of the true labels among the k best of each row, and weights."""
    label_sets, target = read_labels(y_true, input_name="y_true")
    if target.kind != "multilabel":
        raise ValueError(
            "y_true is 1-D, a multi-label indicator of shape (n_samples, n_labels) is needed. "
            "For classes use sklearn.metrics.top_k_accuracy_score."
        )
    y_score = _read_scores(y_score)
    shape = (label_sets.n_rows, label_sets.n_labels)
    if y_score.shape != shape:
        raise ValueError(
            f"y_score has the shape {y_score.shape}, but y_true has {shape}. Pass one score for "
            "each row and label, with the columns of y_true."
        )
    if k > label_sets.n_labels:
        raise ValueError(f"k={k} is more than the {label_sets.n_labels} labels. Pass a smaller k.")
    weight = read_sample_weight(sample_weight, None, n_rows=label_sets.n_rows)
    blocks = _blocks_of(y_score)
    return find_places(blocks, label_sets, k, count_chosen=count_chosen, weight=weight), weight


def _macro(y_true: Any, y_score: Any, k: int, sample_weight: Any, metric: Metric) -> float:
    places, weight = _read(y_true, y_score, k, sample_weight, count_chosen=True)
    sets, hits = places.label_sets, places.hits()
    w = np.ones(len(hits)) if weight is None else weight[sets.rows]
    tp = np.bincount(sets.indices, w * hits, minlength=sets.n_labels)
    positives = np.bincount(sets.indices, w, minlength=sets.n_labels)
    return float(metric.ratio(tp, np.maximum(places.chosen - tp, 0), positives).mean())


def _value_without_labels(zero_division: float | str, name: str, unlabeled: np.ndarray) -> float:
    if zero_division != "warn":
        return zero_division
    warnings.warn(
        f"{name} at k is ill-defined and set to 0 for {np.count_nonzero(unlabeled)} rows without "
        "labels. Use the `zero_division` parameter to control this behavior; np.nan leaves "
        "them out.",
        UndefinedMetricWarning,
        stacklevel=4,
    )
    return 0.0


def _mean(values: np.ndarray, weight: np.ndarray | None, name: str) -> float:
    kept = ~np.isnan(values)
    weight = np.ones(len(values)) if weight is None else weight
    if not np.any(weight[kept] > 0):
        warnings.warn(
            f"{name} at k is nan: every row is without labels and left out.",
            UndefinedMetricWarning,
            stacklevel=4,
        )
        return float("nan")
    return float(np.average(values[kept], weights=weight[kept]))
