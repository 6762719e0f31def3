"""Heavy-tailed noise: its sampler, density and exit oracle against independent answers; everything that needs a covariance refuses in words."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import scipy.stats
import torch
from exit_problems import FALSE_ALARM

import sgdsde as sg
from sgdsde.noises import stable as module
from sgdsde.oracles.stable_density import StableDensity
from sgdsde.regions import Interval
from sgdsde.rng import stream
from sgdsde.stats import CheckFailed, check
from sgdsde.types import InputError, OracleRefusal

DRAWS = 40_000


def sampled(alpha: float) -> None:
    """Kolmogorov's distance of 40,000 draws to scipy's distribution function: false-alarm rate 1e-6, resolves .013."""
    draws = np.sort(module.stable(torch.empty(DRAWS, 1, dtype=torch.float64), alpha, stream(3, "draws"))[:, 0].numpy())
    grid = np.concatenate([-np.geomspace(1e3, 0.1, 60), np.linspace(-0.09, 0.09, 9), np.geomspace(0.1, 1e3, 60)])
    exact = scipy.stats.levy_stable.cdf(grid, alpha, 0.0)
    gap = np.abs(np.searchsorted(draws, grid, side="right") / DRAWS - exact).max()
    assert gap < math.sqrt(math.log(2 / FALSE_ALARM) / (2 * DRAWS))


@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.5, 1.9])
def test_draws_follow_the_stable_law(alpha: float) -> None:
    sampled(alpha)


@pytest.mark.parametrize("wrong", [lambda a: 2 - a / 2, lambda a: a / 1.2, lambda a: a + 0.3])
def test_a_wrong_index_is_seen(wrong, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    right = module.stable
    monkeypatch.setattr(module, "stable", lambda shaped, alpha, generator: right(shaped, wrong(alpha), generator))
    with pytest.raises(AssertionError):
        sampled(1.5)


def test_noise_is_the_gradient_plus_scaled_draws_of_each_coordinate() -> None:
    """Quartiles of a coordinate scale with γ (|median| below 1e-2·γ is resolved to 2 %); a scale of zero leaves the gradient; float32 and copies agree."""
    noise = sg.noises.SymmetricStable(sg.objectives.Quadratic([2.0, 1.0, 0.5]), 1.3, [0.3, 0.0, 3.0])
    theta = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    g = noise.draw(theta.expand(DRAWS, -1), stream(1, "draws"))
    assert torch.equal(g[:, 1], torch.full_like(g[:, 1], 2.0))
    quartile = scipy.stats.levy_stable.ppf(0.75, 1.3, 0.0)
    for i, (centre, gamma) in enumerate(((2.0, 0.3), (2.0, 0.0), (1.5, 3.0))):
        if gamma:
            low, middle, high = np.quantile(g[:, i].numpy(), [0.25, 0.5, 0.75])
            assert (high - low) / 2 == pytest.approx(gamma * quartile, rel=0.05)
            assert middle == pytest.approx(centre, abs=0.05 * gamma)
    rank = scipy.stats.spearmanr(g[:, 0].numpy(), g[:, 2].numpy()).statistic
    assert abs(rank) < 5 / math.sqrt(DRAWS)
    assert noise.draw(theta.float(), stream(1, "draws")).dtype == torch.float32
    assert bool(torch.isfinite(noise.draw(theta.float().expand(DRAWS, -1), stream(1, "draws"))).all())
    copy = pickle.loads(pickle.dumps(noise))
    assert torch.equal(copy.draw(theta, stream(0, "x")), noise.draw(theta, stream(0, "x")))
    assert "alpha=1.3" in str(noise.conventions())


NOISE = sg.noises.SymmetricStable(sg.objectives.CosineWell(), 1.5, 0.5)
SGD = sg.kernels.SGD(NOISE, 0.1)


MODELS = [name for name in sg.sdes.__all__ if isinstance(getattr(sg.sdes, name), type) and issubclass(getattr(sg.sdes, name), sg.sde.ModifiedEquation)]


def test_there_are_models_to_refuse() -> None:
    assert {"SME1", "SPF", "HASME", "HASMEProduct", "HASME3", "EvenStepHASME"} <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_refuses_in_words(name: str) -> None:
    model = getattr(sg.sdes, name)
    with pytest.raises(InputError, match=f"{name} was asked of SymmetricStable, whose variance is infinite"):
        model(NOISE, 0.1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: NOISE.covariance(torch.zeros(1, 1)),
        lambda: NOISE.root(torch.zeros(1, 1), torch.zeros(1, 0)),
        lambda: sg.noises.Surrogate(NOISE),
        lambda: sg.noises.gaussian_surrogate(NOISE),
        lambda: sg.kernels.Coupled(SGD, sg.kernels.Heun(sg.sdes.SME1(sg.noises.Gaussian(NOISE.objective, 1.0), 0.1), 0.1)),
        lambda: sg.compare(NOISE, eta=0.1, models=["SME1"], theta0=[0.1], horizon=0.5, paths=64, seed=1),
        lambda: sg.exit_times(SGD, [0.0], region=Interval(-1, 1), horizon=5, monitor="bridge", paths=10, seed=1),
        lambda: sg.oracles.stationary_covariance(sg.noises.SymmetricStable(sg.objectives.Quadratic(1.0), 1.5), 0.1),
    ],
)
def test_what_needs_brownian_increments_refuses_in_words(ask) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=r"no SDE with Brownian increments|no path between iterates"):
        ask()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sg.noises.SymmetricStable(NOISE.objective, 2.0), r"Gaussian\(objective, 2 \* scale\*\*2\)"),
        (lambda: sg.noises.SymmetricStable(NOISE.objective, 0.0), "0 < alpha < 2"),
        (lambda: sg.noises.SymmetricStable(NOISE.objective, math.nan), "0 < alpha < 2"),
        (lambda: sg.noises.SymmetricStable(NOISE.objective, 1.5, -1.0), "scale"),
        (lambda: sg.noises.SymmetricStable(NOISE.objective, 1.5, 0.0), "scale"),
        (lambda: sg.noises.SymmetricStable(NOISE.objective, 1.5, [1.0, 2.0]), "scale"),
        (lambda: sg.oracles.stable_exit_steps(2.5, 0.1, 1.0, 1.0), "alpha"),
        (lambda: sg.oracles.stable_exit_steps(1.5, 0.1, -1.0, 1.0), "below"),
        (lambda: sg.oracles.sgd_mean_exit(NOISE, 0.1, 0.0, Interval(-1, 1), law=sg.oracles.GaussianLaw()), "its own law"),
    ],
)
def test_bad_input(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize(
    ("noise", "interval", "words"),
    [
        (NOISE, Interval(-math.inf, 1.0), "half-line cannot be cut"),
        (sg.noises.SymmetricStable(NOISE.objective, 0.7, 0.5), Interval(-1, 1), "alpha = 0.7"),
        (sg.noises.SymmetricStable(NOISE.objective, 1.5, 1e-4), Interval(-1, 1), "panels"),
    ],
)
def test_the_oracle_refuses(noise: sg.Noise, interval: Interval, words: str) -> None:
    with pytest.raises(OracleRefusal, match=words):
        sg.oracles.sgd_mean_exit(noise, 0.1, 0.0, interval)


@pytest.mark.parametrize("alpha", [0.9, 1.0, 1.5, 1.95])
def test_density_and_tail_are_scipys(alpha: float) -> None:
    """Across the join at 20 and far out; the mutant (α off by 1e-6) is seen."""
    x = np.array([0.0, 0.3, 1.0, 3.0, 7.0, 15.0, 19.9, 20.1, 25.0, 60.0, 300.0])
    law = StableDensity(alpha)
    assert law.density(x) == pytest.approx(scipy.stats.levy_stable.pdf(x, alpha, 0.0), rel=1e-9, abs=1e-12)
    far = x if alpha < 1.9 else x[:5]  # scipy's own tail loses its digits
    assert law.tail(far) == pytest.approx(scipy.stats.levy_stable.sf(far, alpha, 0.0), rel=1e-8, abs=1e-12)
    assert law.tail(-far) == pytest.approx(1 - law.tail(far), abs=1e-15)
    assert StableDensity(alpha - 1e-6).density(x) != pytest.approx(law.density(x), rel=1e-9)


def exits(noise: sg.noises.SymmetricStable) -> None:
    """Mean exit of 8,000 paths against the oracle at ηγ = .15, α = 1.4 in a well of width 1: false-alarm rate 1e-6, resolves 6 %."""
    interval = Interval(-1.0, 0.8)
    truth = sg.oracles.sgd_mean_exit(sg.noises.SymmetricStable(noise.objective, 1.4, 1.5), 0.1, 0.0, interval)
    found = sg.exit_times(sg.kernels.SGD(noise, 0.1), [0.0], region=interval, horizon=1e4, paths=8000, seed=4)
    passed = check(found.mean(), truth.mean, false_alarm=FALSE_ALARM)
    assert passed.resolvable < 0.07 * truth.mean
    share = float((found.sides == 1).double().mean())
    assert abs(share - truth.sides[1]) < 5 * math.sqrt(truth.sides[1] * truth.sides[-1] / 8000)
    grid = np.arange(1, 40) * 0.1
    simulated = 1 - np.searchsorted(np.sort(found.times.numpy() - 0.05), grid, side="right") / 8000
    assert np.abs(simulated - truth.survival(grid)).max() < math.sqrt(math.log(2 / FALSE_ALARM) / 16_000)


def test_paths_agree_with_the_oracle() -> None:
    exits(sg.noises.SymmetricStable(NOISE.objective, 1.4, 1.5))


@pytest.mark.parametrize(("alpha", "scale"), [(1.5, 1.5), (1.4, 1.7)])
def test_another_index_or_scale_is_seen(alpha: float, scale: float) -> None:
    with pytest.raises((CheckFailed, AssertionError)):
        exits(sg.noises.SymmetricStable(NOISE.objective, alpha, scale))


def test_the_small_noise_law_is_the_oracles_limit() -> None:
    """Steep well (ηλ = .9): within 2 % at ηγ = w/60, nearer than at w/30, for unequal distances; the one-sided constant would be twice too large."""
    well, eta, alpha = sg.objectives.CosineWell(height=0.9 / 0.1 * 2 / math.pi**2), 0.1, 1.5
    ratios = []
    for step in (1 / 30, 1 / 60):
        law = sg.oracles.sgd_mean_exit(sg.noises.SymmetricStable(well, alpha, step / eta), eta, 0.0, Interval(-0.5, 0.8))
        ratios.append(law.steps / sg.oracles.stable_exit_steps(alpha, step, 0.5, 0.8))
    assert abs(ratios[1] - 1) < abs(ratios[0] - 1)
    assert ratios[1] == pytest.approx(1.0, abs=0.03)
