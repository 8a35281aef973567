"""fit_stream: the bits of fit, bounded memory, exact resumption, clear errors."""

import copy
import itertools
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer

from conftest import best_micro_jaccard, random_problem
from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier
from skmultireduce._models.linear import LinearModel
from skmultireduce._models.network import EmbeddingNetwork
from skmultireduce._reductions.candidates import find_candidates
from skmultireduce._reductions.table import REDUCTIONS
from skmultireduce.datasets import FastTextBlocks

X, Y = random_problem(4, n_rows=130, n_features=20, n_labels=6)
Y[Y.sum(axis=1) == 0, 0] = 1
WEIGHT = np.random.default_rng(0).random(130)
WEIGHT[7] = 0

EMBEDDING = np.random.default_rng(1).normal(size=(20, 4))
MODELS = [
    MultiLabelSGDClassifier(max_iter=4, random_state=2),
    MultiLabelMLPClassifier(embedding_dim=4, max_iter=4, dropout=0.2, random_state=2),
]
IDS = ["linear", "mlp"]


def blocks_of(*bounds, X=X, Y=Y, weight=None):
    """A list of blocks that end at these rows."""
    parts = []
    for start, stop in zip((0, *bounds), (*bounds, X.shape[0]), strict=True):
        part = (X[start:stop], Y[start:stop])
        parts.append(part if weight is None else (*part, weight[start:stop]))
    return parts


def bits(model):
    models = [model._training.model, model._training.mean]
    arrays = b"".join(a.tobytes() for each in models if each for a in each.arrays)
    curves = [model.loss_curve_, getattr(model, "validation_scores_", None)]
    return arrays, curves, model.n_iter_, model.t_, model.eta0_, model.alpha_


def inclusion(model):
    """Probabilities with which a sampled softmax takes the labels."""
    return model._training.model.rates.inclusion


class Hook:
    """Callback that calls a function with (estimator, task name, number of the call)."""

    def __init__(self, function):
        self.function = function
        self.calls = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name in ("block", "epoch"):
            self.calls += 1
            return self.function(estimator, context.task_name, self.calls)
        return None


# --------------------------------------------------------------------- the bits of fit
OPTIONS = [
    *({"reduction": reduction} for reduction in REDUCTIONS),
    {"class_weight": "balanced"},
    {"class_weight": {2: 3.0}, "reduction": "pick_all"},
    {"average": 2, "label_sampling": "cycle"},
    {"learning_rate": "invscaling", "dtype": "float64"},
]


SAMPLED = {"n_sampled_labels": 2, "alpha": 1e-3}


def test_one_block_is_fit_for_a_sampled_softmax():
    model = clone(MODELS[1]).set_params(**SAMPLED)
    for weight in (None, WEIGHT):
        streamed = clone(model).fit_stream(blocks_of(weight=weight))
        assert bits(streamed) == bits(clone(model).fit(X, Y, weight))
    # What the samples depend on is of all blocks.
    parts = clone(model).fit_stream(blocks_of(40, 90))
    np.testing.assert_allclose(inclusion(parts), inclusion(clone(model).fit(X, Y)), rtol=1e-12)


def test_samples_of_a_stream_go_by_the_row_in_the_epoch(monkeypatch):
    first_rows = []

    def record(*args, first_row, **options):
        first_rows.append(first_row)
        return find_candidates(*args, first_row=first_row, **options)

    monkeypatch.setattr("skmultireduce._models.network.find_candidates", record)
    model = clone(MODELS[1]).set_params(**SAMPLED, warm_start=True)
    parts = blocks_of(30, 90)
    whole = clone(model).fit_stream(parts)
    assert first_rows[:4] == [0, 30, 90, 0]
    stopped = clone(model).set_callbacks(Hook(lambda _, __, calls: calls == 2)).fit_stream(parts)
    assert stopped.t_ < whole.t_
    assert bits(stopped.set_callbacks().fit_stream(parts)) == bits(whole)


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_one_block_is_fit(model, options, weight):
    whole = clone(model).set_params(**options).fit(X, Y, weight)
    streamed = clone(model).set_params(**options).fit_stream(blocks_of(weight=weight))
    assert bits(streamed) == bits(whole)


def test_one_block_is_fit_from_given_embeddings_and_with_early_stopping():
    model = MODELS[1]
    for options in ({"embedding_init": EMBEDDING}, {"early_stopping": True, "max_iter": 30}):
        validation = {"X_val": X[:50], "y_val": Y[:50]} if "early_stopping" in options else {}
        whole = clone(model).set_params(**options).fit(X, Y, **validation)
        streamed = clone(model).set_params(**options).fit_stream(blocks_of(), **validation)
        assert bits(streamed) == bits(whole)


def test_one_block_is_fit_for_classes():
    names = np.array(list("bca"))[Y[:, :3].argmax(axis=1)]
    whole = clone(MODELS[0]).fit(X, names)
    parts = blocks_of(Y=names)
    assert bits(clone(MODELS[0]).fit_stream(parts)) == bits(whole)
    parts = blocks_of(60, Y=names)
    streamed = clone(MODELS[0]).fit_stream(parts, classes=["a", "b", "c", "d"])
    assert streamed.classes_.tolist() == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match=r"Block 0 of the stream: .*'c'"):
        clone(MODELS[0]).fit_stream(parts, classes=["a", "b"])


def test_blocks_may_have_many_classes_for_their_rows():
    # scikit-learn takes such a y for one of a regression; warnings are errors here.
    names = np.arange(130) % 40
    parts = blocks_of(26, 52, 78, 104, Y=names)
    model = clone(MODELS[0]).fit_stream(parts, classes=np.arange(40))
    assert len(model.classes_) == 40
    stream = clone(MODELS[0]).partial_fit(*parts[0], classes=np.arange(40)).partial_fit(*parts[1])
    assert stream.t_ == 52


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@given(bounds=st.sets(st.integers(1, 129), max_size=5), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_draws_and_rates_do_not_depend_on_blocks(model, bounds, seed):
    seen = []

    kind = LinearModel if isinstance(model, MultiLabelSGDClassifier) else EmbeddingNetwork
    epoch_of = kind.epoch

    def spied(self, work, rows, targets, visit):
        pairs = targets.label_sets.indices[visit.shown[0]]
        seen.append((visit.epoch, visit.first_row, pairs, visit.order))
        return epoch_of(self, work, rows, targets, visit)

    def run(train):
        seen.clear()
        spy = clone(model).set_params(random_state=seed, max_iter=2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, "epoch", spied)
            train(spy)
        labels = [
            np.concatenate([pairs for e, _, pairs, _ in seen if e == epoch]) for epoch in (0, 1)
        ]
        visits = [first + order for _, first, _, order in seen]
        return spy, labels, np.concatenate(visits)

    whole, labels, _ = run(lambda spy: spy.fit(X, Y))
    streamed, streamed_labels, visits = run(lambda spy: spy.fit_stream(blocks_of(*sorted(bounds))))
    np.testing.assert_array_equal(streamed_labels, labels)
    np.testing.assert_array_equal(np.sort(visits), np.repeat(np.arange(130), 2))
    assert streamed.t_ == whole.t_
    assert streamed.eta0_ == pytest.approx(whole.eta0_, rel=1e-12)
    assert streamed.alpha_ == pytest.approx(whole.alpha_, rel=1e-12)
    assert getattr(streamed, "batch_size_", 0) == getattr(whole, "batch_size_", 0)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
def test_rates_of_blocks_are_those_of_the_whole(weight):
    options = {"class_weight": "balanced", "reduction": "pick_all"}
    for model in MODELS:
        whole = clone(model).set_params(**options).fit(X, Y, weight)
        parts = blocks_of(10, 11, 70, weight=weight)
        streamed = clone(model).set_params(**options).fit_stream(parts)
        assert streamed.eta0_ == pytest.approx(whole.eta0_, rel=1e-12)
        assert streamed.alpha_ == pytest.approx(whole.alpha_, rel=1e-12)


def test_unshuffled_blocks_are_the_unshuffled_whole():
    # Rows come in the same order with the same steps, but for rounding.
    model = MultiLabelSGDClassifier(shuffle=False, dtype="float64", max_iter=5, random_state=0)
    whole = clone(model).fit(X, Y)
    streamed = clone(model).fit_stream(blocks_of(17, 50, 51))
    np.testing.assert_allclose(streamed.coef_, whole.coef_, rtol=1e-9, atol=1e-12)
    assert streamed.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-9)


def test_quality_of_blocks_is_that_of_the_whole(tmc2007):
    X, y, X_test, y_test = tmc2007
    model = MultiLabelSGDClassifier(max_iter=5, random_state=0)
    whole = best_micro_jaccard(y_test, clone(model).fit(X, y).predict_proba(X_test))
    parts = blocks_of(*range(2000, X.shape[0], 2000), X=X, Y=y)
    streamed = best_micro_jaccard(y_test, model.fit_stream(parts).predict_proba(X_test))
    assert streamed > whole - 0.01


def test_a_function_may_make_the_blocks():
    parts = blocks_of(40, 80)
    expected = bits(clone(MODELS[0]).fit_stream(parts))
    assert bits(clone(MODELS[0]).fit_stream(lambda: iter(parts))) == expected
    assert bits(clone(MODELS[0]).fit_stream(lambda: parts)) == expected


def test_unlabeled_rows_are_counted_once():
    y = Y.copy()
    y[[3, 50, 51, 52, 120]] = 0
    parts = blocks_of(50, 53, Y=y)
    with pytest.warns(UserWarning, match="5 of 130 rows have no label") as caught:
        model = clone(MODELS[0]).fit_stream(parts)
    assert len(caught) == 1
    assert model.n_unlabeled_ == 5
    assert model.t_ == 4 * 125
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        binary = clone(MODELS[0]).set_params(reduction="one_vs_rest").fit_stream(parts)
    assert binary.n_unlabeled_ == 0
    with pytest.raises(ValueError, match="No row of y has a label"):
        clone(MODELS[0]).fit_stream(blocks_of(50, Y=y * 0))


def test_early_stopping_and_tol():
    model = clone(MODELS[0]).set_params(early_stopping=True, max_iter=60, n_iter_no_change=3)
    with pytest.raises(ValueError, match="X_val and y_val"):
        model.fit_stream(blocks_of(50))
    model.fit_stream(blocks_of(50), X_val=X[:40], y_val=Y[:40])
    assert model.n_iter_ < 60
    assert model.best_validation_score_ == max(model.validation_scores_)
    with pytest.warns(ConvergenceWarning, match="max_iter=4"):
        clone(MODELS[0]).set_params(tol=1e-9).fit_stream(blocks_of(50))


def test_one_block_is_in_memory():
    alive, most = 0, 0

    class Tracked(np.ndarray):
        def __new__(cls, array):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)
            return np.array(array).view(cls)

        def __del__(self):
            nonlocal alive
            if self.base is not None and not isinstance(self.base, Tracked):
                alive -= 1

    def blocks():
        for start in range(0, 130, 13):
            yield Tracked(X[start : start + 13].toarray()), Y[start : start + 13]

    for options in ({}, {"class_weight": "balanced"}):
        most = 0
        clone(MODELS[0]).set_params(**options).fit_stream(blocks)
        assert (alive, most) == (0, 1)


def test_callbacks_see_blocks_and_epochs():
    names = []
    model = clone(MODELS[0]).set_params(max_iter=2)
    model.set_callbacks(Hook(lambda _, name, __: names.append(name))).fit_stream(blocks_of(60))
    assert names == ["block", "block", "epoch"] * 2
    callback = pytest.importorskip("sklearn.callback", reason="new in scikit-learn 1.9")
    monitor = callback.ScoringMonitor(scoring="f1_micro")
    model.set_callbacks(monitor).fit_stream(blocks_of(60))
    records = monitor.get_logs(select="most_recent").data
    by_block = [record for record in records if record["task_name"] == "block"]
    assert len(by_block) == 4


# -------------------------------------------------------------------------- resumption
RESUMED = [
    {},
    {"reduction": "one_vs_rest", "class_weight": "balanced"},
    {"average": True, "label_sampling": "cycle"},
    {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 6},
    {"tol": 1e-3, "n_iter_no_change": 1},
]


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("options", RESUMED, ids=str)
@pytest.mark.parametrize("stop", [1, 3, 4, 6, 9])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_stopped_by_a_callback_and_resumed(model, options, stop):
    parts = blocks_of(30, 90)
    model = clone(model).set_params(warm_start=True, **options)
    validation = {"X_val": X[:40], "y_val": Y[:40]} if "early_stopping" in options else {}
    whole = clone(model).fit_stream(parts, **validation)
    stopped = clone(model).set_callbacks(Hook(lambda _, __, calls: calls == stop))
    stopped.fit_stream(parts, **validation)
    assert stopped.t_ < whole.t_
    stopped.predict(X)
    stopped = pickle.loads(pickle.dumps(stopped.set_callbacks()))
    stopped.fit_stream(parts, **validation)
    assert bits(stopped) == bits(whole)
    # A complete run starts the schedule again, from the present weights.
    if not validation and "tol" not in options:
        assert stopped.fit_stream(parts, **validation).n_iter_ == 8


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_every_pickle_of_a_callback_goes_on_to_the_same_bits(model, early_stopping):
    pickles = []

    def save(estimator, *_):
        pickles.append(pickle.dumps(copy.copy(estimator).set_callbacks()))

    parts = blocks_of(30, 90)
    options = {"max_iter": 60, "n_iter_no_change": 2} if early_stopping else {"max_iter": 2}
    validation = {"X_val": X[:40], "y_val": Y[:40]} if early_stopping else {}
    model = clone(model).set_params(warm_start=True, early_stopping=early_stopping, **options)
    whole = clone(model).set_callbacks(Hook(save)).fit_stream(parts, **validation)
    assert whole.n_iter_ < 60
    assert len(pickles) == 4 * whole.n_iter_
    for saved in pickles[-8:]:
        assert bits(pickle.loads(saved).fit_stream(parts, **validation)) == bits(whole)


class Reader:
    """Blocks, of which some make trouble at the first reading."""

    def __init__(self, parts, trouble, error):
        self.parts = parts
        self.trouble = trouble
        self.error = error
        self.read = 0

    def __iter__(self):
        for part in self.parts:
            self.read += 1
            if self.read == self.trouble:
                raise self.error
            yield part


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk")], ids=repr)
@pytest.mark.parametrize("trouble", [6, 7, 8, 13])
def test_errors_of_the_reader_leave_a_run_to_resume(error, trouble):
    parts = blocks_of(30, 90)
    model = clone(MODELS[0]).set_params(warm_start=True)
    whole = clone(model).fit_stream(parts)
    # One reading of the first block, three of the first pass.
    reader = Reader(parts, trouble, error)
    with pytest.raises(type(error)):
        model.fit_stream(reader)
    before = reader.read
    model.fit_stream(reader)
    assert bits(model) == bits(whole)
    # Nothing is read again but what iterating needs.
    passes_left = 4 - (trouble - 5) // 3
    assert reader.read - before == 3 * passes_left


@pytest.fixture
def interrupts():
    """SIGINT interrupts, which it does not in what a shell has put into the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_waits_for_the_end_of_the_block(monkeypatch):
    parts = blocks_of(30, 90)

    def interrupted(self, work, rows, targets, visit):
        total_loss = epoch(self, work, rows, targets, visit)
        if visit.epoch == 1 and visit.first_row == 30 and armed:
            armed.clear()
            signal.raise_signal(signal.SIGINT)
            assert model._training.position.row == 30
        return total_loss

    armed, epoch = [True], LinearModel.epoch
    monkeypatch.setattr(LinearModel, "epoch", interrupted)
    model = clone(MODELS[0]).set_params(warm_start=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit_stream(parts)
    position = model._training.position
    assert (position.block, position.row, model.n_iter_) == (2, 90, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    model.fit_stream(parts)
    assert bits(model) == bits(clone(MODELS[0]).fit_stream(parts))


def test_an_error_within_a_block_forgets_the_model(monkeypatch):
    def broken(self, work, rows, targets, visit):
        if visit.epoch == 1:
            raise MemoryError
        return epoch(self, work, rows, targets, visit)

    epoch = LinearModel.epoch
    monkeypatch.setattr(LinearModel, "epoch", broken)
    model = MultiLabelSGDClassifier(warm_start=True, random_state=0)
    with pytest.raises(MemoryError):
        model.fit_stream(blocks_of(30))
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_it_works_in_a_thread():
    models = [clone(MODELS[0])]
    thread = threading.Thread(target=lambda: models[0].fit_stream(blocks_of(30)))
    thread.start()
    thread.join()
    assert bits(models[0]) == bits(clone(MODELS[0]).fit_stream(blocks_of(30)))


def test_fit_goes_on_from_a_stream_and_back():
    model = clone(MODELS[0]).set_params(warm_start=True)
    whole = clone(model).fit(X, Y).fit(X, Y)
    mixed = clone(model).fit_stream(blocks_of()).fit(X, Y)
    assert bits(mixed) == bits(whole)
    mixed = clone(model).fit(X, Y).fit_stream(blocks_of())
    assert bits(mixed) == bits(whole)
    # Rows of another call are no part of an unfinished stream.
    stopped = clone(model).set_callbacks(Hook(lambda *_: True)).fit_stream(blocks_of(30))
    stopped.set_callbacks().partial_fit(X, Y)
    assert stopped._training.position is None
    assert stopped.fit_stream(blocks_of(30)).n_iter_ == 4


def test_resumes_by_iter_from():
    class Seekable(list):
        started = ()

        def iter_from(self, n_blocks):
            self.started = (*self.started, n_blocks)
            return iter(self[n_blocks:])

    parts = Seekable(blocks_of(30, 90))
    model = clone(MODELS[0]).set_params(warm_start=True)
    whole = clone(model).fit_stream(parts)
    assert parts.started == ()
    model.set_callbacks(Hook(lambda _, __, calls: calls == 2)).fit_stream(parts)
    model.set_callbacks().fit_stream(parts)
    assert parts.started == (2,)
    assert bits(model) == bits(whole)


@pytest.mark.parametrize(
    "changed",
    [
        {"alpha": 0.5},
        {"eta0": 0.5},
        {"reduction": "one_vs_rest"},
        {"class_weight": "balanced"},
        {"class_weight": {2: 3.0}},
        {"early_stopping": True},
        {"tol": 0.1},
        {"n_iter_no_change": 1},
        {"batch_size": 7},
        {"n_sampled_labels": 2},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_run_goes_on_with_the_parameters_that_it_has_read(changed):
    (name,) = changed
    model = next(model for model in MODELS if name in model.get_params())
    before = model.get_params()
    parts = blocks_of(30, 90)
    model = clone(model).set_params(warm_start=True)
    whole = clone(model).fit_stream(parts)
    stopped = clone(model).set_callbacks(Hook(lambda _, __, calls: calls == 2)).fit_stream(parts)
    stopped = pickle.loads(pickle.dumps(stopped.set_callbacks())).set_params(**changed)
    validation = {"X_val": X[:40], "y_val": Y[:40]} if name == "early_stopping" else {}
    with pytest.raises(ValueError, match=rf"{name}=.* is another value.*Set it back"):
        stopped.fit_stream(parts, **validation)
    # Nothing was changed by what was refused; what is read in each epoch may change.
    stopped.set_params(**{name: before[name]}, n_jobs=2, verbose=0)
    assert bits(stopped.fit_stream(parts)) == bits(whole)
    # The next run reads them anew.
    stopped.set_params(**changed).fit_stream(parts, **validation)
    assert stopped.n_iter_ > 4


def test_weights_of_labels_may_be_another_object():
    weights = {2: 3.0, 4: 1.5}
    model = MultiLabelSGDClassifier(class_weight=weights, warm_start=True, random_state=0)
    model.set_callbacks(Hook(lambda *_: True)).fit_stream(blocks_of(30))
    model.set_callbacks().set_params(class_weight=dict(weights)).fit_stream(blocks_of(30))
    assert model.n_iter_ == 20


def test_without_warm_start_a_run_starts_anew():
    model = clone(MODELS[0]).set_callbacks(Hook(lambda _, __, calls: calls == 2))
    model.fit_stream(blocks_of(30))
    model.set_callbacks().fit_stream(blocks_of(30))
    assert bits(model) == bits(clone(MODELS[0]).fit_stream(blocks_of(30)))


KILLED = """
import copy, os, signal, sys
import joblib

sys.path.insert(0, {tests!r})
from test_stream import Hook, blocks_of

def checkpoint(estimator, name, calls):
    joblib.dump(copy.copy(estimator).set_callbacks(), path + ".new")
    os.replace(path + ".new", path)
    if calls == 6:
        os.kill(os.getpid(), signal.SIGKILL)

path = sys.argv[1]
joblib.load(path).set_callbacks(Hook(checkpoint)).fit_stream(blocks_of(30, 90))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_killed_and_resumed(model, tmp_path):
    path = tmp_path / "model.joblib"
    model = clone(model).set_params(warm_start=True, average=True)
    joblib.dump(model, path)
    code = KILLED.format(tests=str(Path(__file__).parent))
    killed = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = joblib.load(path)
    assert (resumed.n_iter_, resumed._training.position.block) == (1, 2)
    resumed.fit_stream(blocks_of(30, 90))
    assert bits(resumed) == bits(model.fit_stream(blocks_of(30, 90)))


# ------------------------------------------------------------------------ partial_fit
@pytest.mark.parametrize("alpha", ["auto", 1e-3])
def test_mean_over_a_stream_weights_updates_by_their_cube(alpha):
    """Of the models after each batch, by the fourth powers of the numbers of rows so far."""
    model = MultiLabelSGDClassifier(dtype="float64", alpha=alpha, random_state=0)
    bounds = [0, 40, 60, 61, 100, 130]
    after = []
    for start, stop in itertools.pairwise(bounds):
        model.partial_fit(X[start:stop], Y[start:stop])
        after.append([array.copy() for array in model._training.model.plain().arrays])
    powers = np.diff(np.array(bounds, dtype=float) ** 4) / bounds[-1] ** 4
    for mine, *parts in zip(model._training.mean.arrays, *after, strict=True):
        wanted = sum(power * part for power, part in zip(powers, parts, strict=True))
        np.testing.assert_allclose(mine, wanted, rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------------------ memory
LIMITED = """
import re, resource, sys
from pathlib import Path

sys.path.insert(0, {tests!r})
from test_stream import small_words, bits
from skmultireduce.datasets import FastTextBlocks

def train(source):
    return small_words()[0].fit_stream(FastTextBlocks(source, small_words()[1], block_size=500))

path = Path(sys.argv[1])
with path.open() as file:
    train([next(file) for _ in range(1000)])
size = int(re.search(r"VmSize:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
limit = 1024 * size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    path.read_bytes()
except MemoryError:
    sys.stdout.buffer.write(repr(bits(train(path))).encode())
"""


def small_words():
    model = MultiLabelSGDClassifier(max_iter=1, random_state=0)
    return model, HashingVectorizer(n_features=2**10, analyzer=str.split, dtype="float32")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_a_file_that_is_larger_than_the_memory(tmp_path):
    path, head_room = tmp_path / "train.txt", 8 * 2**20
    rng = np.random.default_rng(0)
    words = np.array([letter * 60 for letter in "abcdefghijklmnopqrstuvwxyz"])
    lines = [
        f"__label__{k % 5} " + " ".join(words[rng.integers(5 * (k % 5), 26, size=12)]) + "\n"
        for k in range(2000)
    ]
    with path.open("w") as file:
        for _ in range(8):
            file.writelines(lines)
    assert path.stat().st_size > 1.25 * head_room
    code = LIMITED.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, str(path), str(head_room)]
    limited = subprocess.run(command, capture_output=True, text=True)
    assert limited.returncode == 0, limited.stderr
    model, vectorizer = small_words()
    model.fit_stream(FastTextBlocks(path, vectorizer, block_size=500))
    assert limited.stdout == repr(bits(model))


# ------------------------------------------------------------------------------ errors
def test_streams_that_can_be_read_once():
    parts = blocks_of(50)
    for once in (iter(parts), (part for part in parts)):
        with pytest.raises(ValueError, match=r"read just once.*lambda"):
            clone(MODELS[0]).fit_stream(once)
    three = iter(parts * 2)
    with pytest.raises(ValueError, match=r"exhausted.*lambda"):
        clone(MODELS[0]).fit_stream(lambda: three)


def test_streams_that_change():
    sizes = iter([0, 0, 0, 1])

    def shrinking():
        return blocks_of(50)[next(sizes) :]

    with pytest.raises(ValueError, match="had 50 when this run began"):
        clone(MODELS[0]).fit_stream(shrinking)
    counts = iter([1, 1, 2])
    with pytest.raises(ValueError, match="other blocks in a later pass"):
        clone(MODELS[0]).fit_stream(lambda: blocks_of(50) * next(counts))
    counts = iter([2, 2, 1])
    with pytest.raises(ValueError, match="other blocks in a later pass"):
        clone(MODELS[0]).set_params(class_weight="balanced").fit_stream(
            lambda: blocks_of(50) * next(counts)
        )


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "stream is empty"),
        (lambda: iter(()), "stream is empty"),
        (3, "iterable of tuples"),
        ((X, Y), r"Block 0 .* got a csr"),
        ([(X,)], r"got a tuple of 1"),
        ([(X, Y, WEIGHT, WEIGHT)], r"got a tuple of 4"),
        ([(X, Y), (X[:, :9], Y)], r"Block 1 of the stream: .*9 features"),
        ([(X, Y), (X, Y[:, :4])], r"Block 1 of the stream: .*4 labels"),
        ([(X, Y), (X[:9], Y)], r"Block 1 of the stream: .*inconsistent"),
        ([(X, Y), (X * np.nan, Y)], r"Block 1 of the stream: .*NaN"),
        ([(X, Y), (X, Y, WEIGHT)], "Some blocks of the stream have sample weights"),
        ([(X, Y, WEIGHT), (X, Y)], "Some blocks of the stream have sample weights"),
        ([(X, Y, WEIGHT), (X, Y, -WEIGHT)], r"Block 1 of the stream: .*[Nn]egative"),
        ([(X, Y, WEIGHT * 0)], "positive weight"),
    ],
)
def test_errors(blocks, message):
    model = clone(MODELS[0])
    with pytest.raises(ValueError, match=message):
        model.fit_stream(blocks)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_validation_arguments():
    with pytest.raises(ValueError, match="go together"):
        clone(MODELS[0]).fit_stream(blocks_of(), X_val=X)
    with pytest.raises(ValueError, match="early_stopping=True"):
        clone(MODELS[0]).fit_stream(blocks_of(), X_val=X, y_val=Y)


# ------------------------------------------------------------------- other blocks than before
def _words(names="bcdef", n_rows=200):
    return [f"__label__{names[i % 5]} word{'bcdef'[i % 5]} w{i % 3}" for i in range(n_rows)]


def _reader(lines, block_size=40, **options):
    options = {"alternate_sign": False, "norm": None} | options
    vectorizer = HashingVectorizer(n_features=64, dtype="float32", **options)
    return FastTextBlocks(lines, vectorizer, block_size=block_size)


# What has changed, and the first block that differs; None where names say it before.
CHANGED_READERS = {
    "a label has another name": (lambda: _reader(_words("acdef")), None),
    "all labels are one column further": (lambda: _reader(_words("zcdef")), None),
    "a label more": (lambda: _reader([*_words(), "__label__new x"]), None),
    "a row more": (lambda: _reader([*_words(), "__label__b x"]), 5),
    "a row less": (lambda: _reader(_words()[:-1]), 4),
    "a word less": (lambda: _reader([*_words()[:90], "__label__b x", *_words()[91:]]), 2),
    "rows reversed": (lambda: _reader(_words()[::-1]), 0),
    "larger blocks": (lambda: _reader(_words(), block_size=100), 0),
    "smaller blocks": (lambda: _reader(_words(), block_size=20), 0),
    "signs of the vectorizer": (lambda: _reader(_words(), alternate_sign=True), 0),
    "norm of the vectorizer": (lambda: _reader(_words(), norm="l2"), 0),
}


# Within the first epoch, at its end before it was counted, and within the second.
@pytest.mark.parametrize(("stop", "done"), [(1, 1), (5, 5), (7, 1)])
@pytest.mark.parametrize(("changed", "differs"), CHANGED_READERS.values(), ids=CHANGED_READERS)
def test_a_run_does_not_go_on_with_other_blocks(changed, differs, stop, done):
    """Names and order of labels, rows, their order, sizes of blocks, settings of X.

    Between a run that was stopped and its resumption; 0.1.0 noticed another number of rows at
    the end of a pass, and nothing else.
    """
    model = MultiLabelSGDClassifier(max_iter=3, warm_start=True, random_state=0)
    whole = clone(model).fit_stream(_reader(_words()))
    stopped = clone(model).set_callbacks(Hook(lambda _, __, calls: calls == stop))
    stopped = pickle.dumps(stopped.fit_stream(_reader(_words())).set_callbacks())
    resumed = pickle.loads(stopped)
    with pytest.raises(ValueError, match=r"(Block|stream has).*when this run began|other blocks"):
        resumed.fit_stream(changed())
    # Refused at the first block that differs of those that are left, or of the next pass.
    left = {done} if differs is None else {max(done, differs)} if done < 5 else {5, differs}
    assert resumed._training.position.block in left
    assert bits(pickle.loads(stopped).fit_stream(_reader(_words()))) == bits(whole)


@pytest.mark.parametrize("part", ["X", "y", "weight"])
def test_a_pass_over_other_blocks_is_refused(part):
    """Values of X, y and sample weights that change from pass to pass of the same run."""
    passes = []

    def blocks():
        passes.append(1)
        change = len(passes) > 3
        new_X, new_Y, weight = X.copy(), Y.copy(), WEIGHT.copy()
        if change and part == "X":
            new_X.data[-1] += 1
        if change and part == "y":
            new_Y[100] = 1 - Y[100]
        if change and part == "weight":
            weight[100] += 1
        return iter(blocks_of(30, 90, X=new_X, Y=new_Y, weight=weight))

    with pytest.raises(ValueError, match="Block 2 of the stream is not what it was"):
        MultiLabelSGDClassifier(reduction="one_vs_rest").fit_stream(blocks)


def test_names_of_the_columns_of_y_belong_to_a_block():
    """Frames whose columns are renamed or exchanged, values the same."""
    pd = pytest.importorskip("pandas")

    def blocks(names):
        return [(part, pd.DataFrame(labels, columns=names)) for part, labels in blocks_of(30)]

    model = MultiLabelSGDClassifier(max_iter=3, warm_start=True, random_state=0)
    model.set_callbacks(Hook(lambda _, __, calls: calls == 1)).fit_stream(blocks(list("abcdef")))
    model.set_callbacks()
    with pytest.raises(ValueError, match="has them in another order, than in the first fit"):
        model.fit_stream(blocks(list("bacdef")))
    assert model.fit_stream(blocks(list("abcdef"))).n_iter_ == 3


def test_containers_and_types_are_not_what_a_block_is():
    """Dense, CSR with indices of 32 and 64 bits, float32 or float64: the same rows."""
    wide = X.copy()
    wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    exact = X.astype(np.float32)
    model = MultiLabelSGDClassifier(max_iter=4, warm_start=True, random_state=2)
    whole = clone(model).fit_stream(blocks_of(30, 90))
    model.set_callbacks(Hook(lambda _, __, calls: calls == 2)).fit_stream(blocks_of(30, 90))
    stopped = model.set_callbacks()
    for other_X, other_Y in ((wide, Y), (exact, sp.csr_matrix(Y)), (X, Y.astype(bool))):
        resumed = copy.deepcopy(stopped).fit_stream(blocks_of(30, 90, X=other_X, Y=other_Y))
        assert bits(resumed) == bits(whole)
