"""Stationary variances on a quadratic, SDE model over SGD: from Lyapunov equations, and from paths.

All x = ηλ are simulated at once, as the axes of one diagonal quadratic with Σ = I. Paths start in SGD's stationary law, run a burn-in, and are then
averaged over time: a path's mean of squares is one sample, so that the standard error needs no assumption about correlation in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import heun_inflation, stationary_covariance, stationary_variance_ratio
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import HASME, SME1, SME2, SPF
from sgdsde.simulate import simulate
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

MODELS: dict[str, Any] = {"SME1": SME1, "SME2": SME2, "SPF": SPF, "HASME": HASME}
NAMES = {"SGD": "SGD", "SME1": "SME-1", "SME2": "SME-2", "SPF": "SPF", "HASME": "HA-SME"}
ETA = 0.1
#: relative accuracy of the Lyapunov solver, far above its rounding
ACCURACY = 1e-11
BURN_IN, AVERAGED = 30, 60


def key(model: str, x: float) -> str:
    """The key of one number."""
    return f"{model}, x = {x:.4g}"


def lyapunov_ratios(*, seed: int, level: float, xs: Sequence[float]) -> Measured:
    """Stationary variance of each model over SGD's, exactly."""
    noise = Gaussian(Quadratic(np.asarray(xs) / ETA), 1.0)
    sgd = stationary_covariance(noise, ETA).diagonal()
    estimates: dict[str, Estimate] = {}
    for name, model in MODELS.items():
        ratios = stationary_covariance(model(noise, ETA)).diagonal() / sgd
        estimates |= {key(name, x): exactly(float(ratio), ACCURACY) for x, ratio in zip(xs, ratios, strict=True)}
    return Measured(estimates, conventions=str(SGD(noise, ETA).conventions()))


def simulated_ratios(*, seed: int, level: float, xs: Sequence[float], paths: int, substeps: int) -> Measured:
    """The same from paths: SGD itself, and each model by stochastic Heun with ``substeps`` steps a tick, over SGD's exact variance."""
    noise = Gaussian(Quadratic(np.asarray(xs) / ETA), 1.0)
    sgd = stationary_covariance(noise, ETA).diagonal()
    kernels: dict[str, Kernel] = {"SGD": SGD(noise, ETA)} | {name: Heun(model(noise, ETA), ETA / substeps) for name, model in MODELS.items()}
    estimates: dict[str, Estimate] = {}
    for offset, (name, kernel) in enumerate(kernels.items()):
        squares = mean_squares(kernel, sgd, paths=paths, seed=seed + offset) / sgd.numpy()
        for i, x in enumerate(xs):
            estimates[key(name, x)] = mean_estimate(squares[:, i], level=level)
    bias = max(abs(heun_inflation(x, substeps) - 1) for x in xs)
    note = f"Heun with {substeps} steps a tick; its own bias is at most {100 * bias:.2g} % (HA-SME at the largest x); {paths} paths, {AVERAGED} iterates each"
    return Measured(estimates, panels=(_panel(xs, estimates),), notes=(note,), conventions=str(kernels["SGD"].conventions()))


def mean_squares(kernel: Kernel, variance: torch.Tensor, *, paths: int, seed: int) -> np.ndarray:
    """Per path the mean square of each coordinate over the averaged iterates, ``[paths, dim]``, from a start N(0, diag(variance))."""
    root = variance.sqrt()

    def start(count: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randn(count, len(root), generator=generator, dtype=torch.float64) * root

    ticks = range(BURN_IN + 1, BURN_IN + AVERAGED + 1)
    run = simulate(kernel, start, horizon=ticks[-1] * kernel.tick, save=[k * kernel.tick for k in ticks], paths=paths, seed=seed, progress=False)
    return (run.states**2).mean(0).numpy()


def _panel(xs: Sequence[float], estimates: dict[str, Estimate]) -> Panel:
    grid = np.linspace(0.01, 0.985, 120)
    order = np.argsort(xs)
    series = []
    for name, label in NAMES.items():
        if name != "SGD":
            series.append(Series(name, label, grid, np.array([stationary_variance_ratio(MODELS[name], float(x)) for x in grid])))
        found = [estimates[key(name, xs[i])] for i in order]
        value, low, high = (np.array([getattr(e, part) for e in found]) for part in ("value", "low", "high"))
        series.append(Series(name, label if name == "SGD" else "", np.asarray(xs)[order], value, low, high, kind="points"))
    return Panel("Stationary variance on a quadratic", "x = ηλ", "variance / SGD's", tuple(series), level=1.0)
