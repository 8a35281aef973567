"""Warnings at the line of the user's code, each kind once for a fit with fits inside."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["gathered", "pass_on", "warn"]

# What stands between the line that the user wrote and the line that warns.
_NOT_THE_USER = ("skmultireduce", "sklearn", "joblib", "contextlib", "threading", "concurrent")

_here = threading.local()


def warn(kind: str, message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, or leave it to the enclosing fit.

    Parameters
    ----------
    kind : str
        Of a kind the enclosing fit passes on the last: that of the fit on all rows.
    message : str
        What the user reads.
    category : type, default=UserWarning
        Class of the warning.
    """
    found = getattr(_here, "found", None)
    if found is None:
        warnings.warn(message, category, stacklevel=_level_of_the_user())
    else:
        found[kind] = (message, category)


@contextmanager
def gathered() -> Iterator[dict[str, tuple[str, type[Warning]]]]:
    """Gather what is warned about in this thread, to be passed on; an inner fit's for example."""
    before = getattr(_here, "found", None)
    _here.found = found = {}
    try:
        yield found
    finally:
        _here.found = before


def pass_on(*found: dict[str, tuple[str, type[Warning]]]) -> None:
    """Warn of what was gathered in some fits, each kind once."""
    merged = {kind: warning for one in found for kind, warning in one.items()}
    for kind, (message, category) in merged.items():
        warn(kind, message, category)


def _level_of_the_user() -> int:
    """Level, for a call of `warnings.warn` in `warn`, of the code that called this package."""
    frame = sys._getframe(2)
    level = 2
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _NOT_THE_USER:
            return level
        frame = frame.f_back
        level += 1
    # A thread's own frames are all that there is.
    return 3
