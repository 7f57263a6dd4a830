"""make lab: one folder with the chapters and the assignments, to run and to work in.

It lies beside the sources, so that `make clean` and a new version of the book leave it alone.
"""

import sys
from pathlib import Path

from tools.coursework.master import masters
from tools.coursework.release import student_notebooks
from tools.handout import hand_out

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "lab"


def main() -> int:
    chapters = sorted((ROOT / "book" / "chapters").glob("*.ipynb"))
    texts = {path.name: path.read_text(encoding="utf-8") for path in chapters}
    kept = [*hand_out(LAB / "chapters", texts)]
    kept += hand_out(LAB / "assignments", student_notebooks(masters()))
    print("\n".join(line for line in kept if line.startswith("kept")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
