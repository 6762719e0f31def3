"""Asymmetric double well in one dimension: f(x) = x⁴/4 − x²/2 + τx.

Two minima of different depth and curvature for |τ| < 2/(3√3). The stationary points are the roots of x³ − x + τ = 0 in Viète's form,
x = (2/√3)·cos((arccos(−(3√3/2)τ) − 2πj)/3), j = 0, 1, 2.
"""

from __future__ import annotations

import math

from torch import Tensor

from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import InputError, real

#: from this tilt on the shallow minimum and the pass have merged
LARGEST_TILT = 2 / (3 * math.sqrt(3))


class AsymmetricWell(Objective):
    """x⁴/4 − x²/2 + ``tilt``·x; a positive tilt makes the left minimum the deeper one. ``facts.minima`` lists the deeper first.

    ``facts.barrier`` is the climb out of the deeper minimum; that out of the shallow one is ``shallow_barrier``.

    Raises:
        InputError: |tilt| ≥ 2/(3√3) ≈ 0.3849: there is only one minimum.

    Example:
        >>> well = sg.objectives.AsymmetricWell(0.1)
        >>> well.facts.barrier > well.shallow_barrier
        True
    """

    dim = 1

    def __init__(self, tilt: float) -> None:
        tilt = real(tilt, "tilt")
        if not (math.isfinite(tilt) and abs(tilt) < LARGEST_TILT):
            raise InputError(f"tilt = {tilt}; wanted |tilt| < 2/(3√3) = {LARGEST_TILT:.4f}, beyond which there is a single minimum.")
        self.tilt = tilt
        third_angle = math.acos(-1.5 * math.sqrt(3) * self.tilt) / 3
        left, top, right = sorted(self._polished(2 / math.sqrt(3) * math.cos(third_angle - 2 * math.pi * j / 3)) for j in range(3))
        deep, shallow = (left, right) if self.tilt >= 0 else (right, left)
        self.shallow_barrier = self._value(top) - self._value(shallow)
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            third=self._third,
            minima=((deep,), (shallow,)),
            saddles=((top,),),
            barrier=self._value(top) - self._value(deep),
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """Tilted to either side, and barely two wells."""
        return [cls(0.1), cls(-0.3), cls(0.38)]

    def _polished(self, x: float) -> float:
        """Two Newton steps: the cosine form loses digits where two roots are near each other."""
        for _ in range(2):
            x -= (x**3 - x + self.tilt) / (3 * x**2 - 1)
        return x

    def _value(self, x: float) -> float:
        return x**4 / 4 - x**2 / 2 + self.tilt * x

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        x = theta[:, 0]
        return spread(x**4 / 4 - x**2 / 2 + self.tilt * x, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        return theta**3 - theta + self.tilt

    def _hessian(self, theta: Tensor) -> Tensor:
        return (3 * theta**2 - 1)[:, :, None]

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return (3 * theta**2 - 1) * v

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return 6 * theta * u * v
