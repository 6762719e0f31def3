"""Every noise: what SGD draws and what an SDE uses have one mean and one covariance, that of the samples' own gradients."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from battery.found import classes, examples
from sklearn.datasets import load_digits
from torch import Tensor

import sgdsde as sg
from sgdsde.noise import GaussianNoise, HeavyTailedNoise, Noise
from sgdsde.noises.gaussian import growing_covariance
from sgdsde.rng import stream
from sgdsde.stats import check_covariance, check_mean

DRAWS = 60_000


def digits(components: int = 5) -> sg.Objective:
    """Logistic regression of the digits 3 against 8 on their first principal components, from scikit-learn's copy of the data."""
    data = load_digits()
    chosen = np.isin(data.target, (3, 8))
    x, y = data.data[chosen] / 16.0, (data.target[chosen] == 8).astype(int)
    x = x - x.mean(0)
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    return sg.objectives.LogisticRegression(x @ axes[:components].T, y)


DIGITS = [
    pytest.param(sg.noises.Minibatch(digits(), 8), id="digits with replacement"),
    pytest.param(sg.noises.MinibatchWithoutReplacement(digits(), 100), id="digits without replacement"),
    pytest.param(sg.noises.Surrogate(sg.noises.MinibatchWithoutReplacement(digits(), 100)), id="digits surrogate"),
]
#: heavy-tailed noises have no covariance to agree on: tests/test_stable.py
ALL = [item for item in examples(sg.noises, Noise) if not isinstance(item.values[0], HeavyTailedNoise)] + DIGITS


def points(noise: Noise, count: int = 2) -> Tensor:
    return 0.8 * torch.randn(count, noise.objective.dim, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def sample_gradients(noise: Noise, theta: Tensor) -> Tensor:
    """∇ℓᵢ(θ) one sample after the other, ``[n, dim]``: shares nothing with the package's calculus."""
    rows = []
    for i in range(noise.objective.n):
        point = theta.clone().requires_grad_(True)
        loss = noise.objective.sample_loss(point[None], torch.tensor([[i]]))[0, 0]
        rows.append(torch.autograd.grad(loss, point)[0])
    return torch.stack(rows)


def roots(noise: Noise, theta: Tensor) -> Tensor:
    """R(θ) as a matrix ``[dim, root_dim]``, column by column."""
    eye = torch.eye(noise.root_dim, dtype=theta.dtype)
    return noise.root(theta[None].expand(noise.root_dim, -1), eye).T


def draws_agree(noise: Noise, theta: Tensor) -> None:
    """Mean and covariance of 60,000 draws against g and Σ(θ): false alarm 1e-6 each; resolves 3 % of a variance of a Gaussian law."""
    g = noise.draw(theta[None].expand(DRAWS, -1), stream(7, "draws"))
    check_mean(g, sg.calculus.grad(noise.objective, theta[None])[0], rounding=1e-12)
    check_covariance(g, noise.covariance(theta[None])[0], rounding=1e-12)


def root_agrees(noise: Noise, theta: Tensor) -> None:
    """RRᵀ = Σ, exactly."""
    R, sigma = roots(noise, theta), noise.covariance(theta[None])[0]
    assert torch.allclose(R @ R.T, sigma, rtol=1e-9, atol=1e-12 * float(1 + sigma.abs().max()))


def without_source(noise: Noise) -> tuple[Noise, Any]:
    """The noise that a surrogate imitates (else itself)."""
    return noise.noise if isinstance(noise, sg.noises.Surrogate) else noise


@pytest.mark.parametrize("cls", classes(sg.noises, Noise))
def test_class_brings_examples(cls: Any) -> None:
    assert cls.examples()


@pytest.mark.parametrize("noise", ALL)
def test_draws_have_the_mean_and_covariance_that_the_noise_states(noise: Noise) -> None:
    draws_agree(noise, points(noise)[0])


@pytest.mark.parametrize("noise", ALL)
def test_root_is_a_root_of_the_covariance(noise: Noise) -> None:
    for theta in points(noise):
        root_agrees(noise, theta)


@pytest.mark.parametrize("noise", ALL)
def test_root_is_linear_in_its_normals(noise: Noise) -> None:
    theta = points(noise, 4)
    z = torch.randn(2, 4, noise.root_dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    together = noise.root(theta, 2 * z[0] - z[1])
    assert torch.allclose(together, 2 * noise.root(theta, z[0]) - noise.root(theta, z[1]), atol=1e-11)


@pytest.mark.parametrize("noise", [p for p in ALL if not isinstance(p.values[0], sg.noises.Gaussian | sg.noises.LabelNoise | sg.noises.SampledLabels)])
def test_covariance_is_that_of_the_samples_gradients(noise: Noise) -> None:
    """(1/B)·(1/n)Σ(gᵢ−g)(gᵢ−g)ᵀ, times (n−B)/(n−1) without replacement, from gradients taken one sample after the other."""
    source = without_source(noise)
    n, B = source.objective.n, source.batch_size
    factor = (n - B) / (n - 1) if isinstance(source, sg.noises.MinibatchWithoutReplacement) else 1.0
    theta = points(noise)[0]
    g = sample_gradients(noise, theta)
    expected = torch.cov(g.T, correction=0) * factor / B
    assert torch.allclose(noise.covariance(theta[None])[0], expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("noise", [p for p in ALL if isinstance(p.values[0], GaussianNoise)])
def test_gaussian_draw_is_g_minus_the_root_of_its_normals(noise: GaussianNoise) -> None:
    """The sign of the coupling, and Gaussianity: the draw is affine in normals."""
    theta = points(noise, 3)
    z = torch.randn(3, noise.root_dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert torch.allclose(noise.draw_from(theta, z), sg.calculus.grad(noise.objective, theta) - noise.root(theta, z), atol=1e-12)


@pytest.mark.parametrize("noise", ALL)
def test_paths_do_not_interact(noise: Noise) -> None:
    theta = points(noise, 5)
    z = torch.randn(5, noise.root_dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    one_by_one = torch.cat([noise.root(theta[i : i + 1], z[i : i + 1]) for i in range(5)])
    assert torch.allclose(noise.root(theta, z), one_by_one, atol=1e-12)
    assert torch.allclose(noise.covariance(theta), torch.cat([noise.covariance(theta[i : i + 1]) for i in range(5)]), atol=1e-12)


@pytest.mark.parametrize("noise", ALL)
def test_dtype_of_the_points_is_kept_and_float32_agrees(noise: Noise) -> None:
    theta = points(noise)
    single = theta.float()
    assert noise.draw(single, stream(0, "x")).dtype == torch.float32
    assert noise.draw(theta, stream(0, "x")).dtype == torch.float64
    z = torch.randn(2, noise.root_dim, generator=torch.Generator().manual_seed(5))
    assert noise.root(single, z).dtype == torch.float32
    assert torch.allclose(noise.root(single, z).double(), noise.root(theta, z.double()), rtol=1e-3, atol=1e-4)
    assert noise.covariance(single).dtype == torch.float32


@pytest.mark.parametrize("noise", ALL)
def test_noise_travels_to_workers(noise: Noise) -> None:
    copy, theta = pickle.loads(pickle.dumps(noise)), points(noise)
    assert torch.equal(copy.draw(theta, stream(0, "x")), noise.draw(theta, stream(0, "x")))
    assert copy.conventions() == noise.conventions()


@pytest.mark.parametrize("noise", ALL)
def test_conventions_name_the_sampling_and_the_batch(noise: Noise) -> None:
    stated, source = noise.conventions(), without_source(noise)
    assert stated.sampling
    assert stated.batch_size == getattr(source, "batch_size", None)
    assert getattr(source, "batch_size", None) is None or stated.n == source.objective.n


def test_full_batch_without_replacement_is_noiseless() -> None:
    objective = digits()
    noise = sg.noises.MinibatchWithoutReplacement(objective, objective.n)
    theta = points(noise)
    assert torch.allclose(noise.draw(theta, stream(0, "x")), sg.calculus.grad(objective, theta), atol=1e-13)
    assert float(noise.covariance(theta).abs().max()) == 0.0
    assert float(noise.root(theta, torch.ones(2, objective.n).double().cumsum(1)).abs().max()) == 0.0


def test_batch_without_replacement_holds_each_sample_at_most_once() -> None:
    """On a loss that counts how often a sample was drawn, ĝ·B holds zeros and ones only; with replacement it holds more."""
    counter = sg.objectives.LeastSquares(np.eye(6), np.zeros(6))  # ∇ℓᵢ = θᵢ eᵢ
    theta = torch.ones(2000, 6, dtype=torch.float64)
    once = 4 * sg.noises.MinibatchWithoutReplacement(counter, 4).draw(theta, stream(0, "x"))
    assert set(once.round(decimals=9).unique().tolist()) == {0.0, 1.0}
    assert torch.allclose(once.sum(1), torch.tensor(4.0).double())
    assert float((4 * sg.noises.Minibatch(counter, 4).draw(theta, stream(0, "x"))).max()) > 1.5


def test_cheapest_surrogate() -> None:
    gaussian, minibatch = sg.noises.Gaussian.examples()[0], sg.noises.Minibatch.examples()[0]
    assert sg.noises.gaussian_surrogate(gaussian) is gaussian
    dense = sg.noises.gaussian_surrogate(minibatch)
    assert isinstance(dense, sg.noises.Gaussian)
    assert "minibatch with replacement" in dense.conventions().sampling
    assert dense.conventions().batch_size == minibatch.batch_size
    wide = sg.objectives.LeastSquares(np.random.default_rng(0).normal(size=(5, 70)), np.ones(5))
    assert isinstance(sg.noises.gaussian_surrogate(sg.noises.Minibatch(wide, 2)), sg.noises.Surrogate)


class WrongScale(sg.noises.Minibatch):
    """1/B for 1/√B."""

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return super().root(theta, z) / self.batch_size**0.5


class NotCentred(sg.noises.Minibatch):
    """zᵢ for zᵢ − z̄."""

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        mean = z.mean(1, keepdim=True) * sg.calculus.grad(self.objective, theta) * (self.objective.n / self.batch_size) ** 0.5
        return super().root(theta, z) + mean


class TransposedRoot(sg.noises.Gaussian):
    """Lᵀ for L of the Cholesky factorisation Σ = LLᵀ."""

    def root(self, theta: Tensor, z: Tensor) -> Tensor:
        return (torch.linalg.cholesky(self.covariance(theta)).mT @ z[:, :, None])[:, :, 0]


class NoPopulationFactor(sg.noises.MinibatchWithoutReplacement):
    """Σ as with replacement."""

    def covariance(self, theta: Tensor) -> Tensor:
        return super().covariance(theta) / self._factor


class OneMore(sg.noises.Minibatch):
    """B + 1 samples drawn."""

    def draw(self, theta: Tensor, generator: torch.Generator) -> Tensor:
        return sg.noises.Minibatch(self.objective, self.batch_size + 1).draw(theta, generator)


PLANE = sg.noises.Gaussian.examples()[0].objective


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (WrongScale(digits(), 8), root_agrees),
        (NotCentred(digits(), 8), root_agrees),
        (TransposedRoot(PLANE, [[1.0, 0.2], [0.2, 0.5]]), root_agrees),
        (TransposedRoot(PLANE, [[1.0, 0.2], [0.2, 0.5]]), draws_agree),
        (TransposedRoot(PLANE, growing_covariance), root_agrees),
        (NoPopulationFactor(digits(), 100), draws_agree),
        (NoPopulationFactor(digits(), 100), root_agrees),
        (OneMore(digits(), 8), draws_agree),
    ],
)
def test_mutants_fail(mutant: Noise, test: Any) -> None:
    with pytest.raises(AssertionError):
        test(mutant, points(mutant)[0])
