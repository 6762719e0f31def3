"""What an optimiser makes of a stochastic gradient: plain, heavy ball, Nesterov, in the conventions of ``torch.optim.SGD`` without dampening.

Heavy ball: v⁺ = βv + ĝ, θ⁺ = θ − ηv⁺. Nesterov: v⁺ = βv + ĝ, θ⁺ = θ − η(ĝ + βv⁺). v starts at 0. With constant η the heavy ball's stationary noise is that
of SGD with the step size η/(1 − β), to leading order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsde.types import InputError, real


class Update(ABC):
    """An update with its memory, tensors with a leading axis of paths."""

    def start(self, theta: Tensor) -> tuple[Tensor, ...]:
        """The memory at the start points."""
        return (torch.zeros_like(theta),)

    @abstractmethod
    def apply(self, theta: Tensor, memory: tuple[Tensor, ...], g: Tensor, eta: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(θ⁺, memory⁺) from the stochastic gradient g at θ."""


@dataclass(frozen=True)
class Plain(Update):
    """θ⁺ = θ − ηĝ; its memory is empty.

    Example:
        >>> isinstance(sg.kernels.Plain(), type(sg.kernels.OptimizerSGD(sg.noises.Gaussian(sg.objectives.DoubleWell(), 1.0), 0.1).update))
        True
    """

    def start(self, theta: Tensor) -> tuple[Tensor, ...]:
        return ()

    def apply(self, theta: Tensor, memory: tuple[Tensor, ...], g: Tensor, eta: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        return torch.sub(theta, g, alpha=eta), memory


@dataclass(frozen=True)
class Momentum(Update):
    """v⁺ = βv + ĝ, and a step made of ĝ and v⁺.

    Raises:
        InputError: β outside [0, 1).
    """

    momentum: float

    def __post_init__(self) -> None:
        if not 0 <= real(self.momentum, "momentum") < 1:
            raise InputError(f"momentum = {self.momentum}; wanted a number in [0, 1).")

    def apply(self, theta: Tensor, memory: tuple[Tensor, ...], g: Tensor, eta: float) -> tuple[Tensor, tuple[Tensor, ...]]:
        velocity = torch.add(g, memory[0], alpha=self.momentum)
        return torch.sub(theta, self.direction(g, velocity), alpha=eta), (velocity,)

    @abstractmethod
    def direction(self, g: Tensor, velocity: Tensor) -> Tensor:
        """(θ − θ⁺)/η."""


class HeavyBall(Momentum):
    """θ⁺ = θ − ηv⁺.

    Example:
        >>> sg.kernels.HeavyBall(0.9).momentum
        0.9
    """

    def direction(self, g: Tensor, velocity: Tensor) -> Tensor:
        return velocity


class Nesterov(Momentum):
    """θ⁺ = θ − η(ĝ + βv⁺).

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1e-12)
        >>> kernel = sg.kernels.OptimizerSGD(noise, 0.5, update=sg.kernels.Nesterov(0.5))
        >>> round(sg.simulate(kernel, [8.0], horizon=0.5, paths=1, seed=1).states[-1].item(), 3)  # 8 − ½(8 + ½·8)
        2.0
    """

    def direction(self, g: Tensor, velocity: Tensor) -> Tensor:
        return torch.add(g, velocity, alpha=self.momentum)
