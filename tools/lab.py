"""make lab: one folder with the chapters, their solutions and the assignments, to work in.

It lies beside the sources, so that `make clean` and a new version of the book leave it alone.
"""

import sys
from pathlib import Path

from tools.coursework.master import masters
from tools.coursework.release import student_notebooks
from tools.handout import hand_out
from tools.notebooks.addresses import FOLDERS
from tools.notebooks.reader import reader_notebooks

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "lab"


def main() -> int:
    kept: list[str] = []
    for solutions, folder in FOLDERS.items():
        kept += hand_out(LAB / folder, reader_notebooks(solutions))
    kept += hand_out(LAB / "assignments", student_notebooks(masters()))
    print("\n".join(line for line in kept if line.startswith("kept")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
