"""What a training has seen of a stream of batches, by which its penalty follows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .._data.distinct import DistinctRows
from .._data.label_sets import LabelSets
from .._data.rows import Rows

__all__ = ["Arrivals"]

# The sums over rows that automatic penalties depend on.
_NAMES = ("n_rows", "n_used", "total", "sample_weight", "n_values", "filled")


@dataclass
class Arrivals:
    """Sums over the rows that have come so far, each distinct row once.

    Parameters
    ----------
    sums : dict
        See `LinearModel.sums`; over all batches, also those that came again.
    distinct : DistinctRows or None, default=None
        Of the batches, once there is one.
    n_before : int, default=0
        Number of rows that came before, in a fit.
    n_batches : int, default=0
        Number of their rows.
    """

    sums: dict[str, Any]
    distinct: DistinctRows | None = None
    n_before: int = 0
    n_batches: int = 0

    @classmethod
    def after(cls, sums: dict[str, Any]) -> Arrivals:
        """The rows of a fit, or of a first batch, have come."""
        kept = {name: sums[name] for name in _NAMES if name in sums}
        return cls(kept, n_before=kept["n_rows"])

    def copy(self) -> Arrivals:
        """One that shares nothing with this one that changes."""
        return replace(
            self, sums=dict(self.sums), distinct=self.distinct and replace(self.distinct)
        )

    def tell_apart(self, rows: Rows, label_sets: LabelSets) -> None:
        """Know the rows of a first batch again, whose sums are here."""
        self.n_before -= rows.shape[0]
        self._count(rows, label_sets)

    def add(self, rows: Rows, label_sets: LabelSets, sums: dict[str, Any]) -> None:
        """Take in a batch and the sums over its rows."""
        self._count(rows, label_sets)
        for name in self.sums:
            self.sums[name] = self.sums[name] + sums[name]

    def _count(self, rows: Rows, label_sets: LabelSets) -> None:
        if self.distinct is None:
            self.distinct = DistinctRows()
        self.distinct.add(rows, label_sets)
        self.n_batches += rows.shape[0]

    def once(self) -> dict[str, Any]:
        """The sums with each distinct row once, as if they had come in one go."""
        n_rows = self.n_before + self.n_batches
        n_distinct = self.distinct.count if self.distinct else 0
        share = (self.n_before + min(self.n_batches, n_distinct)) / n_rows
        counted = {"n_rows", "n_used", "total", "sample_weight", "n_values"}
        return {
            name: value * share if name in counted else value for name, value in self.sums.items()
        }
