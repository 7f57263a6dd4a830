"""Who handed in what: each way of collecting notebooks finds the same students."""

import json
import os
import stat
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.coursework import examples
from tools.coursework.master import masters
from tools.coursework.students import Owner, handed_in, labels, printable
from tools.coursework.submission import Unreadable, read

MASTERS = masters()
FIRST, SECOND = (master.name for master in MASTERS[:2])
BARE = '{"cells": [], "metadata": {}}'


def put(folder, *names, text=BARE):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def students(folder, name=FIRST):
    """{label: path inside the folder, or None}, of those who are graded for an assignment."""
    files = handed_in(folder, MASTERS).files[name]
    return {f.student: f.path and f.path.relative_to(folder).as_posix() for f in files}


@pytest.mark.parametrize(
    ("name", "student", "original"),
    [
        ("ada/{}.ipynb", "ada", "ada"),
        ("ada/{} (1).ipynb", "ada", "ada"),
        ("ada/Copy of {}.ipynb", "ada", "ada"),
        ("ada/{}_final.ipynb", "ada", "ada"),
        ("ada/{}.ipynb.txt", "ada", "ada"),
        ("ada/week1/more/{}.IPYNB", "ada", "ada"),
        ("ada/{}/x.ipynb", "ada", "ada"),
        ("{}/ada.ipynb", "ada", "ada"),
        (
            "Ada Lovelace_12345_assignsubmission_file_/{}.ipynb",
            "Ada Lovelace",
            "Ada Lovelace_12345_assignsubmission_file_",
        ),
        (
            "Ada Lovelace_12345_assignsubmission_file_{}.ipynb",
            "Ada Lovelace",
            "Ada Lovelace_12345_assignsubmission_file_{}",
        ),
        (
            "lovelaceada_LATE_98765_1234567_{}.ipynb",
            "lovelaceada",
            "lovelaceada_LATE_98765_1234567_{}",
        ),
        (
            "lovelaceada_98765_1234567_{}-1.ipynb",
            "lovelaceada",
            "lovelaceada_98765_1234567_{}-1",
        ),
        ("ada_{}.ipynb", "ada", "ada_{}"),
        ("{}-ada.ipynb", "ada", "{}-ada"),
        ("Ada Lovelace {} (2).ipynb", "Ada Lovelace", "Ada Lovelace {} (2)"),
        ("{} (3).ipynb", "(3)", "{} (3)"),
        ("{}.ipynb", FIRST, "{}"),
    ],
)
def test_each_layout_is_understood(tmp_path, name, student, original):
    put(tmp_path, name.format(FIRST))
    found = handed_in(tmp_path, MASTERS)
    (one,) = found.files[FIRST]
    told = (one.student, one.original, one.path, one.notes)
    assert told == (student, original.format(FIRST), tmp_path / name.format(FIRST), ())
    assert not found.unmatched
    assert not any(files for name, files in found.files.items() if name != FIRST)


def test_layouts_may_be_mixed_and_everyone_has_a_row(tmp_path):
    put(tmp_path, f"ada/{FIRST}.ipynb", f"bob_{FIRST}.ipynb", f"bob_{SECOND}.ipynb")
    put(tmp_path, f"cy_1_2_{FIRST}.ipynb", f"Dee Doe_7_assignsubmission_file_/{SECOND}.ipynb")
    (tmp_path / "eve").mkdir()
    assert students(tmp_path) == {
        "Dee Doe": None,
        "ada": f"ada/{FIRST}.ipynb",
        "bob": f"bob_{FIRST}.ipynb",
        "cy": f"cy_1_2_{FIRST}.ipynb",
        "eve": None,
    }
    second = {s for s, path in students(tmp_path, SECOND).items() if path}
    assert second == {"bob", "Dee Doe"}


def stripped(text):
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        cell["metadata"] = {}
        cell.pop("id")
    return json.dumps({**notebook, "metadata": {}})


@pytest.mark.parametrize("master", MASTERS, ids=[m.name[:2] for m in MASTERS])
def test_a_notebook_with_any_name_says_which_assignment_it_is(tmp_path, master):
    text = examples.submission_text(master, solve="all")
    names = set(examples.reference(master))
    answers = [cell for cell in json.loads(text)["cells"] if cell["id"] in names]
    put(tmp_path, "ada/homework.ipynb", text=text)
    put(tmp_path, "bob/homework.ipynb", text=stripped(text))
    put(tmp_path, "cy/homework.ipynb", text=stripped(json.dumps({"cells": answers})))
    put(tmp_path, "dee.ipynb", text=stripped(examples.submission_text(master)))
    found = handed_in(tmp_path, MASTERS)
    assert [f.student for f in found.files[master.name] if f.path] == ["ada", "bob", "cy", "dee"]
    assert not found.unmatched
    alone = handed_in(tmp_path, [master])
    assert alone.files[master.name] == found.files[master.name]


def test_a_notebook_of_another_assignment_is_told_and_not_taken(tmp_path):
    for master in MASTERS[1:]:
        text = examples.submission_text(master, solve="all")
        put(tmp_path, f"ada/{master.name[:2]}.ipynb", text=text)
        put(tmp_path, f"ada/{master.name[:2]}s.ipynb", text=stripped(text))
    put(tmp_path, "ada/scratch.ipynb")
    found = handed_in(tmp_path, MASTERS[:1])
    assert found.files == {FIRST: []}
    assert len(found.unmatched) == 2 * len(MASTERS[1:]) + 1
    assert "ada/scratch.ipynb belongs to none of these assignments" in found.unmatched


def test_of_several_files_the_exact_name_wins_then_the_newest(tmp_path):
    put(tmp_path, f"ada/{FIRST}.ipynb", f"ada/{FIRST} (1).ipynb", f"bob/{FIRST} (1).ipynb")
    put(tmp_path, f"bob/{FIRST} (2).ipynb")
    os.utime(tmp_path / f"ada/{FIRST}.ipynb", (1, 1))
    os.utime(tmp_path / f"bob/{FIRST} (2).ipynb", (1, 1))
    ada, bob = handed_in(tmp_path, MASTERS).files[FIRST]
    assert ada.path.name == f"{FIRST}.ipynb"
    assert ada.notes == (
        f"ada/{FIRST}.ipynb was taken (it has the exact name); "
        f"not looked at: ada/{FIRST} (1).ipynb",
    )
    assert bob.path.name == f"{FIRST} (1).ipynb"
    assert "it is the newest" in bob.notes[0]


def test_what_is_hidden_or_made_by_programs_is_passed_over(tmp_path):
    put(tmp_path, f"ada/.ipynb_checkpoints/{FIRST}-checkpoint.ipynb", f"__MACOSX/{FIRST}.ipynb")
    put(tmp_path, f".git/{FIRST}.ipynb", f"ada/._{FIRST}.ipynb", f"ada/__MACOSX/{FIRST}.ipynb")
    found = handed_in(tmp_path, MASTERS)
    assert not any(found.files.values())
    assert not found.unmatched


def test_what_is_no_notebook_is_told_if_it_seems_to_be_one(tmp_path):
    put(tmp_path, f"ada/{FIRST}.pdf", "ada/all.zip", "ada/data.csv", "readme.txt", "bob.ipynb")
    put(tmp_path, "ada/a/b/c/d/x.ipynb")
    put(tmp_path, "cy/homework.ipynb", text="Dear teacher")
    assert set(handed_in(tmp_path, MASTERS).unmatched) == {
        f"ada/{FIRST}.pdf is not a notebook (.ipynb)",
        "ada/all.zip is an archive: unpack it",
        "ada/a/b/c lies too deep (4 folders): not looked at",
        "bob.ipynb belongs to none of these assignments",
        "cy/homework.ipynb belongs to no assignment that can be told: it is not a notebook: "
        "it is no JSON (JSONDecodeError)",
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="links and pipes are Unix's")
def test_no_link_is_followed_and_no_pipe_opened(tmp_path):
    inside = tmp_path / "class"
    put(tmp_path, f"other/{FIRST}.ipynb", f"class/ada/{FIRST}.ipynb", "class/bob/x.txt")
    (inside / "eve").symlink_to(tmp_path / "other")
    (inside / "bob" / f"{FIRST}.ipynb").symlink_to(tmp_path / f"other/{FIRST}.ipynb")
    (inside / "bob" / "week1").symlink_to(tmp_path / "other")
    (inside / f"cy_{FIRST}.ipynb").symlink_to(tmp_path / f"other/{FIRST}.ipynb")
    (inside / "dee").mkdir()
    os.mkfifo(inside / "dee" / f"{FIRST}.ipynb")
    os.mkfifo(inside / "dee" / "homework.ipynb")
    pipe = f"dee/{FIRST}.ipynb"
    assert students(inside) == {"ada": f"ada/{FIRST}.ipynb", "bob": None, "dee": pipe}
    said = handed_in(inside, MASTERS).unmatched
    links = [sentence for sentence in said if sentence.endswith("is a link: it is not followed")]
    assert len(links) == 4
    assert [s for s in said if s not in links] == [
        "dee/homework.ipynb belongs to no assignment that can be told: "
        "it is a device or a pipe, not a file"
    ]
    with pytest.raises(Unreadable, match="a device or a pipe"):
        read(inside / pipe, MASTERS[0])


def test_what_cannot_be_read_fails_when_it_is_read(tmp_path, monkeypatch):
    put(tmp_path, f"ada/{FIRST}.ipynb", f"bob/{FIRST}.ipynb", "cy/week1/x.ipynb")
    closed, scandir = [str(tmp_path / "bob"), str(tmp_path / "cy" / "week1")], os.scandir

    def some(folder):  # root reads whatever the mode says
        if str(folder) in closed:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", some)
    found = handed_in(tmp_path, MASTERS)
    assert [f.student for f in found.files[FIRST] if f.path] == ["ada", "bob", "cy"]
    assert found.unmatched[0] == "bob cannot be read: Permission denied"


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root reads everything")
def test_a_closed_file_and_a_closed_folder_are_failures(tmp_path):
    put(tmp_path, f"ada/{FIRST}.ipynb", f"bob/{FIRST}.ipynb")
    (tmp_path / f"ada/{FIRST}.ipynb").chmod(0)
    (tmp_path / "bob").chmod(0)
    for found in handed_in(tmp_path, MASTERS).files[FIRST]:
        with pytest.raises(Unreadable, match="PermissionError"):
            read(found.path, MASTERS[0])
    (tmp_path / "bob").chmod(stat.S_IRWXU)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    found = handed_in(tmp_path / "none", MASTERS)
    assert not any(found.files.values())
    assert "cannot be read: No such file" in found.unmatched[0]


def test_labels_can_be_printed_and_are_unique(tmp_path):
    names = [b"ad\xe9", b"new\nline", "é".encode(), "e\u0301".encode(), b"ada", b"ada (2)"]
    try:
        for name in names:
            folder = os.path.join(os.fsencode(tmp_path), name)
            os.mkdir(folder)
            with open(os.path.join(folder, FIRST.encode() + b".ipynb"), "w") as file:
                file.write(BARE)
    except OSError:
        pytest.skip("this file system refuses such names")
    put(tmp_path, f"ada_{FIRST}.ipynb", f"Al_1_assignsubmission_file_/{FIRST}.ipynb")
    put(tmp_path, f"Al_2_assignsubmission_file_/{FIRST}.ipynb")
    files = handed_in(tmp_path, MASTERS).files[FIRST]
    wanted = {"ad\\xe9", "new\\nline", "é", "é (2)", "ada", "ada (2)", "ada (3)", "Al 1", "Al 2"}
    assert {f.student for f in files} == wanted
    assert all(f.path and read(f.path, MASTERS[0]) for f in files)


any_text = st.text(st.characters() | st.sampled_from("\ud800\udce9\n\x00\u202e ()2"), max_size=5)


@given(any_text)
def test_what_is_printable_is_text_and_stays_the_same(name):
    shown = printable(name)
    shown.encode()
    assert shown
    assert not any(unicodedata.category(sign) in ("Cc", "Cs", "Cf") for sign in shown)
    assert printable(shown) == shown


@given(st.lists(st.builds(Owner, any_text, st.sampled_from(["", "1", "2"])), unique=True))
def test_no_two_students_share_a_label(owners):
    found = labels(owners)
    assert set(found) == set(owners)
    assert len(set(found.values())) == len(owners)


file_names = st.text(
    st.characters(exclude_characters="/\x00", codec="utf-8"), min_size=1, max_size=12
).filter(lambda name: name.strip("."))
paths = st.lists(file_names | st.just(FIRST) | st.just("homework.ipynb"), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(st.lists(paths, max_size=5))
def test_any_folder_is_survived(tmp_path_factory, trees):
    folder = tmp_path_factory.mktemp("class")
    for parts in trees:
        try:
            put(folder, "/".join([*parts[:-1], parts[-1] + ".ipynb"]))
        except OSError:  # a file of that name is there, or the system refuses it
            continue
    found = handed_in(folder, MASTERS)
    "".join(found.unmatched).encode()
    for files in found.files.values():
        assert len({f.student for f in files}) == len(files)
        assert all(f.path is None or folder in f.path.parents for f in files)


def test_a_large_class_is_found_quickly(tmp_path):
    text = examples.submission_text(MASTERS[0], solve="all")
    for number in range(500):
        put(tmp_path, f"student-{number}/{FIRST}.ipynb")
    for number in range(50):
        put(tmp_path, f"student-{number}/homework.ipynb", text=stripped(text))
    begun = time.monotonic()
    assert len(students(tmp_path)) == 500
    assert time.monotonic() - begun < 5
