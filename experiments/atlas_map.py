"""Which SDE model to trust: a map over (ηλ, noise, anharmonicity), with the atlas's advice held against exact weak errors.

    f(θ) = [θ²/2 + α cos θ]/(1 + α),   noise of standard deviation σ,   start θ₀,   horizon 16η.

α is the anharmonicity: the curvature runs from (1 − α)/(1 + α) to exactly 1, so that x = η is the largest ηλ anywhere and the real logarithm ends at x = 1. In
each cell the atlas names a model from its closures alone; deterministic propagation (``sgdsde.oracles``) gives the exact worst error of every model over
f, (θ−θ₀)² and θ, in standard deviations. Advice is good where its model errs at most ``factor`` times as much as the best one. Nothing is random here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.plots import Image, Panel, Series
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, OracleRefusal, SgdsdeError

#: the order of the regions of the map, simplest first
MODELS = ("SME1", "SME2", "SPF", "HASME", "SME3", "HASME3", "EvenStepHASME")
NAMES = ("SME-1", "SME-2", "SPF", "HA-SME", "SME-3", "HA-SME-3", "even-step", "none")
NONE = len(MODELS)
#: errors below this many standard deviations count as none
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Config(StudyConfig):
    """The grid, the start, and how much worse than the best a good advice may be."""

    paths: int = option(1, "nothing is random: one block a cell", low=1, high=1)
    block_paths: int = option(1, "see paths", low=1, high=1)
    x: tuple[float, ...] = option((0.03, 0.06, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.1, 1.4, 1.7, 1.95), "largest eta·lambda anywhere", above=0, high=3)
    sigma: tuple[float, ...] = option((0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.2), "standard deviation of the gradient noise", above=0, high=5)
    anharmonicity: tuple[float, ...] = option((0.0, 0.1, 0.3, 0.6), "alpha, size of the ripple", low=0, high=0.95)
    start: float = option(1.3, "where SGD starts", low=-10, high=10)
    factor: float = option(2.0, "advice is good within this factor of the best exact error", low=1, high=10)


class AtlasMap(Study[Config]):
    """The atlas's advice and every model's exact error, one cell for each (alpha, sigma)."""

    title = "The atlas of validity: which SDE model to trust over (ηλ, noise, anharmonicity)"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"x": (0.1, 0.3, 0.5, 0.7, 0.9, 1.3, 1.8), "sigma": (0.1, 0.4, 0.8, 1.2), "anharmonicity": (0.0, 0.1, 0.5)},
        "full": {},
        "paper": {
            "x": tuple(round(0.05 * k, 2) for k in range(1, 40) if k != 20),
            "sigma": tuple(round(0.05 * k, 2) for k in range(1, 31)),
            "anharmonicity": (0.0, 0.05, 0.1, 0.2, 0.4, 0.8),
        },
    }

    def check(self, config: Config) -> None:
        for name in ("x", "sigma", "anharmonicity"):
            values = getattr(config, name)
            if list(values) != sorted(set(values)) or len(values) < (1 if name == "anharmonicity" else 2):
                raise InputError(f"{name} = {values}; wanted different numbers in ascending order, for x and sigma at least two.")
        if 1.0 in config.x:
            raise InputError("x = 1 is where the logarithm ends: no matrix function is defined there; choose 0.99 or 1.01.")

    def cells(self, config: Config) -> Sequence[str]:
        return [_label(alpha, sigma) for alpha in config.anharmonicity for sigma in config.sigma]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance; deterministic", device="cpu")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        alpha, sigma = _parts(cell)
        found = [_look(alpha, sigma, x, config.start) for x in config.x]
        names = ("advice", "predicted", "exact", "asymptotic")
        return {name: Moments.of(np.array([one[name] for one in found], dtype=float)[None]) for name in names}

    def samples(self, config: Config, cell: str, name: str, *, paths: int) -> int:
        return 1  # deterministic: a block is computed once, whatever the number of paths

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines: list[Line] = []
        panels: list[Panel] = []
        totals = np.zeros(3, dtype=int)
        for alpha in config.anharmonicity:
            stored = [cells[_label(alpha, sigma)] for sigma in config.sigma]
            advice, exact = (np.array([_values(part[name]) for part in stored]) for name in ("advice", "exact"))  # [σ, x], [σ, x, models]
            good, checked, named = judge(advice.astype(int), exact, config.factor)
            totals += [good.sum(), checked.sum(), named.sum()]
            share = good.sum() / max(checked.sum(), 1)
            lines += [
                Line(f"anharmonicity {alpha:g}", f"advice within a factor {config.factor:g} of the best, share of checked cells", _known(share)),
                Line(f"anharmonicity {alpha:g}", "cells with advice, share of all", _known(named.mean())),
            ]
            x, y = np.array(config.x), np.array(config.sigma)
            marks = [(x[i], y[j]) for j, i in itertools.product(range(len(y)), range(len(x))) if checked[j, i] and not good[j, i]]
            series = (Series("SGD", f"advice more than {config.factor:g} times worse than the best", *np.array(marks).T, kind="points"),) if marks else ()
            image = Image(x, y, advice, kind="categories", names=NAMES)
            ends = {"x_range": (0.0, 1.5 * x[-1] - 0.5 * x[-2]), "y_range": (0.0, 1.5 * y[-1] - 0.5 * y[-2])}
            panels.append(Panel(f"Anharmonicity α = {alpha:g}", "largest ηλ", "gradient noise σ", series, image=image, **ends))
        panels.append(_agreement(config, cells))
        good_cells, checked_cells, named_cells = (int(total) for total in totals)
        notes = (
            f"advice in {named_cells} of {len(config.x) * len(cells)} cells; exact errors of its model in {checked_cells}; "
            f"within a factor {config.factor:g} of the best in {good_cells}",
        )
        return Summary(tuple(lines), tuple(panels), notes)


def _agreement(config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Panel:
    """Predicted against exact worst errors, all cells in one panel; ends of the identity are those of the data."""
    predicted, exact = (np.concatenate([_values(part[name]) for part in cells.values()]) for name in ("predicted", "exact"))  # [cells, models]
    series = []
    for index, (model, name) in enumerate(zip(MODELS, NAMES, strict=False)):
        shown = np.isfinite(predicted[:, index]) & (exact[:, index] > NEGLIGIBLE)
        if shown.any():
            series.append(Series(model, name, exact[shown, index], predicted[shown, index], kind="points"))
    ends = np.array([min(one.x.min() for one in series), max(one.x.max() for one in series)]) if series else np.array([1e-3, 1.0])
    series.append(Series("GradientFlow", "", ends, ends))
    return Panel("The atlas against the oracle", "exact worst error, sd", "predicted worst error, sd", tuple(series), log="xy")


def judge(advice: np.ndarray, exact: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the advice ``[σ, x]`` is good, where it could be checked, where there is any; ``exact [σ, x, models]`` holds worst errors, NaN where unknown."""
    named = advice < NONE
    chosen = np.take_along_axis(exact, np.where(named, advice, 0)[..., None], -1)[..., 0]  # [σ, x]
    checked = named & np.isfinite(chosen)
    least = np.where(np.isfinite(exact), exact, np.inf).min(-1)
    with np.errstate(invalid="ignore"):
        good = checked & (chosen <= factor * np.maximum(least, NEGLIGIBLE))
    return good, checked, named


def _look(alpha: float, sigma: float, x: float, start: float) -> dict[str, Any]:
    """One cell: the index of the advised model, predicted and exact worst errors of each, whether each prediction may be trusted."""
    objective = sg.objectives.PeriodicWell(curvature=1 / (1 + alpha), amplitude=alpha / (1 + alpha))
    noise = sg.noises.Gaussian(objective, sigma**2)
    atlas = sg.atlas(noise, x, [start])
    functions = {"f": objective.loss, "(θ−θ₀)²": lambda q: (q[:, 0] - start) ** 2, "θ": lambda q: q[:, 0]}
    scales = np.array(list(atlas.scales.values()))
    place: dict[str, Any] = {"theta0": [[start]], "horizon": atlas.horizon, "functions": functions}
    sgd = _or_none(lambda: sg.oracles.sgd_expectations(noise, eta=x, **place).value[:, 0])
    exact, predicted, trusted = [], [], []
    for model in MODELS:
        chart = atlas.charts.get(model)
        predicted.append(chart.worst if chart is not None and math.isfinite(chart.worst) else math.nan)
        trusted.append(chart is not None and chart.asymptotic)
        sde = None if sgd is None else _or_none(lambda name=model: sg.oracles.sde_expectations(getattr(sg.sdes, name)(noise, x), **place).value[:, 0])
        exact.append(math.nan if sde is None or sgd is None else float(np.max(np.abs(sde - sgd) / scales)))
    advice = MODELS.index(atlas.recommended) if atlas.recommended in MODELS else NONE
    return {"advice": advice, "predicted": predicted, "exact": exact, "asymptotic": trusted}


def _or_none(compute: Any) -> Any:
    """The result, None where the oracle refuses or the model does not exist."""
    try:
        return compute()
    except (OracleRefusal, SgdsdeError):
        return None


def _values(stored: Moments) -> np.ndarray:
    return np.where(stored.lost == 0, stored.mean, np.nan)


def _known(value: float) -> Estimate:
    return Estimate(float(value), 0.0, 1, float(value), float(value))


def _label(alpha: float, sigma: float) -> str:
    return f"alpha={alpha!r} sigma={sigma!r}"


def _parts(cell: str) -> tuple[float, float]:
    alpha, sigma = (part.partition("=")[2] for part in cell.split(" "))
    return float(alpha), float(sigma)


STUDY = AtlasMap()
