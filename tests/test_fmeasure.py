"""The F-optimal decision against exhaustive search over all label sets."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skmultireduce._reductions.fmeasure import f_optimal_sets


def subsets(n_labels):
    return np.array(list(product([0, 1], repeat=n_labels)), dtype=float)


def f_beta_matrix(sets, beta):
    """F_beta of every set (rows) against every truth (columns)."""
    hits = sets @ sets.T
    n = sets.sum(axis=1)
    bottom = beta**2 * n[None, :] + n[:, None]
    with np.errstate(invalid="ignore"):
        return np.where(bottom > 0, (1 + beta**2) * hits / bottom, 1.0)


def parameters_of(law, sets):
    """Delta (rows, K, K), sizes 1..K and P(empty) of the laws in the rows of `law`."""
    n_labels = sets.shape[1]
    size = sets.sum(axis=1)
    delta = np.stack([law @ (sets * (size == s)[:, None]) for s in range(1, n_labels + 1)], axis=2)
    return delta, np.arange(1.0, n_labels + 1), law[:, size == 0].sum(axis=1)


def random_laws(rng, n_laws, n_sets, concentration):
    return rng.dirichlet(np.full(n_sets, concentration), size=n_laws)


@pytest.mark.parametrize("n_labels", range(1, 9))
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("concentration", [0.02, 1.0])
def test_equals_exhaustive_search(n_labels, beta, concentration):
    sets = subsets(n_labels)
    law = random_laws(np.random.default_rng(n_labels), 40, len(sets), concentration)
    expected = law @ f_beta_matrix(sets, beta).T
    delta, sizes, empty = parameters_of(law, sets)
    indptr, indices, score = f_optimal_sets(delta, sizes, empty, beta=beta)
    np.testing.assert_allclose(score, expected.max(axis=1), rtol=1e-10)
    # The set that is returned has the score that is returned.
    chosen = np.zeros((len(law), n_labels))
    chosen[np.repeat(np.arange(len(law)), np.diff(indptr)), indices] = 1
    code = (chosen @ 2 ** np.arange(n_labels)[::-1]).astype(int)
    np.testing.assert_allclose(expected[np.arange(len(law)), code], score, rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_labels=st.integers(1, 6), limit=st.integers(1, 6))
def test_max_labels_and_no_empty_set(seed, n_labels, limit):
    sets = subsets(n_labels)
    law = random_laws(np.random.default_rng(seed), 5, len(sets), 0.2)
    delta, sizes, _ = parameters_of(law, sets)
    n = sets.sum(axis=1)
    allowed = (n >= 1) & (n <= limit)
    # Without an empty answer the mass of the empty truth scores nothing.
    expected = (law * (n > 0)) @ f_beta_matrix(sets, 1.0).T[:, allowed]
    indptr, indices, score = f_optimal_sets(delta, sizes, max_labels=limit)
    np.testing.assert_allclose(score, expected.max(axis=1), rtol=1e-9, atol=1e-12)
    assert np.diff(indptr).max() <= min(limit, n_labels)
    for a, b in pairwise(indptr):
        assert np.all(np.diff(indices[a:b]) > 0)


def test_pruning_is_exact():
    # Against all columns at once, without the bound and without blocks.
    rng = np.random.default_rng(0)
    delta = rng.dirichlet(np.full(40 * 5, 0.05), size=300).reshape(300, 40, 5)
    sizes = np.array([1.0, 2.0, 3.0, 4.0, 7.5])
    _, _, score = f_optimal_sets(delta, sizes)
    k = np.arange(1, 41)
    columns = np.einsum("nis,sk->nik", delta, 2 / (sizes[:, None] + k))
    ordered = -np.sort(-columns, axis=1)
    best = np.cumsum(ordered, axis=1)[:, k - 1, k - 1].max(axis=1)
    np.testing.assert_allclose(score, best, rtol=1e-12)


def test_blocks_do_not_change_the_answer():
    import sklearn

    rng = np.random.default_rng(1)
    delta = rng.random((50, 300, 3)) * (rng.random((50, 300, 3)) < 0.05)
    sizes = np.arange(1.0, 4.0)
    whole = f_optimal_sets(delta, sizes)
    with sklearn.config_context(working_memory=0.05):
        parts = f_optimal_sets(delta, sizes)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_rows_and_no_mass():
    indptr, indices, score = f_optimal_sets(np.zeros((0, 3, 2)), np.array([1.0, 2.0]))
    assert indptr.tolist() == [0]
    assert len(indices) == len(score) == 0
    indptr, indices, score = f_optimal_sets(np.zeros((2, 3, 2)), np.array([1.0, 2.0]))
    # Empty sets are not among the answers: one label, the first.
    assert indptr.tolist() == [0, 1, 2]
    assert indices.tolist() == [0, 0]
    assert score.tolist() == [0.0, 0.0]
