"""numba's compiler as loops over lanes use it: without the interpreter's lock, so that blocks run on threads, and machine code kept on the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}


def compiled_loop(function: Callable[..., Any]) -> Any:
    """``function``, compiled at its first call with each dtype (some seconds).

    Later processes read the machine code from ``__pycache__``, from numba's folder in the user's cache, or from ``NUMBA_CACHE_DIR``; where no folder can be
    written, each compiles anew.
    """
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba: no locator available
        return njit(**_OPTIONS)(function)
