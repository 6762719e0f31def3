"""The even-step model: SGD's law at even iterates past ηλ = 1, its limits, its domain, its positivity."""

from __future__ import annotations

import math

import pytest
import torch

import sgdsde as sg
from sgdsde.sdes.functions import even_ell, even_phi_pair, phi_pair
from sgdsde.sdes.positivity import defect, even_step_correlation_bound
from sgdsde.types import DomainError, InputError, tallying

T64 = torch.float64
ETA = 0.1


def problem(x: list[float], *, correlation: float = 0.0, seed: int = 0) -> sg.noises.Gaussian:
    """A rotated quadratic with eigenvalues x/η and a covariance of equal correlation in its eigenbasis, unequal variances: it commutes with H only at 0."""
    d = len(x)
    g = torch.Generator().manual_seed(seed)
    U = torch.linalg.qr(torch.randn(d, d, generator=g, dtype=T64))[0]
    H = U @ torch.diag(torch.tensor(x, dtype=T64) / ETA) @ U.T
    scales = torch.linspace(1, 2, d, dtype=T64)
    inner = (correlation + (1 - correlation) * torch.eye(d, dtype=T64)) * scales[:, None] * scales
    S = U @ inner @ U.T
    return sg.noises.Gaussian(sg.objectives.Quadratic((H + H.T) / 2), (S + S.T) / 2)


SPECTRA = [[1.2], [1.5], [1.7], [2.0], [2.5], [0.3, 1.5], [0.3, 1.7, 2.5], [-0.5, 0.9, 1.1, 2.0, 3.2], [0.5, 0.8, 1.3, 1.6, 2.0, 2.4]]


@pytest.mark.parametrize("x", SPECTRA)
@pytest.mark.parametrize("correlation", [0.0, 0.4])
@pytest.mark.parametrize("k", [2, 6])
def test_mean_and_covariance_at_even_steps(x: list[float], correlation: float, k: int) -> None:
    """Relative error below 1e-12 at k = 2 and 6, spectra on both sides of 1 and 2 mixed; the law is Gaussian on both sides, so this is the law."""
    noise = problem(x, correlation=correlation)
    sde = sg.sdes.EvenStepHASME(noise, ETA)
    assert float(sde.defect(torch.zeros(1, len(x), dtype=T64))) == 0
    start = torch.linspace(-1, 1, len(x), dtype=T64) + 0.5
    wanted = sg.oracles.sgd_moments(noise, ETA, start, k)
    found = sg.oracles.sde_moments(sde, start, k * ETA)
    assert relative(found.mean, wanted.mean) < 1e-12
    assert relative(found.covariance, wanted.covariance) < 1e-12


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def test_control_odd_steps_and_the_wrong_logarithm(monkeypatch: pytest.MonkeyPatch) -> None:
    """At k = 3 the mean has the wrong sign; with HA-SME's φ of |mᵢmⱼ| in place of log|u|/(u−1) the covariance is off (mutant)."""
    noise, start = problem([0.3, 1.5], correlation=0.4), torch.ones(2, dtype=T64)
    sde = sg.sdes.EvenStepHASME(noise, ETA)
    assert relative(sg.oracles.sde_moments(sde, start, 3 * ETA).mean, sg.oracles.sgd_moments(noise, ETA, start, 3).mean) > 0.1
    monkeypatch.setattr("sgdsde.sdes.even_step_hasme.even_phi_pair", lambda x: phi_pair(1 - (1 - x).abs()))
    mutant = sg.sdes.EvenStepHASME(noise, ETA)
    assert relative(sg.oracles.sde_moments(mutant, start, 2 * ETA).covariance, sg.oracles.sgd_moments(noise, ETA, start, 2).covariance) > 0.01


def test_below_one_it_is_hasme() -> None:
    noise = problem([-0.6, 0.2, 0.7], correlation=0.3)
    theta = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=T64)
    even, real = sg.sdes.EvenStepHASME(noise, ETA), sg.sdes.HASME(noise, ETA)
    assert float((even.drift(0.0, theta) - real.drift(0.0, theta)).abs().max()) < 1e-13
    assert float((even.diffusion(0.0, theta) - real.diffusion(0.0, theta)).abs().max()) < 1e-13


def test_limits_of_the_scalar_functions() -> None:
    """x = 0: −1; |m| = 1 (x = 2): 0; mᵢmⱼ = 1: factor 1; mᵢmⱼ = −1: factor 0; continuous around each, to rounding."""
    assert float(even_ell(torch.tensor(0.0, dtype=T64))) == -1
    assert float(even_ell(torch.tensor(2.0, dtype=T64))) == 0
    pairs = even_phi_pair(torch.tensor([[2.0, 0.0], [0.0, 2.0], [3.0, 0.5], [3.0, 1.5]], dtype=T64))
    assert float(pairs[0, 0, 0]) == 1  # m = −1: m² = 1
    assert float(pairs[0, 0, 1]) == 0  # −1·1 = −1
    assert abs(float(pairs[2, 0, 1])) < 1e-15  # −2·½ = −1
    assert abs(float(pairs[3, 0, 1]) - 1) < 1e-15  # −2·−½ = 1
    for h in (1e-3, 1e-6, 1e-9, -1e-9, -1e-6, -1e-3):
        assert float(even_ell(torch.tensor(2 + h, dtype=T64))) == pytest.approx(math.log1p(h) / (2 + h), rel=1e-7 if abs(h) < 1e-8 else 1e-10)
        near_one = float(even_phi_pair(torch.tensor([[2.0 + h, 2.0]], dtype=T64))[0, 0, 1])  # u = 1 + h
        assert near_one == pytest.approx(math.log1p(h) / h, rel=1e-12 if abs(h) > 1e-4 else 1e-6)


@pytest.mark.parametrize("gap", [1e-1, 1e-3, 1e-6, 1e-9, -1e-9, -1e-6, -1e-3])
def test_close_to_one_the_digits_are_kept(gap: float) -> None:
    """x = 1 ± gap beside x = 1 ∓ gap/2: the two-step covariance is still right to 1e-12 although the logarithms are large."""
    noise = problem([1 + gap, 1 - gap / 2])
    found = sg.oracles.sde_moments(sg.sdes.EvenStepHASME(noise, ETA), torch.zeros(2, dtype=T64), 2 * ETA).covariance
    wanted = sg.oracles.sgd_moments(noise, ETA, torch.zeros(2, dtype=T64), 2).covariance
    assert relative(found, wanted) < 1e-12 + 1e-15 / abs(gap)  # eigenvalues of H carry rounding of their own


class Bowl(sg.Objective):
    """f = Σ aᵢ(1 − cos θᵢ): ηλ varies along the path."""

    dim = 2

    def sample_loss(self, theta: torch.Tensor, batch: torch.Tensor | None = None) -> torch.Tensor:
        values = ((1 - torch.cos(theta)) * torch.tensor([10.0, 15.0], dtype=theta.dtype)).sum(1)
        return values[:, None].expand(-1, 1 if batch is None else batch.shape[1])


def test_the_choice_at_one() -> None:
    """ηλ = 1 at a point: stop makes NaN of that path alone and counts it, raise says so, clip takes m = .01 there; constant ηλ = 1 is refused at once."""
    noise = sg.noises.Gaussian(Bowl(), 1.0)
    theta = torch.tensor([[0.0, 0.3], [1.0, 0.3]], dtype=T64)  # ηλ₁ = 1 exactly at the first
    with tallying() as tally:
        drift = sg.sdes.EvenStepHASME(noise, ETA).drift(0.0, theta)
    assert torch.isnan(drift).all(1).tolist() == [True, False]
    assert tally.flagged is not None
    assert tally.flagged.tolist() == [True, False]
    with pytest.raises(DomainError, match="infinite at 1"):
        sg.sdes.EvenStepHASME(noise, ETA, log="raise").drift(0.0, theta)
    slope = sg.calculus.grad(noise.objective, theta + torch.tensor([[1e-3, 0.0]], dtype=T64))
    with tallying() as tally:
        clipped = sg.sdes.EvenStepHASME(noise, ETA, log="clip").drift(0.0, theta + torch.tensor([[1e-3, 0.0]], dtype=T64))
    assert tally.counts == {"log clipped": 1}
    assert float(clipped[0, 0]) == pytest.approx(math.log(0.01) / 0.99 * float(slope[0, 0]), rel=1e-12)
    for x in ([1.0], [0.5, 1.0]):
        with pytest.raises(DomainError, match="infinite at 1"):
            sg.sdes.EvenStepHASME(sg.noises.Gaussian(sg.objectives.Quadratic([v / ETA for v in x]), 1.0), ETA)
    with pytest.raises(InputError, match="Did you mean 'clip'"):
        sg.sdes.EvenStepHASME(noise, ETA, log="clipped")


def test_real_models_refuse_where_the_even_step_model_exists() -> None:
    noise = problem([0.3, 1.5])
    for model in (sg.sdes.HASME, sg.sdes.HASMEProduct, sg.sdes.SPF, sg.sdes.PrincipalFlow):
        with pytest.raises(DomainError, match="EvenStepHASME"):
            model(noise, ETA)


def test_positivity_boundary_in_two_dimensions() -> None:
    """Just inside the correlation bound Q has a root, just outside it has none; opposite signs of m leave every correlation free."""
    for x in ([1.3, 2.6], [0.2, 0.8], [1.1, 1.9], [2.2, 4.0]):
        bound = float(even_step_correlation_bound(*x))
        assert bound < 1
        origin = torch.zeros(1, 2, dtype=T64)
        assert float(sg.sdes.EvenStepHASME(problem(x, correlation=bound * (1 - 1e-6)), ETA).defect(origin)) == 0
        outside = sg.sdes.EvenStepHASME(problem(x, correlation=bound * (1 + 1e-6)), ETA)
        assert float(outside.defect(origin)) > 0
        with pytest.raises(DomainError, match="indefinite"):
            outside.check(origin)
        sg.sdes.EvenStepHASME(problem(x, correlation=bound * (1 + 1e-6)), ETA, psd="project").check(origin)
    assert float(even_step_correlation_bound(0.4, 1.6)) > 1
    assert float(even_step_correlation_bound(0.5, 3.0)) == math.inf or float(even_step_correlation_bound(0.5, 3.0)) > 1e10


def test_low_rank_leaves_no_positive_q() -> None:
    """d = 10, 500 draws each: rank 4 < d/2 never (a theorem); rank 8 sometimes where signs of m are mixed, never where they are equal."""
    g = torch.Generator().manual_seed(0)

    def share(low: float, rank: int) -> float:
        x = low + (2.5 - low) * torch.rand(500, 10, generator=g, dtype=T64)
        G = torch.randn(500, 10, rank, generator=g, dtype=T64)
        return float((defect(G @ G.transpose(1, 2) * even_phi_pair(x)) == 0).to(T64).mean())

    assert share(0.1, 4) == 0
    assert 0.05 < share(0.1, 8) < 0.3
    assert share(1.1, 8) == 0


def growth_per_step(sde: sg.SDE) -> float:
    """The factor of the mean over one tick of a one-dimensional linear SDE."""
    affine = sde.affine()
    assert affine is not None
    assert sde.eta is not None
    return math.exp(float(affine[0][0, 0]) * sde.eta)


@pytest.mark.parametrize("x", [0.5, 1.5, 1.9, 2.1, 2.5, 4.0])
def test_growth_factors_of_the_exact_flows(x: float) -> None:
    """Per step: SGD |1−x| and the even-step model the same; SME-1 e^{−x}, SME-2 e^{−x−x²/2}, SME-3 e^{−x−x²/2−x³/3}: no divergence, SGD's is past x = 2."""
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([x / ETA]), 1.0)
    assert growth_per_step(sg.sdes.EvenStepHASME(noise, ETA)) == pytest.approx(abs(1 - x), rel=1e-12)
    for model, rate in ((sg.sdes.SME1, x), (sg.sdes.SME2, x + x**2 / 2), (sg.sdes.SME3, x + x**2 / 2 + x**3 / 3)):
        assert growth_per_step(model(noise, ETA)) == pytest.approx(math.exp(-rate), rel=1e-12)
        assert growth_per_step(model(noise, ETA)) < 1


@pytest.mark.parametrize("batch", [1, 4, 8])
def test_mean_square_threshold_with_multiplicative_noise(batch: int) -> None:
    """Σ = (2/B)λ²w²: SGD and the even-step model lose mean-square stability at the same x = 2/(1+2/B), also past x = 1 (B = 4, 8)."""
    f = sg.objectives.Quadratic([1.0])
    noise = sg.noises.Gaussian(f, lambda w: 2 / batch * w[:, :, None] ** 2)
    threshold = 2 / (1 + 2 / batch)
    for x in (threshold * 0.999, threshold * 1.001):
        grows = x > threshold
        assert (sg.oracles.mean_square_growth(noise, x) > 1) == grows
        assert (sg.oracles.mean_square_growth(sg.sdes.EvenStepHASME(noise, x)) > 1) == grows
