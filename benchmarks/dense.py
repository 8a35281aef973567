"""The linear model on dense rows (embeddings): rate of its epochs, and peers, in one run.

Rates count 4 n d K operations an epoch (scores and update), beside those of sgemm at the shape of
a block: 64 rows. Times are the thread's own, the least of some runs in turns; one thread but
for `--threads`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data
import measure
import numpy as np
import scipy.sparse as sp
from kernels import print_row, public, table, timed_kernels
from scipy.linalg.blas import sgemm
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

SHAPES = ((384, 200), (768, 1000), (768, 20))
GRID = [(d, K) for d in (10, 100, 384, 768, 1536) for K in (1, 2, 5, 20, 100, 1000)]
BLOCK_ROWS = 64


def embeddings(rows: int, features: int, labels: int, *, seed: int = 0):
    """Gaussian rows of unit norm whose labels are a noisy linear function of them."""
    rng = np.random.default_rng(seed)
    X = normalize(rng.standard_normal((rows, features), dtype=np.float32))
    W = rng.standard_normal((features, labels), dtype=np.float32)
    scores = X @ W + rng.gumbel(scale=0.3, size=(rows, labels)).astype(np.float32)
    scores -= 0.5 * np.log1p(np.arange(labels, dtype=np.float32))
    size = min(3, labels)
    # Each row has its best labels, one to three of them.
    best = np.argpartition(-scores, size - 1, axis=1)[:, :size]
    n = rng.integers(1, size + 1, size=rows)
    keep = np.arange(size) < n[:, None]
    ranked = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), 1), 1)
    owner = np.repeat(np.arange(rows), n)
    Y = sp.csr_matrix((np.ones(len(owner), np.int8), (owner, ranked[keep])), shape=(rows, labels))
    return X, Y


def sgemm_rate(features: int, labels: int, rows: int = BLOCK_ROWS) -> Callable[[], float]:
    """Operations a second of products of a block of rows with the weights."""
    rng = np.random.default_rng(0)
    W = np.asfortranarray(rng.standard_normal((labels, features), dtype=np.float32))
    X = np.asfortranarray(rng.standard_normal((features, rows), dtype=np.float32))
    Z = np.zeros((labels, rows), dtype=np.float32, order="F")
    n = max(1, int(5e8 / (2 * rows * features * labels)))

    def rate() -> float:
        begin = time.thread_time()
        for _ in range(n):
            sgemm(1.0, W, X, 0.0, Z, overwrite_c=1)
        return 2 * n * rows * features * labels / (time.thread_time() - begin)

    return rate


def _epoch_seconds(model: Any, X: Any, Y: Any) -> float:
    """Least time of the kernel in an epoch."""
    with timed_kernels() as times:
        model.fit(X, Y)
    calls = next(t for name, t in times.items() if name.endswith("_epoch") and t)
    return min(calls)


def rates(shapes: Any, rows: int, repeats: int) -> list[dict]:
    """Epochs by blocks and row by row, as shares of sgemm's rate."""
    found = []
    for features, labels in shapes:
        n = int(min(rows, max(500, 1e10 / (4 * features * labels))))
        X, Y = embeddings(n, features, labels)
        if labels == 1:
            Y = sp.csr_matrix(np.random.default_rng(0).integers(0, 2, (n, 1)))
        gemm = sgemm_rate(features, labels)
        for reduction in ("one_vs_rest", "pick_all_normalized"):
            if labels == 1 and reduction != "one_vs_rest":
                continue
            model = public("MultiLabelSGDClassifier")(
                reduction=reduction, max_iter=2, random_state=0
            )
            operations = 4.0 * n * features * labels
            blocks, one_by_one, gemms = [], [], []
            sparse = sp.csr_matrix(X)
            for _ in range(repeats):
                blocks.append(_epoch_seconds(model, X, Y))
                one_by_one.append(_epoch_seconds(model, sparse, Y))
                gemms.append(gemm())
            row = {
                "d": features,
                "K": labels,
                "reduction": reduction,
                "sgemm (GFLOP/s)": max(gemms) / 1e9,
                "epoch (GFLOP/s)": operations / min(blocks) / 1e9,
                "share": operations / min(blocks) / max(gemms),
                "row by row": operations / min(one_by_one) / max(gemms),
                "us a row": 1e6 * min(blocks) / n,
            }
            found.append(row)
            print_row(row, first=len(found) == 1)
    return found


# -------------------------------------------------------------------- another checkout
def worker() -> None:
    """Times of fits that are asked for by lines of JSON, with the package on the path."""
    held: dict[tuple, tuple] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        key = asked["n"], asked["d"], asked["K"]
        if key not in held:
            held.clear()
            held[key] = embeddings(*key)
        X, Y = held[key]
        if asked["K"] == 1:
            Y = sp.csr_matrix(np.random.default_rng(0).integers(0, 2, Y.shape))
        model = public("MultiLabelSGDClassifier")(
            reduction=asked["reduction"], max_iter=2, random_state=0
        )
        begin = time.process_time()
        epoch = _epoch_seconds(model, X, Y)
        print(json.dumps({"epoch": epoch, "fit": time.process_time() - begin}), flush=True)


def against(path: Path, rows: int, repeats: int) -> list[dict]:
    """Epochs here and in another checkout, in turns: no shape should be slower."""
    places = {"there": path, "here": Path(__file__).resolve().parents[1]}
    workers = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            env={**measure.child_environment(1), "PYTHONPATH": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, place in places.items()
    }
    found = []
    for features, labels in GRID:
        n = int(min(rows, max(500, 4e9 / (4 * features * labels))))
        for reduction in ("one_vs_rest", "pick_all_normalized")[: 1 if labels == 1 else 2]:
            asked = {"n": n, "d": features, "K": labels, "reduction": reduction}
            times: dict[str, list[dict]] = {name: [] for name in workers}
            for _ in range(repeats):
                for name, process in workers.items():
                    process.stdin.write(json.dumps(asked) + "\n")
                    process.stdin.flush()
                    times[name].append(json.loads(process.stdout.readline()))
            row: dict[str, Any] = dict(asked)
            for part in ("epoch", "fit"):
                for name in workers:
                    row[f"{part} {name} (ms)"] = 1e3 * min(t[part] for t in times[name])
                row[f"{part} ratio"] = row[f"{part} there (ms)"] / row[f"{part} here (ms)"]
            found.append(row)
            print_row(row, first=len(found) == 1)
    for process in workers.values():
        process.stdin.close()
    return found


# ----------------------------------------------------------------------------- peers
def _torch_head(X: np.ndarray, Y: sp.csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    head = torch.nn.Linear(X.shape[1], Y.shape[1])
    torch.nn.init.zeros_(head.weight)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    loss = torch.nn.BCEWithLogitsLoss()
    rows, truth = torch.from_numpy(X), torch.from_numpy(Y.toarray().astype(np.float32))
    for _ in range(20):
        for batch in torch.randperm(len(X)).split(64):
            optimizer.zero_grad()
            loss(head(rows[batch]), truth[batch]).backward()
            optimizer.step()
    return lambda test: head(torch.from_numpy(test)).detach().numpy()


def peers(X: np.ndarray, Y: sp.csr_matrix, X_test: np.ndarray, Y_test: Any, names: Any) -> list:
    """Time of fit and best J of the test rows."""
    ours = public("MultiLabelSGDClassifier")

    def model(reduction: str, **parameters: Any) -> Callable:
        def fit(X: np.ndarray, Y: Any) -> Callable:
            head = ours(reduction=reduction, random_state=0, **parameters)
            return head.fit(X, Y).decision_function

        return fit

    def logistic(X: np.ndarray, Y: Any) -> Callable:
        head = OneVsRestClassifier(LogisticRegression(C=10, max_iter=200))
        # With int8 and more than 127 labels scikit-learn learns something else.
        return head.fit(X, Y.astype(np.int64)).decision_function

    def ridge(X: np.ndarray, Y: Any) -> Callable:
        return RidgeClassifier(alpha=1.0).fit(X, Y.toarray().astype(np.int64)).decision_function

    contenders: dict[str, Callable] = {
        "one_vs_rest": model("one_vs_rest"),
        "one_vs_rest, max_iter=5": model("one_vs_rest", max_iter=5),
        "one_vs_rest, max_iter=10": model("one_vs_rest", max_iter=10),
        "one_vs_rest, squared hinge": model("one_vs_rest", loss="squared_hinge"),
        "pick_all_normalized": model("pick_all_normalized"),
        "pick_all": model("pick_all"),
        "RidgeClassifier": ridge,
        "torch": _torch_head,
        "OneVsRest(LogisticRegression)": logistic,
    }
    truth = Y_test.toarray() > 0
    found = []
    for name, fit in contenders.items():
        if names and name not in names:
            continue
        begin = time.process_time()
        try:
            scores = fit(X, Y)
        except ImportError as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        seconds = time.process_time() - begin
        _, best = measure.best_cutoff(np.asarray(scores(X_test), dtype=np.float32), truth)
        found.append({"model": name, "fit (s)": seconds, "J*": best})
        print_row(found[-1], first=len(found) == 1)
    return found


def prepared(name: str) -> data.Data:
    data.prepare(name)
    return data.load(name)


def sets(files: list[str]) -> dict[str, Callable]:
    """Embeddings of real texts, and Gaussian rows; train and test.

    Files are named as in ``cooking=vectors.npz``, with X_train and X_test of an encoder.
    """

    def gaussian(features: int, labels: int) -> Callable:
        def make() -> tuple:
            X, Y = embeddings(25_000, features, labels)
            return X[:20_000], Y[:20_000], X[20_000:], Y[20_000:]

        return make

    def svd(name: str, size: int) -> Callable:
        def make() -> tuple:
            part = prepared(name)
            reduce = TruncatedSVD(size, random_state=0)
            train = normalize(reduce.fit_transform(part.X_train)).astype(np.float32)
            test = normalize(reduce.transform(part.X_test)).astype(np.float32)
            return train, part.Y_train, test, part.Y_test

        return make

    def transformed(name: str) -> Callable:
        def make() -> tuple:
            part = prepared(name)
            network = public("MultiLabelMLPClassifier")(embedding_dim=256, random_state=0)
            network.fit(part.X_train, part.Y_train)
            train, test = network.transform(part.X_train), network.transform(part.X_test)
            return normalize(train), part.Y_train, normalize(test), part.Y_test

        return make

    def from_file(name: str, path: str) -> Callable:
        def make() -> tuple:
            part, vectors = prepared(name), np.load(path)
            return vectors["X_train"], part.Y_train, vectors["X_test"], part.Y_test

        return make

    given = {
        f"{name}, {Path(path).stem}": from_file(name, path)
        for name, path in (file.split("=", 1) for file in files)
    }
    return given | {
        "Gaussian, 384 x 200": gaussian(384, 200),
        "Gaussian, 768 x 1,000": gaussian(768, 1000),
        "cooking, SVD 384": svd("cooking", 384),
        "cooking, MLP.transform 256": transformed("cooking"),
        "tmc2007, SVD 256": svd("tmc2007", 256),
    }


# --------------------------------------------------------------------- threads, memory
def threads(repeats: int) -> list[dict]:
    """Gain of a second thread, with the same bits."""
    X, Y = embeddings(20_000, 768, 1000)
    found = []
    for reduction in ("one_vs_rest", "pick_all_normalized"):
        seconds: dict[int, list[float]] = {1: [], 2: []}
        coefs = {}
        for _ in range(repeats):
            for n in seconds:
                model = public("MultiLabelSGDClassifier")(
                    reduction=reduction, max_iter=4, n_jobs=n, random_state=0
                )
                begin = time.perf_counter()
                coefs[n] = model.fit(X, Y).coef_
                seconds[n].append(time.perf_counter() - begin)
        row = {
            "reduction": reduction,
            "1 thread (s)": min(seconds[1]),
            "2 threads (s)": min(seconds[2]),
            "gain": min(seconds[1]) / min(seconds[2]),
            "same bits": bool(np.array_equal(coefs[1], coefs[2])),
        }
        found.append(row)
        print_row(row, first=len(found) == 1)
    return found


def _anonymous() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1])


def _mapped_fit(path: str) -> None:
    import threading

    X = np.load(path, mmap_mode="r")
    Y = sp.csr_matrix(
        (
            np.ones(len(X), np.int8),
            np.random.default_rng(0).integers(0, 200, len(X)),
            np.arange(len(X) + 1),
        ),
        shape=(len(X), 200),
    )
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    model = public("MultiLabelSGDClassifier")(reduction="one_vs_rest", max_iter=2, random_state=0)
    model.fit(X, Y).predict(X[:100_000])
    done.set()
    watcher.join()
    row = {"X (GiB)": X.nbytes / 2**30, "peak RssAnon (MiB)": peak[0] / 1024}
    print(json.dumps(row | {"two epochs (s)": time.perf_counter() - begin}))


def mapped(gib: float) -> dict:
    """A float16 file that is mapped into memory: anonymous memory of training on it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        rows = int(gib * 2**30 / 2 / 768)
        X = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(rows, 768))
        rng = np.random.default_rng(0)
        for first in range(0, rows, 2**14):
            part = X[first : first + 2**14]
            part[:] = normalize(rng.standard_normal(part.shape, dtype=np.float32))
        X.flush()
        del X
        done = subprocess.run(
            [sys.executable, __file__, "--mapped-fit", str(path)], capture_output=True, text=True
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    row = json.loads(done.stdout)
    print_row(row, first=True)
    return row


# ------------------------------------------------------------------------------ main
TITLES = {
    "rates": "Rate of an epoch, beside sgemm's on blocks of 64 rows",
    "threads": "A second thread, 20,000 x 768 x 1,000",
    "mapped": "Training on a file of float16 that is mapped into memory",
    "peers": "Heads: processor time of one thread, and the best J on test rows",
    "against": "Times of an epoch and of a fit (two epochs) of 0.1.0 over those here",
}
NOTES = {
    "against": "A fit here takes quantiles of a sample of 4,096 rows, once, to decide on centring "
    "and scaling, which 0.1.0 did not. After two epochs that shows; the default is 20.",
}


def report(files: list[Path]) -> str:
    """Tables of the results of several runs."""
    lines = ["# Dense rows", "", "Written by `benchmarks/dense.py --report`, from its own files."]
    for file in files:
        result = json.loads(file.read_text())
        machine = result.pop("machine")
        for part, rows in result.items():
            where = f"{machine['cpu']}, {machine['simd']}, {machine['cores']} cores"
            lines += [
                "",
                f"## {TITLES[part]}",
                "",
                f"{machine['date'][:10]}, {where}, load average ",
            ]
            lines[-1] += f"{machine['load_average']:.1f} at the end, revision "
            lines[-1] += f"{machine['revision']}."
            lines += ["", NOTES[part]] if part in NOTES else []
            named = rows if isinstance(rows, dict) and part == "peers" else {"": rows}
            for name, own in named.items():
                lines += ["", *([f"{name}:", ""] if name else [])]
                lines += table(own if isinstance(own, list) else [own])
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", type=Path, help="write the results to this file")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of an epoch at most")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--grid", action="store_true", help="rates of many shapes")
    parser.add_argument("--against", type=Path, help="another checkout, over the grid")
    parser.add_argument("--report", type=Path, nargs="+", help="tables of saved results")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--sets", nargs="*", help="peers, on these sets (none named: all)")
    parser.add_argument("--vectors", nargs="+", default=[], help="as cooking=vectors.npz")
    parser.add_argument("--models", nargs="+", help="peers of these names alone")
    parser.add_argument("--threads", action="store_true", help="gain of a second thread")
    parser.add_argument("--mapped", type=float, help="GiB of a float16 memory map to train on")
    parser.add_argument("--mapped-fit", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    threadpool_limits(1)
    if args.mapped_fit:
        _mapped_fit(args.mapped_fit)
        return 0
    if args.worker:
        worker()
        return 0
    if args.report:
        args.save.write_text(report(args.report))
        return 0
    result: dict[str, Any] = {}
    if args.against:
        result["against"] = against(args.against, args.rows, args.repeats)
    elif args.threads:
        result["threads"] = threads(args.repeats)
    elif args.mapped:
        result["mapped"] = mapped(args.mapped)
    elif args.sets is not None:
        result["peers"] = {}
        for name, make in sets(args.vectors).items():
            if not args.sets or name in args.sets:
                print(f"\n{name}")
                result["peers"][name] = peers(*make(), args.models)
    else:
        result["rates"] = rates(GRID if args.grid else SHAPES, args.rows, args.repeats)
    if args.save:
        result["machine"] = measure.machine()
        args.save.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
