"""Overlap of the top k eigenspaces of one layer's Hessian between independently trained networks, as a function of k and of the width m of the layer.

Wu et al. (2010.04261) explain a peak at k = m: if the block is E[M] ⊗ E[xxᵀ] with E[xxᵀ] near v₁v₁ᵀ and E[M] well conditioned, the top m eigenvectors span
Rᵐ ⊗ v₁, whatever the weights are. For that E[M]'s smallest eigenvalue times λ₁(E[xxᵀ]) must exceed its largest times λ₂: ``room`` is the ratio of the two.

The block of G is (1/n)Σ JᵢᵀAᵢJᵢ ⊗ xᵢxᵢᵀ: with Aᵢ = LᵢLᵢᵀ it has the non-zero spectrum of the Gram matrix of the rows LᵢᵀJᵢ ⊗ xᵢ, n(c−1) of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.curvature import kronecker_decoupling, overlap_curve
from sgdsde.curvature.kronecker_samples import input_and_output, jacobians
from sgdsde.data import digits
from sgdsde.measurement import Measured, exactly
from sgdsde.measurements.hessian_network import RATE, perceptron, start
from sgdsde.measurements.hessian_training import extremes
from sgdsde.objectives import Network
from sgdsde.plots.panel import Panel, Series
from sgdsde.rng import stream
from sgdsde.training import SGD, LossBelow, train
from sgdsde.types import Estimate, InputError

BATCH, STEPS, CLASSES, LAYER = 8, 20_000, 10, "0"


def hessian_overlap(*, seed: int, level: float, widths: Sequence[int], pairs: int, samples: int, loss: float) -> Measured:
    """For each width and pair: ``width/pair/k``, the overlap of the top k eigenspaces at k = c−1, m/2, m, 2m (``classes``, ``half``, ``width``, ``double``);
    ``…/rise`` that at m over that at m/2, ``…/fall`` that at m over that at 2m, ``…/lift`` that at c−1 over chance; ``…/random fall`` the fall of one network
    against a random subspace; ``width/room``.
    """
    estimates: dict[str, Estimate] = {}
    notes, curves = [], []
    for width in widths:
        network = perceptron(digits(count=samples), (width, width))
        starts = start(network, seed % 2**31 + width, 2 * pairs)
        run = train(network, starts, optimiser=SGD(RATE), batch_size=BATCH, steps=STEPS, seed=seed, stop=LossBelow(level=loss, every=20))
        bases = [top_eigenvectors(network, theta, LAYER, 2 * width) for theta in run.final]
        report = kronecker_decoupling(network, run.final[0], LAYER)
        left = torch.linalg.eigvalsh(report.left)
        room = float(left[0] / left[-1]) * report.gap
        estimates[f"{width}/room"] = exactly(room, 0.0)
        found = []
        for pair in range(pairs):
            curve = overlap_curve(bases[2 * pair], bases[2 * pair + 1])
            found.append(curve)
            estimates |= {f"{width}/pair {pair + 1}/{name}": exactly(value, 0.0) for name, value in read(curve, width, bases[0].shape[0]).items()}
        other = torch.linalg.qr(torch.randn(bases[0].shape, generator=stream(seed, "random subspace", width), dtype=bases[0].dtype))[0]
        estimates[f"{width}/random fall"] = exactly(read(overlap_curve(bases[0], other), width, len(other))["fall"], 0.0)
        mean = np.mean(found, 0)
        notes.append(
            f"width {width}: overlap at k = {CLASSES - 1} {mean[CLASSES - 2]:.3f}, at m/2 {mean[width // 2 - 1]:.3f}, at m {mean[width - 1]:.3f}, at 2m "
            f"{mean[2 * width - 1]:.3f}; chance at m {width / len(other):.3f}; largest at k = {int(mean.argmax()) + 1}; room {room:.3g}"
        )
        curves.append(Series(f"{width}", f"m = {width}", np.arange(1, 2 * width + 1) / width, mean, np.min(found, 0), np.max(found, 0), "band"))
    words = f"digits in [0, 1], n = {samples}, ReLU 64-m-m-10, cross-entropy, η = {RATE}, B = {BATCH} to loss {loss:g}; first layer's block of G, which is H's"
    panel = Panel("Top eigenspaces of two independent networks", "k/m", "overlap of the top k", tuple(curves), y_range=(0, 1.02))
    return Measured(estimates, panels=(panel,), notes=tuple(notes), conventions=f"{words}; {pairs} pairs a width, bands from the smallest to the largest")


def read(curve: np.ndarray, width: int, dim: int) -> dict[str, float]:
    """The numbers of one curve."""
    places = {"classes": CLASSES - 1, "half": width // 2, "width": width, "double": 2 * width}
    at = {name: float(curve[k - 1]) for name, k in places.items()}
    return at | {"rise": at["width"] / at["half"], "fall": at["width"] / at["double"], "lift": at["classes"] * dim / (CLASSES - 1)}


def top_eigenvectors(network: Network, theta: Float[Tensor, " dim"], layer: str, count: int) -> Float[Tensor, "p count"]:
    """Of the layer's block, from the Gram matrix of its n(c−1) rows.

    Raises:
        InputError: the block's rank is below ``count``.
    """
    module = network.module_at(theta)
    x, y = network.inputs.at(theta[None]), network.targets.at(theta[None])
    inputs, outputs, _ = input_and_output(module, module.get_submodule(layer), x)
    J, A = jacobians(network, module, layer, x, y, tuple(outputs.shape[1:]))
    values, vectors = torch.linalg.eigh(A)
    L = vectors[:, :, 1:] * values[:, None, 1:].clamp(min=0).sqrt()  # the first eigenvalue of softmax's curvature is zero
    rows = (L.transpose(1, 2) @ J).flatten(0, 1)  # [n(c−1), out]
    beside = inputs.repeat_interleave(L.shape[2], 0)  # [n(c−1), in]
    gram = (rows @ rows.T) * (beside @ beside.T) / network.n
    found, U = extremes(gram, count)
    if found[0] <= 1e-12 * found[-1]:
        raise InputError(f"The block of layer {layer!r} has rank below {count}: its top eigenspace of that size is arbitrary. Ask for fewer eigenvectors.")
    top = torch.einsum("ak,ao,ai->oik", U.flip(1), rows, beside).flatten(0, 1)
    return torch.linalg.qr(top)[0]  # orthogonal already, up to the solver's accuracy; scaled to one
