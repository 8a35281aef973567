"""A real multi-label data set that every installation already has: Python source files.

What counts as text and as label is decided here, once, in `_read_file` and `_records`;
the public function selects and packs.
"""

from __future__ import annotations

import ast
import gc
import gzip
import json
import keyword
import os
import re
import sys
import sysconfig
import tempfile
import tokenize
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

from .._data.label_sets import LabelSets
from .._sklearn import Interval, StrOptions, _align_api_if_sparse, validate_params

__all__ = ["load_python_imports"]

_PACKAGES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "joblib": "joblib"}
# Tests, other people's packages, and the generated tables of character sets, which are a
# hundred copies of one file.
_LEFT_OUT = {"__pycache__", "_bundled", "dist-packages", "site-packages"}
_LEFT_OUT |= {"encodings", "pydoc_data", "idle_test", "test", "tests"}
_FORMAT = 1  # of the cached file; raise it when `_records` changes what it returns

# Names in source code, past comments, strings and numbers. A lexer of our own since the
# tokenize module takes 9 s for what this takes 1.5 s for, and since it sees the inside of
# f-strings or not, depending on Python's version; this one never does.
_NAME = re.compile(
    r"""\#[^\n]*
    |[rRbBuUfF]{0,2}(?:
        \"{3}[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"{3}
        |'{3}[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'{3}
        |"[^"\\\n]*(?:\\.[^"\\\n]*)*"
        |'[^'\\\n]*(?:\\.[^'\\\n]*)*')
    |\.?\d[\w.]*
    |([^\W\d]\w*)""",
    re.VERBOSE | re.DOTALL,
)

_DESCR = """\
Python imports
==============

Which modules does a Python file import? Predict it from the names that the file uses.

Rows: the ``.py`` files of the standard library ({python}) and of the installed {packages}.
Left out are folders of tests, the standard library's tables of character sets
(``encodings``), files that Python cannot parse ({n_unreadable} here) and files that import
none of the labels ({n_unlabeled} here).

Text: the identifiers of the file in their order, separated by spaces; no keywords,
comments or strings. Import statements are taken out, and so that the answer is not in the
text, so are

- in each file, all names that its own imports bind (``from x import name as alias``),
- in every file, the names of all top-level modules that any file imports and the names
  that any ``import module as alias`` binds (``numpy``, ``np``). If they went from the
  importing files alone, the names that stayed would tell who does not import them.

What a module's members are called (``arange`` in ``np.arange``) stays: that is what there
is to learn from.

Labels: the top-level modules that the file imports anywhere, also inside of functions
(``from scipy.sparse import linalg`` gives ``scipy``); at least {min_rows} files import each.
A package does not count as imported by its own files, ``__future__`` never counts.

Number of rows: {n_rows}
Number of labels: {n_labels}
Labels a row: {cardinality:.2f}

Two installations have different versions of these files and so different data; within
one, data, order and split do not change.
"""


@validate_params(
    {
        "subset": [StrOptions({"train", "test", "all"})],
        "min_rows": [Interval(Integral, 1, None, closed="left")],
        "data_home": [str, os.PathLike, None],
        "return_X_y": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def load_python_imports(
    *,
    subset: str = "all",
    min_rows: int = 15,
    data_home: str | os.PathLike | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load the modules that Python files import, as multi-label text data.

    An embedded data set of real text: it is made of the source files of the standard
    library, NumPy, SciPy, scikit-learn and joblib as they are installed, so there is
    nothing to download. The first call reads them in a few seconds; later calls take
    the result from scikit-learn's data home.

    ================   ==========================
    rows               one or two thousand
    labels             50 to 100
    labels a row       about 4
    text               identifiers of a file
    ================   ==========================

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="all"
        The rows to load. The split is a fixed one of about 3 : 1 by a checksum of the
        file name.
    min_rows : int, default=15
        A module is a label if this many files (of all, not of `subset`) import it.
    data_home : str or path-like, default=None
        Folder of the cache; by default ``sklearn.datasets.get_data_home()``.
    return_X_y : bool, default=False
        If True, return ``(data, target)``.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the following attributes.

        data : list of str
            Identifiers of each file, separated by spaces.
        target : CSR of shape (n_rows, n_labels), int8
            1 where the file imports the module.
        target_names : ndarray of shape (n_labels,)
            Names of the modules, sorted. The same for every `subset`.
        filenames : ndarray of shape (n_rows,)
            Like ``"stdlib/asyncio/tasks.py"``, sorted.
        n_unreadable : int
            Number of files that Python cannot parse.
        n_unlabeled : int
            Number of files left out since they import none of the labels.
        DESCR : str
            Description of the data set.

    (data, target) : tuple if ``return_X_y`` is True

    Warns
    -----
    UserWarning
        If the cache cannot be written.

    Notes
    -----
    What is taken out of the text so that it does not contain the answer is written in
    ``DESCR``.

    Examples
    --------
    >>> from skmultireduce.datasets import load_python_imports
    >>> imports = load_python_imports(subset="train")
    >>> len(imports.data) == imports.target.shape[0]
    True
    >>> "subprocess" in imports.target_names
    True
    """
    cached = _load(data_home)
    records = cached["records"]
    counts = Counter(module for _, _, modules in records for module in modules)
    names = sorted(module for module, n in counts.items() if n >= min_rows)
    if not names:
        raise ValueError(
            f"No module is imported by min_rows={min_rows} of the {len(records)} files. "
            "Pass a smaller min_rows."
        )
    column = {name: i for i, name in enumerate(names)}
    rows = [
        (filename, text, [column[module] for module in modules if module in column])
        for filename, text, modules in records
    ]
    n_files = len(rows)
    rows = [row for row in rows if row[2]]
    n_unlabeled = n_files - len(rows)
    descr = _DESCR.format(
        python=f"Python {'.'.join(map(str, sys.version_info[:3]))}",
        packages=", ".join(f"{name} {version(name)}" for name in _PACKAGES.values()),
        n_unreadable=cached["n_unreadable"],
        n_unlabeled=n_unlabeled,
        min_rows=min_rows,
        n_rows=len(rows),
        n_labels=len(names),
        cardinality=np.mean([len(labels) for _, _, labels in rows]),
    )
    if subset != "all":
        rows = [row for row in rows if _is_test(row[0]) == (subset == "test")]
    sizes = np.array([len(labels) for _, _, labels in rows], dtype=np.int64)
    label_sets = LabelSets(
        indptr=np.concatenate([[0], np.cumsum(sizes)]),
        indices=np.array([label for row in rows for label in row[2]], dtype=np.int32),
        n_labels=len(names),
    )
    data = [text for _, text, _ in rows]
    target = _align_api_if_sparse(label_sets.to_csr())
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=np.array(names),
        filenames=np.array([filename for filename, _, _ in rows]),
        n_unreadable=cached["n_unreadable"],
        n_unlabeled=n_unlabeled,
        DESCR=descr,
    )


def _is_test(filename: str) -> bool:
    return zlib.crc32(filename.encode("utf-8", "surrogateescape")) % 4 == 0


def _load(data_home: str | os.PathLike | None) -> dict[str, Any]:
    """Get the records from the cache, else from the files."""
    python = ".".join(map(str, sys.version_info[:3]))
    key = [f"python-{python}", *(f"{name}-{version(name)}" for name in _PACKAGES.values())]
    name = f"python_imports-{_FORMAT}-{sys.platform}-{'-'.join(key)}.json.gz"
    try:
        path = Path(get_data_home(data_home)) / "skmultireduce" / name
    except OSError as error:
        _warn_not_cached(error)
        return _records(_roots())
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            cached = json.load(file)
        if cached.get("format") == _FORMAT:
            return cached
    except FileNotFoundError:
        pass
    # A damaged file is written again.
    except (OSError, EOFError, zlib.error, ValueError, AttributeError):
        pass
    cached = _records(_roots())
    try:
        _write(path, cached)
    except OSError as error:
        _warn_not_cached(error)
    return cached


def _warn_not_cached(error: OSError) -> None:
    warnings.warn(
        f"The data set could not be cached ({error}) and will be built again by the next "
        "call. Pass a writable folder as `data_home`, or set SCIKIT_LEARN_DATA.",
        UserWarning,
        stacklevel=5,
    )


def _write(path: Path, cached: dict[str, Any]) -> None:
    """Write all or nothing: other processes may read or write the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as raw, gzip.open(raw, "wt", 6, "ascii") as file:
            json.dump(cached, file)
        os.chmod(temporary, 0o644)  # mkstemp's is for one user, a data home may be shared
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _roots() -> dict[str, Path]:
    """Folder of each package; found without importing it."""
    roots = {"stdlib": Path(sysconfig.get_path("stdlib"))}
    for name in _PACKAGES:
        roots[name] = Path(find_spec(name).submodule_search_locations[0])
    return roots


def _records(roots: dict[str, Path]) -> dict[str, Any]:
    """Read all files.

    Parameters
    ----------
    roots : dict of str to Path
        Folder of each package.

    Returns
    -------
    cached : dict
        ``records``: list of (file name, text, imported top-level modules), sorted;
        ``n_unreadable``: number of files that could not be parsed.
    """
    found = []
    n_unreadable = 0
    files = [(package, root, path) for package, root in roots.items() for path in _files(root)]
    with _no_garbage_collection():
        for package, root, path in files:
            read = _read_file(path)
            if read is None:
                n_unreadable += 1
                continue
            parts = (package, *path.relative_to(root).parts)
            own = parts[1].removesuffix(".py") if package == "stdlib" else package
            found.append((own, "/".join(parts), *read))
    found.sort(key=lambda record: record[1])
    telling = {name for record in found for name in record[3] | record[4]}
    records = []
    for own, filename, names, modules, _, bound in found:
        text = " ".join(name for name in names if name not in bound and name not in telling)
        records.append((filename, text, sorted(modules - {own, "__future__"})))
    return {"format": _FORMAT, "n_unreadable": n_unreadable, "records": records}


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Halve the time of parsing: syntax trees are many objects, but none in cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _files(root: Path) -> list[Path]:
    paths = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _LEFT_OUT]
        paths += [Path(folder, name) for name in files if name.endswith(".py")]
    return paths


def _read_file(path: Path) -> tuple[list[str], set[str], set[str], set[str]] | None:
    """Names and imports of one file.

    Parameters
    ----------
    path : Path
        A Python file.

    Returns
    -------
    names : list of str
        Identifiers outside of import statements, in their order.
    modules : set of str
        Top-level modules of the absolute imports.
    plain : set of str
        Names bound by ``import``.
    bound : set of str
        Names bound by ``from ... import``.

    None if the file cannot be read or parsed.
    """
    try:
        with tokenize.open(path) as file:  # goes by the file's coding line
            source = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's code
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return None
    modules, plain, bound = set(), set(), set()
    statements = _import_statements(tree)
    for node in statements:
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
            plain |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        else:
            if node.level == 0:
                modules.add(node.module.partition(".")[0])
            bound |= {alias.asname or alias.name for alias in node.names}
    names = _NAME.findall(_without(source, statements))
    return [name for name in names if name and not keyword.iskeyword(name)], modules, plain, bound


def _import_statements(tree: ast.Module) -> list[Any]:
    """Return the import statements in their order; goes through statements only, for speed."""
    found = []
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
            continue
        for field in ("body", "orelse", "handlers", "finalbody", "cases"):
            children = getattr(node, field, None)
            if isinstance(children, list):
                stack += children
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _without(source: str, statements: list[Any]) -> str:
    """Return the source with the given statements cut out."""
    lines = source.split("\n")
    for node in reversed(statements):
        # ast counts columns in UTF-8 bytes.
        head = lines[node.lineno - 1].encode()[: node.col_offset]
        tail = lines[node.end_lineno - 1].encode()[node.end_col_offset :]
        lines[node.lineno - 1 : node.end_lineno] = [(head + b" " + tail).decode()]
    return "\n".join(lines)
