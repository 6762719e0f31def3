"""Defect of HA-SME's diffusion matrix along SGD on a digits network, over the largest ηλ and the steps of training (study network-comparison)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel, Series

#: one look for each row of the map, first to last
LOOKS = ("SME1", "SME2", "SPF", "HASME", "SME3", "SGD")


def draw(stored: Stored) -> Sheet:
    curves = stored.study("network-comparison").table["Defect of HA-SME's Q along SGD"]
    x, decades, mean = next(curve for curve in curves.values() if curve.kind == "image").grid()
    image = Image(x, decades, mean, "negative / positive mass", logarithmic=True, contours=(1e-4, 1e-3, 1e-2))
    series = tuple(Series(look, f"{10**decade:.0f}", x, row, kind="band") for look, decade, row in zip(LOOKS, decades, mean, strict=False))
    positive = mean[mean > 0]
    ends = (float(positive.min()) / 2, float(positive.max()) * 2)
    return Sheet(
        (
            Panel("Mean defect of Q", "largest ηλ", "log₁₀ steps of SGD", (), image=image),
            Panel("The same; in the legend: steps", "largest ηλ", "negative / positive mass", series, log="xy", y_range=ends),
        ),
        height=2.3,
        caption="Mean over paths of the negative over the positive mass in the spectrum of HA-SME's exact Q, at points that minibatch SGD visits from fresh "
        "nets; η is set to x/λmax of each point. It grows as x² and falls along training. Projection to the nearest positive matrix removes the negative part.",
    )


FIGURE = Figure(title="Positivity of HA-SME's diffusion on a digits network", draw=draw, studies=("network-comparison",))
