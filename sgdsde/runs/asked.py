"""Whether a block brings what it was asked for: as many samples in every reducer as the study says that so many paths make.

A path that diverged is a sample (NaN, counted as lost); a path that is missing is a biased result or a false number of paths, so it is refused where the
block ran, before anything is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sgdsde.runs.reducers import Histogram, Moments
from sgdsde.types import InputError


def refuse_other_counts(reducers: Mapping[str, Moments | Histogram], wanted: Mapping[str, Any], *, place: str, paths: int) -> None:
    """Refuse a block whose reducers hold other numbers of samples than ``wanted``; a histogram counts values, so it may hold a multiple.

    Raises:
        InputError: the block holds no reducer, one holds other numbers of samples, or ``wanted`` is no number.
    """
    if not reducers:
        raise InputError(f"{place}: came nothing for {_paths(paths)} asked for; wanted reducers by name.")
    for name, reducer in reducers.items():
        number = wanted[name]
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise InputError(f"{place}: Study.samples says {number!r} of {name!r}; wanted how many samples it must hold, an integer ≥ 1.")
        least, most = _samples(reducer)
        right = least == most and (most == number or (isinstance(reducer, Histogram) and most > 0 and most % number == 0))
        if not right:
            came = f"{least:,}" if least == most else f"{least:,} to {most:,}"
            more = "" if number == paths else f" (Study.samples wants {number:,} of this reducer)"
            raise InputError(
                f"{place}: {name!r} holds {came} samples, asked for were {_paths(paths)}{more}. Return every path, those that diverged as NaN; "
                "where a reducer counts something else, say how many in Study.samples."
            )


def _samples(reducer: Moments | Histogram) -> tuple[int, int]:
    """The least and the largest number of samples in an entry of a reducer, lost ones included."""
    if isinstance(reducer, Histogram):
        return reducer.total, reducer.total
    held = np.asarray(reducer.count) + np.asarray(reducer.lost)
    return (int(held.min()), int(held.max())) if held.size else (0, 0)


def _paths(count: int) -> str:
    return f"{count:,} path{'' if count == 1 else 's'}"
