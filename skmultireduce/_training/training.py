"""The state of a training as one value: to copy, to pickle, to go on with."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._data.feature_scaling import FeatureScaling
from .._models.model import Model, Visit
from .._reductions.targets import Targets
from .arrivals import Arrivals
from .schedule import Patience, Plan, part_of_steps

__all__ = ["Position", "Progress", "Snapshot", "Training"]

# The mean over a stream of batches looks at the model this many times for each time that the
# number of updates doubles, or a little more often.
_MEAN_STEPS = 64


@dataclass(frozen=True)
class Snapshot:
    """Parameters of a model, and of the mean over epochs if there is one."""

    arrays: Any
    mean: Any = None
    n_averaged: int = 0


@dataclass
class Progress:
    """What is known of a run that has not come to its end; one that is resumed goes on with it.

    Parameters
    ----------
    patience : Patience
    objective : tuple, default=()
        Parameters on which the meaning of losses and scores depends.
    best : Snapshot or None, default=None
        Of the best epoch.
    last : Snapshot or None, default=None
        Of the last epoch, where the model has been given the parameters of the best.
    """

    patience: Patience
    objective: tuple[Any, ...] = ()
    best: Snapshot | None = None
    last: Snapshot | None = None


@dataclass
class Position:
    """Where in a stream of blocks a run is, and what the first pass has found.

    Parameters
    ----------
    n_rows, n_blocks : int
        Of one pass.
    weighted : bool
        Whether rows have sample weights.
    mean_weight : float
        Mean of the positive sample weights.
    class_weight : ndarray of shape (n_labels,) or None
        Weights of the labels.
    n_used : float
        What the sum of the losses is divided by.
    names : list or None
        Names of the labels, if the blocks' source has them.
    sizes, checksums : list of int
        Of each block, in the first pass; empty in states of release 0.1.0.
    block, row : int
        Number of blocks and rows of this pass that are done.
    loss : float
        Sum of their losses.
    """

    n_rows: int = 0
    n_blocks: int = 0
    weighted: bool = False
    mean_weight: float = 1.0
    class_weight: np.ndarray | None = None
    n_used: float = 0.0
    names: list[Any] | None = None
    sizes: list[int] = field(default_factory=list)
    checksums: list[int] = field(default_factory=list)
    block: int = 0
    row: int = 0
    loss: float = 0.0

    def next_pass(self) -> None:
        """Go back to the first block."""
        self.block = self.row = 0
        self.loss = 0.0


@dataclass
class Training:
    """A model, and how far its training has come.

    Parameters
    ----------
    model : Model
        With the parameters as the last step left them.
    seed : int
        Of all draws and orders; in [0, 2**63).
    plan : Plan
        What the user chooses of the epochs.
    mean : Model or None, default=None
        Mean of the parameters over epochs.
    n_averaged : int, default=0
        Number of epochs in the mean.
    epoch : int, default=0
        Number of epochs that have been done.
    epochs_of_run : int, default=0
        Those that the schedule of steps counts.
    n_updates : int, default=0
        Number of row updates.
    losses, validation_scores : list of float
        Of each epoch; scores of the last run with early stopping, or None.
    best_validation_score : float, default=-inf
    scaling : FeatureScaling or None, default=None
        Of dense features, where the model has learned them on another scale.
    arrivals : Arrivals or None, default=None
        What a stream of batches has brought; None if the penalty does not follow it.
    n_in_mean : int, default=0
        Number of row updates in the mean over a stream of batches.
    n_pending : int, default=0
        Number of those since the mean has taken one in.
    unit_weight : float or None, default=None
        Sample weight that counts as one row: the mean of those that the rates were set by.
    begun_with : dict
        Values of the parameters that are read once, when the rates are set.
    progress : Progress or None, default=None
        Of a run that has not come to its end.
    position : Position or None, default=None
        Of such a run over a stream.
    """

    model: Model
    seed: int
    plan: Plan
    mean: Model | None = None
    n_averaged: int = 0
    epoch: int = 0
    epochs_of_run: int = 0
    n_updates: int = 0
    losses: list[float] = field(default_factory=list)
    validation_scores: list[float] | None = None
    best_validation_score: float = -np.inf
    scaling: FeatureScaling | None = None
    arrivals: Arrivals | None = None
    n_in_mean: int = 0
    n_pending: int = 0
    unit_weight: float | None = None
    begun_with: dict[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    position: Position | None = None

    # ------------------------------------------------------------------ the model
    @property
    def fitted(self) -> Model:
        """The model for predictions: the mean if there is one."""
        return self.model if self.mean is None else self.mean

    @property
    def has_learned(self) -> bool:
        """Whether an epoch has been done, or a block of the first one."""
        return self.epoch > 0 or (self.position is not None and self.position.block > 0)

    def use(self, options: Any, plan: Plan) -> None:
        """Go on with other options of the model and another plan."""
        self.plan = plan
        for model in (self.model, self.mean):
            if model is not None:
                model.use(options)

    def make_writeable(self) -> None:
        """Copy arrays that are read-only, as those of memory-mapped models are."""
        for model in (self.model, self.mean):
            if model is not None:
                model.make_writeable()

    def replace(self, model: Model) -> None:
        """Take another form of the model; its mean, and the best of an epoch, are given up."""
        self.model = model
        self.drop_mean()
        self.progress = None

    def copy(self) -> Training:
        """A training that shares no array with this one that steps change."""
        twin = copy.copy(self)
        twin.model = self.model.copy()
        twin.mean = self.mean and self.mean.copy()
        twin.losses = list(self.losses)
        twin.validation_scores = self.validation_scores and list(self.validation_scores)
        twin.progress = copy.copy(self.progress)
        twin.position = copy.copy(self.position)
        twin.arrivals = self.arrivals and self.arrivals.copy()
        return twin

    def check(self, n_features: int, n_labels: int) -> None:
        """Raise a ValueError if the models are not what the kernels rely on.

        For states that come from a file. A state that passes computes numbers, right or
        wrong, without reading or writing beyond its arrays.
        """
        for model in (self.model, self.mean):
            if model is None:
                continue
            if (model.n_features, model.n_labels) != (n_features, n_labels):
                raise ValueError(
                    f"a model of {model.n_features} features and {model.n_labels} labels, not "
                    f"{n_features} and {n_labels}"
                )
            if model.options.dtype not in ("float32", "float64"):
                raise ValueError("`dtype` is neither float32 nor float64")
            model.check()
        for snapshot in (self.progress.best, self.progress.last) if self.progress else ():
            if snapshot is not None:
                for mine, value in zip(self.model.arrays, snapshot.arrays, strict=True):
                    if mine.shape != value.shape:
                        raise ValueError("the best or last epoch is of another model")

    def check_finite(self, number: float, epoch: int | None = None) -> None:
        """Raise a ValueError if the training has diverged."""
        if not np.isfinite(number):
            raise ValueError(
                f"Training diverged in epoch {epoch or self.epoch}: the weights are not finite "
                f"any more. Lower eta0 (now {self.model.rates.eta0:.3g}; eta0='auto' is safe), "
                "scale X, for example with sklearn.preprocessing.MaxAbsScaler or Normalizer, or "
                "set dtype='float64'."
            )

    # ------------------------------------------------------------- the mean over epochs
    def update_mean(self) -> None:
        """Add the parameters of this epoch to the mean over epochs."""
        self.n_averaged += 1
        plain = self.model.plain()
        if self.n_averaged == 1:
            self.mean = plain.copy()
        else:
            self.mean.step_to(plain, self.n_averaged)

    def begin_following(self) -> None:
        """Begin the mean over a stream of batches with the present model, if there is one."""
        if self.mean is None and self.has_learned:
            self.mean = self.model.plain().copy()
            self.n_in_mean = self.arrivals.n_before if self.arrivals else 0

    def follow(self, n_updates: int) -> None:
        """Let the mean over a stream of batches follow the model, after so many updates.

        A mean with weights that grow as the cube of the number of updates: the noise of a
        constant step averages out, and the begin is forgotten (polynomial-decay averaging,
        Shamir and Zhang 2013, with exponent 3; 0 to 5 were as good within .01). It does not
        depend on how the rows are cut into batches, but for the times at which it looks.
        """
        if self.mean is None:
            self.mean = self.model.plain().copy()
            self.n_in_mean = n_updates
            return
        self.n_pending += n_updates
        # Small batches are taken in together: each time costs a pass over all weights.
        if self.n_pending * _MEAN_STEPS >= self.n_in_mean:
            before, self.n_in_mean = self.n_in_mean, self.n_in_mean + self.n_pending
            weight = 1 - (before / self.n_in_mean) ** 4
            self.mean.step_to(self.model.plain(), 1 / weight)
            self.n_pending = 0

    def drop_mean(self) -> None:
        """Begin the mean anew: one without the present epoch would hide it."""
        self.n_averaged = self.n_in_mean = self.n_pending = 0
        self.mean = None

    # ------------------------------------------------------------------- epochs
    def visit(
        self,
        targets: Targets,
        *,
        first_row: int = 0,
        n_rows: int | None = None,
        n_ahead: int = 0,
    ) -> Visit:
        """The next epoch, or its part from a row on.

        Parameters
        ----------
        targets : Targets
            Of the rows of this part.
        first_row : int, default=0
            Number of its first row in the epoch.
        n_rows : int, default=None
            Number of rows of the epoch, if this is a part.
        n_ahead : int, default=0
            Number of epochs that have begun and are not counted yet.
        """
        n_own = targets.label_sets.n_rows
        steps = self.plan.steps(self.model.rates.eta0, self.epochs_of_run + n_ahead)
        return self.plan.visit(
            targets,
            seed=self.seed,
            epoch=self.epoch + n_ahead,
            eta=part_of_steps(steps, first_row, first_row + n_own, n_rows or n_own),
            first_row=first_row,
            n_ahead=n_ahead,
        )

    # --------------------------------------------------------------------- runs
    def snapshot(self) -> Snapshot:
        """Copy of the parameters, and of their mean."""
        mean = self.mean and self.mean.copy().arrays
        return Snapshot(self.model.copy().arrays, mean, self.n_averaged)

    def put(self, snapshot: Snapshot) -> None:
        """Take over the parameters of a snapshot."""
        self.model.put(snapshot.arrays)
        self.n_averaged = snapshot.n_averaged
        if snapshot.mean is None:
            self.mean = None
            return
        if self.mean is None:
            self.mean = self.model.plain().copy()
        self.mean.put(snapshot.mean)

    def begin_run(self, objective: tuple[Any, ...], n_iter_no_change: int, scored: bool) -> None:
        """Begin a run, or go on with one that a callback stopped.

        Parameters
        ----------
        objective : tuple
            Parameters on which the meaning of losses and scores depends.
        n_iter_no_change : int
            Patience in epochs.
        scored : bool
            Whether there is a validation score.
        """
        tol = self.plan.tol or 0.0
        progress = self.progress
        if progress is None or self.epochs_of_run == 0 or progress.objective != objective:
            self.progress = Progress(Patience(n_iter_no_change, tol), objective)
            if scored:
                self.validation_scores = []
                self.best_validation_score = -np.inf
            return
        progress.patience.n_iter_no_change = n_iter_no_change
        progress.patience.tol = tol
        self.return_to_last()

    def return_to_last(self) -> None:
        """Take the parameters of the last epoch, where those of the best are in use."""
        if self.progress is not None and self.progress.last is not None:
            self.put(self.progress.last)
            self.progress.last = None

    def end_run(self, *, finished: bool) -> None:
        """Take the parameters of the best epoch, if one was chosen by its score.

        If the run is not finished, those of the last epoch are kept for its resumption.
        """
        progress = self.progress
        if finished:
            self.progress = self.position = None
        elif progress.best is not None:
            progress.last = self.snapshot()
        if progress.best is not None:
            self.put(progress.best)
        self.check_finite(self.model.checksum())
