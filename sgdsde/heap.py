"""Freed memory stays with the process: steps that make and drop arrays of megabytes do not fetch each page from the system again.

glibc gives the top of its heap back whenever a little more than the largest recent array is free there, so that a step of a network of 1e5 parameters faults
in thousands of pages, at a cost of half its time. Here up to :data:`KEPT` bytes stay, and arrays below :data:`LARGE` bytes come from the heap. Where the
environment says how glibc shall do it (``MALLOC_…``, ``GLIBC_TUNABLES``), and on other C libraries, nothing is changed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache

#: bytes of freed memory that may stay at the top of the heap
KEPT = 2**28
#: bytes from which an array is mapped by itself and given back at once: the most that glibc itself would come to
LARGE = 2**25

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


@lru_cache(maxsize=1)
def keep_freed() -> bool:
    """Tell the allocator, once in a process; whether it was told.

    Example:
        >>> from sgdsde.heap import keep_freed
        >>> keep_freed() in (True, False)
        True
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, ctypes.c_int(KEPT))) and bool(mallopt(_MMAP_THRESHOLD, ctypes.c_int(LARGE)))
