"""One step of an integrator on a linear SDE as an affine map: x⁺ = F x + s + G dw, element-wise where F and G are diagonal.

On dX = (A X + c)dt + D dW with constant D every one-step method here is such a map. It costs one pass (or one matrix product) a step instead
of an evaluation of the model; the step through the model's own ``terms`` is the test of it.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.sde import SDE

#: points joined to a row, at most
_JOIN = 64


class AffineStep:
    """x ↦ F x + s + G dw for ``[P, dim]`` points, F ``[dim, dim]``, s ``[dim]``, G ``[dim, noise_dim]`` given in float64."""

    def __init__(self, F: Float[Tensor, "dim dim"], s: Float[Tensor, " dim"], G: Float[Tensor, "dim noise_dim"]) -> None:
        self.F, self.s, self.G = F, s, G
        self.diagonal = _is_diagonal(F) and _is_diagonal(G)
        self._cast: dict[tuple[torch.dtype, torch.device, int], tuple[Tensor, Tensor, Tensor]] = {}

    def __call__(self, x: Tensor, dw: Tensor) -> Tensor:
        """The step; ``dw`` ``[P, noise_dim]`` is not changed."""
        if self.diagonal:
            return self._element_wise(x, dw)
        F, s, G = self._parts(x, 1)
        moved = torch.addmm(s, x, F)
        return moved.addmm_(dw, G) if dw.shape[1] else moved

    def _element_wise(self, x: Tensor, dw: Tensor) -> Tensor:
        """The step on rows of several points joined: broadcasting over rows of a few numbers costs torch twice the arithmetic."""
        paths, dim = x.shape
        joined = math.gcd(paths, _JOIN) if dim < _JOIN and x.is_contiguous() else 1
        F, s, G = self._parts(x, joined)
        if joined == 1:
            return torch.addcmul(s, x, F).addcmul_(dw, G)
        rows = (paths // joined, joined * dim)
        return torch.addcmul(s, x.view(rows), F).addcmul_(dw.reshape(rows), G).view(paths, dim)

    def _parts(self, x: Tensor, joined: int) -> tuple[Tensor, Tensor, Tensor]:
        """F, s and G as the step needs them in the dtype and on the device of ``x``: diagonals, repeated for ``joined`` points, or transposes."""
        key = (x.dtype, x.device, joined)
        if key not in self._cast:
            if self.diagonal:
                self._cast[key] = tuple(part.to(x).repeat(joined) for part in (self.F.diagonal(), self.s, self.G.diagonal()))  # type: ignore[assignment]
            else:
                self._cast[key] = (self.F.T.contiguous().to(x), self.s.to(x), self.G.T.contiguous().to(x))
        return self._cast[key]


def diffusion_factor(sde: SDE) -> Float[Tensor, "dim noise_dim"]:
    """D of an SDE with constant diffusion: what it does to each basis increment."""
    if sde.noise_dim == 0:
        return torch.zeros(sde.dim, 0, dtype=torch.float64)
    origin = torch.zeros(sde.noise_dim, sde.dim, dtype=torch.float64)
    return sde.diffuse(0.0, origin, torch.eye(sde.noise_dim, dtype=torch.float64)).T


def _is_diagonal(M: Tensor) -> bool:
    return M.shape[0] == M.shape[1] and bool((M - torch.diag(M.diagonal()) == 0).all())
