"""How often promises for new rows are broken, what they cost, and MAPIE beside it.

Rows are drawn from finite populations, so that what a cutoff does to new rows is counted, not
estimated. ``--mapie`` names a Python that has MAPIE (another environment will do).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import data
import measure
import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce._cutoff.certify import (
    Promise,
    _highest_cut,
    _precision_window,
    find_promised,
    label_windows,
)
from skmultireduce._cutoff.counters import InfeasibleError, Search, keys_of, values_of
from skmultireduce._cutoff.evaluation import curve
from skmultireduce._cutoff.intervals import betting_interval, curve_margin, score_interval
from skmultireduce._cutoff.metric import METRICS
from skmultireduce._cutoff.score_map import ScoreMap
from skmultireduce._cutoff.scores import Pool, array_blocks
from skmultireduce._cutoff.search import find
from skmultireduce._data.label_sets import read_labels

HERE = Path(__file__).parent
RESULTS = HERE / "results"
# The estimator whose scores are its rows is that of the tests.
sys.path.append(str(HERE.parent / "tests"))
DELTA = 0.1
# (metric, least, confidence, kind, max_labels)
PROMISES = {
    "recall .8 in expectation, micro": ("recall", 0.8, None, "micro", None),
    "recall .8 in expectation, rows": ("recall", 0.8, None, "samples", None),
    "recall .7, micro": ("recall", 0.7, 0.9, "micro", None),
    "recall .7, rows": ("recall", 0.7, 0.9, "samples", None),
    "precision .7, micro, max_labels=4": ("precision", 0.7, 0.9, "micro", 4),
    "precision .7, rows": ("precision", 0.7, 0.9, "samples", None),
    "recall .6, each label": ("recall", 0.6, 0.9, "label", None),
    "precision .6, each label": ("precision", 0.6, 0.9, "label", None),
}


class Law:
    """A population of rows with scores and truth: about two labels a row."""

    def __init__(
        self, n_labels: int, *, good: bool = True, n_rows: int | None = None, seed: int = 0
    ):
        rng = np.random.default_rng(seed)
        n_rows = n_rows or (20_000 if n_labels < 100 else 5000)
        m = expit(rng.normal(-3.5 if n_labels < 100 else -7.5, 2.5, size=(n_rows, n_labels)))
        self.y = rng.random(m.shape) < m
        self.f = (m if good else rng.random(m.shape)).astype(np.float32)
        # Ranks of the scores in their rows; ties there are none to speak of.
        order = np.argsort(-self.f, axis=1, kind="stable")
        self.rank = np.empty(m.shape, dtype=np.int16)
        np.put_along_axis(self.rank, order, np.arange(n_labels, dtype=np.int16)[None], axis=1)
        self.sizes = self.y.sum(axis=1)

    def sorted_pairs(self, most: int | None):
        """Pairs within the limit of a row, by falling score: what a cutoff predicts."""
        inside = self.rank < (most or self.f.shape[1])
        rows, labels = np.nonzero(inside)
        f = self.f[rows, labels]
        order = np.argsort(-f, kind="stable")
        return f[order], rows[order], labels[order], self.y[rows, labels][order]


class Truth:
    """Mean loss of new rows at any cutoff, for one promise."""

    def __init__(self, law: Law, promise: Promise, most: int | None):
        f, rows, labels, hit = law.sorted_pairs(most)
        n, alpha = len(law.f), promise.alpha
        self.cuts = -f
        if promise.kind == "label":
            self.tables = []
            for label in range(law.f.shape[1]):
                own = labels == label
                tp = np.append(0, np.cumsum(hit[own]))
                self.tables.append((-f[own], tp, law.y[:, label].sum()))
            self.promise = promise
            return
        weight = np.ones(len(f))
        if promise.by_row and promise.metric == "recall":
            weight = 1 / np.maximum(law.sizes, 1)[rows]
        if promise.metric == "recall":
            due = np.minimum(law.sizes, 1).sum() if promise.by_row else law.sizes.sum()
            base = n if promise.by_row else due
            loss = due - np.append(0, np.cumsum(weight * hit)) - alpha * base
        elif promise.by_row:
            change = np.empty(len(f))
            order = np.argsort(rows, kind="stable")
            first = np.searchsorted(rows[order], np.arange(n + 1))
            for i in range(n):
                own = order[first[i] : first[i + 1]]
                fdp = np.cumsum(~hit[own]) / np.arange(1, len(own) + 1)
                change[own] = np.diff(fdp, prepend=0.0)
            loss = np.append(0, np.cumsum(change)) - alpha * n
        else:
            loss = np.append(0, np.cumsum(~hit - alpha))
        self.loss = loss / n
        self.recall = np.append(0, np.cumsum(hit)) / law.sizes.sum()
        tp = np.cumsum(hit)
        self.precision = tp / np.arange(1, len(f) + 1)

    def at(self, cut) -> int:
        return int(np.searchsorted(self.cuts, -cut, side="right"))

    def label_broken(self, label: int, cut) -> bool:
        cuts, tp, positives = self.tables[label]
        n = int(np.searchsorted(cuts, -cut, side="right"))
        total = n if self.promise.metric == "precision" else positives
        return tp[n] < self.promise.least * total


def search_of(law: Law, rows, most, *, metric="jaccard", average="micro") -> Search:
    pool = Pool(array_blocks(law.f[rows]), read_labels(law.y[rows].astype(np.int8))[0])
    return Search([pool], (ScoreMap(True, 0, most),), METRICS[metric], average)


def promise_of(name: str, law: Law) -> tuple[Promise, Truth]:
    metric, least, confidence, kind, most = PROMISES[name]
    k = law.f.shape[1]
    promise = Promise(metric, least, confidence, kind, min(most or k, k), k)
    return promise, Truth(law, promise, most)


def calibrations(
    name: str, n: int, law: Law, promise: Promise, truth: Truth, repeats: int, seconds: float, rng
) -> dict:
    """Shares of broken promises and of refusals, and the recall of what is certified."""
    metric, least, confidence, kind, most = PROMISES[name]
    # Of the cuts of a precision the one with the highest recall is the lowest.
    average = "samples" if kind == "samples" and metric == "precision" else "micro"
    broken, refused, losses, recalls = 0, 0, [], []
    start = time.perf_counter()
    done = 0
    while done < repeats and time.perf_counter() - start < seconds:
        done += 1
        search = search_of(
            law, rng.integers(0, len(law.f), n), most, metric="recall", average=average
        )
        try:
            if kind == "label":
                windows = label_windows(search, promise, 0)
                broken += any_label_broken(search, windows, truth, metric)
                continue
            cut = furthest(search, promise)
        except InfeasibleError:
            refused += 1
            recalls.append(0.0)
            continue
        at = truth.at(cut)
        losses.append(truth.loss[at])
        recalls.append(truth.recall[at])
        broken += truth.loss[at] > 1e-12
    spent = time.perf_counter() - start
    out = {
        "promise": name,
        "n": n,
        "labels": law.f.shape[1],
        "repeats": done,
        "broken": broken / done,
        "refused": refused / done,
        "recall": float(np.mean(recalls)) if recalls else float("nan"),
        "milliseconds": 1e3 * spent / done,
    }
    if confidence is None:
        # In expectation: how far the mean loss is from 0, and its standard error.
        out["mean_loss"] = float(np.mean(losses))
        out["error"] = float(np.std(losses) / np.sqrt(len(losses)))
    elif metric == "precision" and kind == "micro":
        kept = np.flatnonzero(truth.precision >= least)
        out["best_recall"] = float(truth.recall[kept[-1] + 1]) if len(kept) else 0.0
    return out


def furthest(search: Search, promise: Promise):
    """Cut that goes furthest within a promise: to few labels for a recall, to many else."""
    if promise.metric == "recall":
        return values_of(np.atleast_1d(_highest_cut(search, promise)))[0]
    return find_promised(search, promise).value


def any_label_broken(search, windows, truth, metric) -> bool:
    """Whether the furthest certified cutoff of any label breaks the promise."""
    pool = search.pools[0]
    values = np.concatenate([s.values for _, s in pool.typed_blocks()])
    for label in np.flatnonzero(windows.low < windows.high):
        if metric == "recall":
            cut = values_of(windows.high[label : label + 1])[0]
        else:
            keys = np.sort(keys_of(np.ascontiguousarray(values[:, label])))
            inside = keys[(keys > windows.low[label]) & (keys <= windows.high[label])]
            cut = values_of(inside[:1])[0]
        if truth.label_broken(label, cut):
            return True
    return False


def simulate(repeats: int, seconds: float, names: list[str]) -> list[dict]:
    found = []
    for k in (10, 200):
        for good in (True, False):
            law = Law(k, good=good)
            for name in names:
                own = promise_of(name, law)
                for n in (30, 100, 1000):
                    rng = np.random.default_rng(n)
                    one = calibrations(name, n, law, *own, repeats, seconds, rng)
                    found.append({**one, "scores": "good" if good else "useless"})
                    print(*found[-1].values(), sep="\t", flush=True)
    return found


# --- power ----------------------------------------------------------------------------


def power(repeats: int, seconds: float) -> list[dict]:
    """Recall of a certified precision beside that of the best cutoff that has it."""
    rng = np.random.default_rng(0)
    laws = {
        "logit of m normal(-4, 2.5)": expit(rng.normal(-4, 2.5, size=(50_000, 15))),
        "m beta(.2, 1.5)": rng.beta(0.2, 1.5, size=(50_000, 15)),
        "m beta(.1, .9)": rng.beta(0.1, 0.9, size=(50_000, 15)),
        "m beta(.3, 2)": rng.beta(0.3, 2.0, size=(50_000, 15)),
        "m beta(.3, 2.5)": rng.beta(0.3, 2.5, size=(50_000, 15)),
    }
    found = []
    name = "precision .7, micro, max_labels=4"
    for title, m in laws.items():
        law = Law(15, n_rows=10)
        law.f, law.y = m.astype(np.float32), rng.random(m.shape) < m
        order = np.argsort(-law.f, axis=1, kind="stable")
        law.rank = np.argsort(order, axis=1).astype(np.int16)
        law.sizes = law.y.sum(axis=1)
        own = promise_of(name, law)
        one = calibrations(name, 1000, law, *own, repeats, 4 * seconds, rng)
        found.append({**one, "law": title})
        print(*found[-1].values(), sep="\t", flush=True)
    return found


# --- intervals ------------------------------------------------------------------------


def populations():
    """Three laws, and the test rows of two real sets with the scores of a model."""
    rng = np.random.default_rng(1)
    k = 10
    yield "m beta(.3, 2.5)", *drawn(m := rng.beta(0.3, 2.5, size=(20_000, k)), m, rng)
    yield "logit of m normal", *drawn(m := expit(rng.normal(-3, 2.5, size=(20_000, k))), m, rng)
    logit = rng.normal(-2, 1.5, size=(20_000, k)) + rng.normal(size=(20_000, 1))
    noisy = expit(logit + rng.normal(size=logit.shape))
    yield "rows differ, scores are off", *drawn(expit(logit), noisy, rng)
    for name in ("yeast", "tmc2007"):
        try:
            data.prepare(name)
        except data.MissingDataError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        prepared = data.load(name)
        model = MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0)
        model.fit(prepared.X_train, prepared.Y_train)
        y = prepared.Y_test
        y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        yield name, model.predict_proba(prepared.X_test).astype(np.float32), y.astype(np.int8)


def drawn(m, f, rng):
    return f.astype(np.float32), (rng.random(m.shape) < m).astype(np.int8)


def coverage(repeats: int, seconds: float) -> list[dict]:
    """Share of samples whose intervals hold the truth of the population."""
    found = []
    for name, f, y in populations():
        whole = Search([Pool(array_blocks(f), read_labels(y)[0])], metric=METRICS["jaccard"])
        full = curve(whole)
        fixed = f > find(whole).value
        both, either = (fixed & (y > 0)).sum(axis=1), (fixed | (y > 0)).sum(axis=1)
        truth = both.sum() / either.sum()
        for n in (200, 1000):
            rng = np.random.default_rng(n)
            held = np.zeros(3)
            widths = np.zeros(3)
            start, done = time.perf_counter(), 0
            while done < repeats and time.perf_counter() - start < 6 * seconds:
                done += 1
                rows = rng.integers(0, len(f), n)
                own = Search([Pool(array_blocks(f[rows]), read_labels(y[rows])[0])])
                best = find(own)
                low, high = score_interval(own, best.histogram, best.value, 0.95, tuned=True)
                at = np.searchsorted(
                    full["thresholds"], np.nextafter(best.value, np.float32(-np.inf))
                )
                held[0] += low <= full["scores"][min(at, len(full["scores"]) - 1)] <= high
                margin = curve_margin(own, 0.95)
                points = curve(own, 300)
                at = np.searchsorted(full["thresholds"], points["thresholds"])
                at = np.minimum(at, len(full["scores"]) - 1)
                held[1] += np.abs(points["scores"] - full["scores"][at]).max() <= margin
                bet = betting_interval(both[rows], either[rows], f.shape[1], 0.95)
                held[2] += bet[0] <= truth <= bet[1]
                widths += high - low, 2 * margin, bet[1] - bet[0]
            one = dict(zip(("tuned", "curve", "betting"), held / done, strict=True))
            width = dict(zip(("w_tuned", "w_curve", "w_betting"), widths / done, strict=True))
            found.append({"data": name, "n": n, "repeats": done, **one, **width})
            print(*found[-1].values(), sep="\t", flush=True)
    return found


# --- MAPIE ----------------------------------------------------------------------------

_PEER = """
import json, sys, time, warnings
import numpy as np
from mapie.risk_control import MultiLabelClassificationController as Controller
warnings.simplefilter("ignore")
job = json.loads(sys.argv[1])
stored = np.load(job["file"])
f, y = stored["f"], stored["y"]
out = []
options = job["options"]
start = time.perf_counter()
if job["samples"] is None:
    one = Controller(predict_function=lambda X: X, **options)
    one.calibrate(f, y)
    out.append(float(one.best_predict_param[0]))
else:
    # Losses of all rows of the population at all cutoffs once, then drawn.
    one = Controller(predict_function=lambda X: X, **options)
    one.compute_risks(f, y, _refit=True)
    risks = one._risks
    rng = np.random.default_rng(job["seed"])
    for _ in range(job["samples"]):
        one._risks = risks[rng.integers(0, len(risks), job["n"])]
        one.compute_best_predict_param()
        out.append(float(one.best_predict_param[0]))
print(json.dumps({"cuts": out, "seconds": time.perf_counter() - start}))
"""


def peer(python: str, f, y, options: dict, samples: int | None, n: int = 0) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, f=f.astype(np.float64), y=y.astype(np.int64))
        job = {"file": str(file), "options": options, "samples": samples, "n": n, "seed": 0}
        run = subprocess.run(
            [python, "-c", _PEER, json.dumps(job)], capture_output=True, text=True, check=False
        )
    if run.returncode:
        return {"error": run.stderr.strip().splitlines()[-1] if run.stderr else "killed"}
    return json.loads(run.stdout)


def beside_mapie(python: str, repeats: int) -> list[dict]:
    """Means over rows: precision .7 and recall .7 at .9, recall .8 in expectation."""
    law = Law(10)
    # It takes no rows without labels.
    kept = law.sizes > 0
    for name in ("f", "y", "rank", "sizes"):
        setattr(law, name, getattr(law, name)[kept][:4000])
    jobs = [
        (
            "precision .7, rows",
            {"risk": "precision", "target_level": 0.7, "confidence_level": 0.9},
        ),
        ("recall .8 in expectation, rows", {"risk": "recall", "target_level": 0.8}),
        (
            "recall .7, rows",
            {"risk": "recall", "method": "rcps", "target_level": 0.7, "confidence_level": 0.9},
        ),
        (
            "recall .7, rows",
            {
                "risk": "recall",
                "method": "rcps",
                "rcps_bound": "bernstein",
                "target_level": 0.7,
                "confidence_level": 0.9,
            },
        ),
    ]
    found = []
    for name, options in jobs:
        promise, truth = promise_of(name, law)
        rng = np.random.default_rng(0)
        # With 300 rows it certifies no precision.
        n = 1000 if promise.metric == "precision" else 300
        ours = calibrations(name, n, law, promise, truth, repeats, np.inf, rng)
        theirs = peer(python, law.f, law.y, options, repeats, n)
        bound = options.get("rcps_bound", "")
        row = {"promise": f"{name} {bound}".strip(), "ours": ours, "error": theirs.get("error")}
        if "cuts" in theirs:
            at = [0 if np.isnan(cut) else truth.at(np.nextafter(np.float32(cut), np.float32(2)))
                  for cut in theirs["cuts"]]  # fmt: skip
            row["broken"] = float(np.mean(truth.loss[at] > 1e-12))
            row["mean_loss"] = float(np.mean(truth.loss[at]))
            row["recall"] = float(np.mean(truth.recall[at]))
        found.append(row)
        print(row, flush=True)
    return found


def speed(python: str) -> list[dict]:
    """Seconds for one cutoff from 3,000 rows of 735 labels."""
    from given import Given

    rng = np.random.default_rng(0)
    m = expit(rng.normal(-9.5, 2.8, size=(3000, 735)))
    y = rng.random(m.shape) < m
    y[~y.any(axis=1), 0] = True
    scores, sparse = m.astype(np.float32), sp.csr_array(y.astype(np.int8))
    pool = Pool(array_blocks(scores), read_labels(sparse)[0])
    search = Search([pool], (ScoreMap(True),), METRICS["jaccard"], "micro")
    found = []
    jobs = [
        ({"min_recall": 0.8, "guarantee": "expectation"}, {"risk": "recall", "target_level": 0.8}),
        (
            {"min_precision": 0.5, "confidence": 0.9},
            {"risk": "precision", "target_level": 0.5, "confidence_level": 0.9},
        ),
    ]
    for ours, theirs in jobs:
        model = ThresholdedMultiLabel(Given(), cv="prefit", scoring="f1_samples", **ours)
        metric = next(iter(ours)).removeprefix("min_")
        promise = Promise(
            metric, ours[f"min_{metric}"], ours.get("confidence"), "samples", 735, 735
        )
        row = {"promise": ", ".join(f"{name}={value!r}" for name, value in ours.items())}
        row["alone"] = quickest(lambda promise=promise: promised_only(search, promise))
        row["fit"] = quickest(lambda model=model: model.fit(scores, sparse))
        row["mapie"] = peer(python, m, y, theirs, None)
        found.append(row)
        print(row, flush=True)
    return found


def promised_only(search: Search, promise: Promise) -> None:
    """The limit that a promise sets, without a metric that is maximised within it."""
    if promise.metric == "recall":
        _highest_cut(search, promise)
    else:
        _precision_window(search, promise, search.histograms()[0])


def quickest(job) -> float:
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# --- report ---------------------------------------------------------------------------


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def report(stored: dict) -> str:
    machine = stored["machine"]
    lines = [
        "# Promises for new rows",
        "",
        f"`benchmarks/promises.py`, {machine['date'][:10]}, {machine['cpu']}. Rows are drawn from "
        "populations whose loss at every cutoff is counted; of the certified cutoffs the furthest "
        "one is taken.",
        "",
    ]
    if "simulate" in stored:
        lines += simulated_tables(stored["simulate"])
    if "power" in stored:
        rows = [
            [
                row["law"],
                f"{row['repeats']:,}",
                f"{row['best_recall']:.3f}",
                f"{row['recall']:.3f}",
                f"{row['recall'] / row['best_recall']:.0%}",
                f"{row['refused']:.1%}",
                f"{row['broken']:.1%}",
            ]
            for row in stored["power"]
        ]
        lines += [
            "## What a certified precision costs",
            "",
            "Micro precision .7 with confidence .9 from 1,000 rows, 15 labels, `max_labels=4`, "
            "scores are the true marginals m: mean recall (0 where nothing is certified) beside "
            "that of the lowest cutoff that has the precision.",
            "",
            *table(
                ["law", "calibrations", "best recall", "recall", "share", "refused", "broken"],
                rows,
            ),
        ]
    if "coverage" in stored:
        rows = [
            [
                row["data"],
                f"{row['n']:,}",
                f"{row['repeats']:,}",
                *(f"{row[key]:.1%}" for key in ("tuned", "curve", "betting")),
                *(f"{row[key]:.3f}" for key in ("w_tuned", "w_curve", "w_betting")),
            ]
            for row in stored["coverage"]
        ]
        lines += [
            "## Intervals",
            "",
            "Micro Jaccard index, nominal 95 %: share of samples whose interval holds the index "
            "of the population at the tuned cutoff, whose band holds the whole curve, and whose "
            "betting interval holds that of a fixed rule; and mean widths.",
            "",
            *table(
                [
                    "data",
                    "rows",
                    "samples",
                    "tuned cutoff",
                    "curve",
                    "fixed rule, betting",
                    "width",
                    "width of the band",
                    "width, betting",
                ],
                rows,
            ),
        ]
    if "mapie" in stored:
        lines += mapie_tables(stored)
    return "\n".join(lines).rstrip() + "\n"


def simulated_tables(found: list[dict]) -> list[str]:
    lines = [
        "## How often promises are broken",
        "",
        "Good scores are the true marginals, useless ones are drawn apart from the truth. Allowed "
        f"is {DELTA:.0%} where there is a confidence (.9), of as many calibrations as a limit of "
        "time lets in. A recall in expectation has the mean loss, which should not be above 0, "
        "and its standard error instead. Refused: nothing was "
        "certified, which breaks nothing. Recall: micro-averaged, of new rows, 0 where refused.",
        "",
    ]
    places = {name: i for i, name in enumerate(PROMISES)}
    found = sorted(found, key=lambda row: (row["labels"], places[row["promise"]], row["n"]))
    for scores in ("good", "useless"):
        rows = [
            [
                row["promise"],
                f"{row['n']:,}",
                str(row["labels"]),
                f"{row['repeats']:,}",
                f"{row['mean_loss']:+.4f} ± {row['error']:.4f}"
                if "mean_loss" in row
                else f"{row['broken']:.2%}",
                f"{row['refused']:.1%}",
                "" if "each label" in row["promise"] else f"{row['recall']:.3f}",
            ]
            for row in found
            if row["scores"] == scores
        ]
        lines += [
            f"### {scores.capitalize()} scores",
            "",
            *table(
                ["promise", "rows", "labels", "calibrations", "broken", "refused", "recall"], rows
            ),
        ]
    return lines


def mapie_tables(stored: dict) -> list[str]:
    rows = []
    for row in stored["mapie"]:
        ours = row["ours"]
        theirs = [row["error"] or "", "", ""]
        if "recall" in row:
            theirs = [f"{row['broken']:.1%}", f"{row['mean_loss']:+.4f}", f"{row['recall']:.3f}"]
        mean = f"{ours['mean_loss']:+.4f}" if "mean_loss" in ours else ""
        broken = "" if mean else f"{ours['broken']:.1%}"
        own = [broken, mean, f"{ours['recall']:.3f}"]
        rows.append([row["promise"], f"{ours['n']:,}", *own, *theirs])
    lines = [
        "## MAPIE beside it",
        "",
        f"MAPIE {stored.get('mapie_version', '')}: means over rows are all that it has, rows "
        "without labels are left out, as it refuses them. 10 labels, good scores. Its "
        "precision of a row without predictions is 0, ours 1: ours promises less there.",
        "",
        *table(
            [
                "promise",
                "rows",
                "broken",
                "mean loss",
                "recall",
                "MAPIE: broken",
                "MAPIE: mean loss",
                "MAPIE: recall",
            ],
            rows,
        ),
        "Seconds for one cutoff from 3,000 rows of 735 labels, each in one thread: of the promise "
        "alone, which is what MAPIE does, and of `fit`, which reads y, maximises the F1 score of "
        "rows among all cutoffs that keep the promise, and bootstraps an interval.",
        "",
    ]
    rows = []
    for row in stored["speed"]:
        seconds = row["mapie"].get("seconds", float("nan"))
        rows.append(
            [
                f"`{row['promise']}`",
                f"{row['alone']:.4f}",
                f"{row['fit']:.3f}",
                row["mapie"].get("error", f"{seconds:.1f}"),
                *(f"{seconds / row[key]:,.0f}" for key in ("alone", "fit")),
            ]
        )
    head = ["promise", "promise alone", "`fit`", "MAPIE", "times the first", "times the second"]
    return [*lines, *table(head, rows)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["simulate", "power", "coverage", "mapie"])
    parser.add_argument("--repeats", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=np.inf, help="at most, for each cell")
    parser.add_argument("--promises", nargs="+", choices=PROMISES, help="those to simulate again")
    parser.add_argument("--mapie", help="a Python that has MAPIE, for the part mapie")
    parser.add_argument("--stored", type=Path, default=RESULTS / "promises.json")
    parser.add_argument("--save", type=Path, help="write the tables to this file")
    args = parser.parse_args()
    stored = json.loads(args.stored.read_text()) if args.stored.exists() else {}
    for part in args.parts:
        if part == "simulate":
            names = args.promises or list(PROMISES)
            kept = [row for row in stored.get(part, []) if row["promise"] not in names]
            stored[part] = kept + simulate(args.repeats, args.seconds, names)
        elif part == "power":
            stored[part] = power(min(args.repeats, 2000), args.seconds)
        elif part == "coverage":
            stored[part] = coverage(min(args.repeats, 2000), args.seconds)
        elif part == "mapie" and args.mapie is not None:
            stored[part] = beside_mapie(args.mapie, min(args.repeats, 2000))
            stored["speed"] = speed(args.mapie)
            stored["mapie_version"] = version_of(args.mapie)
        stored["machine"] = measure.machine()
        args.stored.write_text(json.dumps(stored, indent=1))
    if args.save:
        args.save.write_text(report(stored))
    return 0


def version_of(python: str) -> str:
    code = "import importlib.metadata as m; print(m.version('mapie'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
