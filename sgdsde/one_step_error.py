"""What one tick of a model does wrong: mean and covariance after time η from a point, minus those of one step of SGD, and how they fall with η.

ε_m = E X_η − (θ − ηg), in the units of θ; ε_C = Cov X_η − η²Σ, in the units of θ². A model of weak order p has ε of order η^{p+1} or higher; the exponents here
are measured between η and η/2, with Σ held fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from sgdsde.closure import Tick, sgd_tick
from sgdsde.noise import Noise
from sgdsde.objective import Points

#: below this share of SGD's own step an error is rounding and has no exponent
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class OneStepError:
    """``mean`` ``[d]`` and ``covariance`` ``[d, d]``: model − SGD after one tick; their norms over those of SGD's step, ηg and η²Σ; measured exponents of η.

    An exponent is NaN where there is no error beyond rounding.
    """

    mean: Float[np.ndarray, " d"]
    covariance: Float[np.ndarray, "d d"]
    mean_relative: float
    covariance_relative: float
    mean_order: float
    covariance_order: float


def one_step_error(noise: Noise, eta: float, theta: Points, ticks: Callable[[int], Tick], *, steps: int, reference: Callable[[float], Tick]) -> OneStepError:
    """The one-step error at ``theta`` ``[1, d]``.

    ``ticks(h)`` is the model's tick made for η/h, h = 1, 2; ``reference(η)`` SGD's (two steps for the even-step model); ``steps`` how many steps of SGD a tick
    stands for, which scales the relative sizes.
    """
    gaps = []
    for halving in (1, 2):
        model, sgd = ticks(halving)(theta), reference(eta / halving)(theta)
        gaps.append(((model.mean - sgd.mean)[0], (model.covariance - sgd.covariance)[0]))
    own = sgd_tick(noise, eta)(theta)
    moved, spread = float((own.mean - theta).norm()) * steps, float(own.covariance.norm()) * steps
    (mean, covariance), (half_mean, half_covariance) = gaps
    floor = float(theta.norm())
    return OneStepError(
        mean.numpy(),
        covariance.numpy(),
        _relative(mean, moved),
        _relative(covariance, spread),
        _exponent(mean, half_mean, _ROUNDING * max(moved, floor)),
        _exponent(covariance, half_covariance, _ROUNDING * spread),
    )


def _relative(error: Tensor, size: float) -> float:
    return float(error.norm()) / size if size > 0 else (0.0 if float(error.norm()) == 0 else math.inf)


def _exponent(error: Tensor, half: Tensor, floor: float) -> float:
    a, b = float(error.norm()), float(half.norm())
    return math.log2(a / b) if a > floor and b > floor else math.nan
