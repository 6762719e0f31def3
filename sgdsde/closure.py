"""Means, covariances and third cumulants of SGD and of SDEs, one tick at a time, with nothing but evaluations of b and Q at a few points.

A tick of length η is a Markov kernel: from a point x it has a conditional mean M(x), covariance V(x) and third cumulant K(x). For SGD M = x − ηg, V = η²Σ;
for an SDE they follow by RK4 from ṁ = E b, Ċ = Cov(x,b) + Cov(b,x) + E Q, κ̇ = 3·sym(Cov(x, Q) + E (b−ṁ)(x−m)²) at C = κ = 0. A law (m, C, κ) moves by

    m⁺ = E M,   C⁺ = Cov M + E V,   κ⁺ = E (M−m⁺)³ + 3·sym Cov(M, V) + E K

with expectations by :mod:`sgdsde.cubature` (law of total cumulance). Both processes go through the same formulas, so what a closure
neglects (fourth cumulants on) is neglected alike and cancels in their difference: that is accurate to leading order in η for models of weak order 1, 2 and,
where third cumulants are carried, 3 (docs/theory/atlas.md). Nothing here is random.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import grad
from sgdsde.cubature import Rule
from sgdsde.kernels.exact_ou import transition
from sgdsde.noise import Noise
from sgdsde.objective import Points
from sgdsde.sde import SDE

#: numbers in one array of a piece of an evaluation
_PIECE_ELEMENTS = 2**23
#: standard deviations below this share of the largest carry no skewness: dividing by them would amplify rounding
_THIN = 1e-4


class Cumulants(NamedTuple):
    """Means ``[P, d]``, covariances ``[P, d, d]`` and third cumulants ``[P, d, d, d]`` (None: not carried) of P laws."""

    mean: Tensor
    covariance: Tensor
    third: Tensor | None

    def moved(self, step: float, rate: Cumulants) -> Cumulants:
        """These plus ``step`` times a rate."""
        third = None if self.third is None or rate.third is None else self.third + step * rate.third
        return Cumulants(self.mean + step * rate.mean, self.covariance + step * rate.covariance, third)


#: from points ``[P, d]`` to the conditional cumulants after a tick
Tick = Callable[[Points], Cumulants]


def at_points(x: Points, *, third: bool) -> Cumulants:
    """Laws concentrated on points."""
    paths, dim = x.shape
    return Cumulants(x, x.new_zeros(paths, dim, dim), x.new_zeros(paths, dim, dim, dim) if third else None)


def sample(rule: Rule, law: Cumulants) -> tuple[Float[Tensor, "P n d"], Float[Tensor, "P n"]]:
    """Nodes and weights with E h(x) ≈ Σ_q w_q h(x_q) for each law. C enters through its symmetric root, which is smooth in C."""
    root, inverse = _roots(law.covariance)
    nodes = law.mean[:, None] + torch.einsum("nj,pij->pni", rule.nodes, root)  # [P, n, d]
    weights = rule.weights.expand(len(law.mean), -1)
    if law.third is not None and rule.hermite is not None:
        whitened = torch.einsum("pia,pjb,pkc,pabc->pijk", inverse, inverse, inverse, law.third)
        weights = weights * (1 + torch.einsum("nijk,pijk->pn", rule.hermite, whitened) / 6)
    return nodes, weights


def through(tick: Tick, rule: Rule, law: Cumulants) -> Cumulants:
    """The laws after one tick of a kernel."""
    nodes, weights = sample(rule, law)
    paths, count, dim = nodes.shape
    M, V, K = tick(nodes.reshape(-1, dim))
    M, V = M.reshape(paths, count, dim), V.reshape(paths, count, dim, dim)
    mean = torch.einsum("pn,pni->pi", weights, M)
    centred = M - mean[:, None]
    covariance = torch.einsum("pn,pni,pnj->pij", weights, centred, centred) + torch.einsum("pn,pnij->pij", weights, V)
    if law.third is None:
        return Cumulants(mean, covariance, None)
    third = torch.einsum("pn,pni,pnj,pnk->pijk", weights, centred, centred, centred)
    third = third + _symmetrised(torch.einsum("pn,pni,pnjk->pijk", weights, centred, V))
    if K is not None:
        third = third + torch.einsum("pn,pnijk->pijk", weights, K.reshape(paths, count, dim, dim, dim))
    return Cumulants(mean, covariance, third)


def sgd_tick(noise: Noise, eta: float) -> Tick:
    """One step of SGD with the noise's covariance and no third cumulant (its Gaussian surrogate): M = x − ηg, V = η²Σ."""

    def tick(x: Points) -> Cumulants:
        sigma = _pieces(noise.covariance, x, noise.objective.n * noise.objective.dim)
        return Cumulants(x - eta * _pieces(lambda part: grad(noise.objective, part), x, noise.objective.n), eta**2 * sigma, None)

    return tick


def sde_tick(sde: SDE, time: float, *, rule: Rule, substeps: int, third: bool) -> Tick:
    """The SDE over ``time`` from points, by ``substeps`` RK4 steps of the closed moment equations; exact where the SDE is linear."""
    affine = sde.affine()
    if affine is not None:
        flow, shift, V = transition(*affine, time)

        def linear(x: Points) -> Cumulants:
            return Cumulants(x @ flow.T + shift, V.expand(len(x), -1, -1), None)

        return linear

    def tick(x: Points) -> Cumulants:
        law = at_points(x, third=third)
        for _ in range(substeps):
            law = _runge_kutta(sde, rule, law, time / substeps)
        return law

    return tick


def flow(sde: SDE, rule: Rule, law: Cumulants, *, time: float, substeps: int) -> Cumulants:
    """The laws after ``time`` by the moment equations themselves, without a look at ticks: for weak order 1 and 2, and 3 where third cumulants are carried."""
    for _ in range(substeps):
        law = _runge_kutta(sde, rule, law, time / substeps)
    return law


def twice(tick: Tick, rule: Rule) -> Tick:
    """Two ticks as one kernel."""
    return lambda x: through(tick, rule, tick(x))


def _runge_kutta(sde: SDE, rule: Rule, law: Cumulants, step: float) -> Cumulants:
    k1 = _rates(sde, rule, law)
    k2 = _rates(sde, rule, law.moved(step / 2, k1))
    k3 = _rates(sde, rule, law.moved(step / 2, k2))
    k4 = _rates(sde, rule, law.moved(step, k3))
    return law.moved(step / 6, k1).moved(step / 3, k2).moved(step / 3, k3).moved(step / 6, k4)


def _rates(sde: SDE, rule: Rule, law: Cumulants) -> Cumulants:
    """(ṁ, Ċ, κ̇)."""
    nodes, weights = sample(rule, law)
    paths, count, dim = nodes.shape
    flat, width = nodes.reshape(-1, dim), sde.width * sde.dim
    b = _pieces(lambda part: sde.drift(0.0, part), flat, width).reshape(paths, count, dim)
    Q = _pieces(lambda part: sde.diffusion(0.0, part), flat, width).reshape(paths, count, dim, dim)
    mean, spread = torch.einsum("pn,pni->pi", weights, b), torch.einsum("pn,pnij->pij", weights, Q)
    db, dx = b - mean[:, None], nodes - law.mean[:, None]
    mixed = torch.einsum("pn,pni,pnj->pij", weights, dx, db)
    covariance = mixed + mixed.transpose(1, 2) + spread
    if law.third is None:
        return Cumulants(mean, covariance, None)
    source = torch.einsum("pn,pni,pnjk->pijk", weights, dx, Q - spread[:, None]) + torch.einsum("pn,pni,pnj,pnk->pijk", weights, db, dx, dx)
    return Cumulants(mean, covariance, _symmetrised(source))


def _symmetrised(T: Float[Tensor, "P d d d"]) -> Float[Tensor, "P d d d"]:
    """The sum over the three places of the first index, of a tensor symmetric in the other two."""
    return T + T.permute(0, 2, 1, 3) + T.permute(0, 2, 3, 1)


def _roots(C: Float[Tensor, "P d d"]) -> tuple[Tensor, Tensor]:
    """C^½ and its pseudo-inverse; negative eigenvalues (rounding, or a model with an indefinite Q) count as zero."""
    if C.shape[-1] == 1:
        values, vectors = C[..., 0], torch.ones_like(C)
    else:
        broken = ~torch.isfinite(C).flatten(1).all(1)
        values, vectors = torch.linalg.eigh(torch.nan_to_num(C, nan=0.0, posinf=0.0, neginf=0.0))
        values = torch.where(broken[:, None], torch.nan, values)
    s = values.clamp_min(0).sqrt()
    thick = s > _THIN * s.amax(-1, keepdim=True)
    inverse = torch.where(thick, 1 / torch.where(thick, s, torch.ones_like(s)), torch.zeros_like(s))
    return (vectors * s[:, None, :]) @ vectors.transpose(1, 2), (vectors * inverse[:, None, :]) @ vectors.transpose(1, 2)


def _pieces(function: Callable[[Points], Tensor], x: Points, width: int) -> Tensor:
    """``function`` over the points in pieces of bounded memory."""
    size = max(1, _PIECE_ELEMENTS // max(1, width))
    if len(x) <= size:
        return function(x)
    return torch.cat([function(part) for part in x.split(size)])
