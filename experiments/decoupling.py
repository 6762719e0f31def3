"""Layer-wise Hessians beside their Kronecker forms through training, with and without batch normalisation, and what independent models share.

Cells ``layers KIND`` report every layer at checkpoints (a path is a network); cells ``models KIND, width w`` compare the top-k eigenspaces of two networks
trained to one loss, over k (a path is a pair). Kinds: ``plain``, ``standardised`` inputs, ``BatchNorm`` (frozen at the training set's statistics at the point).
Numbers: :mod:`sgdsde.measurements.layer_forms`. Wu, Zhu, Wu, Wang, Ge 2010.04261.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgdsde.measurements import classifiers
from sgdsde.measurements.classifiers import ClassifierConfig
from sgdsde.plots import Panel, Series, estimated, joined
from sgdsde.runs import Line, Moments, Study, Summary, option
from sgdsde.types import Conventions, Estimate, InputError, suggest

AXIS = "step (0 drawn left of the next)"
KINDS = ("plain", "standardised", "BatchNorm")
#: panels of layers over training: key, title, label of the axis
CURVES = (
    ("error", "Error of E[M] ⊗ E[xxᵀ]", "relative Frobenius error"),
    ("best error", "Error of the best Kronecker product", "relative Frobenius error"),
    ("overlap", "Top c − 1 of block and product", "overlap"),
    ("rank-one share", "Eigenvectors as matrices", "s₁²/Σs², mean of top c − 1"),
    ("cos(E[x], v₁)", "Mean and top eigenvector of inputs", "cos(E[x], v₁)"),
    ("second moment", "Inputs' second moment", "‖E[xxᵀ] − E[x]E[x]ᵀ‖/‖E[xxᵀ]‖"),
)


@dataclass(frozen=True)
class Config(ClassifierConfig):
    """Kinds, checkpoints, and the widths at which models are compared."""

    kinds: tuple[str, ...] = option(KINDS, "kinds of networks")
    steps: tuple[int, ...] = option((0, 300, 1000, 3000, 10_000), "checkpoints", low=0, high=10**8)
    batch: int = option(32, "batch size", low=2, high=60_000)
    widths: tuple[int, ...] = option((10, 20, 40, 80), "widths at which two models are compared", low=2, high=10_000)
    loss: float = option(0.05, "training loss of the models that are compared", above=0, high=10)
    most: int = option(50_000, "steps at most", low=10, high=10**8)
    shown: int = option(200, "eigenvectors compared at most: twice a layer's outputs or so many", low=2, high=10_000)


class DecouplingStudy(Study[Config]):
    """One cell a kind, and one a kind and width."""

    title = "Kronecker forms of layer-wise Hessians, and top eigenspaces of independent models"
    config = Config
    profiles: Mapping[str, Mapping[str, Any]] = {
        "quick": {"paths": 4, "samples": 400, "steps": (0, 300, 3000), "widths": (10, 20, 40), "loss": 0.1},
        "full": {"paths": 16},
        "paper": {
            "paths": 8, "data": "fashion-mnist", "model": "cnn", "width": 16, "samples": 5000, "widths": (8, 16, 32), "precision": "float32",
            "device": "cuda", "steps": (0, 1000, 10_000, 50_000), "most": 200_000, "loss": 0.1,
        },
    }  # fmt: skip

    def check(self, config: Config) -> None:
        classifiers.check(config, config.batch)
        for kind in config.kinds:
            if kind not in KINDS:
                raise InputError(f"kinds: {kind!r} is unknown." + suggest(kind, list(KINDS)))
        if tuple(sorted(set(config.steps))) != config.steps:
            raise InputError(f"steps = {config.steps}; checkpoints must increase.")

    def cells(self, config: Config) -> Sequence[str]:
        models = [_models(kind, width) for kind in config.kinds if kind != "standardised" for width in config.widths]
        return [*(f"layers {kind}" for kind in config.kinds), *models]

    def conventions(self, config: Config) -> Conventions:
        return classifiers.conventions(config, config.batch)

    def block(self, config: Config, cell: str, *, paths: int, seed: int) -> Mapping[str, Moments]:
        from sgdsde.measurements.layer_forms import FORM, forms_along, overlaps_of_models, sizes_of
        from sgdsde.objectives import Network

        what, _, rest = cell.partition(" ")
        kind, _, width = rest.partition(", width ")
        data = classifiers.data_of(config, standardize=kind == "standardised")
        size = int(width) if width else None
        network = classifiers.normalised_of(config, data, width=size) if kind == "BatchNorm" else classifiers.network_of(config, data, width=size)
        own = network if isinstance(network, Network) else network.frozen
        theta = classifiers.starts(own, seed, paths * (1 if what == "layers" else 2), device=config.device)
        if what == "layers":
            values = forms_along(
                network, theta, eta=config.eta, batch=config.batch, steps=config.steps, classes=data.classes or 2, seed=seed
            )  # [paths, times, layers, numbers]
            return {name: Moments.of(values[..., i]) for i, name in enumerate(FORM)}
        found = overlaps_of_models(network, theta, eta=config.eta, batch=config.batch, loss=config.loss, most=config.most, shown=config.shown, seed=seed)
        sizes = np.array(sizes_of(own.module), dtype=float)
        return {f"layer {i + 1}": Moments.of(part) for i, part in enumerate(found)} | {"sizes": Moments.of(np.tile(sizes, (paths, 1, 1)))}

    def summary(self, config: Config, cells: Mapping[str, Mapping[str, Any]]) -> Summary:
        lines, panels = [], []
        x = np.array([max(step, _first(config)) for step in config.steps], dtype=float)
        for kind in config.kinds:
            parts = {name: moments.student_estimate() for name, moments in cells[f"layers {kind}"].items()}
            layers = range(np.shape(parts["error"].value)[1])
            for t, step in enumerate(config.steps):
                lines += [Line(f"{kind}, layer {i + 1}, step {step}", name, found[t, i]) for i in layers for name, found in parts.items()]
            for name, title, label in CURVES:
                series = [estimated(f"{i}", f"layer {i + 1}", x, parts[name][:, i]) for i in layers]
                if f"{name} by chance" in parts:
                    series += [Series("GradientFlow", f"chance, layer {i + 1}", x, parts[f"{name} by chance"].value[:, i]) for i in layers]
                panels.append(Panel(f"{title}, {kind}", AXIS, label, tuple(series), log="x", y_range=(0, 1.02)))
        for kind in config.kinds:
            if kind != "standardised":
                found = {width: cells[_models(kind, width)] for width in config.widths}
                lines += [line for width, parts in found.items() for line in _shared_lines(config, kind, width, parts)]
                panels += _shared_panels(config, kind, found)
        lost = {cell: max(int(np.max(part.lost)) for part in parts.values()) for cell, parts in cells.items()}
        notes = tuple(f"{cell}: {count} of {config.paths} diverged or did not reach loss {config.loss:g}" for cell, count in lost.items() if count)
        return Summary(tuple(lines), tuple(panels), (f"{config.paths} networks or pairs a cell, Student's intervals", *notes))


def _first(config: Config) -> float:
    """Where step 0 is drawn: a factor of three left of the next."""
    return next((step for step in config.steps if step), 3) / 3


def _layers(parts: Mapping[str, Any]) -> list[tuple[str, int, int, Any]]:
    """(name, outputs, weights, overlaps over k) of each layer."""
    sizes = parts["sizes"].mean.astype(int)
    return [(f"layer {i + 1}", int(m), int(p), parts[f"layer {i + 1}"].student_estimate()) for i, (m, p) in enumerate(sizes)]


def _shared_lines(config: Config, kind: str, width: int, parts: Mapping[str, Any]) -> list[Line]:
    """The overlap at k = m, a layer's outputs, and the k at which the mean is largest beyond one vector."""
    lines = []
    for name, outputs, weights, found in _layers(parts):
        cell, at = f"{kind}, width {width}, {name}", min(outputs, len(found.value)) - 1
        peak = float(np.nanargmax(found.value[1:]) + 2) if np.isfinite(found.value[1:]).any() else np.nan
        lines += [Line(cell, "overlap at k = m", found[at]), Line(cell, "chance at k = m", Estimate.exact((at + 1) / weights))]
        lines += [Line(cell, "k of the largest overlap beyond k = 1, over m", Estimate.exact(peak / outputs)), Line(cell, "overlap at k = 1", found[0])]
    return lines


def _shared_panels(config: Config, kind: str, found: Mapping[int, Mapping[str, Any]]) -> list[Panel]:
    """For every layer overlaps over k/m by width, and at k = m over the width."""
    layers = {width: _layers(parts) for width, parts in found.items()}
    panels, over_width = [], []
    for i in range(len(next(iter(layers.values())))):
        series = []
        for width, rows in layers.items():
            _, outputs, weights, estimate = rows[i]
            k = np.arange(1.0, len(estimate.value) + 1)
            series += [
                estimated(f"{width}", f"width {width}", k / outputs, estimate),
                Series("GradientFlow", f"chance, width {width}", k / outputs, k / weights),
            ]
        panels.append(Panel(f"Two models, layer {i + 1}, {kind}", "k/m, m outputs of the layer", "overlap of top k", tuple(series), y_range=(0, 1.02)))
        at = joined([rows[i][3][min(rows[i][1], len(rows[i][3].value)) - 1] for rows in layers.values()])
        over_width.append(estimated(f"{i}", f"layer {i + 1}", list(layers), at))
    panels.append(Panel(f"Two models at k = m, {kind}", "width", "overlap of top m", tuple(over_width), log="x", y_range=(0, 1.02)))
    return panels


def _models(kind: str, width: int) -> str:
    return f"models {kind}, width {width}"


STUDY = DecouplingStudy()
