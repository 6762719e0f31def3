"""The figure at the top of the report: where the models part on quadratics, and what that means for SGD on real digits."""

from __future__ import annotations

from collections.abc import Mapping

from sgdsde.measurement import Finished
from sgdsde.plots.panel import Panel

#: the measurements whose first panel is shown, left to right, and what is said about it
SHOWN = {
    "stationary variance, simulated": "the stationary variance of each model on a quadratic, divided by that of SGD, against ηλ; lines are theory, points are "
    "simulated with their intervals.",
    "digits, coupled paths": "the error of each model of SGD in the spread tr Cov θ, on logistic regression of real digits, in percent of SGD's value, against "
    "the step size; coupled paths, bands are the ledger's intervals.",
}


def main_panels(finished: Mapping[str, Finished]) -> tuple[Panel, ...]:
    """The first panel of each shown measurement that has run."""
    return tuple(finished[name].measured.panels[0] for name in _ran(finished))  # type: ignore[union-attr]


def main_caption(finished: Mapping[str, Finished]) -> str:
    """What the figure shows; "" where there is none."""
    texts = [SHOWN[name] for name in _ran(finished)]
    if len(texts) == 1:
        return texts[0][0].upper() + texts[0][1:]
    return " ".join(f"{place}: {text}" for place, text in zip(("Left", "Right"), texts, strict=False))


def _ran(finished: Mapping[str, Finished]) -> list[str]:
    results = {name: finished[name].measured for name in SHOWN if name in finished}
    return [name for name, measured in results.items() if measured is not None and measured.panels]
