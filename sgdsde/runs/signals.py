"""Stopping in order: the first SIGTERM, SIGINT or SIGHUP asks for an end after the blocks in flight, the second ends at once.

Either way nothing that was stored is lost.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stop:
    """A request to stop. ``level`` 0: go on; 1: finish what runs; 2: end at once. ``why`` names the signal."""

    def __init__(self) -> None:
        self.level = 0
        self.why = ""

    def ask(self, why: str) -> None:
        """One level up."""
        self.level, self.why = min(2, self.level + 1), why


@contextmanager
def listening(stop: Stop) -> Iterator[Stop]:
    """Turn signals into requests while this runs (in the main thread; elsewhere signals are not ours). A signal that is ignored (nohup) stays so.

    Raises:
        KeyboardInterrupt: at the second signal, wherever the program stands.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        stop.ask(signal.Signals(number).name)
        if stop.level >= 2:
            raise KeyboardInterrupt
        with suppress(OSError):  # not print: a handler may interrupt a print
            os.write(2, f"\nsgdsde: {stop.why}: finishing what is under way; a second signal ends at once\n".encode())

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
