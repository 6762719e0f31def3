"""Ticks in pieces, for splitting: a path that leaves by one large jump passes no level between ticks, but it does while the jump's noise adds up.

SGD with Gaussian noise: ηRz with z = (z₁ + … + z_n)/√n, so a tick is n pieces θ ← θ + ηR(θ_k)z_j/√n after one drift θ ← θ_k − ηg(θ_k): the same chain
at whole ticks, whatever n. An integrator's pieces are its substeps. Any other kernel has one piece. Exits are looked for at whole ticks only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from sgdsde.calculus import grad
from sgdsde.kernel import Kernel, State
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.sgd import SGD
from sgdsde.noise import GaussianNoise
from sgdsde.rng import normals


class Clock(ABC):
    """``pieces`` steps a tick. The first part of a state's memory is the number of pieces done since the last whole tick, ``[P]``."""

    pieces: int

    @abstractmethod
    def begin(self, theta: Tensor, generator: Generator) -> State:
        """The state at start points, at a whole tick."""

    @abstractmethod
    def step(self, state: State, generator: Generator) -> State:
        """One piece on; paths need not be in the same piece."""

    def whole(self, state: State) -> Tensor:
        """Which paths stand at a whole tick."""
        return state.memory[0] == 0


class WholeTicks(Clock):
    """One piece a tick."""

    pieces = 1

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def begin(self, theta: Tensor, generator: Generator) -> State:
        inner = self.kernel.init(theta, generator)
        return State(inner.theta, (theta.new_zeros(theta.shape[0], dtype=torch.long), *inner.memory))

    def step(self, state: State, generator: Generator) -> State:
        after = self.kernel.advance(State(state.theta, state.memory[1:]), 0, generator)
        return State(after.theta, (state.memory[0], *after.memory))


class SubstepClock(Clock):
    """The substeps of an integrator."""

    def __init__(self, integrator: Integrator) -> None:
        self.integrator, self.pieces = integrator, integrator.substeps

    def begin(self, theta: Tensor, generator: Generator) -> State:
        self.integrator.prepare()
        return State(theta, (theta.new_zeros(theta.shape[0], dtype=torch.long),))

    def step(self, state: State, generator: Generator) -> State:
        dw = normals(state.theta, self.integrator.noise_dim, generator, self.integrator.dt**0.5)
        return State(self.integrator.step(state.theta, 0.0, dw), ((state.memory[0] + 1) % self.pieces,))


class DividedNoise(Clock):
    """SGD's Gaussian noise in ``pieces`` independent parts. The second part of the memory is θ_k, where the tick began."""

    def __init__(self, sgd: SGD, pieces: int) -> None:
        self.sgd, self.pieces = sgd, pieces

    def begin(self, theta: Tensor, generator: Generator) -> State:
        return State(theta, (theta.new_zeros(theta.shape[0], dtype=torch.long), theta.clone()))

    def step(self, state: State, generator: Generator) -> State:
        theta, (done, origin) = state.theta, state.memory
        fresh = done == 0
        if bool(fresh.any()):
            origin = torch.where(fresh[:, None], theta, origin)
            theta = theta.clone()
            theta[fresh] -= self.sgd.eta * grad(self.sgd.noise.objective, theta[fresh])
        z = normals(theta, self.sgd.noise_dim, generator, self.pieces**-0.5)
        return State(theta + self.sgd.eta * self.sgd.noise.root(origin, z), ((done + 1) % self.pieces, origin))


def clock_of(kernel: Kernel, pieces: int) -> Clock:
    """The clock that a kernel offers: its own substeps, ``pieces`` parts of a Gaussian noise, or whole ticks."""
    if isinstance(kernel, Integrator):
        return SubstepClock(kernel)
    if isinstance(kernel, SGD) and isinstance(kernel.noise, GaussianNoise):
        return DividedNoise(kernel, pieces)
    return WholeTicks(kernel)
