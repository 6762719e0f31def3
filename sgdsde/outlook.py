"""Before a run: will anything leave? What theory says of an exit problem at a cost that is bounded, some tenths of a second whatever the problem.

On the line the mean exit by the scale function (of the SDE, or of SGD's SME-1; milliseconds, however rare the exit), by Nyström's chain where some 50
panels resolve it and it matters; for α-stable noise also the law of one jump. In d dimensions, linear drift: e^W relaxation times, W the
large-deviation exponent; a start on a strict saddle in a ball: P(τ ≤ kη) = P(|Z| > Rm^{−k}), Z ~ N(0, s²/(m² − 1)), m = 1 + ημ. Else nothing is said.
:func:`sgdsde.forecast.expected_exit` gives the exact oracle at whatever it costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr
from torch import Tensor

from sgdsde.calculus import grad, hessian
from sgdsde.kernel import Kernel
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.sgd import SGD
from sgdsde.monitor import Monitor
from sgdsde.monitors import Iterates
from sgdsde.noise import GaussianNoise, Noise
from sgdsde.noises.stable import SymmetricStable
from sgdsde.oracles.exit_chain import sgd_mean_exit
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.exit_sde import line_coefficients, sde_mean_exit
from sgdsde.oracles.exit_stable import stable_exit_steps
from sgdsde.oracles.exponents import linear_exponent, relaxation_time, sde_exponent
from sgdsde.region import Region
from sgdsde.regions import Ball, Interval, as_interval
from sgdsde.sde import SDE
from sgdsde.sdes.sme1 import SME1
from sgdsde.types import OracleRefusal, SgdsdeError

#: noise widths across an interval up to which a chain is solved, and ticks up to which its survival curve is followed
_CELLS, _TICKS = 120.0, 2000
#: from so many expected exits on no finer answer is needed
_PLENTY = 100.0
#: dimension up to which a Hessian is decomposed to look for a saddle, and ‖g‖ up to which the start counts as one
_DENSE, _FLAT = 64, 1e-8
#: ηλ up to which SGD's first-order model is asked where the chain is too costly
_GENTLE = 0.3


@dataclass(frozen=True)
class Outlook:
    """``log_mean``: log Eτ in SDE time; ``said`` names the theory; ``law`` where there is one."""

    log_mean: float
    said: str
    law: ExitLaw | None = None
    saddle: tuple[float, float, float] | None = None  #: (m, R√(m² − 1)/s, η)

    @property
    def mean(self) -> float:
        """Eτ in SDE time; infinite beyond e^700."""
        return math.exp(self.log_mean) if self.log_mean < 700 else math.inf

    def share(self, horizon: float) -> float:
        """P(τ ≤ horizon): by the law, else as if exits were memoryless."""
        if self.saddle is not None:
            growth, distance, eta = self.saddle
            return 2 * float(ndtr(-distance * math.exp(-horizon / eta * math.log(growth))))
        if self.law is not None and self.law.tick is not None and horizon / self.law.tick <= _TICKS:
            return float(1 - self.law.survival([horizon])[0])
        return -math.expm1(-math.exp(min(math.log(horizon) - self.log_mean, 50.0)))

    def __str__(self) -> str:
        size = f"{self.mean:.4g}" if self.log_mean < 700 else f"e^{self.log_mean:.4g}"
        return f"{self.said} mean exit is t = {size}."


def outlook(kernel: Kernel, start: Tensor, region: Region, monitor: Monitor, *, horizon: float, paths: int) -> Outlook | None:
    """What theory expects of paths from ``start`` ``[dim]``, refined where it promises few exits within the horizon; None where it has nothing to say."""
    point = start.detach().cpu().to(torch.float64).reshape(-1)
    try:
        rough = _rough(kernel, point, region)
        if rough is None or paths * rough.share(horizon) >= _PLENTY:
            return rough
        return _refined(kernel, point, region, monitor) or (rough if _gentle(kernel, point) else None)
    except SgdsdeError:
        return None  # a theory that refuses does not cover the problem


def _rough(kernel: Kernel, start: Tensor, region: Region) -> Outlook | None:
    if not isinstance(kernel, (SGD, Integrator)):
        return None
    if isinstance(kernel, SGD) and isinstance(kernel.noise, SymmetricStable):
        return _jumps(kernel.noise, kernel.eta, start, region) if kernel.dim == 1 else None
    if kernel.dim == 1:
        sde = kernel.sde if isinstance(kernel, Integrator) else SME1(kernel.noise, kernel.eta)
        name = f"{type(sde).__name__}'s" if isinstance(kernel, Integrator) else "SGD's first-order model has it that, watched continuously, the"
        said = f"Watched continuously, {name}" if isinstance(kernel, Integrator) else name
        return _diffusion(sde, float(start[0]), as_interval(region), said)
    return _saddle(kernel, start, region) or _linear(kernel, region)


def _refined(kernel: Kernel, start: Tensor, region: Region, monitor: Monitor) -> Outlook | None:
    """The chain's own oracle, where it is cheap."""
    if not (isinstance(kernel, SGD) and kernel.dim == 1 and isinstance(monitor, Iterates)):
        return None
    stable = isinstance(kernel.noise, SymmetricStable)
    if not (stable or isinstance(kernel.noise, GaussianNoise)) or _cells(kernel, float(start[0]), as_interval(region)) > _CELLS:
        return None
    try:
        law = sgd_mean_exit(kernel.noise, kernel.eta, start, region, tolerance=1e-3)
    except OracleRefusal:
        return None
    return Outlook(math.log(law.mean), "The oracle's", law)


def _gentle(kernel: Kernel, start: Tensor) -> bool:
    """Whether SGD's first-order model may speak for it: not where a step is long, ηλ > .3, and exits come sooner than the model's by any factor."""
    if not isinstance(kernel, SGD) or kernel.dim > 1 or isinstance(kernel.noise, SymmetricStable):
        return True
    return kernel.eta * float(hessian(kernel.noise.objective, start[None])[0, 0, 0]) <= _GENTLE


def _diffusion(sde: SDE, start: float, interval: Interval, said: str) -> Outlook:
    """The scale function; its exponent alone where the mean is beyond all numbers."""
    try:
        return Outlook(math.log(sde_mean_exit(sde, start, interval, tolerance=1e-2).mean), said)
    except OracleRefusal:
        ends = [end for end in (interval.low, interval.high) if math.isfinite(end)]
        return Outlook(min(sde_exponent(sde, start, end) for end in ends), f"{said} exponent being so, the")


def _jumps(noise: SymmetricStable, eta: float, start: Tensor, region: Region) -> Outlook:
    """One jump from where the path stands."""
    interval, x = as_interval(region), float(start[0])
    step = eta * float(noise.scale[0])
    far = [1e9 * step if math.isinf(end) else abs(end - x) for end in (interval.low, interval.high)]
    return Outlook(math.log(eta * max(1.0, stable_exit_steps(noise.alpha, step, *far))), "By the law of one jump the")


def _linear(kernel: SGD | Integrator, region: Region) -> Outlook:
    process: SDE | tuple[Noise, float] = kernel.sde if isinstance(kernel, Integrator) else (kernel.noise, kernel.eta)
    exponent = linear_exponent(process, region)
    said = f"Theory expects e^{exponent:.3g} relaxation times (large-deviation exponent): the"
    return Outlook(exponent + math.log(relaxation_time(process)), said)


def _saddle(kernel: SGD | Integrator, start: Tensor, region: Region) -> Outlook | None:
    """A start on a strict saddle, in a ball around it."""
    if not isinstance(kernel, SGD) or not isinstance(region, Ball) or kernel.dim > _DENSE:
        return None
    theta, objective = start[None], kernel.noise.objective
    if float(grad(objective, theta).norm()) > _FLAT or float((region.center - start).norm()) > 1e-6 * region.radius:
        return None
    values, vectors = torch.linalg.eigh(hessian(objective, theta)[0])
    v, mu = vectors[:, 0], -float(values[0])
    s = kernel.eta * math.sqrt(float(v @ kernel.noise.covariance(theta)[0] @ v))
    if mu <= 0 or s <= 0:
        return None
    growth = 1 + kernel.eta * mu
    distance = region.radius * math.sqrt(growth**2 - 1) / s
    steps = max(1.0, (math.log(2 * distance**2) + float(np.euler_gamma)) / (2 * math.log(growth)) + 0.5)
    return Outlook(math.log(kernel.eta * steps), "The saddle law's", saddle=(growth, distance, kernel.eta))


def _cells(kernel: SGD, start: float, interval: Interval) -> float:
    """How many noise widths an interval (a half-line: twice the way to its end) is wide."""
    reach = max(abs(end - start) for end in (interval.low, interval.high) if math.isfinite(end))
    low, high = max(interval.low, start - 2 * reach), min(interval.high, start + 2 * reach)
    if isinstance(kernel.noise, SymmetricStable):
        return (high - low) / (kernel.eta * float(kernel.noise.scale[0]))
    x = np.linspace(low, high, 401)
    _, Q = line_coefficients(SME1(kernel.noise, kernel.eta))(x)
    s = np.sqrt(kernel.eta * Q)
    return float(np.mean(1 / np.maximum(s, 1e-300)) * (high - low))
