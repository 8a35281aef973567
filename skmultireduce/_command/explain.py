"""`explain`: why texts get their labels."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..inspection import explain_row
from ..tree import LabelTreeClassifier
from .models import Loaded
from .predict import features_of_lines, without_labels
from .reading import Reading

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="file that train wrote")
    parser.add_argument("text", nargs="*", help="the text; by default the first line of the input")
    parser.add_argument("-n", type=int, default=5, help="features of each label (5)")
    parser.add_argument(
        "--label", action="append", metavar="NAME", help="a label, instead of those predicted"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object for each feature")


def run(options: argparse.Namespace) -> int:
    """Print what adds most to the scores of labels.

    Parameters
    ----------
    options : Namespace

    Returns
    -------
    code : int
        0.
    """
    if options.n < 1:
        raise ValueError(f"-n {options.n} is not at least 1.")
    model = Loaded.read(options.model)
    scorer = model.scorer
    if isinstance(scorer, LabelTreeClassifier) or not hasattr(scorer, "coef_"):
        raise ValueError(
            f"{options.model} holds a {type(scorer).__name__}; explain knows linear models, of "
            "train --model linear."
        )
    line = " ".join(options.text) or sys.stdin.readline().rstrip("\r\n")
    prefix = Reading.of(options, model.info["notes"]).label_prefix
    if model.takes_texts:
        x: Any = without_labels(line, prefix)
    else:
        x = features_of_lines([line], model.n_features)
    labels = options.label
    if labels is not None:
        # Labels of svmlight's format are numbers.
        known = {str(name): name for name in model.names.tolist()}
        unknown = [name for name in labels if name not in known]
        if unknown:
            raise ValueError(f"{options.model} has no label {unknown[0]!r}.")
        labels = [known[name] for name in labels]
    records = explain_row(model.model, x, n=options.n, labels=labels, label_names=model.names)
    records.sort(key=lambda one: (-one.score, one.rank))
    if options.json:
        for record in records:
            print(json.dumps(record._asdict(), default=_plain))
        return 0
    for (label, score), features in groupby(records, lambda one: (one.label, one.score)):
        print(f"{label}  {score:.3f}")
        for one in features:
            print(f"  {one.contribution:+.3f}  {one.feature}")
    return 0


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)
