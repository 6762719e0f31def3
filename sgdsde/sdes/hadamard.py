"""What the models with a Hadamard diffusion share: drift U·[flow(x)]·Uᵀg + …, Q = η·U[(UᵀΣU)ᵢⱼ·pair(xᵢ, xⱼ)]Uᵀ, x = ηλ.

HA-SME, HA-SME-3 and the even-step model differ in the two scalar functions, in what is added to the drift and in the point where Σ is taken. Such a Q
needs eigenvectors (d ≲ 64), has no factor through a noise root, and may be indefinite; D is its symmetric root.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.chebyshev import SeriesFunction
from sgdsde.sdes.functions import HessianSpectrum, Spectrum
from sgdsde.sdes.log_domain import LogDomain
from sgdsde.sdes.positivity import check_policy, defect, indefinite_message, root_of, root_times
from sgdsde.types import DomainError, report_worst


class HadamardEquation(ModifiedEquation):
    """A model with eigenvalue functions ``flow`` and ``pair``; ``noise_dim`` = dim.

    Args:
        domain: where the logarithm exists, with its policy (:class:`LogDomain`).
        psd: policy where Q is indefinite: ``stop``, ``raise``, ``project``. ``diffusion`` returns Q itself under ``stop`` and ``raise``,
            the projected matrix under ``project``.

    Raises:
        DomainError: on construction if the Hessian is constant and outside the domain; by ``check`` (before a run) if Q is constant and indefinite.
    """

    def __init__(self, noise: Noise, eta: float, *, domain: LogDomain, psd: str) -> None:
        super().__init__(noise, eta)
        self.noise_dim = self.dim
        self.psd = check_policy(psd)
        self.spectrum = HessianSpectrum(self.objective, self.eta, domain)
        self._flow = SeriesFunction(self.flow)
        self._constant_root: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._constant_defect = 0.0

    @abstractmethod
    def flow(self, x: Tensor) -> Tensor:
        """The drift's factor of g in each eigendirection, ``[P, dim]`` → ``[P, dim]``."""

    @abstractmethod
    def pair(self, x: Tensor) -> Tensor:
        """The factor of (UᵀΣU)ᵢⱼ, ``[P, dim]`` → ``[P, dim, dim]``."""

    @abstractmethod
    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        """The drift, from the flow's part of it."""

    @abstractmethod
    def noise_point(self, theta: Tensor) -> Tensor:
        """Where Σ is taken."""

    @property
    def width(self) -> int:
        element_wise = self.spectrum.width == self.dim and (self.constant or self.noise.variances(torch.zeros(1, self.dim)) is not None)
        return max(super().width, self.dim if element_wise else self.dim**2)

    def drift(self, t: float, x: Tensor) -> Tensor:
        g = grad(self.objective, x)
        return self.completed(self.spectrum.times(x, [self._flow], [g])[0], x, g)

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
        """Negative mass / positive mass of Q's spectrum at each point, whatever the psd policy, ``[P]``; NaN where the logarithm does not exist."""
        return defect(self._formula(x, self.spectrum(x)))

    def check(self, x: Tensor) -> None:
        if self.constant and self.psd != "project":
            worst = float(self.defect(x[:1].to(torch.float64)).max())
            if worst > 0:
                raise DomainError(indefinite_message(worst))

    def _drift(self, x: Tensor, spectrum: Spectrum) -> Tensor:
        g = grad(self.objective, x)
        return self.completed(spectrum.apply(self.flow(spectrum.x), g), x, g)

    def _formula(self, x: Tensor, spectrum: Spectrum) -> Tensor:
        Q = spectrum.rotate_back(self._rotated(self.noise_point(x), spectrum))
        return (Q + Q.transpose(1, 2)) / 2

    def _own(self, x: Tensor) -> Tensor:
        """The diagonal of :meth:`pair`, ``[P, dim]``; never negative."""
        return self.pair(x.reshape(-1, 1)).reshape(x.shape)

    def _rotated(self, point: Tensor, spectrum: Spectrum) -> Tensor:
        """UᵀQU."""
        return spectrum.rotate(self.noise.covariance(point)) * (self.eta * self.pair(spectrum.x))

    def _diffuse(self, x: Tensor, spectrum: Spectrum, dw: Tensor) -> Tensor:
        if not self.constant:
            point = self.noise_point(x)
            variances = self.noise.variances(point) if spectrum.vectors is None else None
            if variances is not None:  # Q is diagonal, and positive
                return (self._own(spectrum.x) * variances).mul_(self.eta).sqrt_().mul_(dw)
            return spectrum.out(root_times(self._rotated(point, spectrum), spectrum.into(dw), self.psd))  # the root of UᵀQU, between Uᵀ and U
        key = (x.dtype, x.device)
        if key not in self._constant_root:
            point = torch.zeros(1, self.dim, dtype=torch.float64)
            Q = self._formula(point, self.spectrum(point))
            self._constant_root[key], self._constant_defect = root_of(Q, self.psd)[0].to(x), float(defect(Q))
        if self._constant_defect > 0:
            report_worst("psd defect", self._constant_defect)
        return dw @ self._constant_root[key]
