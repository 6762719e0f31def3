"""Variance of SGD and its SDE models along the Hessian's eigenvectors, and tr Cov against time, on a digits network (study network-comparison)."""

from __future__ import annotations

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.plots import Panel

STARTS = ("mid-training", "minimum")
LOOKS = {"noise law": "SGD", "minibatch SGD": "SGD"}


def draw(stored: Stored) -> Sheet:
    study = stored.study("network-comparison")
    x, steps = max(study.config["x"]), max(study.config["saves"])
    along, time = [], []
    for start in STARTS:
        curves = study.table[f"Variance along eigenvectors, x = {x:g}, from {start}"]
        along.append(Panel(f"From {start}", "eigenvector, largest λ first", "variance / surrogate's", curves.drawn(LOOKS), level=1.0))
        curves = study.table[f"tr Cov at x = {x:g}, from {start}"]
        time.append(Panel(f"From {start}", "steps", "error in tr Cov, %", curves.drawn(LOOKS), log="x", level=0.0))
    return Sheet(
        (*along, *time),
        height=2.2,
        caption=f"At x = ηλmax = {x:g} with batches of one sample. Above: variance along the Hessian's eigenvectors after {steps} steps over that of the "
        "Gaussian surrogate; models on shared increments, minibatch SGD an ensemble of its own. Below: error in tr Cov against time; after one or two steps "
        "HA-SME overshoots, because its noise changes within a step and SGD's does not. Bands: 95 %.",
    )


FIGURE = Figure(title="Variances along the Hessian's eigenvectors", draw=draw, studies=("network-comparison",))
