"""The documentation: every public name is in it, and every example in it runs."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import skmultireduce

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MODULES = [
    "skmultireduce",
    "skmultireduce.checkpoint",
    "skmultireduce.diagnosis",
    "skmultireduce.datasets",
    "skmultireduce.inspection",
    "skmultireduce.metrics",
    "skmultireduce.model_selection",
    "skmultireduce.onnx",
    "skmultireduce.plotting",
    "skmultireduce.text",
]
# Modules that cannot be imported without an optional package.
NEEDS = {"skmultireduce.dask": "distributed"}
if find_spec(NEEDS["skmultireduce.dask"]):
    MODULES.append("skmultireduce.dask")
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("*/*.md"))]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="needs the source tree")


def public_objects():
    """Every public class and function once, with its methods."""
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing):
                continue
            found[name] = thing
            if inspect.isclass(thing):
                for method, function in inspect.getmembers(thing, inspect.isroutine):
                    ours = (getattr(function, "__module__", "") or "").startswith("skmultireduce")
                    if ours and not method.startswith("_"):
                        found[f"{name}.{method}"] = function
    return found


PUBLIC = public_objects()


def documented_parameters(thing):
    """Names in the sections of parameters of a numpydoc docstring."""
    text = inspect.getdoc(thing) or ""
    names = set()
    for section in ("Parameters", "Other Parameters", "Attributes"):
        match = re.search(rf"(?:^|\n){section}\n-+\n(.*?)(?=\n\w[\w ]*\n-{{3,}}|\Z)", text, re.S)
        if match:
            for line in re.findall(r"^(\*{0,2}[A-Za-z_][^\n]*)$", match.group(1), re.M):
                names |= {part.strip(" *") for part in line.split(":")[0].split(",")}
    return names


def own_parameters(thing):
    names = list(inspect.signature(thing).parameters)
    return [name for name in names if name not in ("self", "cls")]


def api_names():
    """Entries of the autosummary tables, with the module in front."""
    entries, module = set(), ""
    for line in (DOCS / "api" / "index.rst").read_text().splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split("::")[1].strip()
        elif re.fullmatch(r"   [A-Za-z_.0-9]+", line):
            entries.add(f"{module}.{line.strip()}")
    return entries


def test_modules_are_listed_here():
    """A new public module must not escape."""
    for path in Path(skmultireduce.__file__).parent.glob("[!_]*.py"):
        name = f"skmultireduce.{path.stem}"
        if name in MODULES or name in NEEDS:
            continue
        module = importlib.import_module(name)
        for name in getattr(module, "__all__", []):
            assert name in skmultireduce.__all__, f"{path.stem}.{name} is in no list of names"


@pytest.mark.parametrize("module_name", MODULES)
def test_every_public_name_is_in_the_api_reference(module_name):
    entries = api_names()
    short = {entry.rsplit(".", 1)[1] for entry in entries}
    text = (DOCS / "api" / "index.rst").read_text()
    for name in importlib.import_module(module_name).__all__:
        assert name in short or f"``skmultireduce.{name}``" in text, name


def test_the_api_reference_has_nothing_else():
    for entry in api_names():
        module, name = entry.rsplit(".", 1)
        if module in NEEDS and module not in MODULES:
            continue
        assert name in importlib.import_module(module).__all__, entry


def test_from_a_frame_to_tags_in_15_lines():
    page = (DOCS / "guide" / "names.md").read_text()
    _, code, *_ = re.findall(r"^```pycon\n(.*?)^```$", page, re.S | re.M)
    assert len(re.findall(r"^(?:>>>|\.\.\.) ", code, re.M)) <= 15


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_parameter_is_documented(name):
    thing = PUBLIC[name]
    if name in skmultireduce.__all__ or "." not in name:
        assert inspect.getdoc(thing), f"{name} has no docstring"
    missing = set(own_parameters(thing)) - documented_parameters(thing)
    assert not missing, f"{name} does not document {sorted(missing)}"


@pytest.mark.parametrize("name", sorted(name for name in PUBLIC if "." not in name))
def test_nothing_is_documented_that_does_not_exist(name):
    thing = PUBLIC[name]
    text = inspect.getdoc(thing)
    match = re.search(r"(?:^|\n)Parameters\n-+\n(.*?)(?=\n\w[\w ]*\n-{3,}|\Z)", text, re.S)
    if not match:
        return
    lines = re.findall(r"^(\*{0,2}[A-Za-z_][^\n]*) :", match.group(1), re.M)
    names = {part.strip(" *") for line in lines for part in line.split(",")}
    assert names <= set(own_parameters(thing))


def blocks(page):
    """Its ``pycon`` blocks as one text."""
    return "".join(re.findall(r"^```pycon\n(.*?)^```$", page.read_text(), re.S | re.M))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem
)
def test_examples_of_the_pages_run(page):
    parsed = doctest.DocTestParser().get_doctest(blocks(page), {}, page.stem, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    output = []
    result = runner.run(parsed, out=output.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(output)


def test_example_of_the_readme_runs(capsys):
    codes = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)
    assert codes
    for code in codes:
        exec(code, {})
    assert 0 < float(capsys.readouterr().out) < 1


def test_prompts_stand_in_blocks_that_run():
    """A prompt elsewhere would be an example that nothing checks."""
    for page in PAGES:
        outside = re.sub(r"^```pycon\n.*?^```$", "", page.read_text(), flags=re.S | re.M)
        assert ">>> " not in outside, page


def test_pages_are_part_of_a_table_of_contents():
    named = set()
    for page in PAGES:
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.S):
            lines = [line for line in tree.splitlines() if line and not line.startswith(":")]
            named |= {(page.parent / line).with_suffix(".md") for line in lines}
    for page in PAGES:
        if page != DOCS / "index.md" and page.parent.name not in ("auto_examples", "_build"):
            assert page in named, page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_have_no_outputs(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs"), "run jupyter nbconvert --clear-output --inplace"
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# The client's event loop, not our code.
@pytest.mark.filterwarnings("ignore")
def test_notebooks_run(path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(Path(skmultireduce.__file__).parents[1]))
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert all(cell.outputs for cell in notebook.cells if "print(" in cell.source)


def test_statements_of_the_appendix_have_a_test():
    stated = re.findall(r"\*\*(\d+\.\d+[a-z]?)", (DOCS / "appendix.md").read_text())
    files = ("test_theory.py", "test_promises.py", "test_intervals.py", "test_missing_labels.py")
    tests = "".join((Path(__file__).parent / name).read_text() for name in files)
    tested = {f"{a}.{b}" for a, b in re.findall(r"def test_(\d+)_(\d+[a-z]?)_", tests)}
    # Parts of 3.4 are tested on their own.
    untested = {number for number in stated if not any(t.startswith(number) for t in tested)}
    assert len(set(stated)) > 70
    assert untested == {"2.4", "8.2", "9.1"}


def test_gallery_has_groups():
    """An example that is not named there would be on no page."""
    text = (DOCS / "examples" / "index.rst").read_text()
    for path in (DOCS / "examples").glob("plot_*.py"):
        assert f"   examples/{path.name}\n" in text, path.name
        assert f"   {path.stem}\n" in text, path.stem


@pytest.fixture
def figures(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("_figures")


@pytest.fixture
def compared():
    return json.loads((ROOT / "benchmarks" / "results" / "compare.json").read_text())


def test_readme_shows_the_stored_results(figures, compared):
    remedy = "run python docs/_figures.py"
    readme = (ROOT / "README.md").read_text()
    assert figures.readme_text(compared, readme) == readme, remedy
    stored = (DOCS / "images" / "speed_and_quality.svg").read_text()
    assert figures.readme_figure(compared) == stored, remedy


def test_claims_of_the_front_page_are_stored_figures(figures, compared):
    """Sentences of docs/index.md beside its figure; change them where this fails."""

    def named(set_name):
        rows = figures.fastest(compared, set_name)
        return {figures.short(row["contender"]): row for row in rows}

    cooking, imports = map(named, figures.FRONT_SETS)
    ours = "one_vs_rest, squared hinge"
    assert abs(cooking[ours]["J*"] - cooking["scikit-learn LinearSVC"]["J*"]) < 0.005
    best = sorted(imports, key=lambda name: imports[name]["J*"], reverse=True)
    assert best[:2] == [ours, "omikuji 3 trees"]
    assert any(
        rows["omikuji 3 trees"]["J*"] > rows[ours]["J*"]
        for rows in map(named, figures.real_sets(compared))
    )
    for rows in (cooking, imports):
        for peer in ("omikuji 3 trees", "napkinXC PLT"):
            assert rows[peer]["memory_mb"] < rows[ours]["memory_mb"]


def test_figures_have_the_colours_of_the_style_sheet(figures):
    style = (DOCS / "_static" / "site.css").read_text()
    for i, family in enumerate(figures.FAMILIES):
        for colour in figures.COLOURS[family]:
            assert f"--f{i}: {colour};" in style


def test_names_beside_points_do_not_overlap(figures, compared):
    for name in figures.real_sets(compared):
        items = figures.points(compared, name)
        for size in (figures.WIDE, figures.NARROW):
            frame = figures.frame_of(items, size)
            boxes = figures.place(
                [frame.at(p.x, p.y) for p in items], [p.name for p in items], frame
            )
            for i, box in enumerate(boxes):
                assert all(figures.overlap(box, other) == 0 for other in boxes[:i]), name
                assert box[0] >= 0, name
                assert box[2] <= size.width, name
