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

#: the same at the size of a printed page: letters of 7 to 8 points beside a text of 10
PRINT: dict[Any, Any] = RC | {
    "font.size": 7.0,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 7.0,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "grid.linewidth": 0.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "errorbar.capsize": 1.5,
    "savefig.dpi": 300,
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
    "SME3": Look("#56718a", (0, (8, 1.5)), "*"),
    "HASME3": Look("#5b1f8c", (0, (4, 1)), "h"),
    "PrincipalFlow": Look("#4d4d4d", (0, (2, 2)), "+"),
    "EvenStepHASME": Look("#c2255c", (0, (5, 1, 1, 1)), "<"),
    "SVAG": Look("#6b4a2b", (0, (2, 1)), ">"),
}

#: how models are written in legends
WRITTEN = {
    "GradientFlow": "gradient flow",
    "PrincipalFlow": "principal flow",
    "SME1": "SME-1",
    "SME2": "SME-2",
    "SME3": "SME-3",
    "HASME": "HA-SME",
    "HASME3": "HA-SME-3",
    "HASMEProduct": "HA-SME, product",
    "EvenStepHASME": "even-step HA-SME",
}

_CYCLE = ("#0072b2", "#d55e00", "#008a63", "#a3338f", "#8a6d00", "#2f7fb5", "#000000")
_LINES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (3, 1, 1, 1)), (0, (6, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "x")


def look_of(name: str, index: int) -> Look:
    """A model's look, or the ``index``-th of the cycle."""
    if name in LOOKS:
        return LOOKS[name]
    return Look(_CYCLE[index % len(_CYCLE)], _LINES[index % len(_LINES)], _MARKERS[index % len(_MARKERS)])


def model_of(text: str) -> str:
    """The name of a model in the package from how it is written in a table or legend (HA-SME → HASME); other text as it is."""
    return {written: name for name, written in WRITTEN.items()}.get(text, text)
