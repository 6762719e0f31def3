"""Stationary covariances: Lyapunov solvers against closed forms, eigenbasis sums and long runs of the exact recursion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracle_problems import Regression, quadratic, relative, wishart

from sgdsde.kernels import SGD, SVAG, Coupled, EulerMaruyama, ExactOU, Heun, TorchSDE
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objectives import DoubleWell, Quadratic
from sgdsde.oracles import (
    discrete_lyapunov,
    euler_inflation,
    heun_inflation,
    momentum_stationary_moments,
    momentum_variance_ratio,
    sde_moments,
    sgd_moments,
    stationary_covariance,
    stationary_moments,
    stationary_variance_ratio,
    svag_variance_ratio,
)
from sgdsde.sdes import HASME, SME1, SME2, SPF, HASMEProduct
from sgdsde.types import DomainError, InputError, OracleRefusal

ETA, SIGMA2 = 0.25, 3.0


def line(x: float) -> Gaussian:
    """A quadratic in one dimension with ηλ = x at η = ETA."""
    return Gaussian(Quadratic(x / ETA, [1.0]), SIGMA2)


def sgd_variance(x: float) -> float:
    """ησ²/(λ(2−x))."""
    return ETA * SIGMA2 / (x / ETA * (2 - x))


@pytest.mark.parametrize("x", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_one_dimensional_table(x: float) -> None:
    """Claim A5 and its control: every model's ratio to SGD is its own formula's and no other's."""
    noise = line(x)
    sgd = float(stationary_covariance(noise, ETA))
    assert abs(sgd / sgd_variance(x) - 1) < 1e-12
    ratios = {model: float(stationary_covariance(model(noise, ETA))) / sgd for model in (SME1, SME2, SPF, HASME, HASMEProduct)}
    for model, ratio in ratios.items():
        assert abs(ratio / stationary_variance_ratio(model, x) - 1) < 1e-11
    for model in (SME1, SME2, SPF):
        assert abs(ratios[model] - 1) > 0.4 * x


def test_sme2_and_spf_err_twice_as_much_as_sme1() -> None:
    """To first order in x: −x/2 for SME-1, −x for SME-2 and SPF."""
    x = 1e-4
    for model, slope in ((SME1, 0.5), (SME2, 1.0), (SPF, 1.0)):
        assert abs((1 - stationary_variance_ratio(model, x)) / x - slope) < 1e-3


@pytest.mark.parametrize("x", [0.1, 0.5, 0.9])
def test_svag_tends_to_sme1(x: float) -> None:
    """Claim A16: 1/(1−x/(2l)) for l = 1…32, which is SGD's at l = 1 and falls to 1; l for 2l (mutant) fails."""
    noise = line(x)
    sme1 = float(stationary_covariance(SME1(noise, ETA)))
    ratios = [float(stationary_covariance(SVAG(noise, ETA, l))) / sme1 for l in (1, 2, 4, 8, 16, 32)]  # noqa: E741
    for l, ratio in zip((1, 2, 4, 8, 16, 32), ratios, strict=True):  # noqa: E741
        assert abs(ratio / svag_variance_ratio(x, l) - 1) < 1e-11
    assert abs(ratios[0] * sme1 / sgd_variance(x) - 1) < 1e-11
    assert abs(ratios[3] - 1 / (1 - x / 8)) > 1e-3


@pytest.mark.parametrize(("substeps", "listed"), [(4, 0.40), (16, 0.078), (64, 0.018)])
def test_euler_inflates_the_variance(substeps: int, listed: float) -> None:
    """Claim A23 at x = 0.9."""
    sde = HASME(line(0.9), ETA)
    bias = float(stationary_covariance(EulerMaruyama(sde, ETA / substeps))) / sgd_variance(0.9) - 1
    assert abs(bias - (euler_inflation(0.9, substeps) - 1)) < 1e-11
    assert abs(bias - listed) < 0.012 * max(listed, 0.05) + 5e-4
    assert relative(stationary_covariance(TorchSDE(sde, ETA / substeps, "euler")), stationary_covariance(EulerMaruyama(sde, ETA / substeps))) < 1e-13


@pytest.mark.parametrize(("substeps", "listed"), [(16, -0.0055), (64, -0.0003)])
def test_heun_hardly_does(substeps: int, listed: float) -> None:
    """Claim A23 at x = 0.9, second-order integrators; torchsde's srk has two thirds of Heun's error."""
    sde = HASME(line(0.9), ETA)
    bias = float(stationary_covariance(Heun(sde, ETA / substeps))) / sgd_variance(0.9) - 1
    assert abs(bias - (heun_inflation(0.9, substeps) - 1)) < 1e-11
    assert abs(bias - listed) < 6e-5
    srk = float(stationary_covariance(TorchSDE(sde, ETA / substeps, "srk"))) / sgd_variance(0.9) - 1
    assert abs(srk / bias - 2 / 3) < 0.03
    assert abs(float(stationary_covariance(ExactOU(sde, ETA / substeps))) / sgd_variance(0.9) - 1) < 1e-12


@pytest.mark.parametrize("dim", [1, 2, 7, 20, 50])
def test_discrete_lyapunov_in_the_eigenbasis(dim: int) -> None:
    """Claim A21: V = η²(UᵀΣU)ᵢⱼ/(1 − mᵢmⱼ) for AV + VA − ηAVA = ηC, up to x = 1.9; the continuous solution ηC/(λᵢ+λⱼ) fails (mutant)."""
    rng = np.random.default_rng(dim)
    x = np.sort(rng.uniform(0.01, 1.9, dim))
    noise = Gaussian(quadratic(rng, x / ETA), wishart(rng, dim, dim))
    H = noise.objective.matrix
    C = noise.covariance(torch.zeros(1, dim, dtype=torch.float64))[0]
    V = stationary_covariance(noise, ETA)
    values, U = torch.linalg.eigh(H)
    m = 1 - ETA * values
    inner = U.T @ C @ U
    assert relative(V, ETA**2 * U @ (inner / (1 - m[:, None] * m)) @ U.T) < 1e-12
    assert relative(V, discrete_lyapunov(H, C, eta=ETA)) < 1e-12
    assert relative(H @ V + V @ H - ETA * H @ V @ H, ETA * C) < 1e-12
    assert relative(V, ETA * U @ (inner / (values[:, None] + values)) @ U.T) > 0.05


@pytest.mark.parametrize("x", [0.1, 0.9, 2.5])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_momentum_in_one_dimension(x: float, beta: float) -> None:
    """Claim A21: ησ²(1+β)/(λ(1−β)(2(1+β)−x)), up to x = 2(1+β)."""
    noise = line(x)
    if x >= 2 * (1 + beta):
        with pytest.raises(OracleRefusal, match="No stationary law"):
            momentum_stationary_moments(noise, ETA, beta)
        return
    found = momentum_stationary_moments(noise, ETA, beta)
    expected = ETA * SIGMA2 * (1 + beta) / (x / ETA * (1 - beta) * (2 * (1 + beta) - x))
    assert abs(float(found.covariance[0, 0]) / expected - 1) < 1e-11
    assert abs(float(found.mean[0]) - 1) < 1e-12
    if x < 2:
        assert abs(float(found.covariance[0, 0]) / sgd_variance(x) / momentum_variance_ratio(x, beta) - 1) < 1e-11


def test_momentum_in_many_dimensions() -> None:
    """The matrix equation of Liu, Ziyin and Ueda (2012.03636): (1−β)η(HV+VH) − (1+β²)/(1−β²)η²HVH + β/(1−β²)η²(H²V+VH²) = η²C, non-commuting."""
    rng = np.random.default_rng(3)
    noise, beta = Gaussian(quadratic(rng, rng.uniform(0.1, 0.9, 5) / ETA), wishart(rng, 5, 5)), 0.8
    H, C = noise.objective.matrix, noise.covariance(torch.zeros(1, 5, dtype=torch.float64))[0]
    V = momentum_stationary_moments(noise, ETA, beta).covariance[:5, :5]
    left = (1 - beta) * ETA * (H @ V + V @ H) - (1 + beta**2) / (1 - beta**2) * ETA**2 * H @ V @ H + beta / (1 - beta**2) * ETA**2 * (H @ H @ V + V @ H @ H)
    assert relative(left, ETA**2 * C) < 1e-12
    assert relative(momentum_stationary_moments(noise, ETA, 0.0).covariance[:5, :5], stationary_covariance(noise, ETA)) < 1e-12


@pytest.mark.parametrize("dim", [2, 5, 20, 50])
@pytest.mark.parametrize("rank", [1, 2, 100])
def test_product_form_keeps_every_eigendirections_variance(dim: int, rank: int) -> None:
    """Claim A24: below 1e-12 along each eigenvector of H, whatever Σ's rank; SPF fails (control).

    Along coordinates each direction is held to its own variance; along random eigenvectors to the largest, because rounding mixes them.
    """
    rng = np.random.default_rng(100 * dim + rank)
    x, sigma = rng.uniform(0.01, 0.95, dim), wishart(rng, dim, rank)
    for f in (Quadratic(x), quadratic(rng, x)):
        noise = Gaussian(f, sigma)
        U = torch.linalg.eigh(f.matrix)[1]
        sgd, product, spf = ((U.T @ stationary_covariance(*model) @ U).diagonal() for model in ((noise, 1.0), (HASMEProduct(noise, 1.0),), (SPF(noise, 1.0),)))
        scale = sgd if bool((f.matrix == torch.diag(f.matrix.diagonal())).all()) else sgd.max()
        assert float(((product - sgd) / scale).abs().max()) < 1e-12
        assert float((spf / sgd - 1).abs().max()) > 0.01


@pytest.mark.parametrize(("x", "product", "project"), [((0.5, 0.01), 1.0e-3, 1.6e-2), ((0.9, 0.05), 0.022, 0.228)])
def test_product_form_against_projection(x: tuple[float, float], product: float, project: float) -> None:
    """Claim A24: relative Frobenius error of the stationary covariance, Σ = (1,1)(1,1)ᵀ in H's eigenbasis."""
    noise = Gaussian(Quadratic(list(x)), np.ones((2, 2)))
    sgd = stationary_covariance(noise, 1.0)
    assert abs(relative(stationary_covariance(HASMEProduct(noise, 1.0)), sgd) / product - 1) < 0.05
    assert abs(relative(stationary_covariance(HASME(noise, 1.0, psd="project")), sgd) / project - 1) < 0.05


@pytest.mark.parametrize("rank", [1, 5, 25])
def test_product_form_against_projection_in_fifty_dimensions(rank: int) -> None:
    """Claim A24, x equally spaced from .05 to .9, five draws: 1–3 % in the mean, each below the projection's; exact Q, where positive, has no error."""
    rng, products, projections = np.random.default_rng(rank), [], []
    for _ in range(5):
        noise = Gaussian(Quadratic(np.linspace(0.05, 0.9, 50)), wishart(rng, 50, rank))
        sgd = stationary_covariance(noise, 1.0)
        products.append(relative(stationary_covariance(HASMEProduct(noise, 1.0)), sgd))
        projections.append(relative(stationary_covariance(HASME(noise, 1.0, psd="project")), sgd))
    assert 0.01 < np.mean(products) < 0.03
    assert all(a < b for a, b in zip(products, projections, strict=True))
    mild = Gaussian(Quadratic(np.linspace(0.05, 0.9, 50)), np.eye(50) + 0.01 * wishart(rng, 50, rank))
    exact = stationary_covariance(mild, 1.0)
    assert relative(stationary_covariance(HASME(mild, 1.0)), exact) < 1e-12 < relative(stationary_covariance(HASMEProduct(mild, 1.0)), exact)


def test_stationary_moments_are_where_long_runs_end() -> None:
    """Additive and multiplicative noise, SGD and SDE: 2,000 steps of the exact recursion."""
    rng = np.random.default_rng(8)
    least_squares = Minibatch(Regression(rng.standard_normal((8, 3)), rng.standard_normal(8)), 2)
    for noise in (Gaussian(quadratic(rng, np.array([0.5, 1.0, 2.0])), wishart(rng, 3, 3)), least_squares):
        ended = sgd_moments(noise, 0.1, np.zeros(3), 2000)
        found = stationary_moments(noise, 0.1)
        assert relative(found.mean, ended.mean) < 1e-10
        assert relative(found.covariance, ended.covariance) < 1e-10
        assert relative(stationary_moments(SGD(noise, 0.1)).covariance, found.covariance) == 0
        sde = SME2(noise, 0.1)
        later = sde_moments(sde, np.zeros(3), 200.0)
        assert relative(stationary_moments(sde).mean, later.mean) < 1e-10
        assert relative(stationary_moments(sde).covariance, later.covariance) < 1e-10
        kernel = EulerMaruyama(sde, 0.1)
        assert relative(stationary_moments(kernel).covariance, stationary_moments(sde).covariance) > 1e-3


def test_coupled_stationary_difference() -> None:
    """SGD and the exact steps of SME-1: the stationary variance of their difference is far below the sum of their own variances."""
    noise = line(0.1)
    V = stationary_covariance(Coupled(SGD(noise, ETA), ExactOU(SME1(noise, ETA), ETA)))
    difference = float(V[0, 0] + V[1, 1] - 2 * V[0, 1])
    assert 0 < difference < 0.01 * float(V[0, 0] + V[1, 1])


def test_missing_stationary_laws_are_refused_with_the_eigenvalue() -> None:
    with pytest.raises(OracleRefusal, match=r"multiplies a direction by 1\.5"):
        stationary_covariance(Gaussian(Quadratic([1.0, -0.5]), 1.0), 1.0)
    with pytest.raises(OracleRefusal, match=r"multiplies a direction by -1\.1"):
        stationary_covariance(Gaussian(Quadratic([1.0, 2.1]), 1.0), 1.0)
    with pytest.raises(OracleRefusal, match=r"multiplies a direction by 1,"):
        stationary_covariance(Gaussian(Quadratic([1.0, 0.0]), 1.0), 1.0)
    with pytest.raises(OracleRefusal, match=r"eigenvalue 0\.5"):
        stationary_covariance(SME1(Gaussian(Quadratic([1.0, -0.5]), 1.0), 1.0))
    with pytest.raises(OracleRefusal, match="No stationary law"):
        stationary_covariance(EulerMaruyama(SME1(Gaussian(Quadratic(2.5), 1.0), 1.0), 1.0))
    assert stationary_covariance(SME1(Gaussian(Quadratic(2.5), 1.0), 1.0)).shape == (1, 1)  # the SDE itself never diverges (claim A12)
    noisy = Minibatch(Regression(np.array([[0.1], [3.0]]), np.array([1.0, -1.0])), 1)
    with pytest.raises(OracleRefusal, match="No stationary covariance"):
        stationary_covariance(noisy, 0.3)
    with pytest.raises(OracleRefusal, match="no constant Hessian"):
        stationary_covariance(Gaussian(DoubleWell(), 1.0), 0.1)
    with pytest.raises(DomainError, match="indefinite"):
        stationary_covariance(HASME(Gaussian(Quadratic([0.5, 0.01]), np.ones((2, 2))), 1.0))


def test_unusable_input_is_refused() -> None:
    noise = line(0.5)
    with pytest.raises(InputError, match="needs the step size"):
        stationary_covariance(noise)
    with pytest.raises(InputError, match="its own eta"):
        stationary_covariance(SME1(noise, ETA), ETA)
    with pytest.raises(InputError, match="no noise, SDE or kernel"):
        stationary_covariance(noise.objective)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="eta"):
        stationary_covariance(noise, -1.0)
    with pytest.raises(InputError, match="beta"):
        momentum_stationary_moments(noise, ETA, 1.0)
    with pytest.raises(OracleRefusal, match="only constant noise"):
        momentum_stationary_moments(Minibatch(Regression(np.array([[1.0], [2.0]]), np.array([1.0, -1.0])), 1), 0.1, 0.5)
    with pytest.raises(InputError, match="square matrix"):
        discrete_lyapunov(np.eye(2), np.eye(3), eta=0.1)
    with pytest.raises(InputError, match="0 < x < 1"):
        stationary_variance_ratio(SPF, 1.0)
    with pytest.raises(InputError, match="No closed form"):
        stationary_variance_ratio(Heun, 0.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unstable"):
        euler_inflation(0.9, 1)
