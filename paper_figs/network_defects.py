"""Defect of HA-SME's diffusion matrix along SGD on a digits network, over the largest ηλ and the steps of training (study network-comparison)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel

#: one look for each row of the map, first to last
LOOKS = ("SME1", "SME2", "SPF", "HASME", "SME3", "SGD")


def draw(stored: Stored) -> Sheet:
    curves = stored.study("network-comparison").table["Defect of HA-SME's Q along SGD"]
    x, decades, mean = next(curve for curve in curves.values() if curve.kind == "image").grid()
    image = Image(x, decades, mean, "negative / positive mass", logarithmic=True, contours=(1e-4, 1e-3, 1e-2))
    rows = stored.study("network-comparison").table["Defect of HA-SME's Q after k steps"]
    series = tuple(curve.series(look, label) for look, (label, curve) in zip(LOOKS, rows.items(), strict=False))
    return Sheet(
        (
            Panel("Mean defect of Q", "largest ηλ", "log₁₀ steps of SGD", (), image=image),
            Panel("The same after k steps", "largest ηλ", "negative / positive mass", series, log="xy"),
        ),
        height=2.3,
        caption="Mean over paths of the negative over the positive mass in the spectrum of HA-SME's exact Q, at points that minibatch SGD visits from fresh "
        "nets; η is set to x/λmax of each point. It falls along training. Projection to the nearest positive matrix removes the negative part. Bands: 95 %.",
    )


FIGURE = Figure(title="Positivity of HA-SME's diffusion on a digits network", draw=draw, studies=("network-comparison",))
