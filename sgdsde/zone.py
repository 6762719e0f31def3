"""Regions of the number line that a statement names, and where a measured interval lies in respect of them.

Three positions, not two: an interval is inside a zone, disjoint from it, or across its edge (which decides nothing). A zone comes from
the statement itself (a sign, a ratio, an inequality, a formula), never from a number found by running: it is built before the run.
"""

from __future__ import annotations

import enum
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from sgdsde.types import InputError


class Position(enum.StrEnum):
    """Where an interval lies in respect of a zone."""

    INSIDE = "inside"
    DISJOINT = "disjoint"
    ACROSS = "across the edge"


class Zone(ABC):
    """A closed or half-open interval ``[low, high]`` of allowed values; infinite ends allowed."""

    @property
    @abstractmethod
    def low(self) -> float:
        """The lower end, −∞ where there is none."""

    @property
    @abstractmethod
    def high(self) -> float:
        """The upper end, +∞ where there is none."""

    @abstractmethod
    def contains(self, value: float) -> bool:
        """Whether a single number satisfies the statement."""

    @abstractmethod
    def __str__(self) -> str:
        """The statement about the number q, in symbols."""

    @property
    def width(self) -> float:
        """high − low; an interval wider than this can never lie inside."""
        return self.high - self.low

    def position(self, low: float, high: float) -> Position:
        """Where the measured interval ``[low, high]`` lies.

        Raises:
            InputError: the interval is upside down or holds NaN.
        """
        if not low <= high:
            raise InputError(f"The interval [{low}, {high}] is upside down or holds NaN; an undefined interval has no position.")
        if self.contains(low) and self.contains(high):
            return Position.INSIDE
        below = high < self.low or (high == self.low and not self.contains(high))
        above = low > self.high or (low == self.high and not self.contains(low))
        return Position.DISJOINT if below or above else Position.ACROSS


@dataclass(frozen=True)
class Within(Zone):
    """lower ≤ q ≤ upper."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower <= self.upper:
            raise InputError(f"The zone [{self.lower}, {self.upper}] is empty; wanted lower ≤ upper.")

    @property
    def low(self) -> float:
        return self.lower

    @property
    def high(self) -> float:
        return self.upper

    def contains(self, value: float) -> bool:
        return self.lower <= value <= self.upper

    def __str__(self) -> str:
        return f"q = {number(self.lower)}" if self.lower == self.upper else f"{number(self.lower)} ≤ q ≤ {number(self.upper)}"


@dataclass(frozen=True)
class Equivalence(Zone):
    """|q/value − 1| ≤ delta: equal up to a stated relative margin. Equality is shown by an interval inside, never by "no rejection"."""

    value: float
    delta: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.value != 0 and self.delta > 0):
            raise InputError(f"An equivalence zone around {self.value} ± {self.delta} (relative) is empty; wanted value ≠ 0 and delta > 0.")

    @property
    def low(self) -> float:
        return self.value - abs(self.value) * self.delta

    @property
    def high(self) -> float:
        return self.value + abs(self.value) * self.delta

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"q = {number(self.value)} within {100 * self.delta:.3g} %"


@dataclass(frozen=True)
class Near(Zone):
    """|q − value| ≤ tolerance: equal up to a stated absolute margin."""

    value: float
    tolerance: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.value) and self.tolerance > 0):
            raise InputError(f"A zone {self.value} ± {self.tolerance} is empty; wanted a finite value and tolerance > 0.")

    @property
    def low(self) -> float:
        return self.value - self.tolerance

    @property
    def high(self) -> float:
        return self.value + self.tolerance

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"q = {number(self.value)} ± {number(self.tolerance)}"


@dataclass(frozen=True)
class HalfLine(Zone):
    """Everything on one side of a bound.

    Raises:
        InputError: the bound is NaN.
    """

    bound: float

    def __post_init__(self) -> None:
        if math.isnan(self.bound):
            raise InputError("A zone with the bound NaN holds nothing; wanted a number.")


class Below(HalfLine):
    """Everything below a bound."""

    @property
    def low(self) -> float:
        return -math.inf

    @property
    def high(self) -> float:
        return self.bound


class Above(HalfLine):
    """Everything above a bound."""

    @property
    def low(self) -> float:
        return self.bound

    @property
    def high(self) -> float:
        return math.inf


class AtMost(Below):
    """q ≤ bound."""

    def contains(self, value: float) -> bool:
        return value <= self.bound

    def __str__(self) -> str:
        return f"q ≤ {number(self.bound)}"


class AtLeast(Above):
    """q ≥ bound."""

    def contains(self, value: float) -> bool:
        return value >= self.bound

    def __str__(self) -> str:
        return f"q ≥ {number(self.bound)}"


class LessThan(Below):
    """q < bound."""

    def contains(self, value: float) -> bool:
        return value < self.bound

    def __str__(self) -> str:
        return f"q < {number(self.bound)}"


class MoreThan(Above):
    """q > bound."""

    def contains(self, value: float) -> bool:
        return value > self.bound

    def __str__(self) -> str:
        return f"q > {number(self.bound)}"


def number(value: float) -> str:
    """A number for people: four significant digits, a real minus sign, ∞."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.4g}".replace("-", "−")
