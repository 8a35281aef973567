"""Epochs on the shards of a cluster, and the average of the shards' models."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from distributed import Client, Future

from .._models.threads import Threads
from .._reductions.draws import row_order
from .._reductions.targets import Targets
from .._training.estimator import aligned_zeros
from .records import RawShard, Shard, Trained
from .shards import Shards

# The averaging of a model is spread over at most this many workers: the number of tasks of
# a round is about twice the number of shards times this.
MOST_BLOCKS = 16


def with_targets(model: Any, shard: RawShard, options: dict[str, Any]) -> Shard:
    targets = Targets.build(
        shard.label_sets,
        reduction=model.reduction,
        loss=model.loss,
        sample_weight=shard.weight,
        dtype=model.dtype,
        **options,
    )
    return Shard(shard.first_row, shard.rows, targets)


def row_sums(model: Any, shard: Shard) -> dict[str, Any]:
    return {
        **model._row_sums(shard.rows, shard.targets),
        "n_targets": shard.targets.n_targets,
        "row_share": float(shard.targets.row_share.sum()),
    }


def ready(model: Any, shard: Shard) -> Shard:
    work = model._prepare(shard.rows, shard.targets)
    return Shard(shard.first_row, shard.rows, shard.targets, work)


def train_shard(
    model: Any, shard: Shard, start: Any, epoch: int, eta: tuple[float, float]
) -> Trained:
    """One epoch on a shard, from zeros, from the blocks of an average, or on and on."""
    model = copy.copy(model)
    stride = sum(model._widths)
    flat = aligned_zeros(((shard.rows.shape[1] + 1) * stride,), model.dtype)
    scale = 1.0
    if isinstance(start, Trained):
        flat[:] = start.flat
        scale = start.scale
    elif start:
        np.concatenate(start, out=flat)
    model._weights, model._intercepts = flat[:-stride], flat[-stride:]
    model._scale = np.array([scale])
    n_rows = shard.rows.shape[0]
    total_loss = model._epoch(
        shard.work,
        shard.rows,
        shard.targets,
        epoch=epoch,
        first_row=shard.first_row,
        order=row_order(
            n_rows,
            seed=model._seed,
            epoch=epoch,
            first_row=shard.first_row,
            shuffle=model.shuffle,
        ),
        shown=shard.targets.shown(
            seed=model._seed,
            epoch=epoch,
            first_row=shard.first_row,
            label_sampling=model.label_sampling,
        ),
        eta=eta,
    )
    loss = total_loss()
    return Trained(flat, float(model._scale[0]), loss, n_rows)


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


class Rounds:
    """Epochs on the shards of a cluster, and the average of the shards' models.

    A shard of n_i of the n rows takes steps that are n / n_i times as long: with the share
    n_i / n in the average, the model moves as far as n steps on all rows would carry it,
    and the noise of the average is that of steps as they are. Steps stay within the bound
    of stability of each row.
    """

    # Of the client, which only waits.
    threads = Threads(1)

    def __init__(self, client: Client, model: Any, shards: Shards, start: dict[str, Any]):
        self.client, self.model, self.shards = client, model, shards
        self.share = [n / shards.shape[0] for n in shards.sizes]
        self.stride = sum(model._widths)
        self.trained: list[Future] | None = None
        self.blocks: list[Future] | None = None
        self.mean: list[Future] | None = None
        # An average lives until each worker has a copy of the next one.
        self._spare: list[Future] | None = None
        self._spare_means: list[list[Future] | None] = []
        self._copies: list[Future] = []
        # Intercepts are stored like one more feature.
        n_lines = shards.shape[1] + 1
        n_blocks = min(len(set(shards.homes)), MOST_BLOCKS, n_lines)
        lines = np.linspace(0, n_lines, n_blocks + 1).astype(np.int64)
        self.bounds = (lines * self.stride).tolist()
        if "flat" in start:
            local = Trained(start["flat"], start["scale"], 0.0, 0)
            first = client.scatter(local, broadcast=True, hash=False)
            self.trained = [first] * len(shards.futures)
        if "mean" in start:
            parts = np.split(start["mean"], self.bounds[1:-1])
            self.mean = client.scatter(parts, broadcast=True, hash=False)
        self._n_tasks = 0

    def _submit(self, name: str, function: Callable, *args: Any, shard: int) -> Future:
        self._n_tasks += 1
        return self.shards.submit(
            shard, function, *args, key=f"{name}-{self.shards.token}-{self._n_tasks}"
        )

    def epoch(self, number: int, eta: tuple[float, float], average: bool) -> tuple[float, int]:
        """Train one epoch; return the sum of the losses and the number of rows."""
        self.shards.rehome()
        trained = []
        for i, shard in enumerate(self.shards.futures):
            start = self.blocks or (self.trained and self.trained[i])
            own_eta = tuple(step / self.share[i] for step in eta)
            trained.append(
                self._submit(
                    "train-epoch", train_shard, self.model, shard, start, number, own_eta, shard=i
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

    def update_mean(self, count: int) -> None:
        """Take the present model into the mean over epochs."""
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

    def state(self) -> dict[str, Any]:
        """The present parameters, on the client."""
        if len(self.share) == 1:
            trained = self.client.gather(self.trained[0])
            state = {"flat": trained.flat, "scale": trained.scale}
        else:
            state = {"flat": np.concatenate(self.client.gather(self.combined())), "scale": 1.0}
        if self.mean is not None:
            state["mean"] = np.concatenate(self.client.gather(self.mean))
        return state
