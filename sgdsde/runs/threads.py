"""One thread of linear algebra while a block runs: results differ with the number of threads, and blocks are the parallelism.

Worker processes are born with :data:`ONE_THREAD` in their environment. Elsewhere (this process, its threads, someone's executor) the libraries that are loaded
are limited while blocks run; the last block out restores them.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
_LIBRARIES = ("numpy", "scipy.linalg", "torch")


class _Inside:
    """How many blocks run in this process now, and what restores its libraries."""

    lock = threading.Lock()
    count = 0
    limits = ExitStack()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Limit numpy's, scipy's and torch's threads to one inside."""
    with _Inside.lock:
        if _Inside.count == 0:
            loaded = tuple(name for name in _LIBRARIES if name in sys.modules)
            _Inside.limits.enter_context(_controller(loaded).limit(limits=1))
        _Inside.count += 1
    try:
        if "torch" in sys.modules:
            from sgdsde.loop import one_thread

            with one_thread():
                yield
        else:
            yield
    finally:
        with _Inside.lock:
            _Inside.count -= 1
            if _Inside.count == 0:
                _Inside.limits.close()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Processes started inside inherit these values."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@lru_cache(maxsize=8)
def _controller(loaded: tuple[str, ...]) -> Any:
    """What knows the thread pools of the libraries loaded so far; looking for them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
