"""A Brownian bridge between two parallel walls: which wall it meets first, and when, exactly.

From y₀ to y₁ (distances from the lower wall; the upper one is at L) with variance v over the step, D = y₁ − y₀. By reflection the bridge meets
the lower wall first with probability

    P_low = Σ_{k≥0} e^{−2(kL+y₀)(kL+y₁)/v} − e^{−2(k+1)L((k+1)L+D)/v},

the upper one by y ↦ L − y, wherever y₁ lies beyond the other wall too (Anderson, Ann. Math. Statist. 31, 1960, theorem 4.2). Given that it meets the lower wall
at time τ, the way there is a Bessel bridge, which stays below L with probability q = Σ_k (1 − 2kL/y₀)e^{−2kL(kL−y₀)/(vτ)}: a crossing time drawn from the law
of the single wall and kept with probability q has the law of the first exit there.

Taken as independent, the walls would be wrong by p_low·p_up to leading order. Weighed with the step's own law that is at most e^{−L²/(2v)} a step: 1e-8 at
L = 6√v, a few percent at L = 2√v.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: most terms of the series; enough for L ≥ √v/2, and narrower strips are left almost surely in a step
_TERMS = 12


def first_wall(y0: Tensor, y1: Tensor, gap: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """(P_low, P_up) for a start y₀ in [0, L], L = ``gap``, and v > 0; all of one shape."""
    low, up = _meets(y0, y1, gap, v), _meets(gap - y0, gap - y1, gap, v)
    # an end beyond a wall is reached through one of them, and the far one's series says with which probability it came first
    low = torch.where(y1 <= 0, 1 - up, low)
    return low, torch.where(y1 >= gap, 1 - low, torch.minimum(up, 1 - low))


def stays_clear(y0: Tensor, gap: Tensor, v: Tensor) -> Tensor:
    """q: a path from y₀ ∈ [0, L] that first meets the lower wall after variance v has not met the upper one before."""
    tiny = torch.finfo(y0.dtype).tiny
    start, v = y0.clamp_min(tiny), v.clamp_min(tiny)
    total = torch.ones_like(y0)
    for k in range(1, _terms(gap, v) + 1):
        for j in (k, -k):
            power = torch.exp(-2 * j * gap * (j * gap - start) / v)
            total = total + torch.where(power > 0, (1 - 2 * j * gap / start) * power, torch.zeros_like(power))
    # close to the wall 1/y₀ would magnify rounding, and the other wall is out of reach
    return torch.where(start > 1e-6 * gap, total.clamp(0, 1), torch.ones_like(total))


def _meets(y0: Tensor, y1: Tensor, gap: Tensor, v: Tensor) -> Tensor:
    """P_low by its series."""
    total = torch.exp(-2 * y0 * y1.clamp_min(0) / v)
    for k in range(1, _terms(gap, v) + 1):
        total = total + torch.exp(-2 * (k * gap + y0) * (k * gap + y1) / v) - torch.exp(-2 * k * gap * (k * gap + y1 - y0) / v)
    return total.clamp(0, 1)


def _terms(gap: Tensor, v: Tensor) -> int:
    """How many terms matter: the k-th is of the order e^{−2(k−1)²L²/v}, and e^{−40} is nothing."""
    widest = float((v / gap**2).max()) if v.numel() else 0.0
    return min(_TERMS, 1 + math.ceil(math.sqrt(20 * widest))) if math.isfinite(widest) else _TERMS
