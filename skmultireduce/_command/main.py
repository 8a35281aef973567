"""The command `skmultireduce`: its verbs, and the demonstration that runs without one."""

from __future__ import annotations

import sys
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
    parser = Parser(
        prog="skmultireduce",
        description="Multi-label classification of texts and features.",
        epilog="skmultireduce VERB --help says more.",
    )
    parser.add_argument("--version", action="version", version=f"skmultireduce {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    modules = {}
    for verb, (name, summary) in _VERBS.items():
        own = verbs.add_parser(verb, help=summary, description=f"{verb}: {summary}.")
        # What is imported for one verb is not for the others.
        if verb in given[:1]:
            modules[verb] = import_module(f".{name}", __package__)
            modules[verb].add_options(own)
    options = parser.parse_args(given)
    options.arguments = given
    return run_quietly(f"skmultireduce {options.verb}", lambda: modules[options.verb].run(options))
