"""Figures: every axis says what it shows, time runs from noise to data, and the data are drawn."""

import matplotlib
import pytest
import torch
from matplotlib import pyplot as plt
from torch.testing import assert_close

from fsps_lite import Estimate, plots, problems
from tests.oracles import rounding, seeded

matplotlib.use("agg")

X = torch.linspace(-2, 2, 41, dtype=torch.float64)
BUMP = (-(X**2)).exp()
T = torch.linspace(1.0, 0.01, 9, dtype=torch.float64)
MAP = BUMP * torch.linspace(1, 2, 9, dtype=torch.float64).unsqueeze(-1)
PATH = torch.randn(9, 60, 1, generator=seeded(0), dtype=torch.float64)
CLOUD = torch.randn(50, 2, generator=seeded(1), dtype=torch.float64)
STEPS = torch.tensor([8.0, 16.0, 32.0])

FIGURES = {
    "curves": lambda: plots.curves({"a": (X, BUMP), "b": (X, 2 * BUMP)}, xlabel="x", ylabel="p"),
    "bands": lambda: plots.bands(
        {"a": (X, BUMP, BUMP), "b": (X, X, BUMP)}, xlabel="x", ylabel="mean", levels=[0.5]
    ),
    "neighbours": lambda: plots.neighbours(
        {"one": {"a": (X, BUMP)}, "other": {"a": (X, BUMP), "b": (X, X)}},
        xlabels=["x", "y"],
        ylabel="p",
        levels=[0.5],
    ),
    "convergence": lambda: plots.convergence(
        {"even": {"a": (STEPS, 1 / STEPS)}, "odd": {"a": (STEPS, 1 / STEPS)}},
        (0.01, 0.02),
        ylabel="W1",
    ),
    "ratios": lambda: plots.ratios(
        {"left": {"a": (T, T), "b": (T, 2 * T)}, "right": {"b": (T, 3 * T)}}, ylabel="ratio"
    ),
    "failures": lambda: plots.failures({"a": (X, BUMP), "b": (X, 2 * BUMP)}, (X, BUMP)),
    "ranks": lambda: plots.ranks({"x": {"a": T, "exact": 2 * T}}, (T - 1, T + 1), BUMP, X),
    "rank_curves": lambda: plots.rank_curves(
        {"a": BUMP / 2, "b": BUMP}, (torch.zeros_like(X), torch.ones_like(X))
    ),
    "bayes": lambda: plots.bayes(X, BUMP, 5 * BUMP, 2 * BUMP),
    "maps": lambda: plots.maps({"truth": MAP, "other": MAP}, T, X),
    "paths": lambda: plots.paths(T, PATH, shown=7, title="paths"),
    "bundles": lambda: plots.bundles(T, {"a": PATH[..., 0]}, {"a": (T, T)}),
    "clouds": lambda: plots.clouds({"a": CLOUD, "b": CLOUD + 1}),
    "histograms": lambda: plots.histograms({"a": CLOUD[:, :1], "b": CLOUD[:, 1:]}, (X, BUMP)),
    "phases": lambda: plots.phases(
        {"a": MAP - 1, "b": MAP},
        X,
        STEPS.new_tensor(range(1, 10)),
        xlabel="distance",
        ylabel="noise",
        label="error",
        contour=(MAP, 0.5),
    ),
    "agreement": lambda: plots.agreement(
        {"a": (X, X), "b": (X, 2 * X)}, xlabel="predicted", ylabel="sampled"
    ),
    "intervals": lambda: plots.intervals(
        {"a": Estimate(0.3, 0.1), "b": Estimate(0.5, 0.0)}, 0.4, xlabel="weight"
    ),
    "bars": lambda: plots.bars({"a": BUMP[:3], "b": BUMP[3:6]}, ["u", "v", "w"], ylabel="share"),
}


def visible(figure):
    return [axis for axis in figure.axes if axis.axison]


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_has_its_labels(name):
    figure = FIGURES[name]()
    axes = visible(figure)
    # a row of panels shares the label at its left
    assert axes[0].get_ylabel() or name == "intervals"  # whose rows have names instead
    if name != "bars":  # its places have names instead
        assert all(axis.get_xlabel() for axis in axes if axis.get_label() != "<colorbar>")
    if len(axes) > 1:
        assert all(axis.get_title() or axis.get_label() == "<colorbar>" for axis in axes)
        assert all(axis.get_ylabel() for axis in axes if axis.get_label() == "<colorbar>")
    figure.canvas.draw()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_returned_closed(name):
    """A notebook shows the value of a cell, and would show an open figure once more."""
    plt.close("all")
    assert isinstance(FIGURES[name](), plt.Figure)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("name", ["maps", "paths", "bundles", "ratios"])
def test_time_runs_from_noise_to_data(name):
    axis = visible(FIGURES[name]())[0]
    assert axis.get_xlim() == (1.0, pytest.approx(0.01))
    assert axis.get_xlabel() == "t"


def test_curves_over_t_also_run_from_noise_to_data():
    figure = plots.curves({"a": (T, T)}, xlabel="t", ylabel="p")
    left, right = figure.axes[0].get_xlim()
    assert left > right


def test_curves_draws_what_it_is_given():
    (axis,) = FIGURES["curves"]().axes
    for line, height in zip(axis.lines, (BUMP, 2 * BUMP), strict=True):
        assert_close(torch.tensor(line.get_ydata()), height)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["a", "b"]


def test_rank_curves_take_off_what_uniform_ranks_have():
    uniform = torch.arange(1, 20) / 20
    figure = plots.rank_curves({"a": uniform + 0.1}, (uniform - 0.2, uniform + 0.3))
    (axis,) = figure.axes
    expected = torch.full((19,), 0.1)
    assert_close(torch.tensor(axis.lines[0].get_ydata()).float(), expected, rtol=0, atol=1e-6)
    low, high = axis.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == (pytest.approx(-0.2, abs=1e-6), pytest.approx(0.3, abs=1e-6))


def test_failures_mark_the_measurement_that_is_asked_for():
    plain = FIGURES["failures"]()
    marked = plots.failures({"a": (X, BUMP)}, (X, BUMP), own=0.3)
    for axis, other in zip(marked.axes, plain.axes, strict=True):
        assert 0.3 in [line.get_xdata()[0] for line in axis.lines]
        assert 0.3 not in [line.get_xdata()[0] for line in other.lines]


def test_slopes_are_guides_of_that_slope():
    size = torch.tensor([1.0, 10.0, 100.0])
    figure = plots.curves(
        {"error": (size, size**-0.5)}, xlabel="N", ylabel="error", log="xy", slopes=[-0.5, -1]
    )
    (axis,) = figure.axes
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    for line, slope in zip(axis.lines[1:], (-0.5, -1.0), strict=True):
        heights = torch.tensor(line.get_ydata())
        # of float32 sizes: their power, its product with a height, and the ratio of two of these
        rtol = rounding(torch.float32, 1.0, operations=5)
        assert_close(float(heights[2] / heights[0]), 100.0**slope, rtol=rtol, atol=0.0)


def test_maps_share_one_scale():
    figure = FIGURES["maps"]()
    one, other = (axis.collections[0] for axis in figure.axes[:2])
    assert one.norm is other.norm
    assert_close(torch.tensor(one.get_array().data).reshape(41, 9), MAP.mT)
    assert figure.axes[-1].get_ylabel() == "density"


def test_density_map_is_the_density():
    posterior = problems.trimodal().posterior
    picture = plots.density_map(posterior.log_prob, T, X)
    assert picture.shape == (9, 41)
    assert_close(picture[3, 5], posterior.log_prob(X[[5]], float(T[3])).exp())


def test_particle_map_counts():
    cloud = torch.tensor([[[-2.0], [-2.04], [0.0], [7.0]]], dtype=torch.float64)
    picture = plots.particle_map(cloud, X)
    assert picture.shape == (1, 41)
    assert_close(picture[0, 0].item(), 2 / (4 * 0.1))
    assert_close(picture[0, 20].item(), 1 / (4 * 0.1))
    assert_close(float(picture.sum()) * 0.1, 0.75)


def test_bars_have_the_heights_and_the_names():
    (axis,) = FIGURES["bars"]().axes
    heights = torch.tensor([bar.get_height() for bar in axis.patches])
    assert_close(heights.double(), BUMP[:6])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["u", "v", "w"]
    places = [bar.get_x() + bar.get_width() / 2 for bar in axis.patches]
    assert_close((places[1] + places[4]) / 2, 1.0)  # a group is centred on its label


def test_intervals_are_two_errors_wide_beside_the_truth():
    (axis,) = FIGURES["intervals"]().axes
    truth, one, other = axis.lines
    assert truth.get_xdata()[0] == 0.4
    assert [line.get_xdata()[0] for line in (one, other)] == [0.3, 0.5]
    ends = [bars.get_segments()[0][:, 0].tolist() for bars in axis.collections]
    assert ends == [pytest.approx([0.1, 0.5]), pytest.approx([0.5, 0.5])]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]


def test_images_name_their_rows():
    figure = plots.images({"seen": torch.rand(3, 8, 8), "unseen": torch.rand(2, 8, 8)})
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 5
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert texts == ["seen", "unseen"]


def test_the_style_is_left_behind():
    before = plt.rcParams["font.size"], plt.rcParams["axes.prop_cycle"]
    FIGURES["curves"]()
    assert (plt.rcParams["font.size"], plt.rcParams["axes.prop_cycle"]) == before


def test_ratios_share_an_axis_that_holds_every_curve():
    left, right = FIGURES["ratios"]().axes
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[1] > 3
    colours = {line.get_label(): line.get_color() for line in left.lines}
    assert right.lines[1].get_color() == colours["b"]


NAMES = [f"name {i}" for i in range(19)]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.curves(dict.fromkeys(NAMES, (X, BUMP)), xlabel="x", ylabel="p", fill=True),
        lambda: plots.agreement(dict.fromkeys(NAMES, (X, BUMP)), xlabel="x", ylabel="p"),
        lambda: plots.convergence(
            {"a": dict.fromkeys(NAMES, (STEPS, 1 / STEPS))}, (0.01, 0.02), ylabel="W1"
        ),
        lambda: plots.ratios({"a": dict.fromkeys(NAMES, (T, T))}, ylabel="ratio"),
    ],
    ids=["curves", "agreement", "convergence", "ratios"],
)
def test_no_two_of_many_names_look_alike(draw):
    lines = [line for line in draw().axes[0].lines if line.get_label() in NAMES]
    looks = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines]
    assert len(set(looks)) == len(NAMES)


def test_no_two_of_many_bars_look_alike():
    figure = plots.bars(
        {n: torch.rand(2, generator=seeded(0)) for n in NAMES}, ["a", "b"], ylabel="y"
    )
    looks = [(c[0].get_facecolor(), c[0].get_hatch()) for c in figure.axes[0].containers]
    assert len(set(looks)) == len(NAMES)
