"""Growth of E‖θ‖² per tick on quadratics with constant noise, additive noise aside: which models diverge where SGD does.

SGD (1−x)², SME-1 e^{−2x}, SME-2 e^{−2x−x²}; with log|·| for log SPF and HA-SME have |1−x|² = SGD's. Euler–Maruyama with one step a tick turns SME-1 into SGD,
so that a simulation may show what the model does not do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sgdsde.kernels import EulerMaruyama
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.random_quadratics import rotation
from sgdsde.noise import Noise
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import mean_square_growth
from sgdsde.plots.panel import Panel, Series
from sgdsde.sdes import SME1, SME2, EvenStepHASME
from sgdsde.sdes.functions import even_ell
from sgdsde.sdes.hadamard import HadamardEquation
from sgdsde.sdes.log_domain import AbsoluteLogarithm
from sgdsde.types import Estimate

ETA = 0.1


class EvenStepSPF(HadamardEquation):
    """SPF with log|·| for log: the even-step model's drift and Q = ηΣ."""

    def __init__(self, noise: Noise, eta: float) -> None:
        super().__init__(noise, eta, domain=AbsoluteLogarithm("stop"), psd="stop")

    def flow(self, x: Tensor) -> Tensor:
        return even_ell(x)

    def pair(self, x: Tensor) -> Tensor:
        return torch.ones(x.shape[0], x.shape[1], x.shape[1], dtype=x.dtype, device=x.device)

    def completed(self, flow: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        return flow

    def noise_point(self, theta: Tensor) -> Tensor:
        return theta


def _euler(noise: Noise) -> float:
    return mean_square_growth(EulerMaruyama(SME1(noise, ETA), ETA))


GROWTH: dict[str, Callable[[Noise], float]] = {
    "SGD": lambda noise: mean_square_growth(noise, ETA),
    "SME1": lambda noise: mean_square_growth(SME1(noise, ETA)),
    "SME2": lambda noise: mean_square_growth(SME2(noise, ETA)),
    "EvenStepSPF": lambda noise: mean_square_growth(EvenStepSPF(noise, ETA)),
    "EvenStepHASME": lambda noise: mean_square_growth(EvenStepHASME(noise, ETA)),
    "Euler": _euler,
}


def growth_factors(*, seed: int, level: float, spectra: Mapping[str, Sequence[float]]) -> Measured:
    """``name/process`` for each spectrum x = ηλ (in a random basis, Σ = I): growth of E‖θ‖² per tick in the worst direction."""
    rng = np.random.default_rng(seed)
    estimates: dict[str, Estimate] = {}
    for name, x in spectra.items():
        basis = rotation(rng, len(x))
        hessian = (basis * (np.asarray(x) / ETA)) @ basis.T
        noise = Gaussian(Quadratic((hessian + hessian.T) / 2), 1.0)
        for process, growth in GROWTH.items():
            value = growth(noise)
            estimates[f"{name}/{process}"] = exactly(value, 1e-11 * max(value, 1.0))
    return Measured(estimates, panels=(_panel(),), conventions=f"Gaussian noise, constant covariance, float64, eta={ETA}")


def _panel() -> Panel:
    x = np.linspace(0.02, 3.5, 200)
    series = (
        Series("SGD", "SGD, SPF and HA-SME (even-step)", x, (1 - x) ** 2),
        Series("SME1", "SME-1", x, np.exp(-2 * x)),
        Series("SME2", "SME-2", x, np.exp(-2 * x - x**2)),
    )
    return Panel("Growth of E θ² per tick", "x = ηλ", "factor", series, log="y", level=1.0)
