"""The spectral regime of the product form: outliers exact, bulk to second order; against eigenvectors, against Lanczos, and against its own bound."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

import sgdsde as sg
from sgdsde.objectives import memory
from sgdsde.sdes import krylov, spectral
from sgdsde.sdes import outliers as tracking
from sgdsde.sdes.functions import ell, phi_square
from sgdsde.sdes.log_domain import RealLogarithm
from sgdsde.sdes.spectral import ELL_SERIES, ROOT_PHI_SERIES, Spectral, bulk_error
from sgdsde.types import DomainError, InputError, Tally, tallying

T64 = torch.float64
EXACT = sg.sdes.Dense()


def quadratic(x: Tensor, eta: float, seed: int = 0) -> sg.objectives.Quadratic:
    """A rotated quadratic with ηλ = x."""
    U = torch.linalg.qr(torch.randn(x.numel(), x.numel(), generator=torch.Generator().manual_seed(seed), dtype=T64))[0]
    H = U @ torch.diag(x / eta) @ U.T
    return sg.objectives.Quadratic((H + H.T) / 2)


def bound(functions: sg.sdes.Dense | sg.sdes.Krylov | Spectral, f: sg.Objective, eta: float, policy: str = "stop"):  # type: ignore[no-untyped-def]
    return functions.bind(f, eta, RealLogarithm(policy))


def network(widths: tuple[int, ...] = (64, 12, 10), samples: int = 120) -> sg.objectives.Network:
    data = sg.data.digits().take(samples)
    parts = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.Tanh())][:-1]
    x = torch.as_tensor(data.x, dtype=T64)
    return sg.objectives.Network(nn.Sequential(*parts).double(), "cross_entropy", x / x.abs().max(), torch.as_tensor(data.y))


def visited(f: sg.objectives.Network, steps: int = 150) -> tuple[Tensor, float]:
    """Two points that SGD visits, and an η with a largest ηλ of .6 at the first."""
    theta = f.initial(2, torch.Generator().manual_seed(3))
    if steps:
        theta = sg.simulate(sg.kernels.SGD(sg.noises.Minibatch(f, 16), 0.2), theta, horizon=0.2 * steps, seed=2, progress=False).states[-1]
    top = sg.curvature.eigsh(sg.curvature.hessian_operator(f, theta[0]), 1).values[0]
    return theta, 0.6 / float(top)


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
    exact, strategy = bound(EXACT, f, eta).both(theta, g, v), bound(functions, f, eta)  # type: ignore[arg-type]
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


# --- tracking -------------------------------------------------------------------------------------------------------------------------------


def test_five_thousand_dimensions_within_two_percent_of_lanczos() -> None:
    """d = 4,960, two paths of ten Heun steps on the same increments: the ends differ by less than 2 % of the way from the start (and by more than nothing)."""
    f = network((64, 66, 10), 100)
    theta, eta = visited(f, 60)
    ends = []
    for functions in (sg.sdes.Krylov(16), Spectral(10)):
        sde = sg.sdes.HASMEProduct(sg.noises.Minibatch(f, 32), eta / 2, functions=functions)
        ends.append(sg.simulate(sg.kernels.Heun(sde, eta / 2), theta[:1], horizon=5 * eta, paths=2, seed=3, progress=False).states[-1])
    gap = (ends[1] - ends[0]).norm(dim=1) / (ends[0] - theta[:1]).norm(dim=1)
    assert bool((gap < 0.02).all())
    assert bool((gap > 0).all())


def test_a_block_does_not_depend_on_what_ran_before_it() -> None:
    """The remembered rows are forgotten where a block begins: serial, alone, or on threads in any company, the same bits."""
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    sde = sg.sdes.HASMEProduct(sg.noises.Minibatch(f, 8), eta / 2, functions=Spectral(4, tolerance=0.1))
    settings = {"horizon": 2 * eta, "seed": 3, "progress": False, "block_size": 2}
    kernel = sg.kernels.Heun(sde, eta / 2)
    serial = sg.simulate(kernel, theta[:1], paths=6, **settings)
    with ThreadPoolExecutor(2) as pool:
        threads = sg.simulate(kernel, theta[:1], paths=6, executor=pool, **settings)
    copy = sg.simulate(pickle.loads(pickle.dumps(kernel)), theta[:1], paths=6, **settings)
    alone = sg.simulate(kernel, theta[:1], paths=2, **settings)
    assert torch.equal(serial.states, threads.states)
    assert torch.equal(serial.states, copy.states)
    assert torch.equal(serial.states[:, :2], alone.states)


def test_without_forgetting_a_block_would_depend_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: ``begin`` does nothing. The check before the run has left its rows, and the run differs in its last digits."""
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    sde = sg.sdes.HASMEProduct(sg.noises.Minibatch(f, 8), eta / 2, functions=Spectral(4, tolerance=0.1))
    settings = {"horizon": 2 * eta, "seed": 3, "progress": False}
    right = sg.simulate(sg.kernels.Heun(sde, eta / 2), theta, **settings).states
    monkeypatch.setattr(type(sde), "begin", lambda self: None)
    assert not torch.equal(sg.simulate(sg.kernels.Heun(sde, eta / 2), theta, **settings).states, right)


class Rising(sg.Objective):
    """½Σλᵢ(θ₀)θᵢ²-like: the curvature of the last coordinate grows along the first, from nothing to the largest."""

    def __init__(self, dim: int = 30) -> None:
        self.dim = dim
        self.curvature = torch.cat([torch.tensor([0.0, 7.0, 6.0, 5.0], dtype=T64), torch.linspace(0, 0.5, dim - 5, dtype=T64), torch.zeros(1, dtype=T64)])

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        values = (self.curvature * theta**2).sum(1) / 2 + 8 * (1 - torch.cos(theta[:, -1])) * theta[:, 0]
        return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])


def error_after_the_rise() -> tuple[float, Tally]:
    """Three outliers are remembered; a fourth, larger one has grown meanwhile, orthogonal to them."""
    f, eta = Rising(), 0.1
    strategy = bound(Spectral(3, tolerance=1e-3), f, eta)
    v = torch.randn(2, 30, generator=torch.Generator().manual_seed(5), dtype=T64)
    point = torch.zeros(2, 30, dtype=T64)
    strategy.flow(point, v)
    point[:, 0] = 1.0
    with tallying() as tally:
        found = strategy.flow(point, v)
    return float(((found - bound(EXACT, f, eta).flow(point, v)).norm(dim=1) / v.norm(dim=1)).max()), tally


def test_an_outlier_that_appears_is_found() -> None:
    """It shows in Hv, on which H is known anyway; then the eigenpairs are computed anew. What is left is the bulk, which the third outlier has joined (.5)."""
    error, tally = error_after_the_rise()
    assert tally.counts["outliers recomputed"] == 2
    assert error < 0.02
    assert tally.worst["eta·lambda of the bulk"] == pytest.approx(0.5, abs=0.01)


def test_from_the_remembered_rows_alone_it_would_be_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "whitened", lambda rows, images: (rows[:, :5], images[:, :5]))
    assert error_after_the_rise()[0] > 0.04


def test_paths_do_not_interact_and_a_broken_one_stays_alone() -> None:
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    theta = theta.repeat(3, 1) + 0.05 * torch.randn(6, f.dim, generator=torch.Generator().manual_seed(9), dtype=T64)
    v = torch.randn(6, f.dim, generator=torch.Generator().manual_seed(5), dtype=T64)
    whole = bound(Spectral(4), f, eta / 2).flow(theta, v)
    alone = bound(Spectral(4), f, eta / 2).flow(theta[4:5], v[4:5])
    assert torch.allclose(whole[4:5], alone, rtol=1e-7, atol=1e-9)
    theta[2] = torch.nan
    broken = bound(Spectral(4), f, eta / 2)
    for _ in range(2):
        found = broken.flow(theta, v)
        assert bool(torch.isnan(found[2]).all())
        assert torch.allclose(found[[0, 1, 3, 4, 5]], whole[[0, 1, 3, 4, 5]], rtol=1e-7, atol=1e-6)


def test_recomputation_is_counted_and_what_cannot_be_reached_is_too(monkeypatch: pytest.MonkeyPatch) -> None:
    f = network((64, 4, 10), 40)
    theta, eta = visited(f, 60)
    v = torch.randn(2, f.dim, generator=torch.Generator().manual_seed(5), dtype=T64)
    strategy = bound(Spectral(4, tolerance=1e-5), f, eta / 2)
    strategy.flow(theta, v)
    moved = theta + 0.05 * torch.randn(2, f.dim, generator=torch.Generator().manual_seed(6), dtype=T64)
    with tallying() as tally:
        strategy.flow(moved, v)
    assert tally.counts["outliers recomputed"] == 2
    assert tally.worst["error bound of the outliers"] <= 1e-5
    monkeypatch.setattr(spectral, "WARM_ROUNDS", 0)
    monkeypatch.setattr(spectral, "COLD_ROUNDS", 3)
    with tallying() as tally:
        bound(Spectral(4, tolerance=1e-9), f, eta / 2).flow(theta, v)
    assert tally.counts["outliers above tolerance"] == 2


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
