"""Full-batch gradient descent at the edge of stability: λmax·η/2 along late training, tanh network, mean squared error, digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.trained_digits import split
from sgdsde.objectives import Network
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.training import SGD, LambdaMax, train
from sgdsde.types import Estimate

HIDDEN = 20


def edge_of_stability(
    *, seed: int, level: float, settings: Mapping[str, Mapping[str, Any]], marks: Sequence[int], late: int, samples: int, seeds: int
) -> Measured:
    """For each setting (``rate``, ``batch``): ``name/late``, the mean over the last ``late`` marks and over seeds of λmax·η/2; ``name/start`` at the start;
    ``name/ok``, the share of seeds that did not diverge. λmax is over all training samples.
    """
    data, _ = split(samples)
    targets = torch.nn.functional.one_hot(data.y, 10).to(torch.float32)
    module = nn.Sequential(nn.Linear(64, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 10))
    objective = Network(module, "mse", data.x.to(torch.float32), targets)
    start = objective.initial(seeds, stream(seed, "starts"))
    estimates: dict[str, Estimate] = {}
    series = []
    for name, setting in settings.items():
        rate, batch = float(setting["rate"]), int(setting["batch"])
        record = {"λmax": LambdaMax(tolerance=3e-3)}
        run = train(objective, start, optimiser=SGD(rate), batch_size=batch, steps=marks[-1], seed=seed, record=record, at=marks)
        scaled = (run.recorded["λmax"].values * rate / 2).double().numpy()  # [times, seeds]
        estimates[f"{name}/late"] = mean_estimate(scaled[-late:].mean(0), level=level)
        estimates[f"{name}/start"] = mean_estimate(scaled[0], level=level)
        estimates[f"{name}/ok"] = exactly(float((~run.diverged()).double().mean()), 0.0)
        along = mean_estimate(scaled.T, level=level)
        series.append(Series(name, name, np.array(marks, dtype=float) * rate, along.value, along.low, along.high, "band"))
    panel = Panel("Sharpness along training", "time t = kη", "λmax·η/2", tuple(series), level=1.0, log="y")
    protocol = (
        f"MLP 64-{HIDDEN}-10 tanh, squared error averaged over outputs, {samples} digits, all samples for λmax, float32, {seeds} seeds, {marks[-1]} steps"
    )
    return Measured(estimates, panels=(panel,), conventions=protocol)
