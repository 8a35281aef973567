"""fastText's text format: one row a line, labels marked by a prefix.

``__label__cheese __label__sauce how much does potato starch affect a cheese sauce``
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from .._sklearn import HasMethods, validate_params
from .blocks import SIZE, Blocks, LabelCount, check_names
from .fasttext_reader import Reader, RowBlock
from .files import check_encoding, refuse_pipe

__all__ = ["FastTextBlocks", "iter_fasttext", "read_fasttext"]

# Rows that are read at a time where all are wanted.
_ROWS = 500


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
    reader = Reader(source, label_prefix, encoding)
    data: list[str] = []
    blocks = []
    names = None if target_names is None else check_names(target_names)
    for block in reader.blocks(_ROWS, names):
        data += block.texts()
        block.lines = []
        blocks.append(block)
    if not data:
        raise ValueError(f"{reader.name} has no rows: every line is blank.")
    target = RowBlock.stacked(blocks)
    if names is None:
        names, order = _sorted_names(reader)
        target.columns = order[target.columns]
    count = LabelCount(reader.name, names)
    y = target.indicator(len(names))
    count.add(y.nnz, target.unknown)
    count.warn()
    reader.warn_odd()
    if return_X_y:
        return data, y
    return Bunch(
        data=data,
        target=y,
        target_names=names,
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
    reader = Reader(source, label_prefix, encoding)
    if target_names is None:
        if isinstance(source, Iterator):
            raise ValueError(
                "source is an iterator, which can be read just once. Pass `target_names`, or "
                "a path or list of lines, from which the label names can be collected first."
            )
        if isinstance(source, str | os.PathLike):
            refuse_pipe(source)
        target_names = _label_names(reader)
    else:
        target_names = check_names(target_names)
    return _batches(reader, batch_size, target_names)


def _batches(reader: Reader, batch_size: int, target_names: np.ndarray) -> Iterator[Bunch]:
    count = LabelCount(reader.name, target_names)
    for block in reader.blocks(batch_size, target_names):
        y = block.indicator(len(target_names))
        count.add(y.nnz, block.unknown)
        yield Bunch(
            data=block.texts(),
            target=y,
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
    >>> lines = ["__label__a one two", "__label__b three four", "__label__a one five"] * 9
    >>> lines += ["__label__b six four", "__label__a seven", "__label__b eight nine"] * 9
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
        self._reader = Reader(source, label_prefix, encoding)
        self._name = self._reader.name
        if target_names is None:
            self.target_names = _label_names(self._reader)
        else:
            self.target_names = check_names(target_names)

    def _raw_blocks(self) -> Iterator[RowBlock]:
        return self._reader.blocks(self.block_size, self.target_names)

    def _read(self, block: RowBlock) -> tuple[Any, Any, list]:
        # Ours read the lines as they are in the file; others get a list of str.
        transform = self.vectorizer.transform
        X = transform(block.lines if hasattr(transform, "reads_lines") else block.texts())
        return X, block.indicator(len(self.target_names)), block.unknown

    def _warn(self) -> None:
        self._reader.warn_odd()


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


def _sorted_names(reader: Reader) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the rows that were read, sorted, and the new columns of the former ones."""
    found = reader.found
    if not found:
        raise ValueError(
            f"{reader.name} has no label: no word starts with {reader.label_prefix!r}. Pass "
            "the `label_prefix` of your file, or `target_names` to read it without labels."
        )
    order = sorted(range(len(found)), key=found.__getitem__)
    columns = np.empty(len(found), dtype=np.int32)
    columns[order] = np.arange(len(found), dtype=np.int32)
    return check_names([found[k] for k in order]), columns


def _label_names(reader: Reader) -> np.ndarray:
    n_rows = 0
    for block in reader.blocks(_ROWS, None):
        n_rows += block.n_rows
    if not n_rows:
        raise ValueError(f"{reader.name} has no rows: every line is blank.")
    return _sorted_names(reader)[0]
