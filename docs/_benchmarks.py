"""Benchmark results as a page: what is stored is shown, nothing is measured here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

_NONE = """\
:::{note}
No results are stored in `benchmarks/results/` of this source tree, so there are no tables
here. The commands above write them; the next build of this page shows them.
:::
"""


def write(results: Path, folder: Path, docs: Path) -> None:
    """Write ``benchmarks.md`` with the tables, and copy the plots beside it.

    Parameters
    ----------
    results : Path
        Folder that the scripts in ``benchmarks/`` write to.
    folder : Path
        Where generated parts of pages go.
    docs : Path
        Source folder of the documentation.
    """
    folder.mkdir(exist_ok=True)
    parts = [_compare(results, folder), *_others(results)]
    text = "\n".join(part for part in parts if part) or _NONE
    target = folder / "benchmarks.inc"
    # An unchanged file keeps its date, so that the page is not built again.
    if not target.exists() or target.read_text() != text:
        target.write_text(text)


def _compare(results: Path, folder: Path) -> str:
    if not (results / "compare.json").exists() or not (results / "compare.md").exists():
        return ""
    lines = (results / "compare.md").read_text().splitlines()
    # The title of the report is not one of the page.
    body = [line for line in lines if not line.startswith("# ")]
    stored = json.loads((results / "compare.json").read_text())
    head = [f"Measured on {stored['machine']['date'][:10]}.", ""]
    figures = []
    for name, caption in (
        ("compare.svg", "Training time against quality. Left and up is better."),
        ("scaling.svg", "How training time grows with the size of the data."),
    ):
        if (results / name).exists():
            shutil.copyfile(results / name, folder / name)
            figures += [
                f":::{{figure}} generated/{name}",
                f":alt: {caption}",
                "",
                caption,
                ":::",
                "",
            ]
    text = "\n".join([*head, *figures, *body, ""])
    return (
        text.replace("(compare.svg)", "(generated/compare.svg)")
        .replace("(scaling.svg)", "(generated/scaling.svg)")
        .replace("../README.md", "above")
    )


def _others(results: Path) -> list[str]:
    """Flat figures of other scripts, as they are."""
    parts = []
    for path in sorted(results.glob("*.md")):
        # The cost model is shown in the guide.
        if path.name not in ("compare.md", "cost_model.md"):
            body = path.read_text().splitlines()
            parts.append("\n".join("#" + line if line.startswith("#") else line for line in body))
    return parts
