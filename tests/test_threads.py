"""Threads of a training: all at once or none, and gone when it ends."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier
from skmultireduce._models.linear import LinearModel
from skmultireduce._models.threads import Threads, usable_threads


@pytest.fixture(autouse=True)
def none_left():
    """No test leaves a thread."""
    before = threading.enumerate()
    yield
    assert threading.enumerate() == before


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_each_number_once(n_threads):
    seen = []
    with Threads(n_threads) as threads:
        threads.begin(seen.append, 7)()
        threads.begin(seen.append, 0)()
    assert sorted(seen) == list(range(7))


@pytest.mark.parametrize("n_threads", [2, 5])
def test_a_number_comes_after_itself_but_not_after_others(n_threads):
    seen, gate = [], threading.Event()

    def call(number):
        if number == 0:
            assert gate.wait(timeout=60)
        seen.append(number)

    with Threads(n_threads) as threads:
        threads.begin(call, n_threads)
        # The others' second calls do not wait for the first of number 0.
        second = threads.begin(call, n_threads + 1)
        while len(seen) < 2 * (n_threads - 1):
            time.sleep(0.001)
        assert 0 not in seen
        gate.set()
        second()
    # The number beyond the threads is of the first one too, and comes last there.
    assert [number for number in seen if number in (0, n_threads)] == [0, 0, n_threads]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_together_they_meet(n_threads):
    barrier = threading.Barrier(n_threads)
    seen = []

    def meet(thread):
        barrier.wait(timeout=60)
        seen.append(thread)

    with Threads(n_threads) as threads:
        for _ in range(3):
            threads.together(meet)
    assert sorted(seen) == sorted(3 * list(range(n_threads)))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("method", ["begin", "together"])
def test_errors_are_raised(n_threads, method):
    def fail(thread):
        raise KeyError(thread)

    with Threads(n_threads) as threads:
        calls = {
            "begin": lambda: threads.begin(fail, 4)(),
            "together": lambda: threads.together(fail),
        }
        with pytest.raises(KeyError):
            calls[method]()


@pytest.mark.parametrize("started", [0, 1, 2])
def test_none_begins_if_one_cannot_be_had(monkeypatch, started):
    start, calls, seen = threading.Thread.start, [], []

    def limited(thread):
        calls.append(thread)
        if len(calls) > started:
            raise RuntimeError("can't start new thread")
        start(thread)

    with Threads(3) as threads:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", limited)
            with pytest.raises(RuntimeError, match="can't start"):
                threads.together(seen.append)
        with pytest.raises(RuntimeError, match="after shutdown"):
            threads.together(seen.append)
    assert seen == []


class Stop:
    """Raises after an epoch."""

    def __init__(self, error):
        self.error = error

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            names = [thread.name for thread in threading.enumerate()]
            assert any("ThreadPoolExecutor" in name for name in names), "none to leave behind"
            raise self.error


MODELS = [
    MultiLabelSGDClassifier(reduction="one_vs_rest", n_jobs=2, max_iter=2),
    MultiLabelMLPClassifier(embedding_dim=8, n_jobs=2, max_iter=2),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_no_thread_outlives_a_fit(model, error):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.integers(0, 2, (40, 300))
    before = threading.enumerate()
    if error is None:
        model.set_callbacks().fit(X, y)
        return
    # The traceback keeps all that the fit had in hand.
    with pytest.raises(error) as caught:
        model.set_callbacks(Stop(error)).fit(X, y)
    assert caught.tb is not None
    assert threading.enumerate() == before


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_an_error_while_threads_are_ahead(monkeypatch, error):
    def failing(self, work, rows, targets, visit):
        seen.append(visit.n_ahead)
        if visit.epoch == 4:
            raise error
        return epoch(self, work, rows, targets, visit)

    seen, epoch = [], LinearModel.epoch
    monkeypatch.setattr(LinearModel, "epoch", failing)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.integers(0, 2, (40, 300))
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", n_jobs=2, warm_start=True)
    with pytest.raises(error):
        model.fit(X, y)
    assert seen == [0, 1, 2, 2, 2]
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_an_epoch_that_diverges_while_threads_are_ahead(monkeypatch):
    def diverging(self, work, rows, targets, visit):
        total_loss = epoch(self, work, rows, targets, visit)
        return (lambda: np.nan) if visit.epoch == 1 else total_loss

    epoch = LinearModel.epoch
    monkeypatch.setattr(LinearModel, "epoch", diverging)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.integers(0, 2, (40, 300))
    with pytest.raises(ValueError, match="diverged in epoch 2"):
        MultiLabelSGDClassifier(reduction="one_vs_rest", n_jobs=2).fit(X, y)


@pytest.mark.parametrize("n_epochs", [1, 2, 3, 7])
@pytest.mark.parametrize("n_jobs", [2, 3])
def test_bits_and_losses_do_not_depend_on_who_is_ahead(n_epochs, n_jobs):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.integers(0, 2, (40, 300))
    options = {"reduction": "one_vs_rest", "max_iter": n_epochs, "random_state": 0}
    one = MultiLabelSGDClassifier(**options).fit(X, y)
    # Whoever prints losses looks at each epoch before the next.
    for verbose in (0, 1):
        several = MultiLabelSGDClassifier(n_jobs=n_jobs, verbose=verbose, **options).fit(X, y)
        np.testing.assert_array_equal(one.coef_, several.coef_)
        assert (one.loss_curve_, one.n_iter_, one.t_) == (
            several.loss_curve_, several.n_iter_, several.t_
        )  # fmt: skip


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_without_tol_a_run_goes_on_whatever_it_waited_before(n_jobs):
    class StopAfter(Stop):
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and estimator.n_iter_ == 4

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 5)), rng.integers(0, 2, (40, 300))
    model = MultiLabelSGDClassifier(
        reduction="one_vs_rest", n_jobs=n_jobs, warm_start=True, max_iter=8, tol=1e3
    )
    model.set_callbacks(StopAfter(None)).fit(X, y)
    assert model.n_iter_ == 4
    model.set_callbacks().set_params(tol=None, n_iter_no_change=2).fit(X, y)
    assert (model.n_iter_, len(model.loss_curve_)) == (8, 8)


ON_ONE_CORE = """
import os, time
import numpy as np, scipy.sparse as sp
from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier
from skmultireduce._models.threads import usable_cores, usable_threads

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
assert (usable_cores(), usable_threads(4), usable_threads(-1)) == (1, 1, 1)
X = sp.random(4000, 500, 0.03, format="csr", dtype=np.float32, random_state=0)
y = sp.csr_array((X[:, :200] != 0).astype(np.int8))
y[:, [0]] = 1
for model in (
    MultiLabelMLPClassifier(embedding_dim=16, max_iter=2, random_state=0),
    MultiLabelSGDClassifier(reduction="one_vs_rest", max_iter=4, random_state=0),
):
    least = dict.fromkeys((1, 2, 4), np.inf)
    for _ in range(4):
        for n_jobs in least:
            start = time.process_time()
            model.set_params(n_jobs=n_jobs).fit(X, y)
            least[n_jobs] = min(least[n_jobs], time.process_time() - start)
    assert max(least.values()) < 1.5 * least[1], least
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs the affinity of Linux")
def test_threads_have_a_core_of_their_own():
    """More threads than the cores of the process' affinity: no more work than for one.

    Time of the processor, which does not depend on what else the machine does; 0.1.0 took
    eight times as much, since threads waited for each other.
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", ON_ONE_CORE], check=True)


@pytest.mark.parametrize(
    ("n_jobs", "cores", "expected"), [(None, 4, 1), (3, 2, 2), (-1, 1, 1), (2, 8, 2)]
)
def test_threads_are_capped_at_the_usable_cores(monkeypatch, n_jobs, cores, expected):
    """`n_jobs` of None, positive and negative, beside what affinity and container allow."""
    monkeypatch.setattr("skmultireduce._models.threads.usable_cores", lambda: cores)
    assert usable_threads(n_jobs) <= expected
    assert MultiLabelSGDClassifier(n_jobs=n_jobs)._n_threads() <= expected
