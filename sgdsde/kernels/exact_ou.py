"""Exact steps of a linear SDE dX = (AX + c)dt + D dW: X⁺ = e^{A dt}X + ∫e^{As}c ds + N(0, V), V = ∫e^{As}Qe^{Aᵀs}ds.

All three come from matrix exponentials (Van Loan 1978). Note that stepping HA-SME exactly at dt = η on a quadratic *is* SGD.
"""

from __future__ import annotations

import scipy.linalg
import torch
from torch import Tensor

from sgdsde.kernels.integrator import Integrator
from sgdsde.kernels.linear import AffineStep, diffusion_factor
from sgdsde.sde import SDE
from sgdsde.sdes.positivity import root_of
from sgdsde.types import InputError


class ExactOU(Integrator):
    """The exact transition of a linear SDE over ``dt``.

    As a driven kernel its noise is V^½·P·dw/√dt, P the rotation that brings it nearest to D·dw; so it can be coupled.

    Raises:
        InputError: the SDE is not linear with constant diffusion.
        DomainError: Q is indefinite.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> exact = sg.kernels.ExactOU(sg.sdes.HASME(noise, 0.5), 0.5)
        >>> round(sg.oracles.kernel_moments(exact, [8.0], 2).mean.item(), 9)  # SGD's mean, 8·(1 − ηλ)²
        2.0
    """

    def __init__(self, sde: SDE, dt: float) -> None:
        super().__init__(sde, dt)
        affine = sde.affine()
        if affine is None:
            raise InputError(f"{type(sde).__name__} is not linear here (Hessian or covariance not constant); use sg.kernels.Heun or TorchSDE.")
        sde.check(torch.zeros(1, sde.dim, dtype=torch.float64))
        A, c, Q = affine
        flow, shift, V = transition(A, c, Q, self.dt)
        self.noise_dim = sde.dim
        root = root_of(V[None], "raise")[0]
        if sde.noise_dim == sde.dim:
            left, _, right = torch.linalg.svd(root @ diffusion_factor(sde))  # nearest rotation (orthogonal Procrustes)
            root = root @ (left @ right)
        self._linear = AffineStep(flow, shift, root / self.dt**0.5)

    def affine_step(self) -> AffineStep | None:
        return self._linear

    def model_step(self, theta: Tensor, t: float, dw: Tensor) -> Tensor:
        return self.step(theta, t, dw)


def transition(A: Tensor, c: Tensor, Q: Tensor, t: float) -> tuple[Tensor, Tensor, Tensor]:
    """(e^{At}, ∫₀ᵗe^{As}c ds, ∫₀ᵗe^{As}Qe^{Aᵀs}ds) by block exponentials (Van Loan) over t/2ˢ, then s doublings; A is never inverted.

    The block exponential holds e^{−At}, which overflows its own cancellation for large ‖A‖t; over a step with ‖A‖t ≤ 1 it is safe.
    """
    d = A.shape[0]
    doublings = max(0, int(torch.ceil(torch.log2(torch.linalg.matrix_norm(A * t, 1) + 1e-300))))
    step = t / 2**doublings
    top = torch.zeros(d + 1, d + 1, dtype=A.dtype)
    top[:d, :d], top[:d, d] = A * step, c * step
    exponential = _exponential(top)
    block = torch.zeros(2 * d, 2 * d, dtype=A.dtype)
    # exp([[−A, Q], [0, Aᵀ]]s) = [[·, e^{−As}V], [0, e^{Aᵀs}]]
    block[:d, :d], block[:d, d:], block[d:, d:] = -A * step, Q * step, A.T * step
    big = _exponential(block)
    flow, shift = exponential[:d, :d], exponential[:d, d]
    V = big[d:, d:].T @ big[:d, d:]
    for _ in range(doublings):
        V = V + flow @ V @ flow.T
        shift = shift + flow @ shift
        flow = flow @ flow
    return flow, shift, (V + V.T) / 2


def _exponential(M: Tensor) -> Tensor:
    """e^M by scipy: torch.linalg.matrix_exp errs by up to 2e-10 for one matrix of norm 3e-4 … 5e-2 (wrong coefficient, pytorch issue 196592)."""
    return torch.from_numpy(scipy.linalg.expm(M.numpy()))
