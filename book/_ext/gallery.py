"""The leaderboard and the gallery of samplers are written when the book is built.

Their files in book/ hold a title alone. The text comes from `tools/pages`: from the code of the
methods, and from the results that `make gallery` stores.
"""

from pathlib import Path

from tools.pages import Site, Studio


def write(app, docname, source):
    """Put the text of a page in the place of its file."""
    if docname in app.fsps_site.places:
        source[0] = app.fsps_site.text(docname)
        for path in sorted(app.fsps_site.folder.rglob("*.json")):
            app.env.note_dependency(str(path))


def begin(app):
    studio = Studio(Path(app.outdir).parent / "gallery", Path(app.srcdir))
    app.fsps_site = Site(studio)


def setup(app):
    app.connect("builder-inited", begin)
    app.connect("source-read", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
