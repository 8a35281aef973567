"""Draws are pure functions of (seed, epoch, row), uniform, and cycle when asked to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest, norm

from skmultireduce._reductions.candidates import (
    LabelSampler,
    find_candidates,
    inclusion_probabilities,
)
from skmultireduce._reductions.draws import draw_labels, fold_numbers, row_order, uniforms


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


def test_weighted_draws_do_not_depend_on_other_rows():
    n_rows = 3000
    indptr = offsets([3] * n_rows)
    values = np.tile([1.0, 2.0, 6.0], n_rows)
    expected = draw_labels(indptr, seed=2, epoch=1, values=values)
    # Only ratios within a row matter, however large the weights of the rows before.
    scaled = values * np.repeat(np.logspace(15, -15, n_rows), 3)
    np.testing.assert_array_equal(draw_labels(indptr, seed=2, epoch=1, values=scaled), expected)
    for cut in (1, 1700):
        part = draw_labels(
            indptr[cut:] - 3 * cut, seed=2, epoch=1, values=scaled[3 * cut :], first_row=cut
        )
        np.testing.assert_array_equal(part + 3 * cut, expected[cut:])


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


# ----------------------------------------------------------------- sampled softmax
def samples(inclusion, first_rows, *, seed=4, epoch=1):
    """Which labels are in the samples of some batches, as a boolean matrix."""
    sampler, n_batches = LabelSampler(inclusion), len(first_rows)
    sizes, drawn = sampler.draw(first_rows, seed=seed, epoch=epoch)
    found = np.zeros((n_batches, len(inclusion)), dtype=bool)
    found[:, sampler.sure] = True
    assert sizes.sum() == len(drawn)
    batch = np.repeat(np.arange(n_batches), sizes)
    assert not np.any(found[batch, sampler.others[drawn]])
    found[batch, sampler.others[drawn]] = True
    # Nothing was drawn twice.
    assert found.sum() == len(drawn) + n_batches * len(sampler.sure)
    return found


@given(
    mass=st.lists(st.floats(0, 1e9), min_size=1, max_size=50).map(np.array),
    share=st.floats(0, 1),
)
def test_inclusion_has_the_expected_size_and_the_order_of_the_mass(mass, share):
    size = max(1, round(share * len(mass)))
    inclusion = inclusion_probabilities(mass, size)
    assert np.all(inclusion > 0)
    assert np.all(inclusion <= 1)
    assert inclusion.sum() == pytest.approx(size)
    order = np.argsort(mass)
    assert np.all(np.diff(inclusion[order]) >= -1e-12)
    # In proportion to a power below the cap.
    free = inclusion < 1 - 1e-9
    factor = inclusion[free] / (mass[free] + 1) ** 0.75
    np.testing.assert_allclose(factor, factor[:1].repeat(len(factor)))


def test_inclusion_of_equal_labels():
    np.testing.assert_allclose(inclusion_probabilities(np.zeros(8), 2), 0.25)
    np.testing.assert_array_equal(inclusion_probabilities(np.arange(8.0), 8), 1)
    np.testing.assert_allclose(inclusion_probabilities(np.array([400.0, 0, 0]), 2), [1, 0.5, 0.5])


def test_labels_are_in_samples_independently_with_their_probabilities():
    inclusion = np.array([1.0, 0.9, 0.5, 0.2, 0.01, 1.0, 0.7, 1e-9, 0.05])
    n = 20_000
    found = samples(inclusion, np.arange(n))
    free = inclusion < 1
    assert np.all(found[:, ~free])
    spread = np.sqrt(inclusion * (1 - inclusion))[free]
    errors = (found[:, free].mean(axis=0) - inclusion[free]) * np.sqrt(n) / spread
    assert np.all(np.abs(errors) < norm.isf(1e-4))
    centred = (found[:, free] - inclusion[free]) / spread
    correlation = centred[:, spread > 0.05].T @ centred[:, spread > 0.05] / n
    off_diagonal = correlation[~np.eye(len(correlation), dtype=bool)]
    assert np.all(np.abs(off_diagonal) * np.sqrt(n) < norm.isf(1e-5))
    # Nor do a batch and the next one, or the next epoch, have to do with each other.
    half = found[:, 2]
    later = samples(inclusion, np.arange(n), epoch=2)[:, 2]
    for other in (np.roll(half, 1), later):
        assert abs(np.mean(half ^ other) - 0.5) * 2 * np.sqrt(n) < norm.isf(1e-4)


@given(
    inclusion=st.lists(st.floats(1e-6, 1), min_size=1, max_size=30).map(np.array),
    cut=st.integers(0, 6),
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 1000),
)
def test_samples_do_not_depend_on_chunks(inclusion, cut, seed, epoch):
    key = {"seed": seed, "epoch": epoch}
    first_rows = 64 * np.arange(7)
    whole = samples(inclusion, first_rows, **key)
    np.testing.assert_array_equal(samples(inclusion, first_rows[:cut], **key), whole[:cut])
    np.testing.assert_array_equal(samples(inclusion, first_rows[cut:], **key), whole[cut:])


@given(
    inclusion=st.lists(st.one_of(st.just(1.0), st.floats(1e-6, 1)), min_size=1, max_size=30).map(
        np.array
    ),
    batch_size=st.integers(1, 9),
    n_rows=st.integers(1, 40),
    seed=st.integers(0, 1000),
)
def test_candidates_are_the_sample_and_the_rows_labels(inclusion, batch_size, n_rows, seed):
    shown = np.random.default_rng(seed).integers(-1, len(inclusion), n_rows)
    found = find_candidates(
        LabelSampler(inclusion), shown, batch_size, seed=seed, epoch=3, first_row=200
    )
    n_batches = -(-n_rows // batch_size)
    sampled = samples(inclusion, 200 + batch_size * np.arange(n_batches), seed=seed, epoch=3)
    assert found.most == max(np.diff(found.start))
    for batch in range(n_batches):
        labels = found.labels[found.start[batch] : found.start[batch + 1]]
        shared = labels[: found.n_shared[batch]]
        np.testing.assert_array_equal(np.sort(shared), np.flatnonzero(sampled[batch]))
        rows = np.arange(batch * batch_size, min((batch + 1) * batch_size, n_rows))
        has_label = shown[rows] >= 0
        private = np.setdiff1d(shown[rows][has_label], shared)
        np.testing.assert_array_equal(labels[found.n_shared[batch] :], private)
        np.testing.assert_array_equal(labels[found.own[rows][has_label]], shown[rows][has_label])


@given(
    n_rows=st.integers(1, 40),
    n_folds=st.integers(1, 7),
    cut=st.integers(0, 40),
    test_size=st.none() | st.floats(0.1, 0.9),
)
def test_fold_of_a_row_depends_on_its_number_alone(n_rows, n_folds, cut, test_size):
    cut = min(cut, n_rows)
    options = {"seed": 11, "n_folds": n_folds, "test_size": test_size}
    whole = fold_numbers(n_rows, **options)
    parts = [
        fold_numbers(cut, **options),
        fold_numbers(n_rows - cut, first_row=cut, **options),
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    if test_size is None:
        sizes = np.bincount(whole, minlength=n_folds)
        assert sizes.max() - sizes.min() <= 1


def test_parts_of_the_rows_have_orders_of_their_own():
    first, second = (row_order(50, seed=1, epoch=2, first_row=n) for n in (0, 50))
    np.testing.assert_array_equal(first, row_order(50, seed=1, epoch=2))
    np.testing.assert_array_equal(np.sort(second), np.arange(50))
    assert not np.array_equal(first, second)
