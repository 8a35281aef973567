"""The format of the extreme classification repository: a header, then rows, from 0."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import Bunch, check_array, check_consistent_length

from .._data.label_sets import read_labels
from .._sklearn import StrOptions, validate_params
from .blocks import PATH, SIZE
from .files import iter_chunks, refuse_pipe
from .svmlight import SVMLightBlocks

__all__ = ["XMCBlocks", "read_xmc", "write_xmc"]

# Rows that are turned into text at a time.
_ROWS = 10_000


class XMCBlocks(SVMLightBlocks):
    r"""Blocks of a file of the extreme classification repository, for ``fit_stream``.

    The first line has the numbers of rows, features and labels. Each other line is a row:
    labels, separated by commas, then the features, as ``1,4 7:0.5 12:1.0``; all are counted
    from 0. A row without labels begins with a blank.

    Parameters
    ----------
    source : str or path-like
        A file; gzip, bzip2 and xz are unpacked, whatever the name is.
    target_names : array-like of shape (n_labels,), default=None
        The numbers of the labels and their order. By default all numbers of labels.
    block_bytes : int, default=2**24
        Length of a block in the file; it ends with the line in which this is reached.
    dtype : {"float32", "float64"}, default="float32"
        Type of X.

    Attributes
    ----------
    target_names : ndarray of shape (n_labels,)
        Labels.
    n_rows, n_features : int
        Numbers of rows and features, of the header.

    Raises
    ------
    ValueError
        If the first line is no such header, the file has another number of rows than that
        says or is damaged; with the number of the line, if one is not of this form or has a
        feature or label beyond what the header says.

    See Also
    --------
    read_xmc : The whole file.
    SVMLightBlocks : The same without a header.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skmultireduce.datasets import XMCBlocks
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "train.txt")
    ...     _ = path.write_text("2 2 4\n1,3 0:0.5 1:1\n 1:0.25\n")
    ...     for X, y in XMCBlocks(path):
    ...         print(X.toarray().tolist(), y.toarray().tolist())
    [[0.5, 1.0], [0.0, 0.25]] [[0, 1, 0, 1], [0, 0, 0, 0]]
    """

    @validate_params(
        {
            "source": PATH,
            "target_names": ["array-like", None],
            "block_bytes": [SIZE],
            "dtype": [StrOptions({"float32", "float64"})],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(
        self,
        source: str | os.PathLike,
        *,
        target_names: Any = None,
        block_bytes: int = 2**24,
        dtype: str = "float32",
    ) -> None:
        refuse_pipe(source)
        self.n_rows, n_features, self._n_labels = _read_header(source)
        super().__init__(
            source,
            n_features=n_features,
            target_names=np.arange(self._n_labels) if target_names is None else target_names,
            block_bytes=block_bytes,
            zero_based=True,
            dtype=dtype,
        )

    def _raw_blocks(self) -> Iterator[tuple[int, bytes]]:
        seen = 0
        for first_line, chunk in iter_chunks(self.source, self.block_bytes):
            if first_line == 1:
                first_line, chunk = 2, chunk.partition(b"\n")[2]
            lines = chunk.rstrip(b"\r\n").split(b"\n")
            if lines != [b""]:
                # What begins with a blank is a row without labels, also if nothing comes then:
                # a zero stands in for that, as the parser passes over lines without anything.
                seen += len(lines)
                if not all(line.strip() for line in lines):
                    lines = [line if line.strip() else b" 0:0" for line in lines]
                    chunk = b"\n".join(lines) + b"\n"
                yield first_line, chunk
            del chunk, lines
        if seen != self.n_rows:
            raise ValueError(
                f"{self._name} has {seen} rows, but its first line says {self.n_rows}. It may be "
                "cut off: fetch it again, or correct the first line."
            )

    def _read(self, block: tuple[int, bytes]) -> tuple[Any, Any, list]:
        X, y, unknown = super()._read(block)
        beyond = [label for label in unknown if not 0 <= label < self._n_labels]
        if beyond:
            raise ValueError(
                f"{self._name} has the label {beyond[0]:g} in or after line {block[0]}, but its "
                f"first line says that there are {self._n_labels}, counted from 0."
            )
        return X, y, unknown


def _read_header(source: Any) -> tuple[int, int, int]:
    """Numbers of rows, features and labels."""
    _, chunk = next(iter_chunks(source, 1), (1, b""))
    line = chunk.partition(b"\n")[0].decode("latin-1").strip()
    parts = line.split()
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise ValueError(
            f"{os.fspath(source)} begins with {line[:60]!r}; the numbers of rows, features and "
            "labels are needed there. Without such a line use SVMLightBlocks."
        )
    n_rows, n_features, n_labels = map(int, parts)
    if min(n_features, n_labels) < 1 or max(n_features, n_labels) >= 2**31:
        raise ValueError(
            f"{os.fspath(source)} begins with {line!r}: numbers of features and labels must be in "
            "[1, 2**31)."
        )
    return n_rows, n_features, n_labels


def read_xmc(source: str | os.PathLike, *, dtype: str = "float32") -> Bunch:
    r"""Read a file of the extreme classification repository.

    Parameters
    ----------
    source : str or path-like
        A file as `XMCBlocks` reads it.
    dtype : {"float32", "float64"}, default="float32"
        Type of the features.

    Returns
    -------
    data : Bunch
        ``data`` CSR of shape (n_samples, n_features), ``target`` CSR of shape (n_samples,
        n_labels), int8, ``target_names`` the numbers of the labels.

    Raises
    ------
    ValueError
        As `XMCBlocks`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skmultireduce.datasets import read_xmc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "train.txt")
    ...     _ = path.write_text("2 2 4\n1,3 0:0.5 1:1\n 1:0.25\n")
    ...     found = read_xmc(path)
    >>> found.data.shape, found.target.shape
    ((2, 2), (2, 4))
    """
    blocks = XMCBlocks(source, dtype=dtype)
    X, y = zip(*blocks, strict=True)
    return Bunch(
        data=sp.vstack(X, format="csr"),
        target=sp.vstack(y, format="csr"),
        target_names=blocks.target_names,
    )


def write_xmc(path: str | os.PathLike, X: Any, y: Any) -> None:
    """Write a file of the extreme classification repository.

    Numbers have as many digits as it takes to read the same numbers again.

    Parameters
    ----------
    path : str or path-like
        The file, which is replaced.
    X : {array-like, sparse} of shape (n_samples, n_features)
        Rows; zeros are left out.
    y : {array-like, sparse} of shape (n_samples, n_labels)
        Multi-label indicator.

    Raises
    ------
    ValueError
        If X has numbers that are not finite, y is no indicator or they differ in their
        number of rows.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skmultireduce.datasets import write_xmc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "train.txt")
    ...     write_xmc(path, [[0.5, 1.0], [0.0, 0.25]], [[0, 1, 0, 1], [0, 0, 0, 0]])
    ...     print(path.read_text().splitlines())
    ['2 2 4', '1,3 0:0.5 1:1.0', ' 1:0.25']
    """
    X = sp.csr_array(check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32]))
    if not X.has_canonical_format or np.any(X.data == 0):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    sets, _ = read_labels(y, allow_multiclass=False)
    check_consistent_length(X, np.empty(sets.n_rows))
    with Path(path).open("w", encoding="ascii", newline="\n") as file:
        file.write(f"{X.shape[0]} {X.shape[1]} {sets.n_labels}\n")
        for start in range(0, X.shape[0], _ROWS):
            stop = min(start + _ROWS, X.shape[0])
            file.writelines(_lines(X[start:stop], sets.part(start, stop)))


def _lines(X: Any, sets: Any) -> Iterator[str]:
    # str gives the fewest digits that tell a number of this type from its neighbours.
    pairs = [f"{j}:{v}" for j, v in zip(X.indices.tolist(), X.data.astype(str), strict=True)]
    labels = list(map(str, sets.indices.tolist()))
    for i in range(X.shape[0]):
        own = ",".join(labels[sets.indptr[i] : sets.indptr[i + 1]])
        yield f"{own} {' '.join(pairs[X.indptr[i] : X.indptr[i + 1]])}\n"
