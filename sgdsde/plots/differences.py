"""Differences of several models to a reference over time, relative to the reference's value, with 95 % bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sgdsde.plots.panel import Panel, Series, panel_figure

_Z = 1.959963984540054


def difference_panels(times: np.ndarray, panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], *, x_label: str = "SDE time t = kη") -> Any:
    """One panel per observable; ``panels[observable][model]`` = (relative difference ``[T]``, its standard error ``[T]``)."""
    times = np.asarray(times, dtype=float)
    drawn = []
    for name, models in panels.items():
        series = []
        for model, (value, stderr) in models.items():
            centre, half = 100 * np.asarray(value, dtype=float), 100 * _Z * np.asarray(stderr, dtype=float)
            series.append(Series(model, model, times, centre, centre - half, centre + half, kind="points" if len(times) == 1 else "band"))
        drawn.append(Panel(name, x_label, "difference to SGD, %", tuple(series), level=0.0))
    return panel_figure(drawn, columns=min(3, len(drawn)), width=4.5 * min(3, max(1, len(drawn))))
