"""Where blocks run: in this process, on threads, on a pool of processes, or on any executor that the caller brings.

All are ``concurrent.futures`` executors behind three words the driver needs beside ``submit``: how many blocks run at once, how to start anew after a
worker died or hangs, and how to end. Worker processes are spawned with one thread of linear algebra each, leave SIGTERM and Ctrl-C to the
driver (blocks in flight are finished), and end when the driver dies, however it dies.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from sgdsde.runs.threads import born_single_threaded
from sgdsde.types import SgdsdeError


class WorkersLost(SgdsdeError):
    """The workers cannot be started anew."""


class Workers(ABC):
    """An executor that can be started anew.

    Attributes:
        count: blocks that run at the same time.
        ahead: blocks handed over beyond that, so that no worker waits for the driver.
        name: what stands in the manifest.
    """

    count: int
    ahead: int
    name: str

    @abstractmethod
    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        """Start a job, or queue it."""

    def renew(self) -> None:
        """Kill what there is and start anew; called when a worker died or hangs.

        Raises:
            WorkersLost: that is not possible here.
        """
        raise WorkersLost(f"Workers of kind {self.name!r} cannot be killed and started anew; use process:N where blocks may hang or die.")

    def close(self, *, kill: bool = False) -> None:
        """End; with ``kill`` without waiting for what still runs."""
        return None


class Serial(Workers):
    """One block after another, in this process."""

    count, ahead, name = 1, 0, "serial"

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(job))
        except Exception as error:  # as an executor does: the driver decides what it means
            future.set_exception(error)
        return future


class Borrowed(Workers):
    """Any executor of the caller's; it is neither started anew nor shut down here."""

    def __init__(self, executor: Executor, *, count: int | None = None) -> None:
        self.executor = executor
        self.count = count or getattr(executor, "_max_workers", None) or os.cpu_count() or 1
        self.ahead = self.count
        self.name = type(executor).__name__

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        return self.executor.submit(function, job)


class Threads(Workers):
    """Threads of this process: for work that releases the interpreter's lock. A hanging thread cannot be killed."""

    def __init__(self, count: int) -> None:
        self.count, self.ahead, self.name = count, 1, f"thread:{count}"
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="sgdsde")

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        return self._pool.submit(function, job)

    def close(self, *, kill: bool = False) -> None:
        self._pool.shutdown(wait=not kill, cancel_futures=True)


class Processes(Workers):
    """Spawned processes (a forked child of a process that used torch's threads may hang).

    Args:
        count: worker processes.
        gpus: device numbers; worker i sees device gpus[i mod len] only, as ``cuda:0``.
    """

    def __init__(self, count: int, *, gpus: Sequence[int] = ()) -> None:
        self.count, self.ahead, self.name = count, max(2, count // 4), f"process:{count}"
        self.gpus = tuple(gpus)
        self._pids: set[int] = set()
        self._start()

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        with born_single_threaded():  # the pool starts its processes when they are needed
            return self._pool.submit(function, job)

    def renew(self) -> None:
        self.close(kill=True)
        self._start()

    def close(self, *, kill: bool = False) -> None:
        if kill:
            self._collect_pids()
            for pid in self._pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._arrivals.close()
        self._pids.clear()

    def pids(self) -> set[int]:
        """The worker processes that have started."""
        self._collect_pids()
        return set(self._pids)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._arrivals = context.SimpleQueue()
        self._pool = ProcessPoolExecutor(
            self.count, mp_context=context, initializer=prepare_worker, initargs=(context.Value("i", 0), self._arrivals, self.gpus)
        )

    def _collect_pids(self) -> None:
        while not self._arrivals.empty():
            self._pids.add(self._arrivals.get())


def prepare_worker(counter: Any, arrivals: Any, gpus: Sequence[int]) -> None:
    """What a worker process does first: take a number, pin a device, leave signals to the driver, die with it."""
    with counter.get_lock():
        index = counter.value
        counter.value += 1
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(gpus[index % len(gpus)])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    arrivals.put(os.getpid())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
