"""Epochs and scores of dense rows by blocks against the row by row twin."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import linear as twin

from conftest import random_problem
from skmultireduce._data.label_sets import read_labels
from skmultireduce._data.rows import to_rows
from skmultireduce._kernels import dense as kernel
from skmultireduce._kernels import mlp
from skmultireduce._kernels.linear import LABEL_GROUP
from skmultireduce._models.dense import BlockWork
from skmultireduce._reductions.draws import row_order
from skmultireduce._reductions.table import REDUCTIONS
from skmultireduce._reductions.targets import Targets

FORMS = [(reduction, "log_loss") for reduction in REDUCTIONS]
FORMS += [(reduction, "squared_hinge") for reduction in REDUCTIONS if "rest" in reduction]
PRODUCTS = [False, *([True] if mlp.HAS_PRODUCTS else [])]


class Problem:
    """Dense rows with label sets, and weights at the begin."""

    def __init__(
        self, reduction, loss, *, dtype=np.float64, weights=False, seed=0, n_rows=150,
        n_features=13, n_labels=19,
    ):  # fmt: skip
        X, y = random_problem(seed, n_rows, n_features, max(2, n_labels))
        rng = np.random.default_rng(seed + 1)
        self.X = rng.normal(size=X.shape).astype(dtype)
        self.dtype = np.dtype(dtype)
        label_sets, _ = read_labels(y)
        self.targets = Targets.build(
            label_sets,
            reduction=reduction,
            loss=loss,
            sample_weight=rng.random(n_rows) * (rng.random(n_rows) > 0.1) if weights else None,
            class_weight=rng.random(label_sets.n_labels) * 2 if weights else None,
            dtype=dtype,
        )
        self.n_labels = label_sets.n_labels
        self.W = (rng.normal(size=(n_features, self.n_labels)) * 0.3).astype(dtype)
        self.b = (rng.normal(size=self.n_labels) * 0.3).astype(dtype)
        self.order = row_order(n_rows, seed=3, epoch=0)
        self.shown = self.targets.shown(seed=5, epoch=2)
        self.max_step = np.linspace(0.02, 0.05, n_rows).astype(dtype)

    def run(
        self, *, size=64, panels=None, n_threads=1, own_products=mlp.PRODUCTS_PAY, X=None,
        cuts=(), eta=0.04, eta_change=-1e-4, alpha=0.01, rate=0.3, padding=5,
    ):  # fmt: skip
        """Weights, intercepts and loss after an epoch of the kernel."""
        X = self.X if X is None else X
        dtype, n_labels, targets = self.dtype, self.n_labels, self.targets
        b = np.pad(self.b, (0, padding))
        n_blocks = len(kernel.label_bounds(n_labels)) - 1
        loss = np.zeros(-(-n_labels // LABEL_GROUP))
        parts = []
        for first, last in panels or [(0, n_labels)]:
            panel = np.pad(self.W[:, first:last], [(0, 0), (0, padding)])
            scale = np.ones(1)
            barrier = np.zeros(16, np.int64)
            meeting = np.zeros((n_threads, size, 1 + 2 * n_blocks), np.int64)
            for begin, end in zip([0, *cuts], [*cuts, len(self.order)], strict=True):

                def epoch(thread, begin=begin, end=end, panel=panel, scale=scale,
                          barrier=barrier, meeting=meeting, first=first, last=last):  # fmt: skip
                    labels = np.zeros((3, n_labels + 16), dtype)
                    labels[0] = 1
                    nan = np.nan
                    work = (
                        np.full((size, X.shape[1]), nan, dtype),
                        np.full((X.shape[1], size) if own_products else (0, 0), nan, dtype),
                        np.full((2, size, size), nan, dtype),
                        np.full((3, size), nan, dtype),
                        np.full((2, size, n_labels), nan, dtype),
                        labels,
                        np.zeros(n_blocks + 1, np.int64),
                        np.zeros(size, np.int64),
                    )
                    kernel.dense_epoch(
                        (panel, b, scale), X, self.order[begin:end],
                        (*self.shown, targets.label_sets.indices, targets.label_weight,
                         targets.row_weight, targets.loss.code, targets.soft_target),
                        self.max_step, eta + begin * eta_change, eta_change, alpha, rate,
                        first, last, n_labels, own_products, thread, n_threads, barrier,
                        meeting, work, loss,
                    )  # fmt: skip

                threads = [threading.Thread(target=epoch, args=(k,)) for k in range(n_threads)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                meeting[:] = 0
            assert np.all(panel[:, last - first :] == 0)
            parts.append(panel[:, : last - first] * dtype.type(scale[0]))
        return np.concatenate(parts, axis=1), b[:n_labels], loss.sum()

    def reference(self, *, eta=0.04, eta_change=-1e-4, alpha=0.01, rate=0.3):
        return twin.sgd_epoch(
            self.W, self.b, to_rows(self.X), self.targets, order=self.order, shown=self.shown,
            max_step=self.max_step, eta=eta, eta_change=eta_change, alpha=alpha,
            intercept_rate=rate,
        )  # fmt: skip


def assert_close(found, expected, rtol):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=rtol * np.max(np.abs(other)))


@pytest.mark.parametrize(("n_labels", "n_threads"), [(2, 1), (600, 2), (3000, 3)])
def test_threads_meet_on_lines_with_room(n_labels, n_threads):
    work = BlockWork(
        64, n_labels, softmax=True, n_threads=n_threads, n_panels=1, dtype=np.dtype(np.float64)
    )
    n_blocks = len(kernel.label_bounds(n_labels)) - 1
    # A number, and two values for each block of labels of a thread.
    assert work._meeting.shape[2] >= 1 + 2 * -(-n_blocks // n_threads)


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("own_products", PRODUCTS)
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize(("reduction", "loss"), FORMS)
def test_epoch_equals_reference(reduction, loss, weights, own_products, size):
    problem = Problem(reduction, loss, weights=weights)
    found = problem.run(size=size, own_products=own_products)
    assert_close(found, problem.reference(), 1e-10)
    assert not np.allclose(found[0], problem.W)


@settings(max_examples=40, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 30), st.integers(1, 250)),
    size=st.integers(1, 40),
    alpha=st.sampled_from([0.0, 1e-3, 0.5]),
    cut=st.integers(0, 40),
    seed=st.integers(0, 10**6),
)
def test_epoch_equals_reference_in_any_shape(form, shape, size, alpha, cut, seed):
    """Also if the epoch is interrupted at any row."""
    n_rows, n_features, n_labels = shape
    problem = Problem(*form, n_rows=n_rows, n_features=n_features, n_labels=n_labels, seed=seed)
    found = problem.run(size=size, alpha=alpha, cuts=(min(cut, n_rows),))
    assert_close(found, problem.reference(alpha=alpha), 1e-9)


@pytest.mark.parametrize(("reduction", "loss"), FORMS)
def test_a_penalty_that_shrinks_weights_by_magnitudes(reduction, loss):
    problem = Problem(reduction, loss)
    assert_close(problem.run(alpha=2e3), problem.reference(alpha=2e3), 1e-9)
    assert_close(problem.run(alpha=0.0, rate=0.0), problem.reference(alpha=0.0, rate=0.0), 1e-10)


@pytest.mark.parametrize("own_products", PRODUCTS)
@pytest.mark.parametrize(("reduction", "loss"), FORMS)
def test_threads_and_panels_change_no_bit(reduction, loss, own_products):
    problem = Problem(reduction, loss, dtype=np.float32, n_labels=500, weights=True)
    whole = problem.run(own_products=own_products)
    bounds = kernel.label_bounds(500)
    if problem.targets.softmax:
        others = [problem.run(n_threads=n, size=64, own_products=own_products) for n in (2, 3, 7)]
    else:
        panels = [(0, bounds[2]), (bounds[2], bounds[3]), (bounds[3], 500)]
        others = [problem.run(panels=panels, own_products=own_products)]
    for other in others:
        for a, b in zip(whole, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_blocks_of_one_row_in_threads():
    """Threads do not overtake each other from one block to the next."""
    problem = Problem("pick_all", "log_loss", n_labels=200)
    assert_close(problem.run(n_threads=2, size=1), problem.reference(), 1e-10)


@pytest.mark.parametrize("own_products", PRODUCTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["C", "Fortran", "every second", "mapped", "read-only"])
@pytest.mark.parametrize("given_as", [np.float16, np.float32, np.float64])
def test_any_type_and_layout_of_rows(given_as, form, dtype, own_products, tmp_path):
    problem = Problem("one_vs_rest", "log_loss", dtype=dtype, n_features=21)
    X = problem.X.astype(np.float16).astype(given_as)
    problem.X = X.astype(dtype)
    expected = problem.run(own_products=own_products)
    if form == "Fortran":
        X = np.asfortranarray(X)
    elif form == "every second":
        X = np.repeat(np.repeat(X, 2, axis=0), 2, axis=1)[::2, ::2]
    elif form == "mapped":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif form == "read-only":
        X.flags.writeable = False
    for one, other in zip(problem.run(X=X, own_products=own_products), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    scores = []
    for rows in (X, problem.X):
        out = np.empty((140, problem.n_labels), dtype)
        room = np.empty((16, 21), dtype)
        kernel.dense_scores(
            problem.W, problem.b, 0.5, rows, 5, 145, 0, problem.n_labels, own_products, room, out
        )
        scores.append(out)
    np.testing.assert_array_equal(*scores)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    wanted = problem.X[5:145] @ problem.W * 0.5 + problem.b
    np.testing.assert_allclose(out, wanted, rtol=tolerance, atol=tolerance)


def test_every_half():
    """All 65,536 numbers of 16 bits, as NumPy converts them."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(-1, 256)
    for dtype in (np.float32, np.float64):
        out = np.empty((256, 1), dtype)
        for column in range(256):
            one = np.zeros((256, 1), dtype)
            one[column] = 1
            # Products with 0 are NaN for infinities: one column at a time.
            kernel.dense_scores(
                np.ones((1, 1), dtype), np.zeros(1, dtype), 1.0, halves[:, column : column + 1],
                0, 256, 0, 1, False, np.empty((64, 1), dtype), out,
            )  # fmt: skip
            # Signalling NaN are invalid where NumPy converts them by hardware.
            with np.errstate(invalid="ignore"):
                wanted = halves[:, column].astype(dtype)
            np.testing.assert_array_equal(out[:, 0], wanted)


def test_a_panel_of_scores():
    problem = Problem("one_vs_rest", "log_loss", n_labels=17)
    out = np.empty((10, 17))
    for first, last in ((0, 5), (5, 17)):
        panel = np.pad(problem.W[:, first:last], [(0, 0), (0, 3)])
        kernel.dense_scores(
            panel, problem.b, 1.0, problem.X, 3, 13, first, last, False, np.empty((4, 13)), out
        )
    np.testing.assert_allclose(out, problem.X[3:13] @ problem.W + problem.b)


@pytest.mark.parametrize("X", [np.zeros((3, 2), np.int64), np.zeros(6), np.zeros((3, 2), ">f4")])
def test_other_rows_are_refused(X):
    with pytest.raises(ValueError, match="X must have two axes"):
        kernel.dense_scores(
            np.zeros((2, 4)), np.zeros(4), 1.0, X, 0, 3, 0, 4, False, np.zeros((2, 2)),
            np.zeros((3, 4)),
        )  # fmt: skip
