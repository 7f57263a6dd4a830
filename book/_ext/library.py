"""The pages of the library's reference, from its docstrings; and links from the prose to them.

A docstring of ours is plain text with ``code`` and `names`, and no reStructuredText: what would be
mark-up by chance is escaped. Each entry says in which chapter the piece is built.
"""

import re
import sys
from pathlib import Path

import jupytext
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import fsps_lite
from tools.contents import chapters
from tools.pages.words import words

LITERAL = re.compile(r"(?::\w+:)?(``.+?``|`[^`\n]+`)", re.DOTALL)
PUBLIC = frozenset(fsps_lite.__all__)
LINKED = ("chapters/", "cheat-sheet", "gallery/", "intro", "leaderboard", "notation", "performance")
LINKED += ("reference", "studying")


def built():
    """{a name, as `Empirical.denoise`: the chapter that builds it}."""
    found = {}
    for chapter in chapters():
        told = jupytext.read(chapter.path, fmt="md:myst").metadata.get("fsps", {})
        for key in ("builds", "shows", "extends"):
            for name in told.get(key) or []:
                found.setdefault(name.split(".", 1)[-1], chapter.name)
    return found


def plain_docstring(app, what, name, obj, options, lines):
    """Escape what is no mark-up of ours, and add where the piece is built."""
    text = "\n".join(lines)
    parts = LITERAL.split(text)
    parts[::2] = [re.sub(r"([*|\\])|(?<=\w)(_)(?=\W|$)", r"\\\1\2", part) for part in parts[::2]]
    parts[1::2] = [f"``{short_name(part.strip('`'))}``" for part in parts[1::2]]
    lines[:] = "".join(parts).split("\n")
    short = name.split(".", 1)[1]
    if chapter := app.fsps_built.get(short):
        lines += ["", f"Built in :chapter:`{chapter}`.", ""]
    if short in words() and not app.env.docname.startswith("gallery/"):
        lines += ["", f"Its results are in :doc:`the gallery </gallery/{short}>`.", ""]


def short_name(text):
    """`ddpm_kernel` of `~fsps_lite.samplers.ddpm_kernel`."""
    return text.rsplit(".", 1)[-1] if text.startswith("~") else text


def plain_signature(app, what, name, obj, options, signature, returned):
    """A default that is made anew is written as `...`: Sphinx cannot read `<factory>`."""
    return (signature or "").replace("<factory>", "...") or None, returned


def entry(env, text):
    """(full name, entry) of the object of the library that a text like `fl.DPS(...)` names."""
    name = re.sub(r"\(.*", "", text, flags=re.DOTALL).removeprefix("fl.").removeprefix("fsps_lite.")
    found = env.get_domain("py").objects.get(f"fsps_lite.{name}")
    return (f"fsps_lite.{name}", found) if found else None


def resolve(app, env, node, content):
    """Types of a signature: those of the library are links, all others plain text."""
    if node.get("refdomain") != "py":
        return None
    target = entry(env, node["reftarget"].rsplit(".", 1)[-1])
    if target:
        name, found = target
        docname = node["refdoc"]
        return make_refnode(app.builder, docname, found.docname, found.node_id, content, name)
    return content


def within(node, kinds):
    """Whether a node stands in one of these kinds, at any depth."""
    while node.parent is not None:
        node = node.parent
        if isinstance(node, kinds):
            return True
    return False


class LinkNames(SphinxPostTransform):
    """`Empirical` in the prose leads to its entry."""

    default_priority = 9

    def run(self, **given):
        if not self.env.docname.startswith(LINKED):
            return
        for literal in list(self.document.findall(nodes.literal)):
            inside = within(literal, nodes.reference | pending_xref | nodes.title)
            text = literal.astext().removeprefix("fl.")
            if inside or re.split(r"\W", text)[0] not in PUBLIC:
                continue
            if target := entry(self.env, text):
                literal.replace_self(self.link(literal, *target))

    def link(self, literal, name, found):
        builder, docname = self.app.builder, self.env.docname
        copy = literal.deepcopy()
        return make_refnode(builder, docname, found.docname, found.node_id, copy, name)


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.fsps_built = built()
    app.connect("autodoc-process-docstring", plain_docstring)
    app.connect("autodoc-process-signature", plain_signature)
    app.connect("missing-reference", resolve)
    app.add_post_transform(LinkNames)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
