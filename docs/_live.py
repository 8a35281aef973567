"""Examples of a page run when the site is built: what they print is what is shown.

In the source such a page holds what the tests compare with, an ellipsis where figures depend on
the machine. In the site stand the outputs of this build, and the figures that the code has drawn.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import textwrap
import traceback
from pathlib import Path
from typing import Any

import _gallery

_BLOCK = re.compile(r"^```pycon\n(.*?)^```\n", re.S | re.M)
_WIDTH = 96


class _Session:
    """The names of one page, and its figures."""

    def __init__(self, page: str, folder: Path) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._page = page.replace("/", "-")
        self._folder = folder
        self._n_figures = 0

    def run(self, example: doctest.Example) -> str:
        """What a console prints for a statement; an error only where the page has one."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(example.source, f"<{self._page}>", "single"), self._names)
        except Exception as error:
            if example.exc_msg is None:
                raise
            lines = traceback.format_exception_only(error)
            print("Traceback (most recent call last):\n    ...", file=printed)
            printed.writelines(lines)
        return printed.getvalue()

    def figures(self) -> list[str]:
        """Files of the figures that are open now; they are closed."""
        from matplotlib import pyplot

        files = []
        for number in pyplot.get_fignums():
            self._n_figures += 1
            name = f"{self._page}-{self._n_figures}.png"
            pyplot.figure(number).savefig(self._folder / name, dpi=144)
            files.append(name)
        pyplot.close("all")
        return files


def _shown(match: re.Match, session: _Session) -> str:
    """A block with the outputs of this run, and its figures below."""
    lines = []
    for example in doctest.DocTestParser().get_examples(match.group(1)):
        source = example.source.rstrip("\n").splitlines()
        lines += [f">>> {source[0]}", *(f"... {line}".rstrip() for line in source[1:])]
        for line in session.run(example).splitlines():
            lines += textwrap.wrap(line, _WIDTH, subsequent_indent="  ") or [""]
    text = "\n".join(["```pycon", *lines, "```", ""])
    for name in session.figures():
        text += (
            f"\n```{{image}} /generated/{name}\n:class: output\n:alt: Figure of this code\n```\n"
        )
    return text


def _read(app: Any, docname: str, source: list[str]) -> None:
    if docname not in app.config.live_pages:
        return
    _gallery.reset({}, docname)
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    session = _Session(docname, folder)
    source[0] = _BLOCK.sub(lambda match: _shown(match, session), source[0])


def setup(app: Any) -> dict[str, bool]:
    """Run the pages named in ``live_pages``."""
    app.add_config_value("live_pages", [], "env", list)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
