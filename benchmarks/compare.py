"""Side by side with the peers: same data, one process each, one after another.

``python benchmarks/compare.py`` runs all; see README.md for the options and columns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import data
import measure
import numpy as np
import report
from contenders import CONTENDERS, WARM_UP_ROWS, UnfitError

RESULTS = Path(__file__).parent / "results"
REFERENCE = "skmultireduce pick_one"

# On sets that show how cost grows, only these run unless --only says otherwise.
GROWING = (
    "skmultireduce pick_one",
    "skmultireduce pick_all",
    "skmultireduce one_vs_rest",
    "skmultireduce one_vs_rest squared_hinge",
)


# --------------------------------------------------------------- in the process
def run_one(args: argparse.Namespace) -> dict:
    """Train and predict once; the figures of this one run."""
    warnings.simplefilter("ignore")
    name = args.data[0]
    data.prepare(name, cache=args.cache)
    prepared = data.load(name, tune=args.tune, cache=args.cache)
    if args.run == "load":
        return {"peak": measure.peak_memory()}
    contender = CONTENDERS[args.run]
    try:
        contender.start(args.threads[0], args.seed)
        contender.load(prepared)
    except ImportError as error:
        return {"missing": f"not installed: {error}"}
    except UnfitError as error:
        return {"missing": str(error)}
    if contender.warm_up:
        contender.fit(slice(WARM_UP_ROWS))
    result = {"load_average": os.getloadavg()[0], "before_fit": measure.present_memory()}
    begin, cpu = time.perf_counter(), time.process_time()
    contender.fit()
    result["fit_s"] = time.perf_counter() - begin
    # Without worker processes; far below fit_s on one thread if the machine was busy.
    result["fit_cpu_s"] = time.process_time() - cpu
    contender.finish_fit()
    begin = time.perf_counter()
    predicted = contender.predict()
    result["predict_s"] = time.perf_counter() - begin
    result["peak"] = measure.peak_memory()
    if args.no_quality:
        return result
    scores = np.array(contender.scores(predicted))
    # Whatever a tool says of labels that it has never seen, such as 0 for every row, would
    # spoil its cutoff.
    scores[:, np.asarray(prepared.Y_train.sum(axis=0)).ravel() == 0] = -np.inf
    result.update(measure.quality(scores, prepared.Y_test))
    if args.cutoff is not None:
        truth = prepared.Y_test.toarray() > 0
        result["J tuned"] = measure.jaccard_at(scores, truth, args.cutoff)
    return result


# ------------------------------------------------------------------ the parent
def call(name: str, set_name: str, args: argparse.Namespace, **options) -> dict:
    """`run_one` in a process of its own."""
    threads = options.pop("threads", 1)
    command = [sys.executable, __file__, "--run", name, "--data", set_name]
    command += ["--cache", str(args.cache), "--threads", str(threads)]
    for key, value in options.items():
        option = f"--{key.replace('_', '-')}"
        if value is True:
            command.append(option)
        elif value is not False and value is not None:
            command.append(f"{option}={value}")
    # To a file: reading the progress bars of some would take a core's time.
    with tempfile.TemporaryFile("w+") as messages:
        try:
            found = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                timeout=args.timeout,
                env=measure.child_environment(threads),
            )
        except subprocess.TimeoutExpired:
            return {"missing": f"took more than {args.timeout:g} s"}
        if found.returncode:
            messages.seek(0)
            last = (messages.read().strip().splitlines() or ["no message"])[-1]
            return {"missing": f"failed ({found.returncode}): {last[:200]}"}
    return json.loads(found.stdout)


def entries(set_name: str, args: argparse.Namespace) -> list[tuple[str, int]]:
    """Pairs of contender and number of threads for a set."""
    names = [n for n in CONTENDERS if not args.only or any(part in n for part in args.only)]
    if data.is_scaling(set_name) and not args.only:
        names = list(GROWING)
    found = []
    for name in names:
        counts = args.threads if CONTENDERS[name].threaded else args.threads[:1]
        if data.is_scaling(set_name):
            counts = counts[:1]
        found += [(name, threads) for threads in counts]
    return found


def run_set(set_name: str, args: argparse.Namespace) -> list[dict]:
    """All contenders on a set: the repeats of each take turns with the others'."""
    scaling = data.is_scaling(set_name)
    base = call("load", set_name, args)
    if "missing" in base:
        raise RuntimeError(f"loading {set_name} {base['missing']}")
    rows = [
        {"data": set_name, "contender": name, "threads": threads, "runs": []}
        for name, threads in entries(set_name, args)
    ]
    cutoffs: dict[str, float | None] = {}
    for repeat in range(args.repeats):
        for row in rows:
            name, threads = row["contender"], row["threads"]
            if "missing" in row:
                continue
            if not scaling and name not in cutoffs:
                tuned = call(name, set_name, args, threads=max(args.threads), tune=True)
                cutoffs[name] = tuned.get("cutoff")
            result = call(
                name,
                set_name,
                args,
                threads=threads,
                seed=repeat,
                cutoff=cutoffs.get(name),
                no_quality=scaling,
            )
            if "missing" in result:
                row["missing"] = result["missing"]
            else:
                row["runs"].append(result)
            took = result.get("missing") or f"{result['fit_s']:.3f} s"
            print(f"{set_name}, {name}, {threads} thread(s): {took}", file=sys.stderr)
    for row in rows:
        _summarise(row, base["peak"])
    return rows


def _summarise(row: dict, base: int) -> None:
    runs = row["runs"]
    if "missing" in row or not runs:
        return
    for key in ("fit_s", "predict_s", "P@1", "R@5", "J*", "J tuned"):
        values = [run[key] for run in runs if key in run]
        if values:
            row[key] = median(values)
    row["fit_s_min"] = min(run["fit_s"] for run in runs)
    row["memory_mb"] = median((run["peak"] - base) / 1e6 for run in runs)
    row["memory_of_fit_mb"] = median((run["peak"] - run["before_fit"]) / 1e6 for run in runs)


def shapes(set_name: str, args: argparse.Namespace) -> dict:
    prepared = data.load(set_name, cache=args.cache)
    X, Y = prepared.X_train, prepared.Y_train
    stored = X.nnz if hasattr(X, "nnz") else X.size
    return {
        "rows": X.shape[0],
        "test_rows": prepared.X_test.shape[0],
        "features": X.shape[1],
        "labels": Y.shape[1],
        "nonzeros_a_row": stored / X.shape[0],
        "labels_a_row": Y.nnz / Y.shape[0],
    }


def run_all(args: argparse.Namespace) -> None:
    args.results.mkdir(parents=True, exist_ok=True)
    results = {"machine": measure.machine(), "repeats": args.repeats, "sets": {}, "rows": []}
    for set_name in args.data:
        try:
            data.prepare(set_name, cache=args.cache, refresh=not data.is_scaling(set_name))
        except data.MissingDataError as error:
            print(f"{set_name} is left out: {error}", file=sys.stderr)
            results["sets"][set_name] = {"missing": str(error)}
            continue
        results["sets"][set_name] = shapes(set_name, args)
        results["rows"] += run_set(set_name, args)
        # After each set, so that an interrupted run leaves what it has.
        report.write(results, args.results, REFERENCE)
    report.write(results, args.results, REFERENCE)
    print(args.results / "compare.md")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        nargs="+",
        default=["real", "scaling"],
        help=f"sets: {', '.join(data.REAL)}; one size of the synthetic set, as labels=256; "
        "real, scaling: all of these (default: both)",
    )
    parser.add_argument(
        "--only", nargs="+", help="contenders whose name has one of these parts; see --list"
    )
    parser.add_argument("--repeats", type=int, default=5, help="processes of each (default 5)")
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=[1, 2],
        help="numbers of threads; what does not use more runs with the first (default 1 2)",
    )
    parser.add_argument("--timeout", type=float, default=900, help="seconds a process (900)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--cache", type=Path, default=data.CACHE, help="folder of prepared sets")
    parser.add_argument("--list", action="store_true", help="print the contenders")
    parser.add_argument("--report", action="store_true", help="write the report of compare.json")
    one = parser.add_argument_group("one run, in this process, printed as one line of JSON")
    one.add_argument("--run", choices=[*CONTENDERS, "load"], metavar="CONTENDER")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--tune", action="store_true", help="on the training rows alone, split 4 : 1")
    one.add_argument("--cutoff", type=float, help="cutoff for the metric 'J tuned'")
    one.add_argument("--no-quality", action="store_true", help="times and memory alone")
    args = parser.parse_args()
    groups = {"real": data.REAL, "scaling": data.SCALING}
    args.data = list(dict.fromkeys(n for name in args.data for n in groups.get(name, [name])))
    return args


def main() -> None:
    args = parse()
    if args.list:
        print(*CONTENDERS, sep="\n")
    elif args.report:
        results = json.loads((args.results / "compare.json").read_text())
        report.write(results, args.results, REFERENCE)
    elif args.run:
        stdout = measure.quiet_stdout()
        print(json.dumps(run_one(args)), file=stdout, flush=True)
    else:
        run_all(args)


if __name__ == "__main__":
    main()
