"""Threads of one training, which end with it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from threading import Condition, Lock
from types import TracebackType

from joblib import cpu_count
from joblib.parallel import get_active_backend
from threadpoolctl import ThreadpoolController

__all__ = ["Threads", "one_blas_thread", "usable_cores", "usable_threads"]


class _OneBlasThread:
    """Context in which BLAS has one thread, for any number of threads in it at once.

    The limit is of the whole process: the first to come sets it and the last to go lifts it.
    If each lifted its own, one would lift that of another, or leave it for ever.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._limit: AbstractContextManager | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._limit = _threadpools().limit(limits=1, user_api="blas")
                self._limit.__enter__()
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.__exit__(*error)


@cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()


_one_blas_thread = _OneBlasThread()


def one_blas_thread() -> AbstractContextManager:
    """Context in which BLAS has one thread: products are small, threads are our own."""
    return _one_blas_thread


def usable_cores() -> int:
    """Number of cores that this process may use: by its affinity, its container, the machine."""
    return cpu_count()


def usable_threads(n_jobs: int | None) -> int:
    """Number of threads that a training or predictions may use.

    One inside of another Parallel (a grid search, folds), where the cores are taken already;
    at most one for each usable core: threads that wait for one that has no core take as long
    as that one has to wait.
    """
    backend, default = get_active_backend()
    if backend.nesting_level:
        return 1
    wanted = backend.effective_n_jobs(default if n_jobs is None else n_jobs)
    # The number of cores is read from files of the system: not for one thread.
    return wanted if wanted <= 1 else min(wanted, usable_cores())


class Threads:
    """Threads of one training; as a context, none of them outlives the block.

    Parameters
    ----------
    n_threads : int
        In [1, inf). 1: work is done by the caller.
    context : callable, default=None
        Gives a context that the whole training is in.
    """

    def __init__(
        self, n_threads: int, context: Callable[[], AbstractContextManager] | None = None
    ) -> None:
        self.n_threads = n_threads
        self._context = context or nullcontext
        self._entered: AbstractContextManager | None = None
        # Of one thread each: whatever one is given, it does in the order in which it came.
        self._pools = [ThreadPoolExecutor(1) for _ in range(n_threads if n_threads > 1 else 0)]

    def __enter__(self) -> Threads:
        self._entered = self._context()
        self._entered.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()
        self._entered.__exit__(kind, error, traceback)

    def _end(self) -> None:
        # Also when interrupted: what a thread still computes would go into arrays that
        # the caller takes to be at rest.
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools:
            pool.shutdown(wait=True)

    def begin(self, function: Callable[[int], None], n: int) -> Callable[[], None]:
        """Begin to call ``function(0)``, …, ``function(n - 1)``, in any order.

        What is begun next need not wait for all of them: its call with a number comes after
        this one's with the same number, and may come before this one's with others.

        Parameters
        ----------
        function : callable
        n : int
            Number of calls.

        Returns
        -------
        wait : callable
            Returns once all are made; raises the first exception of one. With one thread
            `begin` does both.
        """
        if not self._pools:
            for number in range(n):
                function(number)
            return lambda: None
        calls = [
            self._pools[number % self.n_threads].submit(function, number) for number in range(n)
        ]

        def wait() -> None:
            for call in calls:
                call.result()

        return wait

    def together(self, function: Callable[[int], None]) -> None:
        """Call ``function(thread)`` in all threads at once.

        For calls that wait for each other. None begins before all threads are there: if
        one cannot be had, or the caller is interrupted, the others would wait for ever.

        Parameters
        ----------
        function : callable
            Either all calls raise or none does. An exception is raised here, and is the
            end of the threads.
        """
        if not self._pools:
            function(0)
            return
        gate = _Gate(self.n_threads)

        def run(thread: int) -> None:
            if gate.enter():
                function(thread)

        try:
            self.begin(run, self.n_threads)()
        except BaseException:
            gate.close()
            # A pool that has failed to start a thread has lost count of them.
            self._end()
            raise


class _Gate:
    """Lets n threads through when all are there, or none if it is closed before."""

    def __init__(self, n: int) -> None:
        self._missing = n
        self._closed = False
        self._change = Condition()

    def enter(self) -> bool:
        """Wait; whether to go on."""
        with self._change:
            if not self._closed:
                self._missing -= 1
                self._change.notify_all()
                self._change.wait_for(lambda: self._closed or not self._missing)
            return not self._closed

    def close(self) -> None:
        """Send back who waits and who comes; too late once all are there."""
        with self._change:
            self._closed = self._missing > 0
            self._change.notify_all()
