"""What of SGD's law depends on the law of its noise: stationary excess kurtosis under Rademacher noise on quadratics.

θ⁺ = mθ − ηξ, m = 1 − x, is a sum Σ mʲξⱼ of independent terms: fourth cumulants add up with m⁴ʲ, variances with m²ʲ, so that the stationary excess
kurtosis is κ(1 − m²)²/(1 − m⁴) = κ(1 − m²)/(1 + m²), κ = −2 for Rademacher noise. HA-SME is Gaussian: 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, Heun
from sgdsde.measurement import Measured
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objectives import Quadratic, SharedCurvature
from sgdsde.oracles import stationary_covariance
from sgdsde.sdes import HASME
from sgdsde.simulate import simulate
from sgdsde.stats import mean_estimate, quantile_z
from sgdsde.types import Estimate

ETA = 0.1
RADEMACHER = -2.0
BURN_IN, AVERAGED = 30, 60
SUBSTEPS = 4  # a linear SDE stays Gaussian under Heun, however coarse the step


def rademacher_kurtosis(x: float) -> float:
    """The formula above."""
    m = 1 - x
    return RADEMACHER * (1 - m**2) / (1 + m**2)


def stationary_kurtosis(*, seed: int, level: float, xs: Sequence[float], paths: int) -> Measured:
    """``process/x/kurtosis`` for SGD with Rademacher noise, with Gaussian noise, and HA-SME; ``…/variance`` over SGD's exact variance.

    One axis per x; the 2^d sign patterns are the samples of a batch of one, so that the axes have independent Rademacher noise.
    """
    hessian = np.diag(np.asarray(xs) / ETA)
    patterns = np.array(list(itertools.product((-1.0, 1.0), repeat=len(xs))))
    centers = patterns @ np.linalg.inv(hessian)  # then the gradient noise is ±1 on every axis
    rademacher = Minibatch(SharedCurvature(hessian, centers), 1)
    gaussian = Gaussian(Quadratic(hessian), 1.0)
    variance = stationary_covariance(gaussian, ETA).diagonal()
    kernels: dict[str, Kernel] = {
        "Rademacher": SGD(rademacher, ETA),
        "Gaussian": SGD(gaussian, ETA),
        "HASME": Heun(HASME(gaussian, ETA), ETA / SUBSTEPS),
    }
    estimates: dict[str, Estimate] = {}
    for offset, (name, kernel) in enumerate(kernels.items()):
        second, fourth = _powers(kernel, variance, paths=paths, seed=seed + offset)
        for i, x in enumerate(xs):
            estimates[f"{name}/{x}/kurtosis"] = excess_kurtosis(second[:, i], fourth[:, i], level=level)
            estimates[f"{name}/{x}/variance"] = mean_estimate(second[:, i] / float(variance[i]), level=level)
    note = f"{paths} paths, {AVERAGED} iterates each after {BURN_IN}; HA-SME by Heun with {SUBSTEPS} steps a tick"
    return Measured(estimates, notes=(note,), conventions=str(kernels["Rademacher"].conventions()))


def excess_kurtosis(second: np.ndarray, fourth: np.ndarray, *, level: float) -> Estimate:
    """m₄/m₂² − 3 of a centred variable from per-path means of squares and fourth powers; its standard error from the influence of each path."""
    m2, m4 = float(second.mean()), float(fourth.mean())
    influence = (fourth - m4) / m2**2 - 2 * m4 / m2**3 * (second - m2)
    return Estimate.normal(m4 / m2**2 - 3, float(influence.std(ddof=1)) / len(second) ** 0.5, len(second), quantile_z(level))


def _powers(kernel: Kernel, variance: torch.Tensor, *, paths: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    root = variance.sqrt()

    def start(count: int, generator: torch.Generator) -> torch.Tensor:
        return torch.randn(count, len(root), generator=generator, dtype=torch.float64) * root

    ticks = range(BURN_IN + 1, BURN_IN + AVERAGED + 1)
    run = simulate(kernel, start, horizon=ticks[-1] * ETA, save=[k * ETA for k in ticks], paths=paths, seed=seed, progress=False)
    squares = run.states**2
    return squares.mean(0).numpy(), (squares**2).mean(0).numpy()
