"""Hessian-aware stochastic modified equation, HA-SME (Li, Shen, Zhang, He, arXiv 2405.18373).

b = U·[log(1−ηΛ)/(ηΛ)]·Uᵀg and Q = η·U[(UᵀΣU)ᵢⱼ·φ(mᵢmⱼ)]Uᵀ with φ(u) = log(u)/(u−1), m = 1 − ηλ. On quadratics with constant Σ and Gaussian
noise it is exact in law at t = kη; weak order 2 in general. Needs eigenvectors: for d ≲ 64. Real logarithm: ηλ < 1. Q may be indefinite.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.functions import HessianSpectrum, Spectrum, ell, phi_pair
from sgdsde.sdes.positivity import check_policy, defect, indefinite_message, root_of
from sgdsde.types import DomainError


class HASME(ModifiedEquation):
    """b = L, Q = η·U[(UᵀΣU)ᵢⱼφ(mᵢmⱼ)]Uᵀ; D is Q's symmetric root, so ``noise_dim`` = dim.

    Args:
        log: policy where ηλ ≥ 1: ``stop``, ``raise``, ``clip`` (see :class:`HessianSpectrum`).
        psd: policy where Q is indefinite: ``stop``, ``raise``, ``project``. ``diffusion`` returns Q itself under ``stop`` and ``raise``,
            the projected matrix under ``project``.

    Raises:
        DomainError: on construction if the Hessian is constant with ηλ ≥ 1; by ``check`` (before a run) if Q is constant and indefinite.
    """

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop", psd: str = "stop") -> None:
        super().__init__(noise, eta)
        self.noise_dim = self.dim
        self.psd = check_policy(psd)
        self.spectrum = HessianSpectrum(self.objective, self.eta, log)
        self._constant_root: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self._drift(x, self.spectrum(x))

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self._diffuse(x, self.spectrum(x), dw)

    def terms(self, t: float, x: Tensor, dw: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = self.spectrum(x)
        return self._drift(x, spectrum), self._diffuse(x, spectrum, dw)

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        Q = self._formula(x, self.spectrum(x))
        if self.psd != "project":
            return Q
        root = root_of(Q, self.psd)
        return root @ root

    def defect(self, x: Tensor) -> Tensor:
        """Negative mass / positive mass of Q's spectrum at each point, whatever the policy, ``[P]``."""
        return defect(self._formula(x, self.spectrum(x)))

    def check(self, x: Tensor) -> None:
        if self.constant and self.psd != "project":
            worst = float(self.defect(x[:1].to(torch.float64)).max())
            if worst > 0:
                raise DomainError(indefinite_message(worst))

    def _drift(self, x: Tensor, spectrum: Spectrum) -> Tensor:
        return spectrum.apply(ell(spectrum.x), grad(self.objective, x))

    def _formula(self, x: Tensor, spectrum: Spectrum) -> Tensor:
        rotated = spectrum.rotate(self.noise.covariance(x)) * phi_pair(spectrum.x)
        Q = spectrum.rotate_back(rotated) * self.eta
        return (Q + Q.transpose(1, 2)) / 2

    def _diffuse(self, x: Tensor, spectrum: Spectrum, dw: Tensor) -> Tensor:
        if not self.constant:
            root = root_of(self._formula(x, spectrum), self.psd)
            return (root @ dw[:, :, None])[:, :, 0]
        key = (x.dtype, x.device)
        if key not in self._constant_root:
            point = torch.zeros(1, self.dim, dtype=torch.float64)
            self._constant_root[key] = root_of(self._formula(point, self.spectrum(point)), self.psd)[0].to(x)
        return dw @ self._constant_root[key]
