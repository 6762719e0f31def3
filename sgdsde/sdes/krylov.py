"""Functions of the Hessian times vectors by Lanczos: h(ηH)v ≈ ‖v‖·V h(ηT)e₁, one run per vector, batched over paths, full reorthogonalisation.

Needs Hessian–vector products only, so it serves networks. The error falls geometrically with the number of steps, at a rate set by the gap of ηλ to 1
(Taylor fails past ηλ ≈ ½); 8–24 steps suffice (Saad 1992). A Ritz value η·ρ ≥ 1 proves an eigenvalue ηλ ≥ 1, since Ritz values lie inside the spectrum, and
meets the log policy; an eigenvalue ≥ 1 that shows in no Ritz value is one that v does not see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hvp_at
from sgdsde.objective import Objective
from sgdsde.objectives.memory import LARGE, require
from sgdsde.rng import stream
from sgdsde.sdes.functions import ell, phi_square, spectrum_of
from sgdsde.sdes.log_domain import LogDomain
from sgdsde.sdes.matrix_functions import HessianFunctions, MatrixFunctions, congruence_by_rows
from sgdsde.symmetric import eigenpairs
from sgdsde.types import InputError

#: Lanczos steps from a random vector that look for ηλ ≥ 1 where the Hessian is constant
_PROBE_STEPS = 48


@dataclass(frozen=True)
class Krylov(MatrixFunctions):
    """Lanczos with ``steps`` Hessian–vector products per vector (memory: steps·paths·dim numbers).

    Raises:
        InputError: ``steps`` is no integer ≥ 1.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0, 1.0]), 1.0)
        >>> theta = torch.ones(1, 2, dtype=torch.float64)
        >>> dense, krylov = (sg.sdes.HASMEProduct(noise, 0.25, functions=f).drift(0.0, theta) for f in (sg.sdes.Dense(), sg.sdes.Krylov(2)))
        >>> bool(torch.allclose(dense, krylov))
        True
    """

    steps: int = 16

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or int(self.steps) != self.steps or self.steps < 1:
            raise InputError(f"steps = {self.steps!r}; wanted an integer ≥ 1 (8 to 24 suffice).")

    def bind(self, objective: Objective, eta: float, domain: LogDomain) -> HessianFunctions:
        return _KrylovFunctions(objective, eta, domain, self.steps)


class _KrylovFunctions(HessianFunctions):
    def __init__(self, objective: Objective, eta: float, domain: LogDomain, steps: int) -> None:
        self._objective, self._eta, self._domain, self._steps = objective, eta, domain, steps
        if objective.facts.constant_hessian:
            origin = torch.zeros(1, objective.dim, dtype=torch.float64)
            probe = torch.randn(1, objective.dim, dtype=torch.float64, generator=stream(0, "log domain probe"))
            domain.refuse(spectrum_of(lanczos(hvp_at(objective, origin), probe, _PROBE_STEPS).tridiagonal, eta).x)

    def flow(self, theta: Tensor, g: Tensor) -> Tensor:
        return self._apply(theta, [g], [ell])[0]

    def amplify(self, theta: Tensor, v: Tensor) -> Tensor:
        return self._apply(theta, [v], [_root_phi])[0]

    def both(self, theta: Tensor, g: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        first, second = self._apply(theta, [g, v], [ell, _root_phi])
        return first, second

    def congruence(self, theta: Tensor, sigma: Tensor) -> Tensor:
        return congruence_by_rows(self.amplify, theta, sigma)

    def _apply(self, theta: Tensor, vectors: Sequence[Tensor], functions: Sequence[Callable[[Tensor], Tensor]]) -> list[Tensor]:
        """hₖ(ηH)vₖ for each k; the runs of all vectors advance together, on one linearisation at θ."""
        k = len(vectors)
        product = hvp_at(self._objective, theta)

        def all_at_once(v: Tensor) -> Tensor:  # [k*paths, dim], the vectors one after the other
            return product(v.reshape(k, -1, v.shape[1]).transpose(0, 1)).transpose(0, 1).reshape(v.shape)

        run = lanczos(all_at_once, torch.cat(list(vectors)), self._steps)
        found, vectors_of = eigenpairs(run.tridiagonal)  # Ritz values [k*paths, steps]
        ritz = self._domain.guard(torch.cat((self._eta * found).chunk(k), 1)).chunk(k, 1)  # one row a path, as the counters want it
        values = torch.cat([function(x) for function, x in zip(functions, ritz, strict=True)])
        weights = (vectors_of @ (values * vectors_of[:, 0])[:, :, None])[:, :, 0]  # h(ηT)e₁
        return list(((run.norm[:, None] * weights)[:, None, :] @ run.basis)[:, 0].chunk(k))


def _root_phi(x: Tensor) -> Tensor:
    return phi_square(x).sqrt()


@dataclass(frozen=True)
class Lanczos:
    """HV = VT + a remainder: ‖v‖, an orthonormal basis of the Krylov space of (H, v) as rows, and T = VᵀHV."""

    norm: Float[Tensor, " paths"]
    basis: Float[Tensor, "paths steps dim"]
    tridiagonal: Float[Tensor, "paths steps steps"]


def lanczos(product: Callable[[Tensor], Tensor], v: Float[Tensor, "paths dim"], steps: int) -> Lanczos:
    """``steps`` Lanczos steps from each row of v with the symmetric operator ``product``, orthogonalised twice against the whole basis.

    Where a path's Krylov space is exhausted early its further basis vectors are zero: T then splits off a zero block that e₁ does not meet.
    """
    paths, dim = v.shape
    steps = min(steps, dim)
    if paths * steps * dim > LARGE:
        require(2 * paths * steps * dim, v, what=f"{steps} Lanczos steps of {paths} vectors in {dim} dimensions", instead="Use a smaller block_size.")
    norm = torch.linalg.vector_norm(v, dim=1)
    basis = v.new_zeros(paths, steps, dim)
    T = v.new_zeros(paths, steps, steps)
    q = v / torch.where(norm > 0, norm, torch.ones_like(norm))[:, None]
    scale = torch.zeros_like(norm)
    for j in range(steps):
        basis[:, j] = q
        w = product(q)
        T[:, j, j] = (q * w).sum(1)
        known = basis[:, : j + 1]
        for _ in range(2):
            w = w - ((known @ w[:, :, None]).transpose(1, 2) @ known)[:, 0]
        beta = torch.linalg.vector_norm(w, dim=1)
        scale = torch.maximum(scale, T[:, j, j].abs() + beta)
        alive = beta > 64 * torch.finfo(v.dtype).eps * scale
        if j + 1 < steps:
            T[:, j, j + 1] = T[:, j + 1, j] = torch.where(alive, beta, torch.zeros_like(beta))
        q = torch.where(alive[:, None], w / torch.where(alive, beta, torch.ones_like(beta))[:, None], torch.zeros_like(w))
    return Lanczos(norm, basis, T)
