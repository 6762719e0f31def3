"""A two-layer tanh classifier with every derivative in closed form: ℓᵢ(θ) = log(1 + e^{zᵢ}) − yᵢzᵢ + (ρ/2)|θ|², zᵢ = Σⱼ vⱼ tanh(wⱼ·xᵢ + bⱼ).

The network ``Linear(p, h), Tanh, Linear(h, 1, bias=False)`` on two classes, θ = (W row by row, b, v) as torch flattens it; h(p + 2) parameters, 18 for p = 4,
h = 3. With a = tanh u, a′ = 1 − a², J = ∂z/∂θ = (vⱼaⱼ′x̃, aⱼ), x̃ = (x, 1), and ψ the loss of z:
g = E ψ′J, H = E[ψ″JJᵀ + ψ′∇²z], ∇³f[s, t] = E[ψ‴(J·s)(J·t)J + ψ″((sᵀ∇²z t)J + (J·s)∇²z t + (J·t)∇²z s) + ψ′∇³z[s, t]].
∇²z couples only the weights of one unit. All of it costs a few sums over samples instead of nested backward passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.given import is_whole
from sgdsde.objective import Facts, Objective, identity_rows
from sgdsde.objectives.cross_entropy import Binary, checked_labels
from sgdsde.objectives.linear_model import checked_inputs, same_length
from sgdsde.objectives.resident import Resident
from sgdsde.types import InputError, real

Units = Float[Tensor, "paths batch hidden"]
Samples = Float[Tensor, "paths batch"]

#: numbers in an array over paths, samples and parameters: on a processor such a piece stays in its cache
_PIECE_ELEMENTS = {"cpu": 2**18, "cuda": 2**27}


@dataclass(frozen=True)
class _Pass:
    """One forward pass: x̃ ``[…, batch, q]``, v ``[P, 1, h]``, tanh u and its derivatives by u, the logits z."""

    x: Tensor
    v: Tensor
    a: Units
    a1: Units
    z: Samples

    @property
    def a2(self) -> Units:
        return -2 * self.a * self.a1

    @property
    def a3(self) -> Units:
        return self.a1 * (6 * self.a * self.a - 2)


class ShallowTanh(Objective):
    """Mean cross-entropy of a two-class tanh network with one hidden layer.

    Args:
        x: inputs ``[n, features]``.
        y: labels ``[n]``, 0 or 1.
        hidden: hidden units h; dim = h·(features + 2).
        ridge: ρ ≥ 0, in every sample's loss, so that it adds no noise.

    Raises:
        InputError: empty data, NaN, mismatched lengths, labels other than 0 and 1, ``hidden`` < 1, a negative ridge.

    Example:
        >>> x = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        >>> net = sg.objectives.ShallowTanh(x, [0, 1, 0, 1, 0, 1], hidden=3)
        >>> net.dim, round(net.loss(torch.zeros(1, net.dim, dtype=torch.float64)).item() / math.log(2), 9)  # h·(features + 2)
        (12, 1.0)
    """

    def __init__(self, x: Any, y: Any, *, hidden: int, ridge: float = 0.0) -> None:
        ridge = real(ridge, "ridge")
        x = checked_inputs(x)
        labels, _ = checked_labels(y, 2)
        same_length(x, labels)
        if not is_whole(hidden, 1):
            raise InputError(f"hidden = {hidden!r}; wanted an integer ≥ 1.")
        if not (np.isfinite(ridge) and ridge >= 0):
            raise InputError(f"ridge = {ridge}; wanted a finite number ≥ 0.")
        self.n, self.features = x.shape
        self.hidden, self.ridge = int(hidden), ridge
        self.dim = self.hidden * (self.features + 2)
        extended = torch.cat([x, x.new_ones(self.n, 1)], 1)
        self.x = Resident(extended)
        self.products = Resident((extended[:, :, None] * extended[:, None, :]).flatten(1))  # [n, q*q]
        self.cross_entropy = Binary(labels)
        # where the weights of unit j with its bias stand in θ, [hidden, q]
        weights = torch.arange(self.hidden * self.features).reshape(self.hidden, self.features)
        self.units = torch.cat([weights, self.hidden * self.features + torch.arange(self.hidden)[:, None]], 1)
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            covariance=self._covariance,
            sample_grads=self._sample_grads,
            weighted_grad=self._weighted_grad,
            third=self._third,
            third_trace=self._third_trace,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """One and three units, with and without ridge."""
        g = torch.Generator().manual_seed(4)
        x = torch.randn(11, 4, generator=g, dtype=torch.float64)
        return [cls(x, torch.arange(11) % 2, hidden=3), cls(x[:, :2], torch.arange(11) % 3 % 2, hidden=1, ridge=0.2)]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        loss = self.cross_entropy.value(self._forward(theta, batch).z[:, None], batch)
        return loss + self.ridge / 2 * (theta**2).sum(1, keepdim=True) if self.ridge else loss

    def logits(self, theta: Tensor, x: Tensor | None = None) -> Samples:
        """z ``[P, m]`` on inputs ``[m, features]`` (None: the data)."""
        if x is None:
            return self._forward(theta, None).z
        extended = torch.cat([x, x.new_ones(x.shape[0], 1)], 1).to(theta)
        return self._through(theta, extended).z

    def _split(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """(w̃ ``[P, h, q]``, v ``[P, h]``)."""
        edge = self.hidden * self.features
        W = theta[:, :edge].reshape(-1, self.hidden, self.features)
        return torch.cat([W, theta[:, edge : edge + self.hidden, None]], 2), theta[:, edge + self.hidden :]

    def _join(self, w: Float[Tensor, "paths hidden q"], v: Float[Tensor, "paths hidden"]) -> Tensor:
        return torch.cat([w[:, :, :-1].flatten(1), w[:, :, -1], v], 1)

    def _forward(self, theta: Tensor, batch: Tensor | None) -> _Pass:
        return self._through(theta, self.x.rows(theta, batch))

    def _through(self, theta: Tensor, x: Tensor) -> _Pass:
        w, v = self._split(theta)
        a = torch.tanh(x @ w.transpose(1, 2))  # [paths, batch, hidden]
        return _Pass(x, v[:, None], a, 1 - a * a, (a * v[:, None]).sum(2))

    def _losses(self, p: _Pass, batch: Tensor | None = None) -> tuple[Samples, Samples]:
        """ψ′ and ψ″."""
        mean = torch.sigmoid(p.z)
        return self.cross_entropy.residual(p.z[:, None], batch)[:, 0], mean * (1 - mean)

    def _jacobian(self, p: _Pass) -> Float[Tensor, "paths batch dim"]:
        slope = p.v * p.a1  # [paths, batch, hidden]
        x = p.x[..., None, :-1]  # [..., batch, 1, features]
        return torch.cat([(slope[..., None] * x).flatten(2), slope, p.a], 2)

    def _pull(self, p: _Pass, w: Units, v: Units) -> Tensor:
        """Means over the samples of wⱼx̃ and vⱼ, joined to ``[P, dim]``."""
        return self._join(w.transpose(1, 2) @ p.x, v.sum(1)) / self.n

    def _along(self, p: _Pass, direction: Tensor) -> tuple[Units, Float[Tensor, "paths 1 hidden"], Samples]:
        """For a direction s: x̃·s_w, s_v, and J·s."""
        w, v = self._split(direction)
        inner = p.x @ w.transpose(1, 2)
        return inner, v[:, None], (p.v * p.a1 * inner + p.a * v[:, None]).sum(2)

    def _in_pieces(self, function: Callable[..., Tensor], *points: Tensor) -> Tensor:
        size = max(1, _PIECE_ELEMENTS.get(points[0].device.type, 2**24) // (self.n * self.dim))
        if points[0].shape[0] <= size:
            return function(*points)
        return torch.cat([function(*parts) for parts in zip(*(p.split(size) for p in points), strict=True)])

    def _grad(self, theta: Tensor) -> Tensor:
        g = self._in_pieces(self._grad_piece, theta)
        return g + self.ridge * theta if self.ridge else g

    def _grad_piece(self, theta: Tensor) -> Tensor:
        p = self._forward(theta, None)
        r = self.cross_entropy.residual(p.z[:, None], None)[:, 0, :, None]
        return self._pull(p, r * p.v * p.a1, r * p.a)

    def _sample_grads(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        p = self._forward(theta, batch)
        r = self.cross_entropy.residual(p.z[:, None], batch)[:, 0, :, None]
        grads = r * self._jacobian(p)
        return grads + self.ridge * theta[:, None] if self.ridge else grads

    def _weighted_grad(self, theta: Tensor, weights: Tensor | None, batch: Tensor | None) -> Tensor:
        p = self._forward(theta, batch)
        share = 1 / p.z.shape[1] if weights is None else weights[..., None]
        r = share * self.cross_entropy.residual(p.z[:, None], batch)[:, 0, :, None]
        g = self._join((r * p.v * p.a1).transpose(1, 2) @ p.x, (r * p.a).sum(1))
        if not self.ridge:
            return g
        return g + self.ridge * (theta if weights is None else weights.sum(1, keepdim=True) * theta)

    def _covariance(self, theta: Tensor) -> Tensor:
        return self._in_pieces(self._covariance_piece, theta)

    def _covariance_piece(self, theta: Tensor) -> Tensor:
        p = self._forward(theta, None)
        grads = self.cross_entropy.residual(p.z[:, None], None)[:, 0, :, None] * self._jacobian(p)
        grads = grads - grads.mean(1, keepdim=True)
        return grads.transpose(1, 2) @ grads / self.n

    def _hessian(self, theta: Tensor) -> Tensor:
        H = self._in_pieces(self._hessian_piece, theta)
        return H + self.ridge * identity_rows(theta) if self.ridge else H

    def _hessian_piece(self, theta: Tensor) -> Tensor:
        p = self._forward(theta, None)
        r, curve = self._losses(p)
        J = self._jacobian(p)
        H = J.transpose(1, 2) @ (J * (curve / self.n)[..., None])
        r = r[..., None] / self.n
        q = self.features + 1
        own = ((r * p.v * p.a2).transpose(1, 2) @ self.products.at(theta)).reshape(-1, self.hidden, q, q)
        mixed = (r * p.a1).transpose(1, 2) @ p.x  # [paths, hidden, q]
        for j, unit in enumerate(self.units.to(theta.device)):
            out = self.hidden * q + j
            H[:, unit[:, None], unit] += own[:, j]
            H[:, unit, out] += mixed[:, j]
            H[:, out, unit] += mixed[:, j]
        return (H + H.transpose(1, 2)) / 2

    def _hvp(self, theta: Tensor, s: Tensor) -> Tensor:
        product = self._in_pieces(self._hvp_piece, theta, s)
        return product + self.ridge * s if self.ridge else product

    def _hvp_piece(self, theta: Tensor, s: Tensor) -> Tensor:
        p = self._forward(theta, None)
        r, curve = (part[..., None] for part in self._losses(p))
        inner, out, slope = self._along(p, s)
        bend = curve * slope[..., None]
        return self._pull(p, bend * p.v * p.a1 + r * (p.v * p.a2 * inner + p.a1 * out), bend * p.a + r * p.a1 * inner)

    def _third(self, theta: Tensor, s: Tensor, t: Tensor) -> Tensor:
        return self._in_pieces(self._third_piece, theta, s, t)

    def _third_piece(self, theta: Tensor, s: Tensor, t: Tensor) -> Tensor:
        p = self._forward(theta, None)
        r, curve = self._losses(p)
        mean = torch.sigmoid(p.z)
        (si, so, sz), (ti, to, tz) = self._along(p, s), self._along(p, t)
        a2, both, cross = p.a2, si * ti, si * to + ti * so
        second = (p.v * a2 * both + p.a1 * cross).sum(2)  # sᵀ∇²z t
        along = (curve * (1 - 2 * mean) * sz * tz + curve * second)[..., None]
        cs, ct, r = (curve * sz)[..., None], (curve * tz)[..., None], r[..., None]
        w = along * p.v * p.a1 + cs * (p.v * a2 * ti + p.a1 * to) + ct * (p.v * a2 * si + p.a1 * so) + r * (p.v * p.a3 * both + a2 * cross)
        v = along * p.a + p.a1 * (cs * ti + ct * si) + r * a2 * both
        return self._pull(p, w, v)

    def _third_trace(self, theta: Tensor, S: Tensor) -> Tensor:
        return self._in_pieces(self._third_trace_piece, theta, S)

    def _third_trace_piece(self, theta: Tensor, S: Tensor) -> Tensor:
        """E[ψ‴(JᵀSJ)J + ψ″((S:∇²z)J + 2∇²z S J) + ψ′ S:∇³z], S symmetric."""
        p = self._forward(theta, None)
        r, curve = self._losses(p)
        J = self._jacobian(p)
        JS = J @ S  # [paths, batch, dim]
        q = self.features + 1
        units = self.units.to(theta.device)
        outs = self.hidden * q + torch.arange(self.hidden, device=theta.device)
        own = S[:, units[:, :, None], units[:, None, :]].flatten(2)  # [paths, hidden, q*q]
        mixed = S[:, units, outs[:, None]]  # [paths, hidden, q]
        square = self.products.at(theta) @ own.transpose(1, 2)  # [paths, batch, hidden], x̃ᵀSⱼⱼx̃
        cross = 2 * (p.x @ mixed.transpose(1, 2))
        a2 = p.a2
        trace = (p.v * a2 * square + p.a1 * cross).sum(2)  # S:∇²z
        along = (curve * (1 - 2 * torch.sigmoid(p.z)) * (JS * J).sum(2) + curve * trace)[..., None]
        inner = (JS[..., units] * p.x[..., None, :]).sum(3)  # [paths, batch, hidden]
        twice, r = 2 * curve[..., None], r[..., None]
        w = along * p.v * p.a1 + twice * (p.v * a2 * inner + p.a1 * JS[..., outs]) + r * (p.v * p.a3 * square + a2 * cross)
        v = along * p.a + twice * p.a1 * inner + r * a2 * square
        return self._pull(p, w, v)
