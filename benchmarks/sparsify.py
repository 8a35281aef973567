"""What sparse weights save and cost: bytes, time of predictions, quality, by density."""

from __future__ import annotations

import argparse
import pickle
import sys
import time
import warnings
from pathlib import Path

import data
import measure
import numpy as np

from skmultireduce import MultiLabelSGDClassifier

SETS = ("cooking", "bibtex", "tmc2007")
MODELS = {
    "pick_one": {},
    "one_vs_rest": {"reduction": "one_vs_rest"},
    "squared hinge": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
}
DENSITIES = (0.3, 0.1, 0.03, 0.01)
MB = 1e6


def seconds(function, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def rows_of(prepared: data.Data, name: str, repeats: int) -> list[list[str]]:
    """One row for the dense weights and one for each density."""
    model = MultiLabelSGDClassifier(random_state=0, **MODELS[name])
    stored = pickle.dumps(model.fit(prepared.X_train, prepared.Y_train))
    X = prepared.X_test.astype(np.float32)
    found = []
    for what in ("dense", None, "auto", *DENSITIES):
        model = pickle.loads(stored)
        if what != "dense":
            model.sparsify(density=what)
        coef = model.coef_
        scores = model.decision_function(X)
        if model.loss == "log_loss":
            scores = model.predict_proba(X)
        quality = measure.quality(scores, prepared.Y_test)
        density = np.count_nonzero(coef.data if what != "dense" else coef) / np.prod(coef.shape)
        found.append(
            [
                name,
                what if what == "dense" else f"`{what}`",
                f"{density:.3f}",
                f"{len(pickle.dumps(model)) / MB:.2f}",
                f"{1000 * seconds(lambda m=model: m.predict(X), repeats):.0f}",
                f"{quality['P@1']:.4f}",
                f"{quality['J*']:.4f}",
            ]
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=SETS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=data.CACHE, help="folder of prepared sets")
    parser.add_argument("--save", type=Path, help="write the table to this file")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    machine = measure.machine()
    head = ["model", "density=", "share of weights", "pickle (MB)", "predict (ms)", "P@1", "J*"]
    lines = [
        "# Sparse weights",
        "",
        f"`benchmarks/sparsify.py`, {machine['date'][:10]}, {machine['cpu']}: models of "
        "`MultiLabelSGDClassifier` with default parameters; dense, and after "
        "`sparsify(density=...)`. Predictions of the test rows, on one thread.",
    ]
    for name in args.data:
        try:
            data.prepare(name, cache=args.cache)
        except data.MissingDataError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        lines += ["", f"## {name}", "", f"| {' | '.join(head)} |", "|---|---|" + "---:|" * 5]
        prepared = data.load(name, cache=args.cache)
        for model in MODELS:
            for row in rows_of(prepared, model, args.repeats):
                lines.append(f"| {' | '.join(row)} |")
                print(name, *row, sep="\t", flush=True)
    if args.save:
        args.save.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
