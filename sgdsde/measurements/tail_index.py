"""Tail indices under noise that grows with the distance from the minimum: one dimension, Gaussian noise of variance λ²w²/B.

SGD is w⁺ = fw (+ additive noise), f ~ N(1−x, x²/B): the stationary law has a power-law tail of index κ, the positive root of E|f|^κ = 1 (Kesten 1973, Goldie
1991). An SDE with b = −βw and Q = γw² has κ = 1 + 2β/γ: for SME-1 1 + 2B/x, for HA-SME 1 + 2B/x − B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.optimize
from torch import Tensor

from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import kesten_index
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes import SME1, EvenStepHASME
from sgdsde.stats import quantile_z
from sgdsde.types import Estimate

CONVENTIONS = "one dimension, λ = 1, η = x, Gaussian noise of variance w²/B, float64"
MODELS: dict[str, type[ModifiedEquation]] = {"SME1": SME1, "HASME": EvenStepHASME}
STEPS, TAIL = 40, 0.01


class GrowingNoise:
    """Σ(w) = w²/B in one dimension."""

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def __call__(self, theta: Tensor) -> Tensor:
        return (theta**2 / self.batch)[:, :, None]


def index_by_sum(x: float, batch: int) -> float:
    """The positive root κ of E|1 − x + xz/√B|^κ = 1, z ~ N(0, 1), by a sum over a fine grid in logarithms: the oracle's independent check."""
    z = np.linspace(-40.0, 40.0, 40_001)
    logs = np.log(np.maximum(np.abs(1 - x + x * z / math.sqrt(batch)), 1e-300))
    density = -(z**2) / 2 - math.log(math.sqrt(2 * math.pi))

    def log_moment(index: float) -> float:
        exponent = index * logs + density
        top = float(exponent.max())
        return top + math.log(float(np.exp(exponent - top).sum()) * (z[1] - z[0]))

    return float(scipy.optimize.brentq(log_moment, 0.05, 3 * (1 + 2 * batch / x), xtol=1e-12))


def indices(*, seed: int, level: float, cases: Sequence[tuple[float, int]]) -> Measured:
    """``x/B/process`` for SGD, SME-1 and HA-SME (its even-step form, which is HA-SME below x = 1), by the oracle."""
    estimates: dict[str, Estimate] = {}
    for x, batch in cases:
        noise = Gaussian(Quadratic(1.0), GrowingNoise(batch))
        estimates[f"{x:.5g}/{batch}/SGD"] = _accurately(kesten_index(noise, x))
        for name, model in MODELS.items():
            estimates[f"{x:.5g}/{batch}/{name}"] = _accurately(kesten_index(model(noise, x)))
    return Measured(estimates, conventions=CONVENTIONS)


def _accurately(index: float) -> Estimate:
    return exactly(index, 1e-8 * index)


def approach(*, seed: int, level: float, batch: int, xs: Sequence[float]) -> Measured:
    """``x``: local order in x of |κ_SGD/(1 + 2B/x) − 1|, between x and the one before it."""
    gaps = [abs(index_by_sum(x, batch) / (1 + 2 * batch / x) - 1) for x in xs]
    orders = [math.log(gaps[i - 1] / gaps[i]) / math.log(xs[i - 1] / xs[i]) for i in range(1, len(xs))]
    return Measured({f"{x:.5g}": exactly(order, 1e-5) for x, order in zip(xs[1:], orders, strict=True)}, conventions=CONVENTIONS)


def hill(*, seed: int, level: float, cases: Sequence[tuple[float, int]], chains: int) -> Measured:
    """``x/B``: Hill's estimate from the largest hundredth of SGD's chains with additive unit noise, after ``STEPS`` steps from 0."""
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for x, batch in cases:
        w = np.zeros(chains)
        for _ in range(STEPS):
            w = (1 - x + x / math.sqrt(batch) * rng.standard_normal(chains)) * w + rng.standard_normal(chains)
        top = int(TAIL * chains)
        largest = np.sort(np.abs(w))[-top - 1 :]
        index = 1 / float(np.log(largest[1:] / largest[0]).mean())
        estimates[f"{x:.5g}/{batch}"] = Estimate.normal(index, index / math.sqrt(top), top, quantile_z(level))
    note = f"{chains} chains, {STEPS} steps from 0; Hill's estimator has a bias of a few per cent here"
    return Measured(estimates, notes=(note,), conventions=CONVENTIONS)
