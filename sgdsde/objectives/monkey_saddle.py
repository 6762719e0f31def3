"""Monkey saddle: f(x, y) = s(x³ − 3xy²) + (q/4)(x² + y²)², in polar form s r³cos 3φ + q r⁴/4.

The origin is a degenerate saddle (its Hessian vanishes) with three ways down. With q > 0 they end in three minima at r = 3s/q, φ = ±π/3 and π, of depth
27s⁴/(4q³); every path between two of them climbs to f = 0, so that depth is also the barrier. With q = 0 the loss has no lower bound.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import InputError, positive, real


class MonkeySaddle(Objective):
    """s(x³ − 3xy²) + (q/4)(x² + y²)² with s = ``scale`` > 0 and q = ``quartic`` ≥ 0.

    Raises:
        InputError: ``scale`` or ``quartic`` is out of range.

    Example:
        >>> saddle = sg.objectives.MonkeySaddle()
        >>> sg.calculus.hessian(saddle, torch.zeros(1, 2, dtype=torch.float64)).abs().max().item()  # degenerate at the origin
        0.0
    """

    dim = 2

    def __init__(self, *, scale: float = 1.0, quartic: float = 1.0) -> None:
        quartic = real(quartic, "quartic")
        self.scale = positive(scale, "scale")
        if not (math.isfinite(quartic) and quartic >= 0):
            raise InputError(f"quartic = {quartic}; wanted a finite number ≥ 0.")
        self.quartic = quartic
        minima: tuple[tuple[float, ...], ...] = ()
        if self.quartic:
            r = 3 * self.scale / self.quartic
            minima = ((-r, 0.0), (r / 2, r * math.sqrt(3) / 2), (r / 2, -r * math.sqrt(3) / 2))
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            third=self._third,
            minima=minima,
            saddles=((0.0, 0.0),),
            barrier=27 * self.scale**4 / (4 * self.quartic**3) if self.quartic else None,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """Confined and open."""
        return [cls(), cls(scale=0.5, quartic=0.8), cls(quartic=0.0)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        x, y = theta[:, 0], theta[:, 1]
        return spread(self.scale * (x**3 - 3 * x * y**2) + self.quartic / 4 * (x**2 + y**2) ** 2, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        x, y = theta[:, 0], theta[:, 1]
        s, pull = self.scale, self.quartic * (x**2 + y**2)
        return torch.stack([3 * s * (x**2 - y**2) + pull * x, -6 * s * x * y + pull * y], 1)

    def _entries(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """∂ₓₓf, ∂ₓᵧf, ∂ᵧᵧf."""
        x, y = theta[:, 0], theta[:, 1]
        s, q = self.scale, self.quartic
        return 6 * s * x + q * (3 * x**2 + y**2), -6 * s * y + 2 * q * x * y, -6 * s * x + q * (x**2 + 3 * y**2)

    def _hessian(self, theta: Tensor) -> Tensor:
        xx, xy, yy = self._entries(theta)
        return torch.stack([xx, xy, xy, yy], 1).reshape(-1, 2, 2)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        xx, xy, yy = self._entries(theta)
        return torch.stack([xx * v[:, 0] + xy * v[:, 1], xy * v[:, 0] + yy * v[:, 1]], 1)

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        x, y = theta[:, 0], theta[:, 1]
        s, q = self.scale, self.quartic
        xxx, xxy, xyy, yyy = 6 * s + 6 * q * x, 2 * q * y, -6 * s + 2 * q * x, 6 * q * y
        both, mixed, last = u[:, 0] * v[:, 0], u[:, 0] * v[:, 1] + u[:, 1] * v[:, 0], u[:, 1] * v[:, 1]
        return torch.stack([xxx * both + xxy * mixed + xyy * last, xxy * both + xyy * mixed + yyy * last], 1)
