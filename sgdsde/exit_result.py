"""What a study of exit times returns: when, where and through which face each path left, who did not leave, and only statistics that such data allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sgdsde import survival
from sgdsde.stats import LEVEL, mean_estimate
from sgdsde.types import Conventions, Estimate, InputError, Status, Tally


@dataclass(frozen=True)
class ExitTimes:
    """Exit times of an ensemble. All times are SDE times t = kη.

    Attributes:
        times: when each path left, or until when it was watched, ``[P]``.
        steps: the same in ticks of the kernel, ``[P]``; a crossing between ticks counts for the tick in which it fell.
        censored: True where the path was not seen to leave, ``[P]``.
        states: where it left (under ``bridge`` the point on the border), or where it was last seen, ``[P, dim]``; NaN where it diverged.
        directions: the unit vector from its start to there, ``[P, dim]``; NaN where it did not leave.
        sides: the label of the face it left through (Interval: ±1, Box: ±coordinate, else 1), 0 where it did not leave, ``[P]``.
        status: EXITED, CENSORED, DIVERGED or OUT_OF_DOMAIN, ``[P]``.
        horizon: until when paths were watched: what was asked for, rounded up to a tick, or where ``precision`` stopped the run.
        monitor: how they were watched; a number without its monitor means little.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> exits = sg.exit_times(sg.kernels.SGD(noise, 1.0), [0.0], region=sg.regions.Interval(-1.0, 1.0), horizon=2.0, paths=500, seed=1)
        >>> bool(exits.censored.any()), exits.horizon
        (True, 2.0)
        >>> bool(exits.rate().low < 1 - math.erf(1 / math.sqrt(2)) < exits.rate().high)
        True
    """

    times: Float[Tensor, " paths"]
    steps: Int[Tensor, " paths"]
    censored: Bool[Tensor, " paths"]
    states: Float[Tensor, "paths dim"]
    directions: Float[Tensor, "paths dim"]
    sides: Int[Tensor, " paths"]
    status: Int[Tensor, " paths"]
    horizon: float
    monitor: str
    conventions: Conventions
    tally: Tally = field(default_factory=Tally)
    recipe: dict[str, Any] = field(default_factory=dict)

    def mean(self, *, level: float = LEVEL) -> Estimate:
        """Eτ in SDE time with Student's interval. The mean over the paths that happened to leave is not it, so every path must have left.

        Raises:
            InputError: a path was censored, diverged or went out of domain, or there is one path only.
        """
        if bool(self.censored.any()):
            raise InputError(
                f"Not every path left: {self._fates()}. A mean over the others would be biased (to .31 of the truth at median censoring). "
                "Use .restricted_mean(t) for E min(τ, t); .rate() if exits are memoryless (a well, never a saddle); or a longer horizon."
            )
        if len(self.times) < 2:
            raise InputError("There is 1 path, and a mean of one has no error bar; use more paths, or read its time in .times.")
        return mean_estimate(self.times, level=level)

    def rate(self, *, level: float = LEVEL) -> Estimate:
        """Exits per unit of SDE time, with the exact interval: for metastable exits only, where 1/rate is the mean exit.

        From a saddle exits are nearly deterministic and the number means nothing. Diverged and out-of-domain paths count as watched until then.
        """
        return survival.exit_rate(self._times(), self._exited(), level=level)

    def restricted_mean(self, t: float, *, level: float = LEVEL) -> Estimate:
        """E min(τ, t) for t within the watch of every path.

        Raises:
            InputError: t lies beyond that.
        """
        return survival.restricted_mean(self._times(), self._exited(), t, level=level)

    def survival(self, *, level: float = LEVEL) -> survival.SurvivalCurve:
        """The Kaplan–Meier curve of P(τ > t)."""
        return survival.kaplan_meier(self._times(), self._exited(), level=level)

    def log_rank(self, other: ExitTimes) -> tuple[float, float]:
        """(statistic, p-value) of the log-rank test against another ensemble; statistic > 0: this one leaves earlier."""
        return survival.log_rank((self._times(), self._exited()), (other._times(), other._exited()))

    def counts(self) -> dict[str, int]:
        """How many paths have each status, by name; zero counts left out."""
        numbers, counts = np.unique(self.status.cpu().numpy(), return_counts=True)
        return {Status(int(number)).name.lower(): int(count) for number, count in zip(numbers, counts, strict=True)}

    def _times(self) -> np.ndarray:
        return self.times.cpu().numpy()

    def _exited(self) -> np.ndarray:
        return ~self.censored.cpu().numpy()

    def _fates(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts().items())

    def __str__(self) -> str:
        lines = [f"ExitTimes: {self.recipe.get('kernel', '?')} from {self.recipe.get('region', '?')}, monitor {self.monitor}, horizon t = {self.horizon:g}"]
        lines.append(f"  {self.conventions}")
        lines.append(f"  {self._fates()}")
        if not bool(self.censored.any()) and len(self.times) > 1:
            lines.append(f"  mean exit time: {self.mean()}")
        elif bool((~self.censored).any()):
            lines.append(f"  rate (if exits are memoryless): {self.rate()}")
        lines += [f"  {name}: {count}" for name, count in sorted(self.tally.counts.items())]
        lines += [f"  worst {name}: {value:.3g}" for name, value in sorted(self.tally.worst.items())]
        return "\n".join(lines)
