"""Weak errors against methods that share no code with the oracle: enumeration, a density on a grid, the torus against the line."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from weak_error_problems import MOMENTS, WAVES, Fields, Wave, moved_variance, tilted

import sgdsde as sg
from sgdsde.objectives import DoubleWell, PeriodicWell
from sgdsde.oracles import TwoPointLaw, sde_expectations, sgd_expectations


class TestSGDAgainstEnumeration:
    """Every path of a two-point noise: exact whatever the objective. Controls the quadrature, its sign, and the characteristic function."""

    @staticmethod
    def enumerate(noise: sg.Noise, law: TwoPointLaw, eta: float, start: np.ndarray, steps: int, functions: dict) -> np.ndarray:
        nodes, weights = law.quadrature(1)
        dim = len(start)
        zeta = torch.tensor(list(product(nodes, repeat=dim)))  # [2^dim, dim]
        share = torch.tensor([math.prod(w) for w in product(weights, repeat=dim)])
        points, mass = torch.tensor(start)[None], torch.ones(1, dtype=torch.float64)
        for _ in range(steps):
            values, vectors = torch.linalg.eigh(noise.covariance(points))
            R = (vectors * values.sqrt()[:, None, :]) @ vectors.transpose(1, 2)
            mean = points - eta * sg.calculus.grad(noise.objective, points)
            points = (mean[:, None] - eta * torch.einsum("pij,zj->pzi", R, zeta)).reshape(-1, dim)
            mass = (mass[:, None] * share).reshape(-1)
        return np.array([float((mass * function(points)).sum()) for function in functions.values()])

    @pytest.mark.parametrize("p", [0.5, 0.2])
    def test_line(self, p: float) -> None:
        noise = sg.noises.Gaussian(DoubleWell(), moved_variance)
        values = sgd_expectations(noise, eta=0.1, theta0=-0.8, horizon=1.0, functions=MOMENTS, law=TwoPointLaw(p)).value[:, 0]
        np.testing.assert_allclose(values, self.enumerate(noise, TwoPointLaw(p), 0.1, np.array([-0.8]), 10, MOMENTS), atol=1e-11)

    def test_the_sign_of_skewed_noise_is_seen(self) -> None:
        """Mutant: ξ = −Rζ. It gives another answer, so the test above can fail."""
        noise = sg.noises.Gaussian(DoubleWell(), moved_variance)
        right, wrong = (self.enumerate(noise, TwoPointLaw(p), 0.1, np.array([-0.8]), 10, MOMENTS) for p in (0.2, 0.8))
        assert np.abs(right - wrong).min() > 1e-5

    def test_torus(self) -> None:
        noise = sg.noises.Gaussian(PeriodicWell(2, amplitude=0.7, coupling=0.4), tilted)
        functions = {"a": Wave((1, 0)), "b": Wave((1, -1)), "c": lambda x: torch.sin(x[:, 1] + 2 * x[:, 0])}
        values = sgd_expectations(noise, eta=0.1, theta0=[1.3, 0.4], horizon=0.5, functions=functions, law=TwoPointLaw(0.2)).value[:, 0]
        exact = self.enumerate(noise, TwoPointLaw(0.2), 0.1, np.array([1.3, 0.4]), 5, functions)
        np.testing.assert_allclose(values, exact, atol=1e-10)
        assert np.abs(exact - self.enumerate(noise, TwoPointLaw(0.8), 0.1, np.array([1.3, 0.4]), 5, functions)).min() > 1e-5


def test_gaussian_sgd_in_a_double_well_against_its_density() -> None:
    """Forward propagation of the density on a fine grid (the trapezoidal rule converges exponentially), with state-dependent noise."""
    eta, steps, start = 0.1, 12, -0.7
    noise = sg.noises.Gaussian(DoubleWell(), moved_variance)
    grid = np.linspace(-3.2, 3.2, 3001)
    points = torch.from_numpy(grid)[:, None]
    mean = (points - eta * sg.calculus.grad(noise.objective, points)).numpy()[:, 0]
    sd = eta * np.sqrt(moved_variance(points).numpy()[:, 0, 0])
    at = torch.tensor([[start]], dtype=torch.float64)
    first_mean = start - eta * float(sg.calculus.grad(noise.objective, at))
    first_sd = eta * math.sqrt(float(moved_variance(at)))
    density = np.exp(-((grid - first_mean) ** 2) / (2 * first_sd**2)) / (first_sd * math.sqrt(2 * math.pi))
    kernel = np.exp(-((grid[:, None] - mean) ** 2) / (2 * sd**2)) / (sd * math.sqrt(2 * math.pi))
    h = grid[1] - grid[0]
    for _ in range(steps - 1):
        density = kernel @ density * h
    exact = [float((density * f(points).numpy()).sum() * h) for f in MOMENTS.values()]
    values = sgd_expectations(noise, eta=eta, theta0=start, horizon=eta * steps, functions=MOMENTS).value[:, 0]
    np.testing.assert_allclose(values, exact, atol=1e-11)


class TestTorusAgainstLine:
    """Two methods that share no code: Chebyshev on an interval, Fourier on the torus, joined by products and by torus automorphisms."""

    eta, horizon = 0.1, 0.8

    @staticmethod
    def circle_noise() -> sg.noises.Gaussian:
        return sg.noises.Gaussian(PeriodicWell(1, amplitude=-0.6), moved_variance)

    @staticmethod
    def pair_noise() -> sg.noises.Gaussian:
        return sg.noises.Gaussian(PeriodicWell(2, amplitude=-0.6), lambda t: torch.diag_embed(0.5 + 0.3 * torch.sin(t + 0.4)))

    def test_sgd_of_two_independent_circles(self) -> None:
        one = sgd_expectations(self.circle_noise(), eta=self.eta, theta0=[[1.3], [0.4]], horizon=self.horizon, functions=WAVES)
        functions = {n: (lambda x, f=f: f(x[:, :1]) * WAVES["cos"](x[:, 1:])) for n, f in WAVES.items()}
        two = sgd_expectations(self.pair_noise(), eta=self.eta, theta0=[1.3, 0.4], horizon=self.horizon, functions=functions)
        np.testing.assert_allclose(two.value[:, 0], one.value[:, 0] * one.value[1, 1], atol=1e-10)

    @pytest.mark.parametrize("model", [sg.sdes.SME2, sg.sdes.HASME])
    def test_sde_of_two_circles_seen_in_sheared_coordinates(self, model: type) -> None:
        """Y = A X with A = [[1, 1], [0, 1]]: X has a full Q and a coupled drift, and E φ(A X) is a product of 1-D answers. Tests every term of L."""
        one = sde_expectations(model(self.circle_noise(), self.eta), theta0=[[1.3], [0.4]], horizon=self.horizon, functions=WAVES)
        A = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
        back, inner = torch.linalg.inv(A), model(self.pair_noise(), self.eta)
        sheared = Fields(lambda x: inner.drift(0.0, x @ A.T) @ back.T, lambda x: back @ inner.diffusion(0.0, x @ A.T) @ back.T)
        functions = {n: (lambda x, f=f: f((x @ A.T)[:, :1]) * WAVES["cos"]((x @ A.T)[:, 1:])) for n, f in WAVES.items()}
        two = sde_expectations(sheared, theta0=(back @ torch.tensor([1.3, 0.4], dtype=torch.float64)), horizon=self.horizon, functions=functions)
        np.testing.assert_allclose(two.value[:, 0], one.value[:, 0] * one.value[1, 1], atol=1e-10)
        # mutant: the mixed derivative is dropped
        no_mixed = Fields(sheared.b, lambda x: torch.diag_embed(sheared.Q(x).diagonal(dim1=1, dim2=2)))
        wrong = sde_expectations(no_mixed, theta0=(back @ torch.tensor([1.3, 0.4], dtype=torch.float64)), horizon=self.horizon, functions=functions)
        assert np.abs(wrong.value - two.value).max() > 1e-4
