"""Where a model exists: the logarithm of 1 − ηH, and the positivity of Q, at a point and around it.

"Around" is where SGD goes within the horizon: three standard deviations along each principal axis of its law, at several times. Two things can fail. The real
logarithm needs ηλ < 1. A Hadamard diffusion (HA-SME, dense HA-SME-3, even-step) need not be positive; its defect is the negative over the positive mass of Q's
spectrum. A model that fails at θ itself does not exist there; one that fails only around stops some paths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hessian
from sgdsde.closure import Cumulants
from sgdsde.objective import Objective, Points
from sgdsde.sde import SDE
from sgdsde.sdes.functions import spectrum_of
from sgdsde.sdes.positivity import defect

#: how far around, in standard deviations
REACH = 3.0
#: at most this many times along the path are looked at
_TIMES = 8

Where = Literal["yes", "in part", "no"]


@dataclass(frozen=True)
class Existence:
    """``where``: "yes", "in part" (at θ, not everywhere around) or "no"; the defect at θ and its worst around (NaN where the logarithm fails); why."""

    where: Where
    defect: float
    defect_around: float
    reason: str


def around(path: Sequence[Cumulants]) -> Float[Tensor, "N d"]:
    """The means of the laws along a path, and three standard deviations to either side of them along each principal axis."""
    chosen = sorted({round(i * (len(path) - 1) / _TIMES) for i in range(_TIMES + 1)})
    places = []
    for i in chosen:
        mean, covariance = path[i].mean[0], path[i].covariance[0]
        values, vectors = torch.linalg.eigh(covariance)
        axes = REACH * (vectors * values.clamp_min(0).sqrt()).T  # [d, d], rows
        places += [mean[None], mean + axes, mean - axes]
    return torch.cat(places)


def largest_eta_lambda(objective: Objective, eta: float, theta: Points) -> Float[Tensor, " paths"]:
    """The largest η times an eigenvalue of the Hessian at each point."""
    return spectrum_of(hessian(objective, theta), eta).x.amax(1)


def existence(sde: SDE, theta: Points, near: Points) -> Existence:
    """Whether ``sde`` exists at ``theta`` ``[1, d]`` and at all points ``near`` it. Models are asked under their policy ``stop``: NaN is no."""
    here, there = _defects(sde, theta), _defects(sde, near)
    defect_here, around_defect = float(here[0]), float(torch.nan_to_num(there, nan=0.0).max())
    lost = float(torch.isnan(there).to(torch.float64).mean())
    if math.isnan(defect_here):
        return Existence("no", math.nan, math.nan, "eta·lambda ≥ 1 at θ: the logarithm does not exist")
    if defect_here > 0:
        return Existence("no", defect_here, around_defect, f"Q is indefinite at θ (defect {_percent(defect_here)})")
    if lost > 0:
        return Existence("in part", 0.0, math.nan, f"eta·lambda ≥ 1 at {lost:.0%} of the places around θ: paths stop there")
    if around_defect > 0:
        return Existence("in part", 0.0, around_defect, f"Q is indefinite around θ (defect up to {_percent(around_defect)}): paths stop there")
    return Existence("yes", 0.0, 0.0, "")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _defects(sde: SDE, x: Points) -> Float[Tensor, " paths"]:
    """The defect of Q at each point, NaN where drift or Q are not finite."""
    b, Q = sde.drift(0.0, x), sde.diffusion(0.0, x)
    Q = Q if len(Q) == len(x) else Q.expand(len(x), -1, -1)
    lost = ~(torch.isfinite(b).all(1) & torch.isfinite(Q).flatten(1).all(1))
    return torch.where(lost, torch.nan, defect(torch.nan_to_num(Q, nan=0.0, posinf=0.0, neginf=0.0)))
