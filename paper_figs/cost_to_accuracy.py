"""What it costs to know a weak error: the error of an estimate against path-steps for independent, coupled and controlled ensembles, and levels."""

from __future__ import annotations

from dataclasses import replace

from sgdsde.figures import Curve, Figure, Sheet, Stored
from sgdsde.plots import Panel, Series

STUDY = "cost-to-accuracy"
LOOKS = {"independent": "SGD", "coupled": "SME1", "controlled": "HASME", "multilevel": "SPF"}
MEANS = {"squared distance": "E|X − θ₀|² − E|θ − θ₀|²", "loss": "E f(X) − E f(θ)"}


def in_thousands(curve: Curve, label: str) -> Series:
    """Over thousands of path-steps, so that the axis has more than one label."""
    series = curve.series(LOOKS[label], label, kind="band")
    return replace(series, x=series.x / 1000)


def draw(stored: Stored) -> Sheet:
    study = stored.study(STUDY)
    panels = tuple(
        Panel(title, "thousand path-steps", "error of the estimate", tuple(in_thousands(curve, label) for label, curve in curves.items()), log="xy")
        for title, curves in study.table.items()
    )
    return Sheet(
        panels,
        caption=f"Root mean square error of an estimated {MEANS[study.config['observable']]} ({study.config['model']} against SGD, "
        f"{study.config['steps']} steps) against its cost. Controlled: coupled, with two martingales as control variates. "
        "Multilevel: levels of the integrator in their best shares. "
        "Double well: about the exact value; network of 18 parameters: about the mean of all groups. Bands: 95 % intervals "
        f"by fourth moments, of at least {study.config['paths'] // 256} estimates.",
    )


FIGURE = Figure(title="Cost of a weak error", draw=draw, studies=(STUDY,))
