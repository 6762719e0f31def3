"""Scalar functions of the Hessian's eigenvalues from which the Hessian-aware models are built, with their domain policies.

With x = ηλ and m = 1 − x:  ℓ(x) = log(1−x)/x (ℓ(0) = −1) gives the drift of the principal flow, and φ(u) = log(u)/(u−1) (φ(1) = 1) with
u = mᵢmⱼ, that is u − 1 = −xᵢ − xⱼ + xᵢxⱼ, gives HA-SME's diffusion (Li, Shen, Zhang, He, arXiv 2405.18373). Both are evaluated through
log1p of the small quantity, so nothing cancels near 0. The real logarithm needs x < 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.objective import Objective
from sgdsde.types import DomainError, InputError, report_count, report_flags, suggest

#: eigenvalues η·λ above this are taken as this under ``log="clip"``
X_MAX = 0.99


def log1p_ratio(w: Tensor) -> Tensor:
    """log(1+w)/w, 1 at w = 0; NaN below −1."""
    safe = torch.where(w == 0, torch.ones_like(w), w)
    return torch.where(w == 0, torch.ones_like(w), torch.log1p(safe) / safe)


def ell(x: Tensor) -> Tensor:
    """ℓ(x) = log(1−x)/x, −1 at 0."""
    return -log1p_ratio(-x)


def phi_pair(x: Float[Tensor, "paths dim"]) -> Float[Tensor, "paths dim dim"]:
    """φ(mᵢmⱼ) for all pairs of eigenvalues."""
    xi, xj = x[:, :, None], x[:, None, :]
    return log1p_ratio(xi * xj - xi - xj)


def phi_square(x: Tensor) -> Tensor:
    """φ(m²) = log(m²)/(m²−1), the diagonal of :func:`phi_pair`."""
    return log1p_ratio(x * x - 2 * x)


@dataclass(frozen=True)
class Spectrum:
    """x = ηλ ``[P, dim]`` and eigenvectors U ``[P, dim, dim]`` of the Hessian (P = 1 where it is constant)."""

    x: Tensor
    vectors: Tensor

    def apply(self, values: Tensor, v: Tensor) -> Tensor:
        """U diag(values) Uᵀ v for vectors ``[P, dim]``."""
        if self.x.shape[1] == 1:
            return values * v
        if self.x.shape[0] == 1:
            return v @ ((self.vectors[0] * values[0]) @ self.vectors[0].T)
        inner = (self.vectors.transpose(1, 2) @ v[:, :, None])[:, :, 0]
        return (self.vectors @ (values * inner)[:, :, None])[:, :, 0]

    def rotate(self, S: Tensor) -> Tensor:
        """UᵀSU."""
        return self.vectors.transpose(1, 2) @ S @ self.vectors

    def rotate_back(self, S: Tensor) -> Tensor:
        """USUᵀ."""
        return self.vectors @ S @ self.vectors.transpose(1, 2)


def spectrum_of(matrices: Tensor, eta: float) -> Spectrum:
    """The eigenvalues times η and eigenvectors of symmetric matrices; NaN where a matrix is not finite."""
    if matrices.shape[-1] == 1:
        return Spectrum(eta * matrices[:, :, 0], torch.ones_like(matrices))
    broken = ~torch.isfinite(matrices).flatten(1).all(1)
    values, vectors = torch.linalg.eigh(torch.nan_to_num(matrices, nan=0.0, posinf=0.0, neginf=0.0))
    if bool(broken.any()):
        values = torch.where(broken[:, None], torch.nan, values)
    return Spectrum(eta * values, vectors)


class HessianSpectrum:
    """The spectrum of an objective's Hessian along an ensemble, computed once where the Hessian is constant.

    ``policy`` is what happens where x = ηλ ≥ 1, beyond the real logarithm: ``stop`` (the path is frozen and counted), ``raise``, or
    ``clip`` (m ← max(m, 1 − X_MAX) inside the matrix functions only; every clip is counted).

    Raises:
        InputError: unknown policy.
        DomainError: the Hessian is constant with ηλ ≥ 1 and the policy is not ``clip``: known before any run.
    """

    def __init__(self, objective: Objective, eta: float, policy: str) -> None:
        if policy not in ("stop", "raise", "clip"):
            raise InputError(f"log={policy!r} is no domain policy." + suggest(policy, ["stop", "raise", "clip"]))
        self._objective, self._eta, self._policy = objective, eta, policy
        self._constant: dict[tuple[torch.dtype, torch.device], Spectrum] = {}
        if objective.facts.constant_hessian:
            origin = torch.zeros(1, objective.dim, dtype=torch.float64)
            spectrum = spectrum_of(hessian(objective, origin), eta)
            top = float(spectrum.x.max())
            if top >= 1 and policy != "clip":
                raise DomainError(_beyond(top))
            self._constant[torch.float64, torch.device("cpu")] = self._clipped(spectrum)

    def __call__(self, theta: Tensor) -> Spectrum:
        """The spectrum at ``theta`` under the policy; NaN eigenvalues where the model does not exist."""
        if self._objective.facts.constant_hessian:
            key = (theta.dtype, theta.device)
            if key not in self._constant:
                reference = self._constant[torch.float64, torch.device("cpu")]
                self._constant[key] = Spectrum(reference.x.to(theta), reference.vectors.to(theta))
            return self._constant[key]
        return self._guarded(spectrum_of(hessian(self._objective, theta), self._eta))

    def _guarded(self, spectrum: Spectrum) -> Spectrum:
        outside = (spectrum.x >= 1).any(1)
        if not bool(outside.any()):
            return spectrum
        if self._policy == "raise":
            raise DomainError(_beyond(float(spectrum.x[outside].max())))
        if self._policy == "clip":
            return self._clipped(spectrum)
        report_flags(outside)
        return Spectrum(torch.where(outside[:, None], torch.nan, spectrum.x), spectrum.vectors)

    def _clipped(self, spectrum: Spectrum) -> Spectrum:
        if self._policy != "clip":
            return spectrum
        report_count("log clipped", int((spectrum.x > X_MAX).any(1).sum()))
        return Spectrum(spectrum.x.clamp_max(X_MAX), spectrum.vectors)


def _beyond(top: float) -> str:
    return (
        f"eta·lambda = {top:.4g} ≥ 1: log(1 − eta·lambda) is not real there, so this model does not exist. "
        f"Use a smaller eta, sg.sdes.EvenStepHASME, or log='clip' (eigenvalues above {X_MAX} counted as {X_MAX})."
    )
