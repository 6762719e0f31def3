"""The next step of each of many networks, drawn again and again: what it does to the loss, and how far its second-order law is off.

Δ = f(θ − ηĝ) − f(θ) over batches of B of a start's n samples, drawn without replacement. Up to its third order Δ is −ημᵀĝ + (η²/2)ĝᵀHĝ, μ = ∇f, whose mean
is the law's E Δ = −η‖μ‖² + (η²/2)(μᵀHμ + tr(HΣ_B)), Σ_B the covariance of ĝ: (n−B)/((n−1)B) times that of single samples. So the mean of Δ minus its own
second-order part is E Δ minus the law, without the scatter that both have in common.

A square of what is known by chance is known without bias from two independent halves: E d₁d₂ = d², where d̄² would hold d̄'s own scatter too. Redraws of a
half are cut from one permutation: each is a batch like any other, and together they scatter less.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.measurements.hessian_network import BATCH, RATE
from sgdsde.measurements.many_starts import batched
from sgdsde.objectives import Network
from sgdsde.rng import stream

#: halves whose products stand for squares
HALVES = 2

Redrawn = Float[Tensor, "starts halves batches"]


@dataclass(frozen=True)
class NextSteps:
    """Redrawn steps: Δ; −ημᵀĝ and (η²/2)ĝᵀHĝ of each; (η²/2)(ĝ−μ)ᵀH(ĝ−μ), whose mean is the noise's term; −η‖μ‖² and (η²/2)μᵀHμ of each network."""

    change: Redrawn
    linear: Redrawn
    quadratic: Redrawn
    noise: Redrawn
    descent: Float[Tensor, " starts"]
    bend: Float[Tensor, " starts"]

    @property
    def rises(self) -> Float[Tensor, " starts"]:
        """Each network's share of redraws with Δ > 0."""
        return (self.change > 0).to(self.change).mean((1, 2))

    @property
    def sizes(self) -> Float[Tensor, " starts"]:
        """The sum of the sizes of the law's terms."""
        return self.descent.abs() + self.bend.abs() + self.noise.mean((1, 2)).abs()

    def missed(self) -> Float[Tensor, " starts"]:
        """((E Δ − law)/sizes)² of each network."""
        return self._square(self.change - self.linear - self.quadratic)

    def missed_without_noise(self) -> Float[Tensor, " starts"]:
        """The same of the law without tr(HΣ_B)."""
        return self._square(self.change - self.linear - self.quadratic + self.noise)

    def _square(self, rest: Redrawn) -> Float[Tensor, " starts"]:
        return (rest.mean(2) / self.sizes[:, None]).prod(1)


def next_steps(network: Network, theta: Float[Tensor, "starts dim"], rows: Tensor, *, redraws: int, name: str, seed: int) -> NextSteps:
    """``redraws`` next steps of every network, half of them from each of two permutations of its samples, in the precision of θ but for curvatures, which are
    in float32; ``name`` names the stream.
    """
    method, each = batched(network), redraws // HALVES
    mean, before = method.weighted_grad(theta, None, rows), method.sample_loss(theta, rows).mean(1)
    change, gradients = [], []
    for start, (point, own) in enumerate(zip(theta, rows, strict=True)):
        generator = stream(seed, f"next steps {name}", start)
        batches = torch.cat([own[torch.randperm(len(own), generator=generator)[: each * BATCH]].reshape(each, BATCH) for _ in range(HALVES)])
        gradient = method.weighted_grad(point.expand(len(batches), -1), None, batches)  # [redraws, dim]
        change.append(method.sample_loss(point - RATE * gradient, own[None]).mean(1) - before[start])
        gradients.append(gradient)
    g = torch.stack(gradients)
    vectors = torch.cat([mean[:, None], g], 1).float()  # [starts, 1 + redraws, dim]
    turned = method.hvp_at(theta.float(), rows)(vectors)
    whole, cross = (RATE**2 / 2 * (vectors * other).sum(2).double() for other in (turned, turned[:, :1]))
    bend, quadratic, cross = whole[:, 0], whole[:, 1:], cross[:, 1:]
    parts = (torch.stack(change), -RATE * (g @ mean[:, :, None])[:, :, 0], quadratic, quadratic - 2 * cross + bend[:, None])
    delta, linear, square, noise = (part.unflatten(1, (HALVES, each)) for part in parts)
    return NextSteps(delta, linear, square, noise, -RATE * (mean**2).sum(1), bend)
