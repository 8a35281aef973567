"""Readers for `fit_stream`: files as blocks (X, y), one in memory, as often as needed."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_svmlight_file

from .._sklearn import HasMethods, Interval, StrOptions, _align_api_if_sparse, validate_params
from .fasttext import (
    _check_names,
    _check_source,
    _columns,
    _encode,
    _label_names,
    _Reader,
    _warn_unknown,
)

__all__ = ["FastTextBlocks", "ParquetBlocks", "SVMLightBlocks"]

_SIZE = Interval(Integral, 1, None, closed="left")
_PATH = [str, os.PathLike]


class _Blocks:
    """What the readers share: blocks by number, and one warning of unknown labels."""

    _name: str
    _warned = False

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self.iter_from(0)

    def iter_from(self, n_blocks: int) -> Iterator[tuple[Any, Any]]:
        """Blocks after the first `n_blocks`, which are passed over without being parsed.

        Parameters
        ----------
        n_blocks : int
            Number of blocks to pass over.

        Yields
        ------
        X, y : {ndarray, CSR}, CSR or ndarray
            Rows and label sets of a block.
        """
        raw = islice(self._raw_blocks(), n_blocks, None)
        n_unknown = 0
        while (block := next(raw, None)) is not None:
            X, y, unknown = self._read(block)
            n_unknown += unknown
            # Nothing of a block stays while the next one is made.
            del block
            yield X, y
            del X, y
        if n_blocks == 0 and not self._warned:
            self._warned = True
            _warn_unknown(n_unknown, self._name, stacklevel=2)

    def _raw_blocks(self) -> Iterator[Any]:
        raise NotImplementedError

    def _read(self, block: Any) -> tuple[Any, Any, int]:
        """X, y and the number of labels that are not known."""
        raise NotImplementedError


class FastTextBlocks(_Blocks):
    """Blocks of a text file in fastText's format, for ``fit_stream``.

    Parameters
    ----------
    source : str, path-like, or list of str
        A file (``.gz`` is unpacked), or lines.
    vectorizer : object with a method ``transform``
        Turns a list of texts into X: one without a vocabulary, as
        `sklearn.feature_extraction.text.HashingVectorizer`, or one that is fitted. Nearly
        all time is spent there; ``HashingVectorizer(analyzer=str.split,
        alternate_sign=False, dtype="float32")`` is twice as fast as the default if words
        are separated by blanks.
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
    >>> from sklearn.feature_extraction.text import HashingVectorizer
    >>> from skmultireduce import MultiLabelSGDClassifier
    >>> from skmultireduce.datasets import FastTextBlocks
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
            "block_size": [_SIZE],
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
        _check_source(source, label_prefix)
        if isinstance(source, Iterator):
            raise ValueError(
                "source is an iterator, which can be read just once. Pass a path or a list of "
                "lines."
            )
        self.vectorizer = vectorizer
        self.block_size = block_size
        self._reader = _Reader(source, label_prefix, encoding)
        self._name = self._reader.name
        if target_names is None:
            self.target_names = _label_names(self._reader, self._reader)
        else:
            self.target_names = _check_names(target_names)
        self._columns = _columns(self.target_names)

    def _raw_blocks(self) -> Iterator[list]:
        rows = iter(self._reader)
        while block := list(islice(rows, self.block_size)):
            yield block
            del block

    def _read(self, block: list) -> tuple[Any, Any, int]:
        y, n_unknown = _encode(block, self._columns)
        return self.vectorizer.transform([text for text, _ in block]), y, n_unknown


class SVMLightBlocks(_Blocks):
    r"""Blocks of a multi-label file in svmlight's (libsvm's) format, for ``fit_stream``.

    A line is a row: labels, which are numbers, separated by commas, then the features, as
    ``1,4 7:0.5 12:1.0``. It is read by :func:`sklearn.datasets.load_svmlight_file`.

    Parameters
    ----------
    source : str or path-like
        A file (``.gz`` is unpacked).
    n_features : int, default=None
        Number of features. By default the file is read once to find it.
    target_names : array-like of shape (n_labels,), default=None
        The labels and their order. By default the file is read once to collect them.
    block_bytes : int, default=2**24
        Length of a block in the file; it ends with the line in which this is reached.
    zero_based : bool, default=False
        Whether features are counted from 0.
    dtype : {"float32", "float64"}, default="float32"
        Type of X.

    Attributes
    ----------
    target_names : ndarray of shape (n_labels,)
        Labels.
    n_features : int
        Number of features.

    Raises
    ------
    ValueError
        If the file has no rows, or a line is not of this form or has a feature beyond
        `n_features`; if `target_names` has duplicates.

    Warns
    -----
    UserWarning
        At the end of the first reading, if there are labels that are not in
        `target_names`; they are left out and the rows stay.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skmultireduce.datasets import SVMLightBlocks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "rows.svm")
    ...     _ = path.write_text("3,5 1:0.5 2:1\n5 2:0.25\n")
    ...     blocks = SVMLightBlocks(path)
    ...     for X, y in blocks:
    ...         print(X.toarray().tolist(), y.toarray().tolist(), blocks.target_names.tolist())
    [[0.5, 1.0], [0.0, 0.25]] [[1, 1], [0, 1]] [3, 5]
    """

    @validate_params(
        {
            "source": _PATH,
            "n_features": [_SIZE, None],
            "target_names": ["array-like", None],
            "block_bytes": [_SIZE],
            "zero_based": ["boolean"],
            "dtype": [StrOptions({"float32", "float64"})],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self,
        source: str | os.PathLike,
        *,
        n_features: int | None = None,
        target_names: Any = None,
        block_bytes: int = 2**24,
        zero_based: bool = False,
        dtype: str = "float32",
    ) -> None:
        self.source = source
        self.block_bytes = block_bytes
        self.zero_based = zero_based
        self.dtype = dtype
        self._name = os.fspath(source)
        self.n_features = n_features
        if n_features is None or target_names is None:
            found: set[float] = set()
            largest = 1
            for chunk in self._raw_blocks():
                X, labels = self._load(chunk)
                found.update(label for row in labels for label in row)
                largest = max(largest, X.shape[1])
            self.n_features = n_features or largest
            if target_names is None and not found:
                raise ValueError(
                    f"{self._name} has no label. Pass `target_names` to read it without labels."
                )
            target_names = sorted(found) if target_names is None else target_names
        try:
            target_names = np.asarray(target_names, dtype=np.float64)
        except ValueError as error:
            raise ValueError(
                f"target_names should hold numbers, which the labels are in this format: {error}."
            ) from error
        names = _check_names(target_names)
        whole = np.all(names == np.floor(names))
        self.target_names = names.astype(np.int64) if whole else names
        self._columns = {label: k for k, label in enumerate(names.tolist())}

    def _raw_blocks(self) -> Iterator[bytes]:
        opener = gzip.open if self._name.endswith(".gz") else open
        empty = True
        with opener(self.source, "rb") as file:
            while chunk := file.read(self.block_bytes) + file.readline():
                # What has nothing but comments and blank lines is no block.
                if re.search(rb"^\s*[^#\s]", chunk, re.MULTILINE):
                    empty = False
                    yield chunk
                del chunk
        if empty:
            raise ValueError(f"{self._name} has no rows.")

    def _load(self, chunk: bytes) -> tuple[Any, list]:
        try:
            return load_svmlight_file(
                BytesIO(chunk),
                n_features=self.n_features,
                dtype=self.dtype,
                multilabel=True,
                zero_based=self.zero_based,
            )
        except ValueError as error:
            raise ValueError(f"{self._name} is not valid: {error}") from error

    def _read(self, block: bytes) -> tuple[Any, Any, int]:
        X, labels = self._load(block)
        lengths = np.array([len(row) for row in labels], dtype=np.int64)
        columns = np.array([self._columns.get(k, -1) for row in labels for k in row], dtype=int)
        y = _indicator(lengths, columns, len(self.target_names))
        return X, y, int(np.count_nonzero(columns < 0))


class ParquetBlocks(_Blocks):
    """Blocks of a Parquet file, for ``fit_stream``; needs pyarrow.

    Parameters
    ----------
    source : str or path-like
        A file.
    features : str or list of str
        Numeric columns; or one column, of texts (with `vectorizer`) or of lists of
        numbers, all of one length.
    labels : str or list of str
        Columns of 0 and 1, one for each label; or one column of lists of labels.
    vectorizer : object with a method ``transform``, default=None
        Turns a list of texts into X: one without a vocabulary, as
        `sklearn.feature_extraction.text.HashingVectorizer`, or one that is fitted.
    target_names : array-like of shape (n_labels,), default=None
        For a column of lists, the labels and their order. By default this column is read
        once to collect them.
    block_size : int, default=10000
        Largest number of rows of a block.

    Attributes
    ----------
    target_names : ndarray of shape (n_labels,)
        Labels.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If the file does not have these columns, or they are of other types.

    Warns
    -----
    UserWarning
        At the end of the first reading, if there are labels that are not in
        `target_names`; they are left out and the rows stay.

    Examples
    --------
    >>> from skmultireduce.datasets import ParquetBlocks
    >>> blocks = ParquetBlocks(
    ...     "questions.parquet", features="text", labels="tags", vectorizer=vectorizer
    ... )  # doctest: +SKIP
    >>> model.fit_stream(blocks)  # doctest: +SKIP
    """

    @validate_params(
        {
            "source": _PATH,
            "features": [str, list],
            "labels": [str, list],
            "vectorizer": [HasMethods("transform"), None],
            "target_names": ["array-like", None],
            "block_size": [_SIZE],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self,
        source: str | os.PathLike,
        *,
        features: str | list[str],
        labels: str | list[str],
        vectorizer: Any = None,
        target_names: Any = None,
        block_size: int = 10_000,
    ) -> None:
        self.source = source
        self.features = features
        self.labels = labels
        self.vectorizer = vectorizer
        self.block_size = block_size
        self._name = os.fspath(source)
        self._check_columns()
        if isinstance(labels, list):
            if target_names is not None:
                raise ValueError(
                    "target_names is for labels in one column of lists; here labels are the "
                    "columns. Leave target_names=None."
                )
            target_names = labels
        elif target_names is None:
            found: set = set()
            for batch in self._raw_blocks([labels]):
                found.update(batch.column(0).flatten().unique().drop_null().to_pylist())
            if not found:
                raise ValueError(f"{self._name} has no label in the column {labels!r}.")
            target_names = sorted(found)
        self.target_names = _check_names(target_names)

    def _check_columns(self) -> None:
        try:
            from pyarrow import parquet, types
        except ImportError as error:
            raise ImportError(
                "ParquetBlocks needs pyarrow. Install it with pip install "
                "'skmultireduce[parquet]'."
            ) from error

        schema = parquet.read_schema(self.source)

        def is_list(kind: Any) -> bool:
            return (
                types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
            )

        def is_number(kind: Any) -> bool:
            return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)

        def is_text(kind: Any) -> bool:
            return types.is_string(kind) or types.is_large_string(kind)

        def check(argument: str, name: str, fits: bool, wanted: str) -> None:
            if not fits:
                raise ValueError(
                    f"{argument} has the column {name!r}, which is of type "
                    f"{schema.field(name).type}; {wanted} is needed."
                )

        if self.vectorizer is not None and isinstance(self.features, list):
            raise ValueError(
                "vectorizer is for texts in one column; here features are columns of numbers. "
                "Give the name of the column of texts, or leave vectorizer=None."
            )
        for argument in ("features", "labels"):
            value = getattr(self, argument)
            if not value:
                raise ValueError(f"{argument} is empty; name at least one column.")
            for name in [value] if isinstance(value, str) else value:
                if name not in schema.names:
                    raise ValueError(
                        f"{argument} has {name!r}, but the columns of {self._name} are "
                        f"{schema.names}."
                    )
                kind = schema.field(name).type
                if isinstance(value, list):
                    check(argument, name, is_number(kind), "a column of numbers")
                elif argument == "labels":
                    check(argument, name, is_list(kind), "a column of lists of labels")
                elif self.vectorizer is not None:
                    check(argument, name, is_text(kind), "with a vectorizer, a column of texts")
                else:
                    fits = is_list(kind) and is_number(kind.value_type)
                    check(
                        argument, name, fits, "without a vectorizer, a column of lists of numbers"
                    )

    def _raw_blocks(self, columns: list[str] | None = None) -> Iterator[Any]:
        from pyarrow import parquet

        if columns is None:
            parts = (self.features, self.labels)
            columns = [n for part in parts for n in ([part] if isinstance(part, str) else part)]
        with parquet.ParquetFile(self.source) as file:
            for batch in file.iter_batches(self.block_size, columns=columns):
                if batch.num_rows:
                    yield batch
                del batch

    def _read(self, block: Any) -> tuple[Any, Any, int]:
        return self._read_features(block), *self._read_labels(block)

    def _read_features(self, block: Any) -> Any:
        if isinstance(self.features, list):
            return _to_matrix(block, self.features)
        column = block.column(self.features)
        if column.null_count:
            raise ValueError(
                f"The column {self.features!r} of {self._name} has rows without a value; fill "
                "them, or leave these rows out of the file."
            )
        if self.vectorizer is not None:
            return self.vectorizer.transform(column.to_pylist())
        values = column.flatten().to_numpy(zero_copy_only=False)
        if len(values) % len(column) or len(set(_lengths(column).tolist())) > 1:
            raise ValueError(
                f"The column {self.features!r} of {self._name} has lists of different lengths; "
                "one number for each feature is needed."
            )
        return values.reshape(len(column), -1)

    def _read_labels(self, block: Any) -> tuple[Any, int]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if isinstance(self.labels, list):
            return sp.csr_array(_to_matrix(block, self.labels)), 0
        column = block.column(self.labels)
        values = column.flatten()
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        try:
            known = pa.array(self.target_names.tolist()).cast(values.type)
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"target_names are not of the type of the labels, {values.type}: {error}. Pass "
                f"the labels as they are in the column {self.labels!r}."
            ) from error
        columns = pc.index_in(values, value_set=known).fill_null(-1).to_numpy()
        y = _indicator(_lengths(column), columns, len(self.target_names))
        return y, int(np.count_nonzero(columns < 0))


def _to_matrix(block: Any, names: list[str]) -> np.ndarray:
    columns = [block.column(name).to_numpy(zero_copy_only=False) for name in names]
    return np.column_stack(columns)


def _lengths(column: Any) -> np.ndarray:
    """Numbers of values of a column of lists; 0 where there is none."""
    import pyarrow.compute as pc

    return pc.list_value_length(column).fill_null(0).to_numpy()


def _indicator(lengths: np.ndarray, columns: np.ndarray, n_labels: int) -> Any:
    """CSR indicator of shape (n_rows, n_labels); columns of -1 are left out."""
    known = columns >= 0
    rows = np.repeat(np.arange(len(lengths)), lengths)[known]
    places = np.unique(rows * n_labels + columns[known])
    values = np.ones(len(places), dtype=np.int8)
    y = sp.csr_array((values, np.divmod(places, n_labels)), shape=(len(lengths), n_labels))
    return _align_api_if_sparse(y)
