"""The exact one-step law of each kernel on a linear model, the integrator's own error included.

With a = A·dt: Euler–Maruyama F = I + a, V = Q dt; Heun and the midpoint rule F = I + a + a²/2, V = (I + a/2)Q(I + a/2)ᵀdt (the predictor's noise
enters through A); torchsde's srk for additive noise (Rößler 2010, SRA1) the same F with the noise D·W + A·D·U, U = ∫(W_s − W_0)ds, Cov(W, U) = dt²/2,
Var U = dt³/3, so V = Q dt + (aQ + Qaᵀ)dt/2 + aQaᵀdt/3; ExactOU Van Loan's; SGD F = I − ηH, V = η²Σ; SVAG a step η/l with covariance lΣ, V = (η²/l)Σ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import torch

from sgdsde.kernel import Kernel
from sgdsde.kernels import SGD, SVAG, Coupled, EulerMaruyama, ExactOU, Heun, ShuffledSGD, TorchSDE
from sgdsde.kernels.exact_ou import transition
from sgdsde.noise import Noise
from sgdsde.oracles.chains import AdditiveChain, Chain, StepLaw, chain
from sgdsde.oracles.coupled_law import coupled_chain
from sgdsde.oracles.linear_models import gradient_terms, noise_covariance, sde_terms
from sgdsde.sde import SDE
from sgdsde.types import OracleRefusal


@singledispatch
def step_law(kernel: Kernel) -> StepLaw:
    """The step law of a kernel, by its type.

    Raises:
        OracleRefusal: no law is derived for this type, or the model is not linear.
    """
    raise OracleRefusal(f"No exact one-step law is derived for {type(kernel).__name__}; use simulation.")


@step_law.register
def _(kernel: SGD) -> StepLaw:
    return StepLaw(sgd_chain(kernel.noise, kernel.eta), 1)


@step_law.register
def _(kernel: SVAG) -> StepLaw:
    return StepLaw(sgd_chain(kernel.noise, kernel.eta / kernel.l, amplified=kernel.l), kernel.l)


@step_law.register
def _(kernel: EulerMaruyama) -> StepLaw:
    return StepLaw(euler_chain(kernel.sde, kernel.dt), kernel.substeps)


@step_law.register
def _(kernel: Heun) -> StepLaw:
    return StepLaw(heun_chain(kernel.sde, kernel.dt), kernel.substeps)


@step_law.register
def _(kernel: ExactOU) -> StepLaw:
    A, c, Q = sde_terms(kernel.sde)
    return StepLaw(AdditiveChain(*transition(A, c, Q.constant, kernel.dt)), kernel.substeps)


@step_law.register
def _(kernel: TorchSDE) -> StepLaw:
    if kernel.method not in _TORCHSDE:
        raise OracleRefusal(f"No exact one-step law is derived for torchsde's {kernel.method!r}; known: {', '.join(sorted(_TORCHSDE))}.")
    return StepLaw(_TORCHSDE[kernel.method](kernel.sde, kernel.tick / kernel.substeps), kernel.substeps)


@step_law.register
def _(kernel: ShuffledSGD) -> StepLaw:
    raise OracleRefusal("A step of ShuffledSGD depends on its position in the epoch; use sg.oracles.shuffled_sgd_moments or shuffled_stationary_covariance.")


@step_law.register
def _(kernel: Coupled) -> StepLaw:
    return StepLaw(coupled_chain(kernel, step_law(kernel.a), step_law(kernel.b)), 1)


def sgd_chain(noise: Noise, eta: float, *, amplified: int = 1) -> Chain:
    """θ⁺ = θ − η(g + ξ), Cov ξ = ``amplified``·Σ.

    Raises:
        OracleRefusal: the Hessian is not constant, or Σ is no quadratic.
    """
    (H, g0), sigma = gradient_terms(noise.objective), noise_covariance(noise)
    eye = torch.eye(noise.objective.dim, dtype=torch.float64)
    return chain(eye - eta * H, -eta * g0, sigma.seen_through(eye, eta**2 * amplified))


def euler_chain(sde: SDE, dt: float) -> Chain:
    """One Euler–Maruyama step x + b dt + D·dw."""
    A, c, Q = sde_terms(sde)
    eye = torch.eye(sde.dim, dtype=torch.float64)
    return chain(eye + dt * A, dt * c, Q.seen_through(eye, dt))


def heun_chain(sde: SDE, dt: float) -> Chain:
    """One step of Heun, x + ½(b(x) + b(x + b dt + D·dw))dt + D·dw, or of the midpoint rule, x + b(x + ½(b dt + D·dw))dt + D·dw."""
    A, c, Q = sde_terms(sde)
    eye = torch.eye(sde.dim, dtype=torch.float64)
    half = eye + A * (dt / 2)
    # I + a + a²/2 = I + (I + a/2)a, and the drift's constant goes the same way
    return chain(eye + dt * (half @ A), dt * (half @ c), Q.seen_through(half, dt))


def sra1_chain(sde: SDE, dt: float) -> Chain:
    """One step of torchsde's srk for additive noise: H = x + ¾b dt + (3/2)D·U/dt, x⁺ = x + ⅓b(x)dt + ⅔b(H)dt + D·W.

    Raises:
        OracleRefusal: Q depends on the state.
    """
    A, c, Q = sde_terms(sde)
    if not Q.is_constant:
        raise OracleRefusal(f"The diffusion of {type(sde).__name__} depends on the state; torchsde's srk is derived for additive noise only.")
    eye = torch.eye(sde.dim, dtype=torch.float64)
    half, a = eye + A * (dt / 2), A * dt
    cross = a @ Q.constant
    V = dt * (Q.constant + (cross + cross.T) / 2 + cross @ a.T / 3)
    return AdditiveChain(eye + dt * (half @ A), dt * (half @ c), V)


_TORCHSDE: dict[str, Callable[[SDE, float], Chain]] = {"euler": euler_chain, "srk": sra1_chain, "heun": heun_chain, "midpoint": heun_chain}
