"""The index of the book, and the order of what the search finds.

Under each word stand the pages that speak of it. A page speaks of a word if a section of it has
the word three times, or in its heading. The words are those of the glossary, and the names below.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import index
from sphinx.transforms import SphinxTransform

GLOSSARY = Path(__file__).resolve().parents[1] / "glossary.md"
SCORER = Path(__file__).with_name("scorer.js")
TERM = re.compile(r"^(\w[^\n]*)\n  \S", re.MULTILINE)
TIMES = 3
NAMES = """
ancestral step, Bayes' rule, bias, blind, bootstrap, Brownian motion, calibration, chi-squared,
clock, convergence, cosine schedule, covariance, DAPS, DDIM, DDPM, digits, DPM-Solver, DPS,
early stopping, energy distance, Euler-Maruyama, evidence, flow matching, Gaussian mixture,
Girsanov, Heun, importance sampling, inpainting, Itô, Jensen, Kalman, Kullback-Leibler,
Langevin, martingale, memorised, Monte Carlo, multimodal, nats, network, noise, nonlinear,
Ornstein-Uhlenbeck, PiGDM, probability flow, quadrature, random seed, read-out,
responsibilities, reverse process, signal-to-noise, sliced, softmax, standard error, step size,
StepDPS, TMPD, total variation, tuned, variance exploding, variance preserving, Wasserstein,
whitening
"""
NOT_PROSE = nodes.literal | nodes.literal_block | nodes.math | nodes.math_block | nodes.raw


def words():
    """{word: its pattern}; a plural counts, and a capital at the front."""
    found = {*TERM.findall(GLOSSARY.read_text(encoding="utf-8")), *re.split(r",\s+", NAMES.strip())}
    found -= {"noise", "network", "law", "mode", "past", "null", "floor", "prior", "posterior"}
    return {word: re.compile(rf"\b{re.escape(word)}s?\b", re.IGNORECASE) for word in sorted(found)}


def own_text(section):
    """The prose of a section, without that of the sections in it."""
    parts = [child for child in section.children if not isinstance(child, nodes.section)]
    leaves = [leaf for part in parts for leaf in part.findall(nodes.Text)]
    return " ".join(leaf for leaf in leaves if not isinstance(leaf.parent, NOT_PROSE))


class IndexPages(SphinxTransform):
    """On each page, a word leads to the section that speaks of it most."""

    default_priority = 840  # before Sphinx collects the entries of a page

    def apply(self, **given):
        if self.env.docname.startswith("library/") or self.env.docname == "glossary":
            return
        # The parts of an exercise are sections too, but no place of a page that one can go to.
        parents = nodes.document | nodes.section
        sections = [
            s for s in self.document.findall(nodes.section) if isinstance(s.parent, parents)
        ]
        for word, pattern in WORDS.items():
            told = [times(pattern, section) for section in sections]
            if max(told, default=0) >= TIMES:
                section = sections[told.index(max(told))]
                titles = dict.fromkeys([sections[0][0].astext(), section[0].astext()])
                place = f"{word}; {': '.join(titles)}"
                entry = ("single", place, section["ids"][0], "", None)
                section.insert(1, index(entries=[entry]))


def times(pattern, section):
    """How often a section has a word; one in its heading is enough."""
    found = len(pattern.findall(own_text(section)))
    return found + TIMES * bool(pattern.search(section[0].astext()))


WORDS = words()


def order_search(app, config):
    """Sphinx takes the path as one from where it was called, so that it must be a full one."""
    config.html_search_scorer = str(SCORER)


def setup(app):
    app.connect("config-inited", order_search)
    app.add_transform(IndexPages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
