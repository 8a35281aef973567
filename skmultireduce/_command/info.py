"""`info`: what a model file holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from .models import Loaded

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="file that train wrote")
    parser.add_argument("--labels", action="store_true", help="the names of the labels alone")
    parser.add_argument("--json", action="store_true", help="as one line of JSON")


def run(options: argparse.Namespace) -> int:
    """Print what the file holds.

    Parameters
    ----------
    options : Namespace

    Returns
    -------
    code : int
        0.
    """
    model = Loaded.read(options.model)
    names = model.names.tolist()
    if options.labels:
        print(json.dumps(names) if options.json else "\n".join(map(str, names)))
        return 0
    notes = model.info["notes"]
    found: dict[str, Any] = {
        "size": f"{model.info['n_bytes'] / 1e6:.2f} MB",
        "written by": ", ".join(f"{name} {v}" for name, v in model.info["versions"].items()),
        "command": notes.get("command", "none: save_model of a program"),
        "labels": len(names),
        "features": int(model.last.n_features_in_),
        "steps": ", ".join(type(step).__name__ for step in model.steps) or "none",
        "model": _one_line(model.scorer),
    }
    if model.last is not model.scorer:
        threshold = getattr(model.last, "best_threshold_", getattr(model.last, "threshold", None))
        single = np.ndim(threshold) == 0
        found["cutoff"] = (
            threshold if single else f"one for each label, median {np.median(threshold):.4g}"
        )
        for name in ("strategy", "scoring", "best_score_"):
            if hasattr(model.last, name):
                found[name.strip("_").replace("_", " ")] = getattr(model.last, name)
    if options.json:
        print(json.dumps({**found, "versions": model.info["versions"]}, default=str))
        return 0
    for name, value in found.items():
        print(f"{name:<11} {value}")
    return 0


def _one_line(estimator: Any) -> str:
    return " ".join(repr(estimator).split())
