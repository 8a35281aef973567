"""Imports go one way, from room to room of the house, and never in a circle."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skmultireduce

PACKAGE = Path(skmultireduce.__file__).parent
LAYERS = [
    {"_sklearn", "_callbacks", "_version"},
    {"_kernels"},
    {"_data", "_state"},
    {"_reductions", "_cutoff", "_datasets"},
    {"_models", "_text"},
    {"_training", "_inspection"},
    {"linear", "neural", "reduction", "threshold", "metrics", "model_selection", "datasets",
     "inspection", "diagnosis", "text", "tree",
     "label_lists", "checkpoint"},
    {"plotting", "onnx", "_cluster", "_model_files"},
    {"dask", "persistence"},
    {"_command"},
    {"__main__", "__init__"},
]  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    """Dotted name of a file inside the package; a folder's ``__init__`` is the folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def module_of(name):
    """The module of the package that a dotted name is, or is in."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        if ".".join(parts[:n]) in NAMES:
            return ".".join(parts[:n])
    # A compiled module, which Python files of the package know by its folder.
    return parts[0]


def imported(path):
    """Modules of the package that a file imports, wherever in the file."""
    found = set()
    package = path.relative_to(PACKAGE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
            module = ".".join(part for part in base if part)
            for alias in node.names:
                whole = ".".join(part for part in (module, alias.name) if part)
                found.add(module_of(whole) if whole in NAMES else module_of(module or "__init__"))
        elif isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("skmultireduce"), "imports are relative"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                assert not alias.name.startswith("skmultireduce"), "imports are relative"
    return found - {name_of(path)}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    room = name_of(path).split(".")[0]
    for other in imported(path):
        assert LEVEL[other.split(".")[0]] <= LEVEL[room], f"{name_of(path)} imports {other}"


def test_no_circles():
    order = TopologicalSorter({name_of(path): imported(path) for path in MODULES})
    assert len(list(order.static_order())) >= len(MODULES)


def test_private_names_of_scikit_learn_come_through_one_door():
    for path in MODULES:
        if name_of(path) == "_sklearn":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                parts = node.module.split(".") + [alias.name for alias in node.names]
                assert not [part for part in parts if part[0] == "_" or part == "callback"], path


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
        "import sys, skmultireduce._sklearn; before = set(sys.modules);"
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
    for path in MODULES:
        assert "dask" not in imported(path), path.name
