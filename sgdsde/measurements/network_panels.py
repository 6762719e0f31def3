"""What the network study shows: errors of models in percent of the surrogate's value, variances along eigenvectors, the map of HA-SME's defect."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sgdsde.measurements.network_study import COLUMNS, DEFECT_X, DENSE_MODELS
from sgdsde.plots import Image, Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.types import Estimate

NAMES = {"loss": "E loss", "squared distance": "E‖θ − θ₀‖²", "function distance": "function-space distance", "accuracy": "test accuracy"}
NAMES |= {"top": "variance in the top 2 directions", "tr Cov": "tr Cov θ"}
LAW = "noise law"
#: processes on random numbers of their own, by the name of their values
APART = {LAW: "SGD", "SVAG": "SVAG", "GD": "GD"}


def error(parts: Mapping[str, Any], model: str, column: str, save: int) -> Estimate:
    """Model − surrogate at one save in percent of the surrogate's value, on shared increments or, for the noise law, SVAG and GD, on independent ones."""
    index = COLUMNS.index(column)

    def entry(name: str) -> Estimate:
        e = parts[name].mean_estimate()
        value, stderr, low, high = (np.asarray(v)[save, index] for v in (e.value, e.stderr, e.low, e.high))
        return Estimate(value, stderr, e.n, low, high)

    base = float(entry("values surrogate").value)
    if model in APART:
        direct, twin = entry(f"values {APART[model]}"), entry("values surrogate")
        value, stderr = direct.value - twin.value, np.hypot(direct.stderr, twin.stderr)
    else:
        value, stderr = entry(f"error {model}").value, entry(f"error {model}").stderr
    scale = 100 / base if base else np.nan
    return Estimate.normal(scale * value, abs(scale) * stderr, entry("values surrogate").n)


def errors(
    title: str,
    x_label: str,
    x: Sequence[float],
    cells: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    column: str,
    *,
    saves: Sequence[int] = (),
    log: str = "",
) -> Panel:
    """A curve a model: the error in ``column`` of each cell, at its save (default: the last), over x."""
    at = saves or [-1] * len(cells)
    series = []
    for model in models:
        found = [error(parts, model, column, save) for parts, save in zip(cells, at, strict=True)]
        value, low, high = (np.array([getattr(e, part) for e in found], dtype=float) for part in ("value", "low", "high"))
        series.append(Series("SGD" if model == LAW else model, written(model), np.array(x, dtype=float), value, low, high, "band"))
    return Panel(title, x_label, "error, % of SGD's", tuple(series), log=log, level=0.0)


def along(title: str, parts: Mapping[str, Any], models: Sequence[str]) -> Panel:
    """Variance along the Hessian's eigenvectors at the start over the surrogate's."""
    base = parts["along surrogate"].variance_estimate()
    rank = np.arange(1, len(np.atleast_1d(base.value)) + 1, dtype=float)
    series = []
    for model in models:
        change = parts[f"spread {model}"].mean_estimate()
        ratio, half = 1 + change.value / base.value, 1.96 * change.stderr / base.value
        series.append(Series(model, written(model), rank, ratio, ratio - half, ratio + half, "band"))
    direct = parts["along SGD"].variance_estimate()
    ratio = direct.value / base.value
    half = 1.96 * ratio * np.hypot(direct.stderr / direct.value, base.stderr / base.value)
    series.append(Series("SGD", written("SGD"), rank, ratio, ratio - half, ratio + half, "band"))
    return Panel(title, "eigenvector, largest λ first", "over surrogate's", tuple(series), level=1.0)


def defects(found: Estimate, marks: Sequence[int]) -> list[Panel]:
    """The mean defect ``[marks, x]`` as a map and as curves."""
    mean = np.asarray(found.value)
    image = Image(np.array(DEFECT_X), np.log10(marks), np.where(mean > 0, mean, np.nan), "mean defect", logarithmic=True)
    low = np.maximum(np.asarray(found.low), mean / 10)  # the axis is logarithmic
    high, looks = np.asarray(found.high), itertools.cycle(DENSE_MODELS[1:])
    series = tuple(
        Series(look, f"k = {k}", np.array(DEFECT_X), mean[i], low[i], high[i], "band") for i, (k, look) in enumerate(zip(marks, looks, strict=False))
    )
    return [
        Panel("Defect of HA-SME's Q along SGD", "largest ηλ", "log₁₀ steps of SGD", (), image=image),
        Panel("Defect of HA-SME's Q after k steps", "largest ηλ", "negative / positive mass", series, log="xy"),
    ]


def written(model: str) -> str:
    """A process as it is written in a figure."""
    return "minibatch SGD" if model == "SGD" else WRITTEN.get(model, model)
