"""Orders: slopes on known sequences, refusals, and the weak orders of every model by the deterministic oracle. No Monte Carlo: no false alarms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from weak_error_problems import moved_variance, tilted

import sgdsde as sg
from sgdsde.calculus import grad, hvp, third_trace
from sgdsde.noise import Noise
from sgdsde.objectives import DoubleWell, PeriodicWell
from sgdsde.oracles import ExponentialLaw, TwoPointLaw
from sgdsde.order import OrderFit, fit_order, local_slopes, measure_order, measure_orders, slowest
from sgdsde.sdes import HASME, HASME3, SME1, SME2, SME3, SPF, GradientFlow, HASMEProduct
from sgdsde.types import InputError, OracleRefusal

ETAS = [0.1, 0.05, 0.025, 0.0125]
ORDERS = {"GradientFlow": 1, "SME1": 1, "SME2": 2, "SPF": 2, "HASME": 2, "HASMEProduct": 2, "SME3": 3, "HASME3": 3}
MODELS = {model.__name__: model for model in (GradientFlow, SME1, SME2, SPF, HASME, HASMEProduct, SME3, HASME3)}


def verdict(fits: dict[str, OrderFit], order: float) -> str:
    """The verdict on the model: that of its slowest test function, two of which at least must be asymptotic."""
    return slowest(fits)[1].verdict(order)


class HalfForgotten(SME2):
    """Mutant: −g − ηHg, the ½ missing."""

    def drift(self, t: float, x: Tensor) -> Tensor:
        g = grad(self.objective, x)
        return -g - self.eta * hvp(self.objective, x, g)


class WrongSign(SME2):
    """Mutant: −g + (η/2)Hg."""

    def drift(self, t: float, x: Tensor) -> Tensor:
        g = grad(self.objective, x)
        return -g + (self.eta / 2) * hvp(self.objective, x, g)


class RootOfEta(SME1):
    """Mutant: Q = √η·Σ."""

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self.noise.covariance(x) * self.eta**0.5


class CovarianceAtTheta(SME3):
    """Mutant: SME-3 without the shift of Σ to θ + (η/2)g: SME-2's covariance terms only."""

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        half = torch.eye(self.dim, dtype=x.dtype) + (self.eta / 2) * sg.calculus.hessian(self.objective, x)
        return self.eta * half @ self.noise.covariance(x) @ half


class NoTrace(SME3):
    """Mutant: SME-3 without (η²/4)(Σ:∂∂)g."""

    def drift(self, t: float, x: Tensor) -> Tensor:
        return super().drift(t, x) - (self.eta**2 / 4) * third_trace(self.objective, x, self.noise.covariance(x))


class TestSlopes:
    def test_a_power_law(self) -> None:
        eta = np.array([0.2, 0.1, 0.05])
        slopes, uncertainty = local_slopes(eta, -3 * eta**2.5, 0.01 * eta**2.5)
        np.testing.assert_allclose(slopes, 2.5, rtol=1e-12)
        np.testing.assert_allclose(uncertainty, np.hypot(0.01 / 3, 0.01 / 3) / np.log(2), rtol=1e-12)

    def test_the_uncertainty_is_that_of_the_slope(self) -> None:
        """Errors scattered by their standard error: the slopes scatter by their uncertainty. With 20,000 draws ±3 % is six standard errors of a
        standard deviation: false alarm < 1e-8; a missing √2 (29 %) is seen."""
        rng = np.random.default_rng(1)
        eta, truth, stderr = np.array([0.3, 0.1]), np.array([0.09, 0.01]), np.array([0.002, 0.0003])
        draws = [local_slopes(eta, truth + stderr * rng.standard_normal(2), stderr) for _ in range(20_000)]
        scatter = np.std([slopes[0] for slopes, _ in draws])
        assert scatter == pytest.approx(np.mean([u[0] for _, u in draws]), rel=0.03)

    def test_a_zero_error_has_no_slope(self) -> None:
        slopes, uncertainty = local_slopes([0.2, 0.1], [1e-3, 0.0], [1e-9, 1e-9])
        assert np.isnan(slopes[0])
        assert np.isinf(uncertainty[0])

    @pytest.mark.parametrize(
        ("eta", "errors", "accuracy", "words"),
        [
            ([0.1], [1.0], [0.0], "equal lengths of at least two"),
            ([0.1, 0.2], [1.0], [0.0], "equal lengths"),
            ([0.1, 0.1], [1.0, 2.0], 0.0, "distinct positive"),
            ([0.1, -0.2], [1.0, 2.0], 0.0, "distinct positive"),
            ([0.1, 0.2], [1.0, np.nan], 0.0, "NaN"),
            ([0.1, 0.2], [1.0, 2.0], -1.0, "negative accuracy"),
        ],
    )
    def test_bad_input(self, eta: list, errors: list, accuracy: object, words: str) -> None:
        with pytest.raises(InputError, match=words):
            local_slopes(eta, errors, accuracy)


class TestFit:
    eta = np.array([0.1, 0.05, 0.025, 0.0125])

    def test_a_settled_sequence(self) -> None:
        fit = fit_order(self.eta[::-1], (2 * self.eta**2 * (1 + 3 * self.eta))[::-1], 1e-12)
        assert fit.asymptotic
        assert fit.order is not None
        assert fit.order.low < 2 < fit.order.high
        assert abs(fit.order.value - 2) < abs(fit.slopes[-1] - 2)  # the linear term is gone
        assert fit.verdict(2) == "supported"
        assert fit.verdict(1) == "contradicted"
        assert fit.verdict(1.5) == "inconclusive"
        assert "order 2.0" in str(fit)

    def test_step_sizes_in_other_ratios(self) -> None:
        eta = np.array([0.3, 0.1, 0.02])
        fit = fit_order(eta, 5 * eta**3 * (1 + eta), 0.0)
        assert fit.order is not None
        assert fit.order.value == pytest.approx(3, abs=0.05)

    @pytest.mark.parametrize(
        ("errors", "accuracy", "reason"),
        [
            ([1e-3, 1e-4, -1e-4, -1e-4], 0.0, "changes sign"),
            ([4e-4, 1e-4, 2.5e-5, 6e-6], 1e-6, "not 10 times its accuracy"),
            ([4e-4, 1e-4, 2.5e-5, 0.0], 0.0, "not 10 times its accuracy"),
            ([8e-4, 4e-4, 2e-4, 4e-5], 0.0, "move faster as eta falls"),
            ([9e-4, 1e-4, 5e-5, 1.5e-5], 0.0, "have not settled"),
        ],
    )
    def test_outside_the_asymptotic_regime_there_is_no_verdict(self, errors: list, accuracy: float, reason: str) -> None:
        fit = fit_order(self.eta, errors, accuracy)
        assert not fit.asymptotic
        assert fit.order is None
        assert reason in fit.reason
        with pytest.raises(OracleRefusal, match=f"not asymptotic: .*{reason}"):
            fit.verdict(2)
        assert "not asymptotic" in str(fit)

    def test_noisy_slopes_widen_the_interval_to_inconclusive(self) -> None:
        fit = fit_order(self.eta, self.eta**2, self.eta**2 / 12)
        assert fit.verdict(2) == "inconclusive"

    def test_the_slowest_function_decides(self) -> None:
        fits = {
            "lucky": fit_order(self.eta, self.eta**4, 0.0),
            "plain": fit_order(self.eta, 2 * self.eta**3, 0.0),
            "lost": fit_order(self.eta, self.eta**2, 1.0),
        }
        name, fit = slowest(fits)
        assert name == "plain"
        assert fit.verdict(3) == "supported"
        with pytest.raises(OracleRefusal, match=r"2 of 3 test functions show an order, wanted 3\. lost: the error"):
            slowest(fits, least=3)

    def test_two_step_sizes_are_too_few(self) -> None:
        with pytest.raises(InputError, match="at least three"):
            fit_order([0.1, 0.05], [1e-2, 1e-3], 0.0)

    def test_one_start_point_at_a_time(self) -> None:
        noise = sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), 0.64)
        with pytest.raises(InputError, match=r"one start point \[dim\]"):
            measure_order(SME1, noise, etas=ETAS, theta0=[[1.0], [2.0]], horizon=0.8)


@pytest.mark.parametrize("covariance", [0.64, moved_variance], ids=["constant", "moved"])
class TestWeakOrdersOnTheLine:
    """CLAIMS A6 in one dimension: a ripple on a parabola, four test functions, with noise that does and does not depend on θ."""

    @staticmethod
    def noise(covariance: float | Callable[[Tensor], Tensor]) -> Noise:
        return sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), covariance)

    def test_orders(self, covariance: object) -> None:
        fits = measure_orders(MODELS, self.noise(covariance), etas=ETAS, theta0=1.3, horizon=0.8)
        for name, order in ORDERS.items():
            assert verdict(fits[name], order) == "supported", name

    def test_mutants_lose_their_order(self, covariance: object) -> None:
        mutants = {m.__name__: m for m in (HalfForgotten, WrongSign, RootOfEta, NoTrace)}
        fits = measure_orders(mutants, self.noise(covariance), etas=ETAS, theta0=1.3, horizon=0.8)
        for name in ("HalfForgotten", "WrongSign"):
            assert verdict(fits[name], 2) == "contradicted", name
            assert verdict(fits[name], 1) == "supported", name
        half = slowest(fits["RootOfEta"])[1].order  # Q = √η·Σ: the error is of order ½
        assert half is not None
        assert half.high < 1
        assert verdict(fits["NoTrace"], 3) == "contradicted"
        if callable(covariance):
            # from 1.3 its leading terms nearly cancel, and the fit says so
            with pytest.raises(OracleRefusal, match="nearly cancel"):
                verdict(measure_order(CovarianceAtTheta, self.noise(covariance), etas=ETAS, theta0=1.3, horizon=0.8), 3)
            wrong = measure_order(CovarianceAtTheta, self.noise(covariance), etas=ETAS, theta0=-1.3, horizon=0.8)
            assert verdict(wrong, 3) == "contradicted"


def test_orders_in_a_double_well() -> None:
    """A third objective: quartic growth, start in a well."""
    functions = {"x": lambda x: x[:, 0], "x2": lambda x: x[:, 0] ** 2, "right": lambda x: torch.sigmoid(2 * x[:, 0])}
    etas = [0.05, 0.025, 0.0125]
    fits = measure_orders(MODELS, sg.noises.Gaussian(DoubleWell(), 0.3), etas=etas, theta0=-1.3, horizon=0.5, functions=functions)
    for name, order in ORDERS.items():
        assert verdict(fits[name], order) == "supported", name


@pytest.mark.parametrize("law", [TwoPointLaw(0.2), ExponentialLaw()])
def test_skewed_noise_caps_every_sde_at_order_two(law: sg.oracles.Law) -> None:
    """Third cumulant ≠ 0: SME-3 and HA-SME-3 fall back to order 2. With Rademacher noise (no skewness) they keep order 3."""
    noise = sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), moved_variance)
    models = {name: MODELS[name] for name in ("SME2", "SME3", "HASME3")}
    functions = {"x": lambda x: x[:, 0], "x2": lambda x: x[:, 0] ** 2, "cos": lambda x: torch.cos(x[:, 0])}
    skewed = measure_orders(models, noise, etas=ETAS, theta0=1.3, horizon=0.8, functions=functions, law=law)
    even = measure_orders(models, noise, etas=ETAS, theta0=1.3, horizon=0.8, functions=functions, law=TwoPointLaw())
    for name in models:
        assert verdict(skewed[name], 2) == "supported", name
        assert "supported" not in [fit.verdict(3) for fit in skewed[name].values() if fit.asymptotic], name
        assert verdict(even[name], ORDERS[name]) == "supported", name


def test_gradient_descent_after_one_step() -> None:
    """CLAIMS A18: GD against the flow of f has a local error η², against the flow of f + (η/4)|g|² (SME-2 without noise) η³; SME-3's is η⁴."""
    noise = sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), 0.0)
    models = {"GradientFlow": GradientFlow, "SME2": SME2, "WrongSign": WrongSign, "SME3": SME3}
    fits = measure_orders(models, noise, etas=ETAS, theta0=1.3, horizon=None)
    for name, slope in {"GradientFlow": 2, "SME2": 3, "WrongSign": 2, "SME3": 4}.items():
        assert verdict(fits[name], slope) == "supported", name


def test_fixed_temperature_lowers_the_orders() -> None:
    """CLAIMS F1: with ησ² = 2T fixed SME-1, SME-2, SPF and HA-SME have weak order 1, SME-3 and HA-SME-3 order 2."""

    def noise(eta: float) -> Noise:
        return sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), 0.4 / eta)

    fits = measure_orders({name: MODELS[name] for name in ORDERS if name != "GradientFlow"}, noise, etas=ETAS, theta0=1.3, horizon=0.8)
    for name, order in {"SME1": 1, "SME2": 1, "SPF": 1, "HASME": 1, "SME3": 2, "HASME3": 2}.items():
        assert verdict(fits[name], order) == "supported", name


def test_weak_orders_on_the_torus() -> None:
    """CLAIMS A6 in two dimensions: coupled well, Σ(θ) that commutes with no Hessian; with a mutant of the third order."""
    noise = sg.noises.Gaussian(PeriodicWell(2, amplitude=-0.6, coupling=0.3), tilted)
    functions = {
        "sin": lambda x: torch.sin(x[:, 0] + 0.3),
        "cos": lambda x: torch.cos(x[:, 1] - 0.5),
        "gap": lambda x: torch.cos(x[:, 0] - x[:, 1]),
    }
    models = {**MODELS, "CovarianceAtTheta": CovarianceAtTheta, "NoTrace": NoTrace}
    fits = measure_orders(models, noise, etas=[0.1, 0.05, 0.025], theta0=[-0.9, 1.1], horizon=0.8, functions=functions)
    for name, order in ORDERS.items():
        assert verdict(fits[name], order) == "supported", name
    for name in ("CovarianceAtTheta", "NoTrace"):
        assert verdict(fits[name], 3) == "contradicted", name
