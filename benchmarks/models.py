"""The models that the benchmarks run: linear ones, element-wise and dense, and ones whose every step evaluates the objective."""

from __future__ import annotations

import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.objective import like

ETA = 0.1
#: substeps of η; policies that keep every path in the run
SUBSTEPS, POLICIES = 4, {"HASME": {"log": "clip", "psd": "project"}, "HASMEProduct": {"log": "clip"}}


def element_wise(dim: int) -> sg.sdes.SME1:
    """SME-1 on a diagonal quadratic."""
    return sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic(torch.linspace(0.5, 2, dim, dtype=torch.float64)), 1.0), ETA)


def dense(dim: int) -> sg.sdes.SME1:
    """SME-1 on a quadratic whose Hessian and covariance are full and do not commute; largest eigenvalues about 5, so the step is ETA/4."""
    A = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / dim**0.5
    eye = torch.eye(dim, dtype=torch.float64)
    return sg.sdes.SME1(sg.noises.Gaussian(sg.objectives.Quadratic(A @ A.T + eye), A.T @ A + eye), ETA / 4)


class RotatedWell(sg.Objective):
    """A double well whose axes are turned, f(θ) = w(Rθ): the Hessian is full, and nothing in the objective says that it need not be."""

    def __init__(self, dim: int) -> None:
        self.dim, self._well = dim, sg.objectives.DoubleWell(dim)
        self._turn = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
        self.facts = sg.Facts(grad=self._grad, hessian=self._hessian)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return self._well.sample_loss(theta @ like(self._turn, theta).T, batch)

    def _grad(self, theta: Tensor) -> Tensor:
        turn = like(self._turn, theta)
        return self._well.facts.grad(theta @ turn.T) @ turn

    def _hessian(self, theta: Tensor) -> Tensor:
        turn = like(self._turn, theta)
        return turn.T @ self._well.facts.hessian(theta @ turn.T) @ turn


def well(model: str, dim: int) -> sg.Kernel:
    """Heun on the double well, Σ a multiple of the identity: all functions of the Hessian are element-wise."""
    return _heun(model, sg.noises.Gaussian(sg.objectives.DoubleWell(dim), 0.04))


def turned_well(model: str, dim: int) -> sg.Kernel:
    """Heun on the turned double well with a full Σ that does not commute with H."""
    ones = torch.ones(dim, dim, dtype=torch.float64)
    return _heun(model, sg.noises.Gaussian(RotatedWell(dim), 0.02 * (torch.eye(dim, dtype=torch.float64) + ones / dim)))


def _heun(model: str, noise: sg.Noise) -> sg.Kernel:
    return sg.kernels.Heun(getattr(sg.sdes, model)(noise, ETA, **POLICIES.get(model, {})), ETA / SUBSTEPS)
