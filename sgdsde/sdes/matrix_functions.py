"""How the product-form models apply functions of the Hessian to vectors: ℓ(ηH)g (the flow) and φ(M²)^½v (the amplifier), M = I − ηH.

A strategy is named by the user (``functions=Dense()``, ``Krylov(steps)`` or ``Spectral(k)``) and bound to an objective by the model. ``Dense`` forms H and its
eigenvectors, once where H is constant: exact, for d ≲ a few hundred. :mod:`sgdsde.sdes.krylov` and :mod:`sgdsde.sdes.spectral` need products
with vectors only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sgdsde.objective import Objective
from sgdsde.sdes.chebyshev import SeriesFunction
from sgdsde.sdes.functions import HessianSpectrum, ell, phi_square
from sgdsde.sdes.log_domain import LogDomain


class HessianFunctions(ABC):
    """Functions of ηH(θ), bound to an objective, a step size and a log domain. All vectors are ``[P, dim]``."""

    @abstractmethod
    def flow(self, theta: Tensor, g: Tensor) -> Tensor:
        """ℓ(ηH)g with ℓ(x) = log(1−x)/x."""

    @abstractmethod
    def amplify(self, theta: Tensor, v: Tensor) -> Tensor:
        """S v with S = φ(M²)^½."""

    @abstractmethod
    def both(self, theta: Tensor, g: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(ℓ(ηH)g, S v) at one point, sharing what can be shared."""

    @abstractmethod
    def congruence(self, theta: Tensor, sigma: Tensor) -> Tensor:
        """SΣS for matrices ``[P, dim, dim]``."""

    def width(self, dim: int) -> int:
        """Numbers per path that one evaluation touches."""
        return dim

    def begin(self) -> None:
        """A block of paths begins: forget what an earlier one left."""
        return None

    def check(self, theta: Tensor) -> None:
        """Refuse before a run what is known to fail from start points ``theta``. Raises DomainError."""
        return None


class MatrixFunctions(ABC):
    """A strategy, still without an objective."""

    @abstractmethod
    def bind(self, objective: Objective, eta: float, domain: LogDomain) -> HessianFunctions:
        """The functions of this objective's ηH.

        Raises:
            DomainError: the Hessian is constant and known to be outside the domain (policies ``stop`` and ``raise``).
        """


@dataclass(frozen=True)
class Dense(MatrixFunctions):
    """Eigenvectors of the dense Hessian: exact.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> sg.sdes.HASMEProduct(noise, 0.1, functions=sg.sdes.Dense()).noise_dim
        1
    """

    def bind(self, objective: Objective, eta: float, domain: LogDomain) -> HessianFunctions:
        return _DenseFunctions(objective, eta, domain)


class _DenseFunctions(HessianFunctions):
    def __init__(self, objective: Objective, eta: float, domain: LogDomain) -> None:
        self._spectrum = HessianSpectrum(objective, eta, domain)
        self._flow, self._amplifier = SeriesFunction(ell), SeriesFunction(root_phi)

    def flow(self, theta: Tensor, g: Tensor) -> Tensor:
        return self._spectrum.times(theta, [self._flow], [g])[0]

    def amplify(self, theta: Tensor, v: Tensor) -> Tensor:
        return self._spectrum.times(theta, [self._amplifier], [v])[0]

    def both(self, theta: Tensor, g: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self._spectrum.times(theta, [self._flow, self._amplifier], [g, v])
        return first, second

    def width(self, dim: int) -> int:
        return self._spectrum.width

    def congruence(self, theta: Tensor, sigma: Tensor) -> Tensor:
        spectrum = self._spectrum(theta)
        s = root_phi(spectrum.x)
        return spectrum.rotate_back(spectrum.rotate(sigma) * (s[:, :, None] * s[:, None, :]))


def root_phi(x: Tensor) -> Tensor:
    """s(x) = φ((1−x)²)^½."""
    return phi_square(x).sqrt()


def congruence_by_rows(amplify: Callable[[Tensor, Tensor], Tensor], theta: Tensor, sigma: Tensor) -> Tensor:
    """SΣS from products with S: row by row, twice."""
    half = torch.stack([amplify(theta, sigma[:, i]) for i in range(theta.shape[1])], 1).transpose(1, 2)  # row i is S Σᵢ, transposed
    return torch.stack([amplify(theta, half[:, i]) for i in range(theta.shape[1])], 1)
