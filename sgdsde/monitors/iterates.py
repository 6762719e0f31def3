"""Look at iterates t = kη only: what SGD itself does, and the watch under which SDEs are compared with it."""

from __future__ import annotations

from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.monitor import Monitor, Sight
from sgdsde.region import Region


class Iterates(Monitor):
    """A path leaves at the first tick at which it stands outside. Fits every kernel and region."""

    name = "iterates"

    def clock(self, kernel: Kernel, region: Region) -> Kernel:
        return kernel

    def look(self, kernel: Kernel, region: Region, before: Tensor, after: Tensor, generator: Generator) -> Sight:
        return Sight(~region.inside(after))
