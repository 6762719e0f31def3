"""Paths of SGD and its SDE models off a saddle in the plane, over the level lines of f: the same Brownian motion drives SGD and each model.

f(θ) = −(μ/2)θ₁² + (q/4)θ₁⁴ + (λ/2)θ₂²; Gaussian noise that need not commute with the Hessian. A path of SGD and a path of the model that starts with it
belong together: SGD's ξ of a step is the model's increment over that step (``sgdsde.kernels.Coupled``). Both are shown at t = kη until one has left the
picture. Beside them, over all paths: the root mean square distance of the two, and E|θ|² of the model over SGD's. The first is about paths, the second about
the law: HA-SME's paths need not stay near SGD's, its law does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.measurements.escape_processes import checked_processes, model
from sgdsde.plots import Image, Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError

#: nodes of the level lines along a side
NODES = 81


@dataclass(frozen=True)
class Config(StudyConfig):
    """The saddle, the noise, which models, how many paths are drawn."""

    paths: int = option(65_536, "paths a model for the distances", low=2, high=10**9)
    block_paths: int = option(16_384, "paths a block", low=2, high=10**8)
    models: tuple[str, ...] = option(("SME1", "SME2", "SPF", "HASME"), "SDE models beside SGD (sgdsde list models)")
    falling: float = option(1.0, "mu: curvature −mu of the falling direction at the saddle", above=0, high=100)
    rising: float = option(2.4, "lambda, curvature of the rising direction", above=0, high=100)
    quartic: float = option(1.0, "q, the quartic that ends the fall at sqrt(mu/q)", low=0, high=100)
    eta: float = option(0.35, "step size", above=0, high=10)
    sigma: float = option(0.3, "standard deviation of the noise along each axis", above=0, high=100)
    correlation: float = option(0.5, "correlation of the noise in the axes", low=-0.99, high=0.99)
    steps: int = option(20, "steps of SGD", low=2, high=1000)
    radius: float = option(1.25, "half the side of the picture", above=0, high=1000)
    height: float = option(0.65, "half the height of the picture", above=0, high=1000)
    drawn: int = option(4, "paths that are drawn", low=1, high=12)
    substeps: int = option(32, "Heun steps a step of SGD", low=1, high=1000)


class EscapePaths(Study[Config]):
    """Coupled paths, one cell for the drawn ones and one for the distances of each model."""

    title = "Paths of SGD and its SDE models off a saddle, on one Brownian motion"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 4_096, "block_paths": 4_096, "substeps": 16},
        "full": {},
        "paper": {"paths": 1_048_576, "substeps": 64},
    }

    def check(self, config: Config) -> None:
        checked_processes(config.models)
        if "SGD" in config.models:
            raise InputError("models: SGD is in every picture; name the models beside it.")
        if config.eta * config.rising >= 1:
            raise InputError(f"ηλ = {config.eta * config.rising:g} in the rising direction; wanted less than 1, where log(1 − ηλ) ends.")

    def cells(self, config: Config) -> Sequence[str]:
        return [f"{what} {name}" for name in config.models for what in ("drawn", "distance")]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(eta=config.eta, sampling="Gaussian, constant covariance; coupled", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        import torch

        what, name = cell.split(" ")
        noise = _noise(config)
        pair = sg.kernels.Coupled(sg.kernels.SGD(noise, config.eta), sg.kernels.Heun(model(name, noise, config.eta), config.eta / config.substeps))
        start = torch.zeros(2, dtype=torch.float64, device=config.device)
        times = [k * config.eta for k in range(1, config.steps + 1)]
        if what == "drawn":  # one seed for all models, so that SGD's paths are the same in every picture; equal in every block
            run = sg.simulate(pair, start, horizon=times[-1], save=times, paths=config.drawn, seed=config.seed, progress=False)
            return {"paths": Moments.of(run.states.cpu().numpy()[None])}  # [1, times, drawn, 4]
        run = sg.simulate(pair, start, horizon=times[-1], save=times, paths=paths, seed=seed, progress=False)
        a, b = (half.cpu().numpy() for half in pair.split(run.states))  # [times, paths, 2]
        square, other = (a**2).sum(-1).T, (b**2).sum(-1).T  # [paths, times]
        return {"apart": Moments.of(((a - b) ** 2).sum(-1).T), "size": Moments.of(square), "gain": Moments.of(other - square)}

    def samples(self, config: Config, cell: str, name: str, *, paths: int) -> int:
        return 1 if cell.startswith("drawn ") else paths  # the few paths of a picture are one sample of the whole picture

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        image = self._levels(config)
        panels: list[Panel] = []
        lines: list[Line] = []
        apart: list[Series] = []
        sizes: list[Series] = []
        k = np.arange(1, config.steps + 1, dtype=float)
        for name in config.models:
            written = WRITTEN.get(name, name)
            found = np.where(cells[f"drawn {name}"]["paths"].lost == 0, cells[f"drawn {name}"]["paths"].mean, np.nan)  # [times, drawn, 4]
            found = np.concatenate([np.zeros((1, *found.shape[1:])), found])
            pairs = [until_out(found[:, path], np.array([config.radius, config.height] * 2)) for path in range(config.drawn)]
            joined = np.concatenate([np.concatenate([pair, np.full((1, 4), np.nan)]) for pair in pairs])  # one path after the other, with gaps
            ends = np.array([pair[np.isfinite(pair[:, 0])][-1] for pair in pairs])  # [drawn, 4]
            series = []
            for look, said, first in (("SGD", "SGD", 0), (name, written, 2)):
                series.append(Series(look, said, joined[:, first], joined[:, first + 1]))
                series.append(Series(look, "", ends[:, first], ends[:, first + 1], kind="points"))
            x_range, y_range = (-config.radius, config.radius), (-config.height, config.height)
            panels.append(Panel(f"SGD and {written}", "θ₁", "θ₂", tuple(series), image=image, x_range=x_range, y_range=y_range, aspect="equal"))
            square, size, gain = (cells[f"distance {name}"][part].mean_estimate() for part in ("apart", "size", "gain"))
            relative = relative_distance(square, size)
            apart.append(Series(name, "", k, relative.value, relative.low, relative.high, "band"))
            ratio = size_ratio(gain, size)
            sizes.append(Series(name, "", k, ratio.value, ratio.low, ratio.high, "band"))
            lines.append(Line(f"distance {name}", f"rms distance from SGD over SGD's from the saddle, k = {config.steps}", _at(relative, -1)))
            lines.append(Line(f"distance {name}", f"E|θ|² over SGD's, k = {config.steps // 2}", _at(ratio, config.steps // 2 - 1)))
        panels.append(Panel("Paths: distance between model and SGD", "step k", "rms distance / SGD's rms size", tuple(apart), log="y"))
        panels.append(Panel("Laws: distance from the saddle", "step k", "E|θ|² / SGD's", tuple(sizes), level=1.0))
        broken = {name: int(np.max(cells[f"distance {name}"]["apart"].lost)) for name in config.models}
        return Summary(tuple(lines), tuple(panels), tuple(f"{name}: {n} paths diverged or left the model's domain" for name, n in broken.items() if n))

    def _levels(self, config: Config) -> Image:
        """f on the picture, with level lines."""
        import torch

        across, up = (np.linspace(-end, end, NODES) for end in (config.radius, config.height))
        x, y = np.meshgrid(across, up)
        points = torch.from_numpy(np.stack([x.ravel(), y.ravel()], 1))
        f = _noise(config).objective.loss(points).numpy().reshape(NODES, NODES)
        heights = np.quantile(f, np.linspace(0.04, 0.96, 11))
        return Image(across, up, f, contours=tuple(float(h) for h in heights), high=float(np.quantile(f, 0.9)) * 2)


def until_out(path: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """A pair of paths ``[times, 4]`` until one of them is beyond ``reach`` ``[4]``; NaN afterwards."""
    inside = (np.abs(path) <= reach).all(1)
    gone = np.flatnonzero(~inside)
    return np.where((np.arange(len(path)) > (gone[0] if gone.size else len(path)))[:, None], np.nan, path)


def relative_distance(square: Estimate, size: Estimate) -> Estimate:
    """√(E|a − b|²/E|a|²), delta method on the log; the two means are taken as independent, which widens the interval."""
    value = np.sqrt(np.asarray(square.value) / np.asarray(size.value))
    relative = 0.5 * np.hypot(np.asarray(square.stderr) / np.asarray(square.value), np.asarray(size.stderr) / np.asarray(size.value))
    factor = np.exp(1.959964 * relative)
    return Estimate(value, value * relative, square.n, value / factor, value * factor)


def size_ratio(gain: Estimate, size: Estimate) -> Estimate:
    """E|b|²/E|a|² = 1 + E(|b|² − |a|²)/E|a|² of coupled paths; the error of the denominator, of second order here, is left out."""
    part = {name: np.asarray(getattr(gain, name)) / np.asarray(size.value) for name in ("value", "stderr", "low", "high")}
    return Estimate(1 + part["value"], part["stderr"], gain.n, 1 + part["low"], 1 + part["high"])


def _at(found: Estimate, index: int) -> Estimate:
    return Estimate(found.value[index], found.stderr[index], found.n, found.low[index], found.high[index])


def _noise(config: Config) -> Any:
    saddle = sg.objectives.StrictSaddle(2, negative=config.falling, positive=config.rising, quartic=config.quartic)
    c = config.correlation
    return sg.noises.Gaussian(saddle, [[config.sigma**2, c * config.sigma**2], [c * config.sigma**2, config.sigma**2]])


STUDY = EscapePaths()
