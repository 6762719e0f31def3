"""What a person sees while a command works: lines of at most 80 columns, one status line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from sgdsde.measurement import Finished, Measurement

WIDTH = 80
#: exit status: stopped before the end, the same command goes on (EX_TEMPFAIL of sysexits.h)
RESUME = 75


def say(text: str, *, stream: TextIO | None = None) -> None:
    """Wrapped, on standard error unless told otherwise."""
    print(textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False), file=stream or sys.stderr, flush=True)


class Progress:
    """One status line on a terminal, one plain line a measurement elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.live = stream, stream.isatty()

    def begin(self, text: str) -> None:
        """What is about to run."""
        print(_clip(text), file=self.stream, flush=True)

    def __call__(self, measurement: Measurement, finished: Finished, done: int, total: int) -> None:
        mark = "failed " if finished.measured is None else ""
        line = _clip(f"[{done:>2}/{total}] {finished.seconds:5.1f} s  {mark}{measurement.name}")
        print(f"\r{line:<{WIDTH - 1}}" if self.live else line, end="" if self.live else "\n", file=self.stream, flush=True)

    def end(self) -> None:
        """Clear the status line."""
        if self.live:
            print("\r" + " " * (WIDTH - 1) + "\r", end="", file=self.stream, flush=True)


def _clip(line: str) -> str:
    return line if len(line) < WIDTH else line[: WIDTH - 2] + "…"
