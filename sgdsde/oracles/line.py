"""E φ(θ_k) and E φ(X_T) in one dimension without Monte Carlo, for many test functions and start points at once.

Backward in time: u(x) = E φ(state at the end | start x). One step of SGD is u ← E u(x − ηg(x) − ηR(x)ζ), the noise integrated by quadrature; an SDE
is u_t = b u' + ½Q u''. Both act on polynomials in Chebyshev points of an interval that the law does not leave (:mod:`.reach`, :mod:`.patch`); no
boundary condition is needed, because nothing leaves the interval. Grid, core and quadrature grow from rung to rung (:mod:`.refine`); the change is
the reported accuracy.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.linalg import expm

from sgdsde.noise import Noise
from sgdsde.oracles.coefficients import Field, Functions, sample, sde_field, sgd_field
from sgdsde.oracles.laws import Law
from sgdsde.oracles.patch import Patch, Rung, patch, rungs
from sgdsde.oracles.reach import Coefficients, reach
from sgdsde.oracles.refine import Expectations, Solution, refine
from sgdsde.sde import SDE
from sgdsde.types import OracleRefusal

Array = np.ndarray

#: margins as fractions of the core's width: a saturated chain needs less than an SDE whose noise must die out
_CHAIN_MARGIN, _SDE_MARGIN = 0.2, 0.5
#: walls are looked for this far beyond the reach
_LOOK = 1.0
_SDE_STEPS = 160


def sgd_on_line(noise: Noise, *, eta: float, starts: Float[Array, " starts"], steps: int, functions: Functions, law: Law, tolerance: float) -> Expectations:
    """E φ(θ_k) after ``steps`` of SGD with noise law ``law`` from each start point.

    Raises:
        OracleRefusal: the accuracy is not reached, or the law has no bounded domain, or the objective is not finite on it.
    """
    level = _level(tolerance)
    coefficients = _scalar(sgd_field(noise, eta), "SGD")
    heavy = max(1.0, law.extent(level) / np.sqrt(2 * level))
    where = reach(coefficients, starts, steps=steps, dt=eta, level=level, heavy=heavy, margin=_LOOK, what="SGD")

    def solve(rung: Rung) -> Solution:
        on = patch(where, rung, margin=_CHAIN_MARGIN, what="SGD")
        b, Q = coefficients(on.x)
        transfer = np.zeros((rung.nodes, rung.nodes))
        for node, weight in zip(*law.quadrature(rung.order), strict=True):
            transfer += weight * on.evaluation(on.saturate(on.x + eta * b - np.sqrt(eta * Q) * node))
        u = values = sample(functions, on.x[:, None]).T  # [N, functions]
        for _ in range(steps):
            u = transfer @ u
        return _read(on, starts, u, values)

    return refine(solve, rungs(), tolerance=tolerance, neglected=np.exp(-level), what="SGD on the line")


def sde_on_line(sde: SDE, *, starts: Float[Array, " starts"], horizon: float, functions: Functions, tolerance: float) -> Expectations:
    """E φ(X_T) of the SDE from each start point, T = ``horizon``.

    Raises:
        OracleRefusal: the accuracy is not reached; the model does not exist (NaN) on the domain that its law reaches; Q < 0; it depends on time.
    """
    what = type(sde).__name__
    coefficients = _scalar(sde_field(sde, horizon), what)
    level = _level(tolerance)
    where = reach(coefficients, starts, steps=_SDE_STEPS, dt=horizon / _SDE_STEPS, level=level, margin=_LOOK, what=what)

    def solve(rung: Rung) -> Solution:
        on = patch(where, rung, margin=_SDE_MARGIN, what=what)
        b, Q = _switched(coefficients, on, horizon)
        D = on.derivative()
        values = sample(functions, on.x[:, None]).T  # [N, functions]
        return _read(on, starts, _semigroup(horizon * (b[:, None] * D + 0.5 * Q[:, None] * (D @ D))) @ values, values)

    return refine(solve, rungs(), tolerance=tolerance, neglected=np.exp(-level), what=f"{what} on the line")


def _level(tolerance: float) -> float:
    """Paths of probability e^{−level} may be neglected; three units below the tolerance, for test functions that grow."""
    return float(np.log(1 / tolerance)) + 3


def _scalar(field: Field, what: str) -> Coefficients:
    def coefficients(x: Array) -> tuple[Array, Array]:
        b, Q = field(x[:, None])
        Q = Q[:, 0, 0]
        if (Q < 0).any():
            raise OracleRefusal(f"{what} has a negative diffusion Q = {np.nanmin(Q):.3g} near {x[np.nanargmin(Q)]:.4g}: there is no such SDE.")
        return b[:, 0], Q

    return coefficients


def _switched(coefficients: Coefficients, on: Patch, horizon: float) -> tuple[Array, Array]:
    """(b, Q) at the nodes, switched over the margins from the model's to (a drift that does not leave, 0).

    At an end to which the drift points it is stopped; at one from which it points away it keeps its speed at the core's end, and at least what
    crosses a tenth of the interval within the horizon: an end where paths are caught makes u steep there.
    """
    on_left, on_right = on.inside()
    b, Q = coefficients(on.x)
    (at_low, at_high), _ = coefficients(np.array([on.low, on.high]))
    least = 0.2 * on.half / horizon
    from_low = 0.0 if at_low < -least else max(float(at_low), least)
    from_high = 0.0 if at_high > least else max(-float(at_high), least)
    inside = on_left * on_right
    return inside * b + (1 - on_left) * from_low - (1 - on_right) * from_high, inside * Q


def _semigroup(generator: Float[Array, "N N"]) -> Float[Array, "N N"]:
    """The exponential by scaling and squaring, with E·1 = 1 restored after each squaring: squaring would double its rounding error each time."""
    halvings = max(0, int(np.ceil(np.log2(max(np.abs(generator).sum(0).max(), 1.0) / 5.0))))
    E = expm(generator / 2.0**halvings)
    for _ in range(halvings):
        E = E @ E
        E[np.diag_indices_from(E)] += 1.0 - E.sum(1)
    return E


def _read(on: Patch, starts: Array, u: Array, values: Array) -> Solution:
    return Solution((on.evaluation(starts) @ u).T, np.maximum(np.abs(values).max(0), np.finfo(float).tiny))
