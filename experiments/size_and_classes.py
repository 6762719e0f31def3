"""Bulk and outliers of the spectrum at equal training loss against width, depth, classes and random labels: counts by every rule, λmax, the bulk.

A path is one network from its own start; a cell is one value of one of the four, the others at their defaults. Numbers and rules:
:mod:`sgdsde.measurements.spectrum_counts`. Sagun et al. 1706.04454; Wu et al. 2010.04261.
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
from sgdsde.types import Conventions, Estimate, InputError

#: the four families: the settings that list their values, and how a value is written
FAMILIES = {"width": "widths", "depth": "depths", "classes": "classes", "labels": "labels"}
AXES = {"width": "width", "depth": "hidden layers", "classes": "classes c", "labels": "share of labels redrawn"}
#: as in ``spectrum_counts``, which loads torch
COUNTS = ("largest ratio", "largest gap", "above a tenth", "Marchenko–Pastur, M")
SHARES = ("near zero", "−λmin/λmax")


@dataclass(frozen=True)
class Config(ClassifierConfig):
    """What is varied, and the loss at which networks are compared."""

    widths: tuple[int, ...] = option((8, 16, 32, 64), "widths", low=1, high=10_000)
    depths: tuple[int, ...] = option((1, 2, 3, 4), "hidden layers, or convolutions", low=1, high=20)
    classes: tuple[int, ...] = option((2, 3, 5, 7, 10), "classes: the first so many", low=2, high=1000)
    labels: tuple[float, ...] = option((0.0, 0.2, 0.5, 1.0), "shares of labels redrawn", low=0, high=1)
    batch: int = option(32, "batch size", low=1, high=60_000)
    loss: float = option(0.1, "training loss at which networks stop", above=0, high=10)
    most: int = option(20_000, "steps at most", low=10, high=10**8)
    shown: int = option(25, "largest eigenvalues of G that are kept", low=5, high=1000)


class SizeAndClasses(Study[Config]):
    """One cell a value of width, depth, classes or random labels."""

    title = "Bulk and outliers of the spectrum against size, classes and random labels"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 4, "samples": 400, "widths": (8, 16, 28), "depths": (1, 2, 3), "classes": (2, 3, 5, 10), "labels": (0.0, 0.5, 1.0)},
        "full": {"paths": 16},
        "paper": {
            "paths": 8, "data": "fashion-mnist", "model": "cnn", "width": 16, "widths": (8, 16, 32, 64), "depths": (1, 2, 3), "samples": 5000,
            "precision": "float32", "device": "cuda", "most": 200_000,
        },
    }  # fmt: skip

    def check(self, config: Config) -> None:
        classifiers.check(config, config.batch)
        if config.data != "cifar10" and max(config.classes) > 10:
            raise InputError(f"classes up to {max(config.classes)}; {config.data} has 10.")

    def cells(self, config: Config) -> Sequence[str]:
        return [f"{family} {value}" for family, setting in FAMILIES.items() for value in getattr(config, setting)]

    def conventions(self, config: Config) -> Conventions:
        return classifiers.conventions(config, config.batch)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        import torch

        import sgdsde as sg
        from sgdsde.measurements.spectrum_counts import EDGES, NUMBERS, spectrum

        family, _, value = cell.partition(" ")
        data = classifiers.data_of(config, classes=int(value) if family == "classes" else None, redrawn=float(value) if family == "labels" else 0.0, seed=seed)
        sizes = {family: int(value)} if family in ("width", "depth") else {}
        network = classifiers.network_of(config, data, **sizes)
        start, rule = classifiers.starts(network, seed, paths, device=config.device), sg.training.LossBelow(level=config.loss, every=10)
        run = sg.training.train(network, start, optimiser=sg.training.SGD(config.eta), batch_size=config.batch, steps=config.most, seed=seed, stop=rule)
        numbers = np.full((paths, len(NUMBERS)), np.nan)
        top, density = np.full((paths, config.shown), np.nan), np.full((paths, 2, len(EDGES) - 1), np.nan)
        for path in torch.nonzero(run.status == int(sg.types.Status.EXITED))[:, 0].tolist():
            found = spectrum(network, run.final[path], shown=config.shown, seed=seed % 2**31)
            numbers[path], top[path], density[path] = [found.numbers[name] for name in NUMBERS], found.top, found.density
        values = {name: numbers[:, i] for i, name in enumerate(NUMBERS)}
        values |= {"λmax": np.log(values["λmax"]), "parameters": np.full(paths, float(network.dim))}
        values |= {"log top": np.log(np.maximum(top, 1e-12)), "density": density, "steps": run.ended.double().numpy()}
        return {name: Moments.of(part) for name, part in values.items()}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        from sgdsde.measurements.spectrum_counts import EDGES

        lines = []
        for cell, parts in cells.items():
            lines.append(Line(cell, "λmax", parts["λmax"].geometric_estimate()))
            lines += [Line(cell, f"outliers, {name}", parts[name].student_estimate()) for name in COUNTS]
            lines += [Line(cell, name, parts[name].student_estimate()) for name in (*SHARES, "strength of the ratio", "loss", "steps", "parameters")]
        panels = []
        for family, setting in FAMILIES.items():
            own = {value: cells[f"{family} {value}"] for value in getattr(config, setting)}
            x, axis = np.array(list(own), dtype=float), AXES[family]
            log = "x" if family == "width" else ""
            counted = tuple(estimated(name, name, x, _joined(own, name)) for name in COUNTS[:3])
            panels.append(Panel(f"Outliers against {axis}", axis, "outliers", counted, log=log))
            panels.append(Panel(f"λmax against {axis}", axis, "λmax", (estimated("λmax", "", x, _joined(own, "λmax"), log=True),), log=log + "y"))
            bulk = tuple(estimated(name, name, x, _joined(own, name)) for name in SHARES)
            panels.append(Panel(f"Bulk against {axis}", axis, "share of eigenvalues, ratio", bulk, log=log))
            rank, middle = np.arange(1.0, config.shown + 1), 10 ** ((EDGES[1:] + EDGES[:-1]) / 2)
            labels = {value: f"{axis.removesuffix(' c')} {value:g}" for value in own}
            top = tuple(estimated(f"{value}", labels[value], rank, parts["log top"].geometric_estimate(), log=True) for value, parts in own.items())
            panels.append(Panel(f"Largest eigenvalues of G by {axis}", "rank", "eigenvalue", top, log="y"))
            dense = tuple(estimated(f"{value}", labels[value], middle, parts["density"].student_estimate()[0]) for value, parts in own.items())
            panels.append(Panel(f"Positive spectrum of H by {axis}", "λ/λmax", "share of eigenvalues a bin", dense, log="x"))
        unfinished = {cell: int(parts["λmax"].lost) for cell, parts in cells.items()}
        notes = tuple(f"{cell}: {count} networks did not reach loss {config.loss:g} in {config.most} steps" for cell, count in unfinished.items() if count)
        full = [cell for cell, parts in cells.items() if float(parts["above a tenth"].mean) > config.shown - 1]
        notes += (f"{', '.join(full)}: more may lie above a tenth than the {config.shown} eigenvalues that are kept",) if full else ()
        return Summary(tuple(lines), tuple(panels), (f"{config.paths} networks a cell, Student's intervals", *notes))


def _joined(own: Mapping[Any, Mapping[str, Any]], name: str) -> Estimate:
    """One estimate over the values of a family."""
    return joined([parts[name].geometric_estimate() if name == "λmax" else parts[name].student_estimate() for parts in own.values()])


STUDY = SizeAndClasses()
