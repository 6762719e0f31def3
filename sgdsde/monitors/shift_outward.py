"""Iterates predicted from a continuous watch: the border moved outward by .5826·√(nᵀQn·η), crossings found by Brownian bridges.

Good only where a = xR/s is below about 1 (x = ηλ, s = ησ): at a = 2 it is 30 % off, at a = 2.7 three-fold. It stands here to show that; to know what
iterates do, look at iterates.
"""

from __future__ import annotations

from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.monitor import Monitor, Sight
from sgdsde.monitors.bridge import crossings
from sgdsde.monitors.shift import SHIFT
from sgdsde.monitors.substeps import Substeps, between_ticks
from sgdsde.region import Bordered, Region


class ShiftOutward(Monitor):
    """Crossings of the border moved outward by .5826·√(nᵀQn·η). For integrators of SDEs and regions with a border."""

    name = "shift outward"

    def clock(self, kernel: Kernel, region: Region) -> Kernel:
        return between_ticks(kernel, region, self.name)

    def look(self, kernel: Kernel, region: Region, before: Tensor, after: Tensor, generator: Generator) -> Sight:
        assert isinstance(kernel, Substeps)
        assert isinstance(region, Bordered)
        variance = kernel.variance(region, before)
        outward = SHIFT * (variance * kernel.integrator.tick).sqrt()
        return crossings(region, before, after, region.distances(before) + outward, region.distances(after) + outward, variance * kernel.tick, generator)
