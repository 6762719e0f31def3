"""How SGD leaves saddles: the mean exit against the logarithmic law, exactly on the line and by paths in many dimensions; and the direction of exit.

Direction: θ₂/θ₁ at the exit shrinks like (s/R)^{1 − µ₂/µ₁} where −µ₁ < −µ₂ are the two lowest curvatures, stable directions like s/R.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from sgdsde.exit_result import ExitTimes
from sgdsde.exits import exit_times
from sgdsde.kernels import SGD, Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import FLOOR, MODELS, noise_at
from sgdsde.measurements.random_quadratics import rotation
from sgdsde.measurements.region_exits import ratio_of_means
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic, StrictSaddle
from sgdsde.oracles import saddle_steps, sgd_mean_exit, skeleton_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Ball, Interval
from sgdsde.stats import mean_estimate, proportion, quantile_z
from sgdsde.types import Estimate

#: a path counts as having left along a direction within this cosine of it
ALONG = 0.9
#: distance and noise of the direction study, in units of 1/µ₁
DISTANCE, SIGMA = 1.0, 0.1
#: SDE time after which nobody is left
LONG = 60.0


def saddle_law(*, seed: int, level: float, cases: Mapping[str, tuple[float, float]], rivals: Sequence[str]) -> Measured:
    """For each (m, R/s): ``case``, SGD's exact mean steps less the law's; ``case/SME1``, for the cases in ``rivals``, the same
    for SME-1 looked at iterates.
    """
    estimates: dict[str, Estimate] = {}
    by_growth: dict[float, list[tuple[float, float]]] = {}
    for name, (m, distance) in cases.items():
        noise, region, law = noise_at(1 - m), Interval(-distance, distance), saddle_steps(m, distance)
        exact = sgd_mean_exit(noise, 1.0, 0.0, region)
        estimates[name] = exactly(exact.steps - law, exact.steps * (exact.error + FLOOR))
        if name in rivals:
            model = skeleton_mean_exit(MODELS["SME1"](noise, 1.0), 0.0, region)
            estimates[f"{name}/SME1"] = exactly(model.steps - law, model.steps * (model.error + FLOOR))
        by_growth.setdefault(m, []).append((distance, exact.steps))
    return Measured(estimates, panels=(_law_panel(by_growth),), conventions="1-D saddle, Gaussian noise, units η = σ = 1, float64; deterministic oracle")


def saddle_paths(*, seed: int, level: float, dims: Sequence[int], growth: float, distance: float, stable: float, paths: int, substeps: int) -> Measured:
    """``d/steps``: SGD's mean steps from a saddle with one unstable direction and d − 1 stable ones to distance R, less the law's, by paths.

    ``SME1/steps``: the same for SME-1 in the first of the dimensions, by stochastic Heun.
    """
    estimates: dict[str, Estimate] = {}
    law = saddle_steps(growth, distance)
    for offset, dim in enumerate(dims):
        noise = Gaussian(StrictSaddle(dim, negative=growth - 1, positive=stable, quartic=0.0), 1.0)
        estimates[f"{dim}/steps"] = mean_estimate(_leave(SGD(noise, 1.0), dim, distance, paths, seed + offset).steps - law, level=level)
        if offset == 0:
            kernel = Heun(MODELS["SME1"](noise, 1.0), 1.0 / substeps)
            estimates["SME1/steps"] = mean_estimate(_leave(kernel, dim, distance, paths, seed + len(dims)).steps - law, level=level)
    return Measured(
        estimates, notes=(f"{paths} paths, m = {growth:g}, R/s = {distance:g}, law {law:.3f} steps",), conventions="Gaussian noise, η = σ = 1, float64"
    )


def time_slopes(*, seed: int, level: float, mus: Sequence[float], ratio: float, etas: Sequence[float]) -> Measured:
    """``µ/η``: 2µ × the slope of Eτ (SDE time, exact) in ln(1/η) between the η before and this one, at R/σ = ``ratio``; ``µ/η/nears``: |it − 1| less that
    before.
    """
    estimates: dict[str, Estimate] = {}
    series = []
    for index, mu in enumerate(mus):
        noise = Gaussian(Quadratic([-mu]), 1.0)
        found = [sgd_mean_exit(noise, eta, 0.0, Interval(-ratio, ratio)) for eta in etas]
        slopes = []
        for (eta, law), (next_eta, next_law) in pairwise(zip(etas, found, strict=True)):
            gap = math.log(eta / next_eta)
            value = 2 * mu * (next_law.mean - law.mean) / gap
            estimates[f"{mu:g}/{next_eta:g}"] = exactly(value, 2 * mu * (law.mean * (law.error + FLOOR) + next_law.mean * (next_law.error + FLOOR)) / gap)
            slopes.append(value)
        for (_, before), (eta, value) in pairwise(zip(etas[1:], slopes, strict=True)):
            estimates[f"{mu:g}/{eta:g}/nears"] = exactly(abs(value - 1) - abs(before - 1), 1e-8)
        series.append(Series(f"mu {index}", f"µ = {mu:g}", np.asarray(etas[1:]), np.array(slopes), kind="band"))
    panel = Panel("Slope of a saddle's mean exit in ln(1/η)", "η (the smaller of two)", "slope × 2µ", tuple(series), log="x", level=1.0)
    return Measured(estimates, panels=(panel,), conventions=f"1-D saddle, R/σ = {ratio:g}, times in SDE time, float64; deterministic oracle")


def directions(*, seed: int, level: float, saddles: Mapping[str, Mapping[str, Any]], etas: Sequence[float], paths: int) -> Measured:
    """For each saddle {dim, negative, positive, rotated}: ``saddle/η/share``, the share of exits within :data:`ALONG` of the lowest direction.

    ``saddle/η/side``: E sin² of the angle to it; ``saddle/falls``: that at the smallest η over that at the largest.
    """
    estimates: dict[str, Estimate] = {}
    series = []
    for number, (name, saddle) in enumerate(saddles.items()):
        dim = saddle["dim"]
        values = np.concatenate([-np.asarray(saddle["negative"], dtype=float), np.full(dim - len(saddle["negative"]), saddle["positive"])])
        basis = rotation(np.random.default_rng(saddle["rotated"]), dim) if saddle["rotated"] is not None else None
        objective = (
            StrictSaddle(dim, negative=saddle["negative"], positive=saddle["positive"], quartic=0.0) if basis is None else Quadratic((basis * values) @ basis.T)
        )
        lowest = torch.eye(dim, dtype=torch.float64)[0] if basis is None else torch.from_numpy(basis[:, 0].copy())
        sides = []
        for offset, eta in enumerate(etas):
            run = _leave(SGD(Gaussian(objective, SIGMA**2), eta), dim, DISTANCE, paths, seed + 100 * number + offset)
            cosine = (run.directions @ lowest).abs().numpy()
            estimates[f"{name}/{eta:g}/share"] = _share(int((cosine > ALONG).sum()), paths, level)
            estimates[f"{name}/{eta:g}/side"] = mean_estimate(1 - cosine**2, level=level)
            sides.append(estimates[f"{name}/{eta:g}/side"])
        estimates[f"{name}/falls"] = ratio_of_means(sides[-1], sides[0], level=level)
        value, low, high = (np.array([getattr(e, part) for e in sides]) for part in ("value", "low", "high"))
        series.append(Series(f"saddle {number}", name, np.asarray(etas), value, low, high, kind="points"))
    panel = Panel("How far exits are from the lowest direction", "η", "E sin²", tuple(series), log="xy")
    return Measured(estimates, panels=(panel,), notes=(f"{paths} paths each",), conventions=f"SGD, Gaussian noise, σ = {SIGMA:g}, R = {DISTANCE:g}, float64")


def _share(count: int, trials: int, level: float) -> Estimate:
    """A proportion with its exact interval; where all or none count, half the interval stands in for the standard error, which is not 0."""
    found = proportion(count, trials, level=level)
    return Estimate(found.value, found.stderr or (found.high - found.low) / (2 * quantile_z(level)), found.n, found.low, found.high)


def _leave(kernel: SGD | Heun, dim: int, distance: float, paths: int, seed: int) -> ExitTimes:
    start = torch.zeros(dim, dtype=torch.float64)
    return exit_times(kernel, start, region=Ball(start, distance), horizon=LONG / min(kernel.tick, 1.0), paths=paths, seed=seed, progress=False)


def _law_panel(by_growth: Mapping[float, Sequence[tuple[float, float]]]) -> Panel:
    series = []
    for index, (m, rows) in enumerate(sorted(by_growth.items())):
        if len(rows) < 2:
            continue
        distances, steps = np.array(sorted(rows)).T
        grid = np.geomspace(distances[0], distances[-1], 60)
        series.append(Series(f"growth {index}", "", grid, np.array([saddle_steps(m, float(r)) for r in grid])))
        series.append(Series(f"growth {index}", f"m = {m:g}", distances, steps, kind="points"))
    return Panel("Mean exit from a saddle", "R/s", "steps", tuple(series), log="x", note="lines: law; points: exact")
