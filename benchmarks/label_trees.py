"""Label trees at a hundred to a million labels, beside the tools that train such trees.

Every run is a process of its own on one thread; times are processor time, so that other
processes do not count. Sets are drawn here from stated laws, but for two real ones. Peers
that are not installed are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import data
import measure
import numpy as np
import scipy.sparse as sp
from many_labels import power_law_rows
from sklearn.preprocessing import normalize

CACHE = Path(tempfile.gettempdir()) / "skmultireduce-benchmarks" / "label_trees"
SEEDS = 3
TOP = 20

# ------------------------------------------------------------------------- data
POWER_LAW = {
    "power law, 1e4": {"n_rows": 30_000, "n_labels": 10_000, "n_features": 20_000},
    "power law, 1e5": {"n_rows": 100_000, "n_labels": 100_000, "n_features": 100_000},
    "power law, 1e6": {"n_rows": 1_000_000, "n_labels": 1_000_000, "n_features": 200_000},
}
GROUPED = "groups, 1e4"
REAL = ("cooking", "bibtex")
TEST_ROWS = {"power law, 1e6": 20_000}
SETS = (*POWER_LAW, GROUPED, *REAL)


def grouped_rows(
    n_rows: int,
    *,
    n_groups: int = 200,
    group_size: int = 50,
    n_features: int = 20_000,
    n_words: int = 24,
    seed: int = 0,
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """Rows whose 1 to 4 labels are of one group: a hierarchy that is there to be found.

    Groups have the frequencies of a power law of exponent 0.8, labels are uniform within
    theirs. A word is, with probability 1/3 each, one of 60 words of the group, one of 12 words
    of one of the row's labels, or any word j in proportion to ``j ** -0.5``. Which labels are
    a group is random.
    """
    n_labels = n_groups * group_size
    own = np.random.default_rng(0)
    of_label = own.integers(n_features, size=(n_labels, 12))
    of_group = own.integers(n_features, size=(n_groups, 60))
    number = own.permutation(n_labels)
    rng = np.random.default_rng([seed, 1])

    def draw(n: int, power: float, size) -> np.ndarray:
        total = np.cumsum(np.arange(1, n + 1) ** -power)
        return np.searchsorted(total, rng.random(size) * total[-1]).clip(max=n - 1)

    group = draw(n_groups, 0.8, n_rows)
    sizes = rng.integers(1, 5, size=n_rows)
    labels = np.repeat(group, sizes) * group_size + rng.integers(group_size, size=sizes.sum())
    rows = np.repeat(np.arange(n_rows), sizes)
    Y = sp.csr_matrix((np.ones(len(labels)), (rows, number[labels])), shape=(n_rows, n_labels))
    Y.sum_duplicates()
    Y.data[:] = 1
    kind = rng.integers(3, size=(n_rows, n_words))
    start = np.cumsum(sizes) - sizes
    chosen = labels[start[:, None] + (rng.random(kind.shape) * sizes[:, None]).astype(int)]
    words = np.choose(
        kind,
        [
            of_group[group[:, None], rng.integers(60, size=kind.shape)],
            of_label[chosen, rng.integers(12, size=kind.shape)],
            draw(n_features, 0.5, kind.shape),
        ],
    )
    X = sp.csr_matrix(
        (np.ones(words.size), words.ravel(), np.arange(0, words.size + 1, n_words)),
        shape=(n_rows, n_features),
    )
    X.sum_duplicates()
    return X, Y.astype(np.int8)


def make(name: str) -> tuple:
    """X, Y of training and of tests; rows of X have unit norm."""
    if name in POWER_LAW:
        law = {**POWER_LAW[name], "n_words": 24}
        X, Y = power_law_rows(**law)
        X_test, Y_test = power_law_rows(**{**law, "n_rows": TEST_ROWS.get(name, 5_000)}, seed=1)
    elif name == GROUPED:
        X, Y = grouped_rows(30_000)
        X_test, Y_test = grouped_rows(5_000, seed=1)
    else:
        data.prepare(name)
        found = data.load(name)
        X, Y, X_test, Y_test = found.X_train, found.Y_train, found.X_test, found.Y_test
    return (
        sp.csr_matrix(normalize(X), dtype=np.float32),
        sp.csr_matrix(Y, dtype=np.int8),
        sp.csr_matrix(normalize(X_test), dtype=np.float32),
        sp.csr_matrix(Y_test, dtype=np.int8),
    )


def load(name: str) -> tuple:
    """A set, from the files of the first call."""
    path = CACHE / f"{name.replace(', ', '-').replace(' ', '_')}.pickle"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(pickle.dumps(make(name), protocol=5))
        part.rename(path)
    return pickle.loads(path.read_bytes())


def _ends(matrix: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    return matrix.indptr[:-1], matrix.indptr[1:]


def write_xmc(path: Path, X: sp.csr_matrix, Y: sp.csr_matrix) -> None:
    """The extreme classification repository's format."""
    with path.open("w") as file:
        file.write(f"{X.shape[0]} {X.shape[1]} {Y.shape[1]}\n")
        for a, b, c, d in zip(*_ends(X), *_ends(Y), strict=True):
            pairs = zip(X.indices[a:b].tolist(), X.data[a:b].tolist(), strict=True)
            words = " ".join(f"{column}:{value:.6g}" for column, value in pairs)
            file.write(f"{','.join(map(str, Y.indices[c:d].tolist()))} {words}\n")


# ----------------------------------------------------------------------- quality
def quality(scores: sp.csr_matrix, Y: sp.csr_matrix) -> dict[str, float]:
    """P@1, P@3, P@5 and the Jaccard index at the best cutoff, of the scores that are there."""
    n_rows = Y.shape[0]
    rows = np.repeat(np.arange(n_rows), np.diff(scores.indptr))
    order = np.lexsort((scores.indices, -scores.data, rows))
    rank = np.arange(len(rows)) - scores.indptr[rows]
    hit = np.asarray(Y[rows[order], scores.indices[order]]).ravel() > 0
    found = {f"P@{k}": float(hit[rank < k].sum() / (n_rows * k)) for k in (1, 3, 5)}
    best = np.argsort(-scores.data[order], kind="stable")
    hits = np.cumsum(hit[best])
    found["J*"] = float((hits / (np.arange(1, len(hits) + 1) + Y.nnz - hits)).max())
    return found


def from_lists(lists: list, shape: tuple[int, int]) -> sp.csr_matrix:
    indptr = np.cumsum([0, *map(len, lists)])
    pairs = [pair for one in lists for pair in one]
    labels, values = zip(*pairs, strict=True)
    return sp.csr_matrix((np.array(values), np.array(labels), indptr), shape=shape)


def seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# -------------------------------------------------------------------- contenders
class Contender:
    """`fit` and `predict` are timed; `predict` gives CSR, or lists of pairs."""

    def prepare(self, X, Y, X_test, folder: Path) -> None:
        self.X, self.Y, self.X_test, self.folder = X, Y, X_test, folder

    def save(self) -> None:
        raise NotImplementedError


class Ours(Contender):
    """An estimator of this package."""

    def __init__(self, estimator: str, **parameters) -> None:
        self.estimator, self.parameters = estimator, parameters

    def fit(self, seed: int) -> None:
        import skmultireduce

        parameters = {"random_state": seed, **self.parameters}
        if parameters.get("alpha") == "C=1":
            # Rows have unit norm.
            parameters["alpha"] = 1 / self.X.shape[0]
        self.model = getattr(skmultireduce, self.estimator)(**parameters)
        self.model.fit(self.X, self.Y)

    def save(self) -> None:
        if hasattr(self.model, "sparsify"):
            self.model.sparsify(min_magnitude=0.1)
        (self.folder / "model").write_bytes(pickle.dumps(self.model, protocol=5))

    def predict(self):
        if hasattr(self.model, "predict_scores"):
            return self.model.predict_scores(self.X_test, top_k=TOP)
        parts = []
        for begin in range(0, self.X_test.shape[0], 200):
            scores = self.model.decision_function(self.X_test[begin : begin + 200])
            top = np.argpartition(-scores, TOP, axis=1)[:, :TOP]
            start = np.arange(0, top.size + 1, TOP)
            values = np.take_along_axis(scores, top, axis=1)
            parts.append(sp.csr_matrix((values.ravel(), top.ravel(), start), shape=scores.shape))
        return sp.vstack(parts, format="csr")


class Omikuji(Contender):
    """Trains from a file, predicts a row a call."""

    def prepare(self, X, Y, X_test, folder):
        super().prepare(X, Y, X_test, folder)
        write_xmc(folder / "train.xmc", X, Y)
        ends = list(zip(*_ends(X_test), strict=True))
        self.rows = [
            list(zip(X_test.indices[a:b].tolist(), X_test.data[a:b].tolist(), strict=True))
            for a, b in ends
        ]

    def fit(self, seed):
        import omikuji

        options = omikuji.Model.default_hyper_param()
        self.model = omikuji.Model.train_on_data(
            str(self.folder / "train.xmc"), options, n_threads=1
        )

    def save(self):
        (self.folder / "train.xmc").unlink()
        self.model.save(str(self.folder / "model"))

    def predict(self):
        return [self.model.predict(row, beam_size=10, top_k=TOP) for row in self.rows]


class NapkinXC(Contender):
    """A probabilistic label tree, by its defaults."""

    def fit(self, seed):
        from napkinxc.models import PLT

        self.model = PLT(str(self.folder / "model"), threads=1, seed=seed)
        self.model.fit(self.X, self.Y.astype(np.float32))

    def save(self):
        self.model.load()

    def predict(self):
        return self.model.predict_proba(self.X_test, top_k=TOP)


class Pecos(Contender):
    """XR-Linear with its defaults; its wheel needs nothing else for this."""

    def fit(self, seed):
        from pecos.xmc import Indexer, LabelEmbeddingFactory
        from pecos.xmc.xlinear.model import XLinearModel

        Y = self.Y.astype(np.float32)
        features = LabelEmbeddingFactory.create(Y, self.X, method="pifa")
        clusters = Indexer.gen(features, seed=seed, threads=1)
        self.model = XLinearModel.train(self.X, Y, C=clusters, threads=1)

    def save(self):
        self.model.save(str(self.folder / "model"))

    def predict(self):
        return self.model.predict(self.X_test, beam_size=10, only_topk=TOP, threads=1)


NEGATIVES = 5
# One for all sizes: three epochs take two thirds of the time of the default's five, and lose less
# than 1 % of P@k on held-out rows of the sets here.
FAST = {"dtype": "float16", "max_iter": 3}
FLAT = {"reduction": "one_vs_rest", "loss": "squared_hinge"}
CONTENDERS: dict[str, Contender] = {
    "tree": Ours("LabelTreeClassifier", **FAST),
    "3 trees": Ours("LabelTreeClassifier", **FAST, n_trees=3),
    "tree, negatives": Ours("LabelTreeClassifier", **FAST, n_matching_negatives=NEGATIVES),
    "flat": Ours("MultiLabelSGDClassifier", **FLAT),
    "flat, C=1, 5 epochs": Ours(
        "LabelTreeClassifier", branching=(), dtype="float16", beam_width=1, alpha="C=1"
    ),
    "MLP, 1000 sampled": Ours("MultiLabelMLPClassifier", n_sampled_labels=1000, max_iter=8),
    "omikuji, 3 trees": Omikuji(),
    "napkinXC PLT": NapkinXC(),
    "PECOS XR-Linear": Pecos(),
}
# Those that fit: O(labels) of time or memory does not.
LEFT_OUT = {
    "power law, 1e5": {"flat", "flat, C=1, 5 epochs", "MLP, 1000 sampled"},
    "power law, 1e6": set(CONTENDERS) - {"tree"},
    "groups, 1e4": {"flat", "MLP, 1000 sampled"},
    "cooking": {"MLP, 1000 sampled"},
    "bibtex": {"MLP, 1000 sampled"},
}


def run(name: str, contender: str, seed: int) -> dict:
    """Train and predict once, in this process."""
    X, Y, X_test, Y_test = load(name)
    tool = CONTENDERS[contender]
    with tempfile.TemporaryDirectory() as folder:
        tool.prepare(X, Y, X_test, Path(folder))
        base = measure.reset_peak_memory()
        begin = seconds()
        tool.fit(seed)
        fit_s = seconds() - begin
        memory = measure.peak_memory() - base
        tool.save()
        disk = size_of(Path(folder))
        begin = seconds()
        found = tool.predict()
        predict_s = seconds() - begin
    if not sp.issparse(found):
        found = from_lists(found, Y_test.shape)
    return {
        "set": name,
        "tool": contender,
        "seed": seed,
        "fit_s": fit_s,
        "us_per_row": 1e6 * predict_s / X_test.shape[0],
        "disk_mb": disk / 1e6,
        "memory_mb": memory / 1e6,
        **quality(sp.csr_matrix(found), Y_test),
    }


# ------------------------------------------------------------------------ checks
EXACT_ROWS = 10_000
CUTOFF_ROWS = 50_000
EXACT_THRESHOLDS = (0.5, 0.1, 0.01)


def exact(n_trees: int) -> dict:
    """Rows whose exact search differs from one over the probabilities of all labels."""
    from skmultireduce import LabelTreeClassifier

    name = "power law, 1e4"
    X, Y, *_ = load(name)
    model = LabelTreeClassifier(
        dtype="float16", n_trees=n_trees, beam_width=None, random_state=0
    ).fit(X, Y)
    X = X[:EXACT_ROWS]
    tops = model.predict_scores(X, top_k=5)
    above = [model.predict_scores(X, threshold=t) for t in EXACT_THRESHOLDS]
    wrong = 0
    for begin in range(0, EXACT_ROWS, 500):
        part = slice(begin, begin + 500)
        P = model.predict_proba(X[part])
        # Ties by label number.
        order = np.argsort(-P, axis=1, kind="stable")[:, :5]
        best = np.zeros_like(P)
        np.put_along_axis(best, order, np.take_along_axis(P, order, axis=1), axis=1)
        differs = np.any(tops[part].toarray() != best, axis=1)
        for threshold, found in zip(EXACT_THRESHOLDS, above, strict=True):
            differs |= np.any(found[part].toarray() != np.where(threshold <= P, P, 0), axis=1)
        wrong += int(differs.sum())
    return {"check": f"exact, {n_trees}", "wrong rows": float(wrong)}


def cutoff(reduction: str) -> dict:
    """A tuned cutoff on a tree at 1e5 labels: time, memory above model and data, quality."""
    from skmultireduce import LabelTreeClassifier, ThresholdedMultiLabel

    X, Y, X_test, Y_test = load("power law, 1e5")
    X, Y = X[:CUTOFF_ROWS], Y[:CUTOFF_ROWS]
    tree = LabelTreeClassifier(reduction=reduction, dtype="float16", random_state=0)
    tuned = ThresholdedMultiLabel(tree, cv=3, response_method="predict_scores", n_candidates=TOP)
    base = measure.reset_peak_memory()
    begin = seconds()
    tuned.fit(X, Y)
    fit_s = seconds() - begin
    begin = seconds()
    found = tuned.predict(X_test)
    predict_s = seconds() - begin
    memory = measure.peak_memory() - base
    model = tuned.estimator_._forest.nbytes
    hits = found.multiply(Y_test).sum()
    return {
        "check": f"cutoff, {reduction}",
        "fit_s": fit_s,
        "us_per_row": 1e6 * predict_s / X_test.shape[0],
        "memory_mb": memory / 1e6,
        "model_mb": model / 1e6,
        "jaccard": float(hits / (found.sum() + Y_test.sum() - hits)),
        "threshold": float(tuned.best_threshold_),
    }


CHECKS = {
    "exact, 1": (exact, 1),
    "exact, 3": (exact, 3),
    "cutoff, one_vs_rest": (cutoff, "one_vs_rest"),
    # A label of each row at a time, and a cutoff: the reduction to one multi-class problem.
    "cutoff, pick_one": (cutoff, "pick_one"),
}


# ------------------------------------------------------------------------ report
def means(rows: list[dict]) -> dict[tuple[str, str], dict]:
    found: dict[tuple[str, str], dict] = {}
    for key in dict.fromkeys((row["set"], row["tool"]) for row in rows):
        group = [row for row in rows if (row["set"], row["tool"]) == key]
        names = [name for name, value in group[0].items() if isinstance(value, float)]
        found[key] = {name: float(np.mean([row[name] for row in group])) for name in names}
        # Others' processes only ever add time.
        for name in ("fit_s", "us_per_row"):
            found[key][name] = min(row[name] for row in group)
    return found


def statements(found: dict, checks: dict) -> list[tuple[str, float, str, bool]]:
    """What is to hold, with its figure and bound."""
    out = []
    for name, row in checks.items():
        if "wrong rows" in row:
            text = f"rows of {EXACT_ROWS:,} where search and brute force differ ({name} trees)"
            out.append((text, row["wrong rows"], "at most 0", row["wrong rows"] == 0))
        else:
            value = (row["memory_mb"] - row["model_mb"]) / 1073.7
            text = f"1e5 labels, {CUTOFF_ROWS:,} rows ({name}): GiB above model and data"
            out.append((text, value, "at most 1", value <= 1))

    def ratio(text, one, two, figure, bound, least=False):
        if one in found and two in found:
            value = found[one][figure] / found[two][figure]
            holds = value >= bound if least else value <= bound
            out.append((text, value, f"at {'least' if least else 'most'} {bound:.3g}", holds))

    small, large = "power law, 1e4", "power law, 1e5"
    for law in (small, large):
        peer = (law, "omikuji, 3 trees")
        for k in ("P@1", "P@3", "P@5"):
            ratio(f"{law}: {k}, 3 trees over omikuji's", (law, "3 trees"), peer, k, 1, True)
            ratio(f"{law}: {k}, tree over omikuji's 3", (law, "tree"), peer, k, 1, True)
        for tool, bound in (("3 trees", 1 / 3), ("tree", 1 / 8)):
            ratio(f"{law}: time, {tool} over omikuji's 3", (law, tool), peer, "fit_s", bound)
        for figure, bound in (("us_per_row", 0.1), ("disk_mb", 0.5)):
            ratio(f"{law}: {figure}, 3 trees over omikuji", (law, "3 trees"), peer, figure, bound)
    for real in REAL:
        one, two = found.get((real, "3 trees")), found.get((real, "omikuji, 3 trees"))
        for figure in ("P@1", "J*") if one and two else ():
            gap = one[figure] - two[figure]
            text = f"{real}: {figure}, 3 trees less omikuji's"
            out.append((text, gap, "at least -0.003", gap >= -0.003))
    flat = (small, "flat, C=1, 5 epochs")
    for tool, bound in (("tree", 0.95), ("tree, negatives", 0.98)):
        ratio(f"{small}: P@1, {tool} over flat", (small, tool), flat, "P@1", bound, True)
        ratio(f"{small}: time, {tool} over flat", (small, tool), flat, "fit_s", 1 / 3)
    one, two = found.get((large, "tree")), found.get((small, "tree"))
    if one and two:
        growth = one["fit_s"] / 100_000 / (two["fit_s"] / 30_000)
        text = "time of a training row, 1e5 labels over 1e4"
        out.append((text, growth, "at most 2.5", growth <= 2.5))
    million = found.get(("power law, 1e6", "tree"))
    if million:
        for text, value, bound in (
            ("1e6 labels and rows: training, s", million["fit_s"], 600),
            ("1e6 labels and rows: memory, GiB", million["memory_mb"] / 1073.7, 6),
            ("1e6 labels and rows: prediction, microseconds a row", million["us_per_row"], 300),
        ):
            out.append((text, value, f"at most {bound}", value <= bound))
    return out


def markdown(results: dict) -> str:
    machine, found = results["machine"], means(results["rows"])
    lines = [
        "# Label trees",
        "",
        f"{machine['date'][:10]}, {machine['cpu']}, {machine['simd']}, one thread, skmultireduce "
        f"{machine['versions']['skmultireduce']}, revision {machine['revision']}.",
        "",
        "Power law: `power_law_rows` of `benchmarks/many_labels.py`, 24 words a row, exponent "
        "0.8: 30,000 rows x 20,000 features (1e4 labels), 100,000 x 100,000 (1e5), 1,000,000 x "
        "200,000 (1e6). Groups: 200 groups of 50 labels with words of their own "
        "(`grouped_rows` of `benchmarks/label_trees.py`), 30,000 rows. Rows have unit norm. "
        "Trees: `LabelTreeClassifier(dtype='float16', max_iter=3)`, all else the defaults, with "
        f"`n_trees=3` or `n_matching_negatives={NEGATIVES}`; omikuji's defaults (3 trees), "
        "napkinXC's PLT, PECOS' XR-Linear. *Flat, C=1, 5 epochs*: `branching=()`, `alpha=1/n`. "
        "Times are processor time, the least of the seeds; quality is their mean. P@k and J* (the "
        f"Jaccard index at the best single cutoff) of the {TOP} best labels of a row; predictions "
        "of omikuji are a row a call.",
        "",
        "| set | model | fit (s) | predict (µs a row) | disk (MB) | fit (MB) | P@1 | P@3 | P@5 "
        "| J* |",
        "|" + " --- |" * 10,
    ]
    for (rows, tool), row in found.items():
        lines.append(
            f"| {rows} | {tool} | {row['fit_s']:.2f} | {row['us_per_row']:.0f} "
            f"| {row['disk_mb']:.1f} | {row['memory_mb']:.0f} "
            f"| {row['P@1']:.3f} | {row['P@3']:.3f} | {row['P@5']:.3f} | {row['J*']:.3f} |"
        )
    lines += ["", "| statement | figure | bound | holds |", "|" + " --- |" * 4]
    for text, value, bound, holds in statements(found, results["checks"]):
        lines.append(f"| {text} | {value:.3f} | {bound} | {'yes' if holds else '**no**'} |")
    cutoffs = {n: row for n, row in results["checks"].items() if "jaccard" in row}
    if cutoffs:
        lines += [
            "",
            "`ThresholdedMultiLabel(LabelTreeClassifier(reduction=...), cv=3)` on "
            f"{CUTOFF_ROWS:,} rows of the power law with 1e5 labels: three folds and the model on "
            "all rows, the cutoff with the best micro-averaged Jaccard index, and that index on "
            "the test rows.",
            "",
            "| reduction | fit (s) | predict (µs a row) | fit (MB) | of which model (MB) "
            "| cutoff | Jaccard |",
            "|" + " --- |" * 7,
        ]
        for name, row in cutoffs.items():
            lines.append(
                f"| {name.split(', ')[1]} | {row['fit_s']:.1f} | {row['us_per_row']:.0f} "
                f"| {row['memory_mb']:.0f} | {row['model_mb']:.0f} | {row['threshold']:.3f} "
                f"| {row['jaccard']:.3f} |"
            )
    return "\n".join([*lines, ""])


def in_process(*arguments: str) -> dict | None:
    """The result of this file run with these arguments; None if that failed."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=measure.child_environment(1),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        print(f"{arguments}: {done.stderr[-300:].decode(errors='replace')}", flush=True)
        return None
    row = json.loads(done.stdout)
    figures = " ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float))
    print(f"{', '.join(arguments[1:]):>36}: {figures}", flush=True)
    return row


def store(path: Path, row: dict) -> None:
    """Put a result in place of an older one; the file may have changed meanwhile."""
    results = {"rows": [], "checks": {}}
    if path.exists():
        results = json.loads(path.read_text())
    results["machine"] = measure.machine()
    if "check" in row:
        results["checks"][row["check"]] = row
    else:
        kept = [r for r in results["rows"] if any(r[k] != row[k] for k in ("set", "tool", "seed"))]
        order = [(s, t) for s in SETS for t in CONTENDERS]
        results["rows"] = sorted(
            [*kept, row], key=lambda r: (order.index((r["set"], r["tool"])), r["seed"])
        )
    path.write_text(json.dumps(results, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--report", action="store_true", help="write the table of stored runs")
    parser.add_argument("--sets", nargs="*", default=SETS, help="name sets")
    parser.add_argument("--tools", nargs="*", default=list(CONTENDERS), help="contenders")
    parser.add_argument("--checks", nargs="*", default=list(CHECKS), help="checks")
    parser.add_argument("--run", nargs=3, metavar=("SET", "TOOL", "SEED"), help="in this process")
    parser.add_argument("--check", help="one, in this process")
    args = parser.parse_args()
    if args.run or args.check:
        out = measure.quiet_stdout()
        if args.run:
            name, tool, seed = args.run
            row = run(name, tool, int(seed))
        else:
            function, argument = CHECKS[args.check]
            row = function(argument)
        print(json.dumps(row), file=out)
        return 0
    stored = args.results / "label_trees.json"
    if args.report:
        args.sets, args.checks = (), ()
    for name in args.sets:
        if name in REAL and not data.SHARED.exists():
            continue
        load(name)
        for tool in args.tools:
            if tool in LEFT_OUT.get(name, ()):
                continue
            for seed in range(SEEDS if name in REAL else 1):
                row = in_process("--run", name, tool, str(seed))
                if row is None:
                    break
                store(stored, row)
    for name in args.checks:
        row = in_process("--check", name)
        if row is not None:
            store(stored, row)
    (args.results / "label_trees.md").write_text(markdown(json.loads(stored.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
