"""Parquet files: columns of numbers, texts and lists of labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._sklearn import HasMethods, validate_params
from .blocks import PATH, SIZE, Blocks, check_names, indicator

__all__ = ["ParquetBlocks"]


class ParquetBlocks(Blocks):
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
        self.target_names = check_names(target_names)

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
        y = indicator(_lengths(column), columns, len(self.target_names))
        return y, int(np.count_nonzero(columns < 0))


def _to_matrix(block: Any, names: list[str]) -> np.ndarray:
    columns = [block.column(name).to_numpy(zero_copy_only=False) for name in names]
    return np.column_stack(columns)


def _lengths(column: Any) -> np.ndarray:
    """Numbers of values of a column of lists; 0 where there is none."""
    import pyarrow.compute as pc

    return pc.list_value_length(column).fill_null(0).to_numpy()
