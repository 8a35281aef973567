"""Errors of conversions name the argument that was converted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["naming"]


@contextmanager
def naming(argument: str) -> Iterator[None]:
    """Put the name of the argument before messages that do not say it.

    Parameters
    ----------
    argument : str
        Name of what the block reads.

    Raises
    ------
    TypeError, ValueError
        What the block raises, as one of these two.
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        if re.search(rf"\b{argument}\b", str(error)):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{argument} is not valid: {error}") from error
