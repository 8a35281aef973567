"""Formulas as MathML, which browsers draw themselves: no script, no network."""

from __future__ import annotations

import re
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def _mathml(text: str, display: str) -> str:
    text = convert(re.sub(r"\s+", " ", text).strip(), display=display)
    # In few fonts; this one is in most.
    text = text.replace("&#x029F5;", "&#x02216;")
    # A bar is a bracket here; as an operator it would have space on both sides.
    return re.sub(r"<mo[^>]*>&#x0007C;</mo>", '<mo lspace="0" rspace="0">|</mo>', text)


def _inline(writer: Any, node: Any) -> None:
    writer.body.append(_mathml(node.astext(), "inline"))
    raise SkipNode


def _block(writer: Any, node: Any) -> None:
    writer.body.append(f'<div class="formula">{_mathml(node.astext(), "block")}</div>')
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
