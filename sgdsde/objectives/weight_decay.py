"""Weight decay as a part of the loss: f(θ) + (λ/2)‖θ‖², the same for SGD and for every model of it.

Coupled decay θ⁺ = θ − η(ĝ + λθ), which is what ``torch.optim.SGD(weight_decay=λ)`` does, is SGD on this loss: g gains λθ, H gains λI, Σ and the third
derivatives are unchanged. An SDE built from the bare loss would model another SGD.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sgdsde import calculus
from sgdsde.objective import Facts, Objective, as_objective, identity_rows
from sgdsde.objectives.double_well import DoubleWell
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.network import Network
from sgdsde.types import positive


class WeightDecay(Objective):
    """ℓᵢ(θ) + (λ/2)‖θ‖² for the samples of another objective; what is known of that in closed form stays known.

    Raises:
        InputError: λ ≤ 0.

    Example:
        >>> decayed = sg.objectives.WeightDecay(sg.objectives.Quadratic([4.0]), 0.5)
        >>> sg.calculus.hessian(decayed, torch.zeros(1, 1, dtype=torch.float64)).item()
        4.5
    """

    def __init__(self, objective: Objective, strength: float) -> None:
        self.objective = as_objective(objective)
        self.strength = positive(strength, "strength")
        self.dim, self.n = objective.dim, objective.n
        known = objective.facts
        self.facts = Facts(
            grad=self._grad if known.grad is not None else None,
            hessian=self._hessian if known.hessian is not None else None,
            covariance=known.covariance,
            sample_grads=self._sample_grads if known.sample_grads is not None else None,
            third=known.third,
            third_trace=known.third_trace,
            constant_hessian=known.constant_hessian,
            hessian_diagonal=self._hessian_diagonal if known.hessian_diagonal is not None else None,
            hvp=self._hvp if known.hvp is not None else None,
            weighted_grad=self._weighted_grad if known.weighted_grad is not None else None,
            hvp_at=self._hvp_at if known.hvp_at is not None else None,
            descend=self._descend if known.descend is not None else None,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """Least squares, a double well, a network."""
        return [cls(LeastSquares.examples()[0], 0.3), cls(DoubleWell(2), 0.5), cls(Network.examples()[1], 0.1)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.objective.sample_loss(theta, batch) + (self.strength / 2) * (theta * theta).sum(1, keepdim=True)

    def _grad(self, theta: Tensor) -> Tensor:
        return calculus.grad(self.objective, theta) + self.strength * theta

    def _hessian(self, theta: Tensor) -> Tensor:
        return calculus.hessian(self.objective, theta) + self.strength * identity_rows(theta)

    def _hessian_diagonal(self, theta: Tensor) -> Tensor:
        assert self.objective.facts.hessian_diagonal is not None
        return self.objective.facts.hessian_diagonal(theta) + self.strength

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return calculus.hvp(self.objective, theta, v) + self.strength * v

    def _hvp_at(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        product = calculus.hvp_at(self.objective, theta)
        return lambda v: product(v) + self.strength * v

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return calculus.sample_grads(self.objective, theta, batch) + self.strength * theta[:, None]

    def _weighted_grad(self, theta: Tensor, weights: Tensor | None, batch: Tensor | None) -> Tensor:
        mass = torch.ones_like(theta[:, :1]) if weights is None else weights.sum(1, keepdim=True)
        return calculus.weighted_grad(self.objective, theta, weights, batch) + self.strength * mass * theta

    def _descend(self, theta: Tensor, batches: Tensor, eta: float, decay: float) -> Tensor:
        assert self.objective.facts.descend is not None
        return self.objective.facts.descend(theta, batches, eta, decay + self.strength)
