"""Kronecker structure of the layers of batch-normalised networks beside plain ones, stopped at the same training loss, paired by seed.

Layers are linear → BatchNorm → ReLU. A sample has a curvature of its own in evaluation mode only, so BatchNorm is frozen at the mean and variance of the whole
training set at the point where training stopped (training itself uses each batch's). Frozen BatchNorm is affine: layer blocks of H are still those of G, and
weights and biases of BatchNorm are parameters of other blocks. From the second layer on the inputs are ReLU of numbers of mean zero and variance one, so that
E[xxᵀ] is far from E[x]E[x]ᵀ, from which the structure of plain networks comes (Wu et al. 2010.04261).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sgdsde.curvature import kronecker_decoupling, overlap, rank_one_shares
from sgdsde.data import Data, digits
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.hessian_network import BATCH, RATE
from sgdsde.objectives import Network
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.stats import mean_estimate
from sgdsde.training import SGD, LossBelow, TrainingNetwork, train
from sgdsde.types import Estimate, Status

TOP = 9
KINDS = {"none": "plain", "batch": "BatchNorm"}


@dataclass(frozen=True)
class _Kind:
    """One kind of network: how to train it, and what it is in evaluation mode at a point."""

    trainable: Network | TrainingNetwork
    start: Tensor

    def at(self, theta: Tensor) -> Network:
        return self.trainable.frozen_at(theta) if isinstance(self.trainable, TrainingNetwork) else self.trainable


def hessian_batch_norm(*, seed: int, level: float, seeds: int, samples: int, hidden: Sequence[int], losses: Sequence[float], most: int) -> Measured:
    """For each loss and layer: ``loss/layer n/name`` is BatchNorm's number over the plain network's (geometric mean over paired seeds) for ``error``, ``best
    error``, ``overlap``, ``rank-one share`` and ``second moment`` of :func:`layer_structure`; ``loss/layer n/kind/name`` the mean of each;
    ``loss/kind/reached``, the share of seeds that stopped there. Layer 1, whose inputs BatchNorm does not touch, is looked at for the first seed only, and
    without its eigenvectors.
    """
    data = digits(count=samples)
    layers = tuple(range(1, len(hidden) + 2))
    kinds = {kind: _kind(data, hidden, norm, seeds, seed) for norm, kind in KINDS.items()}
    found: dict[tuple[str, float, int], dict[str, np.ndarray]] = {}
    estimates: dict[str, Estimate] = {}
    notes = []
    for kind, which in kinds.items():
        theta = which.start
        for place, loss in enumerate(losses):
            rule = LossBelow(level=loss, every=10)
            run = train(which.trainable, theta, optimiser=SGD(RATE), batch_size=BATCH, steps=most, seed=seed + place, stop=rule)
            theta = run.final
            estimates[f"{loss:g}/{kind}/reached"] = exactly(float((run.status == int(Status.EXITED)).double().mean()), 0.0)
            frozen = [which.at(one) for one in theta]
            for layer in layers:
                table = [layer_structure(network, one, layer) for network, one in zip(frozen, theta[:1] if layer == 1 else theta, strict=layer > 1)]
                found[kind, loss, layer] = {name: np.array([part[name] for part in table]) for name in table[0]}
            said = ", ".join(f"layer {n}: {found[kind, loss, n]['error'].mean():.3f}" for n in layers)
            notes.append(f"{kind} at loss {loss:g}, {frozen[0].mode}, {float(run.ended.double().mean()):.0f} steps; error of E[M] ⊗ E[xxᵀ] {said}")
    for loss in losses:
        for layer in layers:
            plain, normed = (found[kind, loss, layer] for kind in KINDS.values())
            for name in plain:
                for kind in KINDS.values():
                    values = found[kind, loss, layer][name]
                    estimates[f"{loss:g}/layer {layer}/{kind}/{name}"] = exactly(float(values[0]), 0.0) if layer == 1 else mean_estimate(values, level=level)
                ratio = normed[name] / plain[name]
                estimates[f"{loss:g}/layer {layer}/{name}"] = exactly(float(ratio[0]), 0.0) if layer == 1 else geometric(ratio, level)
    words = f"digits in [0, 1], n = {samples}, ReLU 64-{'-'.join(map(str, hidden))}-10, cross-entropy, SGD η = {RATE}, B = {BATCH} by epochs, float64"
    conventions = f"{words}; trained by each batch's statistics, curvature in evaluation mode at those of the training set; {seeds} paired seeds"
    return Measured(estimates, panels=_panels(estimates, losses, layers), notes=tuple(notes), conventions=conventions)


def layer_structure(network: Network, theta: Tensor, layer: int) -> dict[str, float]:
    """Of the ``layer``-th linear layer: errors of E[M] ⊗ E[xxᵀ] and of the best product, ‖E[xxᵀ] − E[x]E[x]ᵀ‖/‖E[xxᵀ]‖; from the second layer on the overlap of
    the top c−1 eigenvectors of block and product, and their shares of rank one as matrices.
    """
    name = [name for name, part in network.module.named_modules() if isinstance(part, nn.Linear)][layer - 1]
    report = kronecker_decoupling(network, theta, name)
    numbers = {"error": report.error, "best error": report.best_error, "second moment": report.second_moment_share}
    if layer == 1:
        return numbers
    top = torch.linalg.eigh(report.block).eigenvectors[:, -TOP:]
    return numbers | {
        "overlap": overlap(top, report.product_eigenvectors(TOP)).value,
        "rank-one share": float(rank_one_shares(top, report.left.shape[0]).mean()),
    }


def geometric(values: np.ndarray, level: float) -> Estimate:
    """The geometric mean with Student's interval on the log scale."""
    log = mean_estimate(np.log(values), level=level)
    value = float(np.exp(log.value))
    return Estimate(value, value * float(log.stderr), log.n, float(np.exp(log.low)), float(np.exp(log.high)))


def _kind(data: Data, hidden: Sequence[int], norm: str, seeds: int, seed: int) -> _Kind:
    layers: list[nn.Module] = []
    width = data.x.shape[1]
    for units in hidden:
        layers += [nn.Linear(width, units), *([nn.BatchNorm1d(units)] if norm == "batch" else []), nn.ReLU()]
        width = units
    module = nn.Sequential(*layers, nn.Linear(width, int(data.classes or 0))).double()
    trainable = TrainingNetwork(module, "cross_entropy", data.x, data.y) if norm == "batch" else Network(module, "cross_entropy", data.x, data.y)
    holder = trainable.frozen if isinstance(trainable, TrainingNetwork) else trainable
    return _Kind(trainable, holder.initial(seeds, stream(seed, "hessian start")))


def _panels(estimates: Mapping[str, Estimate], losses: Sequence[float], layers: Sequence[int]) -> tuple[Panel, ...]:
    """Each number by layer at the last loss, both kinds."""
    panels = []
    last = f"{losses[-1]:g}"
    for name, label in (
        ("error", "relative error of E[M] ⊗ E[xxᵀ]"),
        ("overlap", "overlap of the top 9"),
        ("rank-one share", "s₁²/Σs²"),
        ("second moment", "‖E[xxᵀ] − E[x]E[x]ᵀ‖/‖E[xxᵀ]‖"),
    ):
        series = []
        for kind in KINDS.values():
            held = [n for n in layers if f"{last}/layer {n}/{kind}/{name}" in estimates]
            parts = [estimates[f"{last}/layer {n}/{kind}/{name}"] for n in held]
            value, low, high = (np.array([float(getattr(part, end)) for part in parts]) for end in ("value", "low", "high"))
            series.append(Series(kind, kind, np.array(held, dtype=float), value, low, high, "band"))
        panels.append(Panel(f"BatchNorm and plain at loss {last}", "layer", label, tuple(series), y_range=(0, 1.02)))
    return tuple(panels)
