"""The one loop over epochs, whatever the rows come from and whoever looks on."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from .._data.endings import end_if_told
from .._data.rows import Rows
from .._reductions.targets import Targets
from .._sklearn import CallbackContext
from .schedule import Patience
from .training import Training

__all__ = ["InMemory", "Source", "Watch", "run_epochs"]


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


@dataclass(frozen=True)
class Watch:
    """Who looks at a run, and what they are told.

    Parameters
    ----------
    n_epochs : int
        Number of epochs to run.
    context : CallbackContext
        Of scikit-learn's callbacks, for the run.
    told : dict
        What callbacks get: the estimator, X and y.
    publish : callable
        Called when counters have changed, and before anyone looks.
    forget : callable
        Called when parameters no longer fit to the counters.
    score : callable or None, default=None
        Gives the validation score of the present model.
    calls : bool, default=False
        Whether there are callbacks.
    """

    n_epochs: int
    context: CallbackContext
    told: dict[str, Any]
    publish: Callable[[], None]
    forget: Callable[[], None]
    score: Callable[[], float] | None = None
    calls: bool = False

    def looks(self, training: Training) -> bool:
        """Whether anything looks at the model, or at its losses, between epochs."""
        plan = training.plan
        return bool(
            self.score is not None
            or self.calls
            or plan.average
            or plan.verbose
            or plan.tol is not None
        )

    @contextmanager
    def as_a_whole(self) -> Iterator[None]:
        """All of this is done, or the model is forgotten: weights must fit to counters."""
        with _interrupts_wait():
            try:
                yield
            except BaseException:
                self.forget()
                raise


class Source:
    """Rows of a run: in memory, a stream of blocks, or on a cluster.

    Attributes
    ----------
    n_used : float
        What the sum of an epoch's losses is divided by.
    epochs_ahead : int
        How many epochs may begin before one that has begun is waited for.
    resumes : bool
        Whether a run that an error has ended outside of `Watch.as_a_whole` can go on.
    """

    n_used: float
    epochs_ahead = 0
    resumes = False

    def open(self, training: Training) -> AbstractContextManager:
        """Context of all epochs."""
        raise NotImplementedError

    def n_parts(self, training: Training) -> int:
        """Number of parts of the next epoch that callbacks are told of."""
        return 0

    def epoch(
        self, training: Training, n_ahead: int, watch: Watch, task: CallbackContext
    ) -> Callable[[], float | None]:
        """Begin the next epoch.

        Parameters
        ----------
        training : Training
        n_ahead : int
            Number of epochs that have begun and were not waited for.
        watch : Watch
            Is told of the parts of the epoch.
        task : CallbackContext
            Of the epoch.

        Returns
        -------
        wait : callable
            Gives the sum of the losses; None if a callback has ended the run before the end
            of the epoch.
        """
        raise NotImplementedError

    def end_epoch(self, training: Training) -> None:
        """Called when an epoch has been counted."""

    def update_mean(self, training: Training) -> None:
        """Add the parameters of this epoch to the mean."""
        training.update_mean()

    def sync(self, training: Training) -> None:
        """Bring the present parameters here, if they are elsewhere."""


class InMemory(Source):
    """Rows in memory.

    Parameters
    ----------
    rows : Rows
    targets : Targets
    n_threads : int
    """

    def __init__(self, rows: Rows, targets: Targets, n_threads: int) -> None:
        self.rows, self.targets, self.n_threads = rows, targets, n_threads
        self.n_used = float(targets.row_share.sum())
        self._work: Any = None

    @contextmanager
    def open(self, training: Training) -> Iterator[None]:
        """Threads and buffers, for all epochs."""
        self._work = training.model.workspace(self.rows, self.targets, self.n_threads)
        if self._work.threads.n_threads > 1:
            self.epochs_ahead = training.model.epochs_ahead
        with self._work.threads:
            yield

    def epoch(
        self, training: Training, n_ahead: int, watch: Watch, task: CallbackContext
    ) -> Callable[[], float]:
        """Begin the next epoch."""
        visit = training.visit(self.targets, n_ahead=n_ahead)
        return training.model.epoch(self._work, self.rows, self.targets, visit)

    def end_epoch(self, training: Training) -> None:
        """Count the updates."""
        training.n_updates += self.targets.n_targets

    def update_mean(self, training: Training) -> None:
        """Add the parameters of this epoch to the mean."""
        if training.plan.follows:
            training.follow(self.targets.n_targets)
        else:
            training.update_mean()


def run_epochs(training: Training, source: Source, watch: Watch) -> bool:
    """Train until the plan is done, nothing improves any more, or a callback says stop.

    Parameters
    ----------
    training : Training
        With a `progress`, of a run that begins or goes on; changed in place.
    source : Source
    watch : Watch

    Returns
    -------
    exhausted : bool
        Whether the plan came to its end before the training had settled.
    """
    n_epochs, context, told = watch.n_epochs, watch.context, watch.told
    judged = watch.score is not None or training.plan.tol is not None
    # A run may have been interrupted after its last epoch.
    settled = judged and training.progress.patience.exhausted
    stopped = False
    begun: deque[Callable[[], float | None]] = deque()

    def state() -> dict[str, Any]:
        source.sync(training)
        return {"_training": training.copy()}

    watch.publish()
    with source.open(training):
        ahead = 0 if watch.looks(training) else source.epochs_ahead
        context.call_on_fit_task_begin(**told)
        while n_epochs and not settled and not stopped:
            end_if_told()
            n_epochs -= 1
            task = context.subcontext(task_name="epoch", max_subtasks=source.n_parts(training))
            task.call_on_fit_task_begin(**told)
            begun.append(source.epoch(training, len(begun), watch, task))
            while len(begun) > (ahead if n_epochs else 0):
                loss = begun.popleft()()
                if loss is None:
                    stopped = True
                    break
                with watch.as_a_whole():
                    patience = _end_epoch(training, source, watch, loss / source.n_used)
                    settled = judged and patience.exhausted
            if not stopped:
                stopped = task.call_on_fit_task_end(**told, reconstruction_attributes=state)
        finished = settled or training.epochs_of_run >= training.plan.max_iter
        source.sync(training)
        with watch.as_a_whole():
            training.end_run(finished=finished)
            watch.publish()
        context.call_on_fit_task_end(**told, reconstruction_attributes=state)
    return finished and not settled and not stopped


def _end_epoch(training: Training, source: Source, watch: Watch, loss: float) -> Patience:
    """Count an epoch and judge it."""
    plan, progress = training.plan, training.progress
    training.epoch += 1
    training.epochs_of_run += 1
    training.losses.append(loss)
    source.end_epoch(training)
    training.check_finite(loss)
    if plan.averages(training.epoch):
        source.update_mean(training)
    else:
        training.drop_mean()
    if plan.verbose:
        print(f"epoch {training.epoch}: loss {loss:.6g}")
    watch.publish()
    if watch.score is not None:
        source.sync(training)
        score = watch.score()
        training.validation_scores.append(score)
        if plan.verbose:
            print(f"epoch {training.epoch}: validation score {score:.6g}")
        if progress.patience.update(score):
            progress.best = training.snapshot()
            training.best_validation_score = score
        watch.publish()
    elif plan.tol is not None:
        progress.patience.update(-loss)
    return progress.patience
