"""Models of fastText read by `load_fasttext`, against fastText itself.

Models of all losses, with and without subwords and word n-grams, are trained by the package
`fasttext` (here or of `--fasttext-python`) on cooking, saved as they are (`.bin`) and
quantised and pruned (`.ftz`). Compared are the probabilities of its test texts, the features
of 10,000 words (`get_subwords`) and of its lines (`get_line`), and the rates of prediction:
one thread, text in, labels out, processor time, least of the repetitions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import numpy as np
from sklearn.base import clone

from skmultireduce.datasets import read_fasttext
from skmultireduce.text import load_fasttext

LOSSES = ("softmax", "ova", "ns")
FEATURES = {
    "words": {},
    "subwords": {"minn": 3, "maxn": 5},
    "word pairs": {"wordNgrams": 2},
    "both": {"minn": 2, "maxn": 4, "wordNgrams": 3},
}
# Greatest differences that are allowed: to fastText's values, and of sigmoids to float64.
ALLOWED = {"softmax": 5e-6, "ova": 8e-3, "ns": 8e-3}
SIGMOID = 1e-6

TRAIN = """
import json, sys, time
import numpy as np
import fasttext
job = json.loads(sys.argv[1])
lines = open(job["test"], encoding="utf8").read().split("\\n")[:-1]
texts = [" ".join(w for w in line.split() if not w.startswith("__label__")) for line in lines]
words = sorted({w for line in open(job["train"], encoding="utf8") for w in line.split()})
words += [w[::-1] for w in words if not w.startswith("__label__")]
words = [w for w in words if not w.startswith("__label__")][: job["n_words"]]
aborted, seed = 0, 1
while True:
    try:
        model = fasttext.train_supervised(
            job["train"], verbose=0, thread=1, seed=seed, dim=30, epoch=10, lr=0.5, bucket=20000,
            loss=job["loss"], **job["features"],
        )
        break
    except RuntimeError:
        aborted, seed = aborted + 1, seed + 1
for kind in ("bin", "ftz"):
    if kind == "ftz":
        model.quantize(qnorm=True, cutoff=8000, qout=job["qout"])
    path = job["folder"] + "/model." + kind
    model.save_model(path)
    names = model.get_labels()
    columns = {name: k for k, name in enumerate(names)}
    values = np.full((len(texts), len(names)), np.nan)
    for row, text in enumerate(texts):
        for value, label in model.f.predict(text + "\\n", -1, 0.0, "strict"):
            values[row, columns[label]] = value
    subwords = [model.get_subwords(word)[1].tolist() for word in words]
    tokens = [model.get_line(text)[0] for text in texts]
    known = {word: model.get_subwords(word)[1].tolist() for line in tokens for word in line}
    seconds = []
    for _ in range(job["repeats"]):
        begin = time.process_time()
        model.f.multilinePredict([text + "\\n" for text in texts], 1, 0.0, "strict")
        seconds.append(time.process_time() - begin)
    np.savez(
        path + ".npz", values=values, names=np.array(names), aborted=aborted,
        seconds=np.array(seconds), texts=np.array(texts), words=np.array(words),
    )
    with open(path + ".json", "w") as file:
        json.dump({"subwords": subwords, "tokens": tokens, "known": known}, file)
"""


def hash_of(word: bytes) -> int:
    """fastText's hash of a word (FNV-1a, bytes with their sign)."""
    h = 2166136261
    for byte in word:
        h = ((h ^ (byte - 256 * (byte > 127))) & 0xFFFFFFFF) * 16777619 & 0xFFFFFFFF
    return h


def pairs_of(tokens: list[str], vectorizer) -> list[int]:
    """Columns of the word n-grams of a line, by fastText's formula."""
    signed = [h - 2**32 * (h >= 2**31) for h in (hash_of(token.encode()) for token in tokens)]
    kept = vectorizer.kept_buckets_
    places = None if kept is None else {bucket: i for i, bucket in enumerate(kept)}
    found = []
    for i, first in enumerate(signed):
        h = first
        for other in signed[i + 1 : i + vectorizer.word_ngrams]:
            h = (h * 116049371 + other) % 2**64
            bucket = h % vectorizer.n_buckets_
            column = bucket if places is None else places.get(bucket)
            if column is not None:
                found.append(len(vectorizer.words_) + column)
    return found


def same_features(vectorizer, found: dict, words: list[str], texts: list[str]) -> tuple[int, int]:
    """Numbers of words and of lines whose features are not fastText's."""
    n_columns = vectorizer._n_features_out

    def counts(columns: list[int]) -> np.ndarray:
        return np.bincount(np.array(columns, dtype=int), minlength=n_columns)

    word_ngrams, vectorizer.word_ngrams = vectorizer.word_ngrams, 1
    end = vectorizer.transform([""]).toarray()[0]
    wrong_words = 0
    for start in range(0, len(words), 1000):
        rows = vectorizer.transform(words[start : start + 1000])
        for i, columns in enumerate(found["subwords"][start : start + 1000]):
            wrong_words += not np.array_equal(rows[[i]].toarray()[0] - end, counts(columns))
    vectorizer.word_ngrams = word_ngrams
    rows = vectorizer.transform(texts)
    wrong_lines = 0
    for i, tokens in enumerate(found["tokens"]):
        columns = [column for word in tokens for column in found["known"][word]]
        columns += pairs_of(tokens, vectorizer)
        wrong_lines += not np.array_equal(rows[[i]].toarray()[0], counts(columns))
    return wrong_words, wrong_lines


def compare(path: Path, data: Path, loss: str, repeats: int) -> dict:
    """Differences and rates of one file."""
    theirs = np.load(f"{path}.npz")
    found = json.loads(Path(f"{path}.json").read_text())
    texts, words = theirs["texts"].tolist(), theirs["words"].tolist()
    model = load_fasttext(path)
    vectorizer, classifier = model[0], model[1]
    names = [name.removeprefix("__label__") for name in theirs["names"].tolist()]
    order = [names.index(name) for name in vectorizer.target_names_]
    expected = theirs["values"][:, order] - 1e-5
    ours = model.predict_proba(texts).astype(np.float64)
    X = vectorizer.transform(texts)
    hidden = (X @ classifier.embedding_.astype(np.float64)) / X.sum(axis=1)
    scores = np.asarray(hidden) @ classifier.coefs_[-1].astype(np.float64)
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        best = classifier.predict_scores(vectorizer.transform(texts), top_k=1)
        vectorizer.target_names_[best.indices].tolist()
        seconds.append(time.process_time() - begin)
    wrong_words, wrong_lines = same_features(vectorizer, found, words, texts)
    same_words = None
    if path.suffix == ".bin":
        train = read_fasttext(data / "cooking.train.txt").data
        learned = clone(vectorizer).fit(train)
        same_words = set(learned.words_) == set(vectorizer.words_)
    row = {
        "texts": len(texts), "words": len(words), "wrong words": wrong_words,
        "wrong lines": wrong_lines, "difference": float(np.nanmax(np.abs(ours - expected))),
        "fastText (s)": float(theirs["seconds"].min()), "ours (s)": min(seconds),
        "aborted": int(theirs["aborted"]), "same dictionary": same_words,
    }  # fmt: skip
    if loss == "softmax":
        exact = np.exp(scores - scores.max(axis=1, keepdims=True))
        exact /= exact.sum(axis=1, keepdims=True)
    else:
        exact = 1 / (1 + np.exp(-scores))
    row["ours to float64"] = float(np.abs(ours - exact).max())
    row["fastText to float64"] = float(np.nanmax(np.abs(expected - exact)))
    return row


def report(rows: list[dict]) -> str:
    """The figures as a page."""
    machine = measure.machine()
    same = all(row["same dictionary"] is not False for row in rows)
    aborted = sum(row["aborted"] for row in rows if row["file"] == ".bin")
    lines = [
        "# Models of fastText",
        "",
        f"`benchmarks/fasttext_models.py`, {machine['date'][:10]}, {machine['cpu']}, load "
        f"average {machine['load_average']:.1f} on {machine['cores']} cores. fastText 0.9.3 "
        "trained the models (one thread, 10 epochs, 30 dimensions, 20,000 buckets; "
        f"{aborted} of its runs ended in NaN and were repeated with another seed). `.ftz`: "
        "quantised with its norms, cut to 8,000 rows; of ova the output too. "
        f"{rows[0]['texts']:,} texts and {rows[0]['words']:,} words. Differences are the largest "
        "ones over all texts and labels, to fastText's value less 1e-5, "
        "and of both to float64 from the same weights. Features: words and lines that have others "
        "than with fastText. Seconds of the processor, text in, the best label out. `fit` of "
        f"`FastTextVectorizer` finds the same dictionary: {'yes' if same else 'NO'}.",
        "",
        "| loss | features | file | probabilities | ours to float64 | fastText to float64 | "
        "other words | other lines | fastText (s) | ours (s) | times |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['loss']} | {row['features']} | {row['file']} | {row['difference']:.1e} | "
            f"{row['ours to float64']:.1e} | {row['fastText to float64']:.1e} | "
            f"{row['wrong words']} | {row['wrong lines']} | {row['fastText (s)']:.3f} | "
            f"{row['ours (s)']:.3f} | "
            f"{row['fastText (s)'] / row['ours (s)']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--losses", nargs="*", default=list(LOSSES), choices=LOSSES)
    parser.add_argument("--features", nargs="*", default=list(FEATURES), choices=list(FEATURES))
    parser.add_argument("--words", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fasttext-python", default=sys.executable)
    parser.add_argument("--save", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    rows = []
    for loss in args.losses:
        for features in args.features:
            with tempfile.TemporaryDirectory() as folder:
                job = {
                    "train": str(args.data / "cooking.train.txt"),
                    "test": str(args.data / "cooking.test.txt"),
                    "loss": loss, "features": FEATURES[features], "folder": folder,
                    "qout": loss == "ova", "n_words": args.words, "repeats": args.repeats,
                }  # fmt: skip
                subprocess.run(
                    [args.fasttext_python, "-c", TRAIN, json.dumps(job)],
                    env=measure.child_environment(1), check=True,
                )  # fmt: skip
                for kind in (".bin", ".ftz"):
                    row = {"loss": loss, "features": features, "file": kind}
                    row |= compare(Path(folder, f"model{kind}"), args.data, loss, args.repeats)
                    print(row, flush=True)
                    rows.append(row)
                if args.save:
                    args.save.write_text(report(rows))
    good = all(
        row["difference"] <= ALLOWED[row["loss"]]
        and (row["loss"] == "softmax" or row["ours to float64"] <= SIGMOID)
        and row["same dictionary"] is not False
        and row["wrong words"] == row["wrong lines"] == 0
        for row in rows
    )
    print("all within what is allowed:", good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
