"""The figure at the top of the report: where the models part on quadratics, and what that means for SGD on real digits."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsde.measurement import Finished
from sgdsde.plots.panel import Panel

#: the measurements whose first panel is shown, left to right
SHOWN = ("stationary variance, simulated", "digits, coupled paths")
CAPTION = (
    "Left: the stationary variance of each model on a quadratic, divided by that of SGD, against ηλ; lines are theory, points are simulated with "
    "their intervals. Right: the error of each model of SGD in the spread tr Cov θ, on logistic regression of real digits, in percent of SGD's value, "
    "against the step size; coupled paths, bands are the ledger's intervals."
)


def main_panels(finished: Mapping[str, Finished]) -> tuple[Panel, ...]:
    """The first panel of each shown measurement that has run."""
    found = [finished[name].measured for name in SHOWN if name in finished]
    return tuple(measured.panels[0] for measured in found if measured is not None and measured.panels)
