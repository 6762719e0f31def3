"""What a figure is: a title, the claims and studies whose stored results it reads, and a pure function from these to panels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sgdsde.figures.stored import Stored
from sgdsde.plots.panel import Panel

Width = Literal["neurips", "icml", "jmlr"]
#: text widths in inches: of a figure with one panel, of a figure with more (ICML sets one panel into a column)
WIDTHS: dict[str, tuple[float, float]] = {"neurips": (5.5, 5.5), "icml": (3.25, 6.75), "jmlr": (6.0, 6.0)}
#: height of a panel over its width, where the sheet does not say
_RATIO = 0.8
_ONE_PANEL = 0.55
#: a narrow figure keeps this much of its height
_LEAST = 0.8


@dataclass(frozen=True)
class Sheet:
    """What a figure draws: panels in rows of ``columns``; the caption as plain text; ``height`` of a row in inches where the text is 5.5 wide (it grows with
    the width; None: in proportion to a panel).
    """

    panels: tuple[Panel, ...]
    columns: int = 2
    caption: str = ""
    height: float | None = None

    def size(self, width: Width) -> tuple[float, float]:
        """(width of the figure, height of a row) in inches."""
        columns = min(self.columns, len(self.panels))
        wide = WIDTHS[width][0 if len(self.panels) == 1 else 1]
        if self.height is None:
            return wide, wide / columns * (_RATIO if columns > 1 else _ONE_PANEL)
        return wide, self.height * max(_LEAST, wide / WIDTHS["neurips"][0])


@dataclass(frozen=True)
class Figure:
    """One figure. ``draw`` reads from what is stored and returns the sheet; ``claims`` and ``studies`` name what must have been run.

    ``studies`` run at their quick profile where ``sgdsde figures`` has to make them.
    """

    title: str
    draw: Callable[[Stored], Sheet]
    claims: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()
