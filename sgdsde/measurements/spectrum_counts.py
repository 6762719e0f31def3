"""Bulk and outliers of a classifier's spectrum at one point: the largest eigenvalues of G, how many outliers each rule counts, the density of H.

Outliers of G by its largest ratio, its largest gap, and a threshold; of M by the Marchenko–Pastur edge of n isotropic gradients (the rules are objects:
:mod:`sgdsde.curvature.outliers`). The spectrum of H is binned by the logarithm of |λ|/λmax: exactly up to 3,000 parameters, by stochastic Lanczos quadrature
beyond. "Near zero" is |λ| < 10⁻³ λmax. Sagun et al. 1706.04454; Wu et al. 2010.04261.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import sample_grads
from sgdsde.curvature import GapRule, MarchenkoPasturRule, RatioRule, ThresholdRule, eigsh, gauss_newton_operator, hessian_operator, spectral_density
from sgdsde.curvature.operator import DENSE_DIM
from sgdsde.objectives import Network

NUMBERS = ("loss", "λmax", "−λmin/λmax", "near zero", "largest ratio", "largest gap", "above a tenth", "Marchenko–Pastur, M", "strength of the ratio")
COUNTS = ("largest ratio", "largest gap", "above a tenth", "Marchenko–Pastur, M")
#: edges of the bins of log₁₀(|λ|/λmax); what is below the first stands in the first
EDGES = np.linspace(-8, 0, 33)
NEAR_ZERO = 1e-3
#: numbers in the sample gradients that are held at once
_ELEMENTS = 2**24
#: vectors and steps of the quadrature
_VECTORS, _STEPS = 8, 80


@dataclass(frozen=True)
class Spectrum:
    """``numbers`` by name (``NUMBERS``); the ``top`` eigenvalues of G, descending; the ``density`` of H's positive and negative eigenvalues in the bins."""

    numbers: dict[str, float]
    top: Float[np.ndarray, " shown"]
    density: Float[np.ndarray, "sign bins"]


def spectrum(network: Network, theta: Float[Tensor, " dim"], *, shown: int, seed: int) -> Spectrum:
    """Bulk and outliers at θ."""
    G, H = gauss_newton_operator(network, theta), hessian_operator(network, theta)
    values = eigsh(G, min(shown, network.dim), dense_below=0, progress=False).values.cpu().double().numpy()
    if network.dim <= DENSE_DIM:
        nodes = torch.linalg.eigvalsh(H.dense()).cpu().double().numpy()
        weights, largest, smallest = np.full(len(nodes), 1 / len(nodes)), float(nodes[-1]), float(nodes[0])
    else:
        ends = eigsh(H, 2, which="both", dense_below=0, progress=False).values
        found = spectral_density(H, steps=_STEPS, vectors=_VECTORS, seed=seed, progress=False)
        nodes, weights, largest, smallest = found.nodes.ravel(), found.weights.ravel() / len(found.nodes), float(ends[0]), float(ends[-1])
    rules = {"largest ratio": RatioRule(most=shown - 1), "largest gap": GapRule(most=shown - 1), "above a tenth": ThresholdRule(0.1)}
    splits = {name: rule.split(values) for name, rule in rules.items()}
    moment = gradient_spectrum(network, theta)
    edge = MarchenkoPasturRule(samples=network.n, dim=network.dim).split(moment)
    with torch.no_grad():
        loss = float(network.loss(theta[None])[0])
    numbers = {
        "loss": loss,
        "λmax": largest,
        "−λmin/λmax": -smallest / largest,
        "near zero": float(weights[np.abs(nodes) < NEAR_ZERO * largest].sum()),
        **{name: float(split.count) for name, split in splits.items()},
        "Marchenko–Pastur, M": float(edge.count),
        "strength of the ratio": splits["largest ratio"].strength,
    }
    return Spectrum(numbers, np.pad(values, (0, shown - len(values)), constant_values=np.nan), binned(nodes / largest, weights))


def binned(values: Float[np.ndarray, " k"], weights: Float[np.ndarray, " k"]) -> Float[np.ndarray, "sign bins"]:
    """The weight of positive and of negative values in the bins of log₁₀|value|; smaller ones (zero is one) count in the first, larger ones in the last."""
    place = np.clip(np.log10(np.maximum(np.abs(values), 1e-300)), EDGES[0], EDGES[-1])
    return np.stack([np.histogram(place[chosen], EDGES, weights=weights[chosen])[0] for chosen in (values >= 0, values < 0)])


def gradient_spectrum(network: Network, theta: Float[Tensor, " dim"]) -> Float[np.ndarray, " k"]:
    """The min(n, dim) eigenvalues of M that can differ from zero, from the smaller of gᵢᵀgⱼ/n ``[n, n]`` and M itself."""
    n, small = network.n, min(network.n, network.dim)
    pieces = torch.arange(n, device=theta.device).split(max(1, _ELEMENTS // network.dim))
    if small == n:
        rows = torch.cat([sample_grads(network, theta[None], some[None])[0] for some in pieces])  # [n, dim]
        gram = rows @ rows.T / n
    else:
        gram = torch.zeros(network.dim, network.dim, dtype=theta.dtype, device=theta.device)
        for some in pieces:
            rows = sample_grads(network, theta[None], some[None])[0]
            gram.addmm_(rows.T, rows, alpha=1 / n)
    return torch.linalg.eigvalsh(gram).flip(0).clamp(min=0).cpu().double().numpy()
