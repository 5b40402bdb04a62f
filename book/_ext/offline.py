"""Sphinx extension that keeps the book readable without a network.

The loader of live code, which fetches its scripts from elsewhere and is switched off here, is taken off every page;
a page that would still fetch a script, style or picture from elsewhere is a warning, and warnings fail the build.
"""

import re

from sphinx.util import logging

ELSEWHERE = re.compile(
    r"""<(?:script|link|img|iframe|source|object)\b[^>]*\b(?:src|href|data)=["']((?:https?:)?//[^"']+)"""
)
logger = logging.getLogger(__name__)


def keep_local(app, pagename, templatename, context, doctree):
    context["script_files"] = [script for script in context["script_files"] if not is_live_code(script)]
    for address in fetched(context):
        logger.warning(
            "page fetches %s, so it needs a network; serve a copy from book/_static", address, location=pagename
        )


def is_live_code(script):
    return "thebe" in f"{script.filename} {script.attributes.get('body', '')}".lower()


def fetched(context):
    """Addresses outside the book that a browser asks for when it opens the page."""
    files = [file.filename for kind in ("script_files", "css_files") for file in context[kind] if file.filename]
    yield from (str(name) for name in files if re.match(r"(https?:)?//", str(name)))
    yield from ELSEWHERE.findall(context.get("body", ""))


def setup(app):
    # After the extensions that add scripts to pages, whose priority is the usual 500.
    app.connect("html-page-context", keep_local, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
