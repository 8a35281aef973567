"""Every container of y becomes the same label sets, and predictions look like y."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import config_context
from sklearn.exceptions import DataConversionWarning

from conftest import HAS_SPARSE_INTERFACE
from skmultireduce._data.label_sets import LabelSets, read_labels

Y = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]])

CONTAINERS = [
    np.array,
    np.asfortranarray,
    lambda y: y.tolist(),
    pd.DataFrame,
    sp.csr_matrix,
    sp.csr_array,
    sp.csc_matrix,
    sp.coo_array,
    sp.lil_matrix,
    sp.dok_array,
]


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers(container):
    label_sets, target = read_labels(container(Y))
    assert label_sets.indptr.dtype == np.int64
    assert label_sets.indices.dtype == np.int32
    np.testing.assert_array_equal(label_sets.indptr, [0, 2, 2, 3, 6])
    np.testing.assert_array_equal(label_sets.indices, [0, 2, 1, 0, 1, 2])
    assert label_sets.values is None
    assert target.kind == "multilabel"
    assert target.sparse == sp.issparse(container(Y))
    np.testing.assert_array_equal(target.classes, [[0, 1]] * 3)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "dtype", [bool, np.int8, np.uint8, np.int16, np.int64, np.float32, np.float64, ">i4", ">f8"]
)
def test_dtypes_and_way_back(dtype, sparse):
    if sparse and not np.dtype(dtype).isnative:
        pytest.skip("scipy.sparse has native byte order only")
    y = Y.astype(dtype)
    label_sets, target = read_labels(sp.csr_matrix(y) if sparse else y)
    out = target.to_output(label_sets.indptr, label_sets.indices)
    assert sp.issparse(out) == sparse
    assert out.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(out.toarray() if sparse else out, y)


def test_int8_with_more_than_127_labels():
    y = np.zeros((2, 300), dtype=np.int8)
    y[0, 299] = y[1, 128] = 1
    for container in (y, sp.csr_matrix(y)):
        label_sets, target = read_labels(container)
        np.testing.assert_array_equal(label_sets.indices, [299, 128])
        assert target.n_labels == 300


@HAS_SPARSE_INTERFACE
@pytest.mark.parametrize(
    ("interface", "kind"), [("spmatrix", sp.spmatrix), ("sparray", sp.sparray)]
)
def test_sparse_interface_of_scikit_learn(interface, kind):
    label_sets, target = read_labels(sp.csr_array(Y))
    with config_context(sparse_interface=interface):
        assert isinstance(target.to_output(label_sets.indptr, label_sets.indices), kind)


def test_duplicates_explicit_zeros_and_unsorted_entries():
    y = sp.csr_matrix(
        (np.array([1, 0, 1], dtype=np.int8), np.array([2, 1, 0]), np.array([0, 3])), shape=(1, 3)
    )
    before = y.indices.copy()
    label_sets, _ = read_labels(y)
    np.testing.assert_array_equal(label_sets.indices, [0, 2])
    np.testing.assert_array_equal(y.indices, before)
    twice = sp.csr_matrix((np.ones(2, np.int8), np.array([1, 1]), np.array([0, 2])), shape=(1, 3))
    with pytest.raises(ValueError, match="must be a multi-label indicator with 0 and 1"):
        read_labels(twice)


@given(
    hnp.arrays(
        np.int8, st.tuples(st.integers(1, 8), st.integers(2, 9)), elements=st.integers(0, 1)
    )
)
def test_round_trip(y):
    label_sets, target = read_labels(y)
    np.testing.assert_array_equal(target.to_output(label_sets.indptr, label_sets.indices), y)
    np.testing.assert_array_equal(label_sets.sizes, y.sum(axis=1))
    np.testing.assert_array_equal(label_sets.counts(), y.sum(axis=0))
    np.testing.assert_array_equal(label_sets.to_csr().toarray(), y)
    rows = np.arange(len(y))[::-2]
    np.testing.assert_array_equal(label_sets.take(rows).to_csr().toarray(), y[rows])


def test_weights():
    y = np.array([[0.5, 0, 2.0], [0, 1, 0]])
    label_sets, _ = read_labels(y, allow_weights=True)
    np.testing.assert_array_equal(label_sets.values, [0.5, 2, 1])
    np.testing.assert_array_equal(label_sets.take(np.array([1, 0])).values, [1, 0.5, 2])
    np.testing.assert_array_equal(label_sets.counts(np.array([1.0, 3.0])), [1, 3, 1])
    with pytest.raises(ValueError, match="0 and 1"):
        read_labels(y)
    with pytest.raises(ValueError, match="non-negative"):
        read_labels(-y, allow_weights=True)
    with pytest.raises(ValueError, match="mean of 1"):
        read_labels(y * [1, 1, 1e30], allow_weights=True)


def test_classes():
    label_sets, target = read_labels(np.array(["b", "a", "b"]))
    assert target.kind == "multiclass"
    np.testing.assert_array_equal(target.classes, ["a", "b"])
    np.testing.assert_array_equal(label_sets.indices, [1, 0, 1])
    again, _ = read_labels(np.array(["a"]), target=target)
    np.testing.assert_array_equal(again.indices, [0])
    with pytest.raises(ValueError, match="class 'z'"):
        read_labels(np.array(["z"]), target=target)
    part, target = read_labels(np.array([2, 7]), classes=[7, 2, 5])
    np.testing.assert_array_equal(target.classes, [2, 5, 7])
    np.testing.assert_array_equal(part.indices, [0, 2])


def test_one_column_is_classes_unless_sparse():
    with pytest.warns(DataConversionWarning):
        _, target = read_labels(np.array([[0], [1]]))
    assert target.kind == "multiclass"
    _, target = read_labels(sp.csr_matrix([[0], [1]]))
    assert (target.kind, target.n_labels) == ("multilabel", 1)


BAD = {
    "none": (None, "None"),
    "lists of labels": ([[1, 2], [3]], "MultiLabelBinarizer"),
    "sets": ([{1}, {2}], "MultiLabelBinarizer"),
    "twos": (Y * 2, "0 and 1"),
    "negative": (-Y, "0 and 1"),
    "nan": (np.where(Y == 1, np.nan, 0), "NaN"),
    "infinite, sparse": (sp.csr_matrix(np.where(Y == 1, np.inf, 0)), "infinity"),
    "3-D": (np.zeros((2, 2, 2)), "shape"),
    "strings": (np.array([["a", "b"], ["c", "d"]]), "convert|indicator"),
    "empty": (np.zeros((0, 3)), "0 sample"),
    "empty, sparse": (sp.csr_matrix((0, 3)), "0 sample"),
    "no columns": (sp.csr_matrix((3, 0)), "label"),
    "complex": (sp.csr_matrix(Y.astype(complex)), "dtype"),
    "continuous": (np.array([0.5, 1.2]), "Unknown label type"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_y(case):
    y, message = BAD[case]
    with pytest.raises((ValueError, TypeError), match=message):
        read_labels(y)


def test_indices_out_of_range():
    y = sp.csr_matrix(Y)
    y.indices[0] = 99
    with pytest.raises(ValueError, match="corrupt"):
        read_labels(y)


def test_one_dimensional_y_where_sets_are_needed():
    with pytest.raises(ValueError, match="LabelBinarizer"):
        read_labels([0, 1, 2], allow_multiclass=False)


def test_other_labels_than_before():
    _, target = read_labels(Y)
    with pytest.raises(ValueError, match="2 labels"):
        read_labels(Y[:, :2], target=target)
    with pytest.raises(ValueError, match="1-D"):
        read_labels([0, 1], target=target)


@given(cuts=st.lists(st.integers(0, 4), max_size=3), weighted=st.booleans())
def test_parts_stack_up_to_the_whole(cuts, weighted):
    # Weights in the last row alone: the other parts have none.
    y = Y * np.array([[1.0], [1], [1], [2.5 if weighted else 1]])
    whole, _ = read_labels(y, allow_weights=True)
    bounds = [0, *sorted(cuts), 4]
    again = LabelSets.stacked([whole.part(first, last) for first, last in pairwise(bounds)])
    for name in ("indptr", "indices", "values"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    ones = LabelSets.stacked([read_labels(Y[:2])[0], read_labels(y[2:], allow_weights=True)[0]])
    np.testing.assert_array_equal(ones.indices, whole.indices)
    if weighted:
        np.testing.assert_array_equal(ones.values, whole.values)
