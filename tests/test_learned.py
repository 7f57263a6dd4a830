"""What the chapter on a learned denoiser has stored: a sample of it comes out again."""

import json
import math
from functools import cache

import pytest
import torch

import fsps_lite as fl
from tools import learned

pytestmark = pytest.mark.usefixtures("unchecked")


@cache
def stored():
    return learned.stored()


def test_all_operators_methods_and_trainings_are_stored():
    found = stored()
    assert list(found["crossed"]) == list(learned.OPERATORS)
    for operator, clouds in found["crossed"].items():
        known = ["DPS"] if operator == "Fourier magnitudes" else list(learned.METHODS)
        pairs = [f"{method}, {denoiser}" for method in known for denoiser in ("exact", "learned")]
        assert list(clouds) == ["floor", "exact", "learned", *pairs]
        for name in list(clouds)[1:]:
            assert all(len(column) == learned.Y for column in clouds[name].values())
    assert list(found["treatments"]) == list(learned.TREATMENTS)
    assert list(found["training"]) == [str(size) for size in learned.SIZES]
    for lengths in found["training"].values():
        assert list(lengths) == [str(length) for length in learned.LENGTHS]


def test_a_stored_cloud_comes_out_again():
    """Without the tool's own reading: labels counted by hand, the residual from the image."""
    runs, k = learned.crossed("averaged", 2), 2
    cloud = runs.both(fl.DPS) / float(runs.problem.schedule.alpha(runs.stop))
    data, known = fl.digits.load(), runs.problem.likelihood
    labels = data.labels[torch.cdist(cloud, data.images).argmin(-1)]
    share = torch.bincount(labels, minlength=10) / len(cloud)
    wanted = data.label_weights(runs.problem.posterior.prior.weights)
    found = stored()["crossed"]["averaged"]["DPS, learned"]
    # float32 in the network: a particle between two labels may change its own
    assert found["tv"][k] == pytest.approx(float((share - wanted).abs().sum()) / 2, abs=0.021)
    blocks = cloud.reshape(-1, 4, 2, 4, 2).mean((2, 4)).flatten(1)
    misfit = ((known.y - blocks) / 0.5).square().mean()
    assert found["misfit"][k] == pytest.approx(float(misfit), rel=0.01)
    assert found["lost"][k] == 0
    rare = float(share[wanted < learned.RARE].sum())
    assert found["hallucinated"][k] == pytest.approx(rare, abs=0.021)
    assert found["spread"][k] == pytest.approx(float(cloud.var(0).mean().sqrt()), rel=0.01)


def test_a_lost_cloud_is_read_as_lost():
    runs = learned.crossed("averaged", 0, n=10)
    told = learned.read(runs, torch.full((10, 64), math.nan, dtype=torch.float64))
    assert told["lost"] == told["tv"] == 1
    assert learned.column([told])["spread"] == [None]


def test_the_gap_of_the_atoms_themselves_is_nothing():
    data = fl.digits.load()
    atoms = fl.Empirical.from_samples(data.images[:20])
    assert learned.gap(fl.Denoiser(atoms.denoise, dim=64), atoms, atoms.atoms).value < 1e-20
    shrunk = fl.Denoiser(lambda x, a, s: atoms.denoise(x, a, s) + 0.1, dim=64)
    assert learned.gap(shrunk, atoms, atoms.atoms).value == pytest.approx(0.01)


@pytest.mark.long
def test_a_stored_training_comes_out_again():
    """Training is not bit-equal across processors; its results are, to a few per cent."""
    found = learned.of_training(50, 250)
    for name, (value, error) in stored()["training"]["50"]["250"].items():
        assert found[name][0] == pytest.approx(value, rel=0.03)
        assert found[name][1] == pytest.approx(error, rel=0.1)


def test_parts_are_written_beside_those_that_stand(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text('a\nSTORED = json.loads("""\n{"crossed": 1, "training": 2}\n""")\nb\n')
    monkeypatch.setattr(learned, "CHAPTER", page)
    monkeypatch.setattr(learned, "PARTS", dict(learned.PARTS, training=lambda tell: {"50": [1.5]}))
    assert learned.main(["training"]) == 0
    assert learned.stored() == {"crossed": 1, "treatments": None, "training": {"50": [1.5]}}
    assert page.read_text().endswith('\n""")\nb\n')
    with pytest.raises(SystemExit, match="knows crossed, treatments, training, got trainings"):
        learned.main(["trainings"])
    page.write_text("nothing")
    with pytest.raises(LookupError, match="has no cell with STORED"):
        learned.stored()
    assert json.dumps(learned.shown(math.nan)) == "null"
