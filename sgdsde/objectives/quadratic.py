"""Quadratic loss: f(θ) = ½(θ − c)ᵀH(θ − c). Here HA-SME and the principal flow are exact, and every moment has a closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgdsde.given import own
from sgdsde.objective import Facts, Objective, like, spread
from sgdsde.types import InputError


class Quadratic(Objective):
    """½(θ−c)ᵀH(θ−c); H symmetric, indefinite allowed. A number or a vector stands for a diagonal H.

    Raises:
        InputError: H is not square, not symmetric or holds NaN; ``center`` does not fit.

    Example:
        >>> quadratic = sg.objectives.Quadratic([4.0, 1.0], center=[1.0, 0.0])
        >>> quadratic.loss(torch.zeros(1, 2)).item(), sg.calculus.grad(quadratic, torch.zeros(1, 2)).tolist()
        (2.0, [[-4.0, 0.0]])
    """

    def __init__(self, hessian: Any, center: Any = None) -> None:
        H = own(hessian, "hessian").to(torch.float64)
        if H.ndim == 0:
            H = H.reshape(1, 1)
        if H.ndim == 1:
            H = torch.diag(H)
        if H.ndim != 2 or H.shape[0] != H.shape[1] or H.numel() == 0:
            raise InputError(f"hessian has shape {tuple(H.shape)}; wanted a square matrix [dim, dim] (or its diagonal [dim]).")
        if not bool(torch.isfinite(H).all()):
            raise InputError("hessian holds NaN or infinity.")
        if float((H - H.T).abs().max()) > 1e-10 * float(H.abs().max()):
            raise InputError("hessian is not symmetric; pass (H + Hᵀ)/2 if the difference is rounding.")
        self.matrix = (H + H.T) / 2
        self.dim = H.shape[0]
        c = torch.zeros(self.dim, dtype=torch.float64) if center is None else own(center, "center").to(torch.float64).reshape(-1)
        if tuple(c.shape) != (self.dim,) or not bool(torch.isfinite(c).all()):
            raise InputError(f"center has shape {tuple(c.shape)}; wanted [{self.dim}], finite.")
        self.center = c
        values = torch.linalg.eigvalsh(self.matrix)
        point = (tuple(c.tolist()),)
        self.facts = Facts(
            grad=self._grad,
            hessian=self._hessian,
            hvp=self._hvp,
            third=self._third,
            minima=point if float(values[0]) > 0 else (),
            saddles=point if float(values[0]) < 0 < float(values[-1]) else (),
            constant_hessian=True,
        )

    @classmethod
    def examples(cls) -> list[Objective]:
        """One dimension, a minimum with coupled axes, a saddle off the origin."""
        return [cls(2.0), cls([[1.0, 0.4], [0.4, 0.5]]), cls([[0.5, 0.3, 0.0], [0.3, -0.4, 0.1], [0.0, 0.1, 1.2]], center=[0.2, -1.0, 0.5])]

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        centred = theta - like(self.center, theta)
        return spread(0.5 * (centred * (centred @ like(self.matrix, theta))).sum(1), batch)

    def _grad(self, theta: Tensor) -> Tensor:
        return (theta - like(self.center, theta)) @ like(self.matrix, theta)

    def _hessian(self, theta: Tensor) -> Tensor:
        return like(self.matrix, theta).expand(theta.shape[0], -1, -1)

    def _hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        return v @ like(self.matrix, theta)

    def _third(self, theta: Tensor, u: Tensor, v: Tensor) -> Tensor:
        return torch.zeros_like(theta)
