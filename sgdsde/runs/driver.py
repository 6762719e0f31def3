"""The driver: hands blocks to workers, stores what comes back, and outlives what goes wrong.

* A block that raises is tried again after a pause that doubles; what a user's input caused is not. A block that fails for good does not stop the others.
* A dead worker breaks its pool: the pool is started anew. Which block did it is unknown, so each block that was running gets a mark; one with two marks
  runs alone, and only a death alone counts against it.
* A block that runs past its deadline hangs: its workers are killed and started anew; the others' work is done again and not counted against them.
* When nothing is left to hand out, blocks that take far longer than usual are started a second time; the first result wins, and both are equal.

Durations are monotonic: no clock that can be set takes part in any decision. Whatever has arrived since the last write is stored with one flush.
"""

from __future__ import annotations

import queue
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from typing import Any

from sgdsde.runs.agenda import Agenda, Task
from sgdsde.runs.flights import Flight, Flights
from sgdsde.runs.policy import Hanging, Outcome, Policy, Watcher, WorkerDied, may_pass
from sgdsde.runs.product import Product
from sgdsde.runs.signals import Stop
from sgdsde.runs.workers import Workers, WorkersLost
from sgdsde.store import BlockStore, Finished

#: results stored with one flush
_GROUP = 256
#: seconds between looks at deadlines and stragglers
_LOOK = 0.25


class Driver:
    """Runs ``function(make(key))`` for keys on workers and stores the products under their keys.

    Args:
        function: travels to the workers; returns a :class:`Product`.
        make: the job of a key, cheap and small.
        store: where products go. A product with ``keep`` = False only reaches ``watcher``.
        stop: level 1 finishes what runs, level 2 ends at once.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        function: Callable[[Any], Product],
        make: Callable[[str], Any],
        *,
        store: BlockStore,
        workers: Workers,
        policy: Policy | None = None,
        watcher: Watcher | None = None,
        stop: Stop | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.function, self.make, self.store, self.workers = function, make, store, workers
        self.policy, self.watcher, self.stop, self.clock = policy or Policy(), watcher or Watcher(), stop or Stop(), clock
        self._flights = Flights()
        self._mail: queue.SimpleQueue[Future[Product]] = queue.SimpleQueue()
        self._open: set[str] = set()  # in the hands of workers and not yet done
        self._seconds: deque[float] = deque(maxlen=1000)
        self._longest: float | None = None
        self._renewals = 0
        self._looked = clock()
        self._outcome = Outcome()

    def run(self, keys: Sequence[str]) -> Outcome:
        """Drive until every key is stored or has failed for good, or until stopped.

        Raises:
            StorageError: the store refuses; everything acknowledged is safe.
            WorkersLost: the workers cannot be started anew.
        """
        self._agenda = Agenda(keys)
        while True:
            if self._ending():
                for task in self._flights.cancel_waiting():
                    self._open.discard(task.key)
                    self._agenda.give_back([task])
            else:
                self._hand_out()
            self._flights.start_clocks(self.workers.count, self.clock())
            if not self._open and (self._ending() or self._agenda.exhausted):
                break
            self._take_in()
            if self.clock() - self._looked > _LOOK:
                self._look()
            self.watcher.beat(len(self._flights), len(self._agenda))
        self._outcome.stopped = bool(self.stop.level) and not self._agenda.exhausted
        self._outcome.unsure = bool(len(self._flights))
        return self._outcome

    def _ending(self) -> bool:
        return self.stop.level > 0 or len(self._outcome.failed) >= self.policy.failures

    def _hand_out(self) -> None:
        window = max(1, self.workers.count) + self.workers.ahead
        alone = any(flight.task.suspect for flight in self._flights) if len(self._flights) == 1 else False
        while len(self._flights) < window and not alone and not self.stop.level:
            task = self._agenda.take(self.clock(), quiet=not len(self._flights))
            if task is None:
                return
            self._submit(task)
            alone = task.suspect

    def _submit(self, task: Task, *, doubled: bool = False) -> None:
        try:
            future = self.workers.submit(self.function, self.make(task.key))
        except BrokenExecutor:
            self._agenda.give_back([task])
            self._workers_died()
            return
        self._open.add(task.key)
        self._flights.add(future, task, doubled=doubled)
        future.add_done_callback(self._mail.put)

    def _take_in(self) -> None:
        """Everything that has arrived, waiting a moment for the first; stored with one flush, then told."""
        arrived: list[tuple[Task, Product]] = []
        troubled: list[tuple[Task, BaseException]] = []
        broken = False
        future = self._next_mail(max(0.001, min(_LOOK, self._agenda.soonest() - self.clock())))
        while future is not None:
            flight = self._flights.find(future)
            if flight is not None:
                try:
                    arrived.append((flight.task, future.result(timeout=0).checked()))
                    self._flights.remove(flight)
                except (BrokenExecutor, CancelledError):
                    broken = True  # the flight stays: it is dealt with when the workers are started anew
                except Exception as error:
                    self._flights.remove(flight)
                    troubled.append((flight.task, error))
            future = self._next_mail(0) if len(arrived) < _GROUP else None
        self._keep(arrived)
        for task, trouble in troubled:
            self._failed(task, trouble)
        if broken:
            self._workers_died()

    def _next_mail(self, wait: float) -> Future[Product] | None:
        try:
            return self._mail.get(timeout=wait) if wait else self._mail.get_nowait()
        except queue.Empty:
            return None

    def _keep(self, arrived: Sequence[tuple[Task, Product]]) -> None:
        fresh = {task.key: (task, product) for task, product in reversed(arrived) if task.key in self._open}  # of two, the first to arrive
        kept = [Finished(key, p.data, {**p.facts, "attempt": task.attempts + 1}) for key, (task, p) in reversed(fresh.items()) if p.keep]
        if kept:
            for key in self.store.commit(kept):
                self._outcome.changed.append(key)
                self.watcher.say(f"block {key} came out differently from an earlier time: something in it does not repeat (other processor, other library?)")
        for key, (_, product) in reversed(fresh.items()):
            self._renewals = 0
            self._open.discard(key)
            self._outcome.stored += product.keep
            seconds = float(product.facts.get("seconds", 0.0))
            self._seconds.append(seconds)
            self._longest = max(self._longest or 0.0, seconds)
            self.watcher.block(key, product)

    def _failed(self, task: Task, error: BaseException) -> None:
        """An attempt came to nothing: try again after a pause, or give the block up."""
        if task.key not in self._open:  # its double was faster
            return
        task.attempts += 1
        self._open.discard(task.key)
        why = f"{type(error).__name__}: {error}"
        if task.attempts < self.policy.attempts and may_pass(error):
            pause = self.policy.pause * 2 ** (task.attempts - 1)
            self._agenda.pause(task, self.clock() + pause)
            self.watcher.say(f"block {task.key}, attempt {task.attempts} of {self.policy.attempts}: {why}; once more in {pause:g} s")
            return
        self._outcome.failed[task.key] = why
        self.watcher.say(f"block {task.key} failed for good after {task.attempts} attempt(s): {why}")

    def _workers_died(self) -> None:
        """Start the workers anew; what was running is suspect, what was waiting in line is not."""
        lost = self._ground()
        suspects = list(dict.fromkeys(flight.task for flight in lost if flight.started is not None))
        self.watcher.say(f"a worker died; the workers are started anew and {len(lost)} block(s) run again")
        self._renew()
        if len(suspects) == 1:
            self._failed(suspects[0], WorkerDied("its worker died (killed, or out of memory?)"))
        for task in suspects if len(suspects) > 1 else ():
            task.marks += 1
        self._give_back([flight.task for flight in lost if suspects != [flight.task]])

    def _ground(self) -> list[Flight]:
        """Keep what came back in time; everything else is lost with its worker."""
        flights = self._flights.clear()
        saved = [flight for flight in flights if flight.future.done() and not flight.future.cancelled() and flight.future.exception() is None]
        self._keep([(flight.task, flight.future.result()) for flight in saved])
        for flight in flights:
            flight.future.cancel()
        return [flight for flight in flights if flight.task.key in self._open]

    def _look(self) -> None:
        """Deadlines, and stragglers once nothing is left to hand out."""
        now = self._looked = self.clock()
        running = self._flights.running()
        hanging = [flight for flight in running if flight.started is not None and now - flight.started > self._deadline(flight)]
        if hanging and self.workers.count:
            self._end_hanging(hanging, now)
        elif self.policy.straggler is not None and self._agenda.exhausted and not self.stop.level and len(self._seconds) >= 3:
            limit = max(1.0, self.policy.straggler * statistics.median(self._seconds))
            late = [flight for flight in running if flight.started is not None and now - flight.started > limit and not flight.doubled]
            for flight in late[: max(0, self.workers.count - len(self._flights))]:
                flight.doubled = True
                self.watcher.say(f"block {flight.task.key} takes far longer than others: an idle worker starts it as well")
                self._submit(flight.task, doubled=True)

    def _deadline(self, flight: Flight) -> float:
        return self.policy.deadline_of(flight.task.attempts, self._longest)

    def _end_hanging(self, hanging: Sequence[Flight], now: float) -> None:
        stuck = list(dict.fromkeys(flight.task for flight in hanging))
        names = ", ".join(task.key for task in stuck[:5])
        self.watcher.say(f"block {names}: no end after {now - (hanging[0].started or now):.0f} s; the workers are killed and started anew")
        self._give_back([flight.task for flight in self._ground() if flight.task not in stuck])
        self._renew()
        for task in stuck:
            self._failed(task, Hanging("no end before its deadline"))

    def _give_back(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._open.discard(task.key)
        self._agenda.give_back(tasks)

    def _renew(self) -> None:
        self._renewals += 1
        if self._renewals > self.policy.renewals:
            raise WorkersLost(f"Workers were started anew {self.policy.renewals} times and no block ended in between; what is stored is safe.")
        self.workers.renew()
