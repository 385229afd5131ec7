"""Configure the site, which is built offline by `python -m sphinx -W -b html docs docs/_build`."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import flylab

import generate

project, author = "flylab", "flylab maintainers"
copyright = "flylab maintainers, Apache-2.0"  # noqa: A001
version = release = flylab.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_revealjs",
    "roles",
]
if "revealjs" in sys.argv:
    extensions.remove("sphinx_copybutton")  # its script wants what pages of reveal.js do not have
exclude_patterns = ["_build", "results", "concepts", "generated/found.md", "**/README.md"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["attrs_inline", "attrs_block", "colon_fence"]
myst_heading_anchors = 3

highlight_language = "none"  # a block without a language is not highlighted
default_role = "py:obj"  # `name` in a docstring is code, and a link if the name is documented
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # shapes such as "*shape" are not markup
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 100

revealjs_style_theme = "white"
revealjs_css_files = ["verdicts.css", "slides.css"]
revealjs_static_path = html_static_path = ["_static", "generated/static"]
revealjs_script_conf = {"slideNumber": True, "hash": True, "pdfSeparateFragments": False}

html_theme = "furo"
html_title = "flylab"
html_css_files = ["verdicts.css", "site.css"]
html_js_files = ["ledger.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"source_repository": "https://github.com/flylab/flylab", "source_branch": "main",
                      "source_directory": "docs/", "top_of_page_buttons": []}  # fmt: skip


def drop_docstring_of_the_type(app, what, name, obj, options, lines):
    """Leave a constant without the docstring of its class, say that of every `dict`, which is not even valid markup."""
    if what == "data" and getattr(obj, "__doc__", None) == type(obj).__doc__:
        lines.clear()


def add_the_page_that_trains(app, error):
    """Copy `docs/play` as it is: plain modules, which no step builds."""
    if error is None:
        shutil.copytree(Path(app.srcdir) / "play", Path(app.outdir) / "play", dirs_exist_ok=True)


def setup(app):
    app.connect("autodoc-process-docstring", drop_docstring_of_the_type)
    app.connect("build-finished", add_the_page_that_trains)


generate.everything()
