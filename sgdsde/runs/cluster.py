"""Blocks on a Dask cluster, through ``Client.get_executor()``: a scheduler somewhere (``dask://host:8786``; Slurm through dask-jobqueue) or one here.

Dask itself runs blocks of a dead worker elsewhere, and gives a block up once it took several workers with it; then the driver counts an attempt. A
cluster may grow and shrink while a run goes on. Give a run a cluster of its own: to end a hanging block, all workers that are busy are restarted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from typing import Any

from sgdsde.runs.threads import ONE_THREAD
from sgdsde.runs.workers import Workers, WorkersLost, cores
from sgdsde.types import InputError

#: seconds between questions to the scheduler about its workers
_ASK = 5.0


class Cluster(Workers):
    """Workers of a Dask scheduler.

    Args:
        address: ``host:port`` of a scheduler; None starts a cluster of ``count`` processes here.
        wait: seconds to wait for the scheduler.

    Raises:
        InputError: dask.distributed is not installed, or nothing answers at the address.
    """

    def __init__(self, address: str | None, *, count: int | None = None, wait: float = 30.0) -> None:
        if address is not None and (not address or len(address) > 300 or not address.isprintable()):
            raise InputError(f"--executor dask://{address[:80]}: wanted dask://HOST:PORT, the address that dask-scheduler prints.")
        try:
            import distributed
        except ImportError:
            raise InputError("--executor dask needs dask.distributed: pip install 'sgdsde[distributed]'.") from None
        self._distributed, self._wait, self._local = distributed, wait, None
        if address is None:
            self._local = distributed.LocalCluster(
                n_workers=count or cores(), threads_per_worker=1, processes=True, dashboard_address=None, env=ONE_THREAD, silence_logs=50
            )
            address = self._local.scheduler_address
        self.address = address
        self.name = f"dask:{count or cores()}" if self._local is not None else f"dask://{address}"
        self.ahead = 2
        self._count, self._asked = 0, float("-inf")
        self._client = self._connect()
        self._executor = self._client.get_executor(pure=False, retries=0)

    @property
    def count(self) -> int:  # type: ignore[override]
        """Threads of all workers there are now; 0 while a queue has not started any."""
        now = time.monotonic()
        if now - self._asked > (_ASK if self._count else 0.5):
            self._asked = now
            with suppress(Exception):  # an unreachable scheduler shows in the futures; this is only a count
                self._count = sum(self._client.nthreads().values())
                self.ahead = max(2, self._count // 4)
        return self._count

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        try:
            return self._executor.submit(function, job)
        except Exception as error:
            raise BrokenExecutor(f"the scheduler at {self.address} does not answer ({type(error).__name__})") from error

    def renew(self) -> None:
        """Restart the workers that are busy; where the scheduler itself is gone, look for it again."""
        self._asked = float("-inf")
        if self._client.status == "running":
            with suppress(Exception):
                busy = [worker for worker, keys in self._client.processing().items() if keys]
                self._executor.shutdown(wait=False)
                if busy:
                    self._client.restart_workers(busy, timeout=60, raise_for_error=False)
                self._executor = self._client.get_executor(pure=False, retries=0)
                return
        with suppress(Exception):
            self._client.close(timeout=2)
        try:
            self._client = self._connect()
        except InputError as error:
            raise WorkersLost(f"{error} What is stored is safe; run the same command again when the cluster is back.") from error
        self._executor = self._client.get_executor(pure=False, retries=0)

    def close(self, *, kill: bool = False) -> None:
        self._executor.shutdown(wait=not kill)
        with suppress(Exception):
            self._client.close(timeout=10)
        if self._local is not None:
            with suppress(Exception):
                self._local.close(timeout=10)

    def _connect(self) -> Any:
        try:
            return self._distributed.Client(self.address, timeout=self._wait, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(f"No Dask scheduler answers at {self.address} ({type(error).__name__}); is it running, and is the port right?") from None
