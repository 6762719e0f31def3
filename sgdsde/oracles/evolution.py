"""Exact moments over time, with no Monte Carlo: of SGD on quadratics, of linear SDEs, and of the kernels that integrate them.

Quadratics with constant Σ: linear maps with additive noise. Σ quadratic in θ (minibatches of least squares, with or without replacement): the second
moments still close, because E[(I−ηA_B)S(I−ηA_B)ᵀ] = (I−ηH)S(I−ηH)ᵀ + η²·E Σ. Anything else is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from sgdsde.kernel import Kernel, as_kernel
from sgdsde.noise import Noise, as_noise
from sgdsde.oracles.flows import flow
from sgdsde.oracles.linear_models import sde_terms
from sgdsde.oracles.moments import Moments, along, iterates, start_of, times
from sgdsde.oracles.step_laws import sgd_chain, step_law
from sgdsde.sde import SDE, as_sde
from sgdsde.types import positive


@overload
def sgd_moments(noise: Noise, eta: float, theta0: Any, k: int) -> Moments: ...
@overload
def sgd_moments(noise: Noise, eta: float, theta0: Any, k: Sequence[int]) -> list[Moments]: ...
def sgd_moments(noise: Noise, eta: float, theta0: Any, k: int | Sequence[int]) -> Moments | list[Moments]:
    """Mean and covariance of SGD's iterate θ_k; a list for a sequence of k.

    ``theta0``: a point ``[dim]`` or Moments. Exact for any law of the noise, independent between steps, whose Σ is constant or quadratic in θ.

    Raises:
        InputError: η ≤ 0, k no integer ≥ 0, θ₀ of a wrong shape.
        OracleRefusal: the Hessian is not constant, Σ is no quadratic in θ, or the moments overflow.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> moments = sg.oracles.sgd_moments(noise, 0.5, [8.0], 2)
        >>> moments.mean.tolist(), moments.covariance.tolist()
        ([2.0], [[0.3125]])
    """
    marks, single = iterates(k)
    start = start_of(theta0, as_noise(noise).objective.dim)
    found = along(sgd_chain(noise, positive(eta, "eta")).after, start, marks)
    return found[0] if single else found


@overload
def sde_moments(sde: SDE, theta0: Any, t: float) -> Moments: ...
@overload
def sde_moments(sde: SDE, theta0: Any, t: Sequence[float]) -> list[Moments]: ...
def sde_moments(sde: SDE, theta0: Any, t: float | Sequence[float]) -> Moments | list[Moments]:
    """Mean and covariance of a linear SDE at SDE time t (iterate k is t = kη); a list for a sequence of t.

    Q constant: the exact OU transition. Q quadratic in the state: the closed moment equation, up to dimension 16.

    Raises:
        InputError: t < 0, θ₀ of a wrong shape.
        DomainError: Q is constant and indefinite, so that the SDE does not exist.
        OracleRefusal: the drift is not linear, Q is no quadratic or indefinite somewhere, the dimension is too large, or the moments overflow.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> moments = sg.oracles.sde_moments(sg.sdes.HASME(noise, 0.5), [8.0], 1.0)
        >>> moments.mean.tolist(), moments.covariance.tolist()  # SGD's after two steps
        ([2.0], [[0.3125]])
    """
    marks, single = times(t)
    start = start_of(theta0, as_sde(sde).dim)
    found = along(flow(sde_terms(sde)).after, start, marks)
    return found[0] if single else found


@overload
def kernel_moments(kernel: Kernel, theta0: Any, k: int) -> Moments: ...
@overload
def kernel_moments(kernel: Kernel, theta0: Any, k: Sequence[int]) -> list[Moments]: ...
def kernel_moments(kernel: Kernel, theta0: Any, k: int | Sequence[int]) -> Moments | list[Moments]:
    """Mean and covariance that a kernel's ensemble converges to at tick k as paths → ∞, substeps and integrator bias included.

    SGD, SVAG, EulerMaruyama, Heun, ExactOU, TorchSDE (euler, srk), and Coupled, whose moments are joint, ``[2·dim]``, so that the
    cross-covariance is known; it starts from one point ``[dim]`` for both halves, or from Moments of either width.

    Raises:
        InputError: k no integer ≥ 0, θ₀ of a wrong shape.
        DomainError: the SDE's Q is constant and indefinite.
        OracleRefusal: no law is derived for this kernel, or its model is not linear.

    Example:
        >>> noise = sg.noises.Gaussian(sg.objectives.Quadratic([1.0]), 1.0)
        >>> euler = sg.kernels.EulerMaruyama(sg.sdes.SME1(noise, 0.5), 0.25)
        >>> sg.oracles.kernel_moments(euler, [8.0], 1).mean.tolist()  # 8·(1 − 0.25)², two substeps
        [4.5]
    """
    marks, single = iterates(k)
    start = _kernel_start(as_kernel(kernel), theta0)
    law = step_law(kernel)

    def ticks_later(moments: Moments, ticks: int) -> Moments:
        return law.chain.after(moments, ticks * law.steps)

    found = along(ticks_later, start, marks)
    return found[0] if single else found


def _kernel_start(kernel: Kernel, theta0: Any) -> Moments:
    if isinstance(theta0, Moments) and theta0.dim == kernel.dim:
        return start_of(theta0, kernel.dim)
    start = start_of(theta0, kernel.start_dim)
    if kernel.dim == kernel.start_dim:
        return start
    copies = kernel.dim // kernel.start_dim
    return Moments(start.mean.repeat(copies), start.covariance.repeat(copies, copies))
