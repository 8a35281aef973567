"""Draws are pure functions of (seed, epoch, row), uniform, and cycle when asked to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from skmultireduce._sampling import draw_labels, row_order, uniforms


def offsets(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 1000),
    method=st.sampled_from(["random", "cycle"]),
    cut=st.integers(0, 40),
)
def test_draws_stay_in_the_row_and_do_not_depend_on_chunks(sizes, seed, epoch, method, cut):
    indptr = offsets(sizes)
    drawn = draw_labels(indptr, seed=seed, epoch=epoch, method=method)
    filled = np.diff(indptr) > 0
    assert np.all(drawn >= indptr[:-1])
    assert np.all(drawn[filled] < indptr[1:][filled])
    np.testing.assert_array_equal(drawn[~filled], indptr[:-1][~filled])
    cut = min(cut, len(sizes))
    second = draw_labels(
        indptr[cut:] - indptr[cut], seed=seed, epoch=epoch, method=method, first_row=cut
    )
    np.testing.assert_array_equal(second + indptr[cut], drawn[cut:])


def test_random_draws_are_uniform_and_independent():
    indptr = offsets([5] * 4000)
    first = draw_labels(indptr, seed=1, epoch=0) % 5
    second = draw_labels(indptr, seed=1, epoch=1) % 5
    assert chisquare(np.bincount(first, minlength=5)).pvalue > 1e-3
    assert chisquare(np.bincount(first * 5 + second, minlength=25)).pvalue > 1e-3
    assert chisquare(np.bincount(first[1:] * 5 + first[:-1], minlength=25)).pvalue > 1e-3
    u = uniforms(3, 7, np.arange(20_000))
    assert kstest(u, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u, uniforms(4, 7, np.arange(20_000)))[0, 1]) < 0.03


def test_cycle_shows_each_label_once_in_s_epochs():
    sizes = np.array([1, 2, 3, 3, 4, 7, 0])
    indptr = offsets(sizes)
    draws = np.array(
        [draw_labels(indptr, seed=9, epoch=e, method="cycle") - indptr[:-1] for e in range(84)]
    )
    for row, size in enumerate(sizes):
        if size:
            for turn in draws[:, row].reshape(-1, size):
                assert sorted(turn) == list(range(size))


def test_cycle_orders_are_uniform():
    indptr = offsets([3] * 6000)
    draws = [draw_labels(indptr, seed=2, epoch=e, method="cycle") % 3 for e in (0, 1)]
    orders = np.bincount(draws[0] * 3 + draws[1], minlength=9)
    assert np.all(orders[[0, 4, 8]] == 0)
    assert chisquare(orders[[1, 2, 3, 5, 6, 7]]).pvalue > 1e-3


def test_weighted_draws_are_in_proportion():
    indptr = offsets([3] * 9000 + [1, 0])
    values = np.append(np.tile([1.0, 2.0, 6.0], 9000), 5.0)
    drawn = draw_labels(indptr, seed=0, epoch=0, values=values)
    counts = np.bincount(drawn[:9000] % 3, minlength=3)
    assert chisquare(counts, [1000, 2000, 6000]).pvalue > 1e-3
    assert drawn[9000] == 27_000


@pytest.mark.parametrize("shuffle", [False, True])
def test_order_is_a_permutation(shuffle):
    order = row_order(100, seed=5, epoch=3, shuffle=shuffle)
    np.testing.assert_array_equal(np.sort(order), np.arange(100))
    assert np.array_equal(order, np.arange(100)) != shuffle
    np.testing.assert_array_equal(order, row_order(100, seed=5, epoch=3, shuffle=shuffle))
    part = row_order(100, seed=5, epoch=3, shuffle=shuffle, first_row=200)
    np.testing.assert_array_equal(np.sort(part), np.arange(100))
    assert np.array_equal(order, part) != shuffle
    if shuffle:
        assert not np.array_equal(order, row_order(100, seed=5, epoch=4))
