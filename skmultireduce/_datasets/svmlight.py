"""svmlight's (libsvm's) format with several labels a row: ``1,4 7:0.5 12:1.0``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from sklearn.datasets import load_svmlight_file

from .._sklearn import StrOptions, validate_params
from .blocks import PATH, SIZE, Blocks, check_names, indicator
from .files import iter_chunks, refuse_pipe

__all__ = ["SVMLightBlocks"]

# Whole numbers up to this, and no others, have this float64.
_LARGEST_LABEL = 2**53 - 1
_WORDS = re.compile(r"[^ \t\n\r\f\v]+").findall


class SVMLightBlocks(Blocks):
    r"""Blocks of a multi-label file in svmlight's (libsvm's) format, for ``fit_stream``.

    A line is a row: labels, which are numbers, separated by commas, then the features, as
    ``1,4 7:0.5 12:1.0``. It is read by :func:`sklearn.datasets.load_svmlight_file`.

    Parameters
    ----------
    source : str or path-like
        A file; gzip, bzip2 and xz are unpacked, whatever the name is.
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
        If the file has no rows, is damaged or a pipe; with the number of the line, if one is
        not of this form or has a feature beyond `n_features` or a number that is not
        finite; if `target_names` has duplicates, or none of the labels.

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
        refuse_pipe(source)
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
        if not np.all(np.abs(names) <= _LARGEST_LABEL):
            raise ValueError("target_names should hold numbers between -2**53 and 2**53.")
        whole = np.all(names == np.floor(names))
        self.target_names = names.astype(np.int64) if whole else names
        self._columns = {label: k for k, label in enumerate(names.tolist())}

    def _raw_blocks(self) -> Iterator[tuple[int, bytes]]:
        empty = True
        for first_line, chunk in iter_chunks(self.source, self.block_bytes):
            # What has nothing but comments and blank lines is no block.
            if re.search(rb"^\s*[^#\s]", chunk, re.MULTILINE):
                empty = False
                yield first_line, chunk
            del chunk
        if empty:
            raise ValueError(f"{self._name} has no rows.")

    def _load(self, chunk: tuple[int, bytes]) -> tuple[Any, list]:
        failure: Any = None
        try:
            # What is beyond the range of the type becomes infinite, which is refused.
            with np.errstate(over="ignore"):
                X, labels = load_svmlight_file(
                    BytesIO(chunk[1]),
                    n_features=self.n_features,
                    dtype=self.dtype,
                    multilabel=True,
                    zero_based=self.zero_based,
                )
            sound = np.all(np.isfinite(X.data)) and all(
                abs(label) <= _LARGEST_LABEL for row in labels for label in row
            )
        except (ValueError, OverflowError, IndexError) as error:
            failure, sound = error, False
        if sound:
            return X, labels
        for number, line in enumerate(chunk[1].split(b"\n"), start=chunk[0]):
            fault = self._fault(line.partition(b"#")[0].decode("latin-1"), number)
            if fault is not None:
                raise ValueError(
                    f"{self._name}, line {number}, is not valid: {fault}."
                ) from failure
        raise ValueError(f"{self._name} is not valid: {failure}") from failure

    def _fault(self, line: str, number: int) -> str | None:
        """What is wrong with a line, and what to do."""
        # The separators of the bytes that are read, not those of Unicode.
        parts = _WORDS(line)
        if not parts:
            return None
        if len(parts) == 3 and all(part.isdecimal() for part in parts):
            return (
                f"{' '.join(parts)!r} is no row, but may be a header with the numbers of rows, "
                "features and labels. Take this line out (tail -n +2); after such a header "
                "features are counted from 0 as a rule, pass zero_based=True"
            )
        if ":" not in parts[0]:
            for label in parts.pop(0).split(","):
                if not label:
                    return "a comma without a label behind it. Write labels as 1,2 without blanks"
                value = _number(label)
                if value is None:
                    return (
                        f"the label {label[:40]!r} is no number. Number the labels and keep "
                        "their names in a list, or write the file in fastText's format"
                    )
                if not abs(value) <= _LARGEST_LABEL:
                    return f"the label {label[:40]} is not between -2**53 and 2**53. Number anew"
        before = -1
        for part in parts:
            index, colon, text = part.partition(":")
            if not colon:
                return (
                    f"{part[:40]!r} is no pair of a feature and its value, like 7:0.5, without "
                    "blanks around the colon"
                )
            if index == "qid":
                continue
            fault = self._pair_fault(index, text, before)
            if fault is not None:
                return fault
            before = int(index)
        return None

    def _pair_fault(self, index: str, text: str, before: int) -> str | None:
        value = _number(text)
        if value is None:
            return (
                f"the value of {index[:40]}:{text[:40]} is no number. Write pairs as 7:0.5, "
                "without blanks around the colon"
            )
        with np.errstate(over="ignore"):
            if not np.isfinite(np.dtype(self.dtype).type(value)):
                return (
                    f"the value {text[:40]} is not finite in {self.dtype}. Leave the feature out, "
                    "scale it, or pass dtype='float64'"
                )
        try:
            column = int(index)
        except ValueError:
            return f"{index[:40]!r} is no number of a feature. Features are numbered"
        if column == 0 and not self.zero_based:
            return "it has the feature 0. Pass zero_based=True if features are counted from 0"
        if not 0 <= column < 2**31 - 1:
            return (
                f"the feature {index[:40]} is not between 0 and 2**31 - 2. Number the features "
                "anew, or hash them"
            )
        if column <= before:
            return (
                f"the feature {column} comes after {before}. Sort the features of each line, and "
                "keep one value of each"
            )
        n_columns = column + (1 if self.zero_based else 0)
        if self.n_features is not None and n_columns > self.n_features:
            return (
                f"it has the feature {column}, but n_features={self.n_features}. Pass n_features="
                f"None, or {n_columns} at least"
            )
        return None

    def _read(self, block: tuple[int, bytes]) -> tuple[Any, Any, list]:
        X, labels = self._load(block)
        lengths = np.array([len(row) for row in labels], dtype=np.int64)
        columns = np.array([self._columns.get(k, -1) for row in labels for k in row], dtype=int)
        y = indicator(lengths, columns, len(self.target_names))
        return X, y, [k for row in labels for k in row if k not in self._columns]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
