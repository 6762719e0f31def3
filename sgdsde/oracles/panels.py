"""Gauss–Legendre nodes on panels: each panel is as wide as the structure there allows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from sgdsde.types import OracleRefusal

Array = np.ndarray
ORDER = 16


def edges(low: float, high: float, width: Callable[[Array], Array], *, limit: int, what: str, marks: tuple[float, ...] = ()) -> Float[Array, " panels_plus_1"]:
    """Panel ends from ``low`` to ``high`` that are never wider than ``width(x)`` wants at both ends; every mark is an end.

    Raises:
        OracleRefusal: that takes more than ``limit`` panels.
    """
    grid = np.linspace(low, high, 4001)
    wanted = width(grid)
    # density of panels, at least as high as in the neighbourhood, so that a thin place is seen from both sides
    density = 1 / np.minimum(np.minimum(wanted, np.roll(wanted, 1)), np.roll(wanted, -1))
    total = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    if not np.isfinite(total[-1]) or total[-1] > limit:
        raise OracleRefusal(
            f"{what}: ({low:.4g}, {high:.4g}) takes {total[-1]:.3g} panels to resolve its noise (narrowest width {wanted.min():.2g}); "
            f"the grid holds {limit}. Take a smaller region, a larger eta or noise, or simulate (sg.rare_exit_time for rare exits)."
        )
    inner = sorted({m for m in marks if low < m < high})
    ends = [low, *inner, high]
    result = [np.array([low])]
    for a, b in pairwise(ends):
        first, last = np.interp([a, b], grid, total)
        count = max(1, int(np.ceil(last - first)))
        cuts = np.interp(np.linspace(first, last, count + 1), total, grid)
        cuts[-1] = b
        result.append(cuts[1:])
    return np.concatenate(result)


def gauss(panel_edges: Float[Array, " panels_plus_1"], order: int = ORDER) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Nodes and weights of the composite rule."""
    z, w = np.polynomial.legendre.leggauss(order)
    half = np.diff(panel_edges)[:, None] / 2
    middle = (panel_edges[1:] + panel_edges[:-1])[:, None] / 2
    return (middle + half * z).ravel(), (half * w).ravel()
