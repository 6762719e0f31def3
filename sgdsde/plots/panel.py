"""Panels of series and images: lines for theory, points with bars or lines with bands for what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sgdsde.plots.image import Image, draw_image
from sgdsde.plots.style import RC, Look, look_of
from sgdsde.plots.ticks import set_log_ticks


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers to draw. ``kind``: ``line`` (theory, exact), ``points`` (bars from low to high), ``band`` (line with a band between low and high),
    ``steps`` (a step function with its band: survival curves, counts).

    ``name`` chooses the look (a model's name); ``label`` stands in the legend, "" keeps it out.
    """

    name: str
    label: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    kind: Literal["line", "points", "band", "steps"] = "line"


@dataclass(frozen=True, eq=False)
class Panel:
    """One pair of axes.

    Attributes:
        series: what is drawn, first to last.
        log: names the logarithmic axes: "", "x", "y" or "xy".
        level: a thin line at that height.
        note: small text in the lower left corner.
        image: a field behind the series.
        x_range, y_range: the ends of the axes where the numbers should not choose them.
        x_ticks: names in place of the numbers 0, 1, … on the x axis.
        aspect: ``equal`` makes one unit of x as long as one of y.
        texts: small words in the picture, each centred at (x, y).
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log: str = ""
    level: float | None = None
    note: str = ""
    image: Image | None = None
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_ticks: tuple[str, ...] = ()
    aspect: Literal["auto", "equal"] = "auto"
    texts: tuple[tuple[float, float, str], ...] = ()


def panel_figure(panels: Sequence[Panel], *, columns: int = 2, width: float = 9.0, height: float = 3.6, style: dict[Any, Any] = RC) -> Any:
    """A ``matplotlib.figure.Figure`` with the panels side by side and one legend for all that share their labels.

    ``width`` of the figure and ``height`` of a row are in inches; ``style`` is :data:`sgdsde.plots.style.RC`, or ``PRINT`` at the size of a page.
    """
    import matplotlib
    from matplotlib.figure import Figure

    columns = max(1, min(columns, len(panels)))
    rows = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        handles: dict[str, Any] = {}
        wide = width / columns
        for axes, panel in zip(grid, panels, strict=False):
            _draw(axes, panel)
            axes.set_title(wrapped(panel.title, wide=0.8 * wide - 0.14, size=float(style["axes.titlesize"])))
            _set_ticks(axes, panel, wide=0.72 * wide, high=0.6 * height, size=float(style["font.size"]))
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        if handles:
            ncols = legend_columns(list(handles), width=width, size=float(style["legend.fontsize"]))
            figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=ncols)
    return figure


def legend_columns(labels: Sequence[str], *, width: float, size: float) -> int:
    """How many columns of a legend fit into ``width`` inches at ``size`` points; beside its label an entry takes 5 sizes for the line and gaps.

    Columns are filled from the top, each as wide as its widest label. Of all numbers with the fewest rows the smallest is taken.
    """
    widths = [5.0 * size / 72 + _length(label, size=size, weight="normal") for label in labels]

    def taken(columns: int) -> float:
        return sum(max(part) for part in np.array_split(np.asarray(widths), columns))

    fitting = next((columns for columns in range(len(labels), 1, -1) if taken(columns) <= width), 1)
    rows = math.ceil(len(labels) / fitting)
    return next(columns for columns in range(1, fitting + 1) if math.ceil(len(labels) / columns) == rows and (columns == fitting or taken(columns) <= width))


def wrapped(title: str, *, wide: float, size: float) -> str:
    """The title on lines of at most ``wide`` inches in bold letters of ``size`` points, broken between words."""
    lines: list[str] = []
    for word in title.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _length(longer, size=size, weight="bold") <= wide:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _length(text: str, *, size: float, weight: str) -> float:
    """Inches that a text takes in letters of ``size`` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family=RC["font.sans-serif"], weight=weight, size=size)
    return float(TextPath((0, 0), text, prop=font).get_extents().x1) / 72


def _set_ticks(axes: Any, panel: Panel, *, wide: float, high: float, size: float) -> None:
    """Ticks of logarithmic axes: a label takes about three and a half letters in width, two in height. Between whole numbers stand no others."""
    letter = size / 72
    for name, axis, ends, room in (("x", axes.xaxis, axes.get_xlim(), wide / (3.6 * letter)), ("y", axes.yaxis, axes.get_ylim(), high / (2 * letter))):
        if name in panel.log and min(ends) > 0:
            set_log_ticks(axis, min(ends), max(ends), room=room)
        elif _counts(panel, name):
            axis.get_major_locator().set_params(integer=True)


def _counts(panel: Panel, axis: str) -> bool:
    """Whether an axis with ticks of its own choice counts: whole numbers from one end to the other, more than one of them."""
    parts = [*panel.series, *([] if panel.image is None else [panel.image])]
    numbers = np.concatenate([getattr(part, axis) for part in parts]) if parts else np.zeros(0)
    whole = len(numbers) > 0 and bool(np.all(numbers == np.round(numbers)) and np.ptp(numbers) > 1)
    return whole and not (axis == "x" and panel.x_ticks)


def _draw(axes: Any, panel: Panel) -> None:
    if panel.level is not None:
        axes.axhline(panel.level, color="#555555", linewidth=0.8, zorder=1)
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
    if panel.image is not None:
        draw_image(axes, panel.image)
    for index, series in enumerate(panel.series):
        _draw_series(axes, series, look_of(series.name, index))
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    if panel.x_range is not None:
        axes.set_xlim(*panel.x_range)
    if panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    if panel.x_ticks:
        axes.set_xticks(range(len(panel.x_ticks)), panel.x_ticks)
    if panel.aspect == "equal":
        axes.set_aspect("equal")
    for x, y, text in panel.texts:
        axes.text(x, y, text, ha="center", va="center", fontsize="small", color="#1b1b1f")
    if panel.note:
        axes.text(0.02, 0.02, panel.note, transform=axes.transAxes, fontsize="small", color="#444444", va="bottom")


def _draw_series(axes: Any, series: Series, look: Look) -> None:
    label = series.label or "_nolegend_"
    bounded = series.low is not None and series.high is not None
    if series.kind == "points" or (series.kind == "band" and len(series.x) == 1):  # a band over one place has no width
        bars = None
        if series.low is not None and series.high is not None:
            bars = np.stack([np.maximum(series.y - series.low, 0), np.maximum(series.high - series.y, 0)])
        axes.errorbar(series.x, series.y, yerr=bars, color=look.color, linestyle="none", marker=look.marker, label=label)
        return
    step = "post" if series.kind == "steps" else None
    marker = look.marker if series.kind == "band" else ""
    axes.plot(series.x, series.y, color=look.color, linestyle=look.line, marker=marker, label=label, drawstyle="steps-post" if step else "default")
    if series.kind in ("band", "steps") and bounded:
        axes.fill_between(series.x, series.low, series.high, color=look.color, alpha=0.18, linewidth=0, step=step)
