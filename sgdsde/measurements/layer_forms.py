"""Layers of classifiers beside their Kronecker forms, and top eigenspaces of independently trained models beside each other.

Layer blocks are those of the Gauss–Newton matrix, which are the Hessian's for ReLU networks; BatchNorm is frozen at the training set's statistics at the
point. Conjecture and structure: Wu, Zhu, Wu, Wang, Ge, arXiv 2010.04261. If a block were E[M] ⊗ E[xxᵀ] with E[xxᵀ] ≈ E[x]E[x]ᵀ, its first m eigenvectors, m the
layer's outputs, would span ℝᵐ ⊗ E[x]: the same for every model where E[x] is, so that overlap between models peaks at k = m.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sgdsde.curvature import Operator, eigsh, gauss_newton_operator, kronecker_decoupling, layer_operator, overlap, overlap_curve, rank_one_shares
from sgdsde.measurements.classifiers import alive
from sgdsde.objectives import Network
from sgdsde.rng import stream
from sgdsde.training import SGD, LossBelow, TrainingNetwork, train
from sgdsde.types import Status

#: of the top c − 1 eigenvectors, where eigenvectors are meant; chance: of a random subspace, of random vectors
FORM = (
    "error",
    "best error",
    "overlap",
    "overlap by chance",
    "rank-one share",
    "rank-one share by chance",
    "λ₁/λ₂",
    "cos(E[x], v₁)",
    "second moment",
)


def layers_of(module: nn.Module) -> tuple[str, ...]:
    """The linear layers and convolutions, in order."""
    return tuple(name for name, part in module.named_modules() if isinstance(part, (nn.Linear, nn.Conv2d)))


def layer_forms(network: Network, theta: Float[Tensor, " dim"], layer: str, *, classes: int, seed: int) -> dict[str, float]:
    """The numbers named in ``FORM`` for one layer."""
    report = kronecker_decoupling(network, theta, layer)
    block = layer_operator(gauss_newton_operator(network, theta), network, f"{layer}.weight")
    rows, k = report.left.shape[0], min(classes - 1, block.dim)
    top = eigsh(block, k, dense_below=0, progress=False).vectors
    product = kronecker_top(report.left, report.right, k)
    draw = torch.randn(block.dim, k, generator=stream(seed, "random vectors"), dtype=torch.float64).to(top)
    shared = overlap(top, product)
    return {
        "error": report.error,
        "best error": report.best_error,
        "overlap": shared.value,
        "overlap by chance": shared.chance,
        "rank-one share": float(rank_one_shares(top, rows).mean()),
        "rank-one share by chance": float(rank_one_shares(draw, rows).mean()),
        "λ₁/λ₂": report.gap,
        "cos(E[x], v₁)": report.mean_share,
        "second moment": report.second_moment_share,
    }


def forms_along(
    network: Network | TrainingNetwork, theta0: Float[Tensor, "paths dim"], *, eta: float, batch: int, steps: Sequence[int], classes: int, seed: int
) -> Float[np.ndarray, "paths times layers numbers"]:
    """:func:`layer_forms` of every layer at the checkpoints ``steps`` of training; NaN where a path has diverged."""
    run = train(network, theta0, optimiser=SGD(eta), batch_size=batch, steps=max(steps[-1], 1), save=steps, seed=seed)
    layers = layers_of(network.frozen.module if isinstance(network, TrainingNetwork) else network.module)
    found = np.full((len(theta0), len(steps), len(layers), len(FORM)), np.nan)
    for t, states in enumerate(run.states):
        for path in alive(network, states):
            still = at(network, states[path])
            for i, layer in enumerate(layers):
                numbers = layer_forms(still, states[path], layer, classes=classes, seed=seed % 2**31 + path)
                found[path, t, i] = [numbers[name] for name in FORM]
    return found


def kronecker_top(left: Float[Tensor, "out out"], right: Float[Tensor, "in in"], k: int) -> Float[Tensor, "p k"]:
    """The top k eigenvectors of left ⊗ right: products of those of the factors, by the products of their eigenvalues."""
    (a, U), (b, V) = torch.linalg.eigh(left), torch.linalg.eigh(right)
    best = (a[:, None] * b[None, :]).flatten().argsort(descending=True)[:k]
    i, j = best // len(b), best % len(b)
    return (U[:, None, i] * V[None, :, j]).reshape(-1, k)


def top_space(network: Network, theta: Float[Tensor, " dim"], layer: str, k: int) -> Float[Tensor, "p k"]:
    """The top k eigenvectors of a layer's block, descending."""
    block: Operator = layer_operator(gauss_newton_operator(network, theta), network, f"{layer}.weight")
    return eigsh(block, k, dense_below=0, progress=False).vectors


def sizes_of(module: nn.Module) -> tuple[tuple[int, int], ...]:
    """(outputs, weights) of each layer."""
    named = dict(module.named_parameters())
    weights = [named[f"{name}.weight"] for name in layers_of(module)]
    return tuple((int(weight.shape[0]), int(weight.numel())) for weight in weights)


def overlaps_of_models(
    network: Network | TrainingNetwork,
    starts: Float[Tensor, "paths dim"],
    *,
    eta: float,
    batch: int,
    loss: float,
    most: int,
    shown: int,
    seed: int,
) -> list[Float[np.ndarray, "pairs k"]]:
    """For each layer and each pair of neighbouring starts: overlaps of the first k eigenvectors of two models trained to one loss, k up to twice the layer's
    outputs or ``shown``; NaN where the loss was not reached.
    """
    run = train(network, starts, optimiser=SGD(eta), batch_size=batch, steps=most, seed=seed, stop=LossBelow(level=loss))
    module = network.frozen.module if isinstance(network, TrainingNetwork) else network.module
    most_of = [min(2 * outputs, shown, weights) for outputs, weights in sizes_of(module)]
    found = [np.full((len(starts) // 2, k), np.nan) for k in most_of]
    for pair in range(len(starts) // 2):
        both = [2 * pair, 2 * pair + 1]
        if not bool((run.status[both] == int(Status.EXITED)).all()):
            continue
        models = [at(network, run.final[path]) for path in both]
        for i, (layer, k) in enumerate(zip(layers_of(module), most_of, strict=True)):
            first, second = (top_space(model, run.final[path], layer, k) for model, path in zip(models, both, strict=True))
            found[i][pair] = overlap_curve(first, second)
    return found


def at(network: Network | TrainingNetwork, theta: Float[Tensor, " dim"]) -> Network:
    """The network whose samples stand apart: itself, or frozen at the training set's statistics at θ."""
    return network.frozen_at(theta) if isinstance(network, TrainingNetwork) else network
