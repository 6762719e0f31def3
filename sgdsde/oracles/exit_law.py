"""The law of an exit time, as the oracles know it: its mean, its survival curve, its sides, its asymptotic rate.

A process watched at ticks t = kη leaves at the first k ≥ 1 at which it stands outside; one watched continuously at the first t.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from sgdsde.types import InputError


class Survival(Protocol):
    """What an oracle keeps to answer for more than the mean."""

    def survival(self, times: Float[np.ndarray, " T"]) -> Float[np.ndarray, " T"]:
        """P(τ > t) at sorted times."""

    def rate(self) -> float:
        """lim −d/dt log P(τ > t): exits per unit of SDE time once the law inside has settled."""


@dataclass(frozen=True)
class ExitLaw:
    """What an oracle found about an exit time τ.

    Attributes:
        mean: Eτ in SDE time; infinite where the process never leaves. ``float(law)`` is this number.
        tick: η where the process is watched at t = kη; None where it is watched continuously.
        sides: probability of leaving below (−1) and above (+1).
        error: relative difference to a coarser discretisation, an upper estimate of the relative error of the mean.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> law = sg.oracles.sgd_mean_exit(noise, 0.5, [0.0], sg.regions.Interval(-1.0, 1.0))
        >>> {side: round(share, 6) for side, share in law.sides.items()}
        {-1: 0.5, 1: 0.5}
        >>> float(law) == law.mean
        True
    """

    mean: float
    tick: float | None
    sides: dict[int, float]
    error: float
    _process: Survival | None = field(repr=False, default=None)

    def __float__(self) -> float:
        return self.mean

    @property
    def steps(self) -> float:
        """Eτ in steps of the tick.

        Raises:
            InputError: the process is watched continuously and has no tick.
        """
        if self.tick is None:
            raise InputError("This law is watched continuously and has no tick; use .mean (SDE time).")
        return self.mean / self.tick

    def survival(self, times: Any) -> Float[np.ndarray, " T"]:
        """P(τ > t) at SDE times ≥ 0 in any order, ``[T]``."""
        t = np.atleast_1d(np.asarray(times, dtype=float))
        if t.ndim != 1 or not np.isfinite(t).all() or (t < 0).any():
            raise InputError(f"times = {times!r}; wanted finite SDE times ≥ 0.")
        if self._process is None:
            return np.ones_like(t)
        order = np.argsort(t)
        result = np.empty_like(t)
        result[order] = np.clip(self._process.survival(t[order]), 0.0, 1.0)
        return result

    @property
    def rate(self) -> float:
        """Exits per unit of SDE time once the law inside has settled (its quasi-stationary law)."""
        return 0.0 if self._process is None else self._process.rate()
