"""Hessian-aware stochastic modified equation, HA-SME (Li, Shen, Zhang, He, arXiv 2405.18373).

b = U·[log(1−ηΛ)/(ηΛ)]·Uᵀg and Q = η·U[(UᵀΣU)ᵢⱼ·φ(mᵢmⱼ)]Uᵀ with φ(u) = log(u)/(u−1), m = 1 − ηλ. On quadratics with constant Σ and Gaussian
noise it is exact in law at t = kη; weak order 2 in general. Needs eigenvectors: for d ≲ 64. Real logarithm: ηλ < 1. Q may be indefinite.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.noise import Noise
from sgdsde.sdes.functions import ell, phi_pair
from sgdsde.sdes.hadamard import HadamardEquation
from sgdsde.sdes.log_domain import RealLogarithm


class HASME(HadamardEquation):
    """b = L, Q = η·U[(UᵀΣU)ᵢⱼφ(mᵢmⱼ)]Uᵀ; D is Q's symmetric root, so ``noise_dim`` = dim.

    Args:
        log: policy where ηλ ≥ 1: ``stop``, ``raise``, ``clip`` (see :mod:`sgdsde.sdes.log_domain`).
        psd: policy where Q is indefinite: ``stop``, ``raise``, ``project``. ``diffusion`` returns Q itself under ``stop`` and ``raise``,
            the projected matrix under ``project``.

    Raises:
        DomainError: on construction if the Hessian is constant with ηλ ≥ 1; by ``check`` (before a run) if Q is constant and indefinite.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0]), 1.0)
        >>> model, sgd = (sg.oracles.stationary_covariance(*of).item() for of in ((sg.sdes.HASME(noise, 0.25),), (noise, 0.25)))
        >>> round(model / sgd, 9)
        1.0
    """

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop", psd: str = "stop") -> None:
        super().__init__(noise, eta, domain=RealLogarithm(log), psd=psd)

    def flow(self, x: Tensor) -> Tensor:
        return ell(x)

    def pair(self, x: Tensor) -> Tensor:
        return phi_pair(x)

    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        return flow

    def noise_point(self, theta: Tensor) -> Tensor:
        return theta
