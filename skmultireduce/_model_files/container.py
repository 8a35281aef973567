"""The file: a zip of one JSON member and of arrays in NumPy's format, nothing compressed.

What is not compressed takes as much memory as the file is long: no member can grow. All sizes
are held against the file's and against the header of the array before memory is taken.
"""

from __future__ import annotations

import ast
import json
import math
import os
import secrets
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["DamagedFileError", "read_container", "write_container"]

JSON_NAME = "model.json"
# Texts and numbers of models are in arrays: what is left are parameters. Parsed, a byte of JSON
# takes up to about 25 bytes.
MOST_JSON = 2**22
MOST_MEMBERS = 4096
# Of NumPy's header, which for arrays of plain numbers has 118 bytes.
_MOST_HEADER = 1024
_CHUNK = 2**22

DTYPES = frozenset(
    ["bool", "float16", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)

# What zipfile writes for these: date of a member, and who may read it.
_FIRST_DAY = 33
_READABLE = 0o600 << 16

# Where the length of a name is in an entry of the directory.
_NAME_LENGTH = 28

_LOCAL = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")


class DamagedFileError(ValueError):
    """The file is no model file, or not as it was written."""


# --------------------------------------------------------------------------- writing
def write_container(path: str | os.PathLike, header: dict, arrays: list[np.ndarray]) -> None:
    """Write header and arrays; the file appears whole or not at all.

    Parameters
    ----------
    path : str or path-like
    header : dict
        Of JSON's types.
    arrays : list of ndarray
        Of the types `DTYPES`.

    Raises
    ------
    ValueError
        If the header is too long.
    OSError
        If the file cannot be written.
    """
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > MOST_JSON:
        raise ValueError(
            f"Parameters and structure of the model take {len(text):,} bytes of JSON, more than "
            f"the {MOST_JSON:,} of a model file. Use joblib.dump or skops.io.dump."
        )
    if len(arrays) >= MOST_MEMBERS:
        raise ValueError(
            f"The model has {len(arrays):,} arrays, more than the {MOST_MEMBERS - 1:,} of a model "
            "file. Use joblib.dump or skops.io.dump."
        )
    with _replacing(Path(path)) as file, zipfile.ZipFile(file, "w") as archive:
        with archive.open(_entry(JSON_NAME), "w") as member:
            member.write(text)
        for number, array in enumerate(arrays):
            large = array.nbytes > 2**30
            with archive.open(_entry(_array_name(number)), "w", force_zip64=large) as member:
                _write_array(member, array)


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = _READABLE
    return info


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file beside the path, which takes its place at the end."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            yield file
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _array_name(number: int) -> str:
    return f"arrays/{number}.npy"


def _write_array(member: BinaryIO, array: np.ndarray) -> None:
    little = array.dtype.newbyteorder("<")
    header = {"descr": little.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(member, header)
    flat = np.ascontiguousarray(array, dtype=little).reshape(-1).view(np.uint8)
    for start in range(0, len(flat), _CHUNK):
        member.write(flat[start : start + _CHUNK].data)


# --------------------------------------------------------------------------- reading
def read_container(path: str | os.PathLike, *, with_arrays: bool = True) -> tuple[dict, list]:
    """Read the header and the arrays of a file.

    Parameters
    ----------
    path : str or path-like
    with_arrays : bool, default=True
        Whether arrays are read, or the header alone.

    Returns
    -------
    header : dict
    arrays : list of ndarray

    Raises
    ------
    DamagedFileError
        If it is no zip, holds other members, is compressed, or sizes, headers or checksums do
        not agree.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        _check_directory(file, size)
        with _telling_damage(), zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(members, size)
            _check_names(file, archive.start_dir, members)
            for info in members:
                _check_entry(file, info)
            header = _parse(_read_all(archive, members[0]))
            arrays = [_read_array(archive, info) for info in members[1:]] if with_arrays else []
    return header, arrays


@contextmanager
def _telling_damage() -> Iterator[None]:
    """Raise `DamagedFileError` for whatever `zipfile` raises at bytes that are no archive."""
    try:
        yield
    except (DamagedFileError, OSError, MemoryError):
        raise
    except Exception as error:
        raise DamagedFileError(f"it is no archive as this package writes it: {error}") from error


def _check_directory(file: BinaryIO, size: int) -> None:
    """Hold the size of the archive's directory, which `zipfile` reads as a whole, in bounds."""
    tail_size = min(size, _END.size + _LOCATOR.size + _END_64.size)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail_size - _END.size
    if at < 0 or tail[at : at + 4] != b"PK\x05\x06":
        raise DamagedFileError("it does not end as a zip archive does")
    directory = _END.unpack_from(tail, at)[5]
    at -= _LOCATOR.size
    if at >= 0 and tail[at : at + 4] == b"PK\x06\x07":
        at -= _END_64.size
        if at < 0 or tail[at : at + 4] != b"PK\x06\x06":
            raise DamagedFileError("its directory is not where it should be")
        directory = max(
            directory if directory < 2**32 - 1 else 0, _END_64.unpack_from(tail, at)[8]
        )
    if directory > 128 * MOST_MEMBERS:
        raise DamagedFileError("its directory is too long")
    file.seek(0)


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    names = [JSON_NAME, *map(_array_name, range(len(members) - 1))]
    if [info.filename for info in members] != names:
        raise DamagedFileError("its members are not those of a model file")
    if any(
        info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size
        for info in members
    ):
        raise DamagedFileError("it is compressed, which model files are not")
    if any(not 0 <= info.header_offset < size for info in members):
        raise DamagedFileError("its members are not in the file")
    # Members that share bytes would take more memory than the file is long.
    if sum(info.file_size for info in members) > size:
        raise DamagedFileError("its members are longer than the file")
    if members[0].file_size > MOST_JSON:
        raise DamagedFileError(f"its header is longer than {MOST_JSON:,} bytes")


def _check_names(file: BinaryIO, at: int, members: list[zipfile.ZipInfo]) -> None:
    """Hold the lengths of names in the directory: `zipfile` cuts the last one at its end."""
    for info in members:
        file.seek(at + _NAME_LENGTH)
        if int.from_bytes(file.read(2), "little") != len(info.filename):
            raise DamagedFileError(f"the entry of {info.filename} is not as it was written")
        at += zipfile.sizeCentralDir + len(info.filename) + len(info.extra)


def _check_entry(file: BinaryIO, info: zipfile.ZipInfo) -> None:
    """Hold all that an archive says of a member, twice, against what is written here."""
    file.seek(info.header_offset)
    found = _LOCAL.unpack(file.read(_LOCAL.size))
    large = 2**32 - 1
    sizes = {info.file_size, large}
    signature, version, flags, method, moment, day, crc, packed, plain, length, _ = found
    same = (signature, version, flags, method) == (b"PK\x03\x04", info.extract_version, 0, 0)
    same &= (moment, day, crc, length) == (0, _FIRST_DAY, info.CRC, len(info.filename))
    same &= packed in sizes and plain in sizes
    same &= info.date_time == (1980, 1, 1, 0, 0, 0) and info.create_version == info.extract_version
    same &= (info.flag_bits, info.internal_attr, info.volume, info.reserved) == (0, 0, 0, 0)
    same &= info.external_attr == _READABLE and info.create_system in (0, 3) and not info.comment
    if not same:
        raise DamagedFileError(f"the entry of {info.filename} is not as it was written")


def _read_all(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as member:
        return member.read()


def _parse(text: bytes) -> dict:
    def pairs(found: list[tuple[str, Any]]) -> dict:
        out = dict(found)
        if len(out) < len(found):
            raise DamagedFileError("a key of its header comes twice")
        return out

    def refuse(constant: str) -> Any:
        raise DamagedFileError(f"its header holds {constant}")

    try:
        header = json.loads(text, object_pairs_hook=pairs, parse_constant=refuse)
    except RecursionError as error:
        raise DamagedFileError("its header is nested too deeply") from error
    if not isinstance(header, dict):
        raise DamagedFileError("its header is no object")
    return header


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as member:
        start = member.read(10)
        if start[:8] != b"\x93NUMPY\x01\x00" or len(start) < 10:
            raise DamagedFileError(f"{info.filename} is no array in NumPy's format 1.0")
        length = int.from_bytes(start[8:], "little")
        if length > _MOST_HEADER:
            raise DamagedFileError(f"{info.filename} has too long a header")
        dtype, shape = _array_header(member.read(length), info.filename)
        n_bytes = math.prod(shape) * dtype.itemsize
        if n_bytes != info.file_size - 10 - length:
            raise DamagedFileError(f"{info.filename} has not the size that its header says")
        array = np.empty(shape, dtype=dtype)
        rest = memoryview(array.reshape(-1).view(np.uint8)) if n_bytes else memoryview(b"")
        while len(rest):
            found = member.read(min(len(rest), _CHUNK))
            if not found:
                raise DamagedFileError(f"{info.filename} ends too early")
            rest[: len(found)] = found
            rest = rest[len(found) :]
        # Its end, where the checksum is looked at.
        if member.read(1):
            raise DamagedFileError(f"{info.filename} goes on after its end")
    if dtype == np.bool_ and n_bytes and array.view(np.uint8).max() > 1:
        raise DamagedFileError(f"{info.filename} holds truth values that are neither 0 nor 1")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _array_header(text: bytes, name: str) -> tuple[np.dtype, tuple[int, ...]]:
    try:
        header = ast.literal_eval(text.decode("latin1").strip())
        dtype = np.dtype(header["descr"]) if isinstance(header["descr"], str) else None
        shape, order = header["shape"], header["fortran_order"]
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise DamagedFileError(f"{name} has a header that is none") from error
    if dtype is None or dtype.name not in DTYPES or dtype != dtype.newbyteorder("<"):
        raise DamagedFileError(f"{name} holds something else than plain numbers")
    sizes = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not sizes or len(shape) > 8 or order is not False:
        raise DamagedFileError(f"{name} has a shape that is none")
    return dtype, shape
