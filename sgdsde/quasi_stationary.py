"""The quasi-stationary law: where a path is, given that it has not left for long; exits from it are exactly memoryless.

Fleming–Viot particles (Burdzy, Hołyst, March, Comm. Math. Phys. 214, 2000): run an ensemble; a particle that leaves, or breaks, restarts at once where another
one stands. After a few relaxation times the particles sample the law, up to correlations of the order of exits/particles.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from sgdsde.kernel import Kernel, State, refuse_weak
from sgdsde.region import Region
from sgdsde.regions import as_region
from sgdsde.types import InputError, as_points, positive


class QuasiStationary:
    """A sampler of start points for ``exit_times``: ``QuasiStationary(kernel, theta0, region, burn_in)(paths, generator)`` → ``[paths, dim]``.

    Each block runs its own particles, for SDE time ``burn_in`` from ``theta0``, watched at iterates.

    Raises:
        InputError: the start lies outside the region, or the kernel's states are no start points of it.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> start = sg.QuasiStationary(sg.kernels.SGD(noise, 0.1), [0.0], sg.regions.Interval(-1.0, 1.0), burn_in=2.0)
        >>> bool(start(100, torch.Generator().manual_seed(0)).abs().max() < 1.0)
        True
    """

    def __init__(self, kernel: Kernel, theta0: Any, region: Region | Any, burn_in: float) -> None:
        if kernel.start_dim != kernel.dim:
            raise InputError(f"{type(kernel).__name__} keeps other states than its start points; take its parts one by one.")
        refuse_weak(kernel, "the law of the paths that stay")
        if kernel.numbered:
            raise InputError(f"{type(kernel).__name__} numbers its paths, and particles are copied here: copies would move alike. Use the kernel inside.")
        self.kernel, self.region = kernel, as_region(region)
        self.theta0 = as_points(theta0, kernel.dim, name="theta0")
        self.ticks = max(1, round(positive(burn_in, "burn_in") / kernel.tick))
        if not bool(self.region.inside(self.theta0).all()):
            raise InputError("theta0 lies outside the region; start inside.")

    def __call__(self, paths: int, generator: Generator) -> Tensor:
        state, _ = self.run(paths, generator)
        return state.theta

    def run(self, paths: int, generator: Generator) -> tuple[State, int]:
        """The particles after the burn-in, and how many of them were restarted on the way."""
        kernel = self.kernel
        begin = self.theta0[torch.arange(paths) % self.theta0.shape[0]].clone()
        state, restarts = kernel.init(begin, generator), 0
        with torch.no_grad():
            for k in range(self.ticks):
                state = kernel.advance(state, k, generator)
                good = torch.isfinite(state.theta).all(1) & self.region.inside(state.theta)
                lost = int((~good).sum())
                if lost == 0:
                    continue
                restarts += lost
                survivors = torch.nonzero(good)[:, 0]
                if survivors.numel() == 0:
                    state = kernel.init(begin, generator)
                    continue
                source = torch.arange(paths, device=good.device)
                source[~good] = survivors[torch.randint(survivors.numel(), (lost,), generator=generator, device=good.device)]
                state = state.take(source)
        return state, restarts
