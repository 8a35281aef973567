"""Parquet files: columns of numbers, texts and lists of labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._sklearn import HasMethods, validate_params
from .blocks import PATH, SIZE, Blocks, check_names, indicator
from .files import refuse_pipe

__all__ = ["ParquetBlocks"]


class ParquetBlocks(Blocks):
    """Blocks of a Parquet file, for ``fit_stream``; needs pyarrow.

    Parameters
    ----------
    source : str or path-like
        A file.
    features : str or list of str
        Numeric columns; or with `vectorizer` one or more columns of texts, which are
        joined by blanks; or one column of lists of numbers, all of one length. Views,
        categories and large types are read too.
    labels : str or list of str
        Columns of 0 and 1, one for each label; or one column of lists of labels, where
        missing lists and labels are none.
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
        If the file is none of Parquet, damaged or a pipe; if it does not have these columns,
        or they are of other types or have values missing; if none of the labels is in
        `target_names`.

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
            "source": PATH,
            "features": [str, list],
            "labels": [str, list],
            "vectorizer": [HasMethods("transform"), None],
            "target_names": ["array-like", None],
            "block_size": [SIZE],
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
        refuse_pipe(source)
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
            for _, batch in self._raw_blocks([labels]):
                found.update(_values(batch.column(0)).unique().drop_null().to_pylist())
            if not found:
                raise ValueError(
                    f"{self._name} has no label in the column {labels!r}. Pass `target_names` to "
                    "read it without labels."
                )
            if any(label != label for label in found):
                raise ValueError(
                    f"The column {labels!r} of {self._name} has the label NaN. Take it out."
                )
            target_names = sorted(found)
        self.target_names = check_names(target_names)

    def _check_columns(self) -> None:
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise ImportError(
                "ParquetBlocks needs pyarrow. Install it with pip install "
                "'skmultireduce[parquet]'."
            ) from error

        if "://" not in self._name:
            open(self.source, "rb").close()  # says why where this cannot be
        with _named(self._name):
            schema = parquet.read_schema(self.source)
        for argument in ("features", "labels"):
            value = getattr(self, argument)
            if not value:
                raise ValueError(f"{argument} is empty; name at least one column.")
            for name in [value] if isinstance(value, str) else value:
                n_columns = schema.names.count(name)
                if n_columns != 1:
                    raise ValueError(
                        f"{argument} has {name!r}, but the columns of {self._name} are "
                        f"{schema.names}. Name columns that are there once."
                    )
                kind = schema.field(name).type
                wanted = self._wanted(argument, isinstance(value, list), kind)
                if wanted is not None:
                    raise ValueError(
                        f"{argument} has the column {name!r} of {self._name}, which is of type "
                        f"{kind}; {wanted}."
                    )

    def _wanted(self, argument: str, several: bool, kind: Any) -> str | None:
        """What a column should be, with a remedy; None if it is that."""
        if argument == "labels":
            if several:
                wanted = (
                    "a column of numbers, 0 and 1, or of bool is needed. Make one, for example "
                    "with pyarrow.compute.equal(column, 'TRUE'), or give the name of one column "
                    "of lists of labels"
                )
                return None if _is_number(kind) else wanted
            if _is_list(kind) and not _is_nested(_plain(kind.value_type)):
                return None
            remedy = "Make lists, one for each row"
            if _is_number(kind):
                remedy = "Pass a list of columns if they are 0 and 1"
            elif _is_text(kind):
                remedy = "Make lists, for example with pyarrow.compute.split_pattern(column, ';')"
            return f"a column of lists of labels is needed. {remedy}"
        if self.vectorizer is not None:
            wanted = (
                "with a vectorizer, a column of texts is needed (vectorizer is for texts in one "
                "column or more). Leave vectorizer=None for numbers"
            )
            return None if _is_text(kind) else wanted
        if several:
            wanted = "a column of numbers is needed. Encode categories, or pass a vectorizer"
            return None if _is_number(kind) else wanted
        if _is_list(kind) and _is_number(kind.value_type):
            return None
        remedy = "Pass a list of columns" if _is_number(kind) else "Pass a vectorizer for texts"
        return f"without a vectorizer, a column of lists of numbers is needed. {remedy}"

    def _raw_blocks(self, columns: list[str] | None = None) -> Iterator[tuple[int, Any]]:
        from pyarrow import parquet

        if columns is None:
            parts = (self.features, self.labels)
            columns = [n for part in parts for n in ([part] if isinstance(part, str) else part)]
        first_row = 0
        with _named(self._name), parquet.ParquetFile(self.source) as file:
            batches = file.iter_batches(self.block_size, columns=list(dict.fromkeys(columns)))
            while (batch := next(batches, None)) is not None:
                if batch.num_rows:
                    yield first_row, batch
                    first_row += batch.num_rows
                del batch

    def _read(self, block: tuple[int, Any]) -> tuple[Any, Any, list]:
        return self._read_features(*block), *self._read_labels(*block)

    def _read_features(self, first_row: int, block: Any) -> Any:
        several = isinstance(self.features, list)
        names = self.features if several else [self.features]
        columns = [_plain_column(block.column(name)) for name in names]
        for name, column in zip(names, columns, strict=True):
            self._refuse_nulls(name, column, first_row)
        if self.vectorizer is not None:
            texts = zip(*(column.to_pylist() for column in columns), strict=True)
            return self.vectorizer.transform([" ".join(row) for row in texts])
        if several:
            return _to_matrix(columns)
        values = columns[0].flatten()
        lengths = _lengths(columns[0])
        if len(set(lengths.tolist())) > 1:
            row = int(np.flatnonzero(lengths != lengths[0])[0])
            raise ValueError(
                f"The column {names[0]!r} of {self._name} has lists of different lengths, first "
                f"in row {first_row + row}; one number for each feature is needed."
            )
        if values.null_count:
            row = int(np.flatnonzero(values.is_null())[0]) // int(lengths[0])
            raise ValueError(
                f"The column {names[0]!r} of {self._name} has lists with a number missing, first "
                f"in row {first_row + row}. Fill it, for example with 0."
            )
        return values.to_numpy(zero_copy_only=False).reshape(len(columns[0]), -1)

    def _refuse_nulls(self, name: str, column: Any, first_row: int) -> None:
        if column.null_count:
            row = first_row + int(np.flatnonzero(column.is_null())[0])
            raise ValueError(
                f"The column {name!r} of {self._name} has rows without a value, first row {row} "
                "(counted from 0); fill them, or leave these rows out of the file."
            )

    def _read_labels(self, first_row: int, block: Any) -> tuple[Any, list]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if isinstance(self.labels, list):
            columns = [_plain_column(block.column(name)) for name in self.labels]
            for name, column in zip(self.labels, columns, strict=True):
                self._refuse_nulls(name, column, first_row)
                values = column.to_numpy(zero_copy_only=False)
                wrong = (
                    np.isnan(values) if values.dtype.kind == "f" else (values != 0) & (values != 1)
                )
                if np.any(wrong):
                    row = int(np.flatnonzero(wrong)[0])
                    raise ValueError(
                        f"The column {name!r} of {self._name} has {values[row]} in row "
                        f"{first_row + row} (counted from 0); 0 and 1 are needed. Numbers of "
                        "labels belong into one column of lists."
                    )
            return sp.csr_array(_to_matrix(columns)), []
        column = _plain_column(block.column(self.labels))
        values = _values(column)
        try:
            known = pa.array(self.target_names.tolist()).cast(values.type)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise ValueError(
                f"target_names are not of the type of the labels, {values.type}: {error}. Pass "
                f"the labels as they are in the column {self.labels!r}."
            ) from error
        found = pc.index_in(values, value_set=known)
        unknown = values.filter(pc.and_(found.is_null(), values.is_valid()))
        y = indicator(_lengths(column), found.fill_null(-1).to_numpy(), len(self.target_names))
        return y, unknown.to_pylist()


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors of pyarrow with the name of the file and what to do."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"{name} is not a Parquet file that can be read: {reason}. It may be of another "
            "format, truncated or damaged; write or download it anew."
        ) from error


def _is_kind(kind: Any, *names: str) -> bool:
    """Whether a type is one of these, some of which older versions do not have."""
    from pyarrow import types

    return any(getattr(types, f"is_{name}", lambda _: False)(kind) for name in names)


def _plain(kind: Any) -> Any:
    return kind.value_type if _is_kind(kind, "dictionary") else kind


def _is_list(kind: Any) -> bool:
    return _is_kind(kind, "list", "large_list", "fixed_size_list", "list_view", "large_list_view")


def _is_number(kind: Any) -> bool:
    return _is_kind(_plain(kind), "integer", "floating", "boolean")


def _is_text(kind: Any) -> bool:
    return _is_kind(_plain(kind), "string", "large_string", "string_view")


def _is_nested(kind: Any) -> bool:
    return _is_kind(kind, "nested", "null")


def _plain_column(column: Any) -> Any:
    """The column without categories and views, whose functions are few."""
    import pyarrow as pa

    if _is_kind(column.type, "dictionary"):
        column = column.dictionary_decode()
    if _is_kind(column.type, "string_view"):
        column = column.cast(pa.large_string())
    if _is_kind(column.type, "list_view", "large_list_view"):
        column = column.cast(pa.large_list(column.type.value_type))
    return column


def _values(column: Any) -> Any:
    """All values of a column of lists, one after the other."""
    return _plain_column(_plain_column(column).flatten())


def _to_matrix(columns: list) -> np.ndarray:
    return np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns])


def _lengths(column: Any) -> np.ndarray:
    """Numbers of values of a column of lists; 0 where there is none."""
    import pyarrow.compute as pc

    return pc.list_value_length(column).fill_null(0).to_numpy()
