"""What holds a submission: each guard by trying what it forbids, each honest use by doing it.

The whole file runs once as the user who runs the tests and, if that is root, once as nobody.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.coursework import sandbox
from tools.coursework.child import filter as calls
from tools.coursework.child import room as own_room
from tools.coursework.sandbox import Child, Ended, StartFailed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="submissions run in WSL there")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's guards are Linux's")
ROADS = {  # what a system may lack
    "all": [],
    "no own root": ["own root", "bubblewrap"],
    "no namespaces": ["namespaces", "bubblewrap"],
    "no Landlock": ["Landlock"],
    "no filter": ["filter"],
    "only Landlock": ["namespaces", "filter", "bubblewrap"],
    "only the filter": ["namespaces", "Landlock", "bubblewrap"],
    "only limits": ["namespaces", "Landlock", "filter", "bubblewrap"],
}
TRY = """
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)

def must(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), "")

def tried(code, **told):
    try:
        exec(code, {**globals(), **told})
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "done"
"""
BIG = """
try:
    with open("big", "wb") as file:
        for _ in range(65):
            file.write(bytes(2**20))
finally:
    os.unlink("big")
"""
# What to try, and the guards each of which must refuse it.
ATTACKS = {
    "read a file": (["files", "own root"], "open(file).read()"),
    "overwrite a file": (["files", "own root"], "open(file, 'r+').write('!')"),
    "delete a file": (["files", "own root", "own user"], "os.unlink(file + '.spare')"),
    "see a file": (["own root"], "os.stat(file)"),
    "see a process": (["own root"], "os.stat(f'/proc/{victim}/stat')"),
    "shorten a file": (["own root", "system calls", "own user"], "os.truncate(file, 0)"),
    "write beside Python": (["files", "own root", "own user"], "open(sys.prefix + '/x', 'w')"),
    "write in the root": (["files", "own root", "own user"], "open('/coursework-was-here', 'w')"),
    "UDP": (
        ["no network", "system calls"],
        "socket.socket(2, 2).sendto(b'!', ('127.0.0.1', port))",
    ),
    "TCP": (
        ["no network", "system calls", "no TCP"],
        "socket.socket().connect(('127.0.0.1', port))",
    ),
    "socket in a file": (["own root", "system calls"], "socket.socket(1).connect(there)"),
    "abstract socket": (["no network", "system calls"], "socket.socket(1).connect(abstract)"),
    "shared memory": (["own shared memory", "system calls"], "must(libc.shmget(key, 0, 0))"),
    "message queue": (["own shared memory", "system calls"], "must(libc.msgget(key, 0))"),
    "signal": (["system calls", "no signals", "own user"], "os.kill(victim, 18)"),
    "signals by a socket": (
        ["system calls"],
        "import fcntl; fcntl.fcntl(socket.socketpair()[0], 8, victim)",
    ),
    "trace": (["system calls", "files", "own user"], "must(libc.ptrace(16, victim, 0, 0))"),
    "limits of another": (
        ["system calls", "own user"],
        "import resource; resource.prlimit(victim, resource.RLIMIT_CORE, (0, 0))",
    ),
    "fork": (["processes"], "os.fork() or os._exit(0)"),
    "program": (["processes"], "import subprocess; subprocess.run(['/bin/true'])"),
    "lower the filter": (["system calls"], "must(libc.unshare(0x10000000))"),
    "datagrams to a path": (["system calls"], "socket.socketpair(1, 2)"),
    "a file of 65 MB": (["written files"], BIG),
}
HONEST = {
    "a text file": "open('x.txt', 'w').write('x'); assert open('x.txt').read() == 'x'",
    "in HOME": "open(os.path.expanduser('~/y'), 'w').write('y')",
    "in a folder": "os.makedirs('a/b'); open('a/b/c', 'w').write('c'); os.rename('a/b/c', 'c')",
    "numpy": "import numpy; numpy.save('a.npy', numpy.ones(9)); assert numpy.load('a.npy').sum()",
    "tempfile": "import tempfile; tempfile.NamedTemporaryFile('w').write('x')",
    "temporary folder": "import tempfile\nwith tempfile.TemporaryDirectory() as d: pass",
    "copy": "import shutil; open('z', 'w').write('z'); shutil.copy('z', 'zz'); os.remove('z')",
    "log": "import logging; logging.basicConfig(filename='log'); logging.error('x')",
    "sqlite": "import sqlite3\nwith sqlite3.connect('db') as db: db.execute('create table t (n)')",
    "asyncio": "import asyncio; asyncio.run(asyncio.sleep(0))",
    "devices": "open('/dev/null', 'w').write('x'); open('/dev/urandom', 'rb').read(9)",
    "lock": "import fcntl; fcntl.flock(open('lock', 'w'), fcntl.LOCK_EX)",
    "signal to itself": "import signal; os.kill(os.getpid(), signal.SIGCONT)",
    "own limits": "import resource; resource.getrlimit(resource.RLIMIT_CPU)",
}
THREADS = """
import concurrent.futures
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert list(pool.map(abs, [-1] * 99)) == [1] * 99
"""


def child(room, source="", seconds=10, road=(), imports=(), megabytes=1000):
    return Child([("q1", source)], imports, str(room), seconds, megabytes, without=road)


@pytest.fixture(scope="module")
def victims():
    """A file, sockets, shared memory and a process of this user, for attacks to reach."""
    libc, key = ctypes.CDLL(None), int.from_bytes(os.urandom(3), "big") + 1
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        (folder / "file").write_text("secret")
        (folder / "file.spare").write_text("secret")
        told = {"file": str(folder / "file"), "there": str(folder / "socket"), "key": key}
        told["abstract"] = f"\0coursework-{os.getpid()}"
        for path in (told["there"], told["abstract"]):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(path)
            listener.listen()
        (folder / "socket").chmod(0o777)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        process = stack.enter_context(subprocess.Popen(["sleep", "1000"]))
        stack.callback(process.kill)
        segment, queue = libc.shmget(key, 64, 0o1666), libc.msgget(key, 0o1666)
        stack.callback(libc.shmctl, segment, 0, None)
        stack.callback(libc.msgctl, queue, 0, None)
        yield {**told, "port": tcp.getsockname()[1], "victim": process.pid}


@pytest.fixture(scope="module", params=list(ROADS))
def held(request, tmp_path_factory):
    """A child on each road, and the guards that hold it."""
    if sys.platform != "linux" and request.param != "all":
        pytest.skip("all roads are one there")
    room = tmp_path_factory.mktemp("room")
    # The attacks import these. On the roads without a root of its own, another user may find no
    # Python below /root: what is imported before the guards close is there on every road.
    needed = ("fcntl", "subprocess", "multiprocessing.shared_memory")
    with child(room, TRY, road=ROADS[request.param], imports=needed) as started:
        assert started.failures == {}
        yield SimpleNamespace(child=started, guards=set(started.guards), road=request.param)


def ask(started, code, **told):
    given = {"args": sandbox.wire.encode((code,)), "kwargs": sandbox.wire.encode(told)}
    reply = started.ask({"name": "tried", **given})
    assert "value" in reply, (code, reply)
    return sandbox.wire.decode(reply["value"])


@linux
def test_what_a_guard_forbids_is_refused(held, victims):
    shut = {*held.guards, *(["own root"] if "bubblewrap" in held.guards else [])}
    for name, (locks, code) in ATTACKS.items():
        told = {key: value for key, value in victims.items() if key in code}
        if shut & set(locks):
            assert ask(held.child, code, **told) != "done", name
    assert Path(victims["file"]).read_text() == "secret"


@linux
@pytest.mark.parametrize(
    "name",
    ["read a file", "see a file", "UDP", "TCP", "socket in a file", "abstract socket"]
    + ["shared memory", "message queue", "signal", "trace", "limits of another", "delete a file"],
)
def test_an_attack_succeeds_where_nothing_is_held(name, victims, tmp_path):
    locks, code = ATTACKS[name]
    with child(tmp_path, TRY, road=ROADS["only limits"]) as started:
        told = {key: value for key, value in victims.items() if key in code}
        if set(locks) & set(started.guards):
            pytest.skip("root's child is another user already")
        assert ask(started, code, **told) == "done"


@linux
def test_no_mode_and_no_date_of_a_file_changes(held, victims):
    before = os.stat(victims["file"])
    for code in (
        "os.chmod(file, 0o777)",
        "os.utime(file, (1, 1))",
        "os.setxattr(file, 'user.x', b'')",
    ):
        ask(held.child, code, file=victims["file"])
    now = os.stat(victims["file"])
    if {"own root", "system calls", "own user"} & held.guards:
        assert (now.st_mode, now.st_mtime) == (before.st_mode, before.st_mtime)


@linux
def test_the_filter_refuses_each_call_that_it_names(held):
    if "system calls" not in held.guards:
        pytest.skip("not on this road")
    column, _ = calls.PROCESSORS[platform.machine()]
    always = [
        rule for rule in calls.rules(1, True) if not rule.cases and rule.otherwise != calls.AS_DONE
    ]
    for rule in always:
        wanted = "EPERM" if rule.otherwise == calls.REFUSED else "ENOSYS"
        for number in calls.numbers(rule.calls, column):
            assert ask(held.child, f"must(libc.syscall({number}, 0, 0, 0, 0, 0))") == wanted, number
    if platform.machine() == "x86_64":
        assert ask(held.child, f"must(libc.syscall({calls.X32 + 39}))") == "ENOSYS"


@linux
def test_the_filter_has_the_numbers_of_this_kernel():
    headers = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}
    header = Path("/usr/include") / headers.get(platform.machine(), "none")
    if not header.is_file():
        pytest.skip("the kernel's headers are not installed")
    lines = [line.split() for line in header.read_text().splitlines() if "define __NR" in line]
    known = {line[1].removeprefix("__NR_").removeprefix("__NR3264_"): line[2] for line in lines}
    column, _ = calls.PROCESSORS[platform.machine()]
    for rule in calls.rules(1, False):
        for call in rule.calls.split(","):
            name, *numbers = call.split()
            if numbers[column] != "-" and name in known:
                assert known[name] == numbers[column], name


def verdict(processor, number, *arguments, own=7, only_scratch=True, audit=None):
    """What the filter answers to a call, by going through its instructions."""
    audit = calls.PROCESSORS[processor][1] if audit is None else audit
    data = struct.pack("IIQ6Q", number, audit, 0, *arguments, *[0] * (6 - len(arguments)))
    lines, at, held = calls.program(processor, own, only_scratch), 0, 0
    while True:
        kind, yes, no, value = struct.unpack_from("HBBI", lines, 8 * at)
        at += 1
        if kind == 0x06:
            return value
        elif kind == 0x20:
            (held,) = struct.unpack_from("I", data, value)
        elif kind == 0x54:
            held &= value
        else:
            at += yes if (held == value if kind == 0x15 else held >= value) else no


@pytest.mark.parametrize("processor", list(calls.PROCESSORS))
def test_the_filter_tells_calls_by_their_arguments(processor):
    one = {"x86_64": 0, "aarch64": 1}[processor]
    kill, clone, pair, fcntl, ioctl, lock, limit, chmod = (
        numbers[one]
        for numbers in [(62, 129), (56, 220), (53, 199), (72, 25), (16, 29), (73, 32), (302, 261)]
        + [(268, 53)]
    )
    say = functools.partial(verdict, processor)
    thread = 0x3D0F00  # what libc asks for
    allowed = [(kill, 7, 9), (clone, thread), (pair, 1, 1 | 0x80000), (fcntl, 3, 1), (ioctl, 3, 1)]
    allowed += [(limit, 0), (limit, 7), (chmod, 0)]
    refused = [(kill, 8, 9), (kill, 0, 9), (kill, 2**64 - 1, 9), (pair, 1, 2), (pair, 1, 5)]
    refused += [(clone, 17), (clone, 0x4111), (clone, thread | 0x10000000), (limit, 8)]
    refused += [(fcntl, 3, 8), (fcntl, 3, 1024), (ioctl, 3, 0x8901)]
    assert {say(*call) for call in allowed} == {calls.ALLOW}
    assert {say(*call) for call in refused} == {calls.REFUSED}
    assert {say(lock), say(fcntl, 3, 6), say(chmod, only_scratch=False)} == {calls.AS_DONE}
    assert say(kill, 7, audit=0x40000003) == calls.UNKNOWN
    assert verdict("x86_64", calls.X32 + 39) == calls.UNKNOWN


def test_honest_programs_write_and_read_their_own_files(held):
    if not {"own root", "files", "bubblewrap"} & held.guards:
        pytest.skip("nothing is written where nothing else protects your files")
    for name, code in HONEST.items():
        assert ask(held.child, code) == "done", name
    if "system calls" in held.guards:
        assert ask(held.child, THREADS) == "done"


@pytest.mark.parametrize("road", ["all", pytest.param("no namespaces", marks=pytest.mark.long)])
def test_libraries_are_imported_inside_the_cells(road, tmp_path):
    source = """
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.savefig("plot.png")
import IPython, scipy.linalg, getpass, fsps_lite, torch
torch.save(torch.ones(3), "t.pt")
user, size = getpass.getuser(), float(torch.load("t.pt").sum())
"""
    if road == "all":
        sandbox.warm(str(tmp_path))
    with child(tmp_path, source, 60, ROADS[road], megabytes=8000) as started:
        assert started.failures == {}
        assert started.ask({"name": "user"}) == {"value": "student"}
        assert started.ask({"name": "size"}) == {"value": 3.0}


@linux
def test_the_own_root_holds_nothing_else(tmp_path):
    source = "import os\ntop = sorted(os.listdir('/'))\nhere = os.getcwd()\nfound = os.listdir()"
    source += "\nother = os.path.exists('/proc') or os.path.exists('/tmp/.X11-unix')"
    with child(tmp_path, source) as started:
        if "own root" not in started.guards:
            pytest.skip("mounts are not allowed here")
        mine = {Path(path).parts[1] for path in [*sandbox.readable(), started.folder, "/dev"]}
        assert set(started.ask({"name": "top"})["value"]) <= mine
        assert started.ask({"name": "here"}) == {"value": started.folder}
        assert started.ask({"name": "found"})["value"] == []
        assert started.ask({"name": "other"}) == {"value": False}


@linux
def test_a_root_that_cannot_be_built_leaves_the_old_one(tmp_path, monkeypatch):
    readable = [*sandbox.readable(), "/proc/self/ns/mnt"]  # exists, and cannot be bound
    monkeypatch.setattr(sandbox, "readable", lambda: readable)
    source = "open('x', 'w').write('x')\nimport decimal, os"
    with child(tmp_path, source, road=["bubblewrap"]) as started:
        assert "own root" not in started.guards
        assert started.failures == {}
        assert "x" in os.listdir(started.folder) or "files" not in started.guards


@linux
def test_the_own_folder_holds_no_more_than_its_size(tmp_path):
    source = "for n in range({}): open('file' + str(n), 'wb').write(bytes(2**{}))".format
    for many, exponent in ((10_000, 0), (9, 23)):
        with child(tmp_path, source(many, exponent)) as started:
            if "own root" not in started.guards:
                pytest.skip("the folder is one on the disk")
            assert "[Errno 28] No space left on device" in started.failures["q1"]


def test_what_is_warmed_up_is_there_for_each_child(tmp_path):
    (tmp_path / sandbox.WARM / "matplotlib").mkdir(parents=True)
    (tmp_path / sandbox.WARM / "matplotlib/fonts").write_text("known")
    source = "import os\nfonts = open(os.environ['MPLCONFIGDIR'] + '/fonts').read()"
    with child(tmp_path, source, road=["bubblewrap"]) as started:
        assert started.ask({"name": "fonts"}) == {"value": "known"}
        assert os.stat(started.folder).st_mode & 0o077 == 0


def test_links_on_the_way_are_followed_and_kept(tmp_path):
    top = tmp_path.resolve()
    (top / "real/inner").mkdir(parents=True)
    (top / "link").symlink_to("real")
    (top / "real/again").symlink_to(top / "link/inner")
    links = {}
    assert own_room.resolved(str(top / "link/again"), links) == str(top / "real/inner")
    assert links[str(top / "link")] == "real"
    assert links[str(top / "real/again")] == str(top / "link/inner")


SAYS_BACK = (
    "import os\nfor fd in range(3, 30):\n    try: os.write(fd, {!r})\n    except OSError: pass"
)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (SAYS_BACK.format(b"[1]\n"), "no answer"),
        (SAYS_BACK.format(b'{"failures": [1]}\n'), "no answer"),
        (SAYS_BACK.format(b'{"failures": {"a": 1}}\n'), "no answer"),
        (SAYS_BACK.format(b"[" * 100_000 + b"\n"), "no answer"),
        (SAYS_BACK.format(b"\xff\n"), "no answer"),
        ("import os\nos._exit(3)", r"ended by itself \(exit status 3\)"),
        ("import os\nos.abort()", r"crashed \(Aborted"),
        ("import ctypes\nctypes.string_at(0)", r"crashed \(Segmentation fault"),
        ("import time\ntime.sleep(99)", "2 s of waiting"),
        ("#" * 2_500_001, "your cells hold 2.5 MB of text, at most 2 MB can be run"),
    ],
)
def test_what_a_submission_does_is_its_own_fault(source, why, tmp_path):
    with pytest.raises(Ended, match=why):
        child(tmp_path, source, seconds=1)
    assert list(tmp_path.iterdir()) == []


def test_what_the_grader_imports_is_not_the_students_fault(tmp_path):
    with pytest.raises(StartFailed, match="No module named 'no_such_module'"):
        child(tmp_path, imports=["no_such_module"])
    assert list(tmp_path.iterdir()) == []


@linux
def test_an_import_that_leaves_a_thread_is_refused(tmp_path, monkeypatch):
    library = tmp_path / "library"
    library.mkdir()
    source = (
        "import threading, time\nthreading.Thread(target=time.sleep, args=[9], daemon=True).start()"
    )
    (library / "leaves_a_thread.py").write_text(source)
    monkeypatch.setattr(sandbox, "ROOT", library)
    with pytest.raises(StartFailed, match="2 threads running"):
        child(tmp_path, imports=["leaves_a_thread"], road=["bubblewrap"])


def test_answers_sent_ahead_do_not_outlive_the_deadline(tmp_path):
    flood = SAYS_BACK.format(b'{"failures": {}}\n' + b'{"value": 1}\n' * 1000)
    with child(tmp_path, flood, seconds=1) as started:
        assert started.ask({"name": "x"}) == {"value": 1}
        started.deadline = time.monotonic() - 1
        with pytest.raises(Ended, match="it took more than"):
            started.ask({"name": "x"})


@pytest.mark.parametrize("road", ["all", "no namespaces"])
def test_nothing_of_a_child_stays(road, tmp_path):
    source = """
import os
for n in range(1100):
    os.mkdir("deep" * 20); os.chdir("deep" * 20)
open(b"\\xff\\n", "w").write("x")
os.symlink("/", "link")
os.mkdir("closed"); open("closed/x", "w").close(); os.chmod("closed", 0)
os.mkdir("never-open", 0)
"""
    with child(tmp_path, source, road=ROADS[road]) as started:
        assert started.failures == {}
        folder, pid = started.folder, started.process.pid
        assert Path(folder).parent == tmp_path.resolve()
        assert os.stat(folder).st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


def test_folders_are_removed_whatever_their_names(tmp_path):
    top = tmp_path / "top"
    for name in ("0", "a/0/1", "a/b/0", "\n"):
        (top / name).mkdir(parents=True)
        (top / name / "file").touch()
    (top / "out").symlink_to(tmp_path)
    (tmp_path / "stays").touch()
    (top / "a/b").chmod(0o500)
    sandbox.remove(str(top))
    assert [path.name for path in tmp_path.iterdir()] == ["stays"]


@linux
def test_shared_memory_that_was_left_is_removed(tmp_path):
    source = "import ctypes\nsegment = ctypes.CDLL(None).shmget(0, 4096, 0o1600)"
    with child(tmp_path, source, road=ROADS["only limits"]) as started:
        assert started.ask({"name": "segment"})["value"] >= 0
        pid = str(started.process.pid)
        assert pid in makers_of_segments()
    assert pid not in makers_of_segments()


def makers_of_segments():
    rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()]
    return [row[rows[0].index("cpid")] for row in rows[1:]]


def test_two_children_see_nothing_of_each_other(tmp_path):
    write = "import os\nopen('note', 'w').write('x')\nhere = os.getcwd()"
    with child(tmp_path, write) as first:
        if "files" not in first.guards and "own root" not in first.guards:
            pytest.skip("nothing holds files here")
        with child(tmp_path, TRY) as second:
            note = first.ask({"name": "here"})["value"] + "/note"
            assert ask(second, "open(note)", note=note) != "done"


def test_each_more_guard_closes_doors_and_opens_none():
    every = {lock for locks in sandbox.DOORS.values() for lock in locks}
    assert sandbox.open_doors(every) == []
    assert len(sandbox.open_doors([])) == len(sandbox.DOORS) - 1
    for held in itertools.combinations(sorted(every), 3):
        fewer = set(sandbox.open_doors(held[:2])) | {"it can use the network (UDP)"}
        assert set(sandbox.open_doors(held)) <= fewer
    assert "it can use the network (UDP)" in sandbox.open_doors(["no TCP"])


@linux
def test_the_doors_that_are_said_to_be_open_are_those_of_the_guards(held):
    doors = sandbox.open_doors(held.guards)
    reads = "a submission can read your files, change them and delete them" in doors
    assert reads == (held.road.startswith("only") and held.road != "only Landlock")


AS_NOBODY = """
set -e
mount --make-rprivate /
for folder in {hidden}; do  # Python lies where only root can go: give it another way there
    mkdir -p {keep} && mount --rbind {python} {keep}
    mount -t tmpfs -o mode=755 none $folder
    mkdir -p {python} && mount --rbind {keep} {python}
done
cd {root}
exec setpriv --reuid 65534 --regid 65534 --clear-groups {executable} -B -m pytest -q {test} \
    -k 'not ordinary and not fault and not libraries' -m 'not long' \
    -p no:cacheprovider --basetemp {room}/pytest
"""


def test_all_this_holds_for_an_ordinary_user_too():
    if not hasattr(os, "getuid") or os.getuid() != 0 or sys.platform != "linux":
        pytest.skip("this is an ordinary user")
    if not (shutil.which("unshare") and shutil.which("setpriv")):
        pytest.skip("util-linux is not installed")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("this root may not mount")
    if not all(path.stat().st_mode & 0o001 for path in Path(sys.prefix, "bin").parents):
        pytest.skip("others cannot reach this clone")
    python = Path(sys.base_prefix)
    hidden = [str(path) for path in python.parents if not path.stat().st_mode & 0o001][-1:]
    with tempfile.TemporaryDirectory() as room, tempfile.TemporaryDirectory() as keep:
        os.chmod(room, 0o777)
        told = {"python": python, "executable": sys.executable, "hidden": " ".join(hidden)}
        script = AS_NOBODY.format(root=sandbox.ROOT, room=room, keep=keep, test=__file__, **told)
        environment = {**os.environ, "HOME": room, "TMPDIR": room, "PYTEST_ADDOPTS": ""}
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script], env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
