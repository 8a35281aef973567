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
from ._cutoff.metric import AVERAGES
from ._cutoff.scores import Pool, array_blocks
from ._data.blocks import iter_row_blocks
from ._data.label_sets import LabelSets, read_labels
from ._data.naming import naming
from ._data.sparse import check_sparse
from ._data.weights import read_sample_weight
from ._sklearn import Interval, Options, StrOptions, validate_params

__all__ = ["jaccard_threshold_curve", "precision_at_k_score", "recall_at_k_score"]


def _score_pool(y_true: Any, y_score: Any, sample_weight: Any) -> Pool:
    """Truth and scores, checked, for the search functions."""
    label_sets, _ = read_labels(y_true, allow_multiclass=False, input_name="y_true")
    with naming("y_score"):
        y_score = check_array(y_score, dtype=[np.float64, np.float32], input_name="y_score")
    if y_score.shape != (label_sets.n_rows, label_sets.n_labels):
        raise ValueError(
            f"y_score has shape {y_score.shape}, but y_true has shape "
            f"{(label_sets.n_rows, label_sets.n_labels)}. Pass one score for each row and label."
        )
    weight = read_sample_weight(sample_weight, y_score)
    return Pool(array_blocks(y_score), label_sets, weight)


def jaccard_threshold_curve(
    y_true: Any,
    y_score: Any,
    *,
    average: str = "micro",
    sample_weight: Any = None,
    n_thresholds: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Jaccard index of ``y_score > threshold`` for all thresholds that can be best.

    A lower threshold that only lets in false positives lowers the Jaccard index, so all
    local maxima lie just below the scores of true labels. Those are the thresholds given
    here; the exact maximum of the curve is the maximum over all real thresholds.

    Parameters
    ----------
    y_true : {array-like, sparse} of shape (n_samples, n_labels)
        Multi-label indicator.
    y_score : array-like of shape (n_samples, n_labels)
        Finite scores.
    average : {"micro", "samples", "macro"}, default="micro"
        As in :func:`sklearn.metrics.jaccard_score`; rows (labels) without a true label
        count 0.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    n_thresholds : int, default=None
        At most this many thresholds, evenly spread over those above, the first and the last
        included. None: all.

    Returns
    -------
    scores : ndarray of shape (n_thresholds,)
        Jaccard index of each threshold, in [0, 1].
    thresholds : ndarray of shape (n_thresholds,)
        Ascending; each is the largest number of the scores' type below a score.

    Raises
    ------
    ValueError
        If shapes differ, `y_score` is not finite or `average` is unknown.

    References
    ----------
    Theory 4.1 and 4.2.

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
    pool = _score_pool(y_true, y_score, sample_weight)
    points = curve(Search([pool], average=average), n_thresholds)
    return points["scores"], points["thresholds"]


_CONSTRAINTS = {
    "y_true": ["array-like", "sparse matrix"],
    "y_score": ["array-like", "sparse matrix"],
    "k": [Interval(Integral, 1, None, closed="left")],
    "average": [StrOptions({"samples", "micro"})],
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
        scores, entries that are not stored are 0.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    average : {"samples", "micro"}, default="samples"
        The mean over rows, or counts pooled over rows. As k is the same for all rows,
        precision@k is the same number either way.
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
    label_sets, hits, weight = _read(y_true, y_score, k, sample_weight)
    values = hits / k
    unlabeled = label_sets.sizes == 0
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
        scores, entries that are not stored are 0.
    k : int, default=1
        Number of labels that are looked at, at most n_labels.
    average : {"samples", "micro"}, default="samples"
        ``"samples"``: the mean of the recalls of the rows. ``"micro"``: found labels over
        true labels, pooled over all rows, as fastText's ``test`` reports it.
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
    label_sets, hits, weight = _read(y_true, y_score, k, sample_weight)
    sizes = label_sets.sizes
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


def _read(
    y_true: Any, y_score: Any, k: int, sample_weight: Any
) -> tuple[LabelSets, np.ndarray, np.ndarray | None]:
    """Label sets, number of true labels among the k best of each row, weights."""
    label_sets, target = read_labels(y_true, input_name="y_true")
    if target.kind != "multilabel":
        raise ValueError(
            "y_true is 1-D, a multi-label indicator of shape (n_samples, n_labels) is needed. "
            "For classes use sklearn.metrics.top_k_accuracy_score."
        )
    check_sparse(y_score, "y_score")
    with naming("y_score"):
        y_score = check_array(
            y_score, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="y_score"
        )
    shape = (label_sets.n_rows, label_sets.n_labels)
    if y_score.shape != shape:
        raise ValueError(
            f"y_score has the shape {y_score.shape}, but y_true has {shape}. Pass one score for "
            "each row and label, with the columns of y_true."
        )
    if k > label_sets.n_labels:
        raise ValueError(f"k={k} is more than the {label_sets.n_labels} labels. Pass a smaller k.")
    weight = read_sample_weight(sample_weight, None, n_rows=label_sets.n_rows)
    return label_sets, _hits_at_k(label_sets, y_score, k), weight


def _hits_at_k(label_sets: LabelSets, y_score: Any, k: int) -> np.ndarray:
    """Count the true labels (expected over ties) among the k of highest score, for each row."""
    n_labels = label_sets.n_labels
    hits = np.empty(label_sets.n_rows)
    for block in iter_row_blocks(label_sets.n_rows, 3.0 * n_labels * y_score.dtype.itemsize):
        scores = y_score[block]
        if sp.issparse(scores):
            scores = scores.toarray()
        last = np.partition(scores, n_labels - k, axis=1)[:, n_labels - k, None]
        above, level = scores > last, scores == last
        free = k - np.count_nonzero(above, axis=1)
        tied = np.count_nonzero(level, axis=1)
        labels = label_sets.indices[label_sets.indptr[block.start] : label_sets.indptr[block.stop]]
        rows = np.repeat(np.arange(len(scores)), label_sets.sizes[block])
        sure = np.bincount(rows, weights=above[rows, labels], minlength=len(scores))
        chance = np.bincount(rows, weights=level[rows, labels], minlength=len(scores))
        hits[block] = sure + chance * free / tied
    return hits


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
