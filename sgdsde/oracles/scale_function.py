"""Mean exit of a one-dimensional diffusion by its scale function: positive integrals only, accurate however rare the exit.

With Φ′ = −2b/Q, scale s′ = e^Φ and speed m = 2e^{−Φ}/Q, the mean exit from (a, b) is u(x) = ∫G(x, z)m(z)dz with
G = (s(x∧z) − s(a))(s(b) − s(x∨z))/(s(b) − s(a)), and P(exit at b) = (s(x) − s(a))/(s(b) − s(a)) (Karlin, Taylor, A Second Course in Stochastic
Processes, 15.3). Differences of s are integrated from the end that they vanish at, so nothing cancels; sums are kept as logarithms, since e^Φ
overflows long before the mean does.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from sgdsde.oracles.elements import LineCoefficients, line_values
from sgdsde.oracles.panels import ORDER, edges
from sgdsde.types import OracleRefusal

Array = np.ndarray
_MAX_LOG = 700.0
_STEP, _MAX_PANELS = 10.0, 10_000


def scale_exit(coefficients: LineCoefficients, low: float, start: float, high: float, halvings: int, *, what: str) -> tuple[float, float, float]:
    """(Eτ, P(low), P(high)); Φ changes by at most some ten on a panel, and panels are then halved so often.

    Raises:
        OracleRefusal: the mean exceeds e^700, Φ changes by more than 10⁵, or the model does not exist inside.
    """

    def width(x: Array) -> Array:
        b, Q = line_values(coefficients, x, what)
        return np.minimum((high - low) / 8, _STEP * Q / np.maximum(np.abs(2 * b), 1e-300))

    borders = edges(low, high, width, limit=_MAX_PANELS, what=what, marks=(start,))
    for _ in range(halvings):
        borders = np.sort(np.concatenate([borders, (borders[1:] + borders[:-1]) / 2]))
    panels = int(np.searchsorted(borders, start))
    z, w = np.polynomial.legendre.leggauss(ORDER)
    half = np.diff(borders) / 2
    x = (borders[:-1] + half)[:, None] + half[:, None] * z  # [panels, nodes]
    b, Q = (values.reshape(x.shape) for values in line_values(coefficients, x.ravel(), what))
    phi = _from_below(-2 * b / Q, half, w)
    speed = np.log(2 * w * half[:, None] / Q) - phi
    # log(s(z) − s(low)) below the start, log(s(high) − s(z)) above it
    rise, to_low = _log_cumulative(phi[:panels], half[:panels], w)
    fall, to_high = _log_cumulative(phi[panels:][::-1, ::-1], half[panels:][::-1], w)
    whole = np.logaddexp(to_low, to_high)
    below, above = to_high - whole, to_low - whole
    mean = np.logaddexp(below + logsumexp(speed[:panels] + rise), above + logsumexp(speed[panels:][::-1, ::-1] + fall))
    if not mean < _MAX_LOG:
        raise OracleRefusal(f"{what}: the mean is e^{mean:.0f}, beyond floating point. Use the exponent alone (sg.oracles.sde_exponent).")
    return math.exp(mean), math.exp(below), math.exp(above)


def _from_below(values: Float[Array, "panels nodes"], half: Float[Array, " panels"], w: Array) -> Float[Array, "panels nodes"]:
    """∫ of the interpolant from the first border to each node."""
    ends = np.concatenate([[0.0], np.cumsum(half * (values @ w))])
    return ends[:-1, None] + half[:, None] * (values @ _integration().T)


def _log_cumulative(phi: Float[Array, "panels nodes"], half: Float[Array, " panels"], w: Array) -> tuple[Float[Array, "panels nodes"], float]:
    """log ∫e^Φ from the first border to each node, and to the last border; each panel is scaled by its own maximum."""
    top = phi.max(1, keepdims=True)
    density = np.exp(phi - top)
    ends = np.logaddexp.accumulate(np.concatenate([[-np.inf], np.log(half * (density @ w)) + top[:, 0]]))
    local = np.log(np.maximum(half[:, None] * (density @ _integration().T), np.finfo(float).tiny)) + top
    return np.logaddexp(ends[:-1, None], local), float(ends[-1])


def _integration() -> Float[Array, "nodes nodes"]:
    """Row i integrates the Lagrange polynomials of the Gauss nodes from −1 to node i."""
    z, w = np.polynomial.legendre.leggauss(ORDER)
    degrees = np.arange(ORDER)
    P = np.polynomial.legendre.legvander(z, ORDER)  # [nodes, degree + 1]
    # ∫_{−1}^{x} P_n = (P_{n+1} − P_{n−1})/(2n+1), and P_0: x + 1
    antiderivative = np.empty((ORDER, ORDER))
    antiderivative[:, 0] = z + 1
    antiderivative[:, 1:] = (P[:, 2:] - P[:, : ORDER - 1]) / (2 * degrees[1:] + 1)
    coefficients = ((2 * degrees + 1) / 2)[:, None] * (P[:, :ORDER] * w[:, None]).T  # values → Legendre coefficients
    return antiderivative @ coefficients
