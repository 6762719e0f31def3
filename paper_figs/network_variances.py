"""Variance of SGD and its SDE models along the Hessian's eigenvectors, and tr Cov against time, on a digits network (study network-comparison)."""

from __future__ import annotations

from dataclasses import replace

from sgdsde.figures import Figure, Sheet, Stored
from sgdsde.figures.table import Panels
from sgdsde.plots import Panel, Series, model_of

STARTS = {"mid-training": "mid-training", "minimum": "a minimum"}
ALONG, TIME = ("SME-1", "SPF", "HA-SME"), ("SME-1", "SME-2", "SPF", "HA-SME", "SME-3", "HA-SME-3")


def chosen(curves: Panels, names: tuple[str, ...], sgd: str) -> tuple[Series, ...]:
    """The models named, and minibatch SGD under whatever label it was stored."""
    return (*(curves[name].series(model_of(name), name) for name in names if name in curves), curves[sgd].series("SGD", "minibatch SGD"))


def draw(stored: Stored) -> Sheet:
    study = stored.study("network-comparison")
    x, steps = max(study.config["x"]), max(study.config["saves"])
    along, time = [], []
    for start, title in STARTS.items():
        series = chosen(study.table[f"Variance along eigenvectors, x = {x:g}, from {start}"], ALONG, "minibatch SGD")
        count = len(series[0].x)
        ticks = tuple(str(rank) if rank % 3 == 1 else "" for rank in range(1, count + 1))
        series = tuple(replace(part, x=part.x - 1) for part in series)  # names of ticks stand at 0, 1, …
        along.append(Panel(f"Variances, {title}", "eigenvector, largest λ first", "over the surrogate's", series, level=1.0, x_ticks=ticks))
        series = chosen(study.table[f"tr Cov at x = {x:g}, from {start}"], TIME, "noise law")
        time.append(Panel(f"tr Cov in time, {title}", "steps", "error, %", series, log="x", level=0.0))
    return Sheet(
        (*along, *time),
        height=2.1,
        caption=f"At x = ηλmax = {x:g} with batches of one sample. Above: variance along the Hessian's eigenvectors after {steps} steps over that of the "
        "Gaussian surrogate; models on shared increments, minibatch SGD an ensemble of its own. Below: error in tr Cov against time; after one or two steps "
        "HA-SME overshoots, because its noise changes within a step and SGD's does not. Bands: 95 %.",
    )


FIGURE = Figure(title="Variances along the Hessian's eigenvectors", draw=draw, studies=("network-comparison",))
