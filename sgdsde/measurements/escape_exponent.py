"""How log Eτ of SGD grows with 1/η when the noise takes two values: the quartic double well, from −1 to the pass at 0, without Monte Carlo.

A case: σ, the probability p of the upper value (½: Rademacher), step sizes, largest first, and the relative accuracy asked of the means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sgdsde.measurement import Measured, exactly
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian
from sgdsde.objectives import DoubleWell
from sgdsde.oracles import TwoPointLaw, sde_mean_exit, sgd_exponent, sgd_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SME3, SPF
from sgdsde.types import Estimate

#: from the left minimum to the pass; the left end is out of reach
WELL, START, BARRIER = Interval(-2.0, 0.0), -1.0, 0.25
#: all that exist on the well at the step sizes used
MODELS: dict[str, Any] = {"SME1": SME1, "SME2": SME2, "SPF": SPF, "HASME": HASME, "SME3": SME3, "HASME3": HASME3}


def noise_of(sigma: float) -> Noise:
    """Σ = σ² in the quartic well."""
    return Gaussian(DoubleWell(), sigma**2)


def gaussian_exponent(sigma: float) -> float:
    """2ΔV/σ², the limit of η·log Eτ for Gaussian noise."""
    return 2 * BARRIER / sigma**2


def exponents(*, seed: int, level: float, cases: Mapping[str, tuple[float, float, Sequence[float], float]]) -> Measured:
    """Of each case: ``name/law``, the last slope of log Eτ in 1/η over ∫p dx, and ``name/2ΔV/σ²``, the same over the Gaussian exponent.

    ``name/Gaussian noise`` is the slope for Gaussian noise over 2ΔV/σ². Intervals hold the accuracy of the means and the change from the slope before.
    """
    estimates: dict[str, Estimate] = {}
    series, notes = [], []
    for name, (sigma, p, etas, tolerance) in cases.items():
        noise, law = noise_of(sigma), TwoPointLaw(p)
        wanted = sgd_exponent(noise, 1.0, START, 0.0, law=law)
        own, gaussian = _Climb(noise, etas, law, tolerance), _Climb(noise, etas, None, tolerance)
        for key, climb, below in (("law", own, wanted), ("2ΔV/σ²", own, gaussian_exponent(sigma)), ("Gaussian noise", gaussian, gaussian_exponent(sigma))):
            estimates[f"{name}/{key}"] = exactly(climb.slope / below, climb.unsure / below)
        notes.append(f"{name}: ∫p dx = {wanted:.4g}, 2ΔV/σ² = {gaussian_exponent(sigma):.4g}")
        series.append(Series(name, name, np.asarray(etas), np.asarray(etas) * own.logs / wanted, kind="band"))
    panel = Panel("Escape under two-point noise", "η", "η·log Eτ / ∫p dx", tuple(series), level=1.0)
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions="quartic double well, exit at the pass, SDE time, deterministic oracles")


def trapped(*, seed: int, level: float, sigmas: Sequence[float], eta: float) -> Measured:
    """Rademacher noise: ``σ/SGD`` is 1 if SGD can leave the well, 0 if the hull of all it can reach stays inside; ``σ/model`` the same for an SDE."""
    estimates: dict[str, Estimate] = {}
    for sigma in sigmas:
        noise = noise_of(sigma)
        leaves = math.isfinite(sgd_mean_exit(noise, eta, START, WELL, law=TwoPointLaw(), tolerance=0.5).mean)
        estimates[f"{sigma:.4g}/SGD"] = exactly(float(leaves), 0.0)
        for model, make in MODELS.items():
            finite = math.isfinite(sde_mean_exit(make(noise, eta), START, WELL).mean)
            estimates[f"{sigma:.4g}/{model}"] = exactly(float(finite), 0.0)
    return Measured(estimates, conventions=f"quartic double well, exit at the pass, eta = {eta}, deterministic oracles")


class _Climb:
    """log Eτ at the step sizes; d log Eτ/d(1/η) between the last two, and how sure it is."""

    def __init__(self, noise: Noise, etas: Sequence[float], law: TwoPointLaw | None, tolerance: float) -> None:
        found = [sgd_mean_exit(noise, eta, START, WELL, law=law, tolerance=tolerance) for eta in etas]
        gaps = np.diff(1 / np.asarray(etas))
        self.logs = np.log([one.mean for one in found])
        slopes = np.diff(self.logs) / gaps
        self.slope = float(slopes[-1])
        self.unsure = float((found[-1].error + found[-2].error) / gaps[-1] + abs(slopes[-1] - slopes[-2]))
