"""Batch size and basins: λ's at equal loss by batch size and SAM, the loss on lines between solutions and its height, independent starts as control.

A path is a pair of starts; a cell is a width. What is trained and which lines are looked at: :mod:`sgdsde.measurements.solutions`. Sagun et al. 1706.04454.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdsde.measurements import classifiers
from sgdsde.measurements.classifiers import ClassifierConfig
from sgdsde.plots import Panel, estimated, joined
from sgdsde.runs import Line, Moments, Study, Summary, option
from sgdsde.types import Conventions, InputError


@dataclass(frozen=True)
class Config(ClassifierConfig):
    """Batch sizes, SAM, losses, widths."""

    widths: tuple[int, ...] = option((10, 20, 40), "widths", low=1, high=10_000)
    batches: tuple[int, ...] = option((8, 64), "batch sizes; the full batch is always there", low=1, high=60_000)
    radius: float = option(0.1, "SAM's radius ρ", above=0, high=10)
    loss: float = option(0.05, "training loss at which solutions are compared", above=0, high=10)
    lower: float = option(0.01, "training loss of the small batches that go on from the full-batch solution", above=0, high=10)
    most: int = option(50_000, "steps at most", low=10, high=10**8)
    shown: int = option(15, "largest eigenvalues of H that are kept", low=2, high=1000)


class Basins(Study[Config]):
    """One cell a width."""

    title = "Eigenvalues by batch size at equal loss, and the loss on lines between solutions"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 4, "samples": 400, "widths": (10, 20, 40), "loss": 0.1, "lower": 0.02},
        "full": {"paths": 16},
        "paper": {
            "paths": 8, "data": "fashion-mnist", "model": "cnn", "widths": (8, 16, 32), "samples": 5000, "batches": (32, 256), "precision": "float32",
            "device": "cuda", "most": 200_000, "loss": 0.1, "lower": 0.02,
        },
    }  # fmt: skip

    def check(self, config: Config) -> None:
        classifiers.check(config, *config.batches)
        if tuple(sorted(config.batches)) != config.batches or config.samples in config.batches:
            raise InputError(f"batches = {config.batches}; wanted increasing sizes below samples = {config.samples}.")
        if not config.lower < config.loss:
            raise InputError(f"lower = {config.lower} is not below loss = {config.loss}: small batches would not move from the full-batch solution.")

    def cells(self, config: Config) -> Sequence[str]:
        return [_label(width) for width in config.widths]

    def conventions(self, config: Config) -> Conventions:
        return classifiers.conventions(config)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        from sgdsde.measurements.solutions import solutions

        data = classifiers.data_of(config)
        network = classifiers.network_of(config, data, width=int(cell.removeprefix("width ")))
        start = classifiers.starts(network, seed, 2 * paths, device=config.device)
        found = solutions(
            network, start[:paths], start[paths:], eta=config.eta, batches=config.batches, radius=config.radius, loss=config.loss, lower=config.lower,
            most=config.most, shown=config.shown, classes=data.classes or 2, seed=seed,
        )  # fmt: skip
        logs = np.log(np.maximum(found.top, 1e-12))
        values = {"log top": logs, "log λmax over small batches'": logs[:, :, 0] - logs[:, :1, 0], "outliers": found.counts, "steps": found.steps}
        values |= {"losses": found.losses, "heights": found.heights, "apart": found.apart}
        return {name: Moments.of(part) for name, part in values.items()}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        from sgdsde.measurements.solutions import LINES, names

        called = names(config.batches, config.radius)
        lines, panels = [], []
        for cell, parts in cells.items():
            top, ratio = parts["log top"].geometric_estimate(), parts["log λmax over small batches'"].geometric_estimate()
            counts, steps = parts["outliers"].student_estimate(), parts["steps"].student_estimate()
            heights, apart = parts["heights"].student_estimate(), parts["apart"].student_estimate()
            for i, name in enumerate(called):
                lines += [Line(f"{cell}, {name}", "λmax", top[i, 0]), Line(f"{cell}, {name}", "outliers, largest ratio", counts[i])]
                lines += [Line(f"{cell}, {name}", "steps", steps[i])] + ([Line(f"{cell}, {name}", f"λmax / that of {called[0]}", ratio[i])] if i else [])
            for i, name in enumerate(LINES):
                lines += [Line(f"{cell}, {name}", "barrier / ln c", heights[i]), Line(f"{cell}, {name}", "distance", apart[i])]
            rank = np.arange(1.0, config.shown + 1)
            spectra = tuple(estimated(n, n, rank, top[i], log=True) for i, n in enumerate(called))
            panels.append(Panel(f"Eigenvalues of H at equal loss, {cell}", "rank", "eigenvalue", spectra, log="y"))
            losses = parts["losses"].student_estimate()
            place = np.linspace(0, 1, losses.value.shape[1])[::4]
            drawn = tuple(estimated(name, name, place, losses[i, ::4]) for i, name in enumerate(LINES))
            panels.append(Panel(f"Loss on lines, {cell}", "place on the line α", "loss", drawn))
        x, own = np.array(config.widths, dtype=float), [cells[_label(width)] for width in config.widths]
        sharp = [joined([parts["log top"].geometric_estimate()[i, 0] for parts in own]) for i in range(len(called))]
        high = [joined([parts["heights"].student_estimate()[i] for parts in own]) for i in range(len(LINES))]
        panels.append(
            Panel("λmax at equal loss", "width", "λmax", tuple(estimated(n, n, x, e, log=True) for n, e in zip(called, sharp, strict=True)), log="xy")
        )
        panels.append(Panel("Barriers", "width", "barrier / ln c", tuple(estimated(n, n, x, e) for n, e in zip(LINES, high, strict=True)), log="x"))
        lost = {cell: int(np.max(parts["heights"].lost)) for cell, parts in cells.items()}
        notes = tuple(
            f"{cell}: {count} pairs of starts with a solution that did not reach its loss in {config.most} steps" for cell, count in lost.items() if count
        )
        return Summary(tuple(lines), tuple(panels), (f"{config.paths} pairs of starts a width, Student's intervals", *notes))


def _label(width: int) -> str:
    return f"width {width}"


STUDY = Basins()
