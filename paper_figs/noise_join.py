"""The measured H and Σ of a network in the SDE models: stationary variances by eigendirection (claim C6-join)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

#: what the measurement calls the law of Σ = cH; it gets a look that no model has
PROPORTIONAL = "SGD if Σ = cH"


def draw(stored: Stored) -> Sheet:
    panels, over = [], []
    for title, curves in stored.table("spread-around-minima").items():
        series = curves.drawn({PROPORTIONAL: "GradientFlow", "SGD, minibatches": "SGD", "HA-SME, product": "HASMEProduct"})
        panels.append(Panel(f"ηλmax = {title.rsplit('= ', 1)[1]}", "eigenvalue λ of H", "stationary variance", series, log="xy"))
        ratio = curves["SGD, minibatches"].y / curves["HA-SME, product"].y
        over.append(f"{ratio.min():.2f} to {ratio.max():.2f} times HA-SME's")
    return Sheet(
        (panels[0], panels[-1]),
        caption="Stationary variance of SGD about minima on many draws of digits (18 parameters) along each eigenvector of H, medians. Points: real "
        "minibatches, with what 80 % of the minima have; lines: closed forms with the measured H and Σ, and with Σ = cH of the same trace, which is wrong "
        f"between directions. The minibatches' medians are {over[0]} on the left, {over[-1]} on the right.",
    )


FIGURE = Figure(title="What the measured noise predicts around a minimum", draw=draw, claims=("C6-join",))
