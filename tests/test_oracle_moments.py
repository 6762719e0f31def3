"""Moments of SGD against routes that share no code with them: enumeration of all batches, and paths; and what the oracles refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from oracle_problems import Centers, Liar, Quartic, Regression, relative

import sgdsde as sg
from sgdsde.kernels import SGD, Coupled, EulerMaruyama, ShuffledSGD
from sgdsde.noises import Gaussian, Minibatch, MinibatchWithoutReplacement
from sgdsde.objectives import DoubleWell, Quadratic
from sgdsde.oracles import Moments, kernel_moments, sde_moments, sgd_moments
from sgdsde.sdes import HASME, SME1, SME2
from sgdsde.stats import CheckFailed, check_covariance, check_mean
from sgdsde.types import DomainError, InputError, OracleRefusal


def batches(n: int, size: int, *, replacement: bool) -> list[tuple[int, ...]]:
    """All batches, equally likely."""
    return list(itertools.product(range(n), repeat=size)) if replacement else list(itertools.combinations(range(n), size))


def enumerated(step: object, theta0: np.ndarray, choices: list[tuple[int, ...]], k: int) -> np.ndarray:
    """Every path of k steps over equally likely batches, ``[paths, dim]``."""
    points = [theta0]
    for _ in range(k):
        points = [step(point, list(batch)) for point in points for batch in choices]  # type: ignore[operator]
    return np.array(points)


def moments_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of equally likely points."""
    return points.mean(0), np.cov(points.T, bias=True).reshape(points.shape[1], points.shape[1])


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("size", [1, 2])
def test_least_squares_moments_equal_enumeration(replacement: bool, size: int) -> None:
    """Σ quadratic in θ: all batch sequences of three steps; and without the finite-population factor it fails (mutant)."""
    rng = np.random.default_rng(5)
    x, y, eta = rng.standard_normal((4, 2)), rng.standard_normal(4), 0.3
    f, theta0 = Regression(x, y), np.array([3.0, -1.0])

    def step(theta: np.ndarray, batch: list[int]) -> np.ndarray:
        return theta - eta * x[batch].T @ (x[batch] @ theta - y[batch]) / len(batch)

    choices = batches(4, size, replacement=replacement)
    noise = Minibatch(f, size) if replacement else MinibatchWithoutReplacement(f, size)
    other = MinibatchWithoutReplacement(f, size) if replacement else Minibatch(f, size)
    for k in (1, 2, 3):
        mean, covariance = moments_of(enumerated(step, theta0, choices, k))
        found = sgd_moments(noise, eta, theta0, k)
        np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=1e-12 * abs(covariance).max())
        if size == 2:
            assert relative(sgd_moments(other, eta, theta0, k).covariance, torch.from_numpy(covariance)) > 0.1


@pytest.mark.parametrize("replacement", [True, False])
def test_hasme_matches_minibatch_quadratics_for_skewed_data(replacement: bool) -> None:
    """Claim A4: mean and covariance are exact for any noise law with constant Σ; the third moment is not (SGD's is not 0)."""
    rng = np.random.default_rng(6)
    A = np.array([[1.0, 0.2], [0.2, 0.6]])
    centers = rng.exponential(size=(4, 2)) ** 2
    f, theta0, eta = Centers(A, centers), np.array([2.0, 1.0]), 0.4
    noise = Minibatch(f, 2) if replacement else MinibatchWithoutReplacement(f, 2)

    def step(theta: np.ndarray, batch: list[int]) -> np.ndarray:
        return theta - eta * A @ (theta - centers[batch].mean(0))

    for k in (1, 2, 3):
        points = enumerated(step, theta0, batches(4, 2, replacement=replacement), k)
        mean, covariance = moments_of(points)
        for found in (sgd_moments(noise, eta, theta0, k), sde_moments(HASME(noise, eta), theta0, k * eta)):
            np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-12)
            np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=1e-12 * abs(covariance).max())
        assert abs((points - mean) ** 3).max() > 0
        if replacement:
            assert abs(((points - mean) ** 3).mean(0) / covariance.diagonal() ** 1.5).max() > 0.1
        assert relative(sde_moments(SME1(noise, eta), theta0, k * eta).covariance, torch.from_numpy(covariance)) > 0.05


def test_minibatch_moments_of_paths() -> None:
    """40,000 paths of real minibatch SGD; false-alarm rate 1e-6, resolves 5 % of a variance.

    Mutants: 1/√B for 1/B in Σ, and one iterate too many.
    """
    rng = np.random.default_rng(7)
    x = rng.standard_normal((20, 3))
    f = Regression(x, x @ np.ones(3) + rng.standard_normal(20))
    theta0, eta, k = np.array([1.0, 0.0, -1.0]), 0.1, 6
    states = sg.simulate(SGD(Minibatch(f, 4), eta), theta0, horizon=k * eta, paths=40_000, seed=11).states[-1]
    exact = sgd_moments(Minibatch(f, 4), eta, theta0, k)
    check_mean(states, exact.mean)
    assert check_covariance(states, exact.covariance).resolvable < 0.05 * float(exact.variance.max())
    with pytest.raises(CheckFailed):
        check_covariance(states, sgd_moments(Minibatch(f, 2), eta, theta0, k).covariance)
    with pytest.raises(CheckFailed):
        check_mean(states, sgd_moments(Minibatch(f, 4), eta, theta0, k + 1).mean)


# ---------------------------------------------------------------------------------------------------- refusals


def test_moments_that_do_not_close_are_refused() -> None:
    with pytest.raises(OracleRefusal, match="no constant Hessian"):
        sgd_moments(Gaussian(DoubleWell(), 1.0), 0.1, [1.0], 3)
    with pytest.raises(OracleRefusal, match="no constant Hessian"):
        sde_moments(SME1(Gaussian(DoubleWell(), 1.0), 0.1), [1.0], 0.3)
    with pytest.raises(OracleRefusal, match="degree ≤ 2"):
        sgd_moments(Gaussian(Quadratic(1.0), Quartic()), 0.1, [1.0], 3)
    with pytest.raises(OracleRefusal, match="degree ≤ 2"):
        kernel_moments(EulerMaruyama(SME1(Gaussian(Quadratic(1.0), Quartic()), 0.1), 0.1), [1.0], 3)
    with pytest.raises(OracleRefusal, match="Correct the objective's facts"):
        sgd_moments(Minibatch(Liar(), 1), 0.1, [1.0], 3)


def test_unusable_input_is_refused() -> None:
    noise = Gaussian(Quadratic([1.0, 2.0]), 1.0)
    for k in (-1, 1.5, True):
        with pytest.raises(InputError, match="integer ≥ 0"):
            sgd_moments(noise, 0.1, [1.0, 1.0], k)  # type: ignore[call-overload]
    with pytest.raises(InputError, match="at least one iterate"):
        sgd_moments(noise, 0.1, [1.0, 1.0], [])
    with pytest.raises(InputError, match="shape"):
        sgd_moments(noise, 0.1, [1.0], 1)
    with pytest.raises(InputError, match="one point"):
        sgd_moments(noise, 0.1, np.ones((3, 2)), 1)
    with pytest.raises(InputError, match="eta"):
        sgd_moments(noise, 0.0, [1.0, 1.0], 1)
    with pytest.raises(InputError, match="SDE time"):
        sde_moments(SME1(noise, 0.1), [1.0, 1.0], -0.1)
    with pytest.raises(InputError, match="dimension 1"):
        sgd_moments(noise, 0.1, Moments.at(torch.ones(1, dtype=torch.float64)), 1)
    with pytest.raises(InputError, match="not symmetric"):
        Moments(torch.ones(2, dtype=torch.float64), torch.tensor([[1.0, 0.0], [0.5, 1.0]], dtype=torch.float64))


def test_models_that_do_not_exist_are_refused() -> None:
    """An indefinite Q, constant or not; moments beyond float64; kernels without a law."""
    rank_one = Gaussian(Quadratic([0.5, 0.01]), np.ones((2, 2)))
    with pytest.raises(DomainError, match="indefinite"):
        sde_moments(HASME(rank_one, 1.0), [0.0, 0.0], 1.0)
    line = Centers(np.diag([0.5, 0.01]), np.array([[1.0, 50.0], [-1.0, -50.0], [2.0, 100.0]]))
    with pytest.raises(OracleRefusal, match="indefinite"):
        sde_moments(HASME(Minibatch(line, 1), 1.0), [0.0, 0.0], 1.0)
    assert sde_moments(HASME(rank_one, 1.0, psd="project"), [0.0, 0.0], 1.0).dim == 2
    with pytest.raises(OracleRefusal, match="beyond float64"):
        sgd_moments(Gaussian(Quadratic(4.0), 1.0), 1.0, [1.0], 5000)
    with pytest.raises(OracleRefusal, match="shuffled_sgd_moments"):
        kernel_moments(ShuffledSGD(line, 1, 0.1), [0.0, 0.0], 1)
    noise = Minibatch(Regression(np.eye(2), np.ones(2)), 1)
    with pytest.raises(OracleRefusal, match="state-dependent"):
        kernel_moments(Coupled(EulerMaruyama(SME1(noise, 0.1), 0.1), EulerMaruyama(SME2(noise, 0.1), 0.1)), [0.0, 0.0], 1)


def test_large_dimensions_are_refused_with_their_limit() -> None:
    rng = np.random.default_rng(50)
    wide = Minibatch(Regression(rng.standard_normal((60, 50)), rng.standard_normal(60)), 1)
    with pytest.raises(OracleRefusal, match="up to 40"):
        sgd_moments(wide, 0.01, np.zeros(50), 1)
    middling = Minibatch(Regression(rng.standard_normal((20, 17)), rng.standard_normal(20)), 1)
    assert sgd_moments(middling, 0.01, np.zeros(17), 2).dim == 17
    with pytest.raises(OracleRefusal, match="up to dim = 16"):
        sde_moments(SME1(middling, 0.01), np.zeros(17), 0.01)
