"""The stand-in for callbacks keeps to the protocol of scikit-learn, where that has one."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skmultireduce import (
    LabelTreeClassifier,
    MultiLabelMLPClassifier,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    _callbacks,
    _sklearn,
)

FORMS = [_callbacks]
if _sklearn.CallbackSupportMixin is not _callbacks.CallbackSupportMixin:
    FORMS.append(_sklearn)


def make(form):
    class Steps(form.CallbackSupportMixin, BaseEstimator):
        @form.with_callbacks
        def fit(self, X, y=None, fail=False):
            context = self._init_callback_context(max_subtasks=3)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            self.n_ = 0
            for _ in range(3):
                inner = context.subcontext(task_name="step")
                inner.call_on_fit_task_begin(estimator=self, X=X, y=y)
                if fail:
                    raise RuntimeError("failed")
                self.n_ += 1
                if inner.call_on_fit_task_end(
                    estimator=self, X=X, y=y, reconstruction_attributes=lambda: {"n_": -self.n_}
                ):
                    break
            context.call_on_fit_task_end(estimator=self, X=X, y=y)
            return self

    return Steps()


class Recorder:
    def __init__(self, stop=None):
        self.stop, self.calls = stop, []

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name, context.estimator_name))

    def on_fit_task_begin(self, estimator, context, *, X):
        self.calls.append(("begin", context.task_name, context.task_id, X))

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        n = None if fitted_estimator is None else fitted_estimator.n_
        parent = context.parent and context.parent.task_name
        self.calls.append(("end", context.task_name, context.task_id, n, parent))
        return context.task_id == self.stop and context.task_name == "step"

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name, context.max_subtasks))


@pytest.mark.parametrize("stop", [None, 1])
def test_both_make_the_same_calls(stop):
    found = []
    for form in FORMS:
        recorder = Recorder(stop)
        model = make(form).set_callbacks(recorder).fit("X")
        assert model.n_ == (3 if stop is None else 2)
        assert not [name for name in vars(model) if "ctx" in name or "teardown" in name]
        found.append(recorder.calls)
    assert all(calls == found[0] for calls in found)
    assert found[0][0] == ("setup", "fit", "Steps")
    assert found[0][-1] == ("teardown", "fit", 3)


@pytest.mark.parametrize("form", FORMS)
def test_torn_down_after_an_error(form):
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="failed"):
        make(form).set_callbacks(recorder).fit("X", fail=True)
    assert [call[0] for call in recorder.calls] == ["setup", "begin", "begin", "teardown"]


@pytest.mark.parametrize("form", FORMS)
def test_set_and_removed(form):
    model = make(form)
    for wrong in (Recorder, object(), np.sum):
        with pytest.raises(TypeError, match="callbacks must be instances"):
            model.set_callbacks(wrong)
    recorder = Recorder()
    assert model.set_callbacks(recorder).set_callbacks() is model
    model.fit("X")
    assert recorder.calls == []


class Tasks:
    """Notes each call of a hook: its name, the task's and the parent's, and rows of X."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X):
        self.note("begin", context, X)

    def on_fit_task_end(self, estimator, context, *, X):
        self.note("end", context, X)

    def note(self, hook, context, X):
        rows = None if X is None else len(X)
        self.calls.append((hook, context.task_name, rows))


DATA = np.random.default_rng(0).random((60, 5))
LABELS = (DATA[:, :3] > 0.5).astype(int)
LABELS[LABELS.sum(axis=1) == 0, 0] = 1


def task(name, rows, inner=()):
    return [("begin", name, rows), *inner, ("end", name, rows)]


def test_who_trains_tells_of_each_epoch():
    for cls in (MultiLabelSGDClassifier, MultiLabelMLPClassifier):
        watcher = Tasks()
        cls(max_iter=2, random_state=0).set_callbacks(watcher).fit(DATA, LABELS)
        epochs = 2 * task("epoch", 60)
        assert watcher.calls == ["setup", *task("fit", 60, epochs), "teardown"]


def test_streams_tell_of_each_block():
    watcher = Tasks()
    blocks = [(DATA[:20], LABELS[:20]), (DATA[20:], LABELS[20:])]
    MultiLabelSGDClassifier(max_iter=2, random_state=0).set_callbacks(watcher).fit_stream(blocks)
    epochs = 2 * task("epoch", None, [*task("block", 20), *task("block", 40)])
    assert watcher.calls == ["setup", *task("fit", None, epochs), "teardown"]


def test_trees_tell_of_each_level():
    watcher = Tasks()
    tree = LabelTreeClassifier(max_iter=2, branching=(2,), random_state=0).set_callbacks(watcher)
    tree.fit(DATA, LABELS)
    assert watcher.calls == ["setup", *task("fit", 60, 2 * task("level", 60)), "teardown"]


def test_cutoffs_tell_of_each_fold():
    watcher = Tasks()
    inner = MultiLabelSGDClassifier(max_iter=2, random_state=0)
    ThresholdedMultiLabel(inner, cv=3).set_callbacks(watcher).fit(DATA, LABELS)
    fits = [*(3 * task("fold", 40)), *task("refit", 60)]
    assert watcher.calls == ["setup", *task("fit", 60, fits), "teardown"]
