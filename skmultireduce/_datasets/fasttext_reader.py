"""Rows of files in fastText's format: texts and columns of labels, block by block.

Files in UTF-8 are read by a compiled loop, which leaves to Python any line that is not as
nearly all are.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from .._data.label_sets import LabelSets
from .._data.notices import warn
from .._data.sparse import stacked_offsets
from .._kernels import text as kernel
from .._sklearn import _align_api_if_sparse
from .blocks import columns_of
from .files import iter_lines, iter_utf8

__all__ = ["Reader", "RowBlock"]

_SEPARATORS = " \t\v\f\r\0\n"
_BLANKS = re.escape(_SEPARATORS)
_WORDS = re.compile(f"[^{_BLANKS}]+").findall
_ODD = '[,;|"\u200b\u200c\u200d\u2060\ufeff]'


def _is_utf8(encoding: str, names: list[str]) -> bool:
    """Whether a file is in UTF-8 and all names can be."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        return False
    return codecs.lookup(encoding).name == "utf-8"


def _known(labels: list[str], columns: dict[str, int]) -> tuple[set[int], list[str]]:
    """Columns of labels, and the labels without one."""
    known = {columns[label] for label in labels if label in columns}
    return known, [label for label in dict.fromkeys(labels) if label not in columns]


@dataclass
class RowBlock:
    """Some rows.

    Parameters
    ----------
    lines : Lines or list of str
        The texts.
    offsets : int64 array of shape (n_rows + 1,)
    columns : int32 array
        Of the labels, row by row.
    unknown : list of str
        Labels without a column, once for each row that has them.
    """

    lines: kernel.Lines | list[str]
    offsets: np.ndarray
    columns: np.ndarray
    unknown: list[str]

    @classmethod
    def of_lines(cls, lines: kernel.Lines, unknown: list[str]) -> RowBlock:
        """Of lines, which give up their labels."""
        columns, offsets = lines.take_labels()
        return cls(
            lines, np.frombuffer(offsets, np.int64), np.frombuffer(columns, np.int32), unknown
        )

    @classmethod
    def stacked(cls, blocks: list[RowBlock]) -> RowBlock:
        """Labels of all blocks, without the texts."""
        return cls(
            [],
            stacked_offsets([block.offsets for block in blocks]),
            np.concatenate([block.columns for block in blocks]),
            [label for block in blocks for label in block.unknown],
        )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def texts(self) -> list[str]:
        """Texts of the rows."""
        return self.lines if isinstance(self.lines, list) else self.lines.texts()

    def indicator(self, n_labels: int) -> Any:
        """Indicator of shape (n_rows, n_labels), CSR."""
        y = LabelSets(self.offsets, self.columns, n_labels).to_csr()
        y.sort_indices()
        return _align_api_if_sparse(y)


class Reader:
    """Blocks of rows, as often as its source can be read.

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
        # Labels in the order in which they came, where they were not given.
        self.found: list[str] = []
        self._first_odd = ""
        self._warned = False
        prefix = re.escape(label_prefix)
        # Labels nearly always come first: one match, whatever their number.
        self._leading = re.compile(rf"(?:{prefix}[^{_BLANKS}]*(?:[{_BLANKS}]+|$))+")
        # A mark inside of a word, quotes, commas, characters that are not seen.
        self._odd = re.compile(rf"[^{_BLANKS}]{prefix}|{_ODD}")

    def _row(self, number: int, line: str) -> tuple[str, list[str]] | None:
        """Text and labels of a line; None: it is blank."""
        if number == 1:
            line = line.removeprefix("\ufeff")  # byte order mark
        text = line.strip(_SEPARATORS)
        if not text:
            return None
        prefix, skip = self.label_prefix, len(self.label_prefix)
        odd = self._odd.search
        labels: list[str] = []
        if head := self._leading.match(text):
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
        return text.replace("\0", " "), labels

    def blocks(self, size: int, target_names: np.ndarray | None) -> Iterator[RowBlock]:
        """Blocks of rows.

        Parameters
        ----------
        size : int
            Number of rows of a block; the last one may have fewer.
        target_names : ndarray of shape (n_labels,) or None
            Labels, in the order of their columns; None: those that come, in the order in
            which they come, which `found` then holds.
        """
        self.n_blank = self.n_odd = 0
        self.found = []
        columns = {} if target_names is None else columns_of(target_names)
        if self.is_path and _is_utf8(self.encoding, [self.label_prefix, *columns]):
            return self._compiled_blocks(size, columns, learn=target_names is None)
        return self._plain_blocks(size, columns, learn=target_names is None)

    def _plain_blocks(self, size: int, columns: dict, *, learn: bool) -> Iterator[RowBlock]:
        rows = self._rows()
        while batch := list(islice(rows, size)):
            offsets = np.zeros(len(batch) + 1, dtype=np.int64)
            indices: list[int] = []
            unknown: list[str] = []
            for i, (_, labels) in enumerate(batch):
                if learn:
                    for label in labels:
                        columns.setdefault(label, len(columns))
                known, more = _known(labels, columns)
                unknown += more
                indices += sorted(known)
                offsets[i + 1] = len(indices)
            texts = [text for text, _ in batch]
            if learn:
                self.found = list(columns)
            del batch
            yield RowBlock(texts, offsets, np.array(indices, dtype=np.int32), unknown)
            del texts

    def _rows(self) -> Iterator[tuple[str, list[str]]]:
        for number, line in enumerate(self._lines(), start=1):
            row = self._row(number, line)
            if row is None:
                self.n_blank += 1
            else:
                yield row

    def _compiled_blocks(self, size: int, columns: dict, *, learn: bool) -> Iterator[RowBlock]:
        # No result depends on the seed of the table.
        labels = kernel.Terms(os.urandom(24), list(columns))
        prefix = self.label_prefix.encode()
        before = blank = 0
        lines = kernel.Lines(labels, learn, prefix, size)
        unknown: list[str] = []
        for data in iter_utf8(self.source, self.encoding):
            position = 0
            while position < len(data):
                position, odd = lines.read(data, position)
                if odd:
                    end = data.index(b"\n", position)
                    number = before + lines.n_read + 1
                    row = self._row(number, self._decoded(data[position:end], number))
                    position = end + 1
                    if row is None:
                        lines.add(None, ())
                    else:
                        if learn:
                            known, more = map(labels.add, row[1]), []
                        else:
                            known, more = _known(row[1], columns)
                        unknown += more
                        lines.add(row[0], known)
                self.n_blank = blank + lines.n_blank
                if len(lines) == size:
                    before, blank = before + lines.n_read, self.n_blank
                    if learn:
                        self.found = labels.strings(np.arange(len(labels), dtype=np.int32))
                    yield RowBlock.of_lines(lines, unknown)
                    lines = kernel.Lines(labels, learn, prefix, size)
                    unknown = []
        if learn:
            self.found = labels.strings(np.arange(len(labels), dtype=np.int32))
        if len(lines):
            yield RowBlock.of_lines(lines, unknown)

    def _decoded(self, line: bytes, number: int) -> str:
        try:
            return line.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.name}, line {number}: not {self.encoding} ({error}). Pass the "
                "`encoding` of the file."
            ) from error

    def _lines(self) -> Iterator[str]:
        if self.is_path:
            yield from iter_lines(self.source, self.encoding)
            return
        for number, line in enumerate(self.source, start=1):
            if isinstance(line, bytes):
                line = self._decoded(line, number)
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
