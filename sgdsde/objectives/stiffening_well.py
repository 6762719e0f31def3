"""A double well whose valley stiffens away from the pass: f(θ) = x⁴/4 − x²/2 + ½(k₀ + k₁x²)|y|², x = θ₁, y the other coordinates.

Minima ±e₁ with the transverse curvature k₀ + k₁, saddle 0 with k₀: Δf(minimum) − Δf(saddle) = 3 + (d − 1)k₁ grows with the dimension. Rotations of y
and the reflection of x leave f unchanged, so crossing rates have an oracle in any dimension (:mod:`sgdsde.oracles.radial`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import InputError, positive, real


class StiffeningWell(Objective):
    """x⁴/4 − x²/2 + ½(``base`` + ``gain``·x²)|y|² in ``dim`` ≥ 2 dimensions.

    Raises:
        InputError: dim is no integer ≥ 2, base ≤ 0, or gain negative (then f has no lower bound) or not finite.

    Example:
        >>> well = sg.objectives.StiffeningWell(2, base=1.0, gain=3.0)
        >>> points = torch.tensor([[-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
        >>> sg.calculus.hessian(well, points)[:, 1, 1].tolist()  # base + gain·x² across
        [4.0, 1.0]
    """

    def __init__(self, dim: int = 2, *, base: float = 1.0, gain: float = 1.0) -> None:
        gain = real(gain, "gain")
        if not is_whole(dim, 2):
            raise InputError(f"dim = {dim!r}; wanted an integer ≥ 2. In one dimension use sg.objectives.DoubleWell.")
        if not (math.isfinite(gain) and gain >= 0):
            raise InputError(f"gain = {gain}; wanted a finite number ≥ 0, or the loss has no lower bound.")
        self.dim = int(dim)
        self.base, self.gain = positive(base, "base"), gain
        rest = (0.0,) * (self.dim - 1)
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            third=self._third,
            minima=((-1.0, *rest), (1.0, *rest)),
            saddles=((0.0, *rest),),
            barrier=0.25,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """Two dimensions and four."""
        return [cls(), cls(4, base=0.7, gain=0.4)]

    def _stiffness(self, x: Tensor) -> Tensor:
        return self.base + self.gain * x**2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        x, y = theta[:, 0], theta[:, 1:]
        return spread(x**4 / 4 - x**2 / 2 + self._stiffness(x) / 2 * (y**2).sum(1), batch)

    def _grad(self, theta: Tensor) -> Tensor:
        x, y = theta[:, :1], theta[:, 1:]
        return torch.cat([x**3 - x + self.gain * x * (y**2).sum(1, keepdim=True), self._stiffness(x) * y], 1)

    def _hessian(self, theta: Tensor) -> Tensor:
        x, y = theta[:, 0], theta[:, 1:]
        H = torch.diag_embed(self._stiffness(x)[:, None].expand(-1, self.dim))
        H[:, 0, 0] = 3 * x**2 - 1 + self.gain * (y**2).sum(1)
        H[:, 0, 1:] = H[:, 1:, 0] = 2 * self.gain * x[:, None] * y
        return H

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        x, y, a, b = theta[:, :1], theta[:, 1:], v[:, :1], v[:, 1:]
        first = (3 * x**2 - 1 + self.gain * (y**2).sum(1, keepdim=True)) * a + 2 * self.gain * x * (y * b).sum(1, keepdim=True)
        return torch.cat([first, 2 * self.gain * x * y * a + self._stiffness(x) * b], 1)

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        x, y, a, b, c, d = theta[:, :1], theta[:, 1:], u[:, :1], u[:, 1:], v[:, :1], v[:, 1:]
        mixed = a * d + b * c  # [paths, dim-1]
        first = 6 * x * a * c + 2 * self.gain * ((y * mixed).sum(1, keepdim=True) + x * (b * d).sum(1, keepdim=True))
        return torch.cat([first, 2 * self.gain * (y * a * c + x * mixed)], 1)
