"""Densities of SGD and its SDE models on a planar minimum and saddle, side by side, with SGD's exact ellipses (study planar-densities)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel
from sgdsde.plots.style import WRITTEN


def draw(stored: Stored) -> Sheet:
    panels = []
    table = stored.study("planar-densities").table
    for number, (title, curves) in enumerate(table.items()):
        landscape, model = title.split(", ")
        x, y, z = curves["density"].grid()
        half = len(x) / (len(x) - 1) * x[-1]
        rings = tuple(ring.series("SGD", label if label.startswith("SGD,") else "") for label, ring in curves.items() if label != "density")
        first = number % (len(table) // 2) == 0
        panels.append(
            Panel(
                WRITTEN.get(model, model),
                "θ₁",
                f"{landscape}: θ₂" if first else "",
                rings,
                image=Image(x, y, z),
                x_range=(-half, half),
                y_range=(-half, half),
                aspect="equal",
            )
        )
    return Sheet(
        tuple(panels),
        columns=len(panels) // 2,
        height=1.6,
        caption="Densities at t = kη. Top: a minimum with ηλ = (0.9, 0.25), long after the start. Bottom: a saddle with ηλ = (0.6, −0.5), five steps after "
        "a start on it. Colour: histogram of simulated paths, one scale a panel; ellipses: SGD's exact law. Gaussian noise that does not commute with H; "
        "panels end at 4 and 3.5 of SGD's largest standard deviations, and paths beyond, most of them SME-1's at the saddle, are not drawn.",
    )


FIGURE = Figure(title="Densities on a planar minimum and saddle", draw=draw, studies=("planar-densities",))
