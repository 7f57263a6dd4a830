"""Where the public home shows the notebooks: its workflow puts them on a branch of their own.

The one setting is the repository's address; without it there are no links.
"""

from dataclasses import dataclass

import yaml

from tools.notebooks.book import ROOT, Page

BRANCH = "notebooks"  # what `python -m tools.notebooks FOLDER` writes is what this branch holds
GITHUB = "https://github.com/"
FOLDERS = {False: "chapters", True: "solutions"}  # by whether the solutions are in


@dataclass(frozen=True)
class Links:
    """Addresses of one notebook: to look at, to fetch, and to run on Colab and on Binder."""

    view: str
    download: str
    colab: str
    binder: str


def repository() -> str:
    """The address that `_config.yml` names; empty where it names none."""
    told = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return str(told["repository"]["url"])


def requirement(address: str) -> str:
    """What pip must install to run a notebook of the home at this address."""
    return f"fsps_lite @ git+{owner_and_name(address)[0]}@main"


def path_of(page: Page, *, solutions: bool) -> str:
    """The path of a chapter's notebook on the branch, and in `lab`."""
    return f"{FOLDERS[solutions]}/{page.notebook}"


def launch_links(repository: str, page: Page, *, solutions: bool = False) -> Links | None:
    """The links of a chapter, of `https://github.com/OWNER/NAME`. None without an address."""
    if not repository:
        return None
    address, owned = owner_and_name(repository)
    path = path_of(page, solutions=solutions)
    return Links(
        view=f"{address}/blob/{BRANCH}/{path}",
        download=f"{address}/raw/{BRANCH}/{path}",
        colab=f"https://colab.research.google.com/github/{owned}/blob/{BRANCH}/{path}",
        binder=f"https://mybinder.org/v2/gh/{owned}/{BRANCH}?urlpath=lab/tree/{path}",
    )


def owner_and_name(repository: str) -> tuple[str, str]:
    """The address as we write it, and `OWNER/NAME`. Raises ValueError."""
    address = repository.removesuffix("/").removesuffix(".git")
    owned = address.removeprefix(GITHUB)
    if owned == address or owned.count("/") != 1:
        raise ValueError(
            f"the repository's address must look like {GITHUB}OWNER/NAME, got {repository!r}: "
            "set it in _config.yml, or leave it empty for no links"
        )
    return address, owned
