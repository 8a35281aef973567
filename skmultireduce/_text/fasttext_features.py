"""fastText's features as a vectorizer, and its models as pipelines."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._kernels import text as kernel
from .._sklearn import Interval, _fit_context, csr
from .analysis import SEED
from .fasttext_file import FastTextModel, read_model

__all__ = ["FastTextVectorizer", "vectorizer_of"]

_tables: WeakKeyDictionary[Any, tuple[tuple, kernel.FastText]] = WeakKeyDictionary()


_END = b"</s>"


def _lines(raw_documents: Iterable) -> Iterator[bytes]:
    if isinstance(raw_documents, str | bytes):
        raise ValueError("raw_documents should be an iterable of texts, got one text.")
    for text in raw_documents:
        if not isinstance(text, str):
            raise ValueError(f"raw_documents should hold str, got {type(text).__name__}.")
        yield text.encode()


class FastTextVectorizer(TransformerMixin, BaseEstimator):
    """Features of fastText: words of a dictionary, their subwords, and word n-grams.

    In front of :class:`~skmultireduce.MultiLabelMLPClassifier` it makes fastText's model;
    :func:`skmultireduce.text.load_fasttext` gives that of a trained one. A text is one line for
    fastText: words are what blanks separate, line breaks are blanks, and the end of the line
    is a word.

    Parameters
    ----------
    minn, maxn : int, default=0
        Lengths of subwords, in characters of the word between ``<`` and ``>``. 0: none.
    word_ngrams : int, default=1
        Largest number of words of a word n-gram.
    min_count : int, default=1
        How often a word has to occur to be in the dictionary.
    bucket : int, default=2_000_000
        Number of hashes that subwords and word n-grams share: columns of X, and so rows of the
        classifier's embedding. Without either there are none.
    label_prefix : str, default="__label__"
        Words that begin with it are labels, and no features.

    Attributes
    ----------
    words_ : list of bytes
        The dictionary, in the order of its columns.
    n_buckets_ : int
        Number of hashes of subwords and word n-grams.
    kept_buckets_ : list of int or None
        Those that a loaded, pruned model has left, in the order of their columns; None: all.
    target_names_ : ndarray of shape (n_labels,)
        Labels of the loaded model, without the prefix.

    References
    ----------
    A. Joulin, E. Grave, P. Bojanowski, T. Mikolov, "Bag of tricks for efficient text
    classification", EACL 2017.

    Examples
    --------
    >>> from skmultireduce.text import FastTextVectorizer
    >>> vectorizer = FastTextVectorizer(word_ngrams=2, bucket=100)
    >>> X = vectorizer.fit_transform(["bake the bread", "the bread is baked"])
    >>> vectorizer.words_
    [b'</s>', b'bread', b'the', b'bake', b'baked', b'is']
    >>> X.shape, int(X.sum())
    ((2, 106), 16)
    """

    _parameter_constraints: dict = {
        "minn": [Interval(Integral, 0, None, closed="left")],
        "maxn": [Interval(Integral, 0, None, closed="left")],
        "word_ngrams": [Interval(Integral, 1, None, closed="left")],
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "bucket": [Interval(Integral, 1, 2**31 - 1, closed="both")],
        "label_prefix": [str],
    }

    def __init__(
        self,
        *,
        minn: int = 0,
        maxn: int = 0,
        word_ngrams: int = 1,
        min_count: int = 1,
        bucket: int = 2_000_000,
        label_prefix: str = "__label__",
    ) -> None:
        self.minn = minn
        self.maxn = maxn
        self.word_ngrams = word_ngrams
        self.min_count = min_count
        self.bucket = bucket
        self.label_prefix = label_prefix

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, raw_documents: Iterable, y: Any = None):
        """Learn the dictionary.

        Parameters
        ----------
        raw_documents : iterable of str
        y : None
            Not used.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no text, or what comes is no iterable of str.
        """
        counts: Counter[bytes] = Counter()
        n_lines = 0
        for line in _lines(raw_documents):
            counts.update(line.replace(b"\0", b" ").split())
            n_lines += 1
        if not n_lines:
            raise ValueError("raw_documents should hold at least one text, got none.")
        counts[_END] += n_lines
        prefix = self.label_prefix.encode()
        words = [
            word
            for word, count in counts.items()
            if count >= self.min_count and not word.startswith(prefix)
        ]
        self.words_ = sorted(words, key=lambda word: (-counts[word], word))
        self.n_buckets_ = self.bucket if self.maxn or self.word_ngrams > 1 else 0
        self.kept_buckets_ = None
        return self

    def transform(self, raw_documents: Iterable):
        """Return counts of the features.

        Parameters
        ----------
        raw_documents : iterable of str

        Returns
        -------
        X : CSR matrix of shape (n_samples, n_features), float32
            What fastText averages over, as often as it does.

        Raises
        ------
        ValueError
            If a str comes in place of a list of them, or something else than a str.
        """
        check_is_fitted(self)
        lines = list(_lines(raw_documents))
        n_columns = self._n_features_out
        columns, counts, offsets = self._table().read(lines)
        arrays = (
            np.frombuffer(counts, np.int32),
            np.frombuffer(columns, np.int32),
            np.frombuffer(offsets, np.int64).astype(np.int32),
        )
        return csr(arrays, (len(lines), n_columns), np.float32)

    @property
    def _n_features_out(self) -> int:
        kept = self.kept_buckets_
        return len(self.words_) + (self.n_buckets_ if kept is None else len(kept))

    def _table(self) -> kernel.FastText:
        settings = (self.minn, self.maxn, self.word_ngrams, self.n_buckets_)
        made_of = (self.words_, settings, self.label_prefix)
        found = _tables.get(self)
        if found is None or found[0][0] is not self.words_ or found[0][1:] != made_of[1:]:
            table = kernel.FastText(
                SEED,
                self.words_,
                self.kept_buckets_,
                settings,
                self.label_prefix.encode(),
                self._n_features_out,
            )
            found = _tables[self] = made_of, table
        return found[1]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "words_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def vectorizer_of(
    path: str | os.PathLike, label_prefix: str
) -> tuple[FastTextVectorizer, FastTextModel]:
    """Vectorizer of a file, and all that the file holds."""
    model = read_model(path)
    vectorizer = FastTextVectorizer(
        minn=model.min_n,
        maxn=model.max_n,
        word_ngrams=max(model.word_ngrams, 1),
        bucket=max(model.n_buckets, 1),
        label_prefix=label_prefix,
    )
    vectorizer.words_ = model.words
    vectorizer.n_buckets_ = model.n_buckets
    vectorizer.kept_buckets_ = model.kept_buckets
    vectorizer.target_names_ = np.array(
        [label.decode(errors="replace").removeprefix(label_prefix) for label in model.labels]
    )
    return vectorizer, model
