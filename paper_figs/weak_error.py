"""Weak error against η with local slopes: exact on a line and on a torus for all models, coupled paths in a double well (claim A6, study weak-error)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Curve, Figure, Sheet, Stored
from sgdsde.plots import Panel, Series, model_of

MODELS = ("gradient flow", "SME-1", "SME-2", "SPF", "HA-SME", "SME-3", "HA-SME-3")
SPOKEN = {"gradient flow": "GradientFlow"}


def line(stored: Stored) -> dict[str, Curve]:
    """Errors of E x over all ladders of step sizes but the drawn problem's."""
    ladders = [curves for title, curves in stored.table("weak-orders-on-the-line").items() if "drawn" not in title]
    merged = {}
    for name in MODELS:
        points = {eta: error for curves in ladders for eta, error in zip(curves[name].x, curves[name].y, strict=True)}
        merged[name] = Curve(np.array(sorted(points)), np.array([points[eta] for eta in sorted(points)]), kind="band")
    return merged


def torus(stored: Stored) -> dict[str, Curve]:
    """Errors of E sin x₁ on the torus, where H and Σ do not commute."""
    curves = stored.table("weak-orders-on-the-torus").first
    return {name: curves[name].ascending() for name in MODELS}


def well(stored: Stored) -> dict[str, Curve]:
    """Monte-Carlo errors of E θ² in the double well, with 95 % intervals."""
    curves = stored.study("weak-error").table["|error of E theta squared|"]
    spoken = {"SME1": "SME-1", "SME2": "SME-2", "HASME": "HA-SME", "SME3": "SME-3", "HASME3": "HA-SME-3"}
    return {spoken.get(name, name): curve.ascending() for name, curve in curves.items()}


def errors(title: str, curves: dict[str, Curve]) -> Panel:
    series = [curve.series(SPOKEN.get(name, model_of(name)), name, kind="band") for name, curve in curves.items()]
    return Panel(title, "step size η", "|weak error|", tuple(series), log="xy")


def slopes(curves: dict[str, Curve]) -> Panel:
    """d log error / d log η between neighbouring step sizes, at their geometric mean, with the interval that the errors' own leave."""
    series = []
    for name, curve in curves.items():
        step = np.diff(np.log(curve.x))
        slope = np.diff(np.log(curve.y)) / step
        low = high = None
        if curve.low is not None and curve.high is not None:
            half = np.log(curve.high / curve.y)
            width = np.hypot(half[1:], half[:-1]) / step
            low, high = slope - width, slope + width
        series.append(Series(SPOKEN.get(name, model_of(name)), name, np.sqrt(curve.x[1:] * curve.x[:-1]), slope, low, high, "band"))
    return Panel("", "step size η", "local slope", tuple(series), log="x", y_range=(0.6, 3.4))


def draw(stored: Stored) -> Sheet:
    config = stored.study("weak-error").config
    columns = {"Line, φ = x": line(stored), "Torus, φ = sin x₁": torus(stored), "Double well, φ = θ²": well(stored)}
    return Sheet(
        (*(errors(title, curves) for title, curves in columns.items()), *map(slopes, columns.values())),
        columns=3,
        height=1.75,
        caption="Top: |E φ(X_T) − E φ(θ_{T/η})| against the step size at fixed noise; bottom: local slopes between neighbouring step sizes. Left and middle: "
        "exact (deterministic oracles), f = θ²/2 + 0.6 cos θ, and a 2-D torus on which H and Σ do not commute. Right: coupled paths in "
        f"f = θ⁴/4 − θ²/2 from θ₀ = {config['start']:g} to T = {config['horizon']:g}, σ = {config['sigma']:g}, bands are 95 % intervals.",
    )


FIGURE = Figure(title="Weak error against the step size", draw=draw, claims=("A6",), studies=("weak-error",))
