"""Numbers of statements are links to where they are proved.

A statement of the appendix begins with its number in bold, which becomes an anchor. Wherever a
page or a docstring cites such a number, in a sentence or in a column called "no.", it links there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx import addnodes

_PAGE = "appendix"
_NUMBER = re.compile(
    # Not a part of another number or of a version, nor a quantity.
    r"(?<![\w.,/=≥≤<>×~±+−-])(?<!scikit-learn )(?<!numpy )(?<!scipy )(?<!Python )(?<!version )"
    r"(?<!about )(?<!below )(?<!above )(?<!to the )(?<!× )(?<!= )(?<!≈ )"
    r"\d{1,2}\.\d{1,2}[a-e]?"
    r"(?![\w%×/-])(?!\.\d)(?!,\d)(?! ?(?:s|ms|µs|GB|MB|GiB|%|×|times|million|and \d\.\d+ s)\b)"
)
# Ends of a list of numbers: if one is no statement, neither are the others.
_LAST = re.compile(r"(?:, \d+\.\d+[a-e]?)*,? (?:and|or) (\d+\.\d+[a-e]?)(?!\w)")
_FIRST = re.compile(r"(\d+\.\d+[a-e]?)(?:,| and| or) $")
# Pages whose plain numbers are quantities or releases.
_LEFT_OUT = ("index", "benchmarks", "changelog", "contributing")
_NO_TEXT = (
    nodes.literal, nodes.literal_block, nodes.doctest_block, nodes.math, nodes.math_block,
    nodes.reference, nodes.title, nodes.raw, nodes.comment, addnodes.desc_signature,
)  # fmt: skip


def _anchor(number: str) -> str:
    return "statement-" + number.replace(".", "-")


def _find_statements(app: Any, doctree: nodes.document) -> None:
    """Give each statement of the appendix an anchor."""
    if app.env.docname != _PAGE:
        return
    found = set()
    for strong in doctree.findall(nodes.strong):
        match = re.match(r"\d+\.\d+[a-z]?", strong.astext())
        if match and match.group() not in found:
            found.add(match.group())
            strong["ids"].append(_anchor(match.group()))
            strong["classes"].append("statement")
    app.env.statements = found


def _is_quantity(text: nodes.Text) -> bool:
    """A table's cell that is nothing but a number, unless its column is one of statements."""
    cell = text.parent
    while cell is not None and not isinstance(cell, nodes.entry):
        cell = cell.parent
    if cell is None or re.search(r"[A-Za-z]{2}", cell.astext()):
        return False
    column = cell.parent.index(cell)
    heads = list(cell.parent.parent.parent.findall(nodes.thead))
    names = [entry.astext() for entry in heads[0][0]] if heads else []
    return column >= len(names) or names[column] != "no."


def _statement(number: str, known: set[str]) -> str | None:
    """The statement that a number means: a letter may be that of a part of it."""
    return next((n for n in (number, number.rstrip("abcde")) if n in known), None)


def _parts(text: str, known: set[str], address: str) -> Iterator[nodes.Node]:
    end = 0
    for match in _NUMBER.finditer(text):
        number = _statement(match.group(), known)
        ends = _LAST.match(text, match.end()), _FIRST.search(text, 0, match.start())
        if number is None or any(e and not _statement(e.group(1), known) for e in ends):
            continue
        yield nodes.Text(text[end : match.start()])
        link = nodes.reference("", match.group(), internal=True)
        link["refuri"] = f"{address}#{_anchor(number)}"
        link["classes"].append("statement")
        yield link
        end = match.end()
    if end:
        yield nodes.Text(text[end:])


def _link(app: Any, doctree: nodes.document, docname: str) -> None:
    known = getattr(app.env, "statements", set())
    if app.builder.format != "html" or docname.startswith(_LEFT_OUT):
        return
    address = "" if docname == _PAGE else app.builder.get_relative_uri(docname, _PAGE)
    for text in list(doctree.findall(nodes.Text)):
        parent = text.parent
        outer = parent
        while outer is not None and not isinstance(outer, _NO_TEXT):
            outer = outer.parent
        if outer is not None or "statement" in parent.get("classes", ()):
            continue
        if not _NUMBER.search(text) or _is_quantity(text):
            continue
        parts = list(_parts(str(text), known, address))
        if parts:
            parent.replace(text, parts)


def setup(app: Any) -> dict[str, Any]:
    """Anchors when pages are read, links when they are written."""
    app.connect("doctree-read", _find_statements)
    # Before the gallery makes more than text of its code.
    app.connect("doctree-resolved", _link, priority=400)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False}
