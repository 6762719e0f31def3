"""Linear SDEs dX = (AX + c)dt + D(X)dW with Q = DDᵀ constant or quadratic in X: two moments, exactly.

d mean = A mean + c and dP/dt = AP + PAᵀ + Q(mean) + Q₂ : P. With constant Q the solution is the exact OU transition (Van Loan 1978). Otherwise
(mean, 1)(mean, 1)ᵀ and P together obey one linear equation, solved by a matrix exponential of size (dim+1)² + dim².
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.kernels.exact_ou import transition
from sgdsde.oracles.chains import AdditiveChain, spread_operator
from sgdsde.oracles.linear_models import LinearTerms
from sgdsde.oracles.lyapunov import refuse_unstable_flow, stationary_of_flow
from sgdsde.oracles.moments import Moments
from sgdsde.oracles.quadratic_form import QuadraticForm
from sgdsde.types import OracleRefusal

#: above this dimension the exponential of the moment equation is refused
MAX_DIM = 16


class Flow(ABC):
    """A linear SDE, seen through its first two moments."""

    @abstractmethod
    def after(self, start: Moments, t: float) -> Moments:
        """The moments a time t later."""

    @abstractmethod
    def stationary(self) -> Moments:
        """The stationary mean and covariance. Raises OracleRefusal where there are none."""

    @abstractmethod
    def rate(self) -> float:
        """The exponential rate per unit time at which E‖X‖² finally grows in the worst direction, additive noise aside."""


@dataclass(frozen=True)
class AdditiveFlow(Flow):
    """Constant Q."""

    A: Float[Tensor, "dim dim"]
    c: Float[Tensor, " dim"]
    Q: Float[Tensor, "dim dim"]

    def after(self, start: Moments, t: float) -> Moments:
        return AdditiveChain(*transition(self.A, self.c, self.Q, t)).after(start, 1) if t > 0 else start

    def stationary(self) -> Moments:
        V = stationary_of_flow(self.A, self.Q)
        return Moments.of(-torch.linalg.solve(self.A, self.c), V)

    def rate(self) -> float:
        return 2 * float(torch.linalg.eigvals(self.A).real.max())


@dataclass(frozen=True)
class MultiplicativeFlow(Flow):
    """Q quadratic in X."""

    A: Float[Tensor, "dim dim"]
    c: Float[Tensor, " dim"]
    Q: QuadraticForm

    def after(self, start: Moments, t: float) -> Moments:
        dim = self.A.shape[0]
        if dim > MAX_DIM:
            raise OracleRefusal(
                f"dim = {dim}: the moment equation with state-dependent noise is solved by a {(dim + 1) ** 2 + dim**2}-square exponential; "
                f"offered up to dim = {MAX_DIM}. Project the data."
            )
        lifted = torch.zeros(dim + 1, dim + 1, dtype=torch.float64)  # d(X, 1) = lifted (X, 1) dt
        lifted[:dim, :dim], lifted[:dim, dim] = self.A, self.c
        eye = torch.eye(dim + 1, dtype=torch.float64)
        outer = torch.kron(lifted, eye) + torch.kron(eye, lifted)
        generator = torch.zeros((dim + 1) ** 2 + dim**2, (dim + 1) ** 2 + dim**2, dtype=torch.float64)
        split = (dim + 1) ** 2
        generator[:split, :split] = outer
        generator[split:, :split] = self._sources(dim)
        generator[split:, split:] = self._operator()
        extended = torch.cat([start.mean, start.mean.new_ones(1)])
        state = torch.cat([torch.outer(extended, extended).reshape(-1), start.covariance.reshape(-1)])
        state = torch.from_numpy(scipy.linalg.expm((generator * t).numpy())) @ state
        mean = state[:split].reshape(dim + 1, dim + 1)[:dim, dim]
        return Moments.of(mean, state[split:].reshape(dim, dim))

    def stationary(self) -> Moments:
        refuse_unstable_flow(self.A)
        rate = self.rate()
        if not rate < 0:
            raise OracleRefusal(f"No stationary covariance: the noise makes E‖X‖² grow at the rate {rate:.6g} (a heavy-tailed law may exist).")
        mean = -torch.linalg.solve(self.A, self.c)
        P = -torch.linalg.solve(self._operator(), self.Q.at(mean).reshape(-1))
        return Moments.of(mean, P.reshape(self.A.shape))

    def rate(self) -> float:
        return float(torch.linalg.eigvals(self._operator()).real.max())

    def _operator(self) -> Float[Tensor, "dim2 dim2"]:
        """P ↦ AP + PAᵀ + Q₂ : P on flattened matrices."""
        A, eye = self.A.contiguous(), torch.eye(self.A.shape[0], dtype=torch.float64)  # torch.kron wants it so
        return torch.kron(A, eye) + torch.kron(eye, A) + spread_operator(self.Q)

    def _sources(self, dim: int) -> Float[Tensor, "dim2 lifted2"]:
        """(mean, 1)(mean, 1)ᵀ ↦ Q(mean) on flattened matrices."""
        assert self.Q.linear is not None
        assert self.Q.quadratic is not None
        sources = torch.zeros(dim, dim, dim + 1, dim + 1, dtype=torch.float64)
        sources[:, :, dim, dim] = self.Q.constant
        sources[:, :, :dim, dim] = self.Q.linear.permute(1, 2, 0)
        sources[:, :, :dim, :dim] = self.Q.quadratic.permute(2, 3, 0, 1)
        return sources.reshape(dim**2, (dim + 1) ** 2)


def flow(terms: LinearTerms) -> Flow:
    """The flow that fits the diffusion."""
    if terms.diffusion.is_constant:
        return AdditiveFlow(terms.matrix, terms.shift, terms.diffusion.constant)
    return MultiplicativeFlow(terms.matrix, terms.shift, terms.diffusion)
