"""Table of terms and rows of counts, against Python's own str, dict and sorted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.murmurhash import murmurhash3_32

from skmultireduce._kernels import text as kernel

SEED = bytes(range(24))
WORDS = (kernel.ANALYZERS["word"], 1, 1, kernel.IS_WORD, 1, None)
CHARACTERS = (kernel.ANALYZERS["char"], 1, 1, kernel.NOT_SPACE, 1, None)
ALL = [chr(code) for code in range(0x110000)]
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)


def never(text):
    raise AssertionError("Python was asked")


def rows_of(settings, texts, lower=True, **more):
    terms = kernel.Terms(SEED)
    rows = kernel.Rows(settings, lower, terms, True, never, **more)
    rows.read(texts, bytearray(len(texts)))
    columns, counts, offsets = rows.take()
    return (
        terms,
        np.frombuffer(columns, np.int32),
        np.frombuffer(counts, np.int32),
        np.frombuffer(offsets, np.int64),
    )


def strings(terms):
    return terms.strings(np.arange(len(terms), dtype=np.int32))


@given(st.lists(ANY_TEXT, unique=True, max_size=60))
@settings(max_examples=50, deadline=None)
def test_terms_are_kept_and_sorted_as_str(texts):
    terms = kernel.Terms(SEED, texts)
    numbers = np.arange(len(texts), dtype=np.int32)
    assert len(terms) == len(texts)
    assert terms.strings(numbers) == texts
    assert terms.to_dict(numbers, numbers) == {text: i for i, text in enumerate(texts)}
    terms.sort(numbers)
    assert terms.strings(numbers) == sorted(texts)


@pytest.mark.parametrize("length", [1, 3, 9, 40])
def test_many_terms_that_differ_in_the_last_bytes(length):
    texts = [f"{'x' * length}{i}" for i in range(20_000)]
    terms = kernel.Terms(SEED, texts + texts)
    numbers = np.arange(len(texts), dtype=np.int32)
    assert strings(terms) == texts
    terms.sort(numbers)
    assert terms.strings(numbers) == sorted(texts)


def test_terms_of_the_same_bytes_and_another_length():
    texts = ["", "\0", "\0\0", "a", "a\0", "abcdefg", "abcdefg\0", "abcdefgh", "a" * 16, "a" * 17]
    terms = kernel.Terms(SEED, texts)
    assert strings(terms) == texts


def test_merge_numbers_new_terms_in_their_order():
    first = kernel.Terms(SEED, ["b", "a longer term"])
    second = kernel.Terms(bytes(24), ["c", "a longer term", "d", "b"])
    numbers = np.frombuffer(first.merge(second), np.int32)
    assert numbers.tolist() == [2, 1, 3, 0]
    assert strings(first) == ["b", "a longer term", "c", "d"]


def test_results_do_not_depend_on_the_seed():
    texts = ["a b c a", "c d e f g h", "h a"] * 50
    found = []
    for seed in (SEED, bytes(24), bytes([255] * 24)):
        terms = kernel.Terms(seed)
        rows = kernel.Rows(WORDS, True, terms, True, never)
        rows.read(texts, bytearray(len(texts)))
        found.append([bytes(part) for part in rows.take()])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("token_class", "is_part"), [
    (kernel.IS_WORD, lambda c: c.isalnum() or c == "_"),
    (kernel.NOT_SPACE, lambda c: not c.isspace()),
])  # fmt: skip
def test_classes_of_all_code_points(token_class, is_part):
    # In texts of 256, so that they come in all widths.
    texts = [" ".join(ALL[start : start + 256]) for start in range(0, len(ALL), 256)]
    terms = rows_of((*WORDS[:3], token_class, 1, None), texts, lower=False)[0]
    assert strings(terms) == [c for c in ALL if is_part(c)]


def test_lower_case_of_all_code_points():
    texts = [
        " ".join(f"x{c}y" for c in ALL[start : start + 256] if not c.isspace())
        for start in range(0, len(ALL), 256)
    ]
    settings = (*WORDS[:3], kernel.NOT_SPACE, 1, None)
    expected = dict.fromkeys(word for text in texts for word in text.lower().split())
    assert strings(rows_of(settings, texts)[0]) == list(expected)


def test_sigma_depends_on_what_is_around_it():
    texts = ["ΟΔΟΣ ΣΑΣ", "Σ", "aΣ b"]
    terms = rows_of((*WORDS[:3], kernel.NOT_SPACE, 1, None), texts)[0]
    assert strings(terms) == ["οδος", "σας", "σ", "aς", "b"]


@given(st.lists(st.text(max_size=30), max_size=8))
@settings(max_examples=30, deadline=None)
def test_hashes_are_those_of_scikit_learn(texts):
    words = (*WORDS[:3], kernel.NOT_SPACE, 1, None)
    n_features = 1000
    rows = kernel.Rows(words, False, None, False, never, True, (n_features, True, 2**31 - 1))
    rows.read(texts, bytearray(len(texts)))
    columns, sums, offsets = rows.take()
    columns, sums = np.frombuffer(columns, np.int32), np.frombuffer(sums, np.int32)
    offsets = np.frombuffer(offsets, np.int64)
    for row, text in enumerate(texts):
        expected = {}
        for word in text.split():
            h = int(murmurhash3_32(word))
            column = abs(h) % n_features
            expected[column] = expected.get(column, 0) + (1 if h >= 0 else -1)
        part = slice(offsets[row], offsets[row + 1])
        found = dict(zip(columns[part].tolist(), sums[part].tolist(), strict=True))
        assert list(found.items()) == sorted(expected.items())


def test_the_hash_without_an_absolute_value_has_a_column_of_its_own():
    word = "ad1u66pi"
    assert murmurhash3_32(word) == -(2**31)
    rows = kernel.Rows(WORDS, False, None, False, never, True, (1000, True, 9))
    rows.read([word], bytearray(1))
    columns, sums, _ = rows.take()
    assert np.frombuffer(columns, np.int32).tolist() == [2**31 % 1000]
    assert np.frombuffer(sums, np.int32).tolist() == [-1]


def test_sums_of_ones_end_where_the_type_of_the_result_does():
    settings = (*WORDS[:3], kernel.NOT_SPACE, 1, None)
    rows = kernel.Rows(settings, False, None, False, never, True, (4, False, 3))
    rows.read(["a a a a a"], bytearray(1))
    assert np.frombuffer(rows.take()[1], np.int32).tolist() == [3]


@pytest.mark.parametrize("value_type", list(kernel.VALUE_TYPES))
@pytest.mark.parametrize("hashed", [True, False])
def test_counts_have_the_type_that_is_asked_for(hashed, value_type):
    terms = None if hashed else kernel.Terms(SEED)
    hashing = (2**20, False, 2**31 - 1)
    rows = kernel.Rows(
        WORDS, False, terms, not hashed, never, True, hashing, value_type=value_type
    )
    assert rows.value_type == value_type
    texts = ["b a b", "", "a " * 300, "c"]
    rows.read(texts, bytearray(len(texts)))
    _, counts, offsets = rows.take()
    found = np.split(np.frombuffer(counts, value_type), np.frombuffer(offsets, np.int64)[1:-1])
    assert [sorted(row) for row in found] == [[1, 2], [], [300], [1]]


def test_rows_of_other_types_get_no_other_columns():
    rows = kernel.Rows(WORDS, False, kernel.Terms(SEED), True, never, value_type="float64")
    with pytest.raises(ValueError, match="counts of int32"):
        rows.rename(np.zeros(1, dtype=np.int32), kernel.Terms(SEED))


@pytest.mark.parametrize("n", [39, 40, 41, 300, 70_000])
def test_rows_of_any_length_are_in_order(n):
    rng = np.random.default_rng(n)
    words = [f"w{i}" for i in rng.integers(0, 2 * n, size=n)]
    known = sorted(set(words))
    terms = kernel.Terms(SEED, known)
    rows = kernel.Rows(WORDS, True, terms, False, never)
    rows.read([" ".join(words)], bytearray(1))
    columns, counts, _ = rows.take()
    columns, counts = np.frombuffer(columns, np.int32), np.frombuffer(counts, np.int32)
    assert columns.tolist() == list(range(len(known)))
    assert counts.tolist() == [words.count(word) for word in known] if n < 1000 else True
    assert counts.sum() == n


def test_lists_of_ngrams_stand_for_texts():
    terms, columns, counts, offsets = rows_of(
        (*WORDS[:1], 1, 2, *WORDS[3:]), ["a b", ["x y", "x y", "a"], "b a"]
    )
    assert strings(terms) == ["a", "b", "a b", "x y", "b a"]
    assert columns.tolist() == [0, 1, 2, 0, 3, 0, 1, 4]
    assert counts.tolist() == [1, 1, 1, 1, 2, 1, 1, 1]
    assert offsets.tolist() == [0, 3, 5, 8]
    with pytest.raises(TypeError, match="must be a str"):
        rows_of(WORDS, [[1]])


def test_wrong_arrays_are_refused():
    terms = kernel.Terms(SEED, ["a"])
    with pytest.raises(ValueError, match="numbers"):
        terms.strings(np.zeros(1, dtype=np.int64))
    with pytest.raises(ValueError, match="as many columns"):
        terms.to_dict(np.zeros(1, dtype=np.int32), np.zeros(2, dtype=np.int32))
    with pytest.raises(ValueError, match="24 bytes"):
        kernel.Terms(b"short")


def test_a_changed_vocabulary_has_another_version():
    vocabulary = {"a": 0, "b": 1}
    versions = [kernel.version(vocabulary)]
    assert kernel.version(vocabulary) == versions[0]
    vocabulary["a"], vocabulary["b"] = 1, 0
    versions.append(kernel.version(vocabulary))
    del vocabulary["b"]
    versions.append(kernel.version(vocabulary))
    assert len(set(versions)) == 3
