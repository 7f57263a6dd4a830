"""The laws of the book, each a function from a chapter to a list of complaints.

They keep one promise: what the reader writes in the chapters, piece by piece and checked, is the
library. CONTRIBUTING.md tells authors how to obey; `tests/test_book_laws.py` applies them.
"""

import ast
import functools
import inspect
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat

import fsps_lite

LONGEST_CELL, MEDIAN_CELL = 15, 8  # lines
PROSE = (1200, 2900)  # words
EXERCISES = 2
# used from the first page on, or data and networks; built by no chapter
TOOLS = frozenset({"plots", "widgets", "files", "letters", "networks", "patches"})
EXAMPLE = 10  # lines of an example on the reference page
CHAPTERS = Path(__file__).resolve().parent.parent / "book" / "chapters"
REFERENCE = CHAPTERS.parent / "reference.md"
FOLDED = frozenset({"hide-input", "remove-input", "hide-cell", "remove-cell"})
LAST_SECTION = "What you can now do"
OPENING = ("You will build", "You need", "minutes", "The picture to keep")


@dataclass(frozen=True)
class Chapter:
    """What the laws look at: the text, its cells, and the head's `fsps` part."""

    name: str
    number: int
    text: str
    notebook: nbformat.NotebookNode

    @classmethod
    def parse(cls, name, number, text):
        return cls(name, number, text, jupytext.reads(text, fmt="md:myst"))

    @classmethod
    def read(cls, listed):
        """A chapter that the contents list."""
        return cls.parse(listed.name, listed.number, listed.path.read_text(encoding="utf-8"))

    def listed(self, key):
        """An entry of the head, always a list."""
        return list(self.notebook.metadata.get("fsps", {}).get(key) or [])

    @property
    def builds(self):
        """What is written here, and what is only shown because no cell would hold it."""
        return {last(name) for name in self.listed("builds") + self.listed("shows")}

    @property
    def code(self):
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def prose(self):
        """The text between the cells."""
        return "\n\n".join(c.source for c in self.notebook.cells if c.cell_type == "markdown")

    @property
    def trees(self):
        """The cells as syntax trees, in order."""
        return [ast.parse(cell.source) for cell in self.code]


def last(name):
    return name.split(".")[-1]


def shown(cell):
    """The start of a cell, to name it in a message."""
    number_of_lines = len(cell.source.splitlines())
    return f"`{cell.source.splitlines()[0]}` ({number_of_lines} lines)"


def found(name):
    """What the library calls `module.Name`."""
    return functools.reduce(getattr, name.split("."), fsps_lite)


def is_module(name):
    """Whether an entry of `builds` names a whole module or room of the library."""
    try:
        return inspect.ismodule(found(name))
    except AttributeError:
        return False


# The head


def head_is_complete(chapter):
    missing = {"builds", "extends", "previews"} - set(chapter.notebook.metadata.get("fsps", {}))
    if not missing:
        return []
    return [f"the head's `fsps` lacks {sorted(missing)}; write for example `previews: []`"]


def listed_names_exist(chapter):
    """`module.Name` and `module.Class.method` are found in the library."""
    complaints = []
    for name in chapter.listed("builds") + chapter.listed("extends") + chapter.listed("shows"):
        try:
            found(name)
        except AttributeError as error:
            complaints.append(f"the head lists {name}, which the library lacks: {error}")
    return complaints


def only_the_first_chapter_previews(chapter):
    if chapter.number and chapter.listed("previews"):
        return [f"only the first chapter borrows from later ones, got {chapter.listed('previews')}"]
    return []


# The four beats


def every_piece_is_written(chapter):
    """A cell defines what the head lists, under the library's name."""
    definitions = (ast.FunctionDef, ast.ClassDef)
    defined = {
        node.name
        for tree in chapter.trees
        for node in ast.walk(tree)
        if isinstance(node, definitions)
    }
    wanted = chapter.listed("builds") + chapter.listed("extends")
    return [
        f"no cell writes {name}: define `{last(name)}` in a code cell"
        for name in wanted
        if not is_module(name) and last(name) not in defined
    ]


def every_piece_is_checked(chapter):
    """A cell that asserts mentions the library's own."""
    checks = [cell.source for cell in chapter.code if asserts(cell.source)]
    complaints = []
    for name in chapter.listed("builds"):
        if not any(last(name) in borrowed(ast.parse(source)) for source in checks):
            complaints.append(f"no cell with an assert compares {name} with `fl.{last(name)}`")
    for name in chapter.listed("extends"):
        if not any(re.search(rf"\.{last(name)}\b", source) for source in checks):
            complaints.append(f"no cell with an assert uses `.{last(name)}`, to check {name}")
    return complaints


def asserts(source):
    """Whether code holds an assert, or calls a function of that name."""
    for node in ast.walk(ast.parse(source)):
        called = getattr(node, "func", None)
        name = getattr(called, "attr", getattr(called, "id", ""))
        if isinstance(node, ast.Assert) or name.startswith("assert"):
            return True
    return False


INCLUDE = re.compile(r"\{literalinclude\}\s*(\S+)\n((?:\s*:.*\n)*)")


def every_piece_is_shown(chapter):
    """A literalinclude shows the library's own text of it."""
    included = INCLUDE.findall(chapter.prose + "\n")
    files = {part for path, _ in included for part in Path(path).with_suffix("").parts}
    objects = {
        part
        for _, options in included
        for found in re.findall(r":pyobject:\s*(\S+)", options)
        for part in found.split(".")
    }
    return [
        f"no literalinclude shows {name}: write one with `:pyobject: {last(name)}`"
        for name in chapter.listed("builds") + chapter.listed("extends") + chapter.listed("shows")
        if (last(name) not in files if is_module(name) else last(name) not in objects)
    ]


def every_listing_finds_its_text(chapter):
    """The file of a literalinclude exists, and defines what `:pyobject:` names."""
    complaints = []
    for path, options in INCLUDE.findall(chapter.prose + "\n"):
        file = (CHAPTERS / path).resolve()
        for name in re.findall(r":pyobject:\s*(\S+)", options):
            if not file.is_file():
                complaints.append(f"{path}, which should hold {name}, does not exist")
            elif not defines(ast.parse(file.read_text(encoding="utf-8")), name.split(".")):
                complaints.append(f"{path} does not define {name}: has it moved?")
    return complaints


def defines(tree, names):
    """Whether a class or function of this dotted name stands in the text itself."""
    for name in names:
        kinds = (ast.FunctionDef, ast.ClassDef)
        found = [n for n in tree.body if isinstance(n, kinds) and n.name == name]
        if not found:
            return False
        tree = found[0]
    return True


# What a chapter may use


def borrowed(tree):
    """Names X of the library that code uses, as `fl.X` or by an import."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "fl":
            names.add(node.attr)
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names if a.name.startswith("fsps_lite.")}
        elif isinstance(node, ast.ImportFrom) and node.module == "fsps_lite":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fsps_lite."):
            module = last(node.module)
            names |= {module} if module in TOOLS else {alias.name for alias in node.names}
    return names


def uses_only_what_was_built(chapter, earlier=()):
    """`earlier` are the chapters before this one."""
    allowed = TOOLS.union(chapter.builds, *(other.builds for other in earlier))
    allowed |= {last(name) for name in chapter.listed("previews")}
    used = set().union(*(borrowed(tree) for tree in chapter.trees))
    return [
        f"uses fl.{name}, which neither this chapter nor an earlier one builds"
        for name in sorted(used - allowed)
    ]


# Its form


def cells_are_short(chapter):
    cells = [c for c in chapter.code if not FOLDED & set(c.metadata.get("tags", []))]
    lengths = [len(cell.source.splitlines()) for cell in cells]
    complaints = [
        f"the cell {shown(cell)} is longer than {LONGEST_CELL} lines: split it"
        for cell, length in zip(cells, lengths, strict=True)
        if length > LONGEST_CELL
    ]
    if lengths and statistics.median(lengths) > MEDIAN_CELL:
        median = statistics.median(lengths)
        complaints.append(
            f"half of the cells are longer than {MEDIAN_CELL} lines: median {median:g}"
        )
    return complaints


FENCE = re.compile(r"(?P<marks>`{3,}|:{3,})(?P<kind>\{?[\w-]*\}?)")


def prose_lines(prose):
    """The lines to read: no equations, no code, no frames of boxes (but what is in them)."""
    end = None
    for line in re.sub(r"\$\$.*?\$\$", "", prose, flags=re.DOTALL).splitlines():
        fence = FENCE.match(line)
        if end:
            end = None if line.rstrip() == end else end
        elif fence and (fence["kind"] == "{math}" or fence["kind"][:1].isalpha()):
            end = fence["marks"]
        elif not fence and not re.match(r":[\w-]+:", line):
            yield line


def count_words(prose):
    words = " ".join(prose_lines(prose)).split()
    return sum(bool(re.search(r"\w", word)) for word in words)


def prose_has_its_length(chapter):
    words, (least, most) = count_words(chapter.prose), PROSE
    if least <= words <= most:
        return []
    return [f"the prose has {words} words, and should have {least} to {most}"]


OPENING_BOX = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{admonition\}[^\n]*\n:class:[^\n]*\bopening\b[^\n]*\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


def opens_with_its_box(chapter):
    start = chapter.prose.split("\n## ")[0]
    box = OPENING_BOX.search(start)
    if not box:
        return ["no `{admonition}` of the class `opening` stands before the first section"]
    missing = [phrase for phrase in OPENING if phrase.lower() not in box["body"].lower()]
    return [f"the opening box does not say {phrase!r}" for phrase in missing]


def ends_with_what_was_learned(chapter):
    titles = re.findall(r"^## +(.+?)\s*$", chapter.prose, re.MULTILINE)
    if titles and titles[-1] == LAST_SECTION:
        return []
    return [f"the last section must be `## {LAST_SECTION}`, got {titles[-1] if titles else None!r}"]


# Its exercises

EXERCISE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{exercise(?P<gated>-start)?\} *(?P<title>[^\n]*)\n", re.MULTILINE
)
SOLUTION = re.compile(r"^(?:`{3,}|:{3,})\{solution-start\} *(?P<label>\S+)[^\n]*\n", re.MULTILINE)
CODE = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def exercises(chapter):
    """(title, label, body) of each exercise."""
    found = []
    for match in EXERCISE.finditer(chapter.text):
        rest = chapter.text[match.end() :]
        end = "{exercise-end}" if match["gated"] else f"\n{match['fence']}\n"
        body = rest.split(end)[0]
        label = re.search(r":label: *(\S+)", body)
        found.append((match["title"], label and label[1], body))
    return found


def solutions(chapter):
    """{label: body} of the solutions that hold cells."""
    return {
        match["label"]: chapter.text[match.end() :].split("{solution-end}")[0]
        for match in SOLUTION.finditer(chapter.text)
    }


def has_exercises(chapter):
    count = len(exercises(chapter))
    return [] if count >= EXERCISES else [f"has {count} exercises, should have {EXERCISES} or more"]


def exercises_are_complete(chapter):
    """Stars, minutes, a hint."""
    complaints = []
    for title, label, body in exercises(chapter):
        if "★" not in title + body:
            complaints.append(f"exercise {label} has no star: ★ easy, ★★ some work, ★★★ hard")
        if not re.search(r"\d+ minutes", title + body):
            complaints.append(f"exercise {label} does not say how many minutes, as in `10 minutes`")
        if not re.search(r"\{admonition\} *Hint|\{hint\}", body):
            complaints.append(f"exercise {label} has no hint: write a box `{{admonition}} Hint`")
    return complaints


def exercises_are_solved(chapter):
    """A solution that is folded, runs, and asserts."""
    complaints, solved = [], solutions(chapter)
    for _, label, _ in exercises(chapter):
        if label not in solved:
            complaints.append(f"exercise {label} has no `{{solution-start}} {label}`")
            continue
        options = re.match(r"(?:\s*:.*\n)*", solved[label])[0]
        if "dropdown" not in options:
            complaints.append(f"the solution of {label} is not folded: write `:class: dropdown`")
        if not any(asserts(code) for code in map(without_head, CODE.findall(solved[label]))):
            complaints.append(f"the solution of {label} has no code cell that asserts")
    return complaints


def without_head(code):
    """A cell's code without the options above it."""
    return re.sub(r"\A(?:---\n(?s:.*?)^---\n|(?::[\w-]+:.*\n)+)", "", code, flags=re.MULTILINE)


def explorers_fit_what_they_draw(chapter):
    """A call of `explore` is shown and not run, so its controls are held against `draw` here."""
    complaints, arguments = [], {}
    for tree in chapter.trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                arguments[node.name] = {a.arg for a in node.args.args}
    for code in re.findall(r"^```python\n(.*?)^```", chapter.text, re.DOTALL | re.MULTILINE):
        for call in ast.walk(ast.parse(code)):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "explore":
                controls = {keyword.arg for keyword in call.keywords} - {"alt"}
                if arguments.get(call.args[0].id) != controls:
                    complaints.append(f"explore({call.args[0].id}, ...) moves {sorted(controls)}")
    return complaints


def chapters_are_cited_by_name(chapter):
    """Numbers come from the contents: one in the text is wrong as soon as a chapter is added."""
    found = re.findall(r"[Cc]hapters?\s+\d+", chapter.prose)
    return [f"{text!r}: cite a chapter as {{chapter}}`its-name`" for text in found]


LAWS = (
    chapters_are_cited_by_name,
    explorers_fit_what_they_draw,
    head_is_complete,
    listed_names_exist,
    only_the_first_chapter_previews,
    every_piece_is_written,
    every_piece_is_checked,
    every_piece_is_shown,
    every_listing_finds_its_text,
    cells_are_short,
    prose_has_its_length,
    opens_with_its_box,
    ends_with_what_was_learned,
    has_exercises,
    exercises_are_complete,
    exercises_are_solved,
)


# The reference page: what no chapter builds


def entries(page):
    """(name, text) of each section."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def fenced(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def entries_say_what_for(page):
    return [
        f"{name} has no sentence that says what it is for, before its example"
        for name, text in entries(page)
        if "." not in text.split("```")[0]
    ]


def entries_have_an_example(page):
    """A short one, of the name itself, that asserts."""
    complaints = []
    for name, text in entries(page):
        examples = fenced("python", text)
        lines = max([len(re.findall(r"^.*\S", code, re.MULTILINE)) for code in examples] or [0])
        if not any(asserts(code) for code in examples):
            complaints.append(f"{name} has no example that asserts, in a block ```python")
        if lines > EXAMPLE:
            complaints.append(f"an example of {name} has {lines} lines, more than {EXAMPLE}")
    return complaints


def entries_show_the_signature(page):
    """A block ```text holds it, and those of its methods, without types."""
    complaints = []
    for name, text in entries(page):
        lines = "".join(fenced("text", text)).splitlines()
        if not any(line.startswith(f"{name}(") for line in lines):
            complaints.append(f"{name} shows no signature: write {signature(name)}")
        complaints += [
            f"{name} shows {line}, write {signature(line.split('(')[0])}"
            for line in lines
            if line != signature(line.split("(")[0])
        ]
    return complaints


def signature(name):
    """As one calls it."""
    known = inspect.signature(found(name)).parameters
    bare = [known[each].replace(annotation=inspect.Parameter.empty) for each in known]
    return name + str(inspect.Signature([each for each in bare if each.name != "self"]))


PAGE_LAWS = (entries_say_what_for, entries_have_an_example, entries_show_the_signature)


# Laws of the whole book


def every_name_has_one_place(chapters, page, public):
    """A public name is built or shown in one chapter, or stands on the reference page."""
    places = {}
    for chapter in chapters:
        for name in chapter.listed("builds") + chapter.listed("shows"):
            places.setdefault(last(name), []).append(chapter.name)
    for name, _ in entries(page):
        places.setdefault(name, []).append(REFERENCE.name)
    complaints = [
        f"{name} has more than one place: {', '.join(names)}"
        for name, names in sorted(places.items())
        if len(names) > 1
    ]
    wanted = set(public) - TOOLS
    complaints += [
        f"no chapter builds {name}: let one do it, or write `## {name}` in {REFERENCE.name}"
        for name in sorted(wanted - set(places))
    ]
    return complaints + [
        f"{places[name][0]} has {name}, which is not in fsps_lite.__all__"
        for name in sorted(set(places) - wanted)
    ]


def previews_are_built_later(chapters):
    complaints = []
    for place, chapter in enumerate(chapters):
        later = set().union(*(other.builds for other in chapters[place + 1 :]))
        complaints += [
            f"{chapter.name} previews {name}, which no later chapter builds"
            for name in chapter.listed("previews")
            if last(name) not in later
        ]
    return complaints
