"""E φ(θ_k) and E φ(X_T) in one dimension without Monte Carlo, for many test functions and start points at once.

Backward in time: u(x) = E φ(state at the end | start x). One step of SGD is u ← E u(x − ηg(x) − ηR(x)ζ), the noise integrated by quadrature; an SDE
is u_t = b u' + ½Q u''. Both act on polynomials in Chebyshev points of an interval that the law does not leave (:mod:`.reach`). Towards
its ends the noise is switched off smoothly and the drift turned inward, so that no boundary condition is needed and u stays smooth; only paths
that leave the core feel it. Grid, core and quadrature grow from rung to rung (:mod:`.refine`); the change is the reported accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import expm
from scipy.special import erfc

from sgdsde.noise import Noise
from sgdsde.oracles import chebyshev
from sgdsde.oracles.coefficients import Field, Functions, sample, sde_field, sgd_field
from sgdsde.oracles.laws import Law
from sgdsde.oracles.reach import Coefficients, Reach, reach
from sgdsde.oracles.refine import Expectations, Solution, refine
from sgdsde.sde import SDE
from sgdsde.types import OracleRefusal

Array = np.ndarray

#: nodes a rung; each rung's core is wider than the one before by this fraction
_NODES = (64, 96, 144, 216, 324)
_WIDER = 0.08
#: the switch-off zone on either side of the core, as a fraction of its width, and the least that is worth having
_MARGIN, _LEAST_MARGIN = 0.5, 0.05
#: χ = ½erfc(±_SHARP/2) at the two ends of the zone: 1 − 1e-5 and 1e-5; sharper costs nodes and gains nothing, as only lost paths go there
_SHARP = 6.0
_SDE_STEPS = 160


@dataclass(frozen=True)
class Rung:
    """One discretisation: number of nodes, relative growth of the core, order of the quadrature."""

    nodes: int
    growth: float
    order: int


@dataclass(frozen=True)
class Patch:
    """Nodes of the interval with the coefficients that hold there: the model's in the core, switched off towards the ends."""

    center: float
    half: float
    x: Float[Array, " N"]
    b: Float[Array, " N"]
    Q: Float[Array, " N"]

    def at(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Points in the interval's own coordinate, held inside [−1, 1] (rounding; tails of negligible weight)."""
        return np.clip((x - self.center) / self.half, -1.0, 1.0)


def sgd_on_line(noise: Noise, *, eta: float, starts: Float[Array, " starts"], steps: int, functions: Functions, law: Law, tolerance: float) -> Expectations:
    """E φ(θ_k) after ``steps`` of SGD with noise law ``law`` from each start point.

    Raises:
        OracleRefusal: the accuracy is not reached, or the law has no bounded domain, or the objective is not finite on it.
    """
    level = _level(tolerance)
    coefficients = _scalar(sgd_field(noise, eta), "SGD")
    heavy = max(1.0, law.extent(level) / np.sqrt(2 * level))
    where = reach(coefficients, starts, steps=steps, dt=eta, level=level, heavy=heavy, margin=2 * _MARGIN, what="SGD")

    def solve(rung: Rung) -> Solution:
        patch = _patch(coefficients, where, rung, steps * eta, "SGD")
        nodes, weights = law.quadrature(rung.order)
        landing = (patch.x + eta * patch.b)[:, None] - np.sqrt(eta * patch.Q)[:, None] * nodes  # [N, q]
        step = chebyshev.evaluation(rung.nodes, patch.at(landing).ravel()).reshape(rung.nodes, nodes.size, rung.nodes)
        transfer = np.einsum("q,iqj->ij", weights, step)
        u = values = sample(functions, patch.x[:, None]).T  # [N, functions]
        for _ in range(steps):
            u = transfer @ u
        return _read(patch, starts, u, values)

    return refine(solve, _rungs(), tolerance=tolerance, what="SGD on the line")


def sde_on_line(sde: SDE, *, starts: Float[Array, " starts"], horizon: float, functions: Functions, tolerance: float) -> Expectations:
    """E φ(X_T) of the SDE from each start point, T = ``horizon``.

    Raises:
        OracleRefusal: the accuracy is not reached; the model does not exist (NaN) on the domain that its law reaches; Q < 0; it depends on time.
    """
    what = type(sde).__name__
    coefficients = _scalar(sde_field(sde, horizon), what)
    where = reach(coefficients, starts, steps=_SDE_STEPS, dt=horizon / _SDE_STEPS, level=_level(tolerance), margin=2 * _MARGIN, what=what)

    def solve(rung: Rung) -> Solution:
        patch = _patch(coefficients, where, rung, horizon, what)
        D = chebyshev.derivative(rung.nodes) / patch.half
        generator = patch.b[:, None] * D + 0.5 * patch.Q[:, None] * (D @ D)
        values = sample(functions, patch.x[:, None]).T  # [N, functions]
        return _read(patch, starts, expm(horizon * generator) @ values, values)

    return refine(solve, _rungs(), tolerance=tolerance, what=f"{what} on the line")


def _level(tolerance: float) -> float:
    """Paths of probability e^{−level} may be neglected; three units below the tolerance, for test functions that grow."""
    return float(np.log(1 / tolerance)) + 3


def _rungs() -> Iterator[Rung]:
    for i, nodes in enumerate(_NODES):
        yield Rung(nodes, _WIDER * i, 16 + 4 * i)


def _scalar(field: Field, what: str) -> Coefficients:
    def coefficients(x: Array) -> tuple[Array, Array]:
        b, Q = field(x[:, None])
        Q = Q[:, 0, 0]
        if (Q < 0).any():
            raise OracleRefusal(f"{what} has a negative diffusion Q = {np.nanmin(Q):.3g} near {x[np.nanargmin(Q)]:.4g}: there is no such SDE.")
        return b[:, 0], Q

    return coefficients


def _patch(coefficients: Coefficients, where: Reach, rung: Rung, time: float, what: str) -> Patch:
    low, high = where.low, where.high
    spare = max(high - low, 0.02 * (1 + abs(low) + abs(high)))
    low, high = low - min(rung.growth / 2 * spare, (low - where.wall_low) / 4), high + min(rung.growth / 2 * spare, (where.wall_high - high) / 4)
    # 0.9: walls are known to one cell of the grid on which they were looked for
    left, right = min(_MARGIN * spare, 0.9 * (low - where.wall_low)), min(_MARGIN * spare, 0.9 * (where.wall_high - high))
    if min(left, right) < _LEAST_MARGIN * spare:
        wall = where.wall_low if left < right else where.wall_high
        raise OracleRefusal(
            f"{what} ceases to exist near {wall:.4g}, too close to the interval [{where.low:.4g}, {where.high:.4g}] that its law reaches. "
            "Use a smaller eta, a model that exists there, or a larger tolerance."
        )
    center, half = (low - left + high + right) / 2, (high + right - low + left) / 2
    x = center + half * chebyshev.points(rung.nodes)
    b, Q = coefficients(x)
    inside = 0.5 * erfc(_SHARP * ((low - x) / left - 0.5)) * 0.5 * erfc(_SHARP * ((x - high) / right - 0.5))
    inside = np.where(np.isfinite(b) & np.isfinite(Q), inside, 0.0)
    ends, _ = coefficients(np.array([low, high]))
    speed = max(float(np.abs(ends).max()), 0.2 * half / time)
    inward = -speed * (x - center) / half
    return Patch(center, half, x, np.where(inside > 0, inside * np.nan_to_num(b), 0) + (1 - inside) * inward, inside * np.nan_to_num(Q))


def _read(patch: Patch, starts: Array, u: Array, values: Array) -> Solution:
    at_starts = chebyshev.evaluation(len(patch.x), patch.at(starts)) @ u  # [starts, functions]
    return Solution(at_starts.T, np.maximum(np.abs(values).max(0), np.finfo(float).tiny))
