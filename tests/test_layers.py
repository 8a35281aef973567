"""Imports go one way: estimators, then the small modules, then the kernels."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skmultireduce

PACKAGE = Path(skmultireduce.__file__).parent
LAYERS = [
    {"_kernels"},
    {"_naming", "_sparse", "_state", "_threads",
     "_label_sets", "_validation", "_sampling", "_schedule", "_cutoff", "_targets", "_stratify",
     "_ranking_metrics", "_fmeasure", "_fasttext_format", "_block_readers",
     "_python_imports", "_label_set_laws"},
    {"_stream"},
    {"_base"},
    {"linear", "neural", "reduction", "threshold", "metrics", "model_selection", "datasets",
     "inspection", "diagnosis", "onnx"},
    {"plotting", "dask"},
    {"__main__"},
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# Twins for the tests, and what the public modules are made of.
FREE = {"__init__"}


def imported(path):
    """Names of the package's modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            parts = [*(["skmultireduce"] if node.level else []), *([node.module or ""])]
            module = ".".join(part for part in parts if part)
            names = [module] + [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "skmultireduce" and len(parts) > 1:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_imports_go_one_way(path):
    name = path.stem
    if name in FREE:
        return
    for other in imported(path):
        if name.startswith("_reference"):
            assert other != "plotting"
        elif other in LEVEL:
            assert not other.startswith("_reference"), "twins are for the tests"
            assert LEVEL[other] <= LEVEL.get(name, 1), f"{name} imports {other}"


def test_kernels_import_nothing_of_the_package():
    for path in [*PACKAGE.glob("_kernels/*.pyx"), *PACKAGE.glob("_kernels/*.pxd")]:
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"], ["cimport"]):
                assert "skmultireduce." not in words[1] or "skmultireduce._kernels" in words[1]
                assert "numpy" not in line
                assert "sklearn" not in line


def test_optional_packages_are_imported_late():
    code = (
        # scikit-learn imports rich for its progress bar, if it is there.
        "import sys, sklearn.callback; before = set(sys.modules);"
        "import skmultireduce, skmultireduce.metrics, skmultireduce.plotting;"
        "optional = {'matplotlib', 'rich', 'skl2onnx', 'dask', 'distributed'};"
        "assert not optional & (set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_dask_its_module_names_the_extra():
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "try:\n    import skmultireduce.dask\n"
        "except ImportError as error:\n    assert 'skmultireduce[dask]' in str(error), error\n"
        "else:\n    raise AssertionError('imported')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_imports_the_cluster():
    for path in PACKAGE.glob("*.py"):
        assert "dask" not in imported(path), path.name
