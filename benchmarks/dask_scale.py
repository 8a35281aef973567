"""Quality, time and recovery of the estimators on a Dask cluster of this machine.

    python benchmarks/dask_scale.py quality scale kill cutoff

Each part prints a table. ``scale`` makes its rows on the workers; it needs about 5 GB for the
default two million. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace

import data as data_sets
import numpy as np
import scipy.sparse as sp
from dask import delayed
from distributed import Client, LocalCluster

from skmultireduce import MultiLabelSGDClassifier, ThresholdedMultiLabel
from skmultireduce._cutoff.evaluation import best_jaccard
from skmultireduce._data.label_sets import read_labels
from skmultireduce.dask import DaskMultiLabelSGDClassifier, DaskThresholdedMultiLabel

REDUCTIONS = ("pick_one", "one_vs_rest")


@contextlib.contextmanager
def cluster(n_workers: int) -> Iterator[Client]:
    """Worker processes of one thread each."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            memory_limit=0,
            silence_logs=50,
        ) as own,
        Client(own) as client,
    ):
        yield client


class Clock:
    """Callback: when each epoch ends, and something to do when the n-th begins."""

    def __init__(self, at_epoch: int = -1, do=None):
        self.times, self.begun, self.at_epoch, self.do = [], 0, at_epoch, do

    def setup(self, estimator, context):
        self.times.append(time.perf_counter())

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **given):
        if context.task_name == "epoch":
            if self.begun == 0:
                self.times = [time.perf_counter()]
            if self.begun == self.at_epoch:
                self.do()
            self.begun += 1

    def on_fit_task_end(self, estimator, context, **given):
        if context.task_name == "epoch":
            self.times.append(time.perf_counter())


def quality(model, X, Y) -> tuple[float, float]:
    """P@1, and the micro Jaccard index at the best cutoff."""
    scores = model.predict_proba(X)
    Y = sp.csr_array(Y)
    top = np.asarray(Y[np.arange(len(scores)), scores.argmax(axis=1)]).ravel()
    return float((top > 0).mean()), best_jaccard(read_labels(Y)[0], scores)[1]


def cut(matrix, n_parts: int) -> list:
    """Blocks of rows, each a delayed object."""
    matrix = sp.csr_matrix(matrix) if sp.issparse(matrix) else matrix
    bounds = np.linspace(0, matrix.shape[0], n_parts + 1).astype(int)
    return [delayed(matrix[a:b]) for a, b in pairwise(bounds)]


# ---------------------------------------------------------------------------- synthetic rows
def make_rows(part: int, n_rows: int, args: SimpleNamespace) -> tuple:
    """Words of a row: an eighth from its labels' own lists, the others from all words."""
    shared, rng = np.random.default_rng(0), np.random.default_rng([1, part])
    own = shared.integers(args.features, size=(args.labels, 30))
    popularity = 1 / np.sqrt(np.arange(1, args.labels + 1))
    bounds = np.cumsum(popularity / popularity.sum())[:-1]
    labels = np.searchsorted(bounds, rng.random((n_rows, 3)))
    labels[:, 1:] = np.where(rng.random((n_rows, 2)) < 0.5, labels[:, :1], labels[:, 1:])
    n_own = args.nonzeros // 8
    chosen = np.take_along_axis(labels, rng.integers(3, size=(n_rows, n_own)), axis=1)
    words = np.concatenate(
        [
            own[chosen, rng.integers(30, size=chosen.shape)],
            (args.features * rng.random((n_rows, args.nonzeros - n_own)) ** 2).astype(np.int64),
        ],
        axis=1,
    )

    def matrix(columns, n_columns, dtype):
        indptr = np.arange(0, columns.size + 1, columns.shape[1], dtype=np.int32)
        ones = np.ones(columns.size, dtype=dtype)
        out = sp.csr_matrix(
            (ones, columns.astype(np.int32).ravel(), indptr), shape=(n_rows, n_columns)
        )
        out.sum_duplicates()
        return out

    X, Y = matrix(words, args.features, np.float32), matrix(labels, args.labels, np.int8)
    Y.data[:] = 1
    return X, Y


# ------------------------------------------------------------------------------------ parts
def part_quality(args) -> None:
    print("| set | reduction | shards | P@1 | J* | to one machine | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name in args.sets:
        try:
            data_sets.prepare(name)
        except data_sets.MissingDataError as error:
            print(f"{name}: {error}")
            continue
        d = data_sets.load(name)
        for reduction in REDUCTIONS:
            params = {"reduction": reduction, "random_state": 0}
            start = time.perf_counter()
            local = MultiLabelSGDClassifier(**params).fit(d.X_train, d.Y_train)
            seconds = time.perf_counter() - start
            first = quality(local, d.X_test, d.Y_test)
            print(
                f"| {name} | {reduction} | - | {first[0]:.4f} | {first[1]:.4f} | | {seconds:.1f} |"
            )
            for n_shards in args.shards:
                with cluster(2) as client:
                    X, y = (
                        client.persist(cut(part, max(4, n_shards)))
                        for part in (d.X_train, d.Y_train)
                    )
                    model = DaskMultiLabelSGDClassifier(n_shards=n_shards, **params)
                    start = time.perf_counter()
                    model.fit(X, y)
                    seconds = time.perf_counter() - start
                own = quality(model, d.X_test, d.Y_test)
                change = " ".join(f"{b / a - 1:+.2%}" for a, b in zip(first, own, strict=True))
                print(
                    f"| {name} | {reduction} | {n_shards} | {own[0]:.4f} | {own[1]:.4f} | "
                    f"{change} | {seconds:.1f} |",
                    flush=True,
                )


def _delayed_rows(args) -> tuple[list, list]:
    n_rows = args.rows // args.partitions
    made = [delayed(make_rows, nout=2)(i, n_rows, args) for i in range(args.partitions)]
    return [X for X, _ in made], [Y for _, Y in made]


def part_scale(args) -> None:
    print("| workers | seconds to read | seconds an epoch | P@1 | J* |")
    print("|---|---|---|---|---|")
    X_test, Y_test = make_rows(-1 % 2**31, 20_000, args)
    for n_workers in args.workers:
        with cluster(n_workers):
            X, y = _delayed_rows(args)
            clock = Clock()
            model = DaskMultiLabelSGDClassifier(
                reduction=args.reduction, max_iter=args.epochs, random_state=0
            ).set_callbacks(clock)
            start = time.perf_counter()
            model.fit(X, y)
            read = clock.times[0] - start
            epochs = np.diff(clock.times)
        p, j = quality(model, X_test, Y_test)
        shown = " ".join(f"{seconds:.2f}" for seconds in epochs)
        print(
            f"| {n_workers} | {read:.1f} | {np.median(epochs):.2f} ({shown}) | {p:.4f} | "
            f"{j:.4f} |",
            flush=True,
        )


def part_kill(args) -> None:
    X, y = _delayed_rows(args)
    X_test, Y_test = make_rows(-1 % 2**31, 20_000, args)
    models = []
    for kill in (False, True):
        with cluster(2) as client:
            pids = list(client.run(os.getpid).values())

            def strike(pid=pids[0]) -> None:
                threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()

            clock = Clock(1, strike if kill else lambda: None)
            model = DaskMultiLabelSGDClassifier(
                reduction=args.reduction, max_iter=args.epochs, n_shards=2, random_state=0
            ).set_callbacks(clock)
            models.append(model.fit(X, y))
        seconds = " ".join(f"{s:.2f}" for s in np.diff(clock.times))
        p, j = quality(model, X_test, Y_test)
        print(
            f"{'a worker killed in the second epoch' if kill else 'undisturbed'}: "
            f"{model.t_} rows seen in {model.n_iter_} epochs of {args.rows}, P@1 {p:.4f}, "
            f"J* {j:.4f}, seconds of the epochs {seconds}",
            flush=True,
        )
    same = np.array_equal(models[0].coef_, models[1].coef_)
    print(f"weights are {'the same to the bit' if same else 'different'}")


def part_cutoff(args) -> None:
    X, y = _delayed_rows(args)
    X_held, Y_held = make_rows(0, args.rows // args.partitions, args)
    model = MultiLabelSGDClassifier(reduction=args.reduction, max_iter=2, random_state=0)
    model.fit(X_held, Y_held)
    parts = [make_rows(i, args.rows // args.partitions, args) for i in range(args.partitions)]
    start = time.perf_counter()
    local = ThresholdedMultiLabel(model, cv="prefit")
    local.fit(sp.vstack([p[0] for p in parts]), sp.vstack([p[1] for p in parts]))
    seconds = time.perf_counter() - start
    del parts
    with cluster(2) as client:
        X, y = client.persist(X), client.persist(y)
        client.gather([client.submit(lambda part: part.shape, part) for part in client.compute(X)])
        start = time.perf_counter()
        found = DaskThresholdedMultiLabel(model, cv="prefit").fit(X, y)
        own_seconds = time.perf_counter() - start
    for name, tuned, took in (("local", local, seconds), ("cluster", found, own_seconds)):
        print(
            f"{name}: threshold {tuned.best_threshold_!r}, score {tuned.best_score_!r}, "
            f"{took:.1f} s"
        )
    same = (found.best_threshold_, found.best_score_) == (local.best_threshold_, local.best_score_)
    print("equal" if same else "different")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts = {
        "quality": part_quality,
        "scale": part_scale,
        "kill": part_kill,
        "cutoff": part_cutoff,
    }
    parser.add_argument("parts", nargs="+", choices=parts)
    parser.add_argument("--sets", nargs="+", default=["cooking", "bibtex", "tmc2007"])
    parser.add_argument("--shards", nargs="+", type=int, default=[1, 2, 8])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--nonzeros", type=int, default=40)
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--reduction", default="pick_one")
    args = parser.parse_args()
    # Numerical libraries of the workers use one thread each.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    warnings.filterwarnings("ignore", message=".*rows have no label")
    for name in args.parts:
        print(f"\n{name}\n")
        parts[name](args)


if __name__ == "__main__":
    main()
