"""Laws as mixtures of nearly Gaussian parts: where the loss is curved on the scale of the law (near a saddle, in a narrow well) one Gaussian is not enough.

A part N(m, C) is split along a direction u into three with the weights 1/6, 2/3, 1/6:  m ± √3·s·v and m, v = Cu/√(uᵀCu), each with covariance C − s²vvᵀ. All
moments up to the fifth stay as they are (the three-point rule stands for a normal of variance s²), and third cumulants too. The parts then move on their own.
SGD and a model must be split alike, or the difference of their closures would not cancel: the directions are chosen on SGD's law and given to the models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.closure import Cumulants, sample
from sgdsde.cubature import Rule

#: the share √(s²) of a standard deviation that goes into the distances of the parts
SHARE = 0.8

Advance = Callable[[Cumulants], Cumulants]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Σ_p weights_p·law_p."""

    weights: Float[Tensor, " P"]
    parts: Cumulants

    def moments(self) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
        """Mean and covariance of the whole."""
        mean = self.weights @ self.parts.mean
        centred = self.parts.mean - mean
        within = torch.einsum("p,pij->ij", self.weights, self.parts.covariance)
        return mean, within + torch.einsum("p,pi,pj->ij", self.weights, centred, centred)

    def expectations(self, rule: Rule, functions: Sequence[Callable[[Tensor], Tensor]]) -> Float[Tensor, " functions"]:
        """E φ of each test function ``[P, d]`` → ``[P]``."""
        nodes, weights = sample(rule, self.parts)
        weights = (weights * self.weights[:, None]).reshape(-1)
        points = nodes.reshape(-1, nodes.shape[-1])
        return torch.stack([weights @ function(points).to(weights) for function in functions])


def single(law: Cumulants) -> Mixture:
    """One law as a mixture of one part."""
    return Mixture(law.mean.new_ones(1), law)


def run(advance: Advance, start: Cumulants, steps: int) -> list[Cumulants]:
    """The law at the start and after each step, undivided."""
    path = [start]
    for _ in range(steps):
        path.append(advance(path[-1]))
    return path


def branch(advance: Advance, path: list[Cumulants], splits: tuple[int, ...], directions: list[Tensor] | None = None) -> tuple[Mixture, list[Tensor]]:
    """The law at the end of an undivided ``path``, had it been split after the steps named; and the directions.

    ``directions``: those that SGD's run returned; None chooses them, the principal axis of each part's covariance.
    """
    if not splits:
        return single(path[-1]), []
    law, weights, used = path[splits[0]], path[0].mean.new_ones(1), []
    for number, step in enumerate(splits):
        u = _principal(law.covariance) if directions is None else directions[number]
        used.append(u)
        law, weights = _split(law, weights, u)
        for _ in range((splits[number + 1] if number + 1 < len(splits) else len(path) - 1) - step):
            law = advance(law)
    return Mixture(weights, law), used


def _split(law: Cumulants, weights: Tensor, u: Float[Tensor, "P d"]) -> tuple[Cumulants, Tensor]:
    m, C, third = law
    Cu = torch.einsum("pij,pj->pi", C, u)
    v = Cu / torch.einsum("pi,pi->p", u, Cu).clamp_min(torch.finfo(C.dtype).tiny).sqrt()[:, None]
    z, w = C.new_tensor([-(3**0.5), 0.0, 3**0.5]), C.new_tensor([1 / 6, 2 / 3, 1 / 6])
    means = (m[:, None] + SHARE * z[None, :, None] * v[:, None]).reshape(-1, m.shape[1])  # [3P, d]
    rest = C - SHARE**2 * v[:, :, None] * v[:, None, :]
    thirds = None if third is None else third.repeat_interleave(3, 0)
    return Cumulants(means, rest.repeat_interleave(3, 0), thirds), (weights[:, None] * w).reshape(-1)


def _principal(C: Float[Tensor, "P d d"]) -> Float[Tensor, "P d"]:
    if C.shape[-1] == 1:
        return torch.ones_like(C[:, :, 0])
    return torch.linalg.eigh(torch.nan_to_num(C))[1][:, :, -1]
