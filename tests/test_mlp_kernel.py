"""The compiled epoch of the MLP against its NumPy twin and finite differences."""

import threading
from itertools import pairwise

import numpy as np
import pytest
from twins import mlp as twin
from twins.linear import row_loss, to_dense

from conftest import random_csr
from skmultireduce._data.label_sets import read_labels
from skmultireduce._data.rows import to_rows
from skmultireduce._kernels import mlp as kernel
from skmultireduce._reductions.candidates import LabelSampler, find_candidates
from skmultireduce._reductions.targets import Targets

ACTIVATIONS = {"identity": kernel.IDENTITY, "relu": kernel.RELU, "tanh": kernel.TANH}
RATES = {
    "alpha": 0.01,
    "embedding_rate": 0.7,
    "hidden_rate": 0.2,
    "output_rate": 0.9,
    "intercept_rate": 0.1,
    "largest_step": 2.0,
    "largest_change": 0.05,
}
FORMS = [
    ("pick_one", "log_loss"),
    ("pick_all", "log_loss"),
    ("pick_all_normalized", "log_loss"),
    ("one_vs_rest", "log_loss"),
    ("one_vs_rest_normalized", "log_loss"),
    ("one_vs_rest", "squared_hinge"),
    ("one_vs_rest_normalized", "squared_hinge"),
]


# Products of BLAS, and our own where the machine can run them.
PRODUCTS = [False, *([True] if kernel.HAS_PRODUCTS else [])]


class Problem:
    """Random rows, label sets and parameters."""

    def __init__(
        self,
        *,
        reduction="pick_one",
        loss="log_loss",
        n_rows=70,
        n_labels=150,
        widths=(9,),
        activation="relu",
        dense=False,
        weights=False,
        dropout=False,
        dtype="float64",
        index_dtype=np.int32,
        sample_size=None,
        seed=0,
    ):
        rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        X = random_csr(rng, (n_rows, 20), 0.3, dtype)
        if dense:
            X = rng.normal(size=(n_rows, 20)).astype(dtype)
        else:
            X.indices = X.indices.astype(index_dtype)
            X.indptr = X.indptr.astype(index_dtype)
        self.rows = to_rows(X)
        y = rng.random((n_rows, n_labels)) < 4 / n_labels
        y[3] = False
        label_sets, _ = read_labels(y)
        class_weight = rng.uniform(0.5, 2, n_labels)
        class_weight[::4] = 0
        self.targets = Targets.build(
            label_sets,
            reduction=reduction,
            loss=loss,
            sample_weight=rng.integers(0, 3, n_rows).astype(float) if weights else None,
            class_weight=class_weight if weights else None,
            dtype=dtype,
        )
        self.shown = self.targets.shown(seed=1, epoch=0)
        self.order = rng.permutation(n_rows)
        self.row_factor = rng.uniform(0.2, 0.5, n_rows).astype(dtype)
        self.widths = list(widths)
        self.activation = activation
        scale = 0.5
        self.embedding = (scale * rng.normal(size=(20, widths[0]))).astype(dtype)
        self.hidden = [
            (
                (scale * rng.normal(size=(n_out, n_in))).astype(dtype),
                rng.normal(size=n_out).astype(dtype),
            )
            for n_in, n_out in pairwise(widths)
        ]
        self.output = (scale * rng.normal(size=(n_labels, widths[-1]))).astype(dtype)
        self.intercept = rng.normal(size=n_labels).astype(dtype)
        total = self.targets.total_weight()
        self.curvature = (self.targets.loss.smoothness * total).astype(dtype)
        self.kept = np.empty((0, sum(widths)), dtype=np.uint8)
        self.kept_factor = 1.25
        if dropout:
            self.kept = (rng.random((n_rows, sum(widths))) < 0.8).astype(np.uint8)
        self.inclusion = None
        if sample_size is not None:
            share = rng.dirichlet(np.ones(n_labels))
            self.inclusion = np.clip(sample_size * share, 1e-3, 1)

    def candidates(self, batch_size):
        labels = np.array([self.targets.label_sets.indices[k] for k in self.shown[0]])
        labels[self.shown[0] == self.shown[1]] = -1
        return find_candidates(
            LabelSampler(self.inclusion), labels[self.order], batch_size, seed=5, epoch=2
        )

    def sample(self, batch_size):
        """Arguments of the kernel that say which labels are sampled."""
        dtype, width = self.dtype, self.widths[-1]
        if self.inclusion is None:
            none, labels = np.empty(0, np.int64), np.empty(0, np.int32)
            rows = np.empty((0, width), dtype)
            return none, none, labels, labels, np.empty(0, dtype), np.zeros(0), rows, rows
        found = self.candidates(batch_size)
        n_labels = len(self.output)
        return (
            found.start, found.n_shared, found.labels, found.own,
            np.log(self.inclusion).astype(dtype), np.zeros(n_labels + 1),
            np.full((n_labels, width), np.nan, dtype), np.full((2, n_labels), np.nan, dtype),
        )  # fmt: skip

    def run(
        self, *, batch_size=32, eta=0.5, eta_change=-0.002, n_threads=1,
        own_products=kernel.PRODUCTS_PAY, **rates,
    ):  # fmt: skip
        """Parameters after an epoch of the kernel, and its loss."""
        rates = RATES | rates
        dtype = self.dtype
        n_labels, width = self.output.shape
        total = sum(self.widths)
        E, U, b = (a.copy() for a in (self.embedding, self.output, self.intercept))
        hidden = np.concatenate(
            [a.reshape(-1) for pair in self.hidden for a in pair] + [np.empty(0, dtype)]
        )
        label_buffers = np.zeros((3 + n_threads, max(n_labels, total, 2)), dtype)
        label_buffers[0] = 1
        n_blocks = -(-n_labels // kernel.LABEL_BLOCK)
        buffers = (
            np.full((2, batch_size, n_labels), np.nan, dtype),
            np.full((n_threads, kernel.LABEL_BLOCK * batch_size), np.nan, dtype),
            label_buffers,
            np.full((2, batch_size * total), np.nan, dtype),
            np.full((n_blocks, batch_size, width), np.nan, dtype),
            np.full((2, batch_size * width), np.nan, dtype),
            np.full((1 + n_threads, batch_size * batch_size), np.nan, dtype),
            np.full((3, batch_size), np.nan, dtype),
            np.full(10_000, np.nan, dtype),
            np.zeros((n_threads, n_blocks + 1), np.int64),
            np.zeros((n_threads, batch_size, 1 + 2 * n_blocks), np.int64),
        )
        scale = np.ones(1)
        loss = np.zeros(-(-n_labels // 16))
        barrier = np.zeros(16, dtype=np.int64)
        sample = self.sample(batch_size)

        def epoch(thread):
            kernel.mlp_epoch(
                (E, scale, hidden, U, b), np.array(self.widths), ACTIVATIONS[self.activation],
                (self.rows.data, self.rows.indices, self.rows.indptr), self.row_factor,
                self.order,
                (*self.shown, self.targets.label_sets.indices, self.targets.label_weight,
                 self.targets.row_weight, self.targets.loss.code,
                 self.targets.soft_target),
                self.curvature, self.kept, self.kept_factor, eta, eta_change, rates["alpha"],
                (rates["embedding_rate"], rates["hidden_rate"], rates["output_rate"],
                 rates["intercept_rate"]),
                rates["largest_step"], rates["largest_change"], sample, thread, n_threads,
                barrier, own_products, buffers[:-1], buffers[-1], loss,
            )  # fmt: skip

        threads = [threading.Thread(target=epoch, args=(k,)) for k in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.inclusion is not None:
            decayed = sample[5]
            U *= np.exp(decayed[-1] - decayed[:-1]).astype(dtype)[:, None]
        return E * dtype.type(scale[0]), hidden, U, b, loss.sum()

    def reference(self, *, batch_size=32, eta=0.5, eta_change=-0.002, **rates):
        """The same by the twin."""
        masks = np.ones((len(self.order), sum(self.widths)))
        if len(self.kept):
            masks = self.kept * self.kept_factor
        samples = None
        if self.inclusion is not None:
            found = self.candidates(batch_size)
            samples = [
                found.labels[start : start + n]
                for start, n in zip(found.start[:-1], found.n_shared, strict=True)
            ]
        E, hidden, U, b, loss = twin.mlp_epoch(
            self.embedding, self.hidden, self.output, self.intercept, self.rows, self.targets,
            activation=self.activation, row_factor=self.row_factor, order=self.order,
            shown=self.shown, curvature=self.curvature, masks=masks, batch_size=batch_size,
            eta=eta, eta_change=eta_change, samples=samples, inclusion=self.inclusion,
            **(RATES | rates),
        )  # fmt: skip
        flat = [a.reshape(-1) for pair in hidden for a in pair]
        return E, np.concatenate([*flat, np.empty(0)]), U, b, loss

    def loss(self, embedding, hidden, output, intercept, seen=None):
        """Sum of the losses of all rows, over the labels that each row sees."""
        X = to_dense(self.rows) * self.row_factor[:, None]
        layers, start = [], 0
        for n_in, n_out in pairwise(self.widths):
            stop = start + n_in * n_out
            weights = hidden[start:stop].reshape(n_out, n_in)
            layers.append((weights, hidden[stop : stop + n_out]))
            start = stop + n_out
        total = 0.0
        for i in range(len(X)):
            part = slice(self.shown[0][i], self.shown[1][i])
            labels = self.targets.label_sets.indices[part]
            if self.targets.softmax and not len(labels):
                continue
            masks = [1.0] * len(self.widths)
            outputs, _ = twin.forward(X[i], embedding, layers, self.activation, masks)
            z = output @ outputs[-1] + intercept
            if seen is not None:
                z = np.where(seen[i], z - np.log(self.inclusion), -np.inf)
            total += row_loss(
                z, labels, np.ones(len(labels)), loss=self.targets.loss.name,
                soft_target=self.targets.soft_target,
            )  # fmt: skip
        return total


def assert_same(found, expected, rtol, atol):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("reduction", "loss"), FORMS)
@pytest.mark.parametrize("weights", [False, True])
def test_epoch_is_the_references(reduction, loss, weights):
    problem = Problem(reduction=reduction, loss=loss, weights=weights)
    assert_same(problem.run(), problem.reference(), 1e-9, 1e-11)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("reduction", ["pick_one", "one_vs_rest"])
def test_hidden_layers(activation, dropout, reduction):
    problem = Problem(
        activation=activation, dropout=dropout, reduction=reduction, widths=(5, 7, 6)
    )
    assert_same(problem.run(), problem.reference(), 1e-9, 1e-11)


@pytest.mark.parametrize("batch_size", [1, 16, 17, 33, 64, 128])
@pytest.mark.parametrize("n_labels", [2, 16, 128, 300])
@pytest.mark.parametrize("own_products", PRODUCTS)
def test_batch_sizes(batch_size, n_labels, own_products):
    problem = Problem(n_labels=n_labels, dropout=True)
    found = problem.run(batch_size=batch_size, own_products=own_products)
    assert_same(found, problem.reference(batch_size=batch_size), 1e-9, 1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("own_products", PRODUCTS)
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 15, 16, 23, 100])
def test_widths(width, own_products, dtype):
    problem = Problem(widths=(width,), dtype=dtype)
    tolerance = (1e-4, 1e-5) if dtype == "float32" else (1e-9, 1e-11)
    assert_same(problem.run(own_products=own_products), problem.reference(), *tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
@pytest.mark.parametrize("dense", [False, True])
def test_types(dtype, index_dtype, dense):
    problem = Problem(dtype=dtype, index_dtype=index_dtype, dense=dense, widths=(20, 4))
    tolerance = (1e-4, 1e-5) if dtype == "float32" else (1e-9, 1e-11)
    assert_same(problem.run(), problem.reference(), *tolerance)


def test_steps_and_changes_are_bounded():
    problem = Problem(widths=(6, 5))
    options = {"eta": 300.0, "largest_change": 0.001}
    found = problem.run(**options)
    assert_same(found, problem.reference(**options), 1e-7, 1e-9)
    start = np.concatenate([a.reshape(-1) for pair in problem.hidden for a in pair])
    moved = np.linalg.norm(problem.run(batch_size=70, alpha=0.0, **options)[1] - start)
    assert moved <= 0.00101 * np.linalg.norm(start)


@pytest.mark.parametrize("reduction", ["pick_one", "one_vs_rest"])
@pytest.mark.parametrize("widths", [(33,), (40, 24)])
@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("own_products", PRODUCTS)
def test_threads_change_no_bit(reduction, widths, n_threads, own_products):
    problem = Problem(
        reduction=reduction, widths=widths, n_labels=500, n_rows=300, dtype="float32"
    )
    single = problem.run(own_products=own_products)
    several = problem.run(n_threads=n_threads, own_products=own_products)
    for a, b in zip(single, several, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("reduction", "loss"), FORMS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_gradients_are_finite_differences(reduction, loss, activation):
    """One batch with tiny steps moves every parameter against its gradient."""
    problem = Problem(
        reduction=reduction, loss=loss, n_rows=9, n_labels=5, widths=(4, 3, 3),
        activation=activation, seed=3,
    )  # fmt: skip
    if reduction == "pick_all_normalized":
        problem.targets = Targets.build(
            problem.targets.label_sets, reduction="pick_all", loss=loss, sample_weight=None,
            class_weight=None, dtype="float64",
        )  # fmt: skip
    eta = 1e-9
    start = problem.reference(eta=0.0, eta_change=0.0, alpha=0.0)[:4]
    after = problem.run(
        eta=eta, eta_change=0.0, alpha=0.0, batch_size=16, embedding_rate=1.0, hidden_rate=1.0,
        output_rate=1.0, intercept_rate=1.0,
    )[:4]  # fmt: skip
    rng = np.random.default_rng(0)
    for k in range(4):
        for position in rng.integers(0, start[k].size, 6):
            h = 1e-6
            values = []
            for sign in (1, -1):
                moved = [a.copy() for a in start]
                moved[k].reshape(-1)[position] += sign * h
                values.append(problem.loss(*moved))
            slope = (values[0] - values[1]) / (2 * h)
            step = (after[k] - start[k]).reshape(-1)[position] / -eta
            assert step == pytest.approx(slope, rel=1e-4, abs=1e-5)


# ----------------------------------------------------------------- sampled softmax
@pytest.mark.parametrize("sample_size", [0.01, 5, 60, 140])
@pytest.mark.parametrize("batch_size", [1, 16, 33, 64])
@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_sampled_epoch_is_the_references(sample_size, batch_size, alpha):
    problem = Problem(sample_size=sample_size, weights=True)
    options = {"batch_size": batch_size, "alpha": alpha}
    assert_same(problem.run(**options), problem.reference(**options), 1e-9, 1e-11)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sampled_hidden_layers(activation, dense, dtype):
    problem = Problem(
        sample_size=30, widths=(5, 7, 6), activation=activation, dropout=True, dense=dense,
        dtype=dtype,
    )  # fmt: skip
    tolerance = (1e-4, 1e-5) if dtype == "float32" else (1e-9, 1e-11)
    assert_same(problem.run(), problem.reference(), *tolerance)


def test_a_sample_of_all_labels_is_the_full_softmax():
    problem = Problem(sample_size=1, dtype="float32")
    problem.inclusion[:] = 1
    found = problem.run(alpha=0.0)
    problem.inclusion = None
    # Not the same bits with all compilers: the other loop may sum in another order.
    for a, b in zip(found, problem.run(alpha=0.0), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=2e-7)


def test_labels_that_are_not_candidates_only_decay():
    problem = Problem(sample_size=20)
    found = problem.candidates(32)
    untouched = np.setdiff1d(np.arange(len(problem.output)), found.labels)
    assert len(untouched) > 20
    _, _, U, b, _ = problem.run(alpha=0.0)
    np.testing.assert_array_equal(U[untouched], problem.output[untouched])
    np.testing.assert_array_equal(b[untouched], problem.intercept[untouched])
    U = problem.run(alpha=0.3)[2][untouched] / problem.output[untouched]
    np.testing.assert_allclose(U, U[0, 0])
    assert U[0, 0] < 0.5


@pytest.mark.parametrize("widths", [(33,), (40, 24)])
@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("sample_size", [400, 50])
def test_threads_change_no_bit_of_a_sampled_epoch(widths, n_threads, sample_size):
    problem = Problem(
        widths=widths, n_labels=900, n_rows=300, dtype="float32", sample_size=sample_size
    )
    # Of a small sample some threads have nothing.
    most = np.diff(problem.candidates(32).start).max()
    assert (most <= kernel.LABEL_BLOCK) == (sample_size == 50)
    single, several = problem.run(), problem.run(n_threads=n_threads)
    for a, b in zip(single, several, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sampled_gradients_are_finite_differences():
    problem = Problem(
        n_rows=9, n_labels=40, widths=(4, 3, 3), activation="tanh", seed=3, sample_size=12
    )
    found = problem.candidates(16)
    seen = np.zeros((9, 40), dtype=bool)
    seen[:, found.labels[: found.n_shared[0]]] = True
    seen[problem.order, found.labels[found.own]] = True
    assert not np.all(seen == seen[0])
    eta = 1e-9
    rates = {"eta_change": 0.0, "alpha": 0.0, "batch_size": 16}
    start = problem.reference(eta=0.0, **rates)[:4]
    after = problem.run(
        eta=eta, embedding_rate=1.0, hidden_rate=1.0, output_rate=1.0, intercept_rate=1.0, **rates
    )
    moved_labels = np.flatnonzero(seen.any(axis=0))
    candidates = [
        np.arange(start[0].size),
        np.arange(start[1].size),
        (moved_labels[:, None] * 3 + np.arange(3)).reshape(-1),
        moved_labels,
    ]
    rng = np.random.default_rng(0)
    for k in range(4):
        for position in rng.choice(candidates[k], 8):
            values = []
            for sign in (1, -1):
                moved = [a.copy() for a in start]
                moved[k].reshape(-1)[position] += sign * 1e-6
                values.append(problem.loss(*moved, seen=seen))
            slope = (values[0] - values[1]) / 2e-6
            step = (after[k] - start[k]).reshape(-1)[position] / -eta
            assert step == pytest.approx(slope, rel=1e-4, abs=1e-5)
