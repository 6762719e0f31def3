"""How SGD and its SDE models leave saddles: through which directions, and when, against dimension and step size. All looked at t = kη.

In the plane: eigenvalues −ημ, ηλ of ηH turned by an angle, correlated noise, out of a disc; the angle of exit. In d dimensions: one falling direction, d − 1
rising ones, out of a ball; the mean exit follows the logarithmic law (``sgdsde.oracles.saddle_steps``) at the distance that is left to the falling direction,
R² − (d−1)v, v = s²/(x(2−x)) the stationary variance of a rising one. A path overshoots by a factor that is log-uniform in (1, m), m = 1 + ημ, so that
E sin²(angle to the falling direction) ≈ (d−1)(v/R²)(1 − m⁻²)/(2 ln m). Against η: on the line, μ, σ and R fixed, exact lines by the oracles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.measurements.escape_processes import checked_processes, exact_exit, model, process
from sgdsde.oracles import saddle_steps
from sgdsde.plots import Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.regions import Ball, Interval
from sgdsde.runs import Histogram, Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, DomainError, Estimate, InputError

#: a path is given up after so many times SGD's mean exit by the law
PATIENCE = 30
MODELS = ("SGD", "SME1", "SME2", "SPF", "HASME")


@dataclass(frozen=True)
class Config(StudyConfig):
    """The saddles, in units η = σ = 1 unless said otherwise."""

    models: tuple[str, ...] = option(MODELS, "SGD and SDE models (sgdsde list models)")
    falling: float = option(0.5, "eta·mu of the falling direction", above=0, high=1.9)
    rising: float = option(0.85, "eta·lambda of the rising direction in the plane", above=0, high=0.99)
    angle: float = option(30.0, "how far the falling direction is turned from the first axis, degrees", low=-180, high=180)
    correlation: float = option(0.6, "correlation of the noise in the axes of the plane", low=-0.99, high=0.99)
    plane_distance: float = option(3.0, "radius of the disc in s = eta·sigma", low=1, high=1e6)
    bins: int = option(120, "bins of the angle of exit, an even number", low=8, high=720)
    dim: tuple[int, ...] = option((1, 10, 100, 300, 1000), "dimensions", low=1, high=10_000)
    models_up_to: int = option(100, "models run up to this dimension", low=1, high=10_000)
    wall: float = option(0.5, "eta·lambda of the rising directions in d dimensions", above=0, high=0.99)
    distance: float = option(60.0, "radius of the ball in s; beyond sqrt(d−1) deviations of the rising directions", low=2, high=1e6)
    eta: tuple[float, ...] = option((0.05, 0.1, 0.2, 0.4, 0.8, 1.6), "step sizes on the line; mu = sigma = 1", above=0, high=1.9)
    line_distance: float = option(10.0, "distance of the border on the line over sigma", above=0, high=1e6)
    substeps: int = option(8, "Heun steps a step of SGD", low=1, high=1000)


class EscapeSaddles(Study[Config]):
    """Angles and steps of exit, one cell for each saddle and process."""

    title = "How SGD and its SDE models leave saddles: directions and times"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 8_192, "block_paths": 4_096, "dim": (1, 10, 100, 400), "eta": (0.1, 0.3, 0.9, 1.6), "bins": 72},
        "full": {"paths": 262_144, "block_paths": 16_384},
        "paper": {"paths": 4_194_304, "block_paths": 65_536, "substeps": 32},
    }

    def check(self, config: Config) -> None:
        checked_processes(config.models)
        if config.bins % 2:
            raise InputError(f"bins = {config.bins}; wanted an even number, so that opposite directions have bins of their own.")
        for dim in config.dim:
            if _left(config, dim) <= 4:
                raise InputError(f"dim = {dim}: the rising directions alone fill the ball of radius {config.distance:g}; wanted a larger distance.")
        if max(config.dim) == 1:
            raise InputError("dim = 1 only; wanted at least one dimension above 1, where exits have a direction.")
        for kind in ("plane", *(f"eta={eta!r}" for eta in config.eta)):
            _, eta, radius = _saddle(config, kind)
            try:
                saddle_steps(1 + _growth(config, kind), radius / eta)
            except InputError as why:
                raise InputError(f"{kind}: {why} Use a larger plane_distance or line_distance, or larger steps.") from None
        for name in config.models:
            if name != "SGD":
                sde = model(name, _plane(config), 1.0)
                try:
                    sde.check(_origin(2))
                except DomainError as why:
                    raise InputError(f"models: {name} does not exist on the planar saddle ({why}) Use a smaller correlation or rising.") from None

    def cells(self, config: Config) -> Sequence[str]:
        plane = [f"plane {name}" for name in config.models]
        space = [f"d={dim} {name}" for dim in config.dim for name in config.models if name == "SGD" or dim <= config.models_up_to]
        return plane + space + [f"eta={eta!r} {name}" for eta in config.eta for name in config.models]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments | Histogram]:
        import torch

        kind, name = cell.split(" ")
        noise, eta, radius = _saddle(config, kind)
        dim = noise.objective.dim
        start = _origin(dim)[0].to(config.device)
        kernel = process(name, noise, eta, substeps=config.substeps)
        horizon = math.ceil(PATIENCE * saddle_steps(1 + _growth(config, kind), radius / eta)) * eta
        run = sg.exit_times(kernel, start, region=Ball(start.cpu(), radius), horizon=horizon, paths=paths, seed=seed, progress=False)
        gone = (~run.censored).cpu()
        steps = torch.where(gone, run.steps.cpu().double(), torch.nan)
        turn = math.radians(config.angle) if kind == "plane" else 0.0
        falling = torch.zeros(dim, dtype=torch.float64)
        falling[: min(dim, 2)] = torch.tensor([math.cos(turn), math.sin(turn)], dtype=torch.float64)[: min(dim, 2)]
        arrows = run.directions.cpu().double()  # [paths, dim]
        result: dict[str, Moments | Histogram] = {"steps": Moments.of(steps), "sin2": Moments.of(1 - (arrows @ falling) ** 2)}
        if kind == "plane":
            angles = torch.rad2deg(torch.atan2(arrows[:, 1], arrows[:, 0])) - config.angle
            folded = torch.remainder(angles + 90.0, 360.0) - 90.0  # −90 … 270, the falling direction at 0 and 180
            result["angle"] = Histogram.of(folded, np.linspace(-90.0, 270.0, config.bins + 1))
        return result

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines = [Line(cell, "mean exit in steps", parts["steps"].mean_estimate()) for cell, parts in cells.items()]
        wide = [cell for cell in cells if not cell.startswith(("eta=", "d=1 "))]
        lines += [Line(cell, "E sin² of the angle to the falling direction", cells[cell]["sin2"].mean_estimate()) for cell in wide]
        lost = {cell: int(parts["steps"].lost) for cell, parts in cells.items() if int(parts["steps"].lost)}
        notes = tuple(f"{cell}: {count} of {config.paths:,} paths did not leave or diverged, so it has no mean" for cell, count in lost.items())
        return Summary(tuple(lines), (*self._plane(config, cells), *self._space(config, cells), *self._line(config, cells)), notes)

    def _plane(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> tuple[Panel, ...]:
        rose: list[Series] = []
        spread: list[Series] = []
        seen: list[float] = []
        for name in config.models:
            found = cells[f"plane {name}"]["angle"]
            width = 360.0 / config.bins
            share = found.counts / found.total
            half = 1.96 * np.sqrt(share * (1 - share) / found.total)
            middle = config.bins // 2
            degrees = (found.edges[1:] + found.edges[:-1]) / 2
            at = np.radians(degrees + config.angle)
            closed = np.append(np.arange(len(at)), 0)
            radius = np.sqrt(share / width)[closed]
            rose.append(Series(name, WRITTEN.get(name, name), radius * np.cos(at[closed]), radius * np.sin(at[closed])))
            folded, error = (share[:middle] + share[middle:]) / width, np.hypot(half[:middle], half[middle:]) / width
            seen.append(float(np.abs(degrees[:middle][share[:middle] + share[middle:] > 1e-3]).max()))
            low, high = (np.append(part, part[-1]) for part in (np.maximum(folded - error, 0), folded + error))
            spread.append(Series(name, WRITTEN.get(name, name), found.edges[: middle + 1], np.append(folded, folded[-1]), low, high, "steps"))
        reach = 1.1 * max(float(np.hypot(series.x, series.y).max()) for series in rose)
        turn = math.radians(config.angle)
        axis = np.array([-reach, reach])
        rose.append(Series("GradientFlow", "falling direction", axis * math.cos(turn), axis * math.sin(turn)))
        side, widest = "√(share a degree)", min(90.0, 10 * math.ceil(max(seen) / 10 + 0.5))
        return (
            Panel("Directions of exit in the plane", f"{side} · cos φ", f"{side} · sin φ", tuple(rose), aspect="equal"),
            Panel("Angle to the falling direction", "angle, degrees (both sides together)", "share a degree", tuple(spread), x_range=(-widest, widest)),
        )

    def _space(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> tuple[Panel, ...]:
        dims = np.unique(np.round(np.geomspace(min(config.dim), max(config.dim), 60)).astype(int))
        law = np.array([saddle_steps(1 + config.falling, _left(config, int(d))) for d in dims])
        m = 1 + config.falling
        side = (dims - 1) * _variance(config) / config.distance**2 * (1 - m**-2) / (2 * math.log(m))
        times = [Series("GradientFlow", "theory for SGD", dims, law)]
        sides = [Series("GradientFlow", "", dims[dims > 1], side[dims > 1])]
        for index, name in enumerate(config.models):
            ran = [d for d in sorted(config.dim) if f"d={d} {name}" in cells]
            at = np.array(ran) * 1.06 ** (index - (len(config.models) - 1) / 2)
            times.append(_points(name, WRITTEN.get(name, name), at, [cells[f"d={d} {name}"]["steps"].mean_estimate() for d in ran]))
            more = [d for d in ran if d > 1]
            if more:
                sides.append(_points(name, "", at[len(ran) - len(more) :], [cells[f"d={d} {name}"]["sin2"].mean_estimate() for d in more]))
        where = f"ημ = {config.falling:g}, R = {config.distance:g}s"
        return (
            Panel(f"Mean exit, {where}", "dimension d", "mean exit, steps", tuple(times), log="x"),
            Panel("Distance from the falling direction", "dimension d", "E sin² of the angle", tuple(sides), log="xy"),
        )

    def _line(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> tuple[Panel, ...]:
        etas = sorted(config.eta)
        dense = np.geomspace(etas[0], etas[-1], 40)
        law = np.array([2 * eta * saddle_steps(1 + eta, config.line_distance / eta) for eta in dense])
        times = [Series("GradientFlow", "theory for SGD", dense, law)]
        ratios: list[Series] = []
        exact = {float(eta): _exact(config, "SGD", float(eta)) for eta in (*dense, *etas)}
        for index, name in enumerate(config.models):
            found = [cells[f"eta={eta!r} {name}"]["steps"].mean_estimate() for eta in etas]
            at = np.array(etas) * 1.03 ** (index - (len(config.models) - 1) / 2)
            times.append(_points(name, "", at, found, 2 * np.array(etas)))
            ratios.append(_points(name, "", at, found, 1 / np.array([exact[eta] for eta in etas])))
            curve = np.array([_exact(config, name, float(eta)) / exact[float(eta)] for eta in dense])
            ratios.append(Series(name, "", dense, curve))
        return (
            Panel(f"On the line, R = {config.line_distance:g}σ, μ = 1", "step size η", "2μ · mean exit in SDE time", tuple(times), log="x"),
            Panel("The same over SGD's", "step size η", "mean exit / SGD's exact", tuple(ratios), log="x", level=1.0),
        )


def _origin(dim: int) -> Any:
    import torch

    return torch.zeros(1, dim, dtype=torch.float64)


def _plane(config: Config) -> Any:
    turn = math.radians(config.angle)
    basis = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    hessian = (basis * [-config.falling, config.rising]) @ basis.T
    return sg.noises.Gaussian(sg.objectives.Quadratic((hessian + hessian.T) / 2), [[1.0, config.correlation], [config.correlation, 1.0]])


def _saddle(config: Config, kind: str) -> tuple[Any, float, float]:
    """Noise, η and radius of a kind of cell."""
    if kind == "plane":
        return _plane(config), 1.0, config.plane_distance
    axis, _, value = kind.partition("=")
    if axis == "d":
        saddle = sg.objectives.StrictSaddle(int(value), negative=config.falling, positive=config.wall, quartic=0.0)
        return sg.noises.Gaussian(saddle, 1.0), 1.0, config.distance
    return sg.noises.Gaussian(sg.objectives.Quadratic([-1.0]), 1.0), float(value), config.line_distance


def _growth(config: Config, kind: str) -> float:
    """ημ."""
    return float(kind.partition("=")[2]) if kind.startswith("eta=") else config.falling


def _variance(config: Config) -> float:
    """v of a rising direction over s²."""
    return 1 / (config.wall * (2 - config.wall))


def _left(config: Config, dim: int) -> float:
    """The distance that the falling direction has to go, in s; 0 where the others fill the ball."""
    return math.sqrt(max(config.distance**2 - (dim - 1) * _variance(config), 0.0))


def _exact(config: Config, name: str, eta: float) -> float:
    """Mean steps on the line by the oracles; NaN where they refuse."""
    noise, _, radius = _saddle(config, f"eta={eta!r}")
    law = exact_exit(name, noise, eta, 0.0, Interval(-radius, radius))
    return math.nan if law is None else law.steps


def _points(name: str, label: str, x: np.ndarray, found: Sequence[Estimate], scale: np.ndarray | float = 1.0) -> Series:
    value, low, high = (np.array([getattr(one, part) for one in found], dtype=float) * scale for part in ("value", "low", "high"))
    return Series(name, label, x, value, low, high, "points")


STUDY = EscapeSaddles()
