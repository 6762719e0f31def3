"""Mean exits of SGD with symmetric α-stable noise from cosine wells of given width and height, and with Gaussian noise beside them.

Without Monte Carlo by Nyström's method; by paths where the noise is too small for its grid. Looked at iterates, start at the minimum, exit over either top.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sgdsde.exits import exit_times
from sgdsde.kernels import SGD
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.interval_exits import FLOOR
from sgdsde.measurements.region_exits import ratio_of_means
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian, SymmetricStable
from sgdsde.objectives import CosineWell
from sgdsde.oracles import sgd_mean_exit, stable_exit_steps
from sgdsde.plots.panel import Panel, Series
from sgdsde.regions import Interval
from sgdsde.stats import quantile_z
from sgdsde.types import Estimate

ETA = 0.1
#: {alpha, widths: two or more, heights: two, reference first}
Family = Mapping[str, Any]


def well_noise(law: float | str, width: float, height: float, step: float) -> Noise:
    """The noise in a well; ``law`` is α, or ``Gaussian``; ``step`` is ηγ (ησ for Gaussian noise)."""
    well = CosineWell(width=width, height=height)
    return Gaussian(well, (step / ETA) ** 2) if law == "Gaussian" else SymmetricStable(well, float(law), step / ETA)


def stable_exits(*, seed: int, level: float, families: Mapping[str, Family], steps: Sequence[float]) -> Measured:
    """``steps`` are ηγ over the narrowest width. For each family and step in falling order: ``family/step/slope/height``, d log Eτ/d log width from the first
    width to the last, over α; ``…/closer``: |it − 1| less that at the step before; ``family/step/height``, mean at the last height over that at the first,
    widest well; ``…/closer`` likewise; ``family/step/law``, mean over the small-noise law, last height, first width.
    """
    estimates: dict[str, Estimate] = {}
    series = []
    for index, (name, family) in enumerate(families.items()):
        widths, heights, alpha = family["widths"], family["heights"], family["alpha"]
        before: dict[str, float] = {}
        for step in steps:
            noise = step * widths[0]
            laws = {
                (w, h): sgd_mean_exit(well_noise(family.get("law", alpha), w, h, noise), ETA, 0.0, Interval(-w, w)) for w in (*widths,) for h in (*heights,)
            }
            error = sum(law.error for law in laws.values()) + FLOOR
            values = {}
            for h in heights:
                values[f"slope/{h:g}"] = math.log(laws[widths[-1], h].mean / laws[widths[0], h].mean) / math.log(widths[-1] / widths[0]) / alpha
            values["height"] = laws[widths[-1], heights[-1]].mean / laws[widths[-1], heights[0]].mean
            for key, value in values.items():
                estimates[f"{name}/{step:g}/{key}"] = exactly(value, error * value)
                if key in before:
                    estimates[f"{name}/{step:g}/{key}/closer"] = exactly(abs(value - 1) - before[key], 2 * error)
                before[key] = abs(value - 1)
            limit = stable_exit_steps(alpha, noise, widths[0], widths[0])
            estimates[f"{name}/{step:g}/law"] = exactly(laws[widths[0], heights[-1]].steps / limit, error)
        for h in heights:
            y = np.array([laws[w, h].steps for w in widths])
            series.append(Series(f"{name} {h}", f"{name}, height {h:g}", np.asarray(widths, dtype=float), y, kind="band"))
        if index == 0:
            y = np.array([stable_exit_steps(alpha, steps[-1] * widths[0], w, w) for w in widths])
            series.append(Series("law", f"law, slope {alpha:g}", np.asarray(widths, dtype=float), y))
    kind = "diffusion" if any("law" in family for family in families.values()) else "jumps"
    title = f"Exits by {kind}, noise a step {steps[-1]:g} of the narrowest width"
    panel = Panel(title, "width w", "mean exit [steps]", tuple(series), log="xy")
    return Measured(estimates, panels=(panel,), conventions=f"SGD, η = {ETA:g}, cosine wells, start at the minimum, looked at iterates, float64")


def stable_paths(*, seed: int, level: float, alpha: float, widths: Sequence[float], heights: Sequence[float], step: float, paths: int) -> Measured:
    """``slope``: d log Eτ/d log width from the first width to the last by paths, over α, at the first height; ``height``: the mean at the last height over
    that at the first, last width; ``law``: mean over the small-noise law, first height, last width.
    """
    found: dict[tuple[float, float], Estimate] = {}
    wanted = [(w, heights[0]) for w in widths] + [(widths[-1], heights[-1])]
    for number, (w, h) in enumerate(wanted):
        kernel = SGD(well_noise(alpha, w, h, step), ETA)
        limit = stable_exit_steps(alpha, step, w, w)
        run = exit_times(kernel, [0.0], region=Interval(-w, w), horizon=60 * limit * ETA, paths=paths, seed=seed + number, progress=False)
        found[w, h] = run.mean(level=level)
    last = widths[-1]
    estimates = {
        "slope": _slope(found[widths[0], heights[0]], found[last, heights[0]], last / widths[0], alpha, level),
        "height": ratio_of_means(found[last, heights[-1]], found[last, heights[0]], level=level),
    }
    limit, mean = stable_exit_steps(alpha, step, last, last) * ETA, found[last, heights[0]]
    estimates["law"] = Estimate(mean.value / limit, mean.stderr / limit, mean.n, mean.low / limit, mean.high / limit)
    notes = (f"{paths} paths each, ηγ = {step:g}; mean exits " + ", ".join(f"{e.value / ETA:.4g}" for e in found.values()) + " steps",)
    return Measured(estimates, notes=notes, conventions=f"SGD, η = {ETA:g}, cosine wells, looked at iterates, float64")


def _slope(a: Estimate, b: Estimate, ratio: float, alpha: float, level: float) -> Estimate:
    """log(b/a)/log ratio/α with its interval; the means are independent."""
    scale = math.log(ratio) * alpha
    spread = math.hypot(a.stderr / a.value, b.stderr / b.value) / scale
    return Estimate.normal(math.log(b.value / a.value) / scale, spread, min(a.n, b.n), quantile_z(level))
