"""Rescaling of a trained ReLU network, and PAC-Bayes bounds with shaped posteriors on small networks on digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sgdsde.bounds import SHAPES, pac_bayes, shapes
from sgdsde.curvature import rescaling_test
from sgdsde.data import digits
from sgdsde.measurement import Measured, exactly
from sgdsde.objectives import Network
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.training import SGD, TrainAccuracy, train
from sgdsde.types import Estimate

COMPONENTS, RATE, BATCH = 20, 0.1, 16


def _trained(samples: int, hidden: Sequence[int], seeds: int, seed: int, *, shuffled: float = 0.0, most: int = 6000) -> tuple[Network, Tensor, Tensor, Tensor]:
    """ReLU networks on the leading principal components of digits, to 99 % training accuracy: objective, trained, starts, training accuracy.

    A share ``shuffled`` of the labels is drawn at random from all classes.
    """
    data = digits(components=COMPONENTS)
    order = torch.randperm(len(data), generator=stream(0, "digits split"))[:samples]
    data = replace(data, x=data.x[order] / data.x.std(), y=data.y[order])
    generator = stream(seed, "random labels")
    wrong = torch.randint(10, (samples,), generator=generator)
    labels = torch.where(torch.rand(samples, generator=generator) < shuffled, wrong, data.y)
    widths = (COMPONENTS, *hidden)
    layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    network = Network(nn.Sequential(*layers, nn.Linear(widths[-1], 10)), "cross_entropy", data.x, labels)
    start = network.initial(seeds, stream(seed, "starts")).double()
    run = train(network, start, optimiser=SGD(RATE), batch_size=BATCH, steps=most, seed=seed, stop=TrainAccuracy(share=0.99))
    outputs = network.outputs(run.final)
    return network, run.final, start, (outputs.argmax(2) == labels).double().mean(1)


def rescaled_measures(*, seed: int, level: float, alphas: Mapping[str, float], samples: int, hidden: Sequence[int]) -> Measured:
    """For each α: ``name/weighted``, ``name/largest``, ``name/distance``: ΣHⱼⱼ(wⱼ−w₀ⱼ)², λmax and ‖w−w₀‖² after the rescaling of two consecutive layers
    over their values before; exact up to rounding.
    """
    network, final, start, _ = _trained(samples, hidden, 1, seed)
    first, second = "0", "2"
    base = rescaling_test(network, final[0], start[0], first=first, second=second, alphas=[1.0])[0]
    estimates: dict[str, Estimate] = {}
    notes = []
    for name, alpha in alphas.items():
        found = rescaling_test(network, final[0], start[0], first=first, second=second, alphas=[alpha])[0]
        for what in ("weighted", "largest", "distance"):
            estimates[f"{name}/{what}"] = exactly(getattr(found, what) / getattr(base, what), 1e-9)
        notes.append(f"α = {alpha:g}: λmax {base.largest:.3g} → {found.largest:.3g}, ‖w−w₀‖² {base.distance:.3g} → {found.distance:.3g}")
    return Measured(estimates, notes=tuple(notes), conventions=f"ReLU MLP {COMPONENTS}-{'-'.join(map(str, hidden))}-10 on {samples} digits, float64")


def shaped_bounds(
    *, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], seeds: int, draws: int, names: Sequence[str] = SHAPES, most: int = 6000
) -> Measured:
    """For each setting (``samples``, ``hidden``, ``shuffled``): ``name/shape`` the mean bound over seeds, ``name/a − b`` the mean paired difference, each also
    with ``/before`` for the values before the sampling term; ``name/trained`` the share of seeds whose training accuracy reached 99 % within ``most`` steps.
    """
    estimates: dict[str, Estimate] = {}
    table: dict[str, dict[str, np.ndarray]] = {}
    notes = []
    for offset, (name, setting) in enumerate(settings.items()):
        shuffled = float(setting.get("shuffled", 0.0))
        network, final, start, accuracy = _trained(int(setting["samples"]), (int(setting["hidden"]),), seeds, seed, shuffled=shuffled, most=most)
        found = []
        for p in range(seeds):
            made = shapes(network, final[p], tuple(names))
            found.append(
                {shape: pac_bayes(network, final[p], start[p], made[shape], draws=draws, tuning_draws=5, seed=seed + 1000 * offset + p) for shape in names}
            )
        for kind, suffix in (("value", ""), ("before_sampling", "/before")):
            values = {shape: np.array([getattr(row[shape], kind) for row in found]) for shape in names}
            table[f"{name}{suffix}"] = values
            for a in names:
                estimates[f"{name}/{a}{suffix}"] = mean_estimate(values[a], level=level)
                for b in names:
                    if a != b:
                        estimates[f"{name}/{a} − {b}{suffix}"] = mean_estimate(values[a] - values[b], level=level)
        estimates[f"{name}/trained"] = exactly(float((accuracy >= 0.99).double().mean()), 0.0)
        means = ", ".join(f"{shape} {table[name][shape].mean():.3f} (before sampling {table[f'{name}/before'][shape].mean():.3f})" for shape in names)
        notes.append(f"{name}: {network.dim} parameters, training accuracy {float(accuracy.mean()):.3f}; {means}")
    listed = [name for name in settings if "drawn" not in name]
    for a, b in zip(listed[1:], listed[:-1], strict=True):
        for shape in names:
            estimates[f"{a} − {b}/{shape}"] = mean_estimate(table[a][shape] - table[b][shape], level=level)
    for name in settings:
        if "drawn" in name:
            for shape in names:
                estimates[f"{name} − {listed[0]}/{shape}"] = mean_estimate(table[name][shape] - table[listed[0]][shape], level=level)
    axis = "share of random labels" if any("shuffled" in setting for setting in settings.values()) else "samples n"
    x = np.array([float(settings[name].get("shuffled", settings[name]["samples"])) for name in listed])
    series = []
    for shape in names:
        parts = [estimates[f"{name}/{shape}"] for name in listed]
        value, low, high = (np.array([getattr(part, end) for part in parts], dtype=float) for end in ("value", "low", "high"))
        series.append(Series(shape, shape, x, value, low, high, "band"))
    conventions = (
        f"ReLU MLP with one hidden layer on {COMPONENTS} principal components of digits, float64; the bound holds with probability .95 over samples and the "
        f"{draws} draws; {seeds} seeds, one set of samples"
    )
    return Measured(estimates, panels=(Panel("PAC-Bayes bound", axis, "bound on the error", tuple(series)),), notes=tuple(notes), conventions=conventions)
