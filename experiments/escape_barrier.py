"""Mean exit over a barrier against step size, batch size and sharpness, up to 10⁹ steps by splitting, for SGD and its SDE models looked at t = kη.

The well is f(θ) = 4h[(θ/w)⁴/4 − (θ/w)²/2] with the barrier h = ¼, start at its left minimum, exit at its top; noise of variance σ²/B. In u = θ/w this SGD is
SGD on the double well u⁴/4 − u²/2 with step η' = ηλ/2 and noise variance 2σ²/(Bλ), λ = 2/w² the curvature at the minimum: sharpness at a fixed barrier is step
size at fixed temperature T = ησ²/(2B). SGD's exact mean comes from Nyström's method, the models' from e^{ηL} while it stays below 3·10⁷ steps.

Kramers' law, halved since the exit is at the top: √2·π·e^{h/T}/(ηλ) steps. Models over SGD as T → 0 (docs/theory/fixed_temperature.md): HA-SME e^{−3η'/2},
SME-1 e^{η'/4}, SME-2 and SPF 1. Heun's own bias in the Hessian-aware models grows as ηλ nears 1, where log(1 − ηλ) is stiff: raise ``substeps`` there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.measurements.escape_processes import checked_processes, exact_exit, mean_from_rate, process, remarks, replicas
from sgdsde.measurements.interval_paths import over
from sgdsde.plots import Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.regions import Interval
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, suggest

LEFT = Interval(-math.inf, 0.0)
#: the models' oracle loses its digits beyond such means
LONGEST = 3e7
#: axis → (symbol, which power of the value stands on the axis, scales)
AXES = {"eta": ("1/η", -1.0, "y"), "batch": ("batch size B", 1.0, "y"), "sharpness": ("sharpness ηλ at the minimum", 1.0, "xy")}
WORDS = {"eta": "step size", "batch": "batch size", "sharpness": "sharpness"}
#: first order of log(τ_model/τ_SGD) in η' at T → 0
COLD = {"HASME": -1.5, "SME1": 0.25}


@dataclass(frozen=True)
class Config(StudyConfig):
    """The three axes, each through the base point (eta, batch, lambda = 2), and the effort of the splitting."""

    paths: int = option(64, "replicas of the splitting a cell", low=8, high=100_000)
    block_paths: int = option(64, "replicas a block; each block has a pilot of its own", low=8, high=10_000)
    models: tuple[str, ...] = option(("SGD", "SME1", "SME2", "SPF", "HASME", "HASME3"), "SGD and SDE models (sgdsde list models)")
    axes: tuple[str, ...] = option(tuple(AXES), f"which of: {', '.join(AXES)}")
    eta: tuple[float, ...] = option((0.065, 0.08, 0.1, 0.13, 0.18, 0.25), "step sizes; sharpness 2, batch size base_batch", above=0, high=0.5)
    batch: tuple[float, ...] = option((2.0, 4.0, 6.0, 8.0, 10.0, 12.0), "batch sizes; step size base_eta, sharpness 2", above=0, high=1e6)
    sharpness: tuple[float, ...] = option((0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0), "curvatures lambda at the minimum; base_eta, sharp_batch", above=0, high=1000)
    sigma: float = option(1.4, "standard deviation of the gradient noise at B = 1", above=0, high=1000)
    base_eta: float = option(0.2, "step size of the axes batch and sharpness", above=0, high=0.5)
    base_batch: float = option(4.0, "batch size of the axis eta", above=0, high=1e6)
    sharp_batch: float = option(7.0, "batch size of the axis sharpness", above=0, high=1e6)
    effort: int = option(256, "pieces of paths a level and replica", low=16, high=1_000_000)
    substeps: int = option(8, "Heun steps a step of SGD", low=1, high=1000)


class EscapeBarrier(Study[Config]):
    """Exit rates by splitting, one cell for each axis, value and process."""

    title = "Mean exit over a barrier against step size, batch size and sharpness"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {
            "paths": 16,
            "block_paths": 16,
            "models": ("SGD", "SME1", "HASME"),
            "eta": (0.07, 0.1, 0.2),
            "batch": (3.0, 6.0, 12.0),
            "sharpness": (0.25, 1.0, 2.5),
            "effort": 128,
            "substeps": 8,
        },
        "full": {},
        "paper": {"paths": 256, "effort": 1024, "substeps": 16},
    }

    def check(self, config: Config) -> None:
        checked_processes(config.models)
        for axis in config.axes:
            if axis not in AXES:
                raise InputError(f"axes: {axis!r} is no axis of this study." + suggest(axis, list(AXES)))
            for value in getattr(config, axis):
                step, _ = _scaled(config, axis, value)
                if step > 0.5:
                    raise InputError(f"{axis} = {value:g}: ηλ = {2 * step:g} at the minimum; wanted at most 1, where log(1 − ηλ) ends.")
        if config.paths % config.block_paths:
            raise InputError(f"paths = {config.paths} replicas are no multiple of block_paths = {config.block_paths}; wanted whole blocks.")

    def cells(self, config: Config) -> Sequence[str]:
        return [_label(axis, value, model) for axis in config.axes for value in getattr(config, axis) for model in config.models]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance", device="cpu")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        axis, value, model = _parts(cell)
        eta, noise = _problem(config, axis, value)
        kernel = process(model, noise, eta, substeps=config.substeps)
        found = replicas(kernel, (-1.0,), LEFT, effort=config.effort, replicas=paths, seed=seed)
        return {name: Moments.of(values) for name, values in found.items()}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines: list[Line] = []
        panels: list[Panel] = []
        notes: list[str] = []
        for axis in config.axes:
            symbol, power, log = AXES[axis]
            values = sorted(getattr(config, axis))
            factor = config.base_eta if axis == "sharpness" else 1.0
            x = factor * np.array(values) ** power
            means: list[Series] = []
            ratios: list[Series] = []
            exact = [_exact(config, axis, value, "SGD") for value in values]
            dense = [float(v) for v in np.geomspace(values[0], values[-1], 25)]
            at = factor * np.array(dense) ** power
            means.append(Series("SGD", "", at, np.array([_exact(config, axis, v, "SGD") for v in dense])))
            means.append(Series("GradientFlow", "Kramers' law, halved", at, np.array([kramers_steps(config, axis, v) for v in dense])))
            for model in config.models:
                name = WRITTEN.get(model, model)
                found = [mean_from_rate(cells[_label(axis, value, model)]["rate"].mean_estimate()) for value in values]
                relative = [over(one, steps) for one, steps in zip(found, exact, strict=True)]
                for value, mean, ratio in zip(values, found, relative, strict=True):
                    lines.append(Line(_label(axis, value, model), "mean exit in steps", mean))
                    lines.append(Line(_label(axis, value, model), "mean exit / SGD's exact", ratio))
                means.append(_points(model, name, x, found))
                ratios.append(_points(model, name, x * _nudge(config.models.index(model), len(config.models), log), relative))
                if model != "SGD":
                    known = np.array([_exact(config, axis, value, model) if steps < LONGEST else math.nan for value, steps in zip(values, exact, strict=True)])
                    ratios.append(Series(model, "", x, known / np.array(exact)))
                notes += [note for value in values for note in remarks(_label(axis, value, model), cells[_label(axis, value, model)])]
            slopes = [COLD[model] for model in config.models if model in COLD] if axis == "sharpness" else []
            if slopes:  # one series with gaps
                step = np.array([_scaled(config, axis, v)[0] for v in dense])
                limit = np.concatenate([np.append(np.exp(slope * step), math.nan) for slope in slopes])
                ratios.append(Series("PrincipalFlow", "theory, T → 0", np.tile(np.append(at, math.nan), len(slopes)), limit))
            panels.append(Panel(f"Mean exit against {WORDS[axis]}", symbol, "mean exit, steps", tuple(means), log=log))
            panels.append(Panel(f"The models over SGD, {WORDS[axis]}", symbol, "mean exit / SGD's exact", tuple(ratios), log=log, level=1.0))
        return Summary(tuple(lines), tuple(panels), tuple(notes))


def kramers_steps(config: Config, axis: str, value: float) -> float:
    """Half of Kramers' mean time to the other minimum, in steps: 2π/√(2·1)·e^{h/T}/(2η') in u."""
    eta, variance = _scaled(config, axis, value)
    well = sg.objectives.DoubleWell()
    return sg.oracles.eyring_kramers(well, [-1.0], [0.0], temperature=eta * variance / 2) / (2 * eta)


def _scaled(config: Config, axis: str, value: float) -> tuple[float, float]:
    """(η', variance) of SGD on u⁴/4 − u²/2 that is SGD on the well of the given point of an axis."""
    eta = value if axis == "eta" else config.base_eta
    batch = {"eta": config.base_batch, "batch": value, "sharpness": config.sharp_batch}[axis]
    sharpness = value if axis == "sharpness" else 2.0
    return eta * sharpness / 2, 2 * config.sigma**2 / (batch * sharpness)


def _problem(config: Config, axis: str, value: float) -> tuple[float, Any]:
    eta, variance = _scaled(config, axis, value)
    return eta, sg.noises.Gaussian(sg.objectives.DoubleWell(), variance)


@lru_cache(maxsize=4096)
def _exact(config: Config, axis: str, value: float, model: str) -> float:
    """The mean in steps by the oracle, NaN where it refuses."""
    eta, noise = _problem(config, axis, value)
    law = exact_exit(model, noise, eta, -1.0, LEFT)
    return math.nan if law is None else law.steps


def _points(model: str, label: str, x: np.ndarray, found: Sequence[Estimate]) -> Series:
    value, low, high = (np.array([getattr(one, part) for one in found], dtype=float) for part in ("value", "low", "high"))
    return Series(model, label, x, value, low, high, "points")


def _nudge(index: int, count: int, log: str) -> float:
    """Bars of several processes at one x stand beside each other."""
    return 1 + (0.05 if "x" in log else 0.02) * (index - (count - 1) / 2) / max(count - 1, 1)


def _label(axis: str, value: float, model: str) -> str:
    return f"{axis}={value!r} {model}"


def _parts(cell: str) -> tuple[str, float, str]:
    point, model = cell.split(" ")
    axis, _, value = point.partition("=")
    return axis, float(value), model


STUDY = EscapeBarrier()
