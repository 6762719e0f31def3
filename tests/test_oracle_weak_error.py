"""Weak errors without Monte Carlo, held against closed forms; the laws of the noise; what is remembered of claims. Deterministic: no false alarms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from weak_error_problems import MOMENTS, Fields, Wave

import sgdsde as sg
from sgdsde.objectives import PeriodicWell, Quadratic
from sgdsde.oracles import ExponentialLaw, GaussianLaw, TwoPointLaw, sde_expectations, weak_error, weak_errors
from sgdsde.oracles.patch import Patch
from sgdsde.types import InputError


def gaussian_moments(mean: float, variance: float) -> np.ndarray:
    return np.array([mean, mean**2 + variance, math.cos(mean) * math.exp(-variance / 2)])


class TestAgainstClosedForms:
    @pytest.mark.parametrize(
        ("lam", "eta", "horizon"), [(1.0, 0.1, 0.8), (8.0, 0.1, 0.8), (1e-3, 0.1, 1.0), (1.0, 0.9, 9.0), (3.0, 0.1, 30.0), (-0.5, 0.1, 1.0)]
    )
    def test_quadratics(self, lam: float, eta: float, horizon: float) -> None:
        """SGD's and SME-1's Gaussian laws: below 1e-10 of each function's size, and inside the stated accuracy."""
        sigma2, start, k = 0.64, 1.3, round(horizon / eta)
        m = 1 - eta * lam
        sgd = gaussian_moments(m**k * start, eta**2 * sigma2 * sum(m ** (2 * j) for j in range(k)))
        ou = gaussian_moments(math.exp(-lam * horizon) * start, eta * sigma2 * -math.expm1(-2 * lam * horizon) / (2 * lam))
        result = weak_error(sg.sdes.SME1, sg.noises.Gaussian(Quadratic(lam), sigma2), eta=eta, theta0=start, horizon=horizon, functions=MOMENTS)
        for i, name in enumerate(MOMENTS):
            assert abs(result.sgd[name] - sgd[i]) < 1e-10 * max(1, sgd[i])
            assert abs(result.sde[name] - ou[i]) < 1e-10 * max(1, ou[i])
            assert abs(result.error[name] - (ou[i] - sgd[i])) <= result.accuracy[name]

    def test_ha_sme_is_exact_on_quadratics_and_sme1_is_not(self) -> None:
        noise = sg.noises.Gaussian(Quadratic(4.0), 0.64)
        exact, rough = (weak_error(model, noise, eta=0.1, theta0=1.3, horizon=0.8) for model in (sg.sdes.HASME, sg.sdes.SME1))
        assert max(abs(e) for e in exact.error.values()) < 1e-10
        assert min(abs(e) for e in rough.error.values()) > 1e-4

    def test_the_principal_flow_is_gradient_descent_on_quadratics(self) -> None:
        """CLAIMS A17, noise switched off, against the gradient flow as control."""
        noise = sg.noises.Gaussian(Quadratic(4.0), 0.0)
        exact, rough = (weak_error(model, noise, eta=0.1, theta0=1.3, horizon=0.8) for model in (sg.sdes.PrincipalFlow, sg.sdes.GradientFlow))
        assert max(abs(e) for e in exact.error.values()) < 1e-10
        assert min(abs(e) for e in rough.error.values()) > 1e-4

    def test_constant_coefficients_on_the_torus(self) -> None:
        """Brownian motion with drift: E cos(k·X_T) = cos(k·(x + bT))·e^{−½kᵀQkT}."""
        Q, b, x, T = np.array([[0.5, 0.3], [0.3, 0.4]]), np.array([0.7, -1.1]), np.array([0.4, 2.0]), 0.9
        sde = Fields(lambda t: torch.tensor(b).expand(len(t), 2), lambda t: torch.tensor(Q).expand(len(t), 2, 2))
        functions = {str(k): Wave(k) for k in [(1, 0), (2, -1), (1, 3)]}
        values = sde_expectations(sde, theta0=x, horizon=T, functions=functions).value[:, 0]
        exact = [math.cos(np.dot(k, x + b * T)) * math.exp(-0.5 * np.dot(k, Q @ k) * T) for k in [(1, 0), (2, -1), (1, 3)]]
        np.testing.assert_allclose(values, exact, atol=1e-12)

    def test_rademacher_noise_at_half_makes_sgd_uniform(self) -> None:
        """CLAIMS A3: θ⁺ = θ/2 ± ησ has the uniform law on ±2ησ, excess kurtosis −1.2; in general κ(1−m²)/(1+m²) with κ = −2. HA-SME has 0."""
        noise = sg.noises.Gaussian(Quadratic(1.0), 1.0)
        functions = {"x2": lambda x: x[:, 0] ** 2, "x4": lambda x: x[:, 0] ** 4}
        for eta in (0.5, 0.25):
            m = 1 - eta
            run = weak_error(sg.sdes.HASME, noise, eta=eta, theta0=0.0, horizon=60 * eta, functions=functions, law=TwoPointLaw())
            assert run.sgd["x4"] / run.sgd["x2"] ** 2 - 3 == pytest.approx(-2 * (1 - m**2) / (1 + m**2), abs=1e-7)
            assert run.sde["x4"] / run.sde["x2"] ** 2 - 3 == pytest.approx(0, abs=1e-7)


class TestClaims:
    """Regression values of CLAIMS A7, A8: f = λx²/2 + .6cos x, σ = .8, start 1.3, η = .1; error = SDE − SGD."""

    models = ("SME2", "SPF", "HASME", "HASME3")

    def errors(self, lam: float, horizon: float) -> dict[str, dict[str, float]]:
        noise = sg.noises.Gaussian(PeriodicWell(1, curvature=lam, amplitude=0.6), 0.64)
        models = {name: getattr(sg.sdes, name) for name in self.models}
        return {name: r.error for name, r in weak_errors(models, noise, eta=0.1, theta0=1.3, horizon=horizon, functions=MOMENTS).items()}

    def test_a7(self) -> None:
        expected = {
            1: {"SME2": -1.6e-3, "SPF": -2.7e-3, "HASME": -8.6e-4, "HASME3": -1.5e-4},
            2: {"SME2": -7.5e-5},
            4: {"SME2": -2.6e-3},
            8: {"SME2": -3.7e-3, "SPF": -4.5e-3, "HASME": -4.2e-6, "HASME3": -4.0e-6},
        }
        for lam, row in expected.items():
            errors = self.errors(lam, 0.8)
            for name, value in row.items():
                assert errors[name]["x2"] == pytest.approx(value, rel=0.05), (lam, name)
        assert abs(self.errors(2, 0.8)["SME2"]["x2"]) < abs(self.errors(2, 0.8)["HASME"]["x2"])  # SME-2's sign change beats HA-SME there

    def test_a8(self) -> None:
        errors = self.errors(1, 1.6)
        for name, value in {"HASME": -7.1e-4, "SME2": 4.2e-4, "SPF": -2.0e-4}.items():
            assert errors[name]["x"] == pytest.approx(value, rel=0.02)


class TestLaws:
    @pytest.mark.parametrize("law", [GaussianLaw(), TwoPointLaw(), TwoPointLaw(0.2), ExponentialLaw()])
    def test_moments_and_characteristic_function(self, law: sg.oracles.Law) -> None:
        nodes, weights = law.quadrature(32)
        np.testing.assert_allclose([(weights * nodes**k).sum() for k in range(4)], [1, 0, 1, law.skewness], atol=1e-10)
        t = np.linspace(-0.5, 0.5, 7)
        np.testing.assert_allclose(law.characteristic(t), (weights * np.exp(1j * t[:, None] * nodes)).sum(1), atol=1e-10)
        assert 0 < law.extent(5.0) <= law.extent(20.0)

    @pytest.mark.parametrize("p", [0.0, 1.0, -0.1])
    def test_two_point_needs_a_probability(self, p: float) -> None:
        with pytest.raises(InputError, match=r"inside \(0, 1\)"):
            TwoPointLaw(p)


def test_margins() -> None:
    """Saturation and switches leave the core alone and stay inside the interval."""
    on = Patch(-1.0, 2.0, 0.5, 0.4, 64)
    core = np.linspace(-1.0, 2.0, 101)
    np.testing.assert_allclose(on.saturate(core), core, atol=1e-6)
    far = on.saturate(np.array([-1e3, -1.6, 2.5, 1e3]))
    assert far.min() >= on.low - on.left - 1e-12
    assert far.max() <= on.high + on.right + 1e-12
    assert (np.diff(on.saturate(np.linspace(-1.5, 2.4, 200))) > 0).all()
    left, right = on.inside()
    inside = (on.x > -1) & (on.x < 2)
    assert (left[inside] > 1 - 2e-5).all()
    assert (right[inside] > 1 - 2e-5).all()
    assert left[-1] < 2e-5
    assert right[0] < 2e-5
