"""Functions of the Hessian by Chebyshev series: against eigenvectors at rounding, their length against the theorem, each path by its own norm."""

from __future__ import annotations

import pickle
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.sdes import functions
from sgdsde.sdes.chebyshev import RADII, SeriesFunction, norm_bound, series_times
from sgdsde.sdes.functions import HessianSpectrum, ell
from sgdsde.sdes.matrix_functions import root_phi
from sgdsde.types import DomainError, tallying

T64, T32 = torch.float64, torch.float32
BOTH = {"flow": ell, "amplifier": root_phi}


def turned(x: torch.Tensor, count: int, seed: int = 0) -> torch.Tensor:
    """Symmetric matrices with eigenvalues x, turned at random."""
    d = x.numel()
    U = torch.linalg.qr(torch.randn(count, d, d, dtype=T64, generator=torch.Generator().manual_seed(seed)))[0]
    A = (U * x) @ U.transpose(1, 2)
    return (A + A.transpose(1, 2)) / 2


def error(radius: float, dtype: torch.dtype, *, claimed: float | None = None, functions_of: dict[str, Any] = BOTH) -> float:
    """Largest error over both functions on spectra that reach ±radius, clusters among them, in units of rounding; ‖v‖ ≈ √6."""
    eta, x = 0.3, radius * torch.tensor([-1.0, -0.3, 0.2, 0.2 + 1e-9, 0.9, 1.0], dtype=T64)
    A, v = (turned(x, 200) / eta).to(dtype), torch.randn(2, 200, 6, dtype=T64, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = series_times(A, eta, claimed or radius, [SeriesFunction(f) for f in functions_of.values()], list(v))
    values, U = torch.linalg.eigh(A.double())
    worst = 0.0
    for part, f, w in zip(found, BOTH.values(), v.double(), strict=True):
        exact = (U @ (f(eta * values) * (w[:, None] @ U)[:, 0])[:, :, None])[:, :, 0]
        worst = max(worst, float((part.double() - exact).abs().max()))
    return worst / torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [T64, T32])
@pytest.mark.parametrize("radius", RADII)
def test_the_series_is_exact_to_rounding(radius: float, dtype: torch.dtype) -> None:
    """Within 200 units of rounding: 41 products of vectors of length √6, h up to 1.9. Mutants below: six terms less, too small a radius."""
    assert error(radius, dtype) < 200


def test_too_short_a_series_and_too_small_a_radius_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert error(0.75, T64, claimed=0.6) > 1e3
    series = SeriesFunction.series
    monkeypatch.setattr(SeriesFunction, "series", lambda self, radius, dtype: series(self, radius, dtype)[:-6])
    assert error(0.75, T64) > 1e3


@pytest.mark.parametrize("name", list(BOTH))
@pytest.mark.parametrize("radius", RADII)
def test_what_is_cut_off_obeys_the_theorem(name: str, radius: float) -> None:
    """The coefficients from n on sum to at most 2|h(a)|ρ⁻ⁿ/(ρ − 1) for every a < 1, ρ + 1/ρ = 2a/R, and the ones kept are below twice |h(a)|ρ⁻ᵏ."""
    kept = SeriesFunction(BOTH[name]).series(radius, T64)
    short = SeriesFunction(BOTH[name]).series(radius, T32)
    assert len(short) < 0.55 * len(kept)
    np.testing.assert_allclose(short, kept[: len(short)])
    for a in (0.9, 0.97, 0.995):
        rho = a / radius + np.sqrt((a / radius) ** 2 - 1)
        height = abs(float(BOTH[name](torch.tensor([[a]], dtype=T64))))
        bound = 2 * height * rho ** -np.arange(len(kept))
        assert (np.abs(kept) <= bound * 1.001 + 1e-15).all()
        assert float(np.abs(kept[len(short) :]).sum()) <= 2 * height * rho ** -len(short) / (rho - 1) + 1e-14


@pytest.mark.parametrize("dtype", [T64, T32])
@pytest.mark.parametrize("radius", RADII)
def test_the_sum_of_the_series_is_the_function_in_forty_digits(radius: float, dtype: torch.dtype) -> None:
    """|h − p| ≤ 12 units of rounding of h's largest coefficient at 41 points of [−R, R], both evaluated in 40 digits."""
    with mpmath.workdps(40):
        exact = {"flow": lambda x: mpmath.log1p(-x) / x, "amplifier": lambda x: mpmath.sqrt(2 * mpmath.log1p(-x) / (x * x - 2 * x))}
        for name, function in exact.items():
            series = SeriesFunction(BOTH[name]).series(radius, dtype)
            for i in range(41):
                x = mpmath.mpf(radius) * (mpmath.mpf(2 * i) / 40 - 1 + mpmath.mpf("1e-3"))
                if abs(x) > radius:
                    continue
                total = sum(mpmath.mpf(c) * mpmath.chebyt(k, x / radius) for k, c in enumerate(series))
                assert abs(total - function(x)) < 12 * torch.finfo(dtype).eps * abs(series[0])


def test_a_function_without_a_series_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no Chebyshev series"):
        SeriesFunction(torch.abs).series(0.5, T64)


def test_the_norm_bounds_the_spectrum() -> None:
    A = torch.randn(300, 7, 7, dtype=T64, generator=torch.Generator().manual_seed(2))
    A = A + A.transpose(1, 2)
    radius = torch.linalg.eigvalsh(A).abs().amax(1)
    assert bool((norm_bound(A) >= radius * (1 - 1e-14)).all())
    sharp = torch.diag_embed(torch.tensor([[0.3, -0.8, 0.1]], dtype=T64))
    assert float(norm_bound(sharp)) == pytest.approx(0.8)
    A[3, 0, 0] = torch.nan
    assert torch.isnan(norm_bound(A)).tolist() == [i == 3 for i in range(300)]


class Bowl(sg.Objective):
    """f = Σᵢ aᵢ(1 − cos yᵢ) in turned axes, y = Wθ: the Hessian's eigenvalues are aᵢcos yᵢ."""

    def __init__(self, steepest: float) -> None:
        self.dim = 5
        self.W = torch.linalg.qr(torch.randn(5, 5, dtype=T64, generator=torch.Generator().manual_seed(4)))[0]
        self.a = torch.tensor([steepest, 1.0, 0.5, 1.5, 0.2], dtype=T64)
        self.facts = sg.Facts(grad=self._grad, hessian=self._hessian)

    def sample_loss(self, theta: torch.Tensor, batch: torch.Tensor | None = None) -> torch.Tensor:
        value = (self.a.to(theta) * (1 - torch.cos(theta @ self.W.T.to(theta)))).sum(1)
        return value[:, None].expand(-1, 1 if batch is None else batch.shape[1])

    def _grad(self, theta: torch.Tensor) -> torch.Tensor:
        return (self.a.to(theta) * torch.sin(theta @ self.W.T.to(theta))) @ self.W.to(theta)

    def _hessian(self, theta: torch.Tensor) -> torch.Tensor:
        W = self.W.to(theta)
        return W.T @ ((self.a.to(theta) * torch.cos(theta @ W.T))[:, :, None] * W)


MODELS = [sg.sdes.PrincipalFlow, sg.sdes.SPF, sg.sdes.HASME, sg.sdes.HASMEProduct, sg.sdes.HASME3Product, sg.sdes.EvenStepHASME]
#: along the steepest axis: ηλ = 0, .2, .3, .46, .7, .95, 1.2 at η = .1, steepest 12
COSINES = torch.tensor([0.0, 0.2 / 1.2, 0.25, 0.46 / 1.2, 0.7 / 1.2, 0.95 / 1.2, 1.0], dtype=T64)


def points(f: Bowl) -> torch.Tensor:
    y = torch.full((len(COSINES), 5), 0.3, dtype=T64)
    y[:, 0] = torch.acos(COSINES)
    return y @ f.W


@pytest.mark.parametrize("model", MODELS)
def test_models_by_series_are_those_through_eigenvectors(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drift and D dw at points of every class, one of them out of the domain, to 1e-12; the same path is NaN and flagged, no other."""
    f = Bowl(12.0)
    x, dw, found = points(f), torch.ones(len(COSINES), 5, dtype=T64), []
    for from_dim in (4, 99):
        monkeypatch.setattr(functions, "SERIES_FROM", from_dim)
        sde = model(sg.noises.Gaussian(f, 0.3), 0.1)
        with tallying() as tally:
            drift = sde.drift(0.0, x)
        parts = [drift, *(sde.terms(0.0, x, dw) if sde.noise_dim else ())]
        found.append((parts, tally.flagged, dict(tally.counts)))
    for a, b in zip(found[0][0], found[1][0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)
    assert found[0][2] == found[1][2]
    if model is sg.sdes.EvenStepHASME:
        assert bool(torch.isfinite(found[0][0][0]).all())
        assert found[0][1] is None
    else:
        assert torch.isnan(found[0][0][0]).all(1).tolist() == [False] * 6 + [True]
        assert found[0][1].tolist() == found[1][1].tolist() == [False] * 6 + [True]


def test_every_class_is_met_and_a_path_hangs_on_no_other() -> None:
    f = Bowl(12.0)
    x = points(f)[:6]
    kinds = torch.bucketize(0.1 * norm_bound(f.facts.hessian(x)), torch.tensor(RADII, dtype=T64))
    assert sorted(set(kinds.tolist())) == [1, 2, 3] or sorted(set(kinds.tolist())) == [0, 1, 2, 3]
    spectrum, flow = HessianSpectrum(f, 0.1, "stop"), SeriesFunction(ell)
    g = sg.calculus.grad(f, x)
    together = spectrum.times(x, [flow], [g])[0]
    alone = torch.cat([spectrum.times(x[i : i + 1], [flow], [g[i : i + 1]])[0] for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-14, atol=1e-14)


def test_policies_are_those_of_eigenvectors() -> None:
    f = Bowl(12.0)
    x = points(f)
    with pytest.raises(DomainError, match=r"eta·lambda = 1\.2"):
        sg.sdes.SPF(sg.noises.Gaussian(f, 0.3), 0.1, log="raise").drift(0.0, x)
    with tallying() as tally:
        drift = sg.sdes.SPF(sg.noises.Gaussian(f, 0.3), 0.1, log="clip").drift(0.0, x)
    assert tally.counts["log clipped"] == 1
    assert tally.worst["shift of eta·lambda by clipping"] == pytest.approx(0.21)
    assert bool(torch.isfinite(drift).all())


@pytest.mark.parametrize("model", MODELS)
def test_models_travel_with_their_series(model: Any) -> None:
    sde = model(sg.noises.Gaussian(sg.objectives.PeriodicWell(4, curvature=1.0, coupling=0.2), 0.1), 0.1)
    x = torch.full((3, 4), 0.4, dtype=T64)
    here = sde.drift(0.0, x)
    assert torch.equal(pickle.loads(pickle.dumps(sde)).drift(0.0, x), here)
