"""Fits in threads of a larger fit, which end when that one does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Together", "end_if_told"]

_here = threading.local()


class _Told(BaseException):
    """Ends a fit whose result nobody waits for."""


class Together:
    """Context of calls in other threads: an error or Ctrl-C here lets them end.

    Threads cannot be ended from outside. Calls made by `call` end where they next look, by
    `end_if_told`: our own estimators do before each epoch, or level of a tree.
    """

    def __init__(self) -> None:
        self._told = threading.Event()

    def __enter__(self) -> Together:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._told.set()

    def __reduce__(self) -> tuple:
        # Other processes get Ctrl-C themselves, and joblib ends them.
        return Together, ()

    def call(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Call a function that ends early, with None, if told so."""
        before = getattr(_here, "told", ())
        _here.told = (*before, self._told)
        try:
            return function(*args, **kwargs)
        except _Told:
            # Of an enclosing one: its thread ends, too.
            if not self._told.is_set():
                raise
            return None
        finally:
            _here.told = before


def end_if_told() -> None:
    """End the fit that runs in this thread, if the one that it is a part of has ended."""
    if any(told.is_set() for told in getattr(_here, "told", ())):
        raise _Told
