"""Slow NumPy twin of the label tree: of its training, its probabilities and its searches.

Written from the definitions: every node is a dense linear model in float64 that sees the rows
with a label below it, a label's probability is a product along its path, searches look at all
labels.
"""

from __future__ import annotations

import numpy as np

from twins.linear import gradient

__all__ = ["best", "label_vectors", "node_order", "node_probabilities", "train_tree"]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(z: int) -> int:
    z ^= z >> 30
    z = z * 0xBF58476D1CE4E5B9 & _MASK
    z ^= z >> 27
    z = z * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)


def node_order(n: int, seed: int, node: int, epoch: int) -> list[int]:
    """Order in which a node sees its rows: Fisher and Yates with splitmix64."""
    key = _mix(seed + node * _GOLDEN & _MASK)
    key = _mix(key + epoch * 0xD1B54A32D192ED03 & _MASK)
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = (_mix(key + i * _GOLDEN & _MASK) >> 32) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return order


def node_probabilities(scores: np.ndarray, kind: str, normalized: bool = False) -> np.ndarray:
    """Probabilities of the children of a node from scores of shape (n_rows, n_children)."""
    if kind == "softmax":
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if kind == "logistic":
        p = np.exp(-np.logaddexp(0, -scores))
    elif kind == "exponential":
        p = np.exp(-(np.maximum(0, 1 - scores) ** 2))
    else:
        u = (1 + scores) / 2
        low = 0.05 * np.exp(np.maximum(np.minimum(u, 0.05) / 0.05 - 1, -13))
        high = 1 - 0.05 * np.exp(np.maximum(np.minimum(1 - u, 0.05) / 0.05 - 1, -13))
        p = np.where(u < 0.05, low, np.where(u > 0.95, high, u))
    return p / p.sum(axis=1, keepdims=True) if normalized else p


def train_tree(
    tree,
    X: np.ndarray,
    Y: np.ndarray,
    *,
    loss: str,
    steps: np.ndarray,
    alpha: float,
    intercept_rate: float,
    max_step: np.ndarray,
    seed: int,
    row_weight: np.ndarray | None = None,
    picks: np.ndarray | None = None,
    min_magnitude: float = 0.0,
    negatives: dict[int, list[int]] | None = None,
    first_epoch: int = 0,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of shape (n_features, n_nodes) and intercepts of all nodes.

    Parameters
    ----------
    Y : ndarray of shape (n_rows, n_labels)
        Weights of the labels of each row, 0 for the others.
    picks : ndarray of shape (n_epochs, n_rows)
        Label that each row shows.
    negatives : dict
        Rows that train a node beside those with a label below it.
    The others : as in `LabelTreeModel.train_level`.
    """
    below = np.zeros((tree.n_nodes, Y.shape[1]), dtype=bool)
    below[tree.leaves, np.arange(Y.shape[1])] = True
    for v in range(tree.n_nodes - 1, 0, -1):
        below[tree.parents[v]] |= below[v]
    if start is None:
        start = (np.zeros((X.shape[1], tree.n_nodes)), np.zeros(tree.n_nodes))
    W, b = start[0].copy(), start[1].copy()
    weights = np.ones(len(X)) if row_weight is None else row_weight
    for v in range(tree.n_nodes):
        children = np.arange(tree.first_child[v], tree.first_child[v + 1])
        if len(children) == 0:
            continue
        rows = [i for i in range(len(X)) if Y[i, below[v]].any()]
        rows = sorted({*rows, *(negatives or {}).get(v, [])})
        # Multiplicity of each child: weights of its labels.
        mass = Y @ below[children].T
        w, c = W[:, children], b[children]
        for epoch, (begin, end) in enumerate(steps):
            change = (end - begin) / max(1, len(rows))
            eta = begin - change / 2
            for position in node_order(len(rows), seed, v, first_epoch + epoch):
                i = rows[position]
                eta += change
                labels = np.flatnonzero(mass[i])
                share = mass[i, labels] if loss == "softmax" else np.ones(len(labels))
                if picks is not None:
                    labels = np.flatnonzero(below[children, picks[epoch, i]])
                    share = np.ones(len(labels))
                if weights[i] == 0 or (loss == "softmax" and len(labels) == 0):
                    continue
                g = weights[i] * gradient(X[i] @ w + c, labels, share, loss=loss)
                total = share.sum() if loss == "softmax" else 1
                step = min(eta, max_step[i] / total)
                c = c - step * intercept_rate * g
                w = (w - step * np.outer(X[i], g)) / (1 + step * alpha)
        W[:, children], b[children] = w, c
    return np.where(np.abs(W) >= min_magnitude, W, 0), b


def label_probabilities(tree, scores: np.ndarray, kind: str, normalized: bool = False):
    """Probabilities of all labels from the scores of all nodes, of shape (n_rows, n_nodes)."""
    p = np.ones_like(scores)
    for v in range(tree.n_nodes):
        children = slice(tree.first_child[v], tree.first_child[v + 1])
        if children.stop > children.start:
            p[:, children] = p[:, [v]] * node_probabilities(scores[:, children], kind, normalized)
    return p[:, tree.leaves]


def best(P: np.ndarray, k: int) -> list[list[int]]:
    """The k most probable labels of each row, ascending; ties go to the smaller label."""
    return [sorted(np.lexsort((np.arange(P.shape[1]), -row))[:k].tolist()) for row in P]


def label_vectors(X: np.ndarray, Y: np.ndarray, smallest: float, most: int) -> np.ndarray:
    """Unit vectors of labels: sums of their rows without small entries."""
    V = Y.T @ X
    for row in V:
        row[np.abs(row) < smallest * np.abs(row).max(initial=0)] = 0
        row[np.argsort(-np.abs(row), kind="stable")[most:]] = 0
        norm = np.linalg.norm(row)
        row /= norm if norm > 0 else 1
    return V
