"""What travels between the workers and the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from dask.sizeof import sizeof

from .._data.label_sets import LabelSets, Target
from .._data.rows import Rows
from .._reductions.draws import fold_numbers
from .._reductions.targets import Targets

CHANGED = (
    "Partitions that were computed again, because a worker was lost, are not what they were. Let "
    "the graph of X and y give the same rows each time, or store them first."
)


@dataclass(frozen=True)
class Block:
    """A partition as the kernels take it."""

    rows: Rows
    label_sets: LabelSets
    weight: np.ndarray | None
    target: Target
    names: np.ndarray | None


@dataclass(frozen=True)
class Facts:
    """What the client knows of a partition."""

    n_rows: int
    n_features: int = 0
    target: Target | None = None
    names: np.ndarray | None = None
    dense: bool = False
    weighted: bool = False


@dataclass(frozen=True)
class Cut:
    """The rows first:last of a block of this shape."""

    first: int
    last: int
    shape: tuple[int, int]


@dataclass(frozen=True)
class RawShard:
    """Rows first_row and following, of one worker."""

    first_row: int
    rows: Rows
    label_sets: LabelSets
    weight: np.ndarray | None


@dataclass(frozen=True)
class Shard:
    """A shard that is ready to be trained on."""

    first_row: int
    rows: Rows
    targets: Targets
    work: Any = None


@dataclass(frozen=True)
class Trained:
    """A copy of the model after an epoch on a shard; weights are scale * flat."""

    flat: np.ndarray
    scale: float
    loss: float
    n_rows: int


@dataclass(frozen=True)
class Split:
    """Which rows are held out, as a function of the global row number."""

    seed: int
    n_folds: int = 1
    test_size: float | None = None

    def folds(self, n_rows: int, first_row: int) -> np.ndarray:
        """Fold in which each row is held out."""
        return fold_numbers(
            n_rows,
            seed=self.seed,
            n_folds=self.n_folds,
            test_size=self.test_size,
            first_row=first_row,
        )


@dataclass(frozen=True)
class Held:
    """The rows first_row and following, held out in one fold of a split, or all of them."""

    split: Split | None
    fold: int
    first_row: int

    def rows(self, n_rows: int, *, train: bool = False) -> np.ndarray | None:
        """Numbers within the partition; None for all of them."""
        if self.split is None:
            return None
        held = self.split.folds(n_rows, self.first_row) == self.fold
        return np.flatnonzero(held != train)


@sizeof.register((Block, RawShard, Shard, Trained, Rows, LabelSets, Targets))
def sizeof_fields(value: Any) -> int:
    # So that the scheduler knows what moving it would cost.
    return sum(sizeof(field) for field in vars(value).values())
