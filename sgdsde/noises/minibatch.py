"""Minibatch sampling with replacement: B indices drawn independently and uniformly at each step.

Σ(θ) = (1/B)·(1/n)Σᵢ(gᵢ−g)(gᵢ−g)ᵀ, and Rz = ∇Σᵢ(zᵢ−z̄)ℓᵢ(θ)/√(nB): one weighted backward pass, no d×d matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.calculus import sample_covariance, weighted_grad
from sgdsde.counter import indices
from sgdsde.given import is_whole
from sgdsde.noise import CountedNoise, Noise
from sgdsde.objective import Objective, as_objective, checked_losses
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.logistic_regression import LogisticRegression
from sgdsde.types import Conventions, InputError


class Minibatch(CountedNoise):
    """Stochastic gradients over ``batch_size`` samples drawn with replacement.

    Raises:
        InputError: the objective has a single sample, or ``batch_size`` is no integer ≥ 1.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> sg.noises.Minibatch(line, 4).covariance(torch.zeros(1, 1, dtype=torch.float64)).item()  # (1/B)·(1/n)Σ(gᵢ−g)²
        0.25
    """

    def __init__(self, objective: Objective, batch_size: int) -> None:
        self.objective = as_objective(objective)
        self.batch_size = checked_batch_size(objective, batch_size, largest=None)
        self.root_dim = objective.n

    @classmethod
    def examples(cls) -> list[Noise]:
        """Least squares and logistic regression with small batches."""
        squares, logistic = LeastSquares.examples()[0], LogisticRegression.examples()[1]
        return [cls(squares, 1), cls(squares, 4), cls(logistic, 3)]

    def batches(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        """The samples of one step of each path, ``[P, B]``."""
        return torch.randint(self.objective.n, (theta.shape[0], self.batch_size), generator=generator, device=theta.device)

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return weighted_grad(self.objective, theta, None, self.batches(theta, generator))

    @property
    def words(self) -> int:
        return self.batch_size

    def draw_of(self, theta: Tensor, words: Tensor) -> Tensor:
        return weighted_grad(self.objective, theta, None, self.batches_of(words))

    def batches_of(self, words: Tensor) -> Tensor:
        """The samples that ``words`` stand for, ``[P, B]``."""
        return indices(words, self.objective.n)

    def weights(self, z: Tensor) -> Tensor:
        """The samples' weights in Rz, ``[P, n]``."""
        return (z - z.mean(1, keepdim=True)) / (self.objective.n * self.batch_size) ** 0.5

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return weighted_grad(self.objective, theta, self.weights(z), None)

    def covariance(self, theta: Tensor) -> Tensor:
        return sample_covariance(self.objective, theta) / self.batch_size

    def check(self, theta: Tensor) -> None:
        refuse_other_samples(self.objective, theta[:1])

    def conventions(self) -> Conventions:
        return Conventions(batch_size=self.batch_size, n=self.objective.n, sampling="minibatch with replacement")


def refuse_other_samples(objective: Objective, theta: Tensor) -> None:
    """Refuses an objective whose losses of a batch are not those of its samples; one with gradients of its own in ``facts`` is taken at its word.

    Raises:
        InputError: ``sample_loss(theta, batch)`` holds other numbers than the columns of ``sample_loss(theta)``.
    """
    if objective.facts.weighted_grad is not None or objective.facts.sample_grads is not None:
        return
    index = torch.tensor([[objective.n - 1, 0, objective.n // 2]], device=theta.device).expand(theta.shape[0], -1)
    with torch.no_grad():
        found, wanted = checked_losses(objective, theta, index), checked_losses(objective, theta, None)
    if wanted.shape[1] != objective.n or not torch.allclose(found, wanted.gather(1, index), rtol=1e-3, atol=1e-6, equal_nan=True):
        raise InputError(
            f"{type(objective).__name__}.sample_loss(theta, batch) brings other losses for samples {index[0].tolist()} of {objective.n} than "
            f"sample_loss(theta): {found[0].tolist()}, not {wanted[0, index[0].clamp_max(wanted.shape[1] - 1)].tolist()}. "
            "Column j must be the loss of sample batch[p, j]."
        )


def checked_batch_size(objective: Objective, batch_size: int, *, largest: int | None) -> int:
    """The batch size as an int, refused where the objective cannot serve it."""
    if not is_whole(batch_size, 1):
        raise InputError(f"batch_size = {batch_size!r}; wanted an integer ≥ 1.")
    if as_objective(objective).n < 2:
        raise InputError(
            f"{type(objective).__name__} has n = {objective.n} sample: nothing to draw a minibatch from. Use sg.noises.Gaussian(objective, covariance)."
        )
    if largest is not None and batch_size > largest:
        raise InputError(f"batch_size = {batch_size} exceeds n = {largest} samples; without replacement a batch holds each sample at most once.")
    return int(batch_size)
