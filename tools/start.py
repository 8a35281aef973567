"""Set up an environment in this folder, then run the main job or the tests in it.

Usage: python3 tools/start.py demo      trains on an embedded data set, prints what it reaches
       python3 tools/start.py test      runs the test suite; further arguments go to pytest

Needs Python 3.11 or newer and a C compiler. Only the standard library is used here; what is
installed goes to .venv-demo or .venv-test, which may be deleted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ABOUT = {
    "demo": """\
What comes at the end: which modules does a Python file import? The data are files of the
standard library, with their import statements removed; a file has several labels. A linear
softmax is trained as fastText does it, on one label drawn at random for each file and epoch;
then the one cutoff on its scores is found that maximises the micro Jaccard index, over five
folds. At the end stand the index on held-out files, beside that of what is best for label
sets, and some predictions.
""",
    "test": """\
What comes at the end: more than ten thousand tests. They hold the compiled loops against slow
twins in NumPy, the estimators against scikit-learn's own checks, the statements of
docs/legitimate.md against simulations, and all of it against hostile inputs.
""",
}


def fail(message: str) -> None:
    """End with a sentence."""
    sys.exit(f"tools/start.py: {message}")


def check_python() -> None:
    """Python must be new enough, and able to make environments."""
    if sys.version_info < (3, 11):  # noqa: UP036
        fail(
            f"this is Python {sys.version.split()[0]}; 3.11 or newer is needed. Install one and "
            "run this script with it, for example: python3.12 tools/start.py demo"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        fail(
            "this Python cannot make virtual environments. Install its venv package, on Debian "
            f"and Ubuntu: apt install python{version}-venv"
        )


def run(command: list[object], doing: str, *, shown: tuple[str, ...] = ()) -> None:
    """Run a command and show that it goes on: lines that begin with one of `shown`, and time."""
    begin = time.perf_counter()
    print(f"\n== {doing}", flush=True)
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    lines: list[str] = []
    done = threading.Event()

    def tick() -> None:
        while not done.wait(10):
            print(f"   ... {time.perf_counter() - begin:.0f} s", flush=True)

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    for line in process.stdout:
        lines.append(line)
        if line.strip().startswith(shown):
            print(f"   {line.strip()[:90]}", flush=True)
    done.set()
    if process.wait():
        # What is to be installed is said by setup.py, in a line that begins like this.
        told = [line.strip() for line in lines if "skmultireduce:" in line]
        print("".join(lines[-40:]) if not told else "")
        fail(told[-1] if told else f"that did not work: {' '.join(map(str, command))}")
    print(f"   done in {time.perf_counter() - begin:.0f} s", flush=True)


def main() -> None:
    """Read the command line, set up, run."""
    if len(sys.argv) < 2 or sys.argv[1] not in ABOUT:
        sys.exit(__doc__)
    job = sys.argv[1]
    check_python()
    import tomllib

    begin = time.perf_counter()
    print(ABOUT[job], flush=True)
    home = ROOT / f".venv-{job}"
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        run([sys.executable, "-m", "venv", home], f"An environment of its own, in {home.name}")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install"]
    # First what compiles, so that a missing compiler is known early.
    build = ["setuptools>=77", "Cython>=3.1", "wheel"]
    run([*pip, *build], "What compiles: Cython", shown=("Collecting",))
    options = ["--no-build-isolation", "--no-deps", "--verbose", "--editable", "."]
    run(
        [*pip, *options],
        "Compiling the loops over rows and labels: half a minute of two cores",
        shown=("Compiling", "[", "building '"),
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"][{"demo": "plot", "test": "test"}[job]]
    run(
        [*pip, *project["dependencies"], *extra],
        "The rest: scikit-learn" + (", pandas, Dask, hypothesis and others" * (job == "test")),
        shown=("Collecting",),
    )
    print(f"\n== Set up in {time.perf_counter() - begin:.0f} s; now the {job}\n", flush=True)
    command = {"demo": ["skmultireduce"], "test": ["pytest", "-q", "-n", "auto"]}[job]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} if job == "test" else None
    ended = subprocess.run(
        [python, "-m", *command, *sys.argv[2:]], cwd=ROOT, env=environment, check=False
    )
    print(f"\n== {time.perf_counter() - begin:.0f} s in all", flush=True)
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
