"""Learning-rate schedules: η_k = η·s(k) with s a function of the iterate's number k = 0, 1, …

Time stays that of the base step size: iterate k is at t = kη, whatever η_k was. (∫s gives another clock; with it a schedule becomes a time-dependent SDE.)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from sgdsde.given import is_whole
from sgdsde.types import InputError, expected, real


class Schedule(ABC):
    """The factor s(k) of the base step size."""

    @abstractmethod
    def factor(self, k: int) -> float:
        """s(k) of the step from iterate k to k + 1."""


@dataclass(frozen=True)
class Constant(Schedule):
    """s = 1.

    Example:
        >>> sg.kernels.Constant().factor(7)
        1.0
    """

    def factor(self, k: int) -> float:
        return 1.0


@dataclass(frozen=True)
class StepDecay(Schedule):
    """s = decay^⌊k/every⌋.

    Raises:
        InputError: ``every`` < 1 or decay outside (0, 1].

    Example:
        >>> schedule = sg.kernels.StepDecay(every=10, decay=0.1)
        >>> [round(schedule.factor(k), 6) for k in (0, 9, 10, 20)]
        [1.0, 1.0, 0.1, 0.01]
    """

    every: int
    decay: float

    def __post_init__(self) -> None:
        _whole(self.every, "every")
        _share(self.decay, "decay")

    def factor(self, k: int) -> float:
        return self.decay ** (k // self.every)


@dataclass(frozen=True)
class Cosine(Schedule):
    """s = floor + (1 − floor)(1 + cos(πk/steps))/2 for k ≤ steps, then ``floor``.

    Raises:
        InputError: ``steps`` < 1 or floor outside [0, 1].

    Example:
        >>> schedule = sg.kernels.Cosine(steps=10)
        >>> [round(schedule.factor(k), 6) for k in (0, 5, 10, 20)]
        [1.0, 0.5, 0.0, 0.0]
    """

    steps: int
    floor: float = 0.0

    def __post_init__(self) -> None:
        _whole(self.steps, "steps")
        if not 0 <= real(self.floor, "floor") <= 1:
            raise InputError(f"floor = {self.floor}; wanted a number in [0, 1].")

    def factor(self, k: int) -> float:
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(k, self.steps) / self.steps)) / 2


@dataclass(frozen=True)
class Warmup(Schedule):
    """s = (k + 1)/steps for the first ``steps`` iterates, then ``after`` from its own beginning.

    Raises:
        InputError: ``steps`` < 1.

    Example:
        >>> schedule = sg.kernels.Warmup(4, sg.kernels.Cosine(10))
        >>> [round(schedule.factor(k), 6) for k in (0, 3, 4, 9)]
        [0.25, 1.0, 1.0, 0.5]
    """

    steps: int
    after: Schedule = Constant()

    def __post_init__(self) -> None:
        _whole(self.steps, "steps")
        expected(self.after, Schedule, "after", "for example sg.kernels.Cosine(steps)")

    def factor(self, k: int) -> float:
        return (k + 1) / self.steps if k < self.steps else self.after.factor(k - self.steps)


def _whole(value: int, name: str) -> None:
    if not is_whole(value, 1):
        raise InputError(f"{name} = {value!r}; wanted an integer ≥ 1.")


def _share(value: float, name: str) -> None:
    if not 0 < real(value, name) <= 1:
        raise InputError(f"{name} = {value}; wanted a number in (0, 1].")
