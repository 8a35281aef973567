"""svmlight's (libsvm's) format with several labels a row: ``1,4 7:0.5 12:1.0``."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file

from .._sklearn import StrOptions, validate_params
from .blocks import PATH, SIZE, Blocks, check_names, indicator

__all__ = ["SVMLightBlocks"]


class SVMLightBlocks(Blocks):
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
            "source": PATH,
            "n_features": [SIZE, None],
            "target_names": ["array-like", None],
            "block_bytes": [SIZE],
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
        names = check_names(target_names)
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
        y = indicator(lengths, columns, len(self.target_names))
        return X, y, int(np.count_nonzero(columns < 0))
