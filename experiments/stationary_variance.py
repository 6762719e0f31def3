"""Stationary variance of SGD and of its SDE models against x = ηλ, on a one-dimensional quadratic with Gaussian noise.

Exact ratios to SGD's ησ²/(λ(2−x)): SME-1 1−x/2, SME-2 (2−x)/(2+x), SPF x(2−x)/(2|log(1−x)|), HA-SME 1 (arXiv 2405.18373; ``sgdsde.oracles``). SDEs run by
stochastic Heun, whose own bias at 16 substeps is −0.55 % at x = 0.9. Every path starts at the minimum and runs for several relaxation times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.plots import Panel, Series
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, suggest

EXACT = ("SME1", "SME2", "SPF", "HASME", "HASMEProduct")
PROCESSES = ("SGD", *EXACT)


@dataclass(frozen=True)
class Config(StudyConfig):
    """λ, σ, the values of x, and how the SDEs are integrated."""

    x: tuple[float, ...] = option((0.1, 0.3, 0.5, 0.7, 0.9), "values of x = eta·lambda", above=0, high=0.99)
    models: tuple[str, ...] = option(("SGD", "SME1", "SME2", "SPF", "HASME"), "SGD and SDE models (sgdsde list models)")
    curvature: float = option(1.0, "lambda, the second derivative of the loss", above=0)
    sigma: float = option(1.0, "standard deviation of the gradient noise", above=0)
    substeps: int = option(16, "Heun steps a step of SGD", low=1, high=1000)
    relaxations: float = option(8.0, "horizon in relaxation times 1/x of the mean", above=0, high=1000)


class StationaryVariance(Study[Config]):
    """Variance at the end of long runs, one cell for each model and x."""

    title = "Stationary variance of SGD and its SDE models against x = ηλ"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 32_768, "block_paths": 16_384},
        "full": {},
        "paper": {"paths": 16_777_216, "block_paths": 262_144, "x": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), "substeps": 64},
    }

    def check(self, config: Config) -> None:
        for model in config.models:
            if model not in PROCESSES:
                raise InputError(f"models: {model!r} has no exact stationary variance here." + suggest(model, list(PROCESSES)))

    def cells(self, config: Config) -> Sequence[str]:
        return [_label(model, x) for model in config.models for x in config.x]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance", device=config.device, time="SDE time t = k·eta, eta = x/lambda")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        import torch

        model, x = _parts(cell)
        noise, eta = _noise(config), x / config.curvature
        kernel = sg.kernels.SGD(noise, eta) if model == "SGD" else sg.kernels.Heun(getattr(sg.sdes, model)(noise, eta), eta / config.substeps)
        start = torch.zeros(1, dtype=torch.float64, device=config.device)
        steps = math.ceil(config.relaxations / x)
        states = sg.simulate(kernel, start, horizon=steps * eta, paths=paths, seed=seed, progress=False).states
        return {"theta": Moments.of(states[-1, :, 0].cpu())}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, series = [], []
        grid = np.linspace(min(config.x), max(config.x), 200)
        for model in config.models:
            ratios = [self._ratio(config, cells[_label(model, x)]["theta"], x) for x in config.x]
            lines += [Line(_label(model, x), "variance / SGD's", ratio) for x, ratio in zip(config.x, ratios, strict=True)]
            value, low, high = (np.array([getattr(ratio, name) for ratio in ratios]) for name in ("value", "low", "high"))
            series.append(Series(model, model, np.array(config.x), value, low, high, "points"))
            if model in EXACT:
                exact = [sg.oracles.stationary_variance_ratio(getattr(sg.sdes, model), float(x)) for x in grid]
                series.append(Series(model, "", grid, np.array(exact)))
        panel = Panel("Stationary variance / SGD's", "x = ηλ", "ratio", tuple(series), level=1.0, note="points: simulated, 95 %; lines: exact")
        lost = sum(int(parts["theta"].lost) for parts in cells.values())
        return Summary(tuple(lines), (panel,), (f"{lost} of {len(cells) * config.paths:,} paths diverged or left a model's domain",) if lost else ())

    def _ratio(self, config: Config, theta: Moments, x: float) -> Estimate:
        exact = float(sg.oracles.stationary_covariance(_noise(config), x / config.curvature)[0, 0])
        found = theta.variance_estimate()
        return Estimate(found.value / exact, found.stderr / exact, found.n, found.low / exact, found.high / exact)


def _noise(config: Config) -> Any:
    return sg.noises.Gaussian(sg.objectives.Quadratic([config.curvature]), config.sigma**2)


def _label(model: str, x: float) -> str:
    return f"{model} x={x!r}"


def _parts(cell: str) -> tuple[str, float]:
    model, _, x = cell.partition(" x=")
    return model, float(x)


STUDY = StationaryVariance()
