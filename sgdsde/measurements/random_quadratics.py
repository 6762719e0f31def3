"""Random quadratics: a Hessian with a prescribed range of x = ηλ in a random basis, and a noise covariance that does not commute with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sgdsde.rng import seed_sequence


@dataclass(frozen=True)
class RandomQuadratic:
    """η, H with ηλ spread over a range, Σ, and a start point."""

    eta: float
    hessian: np.ndarray
    covariance: np.ndarray
    start: np.ndarray


def draws(seed: int, purpose: str) -> np.random.Generator:
    """The generator of a claim's drawn parameters."""
    return np.random.default_rng(seed_sequence(seed, purpose))


def random_quadratic(rng: np.random.Generator, dim: int, *, low: float, high: float, rank: int, white: float = 0.0, eta: float = 0.1) -> RandomQuadratic:
    """x = ηλ uniform in [low, high] with both ends attained (``dim`` > 1), basis Haar-distributed.

    Σ = (1 − white)·GGᵀ/rank + white·I with a Gaussian G ``[dim, rank]``; it does not commute with H.
    """
    x = rng.uniform(low, high, dim)
    x[0] = high
    if dim > 1:
        x[-1] = low
    basis = rotation(rng, dim)
    factor = rng.standard_normal((dim, rank))
    covariance = (1 - white) * factor @ factor.T / rank + white * np.eye(dim)
    hessian = (basis * (x / eta)) @ basis.T
    return RandomQuadratic(eta, (hessian + hessian.T) / 2, covariance, rng.standard_normal(dim))


def rotation(rng: np.random.Generator, dim: int) -> np.ndarray:
    """A Haar-distributed orthogonal matrix: QR of a Gaussian one, with the signs of R's diagonal moved into Q."""
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    return q * np.sign(np.diag(r))
