"""The models of the literature and the product form against independent implementations and the exact step of SGD."""

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.noise import Noise
from sgdsde.noises.gaussian import growing_covariance
from sgdsde.sde import SDE

T = 0.3


def points(sde: SDE, count: int = 6) -> Tensor:
    return 0.7 * torch.randn(count, sde.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def problem(dim: int, seed: int, *, largest: float = 0.9) -> tuple[np.ndarray, np.ndarray, float]:
    """A random indefinite Hessian with ηλ in [−largest, largest], a covariance that does not commute with it, and η."""
    rng = np.random.default_rng(seed)
    eta = 0.3
    U, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    H = U @ np.diag(rng.uniform(-largest, largest, dim) / eta) @ U.T
    W = rng.normal(size=(dim, 2 * dim + 2))
    return (H + H.T) / 2, W @ W.T / W.shape[1], eta


def quadratic_noise(H: np.ndarray, sigma: np.ndarray) -> Noise:
    return sg.noises.Gaussian(sg.objectives.Quadratic(H), sigma)


def flow_by_quadrature(H: np.ndarray, g: np.ndarray, eta: float) -> np.ndarray:
    """L = −∫₀¹(I − sηH)⁻¹g ds."""
    eye = np.eye(len(H))
    return -scipy.integrate.quad_vec(lambda s: np.linalg.solve(eye - s * eta * H, g), 0, 1, epsabs=1e-13, epsrel=1e-13)[0]


def diffusion_by_lyapunov(H: np.ndarray, sigma: np.ndarray, eta: float) -> np.ndarray:
    """Q = −(AC + CA) with C − MCM = η²Σ, A = log(M)/η, M = I − ηH: no eigenvectors."""
    M = np.eye(len(H)) - eta * H
    C = scipy.linalg.solve_discrete_lyapunov(M, eta**2 * sigma, method="direct")
    A = np.real(scipy.linalg.logm(M)) / eta
    return -(A @ C + C @ A)


def one_step(sde: SDE) -> tuple[np.ndarray, np.ndarray]:
    """The exact law of a linear SDE over η: e^{Aη} and ∫₀^η e^{As}Qe^{Aᵀs}ds, from one block exponential (Van Loan 1978)."""
    A, _, Q = (part.numpy() for part in sde.affine())
    d = len(A)
    block = scipy.linalg.expm(sde.eta * np.block([[-A, Q], [np.zeros((d, d)), A.T]]))
    return block[d:, d:].T, block[d:, d:].T @ block[:d, d:]


@pytest.mark.parametrize(("dim", "seed"), [(1, 0), (2, 1), (5, 2), (12, 3)])
def test_hasme_agrees_with_an_implementation_without_eigenvectors(dim: int, seed: int) -> None:
    H, sigma, eta = problem(dim, seed)
    sde = sg.sdes.HASME(quadratic_noise(H, sigma), eta)
    x = np.random.default_rng(seed).normal(size=dim)
    point = torch.from_numpy(x)[None]
    assert np.allclose(sde.drift(0.0, point)[0], flow_by_quadrature(H, H @ x, eta), rtol=1e-10, atol=1e-11)
    assert np.allclose(sde.diffusion(0.0, point)[0], diffusion_by_lyapunov(H, sigma, eta), rtol=1e-8, atol=1e-10)


def test_hasme_agrees_where_hessian_and_covariance_depend_on_the_state() -> None:
    """A coupled torus and Σ = I + θθᵀ, so that no fact of quadratics is used."""
    objective = sg.objectives.PeriodicWell(3, curvature=1.5, amplitude=0.5, coupling=-0.3)
    eta, sde = 0.2, sg.sdes.HASME(sg.noises.Gaussian(objective, growing_covariance), 0.2)
    x = points(sde, 4)
    H, g, sigma = (f.numpy() for f in (sg.calculus.hessian_autodiff(objective, x), sg.calculus.grad_autodiff(objective, x), growing_covariance(x)))
    for i in range(4):
        assert np.allclose(sde.drift(0.0, x)[i], flow_by_quadrature(H[i], g[i], eta), rtol=1e-9, atol=1e-10)
        assert np.allclose(sde.diffusion(0.0, x)[i], diffusion_by_lyapunov(H[i], sigma[i], eta), rtol=1e-8, atol=1e-10)


def exactly_sgd(sde: SDE) -> None:
    """Its exact law over η is one step of SGD, relative error < 1e-12."""
    M = np.eye(sde.dim) - sde.eta * sde.objective.matrix.numpy()
    V = sde.eta**2 * sde.noise.covariance(torch.zeros(1, sde.dim, dtype=torch.float64))[0].numpy()
    mean, covariance = one_step(sde)
    assert np.abs(mean - M).max() < 1e-12 * np.abs(M).max()
    assert np.abs(covariance - V).max() < 1e-12 * np.abs(V).max()


@pytest.mark.parametrize("dim", [1, 2, 3, 5, 10, 20, 50])
def test_hasme_steps_exactly_like_sgd_on_quadratics(dim: int) -> None:
    """Random indefinite H and Σ that do not commute; the flow's mean alone for the principal flow."""
    for seed in range(5):
        H, sigma, eta = problem(dim, seed)
        exactly_sgd(sg.sdes.HASME(quadratic_noise(H, sigma), eta))
        mean, _ = one_step(sg.sdes.PrincipalFlow(quadratic_noise(H, sigma), eta))
        assert np.abs(mean - (np.eye(dim) - eta * H)).max() < 1e-12 * np.abs(mean).max()


@pytest.mark.parametrize("model", [sg.sdes.SME1, sg.sdes.SME2, sg.sdes.SPF, sg.sdes.HASMEProduct, sg.sdes.GradientFlow])
def test_other_models_do_not(model: Any) -> None:
    with pytest.raises(AssertionError):
        exactly_sgd(model(quadratic_noise(*problem(3, 0)[:2]), 0.3))


@pytest.mark.parametrize("dim", [2, 5, 20, 50])
def test_product_form_keeps_the_variance_of_every_eigendirection(dim: int) -> None:
    """Diagonal of UᵀVU against η²UᵀΣU below 1e-12; off the diagonal it differs, and it is positive for a Σ of rank one."""
    H, sigma, eta = problem(dim, 7)
    U = np.linalg.eigh(H)[1]
    _, V = one_step(sg.sdes.HASMEProduct(quadratic_noise(H, sigma), eta))
    gap = U.T @ (V - eta**2 * sigma) @ U / (eta**2 * np.abs(sigma).max())
    assert np.abs(np.diag(gap)).max() < 1e-12
    assert np.abs(gap).max() > 1e-5
    v = np.random.default_rng(0).normal(size=dim)
    Q = sg.sdes.HASMEProduct(quadratic_noise(H, np.outer(v, v)), eta).affine()[2]
    assert float(torch.linalg.eigvalsh(Q)[0]) > -1e-12 * float(Q.abs().max())


def test_product_form_is_hasme_where_noise_commutes_with_curvature() -> None:
    H, _, eta = problem(6, 8)
    noise = quadratic_noise(H, H @ H + 0.3 * np.eye(6))
    assert torch.allclose(sg.sdes.HASMEProduct(noise, eta).affine()[2], sg.sdes.HASME(noise, eta).affine()[2], rtol=1e-10, atol=1e-12)
    other = quadratic_noise(*problem(6, 8)[:2])
    assert not torch.allclose(sg.sdes.HASMEProduct(other, eta).affine()[2], sg.sdes.HASME(other, eta).affine()[2], rtol=1e-4)


def test_sme2_follows_the_modified_loss() -> None:
    """b = −∇(f + (η/4)|∇f|²), by autodiff of the modified loss; without the ½ it fails."""
    for sde in sg.sdes.SME2.examples():
        x = points(sde).requires_grad_(True)
        losses = sde.objective.sample_loss(x).mean(1).sum()
        (g,) = torch.autograd.grad(losses, x, create_graph=True)
        (whole,) = torch.autograd.grad((losses + sde.eta / 4 * (g**2).sum()), x)
        assert torch.allclose(sde.drift(T, x.detach()), -whole, rtol=1e-11, atol=1e-13)
        (wrong,) = torch.autograd.grad(sde.objective.sample_loss(x).mean(1).sum(), x)
        assert not torch.allclose(sde.drift(T, x.detach()), -wrong - 2 * (whole - wrong), rtol=1e-4)


def test_models_share_what_they_say_they_share() -> None:
    """SPF and HA-SME share the principal flow's drift; SME-1, SME-2 and SPF the diffusion ηΣ."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(2), growing_covariance)
    made = {cls: cls(noise, 0.05) for cls in (sg.sdes.PrincipalFlow, sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASMEProduct, sg.sdes.SME1, sg.sdes.SME2)}
    x = points(made[sg.sdes.SPF])
    flow = made[sg.sdes.PrincipalFlow].drift(T, x)
    for cls in (sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASMEProduct):
        assert torch.allclose(made[cls].drift(T, x), flow, rtol=1e-11, atol=1e-13)
    for cls in (sg.sdes.SPF, sg.sdes.SME1, sg.sdes.SME2):
        assert torch.allclose(made[cls].diffusion(T, x), 0.05 * growing_covariance(x), rtol=1e-12)


class WrongPair(sg.sdes.HASME):
    """φ(mᵢ²) in every place: the diagonal's factor off the diagonal."""

    def pair(self, x: Tensor) -> Tensor:
        return super().pair(x).diagonal(dim1=1, dim2=2)[:, :, None].expand(-1, -1, x.shape[1])


def test_mutant_fails() -> None:
    with pytest.raises(AssertionError):
        exactly_sgd(WrongPair(quadratic_noise(*problem(3, 0)[:2]), 0.3))
