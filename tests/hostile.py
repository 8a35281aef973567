"""Bad and odd inputs: what each must lead to, whoever is given it.

A case changes good data. ``"same"``: an odd container of the same numbers, so the answer
must be the same. ``"error"``: a ValueError or TypeError that names the argument.
``"either"``: an error of that kind, or a finite answer of the right shape.
"""

from __future__ import annotations

import mmap
import signal
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

N_ROWS, N_FEATURES, N_LABELS = 60, 6, 4

# Words of exceptions that come from generated code instead of from a check.
MACHINE_WORDS = (
    "Buffer dtype mismatch",
    "buffer source array is read-only",
    "ndarray is not",
    "Cannot convert",
    "memoryview",
    "unbound",
    "NoneType' object",
    "object has no attribute",
    "unsupported operand",
    "out of bounds",
    "could not be broadcast",
    "shapes (",
    "matmul",
)


@dataclass(frozen=True)
class Case:
    """One bad or odd input."""

    name: str
    change: Callable[[Any], Any]
    outcome: str
    needs: str | None = None

    def __repr__(self) -> str:
        return self.name

    def apply(self, value: Any) -> Any:
        """Changed copy of the value; skips the test if a package is missing."""
        if self.needs is not None:
            pytest.importorskip(self.needs)
        return self.change(value.copy())


def data() -> tuple[np.ndarray, np.ndarray]:
    """Rows whose values every numeric type holds exactly, and label sets of size 1 to 4."""
    rng = np.random.default_rng(7)
    y = (rng.random((N_ROWS, N_LABELS)) < 0.4).astype(np.int64)
    y[np.arange(N_ROWS), rng.integers(0, N_LABELS, N_ROWS)] = 1
    X = np.rint(y @ rng.normal(size=(N_LABELS, N_FEATURES)) * 2 + rng.normal(size=(N_ROWS, 6)))
    return np.clip(X, -9, 9), y


@contextmanager
def time_limit(seconds: int = 20):
    """Fail instead of hanging: after so much time of the processor, or 15 times that."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: Any) -> None:
        raise AssertionError(f"still running after {seconds} s")

    timers = [
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, 15 * seconds),
    ]
    before = [signal.signal(number, stop) for number, _, _ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def _memory_map(array: np.ndarray) -> np.ndarray:
    buffer = mmap.mmap(-1, max(1, array.nbytes))
    buffer[: array.nbytes] = array.tobytes()
    view = np.frombuffer(buffer, dtype=array.dtype, count=array.size).reshape(array.shape)
    view.flags.writeable = False
    return view


def _read_only(matrix: Any) -> Any:
    if not sp.issparse(matrix):
        matrix.flags.writeable = False
        return matrix
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    return matrix


def _mapped_csr(array: np.ndarray) -> Any:
    matrix = sp.csr_array(array)
    for name in ("data", "indices", "indptr"):
        setattr(matrix, name, _memory_map(getattr(matrix, name)))
    return matrix


def _index(array: np.ndarray, dtype: Any) -> Any:
    matrix = sp.csr_array(array)
    matrix.indices, matrix.indptr = matrix.indices.astype(dtype), matrix.indptr.astype(dtype)
    return matrix


def _unsorted(array: np.ndarray) -> Any:
    matrix = sp.csr_array(array)
    for first, last in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        matrix.indices[first:last] = matrix.indices[first:last][::-1].copy()
        matrix.data[first:last] = matrix.data[first:last][::-1].copy()
    return sp.csr_array((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)


def _duplicates(array: np.ndarray) -> Any:
    """Every entry twice, first with its value, then with 0."""
    matrix = sp.csr_array(array)
    values = np.column_stack([matrix.data, np.zeros_like(matrix.data)]).ravel()
    indices = np.repeat(matrix.indices, 2)
    return sp.csr_array((values, indices, 2 * matrix.indptr), shape=matrix.shape)


def _explicit_zeros(array: np.ndarray) -> Any:
    rows, columns = np.indices(array.shape).reshape(2, -1)
    return sp.csr_array(sp.coo_array((array.ravel(), (rows, columns)), shape=array.shape))


def _trailing(array: np.ndarray) -> Any:
    """Buffers longer than the matrix, with rubbish at the end."""
    matrix = sp.csr_array(array)
    matrix.data = np.append(matrix.data, matrix.data[:3])
    matrix.indices = np.append(matrix.indices, np.full(3, 10**6, matrix.indices.dtype))
    return matrix


def _corrupt(array: np.ndarray, kind: str, format_: str = "csr") -> Any:
    matrix = sp.csr_array(array).asformat(format_)
    last = array.shape[0 if format_ == "csc" else 1]
    if kind.startswith("float "):
        name = kind.removeprefix("float ")
        setattr(matrix, name, getattr(matrix, name).astype(np.float64))
    elif format_ == "coo":
        column = matrix.coords[1].copy()
        column[len(column) // 2] = {"large": 10**6, "negative": -5}[kind]
        matrix.coords = (matrix.coords[0].copy(), column)
    elif kind in ("large", "next", "negative"):
        matrix.indices = matrix.indices.copy()
        matrix.indices[len(matrix.indices) // 2] = {
            "large": 10**6,
            "next": last,
            "negative": -5,
        }[kind]
    else:
        offsets = matrix.indptr.astype(np.int64)
        if kind == "decreasing":
            offsets[2], offsets[3] = offsets[3] + 2, offsets[2]
        elif kind == "beyond":
            offsets[-1] += 1000
        elif kind == "beyond 2**31":
            offsets[-3:] += 2**31 + 7
        elif kind == "first":
            offsets[0] = 2
        elif kind == "negative offset":
            offsets[1] = -3
        elif kind == "short":
            offsets = offsets[:-2]
        matrix.indptr = offsets
    return _untouchable(matrix)


def _untouchable(matrix: Any) -> Any:
    """The matrix, but every method that would trust its buffers is a failure.

    Compiled loops of SciPy write outside of their memory where buffers are wrong, mostly
    without any sign of it until much later. That an error follows is not enough.
    """
    kind = type(matrix)

    def trap(name: str) -> Callable:
        def method(*_: Any, **__: Any) -> None:
            raise AssertionError(f"{name} of a corrupt matrix that was not checked before")

        return method

    names = ["__getitem__", "__matmul__", "__rmatmul__", "__mul__", "__rmul__"]
    names += [n for n in dir(kind) if n[0] != "_" and callable(getattr(kind, n))]
    traps = {name: trap(name) for name in names if hasattr(kind, name)}
    matrix.__class__ = type(f"corrupt_{kind.__name__}", (kind,), traps)
    return matrix


def _put(value: float, where: Any = (3, 1), dtype: Any = np.float64) -> Callable:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(dtype)
        array[where] = value
        return array

    return change


def _sparse_put(value: float) -> Callable:
    return lambda array: sp.csr_array(_put(value)(array))


def _frame(module: str, dtype: Any = None) -> Callable:
    def change(array: np.ndarray) -> Any:
        if module == "polars":
            polars = pytest.importorskip("polars")

            return polars.DataFrame({f"c{i}": array[:, i] for i in range(array.shape[1])})
        import pandas

        return pandas.DataFrame(array, columns=[f"c{i}" for i in range(array.shape[1])]).astype(
            dtype or array.dtype
        )

    return change


class _Duck:
    """Nothing but ``__array__``, ``__len__`` and ``shape``."""

    def __init__(self, array: np.ndarray) -> None:
        self._array, self.shape = array, array.shape

    def __len__(self) -> int:
        return len(self._array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self._array, dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        return self._array[key]


_CONTAINERS = {
    "list": np.ndarray.tolist,
    "tuple of lists": lambda a: tuple(a.tolist()),
    "Fortran order": np.asfortranarray,
    "strided view": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "negative strides": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "read-only": _read_only,
    "read-only memory map": _memory_map,
    "unaligned": lambda a: (
        np.frombuffer(b"\0" + a.tobytes(), dtype=np.uint8)[1:].view(a.dtype).reshape(a.shape)
    ),
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "long double": lambda a: a.astype(np.longdouble),
    "int8": lambda a: a.astype(np.int8),
    "big-endian float64": lambda a: a.astype(">f8"),
    "big-endian int32": lambda a: a.astype(">i4"),
    "object": lambda a: a.astype(object),
    "duck array": _Duck,
    "csr_matrix": sp.csr_matrix,
    "csr_array": sp.csr_array,
    "csc_matrix": sp.csc_matrix,
    "csc_array": sp.csc_array,
    "coo_matrix": sp.coo_matrix,
    "coo_array": sp.coo_array,
    "lil_array": sp.lil_array,
    "dok_array": sp.dok_array,
    "bsr_array": sp.bsr_array,
    "dia_array": sp.dia_array,
    "CSR with int32 indices": lambda a: _index(a, np.int32),
    "CSR with int64 indices": lambda a: _index(a, np.int64),
    "CSR float32": lambda a: sp.csr_array(a.astype(np.float32)),
    "CSR int8": lambda a: sp.csr_array(a.astype(np.int8)),
    "CSR unsorted": _unsorted,
    "CSR with duplicates": _duplicates,
    "CSR with explicit zeros": _explicit_zeros,
    "CSR read-only": lambda a: _read_only(sp.csr_array(a)),
    "CSR in read-only memory maps": _mapped_csr,
    "CSR with longer buffers": _trailing,
}

SAME = [Case(name, change, "same") for name, change in _CONTAINERS.items()]
SAME += [
    Case("pandas", _frame("pandas"), "same", "pandas"),
    Case("pandas nullable", _frame("pandas", "Float64"), "same", "pandas"),
    Case("polars", _frame("polars"), "same", "polars"),
    Case("pandas arrow-backed", _frame("pandas", "double[pyarrow]"), "same", "pyarrow"),
    Case("pandas categories", lambda a: _frame("pandas")(a).astype("category"), "same", "pandas"),
    Case("pyarrow table", lambda a: _table(a, "pyarrow"), "same", "pyarrow"),
]

_CORRUPT = {
    f"corrupt {format_}: {kind}": (lambda a, k=kind, f=format_: _corrupt(a, k, f))
    for format_, kinds in {
        "csr": (
            "large",
            "next",
            "negative",
            "decreasing",
            "beyond",
            "beyond 2**31",
            "first",
            "negative offset",
            "short",
            "float indices",
            "float indptr",
        ),
        "csc": ("large", "next", "negative", "decreasing", "beyond 2**31"),
        "coo": ("large", "negative"),
    }.items()
    for kind in kinds
}

_SHAPES = {
    "None": lambda a: None,
    "scalar": lambda a: 3.0,
    "string": lambda a: "text",
    "bytes": lambda a: b"text",
    "dict": lambda a: {"a": a},
    "three dimensions": lambda a: a[:, :, None],
    "no rows": lambda a: a[:0],
    "no rows, sparse": lambda a: sp.csr_array(a[:0]),
    "no columns": lambda a: a[:, :0],
    "no columns, sparse": lambda a: sp.csr_array((len(a), 0)),
    "empty list": lambda a: [],
    "ragged list": lambda a: [row[: 1 + i % 3] for i, row in enumerate(a.tolist())],
    "strings": lambda a: np.where(a > 0, "yes", "no"),
    "objects": lambda a: np.array([[object()] * a.shape[1]] * len(a)),
    "None inside": lambda a: np.where(a > 0, None, a.astype(object)),
    "complex": lambda a: a + 1j,
    "structured": lambda a: np.zeros(a.shape, dtype=[("a", float), ("b", int)]),
    "fewer rows": lambda a: a[:-3],
    "fewer rows, sparse": lambda a: sp.csr_array(a[:-3]),
    "more rows": lambda a: np.vstack([a, a[:2]]),
}

_NOT_FINITE = {
    "NaN": _put(np.nan),
    "inf": _put(np.inf),
    "-inf": _put(-np.inf),
    "NaN, sparse": _sparse_put(np.nan),
    "inf, sparse": _sparse_put(np.inf),
    "NaN in float32": _put(np.nan, dtype=np.float32),
    "NaN everywhere": _put(np.nan, ...),
    "NaN object": _put(np.nan, dtype=object),
}


def _errors(*groups: dict) -> list[Case]:
    return [Case(name, change, "error") for group in groups for name, change in group.items()]


def _either(cases: dict) -> list[Case]:
    return [Case(name, change, "either") for name, change in cases.items()]


# What people have in place of an indicator: the error has code that makes one.
LABELS = np.array(["a", "b", "c", "d"])


def names_of(array: np.ndarray) -> list[list[str]]:
    """The label list of each row."""
    return [LABELS[row != 0].tolist() for row in array]


def _objects(rows: list) -> np.ndarray:
    out = np.empty(len(rows), dtype=object)
    out[:] = rows
    return out


def _series(rows: list, kind: str = "pandas") -> Any:
    if kind == "polars":
        polars = pytest.importorskip("polars")

        return polars.Series(rows)
    if kind == "pyarrow":
        pyarrow = pytest.importorskip("pyarrow")

        return pyarrow.array(rows)
    import pandas

    if kind == "arrow-backed":
        pyarrow = pytest.importorskip("pyarrow")

        return pandas.Series(rows, dtype=pandas.ArrowDtype(pyarrow.list_(pyarrow.string())))
    return pandas.Series(_objects(rows), index=np.arange(len(rows)) + 7)


def _table(array: np.ndarray, kind: str) -> Any:
    if kind == "pyarrow":
        pyarrow = pytest.importorskip("pyarrow")

        return pyarrow.table({f"c{i}": array[:, i] for i in range(array.shape[1])})
    return _frame(kind)(array)


def _padded(array: np.ndarray, names: Any, fill: Any) -> np.ndarray:
    """One column for the first label, one for the second, and so on."""
    rows = [[names[k] for k in np.flatnonzero(row)] for row in array]
    width = max(map(len, rows))
    return np.array([[*row, *[fill] * (width - len(row))] for row in rows], dtype=object)


def _nullable(array: np.ndarray) -> Any:
    import pandas

    frame = pandas.DataFrame(array).astype("Int64")
    return frame.mask(frame == 0)


def _with_id(array: np.ndarray, ids: Any) -> np.ndarray:
    return np.column_stack([np.asarray(ids), array])


LABEL_LISTS = {
    "lists": names_of,
    "tuples": lambda a: [tuple(row) for row in names_of(a)],
    "tuple of sets": lambda a: tuple(set(row) for row in names_of(a)),
    "frozen sets": lambda a: [frozenset(row) for row in names_of(a)],
    "lists with rows that have no value": lambda a: [row or None for row in names_of(a * 1)],
    "lists with gaps": lambda a: [[*row, None] for row in names_of(a)],
    "object array of lists": lambda a: _objects(names_of(a)),
    "object column of lists": lambda a: _objects(names_of(a))[:, None],
    "object array of arrays": lambda a: _objects([np.array(row) for row in names_of(a)]),
    "dicts": lambda a: [dict.fromkeys(row, 1) for row in names_of(a)],
    "lists of numbers": lambda a: [np.flatnonzero(row).tolist() for row in a],
    "pandas: lists": lambda a: _series(names_of(a)),
    "pandas: sets": lambda a: _series([set(row) for row in names_of(a)]),
    "pandas: arrays": lambda a: _series([np.array(row) for row in names_of(a)]),
    "pandas: frame of lists": lambda a: _series(names_of(a)).to_frame(),
    "pandas: arrow lists": lambda a: _series(names_of(a), "arrow-backed"),
    "polars: lists": lambda a: _series(names_of(a), "polars"),
    "polars: frame of lists": lambda a: _series(names_of(a), "polars").to_frame(),
    "pyarrow: lists": lambda a: _series(names_of(a), "pyarrow"),
    "strings with ;": lambda a: np.array([";".join(row) for row in names_of(a)]),
    "strings with |": lambda a: [" | ".join(row) for row in names_of(a)],
    "strings with commas": lambda a: _series([", ".join(row) for row in names_of(a)]),
    "strings with blanks": lambda a: _series([" ".join(row) for row in names_of(a)], "polars"),
    "lists as strings": lambda a: [str(row) for row in names_of(a)],
    "lists as JSON": lambda a: _series([str(row).replace("'", '"') for row in names_of(a)]),
    "names filled up with ''": lambda a: _padded(a, LABELS, "").astype(str),
    "names filled up with None": lambda a: _table(_padded(a, LABELS, None), "pandas"),
    "names filled up with NaN": lambda a: _padded(a, LABELS, np.nan),
    "numbers filled up with 0": lambda a: _padded(a, range(1, 5), 0).astype(int),
    "numbers filled up with -1": lambda a: _padded(a, range(4), -1).astype(np.int16).tolist(),
    "numbers filled up with NaN": lambda a: _padded(a, range(1, 5), np.nan).astype(float),
    "numbers filled up with NA": lambda a: _table(
        _padded(a, range(1, 5), np.nan).astype(float), "pandas"
    ).astype("Int64"),
    "float numbers filled up with 0": lambda a: _padded(a, range(1, 5), 0).astype(np.float32),
    "numbers in polars": lambda a: _table(_padded(a, range(1, 5), 0).astype(int), "polars"),
    "numbers in objects": lambda a: _padded(a, range(1, 5), 0),
}

SPELLINGS = {
    "TRUE and FALSE": lambda a: np.where(a, "TRUE", "FALSE"),
    "categories TRUE and FALSE": lambda a: _table(np.where(a, "TRUE", "FALSE"), "pandas").astype(
        "category"
    ),
    "polars true and false": lambda a: _table(np.where(a, "true", "false"), "polars"),
    "pyarrow yes and no": lambda a: _table(np.where(a, "yes", "no"), "pyarrow"),
    "y and n in lists": lambda a: np.where(a, "y", "n").tolist(),
    "'1' and '0'": lambda a: a.astype(str),
    "b'1' and b'0'": lambda a: a.astype("S1"),
    "'1.0' and '0.0' in objects": lambda a: a.astype(float).astype(str).astype(object),
    "'1' and missing": lambda a: _table(np.where(a, "1", None), "pandas"),
    "T and F, mixed": lambda a: np.where(a, np.where(np.arange(4) % 2, "T", "True"), "F"),
    "structured integers": lambda a: np.array(
        [tuple(row) for row in a], dtype=[(n, int) for n in LABELS]
    ),
    "structured bytes": lambda a: np.array(
        [tuple(row) for row in a.astype("S1")], dtype=[(n, "S1") for n in LABELS]
    ),
    "1 and NA": _nullable,
    "1 and NaN": lambda a: np.where(a, 1.0, np.nan),
    "1 and None": lambda a: np.where(a, 1, None).tolist(),
    "1 and null in polars": lambda a: _table(np.where(a, 1.0, np.nan), "polars"),
    "1 and -1": lambda a: 2 * a - 1,
    "1 and -1 in float32": lambda a: (2 * a - 1).astype(np.float32),
    "counts": lambda a: a * np.random.default_rng(0).integers(1, 9, a.shape),
    "counts, sparse": lambda a: sp.csc_matrix(a * 3),
    "float counts, sparse": lambda a: sp.coo_array(a * 2.0),
    "ids in front": lambda a: _with_id(a, np.arange(len(a)) + 1000),
    "float ids in front": lambda a: _with_id(a, np.arange(len(a)) + 1000.0),
    "names in front": lambda a: _table(
        _with_id(a.astype(object), [f"row {i}" for i in range(len(a))]), "pandas"
    ),
}

_EXTREME = {
    "1e300": _put(1e300),
    "1e160": _put(1e160),
    "1e30": _put(1e30),
    "1e30 everywhere": lambda a: a * 1e30,
    "1e-30 everywhere": lambda a: a * 1e-30,
    "denormal": _put(5e-324),
    "denormal everywhere": lambda a: a * 1e-310,
    "denormal float32": lambda a: (a * 1e-40).astype(np.float32),
    "all zero": np.zeros_like,
    "all zero, sparse": lambda a: sp.csr_array(a.shape),
    "zero rows": _put(0.0, slice(0, 20)),
    "zero column": _put(0.0, (slice(None), 2)),
    "constant": lambda a: np.ones_like(a),
    "bool": lambda a: a > 0,
    "masked array": lambda a: np.ma.masked_array(a, mask=a > 2),
    "np.matrix": np.asmatrix,
    "64-bit numbers": lambda a: np.full(a.shape, 2**62),
}

X_CASES = SAME + _errors(_CORRUPT, _SHAPES, _NOT_FINITE) + _either(_EXTREME)

# What `fit` may take, but a fitted model must refuse.
PREDICT_CASES = [
    *(c for c in X_CASES if c.name not in ("fewer rows", "fewer rows, sparse", "more rows")),
    *_errors(
        {
            "fewer columns": lambda a: a[:, :-1],
            "more columns": lambda a: np.hstack([a, a[:, :1]]),
            "fewer columns, sparse": lambda a: sp.csr_array(a[:, :-1]),
            "more columns, sparse": lambda a: sp.csr_array(np.hstack([a, a])),
            "one dimension": lambda a: a[0],
        }
    ),
]

Y_CASES = (
    SAME
    + _errors(
        {name: c for name, c in _CORRUPT.items() if "first" not in name},
        {k: c for k, c in _SHAPES.items() if k != "strings"},
        _NOT_FINITE,
    )
    + _errors(
        {
            "negative": _put(-1, dtype=np.int64),
            "negative, sparse": lambda a: sp.csr_array(_put(-1, dtype=np.int64)(a)),
            "strings": lambda a: np.where(a > 0, "yes", "no"),
            "dates": lambda a: a.astype("datetime64[s]"),
            "1-D float": lambda a: np.linspace(0, 1, len(a)),
            "1-D NaN": lambda a: np.full(len(a), np.nan),
            "sparse objects": lambda a: _with_object_data(sp.csr_array(a)),
            "twos": _put(2, dtype=np.int64),
            "twos, sparse": lambda a: sp.csr_array(_put(2, dtype=np.int64)(a)),
            "twos in float": _put(2.0),
            "unsigned label numbers": lambda a: (a + np.arange(4)).astype(np.uint16),
            "huge": _put(1e300),
        }
    )
    + _errors(LABEL_LISTS, SPELLINGS)
    + _either(
        {
            "fractions": _put(0.5),
            "fractions of any size": _put(1e9 + 0.5),
            "denormal": _put(5e-324),
            "duplicates that add up": lambda a: sp.csr_array(
                (
                    np.ones(2 * a.sum(), np.int8),
                    np.repeat(sp.csr_array(a).indices, 2),
                    2 * sp.csr_array(a).indptr,
                ),
                shape=a.shape,
            ),
            "no label anywhere": np.zeros_like,
            "no label anywhere, sparse": lambda a: sp.csr_array(a.shape, dtype=np.int8),
            "all labels on every row": np.ones_like,
            "all labels on every row, sparse": lambda a: sp.csr_array(np.ones_like(a)),
            "one label only": _put(0, (slice(None), slice(1, None)), np.int64),
            "a label on one row": _put(0, (slice(1, None), 0), np.int64),
            "rows without labels": _put(0, slice(0, 20), np.int64),
            "one column": lambda a: a[:, :1],
            "one column, sparse": lambda a: sp.csr_array(a[:, :1]),
            "two columns": lambda a: a[:, :2],
            "classes": lambda a: a.argmax(axis=1),
            "classes as strings": lambda a: np.array(list("abcd"))[a.argmax(axis=1)],
            "one class": lambda a: np.zeros(len(a), dtype=int),
            "bool": lambda a: a > 0,
            "uint8": lambda a: a.astype(np.uint8),
            "masked array": lambda a: np.ma.masked_array(a, mask=a > 2),
            "np.matrix": np.asmatrix,
            "200 labels in int8": lambda a: np.tile(a, 50).astype(np.int8),
        }
    )
)


def _with_object_data(matrix: Any) -> Any:
    matrix.data = matrix.data.astype(object)
    return matrix


# Changes of X and y at once.
PAIR_CASES = [
    *_either(
        {
            "one row": lambda p: (p[0][:1], p[1][:1]),
            "one row, sparse": lambda p: (sp.csr_array(p[0][:1]), sp.csr_array(p[1][:1])),
            "two rows": lambda p: (p[0][:2], p[1][:2]),
            "one column": lambda p: (p[0][:, :1], p[1]),
            "more columns than rows": lambda p: (np.tile(p[0], (1, 30)), p[1]),
            "the same row again and again": lambda p: (p[0][[0] * 40], p[1][[0] * 40]),
        }
    ),
    *_errors(
        {
            "no rows in either": lambda p: (p[0][:0], p[1][:0]),
            "no rows in either, sparse": lambda p: (
                sp.csr_array(p[0][:0]),
                sp.csr_array(p[1][:0]),
            ),
        }
    ),
]

WEIGHT_CASES = [
    *(
        Case(name, change, "same")
        for name, change in {
            "list": np.ndarray.tolist,
            "float32": lambda w: w.astype(np.float32),
            "big-endian": lambda w: w.astype(">f8"),
            "int": lambda w: w.astype(np.int64),
            "read-only": _read_only,
            "strided": lambda w: np.repeat(w, 2)[::2],
        }.items()
    ),
    *_errors(
        {
            "NaN": _put(np.nan, 3),
            "inf": _put(np.inf, 3),
            "negative": _put(-1.0, 3),
            "all zero": np.zeros_like,
            "too short": lambda w: w[:-1],
            "too long": lambda w: np.append(w, 1.0),
            "two dimensions": lambda w: np.column_stack([w, w]),
            "strings": lambda w: np.array(["a"] * len(w)),
            "no numbers": lambda w: [object()] * len(w),
        }
    ),
    *_either(
        {
            "number": lambda w: 2.0,
            "some zero": _put(0.0, slice(0, 30)),
            "one positive": lambda w: np.eye(1, len(w))[0],
            "1e300": lambda w: w * 1e300,
            "1e-300": lambda w: w * 1e-300,
            "denormal": lambda w: w * 5e-324,
            "from 1e-30 to 1e30": lambda w: np.geomspace(1e-30, 1e30, len(w)),
        }
    ),
]


def is_good_error(error: BaseException, pattern: str) -> str | None:
    """Tell what is wrong with an exception, None if nothing is."""
    import re

    text = str(error)
    if not isinstance(error, ValueError | TypeError) or isinstance(error, UnicodeDecodeError):
        return f"{type(error).__name__}: {text}"
    for words in MACHINE_WORDS:
        if words in text:
            return f"not a message for users: {text}"
    if not re.search(pattern, text):
        return f"the argument is not named: {text}"
    return None
