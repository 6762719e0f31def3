"""Layer blocks of many networks against the dense report of one network at a time, and top eigenvalues and shares against dense spectra.

Exact up to rounding in float64, except Lanczos' share near zero, whose test states what it resolves.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sgdsde.curvature import RatioRule, gauss_newton_operator, kronecker_decoupling, overlap, rank_one_shares
from sgdsde.data import Data, digits
from sgdsde.measurements.hessian_network import Dense, perceptron
from sgdsde.measurements.hessian_outliers import STEPS, TOP
from sgdsde.measurements.hessian_sizes import NEAR_ZERO
from sgdsde.measurements.many_layers import layer_populations, relu_layers
from sgdsde.measurements.many_spectra import many_spectra
from sgdsde.measurements.many_starts import Population, batched, initial, train_to_loss
from sgdsde.objectives import Network

STARTS, OWN, TOP_VECTORS = 3, 60, 4


def population(hidden: tuple[int, int]) -> tuple[Data, Population]:
    data = digits(components=8, count=200)
    network = perceptron(data, hidden)
    rows = torch.stack([torch.randperm(200, generator=torch.Generator().manual_seed(start))[:OWN] for start in range(STARTS)])
    theta, steps = train_to_loss(network, rows, initial(network, STARTS, 7), batch=20, loss=0.3, seed=7)
    return data, Population(network, rows, theta, steps)


def alone(data: Data, rows: Tensor, hidden: tuple[int, int]) -> Network:
    return perceptron(replace(data, x=data.x[rows], y=data.y[rows]), hidden)


@pytest.fixture(scope="module")
def people() -> tuple[Data, Population]:
    return population((7, 6))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_layers_are_those_of_the_dense_report(people: tuple[Data, Population], index: int) -> None:
    data, trained = people
    layer = relu_layers(trained.network, trained.theta, trained.rows)[index]
    found = layer_populations(layer, TOP_VECTORS, torch.Generator().manual_seed(3))
    for start in range(STARTS):
        report = kronecker_decoupling(alone(data, trained.rows[start], (7, 6)), trained.theta[start], str(2 * index))
        torch.testing.assert_close(layer.M[start], report.sample_curvature)
        v = torch.ones(len(report.block), dtype=torch.float64)
        torch.testing.assert_close(layer.product(v.expand(STARTS, -1))[start], report.block @ v)
        assert float(found["error"][start]) == pytest.approx(report.error, rel=1e-6)
        assert float(found["second moment"][start]) == pytest.approx(report.second_moment_share, rel=1e-9)
        top = torch.linalg.eigh(report.block).eigenvectors[:, -TOP_VECTORS:]
        product = torch.linalg.eigh(torch.kron(report.left, report.right)).eigenvectors[:, -TOP_VECTORS:]
        assert float(found["overlap"][start]) == pytest.approx(overlap(top, product).value, rel=1e-5)
        assert float(found["rank-one share"][start]) == pytest.approx(float(rank_one_shares(top, report.left.shape[0]).mean()), rel=1e-5)
        assert float(found["overlap, random"][start]) < float(found["overlap"][start])  # the mutant: any subspace
        assert abs(float(found["error"][start]) - report.best_error) > 1e-4  # the mutant: the best product in place of E[M] ⊗ E[xxᵀ]


def test_counts_and_shares_are_those_of_dense_spectra(people: tuple[Data, Population]) -> None:
    """Top eigenvalues of G to 1e-6 of themselves, in float32 to 1e-3, with the same counts. The share near zero of H from 200 vectors of as many steps as
    resolve its 187 eigenvalues: the standard error of a mean over 200 is below .004, so .02 is five of them (false alarm < 1e-6); a threshold at 1e-2 moves it
    by more.
    """
    data, trained = people
    probes = torch.randn(STARTS, 1, trained.network.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    many = torch.randn(STARTS, 200, trained.network.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    method = batched(trained.network)
    exact = many_spectra(method.gauss_newton_at(trained.theta, trained.rows), probes, STEPS).top(TOP)
    short = trained.theta.float()
    rough = many_spectra(method.gauss_newton_at(short, trained.rows), probes.float(), STEPS).top(TOP).double()
    shares = many_spectra(method.hvp_at(trained.theta, trained.rows), many, 187).share_near_zero(NEAR_ZERO)
    for start in range(STARTS):
        one = alone(data, trained.rows[start], (7, 6))
        G = torch.linalg.eigvalsh(gauss_newton_operator(one, trained.theta[start]).dense()).flip(0)[:TOP]
        np.testing.assert_allclose(exact[start], G, rtol=1e-6, atol=1e-9 * float(G[0]))
        np.testing.assert_allclose(rough[start], G, rtol=1e-3, atol=1e-5 * float(G[0]))
        assert RatioRule().split(G).count == RatioRule().split(rough[start]).count
        H = torch.linalg.eigvalsh(Dense(one, trained.theta[start]).H)
        share, wide = (float((H.abs() < edge * H[-1]).double().mean()) for edge in (NEAR_ZERO, 10 * NEAR_ZERO))
        assert abs(float(shares[start]) - share) < 0.02 < abs(wide - share)


def test_a_space_that_ends_early_adds_no_ghosts() -> None:
    """A matrix of rank two: after three steps nothing is left, and no eigenvalue comes twice."""
    values = torch.tensor([3.0, 1.0] + [0.0] * 48, dtype=torch.float64)
    found = many_spectra(lambda v: v * values, torch.ones(1, 1, 50, dtype=torch.float64), 20)
    np.testing.assert_allclose(found.nodes[0, 0, :3], [3.0, 1.0, 0.0], atol=1e-12)
    assert float(found.weights.sum()) == pytest.approx(1.0)
    assert float(found.share_near_zero(1e-3)[0]) == pytest.approx(48 / 50)
