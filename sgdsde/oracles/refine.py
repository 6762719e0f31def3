"""Refinement: solve on a ladder of ever finer discretisations until two rungs agree, and report their difference as the accuracy.

The difference of two rungs bounds the error of the coarser one; the finer one is returned. For methods that converge spectrally this is a
pessimistic estimate. Where no two rungs agree within the tolerance the oracle refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from sgdsde.types import OracleRefusal

Rung = TypeVar("Rung")


@dataclass(frozen=True)
class Expectations:
    """E φ for each test function and start point, ``[functions, starts]``, and the accuracy of each number."""

    value: Float[np.ndarray, "functions starts"]
    accuracy: Float[np.ndarray, "functions starts"]


@dataclass(frozen=True)
class Solution:
    """One rung's answer, and the size of each test function on the domain: rounding and domain errors are relative to it."""

    value: Float[np.ndarray, "functions starts"]
    scale: Float[np.ndarray, " functions"]


def refine(solve: Callable[[Rung], Solution], rungs: Iterable[Rung], *, tolerance: float, neglected: float = 0.0, what: str) -> Expectations:
    """Climb the ladder until |difference| ≤ tolerance·scale for every test function and start point.

    ``neglected`` is the probability that the discretisation leaves out by design; it is added to the accuracy, as is rounding.

    Raises:
        OracleRefusal: the ladder ends before that; the message names the best accuracy that was reached.
    """
    before: Solution | None = None
    best = np.inf
    for rung in rungs:
        now = solve(rung)
        if before is not None:
            difference = np.abs(now.value - before.value)
            relative = float(np.nan_to_num(difference / now.scale[:, None], nan=np.inf).max())
            if relative <= tolerance:
                return Expectations(now.value, difference + (neglected + 32 * np.finfo(float).eps) * now.scale[:, None])
            best = min(best, relative)
        before = now
    raise OracleRefusal(
        f"{what}: the finest two discretisations differ by {best:.1e} of the test functions' size; wanted {tolerance:.1e}. "
        "The problem has structure finer than the grid (a kink, a policy such as log='clip', very large slopes), or grows too fast; "
        "shorten the horizon, smooth the problem or pass a larger tolerance."
    )
