"""Rules that say which eigenvalues are outliers and which are bulk: objects, because the count depends on the rule.

"The spectrum is a bulk near zero and about c outliers" (Sagun et al. 1706.04454; Wu et al. 2010.04261) has a truth value only with a rule. Four are here,
each on eigenvalues λ₁ ≥ λ₂ ≥ …, all of them or the largest ones:

- :class:`RatioRule`: cut at the largest ratio λᵢ/λᵢ₊₁;
- :class:`GapRule`: cut at the largest difference λᵢ − λᵢ₊₁;
- :class:`ThresholdRule`: outliers exceed a share of λ₁;
- :class:`MarchenkoPasturRule`: outliers exceed σ²(1+√(dim/n))², the upper edge for n independent isotropic noise vectors (Marchenko, Pastur 1967).

Valid for positive outliers; only the upper end is looked at. ``strength`` tells how clear a cut is: near 1 another cut is as good.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import quad
from scipy.optimize import brentq

from sgdsde.given import is_whole
from sgdsde.types import InputError, real


@dataclass(frozen=True)
class BulkSplit:
    """Eigenvalues (descending) and how many of them are outliers.

    ``cut``: the value between outliers and bulk; ``strength``: the rule's score of this cut over that of the next best one (ratio and gap), or the
    ratio of the eigenvalues beside the cut (threshold, Marchenko–Pastur); infinite where nothing lies on one side.

    Example:
        >>> split = sg.curvature.GapRule().split([9.0, 8.0, 0.2, 0.1])
        >>> split.count, split.cut
        (2, 4.1)
    """

    values: Float[np.ndarray, " k"]
    count: int
    cut: float
    strength: float
    rule: str

    @property
    def outliers(self) -> Float[np.ndarray, " count"]:
        """The eigenvalues above the cut."""
        return self.values[: self.count]

    @property
    def bulk(self) -> Float[np.ndarray, " rest"]:
        """The others."""
        return self.values[self.count :]


class OutlierRule(ABC):
    """A rule: ``split(values)``. Its ``str`` is what a table prints.

    Example:
        >>> [str(rule) for rule in (sg.curvature.GapRule(), sg.curvature.RatioRule())]
        ['largest gap among the first 30', 'largest ratio among the first 30 (floor 1e-06 of the largest)']
    """

    @abstractmethod
    def cut(self, values: Float[np.ndarray, " k"]) -> tuple[int, float, float]:
        """(count, cut, strength) for eigenvalues in descending order."""

    def split(self, values: Any) -> BulkSplit:
        """Bulk and outliers of eigenvalues ``[k]`` in any order (array, tensor or list): the whole spectrum or its upper end.

        Raises:
            InputError: fewer than two values, NaN, or no positive one.
        """
        array = np.sort(np.asarray(values, dtype=float).ravel())[::-1]
        if array.size < 2 or not np.isfinite(array).all():
            raise InputError(f"values holds {array.size} eigenvalues ({np.count_nonzero(~np.isfinite(array))} not finite); wanted two finite ones or more.")
        if array[0] <= 0:
            raise InputError(f"The largest eigenvalue is {array[0]:.3g}: there is no positive outlier to look for. For the other end split −values.")
        count, cut, strength = self.cut(array)
        return BulkSplit(array, count, cut, strength, str(self))


@dataclass(frozen=True)
class RatioRule(OutlierRule):
    """Cut where λᵢ/λᵢ₊₁ is largest, i ≤ ``most``; eigenvalues below ``floor``·λ₁ (rounding, exact zeros of a rank-deficient matrix) count as ``floor``·λ₁.

    With the floor a matrix of rank r and no gap before it is cut at r only if λᵣ/(floor·λ₁) beats every ratio above.

    Example:
        >>> sg.curvature.RatioRule().split([9.0, 8.0, 0.2, 0.1]).count
        2
    """

    most: int = 30
    floor: float = 1e-6

    def __post_init__(self) -> None:
        _positive_count(self.most)
        _share(self.floor, "floor")

    def cut(self, values: np.ndarray) -> tuple[int, float, float]:
        raised = np.maximum(values[: self.most + 1], self.floor * values[0])
        ratios = raised[:-1] / raised[1:]
        best = int(ratios.argmax())
        return best + 1, float(np.sqrt(raised[best] * raised[best + 1])), _lead(ratios, best)

    def __str__(self) -> str:
        return f"largest ratio among the first {self.most} (floor {self.floor:g} of the largest)"


@dataclass(frozen=True)
class GapRule(OutlierRule):
    """Cut where λᵢ − λᵢ₊₁ is largest, i ≤ ``most``. With widely spread outliers it sees only the first few of them.

    Example:
        >>> sg.curvature.GapRule().split([9.0, 8.0, 0.2, 0.1]).count
        2
    """

    most: int = 30

    def __post_init__(self) -> None:
        _positive_count(self.most)

    def cut(self, values: np.ndarray) -> tuple[int, float, float]:
        first = values[: self.most + 1]
        gaps = first[:-1] - first[1:]
        best = int(gaps.argmax())
        return best + 1, float((first[best] + first[best + 1]) / 2), _lead(gaps, best)

    def __str__(self) -> str:
        return f"largest gap among the first {self.most}"


@dataclass(frozen=True)
class ThresholdRule(OutlierRule):
    """Outliers exceed ``share``·λ₁.

    Example:
        >>> sg.curvature.ThresholdRule(0.1).split([9.0, 8.0, 0.2, 0.1]).count
        2
    """

    share: float = 0.1

    def __post_init__(self) -> None:
        _share(self.share, "share")

    def cut(self, values: np.ndarray) -> tuple[int, float, float]:
        return _above(values, self.share * float(values[0]))

    def __str__(self) -> str:
        return f"above {self.share:g} of the largest"


@dataclass(frozen=True)
class MarchenkoPasturRule(OutlierRule):
    """Outliers exceed the upper edge σ²(1+√(dim/n))² that n independent vectors of ``dim`` coordinates of variance σ² have.

    For second moments and covariances of ``samples`` gradients, whose null model this is; not for H. ``variance`` None: σ² is such that the median of the
    positive eigenvalues is the median of the law (then give the whole spectrum). Gradients of networks are far from isotropic, so what this rule
    calls outliers are the directions that isotropic noise of the bulk's size cannot explain: many more than the classes.

    Example:
        >>> rule = sg.curvature.MarchenkoPasturRule(samples=400, dim=100, variance=1.0)
        >>> rule.split([9.0, 2.5, 2.2, 1.0]).count  # the edge is (1 + √(100/400))² = 2.25
        2
    """

    samples: int
    dim: int
    variance: float | None = None

    def __post_init__(self) -> None:
        _positive_count(self.samples)
        _positive_count(self.dim)
        if self.variance is not None and not self.variance > 0:
            raise InputError(f"variance = {self.variance!r}; wanted a positive number, or None to fit it to the bulk.")

    def edge(self, values: np.ndarray) -> float:
        """The upper edge for these eigenvalues (descending)."""
        variance = self.variance
        if variance is None:
            rank = min(self.samples, self.dim)
            if values.size < rank:
                raise InputError(f"{values.size} eigenvalues; fitting σ² to the bulk needs all {rank} that can differ from zero. Give them, or the variance.")
            positive = values[:rank][values[:rank] > 1e-12 * values[0]]
            variance = float(np.median(positive)) / marchenko_pastur_median(self.dim / self.samples)
        return variance * (1 + np.sqrt(self.dim / self.samples)) ** 2

    def cut(self, values: np.ndarray) -> tuple[int, float, float]:
        return _above(values, self.edge(values))

    def __str__(self) -> str:
        how = "fitted to the median" if self.variance is None else f"{self.variance:g}"
        return f"above the Marchenko–Pastur edge (dim/n = {self.dim / self.samples:.3g}, variance {how})"


def marchenko_pastur_median(ratio: float) -> float:
    """The median of the continuous part of the Marchenko–Pastur law with unit variance and dim/n = ``ratio``.

    Its density is √((b−x)(x−a))/(2π·ratio·x) on [a, b] = (1∓√ratio)², with mass min(1, 1/ratio); the rest stands at zero. x = a + (b−a)sin²u takes
    the root singularities away.
    """
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2

    def mass(angle: float) -> float:
        def density(u: float) -> float:
            x = low + (high - low) * np.sin(u) ** 2
            return float((high - low) ** 2 * 2 * (np.sin(u) * np.cos(u)) ** 2 / (2 * np.pi * ratio * x)) if x > 0 else float(high / (np.pi * ratio))

        return float(quad(density, 0.0, angle)[0])

    half = min(1.0, 1.0 / ratio) / 2
    angle = brentq(lambda u: mass(u) - half, 0.0, np.pi / 2)
    return float(low + (high - low) * np.sin(angle) ** 2)


def _above(values: np.ndarray, cut: float) -> tuple[int, float, float]:
    count = int((values > cut).sum())
    beside = count in (0, values.size) or values[count] <= 0
    return count, cut, float("inf") if beside else float(values[count - 1] / values[count])


def _lead(scores: np.ndarray, best: int) -> float:
    others = np.delete(scores, best)
    return float(scores[best] / others.max()) if others.size and others.max() > 0 else float("inf")


def _positive_count(count: int) -> None:
    if not is_whole(count, 1):
        raise InputError(f"{count!r} is no positive integer; wanted a count of at least 1.")


def _share(share: float, name: str) -> None:
    if not 0 < real(share, name) < 1:
        raise InputError(f"{name} = {share!r}; wanted a share of the largest eigenvalue, between 0 and 1.")
