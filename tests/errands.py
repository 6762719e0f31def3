"""Small functions for worker processes, in a module that imports next to nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sgdsde.measurement import Measured
from sgdsde.plots.panel import Panel, Series
from sgdsde.types import Estimate, InputError


def square(value: int) -> int:
    """Refuses negative numbers."""
    if value < 0:
        raise InputError("negative")
    return value**2


def slow_square(value: int) -> int:
    """Takes its time."""
    time.sleep(0.15)
    return value**2


def not_nine(result: int) -> bool:
    """Whether a result is to be kept."""
    return result != 9


def where() -> dict[str, str | None]:
    """What a worker sees of its surroundings."""
    return {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")} | {"pid": str(os.getpid()), "threads": str(blas_threads())}


def blas_threads() -> int:
    """The largest thread pool of linear algebra in this process."""
    from threadpoolctl import threadpool_info

    return max(pool["num_threads"] for pool in threadpool_info())


def unhurried(function: Callable[[], Any]) -> Any:
    """So long that every worker gets one."""
    time.sleep(0.4)
    return function()


def measured(*, seed: int, level: float, value: float, count: str = "") -> Measured:
    """A measurement that notes how often it was made, and fails below zero."""
    if count:
        with open(count, "a") as file:
            file.write("x")
    if value < 0:
        raise InputError("below zero")
    series = Series("SGD", "label", np.array([1.0, 2.0]), np.array([value, np.nan]), None, np.array([3.0, np.inf]), "points")
    panel = Panel("title", "x", "y", (series,), log="x", level=1.0, note="note")
    estimates = {"a": Estimate(value, 0.1, 50, value - 1, float("inf")), "exact": Estimate.exact(np.float64(2.5)), "seed": Estimate.exact(float(seed % 97))}
    return Measured(estimates, (panel,), ("a note",), "conventions")
