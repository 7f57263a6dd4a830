"""The figures of a page: where particles go in time, and where in y a method fails."""

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from fsps_lite import plots
from fsps_lite.looks import COLOURS

EXACT = "exact score"


def path(method: str, found: Mapping[str, Any], truth: Mapping[str, Any]) -> plots.Figure:
    """The density of the particles over (t, x), beside the exact law in the same bins."""
    low, high = found["x"]
    bins = len(found["counts"][0])
    x = low + (torch.arange(bins, dtype=torch.float64) + 0.5) * (high - low) / bins
    t = torch.tensor(found["t"], dtype=torch.float64)
    panels = {"exact": truth, method: found}
    return plots.maps({name: _density(one) for name, one in panels.items()}, t, x)


def _density(found: Mapping[str, Any]) -> Tensor:
    """Counts as a density, in 1 / units of x."""
    counts = torch.tensor(found["counts"], dtype=torch.float64)
    low, high = found["x"]
    density: Tensor = counts / (found["n"] * (high - low) / counts.shape[1])
    return density


def failure(method: str, found: Mapping[str, Any], exact: Mapping[str, Any] | None) -> plots.Figure:
    """The total variation over y, one panel for each problem, above p(y)."""
    told = {problem: one for problem, one in found.items() if one}
    figure, axes = plots.panels(len(told), width=3.8, height=2.8)
    for axis, (problem, one) in zip(axes, told.items(), strict=True):
        _law(axis, one)
        floor = _floor(one, (exact or {}).get(problem))
        axis.plot(one["y"], one["tv"], color=COLOURS[1], marker="o", markersize=3, label=method)
        if floor:
            axis.plot(*floor, color=COLOURS[6], linestyle="--", label="exact")
        axis.set(xlabel="y", title=problem, ylim=(0, 1.05 * max(0.2, *one["tv"])))
    axes[0].set_ylabel("total variation")
    axes[-1].legend(frameon=False)
    return figure


def _floor(
    one: Mapping[str, Any], exact: Mapping[str, Any] | None
) -> tuple[list[float], list[float]] | None:
    """What exact draws have, or the exact score in the same steps."""
    if one["null"]:
        return one["y"], one["null"]
    return (exact["y"], exact["tv"]) if exact and exact["by"] == one["by"] else None


def _law(axis: Axes, one: Mapping[str, Any]) -> None:
    """p(y), as a shade that has no scale."""
    p = torch.tensor(one["p"], dtype=torch.float64)
    top = 1.05 * max(0.2, *one["tv"])
    axis.fill_between(one["y"], p / p.max() * top / 3, color="0.88", linewidth=0, label="p(y)")
