"""Two numbers for a whole mean and covariance, in coordinates in which the reference law N(m, V) is standard: y = V^{−½}(θ − m).

Variance: tr Cov(y)/d, 1 where θ has covariance V; every path gives d squares, so that N paths resolve a relative error of about √(2/(Nd)).
Mean: 1 + uᵀE y/|V^{−½}m|, u the direction of V^{−½}m: the part of the mean displacement that is there.
"""

from __future__ import annotations

import numpy as np
import torch

from sgdsde.kernel import Kernel
from sgdsde.oracles import Moments
from sgdsde.simulate import simulate
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate


def variance_ratio(states: torch.Tensor, reference: Moments, *, level: float) -> Estimate:
    """tr Cov(y)/d of an ensemble ``[P, dim]``."""
    y = _whitened(states, reference)
    y = y - y.mean(0)
    return mean_estimate((y**2).mean(1) * (len(y) / (len(y) - 1)), level=level)


def mean_ratio(states: torch.Tensor, reference: Moments, *, level: float) -> Estimate:
    """The share of the reference's mean displacement from the origin that the ensemble shows, 1 where the means agree along it."""
    shift = _whitened(torch.zeros(1, reference.dim, dtype=torch.float64), reference)[0]
    return mean_estimate(1 - _whitened(states, reference) @ shift / (shift @ shift), level=level)


def exact_variance_ratio(candidate: Moments, reference: Moments) -> float:
    """tr V^{−1}C/d of a law with known covariance C."""
    return float(torch.linalg.solve(reference.covariance, candidate.covariance).trace()) / reference.dim


def states_at(kernel: Kernel, start: np.ndarray, ticks: tuple[int, ...], *, paths: int, seed: int) -> dict[int, torch.Tensor]:
    """An ensemble from one start point at each of the (increasing) ticks."""
    run = simulate(kernel, start, horizon=ticks[-1] * kernel.tick, save=[k * kernel.tick for k in ticks], paths=paths, seed=seed, progress=False)
    return dict(zip(ticks, run.states, strict=True))


def _whitened(states: torch.Tensor, reference: Moments) -> np.ndarray:
    values, vectors = torch.linalg.eigh(reference.covariance)
    return (((states.to(torch.float64) - reference.mean) @ vectors) / values.sqrt()).numpy()
