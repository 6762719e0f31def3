"""Curvature operators three ways (closed form, finite differences, autograd), their spectra, and the exact identities C1–C3."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde import curvature
from sgdsde.types import InputError


def small(activation: type[nn.Module] = nn.ReLU, loss: str = "cross_entropy", samples: int = 40) -> tuple[sg.objectives.Network, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(samples, 5, generator=generator, dtype=torch.float64)
    y = torch.randint(3, (samples,), generator=generator) if loss == "cross_entropy" else torch.randn(samples, 3, generator=generator, dtype=torch.float64)
    module = nn.Sequential(nn.Linear(5, 6), activation(), nn.Linear(6, 4), activation(), nn.Linear(4, 3)).double()
    network = sg.objectives.Network(module, loss, x, y)
    return network, network.initial(1, generator)[0]


def gauss_newton_by_hand(network: sg.objectives.Network, theta: Tensor) -> Tensor:
    """(1/n)ΣJᵀAJ from the dense Jacobian of the outputs and the softmax (or squared) curvature in closed form."""
    J = torch.autograd.functional.jacobian(lambda t: network.outputs(t[None])[0], theta)  # [n, c, dim]
    z = network.outputs(theta[None])[0].detach()
    if network.targets.at(theta[None]).ndim == 1:
        p = z.softmax(1)
        A = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    else:
        A = (2 / z.shape[1]) * torch.eye(z.shape[1], dtype=z.dtype).expand(len(z), -1, -1)
    return torch.einsum("nci,ncd,ndj->ij", J, A, J) / len(z)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
@pytest.mark.parametrize("piece", [4096, 16])
def test_operators_equal_dense_references(loss: str, piece: int) -> None:
    network, theta = small(nn.Tanh, loss)
    H = curvature.hessian_operator(network, theta, piece=piece).dense()
    assert torch.allclose(H, sg.calculus.hessian(network, theta[None])[0], atol=1e-12)
    G = curvature.gauss_newton_operator(network, theta, piece=piece).dense()
    assert torch.allclose(G, gauss_newton_by_hand(network, theta), atol=1e-12)
    grads = sg.calculus.sample_grads(network, theta[None])[0]
    M = curvature.second_moment_operator(network, theta, piece=piece).dense()
    assert torch.allclose(M, grads.T @ grads / network.n, atol=1e-12)
    for B, replacement in ((None, True), (8, True), (8, False)):
        C = curvature.covariance_operator(network, theta, batch_size=B, replacement=replacement, piece=piece).dense()
        if B is None:
            wanted = sg.calculus.sample_covariance(network, theta[None])[0]
        else:
            kind = sg.noises.Minibatch if replacement else sg.noises.MinibatchWithoutReplacement
            wanted = kind(network, B).covariance(theta[None])[0]
        assert torch.allclose(C, wanted, atol=1e-12)


def test_hessian_by_finite_differences() -> None:
    network, theta = small(nn.Tanh)
    operator, h = curvature.hessian_operator(network, theta), 1e-5
    v = torch.randn(network.dim, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for column in v.T:
        forward, back = (sg.calculus.grad(network, (theta + sign * h * column)[None])[0] for sign in (1, -1))
        assert torch.allclose(operator @ column, (forward - back) / (2 * h), atol=1e-8)
    assert torch.equal((operator @ v)[:, 0], operator @ v[:, 0]) or torch.allclose((operator @ v)[:, 0], operator @ v[:, 0], atol=1e-14)


def test_c1_hessian_is_second_moment_minus_h_p() -> None:
    """C1: for the log loss H = M − (1/n)Σ(1/pᵢ)∇²pᵢ (Li et al. 1907.10732), to 1e-12."""
    network, theta = small(nn.Tanh)
    x, y = network.inputs.at(theta[None]), network.targets.at(theta[None])

    def probabilities(t: Tensor) -> Tensor:
        return network.outputs(t[None])[0].softmax(1)[torch.arange(len(y)), y]

    p = probabilities(theta).detach()
    H_p = torch.autograd.functional.hessian(lambda t: (probabilities(t) / p).mean(), theta)
    H, M = curvature.hessian_operator(network, theta), curvature.second_moment_operator(network, theta)
    assert len(x) == network.n
    assert float(((H - M).dense() + H_p).abs().max()) < 1e-12


def test_c2_piecewise_linear_layer_blocks_of_h_are_those_of_g() -> None:
    """C2 with its control: ReLU blocks agree to 1e-14 relative, so tr H = tr G; tanh blocks do not."""
    gaps = {}
    for activation in (nn.ReLU, nn.Tanh):
        network, theta = small(activation)
        H, G = curvature.hessian_operator(network, theta).dense(), curvature.gauss_newton_operator(network, theta).dense()
        gaps[activation] = max(float((H[part, part] - G[part, part]).abs().max() / G.abs().max()) for part in curvature.layer_blocks(network).values())
        assert float((H - G).norm() / H.norm()) > 1e-3
    assert gaps[nn.ReLU] < 1e-14
    assert gaps[nn.Tanh] > 1e-3


def test_c3_rank_of_gauss_newton_is_at_most_n_times_classes_minus_one() -> None:
    network, theta = small(nn.ReLU, samples=7)
    values = torch.linalg.eigvalsh(curvature.gauss_newton_operator(network, theta).dense())
    rank = int((values > 1e-12 * values[-1]).sum())
    hessian = torch.linalg.eigvalsh(curvature.hessian_operator(network, theta).dense()).abs()
    assert rank <= 7 * (3 - 1) < int((hessian > 1e-12 * hessian.max()).sum())


def test_blocks_and_scipy_see_the_same_operator() -> None:
    network, theta = small()
    operator = curvature.hessian_operator(network, theta)
    part = curvature.layer_blocks(network)["2.weight"]
    assert torch.allclose(curvature.block_operator(operator, part).dense(), operator.dense()[part, part], atol=1e-13)
    v = np.random.default_rng(0).standard_normal(network.dim)
    assert np.allclose(operator.to_scipy() @ v, (operator @ torch.as_tensor(v)).numpy())


@pytest.mark.parametrize("which", ["largest", "smallest", "both", "magnitude"])
def test_eigenpairs_of_both_routes_agree(which: str) -> None:
    """Lanczos against the dense solver, with residuals that bound the error; repeated eigenvalues come as often as they occur, no ghosts."""
    spectrum = torch.cat([torch.tensor([9.0, 9.0, 5.0, -7.0, -7.0, -2.0]), torch.linspace(-0.5, 0.5, 114)]).double()
    Q = torch.linalg.qr(torch.randn(120, 120, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    operator = curvature.Matrix((Q * spectrum) @ Q.T)
    exact, iterated = curvature.eigsh(operator, 4, which=which), curvature.eigsh(operator, 4, which=which, dense_below=0)
    assert (exact.method, iterated.method) == ("dense", "thick-restart Lanczos")
    assert torch.allclose(exact.values, iterated.values, atol=1e-8)
    assert float(iterated.residuals.max()) < 1e-6
    assert iterated.orthogonality < 1e-10


def test_density_moments_match_the_matrix_within_their_error_bars() -> None:
    """tr A, tr A², and a count of outliers from 40 vectors; false alarm 1e-6 each (normal), resolving 10 % of tr A²."""
    spectrum = torch.cat([torch.tensor([30.0, 20.0]), torch.linspace(-1, 1, 198)]).double()
    Q = torch.linalg.qr(torch.randn(200, 200, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
    operator = curvature.Matrix((Q * spectrum) @ Q.T)
    density = curvature.spectral_density(operator, steps=30, vectors=200, seed=1)
    for function, wanted in ((np.asarray, spectrum.sum()), (np.square, (spectrum**2).sum()), (lambda v: (v > 10).astype(float), 2.0)):
        estimate = density.integral(function)
        assert abs(estimate.value - float(wanted)) < 4.9 * estimate.stderr
    assert density.integral(np.square).stderr < 0.1 * float((spectrum**2).sum())
    assert np.allclose(density.weights.sum(1), 1)
    for estimate, wanted in (
        (curvature.trace(operator, vectors=400), spectrum.sum()),
        (curvature.frobenius(operator, vectors=400), (spectrum**2).sum()),
        (curvature.trace_of_product(operator, operator, vectors=400), (spectrum**2).sum()),
    ):
        assert abs(estimate.value - float(wanted)) < 4.9 * estimate.stderr


def test_lanczos_has_no_ghosts() -> None:
    """60 steps on a spectrum with one large outlier: plain Lanczos repeats it; here each Ritz value stands once."""
    spectrum = torch.cat([torch.tensor([1000.0]), torch.linspace(0, 1, 99)]).double()
    alpha, beta = curvature.lanczos(curvature.Matrix(torch.diag(spectrum)), torch.full((100,), 0.1, dtype=torch.float64), 60)
    ritz = np.linalg.eigvalsh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))
    assert (ritz > 500).sum() == 1


def test_overlap_of_equal_random_and_orthogonal_subspaces() -> None:
    """Random subspaces: mean overlap k/dim; 200 draws of k = 5 in 100, false alarm 1e-6, resolving .005."""
    generator = torch.Generator().manual_seed(5)
    eye = torch.eye(100, dtype=torch.float64)
    mixed = eye[:, :5] @ torch.randn(5, 5, generator=generator, dtype=torch.float64)
    assert curvature.overlap(eye[:, :5], mixed).value == pytest.approx(1)
    assert curvature.overlap(eye[:, :5], eye[:, 5:10]).value == pytest.approx(0, abs=1e-20)
    values = [curvature.overlap(eye[:, :5], torch.randn(100, 5, generator=generator, dtype=torch.float64)).value for _ in range(200)]
    assert abs(np.mean(values) - 0.05) < 4.9 * np.std(values) / math.sqrt(200)
    with pytest.raises(InputError, match="linearly dependent"):
        curvature.overlap(torch.ones(10, 2).double(), eye[:10, :2])


def test_kronecker_block_is_the_layer_block_of_g_and_exact_for_one_sample() -> None:
    network, theta = small()
    G = curvature.gauss_newton_operator(network, theta).dense()
    for layer in ("0", "2", "4"):
        report = curvature.kronecker_decoupling(network, theta, layer)
        part = curvature.layer_blocks(network)[f"{layer}.weight"]
        assert torch.allclose(report.block, G[part, part], atol=1e-13)
        assert 0 < report.best_error <= report.error
        assert torch.allclose(report.product.dense(), torch.kron(report.left, report.right))
    alone, theta = small(samples=1)
    assert curvature.kronecker_decoupling(alone, theta, "2").error < 1e-12


def test_bad_input_is_refused_in_words() -> None:
    network, theta = small()
    operator = curvature.hessian_operator(network, theta)
    with pytest.raises(InputError, match="Did you mean 'largest'"):
        curvature.eigsh(operator, 2, which="largets")
    with pytest.raises(InputError, match="wanted an integer in 1"):
        curvature.eigsh(operator, network.dim + 1)
    with pytest.raises(InputError, match="cannot multiply shape"):
        operator @ torch.ones(3, dtype=torch.float64)
    with pytest.raises(InputError, match=r"torch\.float64 on cpu, the vectors torch\.float32"):
        operator @ torch.ones(network.dim, dtype=torch.float32)
    with pytest.raises(InputError, match=r"no nn\.Linear"):
        curvature.kronecker_decoupling(network, theta, "1")
    with pytest.raises(InputError, match="For linear models G = H"):
        curvature.gauss_newton_operator(sg.objectives.Quadratic([1.0, 2.0]), [0.0, 0.0])
    with pytest.raises(InputError, match="1 ≤ B"):
        curvature.covariance_operator(network, theta, batch_size=41, replacement=False)
