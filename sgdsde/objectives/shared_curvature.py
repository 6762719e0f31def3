"""Quadratic samples of one curvature: ℓᵢ(θ) = ½(θ − cᵢ)ᵀA(θ − cᵢ). Then f = ½(θ − c̄)ᵀA(θ − c̄) + const.

The stochastic gradient of a minibatch is A(θ − mean of its centers): its noise does not depend on θ, and its law is that of the data, not Gaussian.
Here HA-SME has SGD's mean and covariance, but not its law.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.given import own
from sgdsde.objective import Facts, Objective, like
from sgdsde.objectives.quadratic import Quadratic
from sgdsde.objectives.resident import Resident
from sgdsde.types import InputError


class SharedCurvature(Objective):
    """½(θ − cᵢ)ᵀA(θ − cᵢ) averaged over samples.

    Args:
        matrix: A, symmetric, as for :class:`Quadratic`.
        centers: cᵢ, ``[n, dim]``.

    Raises:
        InputError: A is not a finite symmetric matrix, or the centers are empty, not finite, or of another width.

    Example:
        >>> line = sg.objectives.SharedCurvature([2.0], [[-1.0], [1.0]])
        >>> sg.calculus.sample_covariance(line, torch.zeros(1, 1, dtype=torch.float64)).item()  # of ±2, wherever θ is
        4.0
    """

    def __init__(self, matrix: Any, centers: Any) -> None:
        c = own(centers, "centers").to(torch.float64)
        if c.ndim != 2 or c.numel() == 0:
            raise InputError(f"centers have shape {tuple(c.shape)}; wanted [n, dim] with at least one sample.")
        self.mean = Quadratic(matrix, center=c.mean(0))
        self.dim, self.n = self.mean.dim, c.shape[0]
        self.centers = Resident(c)
        spread = c - c.mean(0)
        A = self.mean.matrix
        self.gradient_covariance = A @ (spread.T @ spread / self.n) @ A  # covariance of one sample's gradient
        self.facts = Facts(
            grad=self.mean.facts.grad,
            hessian=self.mean.facts.hessian,
            third=self.mean.facts.third,
            covariance=self._covariance,
            sample_grads=self._sample_grads,
            minima=self.mean.facts.minima,
            saddles=self.mean.facts.saddles,
            constant_hessian=True,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """One dimension with two samples (Rademacher noise at batch size 1); three dimensions, skewed centers."""
        rng = np.random.default_rng(4)
        root = rng.standard_normal((3, 3))
        return [cls(1.5, [[-1.0], [1.0]]), cls(root @ root.T + np.eye(3), rng.standard_exponential((7, 3)))]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        centred = self._centred(theta, batch)  # [paths, batch, dim]
        return 0.5 * (centred * (centred @ like(self.mean.matrix, theta))).sum(2)

    def _centred(self, theta: Tensor, batch: Tensor | None) -> Tensor:
        return theta[:, None, :] - self.centers.rows(theta, batch)

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self._centred(theta, batch) @ like(self.mean.matrix, theta)

    def _covariance(self, theta: Tensor) -> Tensor:
        return like(self.gradient_covariance, theta).expand(theta.shape[0], -1, -1)
