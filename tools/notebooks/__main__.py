"""Write the readers' notebooks into a folder, as the branch `notebooks` of the public home holds.

python -m tools.notebooks [FOLDER]    by default build/notebooks

Where `_config.yml` names a public home, Binder finds there what to install.
"""

import sys
from pathlib import Path

from fsps_lite.saving import save
from tools.notebooks.addresses import FOLDERS, repository, requirement
from tools.notebooks.book import ROOT
from tools.notebooks.reader import reader_notebooks


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else ROOT / "build" / "notebooks"
    home = repository()
    for solutions, name in FOLDERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file, text in reader_notebooks(solutions, repository=home).items():
            save(folder / name / file, text)
    if home:
        save(folder / "requirements.txt", f"{requirement(home)}\n")
    print(f"The notebooks are in {folder}: {' and '.join(FOLDERS.values())}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
