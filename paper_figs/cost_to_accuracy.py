"""What it costs to know a weak error: the error of an estimate against path-steps for independent, coupled and controlled ensembles, and levels."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

STUDY = "cost-to-accuracy"
LOOKS = {"independent": "SGD", "coupled": "SME1", "controlled": "HASME", "multilevel": "SPF"}
MEANS = {"squared distance": "E|X − θ₀|² − E|θ − θ₀|²", "loss": "E f(X) − E f(θ)"}


def draw(stored: Stored) -> Sheet:
    study = stored.study(STUDY)
    panels = tuple(
        Panel(title, "path-steps", "error of the estimate", tuple(curve.series(LOOKS[label], label, kind="band") for label, curve in curves.items()), log="xy")
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
