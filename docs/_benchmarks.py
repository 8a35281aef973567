"""Benchmark results as pages: what is stored is shown, nothing is measured here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import _figures

_NONE = """\
:::{note}
No results are stored in `benchmarks/results/` of this source tree, so there are no tables
here. The commands above write them; the next build of this page shows them.
:::
"""
# Quality beside time first: what a reader compares.
_COLUMNS = (
    "contender", "threads", "train (s)", "times ours", "J*", "J tuned", "P@1", "R@5",
    "predict (s)", "memory (MB)", "of which fit (MB)",
)  # fmt: skip
_SHOWN_ELSEWHERE = ("compare.md", "cost_model.md")


def write(results: Path, folder: Path) -> None:
    """Write what pages include: tables and figures of the stored results.

    Parameters
    ----------
    results : Path
        Folder that the scripts in ``benchmarks/`` write to.
    folder : Path
        Where generated parts of pages go.
    """
    folder.mkdir(exist_ok=True)
    stored = results / "compare.json"
    compared = json.loads(stored.read_text()) if stored.exists() else None
    report = (results / "compare.md").read_text() if compared else ""
    parts = {
        "compare.inc": "\n".join(_compare(compared, report)) if compared else _NONE,
        "other_benchmarks.inc": "\n".join(_others(results)),
        "front.inc": _front(compared) if compared else "",
        "one_vs_rest.inc": (
            "\n".join(_figures.beside_one_vs_rest(compared)) + "\n" if compared else ""
        ),
    }
    for name, text in parts.items():
        target = folder / name
        # An unchanged file keeps its date, so that the page is not built again.
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


def _front(results: dict) -> str:
    return f"```{{raw}} html\n{_figures.front(results)}```\n"


def _raw(html: str) -> list[str]:
    return ["```{raw} html", html, "```", ""]


def _compare(results: dict, report: str) -> Iterator[str]:
    """The report with a figure for each set, and its aims at the end."""
    sections = {}
    for section in report.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        sections[title.strip()] = body.strip("\n")
    machine = report.split("\n## ")[0].split("\n", 1)[1].strip().replace("../README.md", "above")
    yield from (machine, "")
    for name in _figures.real_sets(results):
        yield from (f"## {name}", "")
        yield from _raw(
            _figures.both(
                lambda size, label, name=name: _figures.quality(
                    _figures.points(results, name), size, label
                ),
                f"Training time against quality, {_figures.caption(results, name)}",
            )
        )
        yield from (_narrower(sections.pop(name)), "")
    grown = sections.pop("How cost grows", "")
    if grown:
        yield from ("## How cost grows", "")
        yield from _raw(_growth(results))
        yield from (_names(grown), "")
    if "Aims" in sections:
        yield from ("## Aims", "", sections.pop("Aims"), "")


def _growth(results: dict) -> str:
    """A panel for each size of the data; the names of the lines above them."""
    axes: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in results["rows"]:
        if "=" in row["data"] and "fit_s" in row:
            axis, size = row["data"].split("=")
            line = axes.setdefault(axis, {}).setdefault(_figures.short(row["contender"]), [])
            line.append((int(size), row["fit_s"]))
    names = list(dict.fromkeys(name for lines in axes.values() for name in lines))
    key = "".join(f'<span class="f{i}">● {name}</span> ' for i, name in enumerate(names))
    size = _figures.Size(440, 320, 13)
    panels = "\n".join(
        f"<div>{_figures.growth({n: sorted(p) for n, p in lines.items()}, axis, size)}</div>"
        for axis, lines in axes.items()
    )
    return (
        f'<p class="chart-key">{key}<span>- - in proportion</span></p>\n'
        f'<div class="charts">\n{panels}\n</div>'
    )


def _names(text: str) -> str:
    """Ours without the package's name: it would fill the first column."""
    return text.replace("| skmultireduce ", "| ").replace("squared_hinge", "squared hinge")


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _narrower(section: str) -> str:
    """The table of a set: the columns that are compared come first, ours are set off."""
    lines, out, order = section.splitlines(), [], None
    for line in lines:
        if not line.startswith("|"):
            out.append(line)
            order = None
            continue
        cells = _cells(line)
        if order is None:
            order = [cells.index(name) for name in _COLUMNS if name in cells]
        if not set(line) <= set("|- :"):
            own = cells[0].startswith(f"{_figures.OURS} ")
            cells[0] = f"**{_figures.short(cells[0])}**" if own else cells[0]
            out.append("| " + " | ".join(cells[i] for i in order) + " |")
        else:
            out.append("|---|" + "---:|" * (len(order) - 1))
    return "\n".join(out)


def _others(results: Path) -> Iterator[str]:
    """Reports of the other scripts, as they are."""
    for path in sorted(results.glob("*.md")):
        if path.name not in _SHOWN_ELSEWHERE:
            for line in path.read_text().splitlines():
                yield "#" + line if line.startswith("#") else line
            yield ""
