"""The result of a run as a person reads it: a block for each quantity, a line for each cell, at most 80 columns.

    variance / SGD's (n = 32768)
      SGD x=0.1     1.0144 ± 0.0079  [0.9991, 1.0300]

Numbers have as many digits as their standard errors warrant: two digits of the error. Rows that are wider than a line become cards: the cell on a line of its
own, the numbers under it. Only the first :data:`MOST` lines are printed; all stand in ``result.json``, with all their digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sgdsde.columns import fill, table
from sgdsde.runs.study import Line
from sgdsde.types import Estimate

#: lines of a result that a terminal is given
MOST = 120


def printed(lines: Sequence[Line], *, most: int = MOST) -> str:
    """The table of a run."""
    if not lines:
        return "no lines"
    quantities: dict[str, list[Line]] = {}
    for line in lines[:most]:
        quantities.setdefault(line.quantity, []).append(line)
    rows = ["value ± standard error [95 % interval]"]
    for quantity, own in quantities.items():
        counts = {line.estimate.n for line in own}
        rows += ["", fill(quantity + (f" ({_samples(*counts)})" if len(counts) == 1 else ""), rest="    ")]
        rows += _rows(own, alone=len(counts) == 1)
    if len(lines) > most:
        rows += ["", f"… and {len(lines) - most} lines more: all {len(lines)} stand in result.json"]
    return "\n".join(rows)


def _rows(lines: Sequence[Line], *, alone: bool) -> list[str]:
    """Aligned columns where they fit, else cards; n in a column of its own where the cells differ in it (not ``alone``)."""
    cells = [(line.cell, *numbers(line.estimate), *(() if alone else (_samples(line.estimate.n),))) for line in lines]
    aligned = table(cells, right=[False, True, False, *([] if alone else [True])])
    if aligned is not None:
        return aligned
    cards = []
    for cell, *parts in cells:
        cards += [fill(cell, first="  ", rest="    "), fill(" ".join(part for part in parts if part), first="    ")]
    return cards


def numbers(estimate: Estimate) -> tuple[str, str]:
    """(value ± standard error, [interval]) with two digits of the standard error; the interval is empty where the value is exact.

    >>> numbers(Estimate.normal(1.014432, 0.00788, 32768))
    ('1.0144 ± 0.0079', '[0.9990, 1.0299]')
    >>> numbers(Estimate.exact(2.0))
    ('2 exact', '')
    """
    if np.ndim(estimate.value):
        return str(estimate), ""
    value, error = float(estimate.value), float(estimate.stderr)
    if not math.isfinite(value):
        return "undefined", ""
    if error == 0 and estimate.n == 0:
        return f"{value:.6g} exact", ""
    if error == 0 or not math.isfinite(error):
        return f"{value:.6g} ± {error:.2g}", f"[{estimate.low:.6g}, {estimate.high:.6g}]"
    # the power of ten is that of the value, unless the error is larger
    power = math.floor(math.log10(max(abs(value), error)))
    last = math.floor(math.log10(error)) - 1
    if -4 <= power < 6:
        places = max(0, -last)
        return f"{value:.{places}f} ± {error:.{places}f}", f"[{estimate.low:.{places}f}, {estimate.high:.{places}f}]"
    places, ten = max(0, power - last), 10.0**power
    low, high = (f"{bound / ten:.{places}f}" for bound in (estimate.low, estimate.high))
    return f"({value / ten:.{places}f} ± {error / ten:.{places}f})e{power}", f"[{low}, {high}]e{power}"


def _samples(n: int) -> str:
    return f"n = {n}" if n else "exact"
