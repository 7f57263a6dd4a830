"""The notebooks that readers open: nothing raw is left in them, nothing is lost or renumbered."""

import ast
import builtins
import html
import json
import re
import subprocess
import sys

import nbformat
import pytest
import yaml

from tools import contents, lab
from tools.coursework.master import masters
from tools.notebooks import (
    Book,
    Unreadable,
    book_numbers,
    launch_links,
    local_numbers,
    plain_text,
    reader_notebooks,
)
from tools.notebooks.book import ROOT, Page
from tools.notebooks.listing import listing

FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})[^`\n]*\n.*?^(?P=indent)(?P=fence) *$", re.M | re.S
)
SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
MATHS = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$(?!\$)(.+?)(?<!\\)\$", re.DOTALL)
RAW = re.compile(
    r":::|```\{|\{[a-z:]+\}`|\{eq\}|\{cite|\{numref\}|\[\^|^\([\w-]+\)=$|^%|\x00|\]\([^)]*\.md",
    re.M,
)


def without_code(text):
    return SPAN.sub("", FENCE.sub("", text))


def texts(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def book():
    return Book()


@pytest.fixture(scope="module")
def numbers(book):
    return book_numbers(book)


@pytest.fixture(scope="module")
def solved(book):
    return {name: nbformat.reads(t, 4) for name, t in reader_notebooks(True, book).items()}


@pytest.fixture(scope="module")
def unsolved(book):
    return {name: nbformat.reads(t, 4) for name, t in reader_notebooks(False, book).items()}


@pytest.fixture
def small(tmp_path):
    """A book of two chapters and an appendix: small(first chapter's text, second's)."""

    def make(*texts):
        folder = tmp_path / "book"
        (folder / "chapters").mkdir(parents=True)
        contents = {
            "format": "jb-book",
            "root": "intro",
            "parts": [
                {"numbered": 1, "chapters": [{"file": "chapters/one"}]},
                {"numbered": 1, "chapters": [{"file": "chapters/two"}]},
                {"numbered": 1, "style": "alphaupper", "chapters": [{"file": "words"}]},
            ],
        }
        (folder / "_toc.yml").write_text(yaml.safe_dump(contents))
        (folder / "intro.md").write_text("# The book\n")
        (folder / "words.md").write_text("# Words\n\n(a-word)=\n## A word\n")
        for name, text in zip(("one", "two"), (*texts, "# Nothing\n"), strict=False):
            (folder / "chapters" / f"{name}.md").write_text(text)
        (folder / "references.bib").write_text(
            "@misc{ho, title={A {B} c}, author={Ho, J. and Jain, A.}, year={2020}}\n"
            "@book{erdos, title={D}, author={Erd{\\H o}s, P.}, publisher={P}, year={1951}}\n"
        )
        return Book(folder)

    return make


def plain(book, text):
    """A text as it reads in the first chapter."""
    return plain_text(text, book_numbers(book).on("chapters/one"))


# Every chapter and assignment


def test_nothing_raw_is_left(solved, unsolved):
    for notebook in [*solved.values(), *unsolved.values()]:
        for text in texts(notebook):
            found = RAW.search(without_code(text))
            assert not found, f"{found[0]!r} is left in:\n{text}"


def test_nothing_raw_is_left_in_the_assignments(numbers):
    for master in masters():
        cells = [c.source for c in master.notebook.cells if c.cell_type == "markdown"]
        local = local_numbers(numbers, f"assignments/{master.name}", cells)
        for text in cells:
            made = without_code(plain_text(text, local))
            assert not RAW.search(made), made
            assert balanced_throughout(made)


def balanced(formula):
    """Braces, \\left and \\right, \\begin and \\end pair up."""
    formula = re.sub(r"\\[\\{}]", "", formula)
    depth = 0
    for sign in re.findall(r"[{}]", formula):
        depth += 1 if sign == "{" else -1
        if depth < 0:
            return False
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{([\w*]+)\}", formula):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            return False
    sides = [len(re.findall(rf"\\{side}(?![a-z])", formula)) for side in ("left", "right")]
    return depth == 0 and not opened and sides[0] == sides[1]


def balanced_throughout(text):
    formulas = [a or b for a, b in MATHS.findall(text)]
    return all(map(balanced, formulas)) and "$" not in MATHS.sub("", text).replace("\\$", "")


def test_all_maths_is_balanced(solved):
    for notebook in solved.values():
        for text in texts(notebook):
            assert balanced_throughout(without_code(text)), text


@pytest.mark.parametrize("formula", ["{a", "a}{", r"\left( a", r"\begin{a} x \end{b}"])
def test_what_is_not_balanced_is_seen(formula):
    assert not balanced_throughout(f"${formula}$")


def test_formulas_keep_to_a_line_in_quotes(solved):
    """A line break inside a formula would take the sign of the quote into it."""
    for notebook in solved.values():
        for text in texts(notebook):
            quotes = "\n".join(line for line in text.split("\n") if line.startswith(">"))
            assert not any("\n" in a or "\n" in b for a, b in MATHS.findall(quotes)), quotes


def test_equations_carry_the_number_of_their_chapter_and_count_from_one(solved):
    for name, notebook in solved.items():
        tags = re.findall(r"\\tag\{(.*?)\}", "\n".join(texts(notebook)))
        assert tags == [f"{int(name[:2])}.{k}" for k in range(1, len(tags) + 1)]
    assert sum("\\tag" in "".join(texts(notebook)) for notebook in solved.values()) > 8


def test_every_figure_has_its_caption_below_it(book, solved):
    for page in book.chapters:
        cells = solved[page.notebook].cells
        drawn = {
            cell.source: cell.metadata.mystnb.figure.caption
            for cell in code(book.twin(page.place).cells)
            if "figure" in cell.metadata.get("mystnb", {})
        }
        below = {a.source: b.source for a, b in zip(cells, cells[1:], strict=False)}
        for k, (source, caption) in enumerate(drawn.items(), 1):
            assert below[source].startswith(f"**Fig. {page.number}.{k}.** {caption.split()[0]}")


def test_with_solutions_the_code_is_that_of_the_twin(book, solved):
    for page in book.chapters:
        twin, made = code(book.twin(page.place).cells), code(solved[page.notebook].cells)
        assert [c.source for c in made] == [c.source for c in twin]
        for ours, theirs in zip(made, twin, strict=True):
            kept = [{**output, "metadata": {}} for output in theirs.outputs if "data" in output]
            assert [{**o, "metadata": {}} for o in ours.outputs if "data" in o] == kept
            assert [o for o in ours.outputs if "data" not in o] == [
                o for o in theirs.outputs if "data" not in o
            ]


def gates(twin):
    """For each code cell of a twin, whether a solution is open where it stands."""
    solving = False
    for cell in twin.cells:
        if cell.cell_type == "code":
            yield cell, solving
        for gate in re.findall(r"\{solution-(start|end)\}", cell.source):
            solving = gate == "start"


def test_without_solutions_the_other_cells_stay_and_each_exercise_has_room(book, unsolved):
    for page in book.chapters:
        twin, made = book.twin(page.place), unsolved[page.notebook]
        answers = [c.source for c in code(made.cells) if c.source.startswith("# Your answer")]
        asked = [t for t in texts(made) if t.startswith("### Exercise")]
        assert len(answers) == len(asked) == len(re.findall("{exercise-start}", str(twin.cells)))
        kept = [c.source for c, solving in gates(twin) if not solving]
        assert [c.source for c in code(made.cells) if c.source not in answers] == kept
        assert "Solution of" not in "".join(texts(made))


def names(tree, context):
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}


def defined(tree):
    kinds = ast.FunctionDef | ast.ClassDef | ast.alias
    found = [n for n in ast.walk(tree) if isinstance(n, kinds)]
    return names(tree, ast.Store) | {getattr(n, "asname", None) or n.name for n in found}


def test_without_solutions_no_cell_needs_what_only_a_solution_defines(book):
    """So the notebook runs from top to bottom with the answers left empty."""
    for page in book.chapters:
        known = set(dir(builtins))
        for cell, solving in gates(book.twin(page.place)):
            tree = ast.parse(cell.source)
            if not solving:
                arguments = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
                known |= defined(tree) | arguments
                missing = names(tree, ast.Load) - known
                assert not missing, f"{page.notebook}: {missing} in\n{cell.source}"


def test_each_solution_is_a_collapsed_section_whose_text_is_folded(book, solved):
    count = 0
    for page in book.chapters:
        inside = False
        for cell in solved[page.notebook].cells:
            if cell.source.startswith("#### Solution of exercise "):
                assert cell.metadata["jp-MarkdownHeadingCollapsed"] is True
                inside, count = True, count + 1
            elif cell.cell_type == "markdown" and inside:
                inside = not re.match("#{1,4} ", cell.source)
                assert not inside or cell.source.startswith("<details>\n<summary>"), cell.source
        sections = solved[page.notebook].metadata.colab.collapsed_sections
        assert len(sections) == str(book.twin(page.place).cells).count("{solution-start}")
    assert count > 40


def test_pictures_say_what_is_to_be_seen(book, solved):
    for notebook in solved.values():
        for cell in code(notebook.cells):
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    assert len(output.metadata["image/png"]["alt"]) > 20, cell.source


def test_links_lead_to_notebooks_that_exist(solved, unsolved):
    for notebooks in (solved, unsolved):
        for notebook in notebooks.values():
            for target in re.findall(r"\]\(([^)]*)\)", without_code("\n".join(texts(notebook)))):
                if not re.match("[a-z]+:", target):
                    name, _, place = target.removeprefix("../solutions/").partition("#")
                    assert name in solved, target
                    headings = [t.strip("# ").replace(" ", "-") for t in texts(solved[name])]
                    assert not place or place in headings


def test_file_names_sort_as_the_chapters_do(book, solved):
    assert list(solved) == sorted(solved)
    assert [name[:2] for name in solved] == [f"{k:02}" for k in range(len(book.chapters))]
    for page, notebook in zip(book.chapters, solved.values(), strict=True):
        assert notebook.cells[0].source.split("\n")[0] == f"# {page.number}. {page.title}"


def test_the_chapters_are_those_of_the_contents(book):
    pages = [(page.number, page.place, page.title) for page in book.chapters]
    assert pages == [(str(c.number), f"chapters/{c.name}", c.title) for c in contents.chapters()]


def test_two_calls_make_the_same_text(small):
    book = small("# One\n\nA {cite:t}`ho`.\n\n```{math}\n:label: e\nx\n```\n")
    for solutions in (True, False):
        assert reader_notebooks(solutions, book) == reader_notebooks(solutions, book)


# The numbers are Sphinx's own

SAMPLE = """# One

```{math}
:label: eq-one
a = b
```

:::::{admonition} Box
::::{note}
```{math}
:label: eq-two
c = d
```
::::
:::::

```{math}
no label
```

$$
e = f
$$ (eq-three)

```{exercise-start} First ★ (5 minutes)
:label: ex-one
```
Do.
```{exercise-end}
```

```{solution-start} ex-one
:class: dropdown
```
Done.
```{solution-end}
```

```{exercise} Second
:label: ex-two
Do more.
```

| a |
|---|
| b |
"""
SECOND = """# Two

```{table} A table
:name: tab
| a |
|---|
| b |
```

```{math}
:label: eq-four
g = h
```

See {eq}`eq-one`, {eq}`eq-two`, {eq}`eq-three`, {eq}`eq-four`, {ref}`ex-one`, {ref}`ex-two`,
{numref}`tab`, {chapter}`one`, {chapter}`Chapter <two>`, {number}`two`.
"""
CONFIGURATION = """
import sys
sys.path.insert(0, {extensions!r})
extensions = ["myst_parser", "sphinx_external_toc", "sphinx_multitoc_numbering"]
extensions += ["sphinx_exercise", "chapters"]
external_toc_path = "_toc.yml"
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
exclude_patterns = ["_build"]
html_theme = "basic"
numfig = math_numfig = True
numfig_secnum_depth = 1
"""


def test_numbers_are_those_of_the_built_pages(small):
    if not (ROOT / "book" / "_ext" / "chapters.py").exists():
        pytest.skip("the book has no extension that numbers chapters from 0")
    book = small(SAMPLE, SECOND)
    extensions = str(ROOT / "book" / "_ext")
    (book.folder / "conf.py").write_text(CONFIGURATION.format(extensions=extensions))
    out = book.folder / "_build"
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(book.folder), str(out)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    page = (out / "chapters" / "two.html").read_text(encoding="utf-8")
    built = re.search(r"See .*?</p>", page, re.DOTALL)[0]
    built = html.unescape(re.sub(r"<[^>]*>", "", built))
    ours = plain_text(SECOND, book_numbers(book).on("chapters/two")).split("\n")[-2:]
    ours = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", "\n".join(ours))
    assert ours == built
    assert "(0.1), (0.2), (0.3), (1.1), Exercise 0.1, Exercise 0.2,\nTable 1.1" in ours


# One piece of MyST at a time


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("```{math}\n:label: e\nx\n```", "$$\nx\n\\tag{0.1}\n$$"),
        (
            "```{math}\na &= b \\\\\nc &= d\n```",
            "$$\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n$$",
        ),
        ("$$\nx\n$$ (e)", "$$\nx\n\\tag{0.1}\n$$"),
        ("see {eq}`e`", "see (0.1)"),
        ("{math}`V = 0`", "$V = 0$"),
        ("$a\n+ b$ and `$5 {eq}`", "$a + b$ and `$5 {eq}`"),
        (
            "by {cite:t}`ho` or {cite:p}`ho,erdos`",
            "by Ho and Jain (2020) or (Ho and Jain, 2020; Erdős, 1951)",
        ),
        ("{cite}`ho`", "(Ho and Jain, 2020)"),
        ("{ref}`x`, {ref}`an exercise <x>`", "Exercise 0.1, an exercise (Exercise 0.1)"),
        ("{numref}`f`, {numref}`picture %s <f>`", "Fig. 0.1, picture 0.1"),
        ("{chapter}`two`", "[chapter 1](01-two.ipynb)"),
        ("{chapter}`Chapter <two>` {number}`two`", "[Chapter 1](01-two.ipynb) [1](01-two.ipynb)"),
        (
            "[the next](two.md), [](two.md)",
            "[the next](01-two.ipynb), [chapter 1, *Nothing*](01-two.ipynb)",
        ),
        ("[here](one.md)", "here"),
        ("{doc}`../words`, {doc}`it <../words>`", "page *A. Words*, it, page *A. Words*"),
        ("{ref}`a-word`, [](#a-word)", "A word, page *A. Words*, A word, page *A. Words*"),
        ("[w](https://x.org/a)", "[w](https://x.org/a)"),
        (
            "{term}`law`, {index}`entry <a; b>`, {code}`x`, {sub}`2`",
            "law, entry, `x`, <sub>2</sub>",
        ),
        ("{py:func}`~fsps_lite.law`, {class}`fl.VP`", "`law`, `fl.VP`"),
        ("a[^1]\n\n[^1]: A note.", "a<sup>1</sup>\n\n<sup>1</sup> A note."),
        ("% a comment\n(target)=\n+++\nText", "Text"),
        (
            "word\n: what it\n  means\n\nnext\n: other",
            "- **word**: what it means\n\n- **next**: other",
        ),
        ("```python\n{eq}`e`\n\n\nx\n```", "```python\n{eq}`e`\n\n\nx\n```"),
        (":::{note}\nA\n\nB\n:::", "> **Note**\n>\n> A\n>\n> B"),
        (":::{tip} A tip\nB\n:::", "> **Tip**\n>\n> A tip\n>\n> B"),
        (
            "::::{admonition} `Box`\n:class: tip\n:::{hint}\nA\n:::\n```{math}\nx\n+ y\n```\n::::",
            "> **`Box`**\n>\n> <details>\n> <summary>Hint</summary>\n>\n> A\n>\n"
            "> </details>\n>\n> $$ x + y $$",
        ),
        (
            ":::{admonition} A `b` and $c < d$\n:class: dropdown\nE\n:::",
            "<details>\n<summary>A <code>b</code> and $c &lt; d$</summary>\n\nE\n\n</details>",
        ),
        (":::{dropdown} More\nE\n:::", "<details>\n<summary>More</summary>\n\nE\n\n</details>"),
        ("::::{grid} 2\n:gutter: 2\n:::{grid-item-card} T\nA\n:::\n::::", "**T**\n\nA"),
        (
            "::::{tab-set}\n:::{tab-item} T\nA\n:::\n:::{tab-item} U\nB\n:::\n::::",
            "**T**\n\nA\n\n**U**\n\nB",
        ),
        ("```{index} single: a\n```\nText", "Text"),
        (
            "```{table} A table\n:name: t\n| a |\n|---|\n```",
            "**Table 0.1.** A table\n\n| a |\n|---|",
        ),
        (
            ":::{glossary}\nlaw\n  What $x$\n  is.\n\nlens\n  Another.\n:::",
            "- **law**: What $x$ is.\n- **lens**: Another.",
        ),
        ("- item\n\n  ```{math}\n  x\n  ```", "- item\n\n  $$\n  x\n  $$"),
        ("```{code-block} python\nx  # {eq}`e`\n```", "```python\nx  # {eq}`e`\n```"),
        (
            ":::{quiz} Which?\n- [x] $a$ :: Right: so\n  it is.\n- [ ] `b` :: Not so.\n:::",
            "**Check yourself.** Which?\n\n- $a$\n\n  <details>\n  <summary>Is it so?</summary>\n\n"
            "  Right. Right: so it is.\n\n  </details>\n\n- `b`\n\n  <details>\n"
            "  <summary>Is it so?</summary>\n\n  No. Not so.\n\n  </details>",
        ),
    ],
)
def test_a_piece_becomes_plain(small, text, wanted):
    labels = "```{math}\n:label: e\nx\n```\n\n```{exercise} X\n:label: x\nDo.\n```\n\n"
    labels += "```{figure} a.png\n:name: f\nA\n```\n\n```{table} A\n:name: t\n| a |\n|---|\n```\n"
    assert plain(small(f"# One\n\n{labels}\n[^1]: A note.\n"), text) == wanted


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("a\n\n:::{prf:lemma}\nb\n:::", 3, "no plain Markdown is known for {prf:lemma}"),
        ("a\nb {who}`c`", 2, "no plain Markdown is known for the role {who}"),
        (":::{note}\na\n\n{eq}`none`\n:::", 4, "nothing in the book has the label 'none'"),
        ("a {cite}`none`", 1, "references.bib has no work called 'none'"),
        ("a\n:::{note}\nb", 2, "is never closed: add `:::`"),
        ("a\n::: note\nb\n:::", 2, "names no directive"),
        ("[a](three.md)", 1, "three.md is no page of the book"),
        ("{chapter}`three`", 1, "three is no page of the book"),
        ("a[^b]", 1, "there is no footnote [^b]"),
        ("{{ name }}", 1, "write it out"),
        ("```{literalinclude} none.py\n```", 1, "there is no file none.py"),
        ("```{literalinclude} one.md\n:lines: 3\n```", 1, "a listing cannot obey :lines:"),
        (":::{quiz} Which?\n:::", 1, "a quiz has no answers"),
        (":::{quiz} Which?\n- [y] a\n:::", 1, "a quiz has no answers"),
        ("```{solution} none\n```", 1, "no exercise has the label 'none'"),
    ],
)
def test_what_is_not_known_is_named_with_file_and_line(small, text, line, why):
    with pytest.raises(Unreadable) as error:
        plain(small("# One\n"), text)
    assert str(error.value).startswith(f"book/chapters/one.md, line {line}: ")
    assert why in str(error.value)


def test_the_line_is_that_of_the_source_in_a_notebook_too(small):
    book = small("# One\n\nText.\n")
    cells = [nbformat.v4.new_code_cell("x = 1"), nbformat.v4.new_markdown_cell("Then\n{who}`c`")]
    twin = nbformat.v4.new_notebook(cells=cells)
    source = "---\na: b\n---\n\n```{code-cell} ipython3\nx = 1\n```\n\nThen\n{who}`c`\n"
    (book.folder / "chapters" / "two.md").write_text(source)
    nbformat.write(twin, book.folder / "chapters" / "two.ipynb")
    with pytest.raises(Unreadable, match=r"book/chapters/two\.md, line 10: "):
        reader_notebooks(True, book)


def test_a_listing_is_the_text_of_the_library(small):
    path = ROOT / "fsps_lite" / "schedules.py"
    text = path.read_text(encoding="utf-8")
    assert listing(path) == text.rstrip("\n")
    assert listing(path, "VP").startswith("@dataclass(frozen=True)\nclass VP(Schedule, ")
    assert listing(path, "VP") in text
    assert listing(path, "VP.sigma").startswith("def sigma(self")
    with pytest.raises(LookupError, match=r"holds no VP\.Nothing"):
        listing(path, "VP.Nothing")


def test_a_listing_stands_under_its_name_and_a_box_folds_it(small):
    (book := small("# One\n")).folder.joinpath("code.py").write_text("def f():\n    return 1\n")
    shown = "```{literalinclude} ../code.py\n:pyobject: f\n```"
    wanted = "`f` in `code.py`:\n\n```python\ndef f():\n    return 1\n```"
    assert plain(book, shown) == wanted
    box = plain(book, f":::{{admonition}} The library's own text\n:class: dropdown\n{shown}\n:::")
    title = "<summary>The library's own text</summary>"
    assert box == f"<details>\n{title}\n\n{wanted}\n\n</details>"


def test_text_after_a_solution_is_not_swallowed_by_its_section(small):
    text = "```{exercise} A\n:label: a\nDo.\n```\n\n```{solution} a\nSo.\n```\n\nAnd on.\n"
    book = small(f"# One\n\n{text}")
    cells = [
        c.source for c in nbformat.reads(reader_notebooks(True, book)["00-one.ipynb"], 4).cells
    ]
    at = cells.index("#### Solution of exercise 0.1")
    assert cells[at + 1] == "<details>\n<summary>In words</summary>\n\nSo.\n\n</details>"
    assert cells[at + 2 : at + 4] == ["#### After the exercise", "And on."]
    cells = [
        c.source for c in nbformat.reads(reader_notebooks(False, book)["00-one.ipynb"], 4).cells
    ]
    assert "# Your answer to exercise 0.1\n" in cells
    assert "And on." in cells
    assert not any("So." in cell for cell in cells)


def test_what_the_page_folds_is_folded(small):
    book = small("# One\n")
    tags = ["hide-input", "hide-cell", "remove-output", "other"]
    cells = [nbformat.v4.new_code_cell("1", metadata={"tags": [tag]}) for tag in tags]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), book.folder / "chapters" / "two.ipynb")
    (book.folder / "chapters" / "two.md").write_text("# Two\n")
    made = nbformat.reads(reader_notebooks(False, book)["01-two.ipynb"], 4)
    assert [c.metadata.get("jupyter", {}) for c in code(made.cells)] == [
        {"source_hidden": True},
        {"source_hidden": True, "outputs_hidden": True},
        {"outputs_hidden": True},
        {},
    ]


def test_a_page_that_is_missing_is_named(small):
    book = small("# One\n")
    (book.folder / "words.md").unlink()
    with pytest.raises(ValueError, match="_toc.yml lists words, but there is no words.md"):
        book_numbers(book)


# Where they are


def test_links_to_where_the_notebooks_are_published():
    page = Page("chapters/one-moment-dps", "One moment: DPS", "8")
    assert launch_links("", page) is None
    links = launch_links("https://github.com/some/where/", page)
    path = "where/blob/notebooks/chapters/08-one-moment-dps.ipynb"
    assert links.view == f"https://github.com/some/{path}"
    assert links.colab == f"https://colab.research.google.com/github/some/{path}"
    assert links.binder.endswith(
        "/some/where/notebooks?urlpath=lab/tree/chapters/08-one-moment-dps.ipynb"
    )
    solved = launch_links("https://github.com/some/where.git", page, solutions=True)
    assert solved.download == (
        "https://github.com/some/where/raw/notebooks/solutions/08-one-moment-dps.ipynb"
    )


@pytest.mark.parametrize(
    "address", ["github.com/a/b", "https://example.org/a/b", "https://github.com/a"]
)
def test_an_address_of_another_shape_is_refused(address):
    with pytest.raises(ValueError, match=r"must look like https://github\.com/OWNER/NAME, got"):
        launch_links(address, Page("chapters/one", "One", "0"))


def test_the_lab_holds_both_sets_and_keeps_what_was_changed(monkeypatch, tmp_path, capsys):
    texts = {True: {"00-one.ipynb": "solved"}, False: {"00-one.ipynb": "open"}}
    monkeypatch.setattr(lab, "LAB", tmp_path)
    monkeypatch.setattr(lab, "reader_notebooks", texts.get)
    monkeypatch.setattr(lab, "masters", list)
    assert lab.main() == 0
    assert (tmp_path / "chapters" / "00-one.ipynb").read_text() == "open"
    assert (tmp_path / "solutions" / "00-one.ipynb").read_text() == "solved"
    (tmp_path / "chapters" / "00-one.ipynb").write_text("mine")
    texts[False]["00-one.ipynb"] = "newer"
    lab.main()
    assert (tmp_path / "chapters" / "00-one.ipynb").read_text() == "mine"
    assert (tmp_path / "chapters" / "00-one.new.ipynb").read_text() == "newer"
    assert "in which you have worked" in capsys.readouterr().out


def test_a_notebook_is_json_with_the_kernel_of_the_twin(solved):
    for notebook in solved.values():
        assert json.loads(nbformat.writes(notebook))["metadata"]["kernelspec"]["name"] == "python3"
