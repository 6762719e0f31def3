"""Double well with a pass that is narrower than its valleys: f = x²(x² − 2)/4 + ½(κ + c(1 − x²)²)‖y‖².

Minima ±e₁ with transverse curvature κ, saddle 0 with κ + c, barrier ¼: the same heights as :class:`DoubleWell`, but the way over the top is as much
narrower as √(κ/(κ + c)) in each direction of y. Eyring–Kramers' law has exactly this factor, Kramers' law on the line does not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import InputError, positive, real


class NarrowPass(Objective):
    """A double well in θ₁ whose transverse curvature grows from ``valley`` at the minima to ``valley + narrowing`` at the saddle.

    Raises:
        InputError: ``dim`` < 2, or narrowing < 0 (far out f would fall without bound).

    Example:
        >>> narrow = sg.objectives.NarrowPass(2, valley=1.0, narrowing=8.0)
        >>> points = torch.tensor([[-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
        >>> sg.calculus.hessian(narrow, points)[:, 1, 1].tolist()  # across: at a minimum, at the saddle
        [1.0, 9.0]
    """

    def __init__(self, dim: int = 2, *, valley: float = 1.0, narrowing: float = 8.0) -> None:
        narrowing = real(narrowing, "narrowing")
        if not is_whole(dim, 2):
            raise InputError(f"dim = {dim!r}; wanted an integer ≥ 2: one direction across the barrier, the others beside it.")
        self.dim, self.valley = int(dim), positive(valley, "valley")
        if not (math.isfinite(narrowing) and narrowing >= 0):
            raise InputError(f"narrowing = {narrowing}; wanted a finite number ≥ 0 (below 0 the loss falls without bound far out).")
        self.narrowing = narrowing
        rest = (0.0,) * (self.dim - 1)
        self.facts = Facts(grad=self._grad, hessian=self._hessian, minima=((-1.0, *rest), (1.0, *rest)), saddles=((0.0, *rest),), barrier=0.25)

    @classmethod
    def examples(cls) -> list[Objective]:
        """A narrow pass in the plane, and one in space."""
        return [cls(), cls(3, valley=2.0, narrowing=3.0)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        x = theta[:, 0]
        return spread(x**4 / 4 - x**2 / 2 + self._stiffness(x) / 2 * (theta[:, 1:] ** 2).sum(1), batch)

    def _stiffness(self, x: Tensor) -> Tensor:
        return self.valley + self.narrowing * (1 - x**2) ** 2

    def _grad(self, theta: Tensor) -> Tensor:
        x, square = theta[:, 0], (theta[:, 1:] ** 2).sum(1)
        g = self._stiffness(x)[:, None] * theta
        g[:, 0] = x**3 - x - 2 * self.narrowing * x * (1 - x**2) * square
        return g

    def _hessian(self, theta: Tensor) -> Tensor:
        x, y = theta[:, 0], theta[:, 1:]
        H = torch.diag_embed(self._stiffness(x)[:, None].expand(-1, self.dim).clone())
        H[:, 0, 0] = 3 * x**2 - 1 - 2 * self.narrowing * (1 - 3 * x**2) * (y**2).sum(1)
        mixed = -4 * self.narrowing * (x * (1 - x**2))[:, None] * y
        H[:, 0, 1:] = mixed
        H[:, 1:, 0] = mixed
        return H
