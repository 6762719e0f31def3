"""Outliers and bulk of the Hessian against the number of classes, the width and the batch size, at equal training loss.

Outliers are counted by a stated rule on G: cut at the largest ratio of neighbouring eigenvalues. "Near zero" means |λ| below 1e-3 of λmax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from sgdsde.curvature import RatioRule
from sgdsde.data import Data, blobs, digits
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.hessian_network import RATE, Dense, perceptron, start
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.training import SGD, LossBelow, train
from sgdsde.types import DomainError, Estimate, Status

NEAR_ZERO = 1e-3
#: eigenvalues that the figures show
SHOWN = 25
RULE = RatioRule()


def hessian_sizes(*, seed: int, level: float, runs: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, tuple[str, str]]) -> Measured:
    """For each run (``classes``, ``hidden``, ``batch`` (0: all), ``samples``, ``standardize``, ``loss``, ``start``; perhaps ``blobs``: their dimension,
    ``random labels``: the share redrawn, ``activation``): ``run/outliers``, ``run/λmax``, ``run/near zero``; for each ratio (a, b): ``name/λmax`` of b over a,
    ``name/outliers`` and ``name/near zero`` of b minus a.

    Raises:
        DomainError: a run does not reach its loss.
    """
    found: dict[str, dict[str, float]] = {}
    notes = []
    series = []
    for name, run in runs.items():
        network = perceptron(_data(run), run["hidden"], activation=run.get("activation", "relu"))
        batch = run["batch"] or network.n
        rule = LossBelow(level=run["loss"], every=10)
        trained = train(network, start(network, run["start"]), optimiser=SGD(RATE), batch_size=batch, steps=20_000, seed=run["start"], stop=rule)
        if int(trained.status[0]) != int(Status.EXITED):
            raise DomainError(f"{name}: the loss did not fall to {run['loss']} in 20,000 steps.")
        point = Dense(network, trained.final[0])
        values = torch.linalg.eigvalsh(point.H).flip(0)
        gauss = torch.linalg.eigvalsh(point.G).flip(0)
        split = RULE.split(gauss)
        found[name] = {
            "outliers": float(split.count),
            "λmax": float(values[0]),
            "near zero": float((values.abs() < NEAR_ZERO * values[0]).double().mean()),
        }
        series.append(Series(name, name, torch.arange(1.0, SHOWN + 1).numpy(), gauss[:SHOWN].clamp(min=1e-12).numpy(), kind="band"))
        notes.append(f"{name}: {network.dim} parameters, n = {network.n}, {int(trained.ended[0])} steps to loss {point.loss:.3g}; {split.rule}")
    estimates: dict[str, Estimate] = {f"{name}/{key}": exactly(value, 0.0) for name, row in found.items() for key, value in row.items()}
    for name, (a, b) in ratios.items():
        estimates[f"{name}/λmax"] = exactly(found[b]["λmax"] / found[a]["λmax"], 0.0)
        estimates[f"{name}/outliers"] = exactly(found[b]["outliers"] - found[a]["outliers"], 0.0)
        estimates[f"{name}/near zero"] = exactly(found[b]["near zero"] - found[a]["near zero"], 0.0)
    panel = Panel("Largest eigenvalues of G", "rank", "eigenvalue", tuple(series), log="y")
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions=f"digits, ReLU, cross-entropy, SGD η = {RATE} by epochs, float64, dense")


def _data(run: Mapping[str, Any]) -> Data:
    """The data of a run: digits, or Gaussian blobs; with some labels redrawn."""
    dim, classes = run.get("blobs", 0), run["classes"]
    found = blobs(run["start"], classes=classes, dim=dim, count=run["samples"]) if dim else digits(classes=classes, standardize=run["standardize"])
    data = found.take(min(run["samples"], len(found)))
    generator = stream(run["start"], "random labels")
    chosen = torch.rand(len(data), generator=generator) < run.get("random labels", 0.0)
    labels = torch.where(chosen, torch.randint(classes, (len(data),), generator=generator), data.y)
    return replace(data, y=labels, name=f"{data.name}, {int(chosen.sum())} labels redrawn")
