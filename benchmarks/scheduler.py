"""A plan for 10⁴ workers and 10¹² path-steps, tried on a simulated cluster: block sizes, manifest growth, stragglers, deaths, and how busy one driver is.

The simulation is of events: workers arrive as a batch queue starts them, differ in speed, some are slow, some die and come back; every result passes
the one driver, whose time a block is what ``benchmarks/blocks.py`` measures. Then the real driver is given 10⁴ slots at once, on a timer instead of a
cluster. ``python benchmarks/scheduler.py`` prints the tables and writes ``benchmarks/scheduler.md``.
"""

from __future__ import annotations

import heapq
import itertools
import math
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sgdsde.runs.driver import Driver
from sgdsde.runs.identity import processor
from sgdsde.runs.product import Product, product_of
from sgdsde.runs.study import key_of
from sgdsde.runs.workers import Workers
from sgdsde.store import BlockStore

WORKERS, STEPS, SEED = 10_000, 10**12, 7
DAY = 86_400.0


@dataclass(frozen=True)
class Cluster:
    """What the simulated cluster is like; times in seconds.

    ``arrive``: workers start evenly over this time; ``spread``: standard deviation of log speed; ``slow``: share of workers that are five times
    slower; ``mtbf``: mean time between deaths of a worker, which is noticed and replaced after ``back``; ``latency``: of a message; ``service``: the
    driver's time a block; ``straggler``: how many times its length a block must have run before an idle worker starts it as well.
    """

    workers: int = WORKERS
    arrive: float = 300.0
    spread: float = 0.1
    slow: float = 0.005
    mtbf: float = 3 * DAY
    back: float = 120.0
    latency: float = 0.05
    service: float = 1e-3
    straggler: float | None = 2.0


@dataclass
class Campaign:
    """Event-driven: blocks of ``length`` seconds on a worker of speed 1, until all are stored."""

    cluster: Cluster
    blocks: int
    length: float
    dice: random.Random
    now: float = 0.0
    busy_until: float = 0.0
    busy: float = 0.0
    worked: float = 0.0
    lost: int = 0
    doubled: int = 0
    queue: list[tuple[float, int, str, int, int]] = field(default_factory=list)

    def run(self) -> float:
        """Seconds until the last block is stored."""
        c, order = self.cluster, itertools.count()
        speed = [math.exp(self.dice.gauss(0, c.spread)) / (5 if self.dice.random() < c.slow else 1) for _ in range(c.workers)]
        fresh, again, done = iter(range(self.blocks)), list[int](), bytearray(self.blocks)
        running: dict[int, tuple[float, bool]] = {}  # block -> (since, already doubled)
        idle: list[int] = []
        stored = 0

        def put(at: float, what: str, worker: int, block: int) -> None:
            heapq.heappush(self.queue, (at, next(order), what, worker, block))

        def hand_out(worker: int) -> None:
            block = again.pop() if again else next(fresh, -1)
            if block < 0:
                idle.append(worker)
                return
            running[block] = (self.now, False)
            start(worker, block)

        def start(worker: int, block: int) -> None:
            seconds = self.length * math.exp(self.dice.gauss(0, 0.05)) / speed[worker]
            self.worked += seconds
            death = self.dice.expovariate(1 / c.mtbf)
            if death < seconds:
                put(self.now + death + c.back, "back", worker, block)
            else:
                put(self.now + 2 * c.latency + seconds, "result", worker, block)

        for worker in range(c.workers):
            put(c.arrive * worker / c.workers, "arrive", worker, -1)
        put(10.0, "look", -1, -1)
        while stored < self.blocks:
            self.now, _, what, worker, block = heapq.heappop(self.queue)
            if what == "result":
                self.busy_until = max(self.busy_until, self.now) + c.service
                self.busy += c.service
                put(self.busy_until, "stored", worker, block)
            elif what == "stored":
                stored += not done[block]
                done[block] = 1
                running.pop(block, None)
                hand_out(worker)
            elif what == "back":
                self.lost += 1
                if not done[block] and block in running:
                    again.append(block)
                    del running[block]
                hand_out(worker)
            elif what == "arrive":
                hand_out(worker)
            else:
                put(self.now + 5.0, "look", -1, -1)
                while again and idle:
                    hand_out(idle.pop())
                if c.straggler is not None and idle:
                    for late in [key for key, (since, twice) in running.items() if not twice and self.now - since > c.straggler * self.length]:
                        if idle:
                            running[late] = (running[late][0], True)
                            self.doubled += 1
                            start(idle.pop(), late)
        return self.now


def plan(rate: float, length: float, **changes: Any) -> str:
    """One row: a worker does ``rate`` path-steps a second, a block lasts ``length`` seconds."""
    cluster = Cluster(**changes)
    blocks = math.ceil(STEPS / (rate * length))
    campaign = Campaign(cluster, blocks, length, random.Random(SEED))
    wall = campaign.run()
    ideal = STEPS / rate / cluster.workers
    manifest = 230 * blocks / 1e6
    return (
        f"| {rate:.0e} | {length:,.0f} | {blocks:,} | {ideal / 3600:.2f} | {wall / 3600:.2f} | {100 * ideal / wall:.0f} % | {100 * campaign.busy / wall:.1f} % "
        f"| {manifest:.1f} | {campaign.lost} | {campaign.doubled} |"
    )


class Timer(Workers):
    """10⁴ slots in which blocks of random length 'run' on a clock: the real driver with a cluster's worth of blocks in its hands."""

    ahead, name = 0, "timer"

    def __init__(self, count: int, seconds: float) -> None:
        self.count, self.seconds, self.dice = count, seconds, random.Random(SEED)
        self._heap: list[tuple[float, int, Future[Any], Any]] = []
        self._order, self._changed, self._ended = itertools.count(), threading.Condition(), False
        threading.Thread(target=self._tick, daemon=True).start()

    def submit(self, function: Callable[[Any], Any], job: Any) -> Future[Any]:
        future: Future[Any] = Future()
        end = time.monotonic() + self.seconds * math.exp(self.dice.gauss(-0.02, 0.2))
        with self._changed:
            heapq.heappush(self._heap, (end, next(self._order), future, function(job)))
        return future

    def close(self, *, kill: bool = False) -> None:
        self._ended = True

    def _tick(self) -> None:
        while not self._ended:
            now, due = time.monotonic(), []
            with self._changed:
                while self._heap and self._heap[0][0] <= now:
                    due.append(heapq.heappop(self._heap))
            for _, _, future, product in due:
                future.set_result(product)
            time.sleep(0.005)


PRODUCT = product_of({}, seconds=1.0, device="cpu")


def nothing(job: Any) -> Product:
    return replace(PRODUCT)


def real_driver(seconds: float, rounds: int) -> tuple[float, float, float]:
    """Blocks a second that 10⁴ slots offer, that the real driver took, and its processor share."""
    count = WORKERS * rounds
    workers = Timer(WORKERS, seconds)
    with tempfile.TemporaryDirectory(dir=".") as folder, BlockStore(Path(folder), {}) as store:
        start, cpu = time.perf_counter(), time.process_time()
        outcome = Driver(nothing, int, store=store, workers=workers).run([key_of(index) for index in range(count)])
        wall, used = time.perf_counter() - start, time.process_time() - cpu
    workers.close()
    assert outcome.stored == count
    return WORKERS / seconds, count / wall, used / wall


def main() -> None:
    head = (
        "| path-steps/s a worker | block, s | blocks | ideal, h | wall, h | efficiency | driver busy | manifest, MB | blocks lost to deaths | started twice |"
    )
    rule = "|" + "---|" * 10
    rows = [plan(rate, length) for rate, length in ((1e6, 10), (1e5, 10), (1e5, 60), (1e5, 300), (1e4, 60), (1e4, 300), (1e4, 1800))]
    alone = [
        plan(1e4, 300, straggler=None),
        plan(1e4, 300, slow=0.05),
        plan(1e4, 300, mtbf=DAY / 4),
        plan(1e5, 10, service=5e-3),
        plan(1e4, 300, arrive=3600.0),
    ]
    labels = [
        "no block is started twice",
        "5 % of the workers are slow",
        "a worker dies every six hours",
        "a driver five times slower",
        "workers arrive over an hour",
    ]
    offered, taken, share = real_driver(10.0, 3)
    c = Cluster()
    lines = [
        "# 10⁴ workers, 10¹² path-steps: a plan, simulated",
        "",
        f"{c.workers:,} workers arrive over {c.arrive:.0f} s; log speed ± {c.spread}; {100 * c.slow} % of them five times slower; each dies every",
        f"{c.mtbf / DAY:.0f} days and is back after {c.back:.0f} s; messages take {1e3 * c.latency:.0f} ms; the driver takes {1e3 * c.service:.1f} ms a block",
        "(measured: benchmarks/blocks.md).",
        "",
        head,
        rule,
        *rows,
        "",
        "The same with one thing changed:",
        "",
        head.replace("| path", "| changed | path"),
        rule + "---|",
        *(f"| {label} {row}" for label, row in zip(labels, alone, strict=True)),
        "",
        "## The real driver with 10⁴ blocks in its hands",
        "",
        f"{WORKERS:,} slots on a timer, blocks of 10 s, {3 * WORKERS:,} blocks ({processor()}, {os.cpu_count()} cores):",
        f"the slots offer {offered:.0f} blocks a second in the steady state; the driver stored {taken:.0f} a second over the whole run,",
        f"start and end included, at {100 * share:.0f} % of one core.",
        "",
    ]
    text = "\n".join(lines)
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
