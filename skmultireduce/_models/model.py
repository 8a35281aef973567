"""What every model is: arrays that epochs change, and scores. It knows no estimator."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._data.rows import Rows
from .._reductions.targets import Targets

__all__ = ["Model", "Visit", "check_arrays"]


def check_arrays(arrays: Any, expected: dict[str, tuple[tuple[int, ...], Any]]) -> None:
    """Raise a ValueError if named arrays have other shapes or types than these.

    Parameters
    ----------
    arrays : named tuple of ndarray
    expected : dict
        From name to shape and dtype.
    """
    for name, (shape, dtype) in expected.items():
        array = getattr(arrays, name)
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
            found = f"{getattr(array, 'dtype', type(array).__name__)} {np.shape(array)}"
            raise ValueError(f"`{name}` is {found} and should be {np.dtype(dtype)} {shape}")
        if not array.flags.c_contiguous:
            raise ValueError(f"`{name}` is not contiguous")


@dataclass(frozen=True)
class Visit:
    """One epoch over rows, or its part from one row on, as the kernels take it.

    Parameters
    ----------
    seed : int
        Of the training; in [0, 2**63).
    epoch : int
        Number of the epoch since the model began, from 0.
    first_row : int
        Number of the first of these rows among all rows of the epoch.
    order : ndarray of shape (n_rows,), int64
        Order in which the rows come.
    shown : tuple of two ndarrays of shape (n_rows,), int64
        Range of positions in the label sets that each row shows.
    eta : tuple of float
        Steps at the begin and at the end; between, they change linearly.
    n_ahead : int, default=0
        Number of epochs that have begun and were not waited for yet.
    """

    seed: int
    epoch: int
    first_row: int
    order: np.ndarray
    shown: tuple[np.ndarray, np.ndarray]
    eta: tuple[float, float]
    n_ahead: int = 0

    @property
    def eta_change(self) -> float:
        """Change of the step from row to row."""
        begin, end = self.eta
        return (end - begin) / max(1, len(self.order))


class Model(ABC):
    """Parameters of a model, the epoch that changes them, and their scores.

    Parameters
    ----------
    n_features, n_labels : int
        In [1, inf).
    options : frozen dataclass
        What the user chooses: loss, penalty, steps, dtype. `use` replaces them.

    Attributes
    ----------
    arrays : named tuple of ndarray
        All parameters. Two models of the same layout can exchange them.
    rates : frozen dataclass or None
        What `begin` has resolved by the statistics of all rows; None before.
    """

    # How far the threads may be ahead of each other if nothing looks at the model between
    # epochs: `epoch` then returns before its end. Each costs its order of the rows in memory.
    epochs_ahead = 0

    arrays: Any

    def __init__(self, n_features: int, n_labels: int, options: Any) -> None:
        self.n_features = n_features
        self.n_labels = n_labels
        self.options = options
        self.rates: Any = None

    @property
    def dtype(self) -> np.dtype:
        """Type of the parameters and of the scores."""
        return np.dtype(self.options.dtype)

    def use(self, options: Any) -> None:
        """Go on with other options, of the same dtype."""
        self.options = options

    def naming_memory(self) -> AbstractContextManager:
        """Context in which a MemoryError says how large the model is, and what is smaller."""
        return nullcontext()

    # ----------------------------------------------------------------- parameters
    def copy(self) -> Self:
        """A model that shares no array with this one."""
        twin = copy.copy(self)
        twin.arrays = type(self.arrays)(*(array.copy() for array in self.arrays))
        return twin

    def put(self, arrays: Any) -> None:
        """Take over the values of the arrays of a model of the same layout."""
        for mine, value in zip(self.arrays, arrays, strict=True):
            mine[...] = value

    def plain(self) -> Self:
        """The same model with parameters whose mean over epochs is meaningful."""
        return self

    def make_writeable(self) -> None:
        """Copy what is read-only, as the arrays of memory-mapped models are."""
        self.arrays = type(self.arrays)(
            *(array if array.flags.writeable else array.copy() for array in self.arrays)
        )

    def checksum(self) -> float:
        """A number that is not finite if a parameter is not."""
        return float(sum(np.sum(array, dtype=np.float64) for array in self.arrays))

    def step_to(self, other: Self, n: int) -> None:
        """Move to the mean of n models, of which this is that of n - 1 and `other` the last."""
        for mine, value in zip(self.arrays, other.arrays, strict=True):
            mine += (value - mine) / n

    @abstractmethod
    def check(self) -> None:
        """Raise a ValueError if the arrays are not what the kernels rely on.

        For models that come from a file: the kernels check no bounds.
        """

    # ------------------------------------------------------------------- training
    def check_trains(self) -> None:
        """Raise a ValueError if this form of the model cannot be trained."""
        return

    def sums(self, rows: Rows, targets: Targets) -> dict[str, Any]:
        """Sums over rows that the rates depend on; those of parts of the rows add up.

        ``"n_used"`` is the number of rows whose loss has a weight.
        """
        raise NotImplementedError

    def begin(self, sums: dict[str, Any]) -> None:
        """Resolve what is ``"auto"`` in the options by the sums over all rows; see `rates`."""
        raise NotImplementedError

    def workspace(self, rows: Rows, targets: Targets, n_threads: int) -> Any:
        """Whatever epochs on these rows need beside the parameters.

        Its `threads` are a context of the epochs.
        """
        raise NotImplementedError

    def epoch(self, work: Any, rows: Rows, targets: Targets, visit: Visit) -> Callable[[], float]:
        """Begin to train one epoch, or a part of it.

        Returns
        -------
        wait : callable
            Waits for its end, and gives the sum of the losses.
        """
        raise NotImplementedError

    # ---------------------------------------------------------------- predictions
    @abstractmethod
    def scores(self, rows: Rows, first: int, last: int, out: np.ndarray) -> None:
        """Scores of the rows first:last into out, of shape (last - first, n_labels)."""

    def scoring(self, rows: Rows) -> AbstractContextManager:
        """Context that calls of `scores` are made in, from any number of threads."""
        return nullcontext()
