"""Formulas as MathML, which browsers draw themselves: no script, no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

_NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_TAG = f"{{{_NAMESPACE}}}"
_RELATIONS = set("=≤≥<>∈∝→⇒∼≈")
_OPENING = set("([{|‖⌈⌊")
# Shorter formulas stay in one piece.
_LONG = 9
ElementTree.register_namespace("", _NAMESPACE)


def _is(node: ElementTree.Element | None, letters: set[str]) -> bool:
    return node is not None and node.tag == f"{_TAG}mo" and (node.text or "") in letters


def _is_name(node: ElementTree.Element) -> bool:
    """Whether it is a function such as log, also with an index."""
    core = node[0] if node.tag in (f"{_TAG}msub", f"{_TAG}munder") and len(node) else node
    text = core.text or ""
    return core.tag in (f"{_TAG}mi", f"{_TAG}mo") and len(text) > 1 and text.isalpha()


def _letters(tree: ElementTree.Element) -> None:
    """Give operators their meaning where the converter leaves it open."""
    for parent in tree.iter():
        for place, node in enumerate(parent):
            text = node.text or ""
            if text in ("|", "‖"):
                # A bar is a bracket here; as an operator it would have space on both sides.
                between = node.tag == f"{_TAG}mi"
                node.tag = f"{_TAG}mo"
                space = "0.2em" if between else "0"
                node.attrib = {"stretchy": "false", "lspace": space, "rspace": space}
            elif text == "*" and place:
                node.text = "∗"
            elif text == "~":
                node.tag, node.text = f"{_TAG}mo", "∼"
            elif text == "⧵":
                # In few fonts; this one is in most.
                node.text = "∖"
            elif node.tag == f"{_TAG}mo" and len(text) > 1 and text.isalpha():
                node.tag = f"{_TAG}mi"


def _spaces(tree: ElementTree.Element) -> None:
    """Thin spaces about the names of functions."""
    for parent in tree.iter(f"{_TAG}mrow"):
        children = list(parent)
        for i, node in enumerate(children):
            if not _is_name(node):
                continue
            after = children[i + 1] if i + 1 < len(children) else None
            if after is not None and not _is(after, _OPENING):
                parent.insert(list(parent).index(node) + 1, _thin())
            if i and children[i - 1].tag != f"{_TAG}mo":
                parent.insert(list(parent).index(node), _thin())


def _thin() -> ElementTree.Element:
    return ElementTree.Element(f"{_TAG}mspace", {"width": "0.167em"})


def _pieces(row: ElementTree.Element) -> Iterator[list[ElementTree.Element]]:
    """Parts of a long formula between which a line may end: before relations and words."""
    piece: list[ElementTree.Element] = []
    for node in row:
        relates = _is(node, _RELATIONS) or (_is(node, {"+", "−"}) and len(piece) >= _LONG)
        if piece and (relates or node.tag == f"{_TAG}mtext"):
            yield piece
            piece = []
            if relates:
                node.set("form", "infix")
        piece.append(node)
    yield piece


def _text(tree: ElementTree.Element) -> str:
    return ElementTree.tostring(tree, encoding="unicode", short_empty_elements=False)


def _tree(text: str, display: str) -> ElementTree.Element:
    converted = convert(re.sub(r"\s+", " ", text).strip(), display=display)
    tree = ElementTree.fromstring(converted)
    _letters(tree)
    _spaces(tree)
    return tree


def _inline(writer: Any, node: Any) -> None:
    tree = _tree(node.astext(), "inline")
    row = tree[0]
    pieces = list(_pieces(row)) if len(row) > _LONG else [list(row)]
    parts = []
    for piece in pieces:
        part = ElementTree.Element(tree.tag, tree.attrib)
        ElementTree.SubElement(part, f"{_TAG}mrow").extend(piece)
        parts.append(_text(part))
    # No line begins with the comma that follows a formula.
    writer.body.append("<wbr>".join(parts) + "&#8288;")
    raise SkipNode


def _block(writer: Any, node: Any) -> None:
    writer.body.append(f'<div class="formula">{_text(_tree(node.astext(), "block"))}</div>')
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
