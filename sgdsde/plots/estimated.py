"""Estimates as series: the value with its interval as a band or bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from sgdsde.plots.panel import Series
from sgdsde.types import Estimate


def estimated(name: str, label: str, x: Any, estimate: Estimate, *, kind: Literal["points", "band", "steps"] = "band", log: bool = False) -> Series:
    """An estimate of ``[len(x)]`` numbers over x, with its interval; on a logarithmic axis (``log``) a lower end below value/30 is drawn there."""
    value, low, high = (np.atleast_1d(np.asarray(part, dtype=float)) for part in (estimate.value, estimate.low, estimate.high))
    return Series(name, label, np.asarray(x, dtype=float), value, np.maximum(low, value / 30) if log else low, high, kind)


def joined(estimates: Sequence[Estimate]) -> Estimate:
    """Estimates of single numbers as one of an array; ``n`` is the smallest."""
    value, stderr, low, high = (np.array([getattr(part, end) for part in estimates], dtype=float) for end in ("value", "stderr", "low", "high"))
    return Estimate(value, stderr, min(part.n for part in estimates), low, high)
