"""What theory expects of an exit problem before it is run.

The mean exit by an oracle where one covers the problem, else the large-deviation exponent of a linear one; and whether anything moves at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.kernel import Kernel, as_kernel
from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.sgd import SGD
from sgdsde.kernels.svag import SVAG
from sgdsde.monitor import Monitor
from sgdsde.monitors import Iterates, as_monitor
from sgdsde.noise import HeavyTailedNoise
from sgdsde.oracles.exit_chain import sgd_mean_exit
from sgdsde.oracles.exit_law import ExitLaw
from sgdsde.oracles.exit_sde import sde_mean_exit
from sgdsde.oracles.exit_skeleton import skeleton_mean_exit
from sgdsde.oracles.exponents import linear_exponent
from sgdsde.region import Region
from sgdsde.regions import as_region
from sgdsde.types import SgdsdeError, as_points


@dataclass(frozen=True)
class Forecast:
    """``law`` in one dimension; else ``exponent``, with log Eτ ≈ exponent for small noise."""

    law: ExitLaw | None
    exponent: float | None

    def __str__(self) -> str:
        if self.law is not None:
            return f"The oracle's mean exit is t = {self.law.mean:.4g}."
        return f"Theory expects a mean exit of the order of e^{self.exponent:.3g} relaxation times (large-deviation exponent)."


def expected_exit(kernel: Kernel, theta0: Any, region: Any, *, monitor: str | Monitor = "iterates") -> Forecast | None:
    """The mean exit that an oracle expects of SGD or of an integrator's SDE (its time step taken as small), or None where none covers the problem.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> region = sg.regions.Interval(-1.0, 1.0)
        >>> told = sg.expected_exit(sg.kernels.SGD(noise, 0.5), [0.0], region)
        >>> told.law.mean == sg.oracles.sgd_mean_exit(noise, 0.5, [0.0], region).mean
        True
        >>> print(told)
        The oracle's mean exit is t = 7.405.
    """
    region, watched = as_region(region), as_monitor(monitor)
    start = as_points(theta0, as_kernel(kernel).start_dim, name="theta0")[0].to("cpu", torch.float64)
    try:
        if isinstance(kernel, SGD):
            return Forecast(sgd_mean_exit(kernel.noise, kernel.eta, start, region), None) if kernel.dim == 1 else _exponent((kernel.noise, kernel.eta), region)
        if isinstance(kernel, Integrator) and kernel.dim == 1:
            iterates = isinstance(watched, Iterates)
            return Forecast(skeleton_mean_exit(kernel.sde, start, region, tick=kernel.tick) if iterates else sde_mean_exit(kernel.sde, start, region), None)
        return _exponent(kernel.sde, region) if isinstance(kernel, Integrator) else None
    except SgdsdeError:
        return None  # an oracle that refuses is one that does not cover the problem


def _exponent(process: Any, region: Region) -> Forecast:
    return Forecast(None, linear_exponent(process, region))


def never_moves(kernel: Kernel, points: Tensor) -> bool:
    """Whether gradient (or drift) and noise both vanish exactly at every one of the points, so that no path ever moves."""
    z = torch.Generator().manual_seed(0)
    if isinstance(kernel, (SGD, SVAG)):
        noise = kernel.noise
        if isinstance(noise, HeavyTailedNoise):
            return False
        if bool(grad(noise.objective, points).any()):
            return False
        shake = torch.randn(points.shape[0], noise.root_dim, generator=z, dtype=torch.float64).to(points)  # R is linear: R·z = 0 for a random z only if R = 0
        return not bool(noise.root(points, shake).any())
    if isinstance(kernel, Integrator):
        sde = kernel.sde
        if bool(sde.drift(0.0, points).any()):
            return False
        shake = torch.randn(points.shape[0], sde.noise_dim, generator=z, dtype=torch.float64).to(points)
        return not bool(sde.diffuse(0.0, points, shake).any())
    return False
