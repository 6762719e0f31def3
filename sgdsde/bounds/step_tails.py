"""How far one step of SGD can raise the loss above what it does on average: two explicit large-deviation bounds on Δ = f(θ⁺) − f(θ).

θ⁺ = θ − p∘ĝ with steps p ``[dim]`` fixed given θ (one η, or a diagonal preconditioner), ĝ = μ + ξ a minibatch gradient. Where f curves along the step no
more than H̄ ⪰ 0 does, Δ ≤ −μᵀPĝ + ½ĝᵀAĝ = e + aᵀξ + ½ξᵀAξ with A = PH̄P, a = Aμ − Pμ, e = ½μᵀAμ − μᵀPμ. With probability at least 1 − δ, s = ln(1/δ),

- *sub-Gaussian* noise, E e^{uᵀξ} ≤ e^{uᵀSu/2} for every u (S = Σ_B where ξ is Gaussian): Δ < e + ½tr K + √(2vs) + ks, K = S^{1/2}AS^{1/2},
  v = aᵀSa + ½‖K‖²_F, k = λmax(K). For Gaussian noise v is the variance of the right-hand side, so the first term is that of a normal tail;
- *bounded* noise, any minibatch of B out of n samples, with or without replacement: Δ < e + t + ½r², t solving Bernstein's inequality for aᵀξ and r the
  Bernstein–Pinelis inequality for |A^{1/2}ξ|, at δ/2 each. Nothing is assumed of the noise.

Both are derived in the notes on curvature. They are this project's, in the setting of Li, Gu, Zhou, Chen, Banerjee (arXiv 1907.10732), whose own theorem is not
restated here. Sources: Hsu, Kakade, Zhang (arXiv 1110.2842) for quadratic forms of sub-Gaussian vectors; Pinelis, Sakhanenko (1985); Hoeffding (1963), for
batches without replacement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_whole, own
from sgdsde.types import InputError, expected


@dataclass(frozen=True)
class StepTails:
    """The numbers of both bounds for one θ, one P and one batch size. ``descent`` is e, ``spread`` v, ``scale`` k, ``bend`` ½tr K."""

    descent: float
    bend: float
    spread: float
    scale: float
    linear_variance: float
    linear_largest: float
    quadratic_variance: float
    quadratic_largest: float
    batch_size: int

    def subgaussian(self, delta: float) -> float:
        """Δ stays below with probability 1 − δ, noise sub-Gaussian with proxy Σ_B.

        Raises:
            InputError: δ outside (0, 1).
        """
        s = math.log(1 / _checked(delta))
        return self.descent + self.bend + math.sqrt(2 * self.spread * s) + self.scale * s

    def subgaussian_probability(self, height: float) -> float:
        """The same bound the other way: P(Δ ≥ height) ≤ e^{−s}, √s = 2t/(√(2v) + √(2v + 4kt)), t = height − e − ½tr K; 1 where t ≤ 0."""
        t = height - self.descent - self.bend
        if t <= 0:
            return 1.0
        root = 2 * t / (math.sqrt(2 * self.spread) + math.sqrt(2 * self.spread + 4 * self.scale * t))
        return math.exp(-(root * root))

    def bounded(self, delta: float) -> float:
        """Δ stays below with probability 1 − δ, for minibatches as they are.

        Raises:
            InputError: δ outside (0, 1).
        """
        s = math.log(2 / _checked(delta))
        linear = _bernstein(self.linear_variance, self.linear_largest, s, self.batch_size)
        radius = _bernstein(self.quadratic_variance, self.quadratic_largest, s + math.log(2), self.batch_size)
        return self.descent + linear + 0.5 * radius**2


def step_tails(
    gradients: Float[Tensor, "n dim"],
    curvature: Float[Tensor, "dim dim"],
    steps: float | Float[Tensor, " dim"],
    *,
    batch_size: int,
    replacement: bool = False,
) -> StepTails:
    """Both bounds from per-sample gradients at θ and a positive semi-definite H̄.

    Without replacement Σ_B carries (n−B)/(n−1); the bounded one is that for batches with replacement, which covers both.

    Raises:
        InputError: shapes that do not fit, a batch size outside 1…n, H̄ with a negative eigenvalue.
    """
    for name, part in (("gradients", gradients), ("curvature", curvature)):
        if not (expected(part, Tensor, name, "per-sample gradients [n, dim] and a matrix [dim, dim]").is_floating_point() and bool(torch.isfinite(part).all())):
            raise InputError(f"{name} of dtype {part.dtype} hold integers, complex numbers, NaN or infinity; wanted finite floating numbers.")
    if gradients.ndim != 2 or tuple(curvature.shape) != (gradients.shape[1],) * 2:
        raise InputError(f"gradients {tuple(gradients.shape)} and curvature {tuple(curvature.shape)}; wanted [n, dim] and [dim, dim].")
    n = gradients.shape[0]
    if not is_whole(batch_size, 1, n) or n < 2:
        raise InputError(f"batch_size = {batch_size!r} of n = {n} samples; wanted 1 ≤ B ≤ n and n ≥ 2.")
    rates = own(steps, "steps").to(gradients)
    if tuple(rates.shape) not in ((), (gradients.shape[1],)) or not bool(torch.isfinite(rates).all() and (rates >= 0).all()):
        raise InputError(f"steps of shape {tuple(rates.shape)}; wanted a step size ≥ 0, or one for each of {gradients.shape[1]} parameters.")
    p = rates.expand(gradients.shape[1])
    values, vectors = torch.linalg.eigh(curvature)
    if float(values[0]) < -1e-9 * float(values.abs().max()):
        raise InputError(f"curvature has the eigenvalue {float(values[0]):.3g}; the bounds want H̄ ⪰ 0, for instance the positive part of the Hessian.")
    half = (vectors * values.clamp(min=0).sqrt()).T * p  # A = halfᵀ half
    mean = gradients.mean(0)
    centred = gradients - mean
    a = half.T @ (half @ mean) - p * mean
    along = centred @ a  # aᵀ(gᵢ − μ)
    bent = centred @ half.T  # A^{1/2}(gᵢ − μ), up to a rotation
    share = (1.0 if replacement else (n - batch_size) / (n - 1)) / batch_size
    K = share * bent.T @ bent / n
    return StepTails(
        descent=float(0.5 * (half @ mean).square().sum() - (p * mean) @ mean),
        bend=float(0.5 * K.trace()),
        spread=float(share * along.square().mean() + 0.5 * K.square().sum()),
        scale=float(torch.linalg.eigvalsh(K)[-1]),
        linear_variance=float(along.square().mean()),
        linear_largest=max(float(along.max()), 0.0),
        quadratic_variance=float(bent.square().sum(1).mean()),
        quadratic_largest=float(bent.norm(dim=1).max()),
        batch_size=int(batch_size),
    )


def _bernstein(variance: float, largest: float, s: float, count: int) -> float:
    """The t at which count·t²/(2(variance + largest·t/3)) = s."""
    b = largest * s / (3 * count)
    return b + math.sqrt(b * b + 2 * variance * s / count)


def _checked(delta: float) -> float:
    if not 0 < delta < 1:
        raise InputError(f"delta = {delta!r}; wanted a probability between 0 and 1.")
    return delta
