"""Every chapter obeys the laws of the book, and every law notices when it is broken."""

import pytest

import fsps_lite
from tests import book_laws as laws
from tests.book_laws import Chapter
from tools import contents

CHAPTERS = [Chapter.read(listed) for listed in contents.chapters()]
PAGE = laws.REFERENCE.read_text(encoding="utf-8")
NAMES = [chapter.name for chapter in CHAPTERS]


def obey(complaints):
    assert not complaints, "\n".join(["", *complaints])


def test_there_are_chapters():
    assert CHAPTERS, f"no chapter in {laws.CHAPTERS.name}"


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_chapter_obeys(chapter, law):
    obey(law(chapter))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_chapter_uses_only_what_was_built(chapter):
    earlier = [other for other in CHAPTERS if other.number < chapter.number]
    obey(laws.uses_only_what_was_built(chapter, earlier))


def test_every_public_name_has_one_place():
    obey(laws.every_name_has_one_place(CHAPTERS, PAGE, fsps_lite.__all__))


@pytest.mark.parametrize("law", laws.PAGE_LAWS, ids=lambda law: law.__name__)
def test_the_reference_page_obeys(law):
    obey(law(PAGE))


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(c, id=name)
        for name, text in laws.entries(PAGE)
        for c in laws.fenced("python", text)
    ],
)
def test_an_example_of_the_reference_page_runs(code):
    exec(code, {})


def test_previews_are_built_later():
    obey(laws.previews_are_built_later(CHAPTERS))


# The laws themselves: a chapter that obeys all of them, and what breaks each.

GOOD = f"""\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
fsps:
  builds: [operators.Linear, problems]
  extends: [priors.Empirical.denoise]
  previews: []
---

# A chapter

:::{{admonition}} In this chapter
:class: tip opening

**You will build** `Linear`. **You need** nothing. **Time** 20 minutes.

**The picture to keep** a line.
:::

```{{code-cell}} ipython3
import fsps_lite as fl
from fsps_lite.widgets import player
```

{"word " * 1500}

```{{code-cell}} ipython3
class Linear:
    pass


def denoise(x):
    return x
```

```{{code-cell}} ipython3
assert_close(Linear()(x), fl.Linear(matrix)(x))
```

```{{code-cell}} ipython3
assert fl.problems.trimodal().prior.denoise(x) is not None
fl.plots.curves({{}})
```

```{{literalinclude}} ../../fsps_lite/operators/linear.py
:pyobject: Linear.__call__
```

```{{literalinclude}} ../../fsps_lite/priors/answers.py
:language: python
:pyobject: Answers.denoise
```

```{{literalinclude}} ../../fsps_lite/problems/gallery.py
:pyobject: trimodal
```

## Exercises

```{{exercise-start}} One ★ (5 minutes)
:label: ex-one
```
A question.

:::{{admonition}} Hint
:class: dropdown
Think.
:::
```{{exercise-end}}
```

```{{solution-start}} ex-one
:class: dropdown
```

```{{code-cell}} ipython3
:tags: [hide-input]

assert True
```

```{{solution-end}}
```

```{{exercise}} Two
:label: ex-two

★★★ Takes 15 minutes.

:::{{hint}}
Think.
:::
```

```{{solution-start}} ex-two
:class: dropdown
```

```{{code-cell}} ipython3
assert 1 + 1 == 2
```

```{{solution-end}}
```

## What you can now do

Obey.
"""
LONG_CELL = "\n".join(f"x{i} = {i}" for i in range(16))


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
def test_a_good_chapter_obeys(law):
    obey(law(Chapter.parse("good", 1, GOOD)))


BREACHES = [
    (laws.chapters_are_cited_by_name, "word word", "as chapter 3 said"),
    (laws.chapters_are_cited_by_name, "word word", "see Chapters\n8 and 9"),
    (laws.head_is_complete, "  previews: []\n", ""),
    (laws.listed_names_exist, "[operators.Linear", "[operators.Circular"),
    (laws.listed_names_exist, "Empirical.denoise]", "Empirical.renoise]"),
    (laws.listed_names_exist, "previews: []", "shows: [report.Rapport]\n  previews: []"),
    (laws.every_piece_is_shown, "previews: []", "shows: [diffusion.Diffusion]\n  previews: []"),
    (laws.only_the_first_chapter_previews, "previews: []", "previews: [Diffusion]"),
    (laws.every_piece_is_written, "class Linear:", "class Quadratic:"),
    (laws.every_piece_is_written, "def denoise", "def renoise"),
    (laws.every_piece_is_checked, "fl.Linear(matrix)", "Linear(matrix)"),
    (laws.every_piece_is_checked, "assert_close(Linear()(x), fl", "print(Linear()(x), fl"),
    (laws.every_piece_is_checked, ".prior.denoise(x)", ".prior.denoised"),
    (laws.every_piece_is_checked, "fl.problems", "problems"),
    (laws.every_piece_is_shown, ":pyobject: Linear.__call__", ":lines: 1-5"),
    (laws.every_piece_is_shown, ":pyobject: Answers.denoise", ":pyobject: Answers"),
    (laws.every_piece_is_shown, "fsps_lite/problems/gallery.py", "fsps_lite/guidance/dps.py"),
    (laws.every_listing_finds_its_text, "priors/answers.py", "priors/empirical.py"),
    (laws.every_listing_finds_its_text, "Answers.denoise", "Answers.renoise"),
    (laws.every_listing_finds_its_text, "fsps_lite/operators/linear.py", "fsps_lite/operator.py"),
    (laws.cells_are_short, "class Linear:", f"{LONG_CELL}\nclass Linear:"),
    (laws.prose_has_its_length, "word " * 400, ""),
    (laws.prose_has_its_length, "word " * 1500, "word " * 3000),
    (laws.opens_with_its_box, "tip opening", "tip"),
    (laws.opens_with_its_box, "20 minutes", "an hour"),
    (laws.ends_with_what_was_learned, "What you can now do", "Summary"),
    (laws.ends_with_what_was_learned, "Obey.", "Obey.\n\n## More"),
    (laws.has_exercises, "```{exercise} Two", "```{note} Two"),
    (laws.exercises_are_complete, "One ★", "One"),
    (laws.exercises_are_complete, "15 minutes", "long"),
    (laws.exercises_are_complete, "{admonition} Hint", "{admonition} Remark"),
    (laws.exercises_are_solved, "{solution-start} ex-two", "{solution-start} ex-three"),
    (laws.exercises_are_solved, "ex-one\n:class: dropdown", "ex-one"),
    (laws.exercises_are_solved, "assert 1 + 1 == 2", "print(1 + 1)"),
]


@pytest.mark.parametrize(("law", "old", "new"), BREACHES)
def test_a_breach_is_noticed(law, old, new):
    assert old in GOOD
    assert law(Chapter.parse("bad", 1, GOOD.replace(old, new, 1)))


def test_a_median_that_is_too_long_is_noticed():
    nine_lines = "\n".join(f"x{i} = {i}" for i in range(9))
    cells = f"\n```{{code-cell}} ipython3\n{nine_lines}\n```\n" * 9
    assert laws.cells_are_short(Chapter.parse("bad", 1, GOOD + cells))


def test_an_explorer_that_does_not_fit_is_noticed():
    cell = "\n```{code-cell} ipython3\ndef draw(y, method):\n    pass\n```\n"
    call = "\n```python\nexplore(draw, alt='A line', y=[0.0], method=['DPS'])\n```\n"
    assert not laws.explorers_fit_what_they_draw(Chapter.parse("good", 1, GOOD + cell + call))
    wrong = call.replace("method=", "noise=")
    assert laws.explorers_fit_what_they_draw(Chapter.parse("bad", 1, GOOD + cell + wrong))
    assert laws.explorers_fit_what_they_draw(Chapter.parse("bad", 1, GOOD + call))


def test_a_folded_cell_may_be_long():
    folded = GOOD.replace("assert True", LONG_CELL)
    assert not laws.cells_are_short(Chapter.parse("good", 1, folded))


def test_equations_and_code_are_no_prose():
    equations = "```{math}\n:label: eq\na b c\n```\n\n$$\na b\n$$ (eq-two)\n"
    code = "```python\na = 3\n```\n"
    text = f"one $x$ two\n{equations}{code}:::{{note}} Title\n:class: tip\nthree\n:::\n"
    assert laws.count_words(text) == 5  # (eq-two) is one


@pytest.mark.parametrize(
    "code",
    [
        "fl.Diffusion(p, s)",
        "from fsps_lite import Diffusion",
        "from fsps_lite.diffusion import Diffusion",
        "import fsps_lite.diffusion",
    ],
)
def test_what_was_not_built_may_not_be_used(code):
    chapter = Chapter.parse("bad", 1, GOOD.replace("fl.plots.curves({})", code))
    assert laws.uses_only_what_was_built(chapter)


def test_what_was_built_or_previewed_may_be_used():
    earlier = Chapter.parse("good", 0, GOOD.replace("operators.Linear", "diffusion.Diffusion"))
    used = Chapter.parse("good", 1, GOOD.replace("fl.plots.curves", "fl.Diffusion"))
    assert not laws.uses_only_what_was_built(used, [earlier])
    preview = GOOD.replace("fl.plots.curves", "fl.VP").replace("previews: []", "previews: [VP]")
    assert not laws.uses_only_what_was_built(Chapter.parse("good", 0, preview))


GOOD_PAGE = """\
# A page

## Noise

What it is for.

```python
assert fl.Noise(std, 2).full
```

```text
Noise(std, size)
Noise.whiten(r)
```
"""


def test_a_public_name_has_one_place():
    one, two = Chapter.parse("a", 1, GOOD), Chapter.parse("b", 2, GOOD)
    place, public = laws.every_name_has_one_place, ["Linear", "problems", "plots"]
    assert not place([one], "", public)
    assert not place([one], GOOD_PAGE, [*public, "Noise"])
    assert place([one, two], "", public)
    assert place([one], "", [*public, "VP"])
    assert place([one], "", ["Linear"])
    assert place([one], GOOD_PAGE, public)
    assert place([one], GOOD_PAGE + GOOD_PAGE, [*public, "Noise"])
    assert place([one], GOOD_PAGE.replace("## Noise", "## Linear"), public)


@pytest.mark.parametrize("law", laws.PAGE_LAWS, ids=lambda law: law.__name__)
def test_a_good_reference_page_obeys(law):
    obey(law(GOOD_PAGE))


@pytest.mark.parametrize(
    ("law", "old", "new"),
    [
        (laws.entries_say_what_for, "What it is for.", ""),
        (laws.entries_have_an_example, "```python", "```"),
        (laws.entries_have_an_example, "assert fl.", "fl."),
        (laws.entries_have_an_example, "assert fl.", LONG_CELL + "\nassert fl."),
        (laws.entries_show_the_signature, "Noise(std, size)\n", ""),
        (laws.entries_show_the_signature, "Noise(std, size)", "Noise(std)"),
        (laws.entries_show_the_signature, "whiten(r)", "whiten(x)"),
    ],
)
def test_a_breach_on_the_reference_page_is_noticed(law, old, new):
    assert old in GOOD_PAGE
    assert law(GOOD_PAGE.replace(old, new, 1))


def test_previews_need_a_builder():
    preview = GOOD.replace("previews: []", "previews: [Linear]")
    one, two = Chapter.parse("a", 0, preview), Chapter.parse("b", 1, GOOD)
    assert not laws.previews_are_built_later([one, two])
    assert laws.previews_are_built_later([one])
