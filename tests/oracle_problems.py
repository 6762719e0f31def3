"""Small problems for the oracle tests, written independently of the package's objectives."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sgdsde.noises import Gaussian
from sgdsde.objective import Facts, Objective
from sgdsde.objectives import Quadratic


class Centers(Objective):
    """fᵢ = ½(θ−cᵢ)ᵀA(θ−cᵢ): per-sample gradients that differ by constants."""

    def __init__(self, A: np.ndarray, centers: np.ndarray) -> None:
        self.A, self.c = torch.from_numpy(A), torch.from_numpy(centers)
        self.n, self.dim = self.c.shape
        self.facts = Facts(constant_hessian=True)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        r = theta[:, None] - (self.c[None] if batch is None else self.c[batch])
        return 0.5 * ((r @ self.A) * r).sum(2)


class Regression(Objective):
    """fᵢ = ½(xᵢᵀθ − yᵢ)²: per-sample gradients affine in θ, so Σ is quadratic."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        self.n, self.dim = self.x.shape
        self.facts = Facts(constant_hessian=True)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        z = theta @ self.x.T - self.y  # [paths, n]
        return 0.5 * (z if batch is None else z.gather(1, batch)) ** 2


class Liar(Objective):
    """A quartic that declares a constant Hessian."""

    dim = 1
    n = 2
    facts = Facts(constant_hessian=True)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (theta**4).expand(-1, 2 if batch is None else batch.shape[1])


class Factor:
    """Σ(w) = (factor·w²) in one dimension: Gaussian inputs at the interpolating minimum, factor = 2λ²/B."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, theta: Tensor) -> Tensor:
        return self.factor * (theta**2)[:, :, None]


class Quartic:
    """Σ(w) = 1 + w⁴: the moments do not close."""

    def __call__(self, theta: Tensor) -> Tensor:
        return (1 + theta**4)[:, :, None]


def rotation(rng: np.random.Generator, dim: int) -> np.ndarray:
    """A random rotation."""
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def quadratic(rng: np.random.Generator, x: np.ndarray) -> Quadratic:
    """A quadratic with eigenvalues x, random eigenvectors and a centre away from 0."""
    U = rotation(rng, len(x))
    H = (U * x) @ U.T
    return Quadratic((H + H.T) / 2, rng.standard_normal(len(x)))


def wishart(rng: np.random.Generator, dim: int, rank: int) -> np.ndarray:
    """A random covariance of the given rank."""
    L = rng.standard_normal((dim, rank))
    return L @ L.T / rank


def relative(a: Tensor, b: Tensor) -> float:
    """‖a−b‖/‖b‖."""
    return float(torch.linalg.norm(a - b) / torch.linalg.norm(b))


def random_problem(seed: int, dim: int, *, low: float = -0.9, high: float = 0.9) -> tuple[Gaussian, np.random.Generator]:
    """A quadratic with x = ηλ in [low, high] at η = 1 and a full-rank covariance that does not commute with it."""
    rng = np.random.default_rng(seed)
    return Gaussian(quadratic(rng, rng.uniform(low, high, dim)), wishart(rng, dim, 2 * dim)), rng
