"""Weak error of SDE models of SGD against η in a double well f = θ⁴/4 − θ²/2 with Gaussian noise: E φ(X_T) − E φ(θ_{T/η}) for φ = θ and θ².

Expected orders in η at fixed σ: SME-1 1, SME-2, SPF and HA-SME 2, HA-SME-3 3 (docs/theory). Each model runs on the Brownian increments of SGD, so that
most of the Monte-Carlo noise cancels in the difference. SDEs run by stochastic Heun with many substeps. HA-SME and SPF exist where η(3θ² − 1) < 1: at
η = 0.15 that is |θ| < 1.6, which no path reaches; from η = 0.2 on (|θ| < 1.41) some do, and are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.plots import Panel, Series
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, InputError, suggest

MODELS = ("SME1", "SME2", "SPF", "HASME", "HASME3", "SME3")
POWERS = {"theta": 1, "theta squared": 2}


@dataclass(frozen=True)
class Config(StudyConfig):
    """σ, start, horizon, the values of η, and how the SDEs are integrated."""

    eta: tuple[float, ...] = option((0.0375, 0.075, 0.15), "step sizes; each must divide the horizon", above=0, high=0.3)
    models: tuple[str, ...] = option(("SME1", "SME2", "SPF", "HASME"), f"SDE models: {', '.join(MODELS)}")
    sigma: float = option(0.5, "standard deviation of the gradient noise", above=0, high=2)
    start: float = option(0.5, "where every path starts", low=-2, high=2)
    horizon: float = option(1.2, "SDE time T", above=0, high=1000)
    substeps: int = option(16, "Heun steps a step of SGD", low=1, high=1000)


class WeakError(Study[Config]):
    """Coupled differences between each model and SGD at T, one cell for each model and η."""

    title = "Weak error of SDE models against η in a double well"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 65_536, "block_paths": 32_768},
        "full": {"paths": 4_194_304, "block_paths": 131_072, "eta": (0.01875, 0.0375, 0.075, 0.15)},
        "paper": {"paths": 268_435_456, "block_paths": 1_048_576, "eta": (0.009375, 0.01875, 0.0375, 0.075, 0.15), "models": MODELS, "substeps": 32},
    }

    def check(self, config: Config) -> None:
        for model in config.models:
            if model not in MODELS:
                raise InputError(f"models: {model!r} is not offered here." + suggest(model, list(MODELS)))
        for eta in config.eta:
            if abs(round(config.horizon / eta) * eta - config.horizon) > 1e-9 * config.horizon:
                raise InputError(f"eta = {eta} does not divide the horizon {config.horizon}; choose eta = horizon/k.")

    def cells(self, config: Config) -> Sequence[str]:
        return [_label(model, eta) for model in config.models for eta in config.eta]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        import torch

        model, eta = _parts(cell)
        noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), config.sigma**2)
        pair = sg.kernels.Coupled(sg.kernels.SGD(noise, eta), sg.kernels.Heun(getattr(sg.sdes, model)(noise, eta), eta / config.substeps))
        start = torch.full((1,), config.start, dtype=torch.float64, device=config.device)
        states = sg.simulate(pair, start, horizon=config.horizon, paths=paths, seed=seed, progress=False).states
        sgd, sde = (half[-1, :, 0].cpu() for half in pair.split(states))
        return {name: Moments.of(sde**power - sgd**power) for name, power in POWERS.items()}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, panels = [], []
        for name in POWERS:
            series = []
            for model in config.models:
                errors = [cells[_label(model, eta)][name].mean_estimate() for eta in config.eta]
                lines += [Line(_label(model, eta), f"error of E {name}", error) for eta, error in zip(config.eta, errors, strict=True)]
                value, bar = (np.array([getattr(error, part) for error in errors]) for part in ("value", "stderr"))
                size = np.abs(value)
                series.append(Series(model, model, np.array(config.eta), size, np.maximum(size - 1.96 * bar, size / 100), size + 1.96 * bar, "points"))
            panels.append(Panel(f"|error of E {name}|", "η", "absolute error", tuple(series), log="xy"))
        lost = sum(int(next(iter(parts.values())).lost) for parts in cells.values())
        return Summary(tuple(lines), tuple(panels), (f"{lost} of {len(cells) * config.paths:,} paths diverged or left a model's domain",) if lost else ())


def _label(model: str, eta: float) -> str:
    return f"{model} eta={eta!r}"


def _parts(cell: str) -> tuple[str, float]:
    model, _, eta = cell.partition(" eta=")
    return model, float(eta)


STUDY = WeakError()
