"""How far a 1-D law reaches: the interval that dX = b dt + √Q dW, or the chain x⁺ = x + b·δ + √(Qδ)·ζ, leaves with probability about e^{−A}.

A noise sequence z_j has log-density −½Σz_j² (Freidlin–Wentzell action). We push with constant size z = √(2A/w) during windows of w steps, placed
at several times, with either sign and with alternating sign (for ηλ > 1), and take the hull of all paths. For an Ornstein–Uhlenbeck
process the best such window reaches 90 % of the optimal path; the callers widen the hull and check the answer against a wider one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sgdsde.types import OracleRefusal

Array = np.ndarray
#: points [P] → (drift b [P], diffusion Q [P]); NaN where the model does not exist
Coefficients = Callable[[Array], tuple[Array, Array]]

_GRID = 401
_GROWTHS = 24


@dataclass(frozen=True)
class Reach:
    """The interval [low, high] that the law stays in, and the nearest points outside it where the model does not exist (±inf: none near)."""

    low: float
    high: float
    wall_low: float
    wall_high: float


def reach(
    coefficients: Coefficients, starts: Float[Array, " starts"], *, steps: int, dt: float, level: float, heavy: float = 1.0, margin: float, what: str
) -> Reach:
    """The reach over ``steps`` steps of length ``dt`` at probability e^{−level}; ``heavy`` multiplies the pushes (laws with heavier tails).

    ``margin``: walls are looked for up to this fraction of the width beyond the interval.

    Raises:
        OracleRefusal: the model does not exist somewhere inside the reach, or the law spreads without bound.
    """
    # sorted starts: equal problems give equal intervals
    starts = np.unique(starts)
    b, Q = coefficients(starts)
    if not (np.isfinite(b).all() and np.isfinite(Q).all()):
        raise OracleRefusal(f"{what} does not exist at the start point {starts[~(np.isfinite(b) & np.isfinite(Q))][0]:.6g} (it returned NaN).")
    width = np.abs(b).max() * dt * min(steps, 4) + heavy * np.sqrt(2 * level * Q.max() * dt * steps) + 1e-2 * (1 + np.abs(starts).max())
    low, high = starts[0] - width, starts[-1] + width
    for _ in range(_GROWTHS):
        grid = np.linspace(low, high, _GRID)
        b, Q = coefficients(grid)
        path_low, path_high, gone = _hull(grid, b, np.sqrt(np.clip(Q, 0, None)), starts, steps=steps, dt=dt, level=level, heavy=heavy)
        if gone is not None:
            raise OracleRefusal(
                f"{what} does not exist near {gone:.4g} (it returned NaN there), a place that the law reaches with a probability of about "
                f"{np.exp(-level):.0e} or more. Use a smaller eta, a model that exists there, or a larger tolerance."
            )
        fits_low, fits_high = path_low > low, path_high < high
        if fits_low and fits_high:
            return _with_walls(coefficients, path_low, path_high, margin)
        span = high - low
        low, high = low - (0 if fits_low else span), high + (0 if fits_high else span)
    raise OracleRefusal(f"{what}: the law spreads past [{low:.2g}, {high:.2g}] within the horizon; it has no bounded domain (the process blows up).")


def _hull(grid: Array, b: Array, root: Array, starts: Array, *, steps: int, dt: float, level: float, heavy: float) -> tuple[float, float, float | None]:
    """(lowest, highest) point of all pushed paths, and where one of them met NaN. Paths are held at the ends of the grid."""
    windows = sorted({max(1, steps >> shift) for shift in range(10)})
    plans = [(start, w, sign, flip) for w in windows for start in sorted({0, (steps - w) // 2, steps - w}) for sign in (1, -1) for flip in (1, -1)]
    begin, length, sign, flip = (np.repeat([plan[i] for plan in plans], starts.size) for i in range(4))
    size = heavy * np.sqrt(2 * level / length) * np.sqrt(dt) * sign
    x = np.tile(starts, len(plans)).astype(float)
    low, high = x.min(), x.max()
    for j in range(steps):
        push = np.where((j >= begin) & (j < begin + length), size * np.where(j % 2, flip, 1), 0.0)
        moved = x + np.interp(x, grid, b) * dt + np.interp(x, grid, root) * push
        if np.isnan(moved).any():
            return low, high, float(x[np.isnan(moved)][0])
        x = np.clip(moved, grid[0], grid[-1])
        low, high = min(low, x.min()), max(high, x.max())
    return low, high, None


def _with_walls(coefficients: Coefficients, low: float, high: float, margin: float) -> Reach:
    span = margin * (high - low)
    grid = np.concatenate([np.linspace(low - span, low, _GRID), np.linspace(high, high + span, _GRID)])
    b, Q = coefficients(grid)
    missing = grid[~(np.isfinite(b) & np.isfinite(Q))]
    below, above = missing[missing < (low + high) / 2], missing[missing > (low + high) / 2]
    return Reach(low, high, below.max() if below.size else -np.inf, above.min() if above.size else np.inf)
