"""The backend of the documentation beside Annif's own, on the same texts, vectors and subjects.

Needs an environment with annif and omikuji, and this package; see README.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path

import measure
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
sys.path.insert(0, str(ROOT / "docs" / "coming_from"))
BACKENDS = {
    "skmultireduce": ("skmultireduce", {}),
    "omikuji (Parabel)": ("omikuji", {}),
    "omikuji (Bonsai)": (
        "omikuji",
        {"cluster_balanced": "False", "cluster_k": 100, "max_depth": 3},
    ),
    "tfidf": ("tfidf", {}),
    "svc (one subject a document)": ("svc", {}),
}
HEAD = ("backend", "train (s)", "suggest (s)", "P@1", "NDCG", "F1@5", "limit, threshold", "F1")
MOST = 15  # suggestions of a document, among which limits are sought


def read(path: Path) -> list[tuple[str, list[str]]]:
    """Texts and their labels, of a file in fastText's format."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        labels = [word[9:] for word in words if word.startswith("__label__")]
        rows.append((" ".join(word for word in words if not word.startswith("__label__")), labels))
    return rows


def f1_of(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F1 of each document for limits 1 to MOST; `found` numbers hits of the best, in order."""
    n = np.cumsum(np.isfinite(found), axis=1)
    hits = np.cumsum(np.nan_to_num(found), axis=1)
    return 2 * hits / np.maximum(n + truth[:, None], 1)


def best_filter(batches: list, gold: list) -> tuple[int, float]:
    """Limit and threshold of the highest mean F1 of a document, on the grid of annif optimize."""
    best = (-1.0, 0, 0.0)
    scores, hits, truth = ranked(batches, gold)
    for threshold in np.arange(20) * 0.05:
        f1 = f1_of(np.where(scores >= threshold, hits, np.nan), truth).mean(axis=0)
        limit = int(np.argmax(f1))
        best = max(best, (float(f1[limit]), limit + 1, float(threshold)))
    return best[1], best[2]


def ranked(batches: list, gold: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of the best suggestions of each document, which are right, how many would be."""
    n = len(gold)
    scores, hits = np.full((n, MOST), -1.0), np.zeros((n, MOST))
    row = 0
    for batch in batches:
        for suggestions in batch:
            for place, one in enumerate(list(suggestions)[:MOST]):
                scores[row, place] = one.score
                hits[row, place] = one.subject_id in gold[row]
            row += 1
    return scores, hits, np.array([len(one) for one in gold])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of cooking.*.txt")
    parser.add_argument("--only", nargs="+", default=list(BACKENDS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--whole-lines",
        action="store_true",
        help="no sentences in a document's words: NLTK then needs no data that it downloads",
    )
    parser.add_argument("--save", type=Path, help="write the table to this file")
    args = parser.parse_args()
    if not (args.data / "cooking.train.txt").exists():
        print(f"{args.data} has no cooking.train.txt", file=sys.stderr)
        return 1
    warnings.simplefilter("ignore")
    import annif_backend  # noqa: F401  (registers itself)
    import nltk
    from annif.corpus import Document, DocumentList, SubjectSet
    from annif.eval import EvaluationBatch
    from annif.registry import AnnifRegistry
    from annif.vocab import VocabFileTSV

    if args.whole_lines:
        nltk.tokenize.word_tokenize = partial(nltk.tokenize.word_tokenize, preserve_line=True)
    train, test = read(args.data / "cooking.train.txt"), read(args.data / "cooking.test.txt")
    labels = sorted({label for _, one in train for label in one})
    order = np.random.default_rng(0).permutation(len(train))
    held_out = {int(i) for i in order[: len(train) // 5]}
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder, "subjects.tsv")
        vocabulary.write_text("".join(f"<http://example.org/{x}>\t{x}\n" for x in labels))
        config = Path(folder, "projects.cfg")
        sections = []
        for number, name in enumerate(args.only):
            backend, options = BACKENDS[name]
            given = "".join(f"{key}={value}\n" for key, value in options.items())
            for part in ("part", "whole"):
                sections.append(
                    f"[p{number}-{part}]\nname={name}\nlanguage=en\nbackend={backend}\n"
                    f"analyzer=simple(token_min_length=1)\nvocab=cooking\nlimit=100\n{given}"
                )
        config.write_text("\n".join(sections))
        registry = AnnifRegistry(str(config), str(Path(folder, "data")), False)
        registry.get_vocab("cooking").load_vocabulary(VocabFileTSV(str(vocabulary), "en"))
        subjects = registry.get_project("p0-whole").subjects
        numbers = {x: subjects.by_uri(f"http://example.org/{x}") for x in labels}

        def documents(rows):
            return [
                Document(text=text, subject_set=SubjectSet({numbers[x] for x in own}))
                for text, own in rows
            ]

        known = [(text, [x for x in own if x in numbers]) for text, own in test]
        corpora = {
            "whole": documents(train),
            "part": documents([r for i, r in enumerate(train) if i not in held_out]),
            "held out": documents([r for i, r in enumerate(train) if i in held_out]),
            "test": documents(known),
        }
        for number, name in enumerate(args.only):
            parts = {p: registry.get_project(f"p{number}-{p}") for p in ("part", "whole")}
            begin = time.process_time()
            parts["whole"].train(DocumentList(corpora["whole"]), jobs=args.threads)
            trained = time.process_time() - begin
            begin = time.process_time()
            batches = list(parts["whole"].suggest_corpus(DocumentList(corpora["test"])).batches)
            suggested = time.process_time() - begin
            if BACKENDS[name][0] == "skmultireduce":
                # Its own cutoff, of folds of the training documents.
                limit, threshold = MOST, 0.5
            else:
                parts["part"].train(DocumentList(corpora["part"]), jobs=args.threads)
                held = corpora["held out"]
                found = list(parts["part"].suggest_corpus(DocumentList(held)).batches)
                limit, threshold = best_filter(found, [set(d.subject_set) for d in held])
            gold = [document.subject_set for document in corpora["test"]]

            def evaluate(kept, names, gold=gold):
                evaluation = EvaluationBatch(subjects)
                start = 0
                for batch in kept:
                    evaluation.evaluate_many(batch, gold[start : start + len(batch)])
                    start += len(batch)
                return evaluation.results(metrics=names)

            ranks = evaluate(batches, ["Precision@1", "NDCG", "F1@5"])
            cut = evaluate(
                [batch.filter(limit, threshold) for batch in batches], ["F1 score (doc avg)"]
            )
            row = [
                name,
                f"{trained:.1f}",
                f"{suggested:.1f}",
                *(f"{ranks[m]:.3f}" for m in ("Precision@1", "NDCG", "F1@5")),
                f"{limit}, {threshold:.2f}",
                f"{cut['F1 score (doc avg)']:.3f}",
            ]
            print(*row, sep="\t", flush=True)
            lines.append(f"| {' | '.join(row)} |")
    if args.save:
        machine = measure.machine()
        head = [
            "# Backends of Annif",
            "",
            f"`benchmarks/annif_backends.py`, {machine['date'][:10]}, {machine['cpu']}, "
            f"times of the processor, annif {version('annif')}, omikuji {version('omikuji')}, "
            f"scikit-learn {version('scikit-learn')}: {len(train):,} questions of cooking, "
            f"{len(labels)} subjects, {len(test):,} test questions. All see the same words, by "
            "Annif's analyzer and its tf-idf. Metrics are Annif's, of 100 suggestions. F1 is the "
            "mean of the documents, after limit and threshold: those of the highest F1 on a fifth "
            "of the training documents, of a model of the others, on the grid of `annif "
            "optimize`; of skmultireduce the cutoff that it tunes itself, at one half, which is "
            "part of its time of training.",
            "",
            f"| {' | '.join(HEAD)} |",
            "|---|" + "---:|" * (len(HEAD) - 1),
        ]
        args.save.write_text("\n".join([*head, *lines]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
