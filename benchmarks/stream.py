"""A text file of several gigabytes, trained under a limit of the address space.

The same model is trained twice by `fit_stream`: without a break, and killed (SIGKILL) half
way, then resumed from its last checkpoint. Every process has the limit. The file, of random
words with laws that depend on the labels, is made in a temporary folder and removed. With
`--before`, the source tree of an earlier release, both train on the first part of the file too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure
import numpy as np

from skmultireduce import MultiLabelSGDClassifier
from skmultireduce.checkpoint import Checkpoint
from skmultireduce.datasets import FastTextBlocks
from skmultireduce.text import HashingVectorizer

MB = 1e6
N_LABELS = 40
N_WORDS = 30_000
WORDS_A_ROW = 60
DISTINCT_ROWS = 20_000
# Between two checkpoints; the kill comes between them.
SECONDS = 10
LABELS = [f"label-{k}" for k in range(N_LABELS)]


def write_file(path: Path, size: int) -> None:
    """Rows of words, drawn by Zipf's law from the words of the row's labels."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, n)) for n in rng.integers(2, 11, size=N_WORDS)])
    orders = [rng.permutation(N_WORDS) for _ in range(N_LABELS)]
    rows = []
    for _ in range(DISTINCT_ROWS):
        labels = rng.choice(N_LABELS, size=rng.integers(1, 4), replace=False)
        ranks = np.minimum(rng.zipf(1.2, WORDS_A_ROW), N_WORDS) - 1
        parts = np.array_split(ranks, len(labels))
        text = [words[orders[k][part]] for k, part in zip(labels, parts, strict=True)]
        rows.append(
            " ".join([*(f"__label__{LABELS[k]}" for k in labels), *np.concatenate(text)]) + "\n"
        )
    with path.open("w") as file:
        while file.tell() < size:
            file.writelines([rows[i] for i in rng.permutation(DISTINCT_ROWS)])


class Kill:
    """Kills the process after some blocks."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks

    def setup(self, estimator, context) -> None:
        pass

    def teardown(self, estimator, context) -> None:
        pass

    def on_fit_task_begin(self, estimator, context) -> None:
        pass

    def on_fit_task_end(self, estimator, context) -> None:
        self.blocks -= context.task_name == "block"
        if self.blocks == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def train(job: str, folder: Path, args: argparse.Namespace) -> dict:
    """The work of one process."""
    limit = int(args.limit * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    begin = time.perf_counter()
    blocks = FastTextBlocks(
        folder / "train.txt",
        HashingVectorizer(
            n_features=args.features,
            token_pattern=r"\S+",
            lowercase=False,
            alternate_sign=False,
            dtype="float32",
        ),
        target_names=LABELS,
        block_size=args.block_size,
    )
    model = MultiLabelSGDClassifier(max_iter=args.epochs, warm_start=True, random_state=0)
    checkpoint = Checkpoint(folder / "checkpoint", seconds=SECONDS)
    if job == "killed":
        model.set_callbacks(checkpoint, Kill(args.kill_at))
    elif job == "resumed":
        model = checkpoint.resume(model)
    model.fit_stream(blocks)
    status = Path("/proc/self/status").read_text()
    bits = model.coef_.tobytes() + model.intercept_.tobytes() + repr(model.loss_curve_).encode()
    return {
        "seconds": time.perf_counter() - begin,
        "seconds of the processor": time.process_time(),
        "peak address space (MB)": 1024 * int(re.search(r"VmPeak:\s*(\d+)", status)[1]) / MB,
        "peak resident memory (MB)": measure.peak_memory() / MB,
        "rows": model.t_ // model.n_iter_,
        "bits": hashlib.sha256(bits).hexdigest(),
        "loss": model.loss_curve_,
    }


def first_part(path: Path, size: int) -> Path:
    """Folder with the first lines of the file."""
    folder = path.parent / "part"
    folder.mkdir()
    with path.open("rb") as whole, (folder / "train.txt").open("wb") as part:
        for line in whole:
            if part.tell() >= size:
                break
            part.write(line)
    return folder


def run(script: Path, job: str, options: list) -> subprocess.CompletedProcess:
    """A job in a process, of the release that the script belongs to."""
    command = [sys.executable, str(script), "--job", job, *map(str, options)]
    env = measure.child_environment(1) | {"PYTHONPATH": str(script.parents[1])}
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)


def report(found: dict[str, dict], size: int, limit: float, epochs: int, parts: list) -> str:
    """The figures as a page."""
    machine = measure.machine()
    same = found["whole"]["bits"] == found["resumed"]["bits"]
    passes = {"whole": f"{1 + epochs:g}", "killed": f"{1 + epochs / 2:g}", "resumed": "rest"}
    lines = [
        "# Out of core",
        "",
        f"`benchmarks/stream.py`, {machine['date'][:10]}, {machine['cpu']}, load average "
        f"{machine['load_average']:.1f} on {machine['cores']} cores: a text file of "
        f"{size / MB:,.0f} MB, {found['whole']['rows']:,} rows, in processes whose address "
        f"space is limited to {limit:g} GiB; `max_iter={epochs}`. The model resumed after SIGKILL "
        f"has the same bits: {'yes' if same else 'NO'}.",
        "",
        "| run | passes over the file | time (s) | peak address space (MB) | peak resident (MB) |",
        "|---|---:|---:|---:|---:|",
    ]
    for job, figures in found.items():
        peaks = [
            f"{figures[name]:.0f}" if name in figures else ""
            for name in ("peak address space (MB)", "peak resident memory (MB)")
        ]
        lines.append(f"| {job} | {passes[job]} | {figures['seconds']:.0f} | {' | '.join(peaks)} |")
    if parts:
        now, before = ([side["seconds of the processor"] for side in pair] for pair in parts)
        lines += [
            "",
            f"The first {parts[0][0]['rows']:,} rows, one thread, seconds of the processor, "
            f"least of {len(now)} runs in turns: {min(now):.1f}; with release 0.1.0 and "
            f"scikit-learn's `HashingVectorizer(analyzer=str.split)` {min(before):.1f}, "
            f"{min(before) / min(now):.1f} times as long.",
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=3.0, help="size of the file")
    parser.add_argument("--limit", type=float, default=1.0, help="address space, in GiB")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--features", type=int, default=2**17)
    parser.add_argument("--block-size", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where to make the file")
    parser.add_argument("--save", type=Path, help="write the figures to this file")
    parser.add_argument("--before", type=Path, help="source tree of an earlier release, built")
    parser.add_argument("--part", type=float, default=0.6, help="gigabytes for --before")
    parser.add_argument("--kill-at", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--job", choices=["whole", "killed", "resumed"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        print(json.dumps(train(args.job, args.folder, args)))
        return 0
    size = int(args.gigabytes * 1e9)
    if shutil.disk_usage(args.folder or tempfile.gettempdir()).free < 1.2 * size:
        print("not enough room on the disk; pass --folder or --gigabytes", file=sys.stderr)
        return 1
    found = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder, "train.txt")
        write_file(path, size)
        size = path.stat().st_size
        print(f"file: {size / MB:,.0f} MB; limit of the address space: {args.limit:g} GiB")
        options = ["--limit", args.limit, "--epochs", args.epochs, "--folder", folder]
        options += ["--features", args.features, "--block-size", args.block_size]
        for job in ("whole", "killed", "resumed"):
            if job == "killed":
                n_blocks = args.epochs * found["whole"]["rows"] / args.block_size
                options += ["--kill-at", int(n_blocks / 2)]
            begin = time.perf_counter()
            done = run(Path(__file__).resolve(), job, options)
            if job == "killed":
                assert done.returncode == -signal.SIGKILL
                found[job] = {"seconds": time.perf_counter() - begin}
            else:
                done.check_returncode()
                found[job] = json.loads(done.stdout)
            print(job, json.dumps(found[job]), flush=True)
        parts: list[list[dict]] = []
        if args.before is not None:
            parts = [[], []]
            part = first_part(path, int(args.part * 1e9))
            scripts = [
                Path(__file__).resolve(),
                args.before.resolve() / "benchmarks/stream.py",
            ]
            options[options.index("--folder") + 1] = part
            for _ in range(2):
                for script, side in zip(scripts, parts, strict=True):
                    done = run(script, "whole", options)
                    done.check_returncode()
                    side.append(json.loads(done.stdout))
                    print(script, json.dumps(side[-1]), flush=True)
    same = found["whole"]["bits"] == found["resumed"]["bits"]
    speed = (1 + args.epochs) * size / MB / found["whole"]["seconds"]
    print(f"{speed:.0f} MB/s read, vectorised and trained; resumed run has the same bits: {same}")
    if args.save:
        args.save.write_text(report(found, size, args.limit, args.epochs, parts))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
