"""Live figures: what they draw is what the library computes, in one small piece of HTML."""

import base64
import html
import json
import random
import re
import shutil
import subprocess

import matplotlib
import numpy as np
import pytest
import torch

import fsps_lite as fl
from fsps_lite import plots, widgets
from fsps_lite.widgets import players
from fsps_lite.widgets.frames import CELLS
from fsps_lite.widgets.words import plain

matplotlib.use("agg")
PLACES = torch.linspace(-3, 3, 61, dtype=torch.float64)
YS, NOISES = [-1.8, -0.6, 0.0, 1.1], [0.3, 0.8, 2.0]
DRAW = random.Random(7)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def posterior(y, noise_std):
    """The density of the posterior of a problem in the gallery, at the places."""
    problem = fl.problems.trimodal(y=y, noise_std=noise_std)
    return problem.posterior.log_prob(PLACES[:, None], 0.05).exp()


def draw(y, noise_std):
    return plots.curves({"truth": (PLACES, posterior(y, noise_std))}, xlabel="x", ylabel="p")


def lines(n):
    return [plots.curves({"a": (PLACES, i * PLACES)}, xlabel="x", ylabel="y") for i in range(n)]


@pytest.fixture(scope="module")
def moving():
    return widgets.live(draw, alt='the "posterior" < 1', start=(1, 2), y=YS, noise_std=NOISES)


def test_it_draws_what_the_library_computes(moving):
    for _ in range(6):
        i, j = DRAW.randrange(len(YS)), DRAW.randrange(len(NOISES))
        x, p = moving.drawn(i, j)[0]["truth"]
        np.testing.assert_allclose(x, PLACES, atol=5e-4)
        np.testing.assert_allclose(p, posterior(YS[i], NOISES[j]), atol=5e-4)


def test_its_axes_are_the_same_in_every_frame_and_hold_them_all(moving):
    (panel,) = moving.values["panels"]
    low, high = panel["y"]["limits"]
    top = max(float(posterior(y, s).max()) for y in YS for s in NOISES)
    assert low < 0
    assert top < high < 1.2 * top


def test_it_opens_where_it_is_told_and_says_so(moving):
    assert [c["start"] for c in moving.values["controls"]] == [1, 2]
    assert 'alt="the &quot;posterior&quot; &lt; 1: y = −0.6, noise_std = 2"' in moving.html
    shown = 'A live figure: the "posterior" < 1; here y = −0.6, noise_std = 2'
    assert repr(moving) == shown


def test_its_labels_are_values_and_not_places(moving):
    y, noise = moving.values["controls"]
    assert (y["name"], y["labels"]) == ("y", ["−1.8", "−0.6", "0", "1.1"])
    assert (noise["name"], noise["labels"]) == ("noise_std", ["0.3", "0.8", "2"])


def test_it_is_whole_small_and_asks_nobody(moving):
    said = moving.html
    assert moving._repr_html_() == said
    assert len(said) < 300_000
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|url\(|fetch\(", said)
    assert not re.search(r"\sid=", said)  # the same figure may stand twice on a page
    assert base64.b64decode(moving.still).startswith(b"\x89PNG")


def test_the_same_call_gives_the_same_bytes(moving):
    again = widgets.live(draw, alt='the "posterior" < 1', start=(1, 2), y=YS, noise_std=NOISES)
    assert again.html == moving.html


def test_nothing_that_it_holds_ends_its_script():
    name = "</script><b>"
    figure = plots.curves({name: (PLACES, PLACES)}, xlabel=name, ylabel="y")
    found = widgets.player([figure], [name], name=name, alt=name)
    assert found.html.count("</script>") == 2
    assert found.values["legend"][0]["name"] == name
    assert html.escape(name) in found.html


def test_the_player_has_a_frame_for_each_label():
    player = widgets.player(lines(4), ["a", "b", "c", "d"], name="slope", alt="a line")
    (control,) = player.values["controls"]
    assert control == {"name": "slope", "labels": ["a", "b", "c", "d"], "menu": False, "start": 0}
    for i in range(4):
        np.testing.assert_allclose(player.drawn(i)[0]["a"][1], i * PLACES, atol=1e-3)


def test_names_make_a_menu_and_labels_of_ones_own_a_slider():
    def of(kind, k):
        return plots.curves({kind: (PLACES, k * PLACES)}, xlabel="x", ylabel="y")

    figure = widgets.live(of, alt="a line", kind=["DPS", "TMPD"], k={"few": 1, "many": 9})
    assert [c["menu"] for c in figure.values["controls"]] == [True, False]
    assert figure.values["controls"][1]["labels"] == ["few", "many"]
    np.testing.assert_allclose(figure.drawn(1, 1)[0]["TMPD"][1], 9 * PLACES, atol=5e-3)
    assert [item["name"] for item in figure.values["legend"]] == ["DPS", "TMPD"]


def test_a_map_holds_the_density_at_every_place():
    ts = torch.linspace(0.05, 1, 30, dtype=torch.float64)

    def field(y):
        return plots.density_map(fl.problems.trimodal(y=y).posterior.log_prob, ts, PLACES)

    figure = widgets.live(lambda y: plots.maps({"p": field(y)}, ts, PLACES), alt="a map", y=YS)
    (scale,) = figure.values["scales"]
    top = scale["limits"][1]
    for i, y in enumerate(YS):
        x, rows, found = figure.drawn(i)[0]["map"]
        assert (len(x), len(rows)) == (31, 62)
        root = field(y).mT.clamp(max=top).sqrt()
        np.testing.assert_allclose(np.sqrt(found), root, atol=0.6 / 254 * top**0.5)


def test_a_map_of_many_cells_is_thinned_until_it_is_small():
    ts, x = (torch.linspace(0.01, 1, n, dtype=torch.float64) for n in (400, 500))
    frames = [plots.maps({"p": ts[:, None] ** k * x}, ts, x) for k in range(6)]
    figure = widgets.player(frames, list("abcdef"), name="n", alt="noise")
    columns, rows, found = figure.drawn(3)[0]["map"]
    assert found.shape == (len(rows) - 1, len(columns) - 1)
    assert 15_000 < found.size < CELLS / 6 + 1


def test_images_keep_their_pixels_and_know_which_are_unseen():
    image = torch.arange(64.0).reshape(1, 8, 8) / 4
    image[0, 0, 0] = torch.nan
    figure = widgets.player([plots.images({"seen": image})], ["one"], name="n", alt="an image")
    _, _, found = figure.drawn(0)[0]["map"]
    np.testing.assert_allclose(found, image[0], atol=16 / 254)
    assert figure.values["panels"][0]["bare"]
    assert figure.values["frames"][0]["panels"][0]["row"] == "seen"


def test_bands_bars_dots_and_rules_are_read_back():
    figure, (axis,) = plots.panels(1)
    x = np.array([0.0, 1.0, 2.0])
    axis.fill_between(x, x - 1, x + 1, label="band")
    axis.bar([0.0, 1.0], [0.5, 2.0], width=0.5)
    axis.scatter(x, 2 * x, label="dots")
    axis.axvline(1.5)
    axis.text(1.0, 1.0, "here")
    figure.suptitle("read aloud")
    found = widgets.player([figure], ["one"], name="n", alt="all marks")
    (panel,) = found.drawn(0)
    np.testing.assert_allclose(panel["band"], [x, x - 1, x + 1])
    np.testing.assert_allclose(np.ravel(panel["bars 2"]), [0.75, 1.25, 0, 2])
    np.testing.assert_allclose(panel["dots"], [x, 2 * x])
    rules = [m for m in found.values["marks"] if m["kind"] == "rule"]
    assert [(m["across"], m["at"]) for m in rules] == [(False, 1.5)]
    assert [m["text"] for m in found.values["marks"] if m["kind"] == "text"] == ["here"]
    assert found.values["frames"][0]["say"] == "read aloud"


def test_a_method_keeps_its_colour_and_its_dash():
    pair = {"truth": (PLACES, PLACES), "DPS": (PLACES, -PLACES)}
    figure = plots.curves(pair, xlabel="x", ylabel="y")
    found = widgets.player([figure], ["one"], name="n", alt="two lines").values["legend"]
    looks = {item["name"]: (item["colour"].upper(), item["dash"]) for item in found}
    assert looks == {"truth": ("#000000", ""), "DPS": ("#D55E00", "7 4")}


def test_what_all_frames_share_is_stored_once():
    one, many = (
        widgets.player(lines(1) * n, ["a"] * n, name="n", alt="a line").values for n in (1, 40)
    )
    assert one["arrays"] == many["arrays"]
    assert len(many["frames"]) == 40


@pytest.mark.parametrize(
    ("tex", "said"),
    [
        ("$10^{-2}$", "10⁻²"),
        ("cost $", "cost "),
        ("x_t", "x_t"),
        (r"$\mathdefault{10^{0}}$", "10⁰"),
    ],
)
def test_small_formulas_become_letters(tex, said):
    assert plain(tex) == said


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: widgets.player([], [], name="y", alt="a"), "must be as many.* 0 and 0"),
        (lambda: widgets.player(lines(2), ["a"], name="y", alt="a"), "must be as many.* 2 and 1"),
        (lambda: widgets.player(lines(1), ["a"], name="y", alt=" "), "`alt` must say"),
        (
            lambda: widgets.player(lines(1), ["a"], name="y", alt="a", start=1),
            "`start` must be one",
        ),
        (lambda: widgets.live(draw, alt="a"), "at least one argument"),
        (lambda: widgets.live(draw, alt="a", y=[]), "at least one argument"),
        (lambda: widgets.live(draw, alt="a", start=(0,), y=YS, noise_std=NOISES), "hold 2 places"),
        (
            lambda: widgets.player([*lines(1), plots.panels(2)[0]], ["a", "b"], name="y", alt="a"),
            "as many panels.* 1 and 2",
        ),
        (lambda: widgets.cover(y=2.0), "`y` must lie in"),
        (lambda: widgets.cover(noise_std=0.05), "`noise_std` in"),
    ],
)
def test_bad_input_is_answered(call, complaint):
    with pytest.raises(ValueError, match=f"{complaint}.*Call it like this"):
        call()


def test_a_figure_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(players, "LARGEST", 20_000)
    with pytest.raises(ValueError, match="must stay below 20 kB.*got .* kB.*Call it like this"):
        widgets.player(lines(3), ["a", "b", "c"], name="y", alt="a")


PROBE = """<!doctype html><html lang="en"><meta charset="utf-8"><body>{figure}{figure}
<script>
const [one, other] = document.querySelectorAll(".fsps-live"), input = one.querySelector("input");
const path = root => root.querySelector(".panel svg svg path").getAttribute("d");
const before = path(one), still = path(other);
let reached = false;
document.addEventListener("keydown", () => {{ reached = true; }});
input.dispatchEvent(new KeyboardEvent("keydown", {{ key: "ArrowRight", bubbles: true }}));
input.value = 2;
input.dispatchEvent(new Event("input", {{ bubbles: true }}));
document.body.append(JSON.stringify({{ reached,
  moved: path(one) !== before, other: path(other) === still,
  text: input.getAttribute("aria-valuetext"), label: one.querySelector("label b").textContent,
  picture: one.querySelector("[role=img]").getAttribute("aria-label") }}) + "END");
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_in_a_browser_the_slider_moves_its_own_figure_and_says_its_value(tmp_path):
    player = widgets.player(lines(3), ["−1", "0", "+1"], name="slope", alt="a line")
    page = tmp_path / "page.html"
    page.write_text(PROBE.format(figure=player.html), encoding="utf-8")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=2000",
        "--dump-dom",
        page.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = json.loads(re.search(r"(\{\"reached\".*?\})END", dom)[1])
    assert found == {
        "reached": False,  # a notebook would take the arrow for its own
        "moved": True,
        "other": True,
        "text": "+1",
        "label": "slope",
        "picture": "a line; slope = +1",
    }
