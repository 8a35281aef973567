"""Centring and scaling of dense features: when, by what, and folded back."""

import re
import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import random_csr
from skmultireduce._data import feature_scaling
from skmultireduce._data.feature_scaling import (
    ColumnMoments,
    FeatureScaling,
    RowSample,
    find_scaling,
    warn_of_heavy_columns,
)
from skmultireduce._data.rows import to_rows

N_ROWS = 2000


def gaussian(n_features=20, seed=0):
    return np.random.default_rng(seed).normal(size=(N_ROWS, n_features))


def found(X, center=True):
    return find_scaling(RowSample.of(to_rows(np.ascontiguousarray(X))), center=center)


def with_year(X):
    rng = np.random.default_rng(9)
    return np.column_stack([X, 2000 + 10 * rng.normal(size=len(X))])


@pytest.mark.parametrize(
    ("change", "centred", "scaled"),
    [
        (lambda X: X, False, False),
        (lambda X: 1e-6 * X, False, False),
        (lambda X: X + 100, True, False),
        (lambda X: X - 10, True, False),
        (with_year, True, True),
        (lambda X: np.column_stack([X, np.full(len(X), 1e3)]), True, False),
        (lambda X: X * np.geomspace(1e-3, 1e3, X.shape[1]), True, True),
        (lambda X: np.column_stack([X, 1.7e9 + 1e6 * X[:, 0]]), True, True),
        (lambda X: np.vstack([1e4 * X[:3], X[3:]]), False, False),
        (lambda X: X / np.linalg.norm(X, axis=1, keepdims=True), False, False),
        (lambda X: (X > 1.5).astype(float), False, False),
    ],
)
def test_when(change, centred, scaled):
    scaling = found(change(gaussian()))
    assert (scaling is not None) == (centred or scaled)
    if scaling is not None:
        assert np.any(scaling.center != 0) == centred
        assert np.any(scaling.scale != 1) == scaled


def test_rare_columns_keep_their_unit():
    rng = np.random.default_rng(2)
    one_hot = np.eye(100)[rng.integers(0, 100, N_ROWS)]
    scaling = found(with_year(one_hot))
    np.testing.assert_array_equal(scaling.scale[:-1], 1)
    np.testing.assert_array_equal(scaling.center[:-1], 0)
    assert scaling.center[-1] == pytest.approx(2000, abs=2)
    assert scaling.scale[-1] == pytest.approx(10, rel=0.1)


def test_without_an_intercept_nothing_is_centred():
    assert found(gaussian() + 100, center=False) is None
    scaling = found(gaussian() * np.geomspace(1e-3, 1e3, 20), center=False)
    np.testing.assert_array_equal(scaling.center, 0)
    np.testing.assert_allclose(scaling.scale, np.geomspace(1e-3, 1e3, 20), rtol=0.1)


def test_a_few_rows_change_nothing():
    X = gaussian() * np.geomspace(1e-2, 1e2, 20) + 3
    spoilt = X.copy()
    spoilt[:10] *= 1e6
    one, other = found(X), found(spoilt)
    np.testing.assert_allclose(other.scale, one.scale, rtol=0.1)
    np.testing.assert_allclose(other.center, one.center, atol=0.2 * one.scale.max())


@given(st.lists(st.integers(1, N_ROWS - 1), max_size=5), st.integers(0, 2**31))
def test_sample_does_not_depend_on_blocks(cuts, seed):
    X = np.random.default_rng(seed).normal(size=(N_ROWS, 2))
    bounds = [0, *sorted(set(cuts)), N_ROWS]
    whole = RowSample.of(to_rows(X))
    parts = sum(RowSample.of(to_rows(X[a:b]), first_row=a) for a, b in pairwise(bounds))
    np.testing.assert_array_equal(parts.keys, whole.keys)
    np.testing.assert_array_equal(parts.values, whole.values)


def test_sample_is_bounded_and_of_the_rows_that_are_used(monkeypatch):
    monkeypatch.setattr(feature_scaling, "_SAMPLE_SIZE", 100)
    X = np.arange(1000.0)[:, None]
    sample = RowSample.of(to_rows(X), used=X[:, 0] >= 500)
    assert sample.values.shape == (100, 1)
    assert sample.values.min() >= 500
    assert (sample + sample).values.shape == (100, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_folding_gives_the_same_scores(dtype):
    rng = np.random.default_rng(4)
    X = (gaussian(6) * np.geomspace(1, 100, 6) + 50).astype(dtype)
    scaling = FeatureScaling(X.mean(axis=0, dtype=float), X.std(axis=0, dtype=float))
    coef, intercepts = rng.normal(size=(3, 6)).astype(dtype), rng.normal(size=3).astype(dtype)
    Z = scaling.apply(to_rows(X)).data.reshape(X.shape)
    folded, offsets = scaling.fold(coef, intercepts)
    assert folded.dtype == offsets.dtype == Z.dtype == dtype
    tolerance = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(
        X @ folded.T + offsets, Z @ coef.T + intercepts, rtol=tolerance, atol=tolerance
    )


def test_centring_is_done_in_double_precision():
    X = (1.7e9 + 1e5 * gaussian(1)).astype(np.float32)
    scaling = FeatureScaling(np.array([1.7e9]), np.array([1e5]))
    Z = scaling.apply(to_rows(X)).data
    np.testing.assert_array_equal(Z, ((X.astype(float) - 1.7e9) / 1e5).ravel().astype(np.float32))


def moments(square, mean=0.0):
    """Of 10 rows: mean square and mean of each column."""
    square = np.asarray(square, dtype=float)
    mean = np.broadcast_to(np.asarray(mean, dtype=float), square.shape)
    return ColumnMoments(10, 10 * mean, 10 * square)


@pytest.mark.parametrize(
    ("square", "mean", "said"),
    [
        # More than half of the square, and more than 25 times the others' mean.
        ([26, 1, 1], 0, "Column 0 of X hold 93%"),
        ([24, 1, 1], 0, None),
        ([2.9, 1] + 200 * [0.01], 0, None),
        ([0, 60, 60] + 20 * [1], 0, None),
        ([0, 600, 60] + 20 * [1], 0, "Column 1 of X hold 88%"),
        ([0, 900, 300] + 50 * [0.5], 0, r"Columns 1, 2 of X hold 98%"),
        # Offsets that hold more than nine tenths, together.
        ([4, 4, 0.1], [1.95, 1.95, 0], r"Columns 0, 1 of X hold 99%"),
        ([4, 4, 0.1], [1.85, 1.85, 0], None),
        (7 * [4] + [0.1], 7 * [1.95] + [0], r"Columns 0, 1, 2, 3, 4 and 2 more of X"),
        (5 * [4] + [0.1], 5 * [1.95] + [0], r"Columns 0, 1, 2, 3, 4 of X"),
        # A column alone has no others.
        ([9, 0, 0], [3, 0, 0], None),
        ([np.inf, 1, 1], 0, None),
    ],
)
def test_heavy_columns_are_those_beyond_the_bounds(square, mean, said):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_heavy_columns(moments(square, mean), None)
    messages = [str(one.message) for one in caught]
    if said is None:
        assert not messages
    else:
        assert re.match(said, messages[0])
        assert len(messages) == 1


def test_moments_of_sparse_rows_add_up():
    X = random_csr(np.random.default_rng(0), (9, 4), 0.6, np.float64)
    parts = [ColumnMoments.of(to_rows(part)) for part in (X[:2], X[2:])]
    for found in (ColumnMoments.of(to_rows(X)), sum(parts)):
        assert found.n_rows == 9
        np.testing.assert_allclose(found.total, X.sum(axis=0))
        np.testing.assert_allclose(found.square, (X**2).sum(axis=0))


def test_heavy_columns_are_called_by_their_names():
    names = np.array(["a", "b", "c"])
    with pytest.warns(UserWarning, match=r"^Column 'b' of X hold 98% of its mean square"):
        warn_of_heavy_columns(moments([1, 100, 1]), names)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tails_are_numpys_quantiles(dtype):
    rng = np.random.default_rng(0)
    for n_rows in (1, 2, 3, 51, 100, 101, 4096):
        values = (rng.normal(size=(n_rows, 5)) * [1, 1e-3, 1e3, 7, 0]).astype(dtype)
        values = values.astype(np.float64)
        ordered = np.sort(values.T, axis=1)
        for share in (0.01, 0.99):
            found = feature_scaling._quantile(ordered, share)
            np.testing.assert_array_equal(found[:, 0], np.quantile(values, share, axis=0))


def test_statistics_are_those_of_clipped_columns():
    """Over more columns than are laid out at once, some of them half empty."""
    rng = np.random.default_rng(1)
    values = rng.standard_t(2, size=(301, 37)) * np.geomspace(1e-3, 1e3, 37) + 5
    values[:150, ::3] = 0
    values[:151, 1::3] = 0
    filled, mean, variance = feature_scaling._statistics(values)
    np.testing.assert_array_equal(filled, np.arange(37) % 3 != 1)
    clipped = np.clip(values, *np.quantile(values, [0.01, 0.99], axis=0))
    np.testing.assert_allclose(mean, clipped.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(variance, clipped.var(axis=0), rtol=1e-12)
