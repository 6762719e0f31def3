"""Functions of the Hessian times vectors: Lanczos against eigenvectors, its error against the bound that approximation theory gives, its domain."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev

import sgdsde as sg
from sgdsde.sdes import krylov
from sgdsde.sdes.functions import ell, phi_square
from sgdsde.sdes.log_domain import RealLogarithm
from sgdsde.types import DomainError, InputError, tallying

T64 = torch.float64


class Reflected(sg.Objective):
    """f = Σᵢ aᵢ(1 − cos yᵢ), y = Wθ with the reflection W = I − 2wwᵀ: no facts, so only autodiff is used, and every function of H is known."""

    def __init__(self, curvatures: torch.Tensor, seed: int = 0) -> None:
        self.dim = curvatures.numel()
        self.a = curvatures.to(T64)
        w = torch.randn(self.dim, dtype=T64, generator=torch.Generator().manual_seed(seed))
        self.w = w / w.norm()

    def reflect(self, v: torch.Tensor) -> torch.Tensor:
        return v - 2 * (v @ self.w)[:, None] * self.w

    def sample_loss(self, theta: torch.Tensor, batch: torch.Tensor | None = None) -> torch.Tensor:
        values = (self.a * (1 - torch.cos(self.reflect(theta)))).sum(1)
        return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])

    def of_hessian(self, function, theta: torch.Tensor, eta: float, v: torch.Tensor) -> torch.Tensor:
        return self.reflect(function(eta * self.a * torch.cos(self.reflect(theta))) * self.reflect(v))


def amplifier(x: torch.Tensor) -> torch.Tensor:
    return phi_square(x).sqrt()


def rotated_quadratic(x: torch.Tensor, eta: float, generator: torch.Generator) -> sg.objectives.Quadratic:
    d = x.numel()
    U = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=T64))[0]
    H = U @ torch.diag(x / eta) @ U.T
    return sg.objectives.Quadratic((H + H.T) / 2)


def best_error(function, low: float, high: float, steps: int) -> float:
    """Σ_{k ≥ steps}|cₖ| of the Chebyshev series on [low, high]: an upper bound on the best uniform approximation by degree < steps."""
    series = chebyshev.Chebyshev.interpolate(lambda x: function(torch.as_tensor(x)).numpy(), 400, domain=[low, high])
    return float(np.abs(series.coef[steps:]).sum())


@pytest.mark.parametrize(("low", "high"), [(-0.9, 0.9), (0.0, 0.9), (-0.5, 0.5), (0.0, 0.99)])
@pytest.mark.parametrize("steps", [4, 8, 16, 24])
def test_lanczos_error_is_within_twice_the_best_polynomial(low: float, high: float, steps: int) -> None:
    """‖h(ηH)v − Lanczos‖ ≤ 2‖v‖·min over polynomials of degree < m of max|h − p| on the spectrum's interval (Saad 1992)."""
    assert _excess(low, high, steps, amplifier) <= 0


def test_a_wrong_function_breaks_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutant: φ(M²) where φ(M²)^½ belongs."""
    monkeypatch.setattr(krylov, "_root_phi", phi_square)
    assert _excess(0.0, 0.9, 16, amplifier) > 1e-3


def _excess(low: float, high: float, steps: int, spread) -> float:
    """The largest of error − bound over paths and both functions."""
    eta, d, g = 0.1, 60, torch.Generator().manual_seed(steps)
    f = rotated_quadratic(torch.linspace(low, high, d, dtype=T64), eta, g)
    v = torch.randn(2, 5, d, generator=g, dtype=T64)
    theta = torch.zeros(5, d, dtype=T64)
    exact = sg.sdes.Dense().bind(f, eta, RealLogarithm("stop"))
    found = sg.sdes.Krylov(steps).bind(f, eta, RealLogarithm("stop"))
    flow, amplified = found.both(theta, v[0], v[1])
    norms = v.norm(dim=2)
    rounding = 1e-13 * norms.max()
    first = (flow - exact.flow(theta, v[0])).norm(dim=1) - 2 * norms[0] * best_error(ell, low, high, steps) - rounding
    second = (amplified - exact.amplify(theta, v[1])).norm(dim=1) - 2 * norms[1] * best_error(spread, low, high, steps) - rounding
    return float(torch.maximum(first, second).max())


def test_taylor_of_the_same_degree_fails_where_lanczos_does_not() -> None:
    """Past ηλ ≈ ½ the Taylor series of ℓ at 16 terms is off by more than a percent where 16 Lanczos steps are good to 1e-5."""
    eta, d, g = 0.1, 40, torch.Generator().manual_seed(0)
    x = torch.linspace(0, 0.9, d, dtype=T64)
    f = rotated_quadratic(x, eta, g)
    theta, v = torch.zeros(1, d, dtype=T64), torch.randn(1, d, generator=g, dtype=T64)
    exact = sg.sdes.Dense().bind(f, eta, RealLogarithm("stop")).flow(theta, v)
    lanczos = sg.sdes.Krylov(16).bind(f, eta, RealLogarithm("stop")).flow(theta, v)
    taylor = -sum(x**k / (k + 1) for k in range(16))
    assert float((lanczos - exact).norm() / exact.norm()) < 1e-5
    assert float(((taylor - ell(x)) / ell(x)).abs().max()) > 0.01


def test_five_thousand_dimensions_from_products_alone() -> None:
    """d = 5,000 by autodiff products against the closed form: flow and amplifier to 1e-7 at 24 steps, ηλ up to .7 and indefinite."""
    d, eta = 5000, 0.1
    g = torch.Generator().manual_seed(3)
    f = Reflected(torch.rand(d, generator=g, dtype=T64) * 7)
    theta = torch.randn(2, d, generator=g, dtype=T64)
    v = torch.randn(2, d, generator=g, dtype=T64)
    noise = sg.noises.Gaussian(f, lambda t: t[:, :, None] * t[:, None, :])  # never formed below
    sde = sg.sdes.HASMEProduct(noise, eta, functions=sg.sdes.Krylov(24))
    gradient = sg.calculus.grad(f, theta)
    drift = sde.drift(0.0, theta)
    amplified = sg.sdes.Krylov(24).bind(f, eta, RealLogarithm("stop")).amplify(theta, v)
    assert_close(drift, f.of_hessian(ell, theta, eta, gradient), 1e-7)
    assert_close(amplified, f.of_hessian(amplifier, theta, eta, v), 1e-7)


def assert_close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
    error = float(((found - wanted).norm(dim=1) / wanted.norm(dim=1)).max())
    assert error < tolerance, error


def test_flow_is_the_integral_of_resolvents() -> None:
    """ℓ(ηH)g = −∫₀¹(I − sηH)⁻¹g ds, by Gauss–Legendre and dense solves: an independent route to the Dense strategy."""
    d, eta = 7, 0.2
    g = torch.Generator().manual_seed(5)
    f = Reflected(torch.rand(d, generator=g, dtype=T64) * 4)
    theta = torch.randn(3, d, generator=g, dtype=T64)
    gradient = sg.calculus.grad(f, theta)
    H = sg.calculus.hessian(f, theta)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    total = sum(
        w / 2 * torch.linalg.solve(torch.eye(d, dtype=T64) - (s + 1) / 2 * eta * H, gradient) for s, w in zip(nodes.tolist(), weights.tolist(), strict=True)
    )
    assert_close(sg.sdes.Dense().bind(f, eta, RealLogarithm("stop")).flow(theta, gradient), -total, 1e-12)


@pytest.mark.parametrize("case", ["zero vector", "eigenvector", "zero Hessian", "more steps than dimensions", "two distinct eigenvalues"])
def test_krylov_spaces_that_end_early(case: str) -> None:
    """Where the Krylov space is exhausted Lanczos is exact, per path: an ordinary vector beside it is not disturbed."""
    eta, d, g = 0.1, 12, torch.Generator().manual_seed(1)
    x = torch.linspace(-0.8, 0.8, d, dtype=T64)
    if case == "zero Hessian":
        x = torch.zeros(d, dtype=T64)
    if case == "two distinct eigenvalues":
        x = torch.where(x > 0, 0.6, -0.3).to(T64)
    f = rotated_quadratic(x, eta, g)
    v = torch.randn(3, d, generator=g, dtype=T64)
    if case == "zero vector":
        v[1] = 0
    if case == "eigenvector":
        v[1] = torch.linalg.eigh(f.matrix)[1][:, 3]
    steps = 30 if case == "more steps than dimensions" else d
    theta = torch.zeros(3, d, dtype=T64)
    exact = sg.sdes.Dense().bind(f, eta, RealLogarithm("stop")).both(theta, v, v)
    found = sg.sdes.Krylov(steps).bind(f, eta, RealLogarithm("stop")).both(theta, v, v)
    for a, b in zip(found, exact, strict=True):
        assert float((a - b).abs().max()) < 1e-12


def test_krylov_diffusion_and_terms_agree_with_dense() -> None:
    eta, g = 0.1, torch.Generator().manual_seed(2)
    f = Reflected(torch.rand(6, generator=g, dtype=T64) * 8)
    G = torch.randn(6, 6, generator=g, dtype=T64)
    noise = sg.noises.Gaussian(f, G @ G.T)
    theta, dw = torch.randn(2, 4, 6, generator=g, dtype=T64)
    for model in (sg.sdes.HASMEProduct, sg.sdes.HASME3Product):
        exact, found = model(noise, eta), model(noise, eta, functions=sg.sdes.Krylov(6))
        assert_close(found.diffusion(0.0, theta).flatten(1), exact.diffusion(0.0, theta).flatten(1), 1e-12)
        for a, b in zip(found.terms(0.0, theta, dw), exact.terms(0.0, theta, dw), strict=True):
            assert_close(a, b, 1e-12)
        assert_close(found.drift(0.0, theta), exact.terms(0.0, theta, dw)[0], 1e-12)
        assert_close(found.diffuse(0.0, theta, dw), exact.terms(0.0, theta, dw)[1], 1e-12)


@pytest.mark.parametrize("functions", [sg.sdes.Dense(), sg.sdes.Krylov(4, tolerance=0.0)])
def test_domain_policies_path_by_path(functions: sg.sdes.Dense | sg.sdes.Krylov) -> None:
    """Of three points one has ηλ = 1.2: it alone is NaN and flagged under stop, clipped and counted under clip; raise names the value. The gradient there sees
    that direction by its rounding only, so that Lanczos has to go on to the end.
    """
    f = Reflected(torch.tensor([12.0, 3.0, 1.0, 2.0]))
    noise = sg.noises.Gaussian(f, 1.0)
    y = torch.tensor([[1.5, 0.3, 0.1, 0.2], [0.0, 0.3, 0.1, 0.2], [2.0, 0.3, 0.1, 0.2]], dtype=T64)
    theta = f.reflect(y)  # a reflection is its own inverse
    dw = torch.ones(3, 4, dtype=T64)
    bad = torch.tensor([False, True, False])
    with tallying() as tally:
        for part in sg.sdes.HASMEProduct(noise, 0.1, functions=functions).terms(0.0, theta, dw):
            assert torch.equal(torch.isnan(part).all(1), bad)
            assert torch.equal(torch.isnan(part).any(1), bad)
    assert torch.equal(tally.flagged, bad)
    with pytest.raises(DomainError, match=r"eta·lambda = 1\.2"):
        sg.sdes.HASMEProduct(noise, 0.1, log="raise", functions=functions).terms(0.0, theta, dw)
    with tallying() as tally:
        clipped = sg.sdes.HASMEProduct(noise, 0.1, log="clip", functions=functions).drift(0.0, theta)
    assert tally.counts["log clipped"] == 1
    assert bool(torch.isfinite(clipped).all())
    assert_close(clipped, f.of_hessian(lambda x: ell(x.clamp_max(0.99)), theta, 0.1, sg.calculus.grad(f, theta)), 1e-12)


def test_clipping_one_path_leaves_the_others_alone() -> None:
    """A path at ηλ = .995 is clipped whether or not another path lies beyond 1: results cannot depend on the company."""
    sde = sg.sdes.HASME(sg.noises.Gaussian(Reflected(torch.tensor([12.0])), 1.0), 0.1, log="clip")
    near = torch.acos(torch.tensor([[0.995 / 1.2]], dtype=T64))  # ηλ = .995; at 0 it is 1.2
    alone = sde.drift(0.0, near)
    company = sde.drift(0.0, torch.cat([near, torch.zeros_like(near)]))[:1]
    assert torch.equal(alone, company)
    assert_close(alone, ell(torch.tensor(0.99, dtype=T64)) * sg.calculus.grad(sde.objective, near), 1e-12)


def test_constant_hessian_beyond_one_is_refused_before_a_run() -> None:
    f = sg.objectives.Quadratic([11.0, 1.0, 0.5])
    noise = sg.noises.Gaussian(f, 1.0)
    for functions in (sg.sdes.Dense(), sg.sdes.Krylov(2)):
        with pytest.raises(DomainError, match=r"eta·lambda = 1\.1"):
            sg.sdes.HASMEProduct(noise, 0.1, functions=functions)
        sg.sdes.HASMEProduct(noise, 0.1, functions=functions, log="clip")


@pytest.mark.parametrize("steps", [0, -3, 2.5, True])
def test_unusable_number_of_steps(steps: object) -> None:
    with pytest.raises(InputError, match="wanted an integer ≥ 1"):
        sg.sdes.Krylov(steps)


def test_a_run_with_krylov_follows_the_run_with_dense() -> None:
    """The same seed through Krylov(6) in six dimensions gives the paths of Dense to rounding."""
    g = torch.Generator().manual_seed(4)
    f = Reflected(torch.rand(6, generator=g, dtype=T64) * 5)
    noise = sg.noises.Gaussian(f, 0.1)
    start, ends = torch.full((6,), 0.5, dtype=T64), []
    for functions in (sg.sdes.Dense(), sg.sdes.Krylov(6)):
        kernel = sg.kernels.Heun(sg.sdes.HASMEProduct(noise, 0.1, functions=functions), 0.05)
        ends.append(sg.simulate(kernel, start, horizon=0.5, paths=8, seed=1).states)
    assert float((ends[0] - ends[1]).abs().max()) < 1e-11
