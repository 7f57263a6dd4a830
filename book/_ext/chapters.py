"""Chapters are numbered from 0, by their order in `_toc.yml` alone.

Sphinx numbers from 1: one is taken off before figures and equations get their numbers. In the text,
{chapter}`one-moment-dps` becomes "chapter 8", {chapter}`Chapter <one-moment-dps>` becomes "Chapter
8", and {number}`one-moment-dps` the number alone; each is a link.
"""

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import ReferenceRole
from sphinx.util.nodes import make_refnode
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as Collector

from_one = Collector.assign_section_numbers


def from_zero(self, env):
    """Number the sections as Sphinx does, and take one off the first number of each."""
    changed = from_one(self, env)
    for name, numbers in env.toc_secnumbers.items():
        env.toc_secnumbers[name] = {anchor: shifted(number) for anchor, number in numbers.items()}
        for node in (env.titles[name], *env.tocs[name].findall(nodes.reference)):
            if node.get("secnumber"):
                node["secnumber"] = list(shifted(node["secnumber"]))
    return changed


def shifted(number):
    """8 of 9; an appendix has a letter, which stays."""
    return (number[0] - 1, *number[1:]) if number and isinstance(number[0], int) else number


class ChapterRole(ReferenceRole):
    """A link to a chapter that says its number; `word` stands before it."""

    def __init__(self, word):
        super().__init__()
        self.word = word

    def run(self):
        word = self.title if self.has_explicit_title else self.word
        told = {"refdoc": self.env.docname, "reftarget": f"chapters/{self.target}", "word": word}
        node = pending_xref(self.rawtext, reftype="chapter-number", refdomain="", **told)
        node.source, node.line = self.get_source_info()
        node += nodes.inline(self.rawtext, self.target)
        return [node], []


class ResolveChapters(SphinxPostTransform):
    """Put the numbers in, when all of them are known; before Sphinx looks at its own references."""

    default_priority = 5

    def run(self, **given):
        for node in list(self.document.findall(pending_xref)):
            if node["reftype"] == "chapter-number":
                node.replace_self(self.link(node))

    def link(self, node):
        target = node["reftarget"]
        number = self.env.toc_secnumbers.get(target, {}).get("")
        if not number:
            raise ValueError(
                f"{node.source}:{node.line}: no numbered chapter is called {target!r}: name it "
                "like its file in book/chapters, without .md"
            )
        text = nodes.inline("", f"{node['word']} {number[0]}".strip())
        return make_refnode(self.app.builder, node["refdoc"], target, "", text)


def setup(app):
    Collector.assign_section_numbers = from_zero
    app.add_role("chapter", ChapterRole("chapter"))
    app.add_role("number", ChapterRole(""))
    app.add_post_transform(ResolveChapters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
