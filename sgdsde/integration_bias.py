"""How many substeps a tick an integrator needs: its bias in E φ, to be kept below a stated share of the model's own error.

Along SGD's mean path the model is linearised, dX = (b + A(X−m))dt + D dW, where one step of length dt = η/n has a known law (:mod:`sgdsde.oracles.step_laws`):
Euler–Maruyama F = I + a, V = Q dt; Heun F = I + a + a²/2, V = (I+a/2)Q(I+a/2)ᵀdt, a = A·dt; the model itself e^{Aη}, ∫e^{As}Qe^{Aᵀs}ds. The deviations of mean
and covariance are carried along and read by the test functions. Exact on quadratics with constant Σ (there Euler inflates HA-SME's stationary variance by
1/(1 − |log(1−x)|/2n)); elsewhere to leading order in the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.closure import Cumulants, sample
from sgdsde.cubature import Rule
from sgdsde.kernels.exact_ou import transition
from sgdsde.sde import SDE

Scheme = Literal["Euler", "Heun"]
SCHEMES: tuple[Scheme, ...] = ("Euler", "Heun")
#: more substeps than this are not offered: use exact steps or another model
MOST = 2**14


@dataclass(frozen=True, eq=False)
class LinearPath:
    """The model along a path of means: b ``[K, d]``, A and Q ``[K, d, d]``, the exact one-tick maps e^{Aη}, shift and V, and the law at the end."""

    tick: float
    drift: Float[Tensor, "K d"]
    slope: Float[Tensor, "K d d"]
    diffusion: Float[Tensor, "K d d"]
    flow: Float[Tensor, "K d d"]
    shift: Float[Tensor, "K d"]
    spread: Float[Tensor, "K d d"]
    end: Cumulants


def linear_path(sde: SDE, means: Float[Tensor, "K d"], end: Cumulants, *, tick: float) -> LinearPath:
    """Linearise ``sde`` at the means before each tick, by central differences of its drift; ``end`` is the law after the last."""
    count, dim = means.shape
    h = 1e-5 * (1 + means.abs().amax())
    offsets = torch.cat([torch.eye(dim, dtype=means.dtype), -torch.eye(dim, dtype=means.dtype)]) * h
    moved = sde.drift(0.0, (means[:, None] + offsets).reshape(-1, dim)).reshape(count, 2, dim, dim)
    slope = ((moved[:, 0] - moved[:, 1]) / (2 * h)).transpose(1, 2)  # [K, out, in]
    b, Q = sde.drift(0.0, means), sde.diffusion(0.0, means)
    laws = [transition(A, c, S, tick) for A, c, S in zip(slope, b, Q, strict=True)]
    flow, shift, spread = (torch.stack(parts) for parts in zip(*laws, strict=True))
    return LinearPath(tick, b, slope, Q, flow, shift, spread, end)


def bias(path: LinearPath, scheme: Scheme, substeps: int, rule: Rule, functions: Sequence[Callable[[Tensor], Tensor]]) -> Float[Tensor, " functions"]:
    """E φ of the integrator − E φ of the model at the end, for each test function."""
    flow, shift, spread = _composed(path, scheme, substeps)
    dim = flow.shape[1]
    deviation, exact, taken = flow.new_zeros(dim), flow.new_zeros(dim, dim), flow.new_zeros(dim, dim)
    for k in range(len(flow)):
        deviation = flow[k] @ deviation + shift[k] - path.shift[k]
        exact = path.flow[k] @ exact @ path.flow[k].T + path.spread[k]
        taken = flow[k] @ taken @ flow[k].T + spread[k]
    law = Cumulants(path.end.mean, path.end.covariance, None)
    moved = Cumulants(law.mean + deviation, law.covariance + (taken - exact), None)
    return _expectations(rule, moved, functions) - _expectations(rule, law, functions)


def substeps_needed(
    path: LinearPath, scheme: Scheme, rule: Rule, functions: Sequence[Callable[[Tensor], Tensor]], allowed: Float[Tensor, " functions"]
) -> int | None:
    """The least n (found by doubling and bisection) with |bias| ≤ ``allowed`` for every test function; None where ``MOST`` do not suffice."""

    def enough(n: int) -> bool:
        return bool((bias(path, scheme, n, rule, functions).abs() <= allowed).all())

    n = 1
    while not enough(n):
        n *= 2
        if n > MOST:
            return None
    low = n // 2
    while n - low > 1:
        middle = (low + n) // 2
        low, n = (low, middle) if enough(middle) else (middle, n)
    return n


def _composed(path: LinearPath, scheme: Scheme, substeps: int) -> tuple[Tensor, Tensor, Tensor]:
    """The integrator's law of one tick at each place of the path: F^n, Σ F^i s, Σ F^i V F^iᵀ, by binary powers."""
    dt = path.tick / substeps
    eye = torch.eye(path.slope.shape[-1], dtype=path.slope.dtype)
    a = path.slope * dt
    if scheme == "Euler":
        F, s, V = eye + a, path.drift * dt, path.diffusion * dt
    else:
        half = eye + a / 2
        F, s = eye + a @ half, (half @ path.drift[:, :, None])[:, :, 0] * dt
        V = half @ path.diffusion @ half.transpose(1, 2) * dt
    step, total = (F, s, V), (eye.expand_as(F), torch.zeros_like(s), torch.zeros_like(V))
    n = substeps
    while n:
        if n & 1:
            total = _after(step, total)
        step = _after(step, step)
        n >>= 1
    return total


def _after(second: tuple[Tensor, Tensor, Tensor], first: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """The affine Gaussian map that does ``first``, then ``second``."""
    F, s, V = second
    return F @ first[0], (F @ first[1][:, :, None])[:, :, 0] + s, F @ first[2] @ F.transpose(1, 2) + V


def _expectations(rule: Rule, law: Cumulants, functions: Sequence[Callable[[Tensor], Tensor]]) -> Float[Tensor, " functions"]:
    nodes, weights = sample(rule, law)
    return torch.stack([weights[0] @ function(nodes[0]).to(weights) for function in functions])
