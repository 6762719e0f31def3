"""What a splitting returns: the mean exit time with its interval, and what stands behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float

from sgdsde.stats import LEVEL, quantile_z
from sgdsde.types import Conventions, Estimate, InputError, Status, Tally, positive


def log_interval(samples: Any, *, level: float = LEVEL) -> Estimate:
    """The mean of independent positive samples ``[R]``, with Student's interval on the log scale: m·exp(±t·s/(m√R)).

    Rates found by splitting are skewed to the right, and a replica that found less than its share also shows less spread; the log scale allows for that.
    """
    x = np.asarray(samples, dtype=float)
    value, stderr = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x))
    factor = math.exp(float(scipy.stats.t.isf((1 - level) / 2, len(x) - 1)) * stderr / value) if value > 0 else math.nan
    return Estimate(value, stderr, len(x), value / factor, value * factor)


@dataclass(frozen=True)
class RareExit:
    """The mean exit time of a path that starts where it was told to, by splitting. All times are SDE times t = kη.

    Attributes:
        replica_rates: exits per unit of SDE time, an unbiased estimate from each replica, ``[R]``.
        tick: SDE time of a step of the kernel.
        levels: scores of the core's border and of the levels λ₁ > λ₂ > … beyond it (seen ahead where the noise of a step is divided:
            :meth:`sgdsde.splitting_moves.DividedNoise.outlook`).
        flux: passages of λ₁ per unit of SDE time.
        probabilities: the chance to pass from each level to the next, and from the last out of the region.
        distinct: the points at which the pieces that passed λ₂, … and left passed their last level, over all replicas; few of them mean an interval that
            cannot be trusted.
        fates: how pieces of paths ended beyond the first level: returned, exited; and everywhere: diverged, out_of_domain.
        evaluations: steps of single paths that it took, the pilot's included; a part of a divided step counts as a step.
        burn_in, longest: SDE time before passages were counted, and of the longest excursion.
        tally: counters of the models' domain policies.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> region = sg.regions.Interval(-1.2, 1.2)
        >>> found = sg.rare_exit_time(sg.kernels.SGD(noise, 0.2), [0.0], region=region, seed=1, effort=512, replicas=8)
        >>> isinstance(found, sg.RareExit), len(found.replica_rates), found.tick
        (True, 8, 0.2)
    """

    replica_rates: Float[np.ndarray, " R"]
    tick: float
    levels: tuple[float, ...]
    flux: Estimate
    probabilities: tuple[Estimate, ...]
    distinct: tuple[int, ...]
    fates: dict[str, int]
    evaluations: float
    burn_in: float
    longest: float
    monitor: str
    conventions: Conventions
    tally: Tally = field(default_factory=Tally)
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> Estimate:
        """Exits per unit of SDE time of a path that is put back to its start whenever it leaves (or breaks)."""
        return log_interval(self.replica_rates)

    @property
    def mean(self) -> Estimate:
        """Eτ = 1/rate in SDE time, 95 % interval. Its value is biased upwards by (stderr/value)², a tenth of the standard error at 10 % precision.

        Raises:
            InputError: paths broke inside the region, so that τ is not defined for all of them.
        """
        broken = {name: self.fates[name] for name in (Status.DIVERGED.name.lower(), Status.OUT_OF_DOMAIN.name.lower()) if name in self.fates}
        if broken:
            raise InputError(
                f"Paths broke before they left ({broken}), so not every path has an exit time. Use .rate, or a model that exists in all of the region."
            )
        rate = self.rate
        return Estimate(1 / rate.value, rate.stderr / rate.value**2, rate.n, 1 / rate.high, 1 / rate.low)

    @property
    def steps(self) -> Estimate:
        """Eτ in steps of the kernel (iterates of SGD)."""
        mean = self.mean
        return Estimate(mean.value / self.tick, mean.stderr / self.tick, mean.n, mean.low / self.tick, mean.high / self.tick)

    @property
    def gain(self) -> float:
        """Steps that direct simulation would take for the same standard error (exits are memoryless: one exit tells Eτ within 100 %), over those taken."""
        rate = self.rate
        return (rate.value / rate.stderr) ** 2 / (rate.value * self.tick) / self.evaluations

    def replicas_for(self, precision: float) -> int:
        """Replicas of this effort that would give the mean within ±``precision`` of itself (95 %)."""
        spread = self.replica_rates.std(ddof=1) / self.replica_rates.mean()
        return max(2, math.ceil((quantile_z(LEVEL) * spread / positive(precision, "precision")) ** 2))

    def __str__(self) -> str:
        lines = [f"RareExit: {self.recipe.get('kernel', '?')} from {self.recipe.get('region', '?')}, monitor {self.monitor}", f"  {self.conventions}"]
        lines.append(f"  rate: {self.rate}")
        if not {"diverged", "out_of_domain"} & set(self.fates):
            lines += [f"  mean exit time: {self.mean}", f"  in steps: {self.steps}"]
        lines.append("  levels: " + ", ".join(f"{level:.4g}" for level in self.levels))
        lines.append(f"  flux past the first: {self.flux}")
        lines.append("  passing to the next: " + ", ".join(f"{p.value:.3g}" for p in self.probabilities))
        lines.append("  pieces of paths: " + ", ".join(f"{count} {fate}" for fate, count in sorted(self.fates.items())))
        lines.append(f"  {self.evaluations:.3g} path steps; direct simulation takes {self.gain:.3g} times as many for this precision")
        lines += [f"  {name}: {count}" for name, count in sorted(self.tally.counts.items())]
        return "\n".join(lines)


def ratio(above: Float[np.ndarray, " R"], below: Float[np.ndarray, " R"]) -> Estimate:
    """mean(above)/mean(below) of paired samples, by the delta method."""
    value = float(above.mean() / below.mean())
    spread = above / max(float(above.mean()), 1e-300) - below / float(below.mean())
    return Estimate.normal(value, value * float(spread.std(ddof=1)) / math.sqrt(len(above)), len(above))
