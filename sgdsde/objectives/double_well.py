"""Double well: f(θ) = θ₁⁴/4 − θ₁²/2 + (k/2)Σ_{i≥2}θᵢ². Minima ±e₁, saddle 0, barrier ¼."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Facts, Objective, spread
from sgdsde.types import InputError, positive


class DoubleWell(Objective):
    """The quartic double well in the first coordinate, a quadratic of curvature ``transverse`` in the others.

    Example:
        >>> well = sg.objectives.DoubleWell()
        >>> well.facts.barrier, well.loss(torch.tensor([[-1.0], [0.0]])).tolist()  # θ⁴/4 − θ²/2
        (0.25, [-0.25, 0.0])
    """

    def __init__(self, dim: int = 1, *, transverse: float = 1.0) -> None:
        if not is_whole(dim, 1):
            raise InputError(f"dim = {dim!r}; wanted an integer ≥ 1.")
        self.dim = int(dim)
        self.transverse = positive(transverse, "transverse")
        rest = (0.0,) * (self.dim - 1)
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hessian_diagonal=self._diagonal,
            hvp=self._hvp,
            third=self._third,
            minima=((-1.0, *rest), (1.0, *rest)),
            saddles=((0.0, *rest),),
            barrier=0.25,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """One dimension and three."""
        return [cls(), cls(3, transverse=2.0)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        first, rest = theta[:, 0], theta[:, 1:]
        return spread(first**4 / 4 - first**2 / 2 + self.transverse / 2 * (rest**2).sum(1), batch)

    def _grad(self, theta: Tensor) -> Tensor:
        g = self.transverse * theta
        g[:, 0] = theta[:, 0] ** 3 - theta[:, 0]
        return g

    def _diagonal(self, theta: Tensor) -> Tensor:
        diagonal = torch.full_like(theta, self.transverse)
        diagonal[:, 0] = 3 * theta[:, 0] ** 2 - 1
        return diagonal

    def _hessian(self, theta: Tensor) -> Tensor:
        return torch.diag_embed(self._diagonal(theta))

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return self._diagonal(theta) * v

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        result = torch.zeros_like(theta)
        result[:, 0] = 6 * theta[:, 0] * u[:, 0] * v[:, 0]
        return result
