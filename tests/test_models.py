"""Models by themselves, without an estimator; and states that were tampered with."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from conftest import random_problem
from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier
from skmultireduce._data.label_sets import read_labels
from skmultireduce._data.rows import to_rows
from skmultireduce._models.linear import LinearModel, LinearOptions
from skmultireduce._models.model import Visit
from skmultireduce._models.pruning import PrunedLinearModel
from skmultireduce._reductions.targets import Targets

X, Y = random_problem(0, n_rows=60, n_features=20, n_labels=100)
Y[Y.sum(axis=1) == 0, 0] = 1


def trained(loss="one_vs_rest", n_threads=1):
    """A model trained for three epochs, and its rows."""
    rows = to_rows(X.astype(np.float32))
    targets = Targets.build(
        read_labels(Y)[0], reduction=loss, loss="log_loss", sample_weight=None,
        class_weight=None, dtype="float32",
    )  # fmt: skip
    model = LinearModel(20, 100, LinearOptions(targets.loss.name), n_threads=n_threads)
    model.begin(model.sums(rows, targets))
    work = model.workspace(rows, targets, n_threads)
    with work.threads:
        for epoch in range(3):
            shown = targets.shown(seed=1, epoch=epoch)
            visit = Visit(1, epoch, 0, np.arange(60), shown, (0.1, 0.05))
            model.epoch(work, rows, targets, visit)()
    return model, rows


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("loss", ["one_vs_rest", "pick_one"])
def test_a_model_needs_no_estimator(loss, n_threads):
    model, rows = trained(loss, n_threads)
    model.check()
    out = np.empty((60, 100), np.float32)
    model.scores(rows, 0, 60, out)
    np.testing.assert_allclose(out, X @ model.coef.T + model.intercepts, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.coef, trained(loss)[0].coef)


def test_copies_share_nothing_and_plain_models_say_the_same():
    model, _ = trained()
    twin, plain = model.copy(), model.plain()
    assert plain.arrays.decay[0] == 1
    np.testing.assert_array_equal(plain.coef, model.coef)
    assert not any(np.shares_memory(a, b) for a, b in zip(model.arrays, twin.arrays, strict=True))
    twin.step_to(plain, 1)
    np.testing.assert_allclose(twin.arrays.weights, plain.arrays.weights, rtol=1e-6)
    model.put(twin.arrays)
    np.testing.assert_array_equal(model.arrays.weights, twin.arrays.weights)


def test_another_loss_joins_the_panels_of_labels():
    model, _ = trained(n_threads=2)
    coef, intercepts = model.coef.copy(), model.intercepts.copy()
    assert len(model.widths) == 2
    model.use(replace(model.options, loss="softmax"))
    assert len(model.widths) == 1
    np.testing.assert_array_equal(model.coef, coef)
    np.testing.assert_array_equal(model.intercepts, intercepts)
    model.check()


def test_pruned_models_give_scores_and_do_not_train():
    model, rows = trained(n_threads=2)
    pruned = PrunedLinearModel.of(model, None, 0.0)
    pruned.check()
    out = np.empty((2, 60, 100), np.float32)
    for part, each in zip(out, (pruned, pruned.dense()), strict=True):
        each.check()
        each.scores(rows, 0, 60, part)
    np.testing.assert_allclose(out[0], out[1], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="densify"):
        pruned.check_trains()


# ------------------------------------------------------------------ tampered states
def _set(name, value):
    def change(training):
        found = value(training) if callable(value) else value
        training.model.arrays = training.model.arrays._replace(**{name: found})

    return change


def _attribute(name, value):
    return lambda training: setattr(training.model, name, value)


def _index(value):
    def change(training):
        training.model.arrays.indices[0] = value

    return change


def _pointer(training):
    training.model.arrays.indptr[3] = 2**30


def _rate(**values):
    def change(training):
        training.model.rates = replace(training.model.rates, **values)

    return change


def _mean(training):
    training.update_mean()
    training.mean.arrays = training.mean.arrays._replace(intercepts=np.zeros(1, np.float32))


LINEAR = [
    _attribute("bounds", [0, 2**28]),
    _attribute("bounds", [0, 48, 16, 100]),
    _attribute("bounds", [0]),
    _attribute("widths", [2**20]),
    _attribute("n_features", 2**20),
    _attribute("n_labels", 2**20),
    _attribute("options", LinearOptions("softmax", dtype="float16")),
    _set("intercepts", lambda training: training.model.arrays.intercepts[:1]),
    _set("weights", lambda training: training.model.arrays.weights[:-1]),
    _set("weights", lambda training: training.model.arrays.weights.astype(np.float64)),
    _set("decay", np.ones(0)),
    _set("decay", None),
    _mean,
    lambda training: delattr(training.model, "arrays"),
]
PRUNED = [
    _index(2**30),
    _index(-1),
    _pointer,
    _set("indices", lambda training: training.model.arrays.indices.astype(np.float64)),
    _set("indptr", lambda training: training.model.arrays.indptr[:-1]),
    _set("data", lambda training: training.model.arrays.data[:-1]),
    _set("intercepts", lambda training: training.model.arrays.intercepts[:2]),
    _attribute("bounds", [0, 2**28]),
]
NETWORK = [
    _attribute("widths", [2**20]),
    _attribute("widths", []),
    _attribute("widths", [4, 2**20]),
    _set("embedding", lambda training: training.model.arrays.embedding[:3]),
    _set("embedding", lambda training: np.asfortranarray(training.model.arrays.embedding)),
    _set("output", lambda training: training.model.arrays.output[:, :1]),
    _set("hidden", np.zeros(0, np.float32)),
    _set("intercepts", np.zeros(2, np.float32)),
    _rate(batch_size=-1),
    _rate(batch_size=1e9),
    _rate(inclusion=np.full(3, 0.5)),
    _rate(inclusion=np.full(100, np.nan)),
]
CASES = [
    *(("linear", change) for change in LINEAR),
    *(("pruned", change) for change in PRUNED),
    *(("network", change) for change in NETWORK),
]


@pytest.mark.parametrize(("kind", "change"), CASES)
def test_tampered_states_are_refused_when_they_are_loaded(kind, change):
    """Sizes, bounds, shapes, types, order, indices and missing parts of a state.

    Of linear, pruned and neural models, of the mean over epochs, and of what a resumed
    training uses. The kernels check no bounds: 0.1.0 crashed, or read beyond its arrays.
    """
    if kind == "network":
        model = MultiLabelMLPClassifier(embedding_dim=4, hidden_layer_sizes=(5,), max_iter=1)
    else:
        model = MultiLabelSGDClassifier(max_iter=1, reduction="one_vs_rest")
    model.fit(X, Y)
    if kind == "pruned":
        model.sparsify(density=0.5)
    pickle.loads(pickle.dumps(model)).predict(X)
    change(model._training)
    with pytest.raises(ValueError, match=r"state of this .* is damaged"):
        pickle.loads(pickle.dumps(model))


# ---------------------------------------------------------------------------- memory
@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        (MultiLabelSGDClassifier(), r"2,000,000,000 x 1,000,000 weights \(features x labels"),
        (MultiLabelMLPClassifier(embedding_dim=10**6), r"2,000,000,000 x 1,000,000 weights \(fea"),
    ],
)
def test_a_model_beyond_memory_says_how_large_it_is_and_what_is_smaller(model, sizes):
    """Features times labels (or embedding_dim) that no machine has memory for."""
    wide = sp.csr_array((np.ones(2), ([0, 1], [0, 7])), shape=(2, 2_000_000_000))
    y = sp.csr_array((np.ones(2, np.int8), ([0, 1], [3, 5])), shape=(2, 1_000_000))
    with pytest.raises(MemoryError, match=sizes + r".*GiB of float32.*Use .*fewer features"):
        model.fit(wide, y)
    with pytest.raises(MemoryError, match=sizes):
        model.partial_fit(wide, y)


@pytest.mark.parametrize("cls", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
def test_memory_that_ends_in_training_is_named_too(cls, monkeypatch):
    """An epoch, a copy or a mean that finds no memory."""
    model = cls(max_iter=2)
    kind = type(model.fit(X, Y)._training.model)

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr(kind, "epoch", fail)
    with pytest.raises(MemoryError, match=r"x 100 weights|labels x units"):
        model.fit(X, Y)


# ---------------------------------------------------------------------------- classes
@pytest.mark.parametrize("cls", [MultiLabelSGDClassifier, MultiLabelMLPClassifier])
def test_partial_fit_takes_its_own_classes(cls):
    """`classes` as `classes_` has it, as MultiOutputClassifier takes it, or a number a label."""
    plain = cls(random_state=0).partial_fit(X, Y)
    for classes in (plain.classes_, [np.array([0, 1])] * 100, np.arange(100)):
        model = cls(random_state=0).partial_fit(X, Y, classes=classes)
        model.partial_fit(X, Y, classes=classes)
        assert model.n_iter_ == 2
    pair = np.column_stack([np.arange(60) % 2, np.ones(60, int)])
    two = cls(random_state=0).partial_fit(X, pair, classes=plain.classes_[:2])
    assert two.classes_.shape == (2, 2)
    for wrong in (plain.classes_[:3], np.arange(3), [[0, 2]] * 100):
        with pytest.raises(ValueError, match="classes has"):
            cls().partial_fit(X, Y, classes=wrong)
    names = np.array(list("abc"))[np.arange(60) % 3]
    single = cls().partial_fit(X, names, classes=["a", "b", "c"])
    assert single.partial_fit(X, names, classes=single.classes_).n_iter_ == 2
