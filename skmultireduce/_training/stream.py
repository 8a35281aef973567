"""Training out of core: passes over blocks of rows that never are in memory together.

One pass over the stream gathers what depends on all rows (counts, step sizes), then each
epoch is a pass. All state of a run is in the training, and changes only at the ends of blocks:
a model that is pickled there goes on to the same bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .._data.rows import Rows
from .._reductions.targets import Targets
from .._sklearn import CallbackContext
from .loop import Source, Watch
from .training import Position, Training

__all__ = ["Block", "BlockSource", "Stream", "first_pass"]

_ONCE = (
    "blocks is read once for each epoch and once before. Pass an object whose __iter__ starts "
    "anew (a list, or a reader of skmultireduce.datasets), or a function that returns a new "
    "iterator, for example `lambda: read_blocks(path)`."
)


@dataclass(frozen=True)
class Block:
    """A block, as it came, and as the kernels take it."""

    X: Any
    y: Any
    rows: Rows
    label_sets: LabelSets
    sample_weight: np.ndarray | None

    def checksum(self) -> int:
        """A number that tells whether a block is the same in another pass.

        It is of what is trained on, and of the names of the labels if y has them; not of the
        containers.
        """
        rows, sets = self.rows, self.label_sets
        columns = rows.indices
        if rows.shape[1] <= np.iinfo(np.int32).max:
            columns = columns.astype(np.int32, copy=False)
        parts = rows.data, columns, rows.indptr, sets.indptr, sets.indices
        names = getattr(self.y, "columns", None)
        found = 0 if names is None else zlib.crc32(repr(list(names)).encode())
        for part in (*parts, sets.values, self.sample_weight):
            if part is not None:
                found = zlib.crc32(np.ascontiguousarray(part), found)
        return found


class Stream:
    """Blocks that can be read again and again.

    Parameters
    ----------
    blocks : iterable of tuples, or callable that returns one
        Of ``(X, y)`` or ``(X, y, sample_weight)``.
    read : callable
        Makes a `Block` of X, y and sample weights.

    Raises
    ------
    ValueError
        If `blocks` can be read just once.
    """

    def __init__(self, blocks: Any, read: Callable[[Any, Any, Any], Block]) -> None:
        if isinstance(blocks, Iterator):
            raise ValueError(
                f"blocks is a {type(blocks).__name__}, which can be read just once. " + _ONCE
            )
        self.blocks, self._read = blocks, read

    def read(self, first_block: int = 0) -> Iterator[Block]:
        """Blocks from `first_block` on."""
        blocks, number = self.blocks, 0
        if first_block and hasattr(blocks, "iter_from"):
            source, number = blocks.iter_from(first_block), first_block
        elif callable(blocks) and not isinstance(blocks, Iterable):
            source = blocks()
        else:
            source = blocks
        if not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
            raise ValueError(
                "blocks should be an iterable of tuples (X, y) or (X, y, sample_weight), or a "
                f"function that returns one, got {type(source).__name__}."
            )
        for block in source:
            if number >= first_block:
                yield self._block(block, number)
            # Before the next one is made: there should be one in memory.
            del block
            number += 1

    def _block(self, block: Any, number: int) -> Block:
        if not isinstance(block, tuple | list) or len(block) not in (2, 3):
            kind = type(block).__name__
            kind += f" of {len(block)}" if isinstance(block, tuple | list) else ""
            raise ValueError(
                f"Block {number} of the stream should be a tuple (X, y) or "
                f"(X, y, sample_weight), got a {kind}."
            )
        try:
            return self._read(*(*block, None)[:3])
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"Block {number} of the stream: {error}") from error

    @property
    def names(self) -> list[Any] | None:
        """Names of the labels, if the source of the blocks has them."""
        names = getattr(self.blocks, "target_names", None)
        return None if names is None else [str(name) for name in names]

    def first(self) -> Block:
        """The first block."""
        block = next(self.read(), None)
        if block is None:
            raise ValueError("The stream is empty: blocks gave no block. Check its source.")
        return block


def _check_rows(n_rows: int, position: Position, *, all_of_them: bool = True) -> None:
    """Raise if a later pass gave other rows than the first one."""
    if n_rows == 0:
        raise ValueError("blocks gave no block in a later pass: it is exhausted. " + _ONCE)
    if n_rows > position.n_rows or (all_of_them and n_rows < position.n_rows):
        raise ValueError(
            f"blocks gave {position.n_rows} rows in {position.n_blocks} blocks at first, and "
            "other blocks in a later pass. Each pass, and a run that is resumed, needs the same "
            "blocks in the same order; do not shuffle or refill the source in between."
        )


_THE_SAME = (
    "Each pass, and a run that is resumed, needs the same blocks in the same order: the same "
    "rows, labels, size of blocks, and settings of what makes X of them. Restore them, or begin "
    "another run with warm_start=False."
)


def _check_same(block: Block, position: Position) -> None:
    """Raise if a block is not what it was in the first pass."""
    number = position.block
    if number >= len(position.checksums):
        return
    n_rows, n_before = block.rows.shape[0], position.sizes[number]
    if n_rows != n_before:
        raise ValueError(
            f"Block {number} of the stream has {n_rows} rows, and had {n_before} when this run "
            "began. " + _THE_SAME
        )
    if block.checksum() != position.checksums[number]:
        raise ValueError(
            f"Block {number} of the stream is not what it was when this run began: X, y or "
            "sample weights have changed, or the order of the rows or labels. " + _THE_SAME
        )


def _check_names(stream: Stream, position: Position) -> None:
    """Raise if the labels have other names than in the first pass."""
    now, before = stream.names, position.names
    if now is None or before is None or now == before:
        return
    if len(now) != len(before):
        change = f"{len(now)} labels, and had {len(before)}"
    else:
        k = next(k for k, pair in enumerate(zip(now, before, strict=True)) if len(set(pair)) > 1)
        change = f"label {now[k]!r} in column {k} of y, where {before[k]!r} was"
    raise ValueError(f"The stream has {change} when this run began. " + _THE_SAME)


def _check_weighted(block: Block, position: Position) -> None:
    if (block.sample_weight is not None) != position.weighted:
        raise ValueError(
            "Some blocks of the stream have sample weights and some have none. Give all "
            "of them weights; 1 changes nothing."
        )


def first_pass(
    stream: Stream,
    sums_of: Callable[[Rows, Targets, int], dict[str, Any]],
    make_targets: Callable[[Block, Position], Targets],
    read_weights: Callable[[np.ndarray | None], np.ndarray | None],
) -> tuple[Position, dict[str, Any], int]:
    """Gather what depends on all rows: in one pass, or two if weights depend on them too.

    Parameters
    ----------
    stream : Stream
    sums_of : callable
        Sums over rows, given with their targets and the number of the first one.
    make_targets : callable
        Targets of a block, with the weights that a position holds.
    read_weights : callable
        Weights of the labels by the number of rows of each; of None those that do not depend
        on it, and NotImplemented if they do.

    Returns
    -------
    position : Position
        At the first block.
    sums : dict
        What `Model.begin` takes.
    n_filled : int
        Number of rows that have labels.
    """
    position = Position(names=stream.names)
    class_weight = read_weights(None)
    later = class_weight is NotImplemented
    if not later:
        position.class_weight = class_weight
    sums: dict[str, Any] = {}
    counts: Any = 0
    n_filled = n_weights = 0
    weight = 0.0

    def add(block: Block, first_row: int) -> None:
        _check_weighted(block, position)
        targets = make_targets(block, position)
        position.n_used += float(targets.row_share.sum())
        for name, value in sums_of(block.rows, targets, first_row).items():
            sums[name] = sums.get(name, 0) + value

    for block in stream.read():
        if position.n_blocks == 0:
            position.weighted = block.sample_weight is not None
        first_row = position.n_rows
        position.n_rows += block.rows.shape[0]
        position.n_blocks += 1
        position.sizes.append(block.rows.shape[0])
        position.checksums.append(block.checksum())
        n_filled += int(np.count_nonzero(block.label_sets.sizes))
        counts = counts + block.label_sets.counts()
        if block.sample_weight is not None:
            positive = block.sample_weight[block.sample_weight > 0]
            n_weights += len(positive)
            weight += float(positive.sum())
        if not (later or position.weighted):
            add(block, first_row)
        del block
    if later or position.weighted:
        # The sums depend on the weights, and those on all rows.
        if later:
            position.class_weight = read_weights(counts)
        position.mean_weight = weight / n_weights if n_weights else 1.0
        n_rows = 0
        for block in stream.read():
            add(block, n_rows)
            n_rows += block.rows.shape[0]
            del block
        _check_rows(n_rows, position)
    return position, sums, n_filled


class BlockSource(Source):
    """Rows that come block by block.

    Parameters
    ----------
    stream : Stream
    position : Position
        Of the training; moves on with each block.
    make_targets : callable
        Targets of a block, with the weights that a position holds.
    n_threads : int
    """

    resumes = True

    def __init__(
        self,
        stream: Stream,
        position: Position,
        make_targets: Callable[[Block, Position], Targets],
        n_threads: int,
    ) -> None:
        self.stream, self.make_targets, self.n_threads = stream, make_targets, n_threads
        self.n_used = position.n_used
        _check_names(stream, position)

    def open(self, training: Training) -> AbstractContextManager:
        """Nothing is kept from block to block."""
        return nullcontext()

    def n_parts(self, training: Training) -> int:
        """Number of blocks that are left of the epoch."""
        return training.position.n_blocks - training.position.block

    def epoch(
        self, training: Training, n_ahead: int, watch: Watch, task: CallbackContext
    ) -> Callable[[], float | None]:
        """Train on the blocks that are left of an epoch."""
        position = training.position
        for block in self.stream.read(position.block):
            n_rows = block.rows.shape[0]
            is_last = position.block + 1 >= position.n_blocks
            _check_rows(position.row + n_rows, position, all_of_them=is_last)
            _check_same(block, position)
            part = task.subcontext(task_name="block")
            told = {**watch.told, "X": block.X, "y": block.y}
            part.call_on_fit_task_begin(**told)
            self._train(training, block, watch)
            stop = part.call_on_fit_task_end(
                **told, reconstruction_attributes=lambda: {"_training": training.copy()}
            )
            del block, told
            if stop:
                return lambda: None
        _check_rows(position.row, position)
        loss = position.loss
        return lambda: loss

    def _train(self, training: Training, block: Block, watch: Watch) -> None:
        position, model = training.position, training.model
        _check_weighted(block, position)
        targets = self.make_targets(block, position)
        work = model.workspace(block.rows, targets, self.n_threads)
        visit = training.visit(targets, first_row=position.row, n_rows=position.n_rows)
        with watch.as_a_whole(), work.threads:
            position.loss += model.epoch(work, block.rows, targets, visit)()
            training.check_finite(position.loss, training.epoch + 1)
            training.n_updates += targets.n_targets
            position.row += block.rows.shape[0]
            position.block += 1
            watch.publish()

    def end_epoch(self, training: Training) -> None:
        """Go back to the first block."""
        training.position.next_pass()
