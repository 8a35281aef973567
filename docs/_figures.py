"""Figures of stored benchmark results as SVG: drawn in the colours of the page, no script.

``python docs/_figures.py`` writes what the README shows: its figure and its table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

OURS = "skmultireduce"
FAMILIES = (OURS, "scikit-learn", "fastText", "napkinXC", "omikuji")
# Light and dark; the page has the same ones in site.css.
COLOURS = {
    OURS: ("#b3380f", "#ff9a6b"),
    "scikit-learn": ("#1f5fa8", "#7ab8ff"),
    "fastText": ("#5b6b1f", "#bcd35f"),
    "napkinXC": ("#7a3f98", "#d3a5ec"),
    "omikuji": ("#0b7568", "#5fd0c0"),
}


class Point(NamedTuple):
    """A model: seconds of training, index, its name and its family."""

    x: float
    y: float
    name: str
    family: str


class Size(NamedTuple):
    """Of a drawing, in its own units, and of its letters."""

    width: int
    height: int
    font: int


WIDE = Size(880, 420, 14)
NARROW = Size(400, 520, 13)
PAIR = Size(520, 400, 14)


# ------------------------------------------------------------------- results
def fastest(results: dict, set_name: str) -> list[dict]:
    """Each contender's fastest row of a set, in the order of the results."""
    best: dict[str, dict] = {}
    for row in results["rows"]:
        if row["data"] == set_name and "J*" in row:
            known = best.get(row["contender"])
            if known is None or row["fit_s"] < known["fit_s"]:
                best[row["contender"]] = row
    return list(best.values())


def real_sets(results: dict) -> list[str]:
    """Names of the sets that are measured and not synthetic."""
    return [n for n, shape in results["sets"].items() if "=" not in n and "missing" not in shape]


def short(contender: str) -> str:
    """A contender's name; ours without the package."""
    return contender.removeprefix(f"{OURS} ").replace(" squared_hinge", ", squared hinge")


def points(results: dict, set_name: str, leave_out: Iterable[str] = ()) -> list[Point]:
    """Training time against quality."""
    return [
        Point(row["fit_s"], row["J*"], short(row["contender"]), row["contender"].split()[0])
        for row in fastest(results, set_name)
        if short(row["contender"]) not in leave_out
    ]


# ------------------------------------------------------------------- axes
def _nice(low: float, high: float, most: int) -> list[float]:
    """Round numbers in a range."""
    step = 10 ** math.floor(math.log10((high - low) / most))
    step = next(s for s in (step, 2 * step, 5 * step, 10 * step) if (high - low) / s <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Round numbers in each decade: as few as will do."""
    ends = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for parts in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [v for e in ends for m in parts if low <= (v := m * 10.0**e) <= high]
        if len(ticks) >= 3:
            break
    return ticks


class _Frame:
    """Scales of a drawing, with its axes."""

    def __init__(
        self, size: Size, xs: Sequence[float], ys: Sequence[float], *, log_y: bool, left: int
    ) -> None:
        font = size.font
        self.size = size
        self.left, self.right = left, size.width - font
        self.top, self.bottom = 2 * font, size.height - 3.4 * font
        self.log_y = log_y
        grown = [math.log(v) for v in xs]
        margin = 0.06 * (max(grown) - min(grown))
        self._x = min(grown) - margin, max(grown) + margin
        lifted = [self._lift(v) for v in ys]
        margin = 0.08 * (max(lifted) - min(lifted))
        self._y = min(lifted) - margin, max(lifted) + margin

    def _lift(self, value: float) -> float:
        return math.log(value) if self.log_y else value

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Place of a value."""
        u = (math.log(x) - self._x[0]) / (self._x[1] - self._x[0])
        v = (self._lift(y) - self._y[0]) / (self._y[1] - self._y[0])
        return (
            self.left + u * (self.right - self.left),
            self.bottom - v * (self.bottom - self.top),
        )

    def axes(self, x_name: str, y_name: str, x_ticks: Sequence[float] = ()) -> Iterator[str]:
        """Lines and letters of both axes."""
        font = self.size.font
        for value in x_ticks or _decades(math.exp(self._x[0]), math.exp(self._x[1])):
            x, _ = self.at(value, math.exp(self._y[0]) if self.log_y else self._y[0])
            yield f'<path class="grid" d="M{x:.1f} {self.top}V{self.bottom:.1f}"/>'
            yield (
                f'<text x="{x:.1f}" y="{self.bottom + 1.3 * font:.1f}" '
                f'text-anchor="middle">{value:,g}</text>'
            )
        low, high = self._y
        ticks = _decades(math.exp(low), math.exp(high)) if self.log_y else _nice(low, high, 6)
        digits = 2 if all(math.isclose(v, round(v, 2)) for v in ticks) else 3
        for value in ticks:
            _, y = self.at(math.exp(self._x[0]), value)
            text = f"{value:g}" if self.log_y else f"{value:.{digits}f}".lstrip("0")
            yield f'<path class="grid" d="M{self.left} {y:.1f}H{self.right}"/>'
            yield (
                f'<text x="{self.left - 6}" y="{y + 0.35 * font:.1f}" '
                f'text-anchor="end">{text}</text>'
            )
        yield f'<text class="name" x="{self.left}" y="{font}">{escape(y_name)}</text>'
        yield (
            f'<text class="name" x="{self.right}" y="{self.size.height - 0.5 * font:.1f}" '
            f'text-anchor="end">{escape(x_name)}</text>'
        )


# ------------------------------------------------------------------- names beside points
_Box = tuple[float, float, float, float]


def overlap(a: _Box, b: _Box) -> float:
    """Area that two boxes share."""
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return across * down if across > 0 and down > 0 else 0.0


def _candidates(x: float, y: float, width: float, font: float) -> Iterator[tuple[_Box, float]]:
    """Boxes for a name about a point, with what their distance costs."""
    for ring in range(14):
        for sign in (1, -1) if ring else (1,):
            middle = y + sign * ring * 0.55 * font
            for left, cost in (
                (x + 9 + 2 * ring, 0), (x - 9 - 2 * ring - width, 1), (x - width / 2, 2),
            ):  # fmt: skip
                yield (left, middle - 0.6 * font, left + width, middle + 0.6 * font), cost + ring


def place(spots: Sequence[tuple[float, float]], names: Sequence[str], frame: _Frame) -> list[_Box]:
    """Boxes of the names: those that overlap least with each other and with the points."""
    font = frame.size.font
    inside = (frame.left + 2, frame.top, frame.right, frame.bottom - 2)
    choices = [
        list(_candidates(x, y, 0.57 * font * len(name) + 2, font))
        for (x, y), name in zip(spots, names, strict=True)
    ]
    marks = [(x - 6, y - 6, x + 6, y + 6) for x, y in spots]
    chosen = [options[0][0] for options in choices]

    def cost(i: int, box: _Box, distance: float) -> float:
        area = (box[2] - box[0]) * (box[3] - box[1])
        total = 40 * (area - overlap(box, inside)) + 0.8 * font * distance
        total += sum(8 * overlap(box, mark) for mark in marks)
        return total + sum(12 * overlap(box, other) for j, other in enumerate(chosen) if j != i)

    for _ in range(12):
        for i, options in enumerate(choices):
            chosen[i] = min(options, key=lambda option, i=i: cost(i, *option))[0]
    return chosen


def _named(
    spots: Sequence[tuple[float, float]], items: Sequence[Point], frame: _Frame
) -> Iterator[str]:
    """Points with their names, and lines to names that stand apart."""
    font = frame.size.font
    boxes = place(spots, [item.name for item in items], frame)
    for (x, y), item, box in zip(spots, items, boxes, strict=True):
        style = f"f{FAMILIES.index(item.family)}"
        middle = (box[1] + box[3]) / 2
        edge = min(max(x, box[0]), box[2])
        if math.hypot(edge - x, middle - y) > 1.3 * font:
            yield f'<path class="lead {style}" d="M{x:.1f} {y:.1f}L{edge:.1f} {middle:.1f}"/>'
        yield f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
        yield (
            f'<text class="{style}" x="{box[0] + 1:.1f}" y="{middle + 0.35 * font:.1f}">'
            f"{escape(item.name)}</text>"
        )


# ------------------------------------------------------------------- drawings
def _svg(size: Size, parts: Iterable[str], label: str, style: str = "") -> str:
    body = "\n".join(parts)
    return (
        f'<svg class="chart" viewBox="0 0 {size.width} {size.height}" role="img" '
        f'aria-label="{escape(label, quote=True)}" font-size="{size.font}" '
        f'xmlns="http://www.w3.org/2000/svg">{style}\n{body}\n</svg>'
    )


def frame_of(items: Sequence[Point], size: Size) -> _Frame:
    """Scales of a drawing of time against quality."""
    return _Frame(
        size, [p.x for p in items], [p.y for p in items], log_y=False, left=3 * size.font
    )


def quality(items: Sequence[Point], size: Size, label: str, style: str = "") -> str:
    """Training time against the Jaccard index, each model with its name."""
    frame = frame_of(items, size)
    spots = [frame.at(p.x, p.y) for p in items]
    parts = frame.axes("seconds of training →", "↑ Jaccard index")
    return _svg(size, [*parts, *_named(spots, items, frame)], label, style)


def growth(lines: dict[str, list[tuple[float, float]]], axis: str, size: Size) -> str:
    """Training time against one size of the data, with the slope of proportional growth."""
    xs = [x for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    frame = _Frame(size, xs, ys, log_y=True, left=round(3.4 * size.font))
    parts = list(frame.axes(f"{axis} →", "↑ seconds of training", sorted(set(xs))))
    low, high, top = min(xs), max(xs), max(ys)
    first = max(low, high * min(ys) / top)
    ends = (frame.at(first, top * first / high), frame.at(high, top))
    parts.append(
        f'<path class="guide" d="M{ends[0][0]:.1f} {ends[0][1]:.1f}L{ends[1][0]:.1f} '
        f'{ends[1][1]:.1f}"/>'
    )
    for i, line in enumerate(lines.values()):
        places = [frame.at(x, y) for x, y in line]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        parts.append(f'<path class="line f{i}" d="M{path}"/>')
        parts += [f'<circle class="f{i}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    return _svg(size, parts, f"Training time against the number of {axis}")


def both(draw: Any, label: str) -> str:
    """A drawing for wide and one for narrow windows; the style sheet shows one of them."""
    return (
        f'<div class="only-wide">{draw(WIDE, label)}</div>\n'
        f'<div class="only-narrow">{draw(NARROW, label)}</div>'
    )


# ------------------------------------------------------------------- the front page and the README
FRONT_SETS = ("cooking", "python_imports")
FRONT_LEAVES_OUT = ("pick_all_normalized", "pick_all", "MLP")


def caption(results: dict, set_name: str) -> str:
    """What a set is, in one line."""
    shape = results["sets"][set_name]
    return f"{set_name}: {shape['rows']:,} rows, {shape['labels']:,} labels"


def front(results: dict) -> str:
    """The figure of the front page."""
    cells = []
    for name in FRONT_SETS:
        title = caption(results, name)
        drawn = quality(points(results, name, FRONT_LEAVES_OUT), PAIR, f"Training time, {title}")
        cells.append(f"<div><p><strong>{title}</strong></p>\n{drawn}\n</div>")
    return '<div class="charts">\n' + "\n".join(cells) + "\n</div>\n"


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".lstrip("0")


def peers_table(results: dict, columns: Sequence[str] | None = None) -> list[str]:
    """Ours beside the peers, on every set: index and time, the best of each set in bold."""
    sets = [name for name in (columns or real_sets(results)) if name in results["sets"]]
    rows = {name: {row["contender"]: row for row in fastest(results, name)} for name in sets}
    order = list(dict.fromkeys(c for name in sets for c in rows[name]))
    lines = ["| | " + " | ".join(sets) + " |", "|---|" + "---|" * len(sets)]
    best = {name: max(round(row["J*"], 3) for row in rows[name].values()) for name in sets}
    for contender in order:
        own = contender.startswith(OURS)
        cells = []
        for name in sets:
            row = rows[name].get(contender)
            if row is None:
                cells.append("")
                continue
            index = _number(row["J*"])
            index = f"**{index}**" if round(row["J*"], 3) == best[name] else index
            cells.append(f"{index}, {row['fit_s']:.2g} s")
        title = f"ours: {short(contender)}" if own else contender
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def beside_one_vs_rest(results: dict) -> list[str]:
    """Our fastest linear model of good quality beside the best OneVsRestClassifier, each set."""
    head = (
        "| data | rows, labels | ours: seconds | J* | OneVsRestClassifier: seconds | J* | "
        "times faster |"
    )
    lines = [head, "|---|---|---:|---:|---:|---:|---:|"]
    for name in real_sets(results):
        rows = {row["contender"]: row for row in fastest(results, name)}
        ours = rows[f"{OURS} one_vs_rest squared_hinge"]
        peers = [row for c, row in rows.items() if c.startswith("scikit-learn")]
        peer = max(peers, key=lambda row: row["J*"])
        shape = results["sets"][name]
        lines.append(
            f"| {name} | {shape['rows']:,}, {shape['labels']:,} | {ours['fit_s']:.2g} | "
            f"{_number(ours['J*'])} | {peer['fit_s']:.2g} ({peer['contender'].split()[1]}) | "
            f"{_number(peer['J*'])} | {peer['fit_s'] / ours['fit_s']:.2g} |"
        )
    return lines


def _style() -> str:
    """Colours of a file that stands alone."""
    light = "".join(f".f{i}{{--c:{COLOURS[f][0]}}}" for i, f in enumerate(FAMILIES))
    dark = "".join(f".f{i}{{--c:{COLOURS[f][1]}}}" for i, f in enumerate(FAMILIES))
    return (
        "<style>svg{font-family:system-ui,sans-serif;color:#1f2328}"
        "text{fill:currentColor}text[class^=f]{fill:var(--c);font-weight:600}"
        "circle{fill:var(--c)}.grid{stroke:currentColor;stroke-opacity:.15}"
        ".lead{stroke:var(--c);stroke-width:1}.name{font-weight:600}"
        f"{light}@media(prefers-color-scheme:dark){{svg{{color:#e6edf3}}{dark}}}</style>"
    )


README_SET = "cooking"
BEGIN, END = "<!-- table of benchmarks/results/compare.json -->", "<!-- end of the table -->"


def readme_figure(results: dict) -> str:
    """A file that the README shows."""
    items = points(results, README_SET, FRONT_LEAVES_OUT)
    return quality(items, WIDE, f"Training time, {caption(results, README_SET)}", _style()) + "\n"


def readme_text(results: dict, text: str) -> str:
    """The README with the table of today's results."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return "\n".join([before + BEGIN, "", *peers_table(results), "", END + after])


def main() -> None:
    """Write the README's figure and table."""
    root = Path(__file__).resolve().parent.parent
    results = json.loads((root / "benchmarks" / "results" / "compare.json").read_text())
    (root / "docs" / "images" / "speed_and_quality.svg").write_text(readme_figure(results))
    readme = root / "README.md"
    readme.write_text(readme_text(results, readme.read_text()))


if __name__ == "__main__":
    main()
