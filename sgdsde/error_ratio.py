"""Which of two errors is smaller: |a/b| for two correlated means, with Fieller's interval.

The errors of two models measured on one Brownian motion are strongly correlated: their ratio is known better than either. Fieller's set holds the r
with (a − r b)² ≤ z²·Var(a − r b), where Var(a − r b) = Vₐₐ − 2rVₐᵦ + r²Vᵦᵦ; it is exact for joint normal (a, b) and, unlike the interval of a divided by
that of b, keeps the pairing. Where b is not told apart from zero it is unbounded, and says so (Fieller, J. R. Stat. Soc. B 16, 1954).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sgdsde.stats import LEVEL, quantile_z, resolvable
from sgdsde.types import Estimate, InputError


@dataclass(frozen=True)
class Errors:
    """Means ``[m]`` of m errors, measured together, and the covariance ``[m, m]`` of these means; ``n`` the paths behind them.

    ``slack [m]`` is what is known of each error's bias only up to its size (of the integrator, say): intervals grow by it.
    """

    value: Float[np.ndarray, " m"]
    covariance: Float[np.ndarray, "m m"]
    n: int
    slack: Float[np.ndarray, " m"]

    @staticmethod
    def of(samples: Float[np.ndarray, "paths m"]) -> Errors:
        """From one row a path."""
        if samples.ndim != 2 or len(samples) < 2:
            raise InputError(f"samples have shape {samples.shape}; wanted [paths, m] with two paths or more.")
        paths, m = samples.shape
        return Errors(samples.mean(0), np.cov(samples, rowvar=False).reshape(m, m) / paths, paths, np.zeros(m))

    def doubted(self, change: Errors, factor: float) -> Errors:
        """With slack from a check of the integrator: ``factor`` times the part of each change under a finer step that its own error does not explain."""
        seen = np.maximum(np.abs(change.value) - np.sqrt(np.diag(change.covariance)), 0.0)
        return Errors(self.value, self.covariance, self.n, self.slack + factor * seen)

    def minus_common(self, value: float, stderr: float) -> Errors:
        """Against another reference: one independent quantity taken off all of them."""
        return Errors(self.value - value, self.covariance + stderr**2, self.n, self.slack)

    def estimate(self, i: int, *, scale: float = 1.0, level: float = LEVEL) -> Estimate:
        """One of them, times ``scale``."""
        stderr = abs(scale) * math.sqrt(self.covariance[i, i])
        half = quantile_z(level) * stderr + abs(scale) * self.slack[i]
        value = scale * float(self.value[i])
        return Estimate(value, stderr, self.n, value - half, value + half)

    def ratio(self, i: int, j: int, *, level: float = LEVEL) -> Estimate:
        """|error i / error j| with Fieller's interval; the slack moves both errors to the worse and the better side."""
        a, b = float(self.value[i]), float(self.value[j])
        aa, ab, bb = (float(self.covariance[p]) for p in ((i, i), (i, j), (j, j)))
        z = quantile_z(level)
        shifts = [(sa * self.slack[i], sb * self.slack[j]) for sa in (-1, 1) for sb in (-1, 1)]
        ends = [fieller(a + p, b + q, aa, ab, bb, z) for p, q in shifts]
        value = abs(a / b) if b else math.inf
        stderr = math.sqrt(max(aa - 2 * a / b * ab + (a / b) ** 2 * bb, 0.0)) / abs(b) if b else math.inf
        return Estimate(value, stderr, self.n, min(low for low, _ in ends), max(high for _, high in ends))

    def paths_to_tell(self, i: int, j: int, *, level: float = LEVEL, power: float = 0.9) -> float:
        """How many paths (with all else in proportion) tell which of the two is smaller, were the errors as found: |a| < |b| where (b − a)(b + a) > 0, so both
        are told from 0, each by ((z_{1−α/2} + z_power)·stderr/gap)² times the paths there are; infinite at a gap of 0. Slack does not count.
        """
        needed = 0.0
        for sign in (-1, 1):
            gap = float(self.value[j] + sign * self.value[i])
            stderr = math.sqrt(max(self.covariance[i, i] + self.covariance[j, j] + 2 * sign * self.covariance[i, j], 0.0))
            needed = max(needed, (resolvable(stderr, false_alarm=1 - level, power=power) / gap) ** 2 if gap else math.inf)
        return self.n * needed


def fieller(a: float, b: float, aa: float, ab: float, bb: float, z: float) -> tuple[float, float]:
    """The smallest and largest |r| of Fieller's set for a/b; (0, inf) where it is the whole line."""
    A, B, C = b * b - z * z * bb, a * b - z * z * ab, a * a - z * z * aa
    disc = B * B - A * C
    if A <= 0 and (disc <= 0 or C <= 0):  # b may be zero and so may a, or the set is the whole line
        return 0.0, math.inf
    root = math.sqrt(max(disc, 0.0))
    if A > 0:
        low, high = (B - root) / A, (B + root) / A
        return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), max(abs(low), abs(high))
    if A == 0:
        return abs(C / (2 * B)), math.inf
    return min(abs((B - root) / A), abs((B + root) / A)), math.inf
