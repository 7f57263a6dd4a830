"""The leaderboard and the gallery: one template for all methods, and no number written by hand."""

import inspect
import json
import math
import re

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import fsps_lite as fl
from fsps_lite import problems
from tests.test_samplers import ended
from tools.pages import Site, Studio, facts, findings, fps, leaderboard, pareto, stored, words
from tools.pages.stored import GALLERY
from tools.pages.text import number, slug, table, template

BOOK = GALLERY.parent
NAMES = list(words.words())
HREF = re.compile(r'href="(gallery/\w+)\.html#([\w-]+)"')
LABEL = re.compile(r"^\(([\w-]+)\)=$", re.MULTILINE)
DECIMAL = re.compile(r"\d*\.\d+")
OF_A_PAPER = {"0.01"}  # the tau of DAPS's experiments: what was published is no result
NUMBERS = ("total_variation", "total_variation_null", "w1", "w1_null", "weight", "weight_null")
NUMBERS += ("spread", "spread_time", "hallucinated", "diverged", "calls", "seconds")
TUNED = {"told": "total_variation", "seed": 1, "measurements": 2, "published": 0, "chosen": 1}
TUNED |= {"grid": ["lam 8", "lam 1"], "errors": [[0.3, 0.1], [0.1, 0.05]]}


def cell(method, problem, tv=0.1, w1=0.2, **other):
    """A stored cell with two measurements, of which the second is the worse."""
    each = {name: [0.0, 0.0] for name in NUMBERS}
    each |= {"total_variation": [tv / 2, 1.5 * tv], "w1": [w1 / 2, 1.5 * w1], "calls": [100, 100]}
    each |= {"w1_null": [0.01, 0.01], "total_variation_null": [0.001, 0.001]}
    told = {"format": 1, "problem": problem, "method": method, "package": "fsps_lite"}
    told |= {"version": "9.9", "settings": {"n": 77, "steps": 55, "seed": 0, "measurements": 2}}
    told |= {"of": "", "refused": "", "tuned": None, "coupling": 0.0, "y": [[0.25], [-0.75]]}
    told |= {"each": each, "shares": [[0.5, 0.5]] * 2, "truth": [[0.4, 0.6]] * 2}
    return told | {"times": [1.0, 0.5], "ratios": [[1.0, 2.0], [1.0, 4.5]], **other}


def refused(method, problem):
    told = cell(method, problem) | {"refused": f"{method} needs a mask", "ratios": []}
    return told | {"each": {name: [] for name in NUMBERS}, "shares": [], "truth": []}


def write(folder, *cells):
    for told in cells:
        path = folder / "cells" / told["problem"] / f"{slug(told['method'])}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told), encoding="utf-8")


def histogram(last, problem="trimodal"):
    told = {"problem": problem, "y": [-1.8], "t": [1.0, 0.5, 0.01], "x": [-4, 4], "n": 100}
    return told | {"counts": [[50, 50], [60, 40], last]}


def a_failure(by, null):
    told = {"by": by, "y": [-1.0, 0.0, 1.0], "p": [0.1, 0.4, 0.1], "tv": [0.1, 0.6, 0.3]}
    return told | {"null": null, "expected": 0.4321}


class Blank(Studio):
    """Draws nothing."""

    def file(self, place, by, make, *of):
        return "blank.png"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of two problems: all methods, one tuned, one of a package, and one that refuses."""
    folder = tmp_path_factory.mktemp("gallery")
    on = ("two_atoms", "trimodal")
    write(folder, *(cell(name, at, 0.01 * (1 + k)) for k, name in enumerate(NAMES) for at in on))
    write(folder, *(cell(name, "two_atoms") for name in findings.BASES))
    write(folder, cell("DiffPIR, tuned", "two_atoms", 0.5, tuned=TUNED))
    write(folder, cell("azula DPS", "two_atoms", package="azula", version="0.11.1"))
    write(folder, refused("RePaint", "square"), cell("DPS", "square", y=None))
    (folder / "maps").mkdir()
    maps = {"truth": {"path": histogram([90, 10])}, "exact_score": {"failure": {}}}
    maps["DPS"] = {"path": histogram([75, 25]), "failure": {"two_atoms": a_failure("law", None)}}
    maps["DPS"]["failure"]["trimodal"] = None
    maps["TDS"] = {"path": None, "reason": "it has no path", "failure": {"two_atoms": None}}
    maps["MMPS"] = {"path": None, "failure": {"two_atoms": a_failure("cloud", [0.01] * 3)}}
    for name, told in maps.items():
        (folder / "maps" / f"{name}.json").write_text(json.dumps(told), encoding="utf-8")
    return Site(Studio(tmp_path_factory.mktemp("pictures"), BOOK), folder)


@pytest.fixture(scope="module")
def texts(site):
    return {place: site.text(place) for place in site.places}


# Every method has a page


def test_every_method_of_the_library_has_its_words():
    public = [getattr(fl, name) for name in fl.__all__]
    ours = {
        thing.__name__
        for thing in public
        if inspect.isclass(thing)
        and issubclass(thing, fl.Guidance | fl.Sampler)
        and not inspect.isabstract(thing)
    }
    assert ours == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_words_of_a_method_are_whole(name):
    told = words.words()[name]
    sentences = re.findall(r"[.:](?=\s|$)", told.idea)
    assert 2 <= len(sentences) <= 3, "an idea has two sentences"
    assert told.family in pareto.FAMILIES
    assert f"{{{told.source}," in (BOOK / "references.bib").read_text(encoding="utf-8")
    file, shown = told.shown
    assert f"class {shown.split('.')[0]}" in (words.ROOT / file).read_text(encoding="utf-8")
    assert callable(getattr(getattr(fl, shown.split(".")[0]), shown.split(".")[1]))
    for text in (told.assumes, told.use, told.cost):
        assert text.endswith(".")


def test_the_contents_list_the_pages_and_their_files_have_the_right_titles(site, texts):
    contents = (BOOK / "_toc.yml").read_text(encoding="utf-8")
    part = next(p for p in yaml.safe_load(contents)["parts"] if "leaderboard" in str(p))
    board, index = part["chapters"]
    assert [board["file"], index["file"]] == site.places[:2]
    assert [below["file"] for below in index["sections"]] == site.places[2:]
    for place, text in texts.items():
        title = re.search(r"^# .+$", text, re.MULTILINE)[0]
        assert (BOOK / f"{place}.md").read_text(encoding="utf-8").startswith(f"{title}\n")


# Links


def test_every_number_of_the_leaderboard_leads_to_its_report(texts):
    links = HREF.findall(texts["leaderboard"])
    assert len(links) > 2 * len(NAMES)
    for place, anchor in links:
        assert anchor in LABEL.findall(texts[place])


def test_no_anchor_is_given_twice(texts):
    labels = [label for text in texts.values() for label in LABEL.findall(text)]
    assert len(labels) == len(set(labels))


def test_packages_and_what_is_no_method_have_a_page_of_their_own(site):
    assert site.homes["azula DPS"] == site.homes["exact score"] == "gallery/others"
    assert site.homes["DiffPIR, tuned"] == site.homes["DiffPIR"] == "gallery/DiffPIR"


# Numbers are read, and none is written


def test_no_decimal_stands_in_templates_or_words():
    for name in ("leaderboard", "sampler", "index", "others"):
        assert not DECIMAL.findall(template(name))
    read = words.WORDS.read_text(encoding="utf-8")
    assert set(DECIMAL.findall(read)) <= OF_A_PAPER


def test_other_results_make_other_pages(site, texts, tmp_path):
    write(tmp_path, cell("DPS", "two_atoms", 0.4), cell("TMPD", "two_atoms", 0.3))
    other = Site(Blank(tmp_path, BOOK), tmp_path)
    board = other.text("leaderboard")
    assert "2 rows on 1 problems" in board or "2 rows on 1 problem" in board
    assert board.index(">TMPD<") < board.index(">DPS<")
    assert "0.400" in board
    assert "0.400" not in texts["leaderboard"]
    assert "Expected total variation between the weights of the parts: 0.40" in other.text(
        "gallery/DPS"
    )


def test_without_results_the_pages_say_so(site, tmp_path):
    none = Site(site.studio, tmp_path)
    assert "No results are stored" in none.text("leaderboard")
    for name in NAMES:
        text = none.text(f"gallery/{name}")
        assert "No run is stored." in text
        assert "There is no map of it." in text


def test_a_map_is_drawn_and_a_missing_one_gives_its_reason(texts):
    dps = texts["gallery/DPS"]
    assert "in these bins, is 0.150." in dps
    assert "it is 0.432 on `two_atoms`" in dps
    assert "`trimodal`" not in dps.partition("Averaged over")[2].partition("\n")[0]
    assert texts["gallery/TDS"].count("There is no map of it: it has no path.") == 2
    assert "dashed line is what exact draws have" in texts["gallery/MMPS"]
    for place in re.findall(r"```\{figure\} (\S+)", dps):
        assert (BOOK / "gallery" / place).exists()


def test_a_map_of_other_bins_than_the_truth_is_not_drawn(site, tmp_path):
    (tmp_path / "maps").mkdir()
    path = histogram([5, 5])
    maps = {"truth": {"path": {**path, "x": [-4.1, 4.1]}}, "DPS": {"path": path, "failure": {}}}
    for name, told in maps.items():
        (tmp_path / "maps" / f"{name}.json").write_text(json.dumps(told), encoding="utf-8")
    assert "has other bins or times" in Site(site.studio, tmp_path).text("gallery/DPS")


def test_a_refusal_is_said_on_both_pages(texts):
    assert "- RePaint: RePaint needs a mask." in texts["leaderboard"]
    assert "- `square`: RePaint needs a mask." in texts["gallery/RePaint"]


def test_a_tuned_row_says_how_it_was_chosen(texts):
    text = texts["gallery/DiffPIR"]
    assert "lam 8 (0.300) and lam 1 (0.100). Chosen: lam 1." in text
    assert "In 1 of 1 rows the choice is not the published one; in 0 of these 1" in (
        texts["leaderboard"].replace("\n", " ")
    )


def test_the_spread_is_that_of_the_worst_time():
    found = stored.Cell(cell("DPS", "two_atoms"))
    assert found.spread == (pytest.approx(3.0), 0.5)  # sqrt(2 * 4.5), at the second time
    assert found.place(found.worst) == "-0.75"


WHOLE = 100  # cells: where as many are stored, none that a page names may be missing


def test_the_stored_results_make_pages(tmp_path):
    """Those of the checkout, as many as there are."""
    whole = Site(Blank(tmp_path, BOOK))
    texts = {place: whole.text(place) for place in whole.places}
    for place, anchor in HREF.findall(texts["leaderboard"]):
        assert anchor in LABEL.findall(texts[place])
    if len(whole.cells) >= WHOLE:
        assert "(not stored)" not in "".join(texts.values())


# What the page concludes


def test_red_diff_is_crowned_by_total_variation_alone():
    rows = [cell("REDDiff", "two_atoms", 0.01, 0.9), cell("DPS", "two_atoms", 0.2, 0.1)]
    rows += [cell("REDDiff", "trimodal", 0.3, 0.2), cell("DPS", "trimodal", 0.2, 0.1)]
    told = findings.crown(list(map(stored.Cell, rows)))
    assert "on `two_atoms` it has place 1 of 2 by total variation (0.010" in told
    assert "place 2 by W1 (0.90" in told


def test_the_worst_y_is_that_of_a_method_that_looks_right():
    rows = [cell("DPS", "two_atoms", 0.09), cell("TMPD", "two_atoms", 0.5)]
    told = findings.worst(list(map(stored.Cell, rows)))
    assert "the error of DPS is 0.090" in told
    assert "0.135 at $y$ = -0.75." in told


NUMBER = st.integers(1, 9)
SPOT = st.builds(pareto.Spot, st.just("m"), st.just("guidance"), NUMBER, NUMBER, NUMBER)


@settings(max_examples=40)
@given(st.lists(SPOT, min_size=1, max_size=12))
def test_the_front_is_what_no_other_beats(found):
    """What exact draws have too is no error: it makes nobody better."""
    places = [(spot.calls, max(spot.error, spot.null)) for spot in found]
    best = [(spot.calls, max(spot.error, spot.null)) for spot in pareto.front(found)]
    for calls, error in places:
        assert any(c <= calls and e <= error for c, e in best)
    for calls, error in best:
        beats = [c <= calls and e <= error and (c, e) != (calls, error) for c, e in places]
        assert not any(beats)


def test_a_panel_has_those_that_take_all_of_its_problems():
    rows = [cell("DPS", at, tv) for at, tv in (("two_atoms", 0.1), ("trimodal", 0.3))]
    rows += [cell("TMPD", "two_atoms"), cell("DPS", "square", 0.7)]
    found = pareto.spots(list(map(stored.Cell, rows)))
    assert set(found) == {"a line, linear", "a line, nonlinear"}
    assert [spot.method for spot in found["a line, linear"]] == ["DPS"]
    assert found["a line, linear"][0].error == pytest.approx(0.2)


# The facts about published algorithms, by other ways


@pytest.mark.parametrize("steps", [20, 33])
def test_the_moments_of_ddrm_are_those_of_its_steps(steps):
    problem = problems.gaussian()
    sampler = fl.DDRM(problem.diffusion, problem.likelihood)
    assert facts.ddrm_moments(steps) == pytest.approx(ended(sampler, steps), rel=1e-6)


def test_langevin_moves_as_far_as_is_said():
    """Two runs with the same noise: their difference has no noise in it."""
    likelihood = facts.known(problems.two_atoms())
    inner, h = fl.Langevin(), torch.tensor([[-2.0], [1.0]], dtype=torch.float64)
    one, other = (
        inner.draw(likelihood, start, 1.0, torch.Generator().manual_seed(3)) for start in h.split(1)
    )
    noise = float(likelihood.noise.std)
    target = (h / 1.0).diff(dim=0) / (noise**-2 + 1)  # of the two exact means
    moved = (h.diff(dim=0) - (other - one)) / (h.diff(dim=0) - target)
    assert float(moved) == pytest.approx(facts.langevin_share(inner, noise, 1.0), rel=1e-9)


def test_counting_y_twice_is_conditioning_twice():
    problem = problems.two_atoms()
    once = problem.prior.condition(problem.likelihood)
    twice = once.condition(problem.likelihood)
    said = facts.facts()
    assert said["mcg_true"] == f"{float(once.weights[0]):.3f}"
    assert said["mcg_twice"] == f"{float(twice.weights[0]):.3f}"


def test_the_gaussian_posterior_is_the_textbook_one():
    said = facts.facts()
    assert said["gaussian_mean"] == f"{1 / (1 + 0.25):.3f}"
    assert said["gaussian_std"] == f"{math.sqrt(0.2):.3f}"


def test_fps_counts_y_until_nothing_else_counts():
    """Noise so large that y says nothing leaves the prior; else the nearer atom gets all."""
    assert fps.weight(500, 20) == 0.0
    assert fps.weight(500, 20, problem=problems.two_atoms(y=-0.3)) == 1.0
    drowned = fps.weight(2000, 20, problem=problems.two_atoms(noise_std=1e3))
    assert abs(drowned - 0.5) < 4 * math.sqrt(20 * 0.25 / 2000)  # each resampling adds its share


def test_a_name_in_braces_is_a_fact_or_a_row():
    rows = {slug(name).replace("-", "_") for name in [*NAMES, *OTHER_ROWS]}
    row = re.compile(rf"(tv|null)_({'|'.join(rows)})_({'|'.join(m.__name__ for m in ALL)})")
    for told in words.words().values():
        for name in re.findall(r"\{(\w+)\}", told.broken):
            assert name in facts.facts() or row.fullmatch(name), name


OTHER_ROWS = ("MCGDiff, no final weights", "TDS, twist PiGDM")
ALL = problems.GALLERY


def test_numbers_are_short_and_sort_as_they_are():
    said = [number(v) for v in (0.0, 0.0123, -0.5, 12.345, 1001.2, 100.0, math.nan, math.inf)]
    assert said == ["0", "0.012", "\u22120.500", "12.3", "1001", "100", "–", "∞"]


def test_a_table_names_its_rows_and_hides_nothing():
    text = table("What <is> shown", ["method", "a < b"], [("tuned", ["<b>x</b>", "1"])])
    assert 'aria-label="What &lt;is&gt; shown"' in text
    assert '<th scope="row"><b>x</b></th><td>1</td>' in text
    assert '<th scope="col">a &lt; b</th>' in text
    assert "hidden" not in text


def test_a_row_of_the_leaderboard_has_a_cell_for_each_column():
    found = stored.Cell(cell("DPS", "two_atoms"))
    assert len(leaderboard.row(found, {"DPS": "gallery/DPS"})) == 1 + len(leaderboard.COLUMNS)
