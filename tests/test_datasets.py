from __future__ import annotations

import gzip
import itertools
import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import get_data_home

from skmultireduce._datasets import python_imports as _python_imports
from skmultireduce.datasets import (
    iter_fasttext,
    load_python_imports,
    make_label_sets,
    read_fasttext,
)

COOKING = Path(__file__).parents[2] / "shared" / "data" / "cooking.test.txt"


# ---------------------------------------------------------------- load_python_imports


@pytest.fixture(scope="module")
def imports():
    """Built once in a session, in its own data home."""
    return os.environ["SCIKIT_LEARN_DATA"], load_python_imports()


def small_package(tmp_path, files):
    root = tmp_path / "pkg"
    for name, source in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return {"pkg": root}


def test_imports_shape_and_names(imports):
    _, bunch = imports
    n_rows, n_labels = bunch.target.shape
    assert 800 <= n_rows <= 3000
    assert 40 <= n_labels <= 110
    assert bunch.target.dtype == np.int8
    assert sp.issparse(bunch.target)
    assert bunch.target.format == "csr"
    assert len(bunch.data) == len(bunch.filenames) == n_rows
    assert len(bunch.target_names) == n_labels
    assert list(bunch.target_names) == sorted(bunch.target_names)
    assert list(bunch.filenames) == sorted(bunch.filenames)
    sizes = np.asarray(bunch.target.sum(axis=1)).ravel()
    assert sizes.min() >= 1
    assert 3 <= sizes.mean() <= 5
    assert f"Number of rows: {n_rows}" in bunch.DESCR
    assert not any("/tests/" in name or "/test/" in name for name in bunch.filenames)


def test_imports_text_does_not_contain_the_answer(imports):
    _, bunch = imports
    for text in bunch.data:
        words = set(text.split())
        assert not words & set(bunch.target_names)
        assert "np" not in words
        assert "import" not in words


def test_imports_labels_of_a_known_file(imports):
    _, bunch = imports
    row = list(bunch.filenames).index("stdlib/tempfile.py")
    found = set(bunch.target_names[bunch.target[[row]].indices])
    assert {"os", "sys", "shutil", "functools", "weakref"} <= found
    assert "TemporaryDirectory" in bunch.data[row].split()


def test_imports_split_is_a_partition(imports):
    home, bunch = imports
    train = load_python_imports(subset="train", data_home=home)
    test = load_python_imports(subset="test", data_home=home)
    assert sorted([*train.filenames, *test.filenames]) == list(bunch.filenames)
    assert 0.15 < len(test.data) / len(bunch.data) < 0.35
    assert list(train.target_names) == list(test.target_names) == list(bunch.target_names)
    data, target = load_python_imports(subset="test", data_home=home, return_X_y=True)
    assert data == test.data
    assert (target != test.target).nnz == 0


def test_imports_come_from_the_cache(imports, monkeypatch):
    home, bunch = imports
    monkeypatch.setattr(_python_imports, "_records", None)
    again = load_python_imports(data_home=home)
    assert again.data == bunch.data
    assert again.DESCR == bunch.DESCR
    rare = load_python_imports(data_home=home, min_rows=100)
    assert 5 < len(rare.target_names) < len(bunch.target_names)
    with pytest.raises(ValueError, match="smaller min_rows"):
        load_python_imports(data_home=home, min_rows=10**6)


def test_imports_what_is_text_and_what_is_label(tmp_path):
    roots = small_package(
        tmp_path,
        {
            "a.py": (
                "from __future__ import annotations\n"
                "import numpy as np, os.path; before = 1\n"
                "from collections import (\n    deque as dq,\n    OrderedDict)\n"
                "from . import sibling\n"
                "from .cousin import cousin\n"
                "from pkg.other import thing\n"
                "é = 'import json'; import re ; after = f'{before}'  # import csv\n"
                "def work(argument, *, option=dq):\n"
                "    '''Doc import string'''\n"
                "    if option:\n        import struct\n"
                "    return np.arange(argument).sum(0x1F, 1e5, sibling.member, thing, json)\n"
            ),
            "sub/b.py": "import json\nnumpy = os = np = dq = deque = 0\n",
            "tests/test_a.py": "import numpy\n",
        },
    )
    cached = _python_imports._records(roots)
    assert cached["n_unreadable"] == 0
    (a, text_a, modules_a), (b, text_b, modules_b) = cached["records"]
    assert (a, b) == ("pkg/a.py", "pkg/sub/b.py")
    assert modules_a == ["collections", "numpy", "os", "re", "struct"]
    assert modules_b == ["json"]
    # Without dq, thing and sibling (bound here), json and np (bound by any file).
    assert text_a == ("before é after work argument option option arange argument sum member")
    assert text_b == "dq deque"


def test_imports_unreadable_files_are_counted(tmp_path):
    good = "import os\nx = 1\n"
    roots = small_package(
        tmp_path,
        {
            "good.py": good,
            "latin.py": "# -*- coding: latin-1 -*-\nimport os\nñandú = 1\n".encode("latin-1"),
            "bom.py": b"\xef\xbb\xbfimport os\ny = 1\r\n",
            "escape.py": "import os\nz = '\\d'\n",
            "syntax.py": "def (:\n",
            "python2.py": "print 'x'\n",
            "utf8.py": b"x = '\xff'\n",
            "coding.py": b"# coding: no-such-code\nx = 1\n",
            "null.py": b"x = 1\x00\n",
            "deep.py": "x = " + "(" * 5000 + ")" * 5000,
        },
    )
    cached = _python_imports._records(roots)
    texts = {name: text for name, text, _ in cached["records"]}
    assert texts == {
        "pkg/good.py": "x",
        "pkg/latin.py": "ñandú",
        "pkg/bom.py": "y",
        "pkg/escape.py": "z",
    }
    assert cached["n_unreadable"] == 6


def test_imports_unwritable_cache_warns_and_works(tmp_path, monkeypatch):
    roots = small_package(tmp_path, {f"f{i}.py": f"import os\nname{i} = 1\n" for i in range(3)})
    monkeypatch.setattr(_python_imports, "_roots", lambda: roots)
    blocker = tmp_path / "file"
    blocker.write_text("")
    for home in (blocker / "home", tmp_path / "home"):
        if home.parent == tmp_path:
            home.mkdir()
            (home / "skmultireduce").write_text("a file where the folder should be")
        with pytest.warns(UserWarning, match="data_home"):
            bunch = load_python_imports(data_home=home, min_rows=1)
        assert bunch.data == ["name0", "name1", "name2"]


def test_imports_damaged_cache_is_rebuilt(tmp_path, monkeypatch):
    roots = small_package(tmp_path, {"a.py": "import os\nname = 1\n"})
    monkeypatch.setattr(_python_imports, "_roots", lambda: roots)
    load_python_imports(data_home=tmp_path, min_rows=1)
    (path,) = (tmp_path / "skmultireduce").iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:40], b"", b"not gzip", gzip.compress(b"[1]"), gzip.compress(b"{}")):
        path.write_bytes(damaged)
        assert load_python_imports(data_home=tmp_path, min_rows=1).data == ["name"]
        assert len(path.read_bytes()) == len(whole)


def test_imports_concurrent_first_calls(tmp_path, monkeypatch):
    roots = small_package(tmp_path, {f"f{i}.py": f"import os\nname{i} = 1\n" for i in range(20)})
    monkeypatch.setattr(_python_imports, "_roots", lambda: roots)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(_python_imports._load, tmp_path / "home") for _ in range(8)]
        results = [[list(r) for r in job.result()["records"]] for job in jobs]
    assert all(result == results[0] for result in results)
    folder = tmp_path / "home" / "skmultireduce"
    assert len(list(folder.iterdir())) == 1  # and no temporary file is left


def test_imports_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        _python_imports._write(tmp_path / "cache" / "x.json.gz", {"records": object()})
    assert not list((tmp_path / "cache").iterdir())


def test_imports_default_home_is_that_of_sklearn(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    roots = small_package(tmp_path, {"a.py": "import os\nname = 1\n"})
    monkeypatch.setattr(_python_imports, "_roots", lambda: roots)
    load_python_imports(min_rows=1)
    assert list((Path(get_data_home()) / "skmultireduce").iterdir())


@pytest.mark.parametrize("wrong", [{"subset": "valid"}, {"min_rows": 0}, {"data_home": 3}])
def test_imports_wrong_parameters(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        load_python_imports(**wrong)


# ---------------------------------------------------------------- fastText


LINES = [
    "__label__b __label__a first  text\n",
    "\n",
    "words __label__c in between __label__a\r\n",
    "   no label here  \n",
    "__label__a\n",
    "__label__a __label__a twice; x__labels\n",
]


def expected_lines(bunch):
    assert bunch.data == [
        "first  text",
        "words in between",
        "no label here",
        "",
        "twice; x__labels",
    ]
    assert bunch.target.toarray().tolist() == [
        [1, 1, 0],
        [1, 0, 1],
        [0, 0, 0],
        [1, 0, 0],
        [1, 0, 0],
    ]
    assert bunch.target_names.tolist() == ["a", "b", "c"]
    assert (bunch.n_blank, bunch.n_unknown) == (1, 0)


@pytest.mark.parametrize("kind", ["list", "iterator", "str", "path", "gz", "handle"])
def test_fasttext_sources(tmp_path, kind):
    path = tmp_path / "file.txt"
    path.write_text("".join(LINES), newline="")
    if kind == "gz":
        path = tmp_path / "file.txt.gz"
        path.write_bytes(gzip.compress("".join(LINES).encode()))
    if kind == "handle":
        with path.open() as file:
            bunch = read_fasttext(file)
    else:
        source = {"list": LINES, "iterator": iter(LINES), "str": str(path)}.get(kind, path)
        bunch = read_fasttext(source)
    expected_lines(bunch)
    assert bunch.target.dtype == np.int8


def test_fasttext_test_file_with_names_of_training():
    train = read_fasttext(LINES)
    lines = ["__label__c __label__new x", "__label__new __label__new y", "z"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        test = read_fasttext(lines, target_names=train.target_names)
    assert len(caught) == 1
    assert "2 labels" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert test.n_unknown == 2
    assert test.target.toarray().tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    data, target = read_fasttext(["__label__a x"], target_names=["b", "a"], return_X_y=True)
    assert data == ["x"]
    assert target.toarray().tolist() == [[0, 1]]


def test_fasttext_labels_of_a_row_are_ascending():
    names = [f"l{i:02}" for i in range(40)]
    line = " ".join(f"__label__{name}" for name in names[::-1] if name != "l00")
    bunch = read_fasttext([line, "__label__l08 __label__l01 x"], target_names=names)
    assert bunch.target.indices.tolist() == [*range(1, 40), 1, 8]


def test_fasttext_prefix_and_encoding(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes("#käse text\n".encode("latin-1"))
    bunch = read_fasttext(path, label_prefix="#", encoding="latin-1")
    assert bunch.target_names.tolist() == ["käse"]
    path.write_bytes("\ufeff#käse text\n".encode())
    assert read_fasttext(path, label_prefix="#").target_names.tolist() == ["käse"]


def test_fasttext_errors_name_the_line(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(b"__label__a fine\n\n__label__b \xff\n")
    with pytest.raises(ValueError, match=r"file\.txt, line 3: not utf-8.*`encoding`"):
        read_fasttext(path)
    with pytest.raises(ValueError, match="line 2: '__label__' without"):
        read_fasttext(["__label__a x", "__label__ y"])
    with pytest.raises(ValueError, match="line 1: '__label__' without"):
        read_fasttext(["x __label__"])
    with pytest.raises(ValueError, match="line 2: expected a str, got 3"):
        read_fasttext(["__label__a x", 3])
    with pytest.raises(ValueError, match="no rows"):
        read_fasttext(["", " \n"])
    with pytest.raises(ValueError, match="label_prefix"):
        read_fasttext(["some text"])
    with pytest.raises(ValueError, match="'a' more than once"):
        read_fasttext(LINES, target_names=["a", "b", "a"])
    with pytest.raises(ValueError, match="1-D"):
        read_fasttext(LINES, target_names=[["a"]])
    for prefix in ("", "a b", " a"):
        with pytest.raises(ValueError, match="label_prefix"):
            read_fasttext(LINES, label_prefix=prefix)
    with pytest.raises(ValueError, match="source should be"):
        read_fasttext(5)
    with pytest.raises(FileNotFoundError):
        read_fasttext(tmp_path / "missing")


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_iter_fasttext_equals_read_fasttext(tmp_path, batch_size):
    path = tmp_path / "file.txt"
    path.write_text("".join(LINES))
    batches = list(iter_fasttext(path, batch_size=batch_size))
    whole = read_fasttext(path)
    assert all(len(batch.data) == batch_size for batch in batches[:-1])
    assert [text for batch in batches for text in batch.data] == whole.data
    stacked = sp.vstack([batch.target for batch in batches])
    assert (stacked != whole.target).nnz == 0
    assert batches[0].target_names.tolist() == whole.target_names.tolist()
    assert batches[-1].n_blank == whole.n_blank == 1


def test_iter_fasttext_streams(tmp_path):
    with pytest.raises(ValueError, match=r"iterator.*target_names"):
        iter_fasttext(iter(LINES))
    with pytest.raises(ValueError, match="label_prefix"):
        iter_fasttext(["no labels"])  # with the call, before the first batch
    read = []

    def endless():
        for i in itertools.count():
            read.append(i)
            yield f"__label__{i % 2} text {i}"

    batches = iter_fasttext(endless(), batch_size=10, target_names=["0", "1"])
    next(batches)
    assert next(batches).data[0] == "text 10"
    assert len(read) == 20


def test_iter_fasttext_counts_unknown_labels_and_warns_once():
    lines = ["__label__new x"] * 5
    batches = iter_fasttext(lines, batch_size=2, target_names=["a"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [batch.n_unknown for batch in batches] == [2, 4, 5]
    assert len(caught) == 1
    assert "5 labels" in str(caught[0].message)


@pytest.mark.skipif(not COOKING.exists(), reason="needs ../shared/data")
def test_fasttext_cooking():
    bunch = read_fasttext(COOKING)
    assert len(bunch.data) == 3000
    words = COOKING.read_text(encoding="utf-8").split()
    assert bunch.target.sum() == sum(word.startswith("__label__") for word in words)
    assert sum(len(text.split()) for text in bunch.data) + bunch.target.sum() == len(words)


# ---------------------------------------------------------------- make_label_sets


def enumerated(omega, law_of_size=None):
    """Truth of one row by going through all sets; independent labels if no size law."""
    n = len(omega)
    m, q, sizes = np.zeros(n), np.zeros(n), np.zeros(n + 1)
    by_size = [list(itertools.combinations(range(n), s)) for s in range(n + 1)]
    weights = [np.array([np.prod(omega[list(y)]) for y in sets]) for sets in by_size]
    if law_of_size is None:
        total = np.prod(1 + omega)
        laws = [w / total for w in weights]
    else:
        padded = np.pad(law_of_size, (0, n + 1 - len(law_of_size)))
        laws = [p * w / w.sum() for p, w in zip(padded, weights, strict=True)]
    for s, (sets, law) in enumerate(zip(by_size, laws, strict=True)):
        sizes[s] = law.sum()
        for y, p in zip(sets, law, strict=True):
            m[list(y)] += p
            q[list(y)] += p / max(s, 1)
    return m, q, sizes


@pytest.mark.parametrize("n_labels", [1, 2, 3, 6, 7])
def test_independent_truth_is_that_of_enumeration(n_labels):
    data = make_label_sets(
        20, n_labels=n_labels, mean_size=0.4 * n_labels, signal=2, random_state=0
    )
    for i in range(20):
        omega = np.exp(data.X[i] @ data.coef + data.intercept)
        m, q, sizes = enumerated(omega)
        np.testing.assert_allclose(data.marginals[i], m, rtol=1e-10)
        np.testing.assert_allclose(data.pick_probabilities[i], q, rtol=1e-10)
        np.testing.assert_allclose(data.size_probabilities[i], sizes, rtol=1e-10)
    assert data.marginals.sum(axis=1).mean() == pytest.approx(0.4 * n_labels)


@pytest.mark.parametrize(
    ("mean_size", "size_spread", "max_size", "empty"),
    [(2, 0, None, 0), (2, 0.4, None, 0.2), (2.5, 0.3, 4, 0), (1, 0, 1, 0.5), (3, 0.6, 6, 0)],
)
def test_product_truth_is_that_of_enumeration(mean_size, size_spread, max_size, empty):
    data = make_label_sets(
        10,
        law="product",
        n_labels=6,
        mean_size=mean_size,
        size_spread=size_spread,
        max_size=max_size,
        empty_probability=empty,
        signal=2,
        random_state=1,
    )
    for i in range(10):
        omega = np.exp(data.X[i] @ data.coef + data.intercept)
        m, q, sizes = enumerated(omega, data.size_probabilities[i])
        np.testing.assert_allclose(data.marginals[i], m, rtol=1e-10)
        np.testing.assert_allclose(data.pick_probabilities[i], q, rtol=1e-10)
        np.testing.assert_allclose(
            data.size_probabilities[i], sizes[: data.size_probabilities.shape[1]], atol=1e-12
        )
    law = data.size_probabilities[0]
    s = np.arange(len(law))
    assert law[0] == pytest.approx(empty)
    mean = law[1:] @ s[1:] / (1 - empty)
    sd = np.sqrt(law[1:] @ (s[1:] - mean) ** 2 / (1 - empty))
    assert mean == pytest.approx(mean_size)
    assert sd / mean == pytest.approx(size_spread, abs=1e-7)
    if empty == 0:
        assert data.size_spread == pytest.approx(size_spread, abs=1e-7)


TABLE = [{(0,): 0.1, (0, 1): 0.5, (2,): 0.4}, {frozenset(): 0.3, (0, 1, 2): 0.7}]


@pytest.mark.parametrize("law", ["independent", "product", "bag", "table"])
def test_drawn_sets_follow_the_stated_law(law):
    n = 40_000
    kwargs = {"table": TABLE, "point_probabilities": [0.25, 0.75]}
    if law != "table":
        kwargs = {"n_labels": 5, "mean_size": 2, "signal": 0}
    if law in ("product", "bag"):
        kwargs |= {"size_spread": 0.5, "empty_probability": 0.1}
    data = make_label_sets(n, law=law, random_state=3, **kwargs)
    Y = data.Y.toarray().astype(float)
    size = Y.sum(axis=1)
    share = Y / np.maximum(size, 1)[:, None]
    # All are means of n independent draws with a known mean and a variance of a few.
    tolerance = 5 * np.sqrt(3.0 / n)
    np.testing.assert_allclose(Y.mean(0), data.marginals.mean(0), atol=tolerance)
    np.testing.assert_allclose(share.mean(0), data.pick_probabilities.mean(0), atol=tolerance)
    observed = np.bincount(size.astype(int), minlength=data.size_probabilities.shape[1]) / n
    np.testing.assert_allclose(observed, data.size_probabilities.mean(0), atol=tolerance)
    assert size.mean() == pytest.approx(data.mean_size, abs=tolerance)
    assert size.std() / size.mean() == pytest.approx(data.size_spread, abs=tolerance)
    np.testing.assert_allclose(
        data.pick_probabilities.sum(1), 1 - data.size_probabilities[:, 0], rtol=1e-10
    )
    sizes = np.arange(data.size_probabilities.shape[1])
    np.testing.assert_allclose(
        data.marginals.sum(1), data.size_probabilities @ sizes, rtol=1e-10, atol=1e-12
    )


def test_drawn_sets_of_a_size_follow_their_weights():
    n = 40_000
    data = make_label_sets(
        n, law="product", n_labels=4, size_spread=0, signal=0, n_features=1, random_state=0
    )
    omega = np.exp(data.intercept)
    codes = data.Y.toarray() @ (1 << np.arange(4))
    pairs = list(itertools.combinations(range(4), 2))
    weights = np.array([omega[a] * omega[b] for a, b in pairs])
    expected = n * weights / weights.sum()
    observed = np.array([(codes == (1 << a) + (1 << b)).sum() for a, b in pairs])
    assert observed.sum() == n
    assert ((observed - expected) ** 2 / expected).sum() < 25  # chi2(5): p about 1e-4


def test_table_truth_and_one_hot_rows():
    data = make_label_sets(200, law="table", table=TABLE, n_labels=4, random_state=0)
    assert data.X.shape == (200, 2)
    assert np.array_equal(data.X.argmax(1), data.point)
    assert set(data.point) == {0, 1}
    a, b = data.point.argmin(), data.point.argmax()
    np.testing.assert_allclose(data.marginals[a], [0.6, 0.5, 0.4, 0])
    np.testing.assert_allclose(data.pick_probabilities[a], [0.35, 0.25, 0.4, 0])
    np.testing.assert_allclose(data.size_probabilities[b], [0.3, 0, 0, 0.7])
    np.testing.assert_allclose(data.pick_probabilities[b], [0.7 / 3] * 3 + [0])


def test_bag_holds_counts():
    data = make_label_sets(300, law="bag", n_labels=3, mean_size=6, max_size=9, random_state=0)
    assert data.Y.max() > 1
    assert data.Y.dtype == np.int64
    np.testing.assert_allclose(data.marginals, 6 * data.pick_probabilities)


@pytest.mark.parametrize("law", ["independent", "product", "bag"])
def test_many_labels_stay_exact(law):
    data = make_label_sets(30, law=law, n_labels=400, mean_size=4, signal=4, random_state=0)
    sizes = np.arange(data.size_probabilities.shape[1])
    np.testing.assert_allclose(data.marginals.sum(1), data.size_probabilities @ sizes, rtol=1e-8)
    np.testing.assert_allclose(
        data.pick_probabilities.sum(1), 1 - data.size_probabilities[:, 0], rtol=1e-8
    )
    assert data.marginals.min() > 0


def test_random_state_and_signal():
    first = make_label_sets(50, random_state=7)
    again = make_label_sets(50, random_state=np.random.RandomState(7))
    other = make_label_sets(50, random_state=8)
    assert np.array_equal(first.Y.toarray(), again.Y.toarray())
    assert not np.array_equal(first.Y.toarray(), other.Y.toarray())
    flat = make_label_sets(50, law="product", signal=0, random_state=0)
    np.testing.assert_allclose(np.ptp(flat.marginals, axis=0), 0, atol=1e-12)


def test_working_memory_does_not_change_the_draws():
    from sklearn import config_context

    for law in ("product", "bag"):
        whole = make_label_sets(500, law=law, random_state=0)
        with config_context(working_memory=0.01):
            parts = make_label_sets(500, law=law, random_state=0)
        assert np.array_equal(whole.Y.toarray(), parts.Y.toarray())
        np.testing.assert_array_equal(whole.marginals, parts.marginals)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size_spread": 0.5}, "size_spread does not apply to law='independent'"),
        ({"law": "table"}, "needs `table`"),
        ({"law": "table", "table": TABLE, "signal": 1}, "signal does not apply"),
        ({"law": "bag", "table": TABLE}, "table does not apply"),
        ({"law": "table", "table": []}, "non-empty dicts"),
        ({"law": "table", "table": {(0,): 0.5}}, "sum to 1"),
        ({"law": "table", "table": {(0,): 1.5, (1,): -0.5}}, "non-negative"),
        ({"law": "table", "table": {(-1,): 1.0}}, "label set"),
        ({"law": "table", "table": {(0, 0): 1.0}}, "different"),
        ({"law": "table", "table": {(3,): 1.0}, "n_labels": 2}, "n_labels - 1 = 1"),
        ({"law": "table", "table": TABLE, "point_probabilities": [1.0]}, "2 points"),
        ({"law": "product", "mean_size": 2.5, "size_spread": 0}, "between 0.2 and"),
        ({"law": "product", "mean_size": 2, "size_spread": 9}, "size_spread=9"),
        ({"law": "product", "mean_size": 11}, "mean_size=11"),
        ({"law": "product", "max_size": 11}, "max_size=11 is larger"),
        ({"mean_size": 10}, "mean_size=10"),
        ({"law": "other"}, "law"),
        ({"n_labels": 0}, "n_labels"),
    ],
)
def test_make_label_sets_errors(kwargs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_label_sets(10, **kwargs)


def test_nothing_is_written_outside_of_the_data_home(tmp_path, monkeypatch):
    roots = small_package(tmp_path, {"a.py": "import os\nname = 1\n"})
    monkeypatch.setattr(_python_imports, "_roots", lambda: roots)
    home = tmp_path / "home"
    load_python_imports(data_home=home, min_rows=1)
    written = [os.path.relpath(Path(d, f), home) for d, _, fs in os.walk(home) for f in fs]
    assert len(written) == 1
    assert written[0].startswith("skmultireduce" + os.sep)
