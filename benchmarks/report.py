"""Tables of `compare.py`'s results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from data import BASE, GROWTH, is_scaling

COLUMNS = {
    "fit_s": ("train (s)", "{:.3g}"),
    "ratio": ("times ours", "{:.3g}"),
    "predict_s": ("predict (s)", "{:.2g}"),
    "memory_mb": ("memory (MB)", "{:.0f}"),
    "memory_of_fit_mb": ("of which fit (MB)", "{:.0f}"),
    "P@1": ("P@1", "{:.3f}"),
    "R@5": ("R@5", "{:.3f}"),
    "J*": ("J*", "{:.3f}"),
    "J tuned": ("J tuned", "{:.3f}"),
}

OURS = "skmultireduce"

# Doubling a size may cost this factor; labels count from here on (below, a row of W is
# shorter than a few vectors).
GROWTH_LIMIT = 2.2
FIRST_LABELS = 64

# (set, ours, our threads, peer, its threads, times faster, metric that must not be worse).
# "any" of ours: the fastest of those whose metric is not worse.
CLAIMS = (
    ("cooking", "pick_one", 1, "fastText softmax", 1, 25, "P@1"),
    ("cooking", "pick_one", 1, "scikit-learn SGDClassifier", 2, 6, None),
    ("bibtex", "any", 1, "scikit-learn LogisticRegression", 2, 5, "J*"),
    ("tmc2007", "any", 1, "scikit-learn LogisticRegression", 2, 5, "J*"),
    ("bibtex", "one_vs_rest", 2, f"{OURS} one_vs_rest", 1, 1.5, None),
)
THREADS_LIMIT = 1.05


def write(results: dict, folder: Path, reference: str) -> None:
    """Write ``compare.json`` and ``compare.md``."""
    (folder / "compare.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "compare.md").write_text("\n".join(_markdown(results, reference)) + "\n")


# ------------------------------------------------------------------------ table
def _table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _find(results: dict, set_name: str, contender: str, threads: int) -> dict | None:
    for row in results["rows"]:
        if (row["data"], row["contender"], row["threads"]) == (set_name, contender, threads):
            return row if "fit_s" in row else None
    return None


def _markdown(results: dict, reference: str) -> Iterator[str]:
    machine = results["machine"]
    yield "# Side by side"
    yield ""
    yield f"{machine['date'][:10]}, {machine['cpu']}, {machine['cores']} cores, {machine['simd']},"
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    yield f"caches {caches}, {machine['memory_gib']} GiB, {machine['system']},"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield f"Python {machine['python']}, {versions}, revision {machine['revision']}."
    yield (
        f"Medians of {results['repeats']} processes each; load average at the start "
        f"{machine['load_average']:.2f}. Columns: see ../README.md."
    )
    yield ""
    yield from _claims(results)
    for set_name, shape in results["sets"].items():
        if not is_scaling(set_name):
            yield from _set(results, set_name, shape, reference)
    yield from _growth(results)


def _set(results: dict, set_name: str, shape: dict, reference: str) -> Iterator[str]:
    yield f"## {set_name}"
    yield ""
    if "missing" in shape:
        yield f"Left out: {shape['missing']}."
        yield ""
        return
    yield (
        f"{shape['rows']:,} rows for training, {shape['test_rows']:,} for tests, "
        f"{shape['features']:,} features ({shape['nonzeros_a_row']:.1f} non-zeros a row), "
        f"{shape['labels']:,} labels ({shape['labels_a_row']:.2f} a row)"
    )
    yield ""
    rows = [row for row in results["rows"] if row["data"] == set_name]
    first = next((row for row in rows if row["contender"] == reference and "fit_s" in row), None)
    table, left_out = [], {}
    for row in rows:
        if "fit_s" not in row:
            threads = left_out.setdefault((row["contender"], row["missing"]), [])
            threads.append(str(row["threads"]))
            continue
        cells = {**row, "ratio": row["fit_s"] / first["fit_s"]} if first else row
        table.append(
            [row["contender"], str(row["threads"])]
            + [
                form.format(cells[key]) if key in cells else ""
                for key, (_, form) in COLUMNS.items()
            ]
        )
    yield from _table(["contender", "threads", *(head for head, _ in COLUMNS.values())], table)
    if left_out:
        yield "Not measured:"
        yield ""
        for (name, reason), threads in left_out.items():
            yield f"* {name} ({' and '.join(threads)} threads): {reason}"
        yield ""


def _claims(results: dict) -> Iterator[str]:
    rows = []
    for set_name, name, threads, peer_name, peer_threads, least, metric in CLAIMS:
        peer = _find(results, set_name, peer_name, peer_threads)
        if name == "any":
            names = {r["contender"] for r in results["rows"] if r["contender"].startswith(OURS)}
        else:
            names = {f"{OURS} {name}"}
        ours = [_find(results, set_name, n, threads) for n in sorted(names)]
        ours = [row for row in ours if row]
        if peer is None or not ours:
            continue
        good = [row for row in ours if metric is None or row[metric] >= peer[metric]]
        best = min(good or ours, key=lambda row: row["fit_s"])
        ratio = peer["fit_s"] / best["fit_s"]
        compared = "" if metric is None else f"{metric} {best[metric]:.3f} : {peer[metric]:.3f}"
        holds = ratio >= least and bool(good)
        rows.append(
            [
                set_name,
                f"{best['contender']}, {threads} thread(s)",
                f"{peer_name}, {peer_threads} thread(s)",
                f"{ratio:.3g}",
                f"{least:g}",
                compared,
                "yes" if holds else "**no**",
            ]
        )
    slowest = _threads_cost(results)
    if slowest:
        ratio, row = slowest
        rows.append(
            [
                row["data"],
                f"{row['contender']}, {row['threads']} threads",
                "the same with 1 thread (worst of all sets)",
                f"{1 / ratio:.3g}",
                f"{1 / THREADS_LIMIT:.3g}",
                "",
                "yes" if ratio <= THREADS_LIMIT else "**no**",
            ]
        )
    if rows:
        yield "## Aims"
        yield ""
        head = ["set", "ours", "against", "times faster", "at least", "quality", "holds"]
        yield from _table(head, rows)


def _threads_cost(results: dict) -> tuple[float, dict] | None:
    """The row of ours that loses most with threads."""
    found = []
    for row in results["rows"]:
        if row["contender"].startswith(OURS) and row["threads"] > 1 and "fit_s" in row:
            one = _find(results, row["data"], row["contender"], 1)
            if one:
                found.append((row["fit_s"] / one["fit_s"], row))
    return max(found, key=lambda pair: pair[0]) if found else None


# ----------------------------------------------------------------------- growth
def _series(results: dict) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(axis, contender) -> sizes and training times."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in results["rows"]:
        if is_scaling(row["data"]) and "fit_s" in row:
            axis, size = row["data"].split("=")
            points = found.setdefault((axis, row["contender"]), [])
            points.append((int(size), row["fit_s"]))
    return {key: sorted(points) for key, points in found.items()}


def _growth(results: dict) -> Iterator[str]:
    series = _series(results)
    if not series:
        return
    yield "## How cost grows"
    yield ""
    base = ", ".join(f"{size:,} {axis}" for axis, size in BASE.items())
    yield f"A synthetic set ({base} a row), one size changed at a time; one thread."
    yield ""
    for axis in GROWTH:
        contenders = [name for a, name in series if a == axis]
        if not contenders:
            continue
        sizes = sorted({size for name in contenders for size, _ in series[axis, name]})
        rows = []
        for name in contenders:
            times = dict(series[axis, name])
            cells = [name]
            for i, size in enumerate(sizes):
                if size not in times:
                    cells.append("")
                    continue
                cell = f"{times[size]:.3g} s"
                if i and sizes[i - 1] in times:
                    ratio = times[size] / times[sizes[i - 1]]
                    limited = axis != "features" and (
                        axis != "labels" or sizes[i - 1] >= FIRST_LABELS
                    )
                    over = limited and size == 2 * sizes[i - 1] and ratio > GROWTH_LIMIT
                    cell += f" (**×{ratio:.2f}**)" if over else f" (×{ratio:.2f})"
                cells.append(cell)
            rows.append(cells)
        yield from _table([axis, *(f"{size:,}" for size in sizes)], rows)
    yield (
        f"In brackets: against the size before. Bold: a doubling of rows, non-zeros or labels "
        f"(from {FIRST_LABELS} on) that costs more than {GROWTH_LIMIT} times."
    )
    yield ""
