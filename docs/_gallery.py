"""Looks and order of the examples."""

from __future__ import annotations

from typing import Any

# From the method itself to what lies beside it.
_ORDER = [
    "plot_pick_one_and_one_cutoff.py",
    "plot_reductions.py",
    "plot_sampling_averages_out.py",
    "plot_precision_and_recall_at_k.py",
    "plot_one_cutoff_is_not_enough.py",
    "plot_rare_labels.py",
    "plot_promises.py",
    "plot_marginals_and_sets.py",
    "plot_tuning.py",
    "plot_grid_search.py",
    "plot_diagnosis.py",
    "plot_embeddings.py",
    "plot_heads_on_embeddings.py",
    "plot_why_this_label.py",
]


def order(name: str) -> tuple[int, str]:
    """Sort key of an example's file name; unknown ones come last."""
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
