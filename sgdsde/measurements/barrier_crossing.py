"""Mean exits in wells x⁴/4 − x²/2 + tilt·x looked at t = kη, model over SGD: over the barrier, and out of a neighbourhood of the minimum.

Without Monte Carlo: SGD by Nyström's method, models by e^{ηL} on spectral elements. Where ηλ ≥ 1 can be reached, the Hessian-aware models run with log="clip".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sgdsde.exits import exit_times
from sgdsde.kernels import Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import FLOOR, quotient
from sgdsde.measurements.interval_paths import WATCHED, over
from sgdsde.noises import Gaussian
from sgdsde.objectives import AsymmetricWell
from sgdsde.oracles import ExitLaw, sde_mean_exit, sgd_mean_exit, skeleton_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.sde import SDE
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SME3, SPF
from sgdsde.types import Estimate

MODELS: dict[str, Any] = {"SME1": SME1, "SME2": SME2, "SPF": SPF, "HASME": HASME, "SME3": SME3, "HASME3": HASME3}
NAMES = {"SME1": "SME-1", "SME2": "SME-2", "SPF": "SPF", "HASME": "HA-SME", "SME3": "SME-3", "HASME3": "HA-SME-3"}
LOGARITHMIC = ("SPF", "HASME", "HASME3")
#: relative accuracy asked of the models' oracle: kinks of the clip cost accuracy
TOLERANCE = 1e-5
CONVENTIONS = "1-D double well, Gaussian noise of constant variance, looked at t = kη, float64; ηλ clipped at .99 in SPF, HA-SME, HA-SME-3"

#: {eta, sigma, tilt}, and radius where the exit is from (minimum − radius, minimum + radius)
Problem = Mapping[str, float]


def exits_from_well(*, seed: int, level: float, problems: Mapping[str, Problem], models: Sequence[str]) -> Measured:
    """``problem/model``: the model's mean exit over SGD's; ``problem/model:rival``: |log of it| less the rival's; ``problem/HASME/continuous``: HA-SME watched
    continuously over SGD; ``problem/steps``: SGD's mean in steps.
    """
    estimates: dict[str, Estimate] = {}
    notes = []
    for name, problem in problems.items():
        noise, start, region = _well(problem)
        sgd = sgd_mean_exit(noise, problem["eta"], start, region)
        estimates[f"{name}/steps"] = exactly(sgd.steps, sgd.steps * (sgd.error + FLOOR))
        errors: dict[str, Estimate] = {}
        for model in models:
            law = skeleton_mean_exit(_model(model, noise, problem["eta"]), start, region, tolerance=TOLERANCE)
            estimates[f"{name}/{model}"] = quotient(law, sgd)
            errors[model] = exactly(abs(math.log(law.mean / sgd.mean)), law.error + sgd.error + FLOOR)
        for model, error in errors.items():
            for rival, other in errors.items():
                if model != rival:
                    gap = (error.high - error.low + other.high - other.low) / 2
                    estimates[f"{name}/{model}:{rival}"] = exactly(error.value - other.value, gap)
        estimates[f"{name}/HASME/continuous"] = quotient(sde_mean_exit(_model("HASME", noise, problem["eta"]), start, region), sgd)
        notes.append(f"{name}: SGD's mean exit {sgd.steps:.4g} steps; " + ", ".join(f"{NAMES[m]} {estimates[f'{name}/{m}'].value:.3f}" for m in models))
    return Measured(estimates, notes=tuple(notes), conventions=CONVENTIONS)


def along(*, seed: int, level: float, problems: Mapping[str, Problem], models: Sequence[str], axis: str, title: str, x_label: str) -> Measured:
    """A panel only: the ratios of :func:`exits_from_well` against one of the problem's numbers."""
    found = exits_from_well(seed=seed, level=level, problems=problems, models=models).estimates
    x = np.array([problem[axis] for problem in problems.values()])
    series = tuple(Series(model, NAMES[model], x, np.array([found[f"{name}/{model}"].value for name in problems]), kind="band") for model in models)
    return Measured({}, panels=(Panel(title, x_label, "mean exit / SGD's", series, log="xy", level=1.0),), conventions=CONVENTIONS)


def well_paths(*, seed: int, level: float, problems: Mapping[str, Problem], models: Sequence[str], paths: int, substeps: int) -> Measured:
    """``problem/model``: E min(τ, T) by paths (stochastic Heun) over SGD's exact one, T twice SGD's mean exit."""
    estimates: dict[str, Estimate] = {}
    notes = [f"{paths} paths, stochastic Heun with {substeps} steps a tick"]
    for number, (name, problem) in enumerate(problems.items()):
        noise, start, region = _well(problem)
        eta = problem["eta"]
        sgd = sgd_mean_exit(noise, eta, start, region)
        ticks = math.ceil(WATCHED * sgd.steps)
        for offset, model in enumerate(models):
            kernel = Heun(_model(model, noise, eta), eta / substeps)
            run = exit_times(kernel, [start], region=region, horizon=ticks * eta, paths=paths, seed=seed + 10 * number + offset, progress=False)
            estimates[f"{name}/{model}"] = over(run.restricted_mean(run.horizon, level=level), restricted(sgd, ticks))
            clipped = run.tally.counts.get("log clipped", 0)
            notes.append(f"{name}, {NAMES[model]}: {clipped} evaluations clipped" if clipped else f"{name}, {NAMES[model]}: nothing clipped")
    return Measured(estimates, notes=tuple(notes), conventions=CONVENTIONS)


def restricted(law: ExitLaw, ticks: int) -> float:
    """E min(τ, T) of a law looked at ticks, T = ``ticks`` of them: η·Σ_{k<T/η} P(τ > kη)."""
    assert law.tick is not None
    return law.tick * float(law.survival(law.tick * np.arange(float(ticks))).sum())


def _well(problem: Problem) -> tuple[Gaussian, float, Interval]:
    """The noise, the deeper minimum as start, and the region: its side of the top, or its neighbourhood."""
    objective = AsymmetricWell(problem["tilt"])
    bottom, top = objective.facts.minima[0][0], objective.facts.saddles[0][0]
    noise = Gaussian(objective, problem["sigma"] ** 2)
    if "radius" in problem:
        return noise, bottom, Interval(bottom - problem["radius"], bottom + problem["radius"])
    return noise, bottom, Interval(-math.inf, top) if bottom < top else Interval(top, math.inf)


def _model(name: str, noise: Gaussian, eta: float) -> SDE:
    sde: SDE = MODELS[name](noise, eta, log="clip") if name in LOGARITHMIC else MODELS[name](noise, eta)
    return sde
