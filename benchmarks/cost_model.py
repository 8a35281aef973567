"""What training costs, from the sizes of the data: bytes, operations, network, memory.

Measures how fast this machine moves memory and multiplies matrices, fits the few constants
of the model to the runs that `many_labels.py` has stored, and computes what larger data
takes on machines like this one. Nothing is written by hand but the sizes below, the network
and the disk, which are options.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import many_labels
import measure
import numpy as np
from kernels import random_labels, random_rows
from threadpoolctl import threadpool_limits

FLOAT = 4  # bytes of a parameter
PAIR = 8  # bytes of a non-zero of X, or of a label: a value and a 32-bit index

# Parameters beyond this do not come from the caches.
BEYOND_CACHES = 2**28

# Averages of a model are spread over at most this many workers (`skmultireduce.dask`).
AVERAGING_WORKERS = 16


# ---------------------------------------------------------------------- machine
def _at_once(function: Callable[[], float], n_threads: int) -> float:
    """Sum of the rates that several threads reach side by side."""
    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(lambda _: function(), range(n_threads)))


def add_rate(n_bytes: int = 2**28, seconds: float = 0.5) -> float:
    """Bytes a second of y += x, too large for the caches: 2 reads and 1 write."""
    y = np.zeros(n_bytes // (2 * FLOAT), dtype=np.float32)
    x = np.ones_like(y)
    np.add(y, x, out=y)
    begin, rounds = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        np.add(y, x, out=y)
        rounds += 1
    return rounds * 3 * y.nbytes / (time.perf_counter() - begin)


def product_rate(size: int = 1024, seconds: float = 0.5) -> float:
    """Floating point operations a second of products of square matrices, float32."""
    a = np.full((size, size), 0.5, dtype=np.float32)
    out = a @ a
    begin, rounds = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        np.matmul(a, a, out=out)
        rounds += 1
    return rounds * 2 * size**3 / (time.perf_counter() - begin)


def machine_rates(repeats: int = 3) -> dict[str, float]:
    """Best of some measurements: other processes only ever slow them down."""
    machine = measure.machine()
    rates = {}
    with threadpool_limits(1):
        for name, function in (("bytes", add_rate), ("flops", product_rate)):
            rates[f"{name}_one"] = max(function() for _ in range(repeats))
            rates[f"{name}_all"] = max(
                _at_once(function, machine["cores"]) for _ in range(repeats)
            )
    rates["memory"] = machine["memory_gib"] * 2**30
    rates["cores"] = machine["cores"]
    return rates


def wide_embeddings(repeats: int = 3) -> float:
    """Seconds of an epoch for each byte of embeddings, where they are beyond the caches.

    Columns are uniform, so that no feature is in a cache more often than others: at worst.
    """
    from skmultireduce import MultiLabelMLPClassifier

    n_rows, n_features, nonzeros, dim, epochs = 20_000, 10**6, 50, 100, 3
    X, Y = random_rows(n_rows, n_features, nonzeros), random_labels(n_rows, 16)
    model = MultiLabelMLPClassifier(embedding_dim=dim, random_state=0)
    best = []
    for n in (1, 1 + epochs):
        times = []
        for _ in range(repeats):
            begin = time.process_time()
            model.set_params(max_iter=n).fit(X, Y)
            times.append(time.process_time() - begin)
        best.append(min(times))
    # Without what is there once in a fit.
    seconds = (best[1] - best[0]) / (epochs * n_rows)
    return seconds / Sizes(n_rows, nonzeros, 16, n_features, dim).embedding_bytes()


# ------------------------------------------------------------------------ model
@dataclass(frozen=True)
class Sizes:
    """Sizes of a problem and of a model."""

    rows: float
    nonzeros: float
    labels: float
    features: float
    dim: float = 100
    sampled: float = 0
    row_labels: float = 2.5

    def linear_bytes(self) -> float:
        """Bytes of W that a row asks for: read forward, read and written by the update."""
        return 3 * FLOAT * self.nonzeros * self.labels

    def output_flops(self) -> float:
        """Operations of the output layer for a row: scores, gradients, update."""
        return 6 * self.dim * (self.sampled or self.labels)

    def embedding_bytes(self) -> float:
        """Bytes of the embeddings that a row asks for."""
        return 3 * FLOAT * self.nonzeros * self.dim

    def data_bytes(self) -> float:
        return self.rows * PAIR * (self.nonzeros + self.row_labels)

    def model_bytes(self, kind: str) -> float:
        if kind == "linear":
            return FLOAT * self.features * self.labels
        return FLOAT * (self.features + self.labels) * self.dim


def _fit(columns: list[list[float]], seconds: list[float]) -> np.ndarray:
    """Non-negative constants with the least squared relative error."""
    from scipy.optimize import nnls

    t = np.array(seconds)
    return nnls(np.array(columns) / t[:, None], np.ones(len(t)))[0]


@dataclass(frozen=True)
class Cost:
    """Constants of the model: seconds a row on one core.

    linear: ``per_byte * linear_bytes``, fitted where W is beyond the caches. MLP:
    ``per_embedding_byte * embedding_bytes + per_flop * output_flops``, with constants of
    their own for the sampled softmax, whose candidates are drawn, gathered and put back as
    well. wide: seconds for each byte of embeddings beyond the caches.
    """

    linear: tuple[float]
    full: tuple[float, float]
    sampled: tuple[float, float]
    wide: tuple[float]

    @classmethod
    def fitted(cls, stored: dict, wide: float) -> tuple[Cost, list[dict]]:
        """The model, and measured and modelled times of each run."""
        groups: dict[str, list[tuple[dict, list[float], float]]] = {
            "linear": [],
            "full": [],
            "sampled": [],
        }
        of = stored["sizes"]
        for (name, labels), row in many_labels.medians(stored["rows"]).items():
            sampled = many_labels.MODELS[name].get("n_sampled_labels", 0)
            if sampled >= labels:
                continue
            size = Sizes(
                of["rows"],
                row["nonzeros_per_row"],
                labels,
                of["features"],
                of["dim"],
                sampled,
            )
            kind = "linear" if name == "linear" else "sampled" if sampled else "full"
            columns = [size.linear_bytes()]
            about = {"model": name, "labels": labels, "fits": True}
            if kind == "linear":
                about["fits"] = size.model_bytes("linear") > BEYOND_CACHES
            if kind != "linear":
                columns = [size.embedding_bytes(), size.output_flops()]
            groups[kind].append((about, columns, row["us_per_row"] / 1e6))
        constants, checks = {}, []
        for kind, runs in groups.items():
            used = [run for run in runs if run[0]["fits"]]
            constants[kind] = _fit([run[1] for run in used], [run[2] for run in used])
            checks += [
                {
                    **about,
                    "measured": 1e6 * t,
                    "model_us": 1e6 * float(constants[kind] @ columns),
                }
                for about, columns, t in runs
            ]
        of_kind = {kind: tuple(map(float, c)) for kind, c in constants.items()}
        return cls(**of_kind, wide=(wide,)), checks

    def seconds_per_row(self, size: Sizes, kind: str) -> float:
        """On one core."""
        if kind == "linear":
            return self.linear[0] * size.linear_bytes()
        per_byte, per_flop = self.sampled if size.sampled else self.full
        if FLOAT * size.features * size.dim > BEYOND_CACHES:
            per_byte = max(per_byte, self.wide[0])
        return per_byte * size.embedding_bytes() + per_flop * size.output_flops()


def predict(
    size: Sizes, kind: str, cost: Cost, rates: dict, machines: int, args: argparse.Namespace
) -> dict:
    """One epoch on some machines like this one, one worker for each core."""
    cores = int(rates["cores"])
    workers = machines * cores
    # Cores share the memory, and lose some of their speed if all of them multiply.
    resource = "bytes" if kind == "linear" else "flops"
    speedup = min(cores, rates[f"{resource}_all"] / rates[f"{resource}_one"])
    compute = size.rows * cost.seconds_per_row(size, kind) / (machines * speedup)
    model = size.model_bytes(kind)
    # Each worker sends its model in pieces and gets the mean; who makes a piece of the
    # mean gets it from all and sends it to all.
    network = 0.0
    if machines > 1:
        busiest = 1 + workers / min(workers, AVERAGING_WORKERS)
        network = cores * model * busiest / args.network
    # Its own copy and the average.
    memory = 2 * model * cores
    return {
        "machines": machines,
        "model_gb": model / 1e9,
        "memory_share": memory / rates["memory"],
        "bytes_per_row": size.linear_bytes() if kind == "linear" else size.embedding_bytes(),
        "flops_per_row": 4 * size.nonzeros * size.labels
        if kind == "linear"
        else 4 * size.nonzeros * size.dim + size.output_flops(),
        "compute_h": compute / 3600,
        "disk_h": size.data_bytes() / machines / args.disk / 3600,
        "network_h": network / 3600,
    }


def in_label_parts(
    size: Sizes, cost: Cost, rates: dict, machines: int, args: argparse.Namespace
) -> dict:
    """One-vs-rest in the linear model: each machine has some labels and sees all rows."""
    part = Sizes(**{**asdict(size), "labels": size.labels / machines})
    found = predict(part, "linear", cost, rates, 1, args)
    # The threads of a machine share one copy of its part.
    found["memory_share"] = part.model_bytes("linear") / rates["memory"]
    return {**found, "machines": machines}


def cases(args: argparse.Namespace) -> dict[str, tuple[str, Sizes]]:
    """Name -> kind and sizes."""
    size = Sizes(args.rows, args.nonzeros, args.labels, args.features)
    hashed = Sizes(**{**asdict(size), "features": 2**args.hash_bits})
    sampled = Sizes(**{**asdict(size), "sampled": args.sampled})
    return {
        "linear": ("linear", size),
        f"linear, features hashed to 2^{args.hash_bits}": ("linear", hashed),
        "the same, one-vs-rest, each machine a part of the labels": ("parts", hashed),
        "MLP": ("mlp", size),
        f"MLP, {args.sampled:,} sampled labels": ("mlp", sampled),
    }


# ----------------------------------------------------------------------- report
def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def markdown(results: dict) -> str:
    machine, rates, given = results["machine"], results["rates"], results["given"]
    cost = Cost(**{name: tuple(c) for name, c in results["constants"].items()})
    gb = 1e9
    lines = [
        "# Cost model",
        "",
        f"{machine['date'][:10]}, {machine['cpu']}, {machine['cores']} cores, {machine['simd']}, "
        f"{machine['memory_gib']} GiB, skmultireduce {machine['versions']['skmultireduce']}, "
        f"revision {machine['revision']}.",
        "",
        "## This machine",
        "",
        *_table(
            ["", "one core", "all cores"],
            [
                [
                    "`y += x` beyond the caches (GB/s)",
                    *(f"{rates[f'bytes_{n}'] / gb:.1f}" for n in ("one", "all")),
                ],
                [
                    "products of matrices, float32 (GFLOP/s)",
                    *(f"{rates[f'flops_{n}'] / gb:.0f}" for n in ("one", "all")),
                ],
            ],
        ),
        "## Constants, from the many-labels benchmark",
        "",
        *_table(
            ["model", "a row takes on one core", "that is"],
            [
                [
                    "linear",
                    f"12 z K bytes x {1e12 * cost.linear[0]:.1f} ps",
                    f"{1 / cost.linear[0] / gb:.1f} GB/s of W asked for, caches included",
                ],
                *(
                    [
                        name,
                        f"12 z d bytes x {1e12 * c[0]:.0f} ps + 6 d {columns} FLOP x "
                        f"{1e12 * c[1]:.1f} ps",
                        f"{1 / c[1] / gb:.0f} GFLOP/s in the output layer",
                    ]
                    for name, c, columns in (
                        ("MLP", cost.full, "K"),
                        ("MLP, m labels sampled", cost.sampled, "m"),
                    )
                ),
                [
                    "MLP, embeddings beyond the caches",
                    f"12 z d bytes x {1e12 * cost.wide[0]:.0f} ps in the place of the above",
                    f"{1 / cost.wide[0] / gb:.1f} GB/s, features uniform",
                ],
            ],
        ),
        "z: non-zeros of a row; K: labels; d: `embedding_dim`. In brackets: not used for the "
        "fit, since W is in the caches.",
        "",
        *_table(
            ["model", "labels", "measured (µs a row and epoch)", "cost model (µs)", "ratio"],
            [
                [
                    row["model"],
                    f"{row['labels']:,}",
                    f"{row['measured']:.1f}",
                    f"{row['model_us']:.1f}",
                    f"{row['model_us'] / row['measured']:.2f}"
                    if row["fits"]
                    else f"({row['model_us'] / row['measured']:.2f})",
                ]
                for row in results["checks"]
            ],
        ),
        f"## {given['rows']:.3g} rows, {given['labels']:,.0f} labels",
        "",
        f"{given['nonzeros']:g} non-zeros a row, {given['features']:,.0f} features, "
        f"`embedding_dim=100`; {results['data_gb']:,.0f} GB of X and y. Machines like this one "
        f"({rates['cores']:.0f} cores, {rates['memory'] / 2**30:.1f} GiB); assumed, not measured: "
        f"a network of {given['network'] / gb:g} GB/s and a disk of {given['disk'] / gb:g} GB/s "
        "each. One epoch; a worker for each core, with its copy of the model and the average; one "
        "average an epoch.",
        "",
        *_table(
            [
                "model",
                "machines",
                "parameters (GB)",
                "fits in memory",
                "bytes of parameters a row",
                "FLOP a row",
                "computing (h)",
                "reading X (h)",
                "averaging (h)",
                "epoch (h)",
            ],
            [
                [
                    row["model"],
                    f"{row['machines']:,}",
                    _number(row["model_gb"]),
                    "yes"
                    if row["memory_share"] <= 1
                    else f"**no**, {_number(row['memory_share'])} times",
                    f"{row['bytes_per_row']:.2g}",
                    f"{row['flops_per_row']:.2g}",
                    _number(row["compute_h"]),
                    _number(row["disk_h"]),
                    _number(row["network_h"]),
                    _number(row["compute_h"] + row["disk_h"] + row["network_h"]),
                ]
                for row in results["predictions"]
            ],
        ),
        "A block is read, then trained on. Hours of what does not fit in memory are what it "
        "would take if it did.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    results_folder = Path(__file__).parent / "results"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=results_folder, help="folder of results")
    parser.add_argument("--rows", type=float, default=1e9)
    parser.add_argument("--labels", type=float, default=1e5)
    parser.add_argument("--features", type=float, default=1e6)
    parser.add_argument("--nonzeros", type=float, default=50, help="of a row")
    parser.add_argument("--sampled", type=int, default=1000, help="labels of a sampled softmax")
    parser.add_argument("--hash-bits", type=int, default=18)
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--network", type=float, default=1.25e9, help="bytes a second, each way")
    parser.add_argument("--disk", type=float, default=5e8, help="bytes a second")
    args = parser.parse_args()
    stored = args.results / "many_labels.json"
    if not stored.exists():
        print(f"{stored} is missing; run benchmarks/many_labels.py first.", file=sys.stderr)
        return 1
    rates = machine_rates()
    with threadpool_limits(1):
        wide = wide_embeddings()
    cost, checks = Cost.fitted(json.loads(stored.read_text()), wide)
    predictions = []
    for name, (kind, size) in cases(args).items():
        for machines in args.machines:
            if kind == "parts":
                found = in_label_parts(size, cost, rates, machines, args)
            else:
                found = predict(size, kind, cost, rates, machines, args)
            predictions.append({"model": name, **found})
    given = {k: v for k, v in vars(args).items() if k != "results"}
    results = {
        "machine": measure.machine(),
        "rates": rates,
        "constants": asdict(cost),
        "checks": checks,
        "given": given,
        "data_gb": next(iter(cases(args).values()))[1].data_bytes() / 1e9,
        "predictions": predictions,
    }
    (args.results / "cost_model.json").write_text(json.dumps(results, indent=1) + "\n")
    text = markdown(results)
    (args.results / "cost_model.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
