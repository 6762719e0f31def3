"""Blocks in the hands of workers. A queue is first in, first out: the oldest ``count`` of them are taken to run, the others to wait in line.

A block's clock starts when it is taken to run, so that waiting in line is never mistaken for hanging.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from sgdsde.runs.agenda import Task
from sgdsde.runs.product import Product


@dataclass(eq=False)
class Flight:
    """One submission of a block. ``doubled``: a second one is under way, or this is it."""

    task: Task
    future: Future[Product]
    started: float | None = None
    doubled: bool = False


class Flights:
    """The submissions under way."""

    def __init__(self) -> None:
        self._by_future: dict[Future[Product], Flight] = {}
        self._line: deque[Flight] = deque()
        self._running: dict[Flight, None] = {}

    def __len__(self) -> int:
        return len(self._by_future)

    def __iter__(self) -> Iterator[Flight]:
        return iter(list(self._by_future.values()))

    def add(self, future: Future[Product], task: Task, *, doubled: bool = False) -> None:
        """A block was submitted."""
        flight = Flight(task, future, doubled=doubled)
        self._by_future[future] = flight
        self._line.append(flight)

    def find(self, future: Future[Product]) -> Flight | None:
        """The flight of a future; None where it was given up earlier."""
        return self._by_future.get(future)

    def remove(self, flight: Flight) -> None:
        """It came back, or is given up."""
        self._by_future.pop(flight.future, None)
        self._running.pop(flight, None)

    def clear(self) -> list[Flight]:
        """Give all of them up."""
        flights = list(self)
        self._by_future.clear()
        self._line.clear()
        self._running.clear()
        return flights

    def start_clocks(self, count: int, now: float) -> None:
        """Whoever is among the oldest ``count`` runs from now on."""
        while self._line and len(self._running) < count:
            flight = self._line.popleft()
            if flight.future in self._by_future:
                flight.started = now
                self._running[flight] = None

    def running(self) -> list[Flight]:
        """Those taken to run, oldest first."""
        return list(self._running)

    def cancel_waiting(self) -> list[Task]:
        """Call back what has not begun; returns it."""
        recalled = [flight for flight in self if flight.started is None and flight.future.cancel()]
        for flight in recalled:
            self.remove(flight)
        return [flight.task for flight in recalled]
