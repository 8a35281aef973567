"""The command `skmultireduce`: its verbs, and the demonstration that runs without one."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module

from .._version import __version__
from .errors import Parser, run_quietly

__all__ = ["main"]

_VERBS = {
    "train": ("train", "a model file from files with labels"),
    "test": ("scoring", "how good a model is on files with labels"),
    "predict": ("predict", "a line of labels for each line of text"),
    "explain": ("explain", "which words give a text its labels"),
    "info": ("info", "what a model file holds"),
    "demo": ("demo", "the method on an embedded data set; runs without a verb too"),
}

# Options that are not of the demonstration.
_ALONE = ("-h", "--help", "--version")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, default=None
        Verb and options; None takes the process's own.

    Returns
    -------
    code : int
        0; 2 for errors, with one line on standard error.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in _ALONE):
        given.insert(0, "demo")
    verb, *rest = given
    if verb not in _VERBS:
        _overview().parse_args(given)
    name, summary = _VERBS[verb]
    # What is imported for one verb is not for the others.
    module = import_module(f".{name}", __package__)
    parser = Parser(prog=f"skmultireduce {verb}", description=f"{verb}: {summary}.")
    module.add_options(parser)
    # Names of files may stand before, between and after options.
    options = parser.parse_intermixed_args(rest)
    options.arguments = given
    return run_quietly(parser.prog, lambda: module.run(options))


def _overview() -> Parser:
    """Parser of what stands in place of a verb."""
    width = max(map(len, _VERBS))
    parser = Parser(
        prog="skmultireduce",
        formatter_class=RawDescriptionHelpFormatter,
        description="Multi-label classification of texts and features.",
        epilog="verbs:\n"
        + "".join(f"  {verb:<{width}}  {what}\n" for verb, (_, what) in _VERBS.items())
        + "\nskmultireduce VERB --help says more.",
    )
    parser.add_argument("--version", action="version", version=f"skmultireduce {__version__}")
    parser.add_argument("verb", metavar="VERB", choices=list(_VERBS), help="what to do")
    return parser
