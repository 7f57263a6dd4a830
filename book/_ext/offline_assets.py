"""Makes the built site work without a network: scripts from _vendor, none from outside."""

from pathlib import Path

from sphinx.util.fileutil import copy_asset

VENDOR = Path(__file__).parent.parent / "_vendor"


def copy_vendor(app, exception):
    """Put _vendor/ at _static/vendor/ of the built site."""
    if exception is None and app.builder.format == "html":
        copy_asset(str(VENDOR), str(Path(app.outdir) / "_static" / "vendor"))


def drop_repeated_scripts(app, pagename, templatename, context, doctree):
    """Keep each inline script once: a repeated `const` is an error in the browser."""
    seen, kept = set(), []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body is None or body not in seen:
            kept.append(script)
        seen.add(body)
    context["script_files"] = kept


def setup(app):
    app.connect("html-page-context", drop_repeated_scripts, priority=900)
    app.connect("build-finished", copy_vendor)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
