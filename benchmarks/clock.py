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
#: seconds: imports, compilation and first pages cost less than a tenth of this
WARM = 1.0


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
    """Median seconds of one call of each over ``repeats`` rounds, after one call that warms up, which counts where it lasted longer than a warm-up can cost.

    Short pieces are called until they last ``shortest`` seconds.
    """
    first = {name: seconds(function, device=device, clock=clock) for name, function in work.items()}
    found = {name: [spent] if spent > WARM else [] for name, spent in first.items()}
    calls = {name: max(1, min(1000, int(shortest / max(spent, 1e-6)))) for name, spent in first.items()}
    for _ in range(repeats):
        for name, function in work.items():
            if len(found[name]) == repeats:
                continue

            def several(function: Work = function, count: int = calls[name]) -> None:
                for _ in range(count):
                    function()

            found[name].append(seconds(several, device=device, clock=clock) / calls[name])
    return {name: statistics.median(values) for name, values in found.items()}


def median(work: Work, *, repeats: int = 3, shortest: float = 0.03, device: str = "cpu") -> float:
    """Median seconds of one call."""
    return in_turn({"it": work}, repeats=repeats, shortest=shortest, device=device)["it"]
