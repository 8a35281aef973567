"""Code within text may be broken where a reader would: after a bracket, an underscore, a word."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.writers.html5 import HTML5Translator

_BREAK = re.compile(r"(?<=[(=,._])(?=[\w&])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class _Translator(HTML5Translator):
    def visit_Text(self, node: nodes.Text) -> None:  # noqa: N802
        begin = len(self.body)
        super().visit_Text(node)
        if self.protect_literal_text:
            self.body[begin:] = [_BREAK.sub("<wbr>", part) for part in self.body[begin:]]


def setup(app: Any) -> dict[str, bool]:
    """Take this translator, which the theme builds upon."""
    app.set_translator("html", _Translator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
