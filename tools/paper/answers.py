"""Solutions, and the replies to questions, stand at the end of the book, not in the way."""

from collections.abc import Iterable

from bs4 import Tag

from tools.paper.leaves import Leaf, made, named, parsed, value

PLACE = "answers"
TITLE = "Solutions and replies"
INTRODUCTION = "Try each exercise first. The page of the exercise stands with its solution."


def answers(leaves: Iterable[Leaf]) -> Leaf:
    """Take solutions and replies out of the pages, and make a page of them."""
    body = made(f"<article><h1>{TITLE}</h1><p>{INTRODUCTION}</p></article>")
    for leaf in leaves:
        replies = [reply(leaf, i, quiz) for i, quiz in enumerate(leaf.body.select(".quiz"), 1)]
        solutions = [solution(found) for found in leaf.body.select(".solution")]
        if replies or solutions:
            body.append(heading(leaf))
            body.extend([*replies, *solutions])
    return Leaf(PLACE, "", body)


def heading(leaf: Leaf) -> Tag:
    title = made(f"<h2>{leaf.title.decode_contents()}</h2>")
    for link in title.select("a"):
        link.decompose()
    return title


def solution(found: Tag) -> Tag:
    """Leave a line that leads to the solution in its place."""
    found.insert_before(led("Solution", value(found, "id")))
    if (title := found.select_one(".admonition-title > a")) is not None:
        title.append(number(value(title, "href")[1:]))
    return found.extract()


def led(word: str, name: str) -> Tag:
    """A line that says on which page something stands."""
    return made(f'<p class="led"><a href="#{name}">{word}{number(name)}</a></p>')


def number(name: str) -> Tag:
    """Where the page of a name will stand, when it is known."""
    return made(f'<span class="page-number" data-of="{name}"></span>')


def reply(leaf: Leaf, i: int, quiz: Tag) -> Tag:
    """Leave the question and its answers, each with a letter; take the replies."""
    name = named(PLACE, f"{leaf.name}-{i}")
    taken = made(
        f'<div class="replies" id="{name}"><p class="question"></p><ol type="a"></ol></div>'
    )
    question = quiz.find("legend")
    if not isinstance(question, Tag) or not isinstance(taken.ol, Tag):
        raise ValueError(f"question {i} of {leaf.place} has no text: see `quiz` in CONTRIBUTING.md")
    taken.p.extend(parsed(f"<b>{question.decode_contents()}</b>").contents)  # type: ignore[union-attr]
    for answer in quiz.select("li"):
        taken.ol.append(told(answer))
    quiz.name, question.name = "div", "p"
    quiz.ul.name = "ol"  # type: ignore[union-attr]
    quiz.ol["type"] = "a"  # type: ignore[index]
    quiz.append(led("Replies", name))
    return taken


def told(answer: Tag) -> Tag:
    """What is said to who chose this answer."""
    said = answer.find("p")
    item = made("<li></li>")
    if isinstance(said, Tag):
        item.extend(said.extract().contents[:])
    item["class"] = value(answer, "class")
    del answer["class"]  # or the question would show it
    return item
