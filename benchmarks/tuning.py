"""Defaults on data as it comes, and what tuning adds.

Parts: ``tables`` (raw dense tables against logistic regression on standardised ones),
``penalty`` (the automatic penalty against the best of a grid), ``search`` (penalty and cutoff in
one round of folds: choice, gain, time), ``folds`` (one round against GridSearchCV around the
threshold estimator), ``stream`` (partial_fit against fit), ``optimism`` (pooled score of the
chosen candidate against its test score).
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import data
import measure
import numpy as np
import scipy.sparse as sp
from guarantees import table
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import jaccard_score
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel

SETS = ("python_imports", "cooking", "bibtex", "tmc2007", "yeast")
FORMS = {
    "log loss": {"reduction": "one_vs_rest"},
    "squared hinge": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
    "pick_one": {"reduction": "pick_one"},
    "softmax": {"reduction": "pick_all_normalized"},
}
SCALES = 2.0 ** np.arange(-5, 6)


def model(form: str, **parameters) -> MultiLabelSGDClassifier:
    return MultiLabelSGDClassifier(random_state=0, **{**FORMS[form], **parameters})


def best(fitted, X, Y) -> float:
    """Micro Jaccard index at the best cutoff."""
    scores = fitted.predict_proba if hasattr(fitted, "predict_proba") else fitted.decision_function
    return measure.best_cutoff(np.asarray(scores(X)).ravel(), sp.csr_array(Y).toarray().ravel())[1]


def micro(Y, predicted) -> float:
    return jaccard_score(
        sp.csr_array(Y).toarray(), sp.csr_array(predicted).toarray(), average="micro"
    )


def raw_tables():
    """Gaussian features, spoilt in every way, and real tables as they are."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(3000, 20))
    logits = Z @ rng.normal(size=(20, 8)) * 3 / np.sqrt(20) - 1 + 0.5 * rng.normal(size=8)
    Y = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(int)
    column = rng.normal(size=(3000, 1))
    yield "20 Gaussian features", Z, Y
    yield "and a year", np.hstack([Z, 2000 + 10 * column]), Y
    yield "and a timestamp", np.hstack([Z, 1.7e9 + 1e6 * column]), Y
    yield "+100", Z + 100, Y
    yield "one row times 1e4", np.where(np.arange(3000)[:, None] == 7, 1e4, 1) * Z, Y
    yield "units from 1e-3 to 1e3", Z * np.geomspace(1e-3, 1e3, 20), Y
    for name, tails in (("Cauchy", rng.standard_cauchy((3000, 20))),
                        ("Student, 2 degrees", rng.standard_t(2, (3000, 20)))):  # fmt: skip
        inner = np.sign(tails) * np.log1p(np.abs(tails)) @ rng.normal(size=(20, 8)) * 0.7 - 1
        yield name, tails, (rng.random(inner.shape) < 1 / (1 + np.exp(-inner))).astype(int)
    for name, load in (("wine", load_wine), ("breast cancer", load_breast_cancer)):
        found = load()
        X = found.data
        yield (
            name,
            X,
            np.column_stack(
                [found.target == 0, found.target == 1, *(X[:, :3] > np.median(X[:, :3], axis=0)).T]
            ).astype(int),
        )


def tables() -> list[str]:
    rows = []
    for name, X, Y in raw_tables():
        order = np.random.default_rng(1).permutation(len(X))
        train, test = order[: 7 * len(X) // 10], order[7 * len(X) // 10 :]
        scaler = StandardScaler().fit(X[train])
        Z = scaler.transform(X)
        linear = OneVsRestClassifier(LogisticRegression(max_iter=2000))
        figures = [
            best(linear.fit(Z[train], Y[train]), Z[test], Y[test]),
            *(
                best(model(form).fit(A[train], Y[train]), A[test], Y[test])
                for form in ("log loss", "squared hinge")
                for A in (X, Z)
            ),
        ]
        rows.append([name, *(f"{value:.3f}" for value in figures)])
    head = ["table", "LogisticRegression, standardised", "log loss, raw", "standardised",
            "squared hinge, raw", "standardised"]  # fmt: skip
    return ["## Raw tables (J* on held-out rows)", "", *table(head, rows)]


def penalty(prepared: dict) -> list[str]:
    rows = []
    for name, part in prepared.items():
        for form in FORMS:
            found = [
                best(
                    model(form, alpha_scale=scale).fit(part.X_train, part.Y_train),
                    part.X_test,
                    part.Y_test,
                )
                for scale in SCALES
            ]
            at = int(np.argmax(found))
            middle = found[len(SCALES) // 2]
            rows.append(
                [name, form, f"{middle:.4f}", f"{max(found):.4f}", f"{SCALES[at]:g}",
                 f"{middle / max(found):.3f}"]
            )  # fmt: skip
    head = ["data", "model", "J* by the rule", "best of 11", "its alpha_scale", "ratio"]
    return ["## The automatic penalty", "", *table(head, rows)]


def search(prepared: dict) -> list[str]:
    rows = []
    for name, part in prepared.items():
        for form in ("log loss", "squared hinge", "softmax"):
            line = [name, form]
            for grid in (None, "auto"):
                tuned = ThresholdedMultiLabel(model(form), param_grid=grid, random_state=0)
                start = time.perf_counter()
                tuned.fit(part.X_train, part.Y_train)
                spent = time.perf_counter() - start
                line += [
                    f"{micro(part.Y_test, tuned.predict(part.X_test)):.4f}",
                    f"{best(tuned.estimator_, part.X_test, part.Y_test):.4f}",
                    f"{spent:.1f}",
                ]
            line.append(f"{tuned.best_params_['alpha_scale']:g}")
            rows.append(line)
    head = ["data", "model", "J, default", "J*", "s", 'J, param_grid="auto"', "J*", "s",
            "alpha_scale"]  # fmt: skip
    return ["## Penalty and cutoff in one round of folds", "", *table(head, rows)]


def folds(prepared: dict) -> list[str]:
    grid = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    rows = []
    for name, part in prepared.items():
        inner = model("squared hinge")
        one = ThresholdedMultiLabel(inner, param_grid={"alpha_scale": grid}, random_state=0)
        around = GridSearchCV(
            ThresholdedMultiLabel(inner, random_state=0),
            {"estimator__alpha_scale": grid},
            scoring="jaccard_micro",
        )
        line = [name]
        seconds = []
        for tuned in (one, around):
            start = time.perf_counter()
            tuned.fit(part.X_train, part.Y_train)
            seconds.append(time.perf_counter() - start)
            line += [f"{seconds[-1]:.1f}", f"{micro(part.Y_test, tuned.predict(part.X_test)):.4f}"]
        rows.append([*line, f"{seconds[1] / seconds[0]:.1f}"])
    head = ["data", "one round, s", "J", "GridSearchCV around it, s", "J", "times"]
    return ["## 8 candidates: one round of folds, or a search around", "", *table(head, rows)]


def stream(prepared: dict, repeats: int) -> list[str]:
    rows = []
    for name, part in prepared.items():
        for form in FORMS:
            reference = best(model(form).fit(part.X_train, part.Y_train), part.X_test, part.Y_test)
            shares = []
            for seed in range(repeats):
                rng = np.random.default_rng(seed)
                one = model(form)
                found = []
                for number in range(10):
                    order = rng.permutation(part.X_train.shape[0])
                    for start in range(0, len(order), 1000):
                        batch = order[start : start + 1000]
                        one.partial_fit(part.X_train[batch], part.Y_train[batch])
                    if number in (0, 9):
                        found.append(best(one, part.X_test, part.Y_test) / reference)
                shares.append(found)
            rows.append([name, form, f"{reference:.4f}",
                         *(f"{v:.3f}" for v in np.mean(shares, axis=0))])  # fmt: skip
    head = ["data", "model", "J* of fit", "partial_fit, 1 pass", "10 passes"]
    return ["## Batches of 1,000 (share of fit's J*)", "", *table(head, rows)]


def optimism(prepared: dict, repeats: int) -> list[str]:
    rows = []
    for name, part in prepared.items():
        X, Y = (
            sp.vstack([part.X_train, part.X_test]).tocsr(),
            sp.vstack([part.Y_train, part.Y_test]).tocsr(),
        )
        n_train = part.X_train.shape[0]
        differences = []
        for seed in range(repeats):
            order = np.random.default_rng(seed).permutation(X.shape[0])
            train, test = order[:n_train], order[n_train:]
            tuned = ThresholdedMultiLabel(
                model("log loss"), param_grid="auto", random_state=seed
            ).fit(X[train], Y[train])
            differences.append(tuned.best_score_ - micro(Y[test], tuned.predict(X[test])))
        error = np.std(differences, ddof=1) / np.sqrt(repeats)
        rows.append([name, str(repeats), f"{np.mean(differences):+.4f}", f"{error:.4f}"])
    head = ["data", "re-splits", "pooled less test", "its standard error"]
    return ["## Optimism of the chosen candidate", "", *table(head, rows)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="of tables, penalty, search, folds, stream, "
                        "optimism; all by default")  # fmt: skip
    parser.add_argument("--data", nargs="*", default=SETS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--save", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    prepared = {}
    for name in arguments.data:
        try:
            data.prepare(name)
            prepared[name] = data.load(name)
        except data.MissingDataError as error:
            print(error, file=sys.stderr)
    few = {name: prepared[name] for name in ("bibtex", "yeast") if name in prepared}
    text = {name: part for name, part in prepared.items() if name in ("cooking", "bibtex")}
    parts = {
        "tables": tables,
        "penalty": partial(penalty, prepared),
        "search": partial(search, prepared),
        "folds": partial(folds, text),
        "stream": partial(
            stream,
            {n: p for n, p in prepared.items() if n in ("cooking", "bibtex", "tmc2007")},
            arguments.repeats,
        ),
        "optimism": partial(optimism, few, 20),
    }
    lines = ["# Defaults and tuning", ""]
    for name in arguments.parts or parts:
        lines += parts[name]()
        print("\n".join(lines), flush=True)
        if arguments.save is not None:
            arguments.save.write_text("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
