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
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from tqdm import tqdm

from sgdsde.runs.threads import ONE_THREAD, environment
from sgdsde.types import SgdsdeError

#: seconds that a pool whose workers were killed is given to notice
_PATIENCE = 10.0


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
        self._start()

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        return self._pool.submit(function, job)

    def renew(self) -> None:
        self.close(kill=True)
        self._start()

    def close(self, *, kill: bool = False) -> None:
        if not kill:
            self._pool.shutdown(wait=True, cancel_futures=True)
            return
        # a worker that died inside one of the pool's locks can leave the pool waiting for ever: it is given time, not trust
        ending = threading.Thread(target=self._pool.shutdown, kwargs={"wait": True, "cancel_futures": True}, daemon=True)
        ending.start()
        patience = time.monotonic() + _PATIENCE
        while ending.is_alive() and time.monotonic() < patience:
            self._crew.kill()
            ending.join(0.05)

    def pids(self) -> set[int]:
        """The worker processes that have started."""
        return {member.pid for member in self._crew.members if member.pid is not None and member.exitcode is None}

    def _start(self) -> None:
        self._crew = Crew(self.gpus)
        self._pool = ProcessPoolExecutor(self.count, mp_context=self._crew, initializer=prepare_worker)


class Member(SpawnProcess):
    """A worker process that is born with an environment of its own."""

    surroundings: Mapping[str, str] = {}

    def start(self) -> None:
        with environment(self.surroundings):
            super().start()


class Crew(SpawnContext):
    """A context that spawns and remembers worker processes: whoever must end them all cannot ask a pool that may hang."""

    def __init__(self, gpus: Sequence[int]) -> None:
        super().__init__()
        self.gpus = tuple(gpus)
        self.members: list[Member] = []

    def Process(self, *arguments: Any, **options: Any) -> Member:  # type: ignore[override]
        member = Member(*arguments, **options)
        member.surroundings = dict(ONE_THREAD)
        if self.gpus:
            member.surroundings["CUDA_VISIBLE_DEVICES"] = str(self.gpus[len(self.members) % len(self.gpus)])
        self.members.append(member)
        return member

    def kill(self) -> None:
        """SIGKILL to every member that has started; SIGTERM would be ignored."""
        for member in self.members:
            if member.pid is not None:
                member.kill()


def prepare_worker() -> None:
    """What a worker process does first: leave signals to the driver, own nothing that outlives a kill, and die with the driver."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unshared_bars()
    threading.Thread(target=_die_with_parent, daemon=True).start()


def unshared_bars() -> None:
    """Progress bars of this process take turns among its threads only.

    tqdm makes a named semaphore at the first bar, shown or not, to take turns with other processes as well. One in a process that is killed is never given
    back: Python's resource tracker finds it when the driver ends, and says so in the midst of its last words.
    """
    tqdm.set_lock(threading.RLock())


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
