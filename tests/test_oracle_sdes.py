"""Moments of linear SDEs: HA-SME against SGD, and every model against quadrature and ODE solvers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import torch
from oracle_problems import Regression, quadratic, random_problem, relative, wishart

from sgdsde.kernels import ExactOU
from sgdsde.kernels.exact_ou import transition
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objectives import Quadratic
from sgdsde.oracles import kernel_moments, sde_moments, sgd_moments
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SPF, EvenStepHASME, GradientFlow, HASMEProduct, PrincipalFlow
from sgdsde.types import DomainError

DIMS = (1, 2, 3, 5, 8, 13, 25, 50)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.9), (-0.9, 0.9), (-2.0, 0.99)])
def test_hasme_over_one_step_is_sgd(dim: int, low: float, high: float) -> None:
    """Claim A1: e^{Aη} = I − ηH and ∫e^{As}Qe^{Aᵀs}ds = η²Σ below 1e-12, positive Q or not."""
    noise, _ = random_problem(dim, dim, low=low, high=high)
    affine = HASME(noise, 1.0).affine()
    assert affine is not None
    flow, shift, V = transition(*affine, 1.0)
    H = noise.objective.matrix
    sigma = noise.covariance(torch.zeros(1, dim, dtype=torch.float64))[0]
    assert relative(flow, torch.eye(dim, dtype=torch.float64) - H) < 1e-12
    assert relative(V, sigma) < 1e-12
    assert float((shift - H @ noise.objective.center).abs().max()) < 1e-12 * float((H @ noise.objective.center).abs().max() + 1)


@pytest.mark.parametrize("model", [SME1, SME2, SPF])
@pytest.mark.parametrize("dim", DIMS)
def test_other_models_over_one_step_are_not(model: type, dim: int) -> None:
    """The negative control of claim A1: more than a percent off, in the covariance of one step."""
    noise, _ = random_problem(dim, dim)
    affine = model(noise, 1.0).affine()
    _, _, V = transition(*affine, 1.0)
    assert relative(V, noise.covariance(torch.zeros(1, dim, dtype=torch.float64))[0]) > 0.01


@pytest.mark.parametrize("x", [1.0, 1.2, 3.0])
def test_hasme_is_refused_beyond_the_logarithm(x: float) -> None:
    """Claim A1's other half: no real logarithm for ηλ ≥ 1."""
    with pytest.raises(DomainError, match="not real"):
        HASME(Gaussian(Quadratic([0.1, x]), 1.0), 1.0)


@pytest.mark.parametrize("dim", [1, 3, 10, 50])
def test_hasme_moments_are_sgds_at_every_iterate(dim: int) -> None:
    rng = np.random.default_rng(dim)
    noise = Gaussian(quadratic(rng, rng.uniform(0.01, 0.5, dim)), np.eye(dim) + 0.05 * wishart(rng, dim, 2 * dim))
    theta0, ks = rng.standard_normal(dim), [0, 1, 2, 7, 100]
    sde = HASME(noise, 1.0)
    for exact, modelled in zip(sgd_moments(noise, 1.0, theta0, ks), sde_moments(sde, theta0, [float(k) for k in ks]), strict=True):
        assert relative(modelled.mean, exact.mean) < 1e-12
        assert float((modelled.covariance - exact.covariance).abs().max()) < 1e-12 * max(1.0, float(exact.covariance.abs().max()))
    assert relative(kernel_moments(ExactOU(sde, 0.5), theta0, 7).covariance, sgd_moments(noise, 1.0, theta0, 7).covariance) < 1e-12


@pytest.mark.parametrize("dim", [1, 4, 30])
def test_principal_flow_is_gradient_descent(dim: int) -> None:
    """Claim A17 below the logarithm's edge; gradient flow fails (control)."""
    noise, rng = random_problem(dim, dim, low=0.2, high=0.9)
    theta0 = rng.standard_normal(dim)
    for k in (1, 5, 20):
        descent = sgd_moments(noise, 1.0, theta0, k).mean
        assert relative(sde_moments(PrincipalFlow(noise, 1.0), theta0, float(k)).mean, descent) < 1e-12
        center = noise.objective.center
        assert relative(sde_moments(GradientFlow(noise, 1.0), theta0, float(k)).mean - center, descent - center) > 0.05


def test_dense_third_order_model_is_exact_too() -> None:
    """HA-SME-3 (dense) on quadratics with constant Σ equals SGD at every iterate."""
    rng = np.random.default_rng(3)
    noise = Gaussian(quadratic(rng, rng.uniform(0.05, 0.6, 4)), np.eye(4) + 0.1 * wishart(rng, 4, 8))
    exact = sgd_moments(noise, 1.0, np.ones(4), 3)
    modelled = sde_moments(HASME3(noise, 1.0), np.ones(4), 3.0)
    assert relative(modelled.mean, exact.mean) < 1e-12
    assert relative(modelled.covariance, exact.covariance) < 1e-12


@pytest.mark.parametrize("x", [1.2, 1.5, 1.7, 1.9, 2.5])
def test_even_step_model_is_exact_at_even_iterates(x: float) -> None:
    """Claim A11 in a mixed spectrum, beyond the real logarithm; at odd iterates its mean has the wrong sign (control)."""
    noise = Gaussian(Quadratic([x, 0.3], [1.0, -1.0]), np.diag([2.0, 1.0]))
    sde, theta0 = EvenStepHASME(noise, 1.0), [3.0, 3.0]
    for k in (2, 4, 10):
        exact, modelled = sgd_moments(noise, 1.0, theta0, k), sde_moments(sde, theta0, float(k))
        assert relative(modelled.mean, exact.mean) < 1e-12
        assert relative(modelled.covariance, exact.covariance) < 1e-12
    odd = sgd_moments(noise, 1.0, theta0, 3).mean[0] - 1
    assert float(odd) * float(sde_moments(sde, theta0, 3.0).mean[0] - 1) < 0


# ------------------------------------------------------------------------------------------- independent solvers


def test_linear_sde_against_quadrature() -> None:
    """e^{At}, ∫e^{As}c ds and ∫e^{As}Qe^{Aᵀs}ds from scipy's expm and adaptive quadrature, to 1e-10."""
    noise, rng = random_problem(21, 4)
    A, c, Q = (part.numpy() for part in SME2(noise, 1.0).affine())
    theta0, t = rng.standard_normal(4), 2.3

    def flow(s: float) -> np.ndarray:
        return scipy.linalg.expm(A * s)

    V = scipy.integrate.quad_vec(lambda s: flow(s) @ Q @ flow(s).T, 0, t, epsrel=1e-11)[0]
    shift = scipy.integrate.quad_vec(lambda s: flow(s) @ c, 0, t, epsrel=1e-11)[0]
    found = sde_moments(SME2(noise, 1.0), theta0, t)
    np.testing.assert_allclose(found.mean, flow(t) @ theta0 + shift, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, V, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("x", [1e-6, 1e-4, 3e-4, 1e-3, 0.01, 0.03, 0.05, 0.06, 0.3, 0.9, 0.999999])
def test_transition_at_every_size_of_step(x: float) -> None:
    """One step of HA-SME in one dimension to rounding at every norm: torch's own matrix exponential misses by 1e-12 … 1e-10 near norm 0.03."""
    flow, shift, V = transition(*HASME(Gaussian(Quadratic(x, [2.0]), 3.0), 1.0).affine(), 1.0)
    assert abs(float(flow) - (1 - x)) < 1e-15
    assert abs(float(shift) - 2 * x) < 2e-15
    assert abs(float(V) - 3) < 1e-14


@pytest.mark.parametrize("model", [SME1, SME2, SPF, HASME, HASMEProduct])
def test_multiplicative_sde_against_an_ode_solver(model: type) -> None:
    """Least squares: dE[xxᵀ] = (A E[xxᵀ] + c E[x]ᵀ + …)dt + E Q dt with E Q from Gauss–Hermite points, not from polarisation."""
    rng = np.random.default_rng(22)
    x = rng.standard_normal((6, 2)) * 0.8
    f, eta, t = Regression(x, rng.standard_normal(6)), 0.15, 0.9
    noise = Minibatch(f, 3)
    sde = model(noise, eta)
    theta0 = np.array([1.5, -2.0])
    eye = torch.eye(2, dtype=torch.float64)
    c = sde.drift(0.0, torch.zeros(1, 2, dtype=torch.float64))[0].numpy()
    A = (sde.drift(0.0, eye).numpy() - c).T

    def slope(_: float, state: np.ndarray) -> np.ndarray:
        mean, second = state[:2], state[2:].reshape(2, 2)
        root = np.linalg.cholesky(second - np.outer(mean, mean) + 1e-13 * np.eye(2)) * np.sqrt(2)
        # four points with the right two moments: exact for quadratics
        points = mean + np.concatenate([root.T, -root.T])
        Q = sde.diffusion(0.0, torch.from_numpy(points)).mean(0).numpy()
        cross = A @ second + np.outer(c, mean)
        return np.concatenate([A @ mean + c, (cross + cross.T + Q).reshape(-1)])

    start = np.concatenate([theta0, np.outer(theta0, theta0).reshape(-1)])
    end = scipy.integrate.solve_ivp(slope, (0, t), start, rtol=1e-11, atol=1e-13, method="DOP853").y[:, -1]
    found = sde_moments(sde, theta0, t)
    np.testing.assert_allclose(found.mean, end[:2], rtol=1e-9)
    np.testing.assert_allclose(found.second, end[2:].reshape(2, 2), rtol=1e-8)
    constant = sde_moments(model(Gaussian(f, noise.covariance(torch.from_numpy(theta0)[None])[0]), eta), theta0, t)
    assert relative(constant.covariance, found.covariance) > 0.05  # freezing Σ at the start is not the same


def test_hasme_on_least_squares_keeps_only_the_mean() -> None:
    """With Σ(θ) the mean is exact, the covariance is not."""
    rng = np.random.default_rng(23)
    noise = Minibatch(Regression(rng.standard_normal((5, 2)), rng.standard_normal(5)), 1)
    theta0, eta = np.array([2.0, 1.0]), 0.2
    exact, modelled = sgd_moments(noise, eta, theta0, 4), sde_moments(HASMEProduct(noise, eta), theta0, 4 * eta)
    assert relative(modelled.mean, exact.mean) < 1e-11
    assert 1e-3 < relative(modelled.covariance, exact.covariance) < 0.5


def test_moments_compose() -> None:
    """A random start: seven steps are three and then four; for the SDE, too."""
    rng = np.random.default_rng(24)
    noise = Minibatch(Regression(rng.standard_normal((5, 2)), rng.standard_normal(5)), 2)
    theta0 = np.array([2.0, 1.0])
    whole, half = sgd_moments(noise, 0.1, theta0, 7), sgd_moments(noise, 0.1, theta0, 3)
    np.testing.assert_allclose(sgd_moments(noise, 0.1, half, 4).covariance, whole.covariance, rtol=1e-13)
    sde = SME2(noise, 0.1)
    np.testing.assert_allclose(sde_moments(sde, sde_moments(sde, theta0, 0.3), 0.4).covariance, sde_moments(sde, theta0, 0.7).covariance, rtol=1e-10)
