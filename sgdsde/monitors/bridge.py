"""Continuous watch by Brownian bridges: between two substeps at distances d₀, d₁ > 0 from a face the path crossed it with probability e^{−2d₀d₁/(q²dt)}.

q² = nᵀQn at the left point (Gobet, Stoch. Proc. Appl. 87, 2000): weak order 1 in dt where watching at dt has order ½. The time of the crossing is
drawn from its law: with L = d₀/(q√dt) and u ~ inverse Gaussian(d₀/|d₁|, L²), it is u/(1+u) of the step. Faces are taken one by one (their
bridges as independent) and the earliest crossing counts; the point of exit is the line between the two states, moved onto the face.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from sgdsde.kernel import Kernel
from sgdsde.monitor import Monitor, Sight, none_left
from sgdsde.monitors.substeps import Substeps, between_ticks
from sgdsde.region import Bordered, Region

#: crossings rarer than e^{−40} are not drawn
_NEVER = 40.0


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
    noisy = v > 0
    chance = torch.where(noisy, torch.exp(-2 * d0 * d1.clamp_min(0) / torch.where(noisy, v, torch.ones_like(v))), torch.zeros_like(v))
    draw = torch.rand(d0.shape, generator=generator, dtype=d0.dtype, device=d0.device)
    crossed = (d1 <= 0) | (draw < chance)
    when = torch.where(crossed, _crossing_time(d0, d1, v, generator), torch.inf)
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
