"""`test`: how good a model is on rows whose labels are known."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import scipy.sparse as sp
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from .._cutoff.scores import best_scores
from ..metrics import multilabel_report, precision_at_k_score, recall_at_k_score
from .models import Loaded
from .reading import Reading, add_reading_options

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="file that train wrote")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="rows with labels")
    parser.add_argument(
        "-k", type=int, default=1, help="number of best labels, of P@k and R@k (1)"
    )
    parser.add_argument("--per-label", action="store_true", help="a table of all labels")
    parser.add_argument("--json", action="store_true", help="as one line of JSON")
    add_reading_options(parser)


def run(options: argparse.Namespace) -> int:
    """Print how good the model is.

    Parameters
    ----------
    options : Namespace

    Returns
    -------
    code : int
        0.
    """
    if options.k < 1:
        raise ValueError(f"-k {options.k} is not at least 1.")
    model = Loaded.read(options.model)
    names = model.names.tolist()
    reading = Reading.of(options, model.info["notes"])
    table = reading.read(options.files, names, model.n_features)
    if isinstance(table.rows, list) != model.takes_texts:
        wanted = "texts" if model.takes_texts else "features, as in svmlight's format"
        raise ValueError(f"{options.model} takes {wanted}; {options.files[0]} has others.")
    X = model.features(table.rows)
    y, predicted = table.target, sp.csr_array(model.last.predict(X))
    k = min(options.k, len(names))
    best = best_scores(model.scorer, X, k, None)
    results: dict[str, Any] = {
        "rows": table.n_rows,
        "labels": len(names),
        f"precision_at_{k}": precision_at_k_score(y, best, k=k),
        f"recall_at_{k}": recall_at_k_score(y, best, k=k, average="micro"),
    }
    for name, score in (
        ("jaccard", jaccard_score),
        ("f1", f1_score),
        ("precision", precision_score),
        ("recall", recall_score),
    ):
        for average in ("micro", "samples", "macro"):
            results[f"{name}_{average}"] = float(
                score(y, predicted, average=average, zero_division=0)
            )
    if options.json:
        if options.per_label:
            results["per_label"] = multilabel_report(y, predicted, names=names, output="dict")
        print(json.dumps(results, default=float))
        return 0
    print(f"{table.n_rows:,} rows")
    print(f"P@{k} {results[f'precision_at_{k}']:.4f}")
    print(f"R@{k} {results[f'recall_at_{k}']:.4f}")
    print(f"{'label sets':<12}{'micro':>9}{'samples':>9}{'macro':>9}")
    for name in ("jaccard", "f1", "precision", "recall"):
        values = (results[f"{name}_{average}"] for average in ("micro", "samples", "macro"))
        print(f"{name:<12}" + "".join(f"{value:>9.4f}" for value in values))
    if options.per_label:
        print()
        print(multilabel_report(y, predicted, names=names, max_labels=len(names)))
    return 0
