"""The report: what it must find, what it must not, and that no number is lost on the way out."""

import functools
import html.parser
import json
import math
import re
import time
import warnings
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from fsps_lite import (
    DPS,
    TMPD,
    VE,
    VP,
    Cosine,
    Diffusion,
    Empirical,
    Estimate,
    Finding,
    FlowMatching,
    GaussianMixture,
    Likelihood,
    Linear,
    PiGDM,
    Problem,
    Report,
    Samples,
    compare,
    ddpm,
    diagnose,
    diagnose_samples,
    dpm_solver,
    heun,
    problems,
    score_error,
    times,
)
from fsps_lite.diagnosis import MEASURES, comparison
from fsps_lite.measures.spread import true_spread
from tests.oracles import Line, gaussian_log_density, seeded, vp

# Thousands of steps: without the shape checks, but for one run that goes through them below.
pytestmark = pytest.mark.usefixtures("unchecked")
SMALL = {"n": 300, "steps": 40}
TINY = {"n": 100, "steps": 5}  # for what holds of every run: the same twice, a loop, a note


def closure(prior, likelihood):
    """DPS in four lines, as a reader would write it."""
    A = likelihood.operator.matrix

    def score(x, t):
        residual = likelihood.y - likelihood.operator(prior.denoise(x, t))
        return prior.score(x, t) + prior.denoise_vjp(x, t, residual @ A) / likelihood.noise_std**2

    return score


@dataclass(frozen=True)
class OwnMethod:
    """The same as a class."""

    prior: Diffusion
    likelihood: Likelihood

    def __call__(self, x, t):
        return closure(self.prior, self.likelihood)(x, t)


def truth(problem):
    """A method that knows too much: the exact posterior."""
    return lambda prior, likelihood: Diffusion(prior.prior.condition(likelihood), prior.schedule)


@functools.cache
def diagnosed():
    return diagnose(problems.trimodal(), TMPD, **SMALL)


@pytest.fixture
def report(unchecked):
    """The same for every test; made without the shape checks, as a fixture of the module cannot."""
    return diagnosed()


# The numbers


def test_the_findings_are_those_of_the_pieces(report):
    """What is in the table, computed again from a run of our own."""
    problem = problems.trimodal()
    score = TMPD(problem.diffusion, problem.likelihood)
    g = seeded(0)
    start = problem.schedule.noise(300, 1, generator=g)
    grid = times(problem.schedule, 40)
    x = dpm_solver(score, problem.schedule, start, grid, generator=g).final[:, 0]
    alpha = vp(1e-3)[0]
    edges = torch.tensor([-0.8, 1.2], dtype=torch.float64) * alpha
    counts = torch.bucketize(x, edges).bincount(minlength=3)
    for k in range(3):
        found = report[f"weight of mode {k + 1}"].value
        share = counts[k].item() / 300
        assert found.value == pytest.approx(share)
        assert found.error == pytest.approx((share * (1 - share) / 300) ** 0.5, abs=0.004)
    line = Line.mixture(
        (1, 1, 1), (-1.8, 0.2, 2.2), (0.3,) * 3, lambda x: gaussian_log_density(-1.8, x, 0.09)
    )
    nodes, masses = line.rule()
    p = torch.from_numpy(masses - line.log_mass()).exp()
    mean = float((p * torch.from_numpy(nodes)).sum())
    variance = float((p * torch.from_numpy(nodes - mean) ** 2).sum())
    std = (alpha**2 * variance + vp(1e-3)[1] ** 2) ** 0.5
    expected = float(x.std()) / std
    assert report["spread ratio at the end"].value.value == pytest.approx(expected, rel=1e-6)
    assert report["diverged particles"].value == Estimate(0.0, 0.0)
    assert float(true_spread(problem.posterior, 1e-3)) == pytest.approx(std, rel=1e-6)
    # particles in modes that the posterior does not have
    lost = (counts[1] + counts[2]).item() / 300
    assert report["hallucinated prior modes"].value.value == pytest.approx(lost, abs=0.005)


def test_a_prior_of_ones_own_needs_a_variance_and_no_class(unchecked):
    """Duck typing: what counts is what it knows."""
    own = SimpleNamespace(dim=2, total_variance=torch.tensor(3.0, dtype=torch.float64))
    posterior = SimpleNamespace(prior=own, schedule=VP())
    alpha, sigma = vp(0.3)
    wanted = (3 * alpha**2 + 2 * sigma**2) ** 0.5
    assert float(true_spread(posterior, 0.3)) == pytest.approx(wanted)
    del own.total_variance
    with pytest.raises(TypeError, match="`total_variance`, got SimpleNamespace"):
        true_spread(posterior, 0.3)


def test_the_distance_is_w1_to_exact_draws_with_its_scatter_for_error(report):
    problem = problems.trimodal()
    drawn = [problem.posterior.prior.sample(200, generator=seeded(seed)) for seed in range(1, 61)]
    # beside the same exact draws, and so with the error of one cloud only
    wide = compare(problem, {str(k): Samples(1.5 * x) for k, x in enumerate(drawn)})
    values = torch.tensor([each["distance"].value.value for each in wide])
    stated = torch.tensor([each["distance"].value.error for each in wide]).mean()
    # the deviation of 60 numbers is known to 9 %
    assert float(values.std() / stated) == pytest.approx(1.0, abs=4 * (2 * 59) ** -0.5)
    clean = problem.posterior.sample(300, 0.0, generator=seeded(0))[:, 0]
    noise = times(problem.schedule, 40)
    start = problem.schedule.noise(300, 1, generator=seeded(0))
    score = TMPD(problem.diffusion, problem.likelihood)
    ends = ddpm(score, problem.schedule, start, noise, generator=seeded(0)).final[:, 0]
    w1 = stats.wasserstein_distance(ends, clean)
    found = report["distance"].value
    # two clouds of exact draws, and two of the sampler: the errors of each
    assert found.value == pytest.approx(w1, abs=4 * 2 * found.error)


def test_the_path_kl_is_score_errors_and_zero_for_the_exact_sampler(report):
    problem = problems.trimodal()
    score = TMPD(problem.diffusion, problem.likelihood)
    t = times(problem.schedule, 40)
    own = score_error(score, problem.posterior, t, n=2000, generator=seeded(5))
    assert own.path_kl.value == pytest.approx(float(own.paths.mean()))
    found = report["path KL"]
    error = math.hypot(own.median.error, found.value.error)
    assert found.value.value == pytest.approx(own.median.value, abs=4 * error)
    assert found.value.value < own.path_kl.value / 2  # few paths have most of the mean
    assert found.null == Estimate(0.0, 0.0)
    assert found.unit == "nats, median"
    assert (found.rule, found.significant) == ("own", True)


def test_tmpd_hallucinates_and_the_report_says_so():
    found = diagnose(problems.two_atoms(noise_std=0.25), TMPD, n=1000, steps=100)
    weight = found["weight of mode 1"]
    # phenomena.md: .229 of the mass on an atom whose posterior weight is 7e-5
    assert weight.value.value == pytest.approx(0.229, abs=4 * weight.value.error + 0.01)
    assert weight.null.value < 0.005
    assert weight.significant
    assert found["hallucinated prior modes"].significant
    assert "hallucinated prior modes" in str(found)


@pytest.mark.parametrize("make", [problems.trimodal, problems.two_atoms, problems.unequal])
def test_exact_against_itself_finds_nothing(make):
    problem = make()
    for seed in range(3):
        found = diagnose(problem, truth(problem), n=400, steps=5, seed=seed)
        assert [f.label for f in found.findings if f.significant] == []
        for f in found.findings:
            if f.id not in ("path_kl", "start"):
                assert f.value == f.null, f.label


def test_another_exact_run_finds_nothing_either():
    """With other noise, so that the direct draws are what keeps it from being significant."""
    problem = problems.unequal()
    marked = []
    for seed in range(4):
        first, second = (
            diagnose(problem, truth(problem), n=200, steps=30, seed=s) for s in (seed, seed + 100)
        )
        for mine, other in zip(first.findings, second.findings, strict=True):
            if mine.label == "spread ratio, worst over t":
                continue  # each at a time of its own; the next test is about it
            if replace(mine, null=other.value).significant:  # by the rule of the report
                marked.append(mine.label)
    # of 4 reports; one of 88 has a false star (benchmarks/stars.md)
    assert marked == []


def test_the_exact_sampler_is_looked_at_when_the_method_is_worst():
    report = diagnose(problems.trimodal(), DPS, n=300, steps=20)
    found = report["spread ratio, worst over t"]
    (curve,) = (c for c in report.curves if c.label == "spread ratio")
    mine, exact = curve.value, curve.null
    worst = mine.log().abs().argmax()
    assert worst != exact.log().abs().argmax()  # a time of its own would give another number
    assert found.value.value == pytest.approx(float(mine[worst]))
    assert found.null.value == pytest.approx(float(exact[worst]))
    # the deviation of n Gaussians is known to 1 / sqrt(2 n)
    assert found.null.error == pytest.approx((2 * 300) ** -0.5, rel=0.35)


def test_an_exact_method_in_other_words_finds_nothing():
    found = diagnose(problems.gaussian(prior_std=2.0), TMPD, **SMALL)
    assert not any(f.significant for f in found.findings if f.label != "path KL")
    assert found["path KL"].value.value < 1e-10


def test_every_finding_that_should_be_there_is(report):
    names = [f.label for f in report.findings]
    for name in (
        "diverged particles",
        "distance",
        "distance, twice the steps",
        "spread ratio at the end",
        "spread ratio, worst over t",
        "path KL",
        "weight of mode 1",
        "weight of mode 2",
        "weight of mode 3",
        "hallucinated prior modes",
        "hallucinated likelihood modes",
        "hallucinated nowhere",
        "commitment time",
    ):
        assert name in names
    assert len(names) == len(set(names))


def test_a_finding_is_significant_beyond_four_joint_errors():
    def finding(gap, error, null_error):
        return Finding("f", Estimate(1.0 + gap, error), Estimate(1.0, null_error))

    assert not finding(0.48, 0.1, 0.07).significant  # 4 * hypot = .488: the two must be combined
    assert finding(0.49, 0.09, 0.07).significant
    assert finding(-0.49, 0.09, 0.07).significant
    assert not finding(0.0, 0.0, 0.0).significant
    assert finding(math.nan, 0.1, 0.1).significant  # a number that does not exist is a finding


# Fairness


def test_every_method_starts_from_the_same_noise_and_uses_the_same():
    problem = problems.gaussian()
    starts = {}

    def spy(name):
        def method(prior, likelihood):
            def score(x, t):
                starts.setdefault(name, []).append((float(t), x.clone()))
                return prior.score(x, t)

            return score

        return method

    compare(problem, {"one": spy("one"), "two": spy("two")}, n=20, steps=5, seed=4)
    expected = problem.schedule.noise(20, 1, generator=seeded(4))
    runs = {
        name: [x for t, x in calls if t == 1.0 and len(x) == 20] for name, calls in starts.items()
    }
    for name in ("one", "two"):
        assert_close(runs[name][0], expected, rtol=0, atol=0)
        assert_close(runs[name][1], expected, rtol=0, atol=0)  # with twice the steps too
    for (t, x), (s, y) in zip(starts["one"], starts["two"], strict=True):
        assert t == s
        assert_close(x, y, rtol=0, atol=0)


def test_compare_is_diagnose_for_each():
    problem = problems.unequal()
    together = compare(problem, {"DPS": DPS, "TMPD": TMPD}, **TINY)
    alone = [diagnose(problem, method, **TINY) for method in (DPS, TMPD)]
    for one, other in zip(together, alone, strict=True):
        assert one.findings == other.findings
        assert one.notes == other.notes
        for c, b in zip(one.curves, other.curves, strict=True):
            assert c.id == b.id
            t, v, s, w = c.x, c.value, b.x, b.value
            assert_close(t, s, rtol=0, atol=0)
            assert_close(v, w, rtol=0, atol=0)


def test_the_seed_decides_everything():
    problem = problems.unequal()
    first, again, other = (diagnose(problem, DPS, **TINY, seed=s) for s in (1, 1, 2))
    assert first.findings == again.findings
    assert first.findings != other.findings


# What a reader must not miss


def test_a_dependence_on_the_number_of_steps_is_noted_and_only_then():
    problem = problems.gaussian()
    coarse = diagnose(problem, DPS, n=1000, steps=8)
    assert any("number of steps matters: distance" in note for note in coarse.notes)
    # TMPD is exact on a Gaussian; its steps are those of the truth
    for fine in compare(problem, {"DPS": DPS, "TMPD": TMPD}, n=1000, steps=100):
        assert not any("number of steps" in note for note in fine.notes)


def test_steps_that_hide_a_failure_are_noted():
    """DPS with few steps is right by accident: the weight of an atom falls through the truth."""
    problem = problems.two_atoms()
    found = diagnose(problem, DPS, n=8000, steps=20)
    assert found["weight of mode 1"].value.value == pytest.approx(0.08317, abs=0.015)
    assert any("number of steps matters: weight of mode 1" in note for note in found.notes)


def explosive(prior, likelihood):
    """A score that sends those that come near to 1.5 away, at the end."""

    def score(x, t):
        s = prior.score(x, t)
        return s if t > 0.05 else torch.where(x > 0.8, 1e30 * torch.sign(x), s)

    return score


def test_particles_that_diverge_are_counted_and_not_masked(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the report says it; nothing else need
        found = diagnose(problems.unequal(), explosive, **SMALL)
    lost = found["diverged particles"]
    assert 100 < lost.value.value < 300
    assert lost.null.value == 0
    assert lost.significant
    assert f"{lost.value.value:.0f} of 300 particles diverged" in " ".join(found.notes)
    for f in found.findings:
        assert math.isfinite(f.value.value), f.label  # of those that are left
    assert abs(found["spread ratio, worst over t"].value.value) < 10
    json_is_valid(found, tmp_path)


def json_is_valid(report, folder):
    """Strictly so: NaN and Infinity are not JSON."""
    report.save_json(folder / "report.json")
    text = (folder / "report.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_method_that_loses_all_still_gets_a_report(tmp_path):
    nothing = lambda prior, likelihood: lambda x, t: x * math.nan  # noqa: E731
    found = diagnose(problems.unequal(), nothing, **SMALL)
    assert found["diverged particles"].value.value == 300
    assert found["diverged particles"].significant
    assert [f.label for f in found.findings] == ["diverged particles"]
    assert "300 of 300 particles diverged" in str(found)
    found.save_html(tmp_path / "lost.html")
    json_is_valid(found, tmp_path)


def test_one_that_diverges_with_the_finer_steps_only():
    def method(prior, likelihood):
        calls = []

        def score(x, t):
            calls.append(t)
            return prior.score(x, t) if len(calls) <= 2 + 40 else x * math.nan

        return score

    found = diagnose(problems.unequal(), method, **SMALL)
    assert found["diverged particles"].value.value == 0
    (note,) = [note for note in found.notes if "diverged" in note]
    assert "twice" in note
    assert "300" in note


def test_an_empirical_posterior_names_its_effective_size():
    problem = problems.two_atoms()
    found = diagnose(problem, DPS, **TINY)
    size = 1 / (0.08317**2 + 0.91683**2)
    assert any(f"effective size is {size:.1f} of 2 atoms" in note for note in found.notes)
    assert not any("effective" in n for n in diagnose(problems.unequal(), DPS, **TINY).notes)


# The curves


def test_curves_stand_beside_those_of_the_exact_sampler(report):
    found = {curve.label: curve for curve in report.curves}
    assert list(found) == ["spread ratio", "score error", "distance if stopped"]
    for curve in report.curves:
        assert curve.x.shape == curve.value.shape == curve.null.shape
        assert float(curve.x[0]) == 1.0
        assert float(curve.x[-1]) == pytest.approx(1e-3)
        assert curve.value.isfinite().all()
        assert curve.null.isfinite().all()
    exact = found["spread ratio"].null
    assert float((exact - 1).abs().max()) < 4 / (2 * 300) ** 0.5 + 0.1  # and the integrator's bias
    assert float(found["score error"].null.max()) == 0


def test_a_figure_keeps_names_with_commas_apart():
    problem = problems.unequal()
    methods = {"PiGDM, flat": lambda *a: PiGDM(*a, data_var=math.inf), "PiGDM, Song": PiGDM}
    for found, name in zip(compare(problem, methods, n=50, steps=8), methods, strict=True):
        axes = found.figure().axes
        assert [axis.get_title() for axis in axes] == [
            "spread ratio",
            "score error",
            "distance if stopped",
        ]
        for axis in axes:
            labels = [line.get_label() for line in axis.lines if line.get_label()[0] != "_"]
            assert labels == [name, "exact"]


# What goes out


def test_json_holds_every_number(report, tmp_path):
    path = tmp_path / "report.json"
    report.save_json(path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["problem"], data["method"]) == ("trimodal", "TMPD")
    assert data["settings"] == {"n": 300, "steps": 40, "seed": 0}
    assert data["notes"] == list(report.notes)
    for row, f in zip(data["findings"], report.findings, strict=True):
        assert (row["id"], row["label"]) == (f.id, f.label)
        assert row["unit"] == f.unit
        assert row["value"] == [f.value.value, f.value.error]
        assert row["null"] == [f.null.value, f.null.error]
        assert (row["verdict"] == "differs") == f.significant
        assert (row["truth"], row["rule"], row["lens"]) == (f.truth, f.rule, f.lens)
        if f.direct is not None:
            assert row["direct"]["draws"] == 99
            assert row["direct"]["low"] <= row["direct"]["mean"] <= row["direct"]["high"]
    assert data["cost"]["scores"] == report.cost.scores == 40
    for panel, curve in zip(data["curves"], report.curves, strict=True):
        assert (panel["id"], panel["axis"]) == (curve.id, "t")
        for name in ("x", "value", "null"):
            assert panel[name] == getattr(curve, name).tolist()


class Tags(html.parser.HTMLParser):
    """The tags of a page, each opened and closed in order."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_one_page_that_needs_nothing_else(report, tmp_path):
    path = tmp_path / "report.html"
    report.save_html(path)
    text = path.read_text(encoding="utf-8")
    page = Tags(text)
    assert page.open == []
    tags = [tag for tag, _ in page.seen]
    assert tags.count("img") == 1
    assert {"html", "meta", "title", "table"} <= set(tags)
    assert not {"script", "link", "iframe"} & set(tags)
    for _, attrs in page.seen:
        assert "href" not in attrs
        assert attrs.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert attrs.get("alt", "x")
    assert not re.search(r"https?://|url\(|@import", text)
    for f in report.findings:
        assert f.label in text
        assert str(f.value) in text


def test_names_cannot_break_the_page(tmp_path):
    problem = replace(problems.gaussian(), name="<b>&")
    (found,) = compare(problem, {"a < b & c — ζ": DPS}, n=30, steps=5)
    found.save_html(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert Tags(text).open == []
    assert "a &lt; b &amp; c — ζ on &lt;b&gt;&amp;" in text
    assert "<b>" not in text
    assert "&lt;b&gt;" in found._repr_html_()


def test_the_printed_table_lines_up_and_explains_its_mark(report):
    lines = str(report).splitlines()
    assert lines[0] == "TMPD on trimodal (n = 300, steps = 40, seed = 0)"
    head = next(line for line in lines if line.split() == ["TMPD", "exact", "truth"])
    column, last = head.index("exact"), head.index("truth")
    for f in report.findings:
        (row,) = [line for line in lines if re.match(rf"{re.escape(f.label)}( \(|  )", line)]
        assert row[column:].startswith(str(f.null))
        assert row[last:].startswith("" if f.truth is None else f"{f.truth:.4g}")
        assert row.endswith("*") == f.significant
    assert any(line.startswith("* outside 99 direct exact draws, by 4 of their") for line in lines)
    assert "  4 joint standard errors or more: commitment time; mismatch of the start" in lines
    assert "  most paths above 0: path KL" in lines
    assert max(len(line) for line in lines) <= 120


def test_a_bare_report_prints_as_print_does(report):
    assert repr(report) == str(report)


def test_the_notebook_face_holds_the_same_numbers(report):
    face = report._repr_html_()
    assert Tags(face).open == []
    for f in report.findings:
        assert f"<td>{f.value}</td><td>{f.null}</td>" in face


def test_a_finding_is_found_by_name_and_a_wrong_name_lists_them(report):
    assert report["distance"].label == "distance"
    assert isinstance(report, Report)
    with pytest.raises(KeyError, match="no finding called 'distanc'.*has: .*distance"):
        report["distanc"]


# Methods of one's own


def test_a_closure_and_a_class_of_ten_lines_get_the_whole_report():
    problem = problems.unequal()
    known = diagnose(problem, DPS, **TINY)
    for method, name in ((closure, "closure"), (OwnMethod, "OwnMethod")):
        found = diagnose(problem, method, **TINY)
        assert found.method == name
        for mine, other in zip(found.findings, known.findings, strict=True):
            assert mine.label == other.label
            assert mine.value.value == pytest.approx(other.value.value, rel=1e-6, abs=1e-9)


def test_methods_without_a_name_of_their_own():
    problem = problems.gaussian()
    found = diagnose(problem, functools.partial(PiGDM, data_var=1.0), n=30, steps=5)
    assert found.method == "partial"
    assert diagnose(problem, lambda p, l: p, n=30, steps=5).method == "<lambda>"


def test_a_sampler_that_is_no_score_hands_in_samples(tmp_path):
    problem = problems.trimodal()
    exact = problem.posterior.prior.sample(1000, generator=seeded(3))
    good = diagnose_samples(problem, exact, name="mine")
    assert good.method == "mine"
    assert [f.label for f in good.findings if f.significant] == []
    prior = problem.prior.sample(1000, generator=seeded(3))
    bad = diagnose_samples(problem, prior)
    assert bad["weight of mode 3"].value.value == pytest.approx(1 / 3, abs=4 * 0.015)
    assert bad["hallucinated prior modes"].value.value == pytest.approx(2 / 3, abs=4 * 0.015)
    for name in ("distance", "weight of mode 1", "hallucinated prior modes"):
        assert bad[name].significant
    assert "path_kl" not in [f.id for f in bad.findings]
    assert "- missing, as samples have no score: path KL; score error" in str(bad)
    json_is_valid(bad, tmp_path)


def test_in_the_plane_and_in_more_dimensions():
    for make in (problems.one_coordinate, problems.rank_deficient):
        problem = make()
        methods = {"DPS": DPS, "truth": truth(problem)}
        found, same = compare(problem, methods, n=100, steps=10)
        assert found["path KL"].value.value > 0.1
        assert not any(f.significant for f in same.findings)


def test_many_atoms_are_not_counted_one_by_one():
    atoms = Empirical.from_samples(torch.randn(50, 2, generator=seeded(0), dtype=torch.float64))
    likelihood = Likelihood(Linear(torch.eye(2).double()), torch.zeros(2).double(), 0.5)
    found = diagnose(Problem("cloud", atoms, likelihood), DPS, n=50, steps=10)
    names = [f.label for f in found.findings]
    assert "distance" in names
    assert not any("mode" in name for name in names)


def test_under_the_shape_checks_too():
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", False)
    for problem in (problems.two_atoms(), problems.one_coordinate()):
        found = diagnose(problem, DPS, n=30, steps=4)
        assert found["diverged particles"].value.value == 0


# Wrong calls


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (3, "called with .prior, likelihood. and return a score, got int"),
        (torch.zeros(3), "called with .prior, likelihood. and return a score, got Tensor"),
        (lambda prior, likelihood: None, "must return a score.*got NoneType"),
        (lambda prior, likelihood: torch.zeros(3), "must return a score.*got Tensor"),
    ],
)
def test_what_is_no_method_is_answered_with_the_right_call(method, words):
    with pytest.raises(TypeError, match=f"{words}.*diagnose.problems.trimodal.., DPS."):
        diagnose(problems.gaussian(), method, n=10, steps=3)


def test_a_score_handed_in_for_a_method_is_named_as_such():
    problem = problems.gaussian()
    for score in (DPS(problem.diffusion, problem.likelihood), problem.posterior):
        with pytest.raises(TypeError, match=r"return a score, not be one, got .*DPS\)"):
            diagnose(problem, score, n=10, steps=3)


def test_a_score_of_another_shape_is_answered():
    flat = lambda prior, likelihood: lambda x, t: x[:, 0]  # noqa: E731
    with pytest.raises(ValueError, match="must return a tensor like x"):
        diagnose(problems.gaussian(), flat, n=10, steps=3)


@pytest.mark.parametrize("name", ["n", "steps"])
@pytest.mark.parametrize("wrong", [0, -1, 2.5])
def test_wrong_numbers_are_answered(name, wrong):
    with pytest.raises(ValueError, match=f"`{name}` must be a whole number"):
        diagnose(problems.gaussian(), DPS, **{name: wrong})


def test_a_method_cannot_take_the_name_of_the_reference():
    with pytest.raises(ValueError, match="may not be called 'exact'"):
        compare(problems.gaussian(), {"exact": DPS}, n=10, steps=3)


def test_a_wrong_method_is_refused_before_any_long_run():
    before = time.perf_counter()
    with pytest.raises(ValueError, match="TMPD needs a Linear operator"):
        compare(problems.square(), {"DPS": DPS, "TMPD": TMPD})
    assert time.perf_counter() - before < 5  # one exact run of this problem takes longer


def test_a_number_prints_with_the_digits_that_its_error_allows():
    assert str(Estimate(0.123456, 0.0123)) == "0.123 ± 0.012"
    assert str(Estimate(12.3456, 1.23)) == "12.3 ± 1.2"
    assert str(Estimate(1234.56, 123.0)) == "1235 ± 123"
    assert str(Estimate(3.0, 0.0)) == "3"
    assert str(Estimate(math.nan, 0.1)) == "nan"
    assert str(Estimate(math.inf, math.nan)) == "inf"
    draws = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    assert Estimate.of(draws).value == 3.0
    assert Estimate.of(draws).error == pytest.approx((14 / 3 / 4) ** 0.5)


def test_modes_of_a_problem():
    assert problems.trimodal().modes is problems.trimodal().modes or isinstance(
        problems.trimodal().modes, GaussianMixture
    )
    atoms = problems.two_atoms().modes
    assert atoms.means[:, 0].tolist() == [-1.0, 1.0]
    assert float(atoms.covs.max()) < 1e-4
    assert problems.digits_masked().modes is None


def test_a_measure_of_ones_own_looks_at_the_run_and_stands_in_the_report(monkeypatch):
    """Also one that the exact sampler does not answer, and one with a null of its own."""

    def mean(run):
        yield Finding("mean", Estimate.of(run.cloud[:, 0]), unit="units of x", id="mean")
        if isinstance(run.score, DPS):
            yield Finding("only of DPS", Estimate(1.0, 0.0), id="only")
        yield Finding("against 0", Estimate(1.0, 0.1), Estimate(0.0, 0.0), id="zero")

    monkeypatch.setattr(comparison, "MEASURES", (*MEASURES, mean))
    found = diagnose(problems.gaussian(), DPS, **TINY)
    assert found["mean"].null is not None
    assert found["only"].verdict == "alone"
    assert found["zero"].null == Estimate(0.0, 0.0)
    assert "only of DPS" in str(found)


@pytest.mark.parametrize("ids", [("", "b"), ("a", "a")])
def test_two_findings_do_not_share_an_id(monkeypatch, ids):
    def twice(run):
        for id in ids:
            yield Finding("one", Estimate(1.0, 0.0), id=id)

    monkeypatch.setattr(comparison, "MEASURES", (twice,))
    with pytest.raises(ValueError, match="an `id` of its own"):
        diagnose(problems.gaussian(), DPS, **TINY)


# How a run is made


@pytest.mark.parametrize("schedule", [VP(), VE(), Cosine(), FlowMatching()])
def test_the_defaults_work_for_every_schedule(schedule):
    """Two of the four were refused: they leave no signal at t = 1."""
    problem = replace(problems.two_atoms(), schedule=schedule)
    found = diagnose(problem, truth(problem), n=300, steps=30)
    for k in (1, 2):
        finding = found[f"weight_{k}"]
        assert abs(finding.null.value - finding.truth) < 4 * finding.null.error
    assert float(times(schedule, 5)[0]) == (1.0 if schedule in (VP(), VE()) else times(schedule)[0])


def test_each_setting_reaches_the_run():
    problem, seen = problems.gaussian(), []

    def watched(prior, likelihood):
        return lambda x, t: seen.append((float(t), x)) or prior(x, t)

    cloud = torch.linspace(-1, 1, 20, dtype=torch.float64).unsqueeze(-1)
    settings = {"start": 0.9, "stop": 0.01, "start_from": cloud, "integrator": heun}
    found = diagnose(problem, watched, steps=4, **settings)
    assert found.settings == {"n": 20, "steps": 4, "seed": 0}
    t, x = zip(*[pair for pair in seen if len(pair[1]) == 20], strict=True)
    assert (t[0], min(t)) == (0.9, 0.01)
    assert_close(x[0], cloud)
    assert "start" not in [finding.id for finding in found.findings]
    seen.clear()
    grid = torch.tensor([0.8, 0.4, 0.1], dtype=torch.float64)
    assert diagnose(problem, watched, n=20, grid=grid).settings["steps"] == 2
    asked = sorted({time for time, _ in seen}, reverse=True)
    assert set(asked) >= {0.8, 0.4} | {0.6000000000000001}
    with pytest.raises(ValueError, match="`n` must be a whole number"):
        diagnose(problem, watched, n=0)


def test_a_start_that_is_not_the_truths_is_told_and_can_be_mended():
    """Pixels from 0 to 255: the "exact" weight was .74 for .5, without a word."""
    atoms = Empirical.from_samples(torch.tensor([[0.0], [255.0]], dtype=torch.float64))
    y = torch.tensor([127.5], dtype=torch.float64)
    likelihood = Likelihood(problems.two_atoms().likelihood.operator, y, 200.0)
    problem = replace(problems.two_atoms(), prior=atoms, likelihood=likelihood)
    found = diagnose(problem, truth(problem), n=1000, steps=60)
    assert found["weight_1"].truth == pytest.approx(0.5)
    assert found["weight_1"].missed
    assert found["weight_1"].null.value > 0.7
    # KL from N(0, s^2) to the mixture of N(0, s^2) and N(255 a, s^2), by quadrature
    alpha, sigma = vp(1.0)
    x = torch.linspace(-10, 12, 20_001, dtype=torch.float64)
    parts = torch.stack([-0.5 * ((x - m) / sigma) ** 2 for m in (0.0, 255 * alpha)])
    log_p = parts.logsumexp(0) - math.log(2)
    p = log_p.softmax(0)
    kl = float((p * (log_p - parts[0])).sum())
    assert abs(found["start"].value.value - kl) < 4 * found["start"].value.error
    text = " ".join(found.notes)
    assert "misses the truth: spread ratio at the end" in text
    assert "the noise at the start is not the truth's there" in text
    cloud = problem.posterior.sample(1000, 1.0, generator=seeded(5))
    mended = diagnose(problem, truth(problem), steps=60, start_from=cloud)
    assert not any(finding.missed for finding in mended.findings)


def test_no_star_where_one_atom_carries_it_all():
    data = torch.randn(500, 3, generator=seeded(0), dtype=torch.float64)
    near = Likelihood(Linear(torch.eye(3, dtype=torch.float64)), data[0], 1e-3)
    problem = replace(problems.gaussian(), prior=Empirical.from_samples(data), likelihood=near)
    found = diagnose(problem, DPS, n=50, steps=10)
    assert found.notes[0].startswith("no stars: the posterior's effective size is 1.0 of 500 atoms")
    assert "*" not in str(found)
    assert "<td>*</td>" not in found._repr_html_()
    assert found.legend == ()
    assert diagnose(problems.two_atoms(), DPS, n=50, steps=10).stars  # a prior of two is meant so


@pytest.mark.parametrize(("schedule", "jitter"), [(VP(), 0.01), (VE(), 1e-4)])
def test_a_jitter_that_nobody_sees_is_no_hallucination(schedule, jitter):
    """A quarter of exact draws with a jitter of .01 was told to be where only the data likes it."""
    problem = replace(problems.two_atoms(), schedule=schedule)
    draws = problem.posterior.prior.sample(1000, generator=seeded(0))
    blurred = draws + jitter * torch.randn(draws.shape, generator=seeded(1), dtype=draws.dtype)
    found = diagnose_samples(problem, blurred)
    assert not [finding.label for finding in found.findings if finding.significant]


def test_samples_may_be_those_of_a_later_time():
    """One that stopped at t = .02 is noised from there on, and not twice."""
    problem = problems.gaussian()
    stopped = problem.posterior.sample(3000, 0.02, generator=seeded(0))
    found = diagnose_samples(problem, stopped, time=0.02)
    assert not [finding.label for finding in found.findings if finding.significant]
