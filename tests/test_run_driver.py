"""The driver, moved by hand: broken pools, hangs, stragglers, garbled results, pauses; the agenda and the flights that it keeps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from sgdsde.runs import Policy
from sgdsde.runs.agenda import Agenda, Task
from sgdsde.runs.driver import Driver
from sgdsde.runs.flights import Flights
from sgdsde.runs.policy import Watcher
from sgdsde.runs.product import Product, product_of
from sgdsde.runs.study import key_of
from sgdsde.runs.workers import Workers, WorkersLost
from sgdsde.store import BlockStore


class Recorder(Watcher):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.keys: list[str] = []

    def block(self, key: str, product: Product) -> None:
        self.keys.append(key)

    def say(self, text: str) -> None:
        self.said.append(text)


class Scripted(Workers):
    """Workers that a test moves by hand: a clock, and futures that end when told."""

    ahead, name = 1, "scripted"

    def __init__(self, count: int, script: Callable[[Scripted, int, int], object]) -> None:
        self.count, self.script = count, script
        self.now, self.calls, self.renewed = 0.0, 0, 0
        self.open: dict[int, Future[Product]] = {}

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls += 1
        self.open[self.calls] = future
        self.script(self, self.calls, job)
        return future

    def renew(self) -> None:
        self.renewed += 1

    def finish(self, call: int, job: int, seconds: float = 1.0) -> None:
        self.open.pop(call).set_result(product_of({"job": job}, seconds=seconds))

    def clock(self) -> float:
        self.now += 0.3
        return self.now


def drive(folder: Path, workers: Scripted, count: int, **policy: Any) -> tuple[Any, Recorder, dict[str, Any]]:
    watcher = Recorder()
    with BlockStore(folder, {}) as store:
        driver = Driver(product_of, int, store=store, workers=workers, policy=Policy(**{"pause": 0.01, **policy}), watcher=watcher, clock=workers.clock)
        outcome = driver.run([key_of(index) for index in range(count)])
        return outcome, watcher, {key: store.read(key) for key in store.entries}


def test_a_broken_pool_is_started_anew_and_only_a_death_alone_counts(tmp_path: Path) -> None:
    """Job 2 kills the pool whenever it runs. In company nobody is blamed; after two such deaths it runs alone, and is given up after its third death there."""

    def script(workers: Scripted, call: int, job: int) -> None:
        if any(future.done() for future in workers.open.values()):  # the pool is broken already
            workers.open[call].set_exception(BrokenProcessPool())
        elif job == 2:
            for future in workers.open.values():
                future.set_exception(BrokenProcessPool())
        elif call > 1 or workers.renewed:
            workers.finish(call, job)

    class Pool(Scripted):
        def renew(self) -> None:
            super().renew()
            self.open.clear()

    workers = Pool(2, script)
    outcome, _, stored = drive(tmp_path, workers, 5)
    assert list(outcome.failed) == [key_of(2)]
    assert "its worker died" in outcome.failed[key_of(2)]
    assert stored == {key_of(job): {"job": job} for job in (0, 1, 3, 4)}
    assert workers.renewed >= 3


def test_a_hang_costs_its_own_attempt_and_nobody_elses(tmp_path: Path) -> None:
    def script(workers: Scripted, call: int, job: int) -> None:
        if not (job == 1 and workers.renewed == 0):
            workers.finish(call, job)

    workers = Scripted(1, script)
    outcome, watcher, stored = drive(tmp_path, workers, 4, deadline=5.0)
    assert outcome.failed == {}
    assert len(stored) == 4
    assert workers.renewed == 1
    assert any("no end after" in text for text in watcher.said)


def test_waiting_in_line_is_not_hanging() -> None:
    flights = Flights()
    futures: list[Future[Product]] = [Future() for _ in range(4)]
    for index, future in enumerate(futures):
        flights.add(future, Task(key_of(index)))
    flights.start_clocks(2, 10.0)
    assert [flight.started for flight in flights] == [10.0, 10.0, None, None]
    first = flights.find(futures[0])
    assert first is not None
    flights.remove(first)
    flights.start_clocks(2, 20.0)
    assert [flight.started for flight in flights] == [10.0, 20.0, None]
    assert [task.key for task in flights.cancel_waiting()] == [key_of(3)]
    assert len(flights) == 2


def test_a_straggler_is_overtaken_and_not_counted_twice(tmp_path: Path) -> None:
    def script(workers: Scripted, call: int, job: int) -> None:
        if not (job == 5 and call == 6):
            workers.finish(call, job)

    workers = Scripted(2, script)
    outcome, watcher, stored = drive(tmp_path, workers, 6)
    assert len(stored) == 6
    assert outcome.stored == 6
    assert outcome.unsure  # the slow one may still run
    assert any("an idle worker starts it as well" in text for text in watcher.said)


def test_workers_that_only_die_are_given_up(tmp_path: Path) -> None:
    def script(workers: Scripted, call: int, job: int) -> None:
        workers.open[call].set_exception(BrokenProcessPool())

    with pytest.raises(WorkersLost, match="no block ended in between"):
        drive(tmp_path, Scripted(2, script), 40, attempts=100)


def test_pauses_double(tmp_path: Path) -> None:
    def script(workers: Scripted, call: int, job: int) -> None:
        workers.open[call].set_exception(OSError("flaky"))

    outcome, watcher, _ = drive(tmp_path, Scripted(1, script), 1, attempts=4)
    assert [text.rsplit("in ", 1)[1] for text in watcher.said[:3]] == ["0.01 s", "0.02 s", "0.04 s"]
    assert outcome.failed == {key_of(0): "OSError: flaky"}


def test_garbled_results_are_not_believed(tmp_path: Path) -> None:
    def script(workers: Scripted, call: int, job: int) -> None:
        good = product_of({"job": job}, seconds=1.0)
        workers.open.pop(call).set_result(Product(good.data if call > 1 else good.data + b"x", good.sha256, good.facts))

    _, watcher, stored = drive(tmp_path, Scripted(1, script), 2)
    assert "garbled" in watcher.said[0]
    assert len(stored) == 2


def test_the_agenda_gives_back_first_what_was_lost_and_keeps_suspects_apart() -> None:
    agenda = Agenda([key_of(index) for index in range(4)])
    first, second = agenda.take(0, quiet=True), agenda.take(0, quiet=False)
    assert first is not None
    assert second is not None
    second.marks = 2
    agenda.give_back([first, second])
    assert agenda.take(0, quiet=False) is None  # a suspect waits for quiet, and nobody passes it
    assert agenda.take(0, quiet=True) is second
    assert agenda.take(0, quiet=False) is first
    agenda.pause(first, 5.0)
    assert (agenda.soonest(), len(agenda)) == (5.0, 3)
    assert [task.key for _ in range(2) if (task := agenda.take(1, quiet=False))] == [key_of(2), key_of(3)]
    assert agenda.take(1, quiet=True) is None
    assert not agenda.exhausted
    assert agenda.take(6, quiet=True) is first
