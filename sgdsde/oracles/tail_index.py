"""Power-law tails under multiplicative noise in one dimension: the Kesten index α > 0, P(|w| > r) ~ r^{−α} in the stationary law.

A factor G per tick makes |w| grow; α solves E|G|^α = 1 (Kesten 1973; the additive noise that keeps the law from collapsing does not matter). For SGD
G = m + s·z with s² = η²Σ₂, Σ(w) = … + Σ₂w² and z normal. For an SDE with drift −a·w and Q = … + q·w², α = 1 + 2a/q. With Σ₂ = λ²/B: SME-1 1 + 2B/x,
HA-SME 1 + B(2−x)/x. The tail is a large-deviation quantity (w^α with α ~ 1/x): a higher weak order does not bring a better index.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from torch import Tensor

from sgdsde.noise import Noise
from sgdsde.oracles.linear_models import gradient_terms, noise_covariance, sde_terms
from sgdsde.sde import SDE
from sgdsde.types import InputError, OracleRefusal, positive

#: larger indices are refused: no sample shows such a tail
_LARGEST = 200.0


def kesten_index(model: Noise | SDE, eta: float | None = None) -> float:
    """α of SGD with Gaussian noise of this covariance (a noise and η) or of an SDE, 1-D, quadratic loss, Σ a polynomial of degree two.

    Raises:
        InputError: η is missing for a noise, given for an SDE, or ≤ 0; the dimension is not 1.
        OracleRefusal: the covariance does not grow with w (Gaussian tails), the model has no stationary law (E log|G| ≥ 0), or α is above 200.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), lambda theta: (1.0 + theta**2)[:, :, None])
        >>> index = sg.oracles.kesten_index(noise, 0.5)
        >>> z = np.random.default_rng(0).standard_normal(200_000)
        >>> round(float(np.mean(np.abs(0.5 + 0.5 * z) ** index)), 1)  # α solves E|1 − ηλ + ηz|^α = 1
        1.0
    """
    if isinstance(model, Noise):
        if eta is None:
            raise InputError("kesten_index(noise, eta) needs the step size eta of the SGD that uses the noise.")
        return _of_chain(model, positive(eta, "eta"))
    if eta is not None:
        raise InputError(f"{type(model).__name__} knows its own eta; leave eta out.")
    return _index(model)


@singledispatch
def _index(model: object) -> float:
    raise InputError(f"{type(model).__name__} is no noise or SDE; wanted kesten_index(noise, eta) or kesten_index(sde).")


@_index.register
def _(model: SDE) -> float:
    _one_dimension(model.dim)
    terms = sde_terms(model)
    q = _slope(terms.diffusion.quadratic)
    index = 1 - 2 * float(terms.matrix[0, 0]) / q
    if index <= 0:
        raise OracleRefusal(f"{type(model).__name__}: 1 − 2A/q = {index:.3g} ≤ 0, the logarithm of |w| drifts upwards and there is no stationary law.")
    return _bounded(index)


def _of_chain(noise: Noise, eta: float) -> float:
    _one_dimension(noise.objective.dim)
    m = 1 - eta * float(gradient_terms(noise.objective)[0][0, 0])
    s = eta * _slope(noise_covariance(noise).quadratic) ** 0.5

    def log_moment(alpha: float) -> float:
        return float(np.log(_normal_mean(lambda z: np.abs(m + s * z) ** alpha, m, s)))

    drift = _normal_mean(lambda z: np.log(np.abs(m + s * z)), m, s)
    if drift >= 0:
        raise OracleRefusal(f"SGD: E log|1 − ηλ + noise| = {drift:.3g} ≥ 0, there is no stationary law.")
    low = high = 0.5
    while log_moment(low) >= 0:
        low /= 2
    while log_moment(high) < 0:
        high *= 2
        _bounded(high / 2)
    return _bounded(float(brentq(log_moment, low, high, xtol=1e-12)))


def _normal_mean(function: Callable[[float], float], m: float, s: float) -> float:
    """E function(z), z standard normal, with the kink at m + sz = 0 as a break point; the range reaches where a moment of order 200 has faded."""
    kink = -m / s
    breaks = sorted({-60.0, *(p for p in (kink, -1.0, 1.0, 5.0, -5.0, 15.0, -15.0) if abs(p) < 60), 60.0})
    density = (2 * np.pi) ** -0.5
    return sum(quad(lambda z: density * function(z) * np.exp(-z * z / 2), a, b, epsabs=1e-14, epsrel=1e-11, limit=200)[0] for a, b in pairwise(breaks))


def _slope(quadratic: Tensor | None) -> float:
    """Σ₂ or q > 0."""
    value = 0.0 if quadratic is None else float(quadratic[0, 0, 0, 0])
    if value <= 0:
        raise OracleRefusal("The noise does not grow with the parameter, so the stationary law has Gaussian tails and no Kesten index.")
    return value


def _one_dimension(dim: int) -> None:
    if dim != 1:
        raise InputError(f"The dimension is {dim}; the Kesten index is offered in one dimension.")


def _bounded(index: float) -> float:
    if index > _LARGEST:
        raise OracleRefusal(f"The Kesten index is above {_LARGEST:g}: no sample would show this tail.")
    return index
