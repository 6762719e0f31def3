"""Continuous watch by Brownian bridges: between two substeps at distances d₀, d₁ > 0 from a face the path crossed it with probability e^{−2d₀d₁/(q²dt)}.

q² = nᵀQn at the left point (Gobet, Stoch. Proc. Appl. 87, 2000): weak order 1 in dt where watching at dt has order ½. The time of the crossing is
drawn from its law: with L = d₀/(q√dt) and u ~ inverse Gaussian(d₀/|d₁|, L²), it is u/(1+u) of the step. Opposite faces (the ends of an interval, of each
coordinate of a box) are treated jointly and exactly (:mod:`double_bridge`). Faces of different coordinates are taken as independent, which is exact where Q has
no correlation between them; else the error is a probability of order one in a corner √dt × √dt, which a path visits for a time of order dt: no
more than the order of the method. The earliest crossing counts; the point of exit is the line between the two states, moved onto the face.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.monitor import Monitor, Sight, none_left
from sgdsde.monitors.double_bridge import first_wall, stays_clear
from sgdsde.monitors.substeps import Substeps, between_ticks
from sgdsde.region import Bordered, Region

#: crossings rarer than e^{−40} are not drawn
_NEVER = 40.0
#: more refusals than this in a row happen in strips far narrower than a step, where the time inside the step means nothing
_REDRAWS = 200


class Bridge(Monitor):
    """Crossings of the border between substeps. For integrators of SDEs and regions with a border."""

    name = "bridge"

    def clock(self, kernel: Kernel, region: Region) -> Kernel:
        return between_ticks(kernel, region, self.name)

    def look(self, kernel: Kernel, region: Region, before: Tensor, after: Tensor, generator: Generator) -> Sight:
        assert isinstance(kernel, Substeps)
        assert isinstance(region, Bordered)
        variance = kernel.variance(region, before) * kernel.tick
        return crossings(region, before, after, region.distances(before), region.distances(after), variance, generator)


def crossings(region: Bordered, before: Tensor, after: Tensor, start: Tensor, end: Tensor, variance: Tensor, generator: Generator) -> Sight:
    """Which bridges cross a face, from signed distances before and after and the step's variance across each face, all ``[P, F]``."""
    out = end <= 0
    near = out | (2 * start * end < _NEVER * variance)
    some = near.any(1)
    if not bool(some.any()):
        return none_left(after)
    rows = torch.nonzero(some)[:, 0]
    d0, d1, v = start[rows].clamp_min(0), end[rows], variance[rows]  # [near, faces]
    pairs = [pair for pair in region.opposite if bool(torch.isfinite(d0[:, pair]).all())]  # an infinite end is no wall
    paired = {face for pair in pairs for face in pair}
    single = [face for face in range(d0.shape[1]) if face not in paired]
    when = torch.full_like(d0, torch.inf)
    if single:
        when[:, single] = _independent(d0[:, single], d1[:, single], v[:, single], generator)
    for pair in pairs:
        when[:, pair] = _opposite(d0[:, pair], d1[:, pair[0]], v[:, pair[0]], generator)
    first, face = when.min(1)
    gone = torch.isfinite(first)
    rows, first, face = rows[gone], first[gone], face[gone]
    left = torch.zeros(after.shape[0], dtype=torch.bool, device=after.device)
    left[rows] = True
    point = before[rows] + first[:, None] * (after[rows] - before[rows])
    pick = torch.arange(rows.shape[0], device=after.device)
    distance, normal = region.distances(point)[pick, face], region.normals(point)[pick, face]
    where = point + torch.where(torch.isfinite(distance), distance, torch.zeros_like(distance))[:, None] * normal
    return Sight(left, first, where, torch.tensor(region.labels, device=after.device)[face])


def _independent(d0: Tensor, d1: Tensor, v: Tensor, generator: Generator) -> Tensor:
    """When each face is crossed, one by one, as a fraction of the step; infinite where it is not, ``[near, F]``."""
    noisy = v > 0
    chance = torch.where(noisy, torch.exp(-2 * d0 * d1.clamp_min(0) / torch.where(noisy, v, torch.ones_like(v))), torch.zeros_like(v))
    draw = torch.rand(d0.shape, generator=generator, dtype=d0.dtype, device=d0.device)
    return torch.where((d1 <= 0) | (draw < chance), _crossing_time(d0, d1, v, generator), torch.inf)


def _opposite(d0: Tensor, y1: Tensor, v: Tensor, generator: Generator) -> Tensor:
    """When the two faces of a pair are crossed, ``[near, 2]``: at most one of them is; d₀ holds the distances to both, y₁ the end's to the first."""
    y0, gap = d0[:, 0], d0.sum(1)
    noisy = v > 0
    safe = torch.where(noisy, v, torch.ones_like(v))
    low, high = first_wall(y0, y1, gap, safe)
    low, high = (torch.where(noisy, chance, out.to(chance)) for chance, out in ((low, y1 <= 0), (high, y1 >= gap)))
    draw = torch.rand(y0.shape, generator=generator, dtype=y0.dtype, device=y0.device)
    face = torch.where(draw < low, 0, torch.where(draw < low + high, 1, -1))
    when = torch.full_like(d0, torch.inf)
    for side in (0, 1):
        rows = torch.nonzero(face == side)[:, 0]
        start, end = d0[rows, side], y1[rows] if side == 0 else gap[rows] - y1[rows]
        when[rows, side] = _first_time(start, end, gap[rows], v[rows], generator)
    return when


def _first_time(d0: Tensor, d1: Tensor, gap: Tensor, v: Tensor, generator: Generator) -> Tensor:
    """The single wall's crossing time, drawn again where the other wall would have been met before."""
    time = _crossing_time(d0, d1, v, generator)
    again = torch.arange(len(time), device=time.device)
    for _ in range(_REDRAWS):
        draw = torch.rand(again.shape, generator=generator, dtype=d0.dtype, device=d0.device)
        again = again[draw >= stays_clear(d0[again], gap[again], v[again] * time[again])]
        if not again.numel():
            break
        time[again] = _crossing_time(d0[again], d1[again], v[again], generator)
    return time


def _crossing_time(d0: Tensor, d1: Tensor, v: Tensor, generator: Generator) -> Tensor:
    """The fraction of the step at which a bridge from d₀ to d₁ of variance v first meets 0, given that it does (Michael, Schucany, Haas 1976)."""
    gap = d1.abs().clamp_min(1e-12 * (d0 + d1.abs() + 1e-300))
    mean, shape = d0 / gap, d0**2 / torch.where(v > 0, v, torch.ones_like(v))
    y = torch.randn(d0.shape, generator=generator, dtype=d0.dtype, device=d0.device) ** 2
    draw = torch.rand(d0.shape, generator=generator, dtype=d0.dtype, device=d0.device)
    # the smaller root of their quadratic, written without cancellation in r = μy/λ
    r = mean * y / shape.clamp_min(1e-300)
    small = mean * 2 / (2 + r + (4 * r + r * r).sqrt())
    u = torch.where(draw * (mean + small) <= mean, small, mean * mean / small.clamp_min(1e-300))
    fraction = torch.where(v > 0, 1 / (1 + 1 / u.clamp_min(1e-300)), d0 / (d0 + gap))
    return torch.where(d0 > 0, fraction, torch.zeros_like(fraction))
