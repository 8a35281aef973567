"""`demo`: pick-one softmax and one cutoff, beside what is best for label sets."""

from __future__ import annotations

import argparse
import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, jaccard_score

from .._cutoff.scores import best_scores
from ..datasets import load_python_imports
from ..linear import MultiLabelSGDClassifier
from ..metrics import precision_at_k_score
from ..plotting import ThresholdCurveDisplay
from ..text import TfidfVectorizer
from ..threshold import ThresholdedMultiLabel
from .errors import check_output

__all__ = ["add_options", "run"]

N_SHOWN = 5
# Name, classifier, form of the cutoff.
_METHODS = (
    ("pick-one softmax, one cutoff", {"reduction": "pick_one"}, "global"),
    (
        "one-vs-rest hinge, adjusted",
        {"reduction": "one_vs_rest", "loss": "squared_hinge"},
        "adjusted",
    ),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--seed", type=int, default=0, help="seed of draws and folds (0)")
    parser.add_argument("--jobs", type=int, metavar="N", help="threads")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="write the curve of the one cutoff"
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")


def run(options: argparse.Namespace) -> int:
    """Train both, tune their cutoffs, look at the results.

    Parameters
    ----------
    options : Namespace

    Returns
    -------
    code : int
        0.
    """
    if options.figure is not None:
        check_output(options.figure, force=options.force, inputs=[])
        if importlib.util.find_spec("matplotlib") is None:
            raise ImportError("--figure needs matplotlib: pip install 'skmultireduce[plot]'.")
    begin = time.perf_counter()
    train, test = load_python_imports(subset="train"), load_python_imports(subset="test")
    print("Which packages does a Python file import? Its own text says it.")
    print(f"data      {time.perf_counter() - begin:.2f} s")
    for name, y in (("training", train.target), ("test", test.target)):
        mean = y.sum() / y.shape[0]
        print(f"{name:<9} {y.shape[0]:,} rows, {y.shape[1]:,} labels, {mean:.2f} a row")
    begin = time.perf_counter()
    vectorizer = TfidfVectorizer(
        token_pattern=r"(?u)\b\w+\b", lowercase=False, sublinear_tf=True, dtype=np.float32
    )
    X, X_test = vectorizer.fit_transform(train.data), vectorizer.transform(test.data)
    print(f"tf-idf    {time.perf_counter() - begin:.2f} s, {X.shape[1]:,} words")

    head = "".join(
        f"{name:>9}" for name in ("micro", "samples", "macro", "F1 micro", "P@1", "fit")
    )
    print(f"\n{'Jaccard index on test rows':<29}{head}")
    predicted, models = {}, []
    for name, params, strategy in _METHODS:
        classifier = MultiLabelSGDClassifier(
            random_state=options.seed, n_jobs=options.jobs, **params
        )
        model = ThresholdedMultiLabel(
            classifier, strategy=strategy, random_state=options.seed, n_jobs=options.jobs
        )
        begin = time.perf_counter()
        model.fit(X, train.target)
        seconds = time.perf_counter() - begin
        models.append(model)
        predicted[name] = model.predict(X_test)
        print(_line(name, test.target, predicted[name], model, X_test) + f"{seconds:>7.1f} s")
        if strategy == "global":
            proba = model.predict_proba(X_test)
            plain = (proba > 0.5).astype(np.int8)
            print(_line("  the same, cut at 0.5", test.target, plain, model, X_test))
    print(f"\nThe one cutoff is {models[0].best_threshold_:.4g}: where five folds of the training")
    print("rows have their best aggregate Jaccard index.")

    print("\nSome test rows: predicted by the first | by the second | true")
    names = np.asarray(train.target_names)
    for row in np.linspace(0, len(test.data) - 1, N_SHOWN).astype(int):
        sets = [
            ", ".join(names[y[[row]].indices]) or "-"
            for y in (*predicted.values(), test.target.tocsr())
        ]
        print("  " + " | ".join(sets))
    if options.figure is not None:
        _draw(options.figure, models[0], X_test, test.target)
        print(f"\nthreshold curve: {options.figure}")
    return 0


def _line(name: str, y: Any, predicted: Any, model: Any, X: Any) -> str:
    values = [
        jaccard_score(y, predicted, average=average, zero_division=0)
        for average in ("micro", "samples", "macro")
    ]
    values.append(f1_score(y, predicted, average="micro", zero_division=0))
    values.append(precision_at_k_score(y, best_scores(model.estimator_, X, 1, None), k=1))
    return f"{name:<29}" + "".join(f"{value:>9.3f}" for value in values)


def _draw(path: Path, model: Any, X: Any, y: Any) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    display = ThresholdCurveDisplay.from_predictions(y, model.predict_proba(X), name="test rows")
    display.ax_.axvline(model.best_threshold_, linestyle=":", color="C3", label="tuned cutoff")
    display.ax_.legend()
    display.figure_.savefig(path, dpi=120, bbox_inches="tight")
