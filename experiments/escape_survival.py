"""Survival curves P(τ > k) of SGD and its SDE models: out of a quadratic minimum, off a quadratic saddle, over the barrier of a double well.

All are looked at t = kη. SGD's exact curve comes from Nyström's method, a model's from e^{ηL} on spectral elements (``sgdsde.oracles``); simulated are SGD
itself and stochastic Heun. Units of the quadratics: η = σ = 1, so that x = ηλ is the curvature and R is in s = ησ; the double well is θ⁴/4 − θ²/2, start −1,
exit at 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.stats

import sgdsde as sg
from sgdsde.measurements.escape_processes import checked_processes, exact_exit, process
from sgdsde.measurements.interval_paths import over
from sgdsde.plots import Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.regions import Interval
from sgdsde.runs import Histogram, Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, Status, suggest

#: points of the time axis
GRID = 60
#: about so many of them carry a point of each curve
POINTS = 8
#: plain simulation of longer mean exits is not what this study is for
LONGEST = 20_000.0


@dataclass(frozen=True)
class Config(StudyConfig):
    """The problems, who runs them, how long."""

    problems: tuple[str, ...] = option(("minimum", "saddle", "double-well"), "which of: minimum, saddle, double-well")
    models: tuple[str, ...] = option(("SGD", "SME1", "SME2", "SPF", "HASME", "SME3", "HASME3"), "SGD and SDE models (sgdsde list models)")
    minimum_x: float = option(0.3, "eta·lambda at the minimum", above=0, high=0.99)
    minimum_distance: float = option(4.5, "distance R of the border from the minimum in s = eta·sigma", above=0, high=1000)
    saddle_x: float = option(0.6, "eta·mu at the saddle, -mu its curvature", above=0, high=4)
    saddle_distance: float = option(20.0, "distance R of the border from the saddle in s", above=0, high=1e6)
    well_eta: float = option(0.2, "step size in the double well", above=0, high=0.5)
    well_sigma: float = option(0.9, "standard deviation of the gradient noise in the double well", above=0, high=5)
    horizon: float = option(3.0, "how long paths are watched, in mean exits of SGD", above=0, high=100)
    substeps: int = option(8, "Heun steps a step of SGD", low=1, high=1000)


class EscapeSurvival(Study[Config]):
    """How many paths are still inside after k steps, one cell for each problem and process."""

    title = "Survival curves of SGD and its SDE models at a minimum, a saddle and a barrier"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 4_096, "block_paths": 2_048},
        "full": {"paths": 131_072, "block_paths": 8_192},
        "paper": {"paths": 1_048_576, "block_paths": 65_536, "substeps": 16},
    }

    def check(self, config: Config) -> None:
        checked_processes(config.models)
        for problem in config.problems:
            if problem not in _PROBLEMS:
                raise InputError(f"problems: {problem!r} is not offered here." + suggest(problem, list(_PROBLEMS)))
            law = _law(config, problem, "SGD")
            if law is None or law.steps > LONGEST:
                found = "no exact answer" if law is None else f"a mean exit of {law.steps:.3g} steps"
                raise InputError(f"{problem}: SGD has {found}; wanted at most {LONGEST:g} steps. Use a nearer border or more noise, or escape-barrier.")

    def cells(self, config: Config) -> Sequence[str]:
        return [f"{problem} {model}" for problem in config.problems for model in config.models]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments | Histogram]:
        import torch

        problem, model = cell.split()
        noise, eta, start, region = _PROBLEMS[problem](config)
        last = _last(config, problem)
        theta = torch.tensor([start], dtype=torch.float64, device=config.device)
        kernel = process(model, noise, eta, substeps=config.substeps)
        run = sg.exit_times(kernel, theta, region=region, horizon=last * eta, paths=paths, seed=seed, progress=False)
        lost = (run.status == int(Status.DIVERGED)) | (run.status == int(Status.OUT_OF_DOMAIN))
        steps = run.steps.to(torch.float64).masked_fill(run.censored, last + 1.0).masked_fill(lost, math.nan).cpu()  # [paths]
        clipped = np.full(paths, run.tally.counts.get("log clipped", 0) / paths)
        return {"step of exit": Histogram.of(steps, _edges(last)), "watched": Moments.of(steps.clamp(max=last)), "clipped": Moments.of(clipped)}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines: list[Line] = []
        panels: list[Panel] = []
        notes: list[str] = []
        for problem in config.problems:
            last, (_, eta, _, _) = _last(config, problem), _PROBLEMS[problem](config)
            k = _grid(last)
            sparse = max(1, len(k) // POINTS)
            sgd = _law(config, problem, "SGD")
            assert sgd is not None
            exact = sgd.survival(k * eta)
            restricted = float(sgd.survival(eta * np.arange(float(last))).sum())
            curves: list[Series] = []
            gaps: list[Series] = []
            for index, model in enumerate(config.models):
                parts = cells[f"{problem} {model}"]
                value, low, high = survival(parts["step of exit"])
                name = WRITTEN.get(model, model)
                curves.append(Series(model, name, k, value, low, high, "steps"))
                law = _law(config, problem, model)
                chosen = np.arange(1 + index % sparse, len(k), sparse)
                less = [(part - exact)[chosen] for part in (value, low, high)]
                gaps.append(Series(model, "", k[chosen], less[0], less[1], less[2], "points"))
                if law is not None:
                    curves.append(Series(model, "", k[chosen], law.survival(k[chosen] * eta), kind="points"))
                    gaps.append(Series(model, "", k, law.survival(k * eta) - exact))
                else:
                    notes.append(f"{problem}, {name}: the oracle refuses; no exact curve")
                found = parts["watched"].mean_estimate()
                lines.append(Line(f"{problem} {model}", "E min(τ, T) / SGD's exact", over(found, restricted)))
                if law is not None:
                    ratio = float(law.survival(eta * np.arange(float(last))).sum()) / restricted
                    lines.append(Line(f"{problem} {model}", "the same, exact", Estimate(ratio, 0.0, 0, ratio, ratio)))
                notes += _remarks(f"{problem}, {name}", parts)
            notes.append(f"{problem}: SGD's mean exit {sgd.steps:.4g} steps")
            panels.append(Panel(_TITLES[problem], "step k", "P(τ > k)", tuple(curves), y_range=(0.0, 1.02), note="points: exact"))
            panels.append(Panel(f"{_TITLES[problem]}, less SGD's", "step k", "P(τ > k) − SGD's exact", tuple(gaps), level=0.0))
        return Summary(tuple(lines), tuple(panels), tuple(notes))


def survival(found: Histogram) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P(τ > k) with exact 95 % intervals (Clopper–Pearson) on the grid. Lost paths widen the interval by their share: they may have left at once or never."""
    total, known = found.total, found.total - found.lost
    alive = known - np.concatenate([[0], np.cumsum(found.counts)])  # [grid]
    low = np.where(alive > 0, scipy.stats.beta.ppf(0.025, np.maximum(alive, 1), total - alive + 1), 0.0)
    most = alive + found.lost
    high = np.where(most < total, scipy.stats.beta.ppf(0.975, most + 1, np.maximum(total - most, 1)), 1.0)
    return alive / max(known, 1), low, high


def _minimum(config: Config) -> tuple[Any, float, float, Interval]:
    return sg.noises.Gaussian(sg.objectives.Quadratic([config.minimum_x]), 1.0), 1.0, 0.0, Interval(-config.minimum_distance, config.minimum_distance)


def _saddle(config: Config) -> tuple[Any, float, float, Interval]:
    return sg.noises.Gaussian(sg.objectives.Quadratic([-config.saddle_x]), 1.0), 1.0, 0.0, Interval(-config.saddle_distance, config.saddle_distance)


def _well(config: Config) -> tuple[Any, float, float, Interval]:
    return sg.noises.Gaussian(sg.objectives.DoubleWell(), config.well_sigma**2), config.well_eta, -1.0, Interval(-math.inf, 0.0)


#: noise, η, start, region of each problem
_PROBLEMS = {"minimum": _minimum, "saddle": _saddle, "double-well": _well}
_TITLES = {"minimum": "Quadratic minimum", "saddle": "Quadratic saddle", "double-well": "Double well"}


@lru_cache(maxsize=256)
def _law(config: Config, problem: str, model: str) -> Any:
    noise, eta, start, region = _PROBLEMS[problem](config)
    return exact_exit(model, noise, eta, start, region)


def _last(config: Config, problem: str) -> int:
    """The step after which paths are censored."""
    return max(2, math.ceil(config.horizon * _law(config, problem, "SGD").steps))


def _grid(last: int) -> np.ndarray:
    return np.unique(np.linspace(0, last, GRID + 1).round())


def _edges(last: int) -> np.ndarray:
    """A path that left at step j counts between the grid's points below and at j."""
    return _grid(last) + 0.5


def _remarks(what: str, parts: Mapping[str, Any]) -> list[str]:
    """What was lost or clipped."""
    lost, clipped = parts["step of exit"].lost, float(parts["clipped"].mean)
    remarks = [f"{what}: {lost} of {parts['step of exit'].total:,} paths diverged; they widen the band"] if lost else []
    return remarks + ([f"{what}: ηλ clipped at .99 in {clipped:.3g} evaluations a path"] if clipped else [])


STUDY = EscapeSurvival()
