"""Readers for fit_stream: what they read, in any blocks, again and again."""

import gzip
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

from conftest import random_problem
from skmultireduce import MultiLabelSGDClassifier
from skmultireduce.datasets import (
    FastTextBlocks,
    ParquetBlocks,
    SVMLightBlocks,
    read_fasttext,
)

LINES = [
    "__label__b __label__a one two",
    "",
    "three three __label__c",
    "no label at all",
    "__label__a",
    "__label__c __label__c four",
]
HASH = HashingVectorizer(n_features=32, alternate_sign=False, norm=None)


def together(blocks):
    """All blocks as one X and y, dense."""
    parts = [[sp.csr_matrix(part).toarray() for part in block] for block in blocks]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# -------------------------------------------------------------------------- fastText
@pytest.mark.parametrize("block_size", [1, 2, 100])
@pytest.mark.parametrize("form", ["lines", "path", "gz"])
def test_fasttext(tmp_path, form, block_size):
    source = LINES
    if form != "lines":
        source = tmp_path / ("train.txt.gz" if form == "gz" else "train.txt")
        with (gzip.open if form == "gz" else open)(source, "wt") as file:
            file.write("\n".join(LINES))
    blocks = FastTextBlocks(source, HASH, block_size=block_size)
    whole = read_fasttext(LINES)
    assert blocks.target_names.tolist() == ["a", "b", "c"]
    expected = [HASH.transform(whole.data).toarray(), whole.target.toarray()]
    for _ in range(2):
        assert_same(together(blocks), expected)
    assert [X.shape[0] for X, _ in blocks][:-1] == [block_size] * ((5 - 1) // block_size)
    parts = list(blocks)
    for n_blocks in range(len(parts) + 1):
        rest = list(blocks.iter_from(n_blocks))
        assert len(rest) == len(parts) - n_blocks
        for got, part in zip(rest, parts[n_blocks:], strict=True):
            assert_same(together([got]), together([part]))


def test_fasttext_with_a_vocabulary_and_given_names():
    words = CountVectorizer().fit(["one two three"])
    blocks = FastTextBlocks(LINES, words, target_names=["c", "a"], block_size=2)
    with pytest.warns(UserWarning, match="1 labels that are not in target_names") as caught:
        X, y = together(blocks)
    assert len(caught) == 1
    assert X.shape == (5, 3)
    assert y.tolist() == [[0, 1], [1, 0], [0, 0], [0, 1], [1, 0]]
    together(blocks)  # warns no more
    together(FastTextBlocks(LINES, words, target_names=["c", "a"]).iter_from(1))


def test_fasttext_errors(tmp_path):
    with pytest.raises(ValueError, match="read just once"):
        FastTextBlocks(iter(LINES), HASH)
    with pytest.raises(ValueError, match="vectorizer"):
        FastTextBlocks(LINES, str.split)
    with pytest.raises(ValueError, match="block_size"):
        FastTextBlocks(LINES, HASH, block_size=0)
    with pytest.raises(FileNotFoundError):
        FastTextBlocks(tmp_path / "none.txt", HASH)
    with pytest.raises(ValueError, match="more than once"):
        FastTextBlocks(LINES, HASH, target_names=["a", "a"])


# -------------------------------------------------------------------------- svmlight
def write_svmlight(path, zero_based=False, opener=open):
    X, y = random_problem(2, n_rows=40, n_features=12, n_labels=5)
    with opener(path, "wb") as file:
        file.write(b"# made for a test\n\n")
        dump_svmlight_file(sp.csr_matrix(X), y, file, zero_based=zero_based, multilabel=True)
    return X.toarray(), y


@given(block_bytes=st.integers(1, 6000))
@settings(max_examples=20)
def test_svmlight_in_any_blocks(tmp_path_factory, block_bytes):
    path = tmp_path_factory.getbasetemp() / "rows.svm"
    if not path.exists():
        write_svmlight(path)
    expected, labels = load_svmlight_file(path, multilabel=True, dtype=np.float32)
    blocks = SVMLightBlocks(path, block_bytes=block_bytes)
    X, y = together(blocks)
    np.testing.assert_array_equal(X, expected.toarray())
    assert [tuple(np.flatnonzero(row)) for row in y] == [tuple(sorted(row)) for row in labels]
    n_blocks = len(list(blocks)) // 2
    rest = together(blocks.iter_from(n_blocks))
    assert_same(rest, [part[-len(rest[0]) :] for part in (X, y)])


@pytest.mark.parametrize("zero_based", [False, True])
def test_svmlight_forms(tmp_path, zero_based):
    path = tmp_path / "rows.svm.gz"
    X, y = write_svmlight(path, zero_based, gzip.open)
    blocks = SVMLightBlocks(path, zero_based=zero_based, dtype="float64", n_features=20)
    got, labels = together(blocks)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got[:, :12], X, rtol=1e-15)
    np.testing.assert_array_equal(labels, y)
    assert got.shape == (40, 20)
    assert blocks.target_names.tolist() == [0, 1, 2, 3, 4]
    chosen = SVMLightBlocks(path, zero_based=zero_based, n_features=12, target_names=[3, 1])
    with pytest.warns(UserWarning, match=f"{y[:, [0, 2, 4]].sum()} labels"):
        np.testing.assert_array_equal(together(chosen)[1], y[:, [3, 1]])
    model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
    streamed = model.fit_stream(blocks).coef_
    X_wide = np.pad(got[:, :12], ((0, 0), (0, 8)))
    np.testing.assert_array_equal(model.fit(sp.csr_matrix(X_wide), y).coef_, streamed)


def test_svmlight_labels_that_are_no_integers_or_twice(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("0.5,2,2 1:1\n2 1:3 # and a comment\n 1:4\n")
    blocks = SVMLightBlocks(path)
    assert blocks.target_names.tolist() == [0.5, 2.0]
    X, y = together(blocks)
    assert y.tolist() == [[1, 1], [0, 1], [0, 0]]
    assert X.tolist() == [[1], [3], [4]]


def test_svmlight_errors(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("# nothing\n\n")
    with pytest.raises(ValueError, match="no rows"):
        SVMLightBlocks(path)
    path.write_text(" 4:1\n")
    with pytest.raises(ValueError, match=r"rows\.svm has no label.*`target_names`"):
        SVMLightBlocks(path)
    with pytest.raises(ValueError, match=r"target_names should hold numbers.*'a'"):
        SVMLightBlocks(path, target_names=["a"])
    path.write_text("1 4:1\n")
    with pytest.raises(ValueError, match=r"rows\.svm is not valid: n_features"):
        list(SVMLightBlocks(path, n_features=2, target_names=[1]))
    path.write_text("1 x:1\n")
    with pytest.raises(ValueError, match=r"rows\.svm is not valid"):
        SVMLightBlocks(path)


# --------------------------------------------------------------------------- Parquet
@pytest.fixture
def table(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    X, y = random_problem(3, n_rows=30, n_features=4, n_labels=3)
    X = X.toarray()
    names = np.array(["p", "q", "r"])
    columns = {
        "text": [" ".join(f"w{j}" for j in np.flatnonzero(row)) for row in X],
        "tags": [[*names[np.flatnonzero(row)], *names[np.flatnonzero(row)]][:3] for row in y],
        "vector": pa.array(list(X), type=pa.list_(pa.float64(), 4)),
        "ragged": [list(range(i % 3)) for i in range(30)],
        "gap": [None if i == 7 else "x" for i in range(30)],
        **{f"x{j}": X[:, j] for j in range(4)},
        **{f"y{k}": y[:, k] for k in range(3)},
    }
    columns["tags"][4] = None
    expected = y.copy()
    expected[4] = 0
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table(columns), path, row_group_size=12)
    return path, columns, X, y, expected


def test_parquet_columns_of_numbers(table):
    path, _, X, y, _ = table
    blocks = ParquetBlocks(
        path, features=[f"x{j}" for j in range(4)], labels=["y2", "y0"], block_size=5
    )
    assert blocks.target_names.tolist() == ["y2", "y0"]
    assert_same(together(blocks), [X, y[:, [2, 0]]])
    assert max(X.shape[0] for X, _ in blocks) == 5
    rest = together(blocks.iter_from(2))
    assert_same(rest, [X[-len(rest[0]) :], y[-len(rest[0]) :, [2, 0]]])


def test_parquet_lists_and_texts(table):
    path, columns, X, _, expected = table
    blocks = ParquetBlocks(path, features="vector", labels="tags", block_size=7)
    assert blocks.target_names.tolist() == ["p", "q", "r"]
    for _ in range(2):
        assert_same(together(blocks), [X, expected])
    texts = ParquetBlocks(
        path, features="text", labels="tags", vectorizer=HASH, target_names=["r", "p"]
    )
    with pytest.warns(UserWarning, match="labels that are not in target_names"):
        got = together(texts)
    assert_same(got, [HASH.transform(columns["text"]).toarray(), expected[:, [2, 0]]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "none"}, r"features has 'none', but the columns of"),
        ({"labels": ["y0", "none"]}, r"labels has 'none'"),
        ({"features": ["x0", "text"]}, r"features has the column 'text'.*string; a column of num"),
        ({"labels": "y0"}, r"labels has the column 'y0'.*lists of labels"),
        ({"features": "text"}, r"without a vectorizer"),
        ({"vectorizer": HASH}, r"with a vectorizer, a column of texts"),
        ({"labels": ["y0", "y1"], "target_names": ["a", "b"]}, r"Leave target_names=None"),
        ({"features": "ragged"}, r"'ragged' of .* different lengths"),
        ({"features": "gap", "vectorizer": HASH}, r"'gap' of .* without a value"),
        ({"features": ["x0"], "vectorizer": HASH}, r"vectorizer is for texts in one column"),
        ({"features": []}, r"features is empty; name"),
        ({"labels": []}, r"labels is empty; name"),
        ({"labels": "ragged", "target_names": ["a"]}, r"target_names are not of the type .*int64"),
    ],
)
def test_parquet_errors(table, options, message):
    options = {"features": "vector", "labels": "tags", **options}
    with pytest.raises(ValueError, match=message):
        list(ParquetBlocks(table[0], **options))


def test_parquet_needs_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install .skmultireduce\[parquet\]"):
        ParquetBlocks("rows.parquet", features="x", labels="y")
