"""Looks and order of the examples."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

# From the method itself to what lies beside it, in the groups of the page.
_ORDER = re.findall(
    r"^   examples/(plot_\w+\.py)$",
    (Path(__file__).parent / "examples" / "index.rst").read_text(),
    re.M,
)


def order(name: str) -> tuple[int, str]:
    """Sort key of an example's file; unknown ones come last."""
    name = Path(name).name
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def reset(gallery_conf: dict, name: Any) -> None:
    """Give each example the same style: letters that stay legible on a narrow screen."""
    import matplotlib as mpl

    mpl.rcdefaults()
    mpl.use("agg")
    mpl.rcParams.update(
        {
            "figure.figsize": (5.4, 3.8),
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "legend.fontsize": 9.5,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.alpha": 0.3,
            "lines.linewidth": 2,
        }
    )
