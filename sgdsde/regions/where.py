"""A region given by a function that says which points are inside; it has no border, so it can be watched at iterates only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sgdsde.region import Region
from sgdsde.types import InputError


class Where(Region):
    """Where ``function`` (``[P, dim]`` → bool ``[P]``) is true.

    Raises:
        InputError: the function returns another shape or no booleans.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        if not callable(function):
            raise InputError(f"region = {function!r}; wanted a sg.Region, or a function [paths, dim] -> bool [paths] that is true inside.")
        self.function = function

    def inside(self, theta: Tensor) -> Tensor:
        mask = self.function(theta)
        if not isinstance(mask, Tensor) or mask.shape != theta.shape[:1]:
            shape = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
            raise InputError(f"The region's function returned {shape}; wanted a bool tensor [{theta.shape[0]}], true inside.")
        if mask.dtype != torch.bool:
            raise InputError(f"The region's function returned {mask.dtype}; wanted bool. For a function with a sign use sg.regions.Positive(function).")
        return mask


def as_region(region: Any) -> Region:
    """A region as it is; a function as :class:`Where`.

    Raises:
        InputError: it is neither.
    """
    if isinstance(region, type):
        raise InputError(f"region is the class {region.__name__}; wanted a sg.Region made from it, for example sg.regions.Ball(center, radius).")
    return region if isinstance(region, Region) else Where(region)
