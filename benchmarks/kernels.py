"""Times of the compiled kernels: regressions, memory traffic, threads, portable builds.

Kernels are timed where the estimators call them, by a wrapper around the compiled
functions, so that nothing here knows their signatures. The time is the calling thread's
own, so that other processes' turns do not count; all but `--threads` runs on one thread.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measure
import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).resolve().parents[1]

# Seconds of each call, by "module.function".
Times = dict[str, list[float]]


# ---------------------------------------------------------------------- timing
def _timed(function: Callable, times: list[float]) -> Callable:
    def call(*args: Any, **kwargs: Any) -> Any:
        begin = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            times.append(time.thread_time() - begin)

    return call


def _is_compiled(value: Any, module: str) -> bool:
    """Whether it is a function of a compiled module, with Cython's binding or without."""
    kind = type(value).__name__
    if kind == "builtin_function_or_method":
        return value.__module__ == module
    return "cython_function" in kind


@contextmanager
def timed_kernels() -> Iterator[Times]:
    """Record the times of all calls of compiled functions; not for several threads."""
    from skmultireduce import _kernels

    times: Times = defaultdict(list)
    originals = []
    for info in pkgutil.iter_modules(_kernels.__path__):
        module = importlib.import_module(f"{_kernels.__name__}.{info.name}")
        for name, value in list(vars(module).items()):
            if not _is_compiled(value, module.__name__):
                continue
            originals.append((module, name, value))
            setattr(module, name, _timed(value, times[f"{info.name}.{name}"]))
    try:
        yield times
    finally:
        for module, name, value in originals:
            setattr(module, name, value)


def random_rows(rows: int, features: int, nonzeros: int, *, seed: int = 0) -> sp.csr_matrix:
    """CSR float32 with uniform columns and rows of unit norm, so that W is used evenly."""
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.integers(features, size=(rows, nonzeros), dtype=np.int32), axis=1)
    values = np.full(columns.size, nonzeros**-0.5, dtype=np.float32)
    indptr = np.arange(0, columns.size + 1, nonzeros, dtype=np.int32)
    X = sp.csr_matrix((values, columns.ravel(), indptr), shape=(rows, features))
    X.sum_duplicates()
    return X


def random_labels(rows: int, labels: int, *, size: int = 2, seed: int = 1) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.integers(labels, size=(rows, size), dtype=np.int32), axis=1)
    indptr = np.arange(0, columns.size + 1, size, dtype=np.int32)
    Y = sp.csr_matrix(
        (np.ones(columns.size, dtype=np.int8), columns.ravel(), indptr), shape=(rows, labels)
    )
    Y.sum_duplicates()
    Y.data[:] = 1
    return Y


# ----------------------------------------------------------------------- cases
LOSSES = {
    "pick_one": {"reduction": "pick_one"},
    "pick_all_normalized": {"reduction": "pick_all_normalized"},
    "pick_all": {"reduction": "pick_all"},
    "one_vs_rest": {"reduction": "one_vs_rest"},
    "one_vs_rest_normalized": {"reduction": "one_vs_rest_normalized"},
    "squared_hinge": {"reduction": "one_vs_rest", "loss": "squared_hinge"},
}
SHAPES = {
    "few labels": {"rows": 8000, "features": 500, "nonzeros": 20, "labels": 22},
    "many features a row": {"rows": 4000, "features": 1836, "nonzeros": 68, "labels": 159},
    "many labels": {"rows": 6000, "features": 8000, "nonzeros": 10, "labels": 735},
}


class MissingPartError(Exception):
    """A part of the package that is not there."""


def public(name: str) -> Any:
    import skmultireduce

    if not hasattr(skmultireduce, name):
        raise MissingPartError(f"skmultireduce has no {name}")
    return getattr(skmultireduce, name)


def _shaped(shape: dict[str, int]) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    X = random_rows(shape["rows"], shape["features"], shape["nonzeros"])
    return X, random_labels(shape["rows"], shape["labels"])


def _linear(
    shape: str, loss: str, dtype: str = "float32", n_predictions: int = 5
) -> Callable[[], Any]:
    X, Y = _shaped(SHAPES[shape])
    model = public("MultiLabelSGDClassifier")(
        **LOSSES[loss], dtype=dtype, max_iter=4, random_state=0
    )

    def run() -> None:
        model.fit(X, Y)
        for _ in range(n_predictions):
            getattr(model, "predict_proba", model.decision_function)(X)

    return run


def _mlp() -> Callable[[], Any]:
    X, Y = _shaped(SHAPES["many labels"])
    model = public("MultiLabelMLPClassifier")(max_iter=2, random_state=0)
    return lambda: model.fit(X, Y).predict_proba(X)


def _cutoff(**parameters: Any) -> Callable[[], Any]:
    X, Y = _shaped(SHAPES["many labels"])
    model = public("MultiLabelSGDClassifier")(reduction="one_vs_rest", max_iter=1).fit(X, Y)
    tuned = public("ThresholdedMultiLabel")(model, cv="prefit", **parameters)
    return lambda: tuned.fit(X, Y).predict(X)


def _stratify() -> Callable[[], Any]:
    from skmultireduce import model_selection

    Y = random_labels(100_000, 735)
    splitter = model_selection.MultilabelStratifiedKFold(n_splits=5)
    return lambda: list(splitter.split(np.zeros((Y.shape[0], 1)), Y))


def cases() -> dict[str, Callable[[], Callable[[], Any]]]:
    """Name -> function that builds the case; the result runs it once."""
    found: dict[str, Callable[[], Callable[[], Any]]] = {}
    for shape in SHAPES:
        for loss in LOSSES:
            found[f"linear, {shape}, {loss}"] = lambda s=shape, n=loss: _linear(s, n)
    found["linear, many labels, pick_one, float64"] = lambda: _linear(
        "many labels", "pick_one", "float64"
    )
    found["mlp"] = _mlp
    found["cutoff, global"] = _cutoff
    found["cutoff, per label"] = lambda: _cutoff(strategy="per_label")
    found["stratified folds"] = _stratify
    return found


def run_case(build: Callable[[], Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Least time of all calls of each kernel in one run, over the repeats; in ms."""
    run = build()
    run()
    best: dict[str, float] = {}
    for _ in range(repeats):
        with timed_kernels() as times:
            run()
        for kernel, calls in times.items():
            if calls:
                best[kernel] = min(best.get(kernel, np.inf), 1e3 * sum(calls))
    if not best:
        raise RuntimeError("no kernel was called, or the estimators call them by other names")
    return best


def run_cases(repeats: int, only: list[str] | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, build in cases().items():
        if only and not any(part in name for part in only):
            continue
        try:
            timings = run_case(build, repeats)
        except (MissingPartError, ImportError) as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
            continue
        for kernel, ms in timings.items():
            found[f"{name}: {kernel}"] = ms
            print(f"{ms:9.2f} ms  {name}: {kernel}")
    return found


# ------------------------------------------------------------------ regression
def slower(base: float, head: float, args: argparse.Namespace) -> bool:
    """Whether a kernel is slower by both measures: a share, and a time one can feel."""
    return head > base * (1 + args.relative) and head - base > args.absolute


def compare_with(base_file: Path, args: argparse.Namespace) -> int:
    """Print what is slower than in a saved run; the number of such kernels."""
    saved = json.loads(base_file.read_text())
    here = measure.machine()
    for key in ("cpu", "cores"):
        if saved["machine"][key] != here[key]:
            print(f"warning: {base_file} is of another machine ({saved['machine'][key]})")
    base = saved["kernels"]
    head = run_cases(args.repeats, args.only)
    # What looks slower is measured again: noise only ever adds time.
    for _ in range(2):
        suspects = [name for name in head if name in base and slower(base[name], head[name], args)]
        if not suspects:
            break
        again = run_cases(args.repeats, sorted({name.split(": ")[0] for name in suspects}))
        for name in again:
            head[name] = min(head[name], again[name])
    print()
    n_slower = 0
    for name, ms in head.items():
        if name not in base:
            print(f"new      {ms:9.2f} ms  {name}")
        elif slower(base[name], ms, args):
            n_slower += 1
            print(f"SLOWER   {base[name]:9.2f} -> {ms:.2f} ms (x{ms / base[name]:.2f})  {name}")
        elif slower(ms, base[name], args):
            print(f"faster   {base[name]:9.2f} -> {ms:.2f} ms (x{ms / base[name]:.2f})  {name}")
    left = [name for name in base if name not in head and not args.only]
    for name in left:
        print(f"gone     {name}")
    limits = f"{args.relative:.0%} and {args.absolute:g} ms"
    print(f"{len(head)} kernels, {n_slower} slower by more than {limits}")
    return n_slower


# ------------------------------------------------------------------- bandwidth
BANDWIDTH_MIB = (8, 64, 256)
BANDWIDTH_SHAPES = ((735, 10), (735, 64), (4096, 64))
BANDWIDTH_LIMIT = 0.6


def _add_bandwidth(n_bytes: int) -> float:
    """Bytes a second of y += x, where y and x together take n_bytes: 2 reads, 1 write."""
    y = np.zeros(n_bytes // 8, dtype=np.float32)
    x = np.ones_like(y)
    np.add(y, x, out=y)  # brings the pages in
    rounds = max(3, 2**28 // n_bytes)
    begin = time.thread_time()
    for _ in range(rounds):
        np.add(y, x, out=y)
    return rounds * 3 * y.nbytes / (time.thread_time() - begin)


def _epoch_bandwidth(model: Any, X: sp.csr_matrix, Y: sp.csr_matrix) -> list[float]:
    """Bytes of W a second of each epoch: the forward pass reads, the update reads and writes."""
    with timed_kernels() as times:
        model.fit(X, Y)
    n_bytes = 3 * X.nnz * Y.shape[1] * np.dtype(model.dtype).itemsize
    return [n_bytes / seconds for seconds in times["linear.sgd_epoch"]]


def bandwidth(repeats: int) -> list[dict]:
    """Traffic of epochs, as a share of what y += x reaches in turns with them."""
    found = []
    for mib in BANDWIDTH_MIB:
        for labels, nonzeros in BANDWIDTH_SHAPES:
            features = mib * 2**20 // (4 * labels)
            # About half a second an epoch at 10 GB/s.
            rows = max(200, int(5e9 / (12 * labels * nonzeros)))
            X, Y = random_rows(rows, features, nonzeros), random_labels(rows, labels)
            for loss in ("pick_one", "one_vs_rest", "squared_hinge"):
                model = public("MultiLabelSGDClassifier")(
                    **LOSSES[loss], max_iter=2, random_state=0
                )
                epochs, adds = [], []
                for _ in range(repeats):
                    adds.append(_add_bandwidth(mib * 2**20))
                    epochs += _epoch_bandwidth(model, X, Y)
                    adds.append(_add_bandwidth(mib * 2**20))
                row = {
                    "W (MiB)": mib,
                    "labels": labels,
                    "nonzeros": nonzeros,
                    "loss": loss,
                    "epoch (GB/s)": float(np.median(epochs)) / 1e9,
                    "y += x (GB/s)": float(np.median(adds)) / 1e9,
                }
                row["share"] = row["epoch (GB/s)"] / row["y += x (GB/s)"]
                row["holds"] = row["share"] >= BANDWIDTH_LIMIT
                found.append(row)
                print_row(row, first=len(found) == 1)
    return found


# --------------------------------------------------------------------- threads
def _at_once(calls: list[Callable[[], Any]]) -> float:
    """Seconds until all calls, each in a thread of its own, are done."""
    workers = [threading.Thread(target=call) for call in calls]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - begin


def threads(repeats: int) -> list[dict]:
    """Trainings on two threads, and what two trainings on one thread each gain at once.

    The latter share nothing but the machine: no training that is split in two can gain more
    (but by what its halves save in the caches of their cores).
    """
    jobs: dict[str, Callable[[int], Any]] = {}
    for shape, numbers in SHAPES.items():
        X, Y = _shaped(numbers)
        for loss in ("one_vs_rest", "squared_hinge"):
            jobs[f"{shape}, {loss}"] = lambda n, X=X, Y=Y, p=LOSSES[loss]: public(
                "MultiLabelSGDClassifier"
            )(**p, n_jobs=n, random_state=0).fit(X, Y)
        if shape == "many labels":
            jobs[f"{shape}, MLP"] = lambda n, X=X, Y=Y: public("MultiLabelMLPClassifier")(
                max_iter=5, n_jobs=n, random_state=0
            ).fit(X, Y)
    found = []
    for name, fit in jobs.items():
        fit(2)
        one, two, both = [], [], []
        for _ in range(repeats):
            one.append(_at_once([lambda fit=fit: fit(1)]))
            two.append(_at_once([lambda fit=fit: fit(2)]))
            both.append(_at_once([lambda fit=fit: fit(1)] * 2))
        row = {
            "training": name,
            "1 thread (s)": float(np.median(one)),
            "2 threads (s)": float(np.median(two)),
            "gain": float(np.median(one) / np.median(two)),
            "two at once (s)": float(np.median(both)),
            "gain of two at once": float(2 * np.median(one) / np.median(both)),
        }
        found.append(row)
        print_row(row, first=len(found) == 1)
    return found


# -------------------------------------------------------------------- dispatch
BUILDS = {
    "portable": "",
    "native": "-march=native",
    "native, no dispatch": "-march=native -DSKM_NO_DISPATCH",
    "baseline": "-DSKM_NO_DISPATCH",
}
NATIVE_LIMIT = 1.10
BASELINE_LIMIT = 2.0


def _build(folder: Path, flags: str) -> None:
    ignore = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(ROOT / "skmultireduce", folder / "skmultireduce", ignore=ignore)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    built = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        env={**os.environ, "CFLAGS": flags},
        capture_output=True,
        text=True,
    )
    if built.returncode:
        raise RuntimeError(f"building with CFLAGS={flags!r} failed:\n{built.stderr}")


def epoch_times(repeats: int) -> dict[str, float]:
    """Least time of an epoch on the shapes, for each loss; in ms."""
    found = {}
    for shape in SHAPES:
        for loss in ("pick_one", "one_vs_rest", "squared_hinge"):
            run = _linear(shape, loss, n_predictions=0)
            with timed_kernels() as times:
                for _ in range(repeats):
                    run()
            found[f"{shape}, {loss}"] = 1e3 * min(times["linear.sgd_epoch"])
    return found


def dispatch(repeats: int) -> list[dict]:
    """Epochs of the builds, in turns; the portable one against the others."""
    best: dict[str, dict[str, float]] = {name: {} for name in BUILDS}
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name.replace(", ", "-") for name in BUILDS}
        for name, folder in folders.items():
            print(f"building: {name}", file=sys.stderr)
            folder.mkdir()
            _build(folder, BUILDS[name])
        for _ in range(repeats):
            for name, folder in folders.items():
                found = subprocess.run(
                    [sys.executable, __file__, "--epochs", "--repeats", "5"],
                    env={**measure.child_environment(1), "PYTHONPATH": str(folder)},
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                for job, ms in json.loads(found.stdout).items():
                    best[name][job] = min(best[name].get(job, np.inf), ms)
    rows = []
    for job in best["portable"]:
        times = {name: best[name][job] for name in BUILDS}
        native = min(ms for name, ms in times.items() if name.startswith("native"))
        row = {"epoch": job, **{f"{name} (ms)": ms for name, ms in times.items()}}
        row["portable / native"] = times["portable"] / native
        row["baseline / portable"] = times["baseline"] / times["portable"]
        row["holds"] = (
            row["portable / native"] <= NATIVE_LIMIT
            and row["baseline / portable"] >= BASELINE_LIMIT
        )
        rows.append(row)
        print_row(row, first=len(rows) == 1)
    return rows


# ---------------------------------------------------------------------- search
SEARCH_SHAPE = 20_000, 1_000
SEARCH_LIMIT = 14.0


class _Given:
    """An estimator whose rows are its scores."""

    def __init__(self, n_labels: int):
        self.classes_ = np.arange(n_labels)

    def fit(self, X: np.ndarray, y: Any) -> _Given:
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X

    def __sklearn_tags__(self) -> Any:
        from sklearn.dummy import DummyClassifier

        return DummyClassifier().__sklearn_tags__()


def search(repeats: int) -> list[dict]:
    """Search of one cutoff of given scores, beside one read and one argsort of them."""
    n, n_labels = SEARCH_SHAPE
    rng = np.random.default_rng(0)
    Y = random_labels(n, n_labels)
    scores = rng.standard_normal(SEARCH_SHAPE, dtype=np.float32) - 4
    scores[Y.nonzero()] += 4
    scores = 1 / (1 + np.exp(-scores))
    tuned = public("ThresholdedMultiLabel")(_Given(n_labels), cv="prefit")
    jobs: dict[str, Callable[[], Any]] = {
        "read": scores.max,
        "search": lambda: tuned.fit(scores, Y),
        "argsort": lambda: np.argsort(scores, axis=None),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    jobs["search"]()
    for i in range(repeats):
        for name, job in jobs.items():
            for _ in range(1 if name == "argsort" else 5):
                if name == "argsort" and i >= 2:
                    continue
                begin = time.thread_time()
                job()
                times[name].append(time.thread_time() - begin)
    middle = {name: float(np.median(found)) for name, found in times.items()}
    row = {
        "scores": f"{n:,} x {n_labels:,} float32",
        "one read (ms)": 1e3 * middle["read"],
        "search (ms)": 1e3 * middle["search"],
        "argsort (ms)": 1e3 * middle["argsort"],
        "search / read": middle["search"] / middle["read"],
        "argsort / search": middle["argsort"] / middle["search"],
    }
    row["holds"] = row["search / read"] <= SEARCH_LIMIT
    print_row(row, first=True)
    return [row]


# ------------------------------------------------------------------------ main
def table(rows: list[dict]) -> list[str]:
    """Lines of a markdown table; all rows have the keys of the first."""

    def cell(value: Any) -> str:
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "**no**"
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    return lines + ["| " + " | ".join(map(cell, row.values())) + " |" for row in rows]


def print_row(row: dict, *, first: bool) -> None:
    """A row of a markdown table, after its head if it is the first."""
    print("\n".join(table([row])[0 if first else 2 :]), flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--save", type=Path, help="write the times to this file")
    parser.add_argument("--against", type=Path, help="complain of what is slower than in it")
    parser.add_argument("--only", nargs="+", help="cases whose name has one of these parts")
    parser.add_argument("--repeats", type=int, default=7, help="runs of each (default 7)")
    parser.add_argument("--relative", type=float, default=0.10, help="share (default 0.10)")
    parser.add_argument("--absolute", type=float, default=2.0, help="ms (default 2)")
    parser.add_argument("--bandwidth", action="store_true", help="memory traffic of epochs")
    parser.add_argument("--threads", action="store_true", help="gain of a second thread")
    parser.add_argument("--search", action="store_true", help="search of a cutoff, in reads")
    parser.add_argument("--dispatch", action="store_true", help="portable against native builds")
    parser.add_argument("--epochs", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    args = parse()
    warnings.simplefilter("ignore")
    threadpool_limits(1)
    if args.epochs:
        print(json.dumps(epoch_times(args.repeats)))
        return 0
    if args.against:
        return int(compare_with(args.against, args) > 0)
    result: dict[str, Any] = {"machine": measure.machine()}
    if args.bandwidth:
        result["bandwidth"] = bandwidth(args.repeats)
    elif args.threads:
        result["threads"] = threads(args.repeats)
    elif args.search:
        result["search"] = search(args.repeats)
    elif args.dispatch:
        result["dispatch"] = dispatch(args.repeats)
    else:
        result["kernels"] = run_cases(args.repeats, args.only)
    if args.save:
        args.save.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
