"""Ticks of logarithmic axes that do not run into each other: as many plain numbers as the length of the axis has room for, else powers of ten."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

#: numbers between powers of ten that may have a label, from dense to sparse
_CANDIDATES = ((1, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
#: plain numbers stand between these, below this many decades
_SMALLEST, _LARGEST, _DECADES = 1e-4, 1e4, 2.2
#: below this many decades an axis is linear to the eye
_LINEAR = 0.3


def set_log_ticks(axis: Any, low: float, high: float, *, room: float) -> None:
    """Locator and formatter for a logarithmic axis (``axes.xaxis`` or ``axes.yaxis``) that shows [low, high] and holds ``room`` labels side by side."""
    from matplotlib.ticker import FuncFormatter, LogFormatterSciNotation, LogLocator, MaxNLocator, NullFormatter, NullLocator

    decades = math.log10(high / low)
    if decades < _DECADES and low >= _SMALLEST and high <= _LARGEST:
        subs = next((subs for subs in _CANDIDATES if _fits(subs, low, high, room)), None)
        if subs is None or decades < _LINEAR:
            axis.set_major_locator(MaxNLocator(max(2, min(4, int(room) - 1))))
            axis.set_minor_locator(NullLocator())
        else:
            axis.set_major_locator(LogLocator(base=10.0, subs=subs, numticks=50))
            axis.set_minor_locator(LogLocator(base=10.0, subs=range(1, 10), numticks=100))
        axis.set_major_formatter(FuncFormatter(_number))
        axis.set_minor_formatter(NullFormatter())
        return
    every = max(1, math.ceil(decades / max(2.0, room)))
    axis.set_major_locator(LogLocator(base=10.0**every, numticks=50))
    axis.set_minor_locator(LogLocator(base=10.0, subs=range(1, 10) if every == 1 else (1.0,), numticks=200))
    axis.set_major_formatter(LogFormatterSciNotation())
    axis.set_minor_formatter(NullFormatter())


def _fits(subs: tuple[int, ...], low: float, high: float, room: float) -> bool:
    """Whether at least two of these stand on the axis, all of them at least 1/room of it apart."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [math.log10(sub) + power for power in powers for sub in subs]
    shown = [mark for mark in marks if math.log10(low) <= mark <= math.log10(high)]
    gaps = [right - left for left, right in pairwise(shown)]
    return len(shown) >= 2 and min(gaps) >= math.log10(high / low) / room


def _number(value: float, position: int | None = None) -> str:
    return f"{value:.4g}".replace("-", "−")
