"""Weak increments: ±√dt in place of N(0, dt), right in the moments that a weak scheme needs and several times as fast to draw.

    Euler–Maruyama (weak order 1):  ±√dt, each with probability ½: moments 1–3 are right, one random bit a number.
    Heun (weak order 2):            ±a√dt with probability ⅜ each, ±b√dt with ⅛, a² = 1 − √(2/3), b² = 4 − 3a²: E z² = 1, E z⁴ = 3, moments 1–5 are right,
                                    a sign and two more random bits a number.

Expectations of smooth functions converge as with normals (Kloeden, Platen, Numerical Solution of Stochastic Differential Equations, §14.1: theirs takes √3 with
probability ⅙, ours needs powers of ½). The law of a path is another one: at small step numbers the points lie on a lattice. So exits, bridges,
couplings and quantiles are not for them, and the loop of exit times refuses.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Generator, Tensor

from sgdsde.kernel import Kernel, State
from sgdsde.kernels.driven import Driven
from sgdsde.kernels.euler_maruyama import EulerMaruyama
from sgdsde.kernels.heun import Heun
from sgdsde.types import InputError

_NEAR = 1 - (2 / 3) ** 0.5
#: z² of the inner and of the outer pair
FOUR_POINT = (_NEAR, 4 - 3 * _NEAR)


class WeakIncrements(Driven):
    """Two-point or four-point increments for ``kernel``: EulerMaruyama or Heun.

    Raises:
        InputError: another kernel: exact steps and SGD itself are defined by their Gaussian law.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> kernel = sg.kernels.WeakIncrements(sg.kernels.EulerMaruyama(sg.sdes.SME1(noise, 0.25), 0.25))
        >>> run = sg.simulate(kernel, [0.0], horizon=0.25, paths=100, seed=1)
        >>> sorted(set(run.states[-1, :, 0].round(decimals=9).tolist()))  # ±√η·√dt
        [-0.25, 0.25]
    """

    weak = True

    def __init__(self, kernel: Kernel) -> None:
        if type(kernel) not in (EulerMaruyama, Heun):
            raise InputError(f"WeakIncrements drives EulerMaruyama and Heun; got {type(kernel).__name__}, whose law (not only its moments) is meant.")
        super().__init__(kernel)
        self._bits = 1 if isinstance(kernel, EulerMaruyama) else 4
        self._table = _two_points() if self._bits == 1 else _four_points()
        self._cast: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    @classmethod
    def examples(cls) -> list[Self]:
        """Both integrators on a linear model."""
        return [cls(EulerMaruyama.examples()[0]), cls(Heun.examples()[0])]

    def increments(self, state: State, step: int, generator: Generator) -> Tensor:
        theta = state.theta
        like = (theta.dtype, theta.device)
        if like not in self._cast:
            self._cast[like] = (self._table * self.dt**0.5).to(theta)
        count = theta.shape[0] * self.noise_dim
        words = -(-count * self._bits // 32)
        bits = torch.empty(words, dtype=torch.int32, device=theta.device).random_(-(2**31), 2**31, generator=generator)
        picked = torch.index_select(self._cast[like], 0, bits.view(torch.uint8).int())  # a byte is 8 or 2 numbers
        return picked.view(-1)[:count].view(theta.shape[0], self.noise_dim)


def _two_points() -> Tensor:
    """byte → eight signs."""
    byte = torch.arange(256)[:, None] >> torch.arange(8)
    return 1.0 - 2.0 * (byte & 1).double()


def _four_points() -> Tensor:
    """byte → two numbers of four bits: a sign, two bits that choose the outer pair where both are 1 (the fourth is idle)."""
    nibble = torch.arange(256)[:, None] >> torch.tensor([0, 4])
    inner, outer = torch.tensor(FOUR_POINT, dtype=torch.float64).sqrt()
    return torch.where((nibble & 6) == 6, outer, inner) * (1.0 - 2.0 * (nibble & 1).double())
