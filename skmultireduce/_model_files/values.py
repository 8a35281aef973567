"""Values as JSON and arrays, and back: numbers, texts, arrays, and records that are known.

What JSON has no form for is an object with one key, which says what it is. Texts and numbers of
long lists are arrays. A record is an entry of a list of its own, after all that it holds, so
that one which is held twice is written once and there are no circles.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .container import DTYPES, DamagedFileError

__all__ = ["NotSavedError", "Reader", "RecordForm", "Writer"]

# Longer lists of numbers or texts are arrays.
_LONG = 16
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_BUILTIN_TYPES = {"bool": bool, "int": int, "float": float}
# Of labels: str or any object.
_TEXT_TYPE = re.compile(r"[<>]U\d{1,6}|\|O")
# Values within values within values.
_DEEPEST = 32


class NotSavedError(ValueError):
    """Something that a model file does not hold."""


class RecordForm(NamedTuple):
    """How objects of one class are written and read.

    Parameters
    ----------
    cls : type
        Exactly this class.
    take : callable
        From an object to a dict of its values.
    make : callable
        From such a dict, whose values are not checked yet, to an object; raises `DamagedFileError`
        or a ValueError if they are not as they should be.
    """

    cls: type
    take: Callable[[Any], dict[str, Any]]
    make: Callable[[dict[str, Any]], Any]


class Writer:
    """Writes values; `arrays` and `records` are what they refer to.

    Parameters
    ----------
    form_of : callable
        From an object to the name and the `RecordForm` of its class, or None.
    """

    def __init__(self, form_of: Callable[[Any], tuple[str, RecordForm] | None]) -> None:
        self.arrays: list[np.ndarray] = []
        self.records: list[dict] = []
        self._form_of = form_of
        # By the address of an object, which is kept alive as long.
        self._known: dict[int, tuple[Any, Any]] = {}

    def write(self, value: Any) -> Any:
        """JSON of a value."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is list:
            return self._list(value)
        if kind in (tuple, set):
            items = sorted(value, key=repr) if kind is set else value
            return {kind.__name__: [self.write(item) for item in items]}
        if kind is dict:
            return {"dict": [self._list(list(value)), self._list(list(value.values()))]}
        if isinstance(value, np.generic):
            return self._scalar(value)
        if kind is np.ndarray:
            return self._once(value, self._array)
        if kind is np.ma.MaskedArray:
            parts = [np.asarray(value.data), np.ma.getmaskarray(value)]
            return {"masked": [self.write(part) for part in parts]}
        if isinstance(value, np.dtype):
            return {"dtype": value.str if value.kind in "OU" else _checked_dtype(value)}
        if isinstance(value, type):
            return self._type(value)
        found = self._form_of(value)
        if found is None:
            raise NotSavedError(f"{value!r:.100} of {kind.__module__}.{kind.__qualname__}")
        return self._once(value, lambda record: self._record(record, *found))

    def _once(self, value: Any, write: Callable[[Any], Any]) -> Any:
        known = self._known.get(id(value))
        if known is None:
            known = self._known[id(value)] = (value, write(value))
        return known[1]

    def _record(self, value: Any, name: str, form: RecordForm) -> dict:
        fields = {key: self.write(item) for key, item in form.take(value).items()}
        self.records.append({"class": name, "values": fields})
        return {"record": len(self.records) - 1}

    def _numbers(self, array: np.ndarray) -> int:
        _checked_dtype(array.dtype)
        self.arrays.append(array)
        return len(self.arrays) - 1

    def _array(self, array: np.ndarray) -> dict:
        if array.dtype == object or array.dtype.kind in "US":
            kind = "objects" if array.dtype == object else "strings"
            if array.ndim != 1:
                raise NotSavedError(f"an array of {array.dtype} of shape {array.shape}")
            return {kind: self._list(array.tolist())}
        return {"array": self._numbers(array)}

    def _list(self, values: list) -> Any:
        if len(values) > _LONG:
            kinds = set(map(type, values))
            if kinds == {str} or kinds == {bytes}:
                return self._texts(values, kinds == {bytes})
            if kinds == {float}:
                return {"floats": self._numbers(np.array(values))}
            if kinds == {int} and max(map(abs, values)) < 2**63:
                return {"ints": self._numbers(np.array(values, dtype=np.int64))}
        if values and set(map(type, values)) == {bytes}:
            return self._texts(values, True)
        return [self.write(value) for value in values]

    def _texts(self, values: list, is_bytes: bool) -> dict:
        """Texts one after the other, and where each ends."""
        coded = values if is_bytes else [text.encode("utf-8", "surrogatepass") for text in values]
        ends = np.cumsum([len(text) for text in coded], dtype=np.int64)
        joined = np.frombuffer(b"".join(coded), dtype=np.uint8)
        return {"bytes" if is_bytes else "texts": [self._numbers(joined), self._numbers(ends)]}

    def _scalar(self, value: np.generic) -> dict:
        if value.dtype.kind == "U":
            return {"str": str(value)}
        return {"scalar": [_checked_dtype(value.dtype), self.write(value.item())]}

    def _type(self, value: type) -> dict:
        if issubclass(value, np.generic) and np.dtype(value).name in DTYPES:
            return {"type": np.dtype(value).name}
        if value in _BUILTIN_TYPES.values():
            return {"builtin": value.__name__}
        raise NotSavedError(f"the class {value.__qualname__}")


def _checked_dtype(dtype: np.dtype) -> str:
    if dtype.name not in DTYPES:
        raise NotSavedError(f"an array of {dtype}")
    return dtype.name


class Reader:
    """Reads what `Writer` writes, and nothing else.

    Parameters
    ----------
    forms : dict
        From names to `RecordForm`.
    records : list
    arrays : list of ndarray
    """

    def __init__(self, forms: dict[str, RecordForm], records: Any, arrays: list) -> None:
        self._arrays = arrays
        self._used = [False] * len(arrays)
        self._read: list[Any] = []
        _need(isinstance(records, list), "its records are no list")
        for record in records:
            _need(
                isinstance(record, dict) and set(record) == {"class", "values"},
                "a record is not of its form",
            )
            name, values = record["class"], record["values"]
            form = forms.get(name) if isinstance(name, str) else None
            if form is None:
                raise DamagedFileError(f"{name!r:.60} is no class that model files hold")
            _need(isinstance(values, dict), f"values of {name} are none")
            try:
                found = {key: self.read(value) for key, value in values.items()}
                self._read.append(form.make(found))
            except DamagedFileError as error:
                raise DamagedFileError(f"{name}: {error}") from error
            except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
                raise DamagedFileError(f"{name} is not as it should be: {error}") from error

    def check_all_used(self) -> None:
        """Raise a `DamagedFileError` if there are arrays that nothing refers to."""
        _need(all(self._used), "there are arrays that belong to nothing")

    def read(self, value: Any, depth: int = 0) -> Any:
        """The value of some JSON."""
        _need(depth < _DEEPEST, "values are nested too deeply")
        if isinstance(value, list):
            return [self.read(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        _need(len(value) == 1, "a value is of no known form")
        ((kind, content),) = value.items()
        read = getattr(self, f"_read_{kind}", None) if kind in _KINDS else None
        _need(read is not None, f"{kind!r:.60} is no kind of value")
        return read(content, depth + 1)

    def _read_float(self, content: Any, depth: int) -> float:
        _need(isinstance(content, str) and content in _FLOATS, "a number is none")
        return _FLOATS[content]

    def _items(self, content: Any, depth: int) -> list:
        _need(isinstance(content, list), "a list is none")
        return [self.read(item, depth) for item in content]

    def _read_tuple(self, content: Any, depth: int) -> tuple:
        return tuple(self._items(content, depth))

    def _read_set(self, content: Any, depth: int) -> set:
        return set(_hashable(self._items(content, depth)))

    def _read_dict(self, content: Any, depth: int) -> dict:
        found = self._items(content, depth)
        _need(
            len(found) == 2
            and all(isinstance(part, list) for part in found)
            and len(found[0]) == len(found[1]),
            "keys and values of a dict do not agree",
        )
        out = dict(zip(_hashable(found[0]), found[1], strict=True))
        _need(len(out) == len(found[0]), "a key of a dict comes twice")
        return out

    def _read_scalar(self, content: Any, depth: int) -> Any:
        name, value = self._pair(content)
        _need(isinstance(name, str) and name in DTYPES, "a number is of no known type")
        number = self.read(value, depth)
        _need(isinstance(number, (bool, int, float)), "a number is none")
        try:
            return np.dtype(name).type(number)
        except OverflowError as error:
            raise DamagedFileError("a number is too large for its type") from error

    def _read_str(self, content: Any, depth: int) -> Any:
        _need(isinstance(content, str), "a text is none")
        return np.str_(content)

    def _read_dtype(self, content: Any, depth: int) -> np.dtype:
        known = isinstance(content, str) and (content in DTYPES or _TEXT_TYPE.fullmatch(content))
        _need(bool(known), "a type is not known")
        return np.dtype(content)

    def _read_type(self, content: Any, depth: int) -> type:
        return self._read_dtype(content, depth).type

    def _read_builtin(self, content: Any, depth: int) -> type:
        _need(isinstance(content, str) and content in _BUILTIN_TYPES, "a type is not known")
        return _BUILTIN_TYPES[content]

    def _read_record(self, content: Any, depth: int) -> Any:
        known = type(content) is int and 0 <= content < len(self._read)
        _need(known, "a record is missing")
        return self._read[content]

    def _read_array(self, content: Any, depth: int) -> np.ndarray:
        _need(type(content) is int and 0 <= content < len(self._arrays), "an array is missing")
        self._used[content] = True
        return self._arrays[content]

    def _read_masked(self, content: Any, depth: int) -> np.ma.MaskedArray:
        data, mask = (self.read(part, depth) for part in self._pair(content))
        arrays = isinstance(data, np.ndarray) and isinstance(mask, np.ndarray)
        _need(arrays and mask.dtype == bool and data.shape == mask.shape, "a mask is none")
        return np.ma.MaskedArray(data, mask)

    def _of_kind(self, content: Any, dtype: Any) -> np.ndarray:
        array = self._read_array(content, 0)
        _need(array.dtype == dtype and array.ndim == 1, "an array is of another type")
        return array

    def _read_floats(self, content: Any, depth: int) -> list[float]:
        return self._of_kind(content, np.float64).tolist()

    def _read_ints(self, content: Any, depth: int) -> list[int]:
        return self._of_kind(content, np.int64).tolist()

    def _read_objects(self, content: Any, depth: int) -> np.ndarray:
        values = self.read(content, depth)
        _need(isinstance(values, list), "a list is none")
        out = np.empty(len(values), dtype=object)
        out[:] = values
        return out

    def _read_strings(self, content: Any, depth: int) -> np.ndarray:
        values = self.read(content, depth)
        texts = isinstance(values, list) and set(map(type, values)) <= {str}
        _need(texts, "texts are none")
        # An array takes the length of the longest for each.
        longest = max(map(len, values), default=0)
        _need(longest * len(values) <= 64 * (sum(map(len, values)) + 1024), "a text is too long")
        return np.array(values, dtype=str)

    def _read_texts(self, content: Any, depth: int) -> list[str]:
        try:
            return [text.decode("utf-8", "surrogatepass") for text in self._pieces(content)]
        except UnicodeDecodeError as error:
            raise DamagedFileError("a text is no UTF-8") from error

    def _read_bytes(self, content: Any, depth: int) -> list[bytes]:
        return self._pieces(content)

    def _pieces(self, content: Any) -> list[bytes]:
        joined, ends = self._pair(content)
        data = self._of_kind(joined, np.uint8).tobytes()
        ends = self._of_kind(ends, np.int64)
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
        in_order = np.all(starts <= ends) and (ends[-1] if len(ends) else 0) == len(data)
        _need(bool(in_order), "ends of texts are not in order")
        return [
            data[first:last] for first, last in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def _pair(self, content: Any) -> tuple[Any, Any]:
        _need(isinstance(content, list) and len(content) == 2, "a value is not of its form")
        return content[0], content[1]


_KINDS = frozenset(
    name.removeprefix("_read_") for name in vars(Reader) if name.startswith("_read_")
)


def _hashable(items: list) -> list:
    plain = (bool, int, float, str, tuple, type(None), np.generic)
    _need(all(isinstance(item, plain) for item in items), "a key is none")
    return items


def _need(condition: bool, what: str) -> None:
    if not condition:
        raise DamagedFileError(what)
