"""Slow NumPy twins of the kernels of `_kernels.linear`, for the tests.

Written from the formulas, without a view to the compiled code: every loss is spelled out
for whole rows in float64, the penalty is applied to the weights themselves.
"""

from __future__ import annotations

import numpy as np

from skmultireduce._data.rows import Rows
from skmultireduce._reductions.targets import Targets

__all__ = ["gradient", "row_loss", "sgd_epoch", "to_dense"]


def to_dense(rows: Rows) -> np.ndarray:
    """X as a float64 array."""
    if rows.dense:
        return rows.data.reshape(rows.shape).astype(np.float64)
    X = np.zeros(rows.shape)
    for i in range(rows.shape[0]):
        for p in range(rows.indptr[i], rows.indptr[i + 1]):
            X[i, rows.indices[p]] += rows.data[p]
    return X


def _log_sigmoid(z: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0, -z)


def row_loss(
    z: np.ndarray,
    labels: np.ndarray,
    label_weight: np.ndarray,
    *,
    loss: str,
    soft_target: bool = False,
) -> float:
    """Loss of one row of scores with a label set, with row weight 1."""
    if loss == "softmax":
        log_p = z - np.logaddexp.reduce(z)
        return float(-(label_weight * log_p[labels]).sum())
    target = np.zeros(len(z))
    positive = np.zeros(len(z))
    target[labels] = 1 / len(labels) if soft_target and len(labels) else 1
    positive[labels] = target[labels] * label_weight
    if loss == "sigmoid":
        return float(-(positive * _log_sigmoid(z) + (1 - target) * _log_sigmoid(-z)).sum())
    hinge_positive = np.maximum(0, 1 - z) ** 2
    hinge_negative = np.maximum(0, 1 + z) ** 2
    return float((positive * hinge_positive + (1 - target) * hinge_negative).sum())


def gradient(
    z: np.ndarray,
    labels: np.ndarray,
    label_weight: np.ndarray,
    *,
    loss: str,
    soft_target: bool = False,
) -> np.ndarray:
    """Gradient of `row_loss` in the scores."""
    if loss == "softmax":
        p = np.exp(z - np.logaddexp.reduce(z))
        g = label_weight.sum() * p
        g[labels] -= label_weight
        return g
    target = np.zeros(len(z))
    positive = np.zeros(len(z))
    target[labels] = 1 / len(labels) if soft_target and len(labels) else 1
    positive[labels] = target[labels] * label_weight
    if loss == "sigmoid":
        p = np.exp(_log_sigmoid(z))
        return positive * (p - 1) + (1 - target) * p
    return -2 * positive * np.maximum(0, 1 - z) + 2 * (1 - target) * np.maximum(0, 1 + z)


def sgd_epoch(
    weights: np.ndarray,
    intercept: np.ndarray,
    rows: Rows,
    targets: Targets,
    *,
    order: np.ndarray,
    shown: tuple[np.ndarray, np.ndarray],
    max_step: np.ndarray,
    eta: float,
    eta_change: float,
    alpha: float,
    intercept_rate: float,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Train one epoch of linear SGD.

    Parameters
    ----------
    weights : ndarray of shape (n_features, n_labels)
        Weights at the begin.
    intercept : ndarray of shape (n_labels,)
        Intercepts at the begin.
    rows, targets, order, shown, max_step, eta, eta_change, alpha, intercept_rate
        As in the kernel.

    Returns
    -------
    weights, intercept : ndarray
        After the epoch.
    loss : float
        Sum of the rows' losses at the time of their updates.
    """
    X = to_dense(rows)
    W = weights.astype(np.float64).copy()
    b = intercept.astype(np.float64).copy()
    total = 0.0
    for i in order:
        eta += eta_change
        shown_labels = slice(shown[0][i], shown[1][i])
        labels = targets.label_sets.indices[shown_labels]
        label_weight = (
            targets.label_weight[shown_labels].astype(np.float64)
            if len(targets.label_weight)
            else np.ones(len(labels))
        )
        weight = float(targets.row_weight[i]) if len(targets.row_weight) else 1.0
        if weight == 0 or (targets.softmax and len(labels) == 0):
            continue
        form = {"loss": targets.loss.name, "soft_target": targets.soft_target}
        z = X[i] @ W + b
        total += weight * row_loss(z, labels, label_weight, **form)
        g = weight * gradient(z, labels, label_weight, **form)
        step = min(eta, float(max_step[i]))
        b -= step * intercept_rate * g
        W -= step * np.outer(X[i], g)
        W /= 1 + step * alpha
    return W, b, total
