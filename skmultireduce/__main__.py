"""The main job: train pick-one softmax, tune the cutoff, look at the result.

``python -m skmultireduce`` runs it on an embedded data set; ``--train FILE --test FILE`` on
files in fastText's format.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import jaccard_score

from ._cutoff.rule import rule_of
from ._cutoff.scores import response_method_of
from ._reductions.table import LOSS_OPTIONS, ONE_VS_REST, REDUCTIONS
from ._sklearn import ProgressBar
from .datasets import load_python_imports, read_fasttext
from .linear import MultiLabelSGDClassifier
from .metrics import precision_at_k_score, recall_at_k_score
from .plotting import ThresholdCurveDisplay
from .threshold import ThresholdedMultiLabel

N_SHOWN = 5


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m skmultireduce", description=__doc__)
    parser.add_argument("--train", type=Path, help="training file in fastText's format")
    parser.add_argument("--test", type=Path, help="test file in fastText's format")
    parser.add_argument("--reduction", choices=REDUCTIONS, default="pick_one")
    parser.add_argument("--loss", choices=LOSS_OPTIONS, default="log_loss")
    parser.add_argument(
        "--strategy", choices=("global", "per_label", "adjusted"), default="global",
        help="form of the cutoff",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of draws and folds")
    parser.add_argument("--jobs", type=int, default=None, help="threads")
    parser.add_argument(
        "--figure", type=Path, default=Path("threshold_curve.png"),
        help="where to write the threshold curve",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if (options.train is None) != (options.test is None):
        parser.error("--train and --test go together; give both or none of them")
    if options.loss != "log_loss" and options.reduction not in ONE_VS_REST:
        parser.error(f"--loss {options.loss} needs --reduction one_vs_rest")
    return options


def load(options: argparse.Namespace) -> tuple[Any, Any, str]:
    """Training part, test part, and the pattern of a word."""
    if options.train is not None:
        train = read_fasttext(options.train)
        test = read_fasttext(options.test, target_names=train.target_names)
        return train, test, r"\S+"
    return load_python_imports(subset="train"), load_python_imports(subset="test"), r"(?u)\b\w+\b"


def describe(name: str, y: Any) -> str:
    """One line on the shape of a part of the data."""
    sizes = np.asarray(y.sum(axis=1)).ravel()
    return f"{name:<9}{y.shape[0]:>8,} rows {y.shape[1]:>7,} labels {sizes.mean():>7.2f} a row"


def report(title: str, y_true: Any, y_pred: Any) -> str:
    """One line of Jaccard indices."""
    values = [
        jaccard_score(y_true, y_pred, average=average, zero_division=0)
        for average in ("micro", "samples", "macro")
    ]
    return f"{title:<28}" + "".join(f"{value:>9.3f}" for value in values)


def main(arguments: list[str] | None = None) -> int:
    """Run the main job.

    Parameters
    ----------
    arguments : list of str, default=None
        Command line; None takes the process's own.

    Returns
    -------
    status : int
        0.
    """
    options = parse(arguments)
    begin = time.perf_counter()
    train, test, word = load(options)
    print(f"data      {time.perf_counter() - begin:.2f} s")
    print(describe("training", train.target))
    print(describe("test", test.target))

    begin = time.perf_counter()
    vectorizer = TfidfVectorizer(token_pattern=word, lowercase=False, sublinear_tf=True)
    X = vectorizer.fit_transform(train.data)
    X_test = vectorizer.transform(test.data)
    print(f"tf-idf    {time.perf_counter() - begin:.2f} s, {X.shape[1]:,} words")

    classifier = MultiLabelSGDClassifier(
        reduction=options.reduction, loss=options.loss, random_state=options.seed,
        n_jobs=options.jobs,
    )  # fmt: skip
    model = ThresholdedMultiLabel(
        classifier, strategy=options.strategy, random_state=options.seed, n_jobs=options.jobs
    )
    if ProgressBar and importlib.util.find_spec("rich") is not None and sys.stderr.isatty():
        model.set_callbacks(ProgressBar())
    begin = time.perf_counter()
    model.fit(X, train.target)
    print(
        f"fit       {time.perf_counter() - begin:.2f} s: {options.reduction}, five folds, "
        "cutoff tuned on their pooled scores, refit on all"
    )
    cutoff = np.median(model.best_threshold_)
    kind = "median cutoff" if np.ndim(model.best_threshold_) else "cutoff"
    print(f"{kind} {cutoff:.4g}, micro Jaccard over the folds {model.best_score_:.3f}")

    fitted = model.estimator_
    method = response_method_of("auto", fitted)
    begin = time.perf_counter()
    predicted = model.predict(X_test)
    print(f"predict   {time.perf_counter() - begin:.2f} s")
    scores = getattr(fitted, method)(X_test)

    print(f"\n{'Jaccard index on test rows':<28}{'micro':>9}{'samples':>9}{'macro':>9}")
    print(report("tuned cutoff", test.target, predicted))
    untuned_cutoff = 0.5 if method == "predict_proba" else 0
    untuned = (scores > untuned_cutoff).astype(np.int8)
    print(report(f"cutoff {untuned_cutoff}", test.target, untuned))
    p_at_1 = precision_at_k_score(test.target, scores, k=1)
    k = min(5, scores.shape[1])
    r_at_k = recall_at_k_score(test.target, scores, k=k, average="micro")
    print(f"P@1 {p_at_1:.3f}   R@{k} {r_at_k:.3f}")

    print("\nSome test rows: predicted labels | true labels")
    names = np.asarray(train.target_names)
    for row in np.linspace(0, len(test.data) - 1, N_SHOWN).astype(int):
        sets = [
            ", ".join(names[y[[row]].indices]) or "-" for y in (predicted, test.target.tocsr())
        ]
        print(f"  {sets[0]} | {sets[1]}")

    if importlib.util.find_spec("matplotlib") is None:
        print("\nNo figure: install matplotlib (pip install 'skmultireduce[plot]').")
        return 0
    import matplotlib as mpl

    mpl.use("Agg")
    display = ThresholdCurveDisplay.from_predictions(test.target, scores, name="test rows")
    _, rule = rule_of(model)
    if rule.single and rule.score_map.plain:
        display.ax_.axvline(float(cutoff), linestyle=":", color="C3", label="tuned cutoff")
        display.ax_.legend()
    display.figure_.savefig(options.figure, dpi=120, bbox_inches="tight")
    print(f"\nthreshold curve: {options.figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
