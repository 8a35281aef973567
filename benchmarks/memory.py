"""Peak memory of fit and of predict, each in a process of its own, against their bounds.

``base`` is the process after its imports and a small fit; everything is counted above it.
Predictions are made by a process that has loaded a fitted model, and X.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import data
import measure
import numpy as np
from kernels import MissingPartError, print_row, public, random_labels, random_rows
from sklearn import get_config

FIT_FACTOR = 1.5
REDUCTIONS = ("pick_one", "pick_all_normalized", "pick_all", "one_vs_rest")
PREDICT_ROWS = 200_000
PREDICT_LABELS = 5_000
PREDICT_FEATURES = 2_000
MB = 1e6


def size(matrix) -> int:
    if hasattr(matrix, "indptr"):
        return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    return matrix.nbytes


def linear(reduction: str):
    return public("MultiLabelSGDClassifier")(reduction=reduction, random_state=0)


def _warm_up(model) -> None:
    X, Y = random_rows(200, 50, 5), random_labels(200, 20)
    model.fit(X, Y).predict(X)


def fit(reduction: str, cache: Path) -> dict:
    """Fit on cooking: at most `FIT_FACTOR` times what X, Y and W take themselves."""
    _warm_up(linear(reduction))
    base = measure.present_memory()
    prepared = data.load("cooking", cache=cache)
    X, Y = prepared.X_train, prepared.Y_train
    W = np.dtype(np.float32).itemsize * X.shape[1] * Y.shape[1]
    least = size(X) + size(Y) + W
    linear(reduction).fit(X, Y)
    peak = measure.peak_memory() - base
    return {
        "what": f"fit, cooking, {reduction}",
        "X + Y + W (MB)": least / MB,
        "peak above base (MB)": peak / MB,
        "ratio": peak / least,
        "bound": f"{FIT_FACTOR}",
        "holds": peak <= FIT_FACTOR * least,
    }


def _model(reduction: str):
    X = random_rows(20_000, PREDICT_FEATURES, 20)
    return linear(reduction).set_params(max_iter=1).fit(X, random_labels(20_000, PREDICT_LABELS))


def _tuned():
    X = random_rows(2_000, PREDICT_FEATURES, 20)
    tuned = public("ThresholdedMultiLabel")(_model("one_vs_rest"), cv="prefit")
    return tuned.fit(X, random_labels(2_000, PREDICT_LABELS))


MODELS: dict[str, Callable] = {
    "pick_one": lambda: _model("pick_one"),
    "one_vs_rest": lambda: _model("one_vs_rest"),
    "tuned cutoff": _tuned,
}
# What is asked of a model.
ANSWERS: dict[str, Callable] = {
    "predict": lambda model, X: model.predict(X),
    "predict_scores(top_k=5)": lambda model, X: model.predict_scores(X, top_k=5),
}


def _file(name: str, folder: Path) -> Path:
    return folder / f"{name}.pickle".replace(" ", "_")


def store(name: str, folder: Path) -> dict:
    """Fit a model and write it to a file."""
    _file(name, folder).write_bytes(pickle.dumps(MODELS[name]()))
    return {}


def predict(name: str, answer: str, folder: Path) -> dict:
    """Sparse answers for many rows: within scikit-learn's working_memory."""
    model = pickle.loads(_file(name, folder).read_bytes())
    X = random_rows(PREDICT_ROWS, PREDICT_FEATURES, 20, seed=2)
    ANSWERS[answer](model, X[:100])
    before = measure.reset_peak_memory()
    begin = time.process_time()
    y = ANSWERS[answer](model, X)
    seconds = time.process_time() - begin
    peak = measure.peak_memory() - before
    dense = np.dtype(np.float32).itemsize * PREDICT_ROWS * PREDICT_LABELS
    limit = get_config()["working_memory"] * 2**20
    return {
        "what": f"{answer}, {PREDICT_ROWS:,} x {PREDICT_LABELS:,}, {name}",
        "time (s)": seconds,
        "X (MB)": size(X) / MB,
        "result (MB)": size(y) / MB,
        "dense scores would be (MB)": dense / MB,
        "peak above before (MB)": peak / MB,
        "bound": f"result + {limit / MB:.0f} (working_memory)",
        "holds": peak <= size(y) + limit,
    }


def jobs(cache: Path, folder: Path) -> dict[str, Callable[[], dict]]:
    found: dict[str, Callable[[], dict]] = {
        f"fit {reduction}": lambda r=reduction: fit(r, cache) for reduction in REDUCTIONS
    }
    for name in MODELS:
        found[f"store {name}"] = lambda n=name: store(n, folder)
        for answer in ANSWERS:
            found[f"{answer}, {name}"] = lambda n=name, a=answer: predict(n, a, folder)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=data.CACHE, help="folder of prepared sets")
    parser.add_argument("--save", type=Path, help="write the figures to this file")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names of jobs")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.job:
        try:
            print(json.dumps(jobs(args.cache, args.folder)[args.job](), default=bool))
        except MissingPartError as error:
            print(json.dumps({"missing": str(error)}))
        return 0
    try:
        data.prepare("cooking", cache=args.cache)
        left_out = ""
    except data.MissingDataError as error:
        left_out = str(error)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in jobs(args.cache, Path(folder)):
            if not any(part in name for part in args.only):
                continue
            row = {"missing": left_out}
            if not (left_out and name.startswith("fit")):
                command = [sys.executable, __file__, "--job", name, "--folder", folder]
                found = subprocess.run(
                    [*command, "--cache", str(args.cache)],
                    env=measure.child_environment(1),
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                row = json.loads(found.stdout)
            if "missing" in row:
                print(f"{name}: left out, {row['missing']}", file=sys.stderr)
            elif row:
                print_row(row, first=not rows or rows[-1].keys() != row.keys())
                rows.append(row)
    if args.save:
        result = {"machine": measure.machine(), "memory": rows}
        args.save.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
