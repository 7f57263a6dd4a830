"""Attacks on the grader, each with what must happen: `tests/coursework_attacks/*.yaml` hold them.

All of them hand in at once, as a class, between two honest students; those who pass something on to
one another are a class of their own. An attack that this system cannot hold is skipped, and the
guard that it lacks is named.

    tries        what it is for, in words
    write, solve, drop, forge      the cells, as in `examples.submission_text`
    attempts     {label: code}, each of which the kernel must refuse; the answer says how
    value, replies_by              what it sends over the connection in place of its answers
    change, bytes_by, raw, place   Python that changes the notebook, gives the file, or hands in
    leave, look  of two students: code of the one who knows, and of the one who does not
    name         of the student; `row` is how the table shows it
    points, says, matches, failure, absent, to_mark    what must stand in the row
    held_by      guards, of which one is enough; `unheld` is what succeeds without any
"""

import ast
import contextlib
import csv
import ctypes
import functools
import hashlib
import html.parser
import json
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from tools.coursework import __main__ as tool
from tools.coursework import course, examples, grade, sandbox, secret, students
from tools.coursework.master import FOLDER, masters

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="submissions run on Linux, macOS or WSL"),
    pytest.mark.usefixtures("unchecked"),
]
HERE = Path(__file__).parent / "coursework_attacks"
PHRASE = "a phrase that nobody knows"
LITTER = "coursework-was-here"
UNANSWERED = "not answered yet"
NAME = "09-small"
KEY = 0x5A110000 + os.getpid() % 2**16  # of System V, for this run
REFUSALS = {"EPERM", "EACCES", "ENOENT", "ENOSYS", "EROFS", "ESRCH", "ENOSPC", "EXDEV", "ENOTDIR"}
REFUSALS |= {"EMFILE", "ENOBUFS", "EFBIG", "EAFNOSUPPORT", "ECONNREFUSED", "EINVAL"}
ALL_OF = ["bubblewrap", "namespaces", "Landlock", "filter"]  # what a child can be started without
LIBC = """
import ctypes, errno, os, socket, sys, time
libc, KEY = ctypes.CDLL(None, use_errno=True), {key}
frame = sys._getframe()
while not frame.f_code.co_filename.endswith("__main__.py"):
    frame = frame.f_back
PARENT = os.path.dirname(frame.f_code.co_filename)  # where the child's own code lies
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(PARENT)))
PLACES = ["/tmp", "/var/tmp", "/dev/shm", "/run/lock", ".", "..", "../..", *sys.path, sys.prefix]

def must(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "")
    return result

def litter(folder):
    path = os.path.join(folder, "coursework-was-here")
    open(path, "w").close()
    os.unlink(path)

def tried(code):
    try:
        exec(code, dict(globals()))
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        return type(error).__name__
    return "done"
"""
ANSWERS = "def responsibilities(x):\n    return told\n"
CHANNEL = """
import json, os
lines, at = ("\\n".join({lines}) + "\\n").encode("utf-8", "surrogateescape"), 0
while at < len(lines):
    at += os.write(3, lines[at : at + 2**16])
"""


def suite(name):
    return yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))


KINDS = ["stops-the-class", "files", "unearned", "lies", "reaches-out", "tables", "mishaps"]
ATTACKS = {attack: told for kind in KINDS for attack, told in suite(kind).items()}
RELAYS, REAL = suite("relays"), suite("real")
KNOWN = set(re.findall(r"\w+", __doc__)) | {"everyday", "seconds", "attacked", "root", "linux"}
KNOWN |= {"value_by", "write_by", "name_by", "row_by", "together"}


def daily(suite):
    """Every attack, those that are not for every day marked as long."""
    return [
        pytest.param(a, marks=[] if told.get("everyday") else pytest.mark.long)
        for a, told in suite.items()
    ]


def computed(told, key, default, **names):
    """The value of a key, or of the Python under `key_by`."""
    return (
        eval(told[f"{key}_by"], globals() | names)
        if f"{key}_by" in told
        else told.get(key, default)
    )


def cells(told, folder):
    """What stands in the cells of an attack, {cell: source}."""
    found = dict(computed(told, "write", {}))
    if "attempts" in told:
        code = {
            label: text.replace("{class}", str(folder)) for label, text in told["attempts"].items()
        }
        trying = f"told = {{label: tried(code) for label, code in {code!r}.items()}}\n"
        found["q1"] = LIBC.format(key=KEY) + trying + ANSWERS
    value = told.get("value_by", f"json.loads({told['value']!r})" if "value" in told else "")
    if value:
        answer = f"json.dumps({{'value': {value}}})"
        replies = f"['{{\"failures\": {{}}}}', *['{{\"function\": true}}', {answer}, {answer}] * 9]"
        found["q1"] = CHANNEL.format(lines=replies)
    if "replies_by" in told:
        found["q1"] = CHANNEL.format(lines=told["replies_by"])
    return found


def notebook(master, told, folder):
    """The text of the notebook that an attack hands in."""
    text = examples.submission_text(
        master,
        told.get("solve", ["q3"]),
        cells(told, folder),
        told.get("drop", ()),
        told.get("forge"),
        told.get("raw"),
    )
    if "change" in told:
        held = json.loads(text)
        exec(told["change"], {"notebook": held})
        text = json.dumps(held)
    return text


def hand_in(master, folder, attack, told):
    """Put into the folder what an attack puts there."""
    student = computed(told, "name", attack)
    file = folder / student / f"{master.name}.ipynb"
    text = notebook(master, told, folder)
    if "place" in told:
        exec(told["place"], {"folder": folder, "file": file, "text": text, "os": os})
        return
    file.parent.mkdir(parents=True)
    data = eval(told["bytes_by"], {"text": text}) if "bytes_by" in told else text.encode()
    file.write_bytes(data)


def rows(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def held_class(suite, chosen, folder, master, jobs=2, warm=True):
    """Hand in the attacks, grade them all, and answer what came of it."""
    submissions, out, temporary = folder / "class", folder / "grades", folder / "temporary"
    for path in (submissions, temporary):
        path.mkdir()
    for honest in ("honest", "zz-honest"):
        hand_in(master, submissions, honest, {"solve": "all"})
    for attack in chosen:
        with contextlib.suppress(PermissionError):
            hand_in(master, submissions, attack, suite[attack])
    before = leftovers(folder)
    told = ["--masters", str(HERE / "masters"), "--submissions", str(submissions)]
    told += ["--jobs", str(jobs), "--lms", "canvas"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", None)
        if not warm:  # nobody draws
            patch.setattr(sandbox, "warm", lambda room: None)
        begun = time.monotonic()
        status = tool.main(["grade", "--out", str(out), "--seed", PHRASE, *told])
    seconds = time.monotonic() - begun
    found = SimpleNamespace(out=out, submissions=submissions, status=status, seconds=seconds)
    found.left = [thing for thing in leftovers(folder) if thing not in before]
    found.rows = rows(out / f"{master.name}.csv")
    return found


def leftovers(folder):
    """All that a class could leave on this machine: files, processes, shared memory, sockets."""
    places = [
        "/",
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        "/dev/mqueue",
        "/run/lock",
        tempfile.gettempdir(),
    ]
    places += [*sys.path, sys.prefix, sandbox.CHILD, sandbox.ROOT, folder, folder / "class"]
    found = [str(path) for place in places for path in Path(place or ".").glob(f"{LITTER}*")]
    found += map(str, (folder / "temporary").glob("*"))
    for kind in ("shm", "msg", "sem"):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]
            found += [f"{kind} {line}" for line in lines if int(line.split()[0]) == KEY]
    with contextlib.suppress(OSError):
        found += [s for s in Path("/proc/net/unix").read_text().splitlines() if LITTER in s]
    return found + [f"process {pid}" for pid in processes(folder)]


def processes(folder):
    """The processes that were started for this folder, by their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder / "temporary") in (path / "environ").read_bytes():
                found.append(path.name)
    return found


@pytest.fixture(scope="module")
def small():
    return next(m for m in masters(HERE / "masters") if m.name == NAME)


@pytest.fixture(scope="module")
def guards(tmp_path_factory):
    """The names of the guards that hold here."""
    room = str(tmp_path_factory.mktemp("room"))
    with sandbox.Child([], [], room, seconds=5, megabytes=500) as child:
        return set(child.guards)


@pytest.fixture(scope="module")
def everyday(tmp_path_factory, small):
    """The class of the attacks of every day."""
    chosen = [attack for attack, told in ATTACKS.items() if told.get("everyday")]
    return held_class(ATTACKS, chosen, tmp_path_factory.mktemp("everyday"), small, warm=False)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory, small):
    """The class of all attacks."""
    return held_class(ATTACKS, ATTACKS, tmp_path_factory.mktemp("everybody"), small)


@pytest.fixture
def graded(request, attack):
    """The class that an attack is in: one class for every day, and one for all."""
    return request.getfixturevalue("everyday" if ATTACKS[attack].get("everyday") else "everybody")


def skip_unless_held(told, guards):
    wanted = set(told.get("held_by", []))
    if wanted and not wanted & guards:
        pytest.skip(f"this system lacks {' and '.join(sorted(wanted))}")
    if told.get("root") and os.getuid() != 0:
        pytest.skip("only root makes a device")
    if told.get("linux") and sys.platform != "linux":
        pytest.skip("this file system keeps no such name")


def has_its_points(row, told):
    """Whether a row is what an attack deserves."""
    wanted = {"q1": 0, "q2": 0, "q3": 4} | told.get("points", {})
    wanted = dict.fromkeys(wanted, 0) if "failure" in told else wanted
    assert {q: row[q] for q in wanted} == {q: str(points) for q, points in wanted.items()}
    for question, remark in told.get("says", {}).items():
        assert row[f"feedback {question}"] == remark
    for question, pattern in told.get("matches", {}).items():
        assert re.search(pattern, row[f"feedback {question}"]), row[f"feedback {question}"]
    status = told.get("failure", "^to mark: q\\d$" if told.get("to_mark") else "^ok$")
    assert re.search(status, row["status"]), row["status"]


def was_refused(row):
    """Whether the kernel refused all that an attack attempted."""
    answer = re.match(r"the answer is (\{.*?\})", row["feedback q1"])
    assert answer, row["feedback q1"]
    outcomes = ast.literal_eval(answer[1])
    assert outcomes
    assert {label: how for label, how in outcomes.items() if how not in REFUSALS} == {}


def test_each_attack_says_what_it_tries_and_what_must_happen():
    assert len(ATTACKS) + len(RELAYS) + len(REAL) >= 40
    for attack, told in {**ATTACKS, **RELAYS, **REAL}.items():
        assert told["tries"], attack
        assert set(told) <= KNOWN, (attack, set(told) - KNOWN)
        ways = ("says", "matches", "attempts", "look", "failure", "absent", "name", "name_by")
        ways += ("points", "to_mark", "place", "change")
        assert set(ways) & set(told), attack


@pytest.mark.parametrize("attack", daily(ATTACKS))
def test_an_attack_gets_what_it_deserves(attack, graded, guards):
    told = ATTACKS[attack]
    skip_unless_held(told, guards)
    name = computed(told, "row", told.get("name", attack))
    sign = "[=+@＝-]"  # noqa: RUF001
    plain = re.sub(f"(^'*|;)({sign})", r"'\1\2" if re.match(f"'*{sign}", name) else r"\1'\2", name)
    if told.get("absent"):
        assert plain not in graded.rows
        return
    assert plain in graded.rows
    row = graded.rows[plain]
    has_its_points(row, told)
    if "attempts" in told:
        was_refused(row)
    assert (graded.out / NAME / row["page"]).is_file()


@pytest.mark.parametrize("size", ["everyday", pytest.param("everybody", marks=pytest.mark.long)])
def test_the_class_goes_on_and_nothing_stays(size, request):
    graded = request.getfixturevalue(size)
    assert graded.status == 0
    for honest in ("honest", "zz-honest"):
        row = graded.rows[honest]
        assert [row[q] for q in ("q1", "q2", "q3")] == ["4", "1", "4"]
        assert row["status"] == "to mark: q4"
    assert graded.left == []
    assert sorted(p.name for p in (graded.submissions / "honest").iterdir()) == [f"{NAME}.ipynb"]
    pages = [row["page"] for row in graded.rows.values()]
    assert len({page.casefold() for page in pages}) == len(pages)
    assert {p.name for p in (graded.out / NAME).iterdir()} == set(pages)


@pytest.mark.parametrize("size", ["everyday", pytest.param("everybody", marks=pytest.mark.long)])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_of_a_table_is_a_formula(size, separator, request):
    """Excel splits at semicolons where commas are decimal points, whatever the file means."""
    graded = request.getfixturevalue(size)
    formulas = []
    for path in graded.out.glob("*.csv"):
        with path.open(newline="", encoding="utf-8-sig") as file:
            cells = [cell for row in csv.reader(file, delimiter=separator) for cell in row]
        formulas += [cell[:60] for cell in cells if re.match(r"[=+\-@＝＋－＠\t\r]", cell)]  # noqa: RUF001
    assert formulas == []


class Tags(html.parser.HTMLParser):
    """The tags and attributes of a page, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.found = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found |= {tag, *(name for name, _ in attributes)}


@pytest.mark.parametrize("size", ["everyday", pytest.param("everybody", marks=pytest.mark.long)])
def test_no_page_runs_what_a_student_wrote(size, request):
    graded = request.getfixturevalue(size)
    honest = Tags((graded.out / NAME / "honest.html").read_text(encoding="utf-8")).found
    for path in (graded.out / NAME).iterdir():
        found = Tags(path.read_text(encoding="utf-8")).found
        assert found <= honest | {"class", "ul", "li", "div", "p"}, path.name


# ---- one student passes the solution on to another ----


def sides(told):
    """What the two students of a relay hand in: the first knows the answer."""
    start = LIBC.format(key=KEY) + 'found = b""\n'
    attempt = "try:\n{}\nexcept Exception as error:\n    found = type(error).__name__\n"
    code = {
        who: "\n".join(f"    {line}" for line in told[who].splitlines())
        for who in ("leave", "look")
    }
    left = start + attempt.format(code["leave"]) + "def responsibilities(x):\n    return x\n"
    looked = start + attempt.format(code["look"])
    looked += "def responsibilities(x):\n    return x if b'solution' == found else str(found)\n"
    return [{"write": {"q1": left}}, {"write": {"q1": looked}}]


def relayed(chosen, folder, master, jobs, size):
    pairs = {
        f"{name}-{n}": told for name in chosen for n, told in enumerate(sides(RELAYS[name]), 1)
    }
    return held_class(pairs, pairs, folder, master, jobs, warm=size == "all")


@pytest.mark.parametrize(
    ("jobs", "size"),
    [(1, "some"), *(pytest.param(j, "all", marks=pytest.mark.long) for j in (1, 2))],
)
def test_nobody_learns_the_solution_from_another(jobs, size, guards, small, tmp_path):
    chosen = [name for name, told in RELAYS.items() if bool(told.get("together")) == (jobs == 2)]
    chosen = [name for name in chosen if size == "all" or RELAYS[name].get("everyday")]
    chosen = [name for name in chosen if set(RELAYS[name]["held_by"]) & guards]
    if not chosen:
        pytest.skip("this system has no guard that holds any of these")
    graded = relayed(chosen, tmp_path, small, jobs, size)
    got = {name: [graded.rows[f"{name}-{n}"]["q1"] for n in (1, 2)] for name in chosen}
    assert got == dict.fromkeys(chosen, ["4", "0"])
    assert graded.left == []


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="there are no guards to leave out")
@pytest.mark.parametrize("name", [name for name, told in RELAYS.items() if told.get("unheld")])
def test_a_relay_works_where_nothing_holds_it(name, tmp_path):
    """Or else it would prove nothing."""
    sources = [told["write"]["q1"] for told in sides(RELAYS[name])]
    with contextlib.ExitStack() as stack:
        stack.callback(remove_queue)
        if RELAYS[name].get("together"):
            stack.enter_context(aside(sources[0], tmp_path))
            time.sleep(0.5)
        else:
            stack.enter_context(unheld(sources[0], tmp_path))
        with unheld(sources[1], tmp_path) as reader:
            asked = {"args": sandbox.wire.encode((0.5,)), "kwargs": sandbox.wire.encode({})}
            assert reader.ask({"name": "responsibilities", **asked}) == {"value": 0.5}


def remove_queue():
    """What nothing holds stays: a queue of messages, too."""
    libc = ctypes.CDLL(None)
    queue = libc.msgget(KEY, 0)
    if queue >= 0:
        libc.msgctl(queue, 0, None)


def unheld(source, room):
    """A child that nothing holds but its limits."""
    early = ["fcntl", "socket"]  # where Python lies in a folder of root's
    return sandbox.Child([("q1", source)], early, str(room), 10, 500, without=ALL_OF)


@contextlib.contextmanager
def aside(source, room):
    """Another process with such a child in it."""
    process = multiprocessing.get_context("fork").Process(target=keep, args=(source, room))
    process.start()
    yield
    process.terminate()
    process.join()


def keep(source, room):
    signal.signal(signal.SIGTERM, lambda *given: sys.exit(0))
    with contextlib.suppress(sandbox.Ended), unheld(source, room):
        time.sleep(5)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="there are no guards to leave out")
@pytest.mark.parametrize(
    "name", [n for n, told in ATTACKS.items() if "attempts" in told and told.get("unheld")]
)
def test_an_attempt_succeeds_where_nothing_holds_it(name, tmp_path):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "honest").mkdir()
        (folder / "honest/09-small.ipynb").touch()
        source = cells(ATTACKS[name], folder)["q1"]
        with unheld(source, tmp_path) as child:
            told = sandbox.wire.decode(child.ask({"name": "told"})["value"])
    wanted = dict.fromkeys(ATTACKS[name]["unheld"], "done")
    assert {label: told[label] for label in wanted} == wanted


# ---- the grader itself, killed or not allowed ----


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_grader_that_is_killed_leaves_no_submission_behind(tmp_path):
    """A terminal that is closed kills the grader; what sleeps would sleep for ever."""
    told, tell = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=be_killed, args=(tmp_path, tell))
    process.start()
    pid = int(os.read(told, 99))
    process.kill()
    process.join()
    deadline = time.monotonic() + 3
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    lives = alive(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.close(told), os.close(tell)
    assert not lives


def be_killed(room, tell):
    sleeps = "import threading, time\nthreading.Thread(target=time.sleep, args=[600]).start()"
    with sandbox.Child([("q1", sleeps)], [], str(room), 10, 500) as child:
        os.write(tell, str(child.process.pid).encode())
        time.sleep(60)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_file_that_an_ordinary_user_cannot_read_is_one_row(small):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o777)
        for student in ("closed", "shut", "open"):
            hand_in(small, folder / "class", student, {"solve": []})
        (folder / "class/closed/09-small.ipynb").chmod(0)
        (folder / "class/shut").chmod(0)
        (folder / "out").mkdir(mode=0o777)
        (folder / "out").chmod(0o777)
        process = multiprocessing.get_context("fork").Process(
            target=as_nobody, args=(folder, small)
        )
        process.start()
        process.join(60)
        (folder / "class/shut").chmod(0o700)
        assert process.exitcode == 0
        found = rows(folder / "out" / f"{NAME}.csv")
        assert found["open"]["status"] == "ok"
        for student in ("closed", "shut"):
            assert re.search(
                r"^failed: it cannot be read \(PermissionError\)", found[student]["status"]
            )


def as_nobody(folder, master):
    """Grade as a user who is not root. Nobody handed anything in, so no process is started."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    sandbox.warm = lambda room: None
    found = students.handed_in(folder / "class", [master])
    told = list(course.run(course.Course([master], found, folder / "out", PHRASE)))
    assert any("2 of 3 could not be graded" in line for line in told), told


@pytest.mark.long
def test_files_whose_names_tell_nothing_do_not_hold_up_the_class(small, tmp_path):
    """They are looked into before anybody is graded, one after another, without a time limit."""
    lines = {"cell_type": "code", "source": "a=\n" * 1_500_000, "metadata": {}}
    (tmp_path / "mallory").mkdir()
    for number in range(3):
        file = tmp_path / f"mallory/homework-{number}.ipynb"
        file.write_text(json.dumps({"cells": [lines] * 2}), encoding="utf-8")
    begun = time.monotonic()
    found = students.handed_in(tmp_path, [small])
    assert len(found.unmatched) == 3
    assert time.monotonic() - begun < 10


def test_a_name_that_the_terminal_cannot_show_stops_nobody(small, tmp_path):
    """A terminal may know Latin letters only; the names of a class know no such limit."""
    hand_in(small, tmp_path / "class", "日本", {"raw": "no notebook"})
    hand_in(small, tmp_path / "class", "é", {"solve": []})
    command = [
        sys.executable,
        "-m",
        "tools.coursework",
        "grade",
        "--masters",
        str(HERE / "masters"),
    ]
    command += ["--submissions", str(tmp_path / "class"), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}
    done = subprocess.run(
        command, cwd=sandbox.ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-600:]
    assert "1 of 2 could not be graded" in done.stdout


# ---- the league ----


def test_a_league_follows_no_link(tmp_path):
    """`mallory` has a link to Ada's folder, `eve` one to her notebook, and `bob` his own."""
    (race,) = [m for m in masters(HERE / "masters") if m.name == "08-race"]
    folder = tmp_path / "class"
    hand_in(race, folder, "ada", {"solve": "all"})
    hand_in(race, folder, "bob", {"solve": [], "write": {"q1": "def near(x): return 3.3"}})
    forged = "figures = {'at 1': 0.0, 'at 2': 0.0}\ndef near(x): return float('nan')"
    hand_in(race, folder, "forger", {"solve": [], "write": {"q1": forged}})
    (folder / "mallory").symlink_to(folder / "ada")
    (folder / "eve").mkdir()
    (folder / "eve/08-race.ipynb").symlink_to(folder / "ada/08-race.ipynb")
    told = [
        "--masters",
        HERE / "masters",
        "--submissions",
        folder,
        "--out",
        tmp_path,
        "--seed",
        PHRASE,
    ]
    assert tool.main(["rank", *map(str, told)]) == 0
    with (tmp_path / "08-race.league.csv").open(newline="", encoding="utf-8-sig") as file:
        ranks = [(row["rank"], row["student"]) for row in csv.DictReader(file)]
    assert ranks == [("1", "ada"), ("2", "bob"), ("", "forger")]


@pytest.mark.long
def test_the_first_assignment_withstands_what_is_tried_in_it(tmp_path):
    (master,) = masters(FOLDER, "01")
    for name, told in REAL.items():
        hand_in(master, tmp_path / "class", name, told)
    told = ["--submissions", tmp_path / "class", "--out", tmp_path / "out", "--only", "01"]
    assert tool.main(["grade", "--seed", PHRASE, "--jobs", "2", *map(str, told)]) == 0
    found = rows(tmp_path / "out" / f"{master.name}.csv")
    for name, told in REAL.items():
        has_its_points(found[name], told)
    assert not list(Path(sandbox.ROOT).glob(f"{LITTER}*"))


# ---- what a submission is given leads to no secret, and to no answer ----

GIVEN = {  # of assignment 6, question 3: numbers that are given, and between what they are drawn
    ("three", "matrix"): (0.8, 1.2),
    ("three", "noise_std"): (0.45, 0.6),
    ("absent", "noise_std"): (0.35, 0.42),
    ("plane", "y"): (0.2, 0.5),
    ("plane", "noise_std"): (0.35, 0.5),
    ("fold", "y"): (0.8, 1.2),
    ("fold", "noise_std"): (0.25, 0.35),
}


class Impostor:
    """In place of a child: `answer(name, arguments)` is all there is of the student."""

    ended, failures = None, {}

    def __init__(self, answer):
        self.answer, self.calls = answer, 0

    def ask(self, request):
        if "args" not in request:
            return {"function": True}
        self.calls += 1
        return {
            "value": sandbox.wire.encode(
                self.answer(request["name"], sandbox.wire.decode(request["args"]))
            )
        }


@functools.cache
def question(number, name):
    (master,) = masters(FOLDER, number)
    return master, next(q for q in master.questions if q.name == name)


def hidden(seed):
    """The names that stand after the hidden problems of assignment 6 were drawn from a seed."""
    master, asked = question("06", "q3")
    names = {**grade.own_names(master, asked, PHRASE), "SEED": seed}
    names |= dict.fromkeys(("begin", "carry_on"))
    exec(grade.compiled(asked.tests[0]), names)
    return names


def given_numbers(names):
    """All that the samplers of a student are given, in one list of numbers."""
    seen = [names["hidden"][name][1] for name in names["hidden"]]
    tensors = [one[key] for one in seen for key in ("matrix", "y", "noise_std")]
    shapes = [["linear", "square", "absolute"].index(one["shape"]) for one in seen]
    return [*torch.cat([t.flatten() for t in tensors]).tolist(), *shapes, names["seed"]]


def shares(names):
    """Numbers between 0 and 1, of which the numbers that are given were made."""
    values = {key: float(names["hidden"][key[0]][1][key[1]].flatten()[0]) for key in GIVEN}
    return [(abs(values[key]) - low) / (high - low) for key, (low, high) in GIVEN.items()]


def found_by_search(wanted, seeds, outputs=40):
    """The seeds of torch's generator that give one of these among their first numbers.

    All at once: the Mersenne Twister, and how torch makes a double of two of its words.
    """
    word = np.uint32
    state = [np.arange(seeds.start, seeds.stop, dtype=word)]
    for n in range(1, 398 + outputs):
        last = state[-1]
        state.append((last ^ (last >> word(30))) * word(1812433253) + word(n))
    words = []
    for n in range(outputs):
        y = (state[n] & word(1 << 31)) | (state[n + 1] & word(2**31 - 1))
        x = state[n + 397] ^ (y >> word(1)) ^ ((y & word(1)) * word(0x9908B0DF))
        x ^= x >> word(11)
        x ^= (x << word(7)) & word(0x9D2C5680)
        x ^= (x << word(15)) & word(0xEFC60000)
        words.append((x ^ (x >> word(18))).astype(np.uint64))
    found = set()
    for high, low in zip(words[:-1], words[1:], strict=True):
        share = (((high << np.uint64(32)) | low) & np.uint64(2**53 - 1)) / 2.0**53
        for number in wanted:
            found |= set((seeds.start + np.nonzero(abs(share - number) < 1e-12)[0]).tolist())
    return found


def searched(wanted, most):
    """The old attack: try every seed from 1 on."""
    step = 2**16
    parts = (range(low, min(low + step, most)) for low in range(1, most, step))
    return set().union(*(found_by_search(wanted, part) for part in parts))


MANY = [2**16, pytest.param(1_000_001, marks=pytest.mark.long)]


@pytest.mark.parametrize("most", MANY)
def test_the_old_search_finds_an_old_seed_and_no_new_one(most):
    seed = 54_321
    g = torch.Generator().manual_seed(seed)
    torch.randperm(3, generator=g)
    old = torch.rand(5, generator=g, dtype=torch.float64).tolist()
    assert searched(old[4:], most) == {seed}
    master, _ = question("06", "q3")
    assert searched(shares(hidden(secret.seed(PHRASE, master.name, "q3"))), most) == set()


@pytest.mark.parametrize("most", MANY)
def test_no_small_secret_gives_the_noise_that_is_given(most):
    master, _ = question("06", "q3")
    own = secret.seed(PHRASE, master.name, "q3")
    given = hidden(own)["seed"]
    assert given - 1 not in (own % 1_000_000, own % 10_000, own % 2**32, own >> 30)
    tried = (hashlib.sha256(f"noise {seed}".encode()).hexdigest()[:8] for seed in range(most))
    assert f"{given - 1:08x}" not in set(tried)


@pytest.mark.parametrize("bits", [(0, 61), pytest.param(range(62), marks=pytest.mark.long)])
def test_each_bit_of_a_seed_changes_all_that_is_given(bits):
    base = secret.seed(PHRASE, "06", "q3")
    drawn = hidden(base)
    first = given_numbers(drawn)
    assert first == given_numbers(hidden(base))
    for bit in bits:
        other = hidden(base ^ (1 << bit))
        assert other["seed"] != first[-1], bit
        assert not set(shares(other)) & set(shares(drawn)), bit


def test_a_seed_can_be_any_number_below_two_to_the_62():
    seeds = [secret.seed(f"phrase {n}", "06", "q3") for n in range(40)]
    assert max(seeds) < 2**62
    assert all(len({seed >> bit & 1 for seed in seeds}) == 2 for bit in range(62))
    own = {secret.seed(PHRASE, number, f"q{n}") for number in ("05", "06") for n in range(1, 7)}
    assert len(own) == 12


@pytest.mark.long
def test_a_sampler_is_given_nothing_but_the_problem_and_the_noise():
    master, asked = question("06", "q3")
    names, told = grade.own_names(master, asked, PHRASE), []

    def answer(name, arguments):
        told.append(arguments)
        return {"samples": arguments[2] + arguments[0]["y"].sum()}

    remarks = [grade.attempt(cell, asked, names, Impostor(answer), []) for cell in asked.tests]
    assert remarks[0] == remarks[1] == remarks[-1] == ""
    assert all(remarks[2:-1])
    problems = [seen for _, seen in [*names["hidden"].values(), *names["table"].values()]]
    ys = [y.tolist() for y in [p["y"] for p in problems]] + [[-0.5], [0.5, 0.5]]
    for seen, evaluations, noise, seed in told:
        assert set(seen) == {"shape", "matrix", "y", "noise_std"}
        assert seen["y"].tolist() in ys
        assert evaluations in (6, 9, 40)
        assert seed in (0, 1, names["seed"])
        assert torch.equal(noise, names["noise_and_generator"](noise.shape[1], len(noise), seed)[0])


FLOOD = """
import json, os

x = {{"dtype": "float64", "shape": [{rows}, 1], "data": "{data}"}}
ask = json.dumps({{"value": {{"dict": [["x", x], ["t", 0.5]]}}}})
lines = ['{{"failures": {{}}}}', *['{{"function": true}}'] * 4, *[ask] * 999]
text = ("\\n".join(lines) + "\\n").encode()
while True:
    os.write(3, text)
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("rows", "why"), [(0, "about no row at all"), (1, "budget is spent|took more than")]
)
def test_answers_sent_ahead_ask_for_no_more_than_the_budget(rows, why, tmp_path):
    """The issue: 300 s of a limit of 120 s, by asking for 0 rows again and again."""
    master, asked = question("06", "q3")
    source = FLOOD.format(rows=rows, data="AAAAAAAAAAA=" * rows)
    names, begun = grade.own_names(master, asked, PHRASE), time.monotonic()
    start = functools.partial(sandbox.Child, room=str(tmp_path))
    outcome = grade.tested(master, asked, [("q3", source)], [], 20, names, start)
    assert outcome.points == 0
    assert re.search(why, " ".join(outcome.remarks)), outcome.remarks
    assert time.monotonic() - begun < 90


def diagnosed(phrase, answer):
    """The points of assignment 5, question 4, and what was right, for `answer(call, arguments)`."""
    master, asked = question("05", "q4")
    names, right, calls = grade.own_names(master, asked, phrase), [], []

    def reply(name, arguments):
        frame = sys._getframe()
        while "want" not in frame.f_locals:
            frame = frame.f_back
        right.append(frame.f_locals["want"])
        calls.append(None)
        return answer(len(calls) - 1, arguments) if answer else right[-1]

    names["draw"] = lambda *given: torch.zeros(2, 2, dtype=torch.float64)  # none looks at a cloud
    remarks = [grade.attempt(cell, asked, names, Impostor(reply), []) for cell in asked.tests]
    pairs = zip(asked.tests, remarks, strict=True)
    return sum(cell.points for cell, remark in pairs if not remark), right


@pytest.mark.parametrize("secrets", [3, pytest.param(30, marks=pytest.mark.long)])
def test_who_answers_by_the_number_of_the_call_earns_nothing(secrets):
    _, order = diagnosed("one secret", None)
    assert len(order) >= 18
    assert diagnosed("one secret", lambda call, given: order[call]) == (5, order)
    others = [f"another secret, number {n}" for n in range(secrets)]
    points = [diagnosed(other, lambda call, given: order[call])[0] for other in others]
    assert sum(points) <= 0.1 * 5 * len(points)  # one guess of six in a row in 15 is lucky
    assert len({tuple(diagnosed(other, None)[1]) for other in others[:3]}) == 3


def test_who_looks_at_the_problem_and_at_no_cloud_earns_nothing():
    """The weights of a posterior tell which of the four examples it is like."""

    def by_looks(call, given):
        _, _, weights, means, _ = given
        if len(means) == 1:
            return "steps"
        if len(means) == 3:
            return "hallucination"
        return "spread" if weights.max() > 0.95 else "weights" if weights.max() > 0.6 else "none"

    assert [diagnosed(f"secret {n}", by_looks)[0] for n in range(2)] == [0, 0]


NONSENSE = {
    "nan": math.nan,
    "infinity": -math.inf,
    "a huge number": 10**300,
    "text": "none",
    "nothing": None,
    "an empty list": [],
    "a list": [0.5] * 100_000,
    "NaNs": torch.full((2,), math.nan, dtype=torch.float64),
    "a long column": torch.ones(700_000, 1, dtype=torch.float64),
    "a long row": torch.ones(700_000, dtype=torch.float64),
    "whole numbers": torch.full((700_000, 1), 2**62),
    "nothing in three columns": torch.zeros(0, 3, dtype=torch.float64),
    "sixty dimensions": torch.ones([1] * 60, dtype=torch.float64),
    "a problem of NaNs": dict.fromkeys(
        ["weights", "means", "stds", "y", "noise_std", "alpha", "sigma", "x"], [math.nan] * 2
    ),
    "a problem of 1,000 parts": {
        **dict.fromkeys(["weights", "means", "stds"], [1e-3] * 1000),
        **dict.fromkeys(["std", "y", "noise_std", "alpha", "sigma", "x"], 1.0),
        "evaluations": 10**9,
    },
}


@pytest.mark.parametrize(
    "number", [pytest.param(m.name[:2], marks=pytest.mark.long) for m in masters()]
)
def test_nonsense_earns_nothing_and_takes_the_grader_no_time(number):
    (master,) = masters(FOLDER, number)
    for asked in master.questions:
        for what, value in NONSENSE.items():
            names = grade.own_names(master, asked, PHRASE)
            child = Impostor(lambda name, given, value=value: value)
            for cell in asked.tests:
                begun = time.monotonic()
                earned = 0 if grade.attempt(cell, asked, names, child, []) else cell.points
                assert earned == 0, (asked.name, cell.name, what)
                assert time.monotonic() - begun < 10, (asked.name, cell.name, what)
