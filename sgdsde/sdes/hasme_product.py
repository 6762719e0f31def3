"""HA-SME in product form: HA-SME's drift, and Q = η·SΣS with S = φ(M²)^½, M = I − ηH (this project's own).

Weak order 2; the exact variance in every eigendirection on quadratics with constant Σ; equal to HA-SME where Σ commutes with H. Positive by
construction whatever the rank of Σ, and D dw = √η·S·R dw needs only products with S: this is the form that scales. Derivation: the diagonal of
HA-SME's Hadamard product is (UᵀΣU)ᵢᵢφ(mᵢ²) = sᵢ²(UᵀΣU)ᵢᵢ, which SΣS keeps; off the diagonal it puts the geometric mean of φ(mᵢ²), φ(mⱼ²) for φ(mᵢmⱼ),
a relative change of O(η²(λᵢ−λⱼ)²).
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.noise import Noise
from sgdsde.sde import ModifiedEquation
from sgdsde.sdes.functions import HessianSpectrum, Spectrum, ell, phi_square


class HASMEProduct(ModifiedEquation):
    """b = L, Q = η·SΣS with S = φ(M²)^½; ``noise_dim`` is the noise's. ``log``: see :class:`HessianSpectrum`."""

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop") -> None:
        super().__init__(noise, eta)
        self.spectrum = HessianSpectrum(self.objective, self.eta, log)

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self._drift(x, self.spectrum(x))

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return self._diffuse(x, self.spectrum(x), dw)

    def terms(self, t: float, x: Tensor, dw: Tensor) -> tuple[Tensor, Tensor]:
        spectrum = self.spectrum(x)
        return self._drift(x, spectrum), self._diffuse(x, spectrum, dw)

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        spectrum = self.spectrum(x)
        s = phi_square(spectrum.x).sqrt()
        rotated = spectrum.rotate(self.noise.covariance(x)) * (s[:, :, None] * s[:, None, :])
        return spectrum.rotate_back(rotated) * self.eta

    def _drift(self, x: Tensor, spectrum: Spectrum) -> Tensor:
        return spectrum.apply(ell(spectrum.x), grad(self.objective, x))

    def _diffuse(self, x: Tensor, spectrum: Spectrum, dw: Tensor) -> Tensor:
        return spectrum.apply(phi_square(spectrum.x).sqrt(), self.noise.root(x, dw)) * self.eta**0.5
