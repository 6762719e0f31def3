"""A field on a plane as an image: a density, a matrix, a map. Colour maps keep their order in grey and for the colour-blind.

``categories`` draws numbers 0, 1, … as the regions of a map, with their borders as lines, so that colour is not the only difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

#: light to dark: text and lines in black stay legible on the light end, where most of a plane is
_MAPS = {"sequential": "YlGnBu", "reverse": "YlGnBu_r", "diverging": "PuOr"}
#: pale tints for maps whose regions carry their names
_TINTS = ("#cfe0f3", "#f9d9c4", "#cdebdd", "#ead3ea", "#f0e6b8", "#dcdcdc", "#bcd0d8", "#f7c8cf")


@dataclass(frozen=True, eq=False)
class Image:
    """z over x (columns) and y (rows): ``z[j, i]`` belongs to ``(x[i], y[j])``. NaN stays white.

    Attributes:
        label: what the colour bar says; "" draws none.
        kind: ``sequential`` (large is dark), ``reverse`` (small is dark), ``diverging`` (symmetric about zero) or ``categories`` (whole numbers
            that index ``names``).
        names: of the categories, written into their regions.
        contours: heights of contour lines.
        logarithmic: colours by log z (z > 0).
        low, high: the ends of the colour scale where several images share one.
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    label: str = ""
    kind: Literal["sequential", "reverse", "diverging", "categories"] = "sequential"
    names: tuple[str, ...] = ()
    contours: tuple[float, ...] = ()
    logarithmic: bool = False
    low: float | None = None
    high: float | None = None


def draw_image(axes: Any, image: Image) -> None:
    """Draw it on the axes, colour bar included."""
    if image.kind == "categories":
        _draw_categories(axes, image)
        return
    from matplotlib.colors import LogNorm, Normalize

    finite = image.z[np.isfinite(image.z)]
    low = float(finite.min()) if image.low is None else image.low
    high = float(finite.max()) if image.high is None else image.high
    if image.kind == "diverging":
        high = max(abs(low), abs(high))
        low = -high
    norm = LogNorm(low, high) if image.logarithmic else Normalize(low, high)
    mesh = axes.pcolormesh(image.x, image.y, image.z, cmap=_MAPS[image.kind], norm=norm, shading="nearest", rasterized=True)
    if image.contours:
        lines = axes.contour(image.x, image.y, image.z, levels=sorted(image.contours), colors="#1b1b1f", linewidths=0.6)
    axes.grid(False)
    if image.label:
        bar = axes.figure.colorbar(mesh, ax=axes, label=image.label, pad=0.02)
        bar.outline.set_linewidth(0.5)
        if image.contours:
            bar.add_lines(lines)


def _draw_categories(axes: Any, image: Image) -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap

    count = len(image.names)
    norm = BoundaryNorm(np.arange(count + 1) - 0.5, count)
    colors = ListedColormap([_TINTS[index % len(_TINTS)] for index in range(count)])
    axes.pcolormesh(image.x, image.y, image.z, cmap=colors, norm=norm, shading="nearest", rasterized=True)
    axes.grid(False)
    _draw_borders(axes, image)
    for index, name in enumerate(image.names):
        inside = (image.z == index).astype(float)
        if not inside.any():
            continue
        axes.text(*_middle(inside > 0, _edges(image.x), _edges(image.y)), name, ha="center", va="center", fontsize="small")


def _draw_borders(axes: Any, image: Image) -> None:
    """Lines along the edges of cells that differ, so that no border crosses a cell however coarse the grid is."""
    from matplotlib.collections import LineCollection

    x, y, z = _edges(image.x), _edges(image.y), image.z
    across = [((x[i + 1], y[j]), (x[i + 1], y[j + 1])) for j, i in np.argwhere(z[:, 1:] != z[:, :-1])]
    along = [((x[i], y[j + 1]), (x[i + 1], y[j + 1])) for j, i in np.argwhere(z[1:] != z[:-1])]
    axes.add_collection(LineCollection(across + along, colors="#1b1b1f", linewidths=0.8, capstyle="projecting"), autolim=False)


def _edges(centers: np.ndarray) -> np.ndarray:
    """Borders of the cells around ``centers``: halfway between neighbours, as ``pcolormesh`` puts them."""
    half = np.diff(centers) / 2
    return np.concatenate([centers[:1] - half[:1], centers[:-1] + half, centers[-1:] + half[-1:]])


def _middle(inside: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Where a region's name stands: in the row of its deepest cell, halfway along; inside even where the region is bent. ``x`` and ``y`` are the edges."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    row, column = (int(index) for index in np.unravel_index(int(np.argmax(depth)), depth.shape))
    outside = np.flatnonzero(~inside[row])
    left = int(outside[outside < column].max(initial=-1)) + 1
    right = int(outside[outside > column].min(initial=inside.shape[1]))
    return float(x[left] + x[right]) / 2, float(y[row] + y[row + 1]) / 2
