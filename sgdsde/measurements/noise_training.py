"""Noise against curvature along the training of classifiers: Σ and M beside H and G, loss differences of the next step beside their law, angles between steps.

gᵢ the samples' gradients, μ = ∇f, M = (1/n)Σgᵢgᵢᵀ, Σ = M − μμᵀ (one sample's). To second order a step with B samples out of n, drawn without replacement,
changes the loss by E Δ = −η‖μ‖² + (η²/2)(μᵀHμ + (n−B)/((n−1)B)·tr(HΣ)); Li et al. 1907.10732 look at Δ, Wu et al. 2010.04261 at Σᵢᵢ ~ Gᵢᵢ^γ.
Matrices are held up to 3,000 parameters; beyond, eigenvectors come by Lanczos, traces and angles from random vectors, the diagonal of G from random signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import sample_grads, weighted_grad
from sgdsde.curvature import (
    Matrix,
    Operator,
    covariance_operator,
    diagonal_slope,
    eigsh,
    gauss_newton_diagonal,
    gauss_newton_operator,
    hessian_operator,
    noise_alignment,
    overlap,
    second_moment_operator,
    trace,
)
from sgdsde.curvature.operator import DENSE_DIM
from sgdsde.measurements.classifiers import alive
from sgdsde.objectives import Network
from sgdsde.rng import stream
from sgdsde.training import SGD, LossDifferences, StepAngle, train

#: what is read off at a checkpoint; Σ of one sample
POINT = (
    "loss",
    "λmax(H)",
    "tr H",
    "tr M/tr H",
    "tr Σ/tr H",
    "tr(HΣ)",
    "γ",
    "overlap of M and H",
    "overlap of M and G",
    "overlap of Σ and H",
    "overlap by chance",
    "cosine of Σ and H",
    "cosine of Σ and G",
    "commutator of Σ and H",
)
#: of the next step, redrawn: quantiles of Δ, its mean, the law, the law without noise, mean − law, all over the sum of the law's terms' sizes; P(Δ > 0)
STEP = ("5 %", "median", "95 %", "mean", "law", "law without noise", "miss", "rises")
QUANTILES = (0.05, 0.5, 0.95)
#: numbers in the sample gradients that are held at once
_ELEMENTS = 2**24


@dataclass(frozen=True)
class AlongTraining:
    """``point [P, T, len(POINT)]``; ``step [P, T, len(STEP)]``; ``turn [P, T−1]``, the mean cosine of consecutive steps between two checkpoints;
    ``cosines [P, T, top]`` of the principal angles between the top spaces of Σ and H. NaN where a path has diverged.
    """

    point: Float[np.ndarray, "paths times quantities"]
    step: Float[np.ndarray, "paths times quantities"]
    turn: Float[np.ndarray, "paths windows"]
    cosines: Float[np.ndarray, "paths times top"]


def along_training(
    network: Network, theta0: Float[Tensor, "paths dim"], *, eta: float, batch: int, steps: Sequence[int], top: int, vectors: int, redraws: int, seed: int
) -> AlongTraining:
    """Train from each start, and measure at the checkpoints ``steps`` (increasing, two steps apart at least)."""
    run = train(
        network,
        theta0,
        optimiser=SGD(eta),
        batch_size=batch,
        steps=max(steps[-1], 1),
        save=steps,
        at=steps,
        seed=seed,
        record={"Δ": LossDifferences(redraws), "angle": StepAngle()},
    )
    point = np.full((len(theta0), len(steps), len(POINT)), np.nan)
    step = np.full((len(theta0), len(steps), len(STEP)), np.nan)
    cosines = np.full((len(theta0), len(steps), top), np.nan)
    for t, states in enumerate(run.states):
        for path in alive(network, states):  # a diverged path stays NaN, and is counted
            found, angles, law = at_point(network, states[path], eta=eta, batch=batch, top=top, vectors=vectors, seed=seed % 2**31 + path)
            delta = run.recorded["Δ"].values[t, path].cpu().double().numpy()
            point[path, t], cosines[path, t] = [found[name] for name in POINT], angles
            sizes = np.array([*np.quantile(delta, QUANTILES), delta.mean(), *law[:2], delta.mean() - law[0]]) / law[2]
            step[path, t] = [*sizes, (delta > 0).mean()]
    return AlongTraining(point, step, run.recorded["angle"].values[1:].T.cpu().double().numpy(), cosines)


def at_point(
    network: Network, theta: Float[Tensor, " dim"], *, eta: float, batch: int, top: int, vectors: int, seed: int
) -> tuple[dict[str, float], Float[np.ndarray, " top"], tuple[float, float, float]]:
    """The numbers named in ``POINT``; the cosines; the law of Δ, without noise, and the sum of its terms' sizes."""
    dense = network.dim <= DENSE_DIM
    H, G, M, Sigma = (_held(make(network, theta), dense) for make in (hessian_operator, gauss_newton_operator, second_moment_operator, covariance_operator))
    spaces = {name: eigsh(part, top, dense_below=0, progress=False) for name, part in (("H", H), ("G", G), ("M", M), ("Σ", Sigma))}
    mean, squares = moments_of_gradients(network, theta)
    trace_h = float(H.matrix.trace()) if isinstance(H, Matrix) else float(trace(H, vectors=vectors, seed=seed).value)
    with_h, with_g = (noise_alignment(part, Sigma, vectors=vectors, seed=seed) for part in (H, G))
    below = G.matrix.diagonal() if isinstance(G, Matrix) else torch.as_tensor(gauss_newton_diagonal(network, theta, vectors=vectors, seed=seed).value)
    aligned = float(with_h.product.value) if dense else noise_aligned(network, theta, H, vectors=vectors, seed=seed)
    shared = overlap(spaces["Σ"].vectors, spaces["H"].vectors)
    found = {
        "loss": float(network.loss(theta[None])[0]),
        "λmax(H)": float(spaces["H"].values[0]),
        "tr H": trace_h,
        "tr M/tr H": float(squares.sum()) / trace_h,
        "tr Σ/tr H": float((squares - mean**2).sum()) / trace_h,
        "tr(HΣ)": aligned,
        "γ": float(diagonal_slope(squares - mean**2, below).exponent.value),
        "overlap of M and H": overlap(spaces["M"].vectors, spaces["H"].vectors).value,
        "overlap of M and G": overlap(spaces["M"].vectors, spaces["G"].vectors).value,
        "overlap of Σ and H": shared.value,
        "overlap by chance": shared.chance,
        "cosine of Σ and H": float(with_h.cosine.value),
        "cosine of Σ and G": float(with_g.cosine.value),
        "commutator of Σ and H": float(with_h.commutator.value),
    }
    n = network.n
    descent, bend = -eta * float(mean @ mean), eta**2 / 2 * float(mean @ (H @ mean))
    noise = eta**2 / 2 * (n - batch) / ((n - 1) * batch) * aligned
    return found, shared.cosines.cpu().double().numpy(), (descent + bend + noise, descent + bend, abs(descent) + abs(bend) + abs(noise))


def moments_of_gradients(network: Network, theta: Float[Tensor, " dim"]) -> tuple[Float[Tensor, " dim"], Float[Tensor, " dim"]]:
    """μ and the diagonal of M, exactly, some samples at a time."""
    mean, squares = torch.zeros_like(theta), torch.zeros_like(theta)
    for some in torch.arange(network.n, device=theta.device).split(max(1, _ELEMENTS // network.dim)):
        rows = sample_grads(network, theta[None], some[None])[0]  # [some, dim]
        mean += rows.sum(0)
        squares += (rows**2).sum(0)
    return mean / network.n, squares / network.n


def noise_aligned(network: Network, theta: Float[Tensor, " dim"], H: Operator, *, vectors: int, seed: int) -> float:
    """tr(HΣ) = E uᵀHu, u = (1/√n)Σ(zᵢ − z̄)gᵢ ~ N(0, Σ) from ``vectors`` draws of z: relative error at most √(2/vectors) where H is positive."""
    z = torch.randn(vectors, network.n, generator=stream(seed, "noise")).to(theta)
    weights = (z - z.mean(1, keepdim=True)) / network.n**0.5
    u = torch.cat([weighted_grad(network, theta[None], row[None], None) for row in weights]).T  # [dim, vectors]
    return float((u * (H @ u)).sum(0).mean())


def _held(operator: Operator, dense: bool) -> Operator:
    return Matrix(operator.dense(), operator.label) if dense else operator
