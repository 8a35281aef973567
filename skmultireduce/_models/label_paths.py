"""Why a label: the nodes on its path, and what features add to their scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._data.rows import Rows
from .._kernels.tree import CHUNK
from .label_search import Searcher
from .label_tree import LabelTreeModel

__all__ = ["PathStep", "explain_path"]


class PathStep(NamedTuple):
    """A node on the way to a label.

    Parameters
    ----------
    node : int
        Number of the node in its tree.
    probability : float
        That it has labels of the row below it, given that its parent has.
    score : float
        What the probability is made of: intercept and contributions of all features.
    intercept : float
    features : ndarray of shape (n,), int64
        Features that add most, by magnitude.
    contributions : ndarray of shape (n,), float32
        What they add to the score.
    """

    node: int
    probability: float
    score: float
    intercept: float
    features: np.ndarray
    contributions: np.ndarray


def explain_path(
    model: LabelTreeModel, rows: Rows, label: int, n_features: int
) -> list[list[PathStep]]:
    """Path to a label, for each row."""
    path = model.tree.paths(np.array([label]))
    path = path[path[:, 0] >= 0]
    pair_rows = np.arange(rows.shape[0], dtype=np.int32)
    products = Searcher(model, rows).along(pair_rows, np.repeat(path, rows.shape[0], axis=1))
    before = np.vstack([np.ones(rows.shape[0], dtype=np.float32), products[:-1]])
    shares = np.divide(products, before, out=np.zeros_like(products), where=before > 0)
    out: list[list[PathStep]] = [[] for _ in range(rows.shape[0])]
    for level, node in enumerate(path[:, 0].tolist()):
        columns, weights = _weights(model, level, node)
        intercept = float(model.intercepts[node])
        for row in range(rows.shape[0]):
            part = slice(rows.indptr[row], rows.indptr[row + 1])
            at = np.searchsorted(columns, rows.indices[part])
            at[at == len(columns)] = 0
            hit = columns[at] == rows.indices[part] if len(columns) else np.zeros(len(at), bool)
            features = rows.indices[part][hit].astype(np.int64)
            adds = rows.data[part][hit] * weights[at[hit]]
            most = np.argsort(-np.abs(adds), kind="stable")[:n_features]
            score = intercept + float(adds.sum())
            step = PathStep(
                node, float(shares[level, row]), score, intercept, features[most], adds[most]
            )
            out[row].append(step)
    return out


def _weights(model: LabelTreeModel, level: int, node: int) -> tuple[np.ndarray, np.ndarray]:
    """Features, ascending, and weights of a node."""
    tree = model.tree
    parent = tree.parents[node]
    rank = int(node - tree.first_child[parent])
    first = model.first_chunk[tree.levels[level]]
    chunk = int(model.first_chunk[parent] - first) + rank // CHUNK
    features, children, values = model.chunks[level].entries(chunk)
    own = children == rank % CHUNK
    return features[own], values[own]
