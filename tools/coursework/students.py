"""Who handed in what: finds students and their notebooks in a folder, however it was collected.

A folder a student, Moodle's folders, Canvas' flat files, nbgrader's `submitted`, and plain files
that name a student may all lie side by side. No link is followed, and nothing is opened but a
notebook whose name does not tell its assignment. Names that are no text are made printable.
"""

import contextlib
import functools
import itertools
import os
import re
import stat
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.coursework.master import Master
from tools.coursework.notebook import Unreadable, load
from tools.coursework.places import assignment_of, signs

DEEPEST = 3  # folders below each other
SKIPPED = re.compile(r"\.|__MACOSX$|__pycache__$")
LITTER = {"__MACOSX", "__pycache__", ".ipynb_checkpoints", ".git", ".DS_Store"}
NOTEBOOK = re.compile(r"\.ipynb(\.txt|\.json)?$", re.I)  # browsers add the second ending
ARCHIVE = re.compile(r"\.(zip|tar|tgz|gz|7z|rar)$", re.I)
# Ada Lovelace_12345_assignsubmission_file_, and lovelaceada_LATE_98765_1234567_name
MOODLE = re.compile(r"(?P<name>.+)_(?P<number>\d+)_assignsubmission_[a-z]+(?:_(?P<rest>.*))?", re.S)
CANVAS = re.compile(r"(?P<name>[^_]+)(?:_LATE)?_(?P<number>\d+)_\d+_(?P<rest>.+)", re.S)
COPY = re.compile(r"^copy of|(^|[ _-]+)copy( *\d+)?$|\s*\(\d+\)$|[ _-]final$", re.I)


@dataclass(frozen=True)
class HandedIn:
    """A student, and the notebook for one assignment; `path` is None where there is none."""

    student: str
    original: str
    path: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The students of each assignment that somebody handed in, and sentences about the rest."""

    files: dict[str, list[HandedIn]]
    unmatched: list[str]


@dataclass(frozen=True, order=True)
class Owner:
    """Whom a folder or a file belongs to: a name, and a number where Moodle or Canvas gives one."""

    name: str
    number: str = ""
    layout: str = "folder"


@dataclass(frozen=True)
class File:
    """A notebook that was found: for which assignment, and how well its name fits."""

    path: Path
    shown: str
    original: str
    exact: bool = True
    regular: bool = True
    newest: float = 0

    @property
    def rank(self) -> tuple[bool, bool, float]:
        return (self.regular, self.exact, self.newest)


def handed_in(folder: Path, masters: Sequence[Master]) -> Found:
    """Who handed in what in a folder. All lists are empty when no notebook belongs to a master."""
    search = Search(masters)
    search.top(folder)
    owners = labels(search.originals)
    files: dict[str, list[HandedIn]] = {}
    for name, theirs in search.files.items():
        some = bool(theirs)
        theirs = {**search.closed(name), **theirs}
        each = [
            one(label, search.originals[owner], theirs.get(owner, []))
            for owner, label in owners.items()
        ]
        files[name] = sorted(each, key=lambda found: found.student) if some else []
    return Found(files, search.said)


def one(student: str, original: str, files: Sequence[File]) -> HandedIn:
    """What a student handed in, of several files the best."""
    if not files:
        return HandedIn(student, original)
    ranked = sorted(files, key=lambda file: file.rank, reverse=True)
    taken, left = ranked[0], ", ".join(file.shown for file in ranked[1:])
    why = "it has the exact name" if taken.exact else "it is the newest"
    notes = (f"{taken.shown} was taken ({why}); not looked at: {left}",) if left else ()
    return HandedIn(student, taken.original, taken.path, notes)


class Search:
    """Looks through a folder and remembers what it found, by assignment and by student."""

    def __init__(self, masters: Sequence[Master]) -> None:
        self.simple = {simplified(master.name): master.name for master in masters}
        self.said: list[str] = []
        self.originals: dict[Owner, str] = {}
        self.unreadable: dict[Owner, Path] = {}
        self.files: dict[str, dict[Owner, list[File]]] = {
            master.name: defaultdict(list) for master in masters
        }
        self.signs = functools.cache(lambda: signs(masters))  # few need them, and they take time

    def top(self, folder: Path, parents: tuple[str, ...] = ()) -> None:
        """Look through the folder of all: folders are students, files say whose they are.

        A folder with the name of an assignment holds that assignment, of all students.
        """
        for entry in self.entries(folder, parents):
            if not entry.is_dir(follow_symlinks=False):
                self.flat(entry, parents)
            elif simplified(entry.name) in self.simple and not parents:
                self.top(Path(entry.path), (entry.name,))
            else:
                owner = owner_of_folder(entry.name)
                self.originals.setdefault(owner, printable(entry.name))
                self.below(owner, entry, parents, 1)

    def below(
        self, owner: Owner, folder: "os.DirEntry[str]", parents: tuple[str, ...], depth: int
    ) -> None:
        """Look through a folder of a student, and through those in it."""
        original = self.originals[owner] if depth > 1 else printable(folder.name)
        parents = (*parents, folder.name)
        if depth > DEEPEST:
            self.said.append(f"{shown(parents)} lies too deep ({depth} folders): not looked at")
            return
        for entry in self.entries(Path(folder.path), parents, owner):
            if entry.is_dir(follow_symlinks=False):
                self.below(owner, entry, parents, depth + 1)
            else:
                self.note(owner, entry, NOTEBOOK.sub("", entry.name), original, parents)

    def flat(self, entry: "os.DirEntry[str]", parents: tuple[str, ...]) -> None:
        """Look at a file that lies beside the students' folders."""
        stem = NOTEBOOK.sub("", entry.name)
        match = MOODLE.fullmatch(stem) or CANVAS.fullmatch(stem)
        owner, rest = Owner(without(stem, self.simple), layout="file"), stem
        if match:
            layout = "Moodle" if match.re is MOODLE else "Canvas"
            owner, rest = Owner(match["name"], match["number"], layout), match["rest"] or ""
        if self.note(owner, entry, rest, printable(stem), parents):
            self.originals.setdefault(owner, printable(stem))

    def entries(
        self, folder: Path, parents: tuple[str, ...], owner: Owner | None = None
    ) -> Iterator["os.DirEntry[str]"]:
        """What lies in a folder, without hidden entries and links; the links are told."""
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if owner:
                self.unreadable[owner] = folder
            self.said.append(f"{shown(parents) or folder} cannot be read: {error.strerror}")
            return
        for entry in entries:
            if entry.is_symlink():
                self.said.append(f"{shown((*parents, entry.name))} is a link: it is not followed")
            elif SKIPPED.match(entry.name):
                if entry.name not in LITTER and entry.is_dir(follow_symlinks=False):
                    self.said.append(f"{shown((*parents, entry.name))} is hidden: not looked at")
            else:
                yield entry

    def note(
        self,
        owner: Owner,
        entry: "os.DirEntry[str]",
        stem: str,
        original: str,
        parents: tuple[str, ...],
    ) -> bool:
        """Remember a file if it is a notebook of an assignment; say so if it only seems to be."""
        place, names = shown((*parents, entry.name)), [stem, *reversed(parents)]
        assignment, why = self.told(entry, names)
        if why:
            self.said.append(f"{place} {why}")
        if assignment:
            file = file_of(entry, place, original, stem == assignment)
            self.files[assignment][owner].append(file)
        return bool(assignment)

    def told(self, entry: "os.DirEntry[str]", names: Iterable[str]) -> tuple[str, str]:
        """The assignment that a file belongs to, by its names or else by itself; or why to none."""
        assignment = next(filter(None, (named(name, self.simple) for name in names)), "")
        if not NOTEBOOK.search(entry.name):
            return "", complaint(entry.name, named(entry.name, self.simple))
        if assignment:
            return assignment, ""
        try:
            assignment = assignment_of(load(Path(entry.path)), self.signs)
        except Unreadable as error:
            return "", f"belongs to no assignment that can be told: {error}"
        if assignment not in self.files:
            return "", "belongs to none of these assignments"
        return assignment, ""

    def closed(self, assignment: str) -> dict[Owner, list[File]]:
        """For each student with a folder that cannot be read, a file that cannot be read either."""
        return {
            owner: [File(folder / f"{assignment}.ipynb", "", self.originals[owner])]
            for owner, folder in self.unreadable.items()
        }


def shown(parts: Iterable[str]) -> str:
    """A path inside the folder, for people."""
    return "/".join(map(printable, parts))


def complaint(name: str, assignment: str) -> str:
    """Why a file that is no notebook should be told of; empty if it need not be."""
    if ARCHIVE.search(name):
        return "is an archive: unpack it"
    return "is not a notebook (.ipynb)" if assignment else ""


def file_of(entry: "os.DirEntry[str]", place: str, original: str, exact: bool) -> File:
    """The file, also where nothing can be asked about it: to read it will fail, and say why."""
    regular, newest = False, 0.0
    with contextlib.suppress(OSError):
        status = entry.stat(follow_symlinks=False)
        regular, newest = stat.S_ISREG(status.st_mode), status.st_mtime
    return File(Path(entry.path), place, original, exact, regular, newest)


def owner_of_folder(name: str) -> Owner:
    """The student that a folder is named after, by Moodle or by a person."""
    match = MOODLE.fullmatch(name)
    return Owner(match["name"], match["number"], "Moodle") if match else Owner(name)


def simplified(text: str) -> str:
    """A name as it is compared: small letters, and one sign for all that stands between words."""
    return re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", text).casefold())


def named(stem: str, simple: Mapping[str, str]) -> str:
    """The assignment whose name stands in a file's name, the longest; empty if none does."""
    text = simplified(stem)
    held = [name for name in simple if re.search(rf"(?<!\d){re.escape(name)}", text)]
    return simple[max(held, key=len)] if held else ""


def without(stem: str, simple: Mapping[str, str]) -> str:
    """What a flat file's name says besides the assignment: the student, if anybody."""
    assignment = named(stem, simple)
    words = [re.escape(word) for word in re.split(r"[\W_]+", assignment) if word]
    rest = re.sub(r"[\W_]+".join(words), "\0", stem, flags=re.I) if words else stem
    bare = COPY.sub("", COPY.sub("", rest.replace("\0", " ").strip()).strip())
    bare = bare.strip(" _-.")
    return bare or rest.replace("\0", "").strip(" _-.") or stem


def printable(name: str) -> str:
    """The name as text that can be shown: what is none stands there as backslash escapes."""
    shown = []
    for sign in unicodedata.normalize("NFC", name):
        if sign.isprintable() or unicodedata.category(sign) == "Zs":
            shown.append(sign)
        elif "\udc80" <= sign <= "\udcff":  # how Python keeps a byte that is no UTF-8
            shown.append(f"\\x{ord(sign) - 0xDC00:02x}")
        else:
            shown.append(sign.encode("unicode_escape").decode())
    return "".join(shown).strip() or "(no name)"


def labels(owners: Iterable[Owner]) -> dict[Owner, str]:
    """A label for each student that nobody else has."""
    plain = {owner: printable(owner.name) for owner in sorted(owners)}
    often = Counter(plain.values())
    for owner, label in plain.items():
        if owner.number and often[label] > 1:
            plain[owner] = f"{label} {owner.number}"
    found: dict[Owner, str] = {}
    used, wanted = set[str](), set(plain.values())
    for owner, label in plain.items():
        numbered = (f"{label} ({number})" for number in itertools.count(2))
        free = (other for other in numbered if other not in used and other not in wanted)
        found[owner] = next(free) if label in used else label
        used.add(found[owner])
    return found
