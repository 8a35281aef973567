"""Files of lines: plain or packed, in any encoding, from a disk or a pipe.

Errors name the file, the line where there is one, and what to do.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

__all__ = [
    "check_encoding",
    "is_pipe",
    "iter_chunks",
    "iter_lines",
    "iter_utf8",
    "open_unpacked",
    "refuse_pipe",
]

_CHUNK = 2**18

# Known by their first bytes: names of files tell what is in them not always.
_OTHER = {
    b"\x28\xb5\x2f\xfd": "packed by Zstandard (.zst)",
    b"\x04\x22\x4d\x18": "packed by LZ4 (.lz4)",
    b"\x1f\x9d": "packed by compress (.Z)",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"PAR1": "a Parquet file, which is read by ParquetBlocks",
}
_BLOCKS_OF_BZ2 = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DAMAGES = (EOFError, zlib.error, lzma.LZMAError, OSError)


def is_pipe(path: Any) -> bool:
    """Whether the path is no file on a disk, so that it can be read just once."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # opening it says why
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def refuse_pipe(path: Any) -> None:
    """Raise if what has to be read more than once is a pipe; waits for nothing."""
    if is_pipe(path):
        raise ValueError(
            f"source is {os.fspath(path)}, a pipe, which can be read just once. Write it into a "
            "file first and pass its path; read_fasttext, and iter_fasttext with `target_names`, "
            "read pipes."
        )


class _Prefixed(io.RawIOBase):
    """What was read of a pipe already, then the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(part) :]
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def open_unpacked(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """Open a file for reading; gzip, bzip2 and xz, known by content, are unpacked.

    Parameters
    ----------
    path : str or path-like

    Yields
    ------
    file : binary file

    Raises
    ------
    ValueError
        If it is packed in another way, or damaged (while it is read in this context).
    OSError
        If it cannot be opened.
    """
    name = os.fspath(path)
    with open(path, "rb") as plain:
        head = plain.read(16)
        if plain.seekable():
            plain.seek(0)
            file: Any = plain
        else:
            file = io.BufferedReader(_Prefixed(head, plain))
        for start, what in _OTHER.items():
            if head.startswith(start):
                raise ValueError(f"{name} is {what}. Unpack it first; .gz, .bz2 and .xz are read.")
        opener: Any = None
        if head.startswith(b"\x1f\x8b"):
            opener = gzip.GzipFile
        elif head.startswith(b"BZh") and head[4:10] in _BLOCKS_OF_BZ2:
            opener = bz2.BZ2File
        elif head.startswith(b"\xfd7zXZ\0"):
            opener = lzma.LZMAFile
        if opener is None:
            yield file
            return
        packed = opener(fileobj=file) if opener is gzip.GzipFile else opener(file)
        with packed:
            try:
                yield io.BufferedReader(packed)
            except _DAMAGES as error:
                raise ValueError(
                    f"{name} is truncated or damaged: {error}. Pack or download it anew."
                ) from error


def check_encoding(encoding: str) -> None:
    """Raise if there is no such encoding of text."""
    try:
        "a".encode(encoding)
    except LookupError as error:
        raise ValueError(
            f"encoding is {encoding!r}: {error}. 'utf-8', 'utf-16' and 'latin-1' are some."
        ) from error


def _looks_like(head: bytes, encoding: str) -> str | None:
    """Another encoding, of more than one byte a character, that the bytes tell of."""
    if len("a".encode(encoding).removeprefix(codecs.BOM_UTF8)) > 1:
        return None
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    sample = head[: 2**12]
    for width, name in ((4, "utf-32"), (2, "utf-16")):
        n_zeros = [sample[k::width].count(0) for k in range(width)]
        whole = len(sample) // width
        # Latin letters have zeros in all their bytes but one.
        if whole and sum(n >= 0.9 * whole for n in n_zeros) == width - 1:
            return f"{name}-le" if n_zeros[0] < 0.9 * whole else f"{name}-be"
    return None


def _refuse_tar(head: bytes, name: str) -> None:
    if head[257:262] == b"ustar":
        raise ValueError(f"{name} is a tar archive. Unpack it, and read the files in it.")


def _check_head(head: bytes, encoding: str, name: str) -> None:
    """Raise if a file does not begin as text in the encoding."""
    _refuse_tar(head, name)
    other = _looks_like(head, encoding)
    if other is not None:
        raise ValueError(
            f"{name} is not in {encoding}, but seems to be in {other}. Pass encoding={other!r}."
        )


def iter_lines(path: str | os.PathLike, encoding: str) -> Iterator[str]:
    """Lines of a text file, without what ends them.

    Lines end in a newline; in a carriage return if there is no newline in the first
    quarter of a megabyte.

    Parameters
    ----------
    path : str or path-like
    encoding : str

    Yields
    ------
    line : str

    Raises
    ------
    ValueError
        With the number of the line, if it is not in the encoding; if the file is packed in
        a way that is not known, or damaged.
    """
    name = os.fspath(path)
    decoder = codecs.getincrementaldecoder(encoding)()
    number = 1
    pieces: list[str] = []
    newline = None
    with open_unpacked(path) as file:
        chunk = None
        while chunk != b"":
            chunk = file.read(_CHUNK)
            if newline is None:
                _check_head(chunk, encoding, name)
            try:
                text = decoder.decode(chunk, final=chunk == b"")
            except UnicodeDecodeError as error:
                before = error.object[: error.start].decode(error.encoding, errors="replace")
                number += before.count(newline or "\n")
                raise ValueError(
                    f"{name}, line {number}: not {encoding} ({error}). Pass the `encoding` of the "
                    "file."
                ) from error
            if newline is None:
                newline = "\r" if "\r" in text and "\n" not in text else "\n"
            first, *rest = text.split(newline)
            pieces.append(first)
            if rest:
                yield "".join(pieces)
                yield from rest[:-1]
                number += len(rest)
                pieces = rest[-1:]
    if last := "".join(pieces):
        yield last


def iter_utf8(path: str | os.PathLike, encoding: str) -> Iterator[bytes]:
    """Whole lines of a file in UTF-8, as `iter_lines` finds them, some at a time.

    Parameters
    ----------
    path : str or path-like
    encoding : str
        A name of UTF-8.

    Yields
    ------
    lines : bytes
        Each with a newline behind it, without a byte order mark. It is not checked whether
        they are in UTF-8.

    Raises
    ------
    ValueError
        If the file is in another encoding by its first bytes, is packed in a way that is not
        known, or damaged.
    """
    pieces: list[bytes] = []
    swap = None
    with open_unpacked(path) as file:
        chunk = file.read(_CHUNK)
        _check_head(chunk, encoding, os.fspath(path))
        chunk = chunk.removeprefix(codecs.BOM_UTF8)
        if b"\r" in chunk and b"\n" not in chunk:
            # Carriage returns end the lines, and newlines are blanks.
            swap = bytes.maketrans(b"\r\n", b"\n\r")
        while chunk:
            if swap is not None:
                chunk = chunk.translate(swap)
            end = chunk.rfind(b"\n") + 1
            if end:
                yield b"".join([*pieces, chunk[:end]])
                pieces = []
            pieces.append(chunk[end:])
            chunk = file.read(_CHUNK)
    if last := b"".join(pieces):
        yield last + b"\n"


def iter_chunks(path: str | os.PathLike, n_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file of ASCII text, about `n_bytes` at a time.

    Parameters
    ----------
    path : str or path-like
    n_bytes : int
        A chunk ends with the line in which this is reached.

    Yields
    ------
    first_line : int
        Number of the first line in the chunk, from 1.
    chunk : bytes
        Lines, in UTF-8 without a byte order mark.

    Raises
    ------
    ValueError
        If the file is packed in a way that is not known, or damaged.
    """
    name = os.fspath(path)
    number = 1
    with open_unpacked(path) as file:
        head = file.read(max(n_bytes, 2**12))
        _refuse_tar(head, name)
        encoding = _looks_like(head, "ascii")
        head = head.removeprefix(codecs.BOM_UTF8)
        if encoding is not None:
            # A wide encoding: through memory in one piece, it is rare.
            lines = iter_lines(path, encoding)
            whole = "\n".join(lines).removeprefix("\ufeff").encode()
            file, head = io.BytesIO(whole), b""
        returns = b"\r" in head and b"\n" not in head
        left = io.BytesIO(head)
        while True:
            chunk = left.read(n_bytes)
            if len(chunk) < n_bytes:
                chunk += file.read(n_bytes - len(chunk))
            if not chunk:
                return
            if returns:
                chunk = chunk.replace(b"\r", b"\n")
            chunk += _rest_of_line(left, file, returns)
            yield number, chunk
            number += chunk.count(b"\n")
            del chunk


def _rest_of_line(left: IO[bytes], file: IO[bytes], returns: bool) -> bytes:
    """What is between here and the end of the line."""
    if not returns:
        line = left.readline()
        return line if line.endswith(b"\n") else line + file.readline()
    out = bytearray()
    while byte := left.read(1) or file.read(1):
        if byte in b"\r\n":
            out += b"\n"
            break
        out += byte
    return bytes(out)
