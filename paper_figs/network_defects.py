"""Defect of HA-SME's diffusion matrix along SGD on a digits network, over the largest ηλ and the steps of training (study network-comparison)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Image, Panel, Series


def draw(stored: Stored) -> Sheet:
    study = stored.study("network-comparison")
    marks = study.config["marks"]
    curves = study.table["Defect of HA-SME's Q along SGD"]
    x, rows, mean = next(curve for curve in curves.values() if curve.kind == "image").grid()
    image = Image(x, rows, mean, "negative / positive mass", logarithmic=True, contours=(1e-4, 1e-3, 1e-2))
    field = Panel("Mean defect", "largest ηλ", "row: steps of SGD " + ", ".join(str(mark) for mark in marks), (), image=image)
    series = tuple(
        Series(look, f"after {mark} steps", x, row) for look, mark, row in zip(("SME1", "SPF", "HASME", "SME2", "SME3", "SGD"), marks, mean, strict=False)
    )
    ends = np.concatenate([part.y for part in series])
    same = Panel("The same", "largest ηλ", "negative / positive mass", series, log="xy", y_range=(float(ends[ends > 0].min()) / 2, float(ends.max()) * 2))
    return Sheet(
        (field, same),
        height=2.3,
        caption="Mean over paths of the negative over the positive mass in the spectrum of HA-SME's exact Q, at points that minibatch SGD visits from fresh "
        "nets; η is set to x/λmax of each point. Projection to the nearest positive matrix removes the negative part.",
    )


FIGURE = Figure(title="Positivity of HA-SME's diffusion on a digits network", draw=draw, studies=("network-comparison",))
