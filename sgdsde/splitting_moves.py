"""Moves for splitting: a tick in one move, or in several, so that levels are passed inside a tick too.

A path that leaves by one large jump passes no level between ticks, but it does while the noise of the jump adds up. SGD with Gaussian noise moves by
−ηg(θ) and then n times by ηR(θ)z/√n: the same chain at whole ticks, whatever n. An integrator moves by its substeps. Whether a path has left is looked at
at whole ticks only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from sgdsde.calculus import grad
from sgdsde.kernel import Kernel, State
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.sgd import SGD
from sgdsde.noise import GaussianNoise
from sgdsde.rng import normals
from sgdsde.types import InputError

Score = Callable[[Tensor], Tensor]


class Clock(ABC):
    """``moves`` moves a tick; the law of a move depends on its place in ``period`` moves."""

    moves: int = 1
    period: int = 1
    #: a finer clock of the same kernel exists
    divisible: bool = False
    #: what a move costs, in steps of the kernel
    cost: float = 1.0

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def begin(self, theta: Tensor, generator: Generator) -> State:
        """The state at start points, at place 0."""
        return self.kernel.init(theta, generator)

    @abstractmethod
    def move(self, state: State, place: Int[Tensor, " P"], generator: Generator) -> State:
        """One move; paths need not be in the same place."""

    def outlook(self, score: Score, state: State, place: Int[Tensor, " P"]) -> Tensor:
        """How near paths are to leaving, ``[P]``: here the score of where they are."""
        return score(state.theta)


class WholeTicks(Clock):
    """One move a tick, for any kernel. Paths in the same place of a kernel's period move together."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        if kernel.period < 1:
            raise InputError(f"The law of a step of {type(kernel).__name__} never repeats (a schedule), so there is no rate of exits to find.")
        self.period = kernel.period
        self.divisible = isinstance(kernel, SGD) and isinstance(kernel.noise, GaussianNoise)

    def move(self, state: State, place: Tensor, generator: Generator) -> State:
        if self.period == 1:
            return self.kernel.advance(state, 0, generator)
        after = State(torch.empty_like(state.theta), tuple(torch.empty_like(part) for part in state.memory))
        for k in place.unique().tolist():
            rows = torch.nonzero(place == k)[:, 0]
            moved = self.kernel.advance(state.take(rows), int(k), generator)
            after.theta[rows] = moved.theta
            for whole, part in zip(after.memory, moved.memory, strict=True):
                whole[rows] = part
        return after


class SubstepMoves(Clock):
    """The substeps of an integrator."""

    def __init__(self, integrator: Integrator) -> None:
        super().__init__(integrator)
        self.integrator = integrator
        self.moves = self.period = integrator.substeps
        self.cost = 1 / self.moves

    def move(self, state: State, place: Tensor, generator: Generator) -> State:
        dw = normals(state.theta, self.integrator.noise_dim, generator, self.integrator.dt**0.5)
        return State(self.integrator.step(state.theta, 0.0, dw), state.memory)


class DividedNoise(Clock):
    """The Gaussian noise of SGD in ``moves`` equal parts; the state's memory is θ_k, where the tick began."""

    def __init__(self, sgd: SGD, moves: int) -> None:
        super().__init__(sgd)
        self.sgd, self.moves, self.period, self.divisible = sgd, moves, moves, True

    def begin(self, theta: Tensor, generator: Generator) -> State:
        return State(theta, (theta.clone(),))

    def move(self, state: State, place: Tensor, generator: Generator) -> State:
        theta, (origin,) = state
        first = (place == 0)[:, None]
        z = normals(theta, self.sgd.noise_dim, generator, self.moves**-0.5)
        if bool(first.any()):
            origin = torch.where(first, theta, origin)
            theta = torch.where(first, theta - self.sgd.eta * grad(self.sgd.noise.objective, theta), theta)
        return State(theta + self.sgd.eta * self.sgd.noise.root(origin, z), (origin,))

    def outlook(self, score: Score, state: State, place: Tensor) -> Tensor:
        """Distances in units of the noise that is still to come: d(θ)/√(1 − j/n) to leave in this tick, or d(θ − ηg) to leave in the next, the smaller."""
        theta = state.theta
        later = score(theta - self.sgd.eta * grad(self.sgd.noise.objective, theta))
        now = score(theta) / (1 - place / self.moves).sqrt().to(theta)
        return torch.where(place == 0, later, torch.minimum(now, later))


def clock_of(kernel: Kernel, *, divide: int) -> Clock:
    """The clock of a kernel: its substeps, its Gaussian noise in ``divide`` parts, or whole ticks where it has neither."""
    if isinstance(kernel, Integrator) and kernel.substeps > 1:
        return SubstepMoves(kernel)
    if isinstance(kernel, SGD) and isinstance(kernel.noise, GaussianNoise) and divide > 1:
        return DividedNoise(kernel, divide)
    return WholeTicks(kernel)
