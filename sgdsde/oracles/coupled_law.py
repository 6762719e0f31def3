"""The joint law of two kernels on one Brownian motion, over one tick.

Over the fine grid of increments w₁…w_m a kernel with n steps a tick adds Σᵢ Fⁿ⁻¹⁻ʲ⁽ⁱ⁾N wᵢ, where j(i) is the step that wᵢ belongs to and N what a step does
with its increment: N = √η·R for SGD, D for Euler–Maruyama, (I + A·dt/2)D for Heun. The joint covariance is that of these sums.
"""

from __future__ import annotations

from functools import singledispatch
from math import lcm

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.kernel import DrivenKernel
from sgdsde.kernels import SGD, Coupled, EulerMaruyama, ExactOU, Heun
from sgdsde.noise import GaussianNoise
from sgdsde.oracles.chains import AdditiveChain, StepLaw
from sgdsde.oracles.linear_models import sde_terms
from sgdsde.sde import SDE
from sgdsde.types import InputError, OracleRefusal


def coupled_chain(kernel: Coupled, law_a: StepLaw, law_b: StepLaw) -> AdditiveChain:
    """One tick of both kernels on the state (θᵃ, θᵇ), ``[2·dim]``.

    Raises:
        OracleRefusal: a noise depends on the state (the product of two roots is no quadratic), or a kernel has no known response.
    """
    fine = lcm(law_a.steps, law_b.steps)
    ticks, responses = [], []
    for part, law in ((kernel.a, law_a), (kernel.b, law_b)):
        assert isinstance(part, DrivenKernel)
        if not isinstance(law.chain, AdditiveChain):
            raise OracleRefusal("Coupled kernels with state-dependent noise have no closed joint moments here. Use simulation.")
        ticks.append(law.chain.power(law.steps))
        responses.append(_response(part, law.chain.flow, fine, kernel.noise_dim))
    both = torch.cat(responses)  # [2*dim, fine*noise_dim]
    return AdditiveChain(torch.block_diag(*(tick.flow for tick in ticks)), torch.cat([tick.shift for tick in ticks]), both @ both.T * (kernel.tick / fine))


def _response(kernel: DrivenKernel, flow: Tensor, fine: int, width: int) -> Tensor:
    """What each fine increment of a tick adds to the state at its end, ``[dim, fine·width]``."""
    N = torch.zeros(kernel.dim, width, dtype=torch.float64)
    N[:, : kernel.noise_dim] = response_to_increment(kernel)
    by_step = []
    for _ in range(kernel.substeps):
        by_step.append(N)
        N = flow @ N
    return torch.cat([piece for piece in reversed(by_step) for _ in range(fine // kernel.substeps)], 1)


@singledispatch
def response_to_increment(kernel: DrivenKernel) -> Float[Tensor, "dim noise_dim"]:
    """N: with additive noise a step moves the state by N·dw, whatever the state.

    Raises:
        OracleRefusal: no such matrix is derived for this type of kernel.
    """
    raise OracleRefusal(f"No exact response to a Brownian increment is derived for {type(kernel).__name__}; use simulation.")


@response_to_increment.register
def _(kernel: SGD) -> Tensor:
    if not isinstance(kernel.noise, GaussianNoise):
        raise InputError(f"{type(kernel.noise).__name__} is not driven by a Brownian motion; couple sg.noises.Surrogate(noise).")
    origin = torch.zeros(kernel.noise_dim, kernel.dim, dtype=torch.float64)
    return kernel.eta**0.5 * kernel.noise.root(origin, torch.eye(kernel.noise_dim, dtype=torch.float64)).T


@response_to_increment.register
def _(kernel: EulerMaruyama) -> Tensor:
    return _root(kernel.sde)


@response_to_increment.register
def _(kernel: Heun) -> Tensor:
    D = _root(kernel.sde)
    return D + (kernel.dt / 2) * (sde_terms(kernel.sde).matrix @ D)


@response_to_increment.register
def _(kernel: ExactOU) -> Tensor:
    # its root is the kernel's own choice (the rotation nearest to D): ask it
    origin = torch.zeros(kernel.noise_dim, kernel.dim, dtype=torch.float64)
    basis = torch.eye(kernel.noise_dim, dtype=torch.float64)
    return (kernel.step(origin, 0.0, basis) - kernel.step(origin, 0.0, torch.zeros_like(basis))).T


def _root(sde: SDE) -> Float[Tensor, "dim noise_dim"]:
    """D of an SDE with constant diffusion."""
    if sde.noise_dim == 0:
        return torch.zeros(sde.dim, 0, dtype=torch.float64)
    origin = torch.zeros(sde.noise_dim, sde.dim, dtype=torch.float64)
    return sde.diffuse(0.0, origin, torch.eye(sde.noise_dim, dtype=torch.float64)).T
