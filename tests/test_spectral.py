"""The spectral regime of the product form: outliers exact, bulk to second order; against eigenvectors, against Lanczos, and against its own bound."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from spectral_problems import EXACT, T64, Rising, bound, network, quadratic, visited
from torch import Tensor

import sgdsde as sg
from sgdsde.objectives import memory
from sgdsde.sdes import krylov, spectral
from sgdsde.sdes import outliers as tracking
from sgdsde.sdes.functions import ell, phi_square
from sgdsde.sdes.spectral import ELL_SERIES, ROOT_PHI_SERIES, Spectral, bulk_error
from sgdsde.types import DomainError, InputError, Tally, tallying

# --- the series and the bound ---------------------------------------------------------------------------------------------------------------


def coefficients(count: int) -> tuple[list[Fraction], list[Fraction]]:
    """−ℓ and s as power series in exact arithmetic: φ = [Σxʲ/(j+1)]·[Σ(x/2)ʲ], s its root."""
    flow = [Fraction(1, j + 1) for j in range(count)]
    phi = [sum((flow[i] * Fraction(1, 2 ** (j - i)) for i in range(j + 1)), Fraction(0)) for j in range(count)]
    root = [Fraction(1)]
    for j in range(1, count):
        root.append((phi[j] - sum((root[i] * root[j - i] for i in range(1, j)), Fraction(0))) / 2)
    return flow, root


def test_series_are_those_of_the_functions() -> None:
    flow, root = coefficients(40)
    assert [-c for c in ELL_SERIES] == [float(c) for c in flow[:3]]
    assert list(ROOT_PHI_SERIES) == [float(c) for c in root[:3]]
    assert root[3] == Fraction(3, 16)
    assert all(0 < b <= a for a, b in zip(flow, root, strict=True) if (a, b) != (1, 1))  # what makes e(x) bound both
    x = torch.linspace(-0.5, 0.5, 21, dtype=T64)
    powers = x[:, None] ** torch.arange(40)
    assert torch.allclose(powers @ torch.tensor([float(c) for c in flow], dtype=T64), -ell(x), rtol=1e-12)
    assert torch.allclose(powers @ torch.tensor([float(c) for c in root], dtype=T64), phi_square(x).sqrt(), rtol=1e-12)


def remainders(x: Tensor) -> Tensor:
    """The larger error of the two expansions."""
    polynomials = [c[0] + c[1] * x + c[2] * x * x for c in (ELL_SERIES, ROOT_PHI_SERIES)]
    return torch.maximum((ell(x) - polynomials[0]).abs(), (phi_square(x).sqrt() - polynomials[1]).abs())


def test_bulk_error_bounds_both_expansions_and_lies_below_the_cube() -> None:
    x = torch.linspace(-0.85, 0.85, 401, dtype=T64)
    assert bool((remainders(x) <= bulk_error(x) + 1e-12).all())
    assert bool((bulk_error(x) <= x.abs() ** 3 + 1e-12).all())
    assert bool((bulk_error(x) >= x.abs() ** 3 / 4 - 1e-12).all())
    assert torch.allclose(bulk_error(torch.tensor([0.3, 0.8], dtype=T64)), remainders(torch.tensor([0.3, 0.8], dtype=T64)), rtol=1e-10)


def test_weight_of_residuals_bounds_the_derivatives() -> None:
    """|h′ − p′| ≤ x²/(1 − x⁺) for both functions, by central differences."""
    x, h = torch.linspace(-0.95, 0.95, 191, dtype=T64), 1e-5
    weight = x * x / (1 - x.clamp_min(0))
    for function, series in ((ell, ELL_SERIES), (lambda u: phi_square(u).sqrt(), ROOT_PHI_SERIES)):
        rest = lambda u: function(u) - series[0] - u * (series[1] + u * series[2])  # noqa: B023, E731
        assert bool((((rest(x + h) - rest(x - h)) / (2 * h)).abs() <= weight + 1e-6).all())


# --- against eigenvectors -------------------------------------------------------------------------------------------------------------------


def errors(functions: object, f: sg.Objective, theta: Tensor, eta: float, *, calls: int = 2) -> tuple[float, Tally]:
    """The larger of |found − exact|/|v| over both functions and all paths, at the last of several calls (cold, then from the remembered rows)."""
    v = torch.randn(theta.shape, generator=torch.Generator().manual_seed(5), dtype=T64)
    g = sg.calculus.grad(f, theta)
    exact, strategy = bound(EXACT, f, eta).both(theta, g, v), bound(functions, f, eta)
    for _ in range(calls):
        with tallying() as tally:
            found = strategy.both(theta, g, v)
    return max(float(((a - b).norm(dim=1) / u.norm(dim=1)).max()) for a, b, u in zip(found, exact, (g, v), strict=True)), tally


@pytest.mark.parametrize("signs", ["positive", "both"])
def test_error_on_a_quadratic_is_the_bulks(signs: str) -> None:
    """Five outliers up to ηλ = .9 and a bulk to .1: the error is at most the bound e(.1) = 2.7e-4, and not a hundred times less."""
    outlying = torch.tensor([0.9, 0.7, 0.5, 0.4, 0.3], dtype=T64)
    if signs == "both":
        outlying = outlying * torch.tensor([1, -1, 1, -1, 1])
    f = quadratic(torch.cat([outlying, torch.linspace(-0.1, 0.1, 55, dtype=T64)]), 0.1)
    theta = torch.randn(3, 60, generator=torch.Generator().manual_seed(1), dtype=T64)
    error, tally = errors(Spectral(5, tolerance=1e-6), f, theta, 0.1)
    limit = float(bulk_error(torch.tensor(0.1, dtype=T64)))
    assert limit / 100 < error <= limit + 1e-6
    assert tally.worst["eta·lambda of the bulk"] == pytest.approx(0.1, rel=0.1)


def test_error_falls_with_the_cube_of_the_bulk() -> None:
    """Halving η with the same outliers counted divides the error by 8 (7 to 10 with the next term)."""
    found = []
    for eta in (0.1, 0.05):
        x = torch.cat([torch.tensor([0.8, 0.6], dtype=T64), torch.full((28,), 0.2, dtype=T64)]) * eta / 0.1
        theta = torch.randn(2, 30, generator=torch.Generator().manual_seed(1), dtype=T64)
        found.append(errors(Spectral(2, tolerance=1e-9), quadratic(x, eta), theta, eta)[0])
    assert 7 < found[0] / found[1] < 10


@pytest.mark.parametrize("steps", [0, 150])
def test_network_error_is_within_the_reported_bounds(steps: int) -> None:
    """At a random start, where the bulk is wide, and after training, where a dozen eigenvalues stand out."""
    f = network()
    theta, eta = visited(f, steps)
    error, tally = errors(Spectral(8), f, theta, eta)
    assert error <= tally.worst["error bound of the bulk"] + tally.worst["error bound of the outliers"]
    assert error < (8e-3 if steps == 0 else 2e-3)


@pytest.mark.parametrize("mutant", ["coefficient", "transpose", "one end", "no projection"])
def test_mutants_exceed_the_bound(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong coefficient, φ for its root, outliers of one sign, a bracket without its Taylor part: errors above the bound."""
    x = torch.cat([torch.tensor([0.9, -0.7, 0.5, -0.4, 0.3], dtype=T64), torch.linspace(-0.1, 0.1, 55, dtype=T64)])
    f, theta = quadratic(x, 0.1), torch.randn(3, 60, generator=torch.Generator().manual_seed(1), dtype=T64)
    if mutant == "coefficient":
        monkeypatch.setattr(spectral, "ELL_SERIES", (-1.0, -1 / 2, -1 / 4))
    elif mutant == "transpose":  # φ(M²) for its root
        monkeypatch.setattr(spectral, "_root_phi", phi_square)
    elif mutant == "one end":
        monkeypatch.setattr(tracking, "_key", lambda values: -values)
    else:
        monkeypatch.setattr(spectral, "_series", lambda coefficients, x: 0 * x)
    assert errors(Spectral(5, tolerance=1e-6), f, theta, 0.1)[0] > float(bulk_error(torch.tensor(0.1, dtype=T64))) + 1e-6


def test_more_outliers_than_dimensions_is_exact() -> None:
    f = quadratic(torch.tensor([0.9, 0.5, -0.3, 0.1], dtype=T64), 0.1)
    theta = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=T64)
    assert errors(Spectral(10), f, theta, 0.1)[0] < 1e-12


def test_dense_krylov_and_spectral_give_one_model() -> None:
    """Diffusion matrices and both terms of the SDE on a small network, by the three regimes."""
    f = network((64, 2, 10), 40)
    theta, eta = visited(f, 60)
    noise = sg.noises.Minibatch(f, 8)
    dw = torch.randn(2, f.n, generator=torch.Generator().manual_seed(7), dtype=T64)
    exact = sg.sdes.HASMEProduct(noise, eta).terms(0.0, theta, dw)
    for functions, tolerance in ((sg.sdes.Krylov(24), 1e-8), (Spectral(12), 2e-3)):
        for a, b in zip(sg.sdes.HASMEProduct(noise, eta, functions=functions).terms(0.0, theta, dw), exact, strict=True):
            assert float(((a - b).norm(dim=1) / b.norm(dim=1)).max()) < tolerance
    sigma = torch.eye(f.dim, dtype=T64)[None]
    square = bound(Spectral(12), f, eta).congruence(theta[:1], sigma)
    assert torch.allclose(square, bound(EXACT, f, eta).congruence(theta[:1], sigma), atol=5e-3)


# --- domain and refusals --------------------------------------------------------------------------------------------------------------------


def test_wide_bulk_is_refused_before_a_run_and_counted_in_it() -> None:
    f = Rising(12)
    f.curvature = torch.linspace(4, 7, 12, dtype=T64)
    noise = sg.noises.Gaussian(f, 1.0)
    sde = sg.sdes.HASMEProduct(noise, 0.1, functions=Spectral(2))
    with pytest.raises(DomainError, match=r"k = 2 outliers, more than bulk = 0\.5"):
        sg.simulate(sg.kernels.Heun(sde, 0.05), torch.zeros(12, dtype=T64), horizon=0.1, paths=2, seed=1)
    with tallying() as tally:
        sde.drift(0.0, torch.zeros(3, 12, dtype=T64))
    assert tally.counts["bulk too wide"] == 3


def test_constant_hessian_beyond_one_is_refused_before_a_run() -> None:
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([11.0, 1.0, 0.5]), 1.0)
    with pytest.raises(DomainError, match=r"eta·lambda = 1\.1"):
        sg.sdes.HASMEProduct(noise, 0.1, functions=Spectral(1))
    clipped = sg.sdes.HASMEProduct(noise, 0.1, functions=Spectral(1), log="clip")
    assert bool(torch.isfinite(clipped.drift(0.0, torch.ones(1, 3, dtype=T64))).all())


@pytest.mark.parametrize("settings", [{"k": 0}, {"k": 2.5}, {"k": True}, {"tolerance": 0.0}, {"bulk": 0.9}, {"bulk": -1.0}])
def test_unusable_settings(settings: dict[str, float]) -> None:
    with pytest.raises(InputError):
        replace(Spectral(), **settings)


@pytest.mark.parametrize("functions", [Spectral(5), sg.sdes.Krylov(8)])
def test_memory_is_estimated_before_it_is_taken(functions: Spectral | sg.sdes.Krylov, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 0.1 MB and nothing too small to be looked at."""
    for module in (krylov, tracking):
        monkeypatch.setattr(module, "LARGE", 0)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 100_000)
    f = Rising(200)
    strategy = bound(functions, f, 0.1)
    with pytest.raises(InputError, match=r"(paths|vectors) in 200 dimensions"):
        strategy.flow(torch.zeros(40, 200, dtype=T64), torch.ones(40, 200, dtype=T64))
