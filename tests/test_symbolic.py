"""The models' coefficients against the logarithm of SGD's one-step semigroup, symbolically: every sign of docs/theory/modified_equations.md."""

from __future__ import annotations

import functools
import importlib

import numpy as np
import pytest
import sympy as sp
import torch
from symbols import logarithm, one_step, product

import sgdsde as sg

T64 = torch.float64
X, Y, P, R = sp.symbols("x y p r")
F1, S1 = sp.Function("f")(X), sp.Function("S")(X)


@functools.cache
def generator_1d(covariance: sp.Expr, order: int) -> dict[int, sp.Expr]:
    return logarithm(one_step({1: -P * F1.diff(X), 2: covariance * P**2 / 2}, order), [X], [P])


@functools.cache
def generator_2d() -> tuple[dict[int, sp.Expr], sp.Expr, sp.Matrix]:
    """(orders, f, Σ) for generic functions of two variables."""
    f = sp.Function("f")(X, Y)
    a, b, c = (sp.Function(name)(X, Y) for name in "abc")
    sigma = sp.Matrix([[a, b], [b, c]])
    p = sp.Matrix([P, R])
    g = sp.Matrix([f.diff(X), f.diff(Y)])
    return logarithm(one_step({1: -p.dot(g), 2: (p.T * sigma * p)[0] / 2}, 3), [X, Y], [P, R]), f, sigma


def test_third_order_model_in_one_dimension() -> None:
    """b and Q of SME-3, order by order; nothing of degree above two in p up to η³."""
    g, H, third = F1.diff(X), F1.diff(X, 2), F1.diff(X, 3)
    L = generator_1d(S1, 3)
    b = {1: -g, 2: -H * g / 2, 3: -(H**2) * g / 3 - third * g**2 / 12 + S1 * third / 4}
    Q = {1: 0, 2: S1, 3: H * S1 + g * S1.diff(X) / 2}
    for k in (1, 2, 3):
        assert sp.expand(L[k] - b[k] * P - Q[k] * P**2 / 2) == 0


@pytest.mark.parametrize("wrong", ["", "sign of the third derivative", "sign of the noise term", "covariance differentiated", "half of the shift"])
def test_third_order_model_in_two_dimensions(wrong: str) -> None:
    """The same with generic f(x, y) and Σ(x, y) that neither commute nor are constant; each mutant coefficient leaves a remainder."""
    L, f, sigma = generator_2d()
    xs, p = (X, Y), sp.Matrix([P, R])
    g = sp.Matrix([f.diff(x) for x in xs])
    H = sp.Matrix(2, 2, lambda i, j: f.diff(xs[i], xs[j]))
    third = sp.Matrix([sum(g[i] * g[j] * f.diff(xs[i], xs[j], z) for i in range(2) for j in range(2)) for z in xs])
    trace = sp.Matrix([sum(sigma[i, j] * f.diff(xs[i], xs[j], z) for i in range(2) for j in range(2)) for z in xs])
    if wrong == "covariance differentiated":
        trace = sp.Matrix([sum((sigma[i, j] * f.diff(z)).diff(xs[i], xs[j]) for i in range(2) for j in range(2)) for z in xs])
    along = sp.Matrix(2, 2, lambda i, j: sum(g[k] * sigma[i, j].diff(xs[k]) for k in range(2)))
    signs = {"sign of the third derivative": (-1, 1, 1), "sign of the noise term": (1, -1, 1), "half of the shift": (1, 1, sp.Rational(1, 2))}.get(
        wrong, (1, 1, 1)
    )
    drift = -H * H * g / 3 - signs[0] * third / 12 + signs[1] * trace / 4
    Q = (H * sigma + sigma * H) / 2 + signs[2] * along / 2
    remainder = sp.expand(L[3] - p.dot(drift) - (p.T * Q * p)[0] / 2)
    assert (remainder == 0) == (wrong == "")


def test_second_order_model_in_two_dimensions() -> None:
    """SME-2: b₁ = −Hg/2, Q₁ = Σ; and the η³ symbol has degree two, so that order 3 exists."""
    L, f, sigma = generator_2d()
    g, p = sp.Matrix([f.diff(X), f.diff(Y)]), sp.Matrix([P, R])
    assert sp.expand(L[2] + p.dot(sp.hessian(f, (X, Y)) * g) / 2 - (p.T * sigma * p)[0] / 2) == 0
    assert sp.Poly(L[3], P, R).total_degree() == 2


def test_the_ladder_ends_at_order_three_where_the_covariance_varies() -> None:
    """The η⁴ symbol holds −ΣΣ′p³/4: no SDE has weak order 4 with Σ(θ)."""
    assert sp.expand(generator_1d(S1, 4)[4].coeff(P, 3) + S1 * S1.diff(X) / 4) == 0


def test_constant_covariance_reaches_order_four_and_not_five() -> None:
    """η⁴: degree two, with the coefficients given in the theory notes; η⁵: −Σ²f‴p³/12."""
    s = sp.Symbol("s", positive=True)
    L = generator_1d(s, 5)
    g, H, third, fourth = (F1.diff(X, k) for k in (1, 2, 3, 4))
    b4 = (s * g * fourth + 6 * s * H * third - 2 * g**2 * H * third - 3 * g * H**3) / 12
    Q4 = s * (5 * H**2 + 2 * g * third) / 6
    assert sp.expand(L[4] - b4 * P - Q4 * P**2 / 2) == 0
    assert sp.expand(L[5].coeff(P, 3) + s**2 * third / 12) == 0


def test_skewed_noise_stops_every_sde_at_order_two() -> None:
    """A third cumulant κ of ξ leaves κp³/6 at η³, whatever the drift and Q."""
    kappa = sp.Function("kappa")(X)
    L = logarithm(one_step({1: -P * F1.diff(X), 2: S1 * P**2 / 2, 3: kappa * P**3 / 6}, 3), [X], [P])
    assert sp.expand(L[3].coeff(P, 3) - kappa / 6) == 0


def test_fixed_temperature_generator_and_its_commutator() -> None:
    """Σ = 2T/η: 𝓑 = −½Hg·∂ + T H:∂∂ + (T/2)∇Δf·∂ = −½Hg·∂ + ½[𝓐, g·∂] in two dimensions: SME-2 keeps the spectrum, HA-SME does not."""
    f, T = sp.Function("f")(X, Y), sp.Symbol("T")
    g, p, H = sp.Matrix([f.diff(X), f.diff(Y)]), sp.Matrix([P, R]), sp.hessian(sp.Function("f")(X, Y), (X, Y))
    laplacian = f.diff(X, 2) + f.diff(Y, 2)
    A = sp.expand(-p.dot(g) + T * p.dot(p))
    B = logarithm(one_step({1: A}, 2), [X, Y], [P, R])[2]
    slope = sp.Matrix([laplacian.diff(X), laplacian.diff(Y)])
    assert sp.expand(B - (-p.dot(H * g) / 2 + T * (p.T * H * p)[0] + T / 2 * p.dot(slope))) == 0
    shift = p.dot(g)
    commutator = product(A, shift, [X, Y], [P, R]) - product(shift, A, [X, Y], [P, R])
    assert sp.expand(B + p.dot(H * g) / 2 - commutator / 2) == 0


def test_scalar_functions_of_the_hessian_aware_models() -> None:
    """log(1−x)/x = −1 − x/2 − x²/3 − …, φ(m₁m₂) = 1 + (x₁+x₂)/2 + O(x²): so L and Q agree with SME-3's H-terms to the order needed."""
    x1, x2, t = sp.symbols("x1 x2 t")
    assert sp.series(sp.log(1 - X) / X, X, 0, 3).removeO() == -1 - X / 2 - X**2 / 3
    u = (1 - t * x1) * (1 - t * x2)
    phi = sp.series(sp.log(u) / (u - 1), t, 0, 2).removeO()
    assert sp.simplify(phi - 1 - t * (x1 + x2) / 2) == 0


class Polynomial(sg.Objective):
    """f = x⁴/4 + x²y/2 − xy³/3 + y² + .3x, no facts: all derivatives by autodiff."""

    dim = 2

    def sample_loss(self, theta: torch.Tensor, batch: torch.Tensor | None = None) -> torch.Tensor:
        x, y = theta[:, 0], theta[:, 1]
        values = x**4 / 4 + x**2 * y / 2 - x * y**3 / 3 + y**2 + 0.3 * x
        return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])


def covariance(theta: torch.Tensor) -> torch.Tensor:
    x, y = theta[:, 0], theta[:, 1]
    root = torch.stack([torch.stack([1 + 0.3 * x, 0.2 * y], -1), torch.stack([0.4 * x * y, 0.5 + 0 * y], -1)], -2)
    return root @ root.transpose(1, 2)


@functools.cache
def wanted_orders() -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """(points, drift orders, Q/η orders) of the generic 2-D symbol for ``Polynomial`` and ``covariance``."""
    L, f, sigma = generator_2d()
    value = X**4 / 4 + X**2 * Y / 2 - X * Y**3 / 3 + Y**2 + sp.Rational(3, 10) * X
    root = sp.Matrix([[1 + sp.Rational(3, 10) * X, Y / 5], [sp.Rational(2, 5) * X * Y, sp.Rational(1, 2)]])
    matrix = root * root.T
    entries = {f: value, sigma[0, 0]: matrix[0, 0], sigma[0, 1]: matrix[0, 1], sigma[1, 1]: matrix[1, 1]}
    points = np.random.default_rng(0).normal(size=(5, 2)) * 0.7
    drifts, spreads = [], []
    for k in (1, 2, 3):
        symbol = sp.expand(L[k].subs(entries).doit())
        linear = sp.lambdify((X, Y), [symbol.coeff(P, 1).coeff(R, 0), symbol.coeff(P, 0).coeff(R, 1)])
        square = sp.lambdify((X, Y), [2 * symbol.coeff(P, 2), symbol.coeff(P, 1).coeff(R, 1), 2 * symbol.coeff(R, 2).coeff(P, 0)])
        drifts.append(np.array([linear(*point) for point in points], dtype=float))
        spreads.append(np.array([square(*point) for point in points], dtype=float))
    return points, drifts, spreads


@pytest.mark.parametrize("name", ["SME3", "HASME3", "HASME3Product"])
def test_the_code_has_these_coefficients(name: str) -> None:
    """Drift and Q/η of each class, expanded in η by a polynomial fit through small steps, equal the symbols' orders to 1e-6."""
    assert _distance(name) < 1e-6


@pytest.mark.parametrize("name", ["SME3", "HASME3", "HASME3Product"])
@pytest.mark.parametrize("mutant", ["no third derivative", "shift against the gradient"])
def test_mutants_have_others(name: str, mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"sgdsde.sdes.{name.lower().replace('product', '_product')}")
    if mutant == "no third derivative":
        monkeypatch.setattr(module, "third_order_drift", lambda noise, theta, g, eta: torch.zeros_like(theta))
    else:
        monkeypatch.setattr(module, "shifted", lambda f, theta, eta, g=None: theta - eta / 2 * sg.calculus.grad(f, theta))
    assert _distance(name) > 0.01


def _distance(name: str) -> float:
    """The largest relative deviation of an order's coefficients (drift to η², Q/η to η) from the symbols'."""
    points, drifts, spreads = wanted_orders()
    theta = torch.as_tensor(points)
    etas = 0.04 * np.arange(1, 11) / 10
    noise = sg.noises.Gaussian(Polynomial(), covariance)
    models = [getattr(sg.sdes, name)(noise, float(eta)) for eta in etas]
    b = _orders(etas, np.stack([model.drift(0.0, theta).numpy() for model in models]))
    Q = _orders(etas, np.stack([model.diffusion(0.0, theta).numpy()[:, [0, 0, 1], [0, 1, 1]] / eta for model, eta in zip(models, etas, strict=True)]))
    pairs = [*zip(b[:3], drifts, strict=True), *zip(Q[:2], spreads[1:], strict=True)]
    return max(float(np.abs(found - wanted).max() / np.abs(wanted).max()) for found, wanted in pairs)


def _orders(etas: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of the interpolating polynomial in η, ``[order, …]``."""
    scaled = etas / etas[-1]
    flat = np.linalg.solve(np.vander(scaled, increasing=True), values.reshape(len(etas), -1))
    return (flat / etas[-1] ** np.arange(len(etas))[:, None]).reshape(values.shape)
