"""What the guarantees promise on real data, beside what is measured.

Tables: the bounds 4.6, 4.6d and 4.12 of the theory page and the micro Jaccard index that one
cutoff reaches; what tuning the cutoff on the rows that it is judged on adds to the score; how
well one-vs-rest estimates marginals; and what modelling the size together with the label
costs and gains with few rows.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import warnings
from pathlib import Path

import data
import measure
import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import jaccard_score

from skmultireduce import (
    MultiClassReduction,
    MultiLabelSGDClassifier,
    ThresholdedMultiLabel,
    diagnose,
)

SETS = ("bibtex", "yeast", "tmc2007", "cooking")
REDUCTIONS = {
    "pick_one": {"reduction": "pick_one"},
    "pick_all_normalized": {"reduction": "pick_all_normalized"},
    "pick_all": {"reduction": "pick_all"},
    "one_vs_rest": {"reduction": "one_vs_rest"},
    "one_vs_rest, squared hinge": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def micro(y_true, y_pred) -> float:
    return jaccard_score(y_true, y_pred, average="micro", zero_division=0)


def estimators() -> dict:
    """All reductions of the linear model, and pairs of label and size."""
    found = {
        name: MultiLabelSGDClassifier(random_state=0, **kwargs)
        for name, kwargs in REDUCTIONS.items()
    }
    inner = MultiLabelSGDClassifier(random_state=0)
    found["pairs"] = MultiClassReduction(inner, size_model="joint")
    found["softmax and a mean size"] = MultiClassReduction(inner, size_model="expected")
    return found


def measured(prepared: data.Data) -> dict[str, tuple[float, float]]:
    """Micro Jaccard of the test rows: cutoff tuned on folds of the others, and on themselves."""
    out = {}
    for name, estimator in estimators().items():
        tuned = ThresholdedMultiLabel(estimator, cv=3, random_state=0)
        tuned.fit(prepared.X_train, prepared.Y_train)
        honest = micro(prepared.Y_test, tuned.predict(prepared.X_test))
        on_test = ThresholdedMultiLabel(tuned.estimator_, cv="prefit")
        on_test.fit(prepared.X_test, prepared.Y_test)
        out[name] = honest, on_test.best_score_
        print(prepared.name, name, *np.round(out[name], 4), sep="\t", flush=True)
    return out


def promised(prepared: data.Data):
    """The diagnosis of a model of pairs, on the test rows."""
    pairs = estimators()["pairs"].fit(prepared.X_train, prepared.Y_train)
    return diagnose(pairs, prepared.X_test, prepared.Y_test)


def promise_rows(prepared: data.Data, scores: dict) -> tuple[list[str], list[str]]:
    found = promised(prepared)
    sizes = np.asarray(prepared.Y_test.sum(axis=1)).ravel()
    best = max(on_test for _, on_test in scores.values())
    plain = scores["pick_all_normalized"][1]
    additive = (1 + best) * found.relative_deviation
    low = sizes[sizes > 0].min()
    promise = [
        prepared.name,
        f"{found.mean_size:.2f}",
        f"{found.relative_deviation:.3f}",
        f"{best:.3f}",
        f"{additive:.3f}" if additive < best else f"{additive:.3f}: no guarantee",
        f"{low / sizes.max() * best:.3f}" if sizes.all() else "no guarantee",
        f"{found.jaccard_ratio_bound * best:.3f}",
        f"{found.sigma_ratio_bound * best:.3f}",
        f"{plain:.3f}",
        f"{best - plain:.3f}",
    ]
    row = [prepared.name, *(f"{honest:.3f}" for honest, _ in scores.values())]
    return promise, row


def optimism(prepared: data.Data, repeats: int) -> list[str]:
    """Score on the rows that tuned the cutoff, less the score on as many others."""
    model = estimators()["one_vs_rest"].fit(prepared.X_train, prepared.Y_train)
    rng = np.random.default_rng(0)
    row = [prepared.name, str(prepared.Y_test.shape[0] // 2)]
    for strategy, average in (("global", "micro"), ("per_label", "macro")):
        gaps = []
        for _ in range(repeats):
            order = rng.permutation(prepared.Y_test.shape[0])
            halves = np.array_split(order, 2)
            tuned = ThresholdedMultiLabel(
                model, cv="prefit", strategy=strategy, scoring=f"jaccard_{average}"
            ).fit(prepared.X_test[halves[0]], prepared.Y_test[halves[0]])
            own, other = (
                jaccard_score(
                    prepared.Y_test[half],
                    tuned.predict(prepared.X_test[half]),
                    average=average,
                    zero_division=0,
                )
                for half in halves
            )
            gaps.append(own - other)
        gaps = np.array(gaps)
        row += [f"{gaps.mean():.4f}", f"{gaps.std(ddof=1) / np.sqrt(repeats):.4f}"]
    print(*row, sep="\t", flush=True)
    return row


def calibration(prepared: data.Data) -> list[list[str]]:
    """Marginals of one-vs-rest with both losses, on the test rows."""
    y = prepared.Y_test.toarray().astype(float)
    rows = []
    for name in ("one_vs_rest", "one_vs_rest, squared hinge"):
        model = estimators()[name].fit(prepared.X_train, prepared.Y_train)
        p = model.predict_proba(prepared.X_test).astype(float)
        tenth = np.minimum((10 * p).astype(int), 9).ravel()
        estimated = np.bincount(tenth, p.ravel(), minlength=10)
        true = np.bincount(tenth, y.ravel(), minlength=10)
        count = np.bincount(tenth, minlength=10)
        shares = [f"{t / c:.2f}" if c else "" for t, c in zip(true, count, strict=True)]
        rows.append(
            [
                prepared.name,
                name.removeprefix("one_vs_rest, ").replace("one_vs_rest", "log loss"),
                f"{y.sum(axis=1).mean():.2f}",
                f"{p.sum(axis=1).mean():.2f}",
                f"{np.abs(estimated - true).sum() / y.sum():.3f}",
                f"{((p - y) ** 2).sum(axis=1).mean():.3f}",
                *shares[1::2],
            ]
        )
        print(*rows[-1], sep="\t", flush=True)
    return rows


class Groups:
    """Sets of two kinds, few labels or many, at each x: the size depends on the label.

    The kind is drawn with a probability that is logistic in x, then a size from the kind's
    law, then a set with a probability proportional to the product of its labels' weights.
    """

    def __init__(self, seed: int, n_labels: int = 8, n_features: int = 6) -> None:
        rng = np.random.default_rng(seed)
        self.sets = np.array(list(itertools.product([0, 1], repeat=n_labels)))[1:]
        self.size = self.sets.sum(axis=1)
        self.n_features = n_features
        self.kind = 1.5 * rng.normal(size=n_features) / np.sqrt(n_features)
        self.weights = rng.normal(size=(2, n_features, n_labels)) / np.sqrt(n_features)
        self.offset = np.outer([1, -1], 2.0 * (np.arange(n_labels) < n_labels // 2) - 1)
        self.of_size = np.zeros((2, n_labels + 1))
        self.of_size[0, 1:3] = 0.7, 0.3
        self.of_size[1, 2:6] = 0.2, 0.3, 0.3, 0.2

    def law(self, X: np.ndarray) -> np.ndarray:
        """P(Y = set | x) of shape (n, n_sets)."""
        first = expit(X @ self.kind)
        total = 0.0
        for k, share in ((0, first), (1, 1 - first)):
            weight = np.exp((X @ self.weights[k] + self.offset[k]) @ self.sets.T)
            for s in np.flatnonzero(self.of_size[k]):
                of_size = weight * (self.size == s)
                of_size /= of_size.sum(axis=1, keepdims=True)
                total = total + share[:, None] * self.of_size[k, s] * of_size
        return total

    def draw(self, n: int, rng) -> tuple[np.ndarray, np.ndarray]:
        X = rng.normal(size=(n, self.n_features))
        cumulated = self.law(X).cumsum(axis=1)
        drawn = (rng.random((n, 1)) * cumulated[:, -1:] > cumulated).sum(axis=1)
        return X, self.sets[drawn]

    def pairs(self, X: np.ndarray) -> np.ndarray:
        """P(label in Y, S = s | x), of shape (n, n_labels, n_sizes), sizes from 1 on."""
        law = self.law(X)
        sizes = range(1, self.sets.shape[1] + 1)
        return np.stack([law @ (self.sets * (self.size == s)[:, None]) for s in sizes], axis=2)


def row_wise_f1(law: np.ndarray, sets: np.ndarray, h: np.ndarray) -> float:
    """Expected F1 of the rows, exactly."""
    both = h @ sets.T
    return float(np.mean(np.sum(law * 2 * both / (h.sum(1)[:, None] + sets.sum(1)), axis=1)))


def co_occurrence(n_rows: int, repeats: int, problem: Groups, seed: int) -> list[str]:
    """Bias and variance of estimates of the pairs, and the F1 of the sets that follow."""
    rng = np.random.default_rng(seed)
    X_test = rng.normal(size=(400, problem.n_features))
    law, truth = problem.law(X_test), problem.pairs(X_test)
    n_sizes = truth.shape[2]
    inner = LogisticRegression(C=1.0, max_iter=500)
    found = {"apart": [], "joint": []}
    scores = {"apart": [], "joint": [], "cutoff": []}
    for _ in range(repeats):
        X, Y = problem.draw(n_rows, rng)
        for name, size_model in (("apart", "expected"), ("joint", "joint")):
            model = MultiClassReduction(
                inner, size_model=size_model, max_size=None, decision="f1"
            ).fit(X, Y)
            scores[name].append(row_wise_f1(law, problem.sets, model.predict(X_test)))
            estimate = np.zeros_like(truth)
            if name == "joint":
                of_model = model.predict_label_size_proba(X_test)
            else:  # the picked label and the size apart: P(I = i) P(S = s) s
                of_size = model.predict_size_proba(X_test)
                mean = of_size @ model.sizes_
                picked = model.predict_proba(X_test) / mean[:, None]
                of_model = picked[:, :, None] * (of_size * model.sizes_)[:, None, :]
            columns = model.sizes_.astype(int) - 1
            assert columns.max() < n_sizes
            estimate[:, :, columns] = of_model
            found[name].append(estimate)
        cut = ThresholdedMultiLabel(
            MultiLabelSGDClassifier(reduction="one_vs_rest", random_state=0),
            scoring="f1_samples",
            cv=3,
            random_state=0,
        ).fit(X, Y)
        h = cut.predict(X_test)
        scores["cutoff"].append(row_wise_f1(law, problem.sets, np.asarray(h)))
    row = [str(n_rows)]
    for name in ("apart", "joint"):
        estimates = np.array(found[name])
        bias = np.mean((estimates.mean(axis=0) - truth) ** 2)
        variance = np.mean(estimates.var(axis=0, ddof=1))
        # The mean of few estimates has a part of the variance, which is no bias.
        bias = max(0.0, bias - variance / repeats)
        row += [f"{1e4 * bias:.1f}", f"{1e4 * variance:.1f}"]
    row += [f"{np.mean(scores[name]):.3f}" for name in ("apart", "joint", "cutoff")]
    print(*row, sep="\t", flush=True)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=SETS)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--cache", type=Path, default=data.CACHE, help="folder of prepared sets")
    parser.add_argument("--save", type=Path, help="write the tables to this file")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    machine = measure.machine()
    promises, scores, overfit, calibrated = [], [], [], []
    for name in args.data:
        try:
            data.prepare(name, cache=args.cache)
        except data.MissingDataError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        prepared = data.load(name, cache=args.cache)
        promise, row = promise_rows(prepared, measured(prepared))
        promises.append(promise)
        scores.append(row)
        overfit.append(optimism(prepared, args.repeats))
        calibrated += calibration(prepared)
    problem = Groups(seed=0)
    few = [
        co_occurrence(n, args.repeats, problem, seed=1)
        for n in (30, 60, 125, 250, 500, 1000, 4000)
    ]
    lines = [
        "# Guarantees beside measurements",
        "",
        f"`benchmarks/guarantees.py`, {machine['date'][:10]}, {machine['cpu']}: linear models "
        "with default parameters, micro-averaged Jaccard index of the test rows.",
        "",
        "## One cutoff on the plain softmax",
        "",
        "J* is the largest index that one cutoff on the scores of any of the models reaches. "
        "Promises for `pick_all_normalized` are made with it: what 4.6d allows to be lost, and "
        "the least index by 4.6 and 4.12, by the sizes of the test rows and by sigma of a model "
        "of pairs. Then what is reached, at the best cutoff, and lost.",
        "",
        *table(
            [
                "data",
                "E[S]",
                "relative deviation",
                "J*",
                "4.6d: loses at most",
                "4.6: at least",
                "4.12: at least",
                "4.12 by sigma",
                "measured",
                "lost",
            ],
            promises,
        ),
        "The same index with the cutoff tuned on folds of the training rows:",
        "",
        *table(["data", *estimators()], scores),
        "## A cutoff that is tuned on the rows it is judged on",
        "",
        f"Score of those rows less that of as many others, mean of {args.repeats} random halves "
        "of the test rows, and its standard error; scores of `one_vs_rest`.",
        "",
        *table(
            ["data", "rows", "one cutoff, micro", "±", "one for each label, macro", "±"], overfit
        ),
        "## Marginals of one-vs-rest",
        "",
        "Labels a row, true and estimated; error: differences between the number of true labels "
        "and the sum of their probabilities, over ten bins of the probability, as a share of all "
        "labels; squared error of a row, summed over labels (Brier); and the share of true "
        "labels where the probability is between .1 and .2, .3 and .4, and so on.",
        "",
        *table(
            [
                "data",
                "loss",
                "labels a row",
                "estimated",
                "error",
                "squared error",
                *(f".{i} to .{i + 1}" for i in (1, 3, 5, 7)),
                ".9 to 1",
            ],
            calibrated,
        ),
        "## Modelling the size together with the label",
        "",
        f"Two kinds of sets, of few and of many labels; {args.repeats} training sets of each "
        "size, logistic regressions. Squared bias and variance (times 10⁴) of the estimates of "
        "P(label in Y, size of Y | x), with the picked label and the size modelled apart "
        '(`size_model="expected"`) and as pairs (`"joint"`); and the expected row-wise F1 of '
        "the sets chosen by them and by one cutoff on `one_vs_rest`, exactly.",
        "",
        *table(
            [
                "rows",
                "apart: bias²",
                "variance",
                "pairs: bias²",
                "variance",
                "F1 apart",
                "F1 pairs",
                "F1 cutoff",
            ],
            few,
        ),
    ]
    if args.save:
        args.save.write_text("\n".join(lines).rstrip() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
