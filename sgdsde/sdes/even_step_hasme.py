"""Even-step HA-SME: HA-SME with log|·| for log, for step sizes past ηλ = 1 (this project's own).

b = U·[log|1−ηΛ|/(ηΛ)]·Uᵀg and Q = η·U[(UᵀΣU)ᵢⱼ·log|mᵢmⱼ|/(mᵢmⱼ−1)]Uᵀ, m = 1 − ηλ. On quadratics with constant Σ, Gaussian noise and positive Q it equals
SGD in law at even k, for any ηλ ≠ 1 (docs/theory/even_step.md): a direction with m < 0 flips sign at every step, which no continuous path does, but two steps
make m². Limits: |m| = 1 no drift, mᵢmⱼ = 1 factor 1, mᵢmⱼ = −1 factor 0. Where all ηλ < 1 it is HA-SME. Off quadratics it is formal: no order is claimed.
"""

from __future__ import annotations

from torch import Tensor

from sgdsde.noise import Noise
from sgdsde.sdes.functions import even_ell, even_phi_pair
from sgdsde.sdes.hadamard import HadamardEquation
from sgdsde.sdes.log_domain import AbsoluteLogarithm


class EvenStepHASME(HadamardEquation):
    """b = U[log|m|/x]Uᵀg, Q = η·U[(UᵀΣU)ᵢⱼlog|mᵢmⱼ|/(mᵢmⱼ−1)]Uᵀ; ``noise_dim`` = dim. Compare it with SGD at even k only.

    Args:
        log: policy where |1 − ηλ| is zero up to rounding: ``stop``, ``raise``, or ``clip`` (|1 − ηλ| taken as at least .01, moving ηλ = 1 itself to .99).
        psd: policy where Q is indefinite, as in :class:`HASME`.

    Raises:
        DomainError: on construction if the Hessian is constant with an ηλ = 1; by ``check`` (before a run) if Q is constant and indefinite.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.5]), 1.0)
        >>> model = sg.oracles.sde_moments(sg.sdes.EvenStepHASME(noise, 1.0), [1.0], 2.0)  # ηλ = 1.5: past the logarithm
        >>> sgd = sg.oracles.sgd_moments(noise, 1.0, [1.0], 2)
        >>> round(model.mean.item() / sgd.mean.item(), 9), round(model.covariance.item() / sgd.covariance.item(), 9)
        (1.0, 1.0)
    """

    def __init__(self, noise: Noise, eta: float, *, log: str = "stop", psd: str = "stop") -> None:
        super().__init__(noise, eta, domain=AbsoluteLogarithm(log), psd=psd)

    def flow(self, x: Tensor) -> Tensor:
        return even_ell(x)

    def pair(self, x: Tensor) -> Tensor:
        return even_phi_pair(x)

    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        return flow

    def noise_point(self, theta: Tensor) -> Tensor:
        return theta
