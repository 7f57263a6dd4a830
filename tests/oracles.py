"""Answers found another way: quadrature, closed forms and sums in NumPy, with none of the library.

Also the random cases that the tests share: unequal weights and correlated covariances, so that a
missing weight or a transposed matrix cannot hide. And how far rounding alone may move an answer.
"""

import mpmath
import numpy as np
import pytest
import torch

NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)
UNIT = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}  # the relative error of one rounding
SPREAD = np.array([-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12.0])


def vp(t, low=0.01, high=20.0):
    """alpha and sigma of the variance-preserving schedule, from its definition."""
    exponent = low * t + (high - low) * t**2 / 2
    return float(np.exp(-exponent / 2)), float(np.sqrt(-np.expm1(-exponent)))


def logsumexp(values):
    top = values.max()
    return top + np.log(np.exp(values - top).sum())


def gaussian_log_density(x, mean, variance):
    return -((x - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2


class Line:
    """A density on the line, known up to a constant by its logarithm, and integrated by panels.

    The panels end at ``breaks``; Gauss-Legendre with 40 nodes in each is exact to about 1e-13 as
    long as the density is smooth in a panel and no panel is wider than a few of its scales.
    """

    def __init__(self, log_density, breaks):
        self.log_density = log_density
        self.breaks = np.asarray(breaks, dtype=float)

    @classmethod
    def mixture(cls, weights, means, stds, log_likelihood=None, kinks=()):
        """A Gaussian mixture, times a likelihood where one is given."""
        weights, means, stds = (np.asarray(v, dtype=float) for v in (weights, means, stds))
        weights = weights / weights.sum()

        def log_density(x):
            parts = np.log(weights) + gaussian_log_density(x[:, None], means, stds**2)
            top = parts.max(1)
            prior = top + np.log(np.exp(parts - top[:, None]).sum(1))
            return prior if log_likelihood is None else prior + log_likelihood(x)

        reach = (means[:, None] + stds[:, None] * SPREAD).ravel()
        # likelihood peaks may be narrow, so no panel is wider than a fifth of a deviation
        fine = np.arange(reach.min(), reach.max(), stds.min() / 5)
        return cls(log_density, np.concatenate([reach, fine, np.asarray(kinks, dtype=float)]))

    def rule(self, more=()):
        """Nodes, and logs of weight times density, with more places for panels to end."""
        ends = np.unique(np.concatenate([self.breaks, np.asarray(more, dtype=float)]))
        ends = ends[(ends >= self.breaks.min()) & (ends <= self.breaks.max())]
        half = np.diff(ends)[:, None] / 2
        nodes = (half * NODES + (ends[:-1] + ends[1:])[:, None] / 2).ravel()
        return nodes, np.log((half * WEIGHTS).ravel()) + self.log_density(nodes)

    def log_mass(self):
        return logsumexp(self.rule()[1])

    def noisy(self, x, alpha, sigma):
        """Nodes x_0, log-masses of p(x_0, x_t = x), and log p(x_t = x)."""
        nodes, log_masses = self.rule((x + sigma * SPREAD) / alpha)
        joint = log_masses - self.log_mass() + gaussian_log_density(x, alpha * nodes, sigma**2)
        return nodes, joint, logsumexp(joint)

    def at(self, x, alpha, sigma):
        """log p(x_t), score, E[x_0 | x_t] and Var[x_0 | x_t], one column each, for a vector x."""
        rows = []
        for value in np.asarray(x, dtype=float).ravel():
            nodes, joint, log_prob = self.noisy(value, alpha, sigma)
            share = np.exp(joint - log_prob)
            mean = (share * nodes).sum()
            # the average of the slope of the kernel, and not mean minus x: no cancellation
            score = (share * (alpha * nodes - value)).sum() / sigma**2
            rows.append((log_prob, score, mean, (share * (nodes - mean) ** 2).sum()))
        return np.array(rows).T

    def log_likelihood(self, x, alpha, sigma, log_likelihood):
        """log p(y | x_t): the likelihood averaged over p(x_0 | x_t)."""
        answers = []
        for value in np.asarray(x, dtype=float).ravel():
            nodes, joint, log_prob = self.noisy(value, alpha, sigma)
            answers.append(logsumexp(joint - log_prob + log_likelihood(nodes)))
        return np.array(answers)


def atoms_at(x, atoms, log_weights, alpha, sigma):
    """log p(x_t), score, mean and covariance of x_0 given one x_t, for atoms: sums as written."""
    x, atoms = np.asarray(x, dtype=np.longdouble), np.asarray(atoms, dtype=np.longdouble)
    log_weights = np.asarray(log_weights, dtype=np.longdouble)
    squares = ((x - alpha * atoms) ** 2).sum(1)
    log_norm = x.size * np.log(2 * np.pi * np.longdouble(sigma) ** 2) / 2
    joint = log_weights - logsumexp(log_weights) - squares / (2 * sigma**2) - log_norm
    log_prob = logsumexp(joint)
    share = np.exp(joint - log_prob)[:, None]
    mean = (share * atoms).sum(0)
    cov = (share * (atoms - mean)).T @ (atoms - mean)
    score = (share * (alpha * atoms - x)).sum(0) / sigma**2
    return tuple(np.asarray(v, dtype=float) for v in (log_prob, score, mean, cov))


def mixture_at(x, log_weights, means, covs, alpha, sigma):
    """The same four answers for Gaussians with any covariances, with matrix inverses."""
    x, means, covs = (np.asarray(v, dtype=float) for v in (x, means, covs))
    log_weights = np.asarray(log_weights, dtype=float)
    log_parts, scores, inner_means, inner_covs = [], [], [], []
    for log_weight, mean, cov in zip(
        log_weights - logsumexp(log_weights), means, covs, strict=True
    ):
        noisy = alpha**2 * cov + sigma**2 * np.eye(x.size)
        inverse, residual = np.linalg.inv(noisy), x - alpha * mean
        log_det = np.linalg.slogdet(2 * np.pi * noisy)[1]
        log_parts.append(log_weight - (residual @ inverse @ residual + log_det) / 2)
        scores.append(-inverse @ residual)
        inner_means.append(mean + alpha * cov @ inverse @ residual)
        inner_covs.append(cov - alpha**2 * cov @ inverse @ cov)
    log_prob = logsumexp(np.array(log_parts))
    share = np.exp(np.array(log_parts) - log_prob)
    mean = share @ np.array(inner_means)
    apart = np.array(inner_means) - mean
    cov = np.einsum("k,kij->ij", share, inner_covs) + (share[:, None] * apart).T @ apart
    return log_prob, share @ np.array(scores), mean, cov


def score_in_60_digits(x, log_weights, means, covs, alpha, sigma):
    """The score of the same Gaussians for each row of ``x``: each number is taken as it stands."""
    with mpmath.workdps(60):
        rows = [_exact_score(row, log_weights, means, covs, alpha, sigma) for row in x]
        return torch.tensor(rows, dtype=torch.float64)


def _exact_score(x, log_weights, means, covs, alpha, sigma):
    logs, scores = [], []
    alpha, sigma = mpmath.mpf(float(alpha)), mpmath.mpf(float(sigma))
    for log_weight, mean, cov in zip(
        *(v.tolist() for v in (log_weights, means, covs)), strict=True
    ):
        noisy = alpha**2 * mpmath.matrix(cov) + sigma**2 * mpmath.eye(len(mean))
        apart = mpmath.matrix(x.tolist()) - alpha * mpmath.matrix(mean)
        pull = mpmath.lu_solve(noisy, apart)
        logs.append(log_weight - (apart.T * pull)[0] / 2 - mpmath.log(mpmath.det(noisy)) / 2)
        scores.append(-pull)
    shares = [mpmath.exp(log - max(logs)) for log in logs]
    total = mpmath.fsum(shares)
    return [float(mpmath.fdot(shares, [s[i] for s in scores]) / total) for i in range(len(x))]


def condition(fn, *inputs, draws=8, size=1e-7):
    """How far ``fn(*inputs)`` moves when every number that goes in moves by its own size.

    A condition number, in units of the answer and measured in float64: each number is multiplied
    by 1 + size or 1 - size, as chance will have it, and the largest movement of any entry of the
    answer in any of the draws is divided by ``size``. Where ``fn`` answers with a dictionary, one
    such number for each entry.
    """
    generator = torch.Generator().manual_seed(0)

    def moved(value):
        signs = 2 * torch.randint(2, value.shape, generator=generator) - 1
        return value * (1 + size * signs)

    def far(after, before):
        if isinstance(before, dict):
            return {name: far(after[name], value) for name, value in before.items()}
        return float((after - before).abs().max()) / size

    inputs = [torch.as_tensor(value, dtype=torch.float64) for value in inputs]
    still = fn(*inputs)
    found = [far(fn(*map(moved, inputs)), still) for _ in range(draws)]
    if isinstance(still, dict):
        return {name: max(one[name] for one in found) for name in still}
    return max(found)


def rounding(dtype, condition, operations):
    """How far the answer of a computation in ``dtype`` may be off because numbers were rounded.

    ``operations`` counts what is rounded one after the other on the way to the answer: the inputs,
    intermediate results, the answer. Each time it moves by the unit roundoff (2^-24 in float32)
    times ``condition``, what it moves by when such numbers move by their own size: that is for the
    test to compute, by :func:`condition` or a formula. Of a sum it is the sum of the sizes of its
    terms, of A x it is |A| |x|, of anything when only the answer is rounded it is the answer.
    """
    return operations * UNIT[dtype] * condition


def assert_near(actual, expected, bound):
    """No entry is further away than ``bound``; NaN is."""
    assert actual.shape == expected.shape
    seen = float((actual.double() - expected.double()).abs().max())
    assert seen <= bound, f"off by {seen:.2e}, where rounding explains {bound:.2e}"


def slope(steps, errors):
    """The exponent p of errors ~ steps^-p, by least squares."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0]


def at_length(cases, daily):
    """Parameters for all cases, of which those that are not in ``daily`` are marked as long."""
    cases = list(cases)
    assert set(daily) <= set(cases), set(daily) - set(cases)

    def parameter(case):
        marks = () if case in daily else pytest.mark.long
        return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marks)

    return [parameter(case) for case in cases]


def seeded(seed):
    """A generator for the library."""
    return torch.Generator().manual_seed(seed)


def random_covs(k, d, generator, smallest=0.05):
    """k covariances with correlations, none of them a multiple of another."""
    factor = torch.randn(k, d, d, generator=generator, dtype=torch.float64) / d**0.5
    return factor @ factor.mT + smallest * torch.eye(d, dtype=torch.float64)


def random_mixture_parts(seed, k, d):
    """Unequal log-weights, means and correlated covariances."""
    generator = seeded(seed)
    log_weights = torch.randn(k, generator=generator, dtype=torch.float64)
    means = 1.5 * torch.randn(k, d, generator=generator, dtype=torch.float64)
    return log_weights, means, random_covs(k, d, generator)
