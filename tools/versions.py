"""Run the tests with older and newer releases of what the package stands on.

Usage: python tools/versions.py [NAME ...] [-- pytest arguments]

Names are those of the table below (all but "nightly" if none is given). The wheel is built
once, by "oldest" with the oldest build tools, and is installed in an environment for each;
the tests run from a copy, so that they meet the installed package and not this folder.
Environments stay in the folder that VERSIONS_HOME names, or go when all is done.
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
    "1.8": ["scikit-learn==1.8.*", "pandas>=3", "matplotlib", *TEST, *MORE],
    "1.9": ["scikit-learn==1.9.*", "pandas>=3", "matplotlib", *TEST, *MORE],
    "newest": ["scikit-learn", "pandas", "matplotlib", *TEST, *MORE],
    "nightly": [
        *("--pre", "--extra-index-url"),
        "https://pypi.anaconda.org/scientific-python-nightly-wheels/simple",
        *("scikit-learn>=1.10.dev0", "numpy", "scipy", "pandas", "matplotlib", *TEST),
    ],
}
OLDEST_BUILD = ["setuptools==77.*", "Cython==3.1.*", "scipy==1.13.*", "wheel"]
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


def build(home: Path, *, oldest: bool) -> Path:
    """Build the wheel, from a copy without compiled files."""
    source = home / ("source-oldest" if oldest else "source")
    shutil.rmtree(source, ignore_errors=True)
    kept = shutil.ignore_patterns("*.so", "*.pyd", "_kernels/*.c", "__pycache__")
    shutil.copytree(ROOT / "skmultireduce", source / "skmultireduce", ignore=kept)
    for path in (source / "skmultireduce" / "_kernels").glob("*.c"):
        path.unlink()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    options = []
    python = Path(sys.executable)
    if oldest:
        python = environment(home / "build-oldest")
        call(python, "-m", "pip", "install", "-q", *OLDEST_BUILD)
        options = ["--no-build-isolation"]
    wheels = source / "wheels"
    call(
        python, "-m", "pip", "wheel", "-q", "--no-deps", *options, "-w", wheels, ".", cwd=source
    )  # fmt: skip
    return next(wheels.glob("*.whl"))


def test(name: str, wheel: Path, home: Path, arguments: list[str]) -> tuple[int, str]:
    """Run the tests with the installed wheel; return the exit code and pytest's last line."""
    python = environment(home / name)
    pip = [python, "-m", "pip", "install", "-q"]
    call(*pip, *VERSIONS[name])
    call(*pip, "--no-deps", "--force-reinstall", wheel)
    listed = subprocess.run(
        [python, "-m", "pip", "list"], check=True, capture_output=True, text=True
    ).stdout
    found = dict(re.findall(r"^(\S+)\s+(\S+)", listed, re.M))
    print(name, *(f"{p} {found[p]}" for p in SHOWN.split() if p in found), sep="  ", flush=True)
    here = home / f"run-{name}"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    shutil.copytree(ROOT / "tests", here / "tests")
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, here)
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments,
         "--pyargs", "tests", "skmultireduce"],
        cwd=here, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    return process.wait(), last


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
    results = {}
    wheels: dict[bool, Path] = {}
    try:
        for name in names:
            begin = time.perf_counter()
            oldest = name == "oldest"
            if oldest not in wheels:
                wheels[oldest] = build(home, oldest=oldest)
            code, last = test(name, wheels[oldest], home, arguments)
            results[name] = code, f"{last}  ({time.perf_counter() - begin:.0f} s with set-up)"
    finally:
        if not kept:
            shutil.rmtree(home, ignore_errors=True)
    print()
    for name, (_, line) in results.items():
        print(f"{name:8s} {line}")
    sys.exit(max(code for code, _ in results.values()))


if __name__ == "__main__":
    main()
