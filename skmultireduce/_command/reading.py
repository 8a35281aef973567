"""Rows of files: texts or features, and label lists, in the formats that the verbs know."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._data.label_sets import LabelSets
from .._datasets.files import iter_lines
from ..datasets import SVMLightBlocks, read_fasttext

__all__ = ["FORMATS", "Reading", "Table", "add_reading_options", "batches_of_lines"]

_SUFFIXES = {
    "svmlight": (".svm", ".svmlight", ".libsvm"),
    "parquet": (".parquet", ".pq"),
    "csv": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson"),
}
FORMATS = ("fasttext", *_SUFFIXES)
_PACKED = (".gz", ".bz2", ".xz")


@dataclass
class Table:
    """Rows of one or more files.

    Parameters
    ----------
    rows : list of str, or CSR
        Texts, or features of svmlight's format.
    target : CSR of shape (n_rows, n_labels), int8
    names : list
        Labels.
    """

    rows: Any
    target: Any
    names: list

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.target.shape[0]

    def describe(self) -> str:
        """One line on the shape."""
        mean = self.target.nnz / max(1, self.n_rows)
        return f"{self.n_rows:,} rows, {len(self.names):,} labels, {mean:.2f} a row"


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Parameters
    ----------
    format : str or None
        One of `FORMATS`; None: by the name of the file, else fastText's.
    text, labels : tuple of str
        Columns.
    label_separator : str
        Between labels of one cell.
    label_prefix, encoding : str
    """

    format: str | None = None
    text: tuple[str, ...] = ("text",)
    labels: tuple[str, ...] = ("labels",)
    label_separator: str = ","
    label_prefix: str = "__label__"
    encoding: str = "utf-8"

    @classmethod
    def of(cls, options: argparse.Namespace, notes: dict[str, Any] | None = None) -> Reading:
        """What the options say, else what the notes of a model say."""
        found = dict((notes or {}).get("reading") or {})
        for name in cls.__dataclass_fields__:
            given = getattr(options, name, None)
            if given is not None:
                found[name] = given
        for name in ("text", "labels"):
            if name in found:
                found[name] = tuple(found[name])
        known = {name: found[name] for name in cls.__dataclass_fields__ if name in found}
        return cls(**known)

    def notes(self) -> dict[str, Any]:
        """For the model file."""
        return {**vars(self), "text": list(self.text), "labels": list(self.labels)}

    def format_of(self, path: Path) -> str:
        """Format of a file."""
        if self.format is not None:
            return self.format
        suffixes = [suffix.lower() for suffix in path.suffixes]
        if suffixes and suffixes[-1] in _PACKED:
            suffixes.pop()
        for name, known in _SUFFIXES.items():
            if suffixes and suffixes[-1] in known:
                return name
        return "fasttext"

    def read(
        self, paths: list[Path], names: list | None = None, n_features: int | None = None
    ) -> Table:
        """Read files of the same format, one after the other.

        Parameters
        ----------
        paths : list of Path
        names : list or None
            Labels of a model; None: those that occur.
        n_features : int or None
            Of svmlight's format; None: those that occur.

        Returns
        -------
        table : Table

        Raises
        ------
        ValueError
            If files are of several kinds or damaged, columns are missing, or there are no rows
            or no labels that are known.
        """
        formats = {self.format_of(path) for path in paths}
        if len(formats) > 1:
            raise ValueError(
                f"The files are of the formats {', '.join(sorted(formats))}; give files of one, "
                "or say --format."
            )
        (kind,) = formats
        if kind == "svmlight":
            table = self._svmlight(paths, names, n_features)
        elif kind == "fasttext":
            table = self._fasttext(paths, names)
        else:
            table = self._columns(paths, kind, names)
        if not table.n_rows:
            raise ValueError(f"{paths[0]} has no rows.")
        if not table.target.nnz:
            known = "" if names is None else " that the model knows"
            raise ValueError(f"{paths[0]} has no label{known} in any row.")
        return table

    def _fasttext(self, paths: list[Path], names: list | None) -> Table:
        lines: Any = paths[0]
        if len(paths) > 1:
            lines = (line for path in paths for line in iter_lines(path, self.encoding))
        found = read_fasttext(
            lines, label_prefix=self.label_prefix, target_names=names, encoding=self.encoding
        )
        return Table(found.data, found.target, found.target_names.tolist())

    def _svmlight(self, paths: list[Path], names: list | None, n_features: int | None) -> Table:
        if names is None:
            first = [SVMLightBlocks(path) for path in paths]
            names = sorted({name for blocks in first for name in blocks.target_names.tolist()})
            n_features = max(blocks.n_features for blocks in first)
        parts = [
            part
            for path in paths
            for part in SVMLightBlocks(path, n_features=n_features, target_names=names)
        ]
        X, y = (sp.vstack(column, format="csr") for column in zip(*parts, strict=True))
        return Table(X, y, names)

    def _columns(self, paths: list[Path], kind: str, names: list | None) -> Table:
        read = {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet}[kind]
        texts: list[str] = []
        lists: list[list] = []
        for path in paths:
            for text, labels in read(path):
                texts.append(text)
                lists.append(labels)
        if names is None:
            kinds = {type(label) for labels in lists for label in labels}
            if len(kinds) > 1:
                lists = [[str(label) for label in labels] for labels in lists]
            names = sorted({label for labels in lists for label in labels})
            if len(self.labels) > 1:
                names = list(self.labels)
        return Table(texts, _encoded(lists, names), names)

    # --------------------------------------------------------------------- texts alone
    def texts_of(self, path: Path) -> Iterator[str]:
        """Texts of a file with columns; labels need not be there."""
        kind = self.format_of(path)
        read = {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet}[kind]
        for text, _ in read(path, with_labels=False):
            yield text

    def _csv(self, path: Path, *, with_labels: bool = True) -> Iterator[tuple[str, list]]:
        delimiter = "\t" if ".tsv" in path.name.lower() else ","
        lines = iter_lines(path, self.encoding)
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
        try:
            there = reader.fieldnames or []
            self._check_columns(path, there, with_labels)
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(
                        f"{path}, line {reader.line_num}: not as many cells as columns."
                    )
                yield self._row(row, f"{path}, line {reader.line_num}", with_labels)
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}.") from error

    def _jsonl(self, path: Path, *, with_labels: bool = True) -> Iterator[tuple[str, list]]:
        for number, line in enumerate(iter_lines(path, self.encoding), start=1):
            where = f"{path}, line {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{where}: no JSON ({error}).") from error
            if not isinstance(row, dict):
                raise ValueError(f'{where}: an object is needed, as {{"text": ...}}.')
            self._check_columns(where, list(row), with_labels)
            yield self._row(row, where, with_labels)

    def _parquet(self, path: Path, *, with_labels: bool = True) -> Iterator[tuple[str, list]]:
        try:
            from pyarrow import ArrowException, parquet
        except ImportError as error:
            raise ImportError(
                "Parquet files need pyarrow: pip install 'skmultireduce[parquet]'."
            ) from error
        with open(path, "rb"):
            pass  # says why where this cannot be
        wanted = [*self.text, *(self.labels if with_labels else ())]
        try:
            file = parquet.ParquetFile(path)
            self._check_columns(path, file.schema_arrow.names, with_labels)
            for batch in file.iter_batches(columns=wanted):
                for row in batch.to_pylist():
                    yield self._row(row, f"{path}", with_labels)
        except ArrowException as error:
            raise ValueError(f"{path} is no Parquet file, or damaged: {error}") from error

    def _check_columns(self, where: Any, there: Iterable[str], with_labels: bool) -> None:
        options = {"--text": self.text, **({"--labels": self.labels} if with_labels else {})}
        for option, wanted in options.items():
            for name in wanted:
                if name not in there:
                    found = ", ".join(map(repr, there))
                    raise ValueError(
                        f"{where} has no column {name!r}, but {found:.200}; name it by {option}."
                    )

    def _row(self, row: dict[str, Any], where: str, with_labels: bool) -> tuple[str, list]:
        parts = []
        for name in self.text:
            value = row[name]
            if value is not None and not isinstance(value, str):
                raise ValueError(f"{where}: {name!r} is {value!r:.60}, not a text.")
            parts.append(value or "")
        return " ".join(parts), self._labels(row, where) if with_labels else []

    def _labels(self, row: dict[str, Any], where: str) -> list:
        if len(self.labels) > 1:
            return [name for name in self.labels if _is_set(row[name], f"{where}: {name!r}")]
        value = row[self.labels[0]]
        if value is None:
            return []
        if isinstance(value, str):
            return [part.strip() for part in value.split(self.label_separator) if part.strip()]
        if isinstance(value, list):
            if all(isinstance(label, (str, int)) for label in value):
                return value
            value = next(label for label in value if not isinstance(label, (str, int)))
        elif isinstance(value, int):
            return [value]
        raise ValueError(
            f"{where}: {self.labels[0]!r} has {value!r:.60}, which is no label; lists of texts or "
            "whole numbers are needed."
        )


def _is_set(value: Any, where: str) -> bool:
    try:
        number = float(value or 0)
    except (TypeError, ValueError):
        number = -1.0
    if number not in (0, 1):
        raise ValueError(f"{where} is {value!r:.60}; columns of single labels hold 0 and 1.")
    return number == 1


def _encoded(lists: list[list], names: list) -> Any:
    """Indicator of label lists; labels without a name are left out."""
    columns = {name: column for column, name in enumerate(names)}
    # Numbers in one file may be texts in the other.
    texts = {str(name): column for name, column in columns.items()}
    sets = [
        sorted({columns.get(label, texts.get(str(label), -1)) for label in labels} - {-1})
        for labels in lists
    ]
    indptr = np.zeros(len(sets) + 1, dtype=np.int64)
    np.cumsum([len(one) for one in sets], out=indptr[1:])
    indices = np.array([column for one in sets for column in one], dtype=np.int32)
    return LabelSets(indptr, indices, len(names)).to_csr()


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Options of verbs that read files with labels."""
    group = parser.add_argument_group("files")
    group.add_argument(
        "--format", choices=FORMATS,
        help="of all files; by default .svm, .parquet, .csv, .tsv, .jsonl by their names (also "
        ".gz, .bz2, .xz), all others as fastText's",
    )  # fmt: skip
    group.add_argument(
        "--text", nargs="+", metavar="COLUMN", help="columns of texts, joined by blanks (text)"
    )
    group.add_argument(
        "--labels", nargs="+", metavar="COLUMN",
        help="one column of lists of labels, or several of 0 and 1 (labels)",
    )  # fmt: skip
    group.add_argument(
        "--label-separator", metavar="TEXT", help="between labels of a cell (a comma)"
    )
    group.add_argument(
        "--label-prefix", metavar="TEXT", help="what marks labels in fastText's format (__label__)"
    )
    group.add_argument("--encoding", help="of text files (utf-8)")


def batches_of_lines(
    read: Callable[[int], bytes], encoding: str, n_bytes: int
) -> Iterator[list[str]]:
    """Lines as they come, without their ends.

    Parameters
    ----------
    read : callable
        ``read(n)`` gives at most n bytes, those that are there, and none at the end.
    encoding : str
    n_bytes : int
        Of one call.

    Yields
    ------
    lines : list of str
    """
    rest, number = b"", 0
    while True:
        found = read(n_bytes)
        whole, newline, last = (rest + found).rpartition(b"\n") if found else (rest, b"", b"")
        rest = last if newline or not found else rest + found
        if newline or (not found and whole):
            lines = whole.split(b"\n")
            try:
                yield [line.removesuffix(b"\r").decode(encoding) for line in lines]
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"The input is not {encoding} after line {number} ({error}); give its "
                    "--encoding."
                ) from error
            number += len(lines)
        if not found:
            return
