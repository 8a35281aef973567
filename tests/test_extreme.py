"""The format of the extreme classification repository."""

import bz2
import gzip

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import random_csr
from skmultireduce import MultiLabelSGDClassifier
from skmultireduce.datasets import XMCBlocks, read_xmc, write_xmc


def rows(seed=0, n_rows=30, n_features=7, n_labels=5, dtype=np.float32):
    rng = np.random.default_rng(seed)
    X = random_csr(rng, (n_rows, n_features), 0.4, dtype)
    y = sp.csr_array((rng.random((n_rows, n_labels)) < 0.3).astype(np.int8))
    return X, y


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n_rows=st.integers(1, 12),
    dtype=st.sampled_from(["float32", "float64"]),
    block_bytes=st.sampled_from([1, 40, 2**24]),
)
def test_what_is_written_is_read(tmp_path_factory, seed, n_rows, dtype, block_bytes):
    """To the bit; rows without labels, without features, without both; any blocks."""
    path = tmp_path_factory.mktemp("xmc") / "rows.txt"
    X, y = rows(seed, n_rows, dtype=dtype)
    write_xmc(path, X, y)
    found = read_xmc(path, dtype=dtype)
    np.testing.assert_array_equal(found.data.toarray(), X.toarray())
    np.testing.assert_array_equal(found.target.toarray(), y.toarray())
    assert found.data.dtype == dtype
    blocks = XMCBlocks(path, block_bytes=block_bytes, dtype=dtype)
    assert (blocks.n_rows, blocks.n_features) == X.shape
    parts = list(blocks)
    np.testing.assert_array_equal(sp.vstack([x for x, _ in parts]).toarray(), X.toarray())
    np.testing.assert_array_equal(sp.vstack([t for _, t in parts]).toarray(), y.toarray())


def test_containers_and_packed_files(tmp_path):
    X, y = rows()
    path = tmp_path / "rows.txt"
    write_xmc(path, X.toarray(), y.toarray())
    text = path.read_bytes()
    for name, data in (
        ("rows.gz", gzip.compress(text)),
        ("rows.bz2", bz2.compress(text)),
        ("windows.txt", text.replace(b"\n", b"\r\n")),
        ("no_end.txt", text.rstrip(b"\n")),
    ):
        (tmp_path / name).write_bytes(data)
        found = read_xmc(tmp_path / name)
        np.testing.assert_array_equal(found.target.toarray(), y.toarray(), err_msg=name)
    zeros = sp.csr_array(([0.0, 1.5], ([0, 1], [0, 2])), shape=(2, 3))
    write_xmc(path, zeros, [[1, 0], [0, 0]])
    assert path.read_text() == "2 3 2\n0 \n 2:1.5\n"


def test_a_stream_of_blocks_trains(tmp_path):
    X, y = rows(n_rows=60)
    y = np.maximum(y.toarray(), np.eye(1, 5, dtype=np.int8))
    path = tmp_path / "rows.txt"
    write_xmc(path, X, y)
    model = MultiLabelSGDClassifier(random_state=0, max_iter=2)
    model.fit_stream(XMCBlocks(path, block_bytes=300))
    assert model.predict_proba(X).shape == (60, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2 0:1\n", "begins with '1,2 0:1'.*SVMLightBlocks"),
        ("2 2\n0 0:1\n", "numbers of rows, features and labels"),
        ("", "numbers of rows"),
        ("1 0 2\n0 0:1\n", "must be in"),
        ("2 2 2\n0 0:1\n", "has 1 rows, but its first line says 2"),
        ("1 2 2\n0 0:1\n1 0:1\n", "has 2 rows, but its first line says 1"),
        ("1 2 2\n0 2:1\n", "line 2.*feature 2"),
        ("1 2 2\n2 0:1\n", "label 2 in or after line 2.*there are 2"),
        ("2 2 2\n0 0:1\na 0:1\n", "line 3.*label 'a'"),
        ("1 2 2\n0 0:x\n", "line 2"),
    ],
)
def test_damaged_files(tmp_path, text, message):
    """The header, the number of rows, features and labels beyond it, what is no number."""
    path = tmp_path / "rows.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_xmc(path)


def test_write_refuses(tmp_path):
    X, y = rows()
    with pytest.raises(ValueError, match="inconsistent"):
        write_xmc(tmp_path / "rows.txt", X, y[:3])
    with pytest.raises(ValueError, match="NaN"):
        write_xmc(tmp_path / "rows.txt", [[np.nan]], [[1]])
