"""Checks of single values, as a small vocabulary for tables of what a class holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .container import DamagedFileError

__all__ = [
    "Check",
    "any_of",
    "anything",
    "array",
    "boolean",
    "check_fields",
    "dtype_or_none",
    "instance",
    "integer",
    "list_of",
    "number",
    "optional",
    "text",
]

Check = Callable[[Any], bool]


def check_fields(values: dict[str, Any], checks: dict[str, Check]) -> None:
    """Raise a `DamagedFileError` if values are missing, too many, or not as their checks say."""
    if set(values) != set(checks):
        odd = sorted(set(values) ^ set(checks))
        raise DamagedFileError(f"{', '.join(odd):.200} missing or unknown")
    for name, check in checks.items():
        if not check(values[name]):
            raise DamagedFileError(f"{name} is not as it should be")


def anything(value: Any) -> bool:
    return True


def boolean(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


def number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not boolean(value)


def integer(low: int = 0, high: int = 2**63 - 1) -> Check:
    def check(value: Any) -> bool:
        whole = isinstance(value, (int, np.integer)) and not boolean(value)
        return whole and low <= value <= high

    return check


def text(*options: str) -> Check:
    def check(value: Any) -> bool:
        return type(value) is str and (not options or value in options)

    return check


def any_of(*checks: Check) -> Check:
    def check(value: Any) -> bool:
        return any(one(value) for one in checks)

    return check


def optional(check: Check) -> Check:
    return any_of(lambda value: value is None, check)


def list_of(check: Check) -> Check:
    def check_all(value: Any) -> bool:
        return type(value) is list and all(map(check, value))

    return check_all


def instance(*classes: type) -> Check:
    def check(value: Any) -> bool:
        return type(value) in classes

    return check


def array(*dtypes: Any, ndim: int | None = 1) -> Check:
    """An array of one of these types, or of any."""
    allowed = {np.dtype(dtype) for dtype in dtypes}

    def check(value: Any) -> bool:
        return (
            type(value) is np.ndarray
            and (ndim is None or value.ndim == ndim)
            and (not allowed or value.dtype in allowed)
        )

    return check


def dtype_or_none(value: Any) -> bool:
    return value is None or isinstance(value, (np.dtype, type))
