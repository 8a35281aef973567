"""Linear and neural models at a thousand to thirty thousand labels: time, memory, quality.

Every run is a process of its own on one thread; times are processor time, so that other
processes do not count. The rows are drawn here, from the law that `power_law_rows` states.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import measure
import numpy as np
import scipy.sparse as sp
from sklearn.base import clone

LABELS = (1_000, 10_000, 30_000)
ROWS, TEST_ROWS = 20_000, 2_000
FEATURES, WORDS = 8_000, 24
EXPONENT = 0.8
EPOCHS = 8
DIM = 100
SAMPLES = (250, 1_000)

# Name -> parameters, and number of runs; the linear models take most of the time.
MODELS: dict[str, dict] = {
    "linear": {"runs": 1},
    "MLP": {"runs": 2},
    **{f"MLP, {m} sampled": {"runs": 2, "n_sampled_labels": m} for m in SAMPLES},
}

# Where sampling costs most: labels that are nearly as frequent as each other, more rows,
# the default number of epochs. Name -> parameters.
LONG = {"rows": 40_000, "labels": 10_000, "exponent": 0.6, "epochs": 25}
LONG_MODELS: dict[str, dict] = {
    "MLP": {},
    "MLP, 1000 sampled": {"n_sampled_labels": 1_000},
    "MLP, 2000 sampled": {"n_sampled_labels": 2_000},
    "MLP, 1000 sampled, twice the epochs": {"n_sampled_labels": 1_000, "max_iter": 50},
}
FLAT_LIMIT = 1.5
RECALL_LIMIT = 0.97


def power_law_rows(
    n_rows: int,
    n_labels: int,
    n_features: int,
    n_words: int,
    *,
    exponent: float = EXPONENT,
    own_words: int = 12,
    share: float = 0.5,
    seed: int = 0,
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Rows of words and 1 to 4 labels, the labels with the frequencies of a power law.

    A row draws 1 to 4 labels, label k in proportion to ``k ** -exponent`` (equal draws
    count once). Each of its words is, with probability `share`, one of the `own_words`
    words of one of its labels; else any word j, in proportion to ``j ** -0.5``. The words
    of each label are uniform and the same for every `seed`.
    """
    rng = np.random.default_rng([seed, 1])
    own = np.random.default_rng(0).integers(n_features, size=(n_labels, own_words))

    def draw(n: int, power: float, size: tuple[int, ...] | int) -> np.ndarray:
        total = np.cumsum(np.arange(1, n + 1) ** -power)
        return np.searchsorted(total, rng.random(size) * total[-1]).clip(max=n - 1)

    sizes = rng.integers(1, 5, size=n_rows)
    labels = draw(n_labels, exponent, int(sizes.sum()))
    Y = sp.csr_matrix(
        (np.ones(len(labels), dtype=np.int8), (np.repeat(np.arange(n_rows), sizes), labels)),
        shape=(n_rows, n_labels),
    )
    Y.data[:] = 1
    start = np.cumsum(sizes) - sizes
    chosen = start[:, None] + (rng.random((n_rows, n_words)) * sizes[:, None]).astype(np.int64)
    words = own[labels[chosen], rng.integers(own_words, size=chosen.shape)]
    other = draw(n_features, 0.5, chosen.shape)
    words = np.where(rng.random(chosen.shape) < share, words, other)
    X = sp.csr_matrix(
        (np.ones(words.size), words.ravel(), np.arange(0, words.size + 1, n_words)),
        shape=(n_rows, n_features),
    )
    X.sum_duplicates()
    return X, Y


def best_labels(model, X, k: int) -> np.ndarray:
    """The k labels with the largest scores of each row, best first; in slices of rows."""
    found = []
    for begin in range(0, X.shape[0], 200):
        scores = model.decision_function(X[begin : begin + 200])
        top = np.argpartition(-scores, k, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1)
        found.append(np.take_along_axis(top, order, axis=1))
    return np.concatenate(found)


def quality(best: np.ndarray, Y: sp.csr_matrix) -> dict[str, float]:
    hits = np.asarray(Y[np.arange(len(best))[:, None], best].todense()) > 0
    return {"P@1": float(hits[:, 0].mean()), "R@5": float(hits.sum() / Y.nnz)}


def jobs() -> dict[str, dict]:
    """Name -> what is run, each in a process of its own."""
    found = {}
    for seed in range(max(options["runs"] for options in MODELS.values())):
        for n_labels in LABELS:
            for name, options in MODELS.items():
                if seed < options["runs"]:
                    found[f"{name}, {n_labels} labels, {seed}"] = {
                        "model": name,
                        "labels": n_labels,
                        "rows": ROWS,
                        "exponent": EXPONENT,
                        "seed": seed,
                        "options": {k: v for k, v in options.items() if k != "runs"},
                        "epochs": EPOCHS,
                    }
    for name, options in LONG_MODELS.items():
        epochs = options.get("max_iter", LONG["epochs"])
        found[f"long: {name}"] = {
            "model": name,
            **LONG,
            "seed": 0,
            "options": {k: v for k, v in options.items() if k != "max_iter"},
            "epochs": epochs,
        }
    return found


def run(job: dict) -> dict:
    """Train and predict once, in this process."""
    from skmultireduce import MultiLabelMLPClassifier, MultiLabelSGDClassifier

    warnings.simplefilter("ignore")
    n_labels, law = job["labels"], {"exponent": job["exponent"]}
    X, Y = power_law_rows(job["rows"], n_labels, FEATURES, WORDS, **law)
    X_test, Y_test = power_law_rows(TEST_ROWS, n_labels, FEATURES, WORDS, seed=1, **law)
    options = {**job["options"], "max_iter": job["epochs"], "random_state": job["seed"]}
    if job["model"] == "linear":
        model = MultiLabelSGDClassifier(**options)
    else:
        model = MultiLabelMLPClassifier(embedding_dim=DIM, **options)
    # Imports and the like, once.
    clone(model).set_params(max_iter=1).fit(X[:100], Y[:100, :2000]).predict(X[:2])
    base = measure.reset_peak_memory()
    begin = time.process_time()
    model.fit(X, Y)
    fit_s = time.process_time() - begin
    memory = measure.peak_memory() - base
    begin = time.process_time()
    best = best_labels(model, X_test, 5)
    predict_s = time.process_time() - begin
    return {
        **job,
        "fit_s": fit_s,
        "us_per_row": 1e6 * fit_s / (job["rows"] * job["epochs"]),
        "predict_us_per_row": 1e6 * predict_s / TEST_ROWS,
        "memory_mb": memory / 1e6,
        **quality(best, Y_test),
        "nonzeros_per_row": X.nnz / job["rows"],
    }


def chance(n_labels: int) -> dict:
    """The most frequent labels for every row."""
    _, Y = power_law_rows(ROWS, n_labels, FEATURES, WORDS)
    _, Y_test = power_law_rows(TEST_ROWS, n_labels, FEATURES, WORDS, seed=1)
    best = np.argsort(-np.asarray(Y.sum(axis=0)).ravel(), kind="stable")[:5]
    return {"labels": n_labels, **quality(np.tile(best, (TEST_ROWS, 1)), Y_test)}


# ---------------------------------------------------------------------- report
def medians(rows: list[dict]) -> dict[tuple[str, int], dict]:
    """Median over the seeds of each figure, by (model, labels)."""
    found = {}
    for key in dict.fromkeys((row["model"], row["labels"]) for row in rows):
        group = [row for row in rows if (row["model"], row["labels"]) == key]
        figures = [name for name, value in group[0].items() if isinstance(value, float)]
        found[key] = {name: float(np.median([row[name] for row in group])) for name in figures}
        found[key]["runs"] = len(group)
    return found


def markdown(results: dict) -> str:
    machine, found = results["machine"], medians(results["rows"])
    lines = [
        "# Many labels",
        "",
        f"{machine['date'][:10]}, {machine['cpu']}, {machine['simd']}, one thread, skmultireduce "
        f"{machine['versions']['skmultireduce']}, revision {machine['revision']}.",
        "",
        f"{ROWS:,} rows for training and {TEST_ROWS:,} for tests, {FEATURES:,} features, {WORDS} "
        "words a row of which half, about, come from lists of 12 words of the row's 1 to 4 "
        "labels; label k in proportion to "
        f"k^-{EXPONENT} (`power_law_rows` of `benchmarks/many_labels.py`). {EPOCHS} epochs, "
        f"`reduction='pick_one'`, `embedding_dim={DIM}`; all other parameters are the defaults. "
        "Times are processor time; memory is the peak of fit above the process with its data; "
        "medians over seeds. *Most frequent*: the same labels for every row.",
        "",
        "| labels | model | runs | fit (s) | µs a row and epoch | predict (µs a row) "
        "| fit (MB) | P@1 | R@5 |",
        "|" + " --- |" * 9,
    ]
    for n_labels in LABELS:
        base = next(row for row in results["chance"] if row["labels"] == n_labels)
        lines.append(
            f"| {n_labels:,} | most frequent | | | | | | {base['P@1']:.3f} | {base['R@5']:.3f} |"
        )
        for name in MODELS:
            row = found.get((name, n_labels))
            if row:
                lines.append(
                    f"| {n_labels:,} | {name} | {row['runs']} | {row['fit_s']:.2f} "
                    f"| {row['us_per_row']:.1f} | {row['predict_us_per_row']:.0f} "
                    f"| {row['memory_mb']:.0f} | {row['P@1']:.3f} | {row['R@5']:.3f} |"
                )
    lines += ["", "| statement | figure | bound | holds |", "|" + " --- |" * 4]
    least, most = LABELS[0], LABELS[-1]
    for m in SAMPLES:
        name = f"MLP, {m} sampled"
        if m < least:
            ratio = found[name, most]["us_per_row"] / found[name, least]["us_per_row"]
            lines.append(
                f"| {name}: time a row at {most:,} labels over that at {least:,} | {ratio:.2f} "
                f"| at most {FLAT_LIMIT} | {'yes' if ratio <= FLAT_LIMIT else '**no**'} |"
            )
        for n_labels in LABELS:
            if m < n_labels:
                share = found[name, n_labels]["R@5"] / found["MLP", n_labels]["R@5"]
                holds = "yes" if share >= RECALL_LIMIT else "**no**"
                lines.append(
                    f"| {name}: R@5 at {n_labels:,} labels over that of the full softmax "
                    f"| {share:.3f} | at least {RECALL_LIMIT} | {holds} |"
                )
    lines += [
        "",
        f"Longer training on flatter labels: {LONG['rows']:,} rows, {LONG['labels']:,} labels, "
        f"label k in proportion to k^-{LONG['exponent']}, {LONG['epochs']} epochs, one run each.",
        "",
        "| model | fit (s) | P@1 | R@5 | R@5 over that of the full softmax |",
        "|" + " --- |" * 5,
    ]
    full = next(row for row in results["long"] if row["model"] == "MLP")
    for row in results["long"]:
        lines.append(
            f"| {row['model']} | {row['fit_s']:.1f} | {row['P@1']:.3f} | {row['R@5']:.3f} "
            f"| {row['R@5'] / full['R@5']:.3f} |"
        )
    return "\n".join([*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder of the results",
    )
    parser.add_argument("--report", action="store_true", help="write the table of stored runs")
    parser.add_argument("--run", metavar="JOB", help="one job in this process")
    args = parser.parse_args()
    if args.run:
        out = measure.quiet_stdout()
        print(json.dumps(run(jobs()[args.run])), file=out)
        return 0
    stored = args.results / "many_labels.json"
    if args.report:
        results = json.loads(stored.read_text())
    else:
        machine = measure.machine()
        rows = {}
        for name in jobs():
            found = subprocess.run(
                [sys.executable, __file__, "--run", name],
                env=measure.child_environment(1),
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            row = rows[name] = json.loads(found.stdout)
            print(
                f"{name:>45}: {row['fit_s']:8.2f} s, {row['memory_mb']:6.0f} MB, "
                f"P@1 {row['P@1']:.3f}, R@5 {row['R@5']:.3f}",
                flush=True,
            )
        results = {
            "machine": machine,
            "sizes": {
                "rows": ROWS,
                "features": FEATURES,
                "words": WORDS,
                "epochs": EPOCHS,
                "dim": DIM,
            },
            "chance": [chance(n_labels) for n_labels in LABELS],
            "rows": [row for name, row in rows.items() if not name.startswith("long")],
            "long": [row for name, row in rows.items() if name.startswith("long")],
        }
        stored.write_text(json.dumps(results, indent=1) + "\n")
    (args.results / "many_labels.md").write_text(markdown(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
