"""Gradient noise against curvature through training, by batch size: tr M/tr H, shared eigenspaces, γ, tr(HΣ), loss differences of the next step, step angles.

A path is one network from its own start; a cell is a batch size. Checkpoints are shared, and angles are means over the steps between two of them. Quantities
and their law: :mod:`sgdsde.measurements.noise_training`. Li et al. 1907.10732; Wu et al. 2010.04261.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sgdsde.measurements import classifiers
from sgdsde.measurements.classifiers import ClassifierConfig
from sgdsde.plots import Panel, Series, estimated
from sgdsde.runs import Line, Moments, Study, Summary, option
from sgdsde.types import Conventions, Estimate, InputError

#: names as in ``noise_training``; of the first the geometric mean over networks is taken
RATIOS = ("tr M/tr H", "tr Σ/tr H", "tr(HΣ)", "λmax(H)", "tr H", "loss")
SHARED = ("overlap of M and H", "overlap of M and G", "overlap of Σ and H", "overlap by chance")
ALIGNED = ("cosine of Σ and H", "cosine of Σ and G", "commutator of Σ and H", "γ")
AXIS = "step (0 drawn left of the next)"
NEXT = ("mean", "law", "law without noise", "rises", "miss")
SIZES = "over the sizes of the law's terms"
WORDS = {"mean": f"mean Δ {SIZES}", "law": f"second-order law {SIZES}", "law without noise": f"law without tr(HΣ) {SIZES}"}
WORDS |= {"miss": f"mean Δ − law, {SIZES}", "rises": "P(Δ > 0)"}


@dataclass(frozen=True)
class Config(ClassifierConfig):
    """Batch sizes and checkpoints."""

    batches: tuple[int, ...] = option((8, 32, 128), "batch sizes", low=1, high=60_000)
    steps: tuple[int, ...] = option((0, 10, 30, 100, 300, 1000, 3000, 10_000), "checkpoints", low=0, high=10**8)
    top: int = option(10, "dimension of the eigenspaces compared", low=1, high=1000)
    redraws: int = option(300, "next steps drawn at a checkpoint", low=20, high=10**6)
    vectors: int = option(64, "random vectors where matrices are not held", low=2, high=100_000)


class NoiseAndCurvature(Study[Config]):
    """One cell a batch size."""

    title = "Gradient noise against curvature through training"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 4, "samples": 400, "width": 12, "batches": (8, 64), "steps": (0, 10, 30, 100, 300, 1000, 3000)},
        "full": {"paths": 32},
        "paper": {
            "paths": 16, "data": "fashion-mnist", "model": "cnn", "width": 16, "samples": 10_000, "batches": (32, 128, 512), "precision": "float32",
            "device": "cuda", "steps": (0, 10, 100, 1000, 10_000, 50_000),
        },
    }  # fmt: skip

    def check(self, config: Config) -> None:
        classifiers.check(config, *config.batches)
        if tuple(sorted(set(config.steps))) != config.steps:
            raise InputError(f"steps = {config.steps}; checkpoints must increase.")
        if len(config.steps) < 2 or min(b - a for a, b in pairwise(config.steps)) < 2:
            raise InputError(f"steps = {config.steps}; wanted two checkpoints or more, two steps apart at least: angles are between them.")

    def cells(self, config: Config) -> Sequence[str]:
        return [_label(batch) for batch in config.batches]

    def conventions(self, config: Config) -> Conventions:
        return classifiers.conventions(config)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        from sgdsde.measurements.noise_training import POINT, STEP, along_training

        network = classifiers.network_of(config, classifiers.data_of(config))
        theta = classifiers.starts(network, seed, paths, device=config.device)
        found = along_training(
            network, theta, eta=config.eta, batch=int(cell.removeprefix("B = ")), steps=config.steps, top=config.top, vectors=config.vectors,
            redraws=config.redraws, seed=seed,
        )  # fmt: skip
        values = {name: found.point[:, :, i] for i, name in enumerate(POINT)} | {name: found.step[:, :, i] for i, name in enumerate(STEP)}
        values = {name: np.log(np.maximum(part, 1e-300)) if name in RATIOS else part for name, part in values.items()}
        return {name: Moments.of(part) for name, part in (values | {"turn": found.turn, "angles": np.degrees(np.arccos(found.cosines))}).items()}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines = []
        for cell, parts in cells.items():
            for name in (*RATIOS, *SHARED, *ALIGNED, *NEXT):
                found = _estimate(parts, name)
                lines += [Line(f"{cell}, step {step}", WORDS.get(name, name), found[t]) for t, step in enumerate(config.steps)]
            turns = parts["turn"].student_estimate()
            lines += [Line(f"{cell}, steps to {step}", "mean cosine of consecutive steps", turns[t]) for t, step in enumerate(config.steps[1:])]
        panels = [_against_loss(cells, name) for name in ("tr M/tr H", "tr(HΣ)")]
        panels += [_spaces(config, cell, parts) for cell, parts in cells.items()]
        panels += [_over_steps(config, cells, name) for name in (*ALIGNED, "λmax(H)", "loss", "rises")]
        panels += [_differences(config, cell, parts) for cell, parts in cells.items()]
        x = np.array(config.steps[1:], dtype=float)
        turns = tuple(estimated(cell, cell, x, parts["turn"].student_estimate()) for cell, parts in cells.items())
        panels.append(Panel("Angle between consecutive steps", "step at the end of the window", "mean cosine", turns, log="x", level=0.0))
        panels += [_angles(config, cell, parts) for cell, parts in cells.items()]
        lost = sum(int(np.max(parts["loss"].lost)) for parts in cells.values())
        notes = (f"{lost} networks diverged: means over them and others are missing",) if lost else ()
        return Summary(tuple(lines), tuple(panels), (f"{config.paths} networks a batch size, Student's intervals", *notes))


def _estimate(parts: Mapping[str, Any], name: str) -> Estimate:
    return parts[name].geometric_estimate() if name in RATIOS else parts[name].student_estimate()


def _places(config: Config) -> np.ndarray:
    """Step 0 stands a factor of three left of the next."""
    return np.array([max(step, config.steps[1] / 3) for step in config.steps], dtype=float)


def _against_loss(cells: Mapping[str, Mapping[str, Any]], name: str) -> Panel:
    series = [estimated(cell, cell, _estimate(parts, "loss").value, _estimate(parts, name), log=True) for cell, parts in cells.items()]
    return Panel(f"{name} against the loss", "training loss", name, tuple(series), log="xy")


def _over_steps(config: Config, cells: Mapping[str, Mapping[str, Any]], name: str) -> Panel:
    log = "xy" if name in RATIOS else "x"
    series = [estimated(cell, cell, _places(config), _estimate(parts, name), log=log == "xy") for cell, parts in cells.items()]
    return Panel(WORDS.get(name, name), AXIS, WORDS.get(name, name), tuple(series), log=log)


def _spaces(config: Config, cell: str, parts: Mapping[str, Any]) -> Panel:
    series = [estimated(name, name, _places(config), _estimate(parts, name)) for name in SHARED]
    return Panel(f"Top {config.top} eigenvectors, {cell}", AXIS, "overlap", tuple(series), log="x", y_range=(0, 1))


def _differences(config: Config, cell: str, parts: Mapping[str, Any]) -> Panel:
    """The band of the redraws is their spread, 5 % to 95 %, not an interval of a mean."""
    x, (low, middle, high) = _places(config), (np.atleast_1d(_estimate(parts, name).value) for name in ("5 %", "median", "95 %"))
    spread = Series("redraws", "redraws, 5 % to 95 %", x, middle, low, high, "band")
    mean = estimated("mean", "mean", x, _estimate(parts, "mean"), kind="points")
    laws = [Series(name, name, x, np.atleast_1d(_estimate(parts, name).value)) for name in ("law", "law without noise")]
    return Panel(f"Loss difference of the next step, {cell}", AXIS, f"Δ {SIZES}", (spread, mean, *laws), log="x", level=0.0)


def _angles(config: Config, cell: str, parts: Mapping[str, Any]) -> Panel:
    found, rank = parts["angles"].student_estimate(), np.arange(1.0, config.top + 1)
    series = [estimated(f"{step}", f"step {step:,}", rank, found[t]) for t, step in enumerate(config.steps)]
    return Panel(f"Principal angles of Σ and H, {cell}", "angle, smallest first", "degrees", tuple(series), y_range=(0, 90))


def _label(batch: int) -> str:
    return f"B = {batch}"


STUDY = NoiseAndCurvature()
