"""Linear models: one matrix of weights, trained by stochastic gradient descent."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .._data.rows import Rows
from .._kernels import linear as _kernel
from .._kernels.dense import label_bounds
from .._reductions.table import LOSSES
from .._reductions.targets import Targets
from .dense import BlockWork, block_scores, takes_blocks
from .memory import aligned_zeros, naming_memory, padded
from .model import Model, Visit, check_arrays
from .penalty import automatic_penalty, row_scale, row_sums
from .threads import Threads, one_blas_thread

__all__ = ["LinearArrays", "LinearModel", "LinearOptions", "LinearRates"]

# The intercept learns as the weight of a feature with this square, relative to the scale of
# the squared row norms. It moves with every row; at 1 its noise costs up to 0.5 % of the best
# Jaccard index (measured at 1, 0.1 and 0 on text and dense sets), at 0 there is none.
_INTERCEPT_SQUARE = 0.1

# A row's step is at most this over its own curvature, so that rows of very different
# norms, large weights or a large eta0 cannot make the model diverge.
_LARGEST_STEP = 2.0

# Threads pay only if each has this many labels.
_LABELS_A_THREAD = 48

_LESS_MEMORY = (
    "Use fewer features (HashingVectorizer(n_features=...), min_df of a vectorizer, feature "
    "selection) or fewer labels, dtype='float32', or MultiLabelMLPClassifier, whose memory is "
    "embedding_dim times features plus labels."
)


@dataclass(frozen=True)
class LinearOptions:
    """What the user chooses of a linear model.

    Parameters
    ----------
    loss : {"softmax", "sigmoid", "squared_hinge"}
        Loss of the kernels.
    alpha, eta0 : float or "auto"
        Penalty and first step.
    alpha_scale : float, default=1.0
        Factor of an automatic penalty.
    fit_intercept : bool
    dtype : {"float32", "float64"}
    """

    loss: str
    alpha: float | str = "auto"
    alpha_scale: float = 1.0
    eta0: float | str = "auto"
    fit_intercept: bool = True
    dtype: str = "float32"


class LinearArrays(NamedTuple):
    """Parameters of a linear model.

    Attributes
    ----------
    weights : ndarray of shape (n_features * stride,)
        The panels, one after the other.
    intercepts : ndarray of shape (stride,)
        Those of the labels, and zeros.
    decay : ndarray of shape (1,), float64
        Factor of the weights: the penalty changes one number a row.
    """

    weights: np.ndarray
    intercepts: np.ndarray
    decay: np.ndarray


@dataclass(frozen=True)
class LinearRates:
    """Penalty, first step, and the scale of the squared norms that they are relative to."""

    alpha: float
    eta0: float
    square: float
    intercept_square: float


def _panel_bounds(n_labels: int, n_panels: int) -> list[int]:
    """Bounds of so many panels of about equal size, or fewer: of whole blocks of labels."""
    ends = label_bounds(n_labels)
    chosen = np.linspace(0, len(ends) - 1, min(n_panels, len(ends) - 1) + 1).astype(int)
    return [ends[k] for k in chosen]


@dataclass
class _Work:
    """What the epochs of one fit need beside the parameters."""

    max_step: np.ndarray
    buffers: list[np.ndarray]
    n_groups: int
    threads: Threads
    # Factors of each panel; the same once all have ended an epoch.
    decays: list[np.ndarray]
    # None: rows come one by one.
    blocks: BlockWork | None


class LinearModel(Model):
    """Scores ``X @ coef.T + intercepts``.

    The weights of a label are a column of a panel; a thread trains one panel. With all
    labels in one matrix, the part of a row that one core prefetches beyond its labels is
    what another has just written: two threads were slower than one (159 labels x 68 values:
    9.5 against 7.8 ms an epoch).

    Parameters
    ----------
    n_features, n_labels : int
        In [1, inf).
    options : LinearOptions
    n_threads : int, default=1
        Threads that training may use: of the losses of single labels. The result does not
        depend on it.
    bounds : list of int, default=None
        Bounds of the panels, instead of those that `n_threads` asks for.
    arrays : LinearArrays, default=None
        Parameters. None: zeros.
    """

    # Threads have labels of their own.
    epochs_ahead = 2

    options: LinearOptions
    rates: LinearRates | None

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        options: LinearOptions,
        *,
        n_threads: int = 1,
        bounds: list[int] | None = None,
        arrays: LinearArrays | None = None,
    ) -> None:
        super().__init__(n_features, n_labels, options)
        if bounds is None:
            n_panels = 1
            if not LOSSES[options.loss].softmax:
                n_panels = max(1, min(n_threads, n_labels // _LABELS_A_THREAD))
            bounds = _panel_bounds(n_labels, n_panels)
        self._lay_out(bounds)
        self.arrays = arrays or self._zeros()

    def naming_memory(self) -> AbstractContextManager:
        """Context in which a MemoryError says how large the model is, and what is smaller."""
        matrices = {"features x labels": (self.n_features, self.n_labels)}
        return naming_memory(matrices, self.dtype, _LESS_MEMORY)

    def _lay_out(self, bounds: list[int]) -> None:
        """Take these bounds of the panels, and the widths that follow."""
        self.bounds = bounds
        self.widths = [padded(n, self.dtype) for n in np.diff(bounds).tolist()]

    def _zeros(self) -> LinearArrays:
        with self.naming_memory():
            return LinearArrays(
                aligned_zeros((self.n_features * self.stride,), self.dtype),
                aligned_zeros((self.stride,), self.dtype),
                np.ones(1),
            )

    @property
    def stride(self) -> int:
        """Values of one feature in all panels."""
        return sum(self.widths)

    def panels(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Blocks of labels first:last, each with its weights of shape (n_features, width)."""
        start = 0
        for (first, last), width in zip(pairwise(self.bounds), self.widths, strict=True):
            stop = start + self.n_features * width
            yield first, last, self.arrays.weights[start:stop].reshape(self.n_features, width)
            start = stop

    @property
    def coef(self) -> np.ndarray:
        """Weights of shape (n_labels, n_features)."""
        panels = [panel[:, : last - first] for first, last, panel in self.panels()]
        out = panels[0] if len(panels) == 1 else np.concatenate(panels, axis=1)
        decay = self.arrays.decay[0]
        return (out if decay == 1 else out * out.dtype.type(decay)).T

    @property
    def intercepts(self) -> np.ndarray:
        """Intercepts of shape (n_labels,)."""
        return self.arrays.intercepts[: self.n_labels]

    def use(self, options: LinearOptions) -> None:
        """Go on with other options.

        A softmax is over all labels: if the training before was of another loss, they may
        be in several panels, and are laid out in one.
        """
        super().use(options)
        if not LOSSES[options.loss].softmax or len(self.widths) == 1:
            return
        panels, intercepts, decay = list(self.panels()), self.intercepts, self.arrays.decay
        self._lay_out([0, self.n_labels])
        self.arrays = self._zeros()
        ((_, _, joined),) = self.panels()
        for first, last, panel in panels:
            joined[:, first:last] = panel[:, : last - first]
        self.intercepts[:] = intercepts
        self.arrays.decay[:] = decay

    def plain(self) -> LinearModel:
        """The same model with the factor of the penalty in the weights."""
        weights, intercepts, decay = self.arrays
        out = copy.copy(self)
        out.arrays = LinearArrays(weights * weights.dtype.type(decay[0]), intercepts, np.ones(1))
        return out

    def check(self) -> None:
        """Raise a ValueError if the arrays are not what the kernels rely on."""
        bounds = self.bounds
        in_order = (
            all(isinstance(bound, int) for bound in bounds)
            and len(bounds) >= 2
            and (bounds[0], bounds[-1]) == (0, self.n_labels)
            and all(first < last for first, last in pairwise(bounds))
            and all(bound % _kernel.LABEL_GROUP == 0 for bound in bounds[:-1])
        )
        widths = [padded(n, self.dtype) for n in np.diff(bounds).tolist()] if in_order else None
        if self.widths != widths:
            raise ValueError("the panels of labels are not those of a model")
        check_arrays(
            self.arrays,
            {
                "weights": ((self.n_features * self.stride,), self.dtype),
                "intercepts": ((self.stride,), self.dtype),
                "decay": ((1,), np.dtype(np.float64)),
            },
        )

    # ------------------------------------------------------------------- training
    def sums(self, rows: Rows, targets: Targets) -> dict[str, Any]:
        """Sums over rows that the rates depend on."""
        return row_sums(rows, targets, shape=self.options.alpha == "auto")

    def begin(self, sums: dict[str, Any]) -> None:
        """Resolve penalty and first step."""
        loss, eta0 = self.options.loss, self.options.eta0
        square = row_scale(sums)
        # With a given step the intercept's is relative to the mean, as it always was.
        mean = sums["square"] / sums["used_share"] or 1.0
        if not np.isfinite(square) or not np.isfinite(mean):
            raise ValueError(
                "The squared norms of X's rows overflow. Scale X, for example with "
                "sklearn.preprocessing.MaxAbsScaler or Normalizer."
            )
        curvature = LOSSES[loss].smoothness * square * (sums["total"] / sums["n_used"])
        self.rates = LinearRates(
            alpha=self._penalty(sums, square),
            eta0=float(eta0) if eta0 != "auto" else 1 / curvature,
            square=square,
            intercept_square=square if eta0 == "auto" else mean,
        )

    def renew_penalty(self, sums: dict[str, Any]) -> None:
        """Resolve an automatic penalty again, by the sums of more rows."""
        self.rates = replace(self.rates, alpha=self._penalty(sums, self.rates.square))

    def _penalty(self, sums: dict[str, Any], square: float) -> float:
        loss, alpha = self.options.loss, self.options.alpha
        if alpha != "auto":
            return float(alpha)
        return self.options.alpha_scale * automatic_penalty(loss, sums, square)

    @property
    def _intercept_rate(self) -> float:
        if not self.options.fit_intercept:
            return 0.0
        return _INTERCEPT_SQUARE * self.rates.intercept_square

    def workspace(self, rows: Rows, targets: Targets, n_threads: int) -> _Work:
        """Longest steps of the rows, buffers of the kernel, and threads."""
        curvature = targets.total_weight() * (rows.squared_norms + self._intercept_rate)
        curvature *= targets.loss.smoothness
        max_step = np.full(rows.shape[0], np.finfo(self.dtype).max, dtype=self.dtype)
        np.divide(
            _LARGEST_STEP, curvature, out=max_step, where=curvature > 1e-30, casting="same_kind"
        )
        blocks = None
        if takes_blocks(rows):
            blocks = BlockWork(
                self.n_features,
                self.n_labels,
                softmax=targets.softmax,
                n_threads=n_threads,
                n_panels=len(self.widths),
                dtype=self.dtype,
            )
        buffers = []
        for _ in self.widths if blocks is None else ():
            # Scores, products of the losses' factors, sums of the losses, spare.
            buffer = aligned_zeros((4, self.stride), self.dtype)
            buffer[1] = 1
            buffers.append(buffer)
        return _Work(
            max_step=max_step,
            buffers=buffers,
            n_groups=-(-self.n_labels // _kernel.LABEL_GROUP),
            threads=(
                Threads(min(n_threads, len(self.widths)))
                if blocks is None
                else Threads(blocks.n_threads, one_blas_thread)
            ),
            decays=[],
            blocks=blocks,
        )

    def epoch(
        self, work: _Work, rows: Rows, targets: Targets, visit: Visit
    ) -> Callable[[], float]:
        """Begin to train one epoch, or a part of it."""
        panels = list(self.panels())
        # Cache lines apart, or threads would take them from each other.
        losses = [aligned_zeros((work.n_groups + 8,), np.float64) for _ in panels]
        if not visit.n_ahead:
            work.decays = [self.arrays.decay.copy() for _ in panels]
        decays = work.decays

        if work.blocks is not None and work.blocks.softmax:
            return self._softmax_epoch(work, rows, targets, visit)

        def run(number: int) -> None:
            first, last, panel = panels[number]
            if work.blocks is not None:
                work.blocks.train(
                    number,
                    panels[number],
                    (self.arrays.intercepts, decays[number]),
                    rows,
                    targets,
                    visit,
                    work.max_step,
                    (self.rates.alpha, self._intercept_rate),
                    losses[number],
                )
                return
            _kernel.sgd_epoch(
                panel,
                self.arrays.intercepts,
                decays[number],
                rows.data,
                rows.indices,
                rows.indptr,
                visit.order,
                *visit.shown,
                targets.label_sets.indices,
                targets.label_weight,
                targets.row_weight,
                work.max_step,
                targets.loss.code,
                targets.soft_target,
                # The middle of each row's interval.
                visit.eta[0] - visit.eta_change / 2,
                visit.eta_change,
                self.rates.alpha,
                self._intercept_rate,
                first,
                last,
                work.buffers[number],
                losses[number],
            )

        wait = work.threads.begin(run, len(panels))

        def total_loss() -> float:
            wait()
            self.arrays.decay[:] = decays[0]
            # Each entry is of one panel: the sum does not depend on their number.
            return float(np.sum(losses, axis=0).sum())

        return total_loss

    def _softmax_epoch(
        self, work: _Work, rows: Rows, targets: Targets, visit: Visit
    ) -> Callable[[], float]:
        """Train one epoch by blocks of rows; threads meet at each of them."""
        (panel,) = self.panels()
        loss = np.zeros(work.n_groups)
        # Losses of several threads are of labels of their own.
        work.blocks.begin()
        work.threads.together(
            lambda thread: work.blocks.train(
                thread,
                panel,
                (self.arrays.intercepts, self.arrays.decay),
                rows,
                targets,
                visit,
                work.max_step,
                (self.rates.alpha, self._intercept_rate),
                loss,
            )
        )
        total = float(loss.sum())
        return lambda: total

    # ---------------------------------------------------------------- predictions
    def scoring(self, rows: Rows) -> AbstractContextManager:
        """Context that calls of `scores` are made in."""
        return one_blas_thread() if takes_blocks(rows) else nullcontext()

    def scores(self, rows: Rows, first: int, last: int, out: np.ndarray) -> None:
        """Scores of the rows first:last into out."""
        if takes_blocks(rows):
            for panel in self.panels():
                block_scores(
                    panel,
                    self.arrays.intercepts,
                    float(self.arrays.decay[0]),
                    rows,
                    first,
                    last,
                    out,
                )
            return
        for first_label, last_label, panel in self.panels():
            _kernel.linear_scores(
                panel,
                self.arrays.intercepts,
                float(self.arrays.decay[0]),
                rows.data,
                rows.indices,
                rows.indptr,
                first,
                last,
                first_label,
                last_label,
                out,
            )
