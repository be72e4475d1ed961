"""Sphinx's settings of the documentation site: ``python -m sphinx -W --keep-going docs docs/_build``.

The build needs no network, and neither does a browser that shows it.
"""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]

try:
    release = metadata.version("sklearn-orchestrator")
except metadata.PackageNotFoundError:
    release = ""
project = "sklearn-orchestrator"
author = "The contributors"
project_copyright = author
language = "en"

extensions = [
    "repository_files",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_llms_txt",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build", "_ext"]
root_doc = "index"
nitpicky = True  # a link that leads nowhere is a warning, and warnings are errors
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other libraries, whose pages are not looked up
suppress_warnings = ["myst.header"]  # a page that is included begins with a heading of its own

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4  # as GitHub makes them, so that a link works on both
nb_execution_mode = "cache"  # a notebook runs when it has changed
nb_execution_timeout = 120
nb_execution_in_temp = True  # what it writes is not left beside the pages
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_typehints = "description"
autodoc_member_order = "bysource"
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
pygments_style = "friendly"
highlight_language = "none"  # of a block that names no language, such as what a command prints

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-orchestrator"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = True  # llms.txt names the pages as they are written, in Markdown
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
ALONE = ("get_started", "compare", "contributing", "changelog")  # pages without pages below them
html_sidebars = {page: [] for page in ALONE}

html_baseurl = os.environ.get(
    "SITE_URL", ""
)  # of the host that serves the site, for llms.txt and for previews of links
ogp_site_url = html_baseurl
ogp_site_name = html_title
ogp_social_cards = {"enable": False}
ogp_enable_meta_description = True

llms_txt_summary = "One declarative command from a CSV file to a tested scikit-learn endpoint."
llms_txt_full_file = False
