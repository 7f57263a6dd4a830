"""What the chapter *From toys to images* has stored: a sample of it comes out again."""

import math

import pytest
import torch

import fsps_lite as fl
from tools.images import __main__ as images
from tools.images.asked import GAUSSIANS, OPERATORS, asked
from tools.images.cells import CELLS, DRAWS, cell, clouds, floor, measured
from tools.images.sizes import LETTERS, PATCHES, inside, of_letters, of_patches

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def stored():
    return images.stored()


def test_all_parts_are_stored(stored):
    assert list(stored) == ["sizes", *CELLS]
    for name, methods in CELLS.items():
        assert list(stored[name]) == ["truth", *methods]
        assert all(len(stored[name][method]["tv"]) == 20 for method in methods)
    assert [size["atoms"] for size in stored["sizes"]["letters"]] == list(LETTERS)
    assert [size["atoms"] for size in stored["sizes"]["patches"]] == list(PATCHES)


@pytest.mark.parametrize("name", OPERATORS)
def test_truths_come_out_again(name, stored):
    for key, values in images.truths(name).items():
        assert stored[name]["truth"][key] == pytest.approx(values, rel=1e-3, abs=1e-4), key


def test_the_smallest_lenses_come_out_again(stored):
    for found, kept in (
        (of_letters(LETTERS[0]), stored["sizes"]["letters"][0]),
        (of_patches(PATCHES[0]), stored["sizes"]["patches"][0]),
    ):
        assert kept["effective_size"] == pytest.approx(found.effective_size, rel=1e-3)
        # A rank may fall on the other side of a rounding: of one image of 200, and of one pixel.
        assert kept["few"] == pytest.approx(found.few, abs=0.006)
        for one, other in zip(kept["coverage"], found.coverage, strict=True):
            assert one == pytest.approx(other, abs=0.01)


@pytest.mark.parametrize("name", ["half hidden", "saturation", GAUSSIANS])
def test_exact_draws_have_nothing_over_their_floor(name):
    """Draws of the posterior itself, at each image, and all its atoms with their weights."""
    problem, g, images = asked(name), torch.Generator().manual_seed(3), range(12)
    weight = torch.full((80,), 1 / 80, dtype=torch.float64)
    exact = [problem.at(k).posterior.sample(80, 0.0, generator=g) for k in images]
    found = measured(problem, [(x, weight) for x in exact])
    over = torch.tensor(found.tv) - torch.tensor(found.floor)
    assert abs(float(over.mean())) < 4 * float(over.std()) / math.sqrt(len(images))
    truths = [problem.truth(k) for k in images]
    variance = sum(truth.variance for truth in truths)
    assert sum(found.variance) == pytest.approx(variance, rel=0.1)  # four errors of 960 draws
    misfit = sum(truth.misfit for truth in truths)
    assert sum(found.misfit) == pytest.approx(misfit, rel=0.05)


def test_all_atoms_with_their_weights_are_the_truth():
    problem = asked("half hidden")
    posteriors = [problem.at(k).posterior.prior for k in range(5)]
    found = measured(problem, [(posterior.atoms, posterior.weights) for posterior in posteriors])
    truth = problem.truth(4)
    assert found.tv == pytest.approx([0.0] * 5, abs=1e-4)
    assert found.off == [0.0] * 5
    assert found.misfit[4] == pytest.approx(truth.misfit, abs=1e-4)
    assert found.variance[4] == pytest.approx(truth.variance, abs=1e-4)
    small = truth.labels < 0.01
    assert found.rare[4] == pytest.approx(float(truth.labels[small].sum()), abs=1e-4)
    assert truth.effective_size == posteriors[4].effective_size


def test_lost_draws_count_for_no_label():
    problem = asked("half hidden")
    x = problem.at(0).posterior.sample(10, 0.0, generator=torch.Generator().manual_seed(0))
    x[:5] = math.nan
    found = measured(problem, [(x, torch.full((10,), 0.1, dtype=torch.float64))])
    assert found.lost == [0.5]
    assert found.tv[0] >= 0.25
    assert found.off == [0.0]


def test_the_floor_is_the_mean_error_of_independent_draws():
    """For two labels the share is binomial, and E |share - p| is known."""
    p, n = 0.3, 20
    counts = torch.arange(n + 1, dtype=torch.float64)
    log_pmf = torch.distributions.Binomial(n, torch.tensor(p).double()).log_prob(counts)
    expected = float((log_pmf.exp() * (counts / n - p).abs()).sum())
    assert floor(torch.tensor([p, 1 - p]).double(), n) == pytest.approx(expected, rel=0.15)


def test_ranks_of_draws_of_one_law_are_covered_at_the_level():
    g = torch.Generator().manual_seed(0)
    truth, draws = torch.randn(300, 40, generator=g), torch.randn(300, 99, 40, generator=g)
    assert float(inside(truth, draws, g).mean()) == pytest.approx(0.9, abs=0.011)  # 4 errors
    tied = torch.zeros(300, 40), torch.zeros(300, 99, 40)
    assert float(inside(*tied, g).mean()) == pytest.approx(0.9, abs=0.011)


def test_a_method_comes_out_again_at_a_few_images(stored):
    """Other draws, at the first four images: what is stored of DPS is no other method's."""
    kept = stored["half hidden"]["DPS"]
    found = measured(asked("half hidden"), clouds(asked("half hidden"), "DPS", 4))
    for key, most in (("tv", 0.12), ("rare", 0.12), ("misfit", 0.2)):
        one, other = (torch.tensor(values[:4]) for values in (kept[key], getattr(found, key)))
        assert float((one - other).abs().mean()) < most, key


@pytest.mark.long
def test_a_cell_comes_out_again(stored):
    """All draws of one cell, from the same seed: up to particles that fall to another side."""
    kept, found = stored["saturation"]["DPS"], cell("saturation", "DPS")
    assert kept["floor"] == pytest.approx(found.floor, abs=1e-4)
    for one, other in zip(kept["tv"], found.tv, strict=True):
        assert one == pytest.approx(other, abs=2.5 / DRAWS)


def test_what_was_stopped_goes_on(tmp_path, monkeypatch):
    chapter = tmp_path / "chapter.md"
    chapter.write_text('before\nSTORED = json.loads("""\n{}\n""")\nafter\n', encoding="utf-8")
    monkeypatch.setattr(images, "CHAPTER", chapter)
    asked_for = []

    def part(key):
        def compute():
            asked_for.append(key)
            if key == "b|m" and asked_for.count(key) == 1:
                raise KeyboardInterrupt
            return {"tv": [0.5]}

        return compute

    keys = ("sizes", "a|m", "b|m")
    monkeypatch.setattr(images, "parts", lambda: {key: part(key) for key in keys})
    halfway = tmp_path / "halfway.json"
    with pytest.raises(KeyboardInterrupt):
        images.main(lambda text: None, halfway)
    assert images.main(lambda text: None, halfway) == 0
    assert asked_for == ["sizes", "a|m", "b|m", "b|m"]
    result = {"tv": [0.5]}
    assert images.stored() == {"sizes": result, "a": {"m": result}, "b": {"m": result}}
    assert not halfway.exists()


def test_a_chapter_without_results_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "CHAPTER", tmp_path / "chapter.md")
    (tmp_path / "chapter.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(LookupError, match="has no cell with STORED"):
        images.stored()


def test_saturation_acts_on_ink():
    """What the chapter measures lies between no ink and a quarter of full ink."""
    operator, _ = OPERATORS["saturation"]()
    data = fl.digits.load()
    assert torch.allclose(
        operator(data.held_out), data.ink(data.held_out).flatten(1).clamp(0.0, 4.0)
    )
