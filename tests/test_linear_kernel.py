"""The compiled epoch against its NumPy twin; the exponential; the losses' gradients."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from twins import linear as twin

from conftest import random_csr, random_problem
from skmultireduce._data.label_sets import read_labels
from skmultireduce._data.rows import to_rows
from skmultireduce._kernels import linear as kernel
from skmultireduce._reductions.draws import row_order
from skmultireduce._reductions.table import REDUCTIONS
from skmultireduce._reductions.targets import Targets

FORMS = [(reduction, "log_loss") for reduction in REDUCTIONS]
FORMS += [(reduction, "squared_hinge") for reduction in REDUCTIONS if "rest" in reduction]


def run_epoch(
    rows, targets, W, b, *, order, shown, alpha=0.01, rate=0.3, blocks=None, eta=0.4, padding=0
):
    """Run the kernel on copies; returns weights, intercepts, loss."""
    dtype = rows.data.dtype
    n_labels = targets.label_sets.n_labels
    b = np.pad(np.asarray(b, dtype=dtype), (0, padding))
    max_step = np.linspace(0.3, 0.5, rows.shape[0]).astype(dtype)
    loss = np.zeros(-(-n_labels // kernel.LABEL_GROUP))
    trained = []
    for first, last in blocks or [(0, n_labels)]:
        panel = np.pad(np.asarray(W, dtype=dtype)[:, first:last], [(0, 0), (0, padding)])
        scale = np.ones(1)
        buffers = np.zeros((4, n_labels + padding), dtype=dtype)
        buffers[1] = 1
        kernel.sgd_epoch(
            panel, b, scale, rows.data, rows.indices, rows.indptr, order, *shown,
            targets.label_sets.indices, targets.label_weight, targets.row_weight, max_step,
            targets.loss.code, targets.soft_target, eta, -0.001, alpha, rate,
            first, last, buffers, loss,
        )  # fmt: skip
        assert np.all(panel[:, last - first :] == 0)
        trained.append(panel[:, : last - first] * dtype.type(scale[0]))
    return np.concatenate(trained, axis=1), b[:n_labels], loss.sum(), max_step


def problem(reduction, loss, dtype=np.float64, index=np.int32, weights=False, seed=0, **shape):
    X, y = random_problem(seed, dtype=dtype, index=index, **shape)
    rows = to_rows(X)
    label_sets, _ = read_labels(y)
    rng = np.random.default_rng(seed + 1)
    targets = Targets.build(
        label_sets,
        reduction=reduction,
        loss=loss,
        sample_weight=rng.random(X.shape[0]) * (rng.random(X.shape[0]) > 0.1) if weights else None,
        class_weight=rng.random(y.shape[1]) * 2 if weights else None,
        dtype=dtype,
    )
    W = rng.normal(size=(X.shape[1], y.shape[1])) * 0.3
    b = rng.normal(size=y.shape[1]) * 0.3
    return X, rows, targets, W, b


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("reduction", "loss"), FORMS)
def test_epoch_equals_reference(reduction, loss, dtype, index, weights):
    _, rows, targets, W, b = problem(reduction, loss, dtype, index, weights, n_labels=19)
    assert rows.indices.dtype == index
    order = row_order(rows.shape[0], seed=3, epoch=0)
    shown = targets.shown(seed=5, epoch=2)
    W1, b1, loss1, max_step = run_epoch(rows, targets, W, b, order=order, shown=shown)
    W2, b2, loss2 = twin.sgd_epoch(
        W, b, rows, targets, order=order, shown=shown, max_step=max_step, eta=0.4,
        eta_change=-0.001, alpha=0.01, intercept_rate=0.3,
    )  # fmt: skip
    tolerance = {"rtol": 1e-9}
    if dtype == np.float32:
        # Rounding is of the largest weights, up to 30 here, on their way.
        tolerance = {"rtol": 2e-4, "atol": 2e-5 + 2e-6 * np.abs(W2).max()}
    np.testing.assert_allclose(W1, W2, **tolerance)
    np.testing.assert_allclose(b1, b2, **tolerance)
    assert loss1 == pytest.approx(loss2, rel=2e-5 if dtype == np.float32 else 1e-10)
    assert not np.allclose(W1, W)


@settings(max_examples=40, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 9), st.integers(1, 40)),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
)
def test_epoch_equals_reference_in_any_shape(form, shape, seed, scale):
    n_rows, n_features, n_labels = shape
    X, y = random_problem(seed, n_rows, n_features, max(2, n_labels))
    rows = to_rows(X * scale)
    label_sets, _ = read_labels(y)
    targets = Targets.build(
        label_sets, reduction=form[0], loss=form[1], sample_weight=None, class_weight=None,
        dtype=np.float64,
    )  # fmt: skip
    W = np.random.default_rng(seed).normal(size=(n_features, label_sets.n_labels))
    b = np.zeros(label_sets.n_labels)
    order, shown = np.arange(n_rows), targets.shown(seed=seed, epoch=0)
    eta = 0.1 / scale**2
    W1, b1, loss1, max_step = run_epoch(
        rows, targets, W, b, order=order, shown=shown, eta=eta, rate=0.0
    )
    W2, b2, loss2 = twin.sgd_epoch(
        W, b, rows, targets, order=order, shown=shown, max_step=max_step, eta=eta,
        eta_change=-0.001, alpha=0.01, intercept_rate=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(W1, W2, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(b1, b2)
    assert loss1 == pytest.approx(loss2, rel=1e-8)


@pytest.mark.parametrize(("reduction", "loss"), FORMS)
def test_gradient_equals_finite_differences(reduction, loss):
    _, _, targets, _, _ = problem(reduction, loss, weights=True)
    rng = np.random.default_rng(0)
    form = {"loss": targets.loss.name, "soft_target": targets.soft_target}
    for labels in (np.array([1, 4]), np.array([0]), np.array([0, 2, 3, 5, 6])):
        z = rng.normal(size=7) * 2
        weight = rng.random(len(labels)) + 0.1
        g = twin.gradient(z, labels, weight, **form)
        for k in range(7):
            h = np.zeros(7)
            h[k] = 1e-6
            slope = (
                twin.row_loss(z + h, labels, weight, **form)
                - twin.row_loss(z - h, labels, weight, **form)
            ) / 2e-6
            assert g[k] == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(("reduction", "loss"), [f for f in FORMS if "rest" in f[0]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_labels_give_the_same_bits(reduction, loss, dtype):
    _, rows, targets, W, b = problem(reduction, loss, dtype, weights=True, n_labels=70)
    order, shown = row_order(rows.shape[0], seed=0, epoch=0), targets.shown(seed=0, epoch=0)
    whole = run_epoch(rows, targets, W, b, order=order, shown=shown)
    parts = run_epoch(
        rows, targets, W, b, order=order, shown=shown, blocks=[(0, 16), (16, 64), (64, 70)]
    )
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("reduction", "loss"), FORMS)
def test_dense_and_sparse_rows_give_the_same_bits(reduction, loss):
    X, rows, targets, W, b = problem(reduction, loss, np.float32, n_labels=33)
    order, shown = row_order(rows.shape[0], seed=0, epoch=0), targets.shown(seed=0, epoch=0)
    sparse = run_epoch(rows, targets, W, b, order=order, shown=shown)
    dense = run_epoch(to_rows(X.toarray()), targets, W, b, order=order, shown=shown)
    for one, other in zip(sparse, dense, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("reduction", "loss"), FORMS)
def test_padding_changes_no_bit(reduction, loss):
    _, rows, targets, W, b = problem(reduction, loss, np.float32, n_labels=33)
    order, shown = row_order(rows.shape[0], seed=0, epoch=0), targets.shown(seed=0, epoch=0)
    plain = run_epoch(rows, targets, W, b, order=order, shown=shown)
    other = run_epoch(rows, targets, W, b, order=order, shown=shown, padding=15)
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_array_equal(one, two)


def test_penalty_factor_never_overflows():
    """A huge penalty shrinks the factor by 1e-3 a row; it must be folded in on the way."""
    _, rows, targets, W, b = problem("one_vs_rest", "log_loss", np.float32, n_rows=300)
    order, shown = np.arange(300), targets.shown(seed=0, epoch=0)
    W1, _, _, _ = run_epoch(rows, targets, W, b, order=order, shown=shown, alpha=2000.0)
    assert np.all(np.isfinite(W1))
    assert np.abs(W1).max() < 0.1


@pytest.mark.parametrize(
    ("dtype", "lowest", "bound"), [(np.float32, -87.0, 1.2e-7), (np.float64, -708.0, 4.1e-16)]
)
def test_exponential_over_the_whole_range(dtype, lowest, bound):
    x = np.unique(
        np.concatenate(
            [
                np.linspace(lowest, 0, 2_000_001),
                -np.logspace(-300 if dtype is np.float64 else -37, 0, 20_001),
                # Around the multiples of ln(2) / 2, where the reduction switches.
                np.multiply.outer(
                    -np.arange(0, int(-lowest / 0.3466)) * (np.log(2) / 2),
                    1 + np.linspace(-1e-6, 1e-6, 41),
                ).ravel(),
            ]
        ).astype(dtype)
    )
    x = x[(x >= lowest) & (x <= 0)]
    exact = np.exp(x.astype(np.longdouble))
    out = x.copy()
    kernel.exp_nonpositive(out)
    assert np.max(np.abs(out - exact) / exact) < bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponential_stays_positive_below_the_range(dtype):
    out = np.array([-1e4, -1e30, -np.inf], dtype=dtype)
    kernel.exp_nonpositive(out)
    assert np.all(out > 0)
    assert np.all(out < 1e-37)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_labels", [1, 2, 15, 16, 17, 100])
def test_probabilities_of_rows(dtype, n_labels):
    z = (np.random.default_rng(0).normal(size=(20, n_labels)) * 10).astype(dtype)
    p, s = z.copy(), z.copy()
    kernel.softmax_rows(p)
    kernel.expit_rows(s)
    # z - max z is rounded to the type of z, of size up to 60.
    rtol = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(p, softmax(z.astype(float), axis=1), rtol=rtol)
    np.testing.assert_allclose(s, expit(z.astype(float)), rtol=rtol)


def test_scores_of_rows_with_a_factor():
    X, rows, _, W, b = problem("one_vs_rest", "log_loss", n_labels=17)
    out = np.empty((10, 17))
    for first, last in ((0, 5), (5, 17)):
        panel = np.ascontiguousarray(W[:, first:last])
        rows_of_x = (rows.data, rows.indices, rows.indptr)
        kernel.linear_scores(panel, b, 0.5, *rows_of_x, 5, 15, first, last, out)
    np.testing.assert_allclose(out, (X[5:15] @ W) * 0.5 + b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("offset", [np.int32, np.int64])
@pytest.mark.parametrize("dense", [False, True])
def test_scores_of_sparse_weights(dtype, index, offset, dense):
    X, _ = random_problem(5, n_rows=20, n_features=9, dtype=dtype, index=index)
    W = random_csr(np.random.default_rng(0), (9, 17), 0.4, dtype).toarray()
    W[3] = 0
    W = sp.csr_array(W)
    b = np.random.default_rng(1).normal(size=17).astype(dtype)
    rows = to_rows(np.ascontiguousarray(X.toarray()) if dense else X)
    parts = (W.data, W.indices.astype(offset), W.indptr.astype(offset), b)
    for array in (*parts, rows.data, rows.indices, rows.indptr):
        array.flags.writeable = False
    out = np.full((10, 17), np.nan, dtype=dtype)
    kernel.sparse_scores(*parts, rows.data, rows.indices, rows.indptr, 5, 15, out)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    expected = X.toarray()[5:15] @ W.toarray() + b
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def test_kernels_take_read_only_buffers():
    _, rows, targets, W, b = problem("one_vs_rest", "log_loss")
    for array in (rows.data, rows.indices, rows.indptr, targets.label_sets.indices, W, b):
        array.flags.writeable = False
    order, shown = np.arange(rows.shape[0]), targets.shown(seed=0, epoch=0)
    order.flags.writeable = False
    run_epoch(rows, targets, W, b, order=order, shown=shown)
    kernel.linear_scores(
        W, b, 1.0, rows.data, rows.indices, rows.indptr, 0, 5, 0, 7, np.empty((5, 7))
    )
