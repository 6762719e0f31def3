"""When HA-SME's Q is positive semi-definite: the boundary in two dimensions, and how often under random noise.

In H's eigenbasis Q = η·(UᵀΣU)ᵢⱼφ(mᵢmⱼ). In two dimensions it is positive iff the correlation of Σ there is at most √(h(2v₁)h(2v₂))/h(v₁+v₂), h(v) = v/(eᵛ−1),
v = log(1−x), because φ(m₁m₂) = h(v₁+v₂). Random noise: Σ = GGᵀ/rank with Gaussian G ``[dim, rank]``, a law without preferred basis, so that H may be diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import rotation
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.sdes import HASME
from sgdsde.sdes.functions import phi_pair
from sgdsde.sdes.positivity import defect
from sgdsde.stats import proportion
from sgdsde.types import Estimate

ETA = 0.1
CONVENTIONS = f"constant covariance, float64, eta={ETA}"
BISECTIONS = 40


def critical_correlation(x1: float, x2: float) -> float:
    """√(h(2v₁)h(2v₂))/h(v₁+v₂)."""

    def h(v: float) -> float:
        return v / math.expm1(v) if v else 1.0

    v1, v2 = math.log1p(-x1), math.log1p(-x2)
    return math.sqrt(h(2 * v1) * h(2 * v2)) / h(v1 + v2)


def boundary(*, seed: int, level: float, pairs: Sequence[tuple[float, float]]) -> Measured:
    """``x₁, x₂``: the correlation from which on the model reports a defect, by bisection, over the formula's; H in a random basis."""
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for pair in pairs:
        basis = rotation(rng, 2)
        hessian = (basis * (np.asarray(pair) / ETA)) @ basis.T
        objective = Quadratic((hessian + hessian.T) / 2)

        def positive(correlation: float, basis: np.ndarray = basis, objective: Quadratic = objective) -> bool:
            sigma = basis @ np.array([[1.0, correlation], [correlation, 1.0]]) @ basis.T
            return not float(HASME(Gaussian(objective, (sigma + sigma.T) / 2), ETA).defect(torch.zeros(1, 2, dtype=torch.float64))) > 0

        low, high = 0.0, 1.0
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if positive(middle) else (low, middle)
        found = (low + high) / 2
        estimates[f"{pair}"] = exactly(found / critical_correlation(*pair), 1e-9)
    return Measured(estimates, conventions=CONVENTIONS)


def _uniform(low: float, high: float) -> Callable[[np.random.Generator, int, int], np.ndarray]:
    return lambda rng, count, dim: rng.uniform(low, high, (count, dim))


def _two_points(rng: np.random.Generator, count: int, dim: int) -> np.ndarray:
    return np.broadcast_to(np.where(np.arange(dim) < dim // 2, 0.9, -0.9), (count, dim)).copy()


SPECTRA: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "uniform in [0, .9]": _uniform(0.0, 0.9),
    "uniform in [−.9, .9]": _uniform(-0.9, 0.9),
    "half .9, half −.9": _two_points,
}


def random_noise(*, seed: int, level: float, cases: Mapping[str, tuple[str, int, int]], count: int) -> Measured:
    """For each case ``name: (spectrum, dim, rank)`` of ``count`` draws: ``name/number`` with positive Q, ``name/share`` the same as a share with its
    interval.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, (spectrum, dim, rank) in cases.items():
        factor = rng.standard_normal((count, dim, rank))
        number = _number(SPECTRA[spectrum](rng, count, dim), factor @ factor.transpose(0, 2, 1) / rank)
        estimates[f"{name}/number"] = exactly(number, 0.0)
        estimates[f"{name}/share"] = share(number, count, level=level)
    return Measured(estimates, notes=(f"{count} draws of noise and spectrum a case",), conventions=CONVENTIONS)


def commuting_noise(*, seed: int, level: float, cases: Mapping[str, tuple[int, int]], count: int) -> Measured:
    """For each case ``name: (dim, rank)``: ``name/commuting`` the number of draws with positive Q where Σ is diagonal in H's eigenbasis, ``name/turned`` where
    the same Σ is turned by 10 degrees in the plane of its first and last axis.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, (dim, rank) in cases.items():
        x = SPECTRA["uniform in [−.9, .9]"](rng, count, dim)
        variances = rng.uniform(0.1, 2.0, (count, dim)) * (np.arange(dim) < rank)
        sigma = np.einsum("pi,ij->pij", variances, np.eye(dim))
        turn, angle = np.eye(dim), math.radians(10)
        turn[np.ix_([0, -1], [0, -1])] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        estimates[f"{name}/commuting"] = exactly(_number(x, sigma), 0.0)
        estimates[f"{name}/turned"] = exactly(_number(x, turn @ sigma @ turn.T), 0.0)
    return Measured(estimates, notes=(f"{count} draws of noise and spectrum a case",), conventions=CONVENTIONS)


def share(successes: int, trials: int, *, level: float) -> Estimate:
    """The exact interval of a share; its standard error is not 0 where all or none succeeded."""
    estimate = proportion(successes, trials, level=level)
    return Estimate(estimate.value, max(estimate.stderr, 1 / trials), trials, estimate.low, estimate.high)


def _number(x: np.ndarray, sigma: np.ndarray) -> int:
    """How many matrices Q are positive, for spectra x ``[count, dim]`` and Σ in H's eigenbasis ``[count, dim, dim]``."""
    Q = torch.from_numpy(np.ascontiguousarray(sigma)) * phi_pair(torch.from_numpy(x))
    return int((defect(Q) == 0).sum())
