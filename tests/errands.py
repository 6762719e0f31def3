"""Small functions for worker processes, in a module that imports next to nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from sgdsde.types import InputError


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
