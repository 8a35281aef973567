"""What the rates of linear models go by: the scale of the rows, and the penalty that suits X."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data.rows import Rows
from .._reductions.table import LOSSES
from .._reductions.targets import Targets

__all__ = ["automatic_c", "automatic_penalty", "row_scale", "row_sums"]

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
    constant is at most 3 % from the best. ``benchmarks/tuning.py penalty`` compares the rule
    with the best C on five sets.

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


def row_sums(rows: Rows, targets: Targets, *, shape: bool) -> dict[str, Any]:
    """Sums over rows that the rates depend on; those of parts may be added.

    Parameters
    ----------
    rows : Rows
    targets : Targets
    shape : bool
        Whether an automatic penalty needs the shape of X as well.
    """
    norms = rows.squared_norms
    total = targets.total_weight()
    used = total > 0
    share = targets.row_share
    measured = used & (norms > 0)
    sums = {
        "n_rows": rows.shape[0],
        "n_used": int(np.count_nonzero(used)),
        "share": float(share[measured].sum()),
        "square": float((norms[used] * share[used]).sum()),
        "used_share": float(share[used].sum()),
        "log_square": float((np.log(norms[measured]) * share[measured]).sum()),
        "total": float(total[used].sum()),
        "sample_weight": targets.sample_weight_sum,
    }
    if shape:
        counts = rows.nonzero_counts()
        sums |= {"n_values": int(counts.sum()), "filled": counts > 0}
    return sums


def row_scale(sums: dict[str, Any]) -> float:
    """The geometric mean of the squared norms: neither one row nor heavy tails carry it away."""
    return float(np.exp(sums["log_square"] / sums["share"])) if sums["share"] else 1.0


def automatic_penalty(
    loss: str, sums: dict[str, Any], square: float, *, factor: float = 1.0
) -> float:
    """Penalty by the C of `automatic_c`, times a factor.

    Parameters
    ----------
    loss : {"softmax", "sigmoid", "squared_hinge"}
    sums : dict
        Of `row_sums`, with the shape.
    square : float
        Scale of the squared norms.
    factor : float, default=1.0
        Of C.
    """
    n_features = int(np.count_nonzero(sums["filled"]))
    c = factor * automatic_c(
        loss,
        n_rows=sums["n_used"],
        n_features=n_features,
        share=sums["n_values"] / max(1, sums["n_rows"] * n_features),
    )
    size = sums["total"] / sums["n_used"] if LOSSES[loss].softmax else 1.0
    return square * size / (c * sums["sample_weight"])
