"""What a splitting is asked to do, checked before any path moves: the start points, the score, the levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.ensemble import Start, start_points
from sgdsde.forecast import never_moves
from sgdsde.given import is_whole
from sgdsde.kernel import Kernel, refuse_weak
from sgdsde.objective import Points
from sgdsde.region import Bordered, Region
from sgdsde.rng import stream
from sgdsde.splitting_moves import Score
from sgdsde.types import InputError, OracleRefusal, as_points

#: points that are drawn from a sampler of start points
_POOL = 1024


@dataclass(frozen=True)
class FaceDistance:
    """The default score: the signed distance to the nearest face."""

    region: Bordered

    def __call__(self, theta: Points) -> Float[Tensor, " P"]:
        return self.region.distances(theta).amin(1)


def checked_score(region: Region, score: Score | None) -> Score:
    """The score, or the default one.

    Raises:
        InputError: it is no function, or the region has no border to measure a distance to.
    """
    if score is not None:
        if not callable(score):
            raise InputError(f"score = {score!r}; wanted a function [paths, dim] -> [paths] that falls towards the border.")
        return score
    if not isinstance(region, Bordered):
        raise InputError(
            f"{type(region).__name__} has no border, so nothing tells how near a path is to leaving. Give score=…, a function [paths, dim] -> [paths] "
            "that falls towards the border, or a region with one (sg.regions.Positive for a function with a sign)."
        )
    return FaceDistance(region)


def checked_levels(levels: Sequence[float] | None) -> tuple[float, ...] | None:
    """The levels as floats.

    Raises:
        InputError: fewer than two, not finite, or not falling.
    """
    if levels is None:
        return None
    numbers = tuple(float(level) for level in levels)
    if len(numbers) < 2 or not all(math.isfinite(n) for n in numbers) or any(b >= a for a, b in pairwise(numbers)):
        raise InputError(f"levels = {levels!r}; wanted at least two falling scores: the border of the core, then the levels towards the exit.")
    return numbers


def checked_count(number: int, name: str, least: int) -> int:
    """``number`` as an int of at least ``least``.

    Raises:
        InputError: it is none.
    """
    if not is_whole(number, least):
        raise InputError(f"{name} = {number!r}; wanted an integer ≥ {least}.")
    return int(number)


def start_pool(kernel: Kernel, theta0: Start, region: Region, seed: int) -> Points:
    """The start points ``[S, dim]`` as the kernel keeps them; a sampler is asked for some once.

    Raises:
        InputError: wrong shapes, or a start outside.
        DomainError: the kernel refuses to start there.
        OracleRefusal: nothing moves there, so no path ever leaves.
    """
    refuse_weak(kernel, "a rare exit")
    if region.dim is not None and region.dim != kernel.dim:
        raise InputError(f"The region has dimension {region.dim} and the kernel {kernel.dim}; wanted equal ones.")
    if callable(theta0):
        theta0 = as_points(theta0(_POOL, stream(seed, "rare_exit_time start")), kernel.start_dim, name="theta0 sampler")
    start = start_points(kernel, theta0, None)
    pool = kernel.expand(start.probe)
    outside = ~region.inside(pool)
    if bool(outside.any()):
        first = pool[outside][0][:8].tolist()
        raise InputError(f"{int(outside.sum())} of {pool.shape[0]} start points lie outside the region, the first at {first}. Start inside.")
    start.check(kernel)
    with torch.no_grad():
        still = never_moves(kernel, pool)
    if still:
        raise OracleRefusal("Gradient and noise both vanish at the start: no path ever leaves, which is the exact answer (the mean is infinite).")
    return pool
