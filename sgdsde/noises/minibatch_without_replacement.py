"""Minibatch sampling without replacement inside a batch; batches of different steps are independent.

Σ(θ) = (n−B)/(n−1)·(1/B)·(1/n)Σᵢ(gᵢ−g)(gᵢ−g)ᵀ: the finite-population factor makes the noise vanish at B = n. (Epoch shuffling is a third,
different process, coloured in time: :class:`sgdsde.kernels.ShuffledSGD`.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.calculus import sample_covariance, weighted_grad
from sgdsde.counter import indices
from sgdsde.noise import CountedNoise, Noise
from sgdsde.noises.minibatch import checked_batch_size, refuse_other_samples
from sgdsde.objective import Objective, as_objective
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.logistic_regression import LogisticRegression
from sgdsde.types import Conventions


class MinibatchWithoutReplacement(CountedNoise):
    """Stochastic gradients over ``batch_size`` distinct samples.

    Raises:
        InputError: the objective has a single sample, or ``batch_size`` is no integer in 1…n.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [0.0], [1.0]])
        >>> with_, without = (
        ...     noise(line, 2).covariance(torch.zeros(1, 1, dtype=torch.float64)).item()
        ...     for noise in (sg.noises.Minibatch, sg.noises.MinibatchWithoutReplacement)
        ... )
        >>> round(without / with_, 9)  # (n − B)/(n − 1)
        0.5
    """

    def __init__(self, objective: Objective, batch_size: int) -> None:
        self.objective = as_objective(objective)
        self.batch_size = checked_batch_size(objective, batch_size, largest=objective.n)
        self.root_dim = objective.n
        self._factor = (objective.n - self.batch_size) / (objective.n - 1)

    @classmethod
    def examples(cls) -> list[Noise]:
        """Least squares and logistic regression with small batches; the full batch, which is noiseless."""
        squares, logistic = LeastSquares.examples()[0], LogisticRegression.examples()[1]
        return [cls(squares, 1), cls(squares, 4), cls(logistic, 3), cls(squares, squares.n)]

    def batches(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        """The samples of one step of each path, ``[P, B]``, all different: uniform among all such batches.

        Where B is small against √n, independent draws until all differ (a row is kept with probability about exp(−B²/2n)); else the largest of n random keys.
        """
        paths, n, size = theta.shape[0], self.objective.n, self.batch_size
        if self._dense:
            keys = torch.rand(paths, n, generator=generator, device=theta.device)  # [paths, n]
            return keys.topk(size, dim=1, sorted=False).indices
        batch = torch.randint(n, (paths, size), generator=generator, device=theta.device)
        rows = torch.nonzero(_repeats(batch))[:, 0]
        while rows.numel():
            batch[rows] = torch.randint(n, (rows.numel(), size), generator=generator, device=theta.device)
            rows = rows[_repeats(batch[rows])]
        return batch

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return weighted_grad(self.objective, theta, None, self.batches(theta, generator))

    @property
    def words(self) -> int:
        return self.objective.n if self._dense else self.batch_size

    def draw_of(self, theta: Tensor, words: Tensor) -> Tensor:
        return weighted_grad(self.objective, theta, None, self.batches_of(words))

    def batches_of(self, words: Tensor) -> Tensor:
        """The samples that ``words`` stand for, ``[P, B]``, all different."""
        return words.topk(self.batch_size, dim=1, sorted=False).indices if self._dense else _floyd(words, self.objective.n)

    @property
    def _dense(self) -> bool:
        """Whether n random keys are cheaper than a word a sample of the batch."""
        return self.batch_size * (self.batch_size - 1) > self.objective.n

    def weights(self, z: Tensor) -> Tensor:
        """The samples' weights in Rz, ``[P, n]``."""
        return (z - z.mean(1, keepdim=True)) * (self._factor / (self.objective.n * self.batch_size)) ** 0.5

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return weighted_grad(self.objective, theta, self.weights(z), None)

    def covariance(self, theta: Tensor) -> Tensor:
        return sample_covariance(self.objective, theta) * (self._factor / self.batch_size)

    def check(self, theta: Tensor) -> None:
        refuse_other_samples(self.objective, theta[:1])

    def conventions(self) -> Conventions:
        return Conventions(batch_size=self.batch_size, n=self.objective.n, sampling="minibatch without replacement")


def _floyd(words: Tensor, n: int) -> Tensor:
    """B distinct numbers below n from B words, uniform among all such sets: for m = n − B … n − 1 one of 0 … m, or m itself where that one is taken.

    R. Floyd, in Bentley, Programming pearls: a sample of brilliance (CACM 30, 1987).
    """
    size = words.shape[1]
    batch = torch.empty_like(words)
    for i in range(size):
        last = n - size + i
        picked = indices(words[:, i], last + 1)
        taken = (batch[:, :i] == picked[:, None]).any(1)
        batch[:, i] = torch.where(taken, last, picked)
    return batch


def _repeats(batch: Tensor) -> Tensor:
    """Which rows hold a sample twice, bool ``[P]``."""
    ordered = batch.sort(1).values
    return (ordered[:, 1:] == ordered[:, :-1]).any(1)
