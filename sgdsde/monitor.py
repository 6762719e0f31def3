"""When a path counts as having left a region: a monitor looks at each move of the loop and says which paths left in it, when and where.

The same SDE has different exit times under different monitors (up to twenty-fold), so the monitor is part of every result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.objective import Points
from sgdsde.region import Region


class Sight(NamedTuple):
    """What a monitor saw in one move: which of the live paths left and, where it knows better than "at the end of the move", more about those.

    ``when`` is the fraction of the move, ``where`` the point, ``side`` the face's label, one row for each path that left.
    """

    left: Bool[Tensor, " paths"]
    when: Float[Tensor, " gone"] | None = None
    where: Float[Tensor, "gone dim"] | None = None
    side: Int[Tensor, " gone"] | None = None


class Monitor(ABC):
    """A way of watching. ``name`` is what results print."""

    name: str

    @abstractmethod
    def clock(self, kernel: Kernel, region: Region) -> Kernel:
        """The kernel to loop over: the given one, or one whose moves are its substeps.

        Raises:
            InputError: this monitor does not fit the kernel or the region.
        """

    @abstractmethod
    def look(self, kernel: Kernel, region: Region, before: Points, after: Points, generator: Generator) -> Sight:
        """What happened between two states of the live paths; ``kernel`` is the one from ``clock``."""


def none_left(paths: Points) -> Sight:
    """Nobody left."""
    return Sight(torch.zeros(paths.shape[0], dtype=torch.bool, device=paths.device))
