"""Stochastic gradient descent: θ⁺ = θ − η·ĝ(θ), ĝ drawn by the noise. One iterate is one tick of SDE time η.

Where an objective knows how to take steps on given batches (``facts.descend``), minibatch SGD hands it the batches and never sees ĝ. The batches are the ones
that ĝ would have been drawn from, so both ways are the same path to rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
from torch import Tensor

from sgdsde.kernel import DrivenKernel, State
from sgdsde.kernels.draws import DrawnKernel, Draws
from sgdsde.noise import GaussianNoise, HeavyTailedNoise, Noise, as_noise
from sgdsde.noises.gaussian import Gaussian
from sgdsde.noises.minibatch import Minibatch
from sgdsde.noises.minibatch_without_replacement import MinibatchWithoutReplacement
from sgdsde.rng import normals, stream
from sgdsde.types import Conventions, InputError, positive

#: indices drawn at once for several steps, at most
_INDICES = 2**19


class SGD(DrivenKernel, DrawnKernel):
    """SGD with step size η. With a Gaussian noise it can be driven: over a tick z = ΔW/√η, θ⁺ = θ − ηg + ηRz.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 0.0001)
        >>> run = sg.simulate(sg.kernels.SGD(noise, eta=0.5), [8.0], horizon=1.5, paths=100, seed=1)
        >>> round(run.states[-1].mean().item(), 1)  # 8·(1 − ηλ)³
        1.0
    """

    def __init__(self, noise: Noise, eta: float) -> None:
        self.noise = as_noise(noise)
        self.eta = positive(eta, "eta")
        self.tick = self.eta
        self.dim = noise.objective.dim
        self.noise_dim = noise.root_dim

    @classmethod
    def examples(cls) -> list[Self]:
        """Gaussian noise, constant and of θ; minibatches."""
        return [cls(Gaussian.examples()[0], 0.4), cls(Gaussian.examples()[3], 0.05), cls(Minibatch.examples()[1], 0.1)]

    @property
    def width(self) -> int:
        if isinstance(self.noise, GaussianNoise):
            return max(self.noise_dim, self.noise.objective.n, self.dim)
        return max(self.dim, getattr(self.noise, "batch_size", 1))

    @property
    def leaps(self) -> bool:  # type: ignore[override]
        """Whether the objective takes the steps: batches of these very noises, a subclass may draw in another way."""
        return type(self.noise) in (Minibatch, MinibatchWithoutReplacement) and self.noise.objective.facts.descend is not None

    def move(self, state: State, k: int, draws: Draws) -> State:
        if self.leaps:
            return self.moves(state, k, 1, draws)
        return State(torch.sub(state.theta, draws.gradient(self.noise, state.theta, k), alpha=self.eta))

    def moves(self, state: State, k: int, ticks: int, draws: Draws) -> State:
        noise, descend, theta = self.noise, self.noise.objective.facts.descend, state.theta
        if not self.leaps or descend is None or not isinstance(noise, Minibatch | MinibatchWithoutReplacement):
            return super().moves(state, k, ticks, draws)
        at_once = max(1, _INDICES // (max(1, theta.shape[0]) * noise.batch_size))
        for first in range(k, k + ticks, at_once):
            several = range(first, min(first + at_once, k + ticks))
            batches = torch.stack([draws.batches(noise, theta, tick) for tick in several])  # [steps, paths, batch]
            theta = descend(theta, batches, self.eta, 0.0)
        return State(theta)

    def gaussian_noise(self) -> GaussianNoise:
        """The noise, if a Brownian motion can drive it.

        Raises:
            InputError: it is a minibatch or a heavy-tailed noise.
        """
        if isinstance(self.noise, HeavyTailedNoise):
            raise InputError(self.noise.refusal("A Brownian increment"))
        if not isinstance(self.noise, GaussianNoise):
            raise InputError(
                f"{type(self.noise).__name__} is not driven by a Brownian motion, so it cannot share increments with an SDE. "
                "Couple its Gaussian surrogate: sg.noises.Surrogate(noise), or sg.noises.Gaussian(objective, noise.covariance)."
            )
        return self.noise

    def step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        return theta - self.eta * self.gaussian_noise().draw_from(theta, dw * self.eta**-0.5)

    def draw(self, theta: Tensor, generator: torch.Generator, *, out: Tensor | None = None) -> Tensor:
        """The normals z of a Gaussian noise, ``[P, noise_dim]``."""
        return normals(theta, self.noise_dim, generator, out=out)

    def follow(self, theta: Tensor, t: float, drawn: Tensor) -> Tensor:
        return torch.sub(theta, self.gaussian_noise().draw_from(theta, drawn), alpha=self.eta)

    def check(self, theta: Tensor) -> None:
        probe = theta[:1]
        self.noise.check(probe)
        stated = None if self.leaps else self.noise.objective.facts.grad  # where the objective takes the steps no full gradient is wanted
        drawn = {f"{type(self.noise).__name__}.draw": self.noise.draw(probe, stream(0, "probe", device=theta.device))}
        for name, found in (drawn if stated is None else drawn | {"facts.grad": stated(probe)}).items():
            if tuple(found.shape) != tuple(probe.shape):
                raise InputError(f"{name} returned shape {tuple(found.shape)} for points {tuple(probe.shape)}; wanted {tuple(probe.shape)}.")
        if isinstance(self.noise, HeavyTailedNoise):
            return  # it has no root to try
        self.noise.root(probe, theta.new_zeros(1, self.noise_dim))  # a covariance function of wrong shape or sign says so here

    def conventions(self) -> Conventions:
        return replace(self.noise.conventions(), eta=self.eta)
