"""Epochs on the shards of a cluster, and the average of the shards' models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from distributed import Future

from .._data.feature_scaling import FeatureScaling, columns_of
from .._models.linear import LinearArrays, LinearModel
from .._models.memory import aligned_zeros
from .._reductions.targets import Targets
from .._sklearn import CallbackContext
from .._training.loop import Source, Watch
from .._training.schedule import Plan
from .._training.training import Training
from .records import CHANGED, RawShard, Shard, Trained
from .shards import Shards

# The averaging of a model is spread over at most this many workers: the number of tasks of
# a round is about twice the number of shards times this.
MOST_BLOCKS = 16

# Of a model whose parameters are on the workers.
NO_ARRAYS = LinearArrays(np.empty(0), np.empty(0), np.ones(1))


def with_targets(shard: RawShard, options: dict[str, Any]) -> Shard:
    targets = Targets.build(shard.label_sets, sample_weight=shard.weight, **options)
    return Shard(shard.first_row, shard.rows, targets)


def row_sums(model: LinearModel, shard: Shard, with_columns: bool) -> dict[str, Any]:
    share = shard.targets.row_share
    sums = {
        **model.sums(shard.rows, shard.targets),
        "n_targets": shard.targets.n_targets,
        "row_share": float(share.sum()),
    }
    if with_columns:
        sums["columns"] = columns_of(shard.rows, first_row=shard.first_row, used=share > 0)
    return sums


def scaled(scaling: FeatureScaling, shard: Shard) -> Shard:
    return replace(shard, rows=scaling.apply(shard.rows))


def ready(model: LinearModel, shard: Shard) -> Shard:
    work = model.workspace(shard.rows, shard.targets, 1)
    return Shard(shard.first_row, shard.rows, shard.targets, work)


def outline_of(model: LinearModel) -> LinearModel:
    """All of a model but its parameters: small, for the workers."""
    outline = copy.copy(model)
    outline.arrays = NO_ARRAYS
    return outline


def parameters(flat: np.ndarray, scale: float, stride: int) -> LinearArrays:
    """Parameters that share memory with what travels."""
    return LinearArrays(flat[:-stride], flat[-stride:], np.array([scale]))


def train_shard(
    model: LinearModel,
    plan: Plan,
    seed: int,
    shard: Shard,
    start: Any,
    epoch: int,
    eta: tuple[float, float],
) -> Trained:
    """One epoch on a shard, from zeros, from the blocks of an average, or on and on."""
    stride = model.stride
    flat = aligned_zeros(((model.n_features + 1) * stride,), model.dtype)
    scale = 1.0
    if isinstance(start, Trained):
        flat[:] = start.flat
        scale = start.scale
    elif start:
        np.concatenate(start, out=flat)
    model = copy.copy(model)
    model.arrays = parameters(flat, scale, stride)
    visit = plan.visit(shard.targets, seed=seed, epoch=epoch, eta=eta, first_row=shard.first_row)
    loss = model.epoch(shard.work, shard.rows, shard.targets, visit)()
    return Trained(flat, float(model.arrays.decay[0]), loss, shard.rows.shape[0])


def report(trained: Trained) -> tuple[float, int]:
    return trained.loss, trained.n_rows


def piece_of(trained: Trained, first: int, last: int, share: float, stride: int) -> np.ndarray:
    """A block of weights, times the share of the shard in the average."""
    out = trained.flat[first:last] * trained.flat.dtype.type(trained.scale)
    if last == len(trained.flat):
        # The penalty does not scale intercepts.
        out[-stride:] = trained.flat[-stride:]
    if share != 1:
        out *= out.dtype.type(share)
    return out


def sum_pieces(*pieces: np.ndarray) -> np.ndarray:
    return pieces[0] + pieces[1] if len(pieces) == 2 else pieces[0]


def have(value: Any) -> None:
    """Nothing; but the worker has the value now."""


def mean_step(mean: np.ndarray, value: np.ndarray, count: int) -> np.ndarray:
    return mean + (value - mean) / count


class ClusterSource(Source):
    """Epochs on the shards of a cluster, and the average of the shards' models.

    A shard of n_i of the n rows takes steps that are n / n_i times as long: with the share
    n_i / n in the average, the model moves as far as n steps on all rows would carry it,
    and the noise of the average is that of steps as they are. Steps stay within the bound
    of stability of each row.

    Parameters
    ----------
    shards : Shards
        With targets.
    n_targets : int
        Number of updates of an epoch.
    n_used : float
        What the sum of an epoch's losses is divided by.
    epochs_per_round : int
        Epochs between two averages.
    """

    def __init__(
        self, shards: Shards, *, n_targets: int, n_used: float, epochs_per_round: int
    ) -> None:
        self.client, self.shards = shards.client, shards
        self.n_targets, self.n_used = n_targets, n_used
        self.epochs_per_round = epochs_per_round
        self.share = [n / shards.shape[0] for n in shards.sizes]
        self.trained: list[Future] | None = None
        self.blocks: list[Future] | None = None
        self.mean: list[Future] | None = None
        # An average lives until each worker has a copy of the next one.
        self._spare: list[Future] | None = None
        self._spare_means: list[list[Future] | None] = []
        self._copies: list[Future] = []
        self._n_tasks = 0

    @contextmanager
    def open(self, training: Training) -> Iterator[None]:
        """Send the model to the workers."""
        model = training.model
        self.outline, self.stride = outline_of(model), model.stride
        # Intercepts are stored like one more feature.
        n_lines = model.n_features + 1
        n_blocks = min(len(set(self.shards.homes)), MOST_BLOCKS, n_lines)
        lines = np.linspace(0, n_lines, n_blocks + 1).astype(np.int64)
        self.bounds = (lines * self.stride).tolist()
        self.shards.futures = self.shards.map(ready, self.outline)
        if len(model.arrays.weights):
            local = Trained(np.concatenate(model.arrays[:2]), float(model.arrays.decay[0]), 0.0, 0)
            first = self.client.scatter(local, broadcast=True, hash=False)
            self.trained = [first] * len(self.shards.futures)
        if training.mean is not None:
            parts = np.split(np.concatenate(training.mean.arrays[:2]), self.bounds[1:-1])
            self.mean = self.client.scatter(parts, broadcast=True, hash=False)
        self._synced = training.epoch
        yield

    def epoch(
        self, training: Training, n_ahead: int, watch: Watch, task: CallbackContext
    ) -> Callable[[], float]:
        """Train one epoch; there is nothing to wait for."""
        n_before = training.epochs_of_run
        steps = training.plan.steps(training.model.rates.eta0, n_before)
        average = (n_before + 1) % self.epochs_per_round == 0
        loss, n_seen = self._epoch(training, steps, average)
        if n_seen != self.shards.shape[0]:
            raise RuntimeError(
                f"Epoch {training.epoch} trained on {n_seen} of {self.shards.shape[0]} rows. "
                f"{CHANGED}"
            )
        return lambda: loss

    def end_epoch(self, training: Training) -> None:
        """Count the updates."""
        training.n_updates += self.n_targets

    def update_mean(self, training: Training) -> None:
        """Take the present model into the mean over epochs."""
        training.n_averaged += 1
        self._update_mean(training.n_averaged)

    def sync(self, training: Training) -> None:
        """Bring the present parameters to the client, if they are not there."""
        if self._synced == training.epoch:
            return
        if len(self.share) == 1:
            trained = self.client.gather(self.trained[0])
            flat, scale = np.array(trained.flat), trained.scale
        else:
            flat, scale = np.concatenate(self.client.gather(self.combined())), 1.0
        training.model.arrays = parameters(flat, scale, self.stride)
        if training.n_averaged:
            flat = np.concatenate(self.client.gather(self.mean))
            training.mean = copy.copy(training.model)
            training.mean.arrays = parameters(flat, 1.0, self.stride)
        self._synced = training.epoch

    def _submit(self, name: str, function: Callable, *args: Any, shard: int) -> Future:
        self._n_tasks += 1
        return self.shards.submit(
            shard, function, *args, key=f"{name}-{self.shards.token}-{self._n_tasks}"
        )

    def _epoch(
        self, training: Training, eta: tuple[float, float], average: bool
    ) -> tuple[float, int]:
        """Sum of the losses, and number of rows."""
        self.shards.rehome()
        trained = []
        for i, shard in enumerate(self.shards.futures):
            start = self.blocks or (self.trained and self.trained[i])
            own_eta = tuple(step / self.share[i] for step in eta)
            same = self.outline, training.plan, training.seed
            trained.append(
                self._submit(
                    "train-epoch",
                    train_shard,
                    *same,
                    shard,
                    start,
                    training.epoch,
                    own_eta,
                    shard=i,
                )
            )
        before, self.blocks, self.trained = self.blocks, None, trained
        reports = [self._submit("report", report, t, shard=i) for i, t in enumerate(trained)]
        if average and len(trained) > 1:
            # One shard goes on from its own state, penalty factor apart.
            self.blocks, self.trained = self.combined(), None
        losses, n_rows = zip(*self.client.gather(reports), strict=True)
        self._spare = before or self._spare
        return float(sum(losses)), sum(n_rows)

    def combined(self) -> list[Future]:
        """Blocks of the average of the shards' models, summed in the order of the shards."""
        return self.blocks or [self._average_block(j) for j in range(len(self.bounds) - 1)]

    def _home(self, block: int) -> int:
        """A shard of the worker on which a block is averaged."""
        return block * len(self.share) // (len(self.bounds) - 1)

    def _average_block(self, number: int) -> Future:
        """Average of one block of weights, on one worker.

        Added up in pairs of neighbours: neighbouring shards are often on one worker, so that
        few pieces travel, and the order does not depend on where they are.
        """
        first, last = self.bounds[number : number + 2]
        found = [
            (i, self._submit("piece", piece_of, t, first, last, share, self.stride, shard=i))
            for i, (t, share) in enumerate(zip(self.trained, self.share, strict=True))
        ]
        while len(found) > 1:
            pairs = [found[k : k + 2] for k in range(0, len(found), 2)]
            found = [
                (
                    pair[0][0],
                    self._submit(
                        "average",
                        sum_pieces,
                        *(piece for _, piece in pair),
                        shard=self._home(number) if len(pairs) == 1 else pair[0][0],
                    ),
                )
                for pair in pairs
            ]
        return found[0][1]

    def _update_mean(self, count: int) -> None:
        before, self.mean = self.mean, self.combined()
        if before is not None:
            self.mean = [
                self._submit("mean", mean_step, mean, block, count, shard=self._home(j))
                for j, (mean, block) in enumerate(zip(before, self.mean, strict=True))
            ]
        # A copy on another worker, or a lost one would cost all epochs; until it is made,
        # there are copies of the last mean.
        self._copies = [
            self._submit("copy", have, mean, shard=self._home((j + 1) % len(self.mean)))
            for j, mean in enumerate(self.mean)
        ]
        self._spare_means = [*self._spare_means[-1:], before]
