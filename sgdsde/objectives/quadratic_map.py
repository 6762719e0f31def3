"""A convex quadratic seen through a quadratic map: f(θ) = F(w(θ)), w(θ) = ½ω(θ, θ) with ω bilinear and symmetric, F with a constant Hessian G.

Diagonal linear nets, matrix factorisation and two-layer linear nets are of this kind: convex in w, with saddles and valleys in θ. With
q = ∇F(w(θ)), push(θ, a) = ω(θ, a) and its adjoint pull(θ, q), ⟨pull(θ, q), a⟩ = ⟨q, ω(θ, a)⟩, every derivative is closed:
g = pull(θ, q);  Hv = pull(θ, G ω(θ, v)) + pull(v, q);
∇³f[a, b] = pull(a, G ω(θ, b)) + pull(b, G ω(θ, a)) + pull(θ, G ω(a, b)).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde import calculus
from sgdsde.objective import Facts, Objective, identity_rows

Weights = Float[Tensor, "... weights"]
Parameters = Float[Tensor, "... dim"]


class QuadraticMap(Objective):
    """F(½ω(θ, θ)). Subclasses give ω as ``push`` and its adjoint as ``pull``, over any leading axes (which broadcast)."""

    outer: Objective

    def _set_up(self, outer: Objective, dim: int, *, minima: tuple[tuple[float, ...], ...], saddles: tuple[tuple[float, ...], ...]) -> None:
        self.outer, self.dim, self.n = outer, dim, outer.n
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            covariance=self._covariance,
            sample_grads=self._sample_grads,
            third=self._third,
            minima=minima,
            saddles=saddles,
        )

    @abstractmethod
    def push(self, theta: Parameters, a: Parameters) -> Weights:
        """ω(θ, a), the derivative of w at θ along a."""

    @abstractmethod
    def pull(self, theta: Parameters, q: Weights) -> Parameters:
        """The adjoint: what a gradient q in w is in θ."""

    def effective(self, theta: Parameters) -> Weights:
        """w(θ), the weights of the linear model that θ stands for."""
        return self.push(theta, theta) / 2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.outer.sample_loss(self.effective(theta), batch)

    def _slope(self, theta: Tensor) -> Tensor:
        return calculus.grad(self.outer, self.effective(theta))

    def _bent(self, w: Tensor) -> Tensor:
        """G w; G does not depend on the point."""
        return calculus.hvp(self.outer, w, w)

    def _grad(self, theta: Tensor) -> Tensor:
        return self.pull(theta, self._slope(theta))

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return self.pull(theta, self._bent(self.push(theta, v))) + self.pull(v, self._slope(theta))

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        first = self.pull(u, self._bent(self.push(theta, v))) + self.pull(v, self._bent(self.push(theta, u)))
        return first + self.pull(theta, self._bent(self.push(u, v)))

    def _jacobian(self, theta: Tensor) -> Float[Tensor, "paths dim weights"]:
        """Row i is ∂w/∂θᵢ."""
        return self.push(theta[:, None], identity_rows(theta)[None])

    def _hessian(self, theta: Tensor) -> Tensor:
        J = self._jacobian(theta)
        bent = self._bent(J.reshape(-1, J.shape[2])).reshape(J.shape)  # [paths, dim, weights]
        return J @ bent.transpose(1, 2) + self.pull(identity_rows(theta)[None], self._slope(theta)[:, None])

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self.pull(theta[:, None], calculus.sample_grads(self.outer, self.effective(theta), batch))

    def _covariance(self, theta: Tensor) -> Tensor:
        J = self._jacobian(theta)
        return J @ calculus.sample_covariance(self.outer, self.effective(theta)) @ J.transpose(1, 2)


def tuples(points: list[Tensor]) -> tuple[tuple[float, ...], ...]:
    """Points as ``Facts`` keeps them."""
    return tuple(tuple(point.to(torch.float64).tolist()) for point in points)
