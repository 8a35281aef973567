"""Errors and warnings as single lines, and paths that are checked before there is work."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["Parser", "check_output", "run_quietly", "tell"]

# Of a process that a signal ended: 128 and its number.
_INTERRUPTED, _BROKEN_PIPE = 130, 141


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """End with the message and exit code 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def run_quietly(prog: str, work: Callable[[], int]) -> int:
    """Run; what goes wrong is one line on standard error.

    Parameters
    ----------
    prog : str
        Name that the lines begin with.
    work : callable

    Returns
    -------
    code : int
        2 for what the user can change: files, options, memory. 130 after Ctrl-C, 141 if
        nobody reads the output any more.
    """

    def show(message: Any, *args: Any, **kwargs: Any) -> None:
        tell(f"{prog}: warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.showwarning = show
        try:
            code = work()
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            # Python flushes standard output once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return _BROKEN_PIPE
        except KeyboardInterrupt:
            return _INTERRUPTED
        except OSError as error:
            where = f"{os.fspath(error.filename)}: " if error.filename else ""
            tell(f"{prog}: error: {where}{error.strerror or error}")
        except MemoryError as error:
            tell(f"{prog}: error: {str(error) or 'not enough memory'}")
        except (ValueError, TypeError, AttributeError, ImportError, LookupError) as error:
            tell(f"{prog}: error: {error}")
    return 2


def tell(message: str) -> None:
    """Write one line to standard error."""
    sys.stdout.flush()
    print(" ".join(message.split()), file=sys.stderr, flush=True)


def check_output(path: Path, *, force: bool, inputs: list[Path]) -> None:
    """Raise if a file cannot be written, or would be overwritten unasked.

    Parameters
    ----------
    path : Path
    force : bool
        Whether a file that is there may be replaced.
    inputs : list of Path
        Files that are read, and never replaced.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a directory; give the name of a file.")
    if path.exists():
        if any(other.exists() and path.samefile(other) for other in inputs):
            raise ValueError(f"{path} is also read; give another name.")
        if not force:
            raise ValueError(f"{path} is there already; --force replaces it.")
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{folder} is no directory; make it first.")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{folder} cannot be written to.")
