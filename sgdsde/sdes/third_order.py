"""What takes a second-order model to weak order 3: −(η²/12)∇³f[g,g] + (η²/4)(Σ:∂∂)g in the drift, and Σ at θ + (η/2)g in the diffusion.

(Σ:∂∂)g = Σₐᵦ Σₐᵦ∂ₐ∂ᵦ∇f with the covariance not differentiated; Σ(θ + (η/2)g) carries the term (η²/2)(g·∇)Σ without a derivative of Σ. Derived in
docs/theory/modified_equations.md from the logarithm of SGD's one-step semigroup. Gaussian noise (vanishing third cumulant) is needed for order 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsde.calculus import grad, third, third_trace
from sgdsde.noise import Noise
from sgdsde.objective import Objective

#: points × samples that one batch of third derivatives may hold
_CHUNK = 2**18


def third_order_drift(noise: Noise, theta: Tensor, g: Tensor, eta: float) -> Tensor:
    """−(η²/12)∇³f[g,g] + (η²/4)(Σ:∂∂)g, ``[P, dim]``; zero where the Hessian is constant."""
    if noise.objective.facts.constant_hessian:
        return torch.zeros_like(theta)
    return (eta**2 / 4) * noise_curvature(noise, theta) - (eta**2 / 12) * third(noise.objective, theta, g, g)


def shifted(objective: Objective, theta: Tensor, eta: float, g: Tensor | None = None) -> Tensor:
    """θ + (η/2)g, where the third-order models take the noise."""
    return theta + (eta / 2) * (grad(objective, theta) if g is None else g)


def noise_curvature(noise: Noise, theta: Tensor) -> Tensor:
    """(Σ:∂∂)g, ``[P, dim]``, exactly: from the dense Σ with dim third derivatives, or from the columns of the noise's root with root_dim of them.

    The smaller of dim and root_dim decides. For a minibatch noise the root's columns are (gᵢ − g)/√(nB), so the second way is the exact sum over samples,
    (1/(nB))Σᵢ∇³f[gᵢ−g, gᵢ−g]: n third derivatives of the full loss a point, affordable for small n only. There is no cheap exact way for n and dim both large.
    """
    if noise.objective.dim <= noise.root_dim:
        return third_trace(noise.objective, theta, noise.covariance(theta))
    total = torch.zeros_like(theta)
    basis = torch.eye(noise.root_dim, dtype=theta.dtype, device=theta.device)
    size = max(1, _CHUNK // max(1, theta.shape[0] * noise.objective.n))
    for rows in basis.split(size):
        points = theta.repeat_interleave(rows.shape[0], 0)  # [paths*k, dim]
        columns = noise.root(points, rows.repeat(theta.shape[0], 1))
        total += third(noise.objective, points, columns, columns).reshape(theta.shape[0], -1, theta.shape[1]).sum(1)
    return total
