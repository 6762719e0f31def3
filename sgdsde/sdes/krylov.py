"""Functions of the Hessian times vectors by Lanczos: h(ηH)v ≈ ‖v‖·V h(ηT)e₁, one run per vector, batched over paths, full reorthogonalisation.

Needs Hessian–vector products only, so it serves networks. The error falls geometrically with the number of steps, at a rate set by the gap of ηλ to 1
(Taylor fails past ηλ ≈ ½); 8–24 steps suffice (Saad 1992), and a run knows when it has made enough. Newton's interpolation at the Ritz values, with
Π(H − ρᵢ)v = ‖v‖β₁…β_m·v_{m+1} for the characteristic polynomial of T, leaves

    h(ηH)v − ‖v‖V h(ηT)e₁ = ‖v‖·Πᵢ(ηβᵢ)·h[ηρ₁, …, ηρ_m, ηH]v_{m+1},     |h[…]| ≤ max |h⁽ᵐ⁾|/m! ≤ 1/((m+1)(1−r)^{m+1})

on a spectrum ηλ ≤ r, 0 ≤ r < 1. Both functions are Stieltjes functions of −x, h(x) = ±∫₀¹ dμ(s)/(1−sx) with μ ≥ 0 (−ℓ by dμ = ds; φ((1−x)²)^½ as the
geometric mean of −ℓ and 1/(1−x/2)), so |h⁽ᵐ⁾| grows with x; for −ℓ(x) = Σxʲ/(j+1) the value at r is ∫₀¹ sᵐ(1−sr)^{−m−1} ds, and the other's coefficients are
smaller. r is the upper end of Gershgorin's discs of the ηT so far, which holds the Ritz values and nearly always the part of the spectrum that v sees.

A Ritz value η·ρ ≥ 1 proves an eigenvalue ηλ ≥ 1, since Ritz values lie inside the spectrum, and meets the log policy; an eigenvalue ≥ 1 that shows in no Ritz
value is one that v does not see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import hvp_at
from sgdsde.given import is_whole
from sgdsde.objective import Objective
from sgdsde.objectives.memory import LARGE, require
from sgdsde.rng import stream
from sgdsde.sdes.functions import ell, phi_square, spectrum_of
from sgdsde.sdes.log_domain import LogDomain
from sgdsde.sdes.matrix_functions import HessianFunctions, MatrixFunctions, congruence_by_rows
from sgdsde.symmetric import eigenpairs
from sgdsde.types import InputError, may_look, real

#: Lanczos steps from a random vector that look for ηλ ≥ 1 where the Hessian is constant
_PROBE_STEPS = 48


@dataclass(frozen=True)
class Krylov(MatrixFunctions):
    """Lanczos with at most ``steps`` Hessian–vector products per vector (memory: steps·paths·dim numbers); a vector v is done where the error is below
    ``tolerance``·‖v‖ (0: all steps are made), or below rounding.

    Raises:
        InputError: ``steps`` is no integer ≥ 1, or ``tolerance`` < 0.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([2.0, 1.0]), 1.0)
        >>> theta = torch.ones(1, 2, dtype=torch.float64)
        >>> dense, krylov = (sg.sdes.HASMEProduct(noise, 0.25, functions=f).drift(0.0, theta) for f in (sg.sdes.Dense(), sg.sdes.Krylov(2)))
        >>> bool(torch.allclose(dense, krylov))
        True
    """

    steps: int = 16
    tolerance: float = 1e-8

    def __post_init__(self) -> None:
        if not 0 <= real(self.tolerance, "tolerance") < float("inf"):
            raise InputError(f"tolerance = {self.tolerance}; wanted a number ≥ 0, the error per unit of the vector at which a run ends (0: never early).")
        if not is_whole(self.steps, 1):
            raise InputError(f"steps = {self.steps!r}; wanted an integer ≥ 1 (8 to 24 suffice).")

    def bind(self, objective: Objective, eta: float, domain: LogDomain) -> HessianFunctions:
        return _KrylovFunctions(objective, eta, domain, self.steps, self.tolerance)


class _KrylovFunctions(HessianFunctions):
    def __init__(self, objective: Objective, eta: float, domain: LogDomain, steps: int, tolerance: float) -> None:
        self._objective, self._eta, self._domain, self._steps, self._tolerance = objective, eta, domain, steps, tolerance
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

        run = lanczos(all_at_once, torch.cat(list(vectors)), self._steps, eta=self._eta, tolerance=self._tolerance)
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


def lanczos(product: Callable[[Tensor], Tensor], v: Float[Tensor, "paths dim"], steps: int, *, eta: float = 1.0, tolerance: float = 0.0) -> Lanczos:
    """``steps`` Lanczos steps from each row of v with the symmetric operator ``product``, orthogonalised twice against the whole basis.

    Where a path's Krylov space is exhausted, or large enough for functions of ``eta`` times the operator to be within ``tolerance`` (see the module), its
    further basis vectors are zero: T then splits off a zero block that e₁ does not meet. With a tolerance there are as many steps as one path needs.
    """
    paths, dim = v.shape
    steps = min(steps, dim)
    if paths * steps * dim > LARGE:
        require(2 * paths * steps * dim, v, what=f"{steps} Lanczos steps of {paths} vectors in {dim} dimensions", instead="Use a smaller block_size.")
    norm = torch.linalg.vector_norm(v, dim=1)
    basis = v.new_empty(paths, steps, dim)
    T = v.new_zeros(paths, steps, steps)
    q = v / torch.where(norm > 0, norm, torch.ones_like(norm))[:, None]
    scale, reached = torch.zeros_like(norm), _Reached(norm, eta)
    made = steps
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
        if tolerance:
            alive = alive & (reached.after(j + 1, T[:, j, j], beta) > max(tolerance, torch.finfo(v.dtype).eps))
            if may_look() and not bool(alive.any()):
                made = j + 1
                break
        if j + 1 < steps:
            T[:, j, j + 1] = T[:, j + 1, j] = torch.where(alive, beta, torch.zeros_like(beta))
        q = torch.where(alive[:, None], w / torch.where(alive, beta, torch.ones_like(beta))[:, None], torch.zeros_like(w))
    return Lanczos(norm, basis[:, :made], T[:, :made, :made])


class _Reached:
    """Bounds of what is still wrong after some steps, per unit of the vector: infinite where the spectrum's end is at 1 or beyond."""

    def __init__(self, like: Tensor, eta: float) -> None:
        self._eta = eta
        self._end, self._betas, self._last = torch.zeros_like(like), torch.ones_like(like), torch.zeros_like(like)

    def after(self, m: int, alpha: Tensor, beta: Tensor) -> Tensor:
        """After ``m`` steps, the last of which found α and β."""
        self._end = torch.maximum(self._end, self._eta * (alpha + self._last + beta))
        self._betas = self._betas * (self._eta * beta)
        self._last = beta
        bound = self._betas / ((m + 1) * (1 - self._end).clamp_min(0) ** (m + 1))
        return torch.where(self._end < 1, bound, torch.inf)
