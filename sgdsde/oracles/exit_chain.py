"""Exit of SGD from an interval, without Monte Carlo: u(θ) = 1 + ∫_D p(θ, y)u(y)dy for the chain θ⁺ = θ − ηg(θ) − ηξ.

Gaussian noise: p(θ, ·) = N(θ − ηg, η²Σ(θ)) is smooth, so Nyström's method on Gauss–Legendre panels a few noise widths wide converges
spectrally; exit probabilities come from erfc and the linear system is solved without cancellation (:mod:`killed_chain`), so that means of 10³⁰
steps are as accurate as short ones. Noise that takes finitely many values: :mod:`exit_atoms`; heavy tails: :mod:`exit_stable`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtr

from sgdsde.given import own
from sgdsde.noise import GaussianNoise, Noise, as_noise
from sgdsde.noises.stable import SymmetricStable
from sgdsde.oracles.coefficients import sgd_field
from sgdsde.oracles.exit_atoms import atoms_mean_exit, branches
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.exit_stable import stable_mean_exit
from sgdsde.oracles.killed_chain import KilledChain
from sgdsde.oracles.laws import GaussianLaw, Law
from sgdsde.oracles.panels import edges, gauss
from sgdsde.region import Region
from sgdsde.regions.interval import Interval, as_interval
from sgdsde.types import InputError, OracleRefusal, expected, positive

Array = np.ndarray
#: points [P] → mean and standard deviation of the next iterate
Transition = Callable[[Float[Array, " P"]], tuple[Float[Array, " P"], Float[Array, " P"]]]

#: panels of 16 nodes on the finest grid
MAX_PANELS = 160
#: panel width in units of the noise (seen through the slope of the step, where that is above 2)
_WIDTH = 2.4
#: nodes a panel, on the coarser and the finer grid
_ORDERS = (12, 16)
_WIDENINGS, _PATIENCE = 24, 8


def sgd_mean_exit(noise: Noise, eta: float, theta0: Any, region: Region, *, law: Law | None = None, tolerance: float | None = None) -> ExitLaw:
    """Mean exit time and survival curve of SGD on a one-dimensional objective, watched at iterates.

    Args:
        noise: supplies g and Σ, and the law of ξ: Gaussian noises, symmetric stable ones, minibatches (all their values are
            listed), or ``law``.
        theta0: the start point, inside the region.
        region: an interval of the line (``Interval``, or a one-dimensional ``HalfSpace``, ``Ball``, ``Box``); half-lines are widened until
            nothing changes.
        law: ξ = √Σ(θ)·ζ with this law of ζ (``sg.oracles.laws``) in place of the noise's own.
        tolerance: relative accuracy of the mean that is promised; 1e-6 for Gaussian noise, 1e-3 for noise of finitely many values.

    Raises:
        InputError: the objective is not one-dimensional, or the start lies outside.
        OracleRefusal: the grid cannot resolve the noise, two grids differ by more than the tolerance, or the law of ξ is not covered.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> law = sg.oracles.sgd_mean_exit(noise, 1.0, [0.0], sg.regions.Interval(-1.0, 1.0))
        >>> inside = math.erf(1 / math.sqrt(2))  # ηλ = 1: every iterate is a fresh N(0, 1)
        >>> round(law.mean * (1 - inside), 6)
        1.0
    """
    eta = positive(eta, "eta")
    start, interval = line_problem(as_noise(noise).objective.dim, theta0, region)
    if law is not None:
        expected(law, Law, "law", "for example sg.oracles.TwoPointLaw(0.5)")

    def wanted(default: float) -> float:
        return default if tolerance is None else positive(tolerance, "tolerance")

    if isinstance(noise, SymmetricStable):
        if law is not None:
            raise InputError(f"SymmetricStable noise has its own law; law={law!r} was given beside it. Leave law out.")
        return stable_mean_exit(noise, eta, start, interval, tolerance=wanted(1e-6))
    if law is None and not isinstance(noise, GaussianNoise):
        return atoms_mean_exit(branches(noise, eta), eta, start, interval, tolerance=wanted(1e-3))
    if law is not None and not isinstance(law, GaussianLaw):
        return atoms_mean_exit(branches(noise, eta, law), eta, start, interval, tolerance=wanted(1e-3))
    return gaussian_chain_exit(sgd_transition(noise, eta), eta, start, interval, tolerance=wanted(1e-6), what=f"SGD with eta = {eta:g}")


def sgd_transition(noise: Noise, eta: float) -> Transition:
    """θ ↦ (θ − ηg, η√Σ)."""
    field = sgd_field(noise, eta)

    def transition(x: Array) -> tuple[Array, Array]:
        b, Q = field(x[:, None])
        return x + eta * b[:, 0], np.sqrt(eta * Q[:, 0, 0])

    return transition


def gaussian_chain_exit(transition: Transition, tick: float, start: float, interval: Interval, *, tolerance: float, what: str) -> ExitLaw:
    """The exit law of a chain whose step is Gaussian with the mean and deviation that ``transition`` gives.

    Raises:
        OracleRefusal: see :func:`sgd_mean_exit`.
    """

    def solve(low: float, high: float, order: int) -> KilledChain:
        return _chain(transition, tick, start, low, high, order, what)

    least = 3 * float(transition(np.array([start]))[1][0])
    low, high = finite_ends(lambda a, b: solve(a, b, _ORDERS[0]).start(), start, interval, least=least, tolerance=tolerance, what=what)
    coarse, chain = solve(low, high, _ORDERS[0]).start()[0], solve(low, high, _ORDERS[1])
    mean, below, above = chain.start()
    if math.isinf(mean) or math.isinf(coarse):
        raise OracleRefusal(f"{what}: the mean exit is beyond 1e300 steps. Its exponent: sg.oracles.sgd_exponent, sde_exponent or linear_exponent.")
    error = abs(coarse / mean - 1)
    if not error <= tolerance:
        raise OracleRefusal(
            f"{what}: two grids differ by {error:.1e}; wanted {tolerance:.1e}. The noise changes its size too fast for the grid; simulate instead."
        )
    return ExitLaw(mean * tick, tick, {-1: below, 1: above}, error, chain)


def finite_ends(
    leave: Callable[[float, float], tuple[float, float, float]], start: float, interval: Interval, *, least: float, tolerance: float, what: str
) -> tuple[float, float]:
    """The interval itself, or with an infinite end replaced by one so far out (at least ``least``) that the process practically never leaves there.

    ``leave`` gives (mean, P(low), P(high)) of a finite interval.

    Raises:
        OracleRefusal: the process keeps leaving through the cut, so it wanders off to infinity.
    """
    low, high = interval.low, interval.high
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    reach, lost = max(0.5 * (high - start if math.isinf(low) else start - low), least), 1.0
    for widening in range(_WIDENINGS):
        ends = (start - reach, high) if math.isinf(low) else (low, start + reach)
        lost = leave(*ends)[1 if math.isinf(low) else 2]
        if 0 <= lost <= tolerance * 1e-2:
            return ends
        if widening >= _PATIENCE and lost > 0.01:
            break
        reach *= 1.25
    raise OracleRefusal(
        f"{what}: with the half-line cut at a distance of {reach:.3g} the process still leaves there with probability {lost:.1e}. Give a finite interval."
    )


def line_problem(dim: int, theta0: Any, region: Region) -> tuple[float, Interval]:
    """The start and the interval of a one-dimensional exit problem.

    Raises:
        InputError: the dimension is not 1, the start is no number or lies outside.
    """
    if dim != 1:
        raise InputError(f"The exit oracles are one-dimensional; the objective has dimension {dim}. Use sg.exit_times, or sg.oracles.escape for d dimensions.")
    interval = as_interval(region)
    point = own(theta0, "theta0").to(torch.float64).reshape(-1)
    start = float(point[0]) if point.numel() == 1 else math.nan
    if not interval.low < start < interval.high:
        raise InputError(f"theta0 = {theta0!r} does not lie inside ({interval.low:g}, {interval.high:g}); wanted one start point inside the region.")
    return start, interval


def _chain(transition: Transition, tick: float, start: float, low: float, high: float, order: int, what: str) -> KilledChain:
    def panel(x: Array) -> Array:
        mean, s = transition(x)
        if not (np.isfinite(s).all() and (s > 0).all()):
            bad = x[~(np.isfinite(s) & (s > 0))][0]
            raise OracleRefusal(f"{what}: the noise vanishes or is not finite at {bad:.4g}, where no grid can resolve it; simulate instead.")
        # u(θ) varies over the distance in θ that moves the next iterate by a noise width
        return _WIDTH * s / np.maximum(1.0, np.abs(np.gradient(mean, x)) / 2)

    x, w = gauss(edges(low, high, panel, limit=MAX_PANELS, what=what), order)
    points = np.append(x, start)
    mean, s = transition(points)
    if not np.isfinite(mean).all():
        raise OracleRefusal(f"{what}: the model does not exist at {points[~np.isfinite(mean)][0]:.4g}, inside the region.")
    rows = np.exp(-0.5 * ((x - mean[:, None]) / s[:, None]) ** 2) * w / (math.sqrt(2 * math.pi) * s[:, None])  # [N+1, N]
    exits = np.column_stack([ndtr((low - mean) / s), ndtr((mean - high) / s)])
    defect = float(np.abs(rows.sum(1) + exits.sum(1) - 1).max())
    if defect > 1e-7:
        raise OracleRefusal(f"{what}: the grid loses {defect:.1e} of the probability of a step: the noise is narrower where it lands than where it starts.")
    return KilledChain(rows[:-1], exits[:-1], rows[-1], exits[-1], tick)
