"""Sphinx, for `python docs/site/build.py`: furo for its readable pages on small screens, MyST because the pages are Markdown."""

import re

import medrestore

project, author, release = "medrestore", "the authors of medrestore", medrestore.__version__
copyright = "research use only, not a medical device, not for diagnosis"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc, source_suffix = "index", {".md": "markdown"}
exclude_patterns = []

html_theme, html_title, html_show_sphinx = "furo", "medrestore", False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"footer_icons": [], "top_of_page_buttons": []}
html_copy_source = html_show_sourcelink = False

myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
suppress_warnings = ["misc.highlighting_failure",  # of blocks that are half Python, half prose
                     "ref.python"]  # of attributes that two classes have
pygments_style, pygments_dark_style = "a11y-light", "a11y-dark"

autodoc_member_order, autodoc_typehints, autodoc_typehints_format = "bysource", "signature", "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "code"

MARKS = re.compile(r"(`[^`]*`)|([*|\\])|(?<=\w)(_)(?=\W|$)")


def plain(app, what, name, obj, options, lines):
    """Docstrings are plain text with names in backticks: what reStructuredText would read into the rest is escaped."""
    for number, line in enumerate(lines):
        lines[number] = MARKS.sub(lambda found: found[1].replace("`", "``") if found[1] else "\\" + found[0], line)


def short(app, what, name, obj, options, signature, returned):
    """Signatures without the bounds of fields, which the descriptions of options have."""
    return _unannotated(signature), _unannotated(returned)


def _unannotated(text):
    """`Annotated[X, ...]` becomes X, however deep."""
    while text and (found := re.search(r"(?:typing\.)?Annotated\[", text)):
        depth, first, at = 1, None, found.end()
        while depth:
            depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(text[at], 0)
            first = at if first is None and depth == 1 and text[at] == "," else first
            at += 1
        text = text[: found.start()] + text[found.end() : first] + text[at:]
    return text


def levelled(app, pagename, templatename, context, doctree):
    """Headings of the navigation say of which level they are, for those who hear them."""
    tree = context.get("furo_navigation_tree")
    if isinstance(tree, str):
        context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app):
    app.connect("html-page-context", levelled, priority=900)  # after furo has made it
    app.connect("autodoc-process-signature", short)
    app.connect("autodoc-process-docstring", plain, priority=100)  # before napoleon reads sections
