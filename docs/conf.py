"""Configuration of the documentation.

Build it with ``python -m sphinx -W -b html docs docs/_build/html``; nothing needs a network.
"""

from __future__ import annotations

import logging
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

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

project = "skmultireduce"
author = "The skmultireduce developers"
copyright = author  # noqa: A001
version = release = skmultireduce.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "_mathml",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "notebooks", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]

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
    "within_subsection_order": "_gallery.order",
    "reset_modules": ("_gallery.reset",),
    "image_srcset": ["2x"],
    "image_scrapers": ("matplotlib",),
    "backreferences_dir": None,
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
html_show_sourcelink = False
html_sidebars = {name: [] for name in ("index", "start", "legitimate")}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


class _Quieter(logging.Filter):
    """An inventory that cannot be fetched costs links, not the build."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.WARNING:
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def setup(app: Any) -> None:
    """Write the pages that are made of other files."""
    for name in ("", "._load", "._resolve"):
        logging.getLogger(f"sphinx.sphinx.ext.intersphinx{name}").addFilter(_Quieter())
    _benchmarks.write(ROOT / "benchmarks" / "results", HERE / "generated", HERE)
