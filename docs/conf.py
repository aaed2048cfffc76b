"""The site that `make docs` builds: the pages as they lie in the repository, with a table of contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Tallac"
author = "The Tallac authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
# None of these has pages; walking through them takes longer than building the site.
exclude_patterns = [".*", "bench", "build", "dist", "requirements", "scripts", "src", "tests"]
# A link has to lead somewhere, also to a heading.
nitpicky = True
myst_heading_anchors = 4
# An option is written with two hyphens, and stays so.
smartquotes = False
highlight_language = "none"

html_theme = "furo"
html_title = "Tallac"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_static_path = ["site/static"]
html_css_files = ["tallac.css"]
# The README is the first page, and a browser asks for index.html.
html_extra_path = ["site/root"]

PARTS = {
    "Guide": [
        "docs/guide/getting-started",
        "docs/guide/choosing",
        "docs/guide/jobs",
        "docs/guide/looking",
        "docs/guide/restoring",
        "docs/guide/forget",
        "docs/guide/keeping",
        "docs/guide/object-stores",
        "docs/guide/costs",
        "docs/guide/etc",
        "docs/guide/sharing",
        "docs/guide/keys",
        "docs/guide/recovery",
        "docs/guide/*",
    ],
    "Reference": ["docs/terms", "docs/format", "docs/threat-model", "docs/known-losses", "docs/performance"],
    "Development": ["CONTRIBUTING", "docs/architecture", "docs/dependencies", "docs/decisions/000-index", "CHANGELOG"],
}
"""The table of contents; a page that is not in it makes the build fail."""


def _toctree(caption: str, pages: list[str]) -> str:
    return "\n".join([f"```{{toctree}}\n:caption: {caption}\n:hidden:\n:glob:\n", *(f"/{page}" for page in pages), "```\n"])


def add_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """Add the table of contents to the pages that lead to others: in the repository their links do."""
    if page == root_doc:
        source[0] += "\n\n" + "\n".join(_toctree(caption, pages) for caption, pages in PARTS.items())
    elif page == "docs/decisions/000-index":
        source[0] += "\n\n" + _toctree("Decisions", ["docs/decisions/*"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", add_contents)
    return {"parallel_read_safe": True}
