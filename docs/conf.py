"""Sphinx configuration; ``make docs`` builds with warnings as errors and without the network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# The gallery looks up the names that its examples use, and this one exists only after the import.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

from fairgroup import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
os.environ.setdefault("MPLBACKEND", "Agg")

project = "fairgroup"
author = "The fairgroup developers"
project_copyright = "The fairgroup developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "benchmark_pages",
    "results",
    "command_help",
    "myst_nb",
    "notebook_pages",
]
# The gallery writes a notebook beside every page; myst-nb would read both as the same document.
exclude_patterns = ["_build", "_ext", "_templates", "**/GALLERY_HEADER.rst"]
exclude_patterns += ["auto_examples/*.ipynb", "auto_examples/**/*.ipynb"]
templates_path = ["_templates"]
default_role = "code"
nitpicky = (
    False  # docstrings name types of other libraries, and no inventory is fetched from the network
)

# Other projects' inventories need the network, so they are used only where somebody asks for them.
if os.environ.get("FAIRGROUP_DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "fairlearn": ("https://fairlearn.org/main", None),
    }

# The API reference lists every public subpackage: these first, in this order, others by name.
api_order = ["groups", "metrics", "datasets", "comparison", "exceptions"]

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say the types, with shapes
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"__init__\.py|/notebooks/",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/generated/backreferences",
    "doc_module": ("fairgroup",),
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "abort_on_example_error": False,
}

nb_execution_mode = "off"  # the tutorials are shown as they were committed; a test runs them

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"fairgroup {version}"
html_static_path = ["_static"]
html_css_files = ["fairgroup.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "glossary": [], "add_a_method": []}
