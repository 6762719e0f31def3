"""How a step is made of minibatch gradients ĝ(θ): gradient descent with heavy-ball momentum and weight decay, and sharpness-aware minimisation.

SGD: v⁺ = βv + ĝ(θ) + wθ, θ⁺ = θ − ηv⁺ (PyTorch's convention; with a constant η the heavy ball θ⁺ = θ − η(ĝ + wθ) + β(θ − θ₋)). Full batches make it GD.
SAM (Foret, Kleiner, Mobahi, Neyshabur, arXiv 2010.01412, eq. 3): the same with ĝ(θ + ρ ĝ(θ)/‖ĝ(θ)‖) in the place of ĝ(θ), on one batch (and one mask).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.types import InputError, positive, real

Points = Float[Tensor, "paths dim"]
Gradient = Callable[[Points], Points]


@dataclass(frozen=True)
class Optimiser(ABC):
    """A step size η = ``rate``, ``momentum`` β in [0, 1) and ``weight_decay`` w ≥ 0.

    Raises:
        InputError: a number out of its range.
    """

    rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        positive(self.rate, "rate")
        if not 0 <= real(self.momentum, "momentum") < 1:
            raise InputError(f"momentum = {self.momentum}; wanted a number in [0, 1).")
        if not 0 <= real(self.weight_decay, "weight_decay") < float("inf"):
            raise InputError(f"weight_decay = {self.weight_decay}; wanted a finite number ≥ 0.")

    @abstractmethod
    def slope(self, theta: Points, gradient: Gradient) -> Points:
        """What stands in the place of ĝ(θ); ``gradient`` may be asked at any points, always on the same batch."""

    def step(self, theta: Points, velocity: Points, gradient: Gradient) -> tuple[Points, Points]:
        """(θ⁺, v⁺)."""
        slope = self.slope(theta, gradient)
        if self.weight_decay:
            slope = slope + self.weight_decay * theta
        velocity = self.momentum * velocity + slope if self.momentum else slope
        return theta - self.rate * velocity, velocity


@dataclass(frozen=True)
class SGD(Optimiser):
    """θ⁺ = θ − ηv⁺, v⁺ = βv + ĝ(θ) + wθ."""

    def slope(self, theta: Points, gradient: Gradient) -> Points:
        return gradient(theta)


@dataclass(frozen=True)
class SAM(Optimiser):
    """The same with the gradient at the worst point of a ball of radius ρ = ``radius``, to first order.

    Raises:
        InputError: ρ ≤ 0 (ρ = 0 is :class:`SGD`).
    """

    radius: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self.radius, "radius")

    def slope(self, theta: Points, gradient: Gradient) -> Points:
        first = gradient(theta)
        length = torch.linalg.vector_norm(first, dim=1, keepdim=True)
        return gradient(theta + self.radius * first / torch.where(length > 0, length, torch.ones_like(length)))
