"""The third-order models: their order by deterministic expectations in one and two dimensions, their exactness, the two ways to (Σ:∂∂)g."""

from __future__ import annotations

import functools
import importlib

import numpy as np
import pytest
import torch
from exact_torus import Torus, Trigonometric, exponential_damping, slopes
from torch import Tensor

import sgdsde as sg
from sgdsde.kernels.exact_ou import transition
from sgdsde.sdes.third_order import noise_curvature
from sgdsde.types import DomainError, InputError

T64 = torch.float64
THIRD = ("SME3", "HASME3", "HASME3Product")


def scalar_covariance(x: Tensor) -> Tensor:
    return ((0.5 + 0.3 * torch.sin(x + 0.4)) ** 2)[:, :, None]


def constant_scalar(x: Tensor) -> Tensor:
    return torch.full((x.shape[0], 1, 1), 0.5, dtype=x.dtype)


def planar_covariance(x: Tensor) -> Tensor:
    """Varies over the torus and commutes with no Hessian there."""
    first, second, both = x[:, 0], x[:, 1], x.sum(1)
    rows = [
        torch.stack([0.5 + 0.15 * torch.sin(second), 0.2 * torch.cos(first)], -1),
        torch.stack([0.1 + 0 * first, 0.4 + 0.15 * torch.cos(both)], -1),
    ]
    root = torch.stack(rows, -2)
    return root @ root.transpose(1, 2)


PROBLEMS = {
    "circle, Σ(θ)": (Trigonometric([[1], [2]], [0.8, 0.1], [0.0, 0.7]), scalar_covariance, 48, (0.05, 0.025, 0.0125)),
    "circle, Σ constant": (Trigonometric([[1], [3]], [0.6, 0.05], [0.3, 0.0]), constant_scalar, 48, (0.05, 0.025, 0.0125)),
    "torus, Σ(θ) that does not commute": (Trigonometric([[1, 0], [0, 1], [1, 1]], [0.5, 0.4, 0.2], [0.0, 0.5, 0.3]), planar_covariance, 20, (0.1, 0.05, 0.025)),
}


@functools.cache
def last_slopes(problem: str, model: str) -> np.ndarray:
    f, covariance, count, etas = PROBLEMS[problem]
    noise = sg.noises.Gaussian(f, covariance)
    return slopes(Torus(count, f.dim).errors(noise, getattr(sg.sdes, model), etas, 0.4))[-1]


@pytest.mark.parametrize("model", THIRD)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_weak_order_three(problem: str, model: str) -> None:
    """Local slopes at the smallest steps within .2 of 3, for two test functions and the worst start point; no randomness."""
    assert np.abs(last_slopes(problem, model) - 3).max() < 0.2


@pytest.mark.parametrize("model", ["SME2", "SPF", "HASME", "HASMEProduct"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_second_order_models_have_order_two_there(problem: str, model: str) -> None:
    """Control: the same route gives 2 for the models that lack the third-order terms."""
    assert np.abs(last_slopes(problem, model) - 2).max() < 0.2


@pytest.mark.parametrize("mutant", ["sign of the noise term", "no third derivative", "shift against the gradient"])
@pytest.mark.parametrize("model", THIRD)
def test_mutants_fall_back_to_order_two(model: str, mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each third-order term, got wrong alone, costs one order: the slope test sees all of them."""
    module = importlib.import_module(f"sgdsde.sdes.{model.lower().replace('product', '_product')}")
    original = module.third_order_drift
    if mutant == "sign of the noise term":
        monkeypatch.setattr(
            module, "third_order_drift", lambda noise, theta, g, eta: original(noise, theta, g, eta) - eta**2 / 2 * noise_curvature(noise, theta)
        )
    elif mutant == "no third derivative":
        monkeypatch.setattr(module, "third_order_drift", lambda noise, theta, g, eta: eta**2 / 4 * noise_curvature(noise, theta))
    else:
        monkeypatch.setattr(module, "shifted", lambda f, theta, eta, g=None: theta - eta / 2 * sg.calculus.grad(f, theta))
    f, covariance, count, etas = PROBLEMS["circle, Σ(θ)"]
    found = slopes(Torus(count, 1).errors(sg.noises.Gaussian(f, covariance), getattr(sg.sdes, model), etas, 0.4))[-1]
    assert np.abs(found - 2).max() < 0.25


@pytest.mark.parametrize("problem", ["circle, Σ(θ)", "circle, Σ constant"])
def test_skewed_noise_caps_the_order_at_two(problem: str) -> None:
    """SGD with ξ = √Σ·(Exp(1) − 1), the same Σ and a third cumulant: SME-3's slope is 2, and it gains little on SME-2."""
    f, covariance, count, etas = PROBLEMS[problem]
    noise = sg.noises.Gaussian(f, covariance)
    third = Torus(count, 1).errors(noise, sg.sdes.SME3, etas, 0.4, exponential_damping)
    second = Torus(count, 1).errors(noise, sg.sdes.SME2, etas, 0.4, exponential_damping)
    assert np.abs(slopes(third)[-1] - 2).max() < 0.2
    assert float((third[-1] / second[-1]).min()) > 0.2  # with Gaussian noise this ratio is about .01


class Fourth(sg.sdes.SME3):
    """The order-4 model of the theory notes, in one dimension with constant Σ, for a trigonometric f."""

    def drift(self, t: float, x: Tensor) -> Tensor:
        g, H, third, fourth, s = self._parts(x)
        eta = self.eta
        b3 = (s * g * fourth + 6 * s * H * third - 2 * g**2 * H * third - 3 * g * H**3) / 12
        return super().drift(t, x) + eta**3 * b3

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        g, H, third, _, s = self._parts(x)
        return (self.eta * s * (1 + self.eta * H + self.eta**2 * (5 * H**2 + 2 * g * third) / 6))[:, :, None]

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        f = self.objective
        assert isinstance(f, Trigonometric)
        k, angle = f.modes.T, x @ f.modes.T + f.phases
        waves = [-torch.sin(angle), -torch.cos(angle), torch.sin(angle), torch.cos(angle)]
        g, H, third, fourth = ((f.amplitudes * k ** (j + 1) * wave).sum(1, keepdim=True) for j, wave in enumerate(waves))
        return g, H, third, fourth, self.noise.covariance(x)[:, :, 0]


def test_order_four_exists_where_the_covariance_is_constant() -> None:
    """The symbol's η³ terms of drift and Q give slope 4 with constant Σ; with Σ(θ) the same rung is missing (test_symbolic)."""
    f, covariance, count, _ = PROBLEMS["circle, Σ constant"]
    found = slopes(Torus(count, 1).errors(sg.noises.Gaussian(f, covariance), Fourth, (0.1, 0.05, 0.025), 0.4))
    assert np.abs(found[-1] - 4).max() < 0.25


def random_quadratic(seed: int, dim: int) -> tuple[sg.noises.Gaussian, float]:
    g = torch.Generator().manual_seed(seed)
    U = torch.linalg.qr(torch.randn(dim, dim, generator=g, dtype=T64))[0]
    x = torch.rand(dim, generator=g, dtype=T64) * 1.5 - 0.7  # ηλ in (−.7, .8)
    H = U @ torch.diag(x / 0.1) @ U.T
    G = torch.randn(dim, dim, generator=g, dtype=T64)
    return sg.noises.Gaussian(sg.objectives.Quadratic((H + H.T) / 2), G @ G.T / dim + torch.eye(dim, dtype=T64)), 0.1


@pytest.mark.parametrize("dim", [1, 2, 7, 50])
def test_dense_third_order_hasme_is_exact_on_quadratics(dim: int) -> None:
    """One step's map and covariance to 1e-12, indefinite H that does not commute with Σ; SME-3 is off by more than 1e-3 (control)."""
    noise, eta = random_quadratic(dim, dim)
    assert isinstance(noise.objective, sg.objectives.Quadratic)
    M = torch.eye(dim, dtype=T64) - eta * noise.objective.matrix
    wanted = eta**2 * noise.covariance(torch.zeros(1, dim, dtype=T64))[0]
    errors = {}
    for model in ("HASME3", "SME3"):
        sde = getattr(sg.sdes, model)(noise, eta)
        flow, _, V = transition(*sde.affine(), eta)
        errors[model] = max(float((flow - M).norm() / M.norm()), float((V - wanted).norm() / wanted.norm()))
    assert errors["HASME3"] < 1e-12
    assert errors["SME3"] > 1e-3


class Cubic(sg.Objective):
    """Samples ℓᵢ = sin(aᵢ·θ) + (bᵢ·θ)³/6 without facts."""

    def __init__(self, n: int, dim: int) -> None:
        g = torch.Generator().manual_seed(0)
        self.n, self.dim = n, dim
        self.a, self.b = torch.randn(2, n, dim, generator=g, dtype=T64)

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        values = torch.sin(theta @ self.a.T) + (theta @ self.b.T) ** 3 / 6  # [paths, n]
        return values if batch is None else values.gather(1, batch)


@pytest.mark.parametrize(("n", "dim"), [(3, 5), (9, 4)])
@pytest.mark.parametrize("kind", ["Minibatch", "MinibatchWithoutReplacement", "Surrogate"])
def test_noise_curvature_from_roots_and_from_the_covariance(n: int, dim: int, kind: str) -> None:
    """(Σ:∂∂)g = ∇_θ′ tr(Σ(θ)H(θ′)) at θ′ = θ by finite differences of the Hessian: both routes (n < dim and n ≥ dim) to 1e-7."""
    f = Cubic(n, dim)
    noise = sg.noises.Surrogate(sg.noises.Minibatch(f, 2)) if kind == "Surrogate" else getattr(sg.noises, kind)(f, 2)
    theta = torch.randn(3, dim, generator=torch.Generator().manual_seed(1), dtype=T64) * 0.5
    sigma, h = noise.covariance(theta), 1e-5
    wanted = torch.zeros_like(theta)
    for j in range(dim):
        e = torch.zeros(dim, dtype=T64)
        e[j] = h
        difference = sg.calculus.hessian(f, theta + e) - sg.calculus.hessian(f, theta - e)
        wanted[:, j] = (sigma * difference).sum((1, 2)) / (2 * h)
    found = noise_curvature(noise, theta)
    assert float((found - wanted).abs().max()) < 1e-7 * float(wanted.abs().max() + 1)
    assert float(wanted.abs().max()) > 0.1


def test_root_route_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Splitting the root's columns into batches changes nothing but the order of a sum."""
    noise = sg.noises.Minibatch(Cubic(5, 8), 2)
    theta = torch.randn(3, 8, generator=torch.Generator().manual_seed(2), dtype=T64)
    whole = noise_curvature(noise, theta)
    monkeypatch.setattr("sgdsde.sdes.third_order._CHUNK", 1)
    assert float((noise_curvature(noise, theta) - whole).abs().max()) < 1e-14 * float(whole.abs().max())


@pytest.mark.parametrize("name", [*THIRD, "EvenStepHASME"])
def test_a_lost_path_harms_no_other(name: str) -> None:
    """A NaN point stays NaN and its neighbour's terms are those it has alone."""
    noise = sg.noises.Gaussian(Trigonometric([[1, 0], [1, 1]], [1.0, 0.5], [0.0, 0.4]), planar_covariance)
    sde = getattr(sg.sdes, name)(noise, 0.1)
    good = torch.tensor([[0.3, -0.8]], dtype=T64)
    alone = sde.drift(0.0, good)
    together = sde.drift(0.0, torch.cat([good, torch.full_like(good, torch.nan)]))
    assert float((together[:1] - alone).abs().max()) < 1e-14
    assert bool(torch.isnan(together[1]).all())


def test_third_order_models_obey_the_policies() -> None:
    """HASME3 refuses ηλ ≥ 1 and indefinite Q like HASME; SME3 exists at every step size; the product is positive at rank one."""
    steep = sg.noises.Gaussian(sg.objectives.Quadratic([12.0, 1.0]), 1.0)
    for name in ("HASME3", "HASME3Product"):
        with pytest.raises(DomainError, match=r"eta·lambda = 1\.2"):
            getattr(sg.sdes, name)(steep, 0.1)
    assert bool(torch.isfinite(sg.sdes.SME3(steep, 0.1).drift(0.0, torch.ones(1, 2, dtype=T64))).all())
    rank_one = sg.noises.Gaussian(sg.objectives.Quadratic([9.0, 0.5]), torch.ones(2, 2))
    origin = torch.zeros(1, 2, dtype=T64)
    with pytest.raises(DomainError, match="indefinite"):
        sg.sdes.HASME3(rank_one, 0.1).check(origin)
    sg.sdes.HASME3(rank_one, 0.1, psd="project").check(origin)
    product = sg.sdes.HASME3Product(rank_one, 0.1).diffusion(0.0, origin)
    assert float(torch.linalg.eigvalsh(product)[0, 0]) > -1e-15
    with pytest.raises(InputError, match="no domain policy"):
        sg.sdes.HASME3(rank_one, 0.1, psd="clip")


def test_langevin_leaves_the_gibbs_law_in_place() -> None:
    """∫ e^{−f/T}·𝓛u = 0 for every mode u on the circle; at another temperature it does not vanish (mutant: T for 2T)."""
    f = Trigonometric([[1], [2]], [0.8, 0.3], [0.0, 0.7])
    torus = Torus(48, 1)
    density = np.exp(-f.loss(torch.as_tensor(torus.x)).numpy() / 0.6)
    density /= density.sum()
    noise = sg.noises.Gaussian(f, 1.0)
    assert np.abs(density @ torus.generator(sg.sdes.Langevin(noise, 0.1, temperature=0.6))).max() < 1e-10
    assert np.abs(density @ torus.generator(sg.sdes.Langevin(noise, 0.1, temperature=0.3))).max() > 1e-3


def test_langevin_without_a_temperature_has_the_noises_trace() -> None:
    """2T(θ) = η·tr Σ(θ)/dim; for isotropic Σ it is SME-1. A temperature ≤ 0 is refused."""
    noise = sg.noises.Gaussian(Trigonometric([[1, 0], [1, 1]], [1.0, 0.5], [0.0, 0.4]), planar_covariance)
    theta = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=T64)
    Q = sg.sdes.Langevin(noise, 0.1).diffusion(0.0, theta)
    trace = 0.1 * noise.covariance(theta).diagonal(dim1=1, dim2=2).sum(1)
    assert float((Q.diagonal(dim1=1, dim2=2).sum(1) - trace).abs().max()) < 1e-15
    assert float(Q[:, 0, 1].abs().max()) == 0
    isotropic = sg.noises.Gaussian(noise.objective, 0.7)
    dw = torch.ones(4, 2, dtype=T64)
    assert float((sg.sdes.Langevin(isotropic, 0.1).diffuse(0.0, theta, dw) - sg.sdes.SME1(isotropic, 0.1).diffuse(0.0, theta, dw)).abs().max()) < 1e-15
    with pytest.raises(InputError, match="temperature = 0"):
        sg.sdes.Langevin(noise, 0.1, temperature=0)
