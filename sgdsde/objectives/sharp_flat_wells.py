"""Two wells of equal depth, one sharp and one flat: f(θ) = h(u² − 1)² + (k/2)Σ_{i≥2}θᵢ² with the line stretched unevenly, u = mx + dℓ·log cosh(x/ℓ), x = θ₁.

u′ = m + d·tanh(x/ℓ) runs from m − d on the left to m + d on the right. Stretching moves no height: minima at u = ±1 with f = 0, the top at x = 0 with f = h,
so the barrier is h from either side, while the curvatures along x are 8hu′² at the minima and −4hm² at the top.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import InputError, positive

#: ℓ in units of the sharp well's half-width
_BEND = 0.4


class SharpFlatWells(Objective):
    """A flat well on the left and a sharp one on the right; ``flat`` and ``sharp`` are the curvatures that the stretching tends to far from the top.

    ``facts.minima`` lists the flat one first; ``curvatures`` holds the exact ones there (the bend of the stretching is not quite over) and |f″| at the top.

    Raises:
        InputError: a number is not positive, flat > sharp, or dim is no integer ≥ 1.

    Example:
        >>> wells = sg.objectives.SharpFlatWells(flat=1.0, sharp=4.0)
        >>> flat, sharp = (sg.calculus.hessian(wells, torch.as_tensor(point)[None]).item() for point in wells.facts.minima)
        >>> bool(flat < sharp)
        True
    """

    def __init__(self, dim: int = 1, *, flat: float = 1.0, sharp: float = 4.0, barrier: float = 0.25, transverse: float = 1.0) -> None:
        if not is_whole(dim, 1):
            raise InputError(f"dim = {dim!r}; wanted an integer ≥ 1.")
        self.dim = int(dim)
        self.height, self.transverse = positive(barrier, "barrier"), positive(transverse, "transverse")
        low, high = (math.sqrt(positive(value, name) / (8 * self.height)) for value, name in ((flat, "flat"), (sharp, "sharp")))
        if low > high:
            raise InputError(f"flat = {flat} and sharp = {sharp}; wanted flat ≤ sharp.")
        self.middle, self.half, self.bend = (low + high) / 2, (high - low) / 2, _BEND / high
        left, right = self._where(-1.0), self._where(1.0)
        slopes = [self.middle + self.half * math.tanh(x / self.bend) for x in (left, right)]
        self.curvatures = (8 * self.height * slopes[0] ** 2, 8 * self.height * slopes[1] ** 2, 4 * self.height * self.middle**2)
        rest = (0.0,) * (self.dim - 1)
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hessian_diagonal=self._diagonal,
            hvp=self._hvp,
            third=self._third,
            minima=((left, *rest), (right, *rest)),
            saddles=((0.0, *rest),),
            barrier=self.height,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """One dimension and three; equal wells."""
        return [cls(), cls(3, flat=0.5, sharp=8.0, barrier=0.4, transverse=2.0), cls(flat=2.0, sharp=2.0)]

    def _where(self, u: float) -> float:
        """The x with u(x) = u, by Newton's method (u is increasing and its slope lies between m − d and m + d)."""
        x = u / self.middle
        for _ in range(60):
            value = self.middle * x + self.half * self.bend * (abs(x) / self.bend + math.log1p(math.exp(-2 * abs(x) / self.bend)) - math.log(2))
            x -= (value - u) / (self.middle + self.half * math.tanh(x / self.bend))
        return x

    def _stretch(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """u and its first three derivatives."""
        s = x / self.bend
        t = torch.tanh(s)
        fold = 1 - t * t
        u = self.middle * x + self.half * self.bend * (s.abs() + torch.log1p(torch.exp(-2 * s.abs())) - math.log(2))
        return u, self.middle + self.half * t, self.half / self.bend * fold, -2 * self.half / self.bend**2 * fold * t

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        u = self._stretch(theta[:, 0])[0]
        return spread(self.height * (u * u - 1) ** 2 + self.transverse / 2 * (theta[:, 1:] ** 2).sum(1), batch)

    def _grad(self, theta: Tensor) -> Tensor:
        u, u1, _, _ = self._stretch(theta[:, 0])
        g = self.transverse * theta
        g[:, 0] = 4 * self.height * u * (u * u - 1) * u1
        return g

    def _curvature(self, x: Tensor) -> Tensor:
        u, u1, u2, _ = self._stretch(x)
        return 4 * self.height * ((3 * u * u - 1) * u1**2 + u * (u * u - 1) * u2)

    def _diagonal(self, theta: Tensor) -> Tensor:
        diagonal = torch.full_like(theta, self.transverse)
        diagonal[:, 0] = self._curvature(theta[:, 0])
        return diagonal

    def _hessian(self, theta: Tensor) -> Tensor:
        return torch.diag_embed(self._diagonal(theta))

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return self._diagonal(theta) * v

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        w, w1, w2, w3 = self._stretch(theta[:, 0])
        result = torch.zeros_like(theta)
        slope = 4 * self.height * (6 * w * w1**3 + 3 * (3 * w * w - 1) * w1 * w2 + w * (w * w - 1) * w3)
        result[:, 0] = slope * u[:, 0] * v[:, 0]
        return result
