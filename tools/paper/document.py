"""One HTML file of all pages: title page, contents, the pages, and what stands at the end."""

import html
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import yaml
from bs4 import Tag

from fsps_lite import __version__
from tools.notebooks.book import ROOT
from tools.paper.answers import answers
from tools.paper.contents import contents
from tools.paper.leaves import Leaf, made, parsed
from tools.paper.plain import plain, rename, tidy

SETTINGS = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
STYLES = ("pygments.css", "print.css")
# Everybody has these letters, because matplotlib brings them: the pages break at the same places.
FONTS = [
    ("Text", "STIXGeneral.ttf", "normal", "normal"),
    ("Text", "STIXGeneralItalic.ttf", "italic", "normal"),
    ("Text", "STIXGeneralBol.ttf", "normal", "bold"),
    ("Text", "STIXGeneralBolIta.ttf", "italic", "bold"),
    ("Heads", "DejaVuSans.ttf", "normal", "normal"),
    ("Heads", "DejaVuSans-Bold.ttf", "normal", "bold"),
    ("Code", "DejaVuSansMono.ttf", "normal", "normal"),
    ("Code", "DejaVuSansMono-Bold.ttf", "normal", "bold"),
    ("Code", "DejaVuSansMono-Oblique.ttf", "italic", "normal"),
]
PAGE = """<!DOCTYPE html>
<html lang="en" class="paper {kind}" data-theme="light">
<head><meta charset="utf-8"><title>{title}</title>
{head}
<style>
{rules}
</style></head>
<body class="tex2jax_ignore mathjax_ignore">
{body}
</body></html>
"""
TITLE_PAGE = """<section class="title-page">
<h1>{title}</h1>
{picture}
<p class="authors">{author}</p>
<p class="version">The book of <code>fsps_lite</code> {version}. MIT licence.</p>
</section>"""
# print.mjs sets the equations of one leaf after the other.
LATER = "<script>MathJax.startup = {typeset: false}</script>"
SOURCE = '<p class="from">From <i>{title}</i>, the book of <code>fsps_lite</code> {version}.</p>'
ABOUT = "About this book"


def book(leaves: Sequence[Leaf], site: str) -> str:
    """The whole book; `site` leads from the file to the built pages."""
    head = header(leaves[0], site)
    for leaf in leaves:
        plain(leaf, site)
        rename(leaf)
    front = title_page(leaves[0])
    everything = [*leaves, answers(leaves)]
    parts = [
        front,
        contents(everything),
        *(sheet(f"leaf-{i}", leaf) for i, leaf in enumerate(everything)),
    ]
    body = parsed("\n".join(map(str, parts)))
    tidy(body)
    rules = [*letters(), *(running_head(i, leaf) for i, leaf in enumerate(everything))]
    return document("book", SETTINGS["title"], head, rules, body)


def cheat_sheet(leaf: Leaf, site: str) -> str:
    """One page by itself: no contents, and no number."""
    head = header(leaf, site)
    plain(leaf, site)
    rename(leaf)
    leaf.title.insert_after(
        made(SOURCE.format(title=html.escape(SETTINGS["title"]), version=__version__))
    )
    body = parsed(sheet("one-sheet", leaf))
    tidy(body)
    return document("cheat-sheet", leaf.title.get_text(), head, letters(), body)


def document(kind: str, title: str, head: str, rules: Iterable[str], body: Tag) -> str:
    told = {"kind": kind, "title": html.escape(title), "head": head}
    return PAGE.format(**told, rules="\n".join(rules), body=body)


def header(leaf: Leaf, site: str) -> str:
    """The style sheets, and what sets the equations, with the settings of the built page."""
    links = [f'<link rel="stylesheet" href="{site}/_static/{style}">' for style in STYLES]
    scripts = list(leaf.body.parents)[-1].select("script")
    told = [str(script) for script in scripts if "window.MathJax =" in script.get_text()]
    if not told:
        raise SystemExit(f"{leaf.place} does not say how to set equations. Call: make pdf")
    path = f"{site}/_static/{SETTINGS['sphinx']['config']['mathjax_path']}"
    return "\n".join([*links, told[0], LATER, f'<script defer src="{path}"></script>'])


def title_page(leaf: Leaf) -> str:
    """The first page of the site lends its title and its picture."""
    title = leaf.title.get_text().strip()
    leaf.title.string = ABOUT
    figure = leaf.body.find("figure")
    picture = figure.extract() if isinstance(figure, Tag) else ""
    told = {"title": html.escape(title), "picture": picture, "version": __version__}
    return TITLE_PAGE.format(author=f"{SETTINGS['author']}, {SETTINGS['copyright']}", **told)


def sheet(paper: str, leaf: Leaf) -> str:
    """A page of the book: it starts a sheet, of the paper that the style sheet calls so."""
    text = leaf.body.decode_contents()
    return f'<section class="leaf" id="{leaf.name}" style="page: {paper}">{text}</section>'


def running_head(i: int, leaf: Leaf) -> str:
    return f"@page leaf-{i} {{ @top-left {{ content: {quoted(leaf.title.get_text())} }} }}"


def quoted(text: str) -> str:
    """A string for a style sheet: in quotes, with formulas as they are read."""
    words = " ".join(text.replace("\\(", "").replace("\\)", "").split())
    return json.dumps(words, ensure_ascii=False)


def letters() -> list[str]:
    """The typefaces of the paper, by their files."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    face = "@font-face {{ font-family: Book{}; font-style: {}; font-weight: {}; src: url({}) }}"
    return [
        face.format(family, style, weight, json.dumps((folder / file).as_uri()))
        for family, file, style, weight in FONTS
    ]
