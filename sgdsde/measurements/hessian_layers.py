"""Layer blocks of the reference network beside their Kronecker forms, along training, over many starts.

A linear layer's block of G is E[Mₓ ⊗ xxᵀ]; the decoupling conjecture replaces it by E[Mₓ] ⊗ E[xxᵀ] (Wu et al. 2010.04261). Read off: the relative error,
overlap of the top c−1 eigenvectors, their shares of rank one as matrices, and how far E[xxᵀ] is from E[x]E[x]ᵀ; each a mean over starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sgdsde.curvature import kronecker_decoupling, overlap, rank_one_shares
from sgdsde.measurement import Measured
from sgdsde.measurements.hessian_network import BATCH, HIDDEN, RATE, perceptron
from sgdsde.measurements.many_layers import layer_populations, relu_layers
from sgdsde.measurements.many_starts import batched, initial, own_data, train_through
from sgdsde.objectives import Network
from sgdsde.plots.image import Image
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.types import Estimate

CLASSES = 10
#: starts whose curvatures are held at once
TOGETHER = 32
LAYERS = {"0": "layer 1", "2": "layer 2", "4": "layer 3"}
CONVENTIONS = f"digits, ReLU 64-20-20-10, cross-entropy, SGD η = {RATE}, B = {BATCH} by epochs, float32; layer blocks of G, which are H's"


def hessian_layers(*, seed: int, level: float, runs: Mapping[str, Mapping[str, Any]], samples: int) -> Measured:
    """For each run (``starts``, ``steps``, ``standardize``): ``run/step/layer/name``, the mean over starts of each number of
    :func:`~sgdsde.measurements.many_layers.layer_populations`. Every start has its own samples, initialisation and order.
    """
    estimates: dict[str, Estimate] = {}
    panels: list[Panel] = []
    notes = []
    for name, setting in runs.items():
        starts = setting["starts"]
        data, rows = own_data({"classes": CLASSES, "samples": samples, "standardize": setting["standardize"]}, starts, seed)
        network = perceptron(data)
        steps: Sequence[int] = setting["steps"]
        states = train_through(network, rows, initial(network, starts, seed).float(), batch=BATCH, save=steps, seed=seed)
        table: dict[tuple[str, int], dict[str, Estimate]] = {}
        for step, theta in zip(steps, states, strict=True):
            losses = batched(network).sample_loss(theta, rows).mean(1)
            notes.append(f"{name}, step {step}: loss {float(losses.mean()):.3g} (spread over {starts} starts {float(losses.std()):.2g})")
            for label, found in populations(network, theta, rows, stream(seed, "hessian layers", step)).items():
                table[label, step] = {key: mean_estimate(values.double().numpy(), level=level) for key, values in found.items()}
                estimates |= {f"{name}/{step}/{label}/{key}": value for key, value in table[label, step].items()}
        if not panels:
            first = perceptron(replace(data, x=data.x[rows[0]], y=data.y[rows[0]]), HIDDEN)
            panels = [*_curves(table, steps), *_images(first, states[-1, 0].double())]
    return Measured(estimates, panels=tuple(panels), notes=tuple(notes), conventions=CONVENTIONS)


def populations(network: Network, theta: Tensor, rows: Tensor, generator: torch.Generator) -> dict[str, dict[str, Tensor]]:
    """By layer, each number of :func:`~sgdsde.measurements.many_layers.layer_populations` of all starts, some starts at a time."""
    found: dict[str, dict[str, list[Tensor]]] = {label: {} for label in LAYERS.values()}
    for few, own in zip(theta.split(TOGETHER), rows.split(TOGETHER), strict=True):
        for label, layer in zip(LAYERS.values(), relu_layers(network, few, own), strict=True):
            for key, values in layer_populations(layer, CLASSES - 1, generator).items():
                found[label].setdefault(key, []).append(values)
    return {label: {key: torch.cat(parts) for key, parts in numbers.items()} for label, numbers in found.items()}


def layer_numbers(network: Network, theta: Tensor, layer: str, seed: int) -> dict[str, float]:
    """Errors of E[M] ⊗ E[xxᵀ] and of the best product, overlap of the top c−1 eigenvectors, their rank-one shares, E[xxᵀ] against E[x]E[x]ᵀ."""
    report = kronecker_decoupling(network, theta, layer)
    block = report.block
    top = torch.linalg.eigh(block).eigenvectors[:, 1 - CLASSES :]
    rows = report.left.shape[0]
    product = report.product_eigenvectors(CLASSES - 1)
    draw = torch.linalg.qr(torch.randn(*top.shape, dtype=top.dtype, generator=stream(seed, "hessian layers")))[0]
    return {
        "error": report.error,
        "best error": report.best_error,
        "overlap": overlap(top, product).value,
        "overlap, random": overlap(top, draw).value,
        "rank-one share": float(rank_one_shares(top, rows).mean()),
        "rank-one share, random": float(rank_one_shares(draw, rows).mean()),
        "gap": report.gap,
        "cosine": report.mean_share,
        "second moment": report.second_moment_share,
    }


def _curves(table: Mapping[tuple[str, int], Mapping[str, Estimate]], steps: Sequence[int]) -> list[Panel]:
    """Over training; step 0 is drawn at 30."""
    x = np.array([max(step, 30) for step in steps], dtype=float)
    panels = []
    for title, key, label in (
        ("Error of E[M] ⊗ E[xxᵀ]", "error", "relative Frobenius error"),
        ("Top eigenspaces of block and product", "overlap", "overlap of the top 9"),
        ("Eigenvectors as matrices", "rank-one share", "s₁²/Σs², mean of the top 9"),
    ):
        lines = []
        for name in LAYERS.values():
            value, low, high = (np.array([float(getattr(table[name, step][key], end)) for step in steps]) for end in ("value", "low", "high"))
            lines.append(Series(name, name, x, value, low, high, kind="band"))
        panels.append(Panel(title, "step (0 drawn at 30)", label, tuple(lines), log="x", y_range=(0, 1.02)))
    return panels


def _images(network: Network, theta: Tensor) -> list[Panel]:
    """Layer 2's block (four of its units) and the product; two eigenvectors as matrices."""
    report = kronecker_decoupling(network, theta, "2")
    size = 4 * report.right.shape[0]
    product = torch.kron(report.left, report.right)[:size, :size].numpy()
    block = report.block[:size, :size].numpy()
    high = float(max(abs(block).max(), abs(product).max()))
    axis = np.arange(size, dtype=float)
    panels = [
        Panel(title, "weight", "weight", (), image=Image(axis, axis, z, label="entry", kind="diverging", low=-high, high=high), aspect="equal")
        for title, z in (("Layer 2, block of four units", block), ("Its Kronecker form", product))
    ]
    vectors = torch.linalg.eigh(report.block).eigenvectors
    rows = report.left.shape[0]
    for i in (1, 2):
        matrix = vectors[:, -i].reshape(rows, -1).numpy()
        image = Image(np.arange(matrix.shape[1], dtype=float), np.arange(rows, dtype=float), matrix, label="entry", kind="diverging")
        panels.append(Panel(f"Layer 2, eigenvector {i} as a matrix", "input unit", "output unit", (), image=image, aspect="equal"))
    return panels
