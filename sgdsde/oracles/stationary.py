"""Stationary moments: of SGD (plain or with heavy-ball momentum), of a linear SDE, of a kernel with its integrator's bias.

They solve V = FVFᵀ + V(θ*) for chains and AV + VAᵀ + Q(θ*) = 0 for SDEs, with the noise's own spread added where Σ depends on θ. For SGD on a quadratic
with constant noise this is HV + VH − ηHVH = ηΣ.
"""

from __future__ import annotations

from functools import singledispatch

import torch
from jaxtyping import Float
from torch import Tensor

from sgdsde.kernel import Kernel
from sgdsde.noise import Noise, as_noise
from sgdsde.oracles.chains import AdditiveChain, fixed_point
from sgdsde.oracles.flows import flow
from sgdsde.oracles.linear_models import gradient_terms, noise_covariance, sde_terms
from sgdsde.oracles.moments import Moments
from sgdsde.oracles.step_laws import sgd_chain, step_law
from sgdsde.sde import SDE
from sgdsde.types import InputError, OracleRefusal, positive, real


def stationary_covariance(model: Noise | SDE | Kernel, eta: float | None = None) -> Float[Tensor, "dim dim"]:
    """The stationary covariance of SGD (a noise and η), of an SDE, or of a kernel. Errors: see :func:`stationary_moments`.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> round(sg.oracles.stationary_covariance(noise, 0.5).item(), 9)  # SGD: η/(λ(2 − ηλ))
        0.333333333
        >>> round(sg.oracles.stationary_covariance(sg.sdes.SME1(noise, 0.5)).item(), 9)  # SME-1: η/(2λ)
        0.25
    """
    return stationary_moments(model, eta).covariance


def stationary_moments(model: Noise | SDE | Kernel, eta: float | None = None) -> Moments:
    """Stationary mean and covariance. A noise needs η (the SGD that uses it); SDEs and kernels know theirs.

    Raises:
        InputError: η is missing for a noise, given for something else, or ≤ 0; the model is none of these types.
        DomainError: the SDE's Q is constant and indefinite.
        OracleRefusal: no stationary covariance exists (the offending eigenvalue is told), the model is not linear, or no law is derived.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0], center=[3.0]), 1.0)
        >>> sg.oracles.stationary_moments(noise, 0.5).mean.tolist()
        [3.0]
    """
    if isinstance(model, Noise):
        if eta is None:
            raise InputError("stationary_covariance(noise, eta) needs the step size eta of the SGD that uses the noise.")
        return sgd_chain(model, positive(eta, "eta")).stationary()
    if eta is not None:
        raise InputError(f"{type(model).__name__} knows its own eta; leave eta out.")
    return _stationary(model)


@singledispatch
def _stationary(model: object) -> Moments:
    raise InputError(f"{type(model).__name__} is no noise, SDE or kernel; wanted stationary_covariance(noise, eta), (sde) or (kernel).")


@_stationary.register
def _(model: SDE) -> Moments:
    return flow(sde_terms(model)).stationary()


@_stationary.register
def _(model: Kernel) -> Moments:
    return step_law(model).chain.stationary()


def momentum_stationary_moments(noise: Noise, eta: float, beta: float) -> Moments:
    """Stationary moments of heavy-ball SGD v⁺ = βv − ηĝ(θ), θ⁺ = θ + v⁺, on the state (θ, v), ``[2·dim]``; θ is the first half.

    In one dimension Var θ = ησ²(1+β)/(λ(1−β)(2(1+β)−ηλ)) (Liu, Ziyin, Ueda, arXiv 2012.03636).

    Raises:
        InputError: η ≤ 0, β outside [0, 1).
        OracleRefusal: the Hessian or Σ is not constant, or a direction is not stable (ηλ ≥ 2(1+β), or λ ≤ 0).

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> variance = sg.oracles.momentum_stationary_moments(noise, 0.1, 0.9).covariance[0, 0].item()
        >>> round(variance / (0.1 * 1.9 / (0.1 * (2 * 1.9 - 0.1))), 9)  # η(1+β)/(λ(1−β)(2(1+β)−ηλ))
        1.0
    """
    eta, beta = positive(eta, "eta"), real(beta, "beta")
    if not 0 <= beta < 1:
        raise InputError(f"beta = {beta}; wanted 0 ≤ beta < 1.")
    (H, g0), sigma = gradient_terms(as_noise(noise).objective), noise_covariance(noise)
    if not sigma.is_constant:
        raise OracleRefusal(f"The covariance of {type(noise).__name__} depends on θ; with momentum only constant noise is offered.")
    eye = torch.eye(noise.objective.dim, dtype=torch.float64)
    flow_ = torch.cat([torch.cat([eye - eta * H, beta * eye], 1), torch.cat([-eta * H, beta * eye], 1)])
    chain = AdditiveChain(flow_, torch.cat([-eta * g0, -eta * g0]), eta**2 * sigma.constant.repeat(2, 2))
    covariance = chain.stationary().covariance
    return Moments(fixed_point(flow_, chain.shift), covariance)
