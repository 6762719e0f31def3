"""SVAG(l) against SME-1 on quadratics: stationary variances, and the law at a fixed time, as l grows.

A tick of SVAG is l steps of size η/l with noise covariance lΣ: x → x/l at the same diffusion per unit of time. Its stationary
variance is ησ²/(λ(2−x/l)), SME-1's ησ²/(2λ).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgdsde.kernels import SVAG
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import random_quadratic
from sgdsde.measurements.stationary_variance import mean_squares
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import kernel_moments, sde_moments, sgd_moments, stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import SME1
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

ETA = 0.1
#: relative accuracy of the Lyapunov solver, far above its rounding
ACCURACY = 1e-11
CONVENTIONS = f"Gaussian noise, constant covariance, float64, eta={ETA}"
#: iterate at which laws are compared
TICKS = 10


def variances(*, seed: int, level: float, xs: Sequence[float], amplifications: Sequence[int]) -> Measured:
    """``l/x``: SVAG(l)'s stationary variance over SME-1's; ``SGD/x``: SGD's over SME-1's."""
    noise = Gaussian(Quadratic(np.asarray(xs) / ETA), 1.0)
    sme1 = stationary_covariance(SME1(noise, ETA)).diagonal()
    estimates: dict[str, Estimate] = {}
    curves = []
    for amplification in amplifications:
        ratios = stationary_covariance(SVAG(noise, ETA, amplification)).diagonal() / sme1
        estimates |= {f"{amplification}/{x:.4g}": exactly(float(ratio), ACCURACY) for x, ratio in zip(xs, ratios, strict=True)}
        curves.append(ratios.numpy())
    sgd = stationary_covariance(noise, ETA).diagonal() / sme1
    estimates |= {f"SGD/{x:.4g}": exactly(float(ratio), ACCURACY) for x, ratio in zip(xs, sgd, strict=True)}
    l_axis, table = np.asarray(amplifications, dtype=float), np.array(curves)
    series = tuple(Series(f"x{i}", f"x = {x:.3g}", l_axis, table[:, i], kind="band") for i, x in enumerate(xs))
    panel = Panel("SVAG's stationary variance", "amplification l", "variance / SME-1's", series, log="x", level=1.0)
    return Measured(estimates, panels=(panel,), conventions=CONVENTIONS)


def simulated_variances(*, seed: int, level: float, xs: Sequence[float], amplifications: Sequence[int], paths: int) -> Measured:
    """``l/x`` from SVAG's paths, two stochastic gradients a step."""
    noise = Gaussian(Quadratic(np.asarray(xs) / ETA), 1.0)
    sme1 = stationary_covariance(SME1(noise, ETA)).diagonal()
    estimates: dict[str, Estimate] = {}
    for offset, amplification in enumerate(amplifications):
        squares = mean_squares(SVAG(noise, ETA, amplification), sme1, paths=paths, seed=seed + offset) / sme1.numpy()
        estimates |= {f"{amplification}/{x:.4g}": mean_estimate(squares[:, i], level=level) for i, x in enumerate(xs)}
    return Measured(estimates, notes=(f"{paths} paths",), conventions=CONVENTIONS)


def distances(*, seed: int, level: float, dims: Sequence[int], high: float, amplifications: Sequence[int]) -> Measured:
    """``d/l``: relative distance of SVAG(l)'s covariance at iterate 10 from SME-1's, on a random quadratic with Σ that does not commute; ``d/l/order``:
    the local slope between l and the one before it; ``d/SGD``: SGD's distance.
    """
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for dim in dims:
        problem = random_quadratic(rng, dim, low=0.05, high=high, rank=2 * dim, eta=ETA)
        noise = Gaussian(Quadratic(problem.hessian), problem.covariance)
        wanted = sde_moments(SME1(noise, ETA), problem.start, TICKS * ETA).covariance

        def distance(found: object, wanted: object = wanted) -> float:
            return float((found - wanted).norm() / wanted.norm())  # type: ignore[operator, attr-defined]

        gaps = [distance(kernel_moments(SVAG(noise, ETA, amplification), problem.start, TICKS).covariance) for amplification in amplifications]
        estimates |= {f"{dim}/{amplification}": exactly(gap, ACCURACY) for amplification, gap in zip(amplifications, gaps, strict=True)}
        estimates[f"{dim}/SGD"] = exactly(distance(sgd_moments(noise, ETA, problem.start, TICKS).covariance), ACCURACY)
        for i in range(1, len(gaps)):
            slope = np.log(gaps[i - 1] / gaps[i]) / np.log(amplifications[i] / amplifications[i - 1])
            estimates[f"{dim}/{amplifications[i]}/order"] = exactly(float(slope), 1e-6)
    return Measured(estimates, conventions=CONVENTIONS)
