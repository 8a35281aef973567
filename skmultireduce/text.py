"""scikit-learn's vectorizers of text, by a compiled pass over the documents."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction import text as sklearn_text
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import normalize
from sklearn.utils.sparsefuncs_fast import (
    inplace_csr_row_normalize_l1,
    inplace_csr_row_normalize_l2,
)

from ._kernels.text import rename
from ._sklearn import csr, idf_of, with_idf
from ._text.analysis import find_analysis, overridden
from ._text.counting import Learned, count, document_counts, fixed_terms, hash_rows, learn
from ._text.fasttext_features import FastTextVectorizer, vectorizer_of
from .neural import MultiLabelMLPClassifier

__all__ = [
    "CountVectorizer",
    "FastTextVectorizer",
    "HashingVectorizer",
    "TfidfVectorizer",
    "load_fasttext",
]

_N_JOBS = {"n_jobs": [Integral, None]}
_NORMALIZE = {"l1": inplace_csr_row_normalize_l1, "l2": inplace_csr_row_normalize_l2}
# Values that are weighted at a time, in cache.
_VALUES_AT_ONCE = 1 << 16
_HASHED_DTYPES = frozenset(map(np.dtype, (np.float64, np.float32, np.int64, np.int32)))


def _reads_lines(method: Any) -> Any:
    """Mark a method that takes `Lines` for documents."""
    method.reads_lines = True
    return method


def _is_hashed_dtype(dtype: Any) -> bool:
    try:
        return np.dtype(dtype) in _HASHED_DTYPES
    except TypeError:
        return False


class _CompiledCounts:
    """Counting in place of that of scikit-learn's ``CountVectorizer``."""

    def _count_vocab(self, raw_documents: Iterable, fixed_vocab: bool):
        analysis = None
        if fixed_vocab or not overridden(
            self, _CompiledCounts, ("_limit_features", "_sort_features")
        ):
            analysis = find_analysis(self, sklearn_text.CountVectorizer)
        if analysis is not None:
            if not fixed_vocab:
                learned, X = learn(self, analysis, raw_documents, self.dtype)
                if len(learned):
                    return learned, X
                # scikit-learn's error.
                raw_documents = []
            else:
                terms = fixed_terms(self)
                if terms is not None:
                    return self.vocabulary_, count(
                        self, analysis, raw_documents, terms, self.dtype
                    )
        return super()._count_vocab(raw_documents, fixed_vocab=fixed_vocab)

    def _sort_features(self, X: Any, vocabulary: Any):
        if not isinstance(vocabulary, Learned):
            return super()._sort_features(X, vocabulary)
        renamed = vocabulary.sort()
        if X.indices.dtype == np.int32:
            rename(X.indices, renamed)
        else:
            X.indices = renamed.astype(X.indices.dtype).take(X.indices, mode="clip")
        return X

    def _limit_features(
        self, X: Any, vocabulary: Any, high: Any = None, low: Any = None, limit: Any = None
    ):
        if not isinstance(vocabulary, Learned):
            return super()._limit_features(X, vocabulary, high, low, limit)
        if limit is None and low <= 1 and high >= X.shape[0]:
            # A term that was learned is in a document.
            mask = np.ones(X.shape[1], dtype=bool)
        else:
            n_documents = document_counts(X)
            mask = (n_documents <= high) & (n_documents >= low)
        if limit is not None and mask.sum() > limit:
            totals = np.asarray(X.sum(axis=0)).ravel()
            most = np.flatnonzero(mask)[(-totals[mask]).argsort()[:limit]]
            mask = np.zeros(len(mask), dtype=bool)
            mask[most] = True
        vocabulary.limit(mask)
        if not mask.any():
            raise ValueError(
                "After pruning, no terms remain. Try a lower min_df or a higher max_df."
            )
        if not mask.all():
            return X[:, np.flatnonzero(mask)]
        # A new matrix, as there: that the columns are in order is not true for long.
        return csr((X.data, X.indices, X.indptr), X.shape)

    def _settle(self) -> None:
        if isinstance(getattr(self, "vocabulary_", None), Learned):
            self.vocabulary_ = self.vocabulary_.to_dict()

    def fit(self, raw_documents: Iterable, y: Any = None):
        """Learn the vocabulary of the documents, and of tf-idf the weights of its terms.

        Parameters
        ----------
        raw_documents : iterable
            Of str, bytes, or what ``input`` says. Each document is read once.
        y : None
            Not used.

        Returns
        -------
        self : object
            The vectorizer.
        """
        try:
            return super().fit(raw_documents, y)
        finally:
            self._settle()

    def fit_transform(self, raw_documents: Iterable, y: Any = None):
        """Learn the vocabulary and return the matrix of the documents.

        Parameters
        ----------
        raw_documents : iterable
            Of str, bytes, or what ``input`` says. Each document is read once.
        y : None
            Not used.

        Returns
        -------
        X : CSR matrix of shape (n_samples, n_features)
            The one of scikit-learn's class: columns of a row stand in the order in which
            the terms were seen first.
        """
        return self._counted(raw_documents)

    def _counted(self, raw_documents: Iterable):
        try:
            return sklearn_text.CountVectorizer.fit_transform(self, raw_documents)
        finally:
            self._settle()


class CountVectorizer(_CompiledCounts, sklearn_text.CountVectorizer):
    r"""scikit-learn's ``CountVectorizer``, many times faster.

    Parameters, attributes, errors, warnings and results are those of
    :class:`sklearn.feature_extraction.text.CountVectorizer`, to the bit and with the order of the
    stored entries. Compiled are the analyzers ``"word"``, ``"char"`` and ``"char_wb"`` with
    any ``ngram_range`` from 0, patterns of tokens that are runs of word characters or of
    what is no white space (``\b\w\w+\b``, ``\w+``, ``\S+``), stop words,
    ``strip_accents="ascii"`` or ``"unicode"``. With a tokenizer, a preprocessor, an analyzer, a
    ``strip_accents`` or a pattern of your own, or in a subclass that changes how documents are
    analysed, scikit-learn's code runs.

    Parameters
    ----------
    input, encoding, decode_error, strip_accents, lowercase, preprocessor, tokenizer
        As in :class:`sklearn.feature_extraction.text.CountVectorizer`.
    stop_words, token_pattern, ngram_range, analyzer, max_df, min_df, max_features
        Likewise.
    vocabulary, binary, dtype
        Likewise.
    n_jobs : int or None, default=None
        Threads, which read blocks of documents. The result does not depend on it. None is one
        thread unless a :obj:`joblib.parallel_backend` says otherwise, -1 all processors.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Columns of the terms.
    fixed_vocabulary_ : bool
        Whether ``vocabulary`` was given.

    Notes
    -----
    Memory: the matrix; for each new term 40 to 90 bytes and its UTF-8, as long as ``fit`` works,
    and then the dict ``vocabulary_``; one normalised text; the documents of a list are not
    copied, of an iterator about a million characters wait. ``transform`` keeps a table of the
    vocabulary of the same size, which is not pickled. Several threads hold a copy of the
    matrix while they join its parts.

    Examples
    --------
    >>> from skmultireduce.text import CountVectorizer
    >>> vectorizer = CountVectorizer(ngram_range=(1, 2))
    >>> X = vectorizer.fit_transform(["bake the bread", "the bread is baked"])
    >>> vectorizer.get_feature_names_out()
    array(['bake', 'bake the', 'baked', 'bread', 'bread is', 'is', 'is baked',
           'the', 'the bread'], dtype=object)
    >>> X.toarray()
    array([[1, 1, 0, 1, 0, 0, 0, 1, 1],
           [0, 0, 1, 1, 1, 1, 1, 1, 1]])
    """

    _parameter_constraints: dict = {
        **sklearn_text.CountVectorizer._parameter_constraints,
        **_N_JOBS,
    }

    def __init__(
        self,
        *,
        input="content",  # noqa: A002
        encoding="utf-8",
        decode_error="strict",
        strip_accents=None,
        lowercase=True,
        preprocessor=None,
        tokenizer=None,
        stop_words=None,
        token_pattern=r"(?u)\b\w\w+\b",
        ngram_range=(1, 1),
        analyzer="word",
        max_df=1.0,
        min_df=1,
        max_features=None,
        vocabulary=None,
        binary=False,
        dtype=np.int64,
        n_jobs=None,
    ) -> None:
        super().__init__(
            input=input,
            encoding=encoding,
            decode_error=decode_error,
            strip_accents=strip_accents,
            lowercase=lowercase,
            preprocessor=preprocessor,
            tokenizer=tokenizer,
            stop_words=stop_words,
            token_pattern=token_pattern,
            ngram_range=ngram_range,
            analyzer=analyzer,
            max_df=max_df,
            min_df=min_df,
            max_features=max_features,
            vocabulary=vocabulary,
            binary=binary,
            dtype=dtype,
        )
        self.n_jobs = n_jobs


class TfidfVectorizer(_CompiledCounts, sklearn_text.TfidfVectorizer):
    r"""scikit-learn's ``TfidfVectorizer``, many times faster.

    Parameters, attributes, errors, warnings and results are those of
    :class:`sklearn.feature_extraction.text.TfidfVectorizer`, to the bit and with the order of the
    stored entries; what is compiled is said at :class:`CountVectorizer`.

    Parameters
    ----------
    input, encoding, decode_error, strip_accents, lowercase, preprocessor, tokenizer
        As in :class:`sklearn.feature_extraction.text.TfidfVectorizer`.
    analyzer, stop_words, token_pattern, ngram_range, max_df, min_df, max_features
        Likewise.
    vocabulary, binary, dtype, norm, use_idf, smooth_idf, sublinear_tf
        Likewise.
    n_jobs : int or None, default=None
        Threads, which read blocks of documents. The result does not depend on it. None is one
        thread unless a :obj:`joblib.parallel_backend` says otherwise, -1 all processors.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Columns of the terms.
    fixed_vocabulary_ : bool
        Whether ``vocabulary`` was given.
    idf_ : array of shape (n_features,)
        Inverse document frequencies, with ``use_idf=True``.

    Examples
    --------
    >>> from skmultireduce.text import TfidfVectorizer
    >>> vectorizer = TfidfVectorizer(sublinear_tf=True)
    >>> X = vectorizer.fit_transform(["bake the bread", "the bread is baked"])
    >>> X.toarray().round(2)
    array([[0.7 , 0.  , 0.5 , 0.  , 0.5 ],
           [0.  , 0.58, 0.41, 0.58, 0.41]])
    """

    _parameter_constraints: dict = {
        **sklearn_text.TfidfVectorizer._parameter_constraints,
        **_N_JOBS,
    }

    def __init__(
        self,
        *,
        input="content",  # noqa: A002
        encoding="utf-8",
        decode_error="strict",
        strip_accents=None,
        lowercase=True,
        preprocessor=None,
        tokenizer=None,
        analyzer="word",
        stop_words=None,
        token_pattern=r"(?u)\b\w\w+\b",
        ngram_range=(1, 1),
        max_df=1.0,
        min_df=1,
        max_features=None,
        vocabulary=None,
        binary=False,
        dtype=np.float64,
        norm="l2",
        use_idf=True,
        smooth_idf=True,
        sublinear_tf=False,
        n_jobs=None,
    ) -> None:
        super().__init__(
            input=input,
            encoding=encoding,
            decode_error=decode_error,
            strip_accents=strip_accents,
            lowercase=lowercase,
            preprocessor=preprocessor,
            tokenizer=tokenizer,
            analyzer=analyzer,
            stop_words=stop_words,
            token_pattern=token_pattern,
            ngram_range=ngram_range,
            max_df=max_df,
            min_df=min_df,
            max_features=max_features,
            vocabulary=vocabulary,
            binary=binary,
            dtype=dtype,
            norm=norm,
            use_idf=use_idf,
            smooth_idf=smooth_idf,
            sublinear_tf=sublinear_tf,
        )
        self.n_jobs = n_jobs

    def fit_transform(self, raw_documents: Iterable, y: Any = None):
        """Learn the vocabulary and the weights of its terms; the matrix of the documents.

        Parameters
        ----------
        raw_documents : iterable
            Of str, bytes, or what ``input`` says. Each document is read once.
        y : None
            Not used.

        Returns
        -------
        X : CSR matrix of shape (n_samples, n_features)
            The one of scikit-learn's class.
        """
        self._check_params()
        X = self._counted(raw_documents)
        idf = None
        if self.use_idf:
            idf = idf_of(document_counts(X), X.shape[0], X.dtype, self.smooth_idf)
        with_idf(self, idf)
        return self._weighted(X, idf)

    def _weighted(self, X: Any, idf: np.ndarray | None):
        """scikit-learn's steps without its checks of a matrix that was made just now."""
        if X.dtype not in (np.float64, np.float32):
            X = X.astype(np.float64)
        weights = self._tfidf
        for first in range(0, len(X.data), _VALUES_AT_ONCE):
            part = slice(first, first + _VALUES_AT_ONCE)
            values = X.data[part]
            if weights.sublinear_tf:
                np.log(values, values)
                values += 1.0
            if idf is not None:
                values *= idf[X.indices[part]]
        if weights.norm is not None:
            _NORMALIZE[weights.norm](X)
        return X

    @_reads_lines
    def transform(self, raw_documents: Iterable):
        """Return the matrix of the documents.

        Parameters
        ----------
        raw_documents : iterable
            Of str, bytes, or what ``input`` says. Each document is read once.

        Returns
        -------
        X : CSR matrix of shape (n_samples, n_features)

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        weights = getattr(self, "_tfidf", None)
        n_columns = len(getattr(self, "vocabulary_", ()))
        idf = vars(weights).get("idf_") if type(weights) is TfidfTransformer else None
        if (
            idf is None
            or not isinstance(idf, np.ndarray)
            or idf.shape != (n_columns,)
            or getattr(weights, "n_features_in_", n_columns) != n_columns
            or not (weights.norm is None or weights.norm in _NORMALIZE)
        ):
            return super().transform(raw_documents)
        return self._weighted(sklearn_text.CountVectorizer.transform(self, raw_documents), idf)


class HashingVectorizer(sklearn_text.HashingVectorizer, auto_wrap_output_keys=None):
    r"""scikit-learn's ``HashingVectorizer``, many times faster.

    Parameters, attributes, errors, warnings and results are those of
    :class:`sklearn.feature_extraction.text.HashingVectorizer`, to the bit; what is compiled is
    said at :class:`CountVectorizer`, with ``dtype`` float64, float32, int64 or int32.

    Parameters
    ----------
    input, encoding, decode_error, strip_accents, lowercase, preprocessor, tokenizer
        As in :class:`sklearn.feature_extraction.text.HashingVectorizer`.
    stop_words, token_pattern, ngram_range, analyzer, n_features, binary, norm
        Likewise.
    alternate_sign, dtype
        Likewise.
    n_jobs : int or None, default=None
        Threads, which read blocks of documents. The result does not depend on it. None is one
        thread unless a :obj:`joblib.parallel_backend` says otherwise, -1 all processors.

    Examples
    --------
    >>> from skmultireduce.text import HashingVectorizer
    >>> vectorizer = HashingVectorizer(n_features=8, alternate_sign=False, norm=None)
    >>> vectorizer.transform(["bake the bread", "the bread is baked"]).toarray()
    array([[0., 0., 1., 0., 0., 0., 1., 1.],
           [0., 0., 0., 0., 0., 1., 2., 1.]])
    """

    _parameter_constraints: dict = {
        **sklearn_text.HashingVectorizer._parameter_constraints,
        **_N_JOBS,
    }

    def __init__(
        self,
        *,
        input="content",  # noqa: A002
        encoding="utf-8",
        decode_error="strict",
        strip_accents=None,
        lowercase=True,
        preprocessor=None,
        tokenizer=None,
        stop_words=None,
        token_pattern=r"(?u)\b\w\w+\b",
        ngram_range=(1, 1),
        analyzer="word",
        n_features=2**20,
        binary=False,
        norm="l2",
        alternate_sign=True,
        dtype=np.float64,
        n_jobs=None,
    ) -> None:
        super().__init__(
            input=input,
            encoding=encoding,
            decode_error=decode_error,
            strip_accents=strip_accents,
            lowercase=lowercase,
            preprocessor=preprocessor,
            tokenizer=tokenizer,
            stop_words=stop_words,
            token_pattern=token_pattern,
            ngram_range=ngram_range,
            analyzer=analyzer,
            n_features=n_features,
            binary=binary,
            norm=norm,
            alternate_sign=alternate_sign,
            dtype=dtype,
        )
        self.n_jobs = n_jobs

    @_reads_lines
    def transform(self, X: Iterable):
        """Return the matrix of the documents.

        Parameters
        ----------
        X : iterable
            Of str, bytes, or what ``input`` says. Each document is read once.

        Returns
        -------
        X : CSR matrix of shape (n_samples, n_features)
        """
        analysis = None
        if isinstance(self.n_features, Integral) and self.n_features < 1:
            # Without fit nothing has looked at it, and scikit-learn divides by it.
            self._validate_params()
        elif (
            not isinstance(X, str)
            and isinstance(self.n_features, Integral)
            and self.n_features < 2**31
            and _is_hashed_dtype(self.dtype)
            and (self.norm is None or self.norm in _NORMALIZE)
            and not overridden(self, sklearn_text.HashingVectorizer, ("_get_hasher",))
        ):
            analysis = find_analysis(self, sklearn_text.HashingVectorizer)
        if analysis is None:
            return super().transform(X)
        hashed = hash_rows(self, analysis, X, np.dtype(self.dtype))
        if hashed is None:
            # scikit-learn's error.
            return super().transform([])
        if self.binary:
            hashed.data.fill(1)
        if self.norm is None:
            return hashed
        if hashed.dtype.kind == "i":
            return normalize(hashed, norm=self.norm, copy=False)
        _NORMALIZE[self.norm](hashed)
        return hashed


def load_fasttext(path: str | os.PathLike, *, label_prefix: str = "__label__") -> Pipeline:
    """Read a supervised model of fastText as a fitted pipeline.

    Parameters
    ----------
    path : str or path-like
        A ``.bin`` file, or ``.ftz`` (quantised, pruned). The fastText package is not needed.
    label_prefix : str, default="__label__"
        What marks labels; it is taken off their names.

    Returns
    -------
    pipeline : :class:`~sklearn.pipeline.Pipeline`
        Of a vectorizer with fastText's features (its ``target_names_`` are the names of the
        columns of predictions) and a :class:`~skmultireduce.MultiLabelMLPClassifier`:
        ``reduction="pick_one"`` for the loss softmax, ``"one_vs_rest"`` for ova and ns.
        Its probabilities are fastText's, which reports 1e-5 more, and for ova and ns looks
        sigmoids up in a table.

    Raises
    ------
    ValueError
        If the file is none, is cut short or contradicts itself, and for the loss hs, whose
        tree no estimator here has.

    Examples
    --------
    >>> from skmultireduce.text import load_fasttext
    >>> model = load_fasttext("model.ftz")  # doctest: +SKIP
    >>> model.predict_proba(["how to bake bread"])  # doctest: +SKIP
    """
    vectorizer, found = vectorizer_of(path, label_prefix)
    if found.loss == "hs":
        raise ValueError(
            f"{path} was trained with the loss hs (hierarchical softmax), which has no estimator "
            "here. Train it with -loss softmax, ova or ns."
        )
    n_features, dim = found.embedding.shape
    n_labels = len(found.output)
    classifier = MultiLabelMLPClassifier(
        reduction="pick_one" if found.loss == "softmax" else "one_vs_rest",
        embedding_dim=dim,
        fit_intercept=False,
        random_state=0,
    )
    # A pass over a row of ten features gives all of a fitted model its shape.
    columns = np.arange(min(10, n_features))
    X = sp.csr_array((np.ones(len(columns)), columns, [0, len(columns)]), shape=(1, n_features))
    with warnings.catch_warnings():
        # Of columns that this row does not have.
        warnings.simplefilter("ignore", UserWarning)
        classifier.partial_fit(X, np.eye(1, n_labels, dtype=np.int8))
    classifier.embedding_[:] = found.embedding
    classifier.coefs_[-1][:] = found.output.T
    return make_pipeline(vectorizer, classifier)
