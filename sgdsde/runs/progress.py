"""Progress: a bar with rate and remaining time on a terminal, plain lines elsewhere, and ``metrics.jsonl`` in the run's folder in both cases.

Lines come at growing intervals (2 s, then up to one a minute), so that a log of a long run stays short. Metrics are for watching: they are not fsynced, and
nothing reads them to decide anything.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from sgdsde.columns import fill, screen
from sgdsde.runs.policy import Watcher
from sgdsde.runs.product import Product, peak_memory

_FIRST, _LONGEST = 2.0, 60.0


class Progress(Watcher):
    """Watches one run of ``total`` blocks of which ``done`` were there before; one block is ``unit`` paths, for the rate.

    ``seen`` collects what the manifest's session line tells: the workers' largest memory and their devices.
    """

    def __init__(
        self, label: str, *, total: int, done: int, metrics: Path | None, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.label, self.total, self.done, self.before = label, total, done, done
        self.stream, self.clock = stream or sys.stderr, clock
        self.live = self.stream.isatty()
        self.begun = self._last_metric = clock()
        self._interval, self._next_line = _FIRST, self.begun + _FIRST
        self._bar = (
            tqdm(total=total, initial=done, desc=label, unit="block", file=self.stream, smoothing=0.05, leave=False, ncols=screen() - 1) if self.live else None
        )
        self._metrics = -1 if metrics is None else _opened(metrics)
        self.memory, self.devices, self.seconds = 0, set[str](), 0.0

    def block(self, key: str, product: Product) -> None:
        self.done += 1
        self.seconds += float(product.facts.get("seconds", 0.0))
        self.memory = max(self.memory, int(product.facts.get("mib", 0)))
        self.devices.add(str(product.facts.get("device", "cpu")))
        if self._bar is not None:
            self._bar.update(1)

    def resume(self, done: int) -> None:
        """What was there before this driver began, once it is known."""
        self.done = self.before = done
        self.begun = self.clock()
        if self._bar is not None:
            self._bar.reset(self.total)
            self._bar.update(done)
            self._bar.initial = done

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(fill(f"sgdsde: {text}", rest=""), file=self.stream)
        else:
            print(fill(f"sgdsde: {text}", rest=""), file=self.stream, flush=True)
        self._metric({"said": text})

    def beat(self, running: int, waiting: int) -> None:
        now = self.clock()
        if now - self._last_metric >= 1.0:
            self._last_metric = now
            self._metric({"done": self.done, "total": self.total, "running": running, "waiting": waiting, "rate": self._rate(now), "left_s": self._left(now)})
        if self._bar is None and now >= self._next_line:
            self._interval = min(_LONGEST, 1.5 * self._interval)
            self._next_line = now + self._interval
            print(fill(self.line(now), rest="  "), file=self.stream, flush=True)

    def line(self, now: float) -> str:
        """The state in one line."""
        rate, left = self._rate(now), self._left(now)
        tail = f", {rate:.3g} blocks/s, {duration(left)} left" if left is not None else ""
        return f"{self.label}: {self.done}/{self.total} blocks{tail}"

    def close(self) -> None:
        """Clear the bar, close the metrics."""
        self._metric({"done": self.done, "total": self.total, "ended": True})
        if self._bar is not None:
            self._bar.close()
        if self._metrics >= 0:
            os.close(self._metrics)
            self._metrics = -1

    def session(self) -> dict[str, Any]:
        """What this driver did, for the manifest."""
        return {
            "blocks": self.done - self.before,
            "wall_s": round(self.clock() - self.begun, 3),
            "work_s": round(self.seconds, 3),
            "peak_mib": {"driver": peak_memory(), "worker": self.memory},
            "devices": sorted(self.devices),
        }

    def _rate(self, now: float) -> float:
        return round((self.done - self.before) / max(now - self.begun, 1e-9), 4)

    def _left(self, now: float) -> float | None:
        rate = self._rate(now)
        return round((self.total - self.done) / rate, 1) if rate > 0 else None

    def _metric(self, content: dict[str, Any]) -> None:
        if self._metrics < 0:
            return
        line = json.dumps({"time": round(time.time(), 3), "elapsed_s": round(self.clock() - self.begun, 3), **content}) + "\n"
        with suppress(OSError):  # a full disk stops the run at its next block, with words; a lost line of metrics must not
            os.write(self._metrics, line.encode())


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError:
        return -1


def duration(seconds: float | None) -> str:
    """Seconds in words."""
    if seconds is None:
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
