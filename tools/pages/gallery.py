"""The first page of the gallery, and the page of what is no method of ours."""

from collections.abc import Sequence

from tools.pages import fps
from tools.pages.facts import facts
from tools.pages.pareto import FAMILIES
from tools.pages.reports import reports
from tools.pages.stored import Cell
from tools.pages.text import template
from tools.pages.words import Words, words

PARTICLES, STEPS = 1000, 40  # of the run of FPS
ABOUT = {
    "guidance": "They add a guess of $\\nabla \\log p(y \\mid x_t)$ to the score of the prior. "
    "They differ in the Gaussian that stands for $p(x_0 \\mid x_t)$.",
    "projection": "They put $y$, or what it says about a part of the signal, in its place.",
    "decoupled": "They alternate between the two: the denoised signal is moved towards $y$, and "
    "noise is added again.",
    "particles": "They weigh particles, and so repair what proposes them.",
    "optimisation": "They look for one point.",
}


def index() -> str:
    """The methods, by family."""
    parts = []
    for family in (name for name in FAMILIES if name in ABOUT):
        own = [told for told in words().values() if told.family == family]
        rows = [f"| [{told.heading}]({told.name}.md) | {_cell(first(told))} |" for told in own]
        table = "\n".join(["| method | idea |", "|---|---|", *rows])
        parts.append(f"## {family.capitalize()}\n\n{ABOUT[family]}\n\n{table}\n")
    return template("index").format(families="\n".join(parts), **of_fps())


def of_fps() -> dict[str, str]:
    """What is said of the one that is not built."""
    found, said = fps.weight(PARTICLES, STEPS), facts()
    told = {"fps_y": said["mcg_y"], "fps_true": said["mcg_true"], "fps_weight": f"{found:.3f}"}
    return told | {"fps_particles": f"{PARTICLES:,}"}


def first(told: Words) -> str:
    """The first sentence of the idea."""
    return told.idea.split(". ")[0].rstrip(".") + "."


def _cell(text: str) -> str:
    """In a table a bar ends the cell."""
    return text.replace("|", "\\|")


def others(found: Sequence[Cell]) -> str:
    return template("others").format(reports=reports(found))
