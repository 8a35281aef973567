"""Readers for fit_stream: what they read, in any blocks, again and again."""

import bz2
import gzip
import lzma
import os
import re
import sys
import threading

import hostile
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
    iter_fasttext,
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
    with pytest.raises(ValueError, match=r"rows\.svm, line 1, .* n_features=2.* 4 at least"):
        list(SVMLightBlocks(path, n_features=2, target_names=[1]))


BAD_SVMLIGHT = {
    "header of extreme classification": (b"2 5 3", r"header.*zero_based=True"),
    "index 0": (b"1 0:2", r"feature 0. Pass zero_based=True"),
    "blank after a comma": (b"0, 2 1:0.5", r"comma without a label.*1,2"),
    "comma at the end": (b"0,2, 1:0.5", r"comma without a label"),
    "blank after a colon": (b"0 1: .5", r"value of 1: is no number.*blanks"),
    "blank before a colon": (b"0 1 :.5", r"'1' is no pair"),
    "names of labels": (b"sport,tech 1:1", r"label 'sport' is no number. Number"),
    "names of features": (b"1 x:1", r"'x' is no number of a feature"),
    "value that is no number": (b"1 3:x", r"value of 3:x is no number"),
    "no pair": (b"1 word", r"'word' is no pair"),
    "unsorted": (b"1 3:1 1:1", r"feature 1 comes after 3. Sort"),
    "twice": (b"1 3:1 3:1", r"feature 3 comes after 3"),
    "huge index": (b"1 3000000000:1", r"3000000000 is not between"),
    "negative index": (b"1 -3:1", r"-3 is not between"),
    "NaN label": (b"nan 1:1", r"label nan is not between"),
    "infinite label": (b"2,-inf 1:1", r"label -inf is not between"),
    "huge label": (b"1e300 1:1", r"label 1e300 is not between"),
    "label beyond 2**53": (b"9007199254740993 1:1", r"label 9007.* is not between"),
    "NaN value": (b"1 1:nan", r"value nan is not finite"),
    "value beyond float32": (b"1 1:1e300", r"1e300 is not finite in float32.*float64"),
    "a byte order mark of a second file": (b"\xef\xbb\xbf1 1:1", r"is no number"),
}


@pytest.mark.parametrize("name", BAD_SVMLIGHT)
def test_bad_lines_of_svmlight_are_found(tmp_path, name):
    """Labels, indices, values and pairs that cannot be, in any block of the file."""
    line, message = BAD_SVMLIGHT[name]
    path = tmp_path / "rows.svm"
    path.write_bytes(b"# comment\n" + b"1 1:1\n" * 20 + line + b"\n1 1:1\n")
    for options in ({}, {"block_bytes": 30}, {"n_features": 9}):
        with pytest.raises(ValueError, match=rf"rows\.svm, line 22, is not valid: .*{message}"):
            SVMLightBlocks(path, **options)
    with pytest.raises(ValueError, match=rf"rows\.svm, line 22, is not valid: .*{message}"):
        list(SVMLightBlocks(path, n_features=9, target_names=[1, 2]))


def test_advice_on_svmlight_works(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("0,2 0:0.5 3:1\n 2:0.75\n")
    blocks = SVMLightBlocks(path, zero_based=True)
    assert (blocks.n_features, blocks.target_names.tolist()) == (4, [0, 2])
    path.write_text("1 4:1\n")
    for n_features in (None, 4):
        assert next(iter(SVMLightBlocks(path, n_features=n_features)))[0].shape == (1, 4)
    path.write_text("1 1:1e300\n")
    assert next(iter(SVMLightBlocks(path, dtype="float64")))[0][0, 0] == 1e300


ROWS = "1,2 1:0.5\n3 2:1\n1 1:2\n"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("block_bytes", [1, 12, 10**6])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_svmlight_in_any_encoding(tmp_path, encoding, ending, block_bytes):
    path = tmp_path / "rows.svm"
    path.write_bytes(ROWS.replace("\n", ending).encode(encoding))
    X, y = together(SVMLightBlocks(path, block_bytes=block_bytes))
    np.testing.assert_array_equal(X, [[0.5, 0], [0, 1], [2, 0]])
    np.testing.assert_array_equal(y, [[1, 1, 0], [0, 0, 1], [1, 0, 0]])


# ------------------------------------------------------------- files as they may come
TEXT = "__label__a one\n__label__b two\n" * 40
PACKERS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["x.txt", "X.TXT.GZ", "x.bz2", "x.zst"])
def test_packed_files_are_known_by_content(tmp_path, packer, name):
    path = tmp_path / name
    path.write_bytes(PACKERS[packer](TEXT.encode()))
    assert read_fasttext(path).target.shape == (80, 2)
    assert len(list(FastTextBlocks(path, HASH, block_size=30))) == 3
    path.write_bytes(PACKERS[packer](ROWS.encode()))
    assert SVMLightBlocks(path).n_features == 2
    path.write_bytes(TEXT.encode())  # named like an archive, but it is none
    assert read_fasttext(path).target.shape == (80, 2)


READERS = {
    "read_fasttext": read_fasttext,
    "iter_fasttext": lambda path: list(iter_fasttext(path)),
    "FastTextBlocks": lambda path: list(FastTextBlocks(path, HASH)),
    "SVMLightBlocks": lambda path: list(SVMLightBlocks(path)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("damage", ["truncated", "changed", "rubbish behind"])
def test_damaged_archives(tmp_path, reader, packer, damage):
    rng = np.random.default_rng(0)
    lines = [f"{k} {k + 1}:{v}" for k, v in enumerate(rng.random(3000))]
    packed = PACKERS[packer]("\n".join(lines).encode())
    if damage == "truncated":
        packed = packed[: len(packed) // 2]
    elif damage == "changed":
        middle = len(packed) // 2
        packed = packed[:middle] + bytes(100) + packed[middle + 100 :]
    elif packer == "gz":
        packed += b"rubbish"
    else:
        pytest.skip("ignored by Python's bz2 and lzma")
    path = tmp_path / "rows.packed"
    path.write_bytes(packed)
    with pytest.raises(ValueError, match=r"rows\.packed is truncated or damaged: .*anew"):
        READERS[reader](path)


OTHER_FILES = {
    "zst": (b"\x28\xb5\x2f\xfd" + bytes(20), r"Zstandard \(\.zst\)\. Unpack"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(20), r"LZ4"),
    "zip": (b"PK\x03\x04" + bytes(20), r"zip archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(20), r"7z archive"),
    "parquet": (b"PAR1" + bytes(20), r"ParquetBlocks"),
    "tar": (bytes(257) + b"ustar" + bytes(300), r"tar archive"),
    "tar.gz": (gzip.compress(bytes(257) + b"ustar" + bytes(300)), r"tar archive"),
    "0 bytes": (b"", r"no rows"),
    "packed 0 bytes": (bz2.compress(b""), r"no rows"),
}


@pytest.mark.parametrize("reader", ["read_fasttext", "FastTextBlocks", "SVMLightBlocks"])
@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files_are_refused_by_name(tmp_path, reader, name):
    content, message = OTHER_FILES[name]
    path = tmp_path / "rows.any"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        READERS[reader](path)


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "utf-8-sig",
        "latin-1",
        "cp1252",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "cp037",
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(tmp_path, encoding, ending):
    """One, two and four bytes a character, with marks and without; EBCDIC."""
    path = tmp_path / "x.txt"
    text = "__label__käse brot\n\n__label__öl und salz\n"
    path.write_bytes(text.replace("\n", ending).encode(encoding))
    bunch = read_fasttext(path, encoding=encoding)
    assert bunch.target_names.tolist() == ["käse", "öl"]
    assert bunch.data == ["brot", "und salz"]
    assert bunch.n_blank == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_the_encoding_that_is_advised_works(tmp_path, encoding):
    path = tmp_path / "x.txt"
    path.write_bytes(TEXT.encode(encoding))
    with pytest.raises(ValueError, match=r"Pass encoding=") as caught:
        read_fasttext(path)
    advised = re.search("encoding='(.*)'", str(caught.value)).group(1)
    assert read_fasttext(path, encoding=advised).target.shape == (80, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be"])
@pytest.mark.parametrize("n_before", [0, 100, 20_000])
def test_errors_of_decoding_name_the_line(tmp_path, encoding, n_before):
    bad = {"utf-8": b"\xff", "utf-16": b"\x00\xd8\x20\x00", "utf-32-be": b"\x00\xff\xff\xff"}
    path = tmp_path / "x.txt"
    path.write_bytes(("__label__a text\n" * n_before + "word ").encode(encoding) + bad[encoding])
    with pytest.raises(ValueError, match=rf"line {n_before + 1}: not {encoding}.*`encoding`"):
        read_fasttext(path, encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-9", "base64", ""])
def test_unknown_encodings(encoding):
    with pytest.raises(ValueError, match="encoding is"):
        read_fasttext(["__label__a x"], encoding=encoding)


@pytest.mark.parametrize("options", [{}, {"target_names": ["a", "b"]}])
def test_pipes_are_refused_at_once_or_read(tmp_path, options):
    """What reads twice refuses; nobody writes into this pipe, so opening it would wait."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with hostile.time_limit(5):
        with pytest.raises(ValueError, match="a pipe, which can be read just once"):
            FastTextBlocks(path, HASH, **options)
        with pytest.raises(ValueError, match="a pipe"):
            SVMLightBlocks(path, n_features=3, target_names=[1])
        with pytest.raises(ValueError, match="a pipe"):
            ParquetBlocks(path, features="x", labels="y")
        if not options:
            with pytest.raises(ValueError, match="a pipe"):
                iter_fasttext(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_pipes_are_read(tmp_path, pack):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    names = ["a", "b"]
    for read in (read_fasttext, lambda p: next(iter_fasttext(p, target_names=names))):
        writer = threading.Thread(target=path.write_bytes, args=(pack(TEXT.encode()),))
        writer.start()
        with hostile.time_limit(10):
            assert read(path).target.shape == (80, 2)
        writer.join()


@pytest.mark.parametrize("block_size", [1, 100])
def test_names_that_are_all_unknown(tmp_path, block_size):
    """The names as fastText's get_labels() gives them; numbers from 0 instead of from 1."""
    blocks = FastTextBlocks(
        ["__label__a x", "y"], HASH, target_names=["__label__a"], block_size=block_size
    )
    message = r"None of the 1 labels .*a label is 'a', a name '__label__a'.* without what marks"
    with pytest.raises(ValueError, match=message):
        MultiLabelSGDClassifier().fit_stream(blocks)
    with pytest.warns(UserWarning, match=message):
        read_fasttext(["__label__a x"], target_names=["__label__a"])
    path = tmp_path / "rows.svm"
    path.write_text("1,2 1:1\n")
    with pytest.raises(ValueError, match=r"None of the 2 labels .*a label is 1\.0, a name 7"):
        list(SVMLightBlocks(path, target_names=[7, 8]))


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
        "n": np.arange(30),
        "holes": [None if i == 7 else i % 2 for i in range(30)],
        "missing": [[1.0, None if i == 7 else 2.0] for i in range(30)],
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
        ({"labels": "text"}, r"'text' of .*lists of labels is needed.*split_pattern"),
        ({"labels": ["gap", "y0"]}, r"'gap' of .*of numbers, 0 and 1"),
        ({"labels": ["y0", "n"]}, r"'n' of .*rows\.parquet has .* in row \d+.*; 0 and 1 are"),
        ({"labels": ["holes", "y0"]}, r"'holes' of .*without a value, first row 7"),
        ({"features": ["holes"]}, r"'holes' of .*without a value, first row 7"),
        ({"features": "x0"}, r"Pass a list of columns"),
        ({"features": "missing"}, r"'missing' of .*a number missing, first in row 7"),
        ({"labels": "tags", "target_names": ["z"]}, r"None of the \d+ labels"),
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


@pytest.mark.parametrize("kind", ["large_string", "string_view", "categories"])
@pytest.mark.parametrize("lists", ["list_", "large_list", "list_view", "large_list_view"])
def test_parquet_types_of_texts_and_lists(tmp_path, kind, lists):
    """Views, large types and categories, of texts and inside of lists; missing labels."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    text = pa.dictionary(pa.int32(), pa.string()) if kind == "categories" else getattr(pa, kind)()
    tags = pa.array([["b", "a"], None, ["b", None]], getattr(pa, lists)(pa.string()))
    inner = pa.array(["b", "a", "b", None]).cast(text)
    if lists in ("list_", "large_list"):
        part = pa.ListArray if lists == "list_" else pa.LargeListArray
        tags = part.from_arrays(pa.array([0, 2, 2, 4], tags.offsets.type), inner)
    table = pa.table(
        {"title": pa.array(["x", "y", "z"]).cast(text), "body": ["u", "v", "w"], "tags": tags}
    )
    path = tmp_path / "rows.parquet"
    parquet.write_table(table, path)
    for names in (None, ["a", "b"]):
        blocks = ParquetBlocks(
            path, features=["title", "body"], labels="tags", vectorizer=HASH, target_names=names
        )
        X, y = together(blocks)
        np.testing.assert_array_equal(X, HASH.transform(["x u", "y v", "z w"]).toarray())
        np.testing.assert_array_equal(y, [[1, 1], [0, 0], [0, 1]])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text\n" * 9, b"PAR1" + bytes(50) + b"PAR1"])
def test_parquet_files_that_are_none(tmp_path, content):
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"rows\.parquet is not a Parquet file.*anew"):
        ParquetBlocks(path, features="x", labels="y")


def test_parquet_files_that_are_damaged(table):
    path = table[0]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"rows\.parquet is not a Parquet file"):
        ParquetBlocks(path, features="vector", labels="tags")
    path.write_bytes(content[:4] + bytes(len(content) // 3) + content[4 + len(content) // 3 :])
    with pytest.raises(ValueError, match=r"rows\.parquet is not a Parquet file"):
        list(ParquetBlocks(path, features="vector", labels="tags"))
    with pytest.raises(IsADirectoryError):
        ParquetBlocks(path.parent, features="vector", labels="tags")
    with pytest.raises(FileNotFoundError):
        ParquetBlocks(path.parent / "none", features="vector", labels="tags")


def test_parquet_needs_pyarrow(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install .skmultireduce\[parquet\]"):
        ParquetBlocks("rows.parquet", features="x", labels="y")
