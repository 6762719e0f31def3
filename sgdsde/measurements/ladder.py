"""How far up the ladder of weak orders SDEs can go: models that keep ∂ and ∂² of the first m operators of SGD's logarithm, m = 1, 2, …, on the circle.

A problem: f = Σ_j a_j cos(jθ + p_j), √Σ = c + s·cos(θ + q), and the law of the noise. The weak error of a model is the root mean square, over start
points and two test functions, of E φ(X_T) − E φ(θ_{T/η}), from Fourier matrices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from sgdsde.measurement import Measured
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian
from sgdsde.objective import Objective, spread
from sgdsde.oracles import TwoPointLaw
from sgdsde.oracles.coefficients import sgd_field
from sgdsde.oracles.fourier import FourierGrid
from sgdsde.oracles.symbols import Ladder, ladder
from sgdsde.order import fit_order
from sgdsde.plots.panel import Panel, Series
from sgdsde.types import Estimate

HORIZON = 0.8
#: points of the grid that is believed, and of the one that says how far
_GRIDS = (151, 121)
#: start points at which a coefficient is read
_READ = 64


class Waves(Objective):
    """f = Σ_j a_j cos(jθ + p_j), j = 1, 2, …"""

    dim = 1

    def __init__(self, amplitudes: Sequence[float], phases: Sequence[float]) -> None:
        self.parts = tuple(zip(amplitudes, phases, strict=True))

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        x = theta[:, 0]
        value = torch.zeros_like(x)
        for j, (amplitude, phase) in enumerate(self.parts, start=1):
            value = value + amplitude * torch.cos(j * x + phase)
        return spread(value, batch)


@dataclass(frozen=True)
class Varying:
    """Σ(θ) = (c + s·cos(θ + q))²."""

    level: float
    swing: float
    phase: float

    def __call__(self, theta: Tensor) -> Tensor:
        return ((self.level + self.swing * torch.cos(theta + self.phase)) ** 2)[:, :, None]


def noise_of(problem: Mapping[str, Any]) -> Noise:
    """The noise of a problem: ``amplitudes``, ``phases``, ``root`` = (c, s, q)."""
    level, swing, phase = problem["root"]
    return Gaussian(Waves(problem["amplitudes"], problem["phases"]), level**2 if swing == 0 else Varying(level, swing, phase))


def ladder_orders(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]], terms: Sequence[int]) -> Measured:
    """``problem/m``: the weak order of the model with the first m operators. ``problem/third/k``: root mean square of the coefficient of ∂³ in L_k.

    A problem may hold ``p``, the probability of a two-point law in place of Gaussian noise, and holds ``etas``, largest first.
    """
    estimates: dict[str, Estimate] = {}
    panels, notes = [], []
    for name, problem in problems.items():
        noise = noise_of(problem)
        law = TwoPointLaw(problem["p"]) if "p" in problem else None
        rungs = ladder(noise, max(terms), cumulants={3: law.skewness} if law else None)
        for k in range(1, max(terms) + 1):
            third = rungs.coefficient(k, 3, 2 * np.pi * np.arange(_READ) / _READ)
            size = float(np.sqrt((third**2).mean()))
            estimates[f"{name}/third/{k}"] = Estimate(size, 0.0, 0, max(size - 1e-13, 0.0), size + 1e-13)
        errors = np.array([[_errors(noise, rungs, terms, eta, n, law) for n in _GRIDS] for eta in problem["etas"]])  # [etas, grids, terms]
        accuracy = np.abs(errors[:, 0] - errors[:, 1]) + 1e-14
        fits = {m: fit_order(problem["etas"], errors[:, 0, i], accuracy[:, i]) for i, m in enumerate(terms)}
        for m, fit in fits.items():
            order = fit.order or Estimate(math.nan, math.nan, 0, math.nan, math.nan)
            estimates[f"{name}/{m}"] = Estimate(order.value, 0.0, 0, order.low, order.high)
            notes.append(f"{name}, m = {m}: {fit}")
        series = tuple(Series(f"m = {m}", f"m = {m} operators", fit.eta, fit.errors, kind="band") for m, fit in fits.items())
        panels.append(Panel(name, "η", "weak error, root mean square", series, log="xy"))
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions=f"circle, horizon {HORIZON}, Fourier matrices, float64")


def leading_terms(*, seed: int, level: float, problems: Mapping[str, Mapping[str, Any]]) -> Measured:
    """``problem``: the norm of the first ∂³ coefficient minus its formula, over the formula's norm: −ΣΣ′/4 in L₄, with constant Σ −Σ²f‴/12 in L₅.

    ``problem/swapped``: the same with the formula's denominator (4, 12) changed to 6. Derivatives in the formulas are closed forms.
    """
    estimates = {}
    for name, problem in problems.items():
        noise, (c, s, q) = noise_of(problem), problem["root"]
        order, denominator = (5, 12) if s == 0 else (4, 4)
        x = 2 * np.pi * np.arange(_READ) / _READ
        found = ladder(noise, order).coefficient(order, 3, x)
        if s == 0:
            product = c**4 * sum(a * j**3 * np.sin(j * x + p) for j, (a, p) in enumerate(zip(problem["amplitudes"], problem["phases"], strict=True), start=1))
        else:
            root = c + s * np.cos(x + q)
            product = root**2 * 2 * root * -s * np.sin(x + q)
        for key, below in (("", denominator), ("/swapped", 6)):
            wanted = -product / below
            distance = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
            estimates[name + key] = Estimate(distance, 0.0, 0, max(distance - 1e-13, 0.0), distance + 1e-13)
    return Measured(estimates, conventions="symbol calculus on trigonometric polynomials, float64")


def _errors(noise: Noise, rungs: Ladder, terms: Sequence[int], eta: float, n: int, law: TwoPointLaw | None) -> list[float]:
    """The weak error of each model on a grid of n points."""
    grid = FourierGrid(n, 1)
    x = grid.points[:, 0]
    tests = np.stack([np.cos(x), np.sin(x) + np.cos(2 * x)], 1)
    sgd = np.linalg.matrix_power(grid.transfer(sgd_field(noise, eta), eta, law), round(HORIZON / eta)) @ tests
    models = [scipy.linalg.expm(HORIZON * grid.generator(partial(rungs.field, m, eta), what=f"the model of {m} operators")) @ tests for m in terms]
    return [float(np.sqrt(((model - sgd) ** 2).mean())) for model in models]
