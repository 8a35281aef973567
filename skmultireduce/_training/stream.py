"""Training out of core: passes over blocks of rows that never are in memory together.

One pass over the stream gathers what depends on all rows (counts, step sizes), then each
epoch is a pass. All state of a run is in the model, and changes only at the ends of blocks:
a model that is pickled there goes on to the same bits.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .._data.rows import Rows
from .._data.weights import read_class_weight, read_sample_weight
from .._reductions.targets import ONE_VS_REST, Targets, kernel_loss
from .._sklearn import CallbackContext, _fit_context
from .schedule import Progress

__all__ = ["Stream", "StreamMixin"]

_ONCE = (
    "blocks is read once for each epoch and once before. Pass an object whose __iter__ starts "
    "anew (a list, or a reader of skmultireduce.datasets), or a function that returns a new "
    "iterator, for example `lambda: read_blocks(path)`."
)


def _check_rows(n_rows: int, stream: Stream, *, all_of_them: bool = True) -> None:
    """Raise if a later pass gave other rows than the first one."""
    if n_rows == 0:
        raise ValueError("blocks gave no block in a later pass: it is exhausted. " + _ONCE)
    if n_rows > stream.n_rows or (all_of_them and n_rows < stream.n_rows):
        raise ValueError(
            f"blocks gave {stream.n_rows} rows in {stream.n_blocks} blocks at first, and other "
            "blocks in a later pass. Each pass, and a run that is resumed, needs the same "
            "blocks in the same order; do not shuffle or refill the source in between."
        )


@dataclass
class Stream:
    """An unfinished run over a stream: what all its rows say, and how far it has come.

    Parameters
    ----------
    progress : Progress
        Of early stopping.
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
    block, row : int
        Number of blocks and rows of this pass that are done.
    loss : float
        Sum of their losses.
    """

    progress: Progress
    n_rows: int = 0
    n_blocks: int = 0
    weighted: bool = False
    mean_weight: float = 1.0
    class_weight: np.ndarray | None = None
    n_used: float = 0.0
    block: int = 0
    row: int = 0
    loss: float = 0.0


@dataclass(frozen=True)
class _Block:
    """A block, as it came, and as the kernels take it."""

    X: Any
    y: Any
    rows: Rows
    label_sets: LabelSets
    sample_weight: np.ndarray | None


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait for the end of what must be done as a whole.

    In the main thread, which alone gets it, and where Python handles it at all.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    received: list[tuple] = []
    signal.signal(signal.SIGINT, lambda *args: received.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if received:
            handler(*received[-1])


class StreamMixin:
    """`fit_stream` of the SGD estimators; not for direct use."""

    # Set while a run over a stream is unfinished.
    _stream: Stream | None = None

    # Parameters that a run takes into its `Stream` when it begins.
    _READ_ONCE_OF_STREAM = (
        "reduction",
        "loss",
        "class_weight",
        "early_stopping",
        "tol",
        "n_iter_no_change",
    )

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_stream(
        self,
        blocks: Iterable[tuple] | Callable[[], Iterable[tuple]],
        *,
        classes: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Any:
        """Fit the model to rows that do not fit into memory, block by block.

        Memory holds the model and one block. Each epoch is a pass over the blocks in
        their order; rows are shuffled within a block. A first pass gathers the counts and
        norms that `eta0`, `alpha` and `class_weight` depend on (two passes with sample
        weights or ``class_weight="balanced"``). With all rows in one block the result has
        the bits of `fit`. With more, the labels that ``"pick_one"`` draws are still those
        of `fit`: they depend on seed, epoch and number of the row alone.

        **Resumption.** With ``warm_start=True``, a run that a callback stopped, or that an
        error of the reader or Ctrl-C ended, goes on after the last complete block, and
        ends with the same bits. So does a pickle that a callback wrote at the end of a
        block or an epoch. Blocks must be the same again, and so must the parameters that
        are read when a run begins: reduction, loss, weights of labels, rates and patience.

        Parameters
        ----------
        blocks : iterable of tuples, or callable that returns one
            Of ``(X, y)`` or ``(X, y, sample_weight)``, each as in `fit`; iterated once
            for each epoch and once before, so a generator does not do, but a function
            that returns one does. Blocks should hold rows of all kinds, and a few thousand
            of them: the order of the blocks stays. If it has a method
            ``iter_from(n_blocks)``, this is used to pass over blocks on resumption.
        classes : array-like of shape (n_classes,), default=None
            All classes, for 1-D y. By default those of the first block. For multi-label y
            the columns of the first block say it; if given, there must be one for each.
        X_val, y_val : as X and y, default=None
            Rows on which early stopping looks; needed for it.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If `blocks` can be read just once, has no block, or gives other rows in a later
            pass; with the number of the block, if its X or y are not as in `fit`, or have
            other features or labels than the first block; if ``early_stopping=True``
            without `X_val` and `y_val`; if a parameter has changed that an unfinished run
            has read.

        See Also
        --------
        skmultireduce.datasets.FastTextBlocks : Blocks of a text file.
        skmultireduce.datasets.SVMLightBlocks : Blocks of a file in svmlight's format.
        skmultireduce.datasets.ParquetBlocks : Blocks of a Parquet file.

        Examples
        --------
        >>> from sklearn.datasets import make_multilabel_classification
        >>> from skmultireduce import MultiLabelSGDClassifier
        >>> X, y = make_multilabel_classification(
        ...     n_samples=300, allow_unlabeled=False, random_state=0
        ... )
        >>> def blocks():
        ...     for start in range(0, 300, 100):
        ...         yield X[start : start + 100], y[start : start + 100]
        >>> model = MultiLabelSGDClassifier(max_iter=5, random_state=0).fit_stream(blocks)
        >>> model.n_iter_, model.t_
        (5, 1500)
        """
        self._check_validation(X_val, y_val)
        if self.early_stopping and X_val is None:
            raise ValueError(
                "early_stopping=True needs rows to look at, and a stream has none to spare. "
                "Pass X_val and y_val, or set early_stopping=False."
            )
        if isinstance(blocks, Iterator):
            raise ValueError(
                f"blocks is a {type(blocks).__name__}, which can be read just once. " + _ONCE
            )
        resume = self.warm_start and self.__sklearn_is_fitted__()
        if not resume:
            self._forget()
            first = next(self._read_blocks(blocks, classes=classes), None)
            if first is None:
                raise ValueError("The stream is empty: blocks gave no block. Check its source.")
            self._start(first.rows.shape[1], first.label_sets.n_labels)
            del first
        validation = None if X_val is None else self._read_validation(X_val, y_val)
        if self._stream is None:
            if self._epochs_of_run >= self.max_iter:
                # The earlier run is complete: the schedule starts again, the draws go on.
                self._epochs_of_run = 0
            self._stream = self._scan(blocks)
        else:
            self._check_goes_on(self._READ_ONCE_OF_STREAM)
        self._make_writeable()
        self._pass_over(blocks, validation)
        return self

    def _read_blocks(
        self, blocks: Any, first_block: int = 0, *, classes: Any = None
    ) -> Iterator[_Block]:
        """Blocks from `first_block` on; the first one of a new model fixes what all have."""
        number = 0
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
                yield self._read_block(block, number, classes)
            # Before the next one is made: there should be one in memory.
            del block
            number += 1

    def _read_block(self, block: Any, number: int, classes: Any) -> _Block:
        if not isinstance(block, tuple | list) or len(block) not in (2, 3):
            kind = type(block).__name__
            kind += f" of {len(block)}" if isinstance(block, tuple | list) else ""
            raise ValueError(
                f"Block {number} of the stream should be a tuple (X, y) or "
                f"(X, y, sample_weight), got a {kind}."
            )
        X, y, sample_weight = (*block, None)[:3]
        try:
            rows, label_sets = self._read(
                X, y, reset=not hasattr(self, "n_iter_"), classes=classes
            )
            sample_weight = read_sample_weight(sample_weight, X, allow_all_zero=True)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"Block {number} of the stream: {error}") from error
        return _Block(X, y, rows, label_sets, sample_weight)

    def _block_targets(self, block: _Block, stream: Stream) -> Targets:
        if (block.sample_weight is not None) != stream.weighted:
            raise ValueError(
                "Some blocks of the stream have sample weights and some have none. Give all "
                "of them weights; 1 changes nothing."
            )
        return Targets.build(
            block.label_sets,
            reduction=self.reduction,
            loss=self.loss,
            sample_weight=block.sample_weight,
            class_weight=stream.class_weight,
            dtype=self.dtype,
            mean_weight=stream.mean_weight,
        )

    def _scan(self, blocks: Any) -> Stream:
        """Gather what depends on all rows, and set the rates."""
        stream = Stream(progress=self._begin_run())
        balanced = isinstance(self.class_weight, str)
        counts = np.zeros(self._n_labels)
        if not balanced:
            stream.class_weight = read_class_weight(self.class_weight, self._target, counts)
        sums: dict[str, Any] = {}
        n_filled = n_weights = 0
        weight = 0.0
        for block in self._read_blocks(blocks):
            if stream.n_blocks == 0:
                stream.weighted = block.sample_weight is not None
            stream.n_rows += block.rows.shape[0]
            stream.n_blocks += 1
            n_filled += int(np.count_nonzero(block.label_sets.sizes))
            counts += block.label_sets.counts()
            if block.sample_weight is not None:
                positive = block.sample_weight[block.sample_weight > 0]
                n_weights += len(positive)
                weight += float(positive.sum())
            if not (balanced or stream.weighted):
                self._add_sums(sums, block, stream)
            del block
        one_vs_rest = self.reduction in ONE_VS_REST
        self._count_unlabeled(stream.n_rows, stream.n_rows if one_vs_rest else n_filled)
        if balanced or stream.weighted:
            # The sums depend on the weights, and those on all rows.
            if balanced:
                stream.class_weight = read_class_weight(self.class_weight, self._target, counts)
            stream.mean_weight = weight / n_weights if n_weights else 1.0
            n_rows = 0
            for block in self._read_blocks(blocks):
                n_rows += block.rows.shape[0]
                self._add_sums(sums, block, stream)
                del block
            _check_rows(n_rows, stream)
        self._use_sums(sums, kernel_loss(self.reduction, self.loss))
        return stream

    def _add_sums(self, sums: dict[str, Any], block: _Block, stream: Stream) -> None:
        targets = self._block_targets(block, stream)
        stream.n_used += float(targets.row_share.sum())
        for name, value in self._row_sums(block.rows, targets).items():
            sums[name] = sums.get(name, 0) + value

    @contextmanager
    def _as_a_whole(self) -> Iterator[None]:
        """All of this is done, or the model is forgotten: weights must fit to counters."""
        with _interrupts_wait():
            try:
                yield
            except BaseException:
                self._forget()
                raise

    def _pass_over(self, blocks: Any, validation: tuple | None) -> None:
        """The epochs that are left."""
        stream = self._stream
        state = {"estimator": self, "reconstruction_attributes": self._copy_state}
        context = self._init_callback_context(
            max_subtasks=max(0, self.max_iter - self._epochs_of_run)
        )
        context.call_on_fit_task_begin(estimator=self)
        # A run may have been interrupted after its last epoch.
        settled, stopped = stream.progress.patience.exhausted, False
        while self._epochs_of_run < self.max_iter and not settled and not stopped:
            epoch = context.subcontext(
                task_name="epoch", max_subtasks=stream.n_blocks - stream.block
            )
            epoch.call_on_fit_task_begin(estimator=self)
            if self._pass(blocks, stream, epoch):
                break
            with self._as_a_whole():
                settled = self._end_epoch(stream.loss / stream.n_used, stream.progress, validation)
                stream.block = stream.row = 0
                stream.loss = 0.0
            stopped = epoch.call_on_fit_task_end(**state)
        if settled or self._epochs_of_run >= self.max_iter:
            with self._as_a_whole():
                self._end_run(stream.progress)
                self._stream = None
            if not settled and self.max_iter > 1:
                self._warn_unsettled()
        context.call_on_fit_task_end(**state)

    def _pass(self, blocks: Any, stream: Stream, context: CallbackContext) -> bool:
        """Train on the blocks that are left of an epoch; return whether to stop before its end."""
        for block in self._read_blocks(blocks, stream.block):
            n_rows = block.rows.shape[0]
            is_last = stream.block + 1 >= stream.n_blocks
            _check_rows(stream.row + n_rows, stream, all_of_them=is_last)
            targets = self._block_targets(block, stream)
            work = self._prepare(block.rows, targets)
            part = context.subcontext(task_name="block")
            part.call_on_fit_task_begin(estimator=self, X=block.X, y=block.y)
            with self._as_a_whole(), work.threads:
                stream.loss += self._visit(work, block.rows, targets, stream.row, stream.n_rows)()
                self._check_finite(stream.loss, self.n_iter_ + 1)
                stream.row += n_rows
                stream.block += 1
            stop = part.call_on_fit_task_end(
                estimator=self,
                X=block.X,
                y=block.y,
                reconstruction_attributes=self._copy_state,
            )
            del block, targets, work
            if stop:
                return True
        _check_rows(stream.row, stream)
        return False
