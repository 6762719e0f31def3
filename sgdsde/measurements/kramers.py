"""Kramers' and Eyring–Kramers' laws with their prefactors, for dX = −∇f dt + √(2T)dW watched continuously.

On the line the exact mean exit to the other minimum (scale function) over Kramers' law, and the next term of Laplace's method: with f″, f‴, f⁗ at the
minimum and of −f at the top,  exact/law = 1 + cT + O(T²),  c = Σ [5f‴²/(24f″³) − f⁗/(8f″²)].  In the plane and in space by splitting, through a pass that is
narrower than the valley, where the determinants of Eyring–Kramers' law decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sgdsde.kernels import Heun
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import FLOOR
from sgdsde.noises import Gaussian
from sgdsde.objectives import AsymmetricWell, DoubleWell, NarrowPass
from sgdsde.oracles import eyring_kramers, sde_mean_exit
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import HalfSpace, Interval
from sgdsde.sdes import Langevin
from sgdsde.splitting import rare_exit_time
from sgdsde.splitting_result import log_interval
from sgdsde.types import Estimate

#: time step of the paths; the tick between two looks as well
STEP = 0.04


def prefactor_on_the_line(*, seed: int, level: float, wells: Mapping[str, Mapping[str, float]], depths: Sequence[float]) -> Measured:
    """For each well {tilt, deeper} and depth ΔV/T: ``well/depth``, exact/Kramers; ``well/depth/next``, (exact/Kramers − 1)/(cT); ``well/depth/half``, the
    exact mean exit to the top, over Kramers' law for the other side.
    """
    estimates: dict[str, Estimate] = {}
    series = []
    for index, (name, well) in enumerate(wells.items()):
        objective = AsymmetricWell(well["tilt"])
        bottom, other = (objective.facts.minima[i][0] for i in ((0, 1) if well["deeper"] else (1, 0)))
        top = objective.facts.saddles[0][0]
        height = objective.facts.barrier if well["deeper"] else objective.shallow_barrier
        assert height is not None
        ratios = []
        for depth in depths:
            temperature = height / depth
            sde = Langevin(Gaussian(objective, 1.0), STEP, temperature=temperature)
            law = eyring_kramers(objective, [bottom], [top], temperature=temperature)
            across, uphill = (sde_mean_exit(sde, bottom, _side(bottom, end)) for end in (other, top))
            ratio = across.mean / law
            key = f"{name}/{depth:g}"
            estimates[key] = exactly(ratio, ratio * (across.error + FLOOR))
            estimates[f"{key}/half"] = exactly(uphill.mean / law, uphill.mean / law * (uphill.error + FLOOR))
            scale = next_term(bottom, top) * temperature
            estimates[f"{key}/next"] = exactly((ratio - 1) / scale, ratio * (across.error + FLOOR) / scale)
            ratios.append(ratio - 1)
        series.append(Series(f"well {index}", name, np.asarray(depths), np.array(ratios), kind="band"))
    panel = Panel("Kramers' law: what is left", "ΔV/T", "exact / law − 1", tuple(series), log="xy")
    return Measured(estimates, panels=(panel,), conventions="dX = −f′dt + √(2T)dW watched continuously, exit at the other minimum, float64")


def next_term(bottom: float, top: float) -> float:
    """c for x⁴/4 − x²/2 + tilt·x: f″ = 3x² − 1, f‴ = 6x, f⁗ = 6."""

    def at(second: float, third: float, fourth: float) -> float:
        return 5 * third**2 / (24 * second**3) - fourth / (8 * second**2)

    return at(3 * bottom**2 - 1, 6 * bottom, 6.0) + at(1 - 3 * top**2, -6 * top, -6.0)


def through_a_narrow_pass(*, seed: int, level: float, passes: Mapping[str, Mapping[str, Any]], effort: int, replicas: int) -> Measured:
    """For each pass {dim, narrowing, temperature}: ``pass``, the mean exit to the other minimum by splitting over Eyring–Kramers' law; ``pass/line``, over
    Kramers' law on the line.
    """
    estimates: dict[str, Estimate] = {}
    notes = []
    for offset, (name, case) in enumerate(passes.items()):
        objective, temperature = NarrowPass(case["dim"], narrowing=case["narrowing"]), case["temperature"]
        start, target = objective.facts.minima
        sde = Langevin(Gaussian(objective, 1.0), STEP, temperature=temperature)
        region = HalfSpace(target, 1.0)
        run = rare_exit_time(Heun(sde, STEP), list(start), region=region, effort=effort, replicas=replicas, seed=seed + offset, progress=False)
        rate = log_interval(run.replica_rates, level=level)
        law = eyring_kramers(objective, start, objective.facts.saddles[0], temperature=temperature)
        line = eyring_kramers(DoubleWell(), [-1.0], [0.0], temperature=temperature)
        for key, time in ((name, law), (f"{name}/line", line)):
            value = 1 / rate.value / time
            estimates[key] = Estimate(value, value * rate.stderr / rate.value, rate.n, 1 / rate.high / time, 1 / rate.low / time)
        notes.append(f"{name}: law {law:.4g}, on the line {line:.4g}; {run.evaluations:.3g} steps of paths, {len(run.levels)} levels")
    return Measured(estimates, notes=tuple(notes), conventions=f"dX = −∇f dt + √(2T)dW by stochastic Heun, dt = {STEP}, looked at each step, float64")


def _side(bottom: float, end: float) -> Interval:
    return Interval(-math.inf, end) if bottom < end else Interval(end, math.inf)
