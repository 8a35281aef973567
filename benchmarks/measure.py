"""What the benchmarks measure: memory, machine, ranking and cutoff quality."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

PACKAGES = ("numpy", "scipy", "scikit-learn", "joblib", "fasttext", "napkinxc", "omikuji")

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


# ------------------------------------------------------------------- processes
def child_environment(threads: int) -> dict[str, str]:
    """Environment in which numerical libraries use this many threads."""
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))}


def quiet_stdout():
    """Send all that is printed, also from C, to stderr; return the real stdout."""
    sys.stdout.flush()
    real = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return real


# ---------------------------------------------------------------------- memory
def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    return 0


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in brackets, may hold anything.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(stat.parent.name), *_children(int(stat.parent.name))]
    return found


def _memory(field: str) -> int:
    total = _status(os.getpid(), field)
    for child in _children(os.getpid()):
        try:
            total += _status(child, field)
        except OSError:
            continue
    return total


def peak_memory() -> int:
    """Largest resident memory of this process so far, and of its workers, in bytes.

    Workers (joblib's) count in full, with what they share. On Linux it is VmHWM, since
    ru_maxrss starts from the peak of the process that started this one.
    """
    if Path("/proc/self/status").exists():
        return _memory("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def present_memory() -> int:
    """Resident memory of this process and its workers now, in bytes; Linux alone."""
    return _memory("VmRSS") if Path("/proc/self/status").exists() else peak_memory()


def reset_peak_memory() -> int:
    """Let `peak_memory` start again from the present, which is returned; Linux alone."""
    Path("/proc/self/clear_refs").write_text("5")
    return present_memory()


# --------------------------------------------------------------------- machine
def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _caches() -> dict[str, str]:
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, kind, size = (
                (index / name).read_text().strip() for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            found[f"L{level}"] = size
    return found


def _simd() -> str:
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return "unknown"
    return next((name for name in ("avx512f", "avx2", "avx") if name in flags), "sse2")


def _versions() -> dict[str, str]:
    try:
        from skmultireduce import __version__
    except ImportError:
        __version__ = "not installed"
    found = {"skmultireduce": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _revision() -> str:
    """Commit that is measured, and whether more than stored results differs from it."""
    try:
        commit = _git("rev-parse", "--short", "HEAD")
        changes = _git("status", "--porcelain", "-uno", "--", ":/", ":(top,exclude)*/results/*")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit}-dirty" if changes else commit


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def machine() -> dict:
    """All that a reader needs to judge the figures."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "simd": _simd(),
        "caches": _caches(),
        "memory_gib": round(total / 2**30, 1),
        "load_average": os.getloadavg()[0],
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": _versions(),
        "revision": _revision(),
    }


# --------------------------------------------------------------------- quality
def _curve(scores: np.ndarray, truth: np.ndarray):
    """Jaccard index (micro) of every cutoff between two different scores."""
    flat = scores.ravel()
    order = np.argsort(-flat, kind="stable")
    flat = flat[order]
    hits = np.cumsum(truth.ravel()[order])
    chosen = np.arange(1, len(flat) + 1)
    value = hits / (truth.sum() + chosen - hits)
    last_of_ties = np.append(flat[1:] != flat[:-1], True) & np.isfinite(flat)
    return flat, np.where(last_of_ties, value, -1.0)


def best_cutoff(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The single cutoff with the largest micro-averaged Jaccard index, and that index."""
    flat, value = _curve(scores, truth)
    best = int(value.argmax())
    below = flat[best + 1] if best + 1 < len(flat) else flat[best]
    cutoff = (flat[best] + below) / 2 if np.isfinite(below) else flat[best]
    return float(cutoff), float(value[best])


def jaccard_at(scores: np.ndarray, truth: np.ndarray, cutoff: float) -> float:
    predicted = scores >= cutoff
    union = (predicted | truth).sum()
    return float((predicted & truth).sum() / union) if union else 1.0


def quality(scores: np.ndarray, Y) -> dict[str, float]:
    """Ranking and best-cutoff metrics of scores; -inf where a tool gave none."""
    truth = Y.toarray() > 0
    top = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    hits = np.take_along_axis(truth, top, axis=1)
    cutoff, best = best_cutoff(scores, truth)
    return {
        "P@1": float(hits[:, 0].mean()),
        "R@5": float(hits.sum() / truth.sum()),
        "J*": best,
        "cutoff": cutoff,
    }
