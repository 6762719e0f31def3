"""The step size at which E w² stops shrinking, for noise that vanishes at the minimum: one-dimensional least squares with Gaussian inputs.

The gradient of a batch of B inputs z ~ N(0, λ) is w·mean(z²): mean λw, variance (2/B)λ²w². With x = ηλ SGD's growth of E w² per step is (1−x)² + 2x²/B; an
SDE's is the exponential of its own rate. Thresholds are found from the growth oracles; SGD's is also met by drawing inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from sgdsde.measurement import Measured, exactly
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import mean_square_growth, mean_square_threshold
from sgdsde.sdes import HASME, SME1, SME2, SPF, EvenStepHASME
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

#: steps of the search for a threshold, and points of a range without one
POINTS = 24
CONVENTIONS = "one-dimensional least squares, Gaussian inputs, interpolating: Σ(w) = (2/B)λ²w²; float64"


class GrowingNoise:
    """Σ(w) = (2/B)w² in one dimension, λ = 1."""

    def __init__(self, batch: int) -> None:
        self.factor = 2.0 / batch

    def __call__(self, theta: Tensor) -> Tensor:
        return self.factor * (theta**2)[:, :, None]


def least_squares_noise(batch: int) -> Noise:
    """λ = 1, so that η is x."""
    return Gaussian(Quadratic(1.0), GrowingNoise(batch))


def sgd_threshold(batch: int) -> float:
    """2/(1 + 2/B)."""
    return 2 / (1 + 2 / batch)


def thresholds(*, seed: int, level: float, batches: Sequence[int]) -> Measured:
    """``process/B``: the x at which growth reaches 1, for SGD, SME-1, SME-2 (B = 1) and HA-SME (its even-step form where that is past 1);
    ``process/B/largest``: for SME-2 (B ≥ 2) and SPF, which have none, the largest log growth per x over their range.
    """
    estimates: dict[str, Estimate] = {}
    for batch in batches:
        noise = least_squares_noise(batch)

        def growth(model: Callable[[Noise, float], object], noise: Noise = noise) -> Callable[[float], float]:
            return lambda x: mean_square_growth(model(noise, x))  # type: ignore[arg-type]

        real, even = sgd_threshold(batch) < 1, (0.013, 1.999)
        found = {
            "SGD": mean_square_threshold(lambda x, noise=noise: mean_square_growth(noise, x), low=0.01, high=3.0, points=POINTS),  # type: ignore[misc]
            "SME1": mean_square_threshold(growth(SME1), low=0.01, high=1.5 * batch, points=POINTS),
            "HASME": mean_square_threshold(growth(HASME), low=0.01, high=0.999, points=POINTS)
            if real
            else mean_square_threshold(growth(EvenStepHASME), low=even[0], high=even[1], points=POINTS),
        }
        if batch == 1:
            found["SME2"] = mean_square_threshold(growth(SME2), low=0.01, high=3.0, points=POINTS)
        else:
            estimates[f"SME2/{batch}/largest"] = _largest(growth(SME2), np.geomspace(0.01, 20, POINTS))
        estimates[f"SPF/{batch}/largest"] = _largest(growth(SPF), np.linspace(0.01, 0.999, POINTS))
        for process, value in found.items():
            if value is not None:
                estimates[f"{process}/{batch}"] = exactly(value, 1e-9 * value)
    return Measured(estimates, conventions=CONVENTIONS)


def drawn_inputs(*, seed: int, level: float, cases: Sequence[tuple[int, float]], samples: int) -> Measured:
    """``B/x``: (E w²)⁺/E w² of one step of SGD on fresh Gaussian inputs, from draws."""
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for batch, x in cases:
        mean_square = rng.chisquare(batch, samples) / batch
        estimates[f"{batch}/{x:.6g}"] = mean_estimate((1 - x * mean_square) ** 2, level=level)
    return Measured(estimates, notes=(f"{samples} batches a case",), conventions=CONVENTIONS)


def _largest(growth: Callable[[float], float], xs: np.ndarray) -> Estimate:
    return exactly(max(math.log(growth(float(x))) / float(x) for x in xs), 1e-9)
