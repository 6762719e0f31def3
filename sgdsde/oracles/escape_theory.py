"""Closed asymptotic laws of escape: from saddles (logarithmic), over barriers (Eyring–Kramers), and what looking at iterates only changes.

Saddle of curvature −μ, m = 1 + ημ, s² = η²σ² along its direction: after k steps of SGD θ ≈ m^k·Z with Z ~ N(0, s²/(m²−1)), so |θ| passes R at
k ≈ ln(R/|Z|)/ln m; with E ln|N(0,1)| = −(γ + ln 2)/2 and half a step for the whole number, Eτ ≈ ½ + [ln(2(m²−1)R²/s²) + γ]/(2 ln m).
Barriers, dX = −∇f dt + √(2T)dW: Eτ ≈ (2π/|λ₋|)·√(|det H(saddle)|/det H(minimum))·e^{Δf/T} to the other side of the saddle (Bovier, Eckhoff, Gayrard, Klein,
J. Eur. Math. Soc. 6, 2004), λ₋ the saddle's negative eigenvalue. Looking at iterates: Siegmund, Sequential Analysis (1985), 8.4 and 10.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr

from sgdsde.calculus import hessian
from sgdsde.noise import Noise, as_noise
from sgdsde.objective import Objective, as_objective
from sgdsde.types import DomainError, InputError, as_points, positive, real

EULER_GAMMA = float(np.euler_gamma)


def saddle_steps(growth: float, distance: float) -> float:
    """SGD's mean number of steps from a saddle to distance R: ½ + [ln(2(m²−1)R²/s²) + γ]/(2 ln m).

    Good for R well above s√(m²−1)⁻¹ and m ≲ 3 (beyond, the whole number of steps no longer averages to a half).

    Args:
        growth: m = 1 + ημ > 1.
        distance: R/s = R/(ησ).

    Raises:
        InputError: m ≤ 1, R ≤ 0, or R too small for the asymptotics (the law would be below one step).

    Example:
        >>> ten_times = sg.oracles.saddle_steps(1.1, 1000.0) - sg.oracles.saddle_steps(1.1, 100.0)
        >>> round(ten_times * math.log(1.1) / math.log(10), 9)  # ten times the distance: ln 10/ln m steps more
        1.0
    """
    distance = positive(distance, "distance")
    if not 1 < real(growth, "growth") < math.inf:
        raise InputError(f"growth = {growth}; wanted m = 1 + eta·mu > 1 (a saddle's unstable direction).")
    steps = 0.5 + (math.log(2 * (growth**2 - 1) * distance**2) + EULER_GAMMA) / (2 * math.log(growth))
    if steps < 1:
        raise InputError(f"R/s = {distance:g} is within one step of the saddle; the logarithmic law needs R/s ≫ 1.")
    return steps


def saddle_time(mu: float, diffusion: float, distance: float) -> float:
    """Mean SDE time of dX = μX dt + √Q dW from 0 to |X| = R, watched continuously: [ln(4μR²/Q) + γ]/(2μ), for R² ≫ Q/μ.

    Example:
        >>> round(sg.oracles.saddle_time(1.0, 1e-4, 1.0) - sg.oracles.saddle_time(1.0, 1e-2, 1.0), 9)  # ln(100)/2
        2.302585093
    """
    mu, diffusion, distance = positive(mu, "mu"), positive(diffusion, "diffusion"), positive(distance, "distance")
    return (math.log(4 * mu * distance**2 / diffusion) + EULER_GAMMA) / (2 * mu)


def saddle_exit(noise: Noise, eta: float, saddle: Any, distance: float) -> float:
    """SGD's mean exit in SDE time from a strict saddle in d dimensions, through its most negative direction: η·:func:`saddle_steps`.

    To leading order; other negative directions shorten it.

    Raises:
        DomainError: the point has no negative curvature, or no noise along it.

    Example:
        >>> saddle = sg.objectives.StrictSaddle(2)
        >>> noise = sg.noises.Gaussian(saddle, 1e-6)
        >>> steps = sg.oracles.saddle_steps(1.1, 0.1 / (0.1 * 1e-3))
        >>> round(sg.oracles.saddle_exit(noise, 0.1, [0.0, 0.0], 0.1) / (0.1 * steps), 9)
        1.0
    """
    eta, distance = positive(eta, "eta"), positive(distance, "distance")
    theta = as_points(saddle, as_noise(noise).objective.dim, name="saddle").to(torch.float64)
    values, vectors = torch.linalg.eigh(hessian(noise.objective, theta)[0])
    v, mu = vectors[:, 0], -float(values[0])
    variance = float(v @ noise.covariance(theta)[0] @ v)
    if mu <= 0 or variance <= 0:
        raise DomainError(f"Lowest curvature {-mu:.3g}, noise variance along it {variance:.3g}; the saddle law needs a negative curvature and noise along it.")
    return eta * saddle_steps(1 + eta * mu, distance / (eta * math.sqrt(variance)))


def eyring_kramers(objective: Objective, minimum: Any, saddles: Any, *, temperature: float) -> float:
    """Mean time of dX = −∇f dt + √(2T)dW from a minimum over its saddles (of equal rank), in SDE time; in 1-D Kramers' law.

    Rates over several saddles add. For SGD's first-order model 2T = ησ². The relative error is O(T).

    Args:
        minimum, saddles: points ``[dim]`` and ``[dim]`` or ``[n, dim]``.

    Raises:
        DomainError: a Hessian does not have the signature of a minimum, or of a saddle with one negative direction.

    Example:
        >>> time = sg.oracles.eyring_kramers(sg.objectives.DoubleWell(), [-1.0], [0.0], temperature=0.05)
        >>> round(time / (math.pi * math.sqrt(2) * math.exp(0.25 / 0.05)), 9)  # 2π e^{ΔV/T}/√(V″(−1)|V″(0)|)
        1.0
    """
    temperature = positive(temperature, "temperature")
    bottom = as_points(minimum, as_objective(objective).dim, name="minimum").to(torch.float64)
    passes = as_points(saddles, objective.dim, name="saddles").to(torch.float64)
    curvature = torch.linalg.eigvalsh(hessian(objective, bottom))[0]
    if float(curvature[0]) <= 0:
        raise DomainError(f"The Hessian at the minimum has the eigenvalue {float(curvature[0]):.3g}; wanted all > 0.")
    rate = 0.0
    for point, values in zip(passes, torch.linalg.eigvalsh(hessian(objective, passes)), strict=True):
        if not float(values[0]) < 0 < float(values[1:].min() if len(values) > 1 else torch.ones(())):
            raise DomainError(f"The Hessian at the saddle {point.tolist()} has eigenvalues {values.tolist()}; wanted one negative, the others positive.")
        height = float(objective.loss(point[None])[0] - objective.loss(bottom)[0])
        logs = 0.5 * (curvature.log().sum() - values.abs().log().sum())
        rate += abs(float(values[0])) / (2 * math.pi) * math.exp(float(logs) - height / temperature)
    return 1 / rate


def overshoot_factor(a: float) -> float:
    """Continuously watched mean exit / skeleton mean exit of SME-1 through a border where a = g/σ = drift/noise in a tick, as η → 0.

    Near such a border the chain is a walk N(−a, 1); its chance to pass a level u is ν(2a)e^{−2au}, Brownian motion's e^{−2au}:
    ν(μ) = (2/μ²)exp{−2Σₙ n⁻¹Φ(−μ√n/2)}.

    Example:
        >>> round(sg.oracles.overshoot_factor(0.2) / math.exp(-0.5826 * 2 * 0.2), 2)  # ν(2a) ≈ e^{−0.5826·2a} for small a
        1.0
    """
    mu = 2 * positive(a, "a")
    n = np.arange(1, max(64, math.ceil(400 / mu**2)) + 1)
    return 2 / mu**2 * math.exp(-2 * float((ndtr(-mu * np.sqrt(n) / 2) / n).sum()))
