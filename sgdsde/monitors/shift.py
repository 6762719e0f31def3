"""Continuous watch by a shifted border: with steps dt, a walk overshoots a border by .5826·√(nᵀQn·dt) on average, so the border is moved inward by that.

Broadie, Glasserman, Kou, Mathematical Finance 7 (1997), after Siegmund; .5826 = −ζ(½)/√(2π). Turns the bias of watching at dt from O(√dt) into o(√dt);
cheaper than the Brownian bridge, and like it exact for no model. Good while drift across a step is small against noise.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.monitor import Monitor, Sight
from sgdsde.monitors.substeps import Substeps, between_ticks
from sgdsde.region import Bordered, Region

#: −ζ(½)/√(2π)
SHIFT = 0.5825971579390107


class Shift(Monitor):
    """A path leaves when a substep ends within .5826·√(nᵀQn·dt) of a face, or outside. For integrators of SDEs and regions with a border."""

    name = "shift"

    def clock(self, kernel: Kernel, region: Region) -> Kernel:
        return between_ticks(kernel, region, self.name)

    def look(self, kernel: Kernel, region: Region, before: Tensor, after: Tensor, generator: Generator) -> Sight:
        assert isinstance(kernel, Substeps)
        assert isinstance(region, Bordered)
        margin, face = (region.distances(after) - SHIFT * (kernel.variance(region, after) * kernel.tick).sqrt()).min(1)
        left = margin <= 0
        return Sight(left, side=torch.tensor(region.labels, device=after.device)[face[left]])
