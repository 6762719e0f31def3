"""Time of pieces of work, taken in turn so that drift of the machine cancels.

On the CPU the time is the process's own (all its threads), so that what other programs take does not count; work on several workers is timed by the wall.
On a CUDA device it is the wall's, and a piece ends when the device is done.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

Work = Callable[[], object]
Clock = Callable[[], float]


def seconds(work: Work, *, device: str = "cpu", clock: Clock | None = None) -> float:
    """Seconds of one call."""
    clock = clock or (time.process_time if device == "cpu" else time.perf_counter)
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def in_turn(work: dict[str, Work], *, repeats: int, shortest: float = 0.03, device: str = "cpu", clock: Clock | None = None) -> dict[str, float]:
    """Median seconds of one call of each: one round that warms up, then ``repeats`` rounds; short ones are called until they last ``shortest`` seconds."""
    found: dict[str, list[float]] = {name: [] for name in work}
    calls = {name: max(1, min(1000, int(shortest / max(seconds(function, device=device, clock=clock), 1e-6)))) for name, function in work.items()}
    for _ in range(repeats):
        for name, function in work.items():

            def several(function: Work = function, count: int = calls[name]) -> None:
                for _ in range(count):
                    function()

            found[name].append(seconds(several, device=device, clock=clock) / calls[name])
    return {name: statistics.median(values) for name, values in found.items()}


def median(work: Work, *, repeats: int = 3, shortest: float = 0.03, device: str = "cpu") -> float:
    """Median seconds of one call."""
    return in_turn({"it": work}, repeats=repeats, shortest=shortest, device=device)["it"]
