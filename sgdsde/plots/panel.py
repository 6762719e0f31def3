"""Panels of series: lines for theory, points with bars or lines with bands for what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sgdsde.plots.style import RC, Look, look_of


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers to draw. ``kind``: ``line`` (theory, exact), ``points`` (bars from low to high), ``band`` (line with a band between low and high).

    ``name`` chooses the look (a model's name); ``label`` stands in the legend, "" keeps it out.
    """

    name: str
    label: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    kind: Literal["line", "points", "band"] = "line"


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes. ``level`` draws a thin line at that height; ``log`` names the logarithmic axes: "", "x", "y" or "xy"."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log: str = ""
    level: float | None = None
    note: str = ""


def panel_figure(panels: Sequence[Panel], *, columns: int = 2, width: float = 9.0, height: float = 3.6) -> Any:
    """A ``matplotlib.figure.Figure`` with the panels side by side and one legend for all that share their labels."""
    import matplotlib
    from matplotlib.figure import Figure

    columns = max(1, min(columns, len(panels)))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(width, height * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        handles: dict[str, Any] = {}
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel)
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        if handles:
            figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(len(handles), max(1, int(width / 1.4))))
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    if panel.level is not None:
        axes.axhline(panel.level, color="#555555", linewidth=0.8, zorder=1)
    for index, series in enumerate(panel.series):
        _draw_series(axes, series, look_of(series.name, index))
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
    if panel.note:
        axes.text(0.02, 0.02, panel.note, transform=axes.transAxes, fontsize=8, color="#444444", va="bottom")


def _draw_series(axes: Any, series: Series, look: Look) -> None:
    label = series.label or "_nolegend_"
    if series.kind == "points":
        bars = None
        if series.low is not None and series.high is not None:
            bars = np.stack([np.maximum(series.y - series.low, 0), np.maximum(series.high - series.y, 0)])
        axes.errorbar(series.x, series.y, yerr=bars, color=look.color, linestyle="none", marker=look.marker, label=label)
        return
    marker = look.marker if series.kind == "band" else ""
    axes.plot(series.x, series.y, color=look.color, linestyle=look.line, marker=marker, label=label)
    if series.kind == "band" and series.low is not None and series.high is not None:
        axes.fill_between(series.x, series.low, series.high, color=look.color, alpha=0.18, linewidth=0)
