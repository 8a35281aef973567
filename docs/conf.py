"""Configuration of the documentation.

Build it with ``python -m sphinx -W -b html docs docs/_build/html``; nothing needs a network.
"""

from __future__ import annotations

import logging
import re
import sys
import tomllib
from html import escape
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from docutils import nodes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
# "python -m sphinx" looks into the source tree first; without compiled kernels there, the
# installed package is meant.
KERNELS = ROOT / "skmultireduce" / "_kernels"
if not any((KERNELS / f"linear{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

import _benchmarks  # noqa: E402

import skmultireduce  # noqa: E402

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = "skmultireduce"
author = "The skmultireduce developers"
copyright = author  # noqa: A001
version = release = skmultireduce.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "_mathml",
    "_statements",
    "_breaks",
    "_live",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "notebooks", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
# Their examples run when the site is built, and show what they print.
live_pages = ["start", "guide/deploy", "guide/pitfalls"]

# --- text
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_math_renderer = "mathml"

# --- API
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# --- links to other projects, where they can be reached
intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable", None),
    "numpy": ("https://numpy.org/doc/stable", None),
}
intersphinx_timeout = 5

# --- gallery
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    # The page of the gallery has groups of its own.
    "copyfile_regex": r"index\.rst",
    "within_subsection_order": "_gallery.order",
    "minigallery_sort_order": "_gallery.order",
    "thumbnail_size": (720, 504),
    "doc_module": ("skmultireduce",),
    "backreferences_dir": "generated/backreferences",
    "write_computation_times": False,
    # What calls of matplotlib return is no output.
    "ignore_repr_types": r"matplotlib\.",
    "reset_modules": ("_gallery.reset",),
    "image_srcset": ["2x"],
    "image_scrapers": ("matplotlib",),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "plot_gallery": True,
    "abort_on_example_error": False,
}

# --- looks
html_theme = "pydata_sphinx_theme"
html_title = "skmultireduce"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_sidebars = {name: [] for name in ("index", "start", "legitimate", "benchmarks")}
html_theme_options = {
    "logo": {
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "text": "skmultireduce",
        "alt_text": "",
    },
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
# The link to the repository is the package's own.
REPOSITORY = PYPROJECT.get("urls", {}).get("Repository")
if REPOSITORY:
    html_theme_options["icon_links"] = [
        {"name": "Repository", "url": REPOSITORY, "icon": "fa-solid fa-code-branch"}
    ]


class _Quieter(logging.Filter):
    """An inventory that cannot be fetched costs links, not the build."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.WARNING:
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def _describe(app: Any, name: str, template: str, context: dict, doctree: Any) -> None:
    """Say what a page is about: by its first paragraph, where its source does not."""
    if doctree is None:
        return
    told = context.get("metatags", "")
    stated = re.search(r'content="([^"]*)" name="description"', told)
    first = next((node.astext() for node in doctree.findall(nodes.paragraph)), "")
    text = stated.group(1) if stated else escape(re.sub(r"\s+", " ", first)[:300], quote=True)
    title = escape(re.sub(r"<[^>]+>", "", context.get("title", project)), quote=True)
    tags = [("property", "og:title", title), ("property", "og:description", text)]
    tags += [] if stated else [("name", "description", text)]
    context["metatags"] = told + "".join(
        f'\n<meta {kind}="{key}" content="{value}" />' for kind, key, value in tags
    )


def setup(app: Any) -> None:
    """Write the pages that are made of other files."""
    for name in ("", "._load", "._resolve"):
        logging.getLogger(f"sphinx.sphinx.ext.intersphinx{name}").addFilter(_Quieter())
    _benchmarks.write(ROOT / "benchmarks" / "results", HERE / "generated")
    app.connect("html-page-context", _describe)
