"""Mean exit over a barrier against the dimension of a valley that stiffens away from the pass, for SGD and its SDE models, by splitting.

f(θ) = x⁴/4 − x²/2 + ½(k₀ + k₁x²)|y|², x = θ₁, from the minimum −e₁ until x > 1 at an iterate t = kη; isotropic Gaussian noise, temperature T = ησ²/2.
Exact up to the few steps that settling takes: 2/(rate of relaxation between the wells) in any dimension (``sgdsde.oracles.radial``). Eyring–Kramers' law: the
pass is wider than the valley, so that Eτ falls by √(k₀/(k₀ + k₁)) a dimension. HA-SME over SGD as T → 0: e^{−(η/2)[3 + (d−1)k₁]}
(docs/theory/fixed_temperature.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.measurements.barrier_rates import first_order
from sgdsde.measurements.escape_processes import checked_processes, mean_from_rate, model, process, remarks, replicas
from sgdsde.measurements.interval_paths import over
from sgdsde.oracles import eyring_kramers, sde_crossing, sgd_crossing
from sgdsde.plots import Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.regions import HalfSpace
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, DomainError, Estimate, InputError, OracleRefusal

#: models whose step needs eigenvectors of the Hessian: dense, so that their cost grows like d³
EIGEN = ("SPF", "HASME", "HASMEProduct", "HASME3", "EvenStepHASME")
#: relative accuracy asked of the crossing rates
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Config(StudyConfig):
    """The valley, the temperature, the dimensions, and the effort of the splitting."""

    paths: int = option(32, "replicas of the splitting a cell", low=8, high=100_000)
    block_paths: int = option(32, "replicas a block; each block has a pilot of its own", low=8, high=10_000)
    models: tuple[str, ...] = option(("SGD", "SME1", "SPF", "HASME"), "SGD and SDE models (sgdsde list models)")
    dim: tuple[int, ...] = option((2, 3, 5, 8, 12, 16), "dimensions", low=2, high=64)
    eigen_up_to: int = option(8, "models that need eigenvectors run up to this dimension", low=2, high=64)
    eta: float = option(0.1, "step size", above=0, high=0.5)
    temperature: float = option(0.04, "T = eta·sigma²/2; the barrier is 1/4", above=0, high=1)
    base: float = option(1.0, "k0, the valley's curvature at the pass", above=0, high=100)
    gain: float = option(1.0, "k1: k0 + k1 is its curvature at the minima", low=0, high=100)
    effort: int = option(256, "pieces of paths a level and replica", low=16, high=1_000_000)
    substeps: int = option(4, "Heun steps a step of SGD", low=1, high=1000)


class EscapeDimension(Study[Config]):
    """Exit rates by splitting, one cell for each dimension and process."""

    title = "Mean exit over a barrier against the dimension"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {
            "paths": 16,
            "block_paths": 16,
            "dim": (2, 4, 8),
            "eigen_up_to": 4,
            "models": ("SGD", "SME1", "HASME"),
            "temperature": 0.05,
            "effort": 96,
            "substeps": 2,
        },
        "full": {},
        "paper": {"paths": 256, "effort": 512, "substeps": 8, "eigen_up_to": 16},
    }

    def check(self, config: Config) -> None:
        checked_processes(config.models)
        if config.paths % config.block_paths:
            raise InputError(f"paths = {config.paths} replicas are no multiple of block_paths = {config.block_paths}; wanted whole blocks.")
        if config.eta * max(2.0, config.base + config.gain) >= 1:
            raise InputError(f"ηλ = {config.eta * max(2.0, config.base + config.gain):g} at the minima; wanted less than 1, where log(1 − ηλ) ends.")

    def cells(self, config: Config) -> Sequence[str]:
        return [_label(dim, name) for dim in config.dim for name in config.models if _runs(config, dim, name)]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(eta=config.eta, sampling="Gaussian, constant covariance", device="cpu")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        dim, name = _parts(cell)
        kernel = process(name, _noise(config, dim), config.eta, substeps=config.substeps)
        first = np.eye(dim)[0]
        found = replicas(kernel, tuple(-first), HalfSpace(first.tolist(), 1.0), effort=config.effort, replicas=paths, seed=seed)
        return {part: Moments.of(values) for part, values in found.items()}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines: list[Line] = []
        means: list[Series] = []
        ratios: list[Series] = []
        notes: list[str] = []
        dims = sorted(config.dim)
        exact = {dim: exact_steps(config, dim, "SGD") for dim in dims}
        x = np.array(dims, dtype=float)
        means.append(Series("SGD", "", x, np.array([exact[dim] for dim in dims])))
        means.append(Series("GradientFlow", "Eyring–Kramers' law", x, np.array([law_steps(config, dim) for dim in dims])))
        for index, name in enumerate(config.models):
            ran = [dim for dim in dims if _runs(config, dim, name)]
            found = [mean_from_rate(cells[_label(dim, name)]["rate"].mean_estimate()) for dim in ran]
            written = WRITTEN.get(name, name)
            at = np.array(ran, dtype=float) + 0.12 * (index - (len(config.models) - 1) / 2)
            means.append(_points(name, written, at, found, np.ones(len(ran))))
            ratios.append(_points(name, written, at, found, np.array([exact[dim] for dim in ran])))
            if name != "SGD":
                ratios.append(Series(name, "", x, np.array([exact_steps(config, dim, name) / exact[dim] for dim in dims])))
            for dim, one in zip(ran, found, strict=True):
                cell = _label(dim, name)
                lines.append(Line(cell, "mean exit in steps", one))
                lines.append(Line(cell, "mean exit / SGD's exact", over(one, exact[dim])))
                notes += remarks(cell, cells[cell])
        if "HASME" in config.models:
            ratios.append(Series("PrincipalFlow", "HA-SME's theory, T → 0", x, np.array([math.exp(config.eta * _slope(config, dim)) for dim in dims])))
        title = f"Stiffening valley, T = {config.temperature:g}"
        panels = (
            Panel(title, "dimension d", "mean exit, steps", tuple(means), log="y"),
            Panel("The models over SGD", "dimension d", "mean exit / SGD's exact", tuple(ratios), log="y", level=1.0),
        )
        return Summary(tuple(lines), panels, tuple(notes))


@lru_cache(maxsize=1024)
def exact_steps(config: Config, dim: int, name: str) -> float:
    """Mean steps from one well to the other: 2/rate of relaxation; NaN where the oracle refuses or does not know the model."""
    try:
        noise = _noise(config, dim)
        found = sgd_crossing(noise, config.eta, tolerance=TOLERANCE) if name == "SGD" else sde_crossing(model(name, noise, config.eta), tolerance=TOLERANCE)
    except (OracleRefusal, DomainError):
        return math.nan
    return float(2 / found.rate / config.eta)


def law_steps(config: Config, dim: int) -> float:
    """Eyring–Kramers' law in steps."""
    well = _noise(config, dim).objective
    return eyring_kramers(well, well.facts.minima[0], well.facts.saddles[0], temperature=config.temperature) / config.eta


def _slope(config: Config, dim: int) -> float:
    import torch

    well = _noise(config, dim).objective
    ends = (torch.tensor(points[:1], dtype=torch.float64) for points in (well.facts.minima, well.facts.saddles))
    return first_order(well, *ends)["HASME"]


def _noise(config: Config, dim: int) -> Any:
    return sg.noises.Gaussian(sg.objectives.StiffeningWell(dim, base=config.base, gain=config.gain), 2 * config.temperature / config.eta)


def _runs(config: Config, dim: int, name: str) -> bool:
    return name not in EIGEN or dim <= config.eigen_up_to


def _points(name: str, label: str, x: np.ndarray, found: Sequence[Estimate], scale: np.ndarray) -> Series:
    value, low, high = (np.array([getattr(one, part) for one in found], dtype=float) / scale for part in ("value", "low", "high"))
    return Series(name, label, x, value, low, high, "points")


def _label(dim: int, name: str) -> str:
    return f"d={dim} {name}"


def _parts(cell: str) -> tuple[int, str]:
    dim, name = cell.split(" ")
    return int(dim.removeprefix("d=")), name


STUDY = EscapeDimension()
