"""numba's compiler as loops over lanes use it: without the interpreter's lock, so that blocks run on threads, and machine code kept on the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
_HERE = Path(__file__).resolve().parent
#: what is compiled into every loop, whichever file the loop stands in: this folder, and the constants of the numbers' definition
SOURCES = (*sorted(_HERE.glob("*.py")), _HERE.parent / "box_muller.py", _HERE.parent / "threefry.py")


def compiled_loop(function: Callable[..., Any]) -> Any:
    """``function``, compiled at its first call with each dtype (some seconds).

    Later processes read the machine code from ``__pycache__``, from numba's folder in the user's cache, or from ``NUMBA_CACHE_DIR``, while all of
    :data:`SOURCES` are what they were: numba itself looks at the time and size of the function's own file, and would keep what a changed neighbour or a newer
    release has made wrong. Where no folder can be written, or numba keeps its stamp elsewhere, each process compiles anew.
    """
    try:
        made = njit(cache=True, **_OPTIONS)(function)
        stamped = made._cache._cache_file
        assert hasattr(stamped, "_source_stamp")
    except (RuntimeError, AttributeError, AssertionError):  # numba: no locator available; or another numba's insides
        return njit(**_OPTIONS)(function)
    stamped._source_stamp = stamp()
    return made


@cache
def stamp() -> str:
    """A digest of what is compiled."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in SOURCES)).hexdigest()
