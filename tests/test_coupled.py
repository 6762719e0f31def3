"""Two kernels on one Brownian motion: the joint law is exact, each keeps its own, and the difference loses most of its variance."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.kernels import SGD, Coupled, EulerMaruyama, ExactOU, Heun, TorchSDE
from sgdsde.stats import check_covariance, check_mean
from sgdsde.types import InputError

H = np.array([[1.0, 0.3], [0.3, 0.5]])
SIGMA = np.array([[1.0, 0.2], [0.2, 0.5]])
QUADRATIC = sg.objectives.Quadratic(H)
NOISE = sg.noises.Gaussian(QUADRATIC, SIGMA)
START = [1.0, -1.0]


class WrongSign(sg.noises.Gaussian):
    """z = +ΔW/√η with ξ = +Rz: SGD moves against the increments of the SDE."""

    def draw_from(self, theta: Tensor, z: Tensor) -> Tensor:
        return super().draw_from(theta, -z)


def symmetric_root(S: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(S)
    return vectors * np.sqrt(values.clip(0)) @ vectors.T


def joint_moments(kernel: Coupled, ticks: int, *, sign: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Of SGD and Euler–Maruyama or Heun on a grid of n substeps, driven by dw₁…dwₙ: F = diag(M, Fₙ), noise (ηR Σdwⱼ/√η, ΣF^{n−j}G dwⱼ)."""
    A, _, Q = (part.numpy() for part in kernel.b.sde.affine())
    n, dt, eta, eye = kernel.b.substeps, kernel.b.dt, kernel.tick, np.eye(2)
    half = eye + A * dt / 2 if isinstance(kernel.b, Heun) else eye
    F, G = eye + A * dt @ half, half @ symmetric_root(Q)
    power = [np.linalg.matrix_power(F, n - 1 - j) @ G for j in range(n)]
    R = symmetric_root(SIGMA) * eta**0.5 * sign
    V = dt * np.block([[n * R @ R, R @ sum(power).T], [sum(power) @ R, sum(P @ P.T for P in power)]])
    step = np.block([[eye - eta * H, np.zeros((2, 2))], [np.zeros((2, 2)), np.linalg.matrix_power(F, n)]])
    mean, covariance = np.array([*START, *START]), np.zeros((4, 4))
    for _ in range(ticks):
        mean, covariance = step @ mean, step @ covariance @ step.T + V
    return mean, covariance


def simulated(kernel: Coupled, ticks: int, paths: int = 100_000) -> Tensor:
    return sg.simulate(kernel, START, horizon=ticks * kernel.tick, paths=paths, seed=7).states[-1]


COUPLED = [
    pytest.param(Coupled(SGD(NOISE, 0.4), EulerMaruyama(sg.sdes.SME1(NOISE, 0.4), 0.1)), id="SGD and Euler on SME-1"),
    pytest.param(Coupled(SGD(NOISE, 0.4), Heun(sg.sdes.HASME(NOISE, 0.4), 0.4 / 6)), id="SGD and Heun on HA-SME"),
]


@pytest.mark.parametrize("kernel", COUPLED)
def test_joint_law_is_exact(kernel: Coupled) -> None:
    """All four means and ten covariances, those between the halves among them, after 8 ticks of 1e5 paths; false alarm 1e-6, resolves 3 % of a variance."""
    states = simulated(kernel, 8)
    mean, covariance = joint_moments(kernel, 8)
    check_mean(states, mean)
    check_covariance(states, covariance)


def test_joint_law_tells_the_sign() -> None:
    wrong = WrongSign(QUADRATIC, SIGMA)
    kernel = Coupled(SGD(wrong, 0.4), EulerMaruyama(sg.sdes.SME1(NOISE, 0.4), 0.1))
    states = simulated(kernel, 8)
    check_covariance(states, joint_moments(kernel, 8, sign=-1.0)[1])
    with pytest.raises(AssertionError):
        check_covariance(states, joint_moments(kernel, 8)[1])


def test_each_half_keeps_its_own_law() -> None:
    """Against a run of each kernel alone with another seed: means of both halves and their squares, 1e5 paths, false alarm 1e-6 each."""
    model = sg.sdes.HASME(NOISE, 0.4)
    kernel = Coupled(Heun(model, 0.2), ExactOU(model, 0.4))
    for half, alone in zip(kernel.split(simulated(kernel, 5)), (kernel.a, kernel.b), strict=True):
        other = sg.simulate(alone, START, horizon=5 * 0.4, paths=100_000, seed=8).states[-1]
        check_mean(half - other, 0.0)  # independent: their difference has mean zero
        check_mean((half - half.mean(0)) ** 2 - (other - other.mean(0)) ** 2, 0.0)
    with pytest.raises(AssertionError):
        check_mean(kernel.split(simulated(kernel, 5))[0] ** 2 - simulated(Coupled(Heun(model, 0.2), Heun(model, 0.2)), 4)[:, :2] ** 2, 0.0)


def cut(a: Any, b: Any, ticks: int = 20) -> float:
    """Variance of the difference of independent runs over that of coupled ones, the worse coordinate."""
    kernel = Coupled(a, b)
    x, y = kernel.split(simulated(kernel, ticks, 20_000))
    return float(((x.var(0) + y.var(0)) / (x - y).var(0)).min())


@pytest.mark.parametrize(
    "partner", [lambda m: ExactOU(m, 0.3), lambda m: Heun(m, 0.3 / 8), lambda m: EulerMaruyama(m, 0.3 / 32)], ids=["ExactOU", "Heun", "EulerMaruyama"]
)
def test_coupling_cuts_the_variance_of_differences_a_hundredfold(partner: Any) -> None:
    """SGD − HA-SME on a quadratic with ηλ = .34 and .11. Each variance is known to 1 % (2e4 paths), so 100 is not reached by chance from below 95."""
    model = sg.sdes.HASME(NOISE, 0.3)
    assert cut(SGD(NOISE, 0.3), partner(model)) >= 100
    assert cut(SGD(WrongSign(QUADRATIC, SIGMA), 0.3), partner(model)) < 0.6  # worse than independence (1): twice the variance


def test_the_cut_is_the_exact_one() -> None:
    """From the exact joint covariance; 2e4 paths know the ratio of two variances to 2 %, five of these are allowed."""
    kernel = COUPLED[1].values[0]
    _, C = joint_moments(kernel, 20)
    difference = C[:2, :2] + C[2:, 2:] - C[:2, 2:] - C[2:, :2]
    expected = (np.diag(C)[:2] + np.diag(C)[2:]) / np.diag(difference)
    assert cut(kernel.a, kernel.b) == pytest.approx(expected.min(), rel=0.1)


def test_equal_kernels_move_together() -> None:
    model = sg.sdes.SME1(NOISE, 0.4)
    kernel = Coupled(Heun(model, 0.1), Heun(model, 0.1))
    x, y = kernel.split(simulated(kernel, 5, 100))
    assert torch.equal(x, y)


def test_a_flow_goes_with_any_noise() -> None:
    flow = sg.sdes.PrincipalFlow(NOISE, 0.4)
    kernel = Coupled(SGD(NOISE, 0.4), Heun(flow, 0.1))
    alone = sg.simulate(Heun(flow, 0.1), START, horizon=2.0, seed=0).states[-1]
    _, y = kernel.split(simulated(kernel, 5, 10))
    assert torch.allclose(y, alone.expand_as(y), rtol=1e-12)


class Clock(sg.SDE):
    """dX = t dt."""

    dim = 1
    noise_dim = 0
    eta = 0.5

    def drift(self, t: float, x: Tensor) -> Tensor:
        return torch.full_like(x, t)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        return torch.zeros_like(x)


def test_models_on_different_grids_are_told_the_right_time() -> None:
    """Euler sums the left ends: T(T − dt)/2 on each grid."""
    kernel = Coupled(EulerMaruyama(Clock(), 0.25), EulerMaruyama(Clock(), 0.5 / 3))
    states = sg.simulate(kernel, [0.0], horizon=3.0, seed=0).states[0]
    assert torch.allclose(states, torch.tensor([[3 * (3 - 0.25) / 2, 3 * (3 - 0.5 / 3) / 2]]).double(), atol=1e-12)


def test_states_split_into_halves() -> None:
    kernel = COUPLED[0].values[0]
    run = sg.simulate(kernel, [START, START, START], horizon=0.8, save=(0.0, 0.8), seed=0)
    assert run.states.shape == (2, 3, 4)
    x, y = kernel.split(run.states)
    assert torch.equal(x[0], y[0])
    assert x.shape == y.shape == (2, 3, 2)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (SGD(NOISE, 0.4), TorchSDE(sg.sdes.SME1(NOISE, 0.4), 0.1), "takes no Brownian increments"),
        (SGD(NOISE, 0.4), ExactOU(sg.sdes.HASME(NOISE, 0.3), 0.3), "ticks differ"),
        (SGD(NOISE, 0.4), SGD(sg.noises.Gaussian(sg.objectives.Quadratic(1.0), 1.0), 0.4), "dimensions differ"),
        (
            SGD(sg.noises.Surrogate(sg.noises.Minibatch.examples()[0]), 0.1),
            Heun(sg.sdes.HASME(sg.noises.Minibatch.examples()[0], 0.1), 0.1),
            "12 and 3 components",
        ),
    ],
)
def test_kernels_that_cannot_be_coupled(a: Any, b: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Coupled(a, b)


def test_minibatch_sgd_is_told_to_bring_its_surrogate() -> None:
    noise = sg.noises.Minibatch.examples()[0]
    with pytest.raises(InputError, match="Couple its Gaussian surrogate"):
        Coupled(SGD(noise, 0.1), EulerMaruyama(sg.sdes.SME1(noise, 0.1), 0.1))
