"""What a page needs on a screen and not on paper goes; what it folds is opened."""

import re
from posixpath import dirname, join, normpath

from bs4 import BeautifulSoup, Tag

from tools.paper.leaves import Leaf, made, named, value

GONE = "script, style, button, summary, input, .headerlink, .toctree-wrapper"
GONE += ", #reports:has(details.report)"  # of a method, at each y of each problem
OUTSIDE = re.compile(r"[a-z]+:")  # https:, mailto:, data:
# Words of a listing in the colour of the text: each would be an entry of its own in the PDF.
COLOURLESS = ".highlight .n, .highlight .w, .highlight .p, .pre, .highlight pre > span:empty"
SHORT = 18  # lines: a listing of no more stays on one page


def plain(leaf: Leaf, site: str) -> None:
    """Change a page so that it can be printed; `site` leads from the printed file to the pages."""
    for tag in leaf.body.select(GONE):
        tag.decompose()
    for held in leaf.body.select(f"details, {COLOURLESS}"):
        held.unwrap()
    for live in leaf.body.select(".fsps-live"):
        live.replace_with(still(live))
    for card in leaf.body.select(".sd-card"):
        lead_from_title(card)
    for beat in leaf.body.select("p > strong:only-child"):
        if beat.parent is not None and beat.parent.get_text().strip() == beat.get_text().strip():
            beat.parent["class"] = "beat"  # "Write." alone says nothing without what follows
    for listing in leaf.body.select("pre"):
        if listing.get_text().rstrip().count("\n") >= SHORT:
            listing["class"] = "long"
    for picture in leaf.body.select("img"):
        picture["src"] = source(leaf.place, value(picture, "src"), site)


def still(live: Tag) -> Tag:
    """The picture of a figure that moves, and what it shows."""
    picture = live.find("img")
    if not isinstance(picture, Tag):
        raise ValueError("a live figure has no still picture: make it by fsps_lite.widgets")
    figure = made('<figure class="still"></figure>')
    about, _, shown = value(picture, "alt").rpartition(": ")
    figure.append(picture.extract())
    caption = made("<figcaption><p></p></figcaption>")
    at = f" Here: {shown.rstrip('.')}." if about else ""
    caption.p.string = f"{about or shown}.{at} On the web page this figure moves."  # type: ignore[union-attr]
    figure.append(caption)
    return figure


def lead_from_title(card: Tag) -> None:
    """A card is one large link on the screen; on paper its title is."""
    link, title = card.find("a"), card.select_one(".sd-card-title")
    if isinstance(link, Tag) and title is not None:
        link.extract().string = title.get_text().strip()
        title.clear()
        title.append(link)


def source(place: str, path: str, site: str) -> str:
    """Where the picture of a page lies, seen from the printed file."""
    return path if OUTSIDE.match(path) else f"{site}/{normpath(join(dirname(place), path))}"


def rename(leaf: Leaf) -> None:
    """Give the ids of a page the page's name, and let its links lead there."""
    for tag in leaf.body.select("[id]"):
        tag["id"] = named(leaf.place, value(tag, "id"))
    for link in leaf.body.select("a[href]"):
        link["href"] = target(leaf.place, value(link, "href"))


def target(place: str, link: str) -> str:
    """Where a link of a page leads in the whole book."""
    if OUTSIDE.match(link):
        return link
    path, _, anchor = link.partition("#")
    to = normpath(join(dirname(place), path)).removesuffix(".html") if path else place
    return f"#{named(to, anchor)}"


def tidy(book: BeautifulSoup) -> None:
    """Drop ids to which nothing leads or that are given twice, and links that lead nowhere."""
    led = {value(link, "href")[1:] for link in book.select('a[href^="#"]')}
    for tag in book.select("[id]"):
        if value(tag, "id") in led:
            led.remove(value(tag, "id"))
        else:
            del tag["id"]
    known = {value(tag, "id") for tag in book.select("[id]")}
    for link in book.select('a[href^="#"]'):
        if value(link, "href")[1:] not in known:
            link.unwrap()
