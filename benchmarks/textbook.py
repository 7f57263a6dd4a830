"""The four scores as one would write them from the papers: (B, N, d) arrays and autograd.

What the engine is measured against. Nothing here is slow on purpose: each function is the formula,
in the dtype that it is given.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Textbook:
    """N atoms, y = matrix x + noise, and x_t = alpha x_0 + sigma eps."""

    atoms: Tensor
    matrix: Tensor
    y: Tensor
    noise_std: float
    alpha: float
    sigma: float

    def score(self, x: Tensor) -> Tensor:
        """The finite-sample posterior's: component scores, averaged by p(atom | x_t, y)."""
        misfit = (self.y - self.atoms @ self.matrix.mT).square().sum(-1)
        apart = self.alpha * self.atoms - x[:, None]
        log_noise = -apart.square().sum(-1) / (2 * self.sigma**2)
        weights = (log_noise - misfit / (2 * self.noise_std**2)).softmax(-1)
        return (weights[..., None] * apart / self.sigma**2).sum(1)

    def mean(self, x: Tensor) -> Tensor:
        """E[x_0 | x_t]: distances to all atoms, their softmax, and the average."""
        apart = x[:, None] - self.alpha * self.atoms
        logits = -apart.square().sum(-1) / (2 * self.sigma**2)
        return (logits.softmax(-1)[..., None] * self.atoms).sum(1)

    def dps(self, x: Tensor) -> Tensor:
        """Prior score, plus the gradient of log N(y; A m, noise) through m."""
        x = x.detach().clone().requires_grad_()
        mean = self.mean(x)
        misfit = (self.y - mean @ self.matrix.mT).square().sum() / (2 * self.noise_std**2)
        (slope,) = torch.autograd.grad(misfit, x)
        return self._prior_score(x, mean) - slope

    def pigdm(self, x: Tensor) -> Tensor:
        """The same with r^2 A A' in the covariance of y, r^2 = sigma^2 / (alpha^2 + sigma^2)."""
        x = x.detach().clone().requires_grad_()
        mean = self.mean(x)
        r2 = self.sigma**2 / (self.alpha**2 + self.sigma**2)
        cov = r2 * self.matrix @ self.matrix.mT + self._noise()
        return self._guided(x, mean, cov)

    def tmpd(self, x: Tensor) -> Tensor:
        """The same with A C A', C = sigma^2 / alpha dm/dx by one backward pass a measurement."""
        x = x.detach().clone().requires_grad_()
        mean = self.mean(x)
        predicted = mean @ self.matrix.mT
        rows = [
            torch.autograd.grad(predicted[:, i].sum(), x, retain_graph=True)[0]
            for i in range(len(self.matrix))
        ]
        cov = self.sigma**2 / self.alpha * torch.stack(rows, 1) @ self.matrix.mT
        return self._guided(x, mean, cov + self._noise())

    def _guided(self, x: Tensor, mean: Tensor, cov: Tensor) -> Tensor:
        predicted = mean @ self.matrix.mT
        residual = (self.y - predicted).detach()
        whitened = torch.linalg.solve(cov, residual[..., None])[..., 0].detach()
        (pulled,) = torch.autograd.grad((predicted * whitened).sum(), x)
        return self._prior_score(x, mean) + pulled

    def _prior_score(self, x: Tensor, mean: Tensor) -> Tensor:
        return ((self.alpha * mean - x) / self.sigma**2).detach()

    def _noise(self) -> Tensor:
        return self.noise_std**2 * torch.eye(len(self.y), dtype=self.y.dtype)
