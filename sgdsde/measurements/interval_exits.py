"""Mean exits from an interval around a stationary point of a 1-D quadratic, model over SGD, without Monte Carlo.

Units: η = 1 and σ = 1, so that x = ηλ is the curvature and distances are R/s, s = ησ. A model is watched on ``iterates`` (t = kη), ``continuous``, or
``shifted``: continuously, with the border moved outward by .5826·√(Qη). SGD is always watched at its iterates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.optimize
import torch

from sgdsde.measurement import Measured, exactly
from sgdsde.monitors import SHIFT
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import ExitLaw, sde_mean_exit, sgd_mean_exit, skeleton_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.sdes import HASME, SME1, SME2, SPF, EvenStepHASME
from sgdsde.types import Estimate

MODELS: dict[str, Any] = {"SME1": SME1, "SME2": SME2, "SPF": SPF, "HASME": HASME, "EvenStepHASME": EvenStepHASME}
NAMES = {"SGD": "SGD", "SME1": "SME-1", "SME2": "SME-2", "SPF": "SPF", "HASME": "HA-SME", "EvenStepHASME": "even-step HA-SME"}
ITERATES, CONTINUOUS, SHIFTED = "iterates", "continuous", "shifted"
CONVENTIONS = "1-D quadratic, Gaussian noise, float64; units η = 1, σ = 1: distances in s = ησ, times in steps; deterministic oracles"
#: the oracles' own error is a few units of rounding; no relative accuracy below this is claimed
FLOOR = 1e-10
#: the survival curves are compared down to this value
LEAST = 1e-3
#: and where SGD's mean exit is below so many steps
LONGEST = 1e9

Case = Mapping[str, float]


def noise_at(x: float) -> Gaussian:
    """The 1-D quadratic with ηλ = x at η = 1, with noise of variance 1."""
    return Gaussian(Quadratic([x]), 1.0)


def law_of(model: str, watch: str, case: Case) -> ExitLaw:
    """The exit law of a model, or of "SGD", from a case {x, low, high, start}."""
    noise, start, low, high = noise_at(case["x"]), case["start"], case["low"], case["high"]
    if model == "SGD":
        return sgd_mean_exit(noise, 1.0, start, Interval(low, high))
    sde = MODELS[model](noise, 1.0)
    if watch == ITERATES:
        return skeleton_mean_exit(sde, start, Interval(low, high))
    outward = SHIFT * math.sqrt(float(sde.diffusion(0.0, torch.zeros(1, 1, dtype=torch.float64)))) if watch == SHIFTED else 0.0
    return sde_mean_exit(sde, start, Interval(low - outward, high + outward))


def quotient(a: ExitLaw, b: ExitLaw) -> Estimate:
    """mean of a / mean of b, with the accuracy that both oracles state."""
    return exactly(a.mean / b.mean, a.mean / b.mean * (a.error + b.error + FLOOR))


def interval_exits(*, seed: int, level: float, cases: Mapping[str, Case], processes: Sequence[tuple[str, str]]) -> Measured:
    """``case/model/watch``: the model's mean exit over SGD's; ``case/model/iterates/curve``: the largest difference of the two survival curves
    P(τ > k) over k down to P = :data:`LEAST`, for means below :data:`LONGEST` steps; ``case/steps``: SGD's mean.
    """
    estimates: dict[str, Estimate] = {}
    for name, case in cases.items():
        sgd = law_of("SGD", ITERATES, case)
        estimates[f"{name}/steps"] = exactly(sgd.mean, sgd.mean * (sgd.error + FLOOR))
        for model, watch in processes:
            law = law_of(model, watch, case)
            estimates[f"{name}/{model}/{watch}"] = quotient(law, sgd)
            if watch == ITERATES and sgd.mean < LONGEST:
                last = math.ceil(sgd.mean - math.log(LEAST) / sgd.rate)
                k = np.unique(np.linspace(0, last, 400).round())
                estimates[f"{name}/{model}/{watch}/curve"] = exactly(float(np.abs(law.survival(k) - sgd.survival(k)).max()), FLOOR)
    return Measured(estimates, conventions=CONVENTIONS)


def watch_trend(*, seed: int, level: float, lines: Mapping[float, Sequence[float]]) -> Measured:
    """``x/R``: the log of HA-SME's ratio under continuous watch at R, less that at the distance before it in the line of x."""
    estimates: dict[str, Estimate] = {}
    for x, distances in lines.items():
        ratios = [_ratio("HASME", CONTINUOUS, x, distance) for distance in distances]
        for distance, near, far in zip(distances[1:], ratios, ratios[1:], strict=False):
            estimates[f"{x}/{distance}"] = exactly(math.log(far.value / near.value), 4 * FLOOR)
    return Measured(estimates, conventions=CONVENTIONS)


def exit_curves(*, seed: int, level: float, distances: Sequence[float], xs: Sequence[float], processes: Sequence[tuple[str, str]], title: str) -> Measured:
    """Panels only: the same ratios for exits from (−R, R), start 0, against x, one panel for each R/s."""
    panels = []
    for distance in distances:
        cases = [symmetric(x, distance) for x in xs]
        sgd = [law_of("SGD", ITERATES, case).mean for case in cases]
        series = []
        for model, watch in processes:
            ratio = np.array([law_of(model, watch, case).mean / mean for case, mean in zip(cases, sgd, strict=True)])
            series.append(Series(f"{model}", f"{NAMES[model]}, {watch}", np.asarray(xs), ratio, kind="band" if watch == ITERATES else "line"))
        panels.append(Panel(f"{title}, R/s = {distance:g}", "x = ηλ", "mean exit / SGD's", tuple(series), log="y", level=1.0))
    return Measured({}, panels=tuple(panels), conventions=CONVENTIONS)


def crossings(*, seed: int, level: float, distances: Sequence[float], early: float, late: float) -> Measured:
    """Where SME-1, watched continuously, meets SGD's mean exit: x* with ratio 1 between xR/s = 1.2 and 3, for each R/s.

    ``R/a``: x*R/s; ``R/early``, ``R/at``, ``R/late``: its ratio at early·x*, x*, late·x*, each also with ``/iterates``; ``R/at/HASME``: HA-SME at iterates.
    """
    estimates: dict[str, Estimate] = {}
    for distance in distances:
        # SME-1 is early at small a = xR and late at large a, see sgdsde.oracles.overshoot_factor
        crossing = scipy.optimize.brentq(
            lambda x, R=distance: math.log(_ratio("SME1", CONTINUOUS, x, R).value), 1.2 / distance, min(0.97, 3 / distance), xtol=1e-8
        )
        estimates[f"{distance:g}/a"] = exactly(crossing * distance, 1e-6)
        for place, factor in (("early", early), ("at", 1.0), ("late", late)):
            estimates[f"{distance:g}/{place}"] = _ratio("SME1", CONTINUOUS, factor * crossing, distance)
            estimates[f"{distance:g}/{place}/iterates"] = _ratio("SME1", ITERATES, factor * crossing, distance)
        estimates[f"{distance:g}/at/HASME"] = _ratio("HASME", ITERATES, crossing, distance)
    notes = tuple(f"R/s = {distance:g}: x* = {estimates[f'{distance:g}/a'].value / distance:.4f}" for distance in distances)
    return Measured(estimates, notes=notes, conventions=CONVENTIONS)


def symmetric(x: float, distance: float) -> dict[str, float]:
    """The case of a start in the middle of (−R, R)."""
    return {"x": x, "low": -distance, "high": distance, "start": 0.0}


def _ratio(model: str, watch: str, x: float, distance: float) -> Estimate:
    case = symmetric(x, distance)
    return quotient(law_of(model, watch, case), law_of("SGD", ITERATES, case))
