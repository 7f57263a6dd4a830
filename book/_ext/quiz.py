"""A question with answers to choose from, and what each answer says. No kernel, no network.

    :::{quiz} Which guess is too sure?
    - [x] $V = 0$ :: Right: DPS leaves out what is unknown about $x_0$.
    - [ ] $V = C$ :: No: that is the true covariance; TMPD can still be wrong in the weights.
    :::

Each answer is a radio button; its reply appears when it is chosen. Without scripts all replies are
shown, so that nothing is lost on paper.
"""

import re

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ANSWER = re.compile(r"^- \[(?P<right>[ x])\] (?P<said>.*?) :: (?P<reply>.*)$", re.DOTALL)
SCRIPT = """
document.addEventListener("DOMContentLoaded", () => {
  for (const quiz of document.querySelectorAll("fieldset.quiz")) quiz.classList.add("hides");
});
document.addEventListener("change", (event) => {
  const quiz = event.target.closest("fieldset.quiz");
  if (!quiz) return;
  for (const answer of quiz.querySelectorAll("li"))
    answer.classList.toggle("chosen", answer.contains(event.target));
});
"""


class quiz_part(nodes.TextElement):
    """Text of a quiz between two pieces of HTML."""


def visit(self, node):
    self.body.append(node["before"])


def depart(self, node):
    self.body.append(node["after"])


def skip(self, node):
    raise nodes.SkipNode


class Quiz(SphinxDirective):
    """The question is the argument, the answers are the lines of the content."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        name = f"quiz-{self.env.new_serialno('quiz')}"
        answers = [self.answer(text, name) for text in self.answers()]
        if sum(node["right"] for node in answers) != 1:
            raise self.error("a quiz has one right answer, written `- [x] ...`")
        box = quiz_part(before='<fieldset class="quiz">', after="</ul></fieldset>")
        question = " ".join(self.arguments[0].split())
        box += self.part(question, "<legend>", "</legend><ul>")
        box += answers
        return [box]

    def answers(self):
        """The lines of each answer, joined."""
        joined = re.split(r"\n(?=- \[)", "\n".join(self.content).strip())
        return [" ".join(text.split("\n")) for text in joined]

    def answer(self, text, name):
        found = ANSWER.match(text)
        if not found:
            raise self.error(f"an answer is `- [ ] answer :: what to reply`, got {text!r}")
        right = found["right"] == "x"
        item = quiz_part(
            before=f'<li class="{"right" if right else "wrong"}">', after="</li>", right=right
        )
        button = f'<label><input type="radio" name="{name}"> '
        item += self.part(found["said"], button, "</label>")
        item += self.part(found["reply"], '<p role="status">', "</p>")
        return item

    def part(self, text, before, after):
        node = quiz_part(before=before, after=after)
        parsed, _ = self.parse_inline(text)
        node.extend(parsed)
        return node


def setup(app):
    app.add_node(quiz_part, html=(visit, depart), latex=(skip, None), text=(skip, None))
    app.add_directive("quiz", Quiz)
    app.add_js_file(None, body=SCRIPT)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
