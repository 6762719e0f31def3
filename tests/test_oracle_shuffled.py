"""Epoch shuffling: exact moments against all permutations, and the suppression of variance in flat directions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from oracle_problems import Centers, Regression, relative

import sgdsde as sg
from sgdsde.kernels import ShuffledSGD
from sgdsde.noises import Minibatch, MinibatchWithoutReplacement
from sgdsde.objectives import Quadratic
from sgdsde.oracles import sgd_moments, shuffled_sgd_moments, shuffled_stationary_covariance, stationary_covariance
from sgdsde.stats import CheckFailed, check_covariance, check_mean
from sgdsde.types import InputError, OracleRefusal

A = np.array([[1.0, 0.3], [0.3, 0.5]])


@pytest.mark.parametrize(("n", "size", "ks"), [(4, 1, (0, 1, 2, 4, 6, 8)), (4, 2, (1, 2, 3, 4)), (5, 2, (1, 2, 3))])
def test_moments_equal_all_permutations(n: int, size: int, ks: tuple[int, ...]) -> None:
    """Two epochs, each over all n! orders (n = 5, B = 2 leaves one sample out); independent batches (mutant) fail within an epoch."""
    rng = np.random.default_rng(n)
    centers, theta0, eta = rng.exponential(size=(n, 2)), np.array([2.0, -1.0]), 0.4
    f, length = Centers(A, centers), n // size
    orders = list(itertools.permutations(range(n)))
    for k in ks:
        points = [theta0]
        for first in range(0, k, length):
            steps = min(length, k - first)
            ends = []
            for order in orders:
                means = [centers[list(order[j * size : (j + 1) * size])].mean(0) for j in range(steps)]
                for theta in points:
                    for mean in means:
                        theta = theta - eta * A @ (theta - mean)
                    ends.append(theta)
            points = ends
        cloud = np.array(points)
        found = shuffled_sgd_moments(f, size, eta, theta0, k)
        np.testing.assert_allclose(found.mean, cloud.mean(0), atol=1e-12)
        np.testing.assert_allclose(found.covariance, np.cov(cloud.T, bias=True), atol=1e-13)
        if k >= 2:
            white = sgd_moments(MinibatchWithoutReplacement(f, size), eta, theta0, k)
            assert relative(white.covariance, found.covariance) > 0.1
        if k == 1:
            np.testing.assert_allclose(found.covariance, sgd_moments(MinibatchWithoutReplacement(f, size), eta, theta0, 1).covariance, atol=1e-14)


@pytest.mark.parametrize(("x", "mean_ratio", "end_ratio"), [(0.001, 0.0213, 0.00035), (0.01, 0.187, 0.034), (0.1, 0.759, 0.715), (0.5, 0.969, 0.968)])
def test_variance_in_flat_directions_is_suppressed(x: float, mean_ratio: float, end_ratio: float) -> None:
    """Claim A19: 64 one-sample batches; over the positions of the epoch, and at its end, against independent draws."""
    f = Centers(np.eye(1), np.random.default_rng(0).standard_normal((64, 1)))
    V = shuffled_stationary_covariance(f, 1, x)[:, 0, 0]
    white = float(stationary_covariance(Minibatch(f, 1), x))
    assert V.shape == (64,)
    assert abs(float(V.mean()) / white / mean_ratio - 1) < 0.006
    assert abs(float(V[0]) / white / end_ratio - 1) < 0.02


def test_stationary_positions_are_where_long_runs_end() -> None:
    rng = np.random.default_rng(2)
    f = Centers(A, rng.standard_normal((6, 2)))
    V = shuffled_stationary_covariance(f, 2, 0.5)
    assert V.shape == (3, 2, 2)
    for k, moments in zip((300, 301, 302), shuffled_sgd_moments(f, 2, 0.5, np.ones(2), [300, 301, 302]), strict=True):
        assert relative(moments.covariance, V[k % 3]) < 1e-11


def test_moments_of_paths() -> None:
    """The kernel itself, 30,000 paths, one and a half epochs: false-alarm rate 1e-6; with-replacement moments fail (mutant)."""
    f = Centers(A, np.random.default_rng(3).exponential(size=(8, 2)))
    theta0, eta, k = np.array([1.0, -1.0]), 0.3, 6
    states = sg.simulate(ShuffledSGD(f, 2, eta), theta0, horizon=k * eta, paths=30_000, seed=4).states[-1]
    exact = shuffled_sgd_moments(f, 2, eta, theta0, k)
    check_mean(states, exact.mean)
    check_covariance(states, exact.covariance)
    with pytest.raises(CheckFailed):
        check_covariance(states, sgd_moments(MinibatchWithoutReplacement(f, 2), eta, theta0, k).covariance)


def test_full_batches_have_no_noise() -> None:
    f = Centers(A, np.random.default_rng(5).standard_normal((4, 2)))
    assert float(shuffled_sgd_moments(f, 4, 0.3, np.ones(2), 7).covariance.abs().max()) < 1e-16


def test_what_has_no_closed_law_is_refused() -> None:
    rng = np.random.default_rng(6)
    least_squares = Regression(rng.standard_normal((6, 2)), rng.standard_normal(6))
    with pytest.raises(OracleRefusal, match="more than constants"):
        shuffled_sgd_moments(least_squares, 1, 0.1, np.zeros(2), 3)
    with pytest.raises(InputError, match="n = 1 sample"):
        shuffled_sgd_moments(Quadratic([1.0, 2.0]), 1, 0.1, np.zeros(2), 3)
    f = Centers(np.diag([1.0, 0.0]), rng.standard_normal((4, 2)))
    with pytest.raises(OracleRefusal, match="No stationary law"):
        shuffled_stationary_covariance(f, 1, 0.1)
    with pytest.raises(InputError, match="exceeds"):
        shuffled_stationary_covariance(f, 5, 0.1)
    assert torch.isfinite(shuffled_sgd_moments(f, 1, 0.1, np.zeros(2), 400).covariance).all()
