"""What a comparison of networks looks at: functions of θ ``[P, dim]``, picklable, with the data they need.

Loss f(θ); ‖θ − θ₀‖²; coordinates along the top eigenvectors of the Hessian at a point (their total variance is the top-eigenspace variance); distance in
function space on held-out inputs, (1/m)Σⱼ|z_θ(xⱼ) − z_θ₀(xⱼ)|², which does not see reparametrisations; accuracy on held-out data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.given import is_whole, own
from sgdsde.objective import Objective, like
from sgdsde.types import InputError

#: (θ ``[P, dim]``, inputs ``[m, …]``) ↦ outputs ``[P, m]`` (two-class logits) or ``[P, m, k]``
Answer = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """θ ↦ f(θ)."""

    objective: Objective

    def __call__(self, theta: Tensor) -> Tensor:
        return self.objective.loss(theta).detach()


@dataclass(frozen=True)
class SquaredDistance:
    """θ ↦ ‖θ − origin‖²."""

    origin: tuple[float, ...]

    def __call__(self, theta: Tensor) -> Tensor:
        return ((theta - torch.tensor(self.origin, dtype=theta.dtype, device=theta.device)) ** 2).sum(1)


@dataclass(frozen=True)
class Coordinates:
    """θ ↦ Uᵀθ, ``[P, k]``, for orthonormal columns U ``[dim, k]``: as one of ``compare``'s ``variances`` it gives the variance in their span."""

    basis: Float[Tensor, "dim k"]

    def __call__(self, theta: Tensor) -> Tensor:
        return theta @ like(self.basis, theta)


def top_eigenspace(objective: Objective, anchor: Any, count: int) -> Coordinates:
    """Coordinates along the ``count`` eigenvectors of the Hessian at ``anchor`` with the largest |λ| (dense: dim up to a few hundred).

    Raises:
        InputError: ``count`` is no integer in 1…dim, or the anchor has the wrong shape.
    """
    point = own(anchor, "anchor").to(torch.float64).reshape(-1)
    if point.shape[0] != objective.dim:
        raise InputError(f"anchor has {point.shape[0]} coordinates; wanted {objective.dim}, one point of the objective.")
    if not is_whole(count, 1, objective.dim):
        raise InputError(f"count = {count!r}; wanted an integer in 1…{objective.dim}.")
    values, vectors = torch.linalg.eigh(hessian(objective, point[None])[0])
    order = values.abs().argsort(descending=True)[: int(count)]
    return Coordinates(vectors[:, order])


@dataclass(frozen=True)
class FunctionDistance:
    """θ ↦ (1/m)Σⱼ|z_θ(xⱼ) − z_origin(xⱼ)|² on inputs ``[m, …]`` that training has not seen."""

    answer: Answer
    inputs: Tensor
    origin: tuple[float, ...]

    def __call__(self, theta: Tensor) -> Tensor:
        with torch.no_grad():
            before = self.answer(torch.tensor([self.origin], dtype=theta.dtype, device=theta.device), self.inputs)
            change = self.answer(theta, self.inputs) - before  # [paths, m] or [paths, m, k]
        return (change**2).flatten(2).sum(2).mean(1) if change.ndim > 2 else (change**2).mean(1)


@dataclass(frozen=True)
class Accuracy:
    """θ ↦ the share of inputs ``[m, …]`` whose class is right: the sign of ``[P, m]`` logits, or the largest of ``[P, m, classes]``."""

    answer: Answer
    inputs: Tensor
    labels: Tensor

    def __call__(self, theta: Tensor) -> Tensor:
        with torch.no_grad():
            z = self.answer(theta, self.inputs)
        guess = (z > 0).long() if z.ndim == 2 else z.argmax(2)
        right = (guess == self.labels.to(guess.device)).to(theta.dtype)
        lost = ~torch.isfinite(z).flatten(1).all(1)
        return torch.where(lost, torch.nan, right.mean(1))
