"""Gaussian gradient noise with a given covariance, constant or a function of θ: ξ ~ N(0, Σ(θ)).

The root is the symmetric one, R = Σ^½. This is the noise for which the SDE models are derived; with ``covariance=other.covariance`` it
is the Gaussian surrogate of another noise in small dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.given import own
from sgdsde.noise import GaussianNoise
from sgdsde.objective import Objective, as_objective, identity_rows, like
from sgdsde.objectives.double_well import DoubleWell
from sgdsde.objectives.quadratic import Quadratic
from sgdsde.rng import normals
from sgdsde.symmetric import constant_eigenpairs, eigenpairs
from sgdsde.types import Conventions, InputError, may_look


class Gaussian(GaussianNoise):
    """ξ ~ N(0, Σ): Σ a matrix ``[dim, dim]`` or a callable ``[P, dim]`` → ``[P, dim, dim]``.

    Args:
        objective: the loss f.
        covariance: Σ, as SGD sees it (batch size included). A number stands for that multiple of the identity.

    Raises:
        InputError: Σ has the wrong shape, is not symmetric, not positive semi-definite, or holds NaN.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([4.0, 1.0]), [[1.0, 0.5], [0.5, 1.0]])
        >>> noise.covariance(torch.zeros(1, 2, dtype=torch.float64)).tolist()
        [[[1.0, 0.5], [0.5, 1.0]]]
    """

    def __init__(self, objective: Objective, covariance: Any) -> None:
        self.objective = as_objective(objective)
        self.root_dim = objective.dim
        self._function: Callable[[Tensor], Tensor] | None = covariance if callable(covariance) else None
        self.constant_covariance = self._function is None
        if self._function is None:
            self._matrix = _validated(covariance, objective.dim)
            self._root = _symmetric_root(*constant_eigenpairs(self._matrix[None]))[0]
            self._diagonal = bool((self._matrix == torch.diag(self._matrix.diagonal())).all())
        self._source = getattr(covariance, "__self__", None)

    @classmethod
    def examples(cls) -> list[GaussianNoise]:
        """Constant covariances, one of them correlated and not commuting with the Hessian, one singular, one a number; and a function of θ."""
        plane = Quadratic([[1.0, 0.3], [0.3, 0.5]], [0.5, -1.0])
        return [
            cls(plane, [[1.0, 0.2], [0.2, 0.5]]),
            cls(plane, [[4.0, 2.0], [2.0, 1.0]]),
            cls(Quadratic(2.0), 0.7),
            cls(DoubleWell(2), growing_covariance),
        ]

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return self.draw_from(theta, normals(theta, self.root_dim, generator))

    def draw_from(self, theta: Tensor, z: Tensor) -> Tensor:
        return grad(self.objective, theta) - self.root(theta, z)

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        if self._function is None:
            return z @ like(self._root, theta)
        pairs = eigenpairs(torch.nan_to_num(self.covariance(theta)))
        return (_symmetric_root(*pairs) @ z[:, :, None])[:, :, 0]

    def covariance(self, theta: Tensor) -> Tensor:
        if self._function is None:
            return like(self._matrix, theta).expand(theta.shape[0], -1, -1)
        sigma = self._function(theta)
        wanted = (theta.shape[0], self.objective.dim, self.objective.dim)
        if not isinstance(sigma, Tensor) or tuple(sigma.shape) != wanted:
            came = f"shape {tuple(sigma.shape)}" if isinstance(sigma, Tensor) else type(sigma).__name__
            raise InputError(f"The covariance function returned {came}; wanted {wanted} for points {tuple(theta.shape)}.")
        if sigma.dtype != theta.dtype:
            raise InputError(f"The covariance function returned {sigma.dtype} for points of {theta.dtype}; wanted the dtype of the points: sigma.to(theta).")
        return sigma

    def variances(self, theta: Tensor) -> Tensor | None:
        if self._function is not None or not self._diagonal:
            return None
        return like(self._matrix, theta).diagonal().expand(theta.shape[0], -1)

    def conventions(self) -> Conventions:
        from sgdsde.noise import Noise

        if isinstance(self._source, Noise):
            inner = self._source.conventions()
            return replace(inner, sampling=f"Gaussian with the covariance of {inner.sampling}")
        return Conventions(sampling="Gaussian, " + ("constant covariance" if self.constant_covariance else "covariance of θ"))


def growing_covariance(theta: Tensor) -> Tensor:
    """I + θθᵀ, an example of noise that grows with the distance and has a direction."""
    return identity_rows(theta) + theta[:, :, None] * theta[:, None, :]


def _validated(covariance: Any, dim: int) -> Tensor:
    matrix = own(covariance, "covariance").to(torch.float64)
    if matrix.ndim == 0:
        matrix = matrix * torch.eye(dim, dtype=torch.float64)
    if tuple(matrix.shape) != (dim, dim):
        raise InputError(f"covariance has shape {tuple(matrix.shape)}; wanted ({dim}, {dim}), the dimension of the objective.")
    if not bool(torch.isfinite(matrix).all()):
        raise InputError("covariance holds NaN or infinity.")
    scale = float(matrix.abs().max())
    if float((matrix - matrix.T).abs().max()) > 1e-10 * scale:
        raise InputError("covariance is not symmetric; pass (C + Cᵀ)/2 if the difference is rounding.")
    matrix = (matrix + matrix.T) / 2
    lowest = float(torch.linalg.eigvalsh(matrix)[0])
    if lowest < -1e-10 * scale:
        raise InputError(f"covariance is indefinite (lowest eigenvalue {lowest:.3g}); a covariance must be positive semi-definite.")
    return matrix


def _symmetric_root(values: Tensor, vectors: Tensor) -> Tensor:
    """Σ^½, ``[P, dim, dim]``, from Σ's eigenpairs; rounding-size negative eigenvalues count as zero, larger ones are refused."""
    allowed = -(torch.finfo(values.dtype).eps ** 0.75) * values.abs().amax(-1, keepdim=True)
    indefinite = (values < allowed).any(-1, keepdim=True)
    if not may_look():
        values = torch.where(indefinite, torch.nan, values)
    elif bool(indefinite.any()):
        raise InputError(f"The covariance function is indefinite (lowest eigenvalue {float(values.min()):.3g}); a covariance must be positive semi-definite.")
    return (vectors * values.clamp_min(0).sqrt()[:, None, :]) @ vectors.transpose(1, 2)
