"""Write the readers' notebooks into a folder, as the branch `notebooks` of the public home holds.

python -m tools.notebooks [FOLDER]    by default build/notebooks
"""

import sys
from pathlib import Path

from fsps_lite.saving import save
from tools.notebooks.addresses import FOLDERS
from tools.notebooks.book import ROOT
from tools.notebooks.reader import reader_notebooks


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else ROOT / "build" / "notebooks"
    for solutions, name in FOLDERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, text in reader_notebooks(solutions).items():
            save(folder / name / file, text)
    print(f"The notebooks are in {folder}: {' and '.join(FOLDERS.values())}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
