"""SGD over a fresh random permutation of the data each epoch: the usual data loader.

Not a noise: two batches of an epoch have cross-covariance −(1/(n−1))·(1/n)Σᵢ(gᵢ−g)(gᵢ−g)ᵀ, so the process is coloured in time and has a position
in the epoch. An epoch has ⌊n/B⌋ batches; the remaining samples of the permutation are left out of that epoch.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor

from sgdsde.calculus import weighted_grad
from sgdsde.kernel import State
from sgdsde.kernels.draws import DrawnKernel, Draws
from sgdsde.kernels.optimizer_sgd import described
from sgdsde.kernels.schedule import Constant, Schedule, StepDecay
from sgdsde.kernels.update import HeavyBall, Plain, Update
from sgdsde.noises.minibatch import checked_batch_size, refuse_other_samples
from sgdsde.objective import Objective, as_objective
from sgdsde.objectives.least_squares import LeastSquares
from sgdsde.objectives.logistic_regression import LogisticRegression
from sgdsde.types import Conventions, expected, positive


class ShuffledSGD(DrawnKernel):
    """θ⁺ = θ − η∇(1/B)Σ_{i∈batch}ℓᵢ over epoch-wise permutations, one permutation a path; ``update`` and ``schedule`` as in :class:`OptimizerSGD`.

    Raises:
        InputError: η ≤ 0, or ``batch_size`` is no integer in 1…n.

    Example:
        >>> line = sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]])
        >>> run = sg.simulate(sg.kernels.ShuffledSGD(line, 1, 0.5), [0.0], horizon=1.0, paths=50, seed=1)
        >>> sorted(set(run.states[-1, :, 0].tolist()))  # two orders of two samples
        [-0.25, 0.25]
    """

    def __init__(self, objective: Objective, batch_size: int, eta: float, *, update: Update | None = None, schedule: Schedule | None = None) -> None:
        self.objective = as_objective(objective)
        self.batch_size = checked_batch_size(objective, batch_size, largest=objective.n)
        self.eta = positive(eta, "eta")
        self.tick = self.eta
        self.dim = objective.dim
        self.update = Plain() if update is None else expected(update, Update, "update", "for example sg.kernels.HeavyBall(0.9)")
        self.schedule = Constant() if schedule is None else expected(schedule, Schedule, "schedule", "for example sg.kernels.Cosine(steps)")
        self.epoch = objective.n // self.batch_size
        self.period = self.epoch if isinstance(self.schedule, Constant) else 0

    @property
    def width(self) -> int:
        return max(self.dim, self.objective.n)

    @classmethod
    def examples(cls) -> list[Self]:
        """Batches that divide the data and batches that do not; momentum with a schedule."""
        squares, logistic = LeastSquares.examples()[0], LogisticRegression.examples()[1]
        return [cls(squares, 2, 0.1), cls(logistic, 3, 0.2), cls(squares, 2, 0.1, update=HeavyBall(0.7), schedule=StepDecay(5, 0.5))]

    def init(self, theta: Tensor, generator: Generator) -> State:
        order = torch.zeros(theta.shape[0], self.objective.n, dtype=torch.long, device=theta.device)
        return State(theta, (order, *self.update.start(theta)))

    @property
    def leaps(self) -> bool:  # type: ignore[override]
        """Whether the objective takes the steps, without gradients that would be seen here (``facts.descend``): plain ones of one size."""
        return type(self.update) is Plain and type(self.schedule) is Constant and self.objective.facts.descend is not None

    def move(self, state: State, k: int, draws: Draws) -> State:
        if self.leaps:
            return self.moves(state, k, 1, draws)
        order, *memory = state.memory
        order = self._order(order, k, draws)
        g = weighted_grad(self.objective, state.theta, None, self._batches(order, k, 1)[0])
        theta, memory_after = self.update.apply(state.theta, tuple(memory), g, self.eta * self.schedule.factor(k))
        return State(theta, (order, *memory_after))

    def moves(self, state: State, k: int, ticks: int, draws: Draws) -> State:
        descend, theta, done = self.objective.facts.descend, state.theta, 0
        if not self.leaps or descend is None:
            return super().moves(state, k, ticks, draws)
        (order,) = state.memory
        while done < ticks:
            order = self._order(order, k + done, draws)
            count = min(ticks - done, self.epoch - (k + done) % self.epoch)  # to the end of the epoch
            theta = descend(theta, self._batches(order, k + done, count), self.eta, 0.0)
            done += count
        return State(theta, (order,))

    def _order(self, order: Tensor, k: int, draws: Draws) -> Tensor:
        """The permutations ``[P, n]`` in force at tick k: fresh ones where an epoch begins."""
        return order if k % self.epoch else draws.orders(order, order.shape[1], k)

    def _batches(self, order: Tensor, k: int, count: int) -> Tensor:
        """The batches of ``count`` ticks of one epoch, ``[count, P, B]``."""
        first = k % self.epoch * self.batch_size
        return order[:, first : first + count * self.batch_size].unflatten(1, (count, self.batch_size)).transpose(0, 1)

    def check(self, theta: Tensor) -> None:
        refuse_other_samples(self.objective, theta[:1])

    def conventions(self) -> Conventions:
        sampling = described("epoch shuffling", self.update, self.schedule)
        return Conventions(eta=self.eta, batch_size=self.batch_size, n=self.objective.n, sampling=sampling)
