"""PAC-Bayes bounds with curvature-shaped Gaussian posteriors, real ones: with the union over the tuned prior and with the sampling error of the draws.

Prior P = N(w₀, σ²I), w₀ the initialisation (drawn before the data are seen); posterior Q = N(w, S) of a :class:`~sgdsde.bounds.shapes.Shape`.

KL(Q‖P) = ½[tr S/σ² + ‖w−w₀‖²/σ² − d + d ln σ² − ln det S].

With probability 1 − δ over samples and draws, for a network drawn from Q: err ≤ kl⁻¹(Ê, (KL + ln(2√n/δⱼ))/n), where Ê = kl⁻¹(mean of m draws, ln(2/δ)/m)
bounds the training error of Q (δ/2), and δⱼ = (δ/2)·6/(π²j²) pays for tuning σ over σⱼ² = e^{(1−j)/b}, j = 1, 2, … (δ/2 in all; Langford and Caruana
2001; Dziugaite and Roy, arXiv 1703.11008). S may be tuned freely: Maurer's bound holds for all Q at once. It is tuned on draws of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.bounds.kl import chernoff, maurer
from sgdsde.bounds.shapes import Shape
from sgdsde.given import is_whole
from sgdsde.objectives.network import Network
from sgdsde.rng import stream
from sgdsde.types import InputError, as_points, positive, real

#: the grid of prior variances e^{(1−j)/PER_FOLD}, j = 1 … LARGEST (the union is over all j)
PER_FOLD, LARGEST = 4, 60
#: β as multiples of n, among which the tuning chooses
MULTIPLES = tuple(10 ** (k / 3) for k in range(-3, 7))
#: samples times draws that are evaluated at once
_PIECE = 200_000


@dataclass(frozen=True)
class Bound:
    """A bound on the error rate of a network drawn from the posterior, and what it is made of.

    ``value``: the bound, with probability 1 − δ; ``before_sampling``: the same with the mean of the draws in the place of its upper limit (no bound);
    ``error``: that mean; ``error_limit``: its upper limit; ``divergence``: KL(Q‖P); ``sigma``, ``index``: the prior's width and its place j in the grid.
    """

    value: float
    before_sampling: float
    error: float
    error_limit: float
    divergence: float
    sigma: float
    index: int
    beta: float
    draws: int
    shape: str
    delta: float


def divergence(shape: Shape, distance2: float, beta: float, sigma: float) -> float:
    """KL(N(w, S)‖N(w₀, σ²I)) with ‖w − w₀‖² = ``distance2``.

    Raises:
        InputError: σ ≤ 0, a distance or β below 0.
    """
    distance2, beta, sigma = real(distance2, "distance2"), real(beta, "beta"), positive(sigma, "sigma")
    if not (distance2 >= 0 and 0 <= beta < math.inf):
        raise InputError(f"distance2 = {distance2}, beta = {beta}; wanted a squared distance ≥ 0 and a finite β ≥ 0.")
    ratio = shape.variances(beta, sigma) / sigma**2  # in (0, 1]
    return 0.5 * float((ratio - 1 - ratio.log()).sum() + distance2 / sigma**2)


def prior_variance(index: int) -> float:
    """σⱼ² = e^{(1−j)/b}."""
    return math.exp((1 - index) / PER_FOLD)


def share_of(index: int, delta: float) -> float:
    """δⱼ = δ·6/(π²j²): they add up to δ over all j ≥ 1."""
    return delta * 6 / (math.pi * index) ** 2


def pac_bayes(
    network: Network,
    theta: Float[Tensor, " dim"],
    theta0: Float[Tensor, " dim"],
    shape: Shape,
    *,
    draws: int = 1000,
    tuning_draws: int = 20,
    delta: float = 0.05,
    seed: int,
) -> Bound:
    """The bound of one shape at one trained network, over the network's own data.

    Args:
        theta, theta0: the trained weights and the start they were trained from.
        draws: from the posterior, for its training error; ``tuning_draws``: for each candidate β.
        delta: the probability, over samples and draws, that the bound fails.

    Raises:
        InputError: shapes that do not fit, fewer than 1 draw, fewer than 8 samples, targets that are no labels.
    """
    w, w0 = as_points(theta, network.dim)[0], as_points(theta0, network.dim, name="theta0")[0].to(theta)
    if not is_whole(draws, 1) or not is_whole(tuning_draws, 1):
        raise InputError(f"draws = {draws}, tuning_draws = {tuning_draws}; wanted at least one of each.")
    if network.targets.original.is_floating_point():
        raise InputError("The bound is for the share of wrong answers; wanted integer classes as targets.")
    distance2 = float(((w - w0) ** 2).sum())
    best, choice = math.inf, (1.0, 1)
    z = _normals(tuning_draws, w, seed, 0)
    for multiple in MULTIPLES:
        beta = multiple * network.n
        index = _best_index(shape, distance2, beta)
        sigma = prior_variance(index) ** 0.5
        error = _error(network, w, shape.displace(z, beta, sigma))
        found = maurer(error, divergence(shape, distance2, beta, sigma), network.n, share_of(index, delta / 2))
        if found < best:
            best, choice = found, (beta, index)
    beta, index = choice
    sigma, cost = prior_variance(index) ** 0.5, share_of(index, delta / 2)
    KL = divergence(shape, distance2, beta, sigma)
    error = _error(network, w, shape.displace(_normals(draws, w, seed, 1), beta, sigma))
    limit = chernoff(error, draws, delta / 2)
    return Bound(
        value=maurer(limit, KL, network.n, cost),
        before_sampling=maurer(error, KL, network.n, cost),
        error=error,
        error_limit=limit,
        divergence=KL,
        sigma=sigma,
        index=index,
        beta=beta,
        draws=draws,
        shape=shape.name,
        delta=delta,
    )


def _best_index(shape: Shape, distance2: float, beta: float) -> int:
    """The place j of the prior's width that minimises KL + ln(1/δⱼ), for the posterior that belongs to each."""
    j = torch.arange(1, LARGEST + 1, dtype=shape.curvatures.dtype, device=shape.curvatures.device)
    variance = ((1 - j) / PER_FOLD).exp()[:, None]  # [places, 1]
    ratio = 1 / (1 + beta * variance * shape.curvatures)  # [places, dim]: the posterior's variance over the prior's
    cost = 0.5 * ((ratio - 1 - ratio.log()).sum(1) + distance2 / variance[:, 0]) + 2 * j.log()
    return int(cost.argmin()) + 1


def _normals(count: int, beside: Tensor, seed: int, block: int) -> Tensor:
    generator = stream(seed, "posterior draws", block, beside.device)
    return torch.randn(count, beside.shape[0], generator=generator, device=beside.device, dtype=beside.dtype)


def _error(network: Network, w: Tensor, displacements: Float[Tensor, "m dim"]) -> float:
    """The share of wrong answers on the data, averaged over displaced networks."""
    labels, wrong = network.targets.at(w), 0
    with torch.no_grad():
        for part in displacements.split(max(1, _PIECE // network.n)):
            # max tells the index too, ten times as fast as argmax along few classes
            wrong += int((network.outputs(w + part).max(2).indices != labels).sum())
    return wrong / (len(displacements) * network.n)
