"""fastText's text format: one row a line, labels marked by a prefix.

``__label__cheese __label__sauce how much does potato starch affect a cheese sauce``
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from .._data.label_sets import LabelSets
from .._data.notices import warn
from .._sklearn import HasMethods, _align_api_if_sparse, validate_params
from .blocks import SIZE, Blocks, LabelCount, check_names, columns_of
from .files import check_encoding, iter_lines, refuse_pipe

__all__ = ["FastTextBlocks", "iter_fasttext", "read_fasttext"]

_SEPARATORS = " \t\v\f\r\0\n"
_BLANKS = re.escape(_SEPARATORS)
_WORDS = re.compile(f"[^{_BLANKS}]+").findall
_ODD = '[,;|"\u200b\u200c\u200d\u2060\ufeff]'


@validate_params(
    {
        "source": "no_validation",
        "label_prefix": [str],
        "target_names": ["array-like", None],
        "encoding": [str],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def read_fasttext(
    source: str | os.PathLike | Iterable[str],
    *,
    label_prefix: str = "__label__",
    target_names: Any = None,
    encoding: str = "utf-8",
    return_X_y: bool = False,
) -> Any:
    r"""Read multi-label text in fastText's format.

    A line is a row. Its words that start with `label_prefix` are the labels, wherever
    they stand; what is left is the text. Lines are read one by one, so memory holds the
    texts and no second copy of the file.

    Parameters
    ----------
    source : str, path-like, or iterable of str
        A file, or lines. gzip, bzip2 and xz are unpacked, whatever the name is.
    label_prefix : str, default="__label__"
        What marks a label.
    target_names : array-like of shape (n_labels,), default=None
        The labels and their order. By default those that occur, sorted. Pass the names
        of the training file to read a test file: labels that are not among them are
        counted and left out, with one warning.
    encoding : str, default="utf-8"
        Encoding of the file.
    return_X_y : bool, default=False
        If True, return ``(data, target)``.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        data : list of str
            Text of each row, without the labels.
        target : CSR of shape (n_rows, n_labels), int8
            1 where the row has the label. Rows without labels stay.
        target_names : ndarray of shape (n_labels,)
            Labels, without the prefix.
        n_blank : int
            Number of blank lines, which are not rows.
        n_unknown : int
            Number of labels in the lines that are not in `target_names`.

    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    ValueError
        With the number of the line, if a label has no name or the line is not in
        `encoding`; if there are no rows; if no row has a label and `target_names` is not
        given; if `target_names` has duplicates.

    Warns
    -----
    UserWarning
        If there are labels that are not in `target_names`.

    See Also
    --------
    iter_fasttext : The same in batches, for files that do not fit into memory.

    References
    ----------
    The format is that of ``fasttext supervised``; see https://fasttext.cc.

    Examples
    --------
    >>> from skmultireduce.datasets import read_fasttext
    >>> train = read_fasttext([
    ...     "__label__sauce __label__cheese how much potato starch",
    ...     "__label__bread why does it not rise",
    ... ])
    >>> train.data
    ['how much potato starch', 'why does it not rise']
    >>> train.target_names.tolist()
    ['bread', 'cheese', 'sauce']
    >>> train.target.toarray()
    array([[0, 1, 1],
           [1, 0, 0]], dtype=int8)
    """
    _check_source(source, label_prefix, encoding)
    reader = _Reader(source, label_prefix, encoding)
    rows = list(reader)
    if not rows:
        raise ValueError(f"{reader.name} has no rows: every line is blank.")
    target_names = (
        _label_names(rows, reader) if target_names is None else check_names(target_names)
    )
    count = LabelCount(reader.name, target_names)
    target, unknown = _encode(rows, columns_of(target_names))
    count.add(target.nnz, unknown)
    count.warn()
    reader.warn_odd()
    data = [text for text, _ in rows]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        n_blank=reader.n_blank,
        n_unknown=count.n_unknown,
    )


@validate_params(
    {
        "source": "no_validation",
        "batch_size": [SIZE],
        "label_prefix": [str],
        "target_names": ["array-like", None],
        "encoding": [str],
    },
    prefer_skip_nested_validation=True,
)
def iter_fasttext(
    source: str | os.PathLike | Iterable[str],
    *,
    batch_size: int = 1000,
    label_prefix: str = "__label__",
    target_names: Any = None,
    encoding: str = "utf-8",
) -> Iterator[Bunch]:
    """Read multi-label text in fastText's format batch by batch, for ``partial_fit``.

    Parameters
    ----------
    source : str, path-like, or iterable of str
        A file, or lines. gzip, bzip2 and xz are unpacked, whatever the name is.
    batch_size : int, default=1000
        Number of rows of a batch; the last one may have fewer.
    label_prefix : str, default="__label__"
        What marks a label.
    target_names : array-like of shape (n_labels,), default=None
        The labels and their order. By default the file is read once more before the
        first batch to collect them; this needs a file or a list, not an iterator.
    encoding : str, default="utf-8"
        Encoding of the file.

    Returns
    -------
    batches : iterator of :class:`~sklearn.utils.Bunch`
        With ``data``, ``target``, ``target_names``, ``n_blank`` and ``n_unknown`` as in
        :func:`read_fasttext`; the counts are those up to the end of the batch.

    Raises
    ------
    ValueError
        As :func:`read_fasttext`, and if `source` is an iterator and `target_names` is
        not given.

    Warns
    -----
    UserWarning
        With the last batch, if there are labels that are not in `target_names`.

    See Also
    --------
    read_fasttext : The whole file at once.

    Examples
    --------
    >>> from skmultireduce.datasets import iter_fasttext
    >>> lines = ["__label__a one", "__label__b two", "__label__a three"]
    >>> for batch in iter_fasttext(lines, batch_size=2):
    ...     print(batch.data, batch.target.toarray().tolist())
    ['one', 'two'] [[1, 0], [0, 1]]
    ['three'] [[1, 0]]
    """
    # Not a generator itself, so that errors come with the call.
    _check_source(source, label_prefix, encoding)
    reader = _Reader(source, label_prefix, encoding)
    if target_names is None:
        if isinstance(source, Iterator):
            raise ValueError(
                "source is an iterator, which can be read just once. Pass `target_names`, or "
                "a path or list of lines, from which the label names can be collected first."
            )
        if isinstance(source, str | os.PathLike):
            refuse_pipe(source)
        target_names = _label_names(reader, reader)
    else:
        target_names = check_names(target_names)
    return _batches(reader, batch_size, target_names)


def _batches(reader: _Reader, batch_size: int, target_names: np.ndarray) -> Iterator[Bunch]:
    columns = columns_of(target_names)
    rows = iter(reader)
    count = LabelCount(reader.name, target_names)
    while batch := list(islice(rows, batch_size)):
        target, unknown = _encode(batch, columns)
        count.add(target.nnz, unknown)
        yield Bunch(
            data=[text for text, _ in batch],
            target=target,
            target_names=target_names,
            n_blank=reader.n_blank,
            n_unknown=count.n_unknown,
        )
    count.warn()
    reader.warn_odd()


class FastTextBlocks(Blocks):
    r"""Blocks of a text file in fastText's format, for ``fit_stream``.

    Parameters
    ----------
    source : str, path-like, or list of str
        A file, or lines. gzip, bzip2 and xz are unpacked, whatever the name is.
    vectorizer : object with a method ``transform``
        Turns a list of texts into X: one without a vocabulary, as
        `skmultireduce.text.HashingVectorizer`, or one that is fitted. Most time is spent
        there with scikit-learn's; ours gives the same matrices many times faster. With
        ``token_pattern=r"\S+", lowercase=False`` words are what blanks separate.
    target_names : array-like of shape (n_labels,), default=None
        The labels and their order. By default the file is read once to collect them.
    block_size : int, default=10000
        Number of rows of a block; the last one may have fewer.
    label_prefix : str, default="__label__"
        What marks a label.
    encoding : str, default="utf-8"
        Encoding of the file.

    Attributes
    ----------
    target_names : ndarray of shape (n_labels,)
        Labels, without the prefix.

    Raises
    ------
    ValueError
        As :func:`read_fasttext`, and if `source` is an iterator.

    Warns
    -----
    UserWarning
        At the end of the first reading, if there are labels that are not in
        `target_names`; they are left out and the rows stay.

    See Also
    --------
    iter_fasttext : Texts in batches, without a vectorizer.

    Examples
    --------
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.datasets import FastTextBlocks
    >>> from skmultireduce.text import HashingVectorizer
    >>> lines = ["__label__a one two", "__label__b two three", "__label__a one"] * 10
    >>> blocks = FastTextBlocks(lines, HashingVectorizer(n_features=2**10), block_size=8)
    >>> model = MultiLabelSGDClassifier(random_state=0).fit_stream(blocks)
    >>> blocks.target_names[model.predict(blocks.vectorizer.transform(["one"])).indices].tolist()
    ['a']
    """

    @validate_params(
        {
            "source": "no_validation",
            "vectorizer": [HasMethods("transform")],
            "target_names": ["array-like", None],
            "block_size": [SIZE],
            "label_prefix": [str],
            "encoding": [str],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self,
        source: str | os.PathLike | Iterable[str],
        vectorizer: Any,
        *,
        target_names: Any = None,
        block_size: int = 10_000,
        label_prefix: str = "__label__",
        encoding: str = "utf-8",
    ) -> None:
        _check_source(source, label_prefix, encoding)
        if isinstance(source, Iterator):
            raise ValueError(
                "source is an iterator, which can be read just once. Pass a path or a list of "
                "lines."
            )
        if isinstance(source, str | os.PathLike):
            refuse_pipe(source)
        self.vectorizer = vectorizer
        self.block_size = block_size
        self._reader = _Reader(source, label_prefix, encoding)
        self._name = self._reader.name
        if target_names is None:
            self.target_names = _label_names(self._reader, self._reader)
        else:
            self.target_names = check_names(target_names)
        self._columns = columns_of(self.target_names)

    def _raw_blocks(self) -> Iterator[list]:
        rows = iter(self._reader)
        while block := list(islice(rows, self.block_size)):
            yield block
            del block

    def _read(self, block: list) -> tuple[Any, Any, list]:
        y, unknown = _encode(block, self._columns)
        return self.vectorizer.transform([text for text, _ in block]), y, unknown

    def _warn(self) -> None:
        self._reader.warn_odd()


class _Reader:
    """(text, labels) of each row; can be iterated as often as its source.

    Words end where they end for fastText: at space, tab, vertical tab, form feed, carriage
    return, NUL or newline. Blanks of Unicode are letters of words, as there.
    """

    def __init__(self, source: Any, label_prefix: str, encoding: str) -> None:
        self.source = source
        self.label_prefix = label_prefix
        self.encoding = encoding
        self.is_path = isinstance(source, str | os.PathLike)
        self.name = os.fspath(source) if self.is_path else "source"
        self.n_blank = 0
        self.n_odd = 0
        self._first_odd = ""
        self._warned = False
        prefix = re.escape(label_prefix)
        # Labels nearly always come first: one match, whatever their number.
        self._leading = re.compile(rf"(?:{prefix}[^{_BLANKS}]*(?:[{_BLANKS}]+|$))+")
        # A mark inside of a word, quotes, commas, characters that are not seen.
        self._odd = re.compile(rf"[^{_BLANKS}]{prefix}|{_ODD}")

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        prefix, skip = self.label_prefix, len(self.label_prefix)
        leading, odd = self._leading.match, self._odd.search
        self.n_blank = self.n_odd = 0
        for number, line in enumerate(self._lines(), start=1):
            if number == 1:
                line = line.removeprefix("\ufeff")  # byte order mark
            text = line.strip(_SEPARATORS)
            if not text:
                self.n_blank += 1
                continue
            labels: list[str] = []
            if head := leading(text):
                words = head.group()
                text = text[head.end() :]
                if odd(words):
                    self._count_odd(words, number, line)
                labels = [word[skip:] for word in _WORDS(words)]
            if prefix in text:
                words = _WORDS(text)
                marked = [word for word in words if prefix in word]
                if odd(" ".join(marked)):
                    self._count_odd(" ".join(marked), number, line)
                found = [word[skip:] for word in marked if word.startswith(prefix)]
                if found:
                    labels += found
                    text = " ".join(word for word in words if not word.startswith(prefix))
            if "" in labels:
                raise ValueError(
                    f"{self.name}, line {number}: {prefix!r} without the name of a label. Put "
                    "the name right behind it, or take it out."
                )
            yield text.replace("\0", " "), labels

    def _lines(self) -> Iterator[str]:
        if self.is_path:
            yield from iter_lines(self.source, self.encoding)
            return
        for number, line in enumerate(self.source, start=1):
            if isinstance(line, bytes):
                try:
                    line = line.decode(self.encoding)
                except UnicodeDecodeError as error:
                    raise ValueError(
                        f"{self.name}, line {number}: not {self.encoding} ({error}). Pass the "
                        "`encoding` of the file."
                    ) from error
            elif not isinstance(line, str):
                raise ValueError(f"{self.name}, line {number}: expected a str, got {line!r}.")
            yield line

    def _count_odd(self, words: str, number: int, line: str) -> None:
        if not self.n_odd:
            self._first_odd = f"line {number}, {line.strip(_SEPARATORS)[:80]!r}"
        self.n_odd += sum(self._odd.search(word) is not None for word in _WORDS(words))

    def warn_odd(self) -> None:
        """Say once how many marks of labels are in odd places."""
        if self.n_odd and not self._warned:
            self._warned = True
            warn(
                "odd marks",
                f"{self.name} has {self.n_odd} marks of labels in odd places, first in "
                f"{self._first_odd}. They are read as fastText reads them: a word that starts "
                f"with {self.label_prefix!r} is one label up to the next blank, a word with "
                "something in front of it is no label. Where that is not meant, take out "
                "quotes of CSV files, commas, byte order marks and characters without width, "
                "and put blanks between labels.",
            )


def _check_source(source: Any, label_prefix: str, encoding: str) -> None:
    if not isinstance(source, str | os.PathLike) and (
        isinstance(source, bytes) or not isinstance(source, Iterable)
    ):
        raise ValueError(
            f"source should be a path or an iterable of lines, got {type(source).__name__}."
        )
    if label_prefix.split() != [label_prefix]:
        raise ValueError(
            f"label_prefix should be a word without blanks, got {label_prefix!r}; fastText's "
            "is '__label__'."
        )
    check_encoding(encoding)


def _label_names(rows: Iterable[tuple[str, list[str]]], reader: _Reader) -> np.ndarray:
    found: set[str] = set()
    n_rows = 0
    for _, labels in rows:
        found.update(labels)
        n_rows += 1
    if not n_rows:
        raise ValueError(f"{reader.name} has no rows: every line is blank.")
    names = sorted(found)
    if not names:
        raise ValueError(
            f"{reader.name} has no label: no word starts with {reader.label_prefix!r}. Pass "
            "the `label_prefix` of your file, or `target_names` to read it without labels."
        )
    return check_names(names)


def _encode(rows: list[tuple[str, list[str]]], columns: dict[str, int]) -> tuple[Any, list[str]]:
    """Make the indicator matrix of the rows, and list labels without a column."""
    indptr = np.zeros(len(rows) + 1, dtype=np.int64)
    indices: list[int] = []
    unknown: list[str] = []
    for i, (_, labels) in enumerate(rows):
        known = {columns[label] for label in labels if label in columns}
        unknown += [label for label in dict.fromkeys(labels) if label not in columns]
        indices += sorted(known)
        indptr[i + 1] = len(indices)
    label_sets = LabelSets(indptr, np.array(indices, dtype=np.int32), len(columns))
    return _align_api_if_sparse(label_sets.to_csr()), unknown
