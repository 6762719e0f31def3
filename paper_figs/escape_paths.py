"""Paths of SGD and its SDE models off a planar saddle over the level lines of f, driven by one Brownian motion (study escape-paths)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel


def draw(stored: Stored) -> Sheet:
    panels = []
    for title, curves in stored.study("escape-paths").table.items():
        series = curves.drawn()
        if title.startswith("SGD and "):
            x, y, z = next(curve for curve in curves.values() if curve.kind == "image").grid()
            heights = tuple(float(h) for h in np.quantile(z, np.linspace(0.04, 0.96, 11)))
            image = Image(x, y, z, contours=heights, high=2 * float(np.quantile(z, 0.9)))
            panels.append(Panel(title, "θ₁", "θ₂", series, image=image, x_range=(x[0], x[-1]), y_range=(y[0], y[-1]), aspect="equal"))
        elif title.startswith("Paths"):
            panels.append(Panel("Paths", "step k", "rms distance / size", series, log="y"))
        else:
            panels.append(Panel("Laws", "step k", "E|θ|² / SGD's", series, level=1.0))
    return Sheet(
        tuple(panels),
        height=1.7,
        caption="A start on a planar saddle between two minima. Paths of SGD (black) and of a model on the same Brownian motion, at t = kη, with their ends; "
        "lines: levels of f. Below, over many paths with 95 % bands: root mean square distance between the two over SGD's root mean square size, and "
        "the model's E|θ|² over SGD's. After ten steps HA-SME's paths are the farthest from SGD's; its law is the nearest "
        "near the saddle and the farthest once the paths are in the wells.",
    )


FIGURE = Figure(title="Paths off a planar saddle", draw=draw, studies=("escape-paths",))
