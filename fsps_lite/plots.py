"""The figures of the book, one call each. Every function returns the figure.

Time always runs as a sampler runs: from noise (t = 1, left) to data (t = 0, right). The colours are
those of Okabe and Ito, which colour-blind readers can tell apart; maps use cividis.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from itertools import cycle
from typing import Any

import matplotlib.figure
import matplotlib.pyplot as plt
import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import PowerNorm
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text
from matplotlib.ticker import LogLocator
from torch import Tensor

from fsps_lite import checks
from fsps_lite.estimate import Estimate
from fsps_lite.looks import COLOURS, STYLE, Look, looks
from fsps_lite.tables import Table as Table  # a table is a figure of numbers
from fsps_lite.tables import table as table
from fsps_lite.types import State

WIDEST = 7.9  # inches: a page shows a wider figure smaller, and its text of 10 points too
MOST_CELLS = 10**7  # of a map, at most, of which a quantile is computed
Curves = Mapping[str, tuple[Tensor, Tensor]]


class Figure(matplotlib.figure.Figure):
    """A figure that shows any name, even one that is no valid TeX or no valid text."""

    def draw(self, renderer: RendererBase) -> None:
        for text in self.findobj(Text):
            assert isinstance(text, Text)
            _tame(text)
        super().draw(renderer)


def _tame(text: Text) -> None:
    """Show a broken formula as it is written, and a lone surrogate as a question mark."""
    said = text.get_text()
    if not said.isascii():
        text.set_text(said.encode("utf-8", "replace").decode("utf-8"))
    if "$" in said:
        try:
            MathTextParser("path").parse(text.get_text())
        except ValueError:
            text.set_parse_math(False)


def _named(name: str, lines: Mapping[str, tuple[Tensor, ...]], parts: int = 2) -> None:
    """``{name: (x, y)}``: a tensor for each part, of one length, that a figure can show."""
    call = "plots.curves({'name': (grid, grid**2)}, xlabel='x', ylabel='y')"
    checks.kind(name, lines, Mapping, call)
    checks.count(f"len({name})", len(lines), call)
    for values in lines.values():
        if not isinstance(values, tuple) or len(values) != parts:
            what = f"each of `{name}` must be a tuple of {parts} tensors"
            raise ValueError(checks.complaint(what, checks.described(values), call))
        for value in values:
            checks.kind(name, value, Tensor, call)
            _plain(name, value, values[0], call)


def _plain(name: str, value: Tensor, first: Tensor, call: str) -> None:
    """Raise unless ``value`` holds numbers without gradients, as many as ``first``."""
    checks.shape(name, value, tuple(first.shape), call)
    checks.count(f"len({name})", len(value), call)
    if value.requires_grad:
        what = f"`{name}` must hold numbers without gradients"
        raise ValueError(
            checks.complaint(what, "requires_grad=True", call.replace("grid,", "grid.detach(),"))
        )


def panels(
    count: int, *, width: float = 3.2, height: float = 2.8, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """``count`` axes in one row, or in rows of ``columns``, in the style of the book."""
    checks.count("count", count, "plots.panels(2)")
    columns = min(count, columns or count)
    rows = -(-count // columns)
    scale = min(1.0, WIDEST / (width * columns))
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(
            rows,
            columns,
            figsize=(scale * width * columns, max(scale, 0.8) * height * rows),
            squeeze=False,
            FigureClass=Figure,
        )
    assert isinstance(figure, Figure)
    for spare in axes.flat[count:]:
        spare.set_axis_off()
    plt.close(figure)  # else a notebook shows it twice: a cell returns it too
    return figure, list(axes.flat[:count])


def curves(
    lines: Curves,
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    log: str = "",
    slopes: Sequence[int | float] = (),
    fill: bool = False,
) -> Figure:
    """Named curves ``{name: (x, y)}`` on one pair of axes; x and y have one shape, ``(T,)``.

    ``log`` is "x", "y" or "xy". ``slopes`` adds grey lines of these slopes to a log-log plot.
    ``fill`` shades the area below the curves, for densities. If ``xlabel`` is "t", the axis runs
    from noise to data. Raises ValueError or TypeError on other shapes or words.
    """
    _named("lines", lines)
    if log not in ("", "x", "y", "xy"):
        call = "plots.curves({'name': (grid, grid**2)}, xlabel='x', ylabel='y', log='xy')"
        raise ValueError(checks.complaint("`log` must be '', 'x', 'y' or 'xy'", repr(log), call))
    figure, (axis,) = panels(1, width=6.0, height=3.4)
    look = looks(lines)
    for name, (x, y) in lines.items():
        marker = "o" if log == "xy" else ""
        axis.plot(x, y, label=name, marker=marker, markersize=4, **look[name].style)
        if fill:
            axis.fill_between(x, y, alpha=0.15, linewidth=0, color=look[name].colour)
    _scales(axis, log)
    for slope in slopes:
        _guide(axis, lines, slope)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if xlabel == "t":
        axis.invert_xaxis()
    axis.legend(frameon=False)
    return figure


def bands(
    stripes: Mapping[str, tuple[Tensor, Tensor, Tensor]],
    *,
    xlabel: str,
    ylabel: str,
    levels: Sequence[int | float] = (),
) -> Figure:
    """Means with a band of one standard deviation: ``{name: (x, mean, std)}``, one panel each.

    ``levels`` are dotted lines across every panel: values to compare the means with.
    """
    _named("stripes", stripes, parts=3)
    figure, axes = panels(len(stripes), width=2.5, height=2.9)
    for axis, (name, (x, mean, std)) in zip(axes, stripes.items(), strict=True):
        for level in levels:
            axis.axhline(level, color="0.6", linewidth=0.8, linestyle=":")
        axis.fill_between(x, mean - std, mean + std, color=COLOURS[0], alpha=0.25, linewidth=0)
        axis.plot(x, mean, color=COLOURS[0])
        axis.set(title=name, xlabel=xlabel)
        axis.sharey(axes[0])
    axes[0].set_ylabel(ylabel)
    return figure


def neighbours(
    groups: Mapping[str, Curves],
    *,
    xlabels: Sequence[str],
    ylabel: str,
    levels: Sequence[int | float] = (),
) -> Figure:
    """Curves in panels with axes of their own, ``{title: {name: (x, y)}}``.

    A name has the same colour in all panels. ``levels`` holds, for each panel, the place of a
    dotted vertical line.
    """
    _grouped(groups)
    _as_many("xlabels", xlabels, groups)
    figure, axes = panels(len(groups), width=3.7, height=3.1)
    look = looks([name for lines in groups.values() for name in lines])
    for axis, (title, lines), xlabel in zip(axes, groups.items(), xlabels, strict=True):
        for name, (x, y) in lines.items():
            axis.plot(x, y, label=name, **look[name].style)
        axis.set(title=title, xlabel=xlabel)
    for axis, level in zip(axes, levels, strict=False):
        axis.axvline(level, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    axes[0].set_ylabel(ylabel)
    handles = {line.get_label(): line for axis in axes for line in axis.lines}
    shown = [name for name in look if name in handles]
    figure.legend([handles[n] for n in shown], shown, frameon=False, loc="outside right center")
    return figure


def ratios(groups: Mapping[str, Curves], *, ylabel: str, columns: int | None = None) -> Figure:
    """Ratios over time, ``{panel: {name: (t, ratio)}}``, with a grey line at 1."""
    return over_time(groups, ylabel=ylabel, columns=columns, level=1.0)


def over_time(
    groups: Mapping[str, Curves],
    *,
    ylabel: str,
    columns: int | None = None,
    level: int | float | None = None,
    log: bool = False,
    width: float = 2.7,
) -> Figure:
    """Curves over time, ``{panel: {name: (t, value)}}``; all panels share the value axis.

    A name has the same colour in all panels. ``level`` draws a grey line across every panel;
    ``log`` makes the value axis logarithmic.
    """
    _grouped(groups)
    figure, axes = panels(len(groups), width=width, height=2.7, columns=columns)
    look = looks([name for lines in groups.values() for name in lines])
    for axis, (title, lines) in zip(axes, groups.items(), strict=True):
        axis.sharey(axes[0])  # before drawing, so that the limits hold all curves
        if level is not None:
            axis.axhline(level, color="0.6", linewidth=0.8, zorder=0)
        for name, (t, value) in lines.items():
            axis.plot(t, value, label=name, **look[name].style)
            axis.set_xlim(float(t.max()), float(t.min()))
        axis.set(title=title, xlabel="t", yscale="log" if log else "linear")
    axes[0].set_ylabel(ylabel)
    drawn = [h for axis in axes for h in axis.lines if not str(h.get_label()).startswith("_")]
    handles = {str(h.get_label()): h for h in drawn}
    figure.legend(handles.values(), handles, frameon=False, loc="outside right center")
    return figure


def convergence(grids: Mapping[str, Curves], floor: tuple[float, float], *, ylabel: str) -> Figure:
    """Error against steps, log-log, one panel per grid.

    ``floor`` is the range in which exact clouds fall; it is grey.
    """
    _grouped(grids)
    figure, axes = panels(len(grids), width=3.9, height=3.6)
    for axis, (grid, lines) in zip(axes, grids.items(), strict=True):
        axis.axhspan(*floor, color="0.88", label="exact clouds")
        look = looks(lines)
        for name, (steps, error) in lines.items():
            axis.plot(steps, error, label=name, marker="o", markersize=4, **look[name].style)
        _scales(axis, "xy")
        axis.set(title=grid, xlabel="steps")
        axis.set_xticks(steps, [f"{int(k)}" for k in steps])
        axis.minorticks_off()
        axis.sharey(axes[0])
    axes[0].set_ylabel(ylabel)
    axes[-1].legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def failures(
    errors: Curves,
    density: tuple[Tensor, Tensor],
    *,
    level: float = 0.1,
    own: float | None = None,
) -> Figure:
    """Errors over the measurement, ``{method: (y, tv)}``, above the density ``(y, p)`` of y.

    A dotted line is drawn at ``level``, above which a method fails, and a dashed one at ``own``,
    the measurement that a report speaks of.
    """
    _named("errors", errors)
    _named("density", {"p(y)": density})
    figure, (above, below) = panels(2, width=7.6, height=2.4, columns=1)
    look = looks(errors)
    for name, (y, tv) in errors.items():
        above.plot(y, tv, label=name, marker="o", markersize=2, **look[name].style)
    for axis in (above, below):
        if own is not None:
            axis.axvline(own, color="0.4", linewidth=1.0, linestyle="--", zorder=3)
    above.axhline(level, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    above.set(xlabel="y", ylabel="total variation", title="where in y a method fails")
    above.set_ylim(bottom=0.0)
    above.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    below.fill_between(*density, color="0.75", linewidth=0)
    below.set(xlabel="y", ylabel="p(y)", title="where y lies")
    below.set_ylim(bottom=0.0)
    below.sharex(above)
    return figure


def ranks(
    ecdfs: Mapping[str, Mapping[str, Float[Tensor, "L"]]],
    band: tuple[Float[Tensor, "L"], Float[Tensor, "L"]],
    excess: Float[Tensor, "Y"],
    y: Float[Tensor, "Y"] | None = None,
) -> Figure:
    """ECDFs of ranks, ``{check: {sampler: ecdf}}``, less what uniform ranks have, in their band.

    The last panel is the ``excess`` over ``y``, or, without y, over the share of y below it.
    """
    for check, lines in ecdfs.items():
        _named(check, {name: (ecdf, band[0]) for name, ecdf in lines.items()})
    figure, axes = panels(len(ecdfs) + 1, width=3.6, height=2.8, columns=3)
    look = looks([name for lines in ecdfs.values() for name in lines])
    for axis, (check, lines) in zip(axes, ecdfs.items(), strict=False):
        _deviations(axis, lines, band, look)
        axis.set_title(check)
    axes[0].legend(frameon=False)
    place = torch.linspace(0, 1, len(excess)) if y is None else y
    heights = excess.sort().values if y is None else excess
    axes[-1].scatter(place, heights, s=8, linewidths=0, color="0.35")
    axes[-1].axhline(0.0, color="0.7", linewidth=0.8, zorder=0)
    xlabel = "share of y" if y is None else "y"
    axes[-1].set(title="at each y", xlabel=xlabel, ylabel="W1 over exact clouds")
    return figure


def rank_curves(ecdfs: Mapping[str, Tensor], band: tuple[Tensor, Tensor]) -> Figure:
    """ECDFs of ranks, ``{sampler: (L,)}``, less what uniform ranks have, in their band."""
    _named("ecdfs", {name: (ecdf, band[0]) for name, ecdf in ecdfs.items()})
    figure, (axis,) = panels(1, width=6.6, height=3.2)
    _deviations(axis, ecdfs, band, looks(ecdfs))
    axis.legend(frameon=False, bbox_to_anchor=(1, 1), loc="upper left")
    return figure


def _deviations(
    axis: Axes, lines: Mapping[str, Tensor], band: tuple[Tensor, Tensor], look: Mapping[str, Look]
) -> None:
    """ECDFs minus that of uniform ranks, and the band that holds it."""
    even = torch.arange(1, len(band[0]) + 1, dtype=torch.float64) / (len(band[0]) + 1)
    axis.fill_between(even, band[0] - even, band[1] - even, color="0.88", linewidth=0)
    for name, ecdf in lines.items():
        axis.plot(even, ecdf - even, label=name, **look[name].style)
    axis.set(xlabel="rank / draws", ylabel="ECDF - uniform")


def bayes(x: Tensor, prior: Tensor, likelihood: Tensor, posterior: Tensor) -> Figure:
    """Prior, likelihood and posterior over one signal axis; the likelihood is scaled to fit."""
    lines = {
        "prior p(x)": (x, prior),
        "likelihood p(y | x), scaled": (x, likelihood / likelihood.max() * posterior.max()),
        "posterior p(x | y)": (x, posterior),
    }
    return curves(lines, xlabel="x", ylabel="density", fill=True)


def maps(
    densities: Mapping[str, Float[Tensor, "T G"]],
    t: Tensor,
    x: Tensor,
    *,
    columns: int | None = None,
    top: float | None = None,
) -> Figure:
    """Densities over (t, x), one panel each, on one colour scale: the typical figure of this book.

    ``densities[name][i, j]`` is the density at time ``t[i]`` and place ``x[j]``. The colour scale
    is that of the square root. It ends where 99 % of the values of the first panel lie below, so
    that noise is visible too. ``top`` ends it elsewhere, for figures that are to be compared.
    """
    figure, axes = panels(len(densities), width=3.6, height=3.0, columns=columns)
    first = next(iter(densities.values())).flatten()
    some = first[:: max(1, len(first) // MOST_CELLS)]  # torch takes the quantile of so many at most
    norm = PowerNorm(0.5, vmin=0.0, vmax=top or float(some.quantile(0.99)))
    for axis, (name, density) in zip(axes, densities.items(), strict=True):
        mesh = axis.pcolormesh(
            t.numpy(),
            x.numpy(),
            density.mT.numpy(),
            norm=norm,
            cmap="cividis",
            shading="nearest",
            rasterized=True,
        )
        axis.set(xlim=(float(t.max()), float(t.min())), xlabel="t", title=name)
    axes[0].set_ylabel("x_t")
    figure.colorbar(mesh, ax=axes, label="density", shrink=0.9)
    return figure


def density_map(
    log_prob: Callable[[Tensor, Tensor], Tensor], t: Tensor, x: Tensor
) -> Float[Tensor, "T G"]:
    """exp log_prob(x, t) on the grid of times ``t`` and places ``x``: a panel for :func:`maps`."""
    call = "plots.density_map(diffusion.log_prob, t, grid), where grid has shape (G,)"
    checks.function("log_prob", log_prob, call)
    for name, value in (("t", t), ("x", x)):
        checks.floating(name, value, call)
        checks.shape(name, value, ("G",), call)
    return torch.stack([log_prob(x.unsqueeze(-1), time).exp() for time in t])


def particle_map(x: Float[Tensor, "T n 1"], places: Float[Tensor, "G"]) -> Float[Tensor, "T G"]:
    """A cloud's density over time, counted in cells around ``places``: a panel for :func:`maps`.

    ``x`` is ``(T, n, 1)``; ``places``, ``(G,)``, are an even grid. ``(T, G)``, in 1 / units of x.
    """
    call = "plots.particle_map(x.expand(len(t), *x.shape)[..., :1], grid)"
    checks.floating("x", x, call)
    checks.shape("x", x, ("T", "n", 1), call)
    checks.floating("places", places, call)
    checks.shape("places", places, ("G",), call)
    checks.even("places", places, call)
    cell = places[1] - places[0]
    edges = torch.cat([places - cell / 2, places[-1:] + cell / 2])
    counts = [cloud.flatten().histogram(edges)[0] for cloud in x]
    return torch.stack(counts) / (x.shape[1] * cell)


def paths(t: Tensor, x: Float[Tensor, "T n 1"], *, shown: int = 40, title: str = "") -> Figure:
    """Some particles of a cloud over time."""
    figure, (axis,) = panels(1, width=6.0, height=3.4)
    axis.plot(t, x[:, :shown, 0], color=COLOURS[0], alpha=0.35, linewidth=0.8)
    axis.set(xlim=(float(t.max()), float(t.min())), xlabel="t", ylabel="x_t", title=title)
    return figure


def bundles(
    t: Tensor,
    paths: Mapping[str, Float[Tensor, "T n"]],
    bands: Mapping[str, tuple[Tensor, Tensor]],
) -> Figure:
    """Named bundles of particles over time, each over a band of its mean ± 2 standard deviations.

    ``paths[name]`` is ``(T, n)``; ``bands[name]`` is ``(mean, std)``, each ``(T,)``.
    """
    _as_many("bands", bands, paths)
    figure, (axis,) = panels(1, width=6.4, height=3.8)
    look = looks(paths)
    for name, x in paths.items():
        colour, (mean, std) = look[name].colour, bands[name]
        axis.fill_between(t, mean - 2 * std, mean + 2 * std, color=colour, alpha=0.2, linewidth=0)
        axis.plot(t, x, color=colour, alpha=0.6, linewidth=0.6)
        axis.plot([], [], color=colour, label=name)
    axis.set(xlim=(float(t.max()), float(t.min())), xlabel="t", ylabel="x_t")
    axis.legend(frameon=False, loc="upper left")
    return figure


def clouds(points: Mapping[str, State], *, shown: int = 1000) -> Figure:
    """Clouds in the plane, one panel each, on the same axes."""
    figure, axes = panels(len(points))
    for axis, (name, cloud) in zip(axes, points.items(), strict=True):
        axis.plot(
            cloud[:shown, 0], cloud[:shown, 1], ".", markersize=2, alpha=0.5, color=COLOURS[0]
        )
        axis.set(title=name, xlabel="x[0]")
        axis.sharex(axes[0])
        axis.sharey(axes[0])
    axes[0].set_ylabel("x[1]")
    return figure


def histograms(
    clouds: Mapping[str, State], density: tuple[Tensor, Tensor], *, bins: int = 80
) -> Figure:
    """One-dimensional clouds as histograms, each beside the true density ``(x, p)``."""
    figure, axes = panels(len(clouds))
    x, p = density
    for axis, (name, cloud) in zip(axes, clouds.items(), strict=True):
        edges = torch.linspace(float(x.min()), float(x.max()), bins + 1)
        axis.hist(cloud.flatten(), bins=edges.tolist(), density=True, color=COLOURS[5], alpha=0.6)
        axis.plot(x, p, color=COLOURS[6], linewidth=1.2, label="truth")
        axis.set(title=name, xlabel="x")
        axis.sharey(axes[0])
    axes[0].set_ylabel("density")
    axes[-1].legend(frameon=False)
    return figure


def bars(heights: Mapping[str, Tensor], labels: Sequence[str], *, ylabel: str) -> Figure:
    """Groups of bars: one group per label, one bar per name."""
    _named("heights", {name: (height,) for name, height in heights.items()}, parts=1)
    for height in heights.values():
        _as_many("labels", labels, height)
    figure, (axis,) = panels(1, width=6.0, height=3.0)
    width = 0.8 / len(heights)
    place, look = torch.arange(len(labels)), looks(heights)
    for i, (name, height) in enumerate(heights.items()):
        offset = (i - (len(heights) - 1) / 2) * width
        own = look[name]
        told: dict[str, Any] = {"color": own.colour, "hatch": "//" * own.again}
        axis.bar((place + offset).numpy(), height.numpy(), width, label=name, **told)
    axis.set_xticks(place, labels)
    axis.set_ylabel(ylabel)
    axis.legend(frameon=False)
    return figure


def intervals(values: Mapping[str, Estimate], truth: int | float, *, xlabel: str) -> Figure:
    """Estimates with two standard errors to each side, one below the other, beside the truth."""
    checks.count("len(values)", len(values), "plots.intervals({'DPS': Estimate(0.1, 0.01)}, 0.2)")
    figure, (axis,) = panels(1, width=6.0, height=0.9 + 0.28 * len(values))
    axis.axvline(float(truth), color=COLOURS[6], linewidth=1.2, zorder=0)
    look = looks(values)
    for place, (name, one) in enumerate(values.items()):
        told: dict[str, Any] = {"color": look[name].colour, "fmt": "o", "markersize": 5}
        axis.errorbar(one.value, place, xerr=2 * one.error, **told)
    axis.set_yticks(range(len(values)), list(values))
    axis.invert_yaxis()
    axis.set_xlabel(xlabel)
    return figure


def report(
    groups: Mapping[str, Curves],
    *,
    xlabels: Sequence[str],
    levels: Sequence[int | float | None],
) -> Figure:
    """The curves of a report: ``{quantity: {sampler: (x, y)}}``, one panel per quantity.

    ``xlabels`` names x in each panel: time, or a share in [0, 1]. ``levels`` holds the height of a
    grey line in each, or None.
    """
    _as_many("xlabels", xlabels, groups)
    _as_many("levels", levels, groups)
    figure, axes = panels(len(groups), width=3.6, height=2.8)
    look = looks([name for lines in groups.values() for name in lines])
    for axis, (what, who), xlabel, level in zip(axes, groups.items(), xlabels, levels, strict=True):
        for name, (x, y) in who.items():
            axis.plot(x, y, label=name, **look[name].style)
        ends = (float(x.max()), float(x.min())) if xlabel == "t" else (0, 1)
        axis.set(title=what, xlabel=xlabel, xlim=ends)
        if level is not None:
            axis.axhline(level, color="0.7", linewidth=0.8, zorder=0)
    axes[0].legend(frameon=False)
    return figure


def phases(
    fields: Mapping[str, Float[Tensor, "Y X"]],
    x: Tensor,
    y: Tensor,
    *,
    xlabel: str,
    ylabel: str,
    label: str,
    contour: tuple[Float[Tensor, "Y X"], float],
) -> Figure:
    """Signed numbers over two parameters, one panel each: white is 0, and y is logarithmic.

    ``contour`` is a field and a level, at which all panels get a dashed line.
    """
    figure, axes = panels(len(fields), width=2.7, height=2.9)
    top = max(float(field.abs().max()) for field in fields.values())
    for axis, (name, field) in zip(axes, fields.items(), strict=True):
        mesh = axis.pcolormesh(
            *(v.numpy() for v in (x, y, field)),
            vmin=-top,
            vmax=top,
            cmap="RdBu_r",
            shading="gouraud",
            rasterized=True,
        )
        level = (v.numpy() for v in (x, y, contour[0]))
        axis.contour(*level, [contour[1]], colors="0.2", linestyles="--", linewidths=1)
        axis.set(yscale="log", xlabel=xlabel, title=name)
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
    axes[0].set_ylabel(ylabel)
    figure.colorbar(mesh, ax=axes, label=label, shrink=0.9)
    return figure


def agreement(points: Mapping[str, tuple[Tensor, Tensor]], *, xlabel: str, ylabel: str) -> Figure:
    """Two answers to the same questions, ``{name: (one, other)}``.

    Where they agree, they lie on the diagonal.
    """
    _named("points", points)
    figure, (axis,) = panels(1, width=4.6, height=3.6)
    everything = torch.cat([v.flatten() for pair in points.values() for v in pair])
    ends = [float(everything.min()), float(everything.max())]
    axis.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
    look = looks(points)
    for marker, (name, (one, other)) in zip(cycle("osD^v"), points.items(), strict=False):
        shape: dict[str, Any] = {"color": look[name].colour, "marker": marker, "linestyle": ""}
        axis.plot(one, other, label=name, markersize=5, alpha=0.8, **shape)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend(frameon=False)
    return figure


def images(rows: Mapping[str, Float[Tensor, "n h w"]], *, full: float = 16.0) -> Figure:
    """Rows of small images, ``(n, h, w)``, each row with its name.

    0 is white, ``full`` is black, and NaN, for a pixel that is not seen, has a colour of its own.
    """
    checks.count("len(rows)", len(rows), "plots.images({'a digit': torch.zeros(1, 8, 8)})")
    columns = max(len(row) for row in rows.values())
    figure, axes = panels(len(rows) * columns, width=0.85, height=0.85, columns=columns)
    ink = colormaps["gray_r"].with_extremes(bad=COLOURS[5])
    for axis in axes:
        axis.set_axis_off()
    for i, (name, row) in enumerate(rows.items()):
        first = axes[i * columns]
        first.text(-0.15, 0.5, name, transform=first.transAxes, ha="right", va="center")
        for axis, image in zip(axes[i * columns :], row, strict=False):
            axis.imshow(image.numpy(), cmap=ink, vmin=0.0, vmax=full)
    return figure


def _grouped(groups: Mapping[str, Curves]) -> None:
    """Raise unless ``groups`` is ``{panel: {name: (x, y)}}``."""
    checks.kind("groups", groups, Mapping, "plots.ratios({'a': {'b': (t, t)}}, ylabel='y')")
    for lines in groups.values():
        _named("groups", lines)


def _as_many(name: str, values: Sized, others: Sized) -> None:
    """Raise unless there are as many ``values`` as ``others``."""
    if len(values) != len(others):
        what = f"`{name}` must be {len(others)}, one for each"
        call = "plots.bars({'a': torch.ones(2)}, ['x', 'y'], ylabel='y')"
        raise ValueError(checks.complaint(what, len(values), call))


def _scales(axis: Axes, log: str) -> None:
    if "x" in log:
        axis.set_xscale("log")
    if "y" in log:
        axis.set_yscale("log")


def _guide(axis: Axes, lines: Curves, slope: int | float) -> None:
    """A dotted line of this slope, through the middle of the first curve."""
    x, y = next(iter(lines.values()))
    middle = len(x) // 2
    axis.plot(x, y[middle] * (x / x[middle]) ** slope, ":", color="0.5", label=f"slope {slope:g}")
