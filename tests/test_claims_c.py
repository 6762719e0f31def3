"""Claims about the Hessian: the exact ones are run and judged, with mutants; what the others measure is checked against independent formulas.

Everything here is exact up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sgdsde.calculus import grad, hessian, sample_grads
from sgdsde.claim import Claim, Outcome, judge_plan
from sgdsde.claims import c01_identities
from sgdsde.claims.c01_identities import GaussNewtonRank, LayerBlocks, LogLoss
from sgdsde.data import digits
from sgdsde.measurement import carry_out
from sgdsde.measurements import hessian_identities, hessian_network, hessian_width, noise_join
from sgdsde.measurements.hessian_network import Dense, perceptron, start
from sgdsde.noises import Gaussian
from sgdsde.objectives import Quadratic
from sgdsde.oracles import stationary_covariance


def judged(*claims: Claim) -> list[Outcome]:
    (measurement,) = claims[0].plan("quick", 5).measurements
    finished = {measurement.name: carry_out(measurement, 5, 0.9999)}
    assert finished[measurement.name].measured is not None, finished[measurement.name].error
    return [judge_plan(claim.id, claim.plan("quick", 5), finished, claim.scales["quick"]).outcome for claim in claims]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer networks, the control among them."""
    whole = c01_identities.problems
    keep = ("n = 12, step 0", "n = 20, step 0", "drawn 1", "tanh")
    monkeypatch.setattr(c01_identities, "problems", lambda profile, seed: {name: p for name, p in whole(profile, seed).items() if name in keep})


def test_the_exact_claims_hold(few: None) -> None:
    assert judged(LogLoss(), LayerBlocks(), GaussNewtonRank()) == [Outcome.SUPPORTED] * 3


@pytest.mark.parametrize(
    ("name", "mutant", "broken"),
    [
        ("M", lambda point: point.gradients.T @ point.gradients / (point.network.n - 1), 0),  # 1/(n−1) for 1/n
        ("M", lambda point: point.gradients.T @ point.gradients / point.network.n - torch.outer(point.mean, point.mean), 0),  # Σ for M
        ("G", lambda point: point.gradients.T @ point.gradients / point.network.n, 1),  # M for G
        ("G", lambda point: point.H, 2),  # H for G
    ],
)
def test_mutants_are_contradicted(few: None, monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable[[Dense], Tensor], broken: int) -> None:
    monkeypatch.setattr(hessian_network.Dense, name, property(mutant))
    assert judged(LogLoss(), LayerBlocks(), GaussNewtonRank())[broken] in (Outcome.CONTRADICTED, Outcome.CONTROL_FAILED)


def small() -> tuple[Dense, Tensor]:
    network = perceptron(digits(components=6, count=60), (5,))
    theta = start(network, 3)
    return Dense(network, theta[0]), theta


def test_dense_matrices_are_those_of_the_calculus() -> None:
    point, theta = small()
    gradients = sample_grads(point.network, theta)[0]
    torch.testing.assert_close(point.mean, grad(point.network, theta)[0])
    torch.testing.assert_close(point.Sigma, torch.cov(gradients.T, correction=0))
    torch.testing.assert_close(point.H, hessian(point.network, theta)[0])
    torch.testing.assert_close(hessian_identities.relative(2 * point.M, point.M) * torch.ones(()), torch.tensor(0.5))


def test_random_networks_curvature_by_autograd() -> None:
    """E[M] of the first layer against second derivatives of the loss by the preactivations, sample by sample."""
    x = digits(count=12).x
    spectrum = hessian_width._spectrum(x, 30, 7, 0)
    generator = hessian_width.stream(7, "random network 30", 0)
    W = (2 * torch.rand(30, 64, generator=generator, dtype=x.dtype) - 1) / 8
    V = (2 * torch.rand(10, 30, generator=generator, dtype=x.dtype) - 1) / 30**0.5

    def loss(u: Tensor) -> Tensor:
        return torch.logsumexp(V @ u.relu(), 0)  # the label's logit is linear: no curvature

    with torch.enable_grad():
        mean = torch.stack([torch.autograd.functional.hessian(loss, W @ one) for one in x]).mean(0)
    torch.testing.assert_close(spectrum, torch.linalg.eigvalsh(mean).flip(0)[: hessian_width.SHOWN], rtol=1e-9, atol=1e-12)


def test_the_join_reads_variances_in_the_eigenbasis() -> None:
    """Diagonal noise: SGD's stationary variance is ηΣᵢᵢ/(λᵢ(2−ηλᵢ)) and SME-1's ηΣᵢᵢ/(2λᵢ), so SME-1's worst error is x/2 at the stiffest direction."""
    values, noise, eta = torch.tensor([0.2, 1.0], dtype=torch.float64), torch.tensor([3.0, 0.5], dtype=torch.float64), 0.6
    measured = Gaussian(Quadratic(values), torch.diag(noise))
    exact = stationary_covariance(measured, eta).diagonal()
    torch.testing.assert_close(exact, eta * noise / (values * (2 - eta * values)))
    ratio = stationary_covariance(noise_join.MODELS["SME1"](measured, eta)).diagonal() / exact
    torch.testing.assert_close(ratio, 1 - eta * values / 2)
    ratio = stationary_covariance(noise_join.MODELS["HASMEProduct"](measured, eta)).diagonal() / exact
    torch.testing.assert_close(ratio, torch.ones_like(ratio))
