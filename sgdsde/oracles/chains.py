"""Markov chains θ⁺ = Fθ + c + ζ with Cov(ζ|θ) = V(θ): two moments, exactly.

mean⁺ = F·mean + c and cov⁺ = F cov Fᵀ + V(mean) + V₂ : cov, where V₂ is the quadratic part of V. The covariance is propagated itself, not through
E θθᵀ, so nothing cancels where the mean is large. SGD, SVAG and the integrators of linear SDEs are such chains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.oracles.lyapunov import refuse_unstable_map, stationary_of_map
from sgdsde.oracles.moments import Moments
from sgdsde.oracles.quadratic_form import QuadraticForm
from sgdsde.types import OracleRefusal

#: above this dimension the dim² × dim² operator on covariances is refused
MAX_OPERATOR_DIM = 32


class Chain(ABC):
    """One step of a chain, seen through its first two moments."""

    @abstractmethod
    def after(self, start: Moments, steps: int) -> Moments:
        """The moments ``steps`` steps later."""

    @abstractmethod
    def stationary(self) -> Moments:
        """The stationary mean and covariance. Raises OracleRefusal where there are none."""

    @abstractmethod
    def growth(self) -> float:
        """The factor per step by which E‖θ‖² finally grows in the worst direction, additive noise aside."""


class StepLaw(NamedTuple):
    """A kernel's step as a chain, and how many of them make one tick."""

    chain: Chain
    steps: int


@dataclass(frozen=True)
class AdditiveChain(Chain):
    """Constant V: the map (F, c, V), closed under composition, so that k steps cost log₂ k products."""

    flow: Float[Tensor, "dim dim"]
    shift: Float[Tensor, " dim"]
    noise: Float[Tensor, "dim dim"]

    def then(self, later: AdditiveChain) -> AdditiveChain:
        """This step, then another one with independent noise."""
        F = later.flow
        return AdditiveChain(F @ self.flow, F @ self.shift + later.shift, F @ self.noise @ F.T + later.noise)

    def power(self, steps: int) -> AdditiveChain:
        """``steps`` steps as one map."""
        dim = self.flow.shape[0]
        result = AdditiveChain(torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64), torch.zeros(dim, dim, dtype=torch.float64))
        square = self
        while steps:
            if steps & 1:
                result = result.then(square)
            steps >>= 1
            if steps:
                square = square.then(square)
        return result

    def after(self, start: Moments, steps: int) -> Moments:
        total = self.power(steps)
        return Moments.of(total.flow @ start.mean + total.shift, total.flow @ start.covariance @ total.flow.T + total.noise)

    def stationary(self) -> Moments:
        V = stationary_of_map(self.flow, self.noise)  # refuses first where there is no fixed point either
        return Moments.of(fixed_point(self.flow, self.shift), V)

    def growth(self) -> float:
        return float(torch.linalg.eigvals(self.flow).abs().max()) ** 2


@dataclass(frozen=True)
class MultiplicativeChain(Chain):
    """V quadratic in θ, as for minibatches of least squares."""

    flow: Float[Tensor, "dim dim"]
    shift: Float[Tensor, " dim"]
    noise: QuadraticForm

    def after(self, start: Moments, steps: int) -> Moments:
        mean, P = start.mean, start.covariance
        for _ in range(steps):
            mean, P = self.flow @ mean + self.shift, self.flow @ P @ self.flow.T + self.noise.expected(mean, P)
        return Moments.of(mean, P)

    def stationary(self) -> Moments:
        refuse_unstable_map(self.flow)
        growth = self.growth()
        if not growth < 1 - 1e-12:
            raise OracleRefusal(
                f"No stationary covariance: the noise multiplies E‖θ‖² by {growth:.6g} per step, and it must be below 1 (a heavy-tailed law may exist)."
            )
        mean = fixed_point(self.flow, self.shift)
        operator = self._operator()
        P = torch.linalg.solve(torch.eye(operator.shape[0], dtype=torch.float64) - operator, self.noise.at(mean).reshape(-1))
        return Moments.of(mean, P.reshape(self.flow.shape))

    def growth(self) -> float:
        return float(torch.linalg.eigvals(self._operator()).abs().max())

    def _operator(self) -> Float[Tensor, "dim2 dim2"]:
        """P ↦ FPFᵀ + V₂ : P on flattened matrices."""
        flow = self.flow.contiguous()  # torch.kron wants it so
        return torch.kron(flow, flow) + spread_operator(self.noise)


def chain(flow: Tensor, shift: Tensor, noise: QuadraticForm) -> Chain:
    """The chain that fits the noise."""
    return AdditiveChain(flow, shift, noise.constant) if noise.is_constant else MultiplicativeChain(flow, shift, noise)


def spread_operator(form: QuadraticForm) -> Float[Tensor, "dim2 dim2"]:
    """P ↦ C₂ : P on flattened matrices.

    Raises:
        OracleRefusal: dim > MAX_OPERATOR_DIM.
    """
    assert form.quadratic is not None
    dim = form.quadratic.shape[0]
    if dim > MAX_OPERATOR_DIM:
        raise OracleRefusal(
            f"dim = {dim}: with state-dependent noise this needs a {dim**2} × {dim**2} operator; offered up to dim = {MAX_OPERATOR_DIM}. Project the data."
        )
    return form.quadratic.permute(2, 3, 0, 1).reshape(dim**2, dim**2)


def fixed_point(flow: Tensor, shift: Tensor) -> Float[Tensor, " dim"]:
    """θ* = Fθ* + c."""
    return torch.linalg.solve(torch.eye(flow.shape[0], dtype=torch.float64) - flow, shift)
