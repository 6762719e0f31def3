"""SGD over a fresh random permutation of the data each epoch: the usual data loader.

Not a noise: two batches of an epoch have cross-covariance −(1/(n−1))·(1/n)Σᵢ(gᵢ−g)(gᵢ−g)ᵀ, so the process is coloured in time and has a position
in the epoch. An epoch has ⌊n/B⌋ batches; the remaining samples of the permutation are left out of that epoch.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor

from sgdsde.calculus import weighted_grad
from sgdsde.kernel import Kernel, State
from sgdsde.noises.minibatch import checked_batch_size
from sgdsde.objective import Objective
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.logistic_regression import LogisticRegression
from sgdsde.types import Conventions, positive


class ShuffledSGD(Kernel):
    """θ⁺ = θ − η∇(1/B)Σ_{i∈batch}ℓᵢ over epoch-wise permutations, one permutation a path.

    Raises:
        InputError: η ≤ 0, or ``batch_size`` is no integer in 1…n.
    """

    def __init__(self, objective: Objective, batch_size: int, eta: float) -> None:
        self.objective = objective
        self.batch_size = checked_batch_size(objective, batch_size, largest=objective.n)
        self.eta = positive(eta, "eta")
        self.tick = self.eta
        self.dim = objective.dim
        self.period = self.epoch = objective.n // self.batch_size

    @property
    def width(self) -> int:
        return max(self.dim, self.objective.n)

    @classmethod
    def examples(cls) -> list[Self]:
        """Batches that divide the data and batches that do not."""
        return [cls(LeastSquares.examples()[0], 2, 0.1), cls(LogisticRegression.examples()[1], 3, 0.2)]

    def init(self, theta: Tensor, generator: Generator) -> State:
        return State(theta, (torch.zeros(theta.shape[0], self.objective.n, dtype=torch.long, device=theta.device),))

    def advance(self, state: State, k: int, generator: Generator) -> State:
        (order,) = state.memory
        position = k % self.epoch
        if position == 0:
            keys = torch.rand(order.shape, generator=generator, device=order.device)
            order = keys.argsort(1)  # [paths, n]
        batch = order[:, position * self.batch_size : (position + 1) * self.batch_size]
        return State(state.theta - self.eta * weighted_grad(self.objective, state.theta, None, batch), (order,))

    def conventions(self) -> Conventions:
        return Conventions(eta=self.eta, batch_size=self.batch_size, n=self.objective.n, sampling="epoch shuffling")
