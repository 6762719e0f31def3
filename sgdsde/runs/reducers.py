"""Streaming reducers: what a block of paths leaves behind, so that a million paths need no million rows.

Moments to fourth order merge by Chan, Golub and LeVeque's rule as Pébay extended it (SAND2008-6212): with δ = mean_b − mean_a, n = n_a + n_b,
    M2 = M2a + M2b + δ²·n_a n_b/n,   M3 = … + δ³·n_a n_b(n_a − n_b)/n² + 3δ(n_a M2b − n_b M2a)/n,   M4 likewise.
Merging in one fixed order gives equal bits. Non-finite values are counted in ``lost`` and make every estimate NaN: nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Protocol, Self

import numpy as np

from sgdsde.types import Estimate, InputError


class Reducer(Protocol):
    """What blocks return and the summary reads: it merges, and goes to disk and back."""

    def merge(self, other: Self) -> Self:
        """Both together; the order matters in the last bits, so the caller fixes it."""
        ...

    def to_tree(self) -> dict[str, Any]:
        """Plain values and arrays, with ``kind`` naming the class."""
        ...


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and central sums M2, M3, M4 of values ``[P, …]`` over paths; ``lost`` counts non-finite ones. All fields have shape ``[…]``."""

    count: np.ndarray
    lost: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    m3: np.ndarray
    m4: np.ndarray

    @staticmethod
    def of(values: Any) -> Moments:
        """From samples ``[P, …]`` (NumPy or a CPU tensor).

        Raises:
            InputError: there is no path axis, or no path.
        """
        x = np.asarray(values, dtype=np.float64)
        if x.ndim == 0 or x.shape[0] == 0:
            raise InputError(f"Moments.of: values have shape {x.shape}; wanted [paths, …] with at least one path.")
        finite = np.isfinite(x)
        count = finite.sum(0, dtype=np.int64)
        mean = np.where(finite, x, 0.0).sum(0) / np.maximum(count, 1)
        d = np.where(finite, x - mean, 0.0)
        return Moments(np.asarray(count), np.asarray(x.shape[0] - count), np.asarray(mean), *(np.asarray((d**k).sum(0)) for k in (2, 3, 4)))

    def merge(self, other: Moments) -> Moments:
        """Those of both samples together.

        Raises:
            InputError: their values have different shapes.
        """
        if self.mean.shape != other.mean.shape:
            raise InputError(f"Moments of values of shapes {self.mean.shape} and {other.mean.shape} do not merge; wanted equal shapes.")
        na, nb = self.count.astype(float), other.count.astype(float)
        n = np.maximum(na + nb, 1.0)
        d = np.where((na > 0) & (nb > 0), other.mean - self.mean, 0.0)
        product = na * nb / n
        mean = np.where(na > 0, self.mean + d * (nb / n), other.mean)
        m2 = self.m2 + other.m2 + d**2 * product
        m3 = self.m3 + other.m3 + d**3 * product * (na - nb) / n + 3 * d * (na * other.m2 - nb * self.m2) / n
        quartic = d**4 * product * (na**2 - na * nb + nb**2) / n**2
        m4 = self.m4 + other.m4 + quartic + 6 * d**2 * (na**2 * other.m2 + nb**2 * self.m2) / n**2 + 4 * d * (na * other.m3 - nb * self.m3) / n
        return Moments(self.count + other.count, self.lost + other.lost, mean, m2, m3, m4)

    def to_tree(self) -> dict[str, Any]:
        return {"kind": "moments", **vars(self)}

    def mean_estimate(self, level: float = 0.95) -> Estimate:
        """The mean with a normal interval; NaN where a path was lost or there are fewer than two."""
        n = self.count.astype(float)
        variance = self._known(self.m2 / np.maximum(n - 1, 1))
        return Estimate.normal(self._known(self.mean)[()], np.sqrt(variance / n)[()], int(self.count.min()), _z(level))

    def student_estimate(self, level: float = 0.95) -> Estimate:
        """The mean with Student's interval, for few paths; NaN as :meth:`mean_estimate`."""
        from scipy.stats import t

        found = self.mean_estimate()
        half = t.ppf((1 + level) / 2, np.maximum(self.count - 1, 1)) * found.stderr
        return Estimate(found.value, found.stderr, found.n, found.value - half, found.value + half)

    def geometric_estimate(self, level: float = 0.95) -> Estimate:
        """Of logarithms: the geometric mean, exp of :meth:`student_estimate` and of the ends of its interval."""
        logs = self.student_estimate(level)
        value, low, high = (np.exp(part) for part in (logs.value, logs.low, logs.high))
        return Estimate(value, value * logs.stderr, logs.n, low, high)

    def variance_estimate(self, level: float = 0.95) -> Estimate:
        """s² with stderr from Var s² = (μ₄ − σ⁴(n−3)/(n−1))/n, true for any law; interval symmetric on the log scale."""
        n = np.maximum(self.count.astype(float), 2.0)
        value = self._known(self.m2 / (n - 1))
        spread = self.m4 / n - value**2 * (n - 3) / (n - 1)
        stderr = np.sqrt(np.maximum(spread, 0) / n)
        factor = np.exp(_z(level) * stderr / np.where(value == 0, 1.0, value))
        return Estimate(value[()], stderr[()], int(self.count.min()), (value / factor)[()], (value * factor)[()])

    def _known(self, values: np.ndarray) -> np.ndarray:
        return np.where((self.lost == 0) & (self.count > 1), values, np.nan)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of values between fixed, increasing edges ``[K+1]``: ``counts [K]``, with those below, above and not finite beside them."""

    edges: np.ndarray
    counts: np.ndarray
    below: int
    above: int
    lost: int

    @staticmethod
    def of(values: Any, edges: Any) -> Histogram:
        """From samples of any shape; the last bin is closed on both sides.

        Raises:
            InputError: the edges are not finite and increasing.
        """
        x, e = np.asarray(values, dtype=np.float64).ravel(), np.asarray(edges, dtype=np.float64)
        if e.ndim != 1 or e.size < 2 or not np.isfinite(e).all() or not (np.diff(e) > 0).all():
            raise InputError("Histogram.of: wanted at least two finite, increasing edges.")
        counts = np.histogram(x[np.isfinite(x)], e)[0].astype(np.int64)
        return Histogram(e, counts, int((x < e[0]).sum() - np.isneginf(x).sum()), int((x > e[-1]).sum() - np.isposinf(x).sum()), int((~np.isfinite(x)).sum()))

    def merge(self, other: Histogram) -> Histogram:
        if not np.array_equal(self.edges, other.edges):
            raise InputError("Histograms with different edges cannot be merged.")
        return Histogram(self.edges, self.counts + other.counts, self.below + other.below, self.above + other.above, self.lost + other.lost)

    def to_tree(self) -> dict[str, Any]:
        return {"kind": "histogram", **vars(self)}

    @property
    def total(self) -> int:
        """All values ever counted, those outside and lost included."""
        return int(self.counts.sum()) + self.below + self.above + self.lost


_KINDS: dict[str, type[Moments] | type[Histogram]] = {"moments": Moments, "histogram": Histogram}


def from_tree(tree: Mapping[str, Any]) -> Moments | Histogram:
    """The reducer that ``to_tree`` wrote.

    Raises:
        InputError: it is none.
    """
    kind = tree.get("kind") if isinstance(tree, Mapping) else None
    if kind not in _KINDS:
        raise InputError(f"A stored block holds a {kind!r}; wanted one of {', '.join(_KINDS)}.")
    try:
        return _KINDS[str(kind)](**{name: value for name, value in tree.items() if name != "kind"})
    except TypeError as error:
        raise InputError(f"A stored {kind} has other fields than this version knows ({error}).") from None


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
