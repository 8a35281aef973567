"""Run the tests with older and newer releases of what the package stands on.

Usage: python tools/versions.py [NAME ...] [-- pytest arguments]

Names are those of the table below (all but "nightly" if none is given). One wheel is built, by
the oldest build tools, and tested with each of them; the tests run from a copy beside what the
wheel installs, and find data in a folder `shared` beside this one, if there is one. With
several names each of them also loads the pickles of the others (tests/golden/exchange.py).
Environments stay in the folder that VERSIONS_HOME names, or go when all is done. The releases
of 2024 have wheels for Python 3.11 and 3.12 alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
WINDOWS = os.name == "nt"

# What each of them installs beside the wheel. A minor release of scikit-learn comes with
# releases of the others of its own time: newer ones make it warn.
TEST = ["pytest>=8", "pytest-xdist", "hypothesis"]
MORE = ["polars", "skops", "rich", "pyarrow", "dask[array,dataframe]", "distributed"]
VERSIONS = {
    # The least that pyproject.toml declares; pyparsing is of the time of that matplotlib.
    "oldest": [
        *("numpy==2.0.*", "scipy==1.13.*", "scikit-learn==1.6.0", "joblib==1.4.*"),
        *("threadpoolctl==3.5.*", "pandas==2.2.*", "matplotlib==3.9.*", "pyparsing==3.1.*"),
        *("pytest==8.*", "pytest-xdist==3.6.*", "hypothesis", "rich==13.*"),
    ],
    "1.6": [
        *("scikit-learn==1.6.*", "numpy==2.2.*", "scipy==1.15.*", "pandas==2.2.*"),
        *("matplotlib==3.10.*", "pytest==8.*", *TEST[1:], *MORE),
    ],
    "1.7": [
        *("scikit-learn==1.7.*", "numpy==2.3.*", "scipy==1.16.*", "pandas==2.3.*"),
        *("matplotlib", "pytest==8.*", *TEST[1:], *MORE),
    ],
    # Its checks for pytest warn with the next pytest.
    "1.8": ["scikit-learn==1.8.*", "pandas>=3", "matplotlib", "pytest==8.*", *TEST[1:], *MORE],
    "1.9": ["scikit-learn==1.9.*", "pandas>=3", "matplotlib", *TEST, *MORE],
    "newest": ["scikit-learn", "pandas", "matplotlib", *TEST, *MORE],
    "nightly": [
        *("--pre", "--extra-index-url"),
        "https://pypi.anaconda.org/scientific-python-nightly-wheels/simple",
        *("scikit-learn>=1.10.dev0", "numpy", "scipy", "pandas", "matplotlib", *TEST),
    ],
}
OLDEST_BUILD = ["setuptools==77.*", "Cython==3.1.*", "wheel"]
PIP = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
SHOWN = "numpy scipy scikit-learn pandas polars dask"


def call(*command: object, **options: object) -> None:
    """Run a command; one that fails ends this."""
    subprocess.run([str(part) for part in command], check=True, **options)


def environment(home: Path) -> Path:
    """Python of a new environment, or of one that is there."""
    python = home / ("Scripts/python.exe" if WINDOWS else "bin/python")
    if not python.exists():
        call(sys.executable, "-m", "venv", home)
    return python


def build(home: Path) -> Path:
    """Build the wheel with the oldest tools, from a copy without compiled files."""
    source = home / "source"
    shutil.rmtree(source, ignore_errors=True)
    kept = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(ROOT / "skmultireduce", source / "skmultireduce", ignore=kept)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    python = environment(home / "build")
    call(python, *PIP, *OLDEST_BUILD)
    wheel = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "wheels", "."]
    call(python, *wheel, cwd=source)
    return next((source / "wheels").glob("*.whl"))


class Place(NamedTuple):
    """Where tests run: Python, the folder of tests and package, variables."""

    python: Path
    here: Path
    environ: dict[str, str]


def set_up(name: str, wheel: Path, home: Path) -> Place:
    """Install everything."""
    python = environment(home / name)
    call(python, *PIP, *VERSIONS[name])
    listed = subprocess.run(
        [python, "-m", "pip", "list"], check=True, capture_output=True, text=True
    ).stdout
    found = dict(re.findall(r"^(\S+)\s+(\S+)", listed, re.M))
    print(name, *(f"{p} {found[p]}" for p in SHOWN.split() if p in found), sep="  ", flush=True)
    here = home / f"run-{name}"
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(ROOT / "tests", here / "tests")
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, here)
    call(python, *PIP, "--no-deps", "--target", here, wheel)
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return Place(python, here, {**os.environ, **threads, "PYTHONPATH": str(here)})


def test(place: Place, arguments: list[str]) -> tuple[int, str]:
    """Run the tests; return the exit code and pytest's last line."""
    process = subprocess.Popen(
        [place.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=place.here, env=place.environ,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    return process.wait(), last


def exchange(places: dict[str, Place], home: Path) -> bool:
    """Each loads the pickles of the others; return whether they are all as they were."""
    script = Path("tests", "golden", "exchange.py")
    files = {name: home / f"{name}.pickles" for name in places}
    for name, (python, here, environ) in places.items():
        call(python, script, "write", files[name], cwd=here, env=environ)
    well = True
    for name, (python, here, environ) in places.items():
        print(f"\nPickles read by {name}", flush=True)
        others = [file for writer, file in files.items() if writer != name]
        command = [python, script, "read", *others]
        well &= subprocess.run(command, cwd=here, env=environ, check=False).returncode == 0
    return well


def main() -> None:
    """Build, then test one after the other."""
    given = sys.argv[1:]
    arguments = ["-n", "auto"]
    if "--" in given:
        arguments += given[given.index("--") + 1 :]
        given = given[: given.index("--")]
    names = given or [name for name in VERSIONS if name != "nightly"]
    if unknown := set(names) - set(VERSIONS):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}. Known: {', '.join(VERSIONS)}")
    kept = os.environ.get("VERSIONS_HOME")
    home = Path(kept or tempfile.mkdtemp()).resolve()
    home.mkdir(parents=True, exist_ok=True)
    if (ROOT.parent / "shared").exists() and not (home / "shared").exists():
        (home / "shared").symlink_to(ROOT.parent / "shared")
    results, places = {}, {}
    try:
        wheel = build(home)
        for name in names:
            begin = time.perf_counter()
            places[name] = set_up(name, wheel, home)
            code, last = test(places[name], arguments)
            results[name] = code, f"{last}  ({time.perf_counter() - begin:.0f} s with set-up)"
        well = len(places) == 1 or exchange(places, home)
    finally:
        if not kept:
            shutil.rmtree(home, ignore_errors=True)
    print()
    for name, (_, line) in results.items():
        print(f"{name:8s} {line}")
    sys.exit(not well or max(code for code, _ in results.values()))


if __name__ == "__main__":
    main()
