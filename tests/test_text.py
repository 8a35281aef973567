"""The vectorizers against scikit-learn's: matrices, vocabularies, errors, warnings."""

import io
import os
import pickle
import random
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction import text as theirs
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from conftest import HAS_SPARSE_INTERFACE, SCIPY
from skmultireduce import text as ours
from skmultireduce._sklearn import csr
from skmultireduce._text import analysis, counting
from skmultireduce.datasets import read_fasttext

NAMES = ["CountVectorizer", "TfidfVectorizer", "HashingVectorizer"]
FITTED = NAMES[:2]
TEXTS = ["Bake the bread", "the BREAD, baked; the oven", "", "é ÉCOLE naïve straße 中文 字 x_1 42"]
DATA = Path(__file__).parents[2] / "shared" / "data"

# Characters that change length or meaning: cases, combining marks, blanks, wide ones, NUL.
ODD = [
    *"İΣσςẞßﬁŉǰKÅ™é۱²½Ⅷ中𝒜😀각აᲐᎠꭰⒶ", "e\u0301", "\u0301", "\xa0", "\u2028", "\x1c", "\x85", "\0",
    "ΑΣ", "ΑΣ ", "_", "'", "-", "\u200d", "क्षि", "\u1100\u1161", "\u0345", " ", "  ", "\t", "\n",
    "The", "the", "of", "x1",
]  # fmt: skip


def assert_same(found, expected):
    assert type(found) is type(expected)
    assert found.shape == expected.shape
    for name in ("indptr", "indices", "data"):
        assert getattr(found, name).dtype == getattr(expected, name).dtype, name
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    assert found.has_sorted_indices == expected.has_sorted_indices


def outcome(function):
    """Result or error, and warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function()
        except Exception as error:
            result = type(error), str(error)
    return result, [(w.category, str(w.message)) for w in caught]


def assert_alike(name, parameters, documents, more=(), **own):
    """The same outcome of both classes; documents are made by a call. Ours, if it is fitted."""
    a = getattr(ours, name)(**parameters, **own)
    b = getattr(theirs, name)(**parameters)
    found, warned = outcome(lambda: a.fit_transform(documents()))
    expected, expected_warned = outcome(lambda: b.fit_transform(documents()))
    assert warned == expected_warned
    assert hasattr(a, "vocabulary_") == hasattr(b, "vocabulary_")
    if isinstance(expected, tuple):
        assert found == expected
        return None
    assert_same(found, expected)
    if name in FITTED:
        assert list(a.vocabulary_.items()) == list(b.vocabulary_.items())
        assert type(a.vocabulary_) is dict
        assert [*map(type, a.vocabulary_.values())] == [*map(type, b.vocabulary_.values())]
        assert set(vars(a)) == {*vars(b), "n_jobs"}
    if more:
        assert_same(a.transform(more), b.transform(more))
    return a


def any_character(rng, surrogates):
    kind = rng.random()
    if kind < 0.4:
        return rng.choice("abcDE fgh IJ  klm\n\tno_1.,")
    if kind < 0.7:
        return rng.choice(ODD)
    code = rng.randrange(0x110000) if kind < 0.8 else rng.randrange(0x600)
    if surrogates and kind > 0.98:
        code = rng.randrange(0xD800, 0xE000)
    return "a" if 0xD800 <= code < 0xE000 and not surrogates else chr(code)


def any_text(rng, surrogates):
    size = rng.choice([0, 1, 2, 3, 5, 8, 20, 60])
    if rng.random() < 0.3:
        return "".join(rng.choice("abcDEfgh IJ  klm\n\tno_1.,") for _ in range(size))
    return "".join(any_character(rng, surrogates) for _ in range(size))


def any_parameters(rng, name):
    least = rng.choice([0, 1, 1, 1, 2, 3])
    parameters = {
        "analyzer": rng.choice(["word", "word", "char", "char_wb"]),
        "lowercase": rng.random() < 0.8,
        "strip_accents": rng.choice([None, None, "ascii", "unicode"]),
        "ngram_range": (least, least + rng.choice([0, 0, 1, 2, 4])),
        "binary": rng.random() < 0.3,
    }
    if parameters["analyzer"] == "word":
        parameters["token_pattern"] = rng.choice(
            [r"(?u)\b\w\w+\b", r"(?u)\b\w+\b", r"\w+", r"\S+", r"(?u)\S\S+", r"\b\w\w\w+\b", r"\w"]
        )
        parameters["stop_words"] = rng.choice([None, None, "english", ["the", "of", "a", "σ"]])
    if name == "HashingVectorizer":
        return parameters | {
            "n_features": rng.choice([1, 2, 7, 16, 1000, 2**20, 2**31 - 1]),
            "norm": rng.choice(["l1", "l2", None]),
            "alternate_sign": rng.random() < 0.5,
            "dtype": rng.choice([np.float64, np.float32, np.int64, np.int32, np.int8]),
        }
    parameters |= {
        "min_df": rng.choice([1, 1, 2, 0.1]),
        "max_df": rng.choice([1.0, 1.0, 0.5, 20]),
        "max_features": rng.choice([None, None, 1, 10, 100]),
        "dtype": rng.choice([np.float64, np.float32]),
    }
    if name == "CountVectorizer":
        return parameters | {"dtype": rng.choice([np.int64, np.float32, np.int32, np.uint8])}
    return parameters | {
        "norm": rng.choice(["l1", "l2", None]),
        "use_idf": rng.random() < 0.8,
        "smooth_idf": rng.random() < 0.8 or parameters["max_features"] is None,
        "sublinear_tf": rng.random() < 0.5,
    }


def fuzz(seed, n_texts, monkeypatch):
    rng = random.Random(seed)
    while n_texts > 0:
        surrogates = rng.random() < 0.3
        documents = [any_text(rng, surrogates) for _ in range(rng.choice([1, 5, 50, 300]))]
        more = [any_text(rng, surrogates) for _ in range(20)] + documents[:20]
        n_texts -= len(documents)
        monkeypatch.setattr(counting, "_CHARACTERS", rng.choice([1, 100, 1 << 20]))
        monkeypatch.setattr(counting, "_CHARACTERS_A_THREAD", rng.choice([1, 1000, 1 << 20]))
        monkeypatch.setattr(ours, "_VALUES_AT_ONCE", rng.choice([1, 7, 1 << 16]))
        for name in NAMES:
            parameters = any_parameters(rng, name)
            n_jobs = rng.choice([None, None, 2])
            more_here = more if name in FITTED else ()
            assert_alike(name, parameters, lambda d=documents: d, more_here, n_jobs=n_jobs)


def test_documents_of_terms_are_counted_in_parts():
    columns = np.random.default_rng(0).integers(0, 1000, size=200_001)
    X = sp.csr_array((np.ones(len(columns)), columns, [0, len(columns)]), shape=(1, 1001))
    np.testing.assert_array_equal(
        counting.document_counts(X), np.bincount(columns, minlength=1001)
    )


@pytest.mark.parametrize("seed", range(4))
def test_fuzzed_texts_and_parameters(seed, monkeypatch):
    # More on request: 100,000 take some minutes.
    fuzz(seed, int(os.environ.get("SKMULTIREDUCE_FUZZED_TEXTS", "2000")) // 4, monkeypatch)


TEXT = st.text(st.one_of(st.characters(), st.sampled_from("ab AB\t.Σİ")), max_size=25)


@given(
    st.lists(TEXT, min_size=1, max_size=6),
    st.sampled_from(["word", "char", "char_wb"]),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([None, "ascii", "unicode"]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_texts(texts, analyzer, least, more, strip_accents, lowercase):
    parameters = {
        "analyzer": analyzer,
        "ngram_range": (least, least + more),
        "strip_accents": strip_accents,
        "lowercase": lowercase,
    }
    for name in NAMES:
        assert_alike(name, parameters, lambda: texts)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameters", [
    {"token_pattern": r"\S+", "lowercase": False},
    {"ngram_range": (1, 2)},
    {"analyzer": "char_wb", "ngram_range": (3, 4)},
], ids=str)  # fmt: skip
def test_texts_of_a_data_set(name, parameters):
    files = sorted(DATA.glob("*.txt"))
    if not files:
        pytest.skip("no ../shared/data")
    texts = [text for file in files for text in read_fasttext(file).data][::4]
    assert_alike(name, parameters, lambda: texts, texts[:100])


@pytest.mark.parametrize("name", NAMES)
def test_threads_give_the_same(name, monkeypatch):
    monkeypatch.setattr(counting, "_CHARACTERS", 50)
    monkeypatch.setattr(counting, "_CHARACTERS_A_THREAD", 50)
    rng = random.Random(0)
    texts = [" ".join(rng.choice("abcdefghij") * rng.randint(2, 9) for _ in range(20))] * 3
    texts += [" ".join(rng.choice("klmnopqrst") * rng.randint(2, 9) for _ in range(200))] * 90
    for n_jobs in (1, 2, 3, -1):
        assert_alike(name, {"ngram_range": (1, 2)}, lambda: iter(texts), texts, n_jobs=n_jobs)


class Shouting(str):
    def lower(self):
        return self.upper()


class Lowering:
    def lower(self):
        return "an object with a method"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameters", [{}, {"lowercase": False}, {"strip_accents": "unicode"}])
@pytest.mark.parametrize("documents", [
    list,
    lambda: [""],
    lambda: ["the", "the"],
    lambda: "one text",
    lambda: 3,
    lambda: [None],
    lambda: ["bake", np.nan],
    lambda: ["bake", float("nan"), "bread"],
    lambda: ["bake", 3],
    lambda: ["bake", pd.NA],
    lambda: [Shouting("quiet words"), "bake"],
    lambda: ["words before", Lowering(), "and behind"],
    lambda: [b"bread", "café".encode(), "bread"],
    lambda: ["café".encode("latin-1")],
    lambda: [np.str_("bake"), "bread"],
    lambda: (text for text in TEXTS),
    lambda: iter([*TEXTS, None]),
    lambda: tuple(TEXTS),
    lambda: np.array(TEXTS),
    lambda: np.array(TEXTS, dtype=object),
    lambda: pd.Series(TEXTS),
    lambda: pd.Series(TEXTS, dtype="string"),
    lambda: pd.Series([*TEXTS, None]),
    lambda: pytest.importorskip("polars").Series(TEXTS),
    lambda: pytest.importorskip("polars").Series([*TEXTS, None]),
    lambda: pytest.importorskip("pyarrow").array(TEXTS),
    lambda: dict.fromkeys(TEXTS),
    lambda: ["lone \ud800 surrogate", "\ud800\udc00 two"],
])  # fmt: skip
def test_documents_of_all_kinds(name, parameters, documents):
    assert_alike(name, parameters, documents)
    assert_alike(name, {**parameters, "analyzer": "char", "ngram_range": (1, 2)}, documents)


def test_a_lone_surrogate_that_is_in_no_n_gram():
    parameters = {"analyzer": "char", "ngram_range": (3, 3)}
    assert_alike("HashingVectorizer", parameters, lambda: ["\ud800", "bake", "bread"])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameters", [
    {"encoding": "latin-1"},
    {"encoding": "ascii", "decode_error": "ignore"},
    {"encoding": "ascii", "decode_error": "replace"},
    {"encoding": "ascii"},
    {"encoding": "utf-16"},
    {"encoding": "no such one"},
], ids=str)  # fmt: skip
def test_bytes_are_decoded(name, parameters):
    assert_alike(name, parameters, lambda: ["bread", "ÉCOLE café".encode()])


@pytest.mark.parametrize("name", NAMES)
def test_files(name, tmp_path):
    paths = []
    for number, text in enumerate(TEXTS):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text(text, encoding="utf-8")
    for strip_accents in (None, "unicode"):
        parameters = {"input": "filename", "strip_accents": strip_accents}
        assert_alike(name, parameters, lambda: [str(path) for path in paths])
        assert_alike(name, parameters, lambda: paths)
        parameters["input"] = "file"
        assert_alike(name, parameters, lambda: [io.StringIO(text) for text in TEXTS])
        assert_alike(name, parameters, lambda: [io.BytesIO(text.encode()) for text in TEXTS])
    assert_alike(name, {"input": "filename"}, lambda: [str(tmp_path / "absent")])
    assert_alike(name, {"input": "file"}, lambda: TEXTS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameters", [
    {"tokenizer": str.split, "token_pattern": None},
    {"tokenizer": str.split},
    {"analyzer": str.split},
    {"preprocessor": str.upper},
    {"strip_accents": str.swapcase},
    {"token_pattern": r"(?u)\b(\w)\w+\b"},
    {"token_pattern": r"(\w)(\w)"},
    {"token_pattern": r"[a-e]+"},
    {"token_pattern": r"(?a)\w+"},
    {"token_pattern": r"("},
    {"token_pattern": None},
    {"analyzer": "words"},
    {"analyzer": ["word"]},
    {"strip_accents": "all"},
    {"ngram_range": (2, 1)},
    {"ngram_range": (-1, 2)},
    {"ngram_range": (1, 2, 3)},
    {"ngram_range": (1.0, 2.0)},
    {"ngram_range": (1, 10**30)},
    {"ngram_range": (np.int64(1), np.int32(2))},
    {"ngram_range": [1, 1]},
    {"stop_words": "english"},
    {"stop_words": "French"},
    {"stop_words": ["the", 3]},
    {"stop_words": ["The", "the oven's"]},
    {"stop_words": []},
    {"analyzer": "char", "stop_words": "english"},
    {"analyzer": "char", "token_pattern": r"\S+"},
    {"lowercase": np.True_},
    {"lowercase": "yes"},
    {"dtype": "float32"},
    pytest.param({"dtype": np.float16}, marks=pytest.mark.skipif(
        SCIPY < (1, 15), reason="SciPy makes such matrices, and fails when it sorts them"
    )),
    {"dtype": bool},
    {"dtype": "nothing"},
    {"binary": True},
], ids=str)  # fmt: skip
def test_parameters(name, parameters):
    assert_alike(name, parameters, lambda: TEXTS)


@pytest.mark.parametrize("parameters", [
    {"n_features": 0},
    {"n_features": 2.0},
    {"n_features": 2**31},
    {"n_features": np.int64(5)},
    {"norm": "max"},
    {"norm": "l1", "dtype": np.int64},
    {"norm": "l2", "dtype": np.int32, "binary": True},
    {"norm": None, "n_features": 2, "analyzer": "char"},
    {"norm": None, "n_features": 2, "analyzer": "char", "binary": True},
    {"alternate_sign": False, "norm": None, "dtype": np.uint8},
], ids=str)  # fmt: skip
def test_parameters_of_hashing(parameters):
    assert_alike("HashingVectorizer", parameters, lambda: TEXTS)
    if parameters.get("n_features") == 0:
        # scikit-learn divides by zero, and that is the end of the process.
        with pytest.raises(ValueError, match="n_features"):
            ours.HashingVectorizer(**parameters).transform(TEXTS)
        return
    found, expected = (
        outcome(lambda module=module: module.HashingVectorizer(**parameters).transform(TEXTS))
        for module in (ours, theirs)
    )
    if isinstance(expected[0], tuple):
        assert found == expected
    else:
        assert_same(found[0], expected[0])


def in_order(given):
    """Name of a case that is the same in all processes: sets have another order in each."""
    return str({k: sorted(v) if isinstance(v, set) else v for k, v in given.items()})


@pytest.mark.parametrize("name", FITTED)
@pytest.mark.parametrize("parameters", [
    {"min_df": 2},
    {"min_df": 5},
    {"min_df": 0.5},
    {"max_df": 0.3},
    {"max_df": 1, "min_df": 0.9},
    {"max_features": 2},
    {"max_features": 2, "min_df": 2},
    {"max_features": 10**6},
    {"max_features": 0},
    {"vocabulary": ["bread", "bake", "absent"]},
    {"vocabulary": {"bread": 1, "bake": 0}},
    {"vocabulary": {"bread": 1, "bake": 1}},
    {"vocabulary": {"bread": 2, "bake": 1}},
    {"vocabulary": ["bread", "bread"]},
    {"vocabulary": {"bread"}},
    {"vocabulary": ("bread", 7)},
    {"vocabulary": ["Bread", "the"]},
    {"vocabulary": []},
    {"vocabulary": ["the bread", "the", ""], "ngram_range": (0, 2)},
    {"vocabulary": ["bread"], "binary": True, "min_df": 3},
], ids=in_order)  # fmt: skip
def test_vocabularies(name, parameters):
    assert_alike(name, parameters, lambda: TEXTS, TEXTS[::-1])
    if "vocabulary" in parameters:
        found, expected = (
            outcome(lambda m=module: getattr(m, name)(**parameters).transform(TEXTS))
            for module in (ours, theirs)
        )
        if isinstance(expected[0], tuple):
            assert found == expected
        else:
            assert_same(found[0], expected[0])


def test_tf_idf_of_other_weights():
    for module in (ours, theirs):
        vectorizer = module.TfidfVectorizer(vocabulary=["bread", "bake"])
        vectorizer.idf_ = np.array([2.0, 3.0])
        X = vectorizer.transform(TEXTS)
        if module is ours:
            found = X
    assert_same(found, X)
    vectorizer = ours.TfidfVectorizer().fit(TEXTS)
    vectorizer.vocabulary_ = {"bread": 0}
    with pytest.raises(ValueError, match="features"):
        vectorizer.transform(TEXTS)


@pytest.mark.parametrize("name", FITTED)
def test_a_changed_vocabulary_is_seen(name):
    a, b = (getattr(module, name)().fit(TEXTS) for module in (ours, theirs))
    for change in (
        lambda v: v.update(bread=v["the"], the=v["bread"]),
        lambda v: v.pop("42"),
        lambda v: v.update({"42": 5}),
        lambda v: v.update(bread=3, the=3),
    ):
        for vectorizer in (a, b):
            change(vectorizer.vocabulary_)
        found, expected = (outcome(lambda v=v: v.transform(TEXTS)) for v in (a, b))
        if isinstance(expected[0], tuple):
            assert found == expected
        else:
            assert_same(found[0], expected[0])


@pytest.mark.parametrize("name", NAMES)
def test_overridden_methods_go_to_the_parent(name):
    def changed(module, method, function):
        parent = getattr(module, name)
        return type("Own", (parent,), {method: function})()

    for method, function in [
        ("decode", lambda self, doc: "other text"),
        ("build_preprocessor", lambda self: str.upper),
        ("build_tokenizer", lambda self: str.split),
        ("build_analyzer", lambda self: str.split),
        ("get_stop_words", lambda self: ["bread"]),
        ("_word_ngrams", lambda self, tokens, stop_words=None: tokens[::-1]),
        ("_sort_features", lambda self, X, vocabulary: X),
        ("_limit_features", lambda self, X, vocabulary, *args, **kwargs: X),
    ]:
        found, expected = (
            changed(module, method, function).fit_transform(TEXTS) for module in (ours, theirs)
        )
        assert_same(found, expected)
    a, b = (getattr(module, name)() for module in (ours, theirs))
    a.build_tokenizer = b.build_tokenizer = lambda: str.split
    assert_same(a.fit_transform(TEXTS), b.fit_transform(TEXTS))


@pytest.mark.parametrize("name", NAMES)
def test_where_the_seams_are_others_the_parent_works(name, monkeypatch):
    monkeypatch.setattr(analysis, "as_expected", lambda: False)
    monkeypatch.setattr(analysis.kernel, "Rows", None)
    assert_alike(name, {"ngram_range": (1, 2)}, lambda: TEXTS, TEXTS)


def test_the_seams_are_as_expected():
    assert analysis.as_expected()


@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_pass_is_used(name, monkeypatch):
    def refuse(*args):
        raise AssertionError("scikit-learn's pass")

    monkeypatch.setattr(theirs, "_analyze", refuse)
    for parameters in (
        {},
        {"ngram_range": (1, 2), "stop_words": ["the"]},
        {"analyzer": "char", "ngram_range": (1, 3)},
        {"analyzer": "char_wb", "ngram_range": (2, 5), "strip_accents": "unicode"},
        {"token_pattern": r"\S+", "lowercase": False},
    ):
        dtype = {"dtype": "float32"} if name == "HashingVectorizer" else {}
        vectorizer = getattr(ours, name)(**parameters, **dtype)
        vectorizer.fit_transform([*TEXTS, "ΣΑΣ", b"bytes"])
        vectorizer.transform(TEXTS)


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_pickles(name):
    vectorizer = getattr(ours, name)(ngram_range=(1, 2), n_jobs=2).fit(TEXTS)
    X = vectorizer.transform(TEXTS)
    state = pickle.dumps(vectorizer)
    assert b"Terms" not in state
    assert_same(pickle.loads(state).transform(TEXTS), X)
    assert clone(vectorizer).get_params() == vectorizer.get_params()
    defaults = getattr(theirs, name)().get_params() | {"n_jobs": None}
    assert getattr(ours, name)().get_params() == defaults


@pytest.mark.parametrize("name", FITTED)
def test_attributes_and_methods(name):
    a, b = (getattr(module, name)(ngram_range=(1, 2)).fit(TEXTS) for module in (ours, theirs))
    np.testing.assert_array_equal(a.get_feature_names_out(), b.get_feature_names_out())
    X = b.transform(TEXTS)
    for found, expected in zip(a.inverse_transform(X), b.inverse_transform(X), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert hasattr(a, "set_output") == hasattr(b, "set_output")
    with pytest.raises(NotFittedError):
        getattr(ours, name)().transform(TEXTS)


@HAS_SPARSE_INTERFACE
@pytest.mark.parametrize("name", NAMES)
def test_sparse_interface(name):
    a, b = (getattr(module, name)().fit(TEXTS) for module in (ours, theirs))
    with sklearn.config_context(sparse_interface="sparray"):
        assert_same(a.transform(TEXTS), b.transform(TEXTS))
        assert_same(a.fit_transform(TEXTS), b.fit_transform(TEXTS))


def test_output_of_hashing():
    a, b = ours.HashingVectorizer(), theirs.HashingVectorizer()
    assert hasattr(a, "set_output") == hasattr(b, "set_output")
    pipeline = make_pipeline(ours.HashingVectorizer(), theirs.TfidfTransformer())
    assert_same(
        pipeline.fit_transform(TEXTS),
        make_pipeline(theirs.HashingVectorizer(), theirs.TfidfTransformer()).fit_transform(TEXTS),
    )


@pytest.mark.parametrize("name", NAMES)
def test_checks_of_scikit_learn(name):
    def failed(module):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(getattr(module, name)(), on_skip=None, on_fail=None)
        return {result["check_name"] for result in results if result["status"] == "failed"}

    assert failed(ours) <= failed(theirs)


@pytest.mark.parametrize(
    "wanted", ["spmatrix", pytest.param("sparray", marks=HAS_SPARSE_INTERFACE)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64, bool, None])
def test_matrices_are_as_scipy_makes_them(wanted, dtype):
    kind = {"spmatrix": sp.csr_matrix, "sparray": sp.csr_array}[wanted]
    option = {"sparse_interface": wanted} if "sparse_interface" in sklearn.get_config() else {}
    for indptr, columns in (([0, 2, 3], [0, 3, 1]), ([0, 0], [])):
        arrays = np.ones(len(columns)), np.array(columns, dtype=np.int32), np.array(indptr)
        shape = (len(indptr) - 1, np.int64(4))
        with sklearn.config_context(**option):
            found = csr(arrays, shape, dtype)
        expected = kind(arrays, shape, dtype)
        assert_same(found, expected)
        assert vars(found).keys() == vars(expected).keys()
        assert found.shape == expected.shape
        assert all(type(n) is int for n in found.shape)
        assert_same(found[:1] @ found.T, expected[:1] @ expected.T)
        assert_same(pickle.loads(pickle.dumps(found)), expected)
        found.sum_duplicates()
        found.check_format(full_check=True)


def test_an_error_of_n_jobs_is_clear():
    with pytest.raises(ValueError, match="n_jobs"):
        ours.CountVectorizer(n_jobs="two").fit(TEXTS)


def test_a_long_text():
    words = [f"word{i}" for i in range(1000)]
    text = " ".join(words * 400)
    vectorizer = ours.CountVectorizer()
    X = vectorizer.fit_transform([text])
    assert X.toarray().tolist() == [[400] * 1000]
    assert vectorizer.get_feature_names_out().tolist() == sorted(words)
    X = ours.CountVectorizer(analyzer="char", ngram_range=(2, 2)).fit_transform([text])
    assert X.sum() == len(text) - 1
