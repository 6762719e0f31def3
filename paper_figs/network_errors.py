"""Errors of the SDE models of SGD on an 18-parameter digits network against ηλ, from four points of training (study network-comparison)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel, model_of

STARTS = {"initialisation": "A fresh net", "mid-training": "Mid-training", "minimum": "A minimum", "edge of stability": "Edge of stability"}
QUANTITIES = {"tr Cov θ": "error in tr Cov, %", "E loss": "error in E loss, %"}
#: the product form lies on HA-SME
DRAWN = ("SME-1", "SME-2", "SPF", "HA-SME", "SME-3", "HA-SME-3")


def draw(stored: Stored) -> Sheet:
    study = stored.study("network-comparison")
    steps = max(study.config["saves"])
    panels = []
    for start, title in STARTS.items():
        for quantity, label in QUANTITIES.items():
            curves = study.table[f"{quantity} after {steps} steps, from {start}"]
            series = [curves[name].series(model_of(name), name) for name in DRAWN if name in curves]
            panels.append(Panel(title, "x = ηλmax", label, (*series, curves["noise law"].series("SGD", "minibatch SGD")), level=0.0))
    return Sheet(
        tuple(panels),
        height=1.75,
        caption=f"Error of each model against SGD's Gaussian surrogate after {steps} steps with batches of one sample, in percent of the surrogate's value, on "
        "shared Brownian increments; black: minibatch SGD itself minus the surrogate (independent ensembles), which no Gaussian model can follow. Bands: 95 %. "
        "HA-SME in product form lies on HA-SME and is not drawn.",
    )


FIGURE = Figure(title="Errors of SDE models on a digits network", draw=draw, studies=("network-comparison",))
