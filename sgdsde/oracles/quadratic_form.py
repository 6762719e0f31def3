"""Covariances that are polynomials of degree ≤ 2 in θ: C(θ) = C₀ + Σₐ C₁ᵃθₐ + Σₐᵦ C₂ᵃᵇθₐθᵦ.

For such noise the first two moments close: E C(θ) = C(E θ) + C₂ : Cov θ. Constant noise (C₁ = C₂ = 0) and the minibatch noise of least squares,
whose per-sample gradients are affine in θ, are of this kind. The coefficients are found by polarisation, which is exact for quadratics,
and the polynomial is then compared with C at other points; an analytic C that agrees there and is no quadratic does not exist in practice,
a C that changes only far from the origin would go unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.rng import stream
from sgdsde.types import OracleRefusal

#: above this dimension the dim⁴ coefficients of a quadratic covariance are refused
MAX_DIM = 40
_SAME, _QUADRATIC = 1e-11, 1e-8
#: points at a time: a minibatch covariance holds n·dim numbers for each of them
_CHUNK = 64

Field = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class QuadraticForm:
    """C(θ); ``linear`` and ``quadratic`` are None where C is constant. ``quadratic`` is symmetric in its first two axes."""

    constant: Float[Tensor, "dim dim"]
    linear: Float[Tensor, "dim dim dim"] | None = None
    quadratic: Float[Tensor, "dim dim dim dim"] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether C does not depend on θ."""
        return self.quadratic is None

    def at(self, point: Float[Tensor, " dim"]) -> Float[Tensor, "dim dim"]:
        """C(θ)."""
        return self.expected(point, torch.zeros_like(self.constant))

    def expected(self, mean: Float[Tensor, " dim"], P: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
        """E C(θ) = C(mean) + C₂ : P for any law of θ with these two moments."""
        if self.linear is None or self.quadratic is None:
            return self.constant
        dim = mean.shape[0]
        second = (torch.outer(mean, mean) + P).reshape(-1)
        return self.constant + torch.tensordot(mean, self.linear, 1) + (second @ self.quadratic.reshape(dim**2, dim**2)).reshape(dim, dim)

    def seen_through(self, N: Float[Tensor, "dim dim"], factor: float) -> QuadraticForm:
        """factor·N C(θ) Nᵀ."""

        def through(C: Tensor) -> Tensor:
            return factor * (N @ C @ N.T)

        if self.linear is None or self.quadratic is None:
            return QuadraticForm(through(self.constant))
        return QuadraticForm(through(self.constant), through(self.linear), through(self.quadratic))


def probe_points(dim: int) -> Float[Tensor, "paths dim"]:
    """Twelve fixed random points at scales 1/8 … 4 away from the origin, for telling constants, lines and quadratics from the rest."""
    normals = torch.randn(12, dim, dtype=torch.float64, generator=stream(0, "oracle probe"))
    scales = torch.tensor([0.125, 0.5, 1.0, 4.0], dtype=torch.float64).repeat(3)
    return normals * scales[:, None]


def quadratic_form(field: Field, dim: int, *, name: str) -> QuadraticForm:
    """The coefficients of ``field``: points ``[P, dim]`` → symmetric matrices ``[P, dim, dim]``.

    Raises:
        OracleRefusal: the field is not finite, depends on θ in dim > MAX_DIM, or is no polynomial of degree ≤ 2.
    """
    probes = probe_points(dim)
    seen = field(probes)
    origin = field(probes.new_zeros(1, dim))[0]
    scale = max(float(seen.abs().max()), float(origin.abs().max()))
    if not scale < float("inf"):  # NaN included
        raise OracleRefusal(f"{name} is not finite everywhere, so its moments do not close.")
    if float((seen - origin).abs().max()) <= _SAME * scale:
        return QuadraticForm(origin)
    if dim > MAX_DIM:
        raise OracleRefusal(f"{name} depends on θ in {dim} dimensions; exact moments with state-dependent noise are offered up to {MAX_DIM}. Project the data.")
    form = _polarised(field, dim, origin)
    error = max(float((form.at(point) - value).abs().max() / value.abs().max().clamp_min(scale * 1e-3)) for point, value in zip(probes, seen, strict=True))
    if not error <= _QUADRATIC:
        raise OracleRefusal(
            f"{name} is no polynomial of degree ≤ 2 in θ (relative misfit {error:.2g} at probe points), so the moments do not close. "
            "Use simulation, or sg.oracles.weak_error in one and two dimensions."
        )
    return form


def _polarised(field: Field, dim: int, origin: Tensor) -> QuadraticForm:
    """C₁ and C₂ from C at ±eₐ and eₐ + eᵦ."""
    basis = torch.eye(dim, dtype=torch.float64)
    plus, minus = _chunked(field, basis), _chunked(field, -basis)
    linear = (plus - minus) / 2
    quadratic = torch.zeros(dim, dim, dim, dim, dtype=torch.float64)
    diagonal = torch.arange(dim)
    quadratic[diagonal, diagonal] = (plus + minus) / 2 - origin
    a, b = torch.triu_indices(dim, dim, offset=1)
    if len(a):
        mixed = (_chunked(field, basis[a] + basis[b]) - plus[a] - plus[b] + origin) / 2
        quadratic[a, b] = quadratic[b, a] = mixed
    return QuadraticForm(origin, linear, quadratic)


def _chunked(field: Field, points: Tensor) -> Tensor:
    return torch.cat([field(piece) for piece in points.split(_CHUNK)])
