"""How SGD and its SDE models leave a saddle of a digits network, against the batch size: mean exit and direction, beside the local HA-SME's exact law.

The saddle is the one of claim E5: Newton's method from training, one negative direction u, noise along it. Exit from |u·(θ − θ*)| < R at iterates, censored at
``longest`` steps (means are of min(exit, longest)). The local law is a chain on u·θ with growth 1 + ημ and the measured uᵀΣu; the linear world is
SGD on the local quadratic with the noise frozen at the saddle, on the same batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdsde.measurements.network_saddles import exact_steps, exits, saddle_with_noise
from sgdsde.plots import Panel, Series
from sgdsde.plots.style import WRITTEN
from sgdsde.runs import Line, Moments, Study, StudyConfig, Summary, option
from sgdsde.types import Conventions, InputError, suggest

SGD, LINEAR, SURROGATE = "SGD", "linear world", "surrogate"
MODELS = ("SME1", "SME2", "SPF", "HASME", "HASMEProduct", "SME3")


@dataclass(frozen=True)
class Config(StudyConfig):
    """Step size, batches, border."""

    x: float = option(0.9, "eta·lambda_max at the saddle", above=0, high=0.95)
    batch: tuple[int, ...] = option((4, 8, 16, 32, 64, 128, 256, 512), "batch sizes", low=1, high=100_000)
    radius: float = option(0.2, "R, the distance along the negative direction", above=0, high=10)
    models: tuple[str, ...] = option(("SME1", "SPF", "HASME"), "SDE models")
    longest: int = option(150, "steps after which a path is censored", low=1, high=10_000)
    substeps: int = option(4, "Heun steps a step of SGD", low=1, high=1000)


class NetworkSaddle(Study[Config]):
    """One cell for each batch size and process."""

    title = "How SGD and its SDE models leave a saddle of a digits network"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 192, "block_paths": 192, "batch": (4, 16, 64, 256), "models": ("SME1", "HASME"), "substeps": 8},
        "full": {"paths": 4096, "block_paths": 512},
        "paper": {"paths": 65_536, "block_paths": 2048, "models": MODELS, "substeps": 8},
    }

    def check(self, config: Config) -> None:
        for model in config.models:
            if model not in MODELS:
                raise InputError(f"models: {model!r} does not run here." + suggest(model, list(MODELS)))

    def cells(self, config: Config) -> Sequence[str]:
        return [f"B={batch} {process}" for batch in config.batch for process in (SGD, LINEAR, SURROGATE, *config.models)]

    def conventions(self, config: Config) -> Conventions:
        return Conventions(sampling="minibatch with replacement; models and surrogate: its covariance, Gaussian", device="cpu")

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        from sgdsde import kernels
        from sgdsde.frozen_noise import Frozen
        from sgdsde.measurements.network_comparison import build
        from sgdsde.noises import Minibatch, gaussian_surrogate

        batch, process = _parts(cell)
        saddle = saddle_with_noise()
        eta, noise = config.x / float(saddle.curvatures[-1]), Minibatch(saddle.objective, batch)
        if process == SGD:
            kernel: Any = kernels.SGD(noise, eta)
        elif process == LINEAR:
            kernel = kernels.SGD(Frozen(noise, saddle.point), eta)
        elif process == SURROGATE:
            kernel = kernels.SGD(gaussian_surrogate(noise), eta)
        else:
            kernel = kernels.Heun(build(process, gaussian_surrogate(noise), eta), eta / config.substeps)
        (found,) = exits(kernel, saddle, config.radius, paths, seed % 2**62, config.longest)
        return {"steps": Moments.of(found[:, 0]), "sin2": Moments.of(found[:, 1]), "left": Moments.of(found[:, 0] < config.longest)}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines = [Line(cell, "mean of min(exit, longest), steps", parts["steps"].mean_estimate()) for cell, parts in cells.items()]
        lines += [Line(cell, "share that left", parts["left"].mean_estimate()) for cell, parts in cells.items()]
        lines += [Line(cell, "E sin² of the angle to the negative direction", parts["sin2"].mean_estimate()) for cell, parts in cells.items()]
        saddle = saddle_with_noise()
        eta, batches = config.x / float(saddle.curvatures[-1]), np.array(config.batch, dtype=float)
        law = np.array([exact_steps(saddle, eta, float(saddle.noise[0]) / b, config.radius) for b in config.batch])
        isotropic = np.array([exact_steps(saddle, eta, float(saddle.noise.mean()) / b, config.radius) for b in config.batch])
        times = [Series("EvenStepHASME", "local HA-SME, exact", batches, law), Series("GradientFlow", "the same, isotropic noise", batches, isotropic)]
        sides: list[Series] = []
        for process in (SGD, LINEAR, SURROGATE, *config.models):
            look = {LINEAR: "Langevin", SURROGATE: "HASME3"}.get(process, process)
            for quantity, series in (("steps", times), ("sin2", sides)):
                if process == LINEAR and quantity == "steps":
                    continue  # it lies on the exact law
                found = [cells[f"B={b} {process}"][quantity].mean_estimate() for b in config.batch]
                value, low, high = (np.array([getattr(e, part) for e in found], dtype=float) for part in ("value", "low", "high"))
                series.append(Series(look, _written(process), batches, value, low, high, "band"))
        where = f"ηλmax = {config.x:g}, R = {config.radius:g}"
        return Summary(
            tuple(lines),
            (
                Panel(f"Mean exit, {where}", "batch size B", "steps", tuple(times), log="x"),
                Panel("Direction at the exit", "batch size B", "E sin² of the angle to u", tuple(sides), log="x"),
            ),
        )


def _parts(cell: str) -> tuple[int, str]:
    batch, _, process = cell.removeprefix("B=").partition(" ")
    return int(batch), process


def _written(process: str) -> str:
    return {SGD: "minibatch SGD", SURROGATE: "Gaussian surrogate", LINEAR: LINEAR}.get(process, WRITTEN.get(process, process))


STUDY = NetworkSaddle()
