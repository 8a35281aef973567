"""Every container of X becomes the same rows."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from skmultireduce._data.blocks import iter_row_blocks, take_rows
from skmultireduce._data.rows import Rows, read_X, to_rows
from skmultireduce._data.weights import read_sample_weight

X = np.array([[1.0, 0, -2], [0, 0, 0], [0, 3, 0.5]])


def read(X, dtype="float64", **kwargs):
    return read_X(BaseEstimator(), X, dtype=dtype, reset=True, **kwargs)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "container", [sp.csr_matrix, sp.csr_array, sp.csc_matrix, sp.coo_array, sp.lil_matrix]
)
def test_sparse(container, dtype):
    rows = read(container(X), dtype)
    assert not rows.dense
    assert rows.data.dtype == dtype
    assert rows.indptr.dtype == np.int64
    np.testing.assert_array_equal(rows.indices, [0, 2, 1, 2])
    np.testing.assert_array_equal(rows.data, [1, -2, 3, 0.5])
    np.testing.assert_allclose(rows.squared_norms, [5, 0, 9.25])
    np.testing.assert_allclose(rows.absolute_sums(), [3, 0, 3.5])
    np.testing.assert_allclose(rows.take(np.array([2, 0])).squared_norms, [9.25, 5])


@pytest.mark.parametrize("container", [np.array, np.asfortranarray, list, pd.DataFrame])
def test_dense(container):
    rows = read(container(X))
    assert rows.dense
    np.testing.assert_array_equal(rows.data, X.ravel())
    np.testing.assert_allclose(rows.squared_norms, [5, 0, 9.25])
    np.testing.assert_allclose(rows.absolute_sums(), [3, 0, 3.5])
    np.testing.assert_array_equal(rows.take(np.array([2])).data, X[2])


def test_no_copy_where_none_is_needed():
    csr = sp.csr_array(X)
    csr.sum_duplicates()
    assert np.shares_memory(read(csr).data, csr.data)
    assert np.shares_memory(read(X).data, X)


def test_index_types_are_kept():
    for index in (np.int32, np.int64):
        csr = sp.csr_array(X)
        csr.indices, csr.indptr = csr.indices.astype(index), csr.indptr.astype(index)
        assert to_rows(csr).indices.dtype == index


def test_duplicates_and_order():
    csr = sp.csr_matrix(
        (np.array([1.0, 2, 3]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3)
    )
    rows = read(csr)
    np.testing.assert_array_equal(rows.indices, [0, 2])
    np.testing.assert_array_equal(rows.data, [2, 4])
    np.testing.assert_array_equal(csr.indices, [2, 0, 2])


def test_trailing_space_in_buffers():
    csr = sp.csr_array(X)
    longer = sp.csr_array(
        (np.append(csr.data, 99.0), np.append(csr.indices, 0), csr.indptr), shape=X.shape
    )
    np.testing.assert_array_equal(read(longer).data, csr.data)


def test_bad_x():
    csr = sp.csr_matrix(X)
    csr.indices[0] = 7
    with pytest.raises(ValueError, match="corrupt"):
        read(csr)
    with pytest.raises(ValueError, match="NaN"):
        read(np.array([[np.nan, 1]]))
    with pytest.raises(ValueError, match="infinity"):
        read(np.array([[1e300, 1]]), "float32")
    # Rows that are converted block by block.
    wide = np.zeros((3, 64))
    for value, message in ((np.nan, "NaN"), (1e300, "infinity")):
        wide[1, 5] = value
        with pytest.raises(ValueError, match=message):
            read(wide, "float32")


def test_sample_weight():
    assert read_sample_weight(None, X) is None
    np.testing.assert_array_equal(read_sample_weight([1, 0, 2], X), [1, 0, 2])
    for bad, message in (([1, 2], "shape"), ([1, -1, 0], "[Nn]egative"), ([0, 0, 0], "non-zero")):
        with pytest.raises(ValueError, match=message):
            read_sample_weight(bad, X)


def test_blocks_cover_all_rows():
    blocks = list(iter_row_blocks(10, 2**20, working_memory=3))
    assert [(b.start, b.stop) for b in blocks] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert list(iter_row_blocks(0, 8)) == []
    assert len(list(iter_row_blocks(3, 2**30, working_memory=1))) == 3


@pytest.mark.parametrize("container", [np.array, sp.csr_matrix, sp.coo_array, pd.DataFrame, list])
def test_take_rows(container):
    taken = take_rows(container(X), np.array([2, 0]))
    taken = taken.toarray() if sp.issparse(taken) else np.asarray(taken)
    np.testing.assert_array_equal(taken, X[[2, 0]])


def shifted(array):
    """The same numbers, at addresses that are no multiples of their size."""
    memory = np.frombuffer(b"\0" + array.tobytes(), dtype=np.uint8)
    return memory[1:].view(array.dtype).reshape(array.shape)


def test_kernels_get_aligned_numbers():
    csr = sp.csr_array(X)
    parts = shifted(csr.data), shifted(csr.indices), shifted(csr.indptr)
    for rows in (
        to_rows(shifted(X)),
        to_rows(sp.csr_array(parts, shape=X.shape)),
        read(shifted(X)),
    ):
        for part in (rows.data, rows.indices, rows.indptr):
            assert part.flags.aligned
            assert part.flags.c_contiguous
        np.testing.assert_array_equal(rows.squared_norms, (X**2).sum(axis=1))
    # Without need there is no copy.
    assert np.shares_memory(to_rows(X).data, X)
    assert np.shares_memory(to_rows(csr).data, csr.data)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("bounds", [(0, 3), (0, 1, 3), (0, 0, 2, 2, 3)])
def test_parts_stack_up_to_the_whole(container, bounds):
    whole = read(container(X))
    parts = [whole.part(first, last) for first, last in pairwise(bounds)]
    assert [part.shape for part in parts] == [(b - a, 3) for a, b in pairwise(bounds)]
    for part, (first, last) in zip(parts, pairwise(bounds), strict=True):
        np.testing.assert_array_equal(part.data, whole.take(np.arange(first, last)).data)
    again = Rows.stacked(parts)
    assert again.shape == whole.shape
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
