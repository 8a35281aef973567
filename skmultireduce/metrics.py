"""Metrics for multi-label predictions and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from ._cutoff import Pool, ScoreMap, array_blocks, curve
from ._label_sets import read_labels
from ._naming import naming
from ._ranking_metrics import precision_at_k_score, recall_at_k_score
from ._validation import read_sample_weight

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
    if average not in ("micro", "samples", "macro"):
        raise ValueError(f"average={average!r} is unknown; choose 'micro', 'samples' or 'macro'.")
    if n_thresholds is not None and n_thresholds < 2:
        raise ValueError(f"n_thresholds={n_thresholds} must be at least 2, or None for all.")
    pool = _score_pool(y_true, y_score, sample_weight)
    points = curve([pool], ScoreMap(), "jaccard", average, n_thresholds)
    return points["scores"], points["thresholds"]
