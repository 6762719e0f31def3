"""Exit of a one-dimensional SDE from an interval when it is watched at t = kη only, without Monte Carlo: what compares with SGD.

Linear SDEs: the exact Gaussian transition over η is a chain like SGD's (:mod:`exit_chain`). Others: P = e^{ηL} on spectral elements over the interval
and its surroundings (a path may leave and come back between two looks), and u = 1 + P(χu) with χ the indicator of the interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float

from sgdsde.kernels.exact_ou import transition
from sgdsde.oracles.elements import LineCoefficients, generator, line_values, resolve
from sgdsde.oracles.exit_chain import finite_ends, gaussian_chain_exit, line_problem
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.exit_sde import line_coefficients, slowest_rate
from sgdsde.oracles.killed_chain import survival_curve
from sgdsde.oracles.panels import edges
from sgdsde.region import Region
from sgdsde.sde import SDE, as_sde
from sgdsde.types import InputError, OracleRefusal, positive

Array = np.ndarray
MAX_ELEMENTS = 120
#: element width in units of √(Qη); halved until two grids agree, while there are at most so many nodes
_WIDTH, _MAX_NODES = 2.0, 1000
#: polynomial degree of the elements, and the width (likewise in units of √(Qη)) down to which kinks of the model are closed in on
_DEGREE, _FINEST = 8, 0.05
#: how far beyond the interval a path is followed between two looks, in units of √(Qη)
_MARGIN = 10.0


def skeleton_mean_exit(sde: SDE, theta0: Any, region: Region, *, tick: float | None = None, tolerance: float = 1e-6) -> ExitLaw:
    """Mean exit time, sides and survival curve of an SDE watched at t = k·tick.

    Args:
        theta0: the start point, inside the region.
        region: an interval of the line; a half-line is widened until nothing changes.
        tick: default the SDE's η.
        tolerance: relative accuracy of the mean that is promised.

    Raises:
        InputError: the SDE is not one-dimensional, the start lies outside, or the SDE has no η and no tick is given.
        OracleRefusal: the model does not exist on the region or within a step around it, its noise vanishes there, two grids differ by more than the
            tolerance, or the mean (from some 10⁸ steps on) is beyond the method's conditioning.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> region = sg.regions.Interval(-1.0, 1.0)
        >>> hasme = sg.oracles.skeleton_mean_exit(sg.sdes.HASME(noise, 0.5), [0.0], region).mean
        >>> round(hasme / sg.oracles.sgd_mean_exit(noise, 0.5, [0.0], region).mean, 6)  # one law at iterates
        1.0
    """
    tolerance = positive(tolerance, "tolerance")
    start, interval = line_problem(as_sde(sde).dim, theta0, region)
    if tick is None and sde.eta is None:
        raise InputError(f"{type(sde).__name__} knows no eta; give the time between looks: tick=…")
    tick = positive(tick if tick is not None else sde.eta or 0.0, "tick")
    what = f"{type(sde).__name__} at ticks of {tick:g}"
    affine = sde.affine()
    if affine is not None:
        flow, shift, variance = (float(part) for part in transition(*affine, tick))
        if not variance > 0:
            raise OracleRefusal(f"{what}: no noise; its path is the flow itself.")
        return gaussian_chain_exit(lambda x: (flow * x + shift, np.full_like(x, math.sqrt(variance))), tick, start, interval, tolerance=tolerance, what=what)
    coefficients = line_coefficients(sde)

    def solve(low: float, high: float, halvings: int) -> Skeleton:
        return _skeleton(coefficients, tick, start, low, high, halvings, what)

    least = 3 * math.sqrt(line_values(coefficients, np.array([start]), what)[1][0] * tick)
    ends = finite_ends(lambda a, b: solve(a, b, 0).start(), start, interval, least=least, tolerance=tolerance, what=what)
    process, error, halvings = solve(*ends, 0), math.inf, 0
    while error > tolerance:
        before = process.start()[0]
        halvings += 1
        process = solve(*ends, halvings)
        mean, below, above = process.start()
        error = max(abs(before / mean - 1), abs(mean) * len(process.step) * float(np.finfo(float).eps))
        if error > tolerance and 2 * len(process.step) > _MAX_NODES:
            raise OracleRefusal(
                f"{what}: accuracy {error:.1e} at a mean of {mean:.3g} steps; wanted {tolerance:.1e}. Kinks (log='clip') and rare exits cost accuracy: "
                "pass a larger tolerance, or use sde_mean_exit (continuous watch) or sg.rare_exit_time."
            )
    return ExitLaw(mean * tick, tick, {-1: below, 1: above}, error, process)


@dataclass(frozen=True)
class Skeleton:
    """One tick between the nodes inside, the one-tick exits by side, and the start's node."""

    step: Float[Array, "N N"]
    exits: Float[Array, "N 2"]
    here: int
    tick: float

    def start(self) -> tuple[float, float, float]:
        """Mean steps, P(low), P(high) from the start point."""
        system = np.eye(len(self.step)) - self.step
        mean, below, above = np.linalg.solve(system, np.column_stack([np.ones(len(self.step)), self.exits]))[self.here]
        return float(mean), float(below), float(above)

    def survival(self, times: Float[Array, " T"]) -> Float[Array, " T"]:
        return survival_curve(times / self.tick, self.step[self.here], self.step, decay=self.rate() * self.tick)

    def rate(self) -> float:
        return -math.log1p(-slowest_rate(np.eye(len(self.step)) - self.step)) / self.tick


def _skeleton(coefficients: LineCoefficients, tick: float, start: float, low: float, high: float, halvings: int, what: str) -> Skeleton:
    def noise(x: Array) -> Array:
        return np.sqrt(line_values(coefficients, x, what)[1] * tick)

    def beyond(end: float, sign: int) -> float:
        """As far out as a path can be between two looks and still come back."""
        drift, Q = line_values(coefficients, np.array([end]), what)
        return end + sign * (_MARGIN * math.sqrt(Q[0] * tick) + max(sign * drift[0] * tick, 0.0))

    borders = edges(beyond(low, -1), beyond(high, 1), lambda x: _WIDTH * noise(x), limit=MAX_ELEMENTS, what=what, marks=(low, start, high))
    for _ in range(halvings):
        borders = np.sort(np.concatenate([borders, (borders[1:] + borders[:-1]) / 2]))
    borders = resolve(coefficients, borders, _DEGREE, _FINEST * float(noise(np.array([start]))[0]) / 2**halvings, what=what)
    line = generator(coefficients, borders, _DEGREE, what=what)
    P = scipy.linalg.expm(tick * line.L)
    first, last, end = line.node(low), line.node(high), len(line.x) - 1
    inside = slice(first, last + 1)
    chi = line.share(first, last)
    exits = P @ np.column_stack([line.share(0, first), line.share(last, end)])
    return Skeleton(P[inside, inside] * chi[inside], exits[inside], line.node(start) - first, tick)
