"""Scalar functions of the Hessian's eigenvalues from which the Hessian-aware models are built, and the spectrum that they are applied to.

With x = ηλ and m = 1 − x:  ℓ(x) = log(1−x)/x (ℓ(0) = −1) gives the drift of the principal flow, and φ(u) = log(u)/(u−1) (φ(1) = 1) with
u = mᵢmⱼ, that is u − 1 = −xᵢ − xⱼ + xᵢxⱼ, gives HA-SME's diffusion (Li, Shen, Zhang, He, arXiv 2405.18373). Both are evaluated through
log1p of the small quantity, so nothing cancels near 0. The real logarithm needs x < 1; the even-step functions have log|·| in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.objective import Objective
from sgdsde.sdes.chebyshev import SeriesFunction, certified_times
from sgdsde.sdes.log_domain import CLIP_SHIFT, LogDomain, RealLogarithm
from sgdsde.symmetric import constant_eigenpairs, eigenpairs
from sgdsde.types import may_look, report_worst

#: dimensions from which a series costs less than eigenvectors
SERIES_FROM = 4


def log1p_ratio(w: Tensor) -> Tensor:
    """log(1+w)/w, 1 at w = 0; NaN below −1."""
    zero = w == 0
    if not may_look():
        return torch.log1p(w).div_(w).masked_fill_(zero, 1.0)
    if not bool(zero.any()):
        return torch.log1p(w).div_(w)
    safe = torch.where(zero, torch.ones_like(w), w)
    return torch.where(zero, torch.ones_like(w), torch.log1p(safe) / safe)


def ell(x: Tensor) -> Tensor:
    """ℓ(x) = log(1−x)/x, −1 at 0."""
    return -log1p_ratio(-x)


def phi_pair(x: Float[Tensor, "paths dim"]) -> Float[Tensor, "paths dim dim"]:
    """φ(mᵢmⱼ) for all pairs of eigenvalues."""
    return _pairs(x, torch.log1p(-x))


def phi_square(x: Tensor) -> Tensor:
    """φ(m²) = log(m²)/(m²−1), the diagonal of :func:`phi_pair`."""
    return _log_over(x * x - 2 * x, 2 * torch.log1p(-x))


def even_ell(x: Tensor) -> Tensor:
    """log|1−x|/x: −1 at 0, 0 at x = 2 (|m| = 1)."""
    return torch.where(x < 1, ell(x), _log_modulus(x) / torch.where(x < 1, torch.ones_like(x), x))


def even_phi_pair(x: Float[Tensor, "paths dim"]) -> Float[Tensor, "paths dim dim"]:
    """log|mᵢmⱼ|/(mᵢmⱼ−1) for all pairs of eigenvalues: 1 at mᵢmⱼ = 1, 0 at mᵢmⱼ = −1."""
    return _pairs(x, _log_modulus(x))


def _log_modulus(x: Tensor) -> Tensor:
    """log|1−x|; above 1 as log1p(x − 2), which keeps its digits near x = 2."""
    return torch.log1p(torch.where(x < 1, -x, x - 2))


def _pairs(x: Tensor, v: Tensor) -> Tensor:
    """(vᵢ + vⱼ)/(mᵢmⱼ − 1), v = log m or log|m|."""
    xi, xj = x[:, :, None], x[:, None, :]
    return _log_over(xi * xj - xi - xj, v[:, :, None] + v[:, None, :])


def _log_over(w: Tensor, log: Tensor) -> Tensor:
    """log/w where ``log`` is log|1+w|; near w = 0 through log1p(w), far from it through the given logarithm, which keeps its digits near u = 0."""
    near = w.abs() < 0.5
    if not may_look():
        return torch.where(near, log1p_ratio(w), log / w)
    if bool(near.all()):
        return log1p_ratio(w)
    return torch.where(near, log1p_ratio(torch.where(near, w, torch.zeros_like(w))), log / torch.where(near, torch.ones_like(w), w))


@dataclass(frozen=True)
class Spectrum:
    """x = ηλ ``[P, dim]`` and eigenvectors U ``[P, dim, dim]`` of the Hessian (P = 1 where it is constant); None for U = I, a Hessian known to be diagonal."""

    x: Tensor
    vectors: Tensor | None

    def apply(self, values: Tensor, v: Tensor) -> Tensor:
        """U diag(values) Uᵀ v for vectors ``[P, dim]``."""
        if self.vectors is None:
            return values * v
        if self.x.shape[0] == 1:
            return v @ ((self.vectors[0] * values[0]) @ self.vectors[0].T)
        return self.out(values * self.into(v))

    def into(self, v: Tensor) -> Tensor:
        """Uᵀv, ``[P, dim]``."""
        return v if self.vectors is None else (v[:, None] @ self.vectors)[:, 0]

    def out(self, v: Tensor) -> Tensor:
        """Uv, ``[P, dim]``."""
        return v if self.vectors is None else (self.vectors @ v[:, :, None])[:, :, 0]

    def rotate(self, S: Tensor) -> Tensor:
        """UᵀSU."""
        return S if self.vectors is None else self.vectors.transpose(1, 2) @ S @ self.vectors

    def rotate_back(self, S: Tensor) -> Tensor:
        """USUᵀ."""
        return S if self.vectors is None else self.vectors @ S @ self.vectors.transpose(1, 2)


def spectrum_of(matrices: Tensor, eta: float) -> Spectrum:
    """The eigenvalues times η and eigenvectors of symmetric matrices; NaN where a matrix is not finite."""
    values, vectors = eigenpairs(matrices)
    return Spectrum(eta * values, vectors)


def aligned_spectrum(diagonal: Tensor, eta: float) -> Spectrum:
    """The spectrum of diagonal matrices ``[P, dim]``; NaN where one is not finite."""
    x = eta * diagonal
    if may_look() and bool(torch.isfinite(x.sum())):
        return Spectrum(x, None)
    return Spectrum(torch.where(torch.isfinite(x).all(1, keepdim=True), x, torch.nan), None)


class HessianSpectrum:
    """The spectrum of an objective's Hessian along an ensemble under a log domain, computed once where the Hessian is constant.

    ``domain`` is a :class:`LogDomain`, or the name of a policy for the real logarithm.

    Raises:
        InputError: unknown policy.
        DomainError: the Hessian is constant, outside the domain, and the policy is not ``clip``: known before any run.
    """

    def __init__(self, objective: Objective, eta: float, domain: LogDomain | str) -> None:
        self._objective, self._eta = objective, eta
        self._domain = RealLogarithm(domain) if isinstance(domain, str) else domain
        self._constant: dict[tuple[torch.dtype, torch.device], Spectrum] = {}
        if objective.facts.constant_hessian:
            origin = torch.zeros(1, objective.dim, dtype=torch.float64)
            spectrum = self._raw(origin)
            self._domain.refuse(spectrum.x)
            guarded = self._domain.guard(spectrum.x)
            self._shift = float((guarded - spectrum.x).abs().max())
            self._constant[torch.float64, torch.device("cpu")] = Spectrum(guarded, spectrum.vectors)

    @property
    def width(self) -> int:
        """Numbers per path that one evaluation touches: those of the eigenvectors, where they are wanted at each state."""
        known = self._objective.facts
        return self._objective.dim if known.constant_hessian or known.hessian_diagonal is not None else self._objective.dim**2

    def __call__(self, theta: Tensor) -> Spectrum:
        """The spectrum at ``theta`` under the policy; NaN eigenvalues where the model does not exist."""
        if self._objective.facts.constant_hessian:
            if self._shift > 0:
                report_worst(CLIP_SHIFT, self._shift)
            key = (theta.dtype, theta.device)
            if key not in self._constant:
                reference = self._constant[torch.float64, torch.device("cpu")]
                self._constant[key] = Spectrum(reference.x.to(theta), None if reference.vectors is None else reference.vectors.to(theta))
            return self._constant[key]
        spectrum = self._raw(theta)
        return Spectrum(self._domain.guard(spectrum.x), spectrum.vectors)

    def times(self, theta: Tensor, functions: Sequence[SeriesFunction], vectors: Sequence[Tensor]) -> list[Tensor]:
        """h(ηH)v under the policy for each function and vector ``[P, dim]``: through eigenvectors where they are cheap or needed, else by series.

        Each path goes its own way, by the norm of its own Hessian; a certified one lies inside every domain.
        """
        if self.width == self._objective.dim or self._objective.dim < SERIES_FROM:
            spectrum = self(theta)
            return [spectrum.apply(function(spectrum.x), v) for function, v in zip(functions, vectors, strict=True)]
        matrices = hessian(self._objective, theta)
        results, left = certified_times(matrices, self._eta, functions, vectors)
        if len(left):
            spectrum = spectrum_of(matrices[left], self._eta)
            x = torch.zeros_like(theta).index_copy_(0, left, spectrum.x)  # one row a path, as the counters want it; 0 lies inside
            spectrum = Spectrum(self._domain.guard(x)[left], spectrum.vectors)
            for result, function, v in zip(results, functions, vectors, strict=True):
                result[left] = spectrum.out(function(spectrum.x) * spectrum.into(v[left]))
        return results

    def _raw(self, theta: Tensor) -> Spectrum:
        """Without eigenvectors where the Hessian is a number, or diagonal by the objective's own word."""
        diagonal = self._objective.facts.hessian_diagonal
        if diagonal is not None:
            return aligned_spectrum(diagonal(theta), self._eta)
        matrices = hessian(self._objective, theta)
        if matrices.shape[1] == 1:
            return aligned_spectrum(matrices[:, :, 0], self._eta)
        if self._objective.facts.constant_hessian:
            values, vectors = constant_eigenpairs(matrices)
            return Spectrum(self._eta * values, vectors)
        return spectrum_of(matrices, self._eta)
