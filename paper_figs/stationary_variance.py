"""Stationary variance of the models over SGD's against x = ηλ on a quadratic: theory, simulation, and the relative error (claim A5)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel, Series, model_of

MODELS = ("SME-1", "SME-2", "SPF", "HA-SME")


def ratios(stored: Stored) -> Panel:
    """V / V_SGD: exact lines, simulated points with the ledger's intervals."""
    curves = stored.table("stationary-variance-simulated").first
    series = [curves[name].series(model_of(name), name, kind="line") for name in MODELS]
    points = {label.removesuffix(" (points)"): curve for label, curve in curves.items() if curve.kind == "points"}
    series += [points[look].series(look, "SGD, simulated" if look == "SGD" else "") for look in ("SGD", *map(model_of, MODELS))]
    return Panel("Stationary variance", "x = ηλ", "variance / SGD's", tuple(series), level=1.0, y_range=(0.0, 1.15))


def errors(stored: Stored) -> Panel:
    """|V/V_SGD − 1| of the models that err; to first order in x it is x/2 for SME-1 and x for SME-2 and SPF."""
    curves = stored.table("stationary-variance-simulated").first
    series = []
    for name in MODELS[:-1]:
        curve = curves[name]
        x, y = curve.x[curve.x > 0], np.abs(curve.y[curve.x > 0] - 1)
        series.append(Series(model_of(name), name, x, y))
    return Panel("Relative error", "x = ηλ", "|variance / SGD's − 1|", tuple(series), log="xy")


def draw(stored: Stored) -> Sheet:
    return Sheet(
        (ratios(stored), errors(stored)),
        height=2.3,
        caption="Left: stationary variance of each model over that of SGD on a quadratic with Gaussian noise; lines are exact, points are simulated with the "
        "ledger's intervals. Right: the relative error; HA-SME's is zero. At small x SME-2 and SPF err twice as much as SME-1.",
    )


FIGURE = Figure(title="Stationary variance against ηλ", draw=draw, claims=("A5",))
