"""Two kernels on one Brownian motion: differences between them lose most of their Monte-Carlo noise.

Increments are drawn at the finer of the two grids and added up for the coarser. SGD θ − η(g + ξ) and an SDE + D dW are paired by z = ΔW/√η with
ξ = −Rz; the wrong sign is worse than independence. States are ``[P, 2·dim]``: the first kernel's θ, then the second's.
"""

from __future__ import annotations

from dataclasses import replace
from math import lcm
from typing import Self

import torch
from torch import Generator, Tensor

from sgdsde.kernel import DrivenKernel, Kernel, State
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.exact_ou import ExactOU
from sgdsde.kernels.heun import Heun
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.sgd import SGD
from sgdsde.rng import normals
from sgdsde.sdes.hasme import HASME
from sgdsde.sdes.sme1 import SME1
from sgdsde.types import Conventions, InputError


class Coupled(Kernel):
    """Kernels ``a`` and ``b``, both driven, same tick, same ``noise_dim`` (an ODE, ``noise_dim`` 0, goes with anything).

    Start points are ``[dim]`` or ``[P, dim]`` (both start there). ``split(states)`` gives the two halves.

    Raises:
        InputError: a kernel is not driven by a Brownian motion (minibatch SGD neither), the ticks differ, or the noise dimensions differ.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> pair = sg.kernels.Coupled(sg.kernels.SGD(noise, 0.1), sg.kernels.Heun(sg.sdes.HASME(noise, 0.1), 0.1))
        >>> states = sg.simulate(pair, [0.0], horizon=1.0, paths=1000, seed=1).states[-1]
        >>> a, b = pair.split(states)
        >>> (a - b).std().item() < 0.2 * a.std().item()  # far less than two independent ensembles
        True
    """

    def __init__(self, a: Kernel, b: Kernel) -> None:
        for kernel in (a, b):
            if not isinstance(kernel, DrivenKernel):
                raise InputError(
                    f"{type(kernel).__name__} takes no Brownian increments from outside; couple SGD (Gaussian noise), EulerMaruyama, Heun or ExactOU."
                )
            if isinstance(kernel, SGD):
                kernel.gaussian_noise()
        assert isinstance(a, DrivenKernel)
        assert isinstance(b, DrivenKernel)
        if abs(a.tick - b.tick) > 1e-12 * a.tick:
            raise InputError(f"The kernels' ticks differ ({a.tick} and {b.tick}); couple kernels with the same eta.")
        if a.dim != b.dim:
            raise InputError(f"The kernels' dimensions differ ({a.dim} and {b.dim}).")
        if a.noise_dim != b.noise_dim and 0 not in (a.noise_dim, b.noise_dim):
            raise InputError(
                f"The kernels' Brownian motions have {a.noise_dim} and {b.noise_dim} components. A dense HA-SME has dim components: "
                "build both from sg.noises.Gaussian(objective, noise.covariance)."
            )
        self.a, self.b = a, b
        self.tick = a.tick
        self.dim = 2 * a.dim
        self.noise_dim = max(a.noise_dim, b.noise_dim)
        self._fine = lcm(a.substeps, b.substeps)

    @classmethod
    def examples(cls) -> list[Self]:
        """SGD with its HA-SME, SGD with its SME-1 on another grid, and two integrators of one SDE."""
        model = HASME.examples()[0]
        sgd = SGD(model.noise, model.eta)
        return [
            cls(sgd, ExactOU(model, model.eta)),
            cls(sgd, EulerMaruyama(SME1(model.noise, model.eta), model.eta / 6)),
            cls(Heun(model, model.eta / 2), EulerMaruyama(model, model.eta / 3)),
        ]

    @property
    def start_dim(self) -> int:
        return self.a.dim

    @property
    def width(self) -> int:
        return self.a.width + self.b.width

    def expand(self, theta: Tensor) -> Tensor:
        return torch.cat([theta, theta], 1)  # [paths, 2*dim]

    def split(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """The halves ``[…, dim]`` of states ``[…, 2·dim]``."""
        return states[..., : self.a.dim], states[..., self.a.dim :]

    def init(self, theta: Tensor, generator: Generator) -> State:
        for kernel in (self.a, self.b):
            if isinstance(kernel, Integrator):
                kernel.prepare()
        return State(theta)

    def advance(self, state: State, k: int, generator: Generator) -> State:
        x, y = self.split(state.theta)
        due_a, due_b = self._fine // self.a.substeps, self._fine // self.b.substeps
        scale = (self.tick / self._fine) ** 0.5
        sum_a: Tensor | None = None
        sum_b: Tensor | None = None
        for j in range(1, self._fine + 1):
            dw = normals(x, self.noise_dim, generator, scale)
            sum_a = dw if sum_a is None else sum_a + dw
            sum_b = dw if sum_b is None else sum_b + dw
            if j % due_a == 0:
                x = self.a.step(x, (k + j / self._fine) * self.tick - self.a.dt, sum_a[:, : self.a.noise_dim])
                sum_a = None
            if j % due_b == 0:
                y = self.b.step(y, (k + j / self._fine) * self.tick - self.b.dt, sum_b[:, : self.b.noise_dim])
                sum_b = None
        return State(torch.cat([x, y], 1))

    def check(self, theta: Tensor) -> None:
        x, y = self.split(theta)
        self.a.check(x)
        self.b.check(y)

    def conventions(self) -> Conventions:
        return replace(self.a.conventions(), sampling=f"coupled: {self.a.conventions().sampling}")
