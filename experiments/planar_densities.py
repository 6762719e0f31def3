"""Densities of SGD and its SDE models on two quadratics in the plane, a minimum and a saddle, with Gaussian noise that does not commute with the Hessian.

Minimum: x = ηλ = (0.9, 0.25), long after the start. Saddle: x = (0.6, −0.5), a few steps after a start on it. H's eigenvectors are turned by 30 degrees; Σ has
variances 1 in the axes and correlation 0.4. HA-SME's law is SGD's at t = kη (arXiv 2405.18373). SDEs run by stochastic Heun with many substeps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sgdsde as sg
from sgdsde.plots import Image, Panel, Series
from sgdsde.runs import Histogram, Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, suggest

MODELS = ("SGD", "SME1", "SME2", "SPF", "HASME", "HASMEProduct")
#: x = ηλ in the eigendirections, ticks, half-width of the histogram in standard deviations of SGD's wider direction
LANDSCAPES: dict[str, tuple[tuple[float, float], int, float]] = {"minimum": ((0.9, 0.25), 30, 4.0), "saddle": ((0.6, -0.5), 5, 3.5)}
ETA = 0.1
ANGLE = math.radians(30)
CORRELATION = 0.4
BINS = 48


@dataclass(frozen=True)
class Config(StudyConfig):
    """Which models, and how the SDEs are integrated."""

    models: tuple[str, ...] = option(("SGD", "SME1", "SPF", "HASME"), "SGD and SDE models (sgdsde list models)")
    substeps: int = option(32, "Heun steps a step of SGD", low=1, high=1000)


class PlanarDensities(Study[Config]):
    """A histogram of the plane and the second moments in H's eigenbasis, one cell for each landscape and model."""

    title = "Densities of SGD and its SDE models on a planar minimum and saddle"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {"quick": {"paths": 65_536, "block_paths": 32_768}, "full": {}, "paper": {"paths": 16_777_216}}

    def check(self, config: Config) -> None:
        for model in config.models:
            if model not in MODELS:
                raise InputError(f"models: {model!r} is not offered here." + suggest(model, list(MODELS)))

    def cells(self, config: Config) -> Sequence[str]:
        return [f"{landscape} {model}" for landscape in LANDSCAPES for model in config.models]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="Gaussian, constant covariance", device=config.device)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments | Histogram]:
        import torch

        landscape, model = cell.split()
        noise, ticks = _noise(landscape), LANDSCAPES[landscape][1]
        kernel = sg.kernels.SGD(noise, ETA) if model == "SGD" else sg.kernels.Heun(getattr(sg.sdes, model)(noise, ETA), ETA / config.substeps)
        start = torch.zeros(2, dtype=torch.float64, device=config.device)
        end = sg.simulate(kernel, start, horizon=ticks * ETA, paths=paths, seed=seed, progress=False).states[-1].cpu().numpy()  # [paths, 2]
        turned = end @ _basis()  # [paths, 2] in H's eigenbasis
        products = np.stack([turned[:, 0] ** 2, turned[:, 1] ** 2, turned[:, 0] * turned[:, 1]], 1)
        return {"second moments": Moments.of(products), "plane": Histogram.of(_bin(end, _half(landscape)), np.arange(-0.5, BINS**2))}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, panels = [], []
        for landscape in LANDSCAPES:
            half = _half(landscape)
            centres = (np.arange(BINS) + 0.5) / BINS * 2 * half - half
            exact = _exact(landscape)
            inside = _basis().T @ exact @ _basis()
            for model in config.models:
                parts = cells[f"{landscape} {model}"]
                found = parts["second moments"].mean_estimate()
                for index, (name, scale) in enumerate(
                    (("variance, steep / SGD's", inside[0, 0]), ("variance, other / SGD's", inside[1, 1]), ("covariance / SGD's", inside[0, 1]))
                ):
                    value, stderr, low, high = (float(np.asarray(getattr(found, part))[index] / scale) for part in ("value", "stderr", "low", "high"))
                    lines.append(Line(f"{landscape} {model}", name, Estimate(value, stderr, found.n, min(low, high), max(low, high))))
                counts = parts["plane"]
                density = counts.counts.reshape(BINS, BINS).T / (counts.total * (2 * half / BINS) ** 2)  # [y, x]
                ring = tuple(Series("SGD", "SGD, exact: 1 and 2 standard deviations" if r == 1 else "", *_ellipse(exact, r)) for r in (1, 2))
                image = Image(centres, centres, np.where(density > 0, density, np.nan), "density")
                panels.append(Panel(f"{landscape}, {model}", "θ₁", "θ₂", ring, image=image, x_range=(-half, half), y_range=(-half, half), aspect="equal"))
        lost = sum(int(np.max(parts["second moments"].lost)) for parts in cells.values())
        return Summary(tuple(lines), tuple(panels), (f"{lost} of {len(cells) * config.paths:,} paths diverged or left a model's domain",) if lost else ())


def _basis() -> np.ndarray:
    """H's eigenvectors as columns."""
    return np.array([[math.cos(ANGLE), -math.sin(ANGLE)], [math.sin(ANGLE), math.cos(ANGLE)]])


def _noise(landscape: str) -> Any:
    hessian = (_basis() * (np.array(LANDSCAPES[landscape][0]) / ETA)) @ _basis().T
    return sg.noises.Gaussian(sg.objectives.Quadratic((hessian + hessian.T) / 2), [[1.0, CORRELATION], [CORRELATION, 1.0]])


def _exact(landscape: str) -> np.ndarray:
    """SGD's covariance at the end."""
    ticks = LANDSCAPES[landscape][1]
    return np.asarray(sg.oracles.sgd_moments(_noise(landscape), ETA, [0.0, 0.0], ticks).covariance)


def _half(landscape: str) -> float:
    return float(LANDSCAPES[landscape][2] * math.sqrt(np.linalg.eigvalsh(_exact(landscape))[-1]))


def _bin(points: np.ndarray, half: float) -> np.ndarray:
    """The number of the bin of each point, −1 outside; NaN stays NaN, so that lost paths are counted."""
    place = np.floor((points + half) / (2 * half) * BINS)
    number = place[:, 0] * BINS + place[:, 1]
    outside = ((place < 0) | (place >= BINS)).any(1) & np.isfinite(number)
    return np.where(outside, -1.0, number)


def _ellipse(covariance: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    angle = np.linspace(0, 2 * math.pi, 121)
    x, y = radius * np.linalg.cholesky(covariance) @ np.stack([np.cos(angle), np.sin(angle)])
    return x, y


STUDY = PlanarDensities()
