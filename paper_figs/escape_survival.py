"""Survival curves of SGD and its SDE models at a minimum, a saddle and a barrier, and their differences to SGD's exact curve (study escape-survival)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel


def draw(stored: Stored) -> Sheet:
    study = stored.study("escape-survival")
    curves, gaps = [], []
    for title, panel in study.table.items():
        problem, _, less = title.partition(", less ")
        series = panel.drawn()
        if less:
            gaps.append(Panel("", "step k", "P(τ > k) − SGD's", series, level=0.0))
        else:
            curves.append(Panel(problem, "step k", "P(τ > k)", series, y_range=(0.0, 1.02)))
    return Sheet(
        (*curves, *gaps),
        columns=len(curves),
        height=1.8,
        caption="Paths still inside after k steps, looked at t = kη. Top: simulated curves with 95 % bands, points exact. Bottom: differences to SGD's exact "
        "curve, points simulated with 95 % bars, lines exact (Nyström's method for SGD, spectral elements for the models). Minimum and saddle: "
        f"quadratics, on which HA-SME's law is SGD's; in the double well it leaves too early. Simulated by {study.config['substeps']} "
        "Heun steps an iterate: few for HA-SME and HA-SME-3 in the well, where paths pass ηλ = 1.",
    )


FIGURE = Figure(title="Survival curves of SGD and its SDE models", draw=draw, studies=("escape-survival",))
