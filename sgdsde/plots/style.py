"""The one matplotlib style: a colour-blind cycle (after Okabe and Ito, darkened to 3:1 contrast on white) with line styles and markers.

A model looks the same in every figure. Colour is never the only difference between two curves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: matplotlib settings of every figure; text stays text, identifiers in SVG files come from a fixed salt, no date is written
RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "errorbar.capsize": 2.5,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "sgdsde",
    "pdf.fonttype": 42,
    "axes.unicode_minus": True,
}


@dataclass(frozen=True)
class Look:
    """How a series is drawn."""

    color: str
    line: Any
    marker: str


#: processes that appear in more than one figure
LOOKS: dict[str, Look] = {
    "SGD": Look("#000000", "-", "o"),
    "GradientFlow": Look("#7a7a7a", (0, (1, 1)), "x"),
    "SME1": Look("#0072b2", (0, (5, 2)), "s"),
    "SME2": Look("#d55e00", (0, (3, 1, 1, 1)), "^"),
    "SPF": Look("#008a63", (0, (1, 1.2)), "D"),
    "HASME": Look("#a3338f", "-", "v"),
    "HASMEProduct": Look("#8a6d00", (0, (6, 1, 1, 1, 1, 1)), "P"),
}

_CYCLE = ("#0072b2", "#d55e00", "#008a63", "#a3338f", "#8a6d00", "#2f7fb5", "#000000")
_LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (3, 1, 1, 1)), (0, (6, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "x")


def look_of(name: str, index: int) -> Look:
    """A model's look, or the ``index``-th of the cycle."""
    if name in LOOKS:
        return LOOKS[name]
    return Look(_CYCLE[index % len(_CYCLE)], _LINES[index % len(_LINES)], _MARKERS[index % len(_MARKERS)])
