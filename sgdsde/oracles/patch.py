"""The interval on which a 1-D law is propagated: a core that the law leaves with negligible probability, and a margin on either side.

In the margin the problem may be changed, smoothly, so that nothing leaves the interval: a chain's landing points are saturated (:meth:`Patch.saturate`),
an SDE's noise is switched off and its drift turned inward (:meth:`Patch.inside`). Only lost paths feel the change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import erfc

from sgdsde.oracles import chebyshev
from sgdsde.oracles.reach import Reach
from sgdsde.types import OracleRefusal

Array = np.ndarray

#: nodes a rung; each rung's core is wider than the one before by this fraction
_NODES = (64, 96, 144, 216, 324, 486, 729)
_WIDER = 0.08
#: the least margin worth having, as a fraction of the core's width
_LEAST = 0.02
#: χ goes from 1 − ½erfc(3) = 1 − 1e-5 to 1e-5 across a margin; sharper costs nodes and gains nothing
_SHARP = 6.0


@dataclass(frozen=True)
class Rung:
    """One discretisation: number of nodes, relative growth of the core, order of the quadrature."""

    nodes: int
    growth: float
    order: int


def rungs() -> Iterator[Rung]:
    """The ladder: more nodes, a wider core, a higher order."""
    for i, nodes in enumerate(_NODES):
        yield Rung(nodes, _WIDER * i, 16 + 4 * i)


@dataclass(frozen=True)
class Patch:
    """[low − left, high + right] with the core [low, high]; ``nodes`` Chebyshev points."""

    low: float
    high: float
    left: float
    right: float
    nodes: int

    @property
    def center(self) -> float:
        """The middle of the interval."""
        return (self.low - self.left + self.high + self.right) / 2

    @property
    def half(self) -> float:
        """Half the interval's length."""
        return (self.high + self.right - self.low + self.left) / 2

    @property
    def x(self) -> Float[Array, " N"]:
        """The nodes."""
        return self.center + self.half * chebyshev.points(self.nodes)

    def derivative(self) -> Float[Array, "N N"]:
        """d/dx on values at the nodes."""
        return chebyshev.derivative(self.nodes) / self.half

    def evaluation(self, x: Float[Array, " points"]) -> Float[Array, "points N"]:
        """Values at ``x`` from values at the nodes; ``x`` is held inside the interval (rounding)."""
        return chebyshev.evaluation(self.nodes, np.clip((x - self.center) / self.half, -1.0, 1.0))

    def saturate(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """x in the core, tending to the ends of the interval outside: the integral of ½erfc(·) at either end."""
        above, below = self.right * 2 / _SHARP, self.left * 2 / _SHARP
        x = x - above * _corner((x - self.high - self.right) / above)
        return x + below * _corner((self.low - self.left - x) / below)

    def inside(self) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
        """Two factors at the nodes, 1 in the core: the first falls smoothly to 0 at the lower end, the second at the upper one."""
        x = self.x
        return 0.5 * erfc(_SHARP * ((self.low - x) / self.left - 0.5)), 0.5 * erfc(_SHARP * ((x - self.high) / self.right - 0.5))


def patch(where: Reach, rung: Rung, *, margin: float, what: str) -> Patch:
    """The interval of one rung around a reach, with margins of ``margin`` times the core's width where no wall is nearer.

    Raises:
        OracleRefusal: the model ceases to exist too close to the core.
    """
    # a law that hardly moves (no noise, one step) still gets an interval wide enough for rounding
    spare = max(where.high - where.low, 0.02 * (1 + abs(where.low) + abs(where.high)))
    low = where.low - min(rung.growth / 2 * spare, (where.low - where.wall_low) / 4)
    high = where.high + min(rung.growth / 2 * spare, (where.wall_high - where.high) / 4)
    # 0.9: walls are known to one cell of the grid on which they were looked for
    left, right = min(margin * spare, 0.9 * (low - where.wall_low)), min(margin * spare, 0.9 * (where.wall_high - high))
    if min(left, right) < _LEAST * spare:
        raise OracleRefusal(
            f"{what} ceases to exist near {where.wall_low if left < right else where.wall_high:.4g}, too close to the interval "
            f"[{where.low:.4g}, {where.high:.4g}] that its law reaches. Use a smaller eta, a model that exists there, or a larger tolerance."
        )
    return Patch(low, high, left, right, rung.nodes)


def _corner(t: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """∫_{−∞}^t ½erfc(−s)ds: 0 far below zero, t far above."""
    return 0.5 * (t * erfc(-t) + np.exp(-np.square(np.clip(t, -30, 30))) / np.sqrt(np.pi))
