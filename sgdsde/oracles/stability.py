"""Mean-square stability: the factor by which E‖θ − θ*‖² finally grows per tick, and where it reaches 1.

For SGD it is the spectral radius of P ↦ (I−ηH)P(I−ηH)ᵀ + η²Σ₂ : P, for an SDE exp(η × the spectral abscissa of P ↦ AP + PAᵀ + Q₂ : P). In one dimension, with
Σ = (2/B)λ²w² (interpolating least squares, Gaussian inputs): SGD (1−x)² + 2x²/B, below 1 for x < 2/(1+2/B); SME-1 exp(−2x + 2x²/B), below 1 for x < B.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from sgdsde.given import is_whole
from sgdsde.kernel import Kernel
from sgdsde.noise import Noise
from sgdsde.oracles.flows import flow
from sgdsde.oracles.linear_models import sde_terms
from sgdsde.oracles.step_laws import sgd_chain, step_law
from sgdsde.sde import SDE
from sgdsde.types import InputError, positive


def mean_square_growth(model: Noise | SDE | Kernel, eta: float | None = None) -> float:
    """Growth factor of E‖θ − θ*‖² per tick (η; for an SDE without one, per unit time), additive noise aside. A noise needs η.

    Raises:
        InputError: η is missing for a noise, given for something else, or ≤ 0.
        OracleRefusal: the model is not linear, its noise is no quadratic, or the dimension is above 32.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> round(sg.oracles.mean_square_growth(noise, 0.5), 9)  # (1 − ηλ)²
        0.25
    """
    if isinstance(model, Noise):
        if eta is None:
            raise InputError("mean_square_growth(noise, eta) needs the step size eta of the SGD that uses the noise.")
        return sgd_chain(model, positive(eta, "eta")).growth()
    if eta is not None:
        raise InputError(f"{type(model).__name__} knows its own eta; leave eta out.")
    return _growth(model)


@singledispatch
def _growth(model: object) -> float:
    raise InputError(f"{type(model).__name__} is no noise, SDE or kernel; wanted mean_square_growth(noise, eta), (sde) or (kernel).")


@_growth.register
def _(model: SDE) -> float:
    return float(np.exp(flow(sde_terms(model)).rate() * (1.0 if model.eta is None else model.eta)))


@_growth.register
def _(model: Kernel) -> float:
    law = step_law(model)
    return law.chain.growth() ** law.steps


def mean_square_threshold(growth: Callable[[float], float], *, low: float, high: float, points: int = 64) -> float | None:
    """The first η in (low, high) at which ``growth(η)`` crosses 1 from below, to 1e-12 relative; None where it stays below 1.

    The crossing is bracketed on ``points`` equal steps, so that a shorter excursion above 1 may be missed.

    Raises:
        InputError: the range is empty, or growth is not below 1 at ``low``.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([4.0]), 1.0)
        >>> round(sg.oracles.mean_square_threshold(lambda eta: sg.oracles.mean_square_growth(noise, eta), low=0.1, high=1.0), 9)  # 2/λ
        0.5
    """
    low, high = positive(low, "low"), positive(high, "high")
    if not callable(growth):
        raise InputError(f"growth = {growth!r:.200}; wanted a function of eta, for example lambda eta: sg.oracles.mean_square_growth(noise, eta).")
    if not low < high:
        raise InputError(f"low = {low}, high = {high}; wanted low < high.")
    if not growth(low) < 1:
        raise InputError(f"growth({low}) = {growth(low):.6g} is not below 1: already unstable at low. Choose a smaller low.")
    if not is_whole(points, 1):
        raise InputError(f"points = {points!r}; wanted an integer ≥ 1.")
    grid = np.linspace(low, high, int(points) + 1)
    for left, right in pairwise(grid):
        if growth(float(right)) >= 1:
            return float(brentq(lambda eta: growth(eta) - 1, float(left), float(right), xtol=1e-13, rtol=1e-12))
    return None
