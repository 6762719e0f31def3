"""Weak errors without Monte Carlo, held against closed forms, enumeration, densities and changes of coordinates. Deterministic: no false alarms."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

import sgdsde as sg
import sgdsde.oracles.line as line_module
from sgdsde.objectives import DoubleWell, PeriodicWell, Quadratic
from sgdsde.oracles import ExponentialLaw, GaussianLaw, TwoPointLaw, sde_expectations, sgd_expectations, weak_error, weak_errors
from sgdsde.oracles.patch import Patch
from sgdsde.oracles.reach import Reach
from sgdsde.sde import SDE
from sgdsde.types import InputError, OracleRefusal

MOMENTS = {"x": lambda x: x[:, 0], "x2": lambda x: x[:, 0] ** 2, "cos": lambda x: torch.cos(x[:, 0])}
WAVES = {"sin": lambda x: torch.sin(x[:, 0]), "cos": lambda x: torch.cos(x[:, 0]), "mix": lambda x: torch.exp(torch.sin(x[:, 0] + 0.3))}


def moved_variance(theta: Tensor) -> Tensor:
    """A state-dependent variance on the line, 2π-periodic."""
    return (0.5 + 0.3 * torch.sin(theta + 0.4))[:, :, None]


def tilted(theta: Tensor) -> Tensor:
    """A state-dependent covariance on the torus that commutes with no Hessian."""
    x, y = theta[:, 0], theta[:, 1]
    first, second, off = 0.6 + 0.2 * torch.sin(x - y), 0.4 + 0.15 * torch.cos(x), 0.25 * torch.cos(y + 0.5)
    return torch.stack([torch.stack([first, off], 1), torch.stack([off, second], 1)], 1)


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


class Wave:
    def __init__(self, k: tuple[int, int]) -> None:
        self.k = torch.tensor(k, dtype=torch.float64)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cos(x @ self.k)


class Fields(SDE):
    """An SDE given by its drift and diffusion matrix."""

    def __init__(self, b: Callable[[Tensor], Tensor], Q: Callable[[Tensor], Tensor], dim: int = 2) -> None:
        self.b, self.Q, self.dim, self.noise_dim = b, Q, dim, dim

    def drift(self, t: float, x: Tensor) -> Tensor:
        return self.b(x)

    def diffuse(self, t: float, x: Tensor, dw: Tensor) -> Tensor:
        raise NotImplementedError  # the oracle reads Q alone

    def diffusion(self, t: float, x: Tensor) -> Tensor:
        return self.Q(x)


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


class TestAccuracyIsHonest:
    @pytest.mark.parametrize("factor", [0.7, 0.5, 0.35])
    def test_a_domain_that_is_too_small_is_noticed(self, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """Mutant: the reach shrunk about the start. The oracle must refuse, or state an accuracy that still covers its error."""
        noise = sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), 0.64)
        right = sgd_expectations(noise, eta=0.1, theta0=1.3, horizon=0.8, functions=MOMENTS)
        exact_sde = sde_expectations(sg.sdes.SME2(noise, 0.1), theta0=1.3, horizon=0.8, functions=MOMENTS)
        original = line_module.reach

        def shrunk(*args: object, **kwargs: object) -> Reach:
            where = original(*args, **kwargs)  # type: ignore[arg-type]
            low, high = 1.3 + factor * (where.low - 1.3), 1.3 + factor * (where.high - 1.3)
            return Reach(low, high, where.wall_low, where.wall_high)

        monkeypatch.setattr(line_module, "reach", shrunk)
        for exact, again in (
            (right, lambda: sgd_expectations(noise, eta=0.1, theta0=1.3, horizon=0.8, functions=MOMENTS)),
            (exact_sde, lambda: sde_expectations(sg.sdes.SME2(noise, 0.1), theta0=1.3, horizon=0.8, functions=MOMENTS)),
        ):
            try:
                got = again()
            except OracleRefusal:
                continue
            assert (np.abs(got.value - exact.value) <= got.accuracy + exact.accuracy).all()

    def test_tolerances_agree(self) -> None:
        """A long horizon over a barrier: loose and tight tolerances use different domains and agree within the loose accuracy."""
        noise = sg.noises.Gaussian(DoubleWell(), 0.25)
        loose, tight = (weak_error(sg.sdes.SME2, noise, eta=0.1, theta0=-1.0, horizon=40.0, functions=MOMENTS, tolerance=t) for t in (1e-6, 1e-11))
        for name in MOMENTS:
            assert abs(loose.error[name] - tight.error[name]) <= loose.accuracy[name] + tight.accuracy[name]

    def test_several_start_points_are_those_one_by_one(self) -> None:
        noise = sg.noises.Gaussian(PeriodicWell(1, curvature=1.0, amplitude=0.6), moved_variance)
        many = weak_error(sg.sdes.HASME, noise, eta=0.1, theta0=[[-2.0], [0.3], [1.3]], horizon=0.8)
        for i, start in enumerate([-2.0, 0.3, 1.3]):
            one = weak_error(sg.sdes.HASME, noise, eta=0.1, theta0=start, horizon=0.8)
            for name in one.error:
                assert many.error[name].shape == (3,)
                assert abs(many.error[name][i] - one.error[name]) <= many.accuracy[name][i] + one.accuracy[name]

    def test_no_noise_and_start_at_rest(self) -> None:
        result = weak_error(sg.sdes.SME1, sg.noises.Gaussian(Quadratic(1.0), 0.0), eta=0.1, theta0=0.0, horizon=1.0)
        assert max(abs(e) for e in result.error.values()) < 1e-11


class TestDomain:
    def test_ha_sme_exists_where_its_law_goes(self) -> None:
        """Double well: ηλ = 1 at |x| = √((1 + 1/η)/3). Out of reach at η = .05; at η = .2 the law gets there."""
        noise = sg.noises.Gaussian(DoubleWell(), 0.81)
        assert weak_error(sg.sdes.HASME, noise, eta=0.05, theta0=-1.0, horizon=2.0, functions=MOMENTS).accuracy["x"] < 1e-9
        with pytest.raises(OracleRefusal, match=r"HASME does not exist near .* that the law reaches with a probability"):
            weak_error(sg.sdes.HASME, noise, eta=0.2, theta0=-1.0, horizon=2.0, functions=MOMENTS)
        with pytest.raises(OracleRefusal, match="HASME does not exist at the start point"):
            sde_expectations(sg.sdes.HASME(noise, 0.2), theta0=-1.5, horizon=2.0, functions=MOMENTS)
        with pytest.raises(OracleRefusal, match="its policy raises"):
            weak_error(lambda n, e: sg.sdes.HASME(n, e, log="raise"), noise, eta=0.2, theta0=-1.0, horizon=2.0, functions=MOMENTS)

    def test_sgd_that_blows_up(self) -> None:
        with pytest.raises(OracleRefusal, match="it has no bounded domain"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(DoubleWell(), 0.81), eta=0.5, theta0=-2.5, horizon=5.0, functions=MOMENTS)

    def test_kinks_are_refused(self) -> None:
        noise = sg.noises.Gaussian(DoubleWell(), 0.81)
        with pytest.raises(OracleRefusal, match="SGD on the line: the finest two discretisations differ"):
            weak_error(sg.sdes.SME1, noise, eta=0.1, theta0=-1.0, horizon=1.0, functions={"step": lambda x: (x[:, 0] > -0.9).double()})

    def test_indefinite_diffusion_on_the_torus(self) -> None:
        """Noise of rank one with an H that it does not commute with: HA-SME's exact Q is indefinite, the product form is not."""

        def rank_one(t: Tensor) -> Tensor:
            v = torch.stack([torch.ones_like(t[:, 0]), torch.ones_like(t[:, 0])], 1)
            return 0.3 * v[:, :, None] * v[:, None, :]

        noise = sg.noises.Gaussian(SquarePlus(), rank_one)
        with pytest.raises(OracleRefusal, match=r"indefinite diffusion matrix at .*HASMEProduct"):
            weak_error(sg.sdes.HASME, noise, eta=0.2, theta0=[1.0, 0.4], horizon=0.4)
        assert weak_error(sg.sdes.HASMEProduct, noise, eta=0.2, theta0=[1.0, 0.4], horizon=0.4, tolerance=1e-8).accuracy["sin x₁"] < 1e-7

    def test_ha_sme_past_eta_lambda_one_on_the_torus(self) -> None:
        noise = sg.noises.Gaussian(PeriodicWell(2, amplitude=-4.0), 0.1)
        with pytest.raises(OracleRefusal, match=r"HASME does not exist at \d+% of the torus"):
            sde_expectations(sg.sdes.HASME(noise, 0.4), theta0=[1.0, 0.4], horizon=0.4, functions={"sin": Wave((1, 0))})

    def test_negative_diffusion_on_the_line(self) -> None:
        bad = Fields(lambda x: -x, lambda x: (x - 1.0)[:, :, None], dim=1)
        with pytest.raises(OracleRefusal, match="negative diffusion"):
            sde_expectations(bad, theta0=1.5, horizon=1.0, functions=MOMENTS)

    def test_models_that_depend_on_time(self) -> None:
        class Clock(Fields):
            def drift(self, t: float, x: Tensor) -> Tensor:
                return -x * (1 + t)

        clock = Clock(lambda x: -x, lambda x: torch.ones_like(x)[:, :, None], dim=1)
        with pytest.raises(OracleRefusal, match="depends on time"):
            sde_expectations(clock, theta0=1.0, horizon=1.0, functions=MOMENTS)


class SquarePlus(sg.Objective):
    """Two wells of different curvature: H = diag(2cos x, .2cos y)."""

    dim = 2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        return (-2 * torch.cos(theta[:, 0]) - 0.2 * torch.cos(theta[:, 1]))[:, None]


class TestInput:
    noise = sg.noises.Gaussian(Quadratic(1.0), 0.64)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"eta": 0.0}, "eta = 0.0; wanted a finite number > 0"),
            ({"horizon": 0.55}, r"no multiple of eta = 0.1; nearest: 0\.[56]"),
            ({"theta0": [1.0, 2.0]}, r"theta0 has shape \(1, 2\); wanted \[paths, 1\]"),
            ({"theta0": math.nan}, "theta0 holds NaN"),
            ({"functions": {}}, "functions is empty"),
            ({"functions": {"bad": lambda x: x}}, r"'bad' returned shape .* wanted"),
            ({"functions": {"log": lambda x: torch.log(x[:, 0])}}, "'log' is not finite on the domain"),
            ({"tolerance": -1.0}, "tolerance = -1.0"),
        ],
    )
    def test_bad_arguments(self, change: dict, words: str) -> None:
        good = {"eta": 0.1, "theta0": 0.3, "horizon": 0.5, "functions": MOMENTS}
        with pytest.raises(InputError, match=words):
            weak_error(sg.sdes.SME1, self.noise, **{**good, **change})

    def test_a_model_for_another_eta(self) -> None:
        with pytest.raises(InputError, match=r"made for eta = 0.2, SGD runs with eta = 0.1"):
            weak_error(sg.sdes.SME1(self.noise, 0.2), self.noise, eta=0.1, theta0=0.3, horizon=0.5)

    def test_a_model_of_another_dimension(self) -> None:
        other = sg.sdes.SME1(sg.noises.Gaussian(Quadratic([1.0, 2.0]), 1.0), 0.1)
        with pytest.raises(InputError, match="has dimension 2, the noise's objective 1"):
            weak_error(other, self.noise, eta=0.1, theta0=0.3, horizon=0.5)

    def test_noises_without_a_stated_law(self) -> None:
        class Two(sg.Objective):
            dim, n = 1, 2

            def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
                return (theta - torch.tensor([[-1.0, 1.0]], dtype=theta.dtype)) ** 2

        minibatch = sg.noises.Minibatch(Two(), 1)
        with pytest.raises(InputError, match="Minibatch draws from a law of its own"):
            weak_error(sg.sdes.SME1, minibatch, eta=0.1, theta0=0.3, horizon=0.5)
        assert weak_error(sg.sdes.SME1, minibatch, eta=0.1, theta0=0.3, horizon=0.5, law=TwoPointLaw()).accuracy["x"] < 1e-8

    def test_dimensions_and_periods(self) -> None:
        with pytest.raises(OracleRefusal, match=r"dimension 3.*sg\.compare"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(Quadratic([1.0, 1.0, 1.0]), 1.0), eta=0.1, theta0=[0.0, 0.0, 0.0], horizon=0.5)
        with pytest.raises(OracleRefusal, match="not 2π-periodic in both coordinates"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(Quadratic([1.0, 1.0]), 1.0), eta=0.1, theta0=[0.0, 0.0], horizon=0.5)
        with pytest.raises(OracleRefusal, match=r"Test functions \['x'\] are not 2π-periodic"):
            weak_error(sg.sdes.SME1, sg.noises.Gaussian(PeriodicWell(2), 1.0), eta=0.1, theta0=[0.0, 0.0], horizon=0.5, functions={"x": lambda x: x[:, 0]})

    def test_the_result_reads_as_a_table(self) -> None:
        text = str(weak_error(sg.sdes.SME1, self.noise, eta=0.1, theta0=0.3, horizon=0.5, functions=MOMENTS))
        assert "Weak error of SME1 at T = 0.5" in text
        assert "eta=0.1" in text
        assert "x2: SGD" in text
        skewed = weak_error(sg.sdes.SME1, self.noise, eta=0.1, theta0=[[0.3], [0.4]], horizon=0.5, functions=MOMENTS, law=TwoPointLaw(0.2))
        assert "TwoPointLaw(p=0.2)" in str(skewed)
        assert str(skewed).count("x2: SGD") == 2


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
