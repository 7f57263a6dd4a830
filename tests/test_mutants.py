"""The planted faults: a list that still fits the source, and a tool that sees what tests see."""

import json
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tools import mutants
from tools.mutants import KINDS, Bench, Lost, Mutant, candidates, draw, planted, read_list

ROOT = Path(__file__).resolve().parent.parent
LISTED = read_list(ROOT / mutants.LIST)

# Every kind of fault has one place here, and every place without a formula is a trap.
FORMULAS = '''"""A module: 1 + 2."""

import math


class Cloud:
    """3 * x."""

    def spread(self, x, wide: int = 2 * 3) -> "float - int":
        """4 - x."""
        if x < 0:
            raise ValueError(f"{x - 1} is " + "wrong" * 2)
        call = x + 5

        def root(y):
            return math.sqrt(y**2)

        return root(x) + self.spread(x - 1)[0]

    def last(self, values):
        # Zwei Zeilen, é: the parser counts bytes.
        é = (
            values[-1] -
            values[0]
        )
        return -é * values[0]


def step(x, t, s, noise):
    return noise.sigma(s) * x.square().sum(-1)
'''


@pytest.fixture
def package(tmp_path):
    """A checkout with one module, a test that sees everything it does, and one that is blind."""
    (tmp_path / "fsps_lite").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "fsps_lite" / "__init__.py").write_text("")
    (tmp_path / "fsps_lite" / "formulas.py").write_text(FORMULAS, encoding="utf-8")
    return tmp_path


def found_in(root):
    return candidates(root, "fsps_lite/formulas.py")


def test_the_list_has_forty_faults_of_every_kind():
    assert len(LISTED) >= 40
    assert {mutant.kind for mutant in LISTED} == set(KINDS)
    assert len({mutant.id for mutant in LISTED}) == len(LISTED)
    assert len({mutant.spot for mutant in LISTED}) == len(LISTED)


def test_every_module_with_formulas_has_one():
    files = [p for p in (ROOT / "fsps_lite").rglob("*.py") if mutants.has_formulas(p)]
    modules = {p.relative_to(ROOT).as_posix() for p in files}
    with_formulas = {module for module in modules if candidates(ROOT, module)}
    assert with_formulas <= {mutant.module for mutant in LISTED}


@pytest.mark.parametrize("mutant", LISTED, ids=lambda mutant: mutant.id)
def test_every_fault_can_be_planted_in_the_source_of_today(mutant):
    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    changed = planted(source, mutant)
    before, after = (compile(text, mutant.module, "exec") for text in (source, changed))
    assert before != after
    # Away from the fault the text is as it was.
    assert changed.count("\n") <= source.count("\n")
    assert f"({mutant.after})" in changed


def test_faults_are_planted_in_formulas_only(package):
    spots = {(mutant.function, mutant.before) for mutant in found_in(package)}
    assert spots == {
        ("Cloud.spread", "root(x) + self.spread(x - 1)[0]"),
        ("Cloud.spread", "self.spread(x - 1)[0]"),
        ("Cloud.spread", "x - 1"),
        ("Cloud.spread.root", "math.sqrt(y ** 2)"),
        ("Cloud.spread.root", "y ** 2"),
        ("Cloud.last", "values[-1] - values[0]"),
        ("Cloud.last", "values[-1]"),
        ("Cloud.last", "values[0]"),
        ("Cloud.last", "-é * values[0]"),
        ("Cloud.last", "-é"),
        ("step", "noise.sigma(s) * x.square().sum(-1)"),
        ("step", "noise.sigma(s)"),
        ("step", "x.square().sum(-1)"),
        ("step", "x.square()"),
    }


@pytest.mark.parametrize(
    ("before", "faults"),
    [
        ("a + b", {"sign: a - b", "term: a", "term: b"}),
        ("a - b", {"sign: a + b", "term: a"}),
        ("2 * a", {"factor: 2 / a", "factor: 4 * a", "term: 2", "term: a"}),
        ("a / -0.5", {"factor: a * -0.5", "factor: a / -1.0", "sign: a / 0.5", "term: a"}),
        ("-a", {"sign: a"}),
        ("a**2", {"exponent: a ** 3"}),
        ("a**0.5", {"exponent: a"}),
        ("a.sqrt()", {"exponent: a"}),
        ("torch.sqrt(a)", {"exponent: a"}),
        ("a.square()", {"exponent: a.abs()"}),
        ("a[0]", {"index: a[1]"}),
        ("a[-1]", {"index: a[0]"}),
        ("a[2]", {"index: a[1]"}),
        ("a[1:]", {"index: a[:-1]"}),
        ("a[:-1]", {"index: a[1:]"}),
        ("a[1:-1]", {"index: a[:-2]"}),
        ("a[:, 0, None]", {"index: a[:, 1, None]"}),
        ("a.sum(-1)", {"index: a.sum(0)"}),
        ("a.var(dim=-2)", {"index: a.var(dim=-1)"}),
        ("alpha(t)", {"index: alpha(s)"}),
        ("a % 2", set()),
        ("a + 'text'", set()),
        ("[1] + a", set()),
        ("sum(a, -1)", set()),
    ],
)
def test_each_formula_has_its_faults(package, before, faults):
    text = f"def f(a, b, t, s):\n    return {before}\n"
    (package / "fsps_lite" / "formulas.py").write_text(text)
    assert {f"{m.kind}: {m.after}" for m in found_in(package)} == faults


def test_a_fault_is_found_again_after_the_file_was_laid_out_anew(package):
    (mutant,) = [m for m in found_in(package) if (m.occurrence, m.before) == (1, "values[0]")]
    moved = FORMULAS.replace(
        "def last(self, values)", "def last(\n        self, values: list\n    )"
    )
    moved = "# more\n" + moved.replace("-é * values[0]", "(-é\n            * values[0])")
    assert "* (values[1])" in planted(moved, mutant)
    assert "* values[0]" not in planted(moved, mutant)


def test_a_fault_whose_formula_is_gone_is_called_lost(package):
    (mutant,) = [m for m in found_in(package) if m.kind == "exponent" and "y" in m.before[:1]]
    with pytest.raises(Lost, match=r"no `y \*\* 2` \(number 1\) in Cloud.spread.root"):
        planted(FORMULAS.replace("y**2", "y * y"), mutant)


def test_the_same_seed_draws_the_same_list(package):
    first, again, other = (draw(package, seed, 6) for seed in (0, 0, 1))
    assert first == again != other
    assert len({mutant.spot for mutant in first}) == 6
    assert len(draw(package, 0, 1000)) == len({mutant.spot for mutant in found_in(package)})


def test_the_draw_gives_each_module_a_fault_before_any_a_second(package):
    for name in ("one", "two", "three"):
        (package / "fsps_lite" / f"{name}.py").write_text("def f(x):\n    return 2 * x\n")
    assert Counter(m.module for m in draw(package, 0, 4)).most_common(1)[0][1] == 1


def test_a_reason_outlives_another_draw(package, monkeypatch):
    out = package / "list.json"
    arguments = ["draw", "--root", str(package), "--count", "3", "--out", str(out)]
    monkeypatch.setattr(mutants.signal, "signal", lambda *_: None)
    mutants.main(arguments)
    first, *rest = read_list(out)
    mutants.write_list(out, [replace(first, same="written by hand"), *rest])
    mutants.main(arguments)
    assert [mutant.same for mutant in read_list(out)] == ["written by hand", "", ""]


def test_a_new_module_gets_a_fault_and_the_others_keep_theirs(package):
    before = draw(package, 0, 3)
    assert mutants.add(package, 1, before) == before
    (package / "fsps_lite" / "new.py").write_text("def f(x):\n    return 2 * x\n")
    *kept, new = mutants.add(package, 1, before)
    assert kept == before
    assert (new.id, new.module) == ("m04", "fsps_lite/new.py")


def test_the_list_is_read_as_it_was_written(tmp_path):
    entry = Mutant("m01", "a.py", "f", "sign", "-é", "é", 0)
    mutants.write_list(tmp_path / "list.json", [entry])
    assert read_list(tmp_path / "list.json") == [entry]
    assert "same" not in json.loads((tmp_path / "list.json").read_text(encoding="utf-8"))[0]


def test_a_fault_is_found_by_a_test_that_sees_it_and_survives_where_all_are_blind(
    package, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    subprocess.run(["git", "init", "-q"], cwd=package, check=True)
    formulas = "def twice(x):\n    return 2 * x\n\n\ndef half(x):\n    return x / 2\n"
    (package / "fsps_lite" / "formulas.py").write_text(formulas)
    (package / "tests" / "test_formulas.py").write_text(
        "from fsps_lite.formulas import twice\n\n\ndef test_twice():\n    assert twice(3) == 6\n"
    )
    seen, unseen = (m for m in found_in(package) if m.kind == "term" and m.after == "x")
    gone = Mutant("gone", seen.module, "twice", "sign", "-x", "x", 0)
    asked = [seen, unseen, gone, replace(gone, module="fsps_lite/gone.py")]
    results = mutants.run(package, asked, tmp_path / "out.json", chapters=False)
    assert [result.status for result in results] == ["found", "survived", "lost", "lost"]
    assert results[0].by == "tests/test_formulas.py::test_twice"
    assert (package / "fsps_lite" / "formulas.py").read_text() == formulas
    # What is in the file is not planted again, and a survivor makes the tool fail.
    assert mutants.run(package, [seen], tmp_path / "out.json", chapters=False) == results
    assert mutants.conclude(results) == 1
    assert "SURVIVED" in capsys.readouterr().out


def test_a_test_that_fails_anyway_finds_nothing(package, monkeypatch, capsys):
    files = ["fsps_lite/formulas.py", "tests/test_formulas.py"]
    monkeypatch.setattr(mutants, "checkout_files", lambda root: files)
    monkeypatch.setattr(Bench, "_probe", lambda bench: None)
    (package / "tests" / "test_formulas.py").write_text("")
    bad = "tests/test_formulas.py::test_bad"
    ask = lambda bench, *tests: None if bad in bench.unsound else bad  # noqa: E731
    monkeypatch.setattr(Bench, "first_failure", ask)
    with Bench(package) as bench:
        assert bench.examine(found_in(package)[0], chapters=False).status == "survived"
    assert f"NOT ASKED: {bad}" in capsys.readouterr().out
