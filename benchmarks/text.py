"""Vectorizers of text against scikit-learn's, and from a file to label sets against fastText.

Parts: `vectorizers` (ratios of processor time, fit_transform, on cooking and on a large file
of its texts), `one` (one text through vectorizer, model and cutoff), `fasttext` (from cooking's
file to predicted sets; needs the package `fasttext`, here or for `--fasttext-python`), `long`
(one text of 100 MB). Times are of the processor, of one thread, the least of the repetitions,
and the sides take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import measure
import numpy as np
from sklearn.feature_extraction import text as theirs

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce import text as ours
from skmultireduce._text import analysis, counting
from skmultireduce.datasets import read_fasttext
from skmultireduce.metrics import precision_at_k_score

MB = 1e6
NAMES = ("HashingVectorizer", "CountVectorizer", "TfidfVectorizer")
FEATURES = {
    "words": {},
    "(1, 2)-grams": {"ngram_range": (1, 2)},
    "char_wb (3, 5)": {"analyzer": "char_wb", "ngram_range": (3, 5)},
}
FASTTEXT = {
    "words": {},
    "(1, 2)-grams": {"wordNgrams": 2},
    "char_wb (3, 5)": {"minn": 3, "maxn": 5},
}
FASTTEXT_RUN = """
import json, sys, time
import fasttext
train, test, parameters = json.loads(sys.argv[1])
lines = [
    " ".join(word for word in line.split() if not word.startswith("__label__"))
    for line in open(test, encoding="utf8")
]
retries = 0
while True:
    begin, used = time.perf_counter(), time.process_time()
    try:
        model = fasttext.train_supervised(train, verbose=0, thread=1, **parameters)
        break
    except RuntimeError:
        retries += 1
        parameters["seed"] = parameters.get("seed", 1) + 1
# One by one: what the package gives for lists fails with NumPy 2.
found = [list(zip(*model.f.predict(line + "\\n", 5, 0.0, "strict"))) for line in lines]
labels = [pair[1][0] if pair else "" for pair in found]
print(json.dumps({
    "seconds": time.perf_counter() - begin, "cpu": time.process_time() - used,
    "retries": retries, "labels": labels,
}))
"""


ONE_RUN = """
import json, sys, time
from sklearn.feature_extraction import text as theirs
from sklearn.pipeline import make_pipeline
from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce.datasets import read_fasttext
try:
    from skmultireduce import text as vectorizers
except ImportError:
    vectorizers = theirs
train = read_fasttext(sys.argv[1])
pipeline = make_pipeline(
    vectorizers.TfidfVectorizer(sublinear_tf=True),
    ThresholdedMultiLabel(MultiLabelSGDClassifier(random_state=0), cv=0.2, random_state=0),
).fit(train.data, train.target)
texts = [train.data[k : k + 1] for k in range(20)]
rows = [pipeline[0].transform(text) for text in texts]
calls = {
    "Pipeline.predict": lambda k: pipeline.predict(texts[k]),
    "vectorizer, then predict": lambda k: pipeline[1].predict(pipeline[0].transform(texts[k])),
    "vectorizer": lambda k: pipeline[0].transform(texts[k]),
    "predict": lambda k: pipeline[1].predict(rows[k]),
}
found = {}
for name, call in calls.items():
    times = []
    for _ in range(40):
        begin = time.process_time()
        for k in range(20):
            call(k)
        times.append(time.process_time() - begin)
    found[name] = 1e6 * min(times) / 20
print(json.dumps(found))
"""


def used(function) -> tuple[float, object]:
    """Processor time of a call, and its result."""
    begin = time.process_time()
    result = function()
    return time.process_time() - begin, result


def equal(a, b) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("indptr", "indices", "data")
    )


def dict_seconds(vectorizer, texts) -> float:
    """Time of the dict of the vocabulary alone."""
    found = analysis.find_analysis(vectorizer, theirs.CountVectorizer)
    learned, _ = counting.learn(vectorizer, found, texts, vectorizer.dtype)
    learned.sort()
    return min(used(learned.to_dict)[0] for _ in range(3))


def vectorizers(texts, repeats: int, which: list[str], classes: list[str]) -> list[dict]:
    """Times of fit_transform of both sides, in turns."""
    found = []
    size = sum(map(len, texts)) / MB
    for features in which:
        for name in classes:
            seconds: dict = {"ours": [], "theirs": []}
            results = {}
            for _ in range(repeats):
                for side, module in (("ours", ours), ("theirs", theirs)):
                    vectorizer = getattr(module, name)(**FEATURES[features])
                    results.pop(side, None)
                    took, results[side] = used(lambda v=vectorizer: v.fit_transform(texts))
                    seconds[side].append(took)
                    terms = len(getattr(vectorizer, "vocabulary_", ()))
                    del vectorizer
            row = {
                "texts (MB)": size, "features": features, "class": name, "terms": terms,
                "entries": results["ours"].nnz, "equal": equal(results["ours"], results["theirs"]),
                "ours (s)": min(seconds["ours"]), "scikit-learn (s)": min(seconds["theirs"]),
                "repetitions": repeats, "load average": os.getloadavg()[0],
            }  # fmt: skip
            del results
            if terms:
                row["dict (s)"] = dict_seconds(ours.CountVectorizer(**FEATURES[features]), texts)
            row["times"] = row["scikit-learn (s)"] / row["ours (s)"]
            print(row, file=sys.stderr, flush=True)
            found.append(row)
    return found


def one_text(train: Path, before: Path | None, repeats: int) -> dict:
    """One text to its label set: now, and by an earlier release, each in processes of its own."""
    root = Path(__file__).parents[1]
    sides = {"now": root} if before is None else {"now": root, "before": before}
    found: dict = {side: [] for side in sides}
    for _ in range(repeats):
        for side, folder in sides.items():
            done = subprocess.run(
                [sys.executable, "-c", ONE_RUN, str(train)],
                capture_output=True, text=True, check=True,
                env=measure.child_environment(1) | {"PYTHONPATH": str(folder)},
            )  # fmt: skip
            found[side].append(json.loads(done.stdout))
    rows = {
        name: {side: min(run[name] for run in runs) for side, runs in found.items()}
        for name in found["now"][0]
    }
    for row in rows.values():
        if before is not None:
            row["times"] = row["before"] / row["now"]
    return rows


def to_sets(files, features: str, cv, min_df: int) -> dict:
    """From the files to predicted label sets, with the time of each step."""
    seconds = {}

    def step(name, function):
        seconds[name], result = used(function)
        return result

    train = step("read", lambda: read_fasttext(files[0]))
    test = step("read test", lambda: read_fasttext(files[1], target_names=train.target_names))
    vectorizer = ours.TfidfVectorizer(sublinear_tf=True, min_df=min_df, **FEATURES[features])
    X = step("vectorize", lambda: vectorizer.fit_transform(train.data))
    model = ThresholdedMultiLabel(MultiLabelSGDClassifier(random_state=0), cv=cv, random_state=0)
    step("fit and tune", lambda: model.fit(X, train.target))
    X_test = step("vectorize test", lambda: vectorizer.transform(test.data))
    step("predict", lambda: model.predict(X_test))
    scores = model.estimator_.decision_function(X_test)
    return {
        "seconds": seconds, "total": sum(seconds.values()), "columns": X.shape[1],
        "P@1": precision_at_k_score(test.target, scores, k=1),
    }  # fmt: skip


def fasttext_run(python: str, files, features: str, truth, seed: int) -> dict:
    """fastText's training and prediction of the same files, in a process."""
    parameters = {"dim": 100, "epoch": 25, "lr": 1.0, "seed": seed, **FASTTEXT[features]}
    arguments = json.dumps([str(files[0]), str(files[1]), parameters])
    aborted = 0
    while True:
        done = subprocess.run(
            [python, "-c", FASTTEXT_RUN, arguments],
            capture_output=True, text=True, env=measure.child_environment(1), check=False,
        )  # fmt: skip
        if done.returncode == 0:
            break
        aborted += 1
        if aborted > 5:
            raise RuntimeError(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    hits = [
        label.removeprefix("__label__") in truth[i] for i, label in enumerate(found.pop("labels"))
    ]
    return {**found, "retries": found["retries"] + aborted, "P@1": float(np.mean(hits))}


def key_of(row: dict) -> tuple:
    """Place of a row in the table."""
    return (
        round(row["texts (MB)"], 1),
        list(FEATURES).index(row["features"]),
        NAMES.index(row["class"]),
    )


def table(head: list[str], rows: list[list]) -> list[str]:
    """Lines of a table; columns behind the first two are numbers."""
    align = ["---"] * 2 + ["---:"] * (len(head) - 2)
    return ["", *(f"| {' | '.join(map(str, row))} |" for row in [head, align, *rows])]


def report(results: dict) -> str:
    """The figures as a page."""
    machine = results["machine"]
    lines = [
        "# Vectorizers of text",
        "",
        f"`benchmarks/text.py`, {machine['date'][:10]}, {machine['cpu']}, revision "
        f"{machine['revision']}, one thread, seconds of the processor.",
    ]
    if rows := results.get("vectorizers"):
        same = all(row["equal"] for row in rows)
        lines += [
            "",
            "## fit_transform",
            "",
            f"Pairs of matrices equal to the bit: {'all' if same else 'NOT ALL'}. cooking: its "
            "12,404 texts; the larger files are these in other orders, again and again, so that "
            "the vocabulary stays small there. The least of equal numbers of repetitions. The "
            "dict of the vocabulary, which no compiled pass can make faster, is in our time.",
            *table(
                ["features", "class", "texts (MB)", "terms", "load average", "repetitions",
                 "scikit-learn (s)", "ours (s)", "times", "of which dict"],
                [
                    [
                        row["features"], row["class"], f"{row['texts (MB)']:.1f}",
                        row["terms"] or "", f"{row['load average']:.1f}",
                        row["repetitions"], f"{row['scikit-learn (s)']:.3f}",
                        f"{row['ours (s)']:.3f}", f"{row['times']:.1f}",
                        f"{row['dict (s)'] / row['ours (s)']:.0%}" if "dict (s)" in row else "",
                    ]
                    for row in rows
                ],
            ),
        ]  # fmt: skip
    if one := results.get("one"):
        lines += [
            "",
            "## One text to its label set",
            "",
            "tf-idf, linear model with 735 labels and cutoff, of cooking; microseconds of the "
            "processor for a text, the least of 40 times 20 texts in each of the processes, which "
            "take turns. Before: release 0.1.0 with scikit-learn's vectorizer.",
            *table(
                ["call", "", "before", "now", "times"],
                [
                    [name, "", f"{row['before']:.0f}", f"{row['now']:.0f}", f"{row['times']:.1f}"]
                    for name, row in one.items()
                    if "before" in row
                ],
            ),
        ]
    if found := results.get("fasttext"):
        rows = []
        for features, runs in found.items():
            peer = runs["fastText"]
            best = min(run["cpu"] for run in peer)
            rows.append([
                features, f"fastText, {len(peer)} runs", f"{best:.2f}", "", "", "", "",
                " / ".join(f"{run['P@1']:.3f}" for run in peer),
                sum(run["retries"] for run in peer),
            ])  # fmt: skip
            for name, run in runs.items():
                if name == "fastText":
                    continue
                seconds = run["seconds"]
                read = seconds["read"] + seconds["read test"]
                vectorize = seconds["vectorize"] + seconds["vectorize test"]
                rows.append([
                    features, f"ours, {name}", f"{run['total']:.2f}", f"{run['times']:.1f}",
                    f"{read / run['total']:.0%}", f"{vectorize / run['total']:.0%}",
                    f"{seconds['fit and tune'] / run['total']:.0%}", f"{run['P@1']:.3f}", "",
                ])  # fmt: skip
        lines += [
            "",
            "## From cooking's file to predicted label sets",
            "",
            "fastText: training (25 epochs, lr 1, 100 dimensions) and prediction. "
            "Ours: reading both files, tf-idf, the linear model by default, the cutoff tuned "
            "with `cv`, and prediction. P@1 on the test file, of each run. Runs of fastText that "
            "ended in NaN were repeated with another seed, and are counted, not timed.",
            *table(
                ["features", "side", "seconds", "times faster", "reading", "vectorizer",
                 "fit and cutoff", "P@1", "runs that ended in NaN"],
                rows,
            ),
        ]  # fmt: skip
    if long := results.get("long"):
        lines += [
            "",
            "## One text of 100 MB",
            "",
            "`CountVectorizer.fit`: "
            + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in long.items())
            + ".",
        ]
    return "\n".join(lines) + "\n"


def save(results: dict, path: Path) -> None:
    """Write the figures and their page."""
    path.write_text(json.dumps(results, indent=1) + "\n")
    path.with_suffix(".md").write_text(report(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["vectorizers", "one", "fasttext", "long"])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--size", type=float, default=0, help="MB of texts; 0: cooking as it is")
    parser.add_argument("--features", nargs="*", default=list(FEATURES), choices=list(FEATURES))
    parser.add_argument("--classes", nargs="*", default=list(NAMES), choices=NAMES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--before", type=Path, help="source tree of an earlier release, built")
    parser.add_argument("--fasttext-python", default=sys.executable)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    files = [args.data / f"cooking.{part}.txt" for part in ("train", "test")]
    train = read_fasttext(files[0])
    path = args.results / "text.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = measure.machine()
    if "vectorizers" in args.parts:
        texts = train.data
        if args.size:
            # Its texts in other orders, again and again, up to that size.
            rng = random.Random(0)
            copies = round(args.size * MB / sum(map(len, texts)))
            texts = [text for _ in range(copies) for text in rng.sample(texts, len(texts))]
        found = vectorizers(texts, args.repeats, args.features, args.classes)
        kept = {key_of(row): row for row in [*results.get("vectorizers", ()), *found]}
        results["vectorizers"] = [kept[key] for key in sorted(kept)]
    if "one" in args.parts:
        results["one"] = one_text(files[0], args.before, args.repeats)
    if "long" in args.parts:
        text = " ".join(train.data * round(100 * MB / sum(map(len, train.data))))
        results["long"] = {
            features: used(lambda f=features: ours.CountVectorizer(**FEATURES[f]).fit([text]))[0]
            for features in FEATURES
        }
    if "fasttext" in args.parts:
        truth = [
            {w.removeprefix("__label__") for w in line.split() if w.startswith("__label__")}
            for line in files[1].read_text(encoding="utf8").splitlines()
        ]
        found = results.setdefault("fasttext", {})
        for features in args.features:
            peer = [
                fasttext_run(args.fasttext_python, files, features, truth, seed)
                # Its generator takes 0 for 1.
                for seed in range(1, args.repeats + 1)
            ]
            found[features] = {"fastText": peer}
            print(features, peer, file=sys.stderr, flush=True)
            for min_df in (1, 2):
                for cv in (0.2, 5):
                    runs = [to_sets(files, features, cv, min_df) for _ in range(args.repeats)]
                    best = min(runs, key=lambda run: run["total"])
                    best["times"] = min(run["cpu"] for run in peer) / best["total"]
                    found[features][f"cv={cv}, min_df={min_df}"] = best
                    print(features, cv, min_df, best, file=sys.stderr, flush=True)
                    save(results, path)
    save(results, path)


if __name__ == "__main__":
    main()
