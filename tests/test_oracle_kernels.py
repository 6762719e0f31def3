"""Moments of kernels: derived step laws against the kernels' own steps, torchsde itself, orders of convergence, and paths."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchsde
from oracle_problems import Regression, random_problem, relative

import sgdsde as sg
from sgdsde.kernel import DrivenKernel
from sgdsde.kernels import SGD, SVAG, Coupled, EulerMaruyama, ExactOU, Heun, TorchSDE
from sgdsde.noises import Minibatch
from sgdsde.oracles import Moments, kernel_moments, sde_moments
from sgdsde.oracles.chains import AdditiveChain
from sgdsde.oracles.step_laws import step_law
from sgdsde.sdes import SME1, SME2, SPF, GradientFlow, HASMEProduct
from sgdsde.stats import CheckFailed, check_covariance, check_mean


def probed(kernel: DrivenKernel, dim: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(F, c, N) read off the kernel's own step."""
    zero, eye = torch.zeros(1, dim, dtype=torch.float64), torch.eye(dim, dtype=torch.float64)
    still = torch.zeros(1, kernel.noise_dim, dtype=torch.float64)
    c = kernel.step(zero, 0.0, still)[0]
    F = (kernel.step(eye, 0.0, still.expand(dim, -1)) - c).T
    basis = torch.eye(kernel.noise_dim, dtype=torch.float64)
    N = (kernel.step(zero.expand(kernel.noise_dim, -1), 0.0, basis) - c).T
    return F, c, N


@pytest.mark.parametrize("dim", [1, 2, 6])
def test_step_laws_are_those_of_the_steps(dim: int) -> None:
    """The derived F, c, V of every driven kernel against its code, below 1e-13; a missing ½ in Heun's noise shows."""
    noise, _ = random_problem(30 + dim, dim, low=0.05, high=0.9)
    sde = HASMEProduct(noise, 1.0)
    kernels = [SGD(noise, 1.0), EulerMaruyama(sde, 0.25), Heun(sde, 0.25), ExactOU(sde, 0.25), Heun(GradientFlow(noise, 1.0), 0.5)]
    for kernel in kernels:
        law = step_law(kernel)
        assert isinstance(law.chain, AdditiveChain)
        assert law.steps == kernel.substeps
        F, c, N = probed(kernel, dim)
        np.testing.assert_allclose(law.chain.flow, F, atol=1e-13)
        np.testing.assert_allclose(law.chain.shift, c, atol=1e-13)
        np.testing.assert_allclose(law.chain.noise, N @ N.T * kernel.dt, atol=1e-13)
    A, _, Q = sde.affine()
    doubled = torch.eye(dim, dtype=torch.float64) + A * 0.25
    assert relative(doubled @ Q @ doubled.T * 0.25, step_law(kernels[2]).chain.noise) > 1e-2


class Given(torchsde.BaseBrownian):
    """A Brownian motion whose increment W and space-time integral U over [0, 1] are given, one path per unit vector of (W, U)."""

    def __init__(self, width: int) -> None:
        self.pairs = torch.eye(2 * width, dtype=torch.float64)
        self.width = width

    def __call__(self, ta: object, tb: object = None, return_U: bool = False, return_A: bool = False) -> object:
        W, U = self.pairs[:, : self.width], self.pairs[:, self.width :]
        return (W, U) if return_U else W

    def __repr__(self) -> str:
        return "Given"

    dtype = torch.float64
    device = torch.device("cpu")
    levy_area_approximation = "space-time"

    @property
    def shape(self) -> tuple[int, int]:
        return (2 * self.width, self.width)


class Linear(torch.nn.Module):
    """dX = AX ds + D dB for torchsde over a unit of time."""

    noise_type = "additive"

    def __init__(self, A: torch.Tensor, D: torch.Tensor, sde_type: str) -> None:
        super().__init__()
        self.A, self.D, self.sde_type = A, D, sde_type

    def f(self, t: object, x: torch.Tensor) -> torch.Tensor:
        return x @ self.A.T

    def g(self, t: object, x: torch.Tensor) -> torch.Tensor:
        return self.D.expand(x.shape[0], -1, -1)


@pytest.mark.parametrize("method", ["euler", "srk", "heun", "midpoint"])
def test_torchsde_laws_are_torchsdes(method: str) -> None:
    """One step of ``torchsde.sdeint`` itself on given (W, U) with Var W = 1, Cov(W, U) = ½, Var U = ⅓; U ≡ W/2 (mutant) fails for srk."""
    noise, _ = random_problem(40, 3, low=0.05, high=0.9)
    sde = SME2(noise, 1.0)
    law = step_law(TorchSDE(sde, 0.5, method)).chain
    A, _, Q = sde.affine()
    D = torch.linalg.cholesky(Q)
    problem = Linear(A * 0.5, D * 0.5**0.5, "ito" if method in ("euler", "srk") else "stratonovich")
    span = torch.tensor([0.0, 1.0], dtype=torch.float64)
    responses = torchsde.sdeint(problem, torch.zeros(6, 3, dtype=torch.float64), span, bm=Given(3), method=method, dt=1.0)[-1]  # [6, 3]
    three = torch.eye(3, dtype=torch.float64)
    joint = torch.kron(torch.tensor([[1.0, 0.5], [0.5, 1 / 3]], dtype=torch.float64), three)
    np.testing.assert_allclose(law.noise, responses.T @ joint @ responses, atol=1e-13)
    moved = torchsde.sdeint(Linear(A * 0.5, D * 0, problem.sde_type), torch.cat([three, three]), span, bm=Given(3), method=method, dt=1.0)[-1][:3]
    np.testing.assert_allclose(law.flow, moved.T, atol=1e-13)
    if method == "srk":
        flat = torch.kron(torch.tensor([[1.0, 0.5], [0.5, 1 / 4]], dtype=torch.float64), three)
        assert relative(responses.T @ flat @ responses, law.noise) > 1e-4


@pytest.mark.parametrize(("kernel", "order"), [(EulerMaruyama, 1), (Heun, 2), (TorchSDE, 2)])
def test_kernel_moments_converge_to_the_sdes(kernel: type, order: int) -> None:
    """Halving the step divides the error of the covariance by 2 or 4: the integrators have the weak order they claim."""
    noise, rng = random_problem(41, 3, low=0.05, high=0.9)
    sde, theta0 = SPF(noise, 1.0), rng.standard_normal(3)
    exact = sde_moments(sde, theta0, 2.0)
    errors = [relative(kernel_moments(kernel(sde, 1.0 / n), theta0, 2).covariance, exact.covariance) for n in (64, 128)]
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.1


def test_multiplicative_kernels_converge_to_the_sde() -> None:
    rng = np.random.default_rng(42)
    noise = Minibatch(Regression(rng.standard_normal((5, 2)), rng.standard_normal(5)), 1)
    sde, theta0 = SME1(noise, 0.2), np.array([2.0, 1.0])
    exact = sde_moments(sde, theta0, 0.6)
    for kernel in (EulerMaruyama, Heun):
        errors = [relative(kernel_moments(kernel(sde, 0.2 / n), theta0, 3).covariance, exact.covariance) for n in (64, 128)]
        assert abs(np.log2(errors[0] / errors[1]) - 1) < 0.1  # Heun keeps D at the left point: order 1 too


def test_svag_moments_of_paths() -> None:
    """SVAG(4) with minibatch noise that depends on θ: 30,000 paths, false-alarm rate 1e-6; SVAG(3)'s moments fail (mutant)."""
    rng = np.random.default_rng(43)
    noise = Minibatch(Regression(rng.standard_normal((6, 2)), rng.standard_normal(6)), 2)
    theta0, eta = np.array([1.0, -1.0]), 0.3
    states = sg.simulate(SVAG(noise, eta, 4), theta0, horizon=2 * eta, paths=30_000, seed=12).states[-1]
    exact = kernel_moments(SVAG(noise, eta, 4), theta0, 2)
    check_mean(states, exact.mean)
    check_covariance(states, exact.covariance)
    with pytest.raises(CheckFailed):
        check_covariance(states, kernel_moments(SVAG(noise, eta, 1), theta0, 2).covariance)


def test_coupled_moments_of_paths() -> None:
    """The joint covariance of SGD and three Heun steps of HA-SME on one Brownian motion: 40,000 paths, false-alarm rate 1e-6.

    Mutant: the cross-covariance with the wrong sign.
    """
    noise, rng = random_problem(44, 2, low=0.1, high=0.7)
    kernel = Coupled(SGD(noise, 1.0), Heun(HASMEProduct(noise, 1.0), 1 / 3))
    theta0 = rng.standard_normal(2)
    exact = kernel_moments(kernel, theta0, 3)
    states = sg.simulate(kernel, theta0, horizon=3.0, paths=40_000, seed=13).states[-1]
    check_mean(states, exact.mean)
    check_covariance(states, exact.covariance)
    wrong = exact.covariance.clone()
    wrong[:2, 2:] *= -1
    wrong[2:, :2] *= -1
    with pytest.raises(CheckFailed):
        check_covariance(states, wrong)


def test_coupled_tick_is_that_of_the_steps() -> None:
    """Two and three steps a tick: each of the six fine increments alone through the kernels' own steps; with one of the kernels reversed (mutant) they fail."""
    noise, _ = random_problem(46, 2, low=0.3, high=0.9)
    a, b = Heun(HASMEProduct(noise, 1.0), 1 / 2), EulerMaruyama(SME1(noise, 1.0), 1 / 3)
    responses = []
    for index in range(6):
        dw = torch.zeros(2, 6, 2, dtype=torch.float64)
        dw[:, index] = torch.eye(2, dtype=torch.float64)  # [component, fine increment, noise_dim]
        ends = []
        for kernel in (a, b):
            moved, still = torch.zeros(2, 2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
            for piece in dw.reshape(2, kernel.substeps, -1, 2).sum(2).transpose(0, 1):
                moved, still = kernel.step(moved, 0.0, piece), kernel.step(still, 0.0, torch.zeros(1, 2, dtype=torch.float64))
            ends.append(moved - still)
        responses.append(torch.cat(ends, 1).T)  # [2*dim, component]
    joint = sum(response @ response.T for response in responses) / 6
    found = kernel_moments(Coupled(a, b), [0.0, 0.0], 1).covariance
    np.testing.assert_allclose(found, joint, atol=1e-13)
    mixed = sum(first[:2] @ second[2:].T for first, second in zip(responses, reversed(responses), strict=True)) / 6
    assert relative(mixed, joint[:2, 2:]) > 0.01


def test_coupled_moments_contain_each_kernels_own() -> None:
    """The diagonal blocks, whatever the two grids (2 and 3 steps a tick), and a kernel coupled to itself: correlation 1."""
    noise, rng = random_problem(45, 3, low=0.1, high=0.7)
    theta0 = rng.standard_normal(3)
    a, b = EulerMaruyama(SME1(noise, 1.0), 1 / 2), ExactOU(SME2(noise, 1.0), 1 / 3)
    joint = kernel_moments(Coupled(a, b), theta0, 4)
    np.testing.assert_allclose(joint.covariance[:3, :3], kernel_moments(a, theta0, 4).covariance, rtol=1e-12)
    np.testing.assert_allclose(joint.covariance[3:, 3:], kernel_moments(b, theta0, 4).covariance, rtol=1e-12)
    twins = kernel_moments(Coupled(a, a), Moments.of(torch.from_numpy(theta0), torch.eye(3, dtype=torch.float64)), 4).covariance
    np.testing.assert_allclose(twins[:3, 3:], twins[:3, :3], rtol=1e-12)
    flow = kernel_moments(Coupled(a, Heun(GradientFlow(noise, 1.0), 1.0)), theta0, 4)
    assert float(flow.covariance[3:].abs().max()) == 0
