"""A measured interval drawn against the region that it must lie in: coordinates of a small SVG, one per row of a claim."""

from __future__ import annotations

import math
from typing import Any

WIDTH, HEIGHT, MARGIN = 220.0, 26.0, 8.0
#: regions and intervals never get thinner than this
THINNEST = 2.0


def diagram_of(row: dict[str, Any]) -> dict[str, Any] | None:
    """Pixel positions of region, interval and value for a row of ``report.json``; None where nothing was measured.

    The axis is linear over everything that is finite, so a region far from the interval is drawn as far away as it is.
    """
    estimate, region = row["estimate"], row["region"]
    if estimate is None or any(estimate[name] is None for name in ("value", "low", "high")):
        return None
    finite = [value for value in (region["low"], region["high"], estimate["low"], estimate["high"]) if value is not None]
    low, high = min(finite), max(finite)
    span = high - low or max(abs(high), 1.0) * 1e-3
    pad = 0.12 * span
    left, right = low - pad, high + pad

    def x(value: float | None, default: float) -> float:
        if value is None:
            return default
        return MARGIN + (value - left) / (right - left) * (WIDTH - 2 * MARGIN)

    zone_left, zone_right = x(region["low"], 0.0), x(region["high"], WIDTH)
    bar_left, bar_right = x(estimate["low"], 0.0), x(estimate["high"], 0.0)
    zone_left, zone_right = _at_least(zone_left, zone_right)
    bar_left, bar_right = _at_least(bar_left, bar_right)
    numbers = {
        "zone_x": zone_left,
        "zone_width": zone_right - zone_left,
        "bar_left": bar_left,
        "bar_right": bar_right,
        "dot": x(estimate["value"], 0.0),
    }
    assert all(math.isfinite(value) for value in numbers.values())
    edges = [edge for edge, end in ((zone_left, region["low"]), (zone_right, region["high"])) if end is not None]
    return {name: round(value, 2) for name, value in numbers.items()} | {"edges": [round(edge, 2) for edge in edges], "width": WIDTH, "height": HEIGHT}


def _at_least(a: float, b: float) -> tuple[float, float]:
    if b - a >= THINNEST:
        return a, b
    middle = (a + b) / 2
    return middle - THINNEST / 2, middle + THINNEST / 2
