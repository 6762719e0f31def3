"""Large-deviation exponents of escape: log Eτ ≈ W as the noise vanishes, W the cheapest way out.

A one-dimensional SDE: W = ∫(−2b/Q)₊dx from the minimum to the border (for SME-1 2ΔV/(ησ²)). SGD, whose step size is the small parameter:
W = (1/η)∫p dx with p(x) ≠ 0 the root of log E e^{p(−g−ξ)} = 0 (Freidlin, Wentzell, Random Perturbations of Dynamical Systems, ch. 5): 2g/σ² for
Gaussian noise and for no other; infinite where bounded noise cannot climb. Linear drift in d dimensions: W = min over the border of
½(y−c)ᵀV⁻¹(y−c), V the stationary covariance.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.optimize
import torch

from sgdsde.noise import Noise
from sgdsde.oracles.coefficients import sgd_field
from sgdsde.oracles.elements import line_values
from sgdsde.oracles.exit_sde import line_coefficients
from sgdsde.oracles.laws import ExponentialLaw, GaussianLaw, Law, TwoPointLaw
from sgdsde.region import Bordered, Region
from sgdsde.regions import Ball, Box, HalfSpace, Interval
from sgdsde.sde import SDE
from sgdsde.types import DomainError, InputError, OracleRefusal, positive

_NODES, _PIECES = 16, 64


def sde_exponent(sde: SDE, start: float, end: float) -> float:
    """W = ∫ max(0, ∓2b/Q) dx along the line from ``start`` (a minimum) to ``end``: log Eτ ≈ W for small noise.

    Raises:
        InputError: the SDE is not one-dimensional.
        OracleRefusal: the model does not exist on the way, or its noise vanishes there.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 1.0)
        >>> round(sg.oracles.sde_exponent(sg.sdes.SME1(noise, 0.1), -1.0, 0.0), 9)  # 2ΔV/(ησ²) = 0.5/0.1
        5.0
    """
    if sde.dim != 1:
        raise InputError(f"The SDE has dimension {sde.dim}; in d dimensions use linear_exponent.")
    x, w = _path(start, end)
    b, Q = line_values(line_coefficients(sde), x, type(sde).__name__)
    return float((np.maximum(-2 * b * math.copysign(1.0, end - start) / Q, 0.0) * w).sum())


def sgd_exponent(noise: Noise, eta: float, start: float, end: float, *, law: Law | None = None) -> float:
    """W = (1/η)∫p dx of SGD from a minimum to ``end``, for noise √Σ·ζ with ζ of the given law (default Gaussian); inf where it cannot climb.

    Raises:
        InputError: the objective is not one-dimensional.
        OracleRefusal: no moment generating function is known for the law, or the noise vanishes on the way.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> round(sg.oracles.sgd_exponent(noise, 0.1, 0.0, 1.0), 9)  # ∫2g/(ησ²)dx = 1/0.1, what SME-1 says too
        10.0
    """
    if noise.objective.dim != 1:
        raise InputError(f"The objective has dimension {noise.objective.dim}; in d dimensions use linear_exponent.")
    law, sign = law or GaussianLaw(), math.copysign(1.0, end - start)
    field = sgd_field(noise, positive(eta, "eta"))
    x, w = _path(start, end)
    b, Q = field(x[:, None])
    uphill, spread = -sign * b[:, 0], np.sqrt(Q[:, 0, 0] / eta)
    if not (spread > 0).all():
        raise OracleRefusal(f"The noise vanishes at {x[~(spread > 0)][0]:.4g}; the exponent needs noise along the way.")
    tilts = np.array([_tilt(law, float(g), float(s), sign) for g, s in zip(uphill, spread, strict=True)])
    return float((tilts * w).sum() / eta)


def linear_exponent(process: SDE | tuple[Noise, float], region: Region) -> float:
    """W = min over the region's border of ½(y−c)ᵀV⁻¹(y−c), for linear drift with a stable fixed point c inside.

    Args:
        process: a linear SDE, or (noise, eta) for SGD with Gaussian noise on a quadratic (its own V, from V = MVM + η²Σ).
        region: ``HalfSpace``, ``Box`` or ``Interval`` around c; a ``Ball`` around c itself.

    Raises:
        InputError: another region.
        DomainError: the process is not linear, not stable, or its fixed point lies outside.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0, 4.0]), 1.0)
        >>> half = sg.regions.HalfSpace([1.0, 0.0], 1.0)
        >>> round(sg.oracles.linear_exponent((noise, 0.1), half), 9)  # R²/(2V), V = η/(2 − η)
        9.5
    """
    center, V = _stationary(process)
    point = torch.from_numpy(center)[None]
    if not bool(region.inside(point)[0]):
        raise DomainError(f"The fixed point {center.tolist()} lies outside the region.")
    if isinstance(region, Ball):
        if not np.allclose(region.center.numpy(), center, atol=1e-12):
            raise InputError("linear_exponent takes a ball around the fixed point; for another one use a half-space at its nearest point as a bound.")
        return region.radius**2 / (2 * float(np.linalg.eigvalsh(V)[-1]))
    if isinstance(region, (HalfSpace, Box, Interval)):
        return _faces(region, point, V)
    raise InputError(f"linear_exponent knows HalfSpace, Box, Interval and Ball; got {type(region).__name__}.")


def relaxation_time(process: SDE | tuple[Noise, float]) -> float:
    """The SDE time in which a linear process forgets its start: 1/min Re λ of the drift −λ, or −η/log of the slowest mode's |1 − ηλ| for (noise, eta).

    Raises:
        DomainError: the process is not linear, or not stable.
    """
    if isinstance(process, SDE):
        affine = process.affine()
        if affine is None:
            raise DomainError(f"{type(process).__name__} is not linear here.")
        slowest = -float(np.linalg.eigvals(affine[0].numpy()).real.max())
    else:
        noise, eta = process
        if not noise.objective.facts.constant_hessian:
            raise DomainError("The objective is not quadratic.")
        field, d = sgd_field(noise, eta), noise.objective.dim
        A = (field(np.eye(d))[0] - field(np.zeros((1, d)))[0]).T
        size = float(np.abs(np.linalg.eigvals(np.eye(d) + eta * A)).max())
        slowest = -math.log(size) / eta if size > 0 else math.inf
    if not slowest > 0:
        raise DomainError("The drift is not stable; it forgets nothing.")
    return max(1 / slowest, 1e-300)


def _faces(region: Bordered, point: torch.Tensor, V: np.ndarray) -> float:
    """Flat faces at distance h with normal n: min h²/(2nᵀVn)."""
    h, n = region.distances(point)[0].numpy(), region.normals(point)[0].numpy()
    costs = [gap**2 / (2 * normal @ V @ normal) if normal @ V @ normal > 0 else math.inf for gap, normal in zip(h, n, strict=True)]
    return float(min(costs))


def _stationary(process: Any) -> tuple[np.ndarray, np.ndarray]:
    """Fixed point and stationary covariance."""
    if isinstance(process, SDE):
        affine = process.affine()
        if affine is None:
            raise DomainError(f"{type(process).__name__} is not linear here; linear_exponent needs constant Hessian and covariance.")
        A, c, Q = (part.numpy() for part in affine)
        if np.linalg.eigvals(A).real.max() >= 0:
            raise DomainError("The drift is not stable; there is no well to escape from.")
        return np.linalg.solve(A, -c), scipy.linalg.solve_continuous_lyapunov(A, -Q)
    noise, eta = process
    if not (noise.objective.facts.constant_hessian and noise.constant_covariance):
        raise DomainError("linear_exponent needs a quadratic objective with constant covariance.")
    field, d = sgd_field(noise, eta), noise.objective.dim
    at_zero, Q = field(np.zeros((1, d)))
    A = (field(np.eye(d))[0] - at_zero).T
    M = np.eye(d) + eta * A
    if np.abs(np.linalg.eigvals(M)).max() >= 1:
        raise DomainError("SGD is not stable at this eta; there is no well to escape from.")
    return np.linalg.solve(A, -at_zero[0]), scipy.linalg.solve_discrete_lyapunov(M, eta * Q[0])


def _path(start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    if not (math.isfinite(start) and math.isfinite(end)) or start == end:
        raise InputError(f"start = {start}, end = {end}; wanted two different finite points.")
    z, w = np.polynomial.legendre.leggauss(_NODES)
    borders = np.linspace(start, end, _PIECES + 1)
    half = np.diff(borders) / 2
    return ((borders[:-1] + half)[:, None] + half[:, None] * z).ravel(), (np.abs(half)[:, None] * w).ravel()


def _tilt(law: Law, g: float, s: float, sign: float) -> float:
    """The root p > 0 of Λ(−sign·p·s) = p·g, Λ = log E e^{·ζ}; 0 downhill, inf where the noise cannot climb."""
    if g <= 0:
        return 0.0

    def excess(p: float) -> float:
        return log_moment(law, -sign * p * s) - p * g

    high = 2 * g / s**2
    while excess(high) <= 0:  # convex in p, negative just above 0
        high *= 2
        if high * s > 1e6:
            return math.inf
    low = high / 2
    while excess(low) > 0:
        low /= 2
    return float(scipy.optimize.brentq(excess, low, high, xtol=1e-14 * high, rtol=1e-13))


@singledispatch
def log_moment(law: Law, u: float) -> float:
    """Λ(u) = log E e^{uζ}.

    Raises:
        OracleRefusal: it is not known for this law.
    """
    raise OracleRefusal(f"The moment generating function of {type(law).__name__} is not known here.")


@log_moment.register
def _(law: GaussianLaw, u: float) -> float:
    return u * u / 2


@log_moment.register
def _(law: TwoPointLaw, u: float) -> float:
    values, weights = law.quadrature(1)
    return float(np.logaddexp.reduce(np.log(weights) + u * values))


@log_moment.register
def _(law: ExponentialLaw, u: float) -> float:
    return -u - math.log1p(-u) if u < 1 else math.inf
