"""Sharpness against generalisation: λmax and test accuracy against the learning rate by batch size, accuracy against λmax and tr(HΣ) (study generalisation)."""

from __future__ import annotations

import numpy as np

from sgdsde.figures import Curve, Figure, Sheet, Stored
from sgdsde.plots import Panel

LABELS = {"λmax": "λmax at the stop", "test accuracy, %": "test accuracy, %"}
#: a setting some of whose seeds did not train has a mean accuracy so uncertain (points, between the ends of its interval); it is told, not drawn
WIDEST = 3.0


def against_rate(stored: Stored, title: str, log: str) -> Panel:
    """A curve for each batch size, SGD without dropout and BatchNorm."""
    curves = stored.study("generalisation").table[title]
    if title != "λmax":
        curves = type(curves)({label: known(curve) for label, curve in curves.items()})
    series = tuple(curve.series(label, f"SGD, {label}", kind="band") for label, curve in curves.items())
    return Panel("", "learning rate η", LABELS[title], series, log=log)


def known(curve: Curve) -> Curve:
    """The points with an interval no wider than ``WIDEST``."""
    assert curve.low is not None
    assert curve.high is not None
    keep = curve.high - curve.low <= WIDEST
    return Curve(curve.x[keep], curve.y[keep], curve.low[keep], curve.high[keep], curve.kind)


def left_out(stored: Stored) -> str:
    """The settings that are not drawn, in words."""
    words = []
    for label, curve in stored.study("generalisation").table["test accuracy, %"].items():
        assert curve.low is not None
        assert curve.high is not None
        words += [f"{label} at η = {x:g}" for x in curve.x[np.asarray(curve.high - curve.low) > WIDEST]]
    return f" Accuracies known to less than {WIDEST:g} points are left out ({', '.join(words)}: some seeds did not train)." if words else ""


def against_accuracy(stored: Stored, measure: str) -> Panel:
    """A point for each setting, by kind of intervention; SGD in the look of its batch size."""
    curves = stored.study("generalisation").table[f"accuracy against {measure}"]
    series = tuple(known(curve).series(label.removeprefix("SGD, "), label) for label, curve in curves.items())
    return Panel("", measure, "test accuracy, %", series, log="x")


def draw(stored: Stored) -> Sheet:
    study = stored.study("generalisation").config
    return Sheet(
        (
            against_rate(stored, "λmax", "xy"),
            against_rate(stored, "test accuracy, %", "x"),
            against_accuracy(stored, "λmax"),
            against_accuracy(stored, "tr(HΣ)"),
        ),
        columns=2,
        height=2.1,
        caption=f"Networks on {study['data']} ({study['model']}, {study['samples']} samples) trained to 99 % training accuracy, {study['paths']} seeds a "
        "setting, 95 % intervals. Top: λmax of the loss in training mode on the first 1,000 samples, and test accuracy, against the learning rate. Bottom: a "
        "point for each setting; SAM, dropout and BatchNorm beside plain SGD." + left_out(stored),
    )


FIGURE = Figure(title="Sharpness and test accuracy over training settings", draw=draw, studies=("generalisation",))
