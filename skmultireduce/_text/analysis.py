"""What of a vectorizer is compiled, and its documents as lists of str.

This is the only place that knows how scikit-learn's vectorizers are made inside. Where they
are not as expected, ``analysis`` is None and scikit-learn's own code does the work.
"""

from __future__ import annotations

import inspect
import operator
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

from sklearn.feature_extraction import text as sklearn_text

from .._kernels import text as kernel

__all__ = ["SEED", "Analysis", "as_expected", "batches", "find_analysis", "overridden"]

# Of the tables of this process: no result depends on it.
SEED = os.urandom(24)

# Methods that say what the n-grams of a document are.
_ANALYSIS_METHODS = (
    "decode",
    "build_preprocessor",
    "build_tokenizer",
    "build_analyzer",
    "get_stop_words",
    "_word_ngrams",
    "_char_ngrams",
    "_char_wb_ngrams",
    "_white_spaces",
)
# Private methods of CountVectorizer that are called or replaced, with their parameters.
_SEAMS = {
    "_count_vocab": ["self", "raw_documents", "fixed_vocab"],
    "_limit_features": ["self", "X", "vocabulary", "high", "low", "limit"],
    "_sort_features": ["self", "X", "vocabulary"],
    "_validate_ngram_range": ["self"],
}
# Runs of word characters, at least as many as are written; runs of what is no blank.
_WORDS = re.compile(r"(\(\?u\))?(\\b)?(?P<more>(\\w)*)\\w\+(\\b)?")
_NO_BLANKS = re.compile(r"(\(\?u\))?(?P<more>(\\S)*)\\S\+")


class Analysis(NamedTuple):
    """How documents become n-grams.

    Attributes
    ----------
    settings : tuple
        For the kernel.
    lower : bool
        Whether texts are lower-cased.
    strip : callable or None
        Strips accents, of lower-cased texts that are not ASCII.
    analyze : callable
        scikit-learn's analyzer, for what the kernel does not take.
    """

    settings: tuple
    lower: bool
    strip: Callable[[str], str] | None
    analyze: Callable[[Any], list]


@lru_cache(1)
def as_expected() -> bool:
    """Return whether scikit-learn's private methods are those that this module knows."""
    parent = sklearn_text.CountVectorizer
    try:
        found = {
            name: list(inspect.signature(getattr(parent, name)).parameters) for name in _SEAMS
        }
        analyze = parent(stop_words=["a"]).build_analyzer()
        return (
            found == _SEAMS
            and all(hasattr(parent, name) for name in _ANALYSIS_METHODS)
            and parent._white_spaces.pattern == r"\s\s+"
            and {"decoder", "preprocessor", "stop_words"} <= set(analyze.keywords)
        )
    except (AttributeError, TypeError):
        return False


def overridden(vectorizer: Any, parent: type, names: Iterable[str]) -> bool:
    """Return whether one of the attributes is another one than the parent's."""
    own = vars(vectorizer)
    kind = type(vectorizer)
    return any(name in own or getattr(kind, name) is not getattr(parent, name) for name in names)


class _Stripped(dict):
    """What is left of characters: a table for ``str.translate`` that fills itself.

    Both ways to strip accents work character by character, also across combining marks:
    what normalisation would reorder are only marks, which are dropped.
    """

    def __init__(self, strip: Callable[[str], str]) -> None:
        self.strip = strip

    def __missing__(self, code: int) -> str:
        self[code] = found = self.strip(chr(code))
        return found


_TABLES = {
    "ascii": _Stripped(sklearn_text.strip_accents_ascii),
    "unicode": _Stripped(
        # The function for whole texts leaves ASCII alone, so do its parts.
        lambda character: "".join(
            part
            for part in unicodedata.normalize("NFKD", character)
            if not unicodedata.combining(part)
        )
    ),
}


def _translate(table: dict, text: str) -> str:
    return text.translate(table)


@lru_cache(16)
def _stop_table(words: frozenset) -> kernel.Terms:
    return kernel.Terms(SEED, list(words))


def _token_class(pattern: Any) -> tuple[int, int] | None:
    """Class of a token's characters and the smallest number of them; None: not compiled."""
    if type(pattern) is not str:
        return None
    match = _WORDS.fullmatch(pattern)
    if match:
        return kernel.IS_WORD, 1 + len(match["more"]) // 2
    match = _NO_BLANKS.fullmatch(pattern)
    if match:
        return kernel.NOT_SPACE, 1 + len(match["more"]) // 2
    return None


def find_analysis(vectorizer: Any, parent: type) -> Analysis | None:
    """Return how a vectorizer analyses documents; None: by ``parent``, its own class.

    Errors and warnings of the parameters are those of ``build_analyzer``.
    """
    if (
        not as_expected()
        or vectorizer.preprocessor is not None
        or (vectorizer.strip_accents and vectorizer.strip_accents not in ("ascii", "unicode"))
        or not isinstance(vectorizer.analyzer, str)
        or vectorizer.analyzer not in kernel.ANALYZERS
        or overridden(vectorizer, parent, _ANALYSIS_METHODS)
    ):
        return None
    try:
        min_n, max_n = map(operator.index, vectorizer.ngram_range)
    except (TypeError, ValueError):
        return None
    if not 0 <= min_n <= max_n:
        return None
    token: tuple[int, int] | None = (kernel.NOT_SPACE, 1)
    stop_table = None
    if vectorizer.analyzer == "word":
        if vectorizer.tokenizer is not None:
            return None
        token = _token_class(vectorizer.token_pattern)
        if token is None:
            return None
    analyze = vectorizer.build_analyzer()
    stop_words = analyze.keywords.get("stop_words")
    if stop_words is not None:
        if not all(type(word) is str for word in stop_words):
            return None
        stop_table = _stop_table(frozenset(stop_words))
    # No text is as long as the largest n that the kernel takes.
    settings = (
        kernel.ANALYZERS[vectorizer.analyzer],
        min(min_n, 2**40),
        min(max_n, 2**40),
        *token,
        stop_table,
    )
    strip = None
    if vectorizer.strip_accents:
        strip = partial(_translate, _TABLES[vectorizer.strip_accents])
    return Analysis(settings, bool(vectorizer.lowercase), strip, analyze)


def batches(
    vectorizer: Any, analysis: Analysis, documents: Iterable, n_characters: int
) -> Iterator[tuple[list | kernel.Lines, bytearray, bool]]:
    """Yield lists of texts, whether they are lower-cased already, whether more may follow.

    `Lines` stand for a list where they can be read as they are.

    A document is read, decoded and checked when it comes; what is not a str then is
    analysed at once and stands as the list of its n-grams.
    """
    if isinstance(documents, kernel.Lines):
        # For one thread; texts whose accents are stripped go through Python.
        plain = analysis.strip is None and vectorizer.input == "content"
        if plain and vectorizer.n_jobs in (None, 1):
            yield documents, bytearray(), False
            return
        documents = documents.texts()
    only_ascii = analysis.strip is not None
    content = vectorizer.input == "content"
    iterator = iter(documents) if content else map(vectorizer.decode, documents)
    more = True
    while more:
        texts: list = []
        prepared = bytearray()
        left = n_characters
        while True:
            found, left = kernel.gather(iterator, texts, left, only_ascii)
            prepared.extend(bytes(len(texts) - len(prepared)))
            if not found:
                more = found is not None
                break
            text = vectorizer.decode(found[0]) if content else found[0]
            done = False
            if type(text) is not str:
                text = list(partial(analysis.analyze, decoder=None)(text))
            elif only_ascii and not text.isascii():
                text = analysis.strip(text.lower() if analysis.lower else text)
                done = True
            texts.append(text)
            prepared.append(done)
            left -= len(text)
            if left <= 0 or len(texts) >= 4096:
                break
        if texts:
            yield texts, prepared, more
