"""The live figure of the first page: the truth beside three methods, computed by the browser."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from fsps_lite.widgets import cover


class Cover(SphinxDirective):
    """`{cover}`: the figure as HTML. It brings its own script and its own still picture."""

    def run(self):
        return [nodes.raw("", cover().html, format="html")]


def setup(app):
    app.add_directive("cover", Cover)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
