"""The penalty of ``alpha="auto"``: how strong, by the shape of X."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["automatic_c"]

# Rows with a larger share of non-zeros, among the features that occur, count as dense:
# text and one-hot columns have at most a few percent, images from a fifth on.
_DENSE_SHARE = 0.1


@dataclass(frozen=True)
class _Rule:
    """``factor * sqrt(n_features / n_rows)`` within bounds for sparse rows, else a constant."""

    factor: float
    low: float
    high: float
    dense: float


_RULES = {
    "softmax": _Rule(18.0, 2.0, 250.0, 10.0),
    "sigmoid": _Rule(7.0, 1.0, 100.0, 6.5),
    "squared_hinge": _Rule(0.3, 0.06, 4.0, 0.5),
}


def automatic_c(loss: str, *, n_rows: float, n_features: int, share: float) -> float:
    """C of a penalty ``alpha = r^2 / (C n_rows)``, with r^2 the scale of the squared norms.

    The best C falls with the number of rows and rises with that of the features: a weight of
    a feature that few rows have is known by few rows, and rows of many features have many
    ways to be told apart. Figures are ratios of the held-out micro Jaccard index at the best
    cutoff to that with the best C of a grid (factors of 2, 20 epochs).

    ============================  =======  =======  =============
    worst ratio on                sigmoid  softmax  squared hinge
    ============================  =======  =======  =============
    13 sparse sets, this rule     .976     .978     .972
    13 sparse sets, best constant .968     .962     .972
    ============================  =======  =======  =============

    The sparse sets: three of text and bibliographic data and one of imported modules, as
    binary, counted, tf-idf and pairs of words, whole and in parts (334 to 21,519 rows, 200
    to 61,184 features, 22 to 735 labels). On dense tables C does not follow this law, and a
    constant is at most 3 % from the best. ``benchmarks/defaults.py`` measures both again.

    Parameters
    ----------
    loss : {"softmax", "sigmoid", "squared_hinge"}
    n_rows : float
        Number of rows; in (0, inf).
    n_features : int
        Number of features that are not 0 everywhere.
    share : float
        Share of non-zeros among the values of those; in [0, 1].

    Returns
    -------
    C : float
    """
    rule = _RULES[loss]
    if share >= _DENSE_SHARE:
        return rule.dense
    return float(np.clip(rule.factor * np.sqrt(n_features / n_rows), rule.low, rule.high))
