"""Plant faults in the formulas of fsps_lite, and see which test, or which chapter, finds each.

    python tools/mutants.py draw                   draw the list tests/mutants.json anew
    python tools/mutants.py draw --seed 1 --count 60
    python tools/mutants.py draw --add             only add one for each module that has none
    python tools/mutants.py run                    plant every mutant of the list, one by one
    python tools/mutants.py run m07 m31            these
    python tools/mutants.py run --root FOLDER      in another checkout, against its own tests
    python tools/mutants.py run --tests-only       do not ask the chapters
    python tools/mutants.py run --out found.json   keep the answers; call it again to go on

A mutant is one expression of one function with a fault in it: a sign, a factor, an exponent, an
index, or a term that is dropped. It is named by its function and its text, not by a line, so that
it is found again after the file was laid out anew. Each is planted in a temporary copy of the
checkout. First the tests of its module run, then the other tests that name what the module defines,
then the chapters that use it, one by one: the first failure ends the search. A test that also fails
without the mutant is named, and not asked any more. For each mutant it says

    found      by which test, or by which cell of which chapter
    survived   nothing failed: a blind spot
    lost       no function holds this expression any more: draw another, or mend the entry
    same       the list says why no result changes ("same": "reason", written by hand); it is
               planted only where its id is given

The exit status is 1 when one survived or was lost.
"""

import argparse
import ast
import copy
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "fsps_lite"
LIST = Path("tests/mutants.json")
KINDS = ("sign", "factor", "exponent", "index", "term")
LIMIT = 600  # seconds on a processor that a call of pytest may take; what takes more is found
TIMEOUT = 6 * LIMIT  # seconds on the clock: a busy machine is no fault, but a deadlock is one
PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not long"]

# Files that move words and pictures: no formulas, or few.
WORDS = {"__init__.py", "__main__.py", "saving.py", "types.py", "tables.py", "looks.py"}
DRAWN = {"widgets"}  # rooms of pictures: their tests compare what they draw with the library
QUIET = {"plots.py": 0.1, "report.py": 0.1, "checks.py": 0.1}

# Tests of modules that have no test file of their own name.
TESTS = {
    "adapters": ("networks",),
    "answers": ("priors", "denoiser", "at"),
    "atoms": ("priors", "precision", "attention"),
    "checks": ("errors",),
    "classes": ("smoothed",),
    "commitment": ("behaviours",),
    "comparison": ("report",),
    "course": ("networks",),
    "denoising": ("priors", "diffusion", "at"),
    "detectors": ("images",),
    "dps": ("guidance",),
    "draws": ("priors",),
    "empirical": ("priors",),
    "errors": ("networks",),
    "estimate": ("report", "beliefs"),
    "exact": ("integrators",),
    "examination": ("report", "kinds"),
    "finding": ("report",),
    "folders": ("files",),
    "frequencies": ("images",),
    "gallery": ("problems",),
    "gaussian_mixture": ("priors",),
    "grid": ("integrators",),
    "groups": ("kinds",),
    "hallucinations": ("behaviours",),
    "idx": ("files",),
    "kernels": ("integrators", "law"),
    "laws": ("law",),
    "levels": ("networks",),
    "matched": ("guidance",),
    "mixtures": ("priors",),
    "motion": ("images",),
    "partition": ("partition", "distances", "behaviours"),
    "pictures": ("files",),
    "pigdm": ("guidance",),
    "poisson": ("images",),
    "problem": ("problems",),
    "quadrature": ("problems",),
    "reverse": ("integrators",),
    "rounds": ("diffusion",),
    "run": ("report", "kinds"),
    "samples": ("kinds",),
    "score_errors": ("beliefs",),
    "spread": ("report",),
    "stops": ("behaviours",),
    "sweeps": ("sweep",),
    "tmpd": ("guidance",),
    "training": ("networks",),
    "unet": ("networks",),
    "until": ("behaviours",),
    "variations": ("partition",),
    "weights": ("networks",),
    "zeta_dps": ("guidance",),
}
ANY = "found_by_mutants"  # tests of any module
# Tests of the tools, of the book and of what the reader installs: they plant or run too much.
NOT_ASKED = {
    *("assignments", "benchmarks", "book_laws", "check", "cli", "comparison", "coursework"),
    *("environment", "house", "imports", "matrix", "moved", "skeletons"),
    *("execute", "html", "mutants", "nbgrader", "nbval_plugin", "package", "rank", "readme"),
    *("references", "twins", "vendor"),
    *("attacks", "dry_run", "export", "marks", "page", "sandbox", "students", "submission"),
    *("teaching", "unlucky"),
}
# What a chapter calls to reach a module that is not part of the public interface.
REACHED = {
    "atoms": ("Empirical",),
    "attention": ("Empirical",),
    "examination": ("diagnose", "compare"),
    "kernels": ("ddpm", "euler_maruyama", "law"),
    "mixtures": ("GaussianMixture",),
    "precision": ("Empirical",),
    "quadrature": ("Problem", "problems"),
    "rounds": ("GaussianMixture",),
    "run": ("diagnose", "compare"),
    "spread": ("diagnose", "compare"),
}


@dataclass(frozen=True)
class Mutant:
    """The ``occurrence``-th expression ``before`` of a function becomes ``after``."""

    id: str
    module: str
    function: str
    kind: str
    before: str
    after: str
    occurrence: int
    same: str = ""

    @property
    def spot(self) -> tuple[str, str, str, int]:
        return self.module, self.function, self.before, self.occurrence


@dataclass(frozen=True)
class Result:
    """What became of a mutant: ``by`` names the test or the cell that found it."""

    id: str
    status: str
    by: str
    seconds: float


class Lost(LookupError):
    """No function holds the expression of a mutant any more."""


# Where formulas stand: the bodies of functions, without words and checks.

MESSAGES = {"call", "got", "what", "text"}
NOT_COMPUTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Raise, ast.JoinedStr)
Function = ast.FunctionDef | ast.AsyncFunctionDef
Change = tuple[str, ast.expr]  # its kind, and what stands there instead


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function below ``node`` with its qualified name, also those inside functions."""
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, Function | ast.ClassDef):
            name = f"{prefix}{child.name}."
        if isinstance(child, Function):
            yield name[:-1], child
        yield from functions(child, name)


def expressions(function: Function) -> Iterator[ast.expr]:
    """What a function computes itself, in the order of its text."""
    for statement in function.body:
        if not silent(statement):
            yield from below(statement)


def below(node: ast.AST) -> Iterator[ast.expr]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or name == "annotation" or silent(child):
                continue
            if isinstance(child, ast.expr):
                yield child
            yield from below(child)


def silent(node: ast.AST) -> bool:
    """Whether no number comes out of it: a message, a check, or another function."""
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).startswith(("checks.", "complaint", "cast"))
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in MESSAGES
    return isinstance(node, NOT_COMPUTED)


# What can go wrong in a formula.

REDUCTIONS = {"amax", "argmax", "cumsum", "logsumexp", "mean", "norm", "softmax", "sum"}
SLICES = {(1, None): "[:-1]", (None, -1): "[1:]", (1, -1): "[:-2]"}  # of (lower, upper): another


def changes(node: ast.expr, names: set[str]) -> Iterator[Change]:
    """Every fault of one expression, in a function with the parameters ``names``."""
    if isinstance(node, ast.BinOp) and not wordy(node):
        yield from of_terms(node)
        yield from of_numbers(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if not isinstance(node.operand, ast.Constant):
            yield "sign", node.operand
    elif isinstance(node, ast.Call):
        yield from of_roots(node)
        yield from of_axes(node)
        yield from of_times(node, names)
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        for place in other_places(node.slice):
            yield "index", ast.Subscript(node.value, place, ast.Load())


def wordy(node: ast.expr) -> bool:
    """Whether it joins texts or lists."""
    if isinstance(node, ast.BinOp):
        return wordy(node.left) or wordy(node.right)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes)
    return isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.ListComp)


def of_terms(node: ast.BinOp) -> Iterator[Change]:
    """Another sign, another operation, or one of the two parts alone."""
    swaps: dict[type[ast.operator], tuple[str, ast.operator]] = {
        ast.Add: ("sign", ast.Sub()),
        ast.Sub: ("sign", ast.Add()),
        ast.Mult: ("factor", ast.Div()),
        ast.Div: ("factor", ast.Mult()),
    }
    if type(node.op) in swaps:
        kind, other = swaps[type(node.op)]
        yield kind, ast.BinOp(node.left, other, node.right)
        yield "term", node.left
    if isinstance(node.op, ast.Add | ast.Mult):
        yield "term", node.right


def of_numbers(node: ast.BinOp) -> Iterator[Change]:
    """A number beside an operation: its sign, its double, or one more of a power."""
    for side in ("left", "right"):
        number = number_of(getattr(node, side))
        if not number:
            continue
        if number < 0:
            yield "sign", with_number(node, side, -number)
        if isinstance(node.op, ast.Mult | ast.Div):
            yield "factor", with_number(node, side, 2 * number)
        if isinstance(node.op, ast.Pow) and side == "right":
            root = number == 0.5
            yield "exponent", node.left if root else with_number(node, side, number + 1)


def with_number(node: ast.BinOp, side: str, number: int | float) -> ast.BinOp:
    changed = copy.copy(node)
    setattr(changed, side, as_node(number))
    return changed


def number_of(node: ast.AST | None) -> int | float | None:
    """The number that is written there, a minus before it counted; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = number_of(node.operand)
        return None if number is None else -number
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    return None


def as_node(number: int | float) -> ast.expr:
    return ast.parse(repr(number), mode="eval").body


def of_roots(node: ast.Call) -> Iterator[Change]:
    """A root that is not taken, a square that is none; as a method or as a function."""
    if not isinstance(node.func, ast.Attribute):
        return
    if node.func.attr == "sqrt":
        yield "exponent", node.args[0] if node.args else node.func.value
    if node.func.attr == "square":
        yield "exponent", ast.Call(ast.Attribute(node.func.value, "abs"), node.args, [])


def of_axes(node: ast.Call) -> Iterator[Change]:
    """A sum, a mean, a softmax... along the first axis for the last, the last for that before."""
    reduces = isinstance(node.func, ast.Attribute) and node.func.attr in REDUCTIONS
    if reduces and node.args and (axis := other_axis(node.args[0])):
        yield "index", ast.Call(node.func, [axis, *node.args[1:]], node.keywords)
    for i, word in enumerate(node.keywords):
        if word.arg == "dim" and (axis := other_axis(word.value)):
            words = [*node.keywords[:i], ast.keyword("dim", axis), *node.keywords[i + 1 :]]
            yield "index", ast.Call(node.func, node.args, words)


def other_axis(node: ast.expr) -> ast.expr | None:
    number = number_of(node)
    return as_node(number + 1) if number in (-1, -2) else None


def of_times(node: ast.Call, names: set[str]) -> Iterator[Change]:
    """In a step from t to s: the one time for the other."""
    if len(node.args) == 1 and isinstance(node.args[0], ast.Name) and names >= {"s", "t"}:
        other = {"s": "t", "t": "s"}.get(node.args[0].id)
        if other:
            yield "index", ast.Call(node.func, [ast.Name(other)], node.keywords)


def other_places(place: ast.expr) -> Iterator[ast.expr]:
    """What one may write by mistake for an index, a slice, or one of several."""
    number = number_of(place)
    if isinstance(place, ast.Slice) and place.step is None:
        for (lower, upper), other in SLICES.items():
            if (number_of(place.lower), number_of(place.upper)) == (lower, upper):
                yield slice_of(other)
    elif isinstance(place, ast.Tuple):
        for i, part in enumerate(place.elts):
            for changed in other_places(part):
                yield ast.Tuple([*place.elts[:i], changed, *place.elts[i + 1 :]], ast.Load())
    elif isinstance(number, int):
        yield as_node({0: 1, -1: 0, -2: -1}.get(number, number - 1))


def slice_of(text: str) -> ast.expr:
    subscript = ast.parse(f"x{text}", mode="eval").body
    assert isinstance(subscript, ast.Subscript)
    return subscript.slice


# The list: every candidate, and the draw.


def candidates(root: Path, module: str) -> list[Mutant]:
    """Every fault that can be planted in one file."""
    found = []
    for name, function in functions(ast.parse((root / module).read_text(encoding="utf-8"))):
        names = {a.arg for a in (*function.args.posonlyargs, *function.args.args)}
        seen: Counter[str] = Counter()
        for node in expressions(function):
            before = ast.unparse(node)
            for kind, changed in changes(node, names):
                after = ast.unparse(ast.fix_missing_locations(changed))
                found.append(Mutant("", module, name, kind, before, after, seen[before]))
            seen[before] += 1
    return found


def has_formulas(path: Path) -> bool:
    """Whether faults are planted in a file of the library."""
    return path.name not in WORDS and path.parent.name not in DRAWN


def pool_of(root: Path) -> dict[str, list[Mutant]]:
    """The candidates of each module that has any."""
    files = sorted((root / PACKAGE).rglob("*.py"))
    modules = [p.relative_to(root).as_posix() for p in files if has_formulas(p)]
    return {module: found for module in modules if (found := candidates(root, module))}


def draw(root: Path, seed: int, count: int) -> list[Mutant]:
    """One mutant of each module with formulas, and others of any, none at the same spot."""
    rng, pool = random.Random(seed), pool_of(root)
    chosen = [one_of(rng, found) for found in pool.values()]
    while len(chosen) < count:
        taken = {mutant.spot for mutant in chosen}
        rest = [m for found in pool.values() for m in found if m.spot not in taken]
        if not rest:
            break
        chosen.append(one_of(rng, rest))
    chosen.sort(key=lambda mutant: mutant.spot)
    return [replace(mutant, id=f"m{i:02}") for i, mutant in enumerate(chosen, 1)]


def add(root: Path, seed: int, kept: Sequence[Mutant]) -> list[Mutant]:
    """The list with one mutant more for each module that has none yet."""
    rng, have = random.Random(seed), {mutant.module for mutant in kept}
    new = [one_of(rng, found) for module, found in pool_of(root).items() if module not in have]
    return [*kept, *(replace(m, id=f"m{i:02}") for i, m in enumerate(new, len(kept) + 1))]


def one_of(rng: random.Random, found: Sequence[Mutant]) -> Mutant:
    """A kind first, as there are few exponents and many terms; then one of that kind."""
    kind = rng.choice([kind for kind in KINDS if any(m.kind == kind for m in found)])
    fitting = [m for m in found if m.kind == kind]
    shares = [QUIET.get(Path(m.module).name, 1.0) for m in fitting]
    return rng.choices(fitting, shares)[0]


def read_list(path: Path) -> list[Mutant]:
    return [Mutant(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def write_list(path: Path, entries: Iterable[Mutant | Result]) -> None:
    """As JSON; an empty reason is left out."""
    plain = [{k: v for k, v in asdict(e).items() if (k, v) != ("same", "")} for e in entries]
    text = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


# Planting one.


def planted(source: str, mutant: Mutant) -> str:
    """The source with the fault in it, and else as it was; raises Lost."""
    node = locate(source, mutant)
    if node.end_lineno is None or node.end_col_offset is None:
        raise Lost(mutant.id)
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    first = starts[node.lineno - 1] + node.col_offset  # in bytes, as the parser counts
    last = starts[node.end_lineno - 1] + node.end_col_offset
    text = source.encode()
    return (text[:first] + f"({mutant.after})".encode() + text[last:]).decode()


def locate(source: str, mutant: Mutant) -> ast.expr:
    """The expression of a mutant, by its function, its text, and which of several it is."""
    wanted = ast.dump(ast.parse(mutant.before, mode="eval").body)
    same_name = [f for name, f in functions(ast.parse(source)) if name == mutant.function]
    nodes = [n for f in same_name for n in expressions(f) if ast.dump(n) == wanted]
    if mutant.occurrence >= len(nodes):
        raise Lost(
            f"{mutant.id}: {mutant.module} has no `{mutant.before}` (number "
            f"{mutant.occurrence + 1}) in {mutant.function}"
        )
    return nodes[mutant.occurrence]


# Who should find it.


def public_names(path: Path) -> list[str]:
    """The classes and functions that a file defines for others."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    defined = [node.name for node in body if isinstance(node, Function | ast.ClassDef)]
    return [name for name in defined if not name.startswith("_")]


@cache
def tests_of(root: Path, module: str) -> tuple[list[str], list[str]]:
    """The tests of a module, and the others that name what it defines, the most often first."""
    stem = Path(module).stem
    own = [f"tests/test_{name}.py" for name in (*TESTS.get(stem, (stem,)), ANY)]
    own = [test for test in own if (root / test).exists()]
    others = []
    for path in sorted((root / "tests").glob("test_*.py")):
        test = f"tests/{path.name}"
        if test not in own and path.stem.removeprefix("test_") not in NOT_ASKED:
            others.append((-mentions(path, names_of(root, module)), test))
    return own, [test for count, test in sorted(others) if count < 0]


def names_of(root: Path, module: str) -> list[str]:
    stem = Path(module).stem
    return [*public_names(root / module), *REACHED.get(stem, (stem,))]


def mentions(path: Path, names: Iterable[str]) -> int:
    text = path.read_text(encoding="utf-8")
    return len(re.findall(rf"\b({'|'.join(map(re.escape, names))})\b", text))


@cache
def chapters_of(root: Path, module: str) -> list[str]:
    """The notebooks that use a module: first those that build it, then by how often."""
    ranked = []
    words = rf"\b({'|'.join(map(re.escape, names_of(root, module)))})\b"
    for path in sorted((root / "book" / "chapters").glob("*.md")):
        _, head, text = path.read_text(encoding="utf-8").split("---\n", 2)
        built = len(re.findall(words, head.partition("builds:")[2]))
        used = len(re.findall(words, text))
        if used and path.with_suffix(".ipynb").exists():
            ranked.append((-built, -used, f"book/chapters/{path.stem}.ipynb"))
    return [name for *_, name in sorted(ranked)]


# Running them.


class Bench:
    """A copy of a checkout in which faults are planted; gone when the block ends."""

    def __init__(self, root: Path):
        self.root = root
        self._folder = tempfile.TemporaryDirectory(prefix="mutants-")
        self.copy = Path(self._folder.name).resolve()
        self._sound: set[str] = set()
        self.unsound: set[str] = set()  # tests that fail anyway, and tell nothing

    def __enter__(self) -> "Bench":
        for name in checkout_files(self.root):
            (self.copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.root / name, self.copy / name)
        self._probe()
        return self

    def __exit__(self, *exception: object) -> None:
        self._folder.cleanup()

    @property
    def _environment(self) -> dict[str, str]:
        """The copy comes first also where another process, such as a kernel, imports."""
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        return {**os.environ, **one_thread, "PYTHONPATH": str(self.copy)}

    def _probe(self) -> None:
        """Make sure that the package of the copy is the one that is tested."""
        command = [sys.executable, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)"]
        where = subprocess.check_output(command, cwd="/", env=self._environment, text=True)
        if self.copy not in Path(where.strip()).resolve().parents:
            raise SystemExit(f"not the copy {self.copy} would be tested, but {where.strip()}")

    def write(self, module: str, source: str) -> None:
        """Write a file; what was compiled of it goes: two versions may have one time and size."""
        path = self.copy / module
        path.write_text(source, encoding="utf-8", newline="\n")
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()

    def first_failure(self, *arguments: str) -> str | None:
        """Run pytest; the test that failed, or the cell, or what else went wrong."""
        status, output = self._pytest(*arguments)
        if status in (0, 5):  # 5 where there is nothing left to ask
            return None
        if status is None:
            return f"no end within {TIMEOUT} s: {arguments[-1]}"
        failed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
        if failed or status < 0:
            return failed[1] if failed else f"crash {status}: {arguments[-1]}"
        raise SystemExit(f"pytest {' '.join(arguments)} ended with {status}:\n{output[-3000:]}")

    def _pytest(self, *arguments: str) -> tuple[int | None, str]:
        if not self.copy.exists():
            raise SystemExit(f"the copy {self.copy} was removed while it was used: run again")
        spared = [word for test in sorted(self.unsound) for word in ("--deselect", test)]
        return run_group([*PYTEST, *arguments, *spared], self.copy, self._environment)

    def is_sound(self, failure: str) -> bool:
        """Whether what found a mutant passes where none is planted; of a notebook, all of it."""
        test = failure.split("::")[0] if ".ipynb" in failure else failure
        if test in self._sound or not (self.copy / test.split("::")[0]).exists():
            return True
        again = self.first_failure(*(["--nbval"] if ".ipynb" in test else []), test)
        if again:
            print(f"NOT ASKED: {test} fails where no mutant is planted, mend it", flush=True)
        (self.unsound if again else self._sound).add(test)
        return not again

    def examine(self, mutant: Mutant, *, chapters: bool) -> Result:
        """Plant one mutant, and ask until something fails that else would pass."""
        start = time.monotonic()
        try:
            source = (self.copy / mutant.module).read_text(encoding="utf-8")
            changed = planted(source, mutant)
        except (Lost, FileNotFoundError) as error:
            return Result(mutant.id, "lost", str(error), 0.0)
        while True:
            failure = self._search(mutant.module, source, changed, chapters)
            seconds = round(time.monotonic() - start, 1)
            if failure is None:
                return Result(mutant.id, "survived", "", seconds)
            if self.is_sound(failure):
                return Result(mutant.id, "found", failure, seconds)

    def _search(self, module: str, source: str, changed: str, chapters: bool) -> str | None:
        """The first failure while ``changed`` stands in place of ``source``."""
        self.write(module, changed)
        failures = (self.first_failure(*words) for words in self._rounds(module, chapters))
        failure = next(filter(None, failures), None)
        self.write(module, source)
        return failure

    def _rounds(self, module: str, chapters: bool) -> list[list[str]]:
        """What pytest is called with, in this order."""
        own, others = tests_of(self.copy, module)
        notebooks = chapters_of(self.copy, module) if chapters else []
        tests = [files for files in (own, others) if files]
        return [*tests, *(["--nbval", notebook] for notebook in notebooks)]


def checkout_files(root: Path) -> list[str]:
    """What git knows of a checkout, and new files in its folders; not what was built."""
    listed = ["git", "ls-files", "-z"]
    new = ["--others", "--exclude-standard", PACKAGE, "tests", "tools", "book", "benchmarks"]
    names = subprocess.check_output(listed, cwd=root, text=True)
    names += subprocess.check_output([*listed, *new], cwd=root, text=True)
    return [name for name in names.split("\0") if name and (root / name).is_file()]


def run_group(command: list[str], cwd: Path, env: dict[str, str]) -> tuple[int | None, str]:
    """Exit status (None after TIMEOUT) and output; whatever the command started ends with it."""
    with tempfile.TemporaryFile("w+") as out:
        streams: dict[str, Any] = {"stdout": out, "stderr": out}
        own: dict[str, Any] = {"start_new_session": True, "preexec_fn": limit}
        status = wait(subprocess.Popen(command, cwd=cwd, env=env, **streams, **own))
        out.seek(0)
        return status, out.read()


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))


def wait(process: "subprocess.Popen[bytes]") -> int | None:
    """None where it took too long; nothing that it started outlives the wait, however it ends."""
    try:
        return process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(root: Path, mutants: Sequence[Mutant], out: Path | None, *, chapters: bool) -> list[Result]:
    """Examine each mutant that ``out`` does not hold yet; a line for each as it goes."""
    results = [Result(**r) for r in json.loads(out.read_text())] if out and out.exists() else []
    known = {result.id for result in results}
    rest = [mutant for mutant in mutants if mutant.id not in known]
    if not rest:
        return results
    with Bench(root) as bench:
        for mutant in rest:
            results.append(bench.examine(mutant, chapters=chapters))
            print(line_of(mutant, results[-1]), flush=True)
            if out:
                write_list(out, results)
    return results


def line_of(mutant: Mutant, result: Result) -> str:
    where = f"{Path(mutant.module).stem}.{mutant.function}"
    change = f"{mutant.kind}: {mutant.before} -> {mutant.after}"
    return f"{mutant.id} {result.status:8} {result.seconds:6.1f} s  {where}  {change}  {result.by}"


def conclude(results: Sequence[Result]) -> int:
    """Count, tell again what needs a look, and return the exit status."""
    counts = Counter(result.status for result in results)
    bad = [r for r in results if r.status in ("survived", "lost")]
    for result in bad:
        print(f"{result.status.upper()}: {result.id} {result.by}")
    print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    return 1 if bad else 0


def draw_command(options: argparse.Namespace) -> int:
    """Reasons that were written by hand stay with what is drawn again."""
    path = options.out or ROOT / LIST
    known = read_list(path) if path.exists() else []
    if options.add:
        mutants = add(options.root, options.seed, known)
    else:
        reasons = {replace(mutant, same=""): mutant.same for mutant in known}
        mutants = draw(options.root, options.seed, options.count)
        mutants = [replace(mutant, same=reasons.get(mutant, "")) for mutant in mutants]
    write_list(path, mutants)
    for m in mutants:
        print(f"{m.id} {m.kind:8} {m.function}: {m.before} -> {m.after}")
    return 0


def run_command(options: argparse.Namespace) -> int:
    listed = read_list(ROOT / LIST)
    unknown = set(options.ids) - {mutant.id for mutant in listed}
    if unknown:
        raise SystemExit(f"no mutant called {', '.join(sorted(unknown))} in {LIST}")
    chosen = [m for m in listed if m.id in options.ids or not (options.ids or m.same)]
    results = run(options.root, chosen, options.out, chapters=not options.tests_only)
    spared = [] if options.ids else [Result(m.id, "same", m.same, 0.0) for m in listed if m.same]
    return conclude([*results, *spared])


def parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    commands = whole.add_subparsers(required=True)
    draws, runs = commands.add_parser("draw"), commands.add_parser("run")
    for command, call in ((draws, draw_command), (runs, run_command)):
        command.set_defaults(call=call)
        command.add_argument("--root", type=lambda text: Path(text).resolve(), default=ROOT)
        command.add_argument("--out", type=Path)
    draws.add_argument("--seed", type=int, default=0)
    draws.add_argument("--count", type=int, default=48)
    draws.add_argument("--add", action="store_true")
    runs.add_argument("ids", nargs="*")
    runs.add_argument("--tests-only", action="store_true")
    return whole


def main(arguments: list[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the copy is removed
    options = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.call
    return command(options)


if __name__ == "__main__":
    sys.exit(main())
