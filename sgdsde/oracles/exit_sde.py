"""Exit of a one-dimensional SDE from an interval under continuous watch, without Monte Carlo.

Mean and sides: Lu = −1, u = 0 at the ends, solved by the scale function (:mod:`scale_function`). Survival: ∂ₜv = Lv, v = 0 at the ends, on spectral
elements (:mod:`elements`). Looking at t = kη only is another question, with another answer: :mod:`exit_skeleton`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
from jaxtyping import Float

from sgdsde.oracles.coefficients import sde_field
from sgdsde.oracles.elements import Generator, LineCoefficients, generator, line_values
from sgdsde.oracles.exit_chain import finite_ends, line_problem
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.panels import edges
from sgdsde.oracles.scale_function import scale_exit
from sgdsde.region import Region
from sgdsde.sde import SDE, as_sde
from sgdsde.types import OracleRefusal, positive

Array = np.ndarray
_HALVINGS = 7
_MAX_ELEMENTS = 120
_DEGREE = 10


def sde_mean_exit(sde: SDE, theta0: Any, region: Region, *, tolerance: float = 1e-6) -> ExitLaw:
    """Mean exit time, sides and survival curve of an SDE watched continuously.

    Args:
        theta0: the start point, inside the region.
        region: an interval of the line; a half-line is widened until nothing changes.
        tolerance: relative accuracy of the mean that is promised.

    Raises:
        InputError: the SDE is not one-dimensional, or the start lies outside.
        OracleRefusal: the model does not exist on the region, its noise vanishes there, or two grids differ by more than the tolerance.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1e-6]), 1.0)
        >>> law = sg.oracles.sde_mean_exit(sg.sdes.SME1(noise, 0.25), [0.0], sg.regions.Interval(-1.0, 1.0))
        >>> round(law.mean, 4)  # R²/(ησ²) of Brownian motion
        4.0
    """
    tolerance = positive(tolerance, "tolerance")
    start, interval = line_problem(as_sde(sde).dim, theta0, region)
    coefficients, what = line_coefficients(sde), f"{type(sde).__name__} watched continuously"

    def solve(low: float, high: float, halvings: int) -> tuple[float, float, float]:
        return scale_exit(coefficients, low, start, high, halvings, what=what)

    low, high = finite_ends(lambda a, b: solve(a, b, 0), start, interval, least=0.0, tolerance=tolerance, what=what)
    before, error = math.nan, math.inf
    for halvings in range(_HALVINGS):
        mean, below, above = solve(low, high, halvings)
        error = abs(before / mean - 1)
        if error <= tolerance * 0.1:
            return ExitLaw(mean, None, {-1: below, 1: above}, error, Diffusion(coefficients, low, start, high, what))
        before = mean
    raise OracleRefusal(f"{what}: the finest two grids differ by {error:.1e}; wanted {tolerance * 0.1:.1e}. The model has structure finer than the grid.")


def line_coefficients(sde: SDE) -> LineCoefficients:
    """(b, Q) of a one-dimensional SDE on points ``[P]``."""
    field = sde_field(sde, sde.eta or 1.0)

    def coefficients(x: Array) -> tuple[Array, Array]:
        b, Q = field(x[:, None])
        return b[:, 0], Q[:, 0, 0]

    return coefficients


@dataclass(frozen=True)
class Diffusion:
    """The absorbed diffusion, for survival and rate."""

    coefficients: LineCoefficients
    low: float
    start: float
    high: float
    what: str

    @cached_property
    def _generator(self) -> Generator:
        low, high = self.low, self.high

        def width(x: Array) -> Array:
            b, Q = line_values(self.coefficients, x, self.what)
            return np.minimum((high - low) / 16, 6 * Q / np.maximum(np.abs(b), 1e-300))

        borders = edges(low, high, width, limit=_MAX_ELEMENTS, what=self.what, marks=(self.start,))
        return generator(self.coefficients, borders, _DEGREE, what=self.what)

    @cached_property
    def _killed(self) -> Float[Array, "N N"]:
        return self._generator.L[1:-1, 1:-1]

    def survival(self, times: Float[Array, " T"]) -> Float[Array, " T"]:
        here = int(np.abs(self._generator.x[1:-1] - self.start).argmin())
        v, last, flow, gap = np.ones(len(self._killed)), 0.0, None, -1.0
        result = np.empty_like(times)
        for i, t in enumerate(times):
            if t > last:
                if flow is None or abs(t - last - gap) > 1e-12 * t:
                    gap = t - last
                    flow = scipy.linalg.expm(gap * self._killed)
                v, last = flow @ v, t
            result[i] = v[here]
        return result

    def rate(self) -> float:
        return slowest_rate(-self._killed)


def slowest_rate(matrix: Float[Array, "N N"]) -> float:
    """The smallest eigenvalue of a matrix whose inverse is positive, by inverse iteration."""
    factors = scipy.linalg.lu_factor(matrix)
    v, value = np.ones(len(matrix)), 0.0
    for _ in range(1000):
        solved = scipy.linalg.lu_solve(factors, v)
        before, value = value, float(np.abs(solved).max())
        v = solved / value
        if abs(value / before - 1) < 1e-13 if before else False:
            break
    return 1 / value
