"""The vendored files are the ones that were reviewed, and all of them are listed."""

import hashlib
from pathlib import Path

VENDOR = Path(__file__).resolve().parent.parent / "book" / "_vendor"
SUMS = dict(
    reversed(line.split(maxsplit=1))
    for line in (VENDOR / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
)
OUR_OWN = {"README.md", "SHA256SUMS"}


def test_every_file_is_listed():
    files = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert files - OUR_OWN == set(SUMS)


def test_every_file_is_unchanged():
    changed = [
        name
        for name, digest in SUMS.items()
        if hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() != digest
    ]
    assert not changed, f"not the files of SHA256SUMS: {changed}"


def test_every_package_has_its_licence():
    packages = [path for path in VENDOR.iterdir() if path.is_dir()]
    assert packages
    assert all((package / "LICENSE").exists() for package in packages)
