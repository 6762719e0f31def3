"""A loss that sees directions only: f̃(θ) = f(ρθ/‖θ‖), as a network whose weights all feed normalisation layers is.

With r = ‖θ‖, u = θ/r, P = I − uuᵀ and g, H of f at ρu:  ∇f̃ = (ρ/r)Pg,  ∇²f̃ = [ρ²PHP − ρ((u·g)P + (Pg)uᵀ + u(Pg)ᵀ)]/r². The gradient is orthogonal to θ and
falls like 1/r, its covariance like 1/r²: each step of gradient descent makes θ longer, which makes the next one smaller (van Laarhoven 1706.05350). With weight
decay λ SGD's length balances: 2λE‖θ‖² = η(E‖∇L‖² + E tr Σ), L the loss with decay (Li, Malladi, Arora 2102.12470). Not defined at θ = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde import calculus
from sgdsde.objective import Facts, Objective, as_objective, identity_rows
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.shallow_tanh import ShallowTanh
from sgdsde.types import positive


class ScaleInvariant(Objective):
    """ℓᵢ(ρθ/‖θ‖) for the samples of another objective; its closed forms carry over.

    Raises:
        InputError: ρ ≤ 0.

    Example:
        >>> round_ = sg.objectives.ScaleInvariant(sg.objectives.Quadratic([4.0, 1.0]))
        >>> a, b = round_.loss(torch.tensor([[1.0, 1.0], [5.0, 5.0]], dtype=torch.float64)).tolist()
        >>> round(a / b, 9)
        1.0
    """

    def __init__(self, objective: Objective, radius: float = 1.0) -> None:
        self.objective = as_objective(objective)
        self.radius = positive(radius, "radius")
        self.dim, self.n = objective.dim, objective.n
        known = objective.facts
        self.facts = Facts(
            grad=self._grad if known.grad is not None else None,
            hessian=self._hessian if known.hessian is not None else None,
            covariance=self._covariance if known.covariance is not None else None,
            sample_grads=self._sample_grads if known.sample_grads is not None else None,
            weighted_grad=self._weighted_grad if known.weighted_grad is not None else None,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """Least squares on a circle, a network on a sphere."""
        return [cls(LeastSquares.examples()[0], 1.5), cls(ShallowTanh.examples()[1], 2.0)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.objective.sample_loss(self.radius * theta / torch.linalg.vector_norm(theta, dim=1, keepdim=True), batch)

    def _at(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """u ``[P, dim]`` and ρ/r ``[P, 1]``."""
        r = torch.linalg.vector_norm(theta, dim=1, keepdim=True)
        return theta / r, self.radius / r

    def _grad(self, theta: Tensor) -> Tensor:
        u, factor = self._at(theta)
        return factor * _across(u, calculus.grad(self.objective, self.radius * u))

    def _weighted_grad(self, theta: Tensor, weights: Tensor | None, batch: Tensor | None) -> Tensor:
        u, factor = self._at(theta)
        return factor * _across(u, calculus.weighted_grad(self.objective, self.radius * u, weights, batch))

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        u, factor = self._at(theta)
        return factor[:, None] * _across(u[:, None], calculus.sample_grads(self.objective, self.radius * u, batch))

    def _covariance(self, theta: Tensor) -> Tensor:
        u, factor = self._at(theta)
        P = identity_rows(theta) - u[:, :, None] * u[:, None]
        return factor[:, None] ** 2 * (P @ calculus.sample_covariance(self.objective, self.radius * u) @ P)

    def _hessian(self, theta: Tensor) -> Tensor:
        u, factor = self._at(theta)
        point = self.radius * u
        g, H = calculus.grad(self.objective, point), calculus.hessian(self.objective, point)
        P = identity_rows(theta) - u[:, :, None] * u[:, None]
        cross = _across(u, g)[:, :, None] * u[:, None]
        bend = (u * g).sum(1)[:, None, None] * P + cross + cross.transpose(1, 2)
        factor = factor[:, None]  # [paths, 1, 1]
        return factor**2 * (P @ H @ P) - factor**2 / self.radius * bend


def _across(u: Tensor, v: Tensor) -> Tensor:
    """(I − uuᵀ)v along the last axis."""
    return v - (u * v).sum(-1, keepdim=True) * u
