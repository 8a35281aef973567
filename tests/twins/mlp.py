"""Slow NumPy twin of ``_kernels/mlp.pyx``, for the tests.

Written from the formulas: one row after the other, weights of the output layer updated at
once, in float64.
"""

from __future__ import annotations

import numpy as np

from skmultireduce._data.rows import Rows
from skmultireduce._reductions.targets import Targets

from .linear import gradient, row_loss, to_dense

__all__ = ["forward", "mlp_epoch"]

_ACTIVATIONS = {
    "identity": (lambda a: a, lambda a: np.ones_like(a)),
    "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0).astype(float)),
    "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2),
}

Layers = list[tuple[np.ndarray, np.ndarray]]


def forward(
    x: np.ndarray, embedding: np.ndarray, hidden: Layers, activation: str, masks: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One pooled row through the layers below the output.

    Parameters
    ----------
    x : ndarray of shape (n_features,)
        The row.
    embedding : ndarray of shape (n_features, embedding_dim)
        Embeddings.
    hidden : list of (ndarray of shape (n_out, n_in), ndarray of shape (n_out,))
        Weights and intercepts.
    activation : {"identity", "relu", "tanh"}
        Of the hidden layers.
    masks : list of ndarray
        Factor of each unit of each layer, embeddings first.

    Returns
    -------
    outputs, inputs : list of ndarray
        What leaves each layer, and what entered its activation.
    """
    function, _ = _ACTIVATIONS[activation]
    inputs = [x @ embedding]
    outputs = [inputs[0] * masks[0]]
    for (weights, intercept), mask in zip(hidden, masks[1:], strict=True):
        inputs.append(weights @ outputs[-1] + intercept)
        outputs.append(function(inputs[-1]) * mask)
    return outputs, inputs


def mlp_epoch(
    embedding: np.ndarray,
    hidden: Layers,
    output: np.ndarray,
    intercept: np.ndarray,
    rows: Rows,
    targets: Targets,
    *,
    activation: str,
    row_factor: np.ndarray,
    order: np.ndarray,
    shown: tuple[np.ndarray, np.ndarray],
    curvature: np.ndarray,
    masks: np.ndarray,
    batch_size: int,
    eta: float,
    eta_change: float,
    alpha: float,
    embedding_rate: float,
    hidden_rate: float,
    output_rate: float,
    intercept_rate: float,
    largest_step: float,
    largest_change: float,
    samples: list[np.ndarray] | None = None,
    inclusion: np.ndarray | None = None,
) -> tuple[np.ndarray, Layers, np.ndarray, np.ndarray, float]:
    """Train one epoch.

    Parameters
    ----------
    embedding, hidden, output, intercept : ndarray or list of pairs of ndarray
        Parameters at the begin.
    rows, targets, order, shown, curvature : see the kernel
    masks : ndarray of shape (n_rows, n_units)
        Factors of the units of the rows in this order.
    batch_size, eta, eta_change, alpha, *_rate, largest_step, largest_change : see the kernel
    samples : list of ndarray, default=None
        Labels in the sample of each batch of a sampled softmax.
    inclusion : ndarray of shape (n_labels,), default=None
        Probability with which each label is in a sample.

    Returns
    -------
    embedding, hidden, output, intercept
        After the epoch.
    loss : float
        Sum of the rows' losses at the time of their updates.
    """
    X = to_dense(rows) * row_factor[:, None]
    E, U, b = (a.astype(np.float64).copy() for a in (embedding, output, intercept))
    hidden = [(w.astype(np.float64).copy(), v.astype(np.float64).copy()) for w, v in hidden]
    widths = [E.shape[1], *(len(v) for _, v in hidden)]
    cuts = np.cumsum(widths)[:-1]
    _, slope = _ACTIVATIONS[activation]
    total = 0.0
    for begin in range(0, len(order), batch_size):
        before = U.copy()
        decays = np.ones(3)
        E_change = np.zeros_like(E)
        changes = [(np.zeros_like(w), np.zeros_like(v)) for w, v in hidden]
        for position in range(begin, min(begin + batch_size, len(order))):
            i = order[position]
            shown_labels = slice(shown[0][i], shown[1][i])
            labels = targets.label_sets.indices[shown_labels]
            label_weight = np.ones(len(labels))
            if len(targets.label_weight):
                label_weight = targets.label_weight[shown_labels].astype(np.float64)
            weight = float(targets.row_weight[i]) if len(targets.row_weight) else 1.0
            if weight == 0 or (targets.softmax and len(labels) == 0):
                continue
            mask = np.split(masks[position], cuts)
            outputs, inputs = forward(X[i], E, hidden, activation, mask)
            h = outputs[-1]
            form = {"loss": targets.loss.name, "soft_target": targets.soft_target}
            z = U @ h + b
            if samples is not None:
                # No probability but for the sample and the label itself.
                out = np.setdiff1d(np.arange(len(b)), [*samples[begin // batch_size], *labels])
                z = z - np.log(inclusion)
                z[out] = -np.inf
            total += weight * row_loss(z, labels, label_weight, **form)
            g = weight * gradient(z, labels, label_weight, **form)
            step = eta + eta_change * (position + 0.5)
            square = curvature[i] * output_rate * (h @ h + intercept_rate)
            if step * square > largest_step:
                step = largest_step / square
            U -= step * output_rate * np.outer(g, h)
            b -= step * output_rate * intercept_rate * g
            rates = np.array([embedding_rate, hidden_rate, output_rate])
            decays *= 1 + step * alpha * rates
            d = before.T @ g
            for k in range(len(hidden) - 1, -1, -1):
                d = d * mask[k + 1] * slope(inputs[k + 1])
                changes[k][0][...] += step * hidden_rate * np.outer(d, outputs[k])
                changes[k][1][...] += step * hidden_rate * d
                d = hidden[k][0].T @ d
            E_change += step * embedding_rate * np.outer(X[i], d * mask[0])
        E = E / decays[0] - E_change
        for (w, v), (w_change, v_change) in zip(hidden, changes, strict=True):
            size = np.sqrt(np.sum(w_change**2) + np.sum(v_change**2))
            bound = largest_change * np.sqrt(np.sum(w**2) + np.sum(v**2))
            factor = bound / size if size > bound else 1.0
            w /= decays[1]
            w -= factor * w_change
            v -= factor * v_change
        U += before / decays[2] - before
    return E, hidden, U, b, total
