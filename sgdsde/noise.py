"""Gradient noise: both sides of the correspondence between SGD and its SDE.

SGD uses ``draw(θ)`` = g + ξ with Cov ξ = Σ(θ), batch size included. An SDE uses ``root(θ, z)`` = R(θ)z with z ~ N(0, I), RRᵀ = Σ(θ).
Whoever compares an SDE with an SGD takes both from the same object, so the two can never disagree about Σ.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sgdsde.objective import Objective, Points, as_objective
from sgdsde.types import Conventions, InputError, expected, whole

Matrices = Float[Tensor, "paths dim dim"]


class Noise(ABC):
    """Stochastic gradients of one objective: how SGD draws them, and a root of their covariance.

    Example:
        >>> noise = sg.noises.Minibatch(sg.objectives.SharedCurvature([1.0], [[-1.0], [1.0]]), 4)
        >>> isinstance(noise, sg.Noise), noise.root_dim, noise.draw(torch.zeros(3, 1, dtype=torch.float64), torch.Generator().manual_seed(0)).shape
        (True, 2, torch.Size([3, 1]))
    """

    objective: Objective
    root_dim: int
    constant_covariance: bool = False

    @abstractmethod
    def draw(self, theta: Points, generator: torch.Generator) -> Points:
        """One stochastic gradient ĝ = g + ξ per path, ``[P, dim]``."""

    @abstractmethod
    def root(self, theta: Points, z: Float[Tensor, "paths root_dim"]) -> Points:
        """R(θ)z, ``[P, dim]``; with z ~ N(0, I) its law is N(0, Σ(θ))."""

    @abstractmethod
    def covariance(self, theta: Points) -> Matrices:
        """Σ(θ) = Cov ξ, ``[P, dim, dim]``."""

    def check(self, theta: Points) -> None:
        """Refuse before a run of SGD what is known to fail in it, from a few start points."""
        return None

    def variances(self, theta: Points) -> Points | None:
        """The diagonal of Σ(θ), ``[P, dim]``, where Σ is known to be diagonal everywhere; None where it is not, or not known to be."""
        return None

    def conventions(self) -> Conventions:
        """What this noise presupposes; kernels add η, dtype and device."""
        return Conventions(sampling=type(self).__name__, n=self.objective.n)


def as_noise(noise: Any) -> Noise:
    """The noise as it is.

    Raises:
        InputError: it is none, its objective is none, or it says not how wide its root is.
    """
    found: Noise = expected(noise, Noise, "noise", "for example sg.noises.Gaussian(objective, covariance) or sg.noises.Minibatch(objective, batch_size)")
    as_objective(getattr(found, "objective", None))
    whole(found, "root_dim", 0)
    return found


class GaussianNoise(Noise):
    """A noise whose draw is g − R(θ)z with z ~ N(0, I): it can be driven by the increments of a Brownian motion.

    The sign is that of the coupling: SGD then moves by −ηg + ηRz, and an SDE by b dt + D dW, so z = ΔW/√η pairs them up to this sign.
    """

    @abstractmethod
    def draw_from(self, theta: Points, z: Float[Tensor, "paths root_dim"]) -> Points:
        """The stochastic gradient that the normals z produce, g − R(θ)z."""


class CountedNoise(Noise):
    """A noise whose draw can be made of given random words, a fixed number a path: counter-based streams can then serve it, whatever its law."""

    @property
    @abstractmethod
    def words(self) -> int:
        """64-bit words that one draw takes, for each path."""

    @abstractmethod
    def draw_of(self, theta: Points, words: Int[Tensor, "paths words"]) -> Points:
        """The stochastic gradient that the words (int64, all bits random) produce, ``[P, dim]``; in law that of ``draw``."""


class HeavyTailedNoise(Noise):
    """A noise of infinite variance: SGD can draw it, but there is no Σ, no root, and no SDE with Brownian increments that models it."""

    root_dim = 0

    def root(self, theta: Points, z: Float[Tensor, "paths root_dim"]) -> Points:
        """Refuses.

        Raises:
            InputError: always.
        """
        raise InputError(self.refusal("A root R(θ)z with normal z"))

    def covariance(self, theta: Points) -> Matrices:
        """Refuses.

        Raises:
            InputError: always.
        """
        raise InputError(self.refusal("A covariance"))

    def refusal(self, wanted: str) -> str:
        """Why ``wanted`` cannot be had of this noise, and what can be done."""
        return (
            f"{wanted} was asked of {type(self).__name__}, whose variance is infinite: no SDE with Brownian increments models it. "
            "Run SGD itself (sg.kernels.SGD(noise, eta)), or use a noise with a covariance, for example sg.noises.Gaussian(objective, covariance)."
        )
