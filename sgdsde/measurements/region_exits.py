"""Exits of SGD and of HA-SME (or another model) from regions of the plane and of space, by paths: random quadratics, noise that does not commute with H.

Paths of the model come from stochastic Heun, which knows nothing of quadratics; both are looked at t = kη only. Compared are the means and the survival
curves P(τ > t). The integrator's own chain is held against SGD's by its exact covariance after one tick.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.exits import exit_times
from sgdsde.kernels import SGD, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import MODELS, NAMES
from sgdsde.measurements.random_quadratics import random_quadratic
from sgdsde.measurements.whitened import exact_variance_ratio
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import kernel_moments, sgd_moments, stationary_covariance
from sgdsde.plots.panel import Panel, Series
from sgdsde.region import Region
from sgdsde.regions import Ball, Box, HalfSpace, Sublevel, Where
from sgdsde.stats import quantile_z
from sgdsde.types import Estimate

#: where the survival curves are compared, in units of the scale time of the watch
QUANTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Hollow:
    """A disc with a bite: {|θ| < outer} without {|θ| ≤ inner, θ₁ ≤ 0}. It is not convex, and the minimum lies on the border of the bite."""

    inner: float
    outer: float

    def __call__(self, theta: Tensor) -> Tensor:
        r = theta.norm(dim=1)
        return (r < self.outer) & ((r > self.inner) | (theta[:, 0] > 0))


def region_exits(*, seed: int, level: float, cases: Mapping[str, Mapping[str, Any]], models: Mapping[str, Any], paths: int, substeps: int) -> Measured:
    """For each case {region, dim, low, high, width, problem_seed} and model: ``case/model/mean``, the mean exit over SGD's; ``case/model/curve/q``, the
    difference of P(τ > t) at the time where SGD's is 1 − q; ``case/model/bias``, the whitened variance of the integrator after one tick over SGD's.

    ``width`` sets the region's size in stationary standard deviations of SGD.
    """
    estimates: dict[str, Estimate] = {}
    panels, notes = [], []
    for offset, (name, case) in enumerate(cases.items()):
        problem = random_quadratic(
            np.random.default_rng(case["problem_seed"]), case["dim"], low=case["low"], high=case["high"], rank=2 * case["dim"], white=0.5
        )
        noise = Gaussian(Quadratic(problem.hessian), problem.covariance)
        region, start = _region(case["region"], noise, stationary_covariance(noise, problem.eta), case["width"])
        watch: dict[str, Any] = {"region": region, "paths": paths, "horizon": 4000 * problem.eta, "progress": False}
        sgd = exit_times(SGD(noise, problem.eta), start, seed=seed + 100 * offset, **watch)
        times = np.quantile(sgd.times.numpy(), QUANTILES)
        notes.append(f"{name}: SGD's mean exit {float(sgd.steps.double().mean()):.1f} steps")
        series = [_curve("SGD", sgd.steps.numpy(), problem.eta)]
        for model in models[name]:
            kernel = Heun(MODELS[model](noise, problem.eta), problem.eta / substeps)
            other = exit_times(kernel, start, seed=seed + 100 * offset + 1 + list(MODELS).index(model), **watch)
            estimates[f"{name}/{model}/mean"] = ratio_of_means(other.mean(level=level), sgd.mean(level=level), level=level)
            for q, t in zip(QUANTILES, times, strict=True):
                estimates[f"{name}/{model}/curve/{q}"] = share_difference(other.times.numpy() > t, sgd.times.numpy() > t, level=level)
            bias = exact_variance_ratio(kernel_moments(kernel, start, 1), sgd_moments(noise, problem.eta, start, 1))
            estimates[f"{name}/{model}/bias"] = exactly(bias, 1e-10)
            series.append(_curve(model, other.steps.numpy(), problem.eta))
        panels.append(Panel(name, "step k", "P(τ > k)", tuple(series)))
    notes.append(f"{paths} paths, stochastic Heun with {substeps} steps a tick, watched at iterates")
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions="Gaussian noise, constant covariance, η = 0.1, float64")


def ratio_of_means(a: Estimate, b: Estimate, *, level: float) -> Estimate:
    """a/b of two independent means of positive numbers; delta method on the log ratio."""
    value = a.value / b.value
    relative = math.hypot(a.stderr / a.value, b.stderr / b.value)
    factor = math.exp(quantile_z(level) * relative)
    return Estimate(value, value * relative, min(n for n in (a.n, b.n) if n), value / factor, value * factor)


def share_difference(a: np.ndarray, b: np.ndarray, *, level: float) -> Estimate:
    """The difference of two independent proportions, normal interval."""
    p, q = float(a.mean()), float(b.mean())
    stderr = math.sqrt(p * (1 - p) / len(a) + q * (1 - q) / len(b))
    return Estimate.normal(p - q, stderr, min(len(a), len(b)), quantile_z(level))


def _region(kind: str, noise: Gaussian, V: Tensor, width: float) -> tuple[Region, Tensor]:
    """The region and a start in it, sized by the stationary covariance V."""
    dim, origin, spread = V.shape[0], torch.zeros(V.shape[0], dtype=torch.float64), V.diagonal().sqrt()
    size = width * float(spread.norm())
    if kind == "ball":
        return Ball(origin, size), origin
    if kind == "box":  # off centre
        return Box(-0.8 * width * spread, 1.3 * width * spread), origin
    if kind == "half-space":
        normal = torch.linspace(1.0, -0.5, dim, dtype=torch.float64)
        return HalfSpace(normal, width * float((normal @ V @ normal).sqrt())), origin
    if kind == "sublevel":
        mean_loss = 0.5 * float((hessian(noise.objective, origin[None])[0] * V).sum())
        return Sublevel(noise.objective, width**2 * mean_loss), origin
    return Where(Hollow(0.4 * size, 1.2 * size)), torch.cat([origin.new_full((1,), 0.5 * size), origin[1:]])


def _curve(model: str, steps: np.ndarray, eta: float) -> Series:
    order = np.sort(steps)
    k = np.arange(0, int(np.quantile(steps, 0.98)) + 1, max(1, int(np.quantile(steps, 0.98) / 40)))
    survival = 1 - np.searchsorted(order, k, side="right") / len(order)
    half = 1.96 * np.sqrt(survival * (1 - survival) / len(order))
    return Series(model, NAMES[model], k, survival, survival - half, survival + half, kind="band")
