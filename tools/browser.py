"""Chromium, to test the built pages and to look at them.

python tools/browser.py install                          `make browser`
python tools/browser.py shot intro 390 out.png           a picture of a page of _build/html
python tools/browser.py shot intro 390 out.png --dark --full --at "#summary"
python tools/browser.py shot http://127.0.0.1:8888/lab 1280 out.png
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "_build" / "html"
SCRIPTS = ROOT / "tests" / "browser"  # what drives Chromium, and the list of what that needs
HOME = ROOT / ".browser"  # what `make browser` installs
LISTS = ("package.json", "package-lock.json")
NAMES = ("chromium", "chromium-browser", "google-chrome")
NPM = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
APT = ["apt-get", "-y", "--no-install-recommends", "install"]
HEIGHTS = {390: 844}  # of a telephone; all wider screens have 900 px
Finding = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """One page, opened once: how wide, in which theme, from a file or by http."""

    page: str
    width: int = 390
    theme: Literal["light", "dark"] = "light"
    by: Literal["file", "http"] = "file"

    def __str__(self) -> str:
        return f"{self.page.removesuffix('.html')}-{self.width}-{self.theme}-{self.by}"


def chromium() -> str | None:
    """The program, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def installed() -> bool:
    """Whether .browser/ holds exactly what the list names."""
    same = all(_text(HOME / name) == _text(SCRIPTS / name) for name in LISTS)
    return same and (HOME / "node_modules" / ".package-lock.json").exists()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def missing() -> str:
    """Why no page can be opened here, in a sentence; empty where one can."""
    lacks = [] if chromium() else ["Chromium"]
    lacks += [] if shutil.which("node") else ["Node"]
    lacks += [] if installed() else ["playwright-core and axe-core"]
    return f"there is no {', no '.join(lacks)} here: run `make browser`" if lacks else ""


def install() -> None:
    """Debian's Chromium and Node, where they are lacking; playwright-core and axe-core by npm."""
    packages = [] if chromium() else ["chromium"]
    packages += [] if shutil.which("npm") and shutil.which("node") else ["nodejs", "npm"]
    if packages:
        install_by_apt(packages)
    if not installed():
        HOME.mkdir(exist_ok=True)
        for name in LISTS:
            shutil.copy(SCRIPTS / name, HOME / name)
        subprocess.run(NPM, cwd=HOME, check=True)
    print(f"The browser tests can run: {chromium()}, and what {SCRIPTS.name}/{LISTS[0]} lists.")


def install_by_apt(packages: Sequence[str]) -> None:
    words = " ".join([*APT, *packages])
    if not shutil.which("apt-get"):
        raise SystemExit(
            f"make browser installs with Debian's apt-get, which is not here, got {sys.platform}. "
            f"Install {', '.join(packages)} your own way, then call: make browser"
        )
    if os.geteuid() != 0:
        raise SystemExit(
            f"Only root may install {', '.join(packages)}, got user {os.geteuid()}. "
            f"Call it like this: sudo {words} && make browser"
        )
    subprocess.run(["apt-get", "update"], check=True)
    subprocess.run([*APT, *packages], check=True)


def drive(script: str, plan: Mapping[str, Any]) -> list[Finding]:
    """Run one of our scripts under Node; what it reports."""
    if reason := missing():
        raise SystemExit(f"No page can be opened: {reason}.")
    with tempfile.TemporaryDirectory() as folder:
        planned, reported = Path(folder) / "plan.json", Path(folder) / "report.json"
        whole = {"modules": str(HOME), "chromium": chromium(), **plan}
        planned.write_text(json.dumps(whole), encoding="utf-8")
        subprocess.run(["node", SCRIPTS / script, planned, reported], check=True)
        report = reported.read_text(encoding="utf-8") if reported.exists() else "[]"
    found: list[Finding] = json.loads(report)
    return found


def look(root: Path, looks: Sequence[Look]) -> dict[Look, Finding]:
    """Open these pages of a folder, all in one browser; what was found at each."""
    plan = {"root": str(root), "looks": [asdict(each) for each in looks]}
    return dict(zip(looks, drive("look.mjs", plan), strict=True))


def address(page: str) -> str:
    """The URL of what a person calls `intro`, `chapters/name.html`, a file, or by its URL."""
    if "://" in page:
        return page
    tried = [Path(page), PAGES / page, PAGES / f"{page}.html"]
    for path in tried:
        if path.is_file():
            return path.resolve().as_uri()
    raise SystemExit(
        f"The page must be a URL, a file, or a page of {PAGES}, got {page!r}. "
        "Call it like this: python tools/browser.py shot intro 390 out.png"
    )


def shot(page: str, width: int, out: str, *, dark: bool, full: bool, at: str) -> None:
    """Write a picture of a page as PNG."""
    drive(
        "shot.mjs",
        {
            "url": address(page),
            "width": width,
            "height": HEIGHTS.get(width, 900),
            "theme": "dark" if dark else "light",
            "full": full,
            "at": at,
            "out": str(Path(out).resolve()),
        },
    )


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="what `make browser` does")
    picture = commands.add_parser("shot", help="a picture of a page")
    picture.add_argument("page", help="a URL, a file, or a page of the built book: intro")
    picture.add_argument("width", type=int, help="of the screen, in pixels: 390 or 1280")
    picture.add_argument("out", help="the file to write: out.png")
    picture.add_argument("--dark", action="store_true", help="in the dark theme")
    picture.add_argument("--full", action="store_true", help="the whole page, not one screen")
    picture.add_argument("--at", default="", help="scroll to this CSS selector first: '#summary'")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    told = arguments(words)
    if told.command == "install":
        install()
    else:
        shot(told.page, told.width, told.out, dark=told.dark, full=told.full, at=told.at)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(f"This command failed (see above): {' '.join(map(str, error.cmd))}")
