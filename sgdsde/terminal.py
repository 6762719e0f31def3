"""What a person sees while a command works: lines of at most 80 columns, one status line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from sgdsde.columns import WIDTH, fill, padded, screen, width_of

if TYPE_CHECKING:
    from sgdsde.measurement import Finished, Measurement

#: exit status: stopped before the end, the same command goes on (EX_TEMPFAIL of sysexits.h)
RESUME = 75


def say(text: str, *, stream: TextIO | None = None) -> None:
    """Wrapped, on standard error unless told otherwise."""
    print(fill(text, rest=""), file=stream or sys.stderr, flush=True)


class Progress:
    """One status line on a terminal, one plain line a measurement elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.live = stream, stream.isatty()
        self.width = screen() if self.live else WIDTH

    def begin(self, text: str) -> None:
        """What is about to run."""
        say(text, stream=self.stream)

    def __call__(self, measurement: Measurement, finished: Finished, done: int, total: int) -> None:
        mark = "failed " if finished.measured is None else ""
        line = _clip(f"[{done:>2}/{total}] {finished.seconds:5.1f} s  {mark}{measurement.name}", self.width)
        print("\r" + padded(line, self.width - 1) if self.live else line, end="" if self.live else "\n", file=self.stream, flush=True)

    def end(self) -> None:
        """Clear the status line."""
        if self.live:
            print("\r" + " " * (self.width - 1) + "\r", end="", file=self.stream, flush=True)


def _clip(line: str, width: int) -> str:
    while width_of(line) >= width:
        line = line[:-2] + "…"
    return line
