"""Kernels around a driven kernel: what counter-based and weak increments and recorded steps share."""

from __future__ import annotations

from abc import abstractmethod

from torch import Generator, Tensor

from sgdsde.kernel import DrivenKernel, Kernel, State
from sgdsde.kernels.sgd import SGD
from sgdsde.types import Conventions, InputError


class Around(Kernel):
    """A kernel that steps another, ``kernel``, by its ``step``.

    Raises:
        InputError: the kernel takes no Brownian increments.
    """

    def __init__(self, kernel: Kernel) -> None:
        if isinstance(kernel, SGD):
            kernel.gaussian_noise()
        if not isinstance(kernel, DrivenKernel):
            raise InputError(f"{type(self).__name__} drives SGD with a Gaussian noise, EulerMaruyama, Heun or ExactOU; got {type(kernel).__name__}.")
        self.kernel = kernel
        self.dim, self.tick, self.noise_dim, self.substeps, self.dt = kernel.dim, kernel.tick, kernel.noise_dim, kernel.substeps, kernel.dt

    def init(self, theta: Tensor, generator: Generator) -> State:
        return self.kernel.init(theta, generator)

    @property
    def width(self) -> int:
        return self.kernel.width

    def check(self, theta: Tensor) -> None:
        self.kernel.check(theta)

    def conventions(self) -> Conventions:
        return self.kernel.conventions()


class Driven(Around):
    """``kernel``, stepped with :meth:`increments`."""

    @abstractmethod
    def increments(self, state: State, step: int, generator: Generator) -> Tensor:
        """Step number ``step`` of the run: increments over dt for each path, ``[P, noise_dim]``."""

    def advance(self, state: State, k: int, generator: Generator) -> State:
        for j in range(self.substeps):
            dw = self.increments(state, k * self.substeps + j, generator)
            state = state._replace(theta=self.kernel.step(state.theta, (k + j / self.substeps) * self.tick, dw))
        return state
