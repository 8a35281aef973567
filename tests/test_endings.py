"""Ctrl-C, or an error of one fold, ends the threads of the others."""

import subprocess
import sys
import threading
import time

import pytest
from sklearn.base import clone
from test_stream import X, Y

from skmultireduce import (
    LabelTreeClassifier,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
)
from skmultireduce._data.endings import Together, end_if_told

ENDLESS = """
import os, signal, sys, threading, time
import numpy as np
from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier, ThresholdedMultiLabel

signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
X, Y = rng.random((200, 20)), (rng.random((200, 6)) < 0.3).astype(int)
estimator = {estimator}(max_iter=10**9, random_state=0)
model = ThresholdedMultiLabel(estimator, cv=3, n_jobs=2, param_grid={grid})

def interrupt():
    while sum(thread.name.endswith("(worker)") for thread in threading.enumerate()) < 2:
        time.sleep(0.01)
    time.sleep(0.5)
    print(time.time())
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
try:
    model.fit(X, Y)
except KeyboardInterrupt:
    while threading.active_count() > 1:
        time.sleep(0.01)
    print(time.time())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("estimator", "grid"),
    [
        ("MultiLabelSGDClassifier", None),
        ("MultiLabelMLPClassifier", None),
        ("MultiLabelSGDClassifier", {"alpha_scale": [1, 2]}),
    ],
)
def test_ctrl_c_ends_the_threads_of_folds(estimator, grid):
    code = ENDLESS.format(estimator=estimator, grid=grid)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    ended = time.time()
    assert process.returncode == 0, err
    interrupted, quiet = map(float, out.split())
    # Milliseconds, on an idle machine.
    assert quiet - interrupted < 2
    assert ended - interrupted < 4


def test_an_error_of_one_fold_ends_the_others():
    begun = threading.Event()
    ended = []

    class Fails(MultiLabelSGDClassifier):
        def fit(self, X, y):
            if not begun.is_set():
                begun.set()
                try:
                    return super().fit(X, y)
                finally:
                    ended.append(threading.current_thread())
            begun.wait()
            raise RuntimeError("of one fold")

    Fails.__module__ = MultiLabelSGDClassifier.__module__
    model = ThresholdedMultiLabel(Fails(max_iter=10**9, random_state=0), cv=2, n_jobs=2)
    with pytest.raises(RuntimeError, match="of one fold"):
        model.fit(X, Y)
    for _ in range(500):
        if ended:
            break
        time.sleep(0.01)
    assert ended


@pytest.mark.parametrize(
    "model",
    [
        MultiLabelSGDClassifier(max_iter=10**9),
        MultiLabelMLPClassifier(max_iter=10**9),
        LabelTreeClassifier(max_iter=3),
    ],
    ids=lambda model: type(model).__name__,
)
def test_who_is_told_ends(model):
    together = Together()
    with pytest.raises(KeyboardInterrupt), together:
        raise KeyboardInterrupt
    model = clone(model)
    assert together.call(model.fit, X, Y) is None
    # Others are not concerned.
    model.set_params(max_iter=2)
    fitted = Together().call(model.fit, X, Y)
    assert fitted is model
    assert model.n_iter_ == 2


def test_an_inner_one_ends_with_the_outer_one():
    outer, inner = Together(), Together()
    after = []

    def both():
        assert inner.call(lambda: 3) == 3
        outer._told.set()
        inner.call(end_if_told)
        after.append("not reached")

    assert outer.call(both) is None
    assert not after
    end_if_told()
