"""fastText's format as fastText reads it: separators, marks in odd places, long lines and names.

Classes of input: all blanks of Unicode and all separators of fastText, in labels, between
them and in the text; marks behind quotes, byte order marks, characters without width,
other labels and letters, labels with commas, bars and quotes; names of any length; rows of
any number of labels.
"""

import re
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from skmultireduce import text as ours
from skmultireduce._datasets import fasttext_reader
from skmultireduce.datasets import FastTextBlocks, iter_fasttext, read_fasttext

SEPARATORS = " \t\v\f\r\0\n"
UNICODE_BLANKS = "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2009\u2028\u202f\u205f\u3000"
HASH = HashingVectorizer(n_features=8)


def tokens(line):
    """Labels and words as fastText's reader cuts them."""
    words = [word for word in re.split(f"[{SEPARATORS}]", line) if word]
    labels = [word.removeprefix("__label__") for word in words if word.startswith("__label__")]
    return labels, [word for word in words if not word.startswith("__label__")]


@given(
    st.lists(
        st.text("ab_\xa0\u2003,", min_size=1, max_size=3)
        | st.sampled_from(["__label__x", "__label__y\xa0z", "y__label__x", "__label__x__label__"])
        | st.text(SEPARATORS, min_size=1, max_size=2),
        max_size=8,
    ).map("".join)
)
@pytest.mark.filterwarnings("ignore:.*odd places")
def test_lines_are_cut_as_fasttext_cuts_them(line):
    labels, words = tokens(line)
    if "" in labels or not (labels or words):
        return
    bunch = read_fasttext([line, "__label__other"])
    assert bunch.target_names.tolist() == sorted({*labels, "other"})
    found = {bunch.target_names[k] for k in np.flatnonzero(bunch.target[[0]].toarray())}
    assert found == set(labels)
    assert tokens(bunch.data[0]) == ([], words)


@pytest.mark.parametrize("blank", UNICODE_BLANKS)
def test_blanks_of_unicode_are_letters(blank):
    lines = [f"__label__New{blank}York big{blank}city", f"x __label__New{blank}Delhi hot"]
    bunch = read_fasttext(lines)
    assert bunch.target_names.tolist() == sorted([f"New{blank}York", f"New{blank}Delhi"])
    assert bunch.data == [f"big{blank}city", "x hot"]
    again = read_fasttext(lines, target_names=bunch.target_names)
    np.testing.assert_array_equal(again.target.toarray(), bunch.target.toarray())


@pytest.mark.parametrize("separator", SEPARATORS)
def test_separators_of_fasttext_separate(separator):
    line = separator.join(["", "__label__a", "__label__b", "one", "two", ""])
    bunch = read_fasttext([line, separator])
    assert bunch.target_names.tolist() == ["a", "b"]
    assert re.split(f"[{SEPARATORS}]", bunch.data[0]) == ["one", "two"]
    assert bunch.n_blank == 1


PIECES = st.text("ab_\xa0,İΣ中\U0001f600", min_size=1, max_size=3) | st.sampled_from(
    [
        *SEPARATORS, " ", " ", "\n", "\n", "\ufeff", "\u200b", "__label__a ", "__label__b ",
        "__label__é ", "__label__a,b ", "__label__a__label__b ", "__label__", "x__label__y",
        "</s>",
    ]
)  # fmt: skip


def result(function):
    """Outcome and warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = function()
        except ValueError as error:
            return str(error)
    return found, [str(warning.message) for warning in caught]


@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from([None, ["a"], ["é", "b"]]))
def test_compiled_reading_gives_what_the_plain_one_gives(tmp_path_factory, content, names):
    path = tmp_path_factory.mktemp("lines") / "file.txt"
    path.write_bytes(content.encode())
    found, expected = [], []
    for compiled, out in ((True, found), (False, expected)):
        with pytest.MonkeyPatch.context() as patch:
            if not compiled:
                patch.setattr(fasttext_reader, "_is_utf8", lambda *args: False)
            bunch = result(lambda: read_fasttext(path, target_names=names))
            out.append(bunch)
            if isinstance(bunch, str):
                continue
            bunch[0].target_names = bunch[0].target_names.tolist()
            bunch[0].target = bunch[0].target.toarray().tolist()
            hashing = ours.HashingVectorizer(n_features=64, token_pattern=r"\S+")
            for size in (2, 100):
                blocks = FastTextBlocks(path, hashing, target_names=names, block_size=size)
                read = result(lambda b=blocks: list(b))
                if isinstance(read, tuple):
                    read = [(X.toarray().tolist(), y.toarray().tolist()) for X, y in read[0]]
                out.append(read)
    assert found == expected


@pytest.mark.parametrize(
    "content",
    [b"__label__a x\n\xff y\n", b"__label__a x\n__label__\xed\xa0\x80 y", b"\xc3\n"],
)
def test_lines_that_are_not_utf8(content, tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    number = 1 + content.count(b"\n", 0, len(content) - 1)
    with pytest.raises(ValueError, match=rf"file\.txt, line {number}: not utf-8"):
        read_fasttext(path)


class Own(ours.HashingVectorizer):
    def transform(self, X):
        assert all(isinstance(text, str) for text in X)
        return super().transform([text[::-1] for text in X])


@pytest.mark.parametrize("vectorizer", [
    ours.HashingVectorizer(n_features=64),
    ours.HashingVectorizer(n_features=64, n_jobs=2),
    ours.HashingVectorizer(n_features=64, strip_accents="unicode", analyzer="char_wb"),
    ours.HashingVectorizer(n_features=64, tokenizer=str.split, token_pattern=None),
    ours.TfidfVectorizer().fit(["one two", "été one"]),
    ours.CountVectorizer(vocabulary=["one", "two"]),
    Own(n_features=64),
], ids=repr)  # fmt: skip
def test_vectorizers_read_lines_as_they_read_texts(vectorizer, tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("__label__a one Two été\n__label__b İ two\n\n__label__a\none __label__b ΑΣ\n")
    texts = read_fasttext(path).data
    found = [X for X, _ in FastTextBlocks(path, vectorizer, block_size=3)]
    assert [X.shape[0] for X in found] == [3, 1]
    for X, part in zip(found, (texts[:3], texts[3:]), strict=True):
        np.testing.assert_array_equal(X.toarray(), vectorizer.transform(part).toarray())


def test_carriage_returns_and_pieces(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    rows = [f"__label__{'ab'[k % 2]} w{k} x{k}" for k in range(50)]
    expected = read_fasttext(rows)
    monkeypatch.setattr("skmultireduce._datasets.files._CHUNK", 7)
    for end in ("\n", "\r\n", "\r"):
        monkeypatch.setattr("skmultireduce._datasets.files._CHUNK", 200 if end == "\r" else 7)
        path.write_bytes(("\ufeff" + end.join(rows)).encode())
        found = read_fasttext(path)
        assert found.data == expected.data
        np.testing.assert_array_equal(found.target.toarray(), expected.target.toarray())
        blocks = list(FastTextBlocks(path, HASH, block_size=8))
        assert [X.shape[0] for X, _ in blocks] == [8] * 6 + [2]


P = "__label__"
ODD = {
    "quotes of CSV": ([f"{P}a x", f'"{P}a {P}b hello, you"'], ["a", "b"], 1),
    "quote at the end": ([f"{P}a x", f'hello {P}b"'], ["a", 'b"'], 1),
    "byte order mark of a second file": ([f"\ufeff{P}a x", f"\ufeff{P}b y"], ["a"], 1),
    "zero-width space": ([f"{P}b y", f"\u200b{P}a x"], ["b"], 1),
    "zero-width joiner behind": ([f"{P}b y", f"{P}a\u200d x"], ["a\u200d", "b"], 1),
    "commas without blanks": ([f"{P}a y", f"{P}a,{P}b x"], ["a", f"a,{P}b"], 1),
    "commas with blanks": ([f"{P}a y", f"{P}a, {P}b, x"], ["a", "a,", "b,"], 2),
    "bars": ([f"{P}a y", f"{P}a|b x"], ["a", "a|b"], 1),
    "glued": ([f"{P}a y", f"{P}a{P}b x"], ["a", f"a{P}b"], 1),
    "label,text": ([f"{P}a y", f"{P}a,hello x", f"{P}a,you y"], ["a", "a,hello", "a,you"], 2),
    "inside of a word": ([f"{P}a y", f"see x{P}a and y{P}b"], ["a"], 2),
    "in brackets": ([f"{P}a y", f"({P}b) x"], ["a"], 1),
}


@pytest.mark.parametrize("name", ODD)
def test_marks_in_odd_places_are_read_as_fasttext_does_and_counted(name):
    lines, names, count = ODD[name]
    message = rf"source has {count} marks of labels in odd places, first in line 2, "
    message += re.escape(repr(lines[1]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bunch = read_fasttext(lines)
    assert bunch.target_names.tolist() == names
    for text, labels, line in zip(bunch.data, bunch.target.toarray(), lines, strict=True):
        expected = tokens(line.removeprefix("\ufeff") if line == lines[0] else line)
        assert {names[k] for k in np.flatnonzero(labels)} == set(expected[0])
        assert tokens(text)[1] == expected[1]
    assert len(caught) == 1
    assert re.match(message, str(caught[0].message))
    assert caught[0].filename == __file__
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in iter_fasttext(lines, batch_size=2):
            pass
        blocks = FastTextBlocks(lines, HASH, block_size=2)
        for _ in range(2):
            for _ in blocks:
                pass
    assert len(caught) == 2
    for warning in caught:
        assert re.match(message, str(warning.message))
        assert warning.filename == __file__


def test_clean_lines_are_read_without_a_word():
    lines = [f'{P}a "quoted, text" | \u200bwith; bars', f"text, first {P}b-c.d:e'f", "none"]
    assert read_fasttext(lines).target_names.tolist() == ["a", "b-c.d:e'f"]


@pytest.mark.parametrize("form", ["file", "list", "array"])
def test_one_long_name_does_not_set_the_memory_of_all(form):
    """Names that are found, given as a list, or given as an array of objects."""
    names = [str(k) for k in range(10_000)] + ["x" * 100_000]
    lines = [f"{P}{name} text" for name in names]
    given = {"file": None, "list": names, "array": np.array(names, dtype=object)}[form]
    tracemalloc.start()
    bunch = read_fasttext(lines, target_names=given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert bunch.target_names.dtype == object
    assert bunch.target_names.tolist() == (sorted(names) if given is None else names)
    assert bunch.target.sum() == 10_001
    assert peak < 30e6  # as arrays of strings: 4 GB


def test_time_is_linear_in_the_labels_of_a_line():
    def seconds(n_labels):
        line = " ".join(f"{P}aaaaaaaaaa{k}" for k in range(n_labels)) + " text"
        times = []
        for _ in range(3):
            start = time.process_time()
            assert read_fasttext([line]).target.sum() == n_labels
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(32_000) < 9 * seconds(8_000)  # 16 times if it were quadratic
