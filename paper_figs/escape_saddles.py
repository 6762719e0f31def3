"""How SGD and its SDE models leave saddles: directions of exit in the plane and in many dimensions, and mean exits (study escape-saddles)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

LOOKS = {"falling direction": "GradientFlow", "theory for SGD": "GradientFlow"}


def draw(stored: Stored) -> Sheet:
    rose, angle, steps, side, line, ratio = (curves.drawn(LOOKS) for curves in stored.study("escape-saddles").table.values())
    seen = max(float(abs(series.x[series.y > 1e-3]).max()) for series in angle)
    return Sheet(
        (
            Panel("Directions, plane", "√share · cos φ", "√share · sin φ", rose, aspect="equal"),
            Panel("Angle, plane", "angle, degrees", "share a degree", angle, x_range=(-seen, seen)),
            Panel("Angle, d dimensions", "dimension d", "E sin² of the angle", side, log="xy"),
            Panel("Times, d dimensions", "dimension d", "mean exit, steps", steps, log="x"),
            Panel("Times, on the line", "step size η", "2μη · mean steps", line, log="x"),
            Panel("The same over SGD's", "step size η", "mean exit / SGD's", ratio, log="x", level=1.0),
        ),
        columns=3,
        height=1.8,
        caption="Exits from quadratic saddles, looked at t = kη. Top: where paths leave a disc (noise does not commute with H; bands 95 %), and how far from "
        "the falling direction they leave a ball. Bottom: mean steps with the logarithmic law; on the line against η at fixed μ, σ, R, and over SGD's"
        " exact mean (lines exact). HA-SME's law is SGD's; SME-1 is early, SME-2 late at large ημ.",
    )


FIGURE = Figure(title="How SGD and its SDE models leave saddles", draw=draw, studies=("escape-saddles",))
