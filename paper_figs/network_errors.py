"""Errors of the SDE models of SGD on an 18-parameter digits network against ηλ, from four points of training (study network-comparison)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

STARTS = ("initialisation", "mid-training", "minimum", "edge of stability")
QUANTITIES = ("tr Cov θ", "E loss")
#: what is drawn as a model's look where the label is no model
LOOKS = {"noise law": "SGD"}


def draw(stored: Stored) -> Sheet:
    study = stored.study("network-comparison")
    steps = max(study.config["saves"])
    panels = []
    for start in STARTS:
        for quantity in QUANTITIES:
            curves = study.table[f"{quantity} after {steps} steps, from {start}"]
            label = "error in tr Cov, %" if quantity == "tr Cov θ" else "error in E loss, %"
            panels.append(Panel(f"From {start}", "x = ηλmax", label, curves.drawn(LOOKS), level=0.0))
    return Sheet(
        tuple(panels),
        height=1.75,
        caption=f"Error of each model against SGD's Gaussian surrogate after {steps} steps with batches of one sample, in percent of the surrogate's value, on "
        "shared Brownian increments; black: minibatch SGD itself minus the surrogate (independent ensembles), which no Gaussian model can follow. Bands: 95 %. "
        "In spread HA-SME and its product form err least among the models of order two; at a fresh net, near a saddle, they do not in E loss.",
    )


FIGURE = Figure(title="Errors of SDE models on a digits network", draw=draw, studies=("network-comparison",))
