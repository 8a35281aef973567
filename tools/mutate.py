"""Change the package in one place at a time, and see whether a test notices.

Usage: python tools/mutate.py --state FILE [--kernels] [--count N] [--seed N] [--minutes N]
       python tools/mutate.py --state FILE --survivors

A mutation is another comparison, constant, operator or condition, a statement or an early return
that is left out. It is made in a copy of the tree, and the tests of its module run until one
fails: of Python, those that call the function. What is done is kept in the state file, and
beside it what tests call: a call with the same file goes on. Of what no test notices, some
changes nothing that can be seen; the rest is untested. Needs the test requirements and fork;
slow, and not part of CI.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "skmultireduce"

# Of the tests of a file that call a function, so many run at most, from the first to the last.
MOST_TESTS = 300

# Tests of modules, by the begin of their names; the longest counts. The quick ones come first.
TESTS = {
    "_callbacks": "callbacks",
    "_command": "command",
    "_cutoff": "cutoff candidates threshold model_search metrics_curve theory",
    "_cutoff/certify": "promises theory",
    "_cutoff/estimator": "label_names threshold candidates predictions cutoff",
    "_cutoff/folds": "endings threshold model_search inner_fits",
    "_cutoff/intervals": "intervals",
    "_cutoff/model_search": "model_search",
    "_cutoff/places": "metrics_of_many_labels ranking_metrics",
    "_cutoff/promises": "promises theory",
    "_cutoff/report": "metrics_of_many_labels intervals",
    "_cutoff/rule": "threshold plotting candidates promises",
    "_cutoff/score_map": "cutoff candidates promises threshold",
    "_cutoff/scores": "cutoff candidates intervals threshold",
    "_cutoff/strategies": "missing_labels promises candidates threshold model_search",
    "_data": "validation label_sets label_forms linear feature_scaling hostile",
    "_data/distinct": "distinct stream linear",
    "_data/endings": "endings",
    "_data/feature_scaling": "feature_scaling offsets defaults golden",
    "_data/hashing": "sampling distinct stream",
    "_data/inner_fits": "inner_fits label_lists threshold reduction",
    "_data/label_forms": "label_forms label_sets label_lists",
    "_data/label_names": "label_names label_lists",
    "_data/label_sets": "label_sets label_forms linear",
    "_data/notices": "notices",
    "_data/rows": "validation linear offsets stream hostile",
    "_data/score_matrix": "candidates predictions",
    "_data/sparse": "hostile validation",
    "_data/stratify": "model_selection",
    "_datasets": "datasets block_readers fasttext extreme",
    "_inspection": "inspection hostile",
    "_model_files": "model_files persistence",
    "_models": "linear_kernel golden models linear neural",
    "_models/dense": "dense_kernel linear offsets golden",
    "_models/label": "tree model_files",
    "_models/network": "mlp_kernel golden neural models",
    "_models/pruning": "models linear persistence",
    "_models/threads": "threads free_threading",
    "_models/word_vectors": "embeddings neural",
    "_reductions": "sampling golden reduction linear theory",
    "_reductions/candidates": "sampling neural mlp_kernel",
    "_reductions/class_table": "reduction theory persistence",
    "_reductions/fmeasure": "fmeasure reduction",
    "_reductions/table": "table linear reduction",
    "_state": "persistence golden form_1",
    "_text": "text text_kernel",
    "_text/fasttext": "fasttext_model",
    "_training": "golden linear stream early_stopping schedule neural models predictions",
    "_training/arrivals": "stream defaults linear",
    "_training/estimator": "golden linear stream early_stopping neural persistence predictions",
    "_training/form_1": "form_1 golden",
    "_training/label_trees": "tree",
    "_training/outputs": "predictions candidates linear inspection",
    "_training/schedule": "schedule golden linear",
    "_training/stream": "stream block_readers",
    "checkpoint": "checkpoint",
    "datasets": "datasets",
    "diagnosis": "diagnosis",
    "inspection": "inspection",
    "label_lists": "label_lists",
    "linear": "golden linear models persistence",
    "metrics": "metrics_curve ranking_metrics metrics_of_many_labels intervals",
    "model_selection": "model_selection",
    "neural": "neural embeddings",
    "persistence": "persistence model_files",
    "plotting": "plotting",
    "reduction": "reduction fmeasure candidates",
    "text": "text fasttext_model",
    "threshold": "threshold label_names model_search predictions sklearn_api",
    "tree": "tree endings",
}
# Cluster and export need services or packages that make them too slow for this.
LEFT_OUT = ("_cluster", "dask", "onnx", "__main__", "__init__", "_version", "_sklearn", "_kernels")
KERNEL_TESTS = {
    "cutoff": "cutoff candidates",
    "dense": "dense_kernel",
    "linear": "linear_kernel",
    "mlp": "mlp_kernel neural",
    "stratify": "model_selection",
    "text": "text_kernel text fasttext fasttext_model",
    "tree": "tree",
}
# Of what is included in several modules, the one that is compiled.
USERS = {
    "candidates": "mlp", "embeddings": "mlp", "hidden": "mlp", "output_layer": "mlp",
    "products": "mlp", "shares": "mlp", "losses": "linear", "panels": "linear", "rows": "linear",
    "tree_clusters": "tree", "tree_search": "tree", "tree_training": "tree",
}  # fmt: skip

SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
}  # fmt: skip


# ------------------------------------------------------------------------------ Python
def places(tree: ast.Module) -> list[tuple[ast.AST, str, int]]:
    """Nodes of functions that can be mutated, how, and the first line of the function."""
    found = []
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        first = min(node.lineno for node in (function, *function.decorator_list))
        for node in own_nodes(function):
            if isinstance(node, ast.Compare | ast.BoolOp | ast.BinOp):
                operator = node.ops[0] if isinstance(node, ast.Compare) else node.op
                if type(operator) in SWAPS:
                    found.append((node, "operator", first))
            elif isinstance(node, ast.Constant):
                if isinstance(node.value, bool | int | float):
                    found.append((node, "constant", first))
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
                found.append((node, "sign", first))
            elif isinstance(node, ast.If | ast.IfExp | ast.While):
                found.append((node, "condition", first))
                if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return):
                    found.append((node, "early return", first))
            elif isinstance(node, ast.Expr | ast.AugAssign) and not isinstance(
                getattr(node, "value", None), ast.Constant
            ):
                found.append((node, "statement", first))
    return found


def own_nodes(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Nodes of the body but those of functions inside, annotations, and what is raised."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Raise | ast.JoinedStr):
            continue
        yield node
        waiting += [
            child
            for name, value in ast.iter_fields(node)
            if name != "annotation"
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST)
        ]


def mutate(node: ast.AST, how: str) -> str:
    """Change a node in place; say what was done."""
    before = ast.unparse(node).splitlines()[0]
    if how == "operator":
        if isinstance(node, ast.Compare):
            node.ops[0] = SWAPS[type(node.ops[0])]()
        else:
            node.op = SWAPS[type(node.op)]()
    elif how == "constant":
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif how == "sign":
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif how == "condition":
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif how == "early return":
        node.body = [ast.Pass()]
    else:
        vars(node).update(value=ast.Constant(None))
        if isinstance(node, ast.AugAssign):
            node.op, node.value = ast.Add(), ast.Constant(0)
    return f"{how}: {before} -> {ast.unparse(node).splitlines()[0]}"


def python_mutation(path: Path, draw: random.Random) -> tuple[str, int, str, int] | None:
    """Source with a mutation, its line, what it is, and the first line of its function."""
    tree = ast.parse(path.read_text())
    found = places(tree)
    if not found:
        return None
    node, how, first = draw.choice(found)
    line = node.lineno
    said = mutate(node, how)
    return ast.unparse(ast.fix_missing_locations(tree)), line, said, first


# ----------------------------------------------------------------------------- kernels
EDITS = [
    (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "),
    (r" != ", " == "), (r" \+ ", " - "), (r" - ", " + "), (r" \* ", " + "), (r" \+= ", " -= "),
    (r" -= ", " += "), (r" and ", " or "), (r" or ", " and "), (r"\bnot ", ""),
    (r"\b0\b(?!\.)", "1"), (r"\b1\b(?!\.)", "2"), (r"\bTrue\b", "False"),
]  # fmt: skip


def kernel_mutation(path: Path, draw: random.Random) -> tuple[str, int, str, int] | None:
    """The same of a file that Cython compiles: an edit of one line in a function's body."""
    lines = path.read_text().splitlines()
    choices = []
    quoted = signature = False
    for number, line in enumerate(lines):
        text = line.strip()
        if text.count('"""') % 2:
            quoted = not quoted
            continue
        if re.match(r"\s*(cdef|cpdef|def) .*\(", line):
            signature = not text.endswith(":")
            continue
        if signature:
            signature = not text.endswith(":")
            continue
        skipped = quoted or text.startswith(("#", '"', "cdef", "ctypedef", "raise", 'f"', "from"))
        if skipped or not line.startswith("    ") or " extern " in line:
            continue
        for pattern, new in EDITS:
            for match in re.finditer(pattern, line):
                if "#" not in line[: match.start()]:
                    choices.append((number, match.span(), new))
    if not choices:
        return None
    number, (start, stop), new = draw.choice(choices)
    before = lines[number]
    lines[number] = before[:start] + new + before[stop:]
    return "\n".join(lines) + "\n", number + 1, f"{before.strip()} -> {lines[number].strip()}", 0


def compile_kernel(copy_root: Path, module: str) -> bool:
    """Compile one module of the copy; False if that fails."""
    code = (
        "from setuptools import Extension, setup\nfrom Cython.Build import cythonize\n"
        f"setup(ext_modules=cythonize([Extension('skmultireduce._kernels.{module}', "
        f"['skmultireduce/_kernels/{module}.pyx'], include_dirs=['skmultireduce/_kernels'])], "
        "compiler_directives={'language_level': '3', 'wraparound': False, 'cdivision': True}, "
        "force=True, quiet=True))"
    )
    # Without variants of loops, but with our own products, of which tests ask the MLP's module.
    flags = "-O1 -g0 -fopenmp-simd -fno-math-errno -fno-trapping-math -DSKM_CLONES="
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "build_ext", "--inplace", "--force"],
        cwd=copy_root,
        env={**os.environ, "CFLAGS": flags},
        capture_output=True,
    )
    return done.returncode == 0


# --------------------------------------------------------------------------------- runs
def preload() -> None:
    """Import what every run needs, once; runs are forks."""
    import hypothesis  # noqa: F401
    import numpy as np  # noqa: F401
    import pytest  # noqa: F401
    import scipy.sparse  # noqa: F401
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.model_selection
    import sklearn.multiclass
    import sklearn.pipeline  # noqa: F401


class Calls:
    """A plugin of pytest that finds which functions of the package each test of a file calls."""

    def __init__(self, package: Path) -> None:
        self.package = f"{package}{os.sep}"
        # What fixtures call, and imports, may be of use for any test.
        self.shared: set[str] = set()
        self.own: dict[str, set[str]] = {}
        self.now = self.shared

    def trace(self, frame: Any, event: str, arg: Any) -> None:
        """Of a call; returns None, so that lines are not traced."""
        code = frame.f_code
        if code.co_filename.startswith(self.package):
            name = code.co_filename.removeprefix(self.package)
            self.now.add(f"{name}:{code.co_firstlineno}")

    def pytest_runtest_call(self, item: Any) -> None:
        """What follows, the test calls."""
        self.now = self.own.setdefault(item.nodeid, set())

    def pytest_runtest_teardown(self) -> None:
        """What follows, fixtures call."""
        self.now = self.shared

    def result(self) -> dict:
        """Tests, and for each function the numbers of those that call it."""
        functions = {name: list(range(len(self.own))) for name in self.shared}
        for number, names in enumerate(self.own.values()):
            for name in names - self.shared:
                functions.setdefault(name, []).append(number)
        return {"tests": list(self.own), "functions": functions}


class Chosen:
    """A plugin of pytest: only some tests run."""

    def __init__(self, tests: list[str]) -> None:
        self.tests = set(tests)

    def pytest_collection_modifyitems(self, items: list) -> None:
        """Leave out all others."""
        items[:] = [item for item in items if item.nodeid in self.tests]


def run_tests(
    root: Path, files: dict[str, list[str] | None], seconds: float, *, trace: bool = False
) -> tuple[str, float]:
    """Whether tests notice: "failed", "passed", or "time" if it took too long.

    Of each file all tests run, or some. A trace goes into the file "calls", and is for one file.
    """
    begin = time.monotonic()
    pid = os.fork()
    if not pid:
        os.setsid()
        os.chdir(root)
        null = os.open(str(root / "output"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for number in (0, 1, 2):
            os.dup2(null, number)
        sys.path[:0] = [str(root), str(root / "tests")]
        os.environ["PYTHONPATH"] = str(root)
        import pytest

        code = 99
        calls = Calls(root / PACKAGE.name)
        if trace:
            threading.settrace(calls.trace)
            sys.settrace(calls.trace)
        try:
            options = "-x -q -p no:cacheprovider -p no:xdist"
            options += " -W ignore::pytest.PytestAssertRewriteWarning"
            # One after the other: the first may fail before the others are read.
            for file, tests in files.items():
                plugins = [calls] if trace else [] if tests is None else [Chosen(tests)]
                code = pytest.main([*options.split(), file], plugins)
                if code not in (0, 5):  # 5: none was chosen
                    break
            code = 0 if code == 5 else code
            sys.settrace(None)
            if trace:
                (root / "calls").write_text(json.dumps(calls.result()))
        except BaseException as error:
            print(repr(error))
        finally:
            sys.stdout.flush()
            os._exit(int(code))
    while time.monotonic() - begin < seconds:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            passed = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
            return ("passed" if passed else "failed"), time.monotonic() - begin
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "time", time.monotonic() - begin


class Usual:
    """How tests run without a mutation: their seconds, and which of them call what.

    Kept in a file, since that takes long.
    """

    def __init__(self, path: Path, root: Path, *, trace: bool) -> None:
        self.path, self.root, self.trace = path, root, trace
        self.known = json.loads(path.read_text()) if path.exists() else {}

    def of_file(self, file: str) -> dict:
        """Seconds, -1 if tests fail; tests of each function, or None."""
        text = zlib.crc32((self.root / file).read_bytes())
        if self.known.get(file, {}).get("text") != text:
            outcome, seconds = run_tests(self.root, {file: None}, 900, trace=self.trace)
            calls = None
            if outcome == "passed" and self.trace:
                calls = json.loads((self.root / "calls").read_text())
            elif outcome != "passed":
                print(
                    f"{file} fails without a mutation", (self.root / "output").read_text()[-2000:]
                )
                seconds = -1
            self.known[file] = {"text": text, "seconds": seconds, "calls": calls}
            self.path.write_text(json.dumps(self.known))
        return self.known[file]

    def tests(self, files: list[str], function: str) -> tuple[dict[str, list[str] | None], float]:
        """Tests that call a function, all if none does; about how long they take."""
        chosen, seconds = {}, 0.0
        found = {file: self.of_file(file) for file in files}
        found = {file: one for file, one in found.items() if one["seconds"] >= 0}
        for file, one in found.items():
            numbers = one["calls"]["functions"].get(function) if one["calls"] else None
            if numbers:
                step = -(-len(numbers) // MOST_TESTS)
                chosen[file] = [one["calls"]["tests"][k] for k in numbers[::step]]
                seconds += one["seconds"] * len(chosen[file]) / len(one["calls"]["tests"])
        if not chosen:
            chosen = dict.fromkeys(found)
            seconds = sum(one["seconds"] for one in found.values())
        return chosen, seconds


def tests_of(path: Path) -> list[str]:
    """Test files of a module."""
    if "_kernels" in path.parts:
        names = KERNEL_TESTS[USERS.get(path.stem, path.stem)] + " kernel_buffers"
    else:
        module = path.relative_to(PACKAGE).with_suffix("").as_posix()
        names = TESTS[max((n for n in TESTS if module.startswith(n)), key=len)]
    return [f"tests/test_{name}.py" for name in names.split()]


def targets(kernels: bool) -> list[Path]:
    """Files to mutate."""
    if kernels:
        found = sorted((PACKAGE / "_kernels").glob("*.p[xy][xd]"))
        return [path for path in found if USERS.get(path.stem, path.stem) in KERNEL_TESTS]
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if not path.relative_to(PACKAGE).as_posix().startswith(LEFT_OUT)
        and path.name != "__init__.py"
    ]


def main() -> int:
    """Mutate, or show what was not noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=Path, required=True, help="file with what is done")
    parser.add_argument("--kernels", action="store_true", help="Cython instead of Python")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--again", action="store_true", help="run what was not noticed again")
    parser.add_argument("--survivors", action="store_true", help="show what was not noticed")
    parser.add_argument("--only", default="", help="files whose path contains this")
    args = parser.parse_args()
    done = json.loads(args.state.read_text()) if args.state.exists() else []
    if args.survivors:
        for one in done:
            if one["outcome"] == "passed":
                print(f"{one['number']:4} {one['file']}:{one['line']}: {one['what']}")
        print(Counter(one["outcome"] for one in done))
        return 0
    end = time.monotonic() + 60 * args.minutes
    preload()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("skmultireduce", "tests", "docs"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("*.c"))
        for name in ("conftest.py", "pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, root)
        files = [path for path in targets(args.kernels) if args.only in str(path)]
        weights = [len(places(ast.parse(f.read_text()))) if not args.kernels else
                   len(f.read_text()) for f in files]  # fmt: skip
        usual = Usual(args.state.with_suffix(".tests"), root, trace=not args.kernels)
        known = {one["number"]: one for one in done}
        for number in range(args.count):
            before = known.get(number)
            if before and not (args.again and before["outcome"] == "passed"):
                continue
            draw = random.Random(f"{args.seed} {number} {args.kernels}")
            path = draw.choices(files, weights)[0]
            made = (kernel_mutation if args.kernels else python_mutation)(path, draw)
            if made is None:
                continue
            if time.monotonic() > end:
                break
            source, line, what, first = made
            module = USERS.get(path.stem, path.stem)
            files_of = tests_of(path)
            if args.kernels and not usual.known.keys() >= set(files_of):
                compile_kernel(root, module)  # as with mutations
            function = f"{path.relative_to(PACKAGE).as_posix()}:{first}"
            tests, expected = usual.tests(files_of, function)
            if not tests:
                continue
            copied = root / path.relative_to(ROOT)
            whole = copied.read_bytes()
            binaries = list((root / "skmultireduce/_kernels").glob(f"{module}.*.so"))
            kept = {binary: binary.read_bytes() for binary in binaries} if args.kernels else {}
            copied.write_text(source)
            if args.kernels and not compile_kernel(root, module):
                outcome, seconds = "not compiled", 0.0
            else:
                outcome, seconds = run_tests(root, tests, 20 + 4 * expected)
            copied.write_bytes(whole)
            for binary, content in kept.items():
                binary.unlink()
                binary.write_bytes(content)
            known[number] = {
                "number": number,
                "file": path.relative_to(ROOT).as_posix(),
                "line": line,
                "what": what,
                "outcome": outcome,
                "seconds": round(seconds, 1),
            }
            done = sorted(known.values(), key=lambda one: one["number"])
            args.state.write_text(json.dumps(done))
            print(
                f"{number:4} {outcome:8} {seconds:5.1f} s  {path.name}:{line}: {what}", flush=True
            )
    print(Counter(one["outcome"] for one in known.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
