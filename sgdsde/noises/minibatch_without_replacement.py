"""Minibatch sampling without replacement inside a batch; batches of different steps are independent.

Σ(θ) = (n−B)/(n−1)·(1/B)·(1/n)Σᵢ(gᵢ−g)(gᵢ−g)ᵀ: the finite-population factor makes the noise vanish at B = n. (Epoch shuffling is a third,
different process, coloured in time: :class:`sgdsde.kernels.ShuffledSGD`.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.calculus import sample_covariance, weighted_grad
from sgdsde.noise import Noise
from sgdsde.noises.minibatch import checked_batch_size
from sgdsde.objective import Objective
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.logistic_regression import LogisticRegression
from sgdsde.types import Conventions


class MinibatchWithoutReplacement(Noise):
    """Stochastic gradients over ``batch_size`` distinct samples.

    Raises:
        InputError: the objective has a single sample, or ``batch_size`` is no integer in 1…n.
    """

    def __init__(self, objective: Objective, batch_size: int) -> None:
        self.objective = objective
        self.batch_size = checked_batch_size(objective, batch_size, largest=objective.n)
        self.root_dim = objective.n
        self._factor = (objective.n - self.batch_size) / (objective.n - 1)

    @classmethod
    def examples(cls) -> list[Noise]:
        """Least squares and logistic regression with small batches; the full batch, which is noiseless."""
        squares, logistic = LeastSquares.examples()[0], LogisticRegression.examples()[1]
        return [cls(squares, 1), cls(squares, 4), cls(logistic, 3), cls(squares, squares.n)]

    def batches(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        """The samples of one step of each path, ``[P, B]``, all different."""
        keys = torch.rand(theta.shape[0], self.objective.n, generator=generator, device=theta.device)  # [paths, n]
        return keys.topk(self.batch_size, dim=1, sorted=False).indices

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return weighted_grad(self.objective, theta, None, self.batches(theta, generator))

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        scale = (self._factor / (self.objective.n * self.batch_size)) ** 0.5
        return weighted_grad(self.objective, theta, (z - z.mean(1, keepdim=True)) * scale, None)

    def covariance(self, theta: Tensor) -> Tensor:
        return sample_covariance(self.objective, theta) * (self._factor / self.batch_size)

    def conventions(self) -> Conventions:
        return Conventions(batch_size=self.batch_size, n=self.objective.n, sampling="minibatch without replacement")
