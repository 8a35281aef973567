"""Distinct rows: however they come again, they are counted once."""

import numpy as np
import pytest
import scipy.sparse as sp

from conftest import random_problem
from skmultireduce._data.distinct import DistinctRows
from skmultireduce._data.label_sets import read_labels
from skmultireduce._data.rows import to_rows


def counted(batches):
    distinct = DistinctRows()
    for X, y in batches:
        distinct.add(to_rows(X), read_labels(y)[0])
    return distinct.count


def problem(n_rows, dtype=np.float32):
    return random_problem(n_rows=n_rows, n_features=50, density=0.2, dtype=dtype)


@pytest.mark.parametrize("n_rows", [1, 30, 1000, 5000, 20_000, 60_000])
def test_estimate_is_within_a_few_percent(n_rows):
    X, y = problem(n_rows)
    assert counted([(X, y)]) == pytest.approx(n_rows, rel=0.06, abs=0.6)


def test_rows_that_come_again_in_other_batches_do_not_count():
    X, y = problem(3000)
    rng = np.random.default_rng(0)
    batches = []
    for _ in range(4):
        order = rng.permutation(3000)
        batches += [(X[order[i : i + 170]], y[order[i : i + 170]]) for i in range(0, 3000, 170)]
    assert counted(batches) == pytest.approx(counted([(X, y)]), rel=0.01)


def test_equal_rows_of_a_batch_count():
    X, y = np.ones((500, 3)), np.ones((500, 2), int)
    assert counted([(X, y)]) == pytest.approx(500, rel=0.06)
    assert counted([(X, y), (X, y)]) == counted([(X, y)])


def test_containers_agree():
    X, y = problem(300)
    stored = sp.csr_array(X.toarray() + 0)
    assert counted([(X, y)]) == counted([(X.toarray(), y)]) == counted([(stored, y)])


def test_labels_tell_rows_apart():
    X, y = problem(800)
    other = y.copy()
    other[:, 0] = 1 - other[:, 0]
    assert counted([(X, y), (X, other)]) == pytest.approx(1600, rel=0.06)


def test_mixing_order_of_columns_tells_rows_apart():
    X = np.zeros((2, 4))
    X[0, 1], X[1, 2] = 3.0, 3.0
    y = np.ones((2, 2), int)
    assert counted([(X[:1], y[:1]), (X[1:], y[1:])]) == pytest.approx(2, abs=0.1)
