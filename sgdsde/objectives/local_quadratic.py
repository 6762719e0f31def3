"""The second-order Taylor polynomial of an objective at a point: f(θ₀) + g₀·(θ − θ₀) + ½(θ − θ₀)ᵀH₀(θ − θ₀).

With the noise frozen at θ₀ it is the linear world around the point: every moment of SGD and of the models has a closed form there, so a run of it on the
same random numbers is a control variate for the run on the objective itself. H₀ may be singular or indefinite.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.calculus import grad, hessian
from sgdsde.given import own
from sgdsde.objective import Facts, Objective, as_objective, like, spread
from sgdsde.objectives.double_well import DoubleWell
from sgdsde.objectives.muller_brown import MullerBrown
from sgdsde.types import InputError


class LocalQuadratic(Objective):
    """Taylor polynomial of degree two of ``objective`` at ``anchor [dim]``, float64 inside.

    Raises:
        InputError: the anchor has the wrong shape, or the derivatives there are not finite.

    Example:
        >>> local = sg.objectives.LocalQuadratic(sg.objectives.DoubleWell(), [1.0])
        >>> sg.calculus.hessian(local, torch.tensor([[5.0]], dtype=torch.float64)).item()  # 3θ² − 1 at the anchor
        2.0
    """

    def __init__(self, objective: Objective, anchor: Any) -> None:
        as_objective(objective)
        point = own(anchor, "anchor").to("cpu", torch.float64)
        if tuple(point.shape) != (objective.dim,):
            raise InputError(f"anchor has shape {tuple(point.shape)}; wanted [{objective.dim}], one point of the objective.")
        self.dim, self.n = objective.dim, 1
        self.anchor = point
        self.value = float(objective.loss(point[None])[0].detach())
        self.slope, self.matrix = grad(objective, point[None])[0], hessian(objective, point[None])[0]
        if not bool(torch.isfinite(self.slope).all() and torch.isfinite(self.matrix).all()):
            raise InputError("The derivatives at the anchor are not finite; take another point.")
        self.facts = Facts(grad=self._grad, hessian=self._hessian, hvp=self._hvp, third=self._third, constant_hessian=True)

    @classmethod
    def examples(cls) -> list[Objective]:
        """At a slope of a double well, and where a surface is indefinite."""
        return [cls(DoubleWell(2, transverse=1.5), [0.6, -0.2]), cls(MullerBrown(), [-0.3, 0.9])]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        step = theta - like(self.anchor, theta)
        return spread(self.value + step @ like(self.slope, theta) + 0.5 * (step * (step @ like(self.matrix, theta))).sum(1), batch)

    def _grad(self, theta: Tensor) -> Tensor:
        return torch.addmm(like(self.slope, theta), theta - like(self.anchor, theta), like(self.matrix, theta))

    def _hessian(self, theta: Tensor) -> Tensor:
        return like(self.matrix, theta).expand(theta.shape[0], -1, -1)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return v @ like(self.matrix, theta)

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return torch.zeros_like(theta)
