"""What an integrator adds to a model's stationary variance on quadratics: exactly, from the integrated chain's own law, and from paths.

Euler–Maruyama with n steps a tick multiplies HA-SME's variance by 1/(1 − a/(2n)), a = |log(1−x)|, because the chain's factor per step is 1 − a/n and not
e^{−a/n}; Heun's factor is 1 + O((a/n)²). One Euler step a tick of SME-1 is SGD itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sgdsde.kernel import Kernel
from sgdsde.kernels import EulerMaruyama, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.stationary_variance import mean_squares
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import euler_inflation, heun_inflation, stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes import HASME, SME1
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

ETA = 0.1
#: relative accuracy of the Lyapunov solver, far above its rounding
ACCURACY = 1e-11
CONVENTIONS = f"Gaussian noise, constant covariance, float64, eta={ETA}"
INTEGRATORS = ("Euler", "Heun")
MODELS: dict[str, type[ModifiedEquation]] = {"SME1": SME1, "HASME": HASME}


def key(integrator: str, model: str, substeps: int, x: float) -> str:
    """The key of a variance over SGD's."""
    return f"{integrator}/{model}/{substeps}/{x:.4g}"


def exact_inflation(*, seed: int, level: float, xs: Sequence[float], substeps: Sequence[int]) -> Measured:
    """``integrator/model/n/x``: the integrated chain's stationary variance over SGD's."""
    estimates: dict[str, Estimate] = {}
    for n in substeps:
        for integrator in INTEGRATORS:
            for name, model in MODELS.items():
                ratios = _ratios(integrator, model, n, xs)
                estimates |= {key(integrator, name, n, x): exactly(float(ratio), ACCURACY) for x, ratio in zip(xs, ratios, strict=True)}
    return Measured(estimates, panels=(_panel(xs),), conventions=CONVENTIONS)


def ranking(*, seed: int, level: float, xs: Sequence[float], substeps: Mapping[str, int]) -> Measured:
    """``integrator/x``: the relative distance from SGD's variance of HA-SME, less that of SME-1, both by the integrator with its number of steps a tick;
    ``integrator/SME1/x``: SME-1's variance over SGD's.
    """
    estimates: dict[str, Estimate] = {}
    for integrator, n in substeps.items():
        hasme, sme1 = (_ratios(integrator, model, n, xs) for model in (HASME, SME1))
        for x, first, second in zip(xs, hasme, sme1, strict=True):
            estimates[f"{integrator}/{x:.4g}"] = exactly(abs(first - 1) - abs(second - 1), 2 * ACCURACY)
            estimates[f"{integrator}/SME1/{x:.4g}"] = exactly(second, ACCURACY)
    return Measured(estimates, conventions=CONVENTIONS)


def simulated_inflation(*, seed: int, level: float, xs: Sequence[float], substeps: Sequence[int], paths: int) -> Measured:
    """``Euler/HASME/n/x`` from paths."""
    noise = Gaussian(Quadratic(np.asarray(xs) / ETA), 1.0)
    sgd = stationary_covariance(noise, ETA).diagonal()
    estimates: dict[str, Estimate] = {}
    for offset, n in enumerate(substeps):
        squares = mean_squares(_kernel("Euler", HASME(noise, ETA), n), sgd, paths=paths, seed=seed + offset) / sgd.numpy()
        for i, x in enumerate(xs):
            estimates[key("Euler", "HASME", n, x)] = mean_estimate(squares[:, i], level=level)
    return Measured(estimates, notes=(f"{paths} paths",), conventions=CONVENTIONS)


def _ratios(integrator: str, model: type[ModifiedEquation], substeps: int, xs: Sequence[float]) -> list[float]:
    """Stationary variance of the integrated chain over SGD's, at each x."""
    noise = Gaussian(Quadratic(np.asarray(xs) / ETA), 1.0)
    V = stationary_covariance(_kernel(integrator, model(noise, ETA), substeps))
    return (V.diagonal() / stationary_covariance(noise, ETA).diagonal()).tolist()


def _kernel(integrator: str, sde: ModifiedEquation, substeps: int) -> Kernel:
    return EulerMaruyama(sde, ETA / substeps) if integrator == "Euler" else Heun(sde, ETA / substeps)


def _panel(xs: Sequence[float]) -> Panel:
    """The formulas over n at the largest x, both methods."""
    x, n = max(xs), 2.0 ** np.arange(1, 9)
    series = (
        Series("SME1", "Euler–Maruyama", n, np.array([abs(euler_inflation(x, int(k)) - 1) for k in n])),
        Series("HASME", "Heun", n, np.array([abs(heun_inflation(x, int(k)) - 1) for k in n])),
    )
    return Panel(f"What the integrator adds to HA-SME's variance, x = {x:.3g}", "steps a tick", "|variance / HA-SME's − 1|", series, log="xy")
