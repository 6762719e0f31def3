"""What an observable at a later tick is worth now: u_k(x) = φ(Fᴷ⁻ᵏ(x)), F(x) = x − η∇f(x), to second order about the descent m_{k+1} = F(m_k) itself.

    p_K = ∇φ(m_K),  P_K = ∇²φ(m_K);    p_k = J p_{k+1},  P_k = J P_{k+1} J − η∇³f(m_k)[·, ·, p_{k+1}],  J = I − ηH(m_k)    (the chain rule, backward)

A time τ before tick k + 1 the models of SGD are between ticks; there J(τ) = I − τH − ½τ(η − τ)H², which is SME-2's flow e^{−τ(H + ηH²/2)} to second order and
J at τ = η. The expansion is a guess at u where noise carries the paths far from the descent: whoever uses it must be right whatever u is, as martingales are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.calculus import grad, hessian, third
from sgdsde.objective import Objective, like
from sgdsde.types import DomainError, InputError

#: (function of points ``[P, dim]`` → ``[P]``, the tick at which it is taken)
Target = tuple[Callable[[Tensor], Tensor], int]

#: step of the differences that give ∇φ and ∇²φ, relative to max(1, |coordinate|): errors 1e-6 and 1e-8 of the function's size
_STEP = 1e-4


@dataclass(frozen=True)
class Expansion:
    """How the values of m targets answer a kick N at x: (p + B(x − origin))·N + ½NᵀPN, ``slope [m, dim]``, ``mixed`` and ``curvature [m, dim, dim]``."""

    origin: Float[Tensor, " dim"]
    slope: Float[Tensor, "m dim"]
    mixed: Float[Tensor, "m dim dim"]
    curvature: Float[Tensor, "m dim dim"]

    def martingale(
        self, x: Float[Tensor, "paths dim"], kick: Float[Tensor, "paths dim"], covariance: Float[Tensor, "paths dim dim"]
    ) -> Float[Tensor, "paths m"]:
        """The answer less its expectation ½tr(PQ), Q the covariance of a centred kick given x: mean zero given x, whatever slope, mixed and curvature are."""
        reach = (x - like(self.origin, x)) @ like(self.mixed, x).transpose(1, 2) + like(self.slope, x)[:, None]  # [m, paths, dim]
        P = like(self.curvature, x)
        answer = ((reach + 0.5 * (kick @ P)) * kick).sum(2).T  # [paths, m]
        paths, m = answer.shape
        return answer - 0.5 * covariance.reshape(paths, -1) @ P.reshape(m, -1).T


@dataclass(frozen=True)
class TickValue:
    """Of one tick: the answers to SGD's kick at its end, and to the kicks of ``substeps`` Heun steps inside it."""

    end: Expansion
    inside: tuple[Expansion, ...]


def tick_values(objective: Objective, eta: float, anchor: Float[Tensor, " dim"], targets: Sequence[Target], *, substeps: int) -> tuple[TickValue, ...]:
    """The expansions along the descent from ``anchor``, a tuple over ticks; a target's are zero from its own tick on.

    SGD kicks after its drift: x ↦ u_{k+1}(y + N) about m_{k+1}, y = x − ηg. A Heun step of length δ kicks before its drift and answers it with half of it,
    N + ½δb′N: as a kick in the middle of the step, from x's own deviation carried there by I − ½δH.

    Raises:
        InputError: no targets, or a tick below 1.
        DomainError: the descent, a function there or one of their derivatives is not finite.
    """
    if not targets or min(tick for _, tick in targets) < 1:
        raise InputError(f"targets at ticks {[tick for _, tick in targets]}; wanted at least one, at ticks from 1 on.")
    last = max(tick for _, tick in targets)
    path = [anchor.to(torch.float64)[None]]
    for _ in range(last):
        path.append(path[-1] - eta * grad(objective, path[-1]))
    m, dim = len(targets), anchor.shape[0]
    eye = torch.eye(dim, dtype=torch.float64)
    p, P = torch.zeros(m, dim, dtype=torch.float64), torch.zeros(m, dim, dim, dtype=torch.float64)
    values = []
    for k in range(last - 1, -1, -1):
        for i, (function, tick) in enumerate(targets):
            if tick == k + 1:
                p[i], P[i] = derivatives(function, path[k + 1][0])
        H = hessian(objective, path[k])[0]
        rows = path[k].expand(m * dim, -1)
        bend = third(objective, rows, eye.repeat(m, 1), p.repeat_interleave(dim, 0)).reshape(m, dim, dim)  # ∇³f[·, ·, p]
        inside, dt = [], eta / substeps
        for j in range(substeps):
            tau = eta - (j + 0.5) * dt
            J = eye - tau * H - 0.5 * tau * (eta - tau) * H @ H
            curvature = J @ P @ J - tau * bend
            origin = path[k][0] + (j / substeps) * (path[k + 1][0] - path[k][0])
            inside.append(Expansion(origin, p @ J, curvature @ (eye - 0.5 * dt * H), curvature))
        values.append(TickValue(Expansion(path[k + 1][0], p.clone(), P.clone(), P.clone()), tuple(inside)))
        J = eye - eta * H
        p, P = p @ J, J @ P @ J - eta * bend
    if not (torch.isfinite(p).all() and torch.isfinite(P).all()):
        raise DomainError("The gradient descent from the start, or a derivative along it, is not finite: there is no expansion about it.")
    return tuple(reversed(values))


def derivatives(function: Callable[[Tensor], Tensor], point: Float[Tensor, " dim"]) -> tuple[Float[Tensor, " dim"], Float[Tensor, "dim dim"]]:
    """∇φ and ∇²φ at one point by central differences, from one call with 1 + 2·dim + 2·dim(dim − 1) points: φ need not carry a graph."""
    dim = point.shape[0]
    step = _STEP * point.abs().clamp_min(1.0)
    i, j = torch.triu_indices(dim, dim, offset=1)
    axes = torch.diag(step)
    corners = [a * axes[i] + b * axes[j] for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    found = function(torch.cat([torch.zeros(1, dim, dtype=point.dtype), axes, -axes, *corners]) + point).to(torch.float64)
    middle, ahead, behind = found[0], found[1 : dim + 1], found[dim + 1 : 2 * dim + 1]
    second = torch.diag((ahead - 2 * middle + behind) / step**2)
    if dim > 1:
        pp, pm, mp, mm = found[2 * dim + 1 :].reshape(4, -1)
        second[i, j] = second[j, i] = (pp - pm - mp + mm) / (4 * step[i] * step[j])
    return (ahead - behind) / (2 * step), second
