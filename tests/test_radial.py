"""Crossing rates of the stiffening well: against the killed diffusion on the line, decaying expectations, small steps, and paths."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.objectives.stiffening_well import StiffeningWell
from sgdsde.oracles import sde_mean_exit
from sgdsde.oracles.radial import Space, sde_crossing, sgd_crossing
from sgdsde.regions import Interval
from sgdsde.types import InputError, OracleRefusal


def hot(dim: int, gain: float, temperature: float, eta: float) -> sg.noises.Gaussian:
    return sg.noises.Gaussian(StiffeningWell(dim, gain=gain), 2 * temperature / eta)


@pytest.mark.parametrize("model", ["SME1", "HASME"])
@pytest.mark.parametrize("temperature", [0.1, 0.03])
def test_without_stiffening_it_is_the_line(model: str, temperature: float) -> None:
    """gain = 0: the odd mode is that of the 1-D diffusion killed at the pass, in two and in six dimensions, to 1e-6."""
    eta = 0.04
    line = getattr(sg.sdes, model)(sg.noises.Gaussian(sg.objectives.DoubleWell(), 2 * temperature / eta), eta)
    wanted = sde_mean_exit(line, -1.0, Interval(-2.3, 0.0)).rate
    for dim in (2, 6):
        assert sde_crossing(getattr(sg.sdes, model)(hot(dim, 0.0, temperature, eta), eta)).rate == pytest.approx(wanted, rel=1e-6)


def test_sgd_without_stiffening() -> None:
    """E θ₁ on the line, from the right minimum, falls by e^{−rate·t} from t = 12 to 20: to 1e-5 (the next odd mode is 50 times faster)."""
    eta, temperature = 0.1, 0.1
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 2 * temperature / eta)
    functions = {"x": lambda x: x[:, 0]}
    ends = [sg.oracles.sgd_expectations(noise, eta=eta, theta0=1.0, horizon=t, functions=functions, tolerance=1e-8).value[0, 0] for t in (12.0, 20.0)]
    assert sgd_crossing(hot(3, 0.0, temperature, eta), eta).rate == pytest.approx(-math.log(ends[1] / ends[0]) / 8, rel=1e-5)


@pytest.mark.parametrize("dim", [2, 3, 9])
def test_small_steps_go_to_the_diffusion(dim: int) -> None:
    """SGD's rate, extrapolated from η = .02, .01, .005, is SME-1's at those steps likewise (both tend to Langevin's), within 2e-5: two routes, one limit."""
    etas = (0.02, 0.01, 0.005)
    sgd, sde = ([rate(hot(dim, 0.8, 0.1, eta), eta) for eta in etas] for rate in (_sgd, _sme1))
    assert _limit(sgd) == pytest.approx(_limit(sde), rel=2e-5)
    assert abs(sgd[0] / sde[0] - 1) > 1e-3


def _sgd(noise: sg.Noise, eta: float) -> float:
    return sgd_crossing(noise, eta).rate


def _sme1(noise: sg.Noise, eta: float) -> float:
    return sde_crossing(sg.sdes.SME1(noise, eta)).rate


def _limit(values: list[float]) -> float:
    """Richardson for halved steps: errors linear, then quadratic."""
    a, b = 2 * values[1] - values[0], 2 * values[2] - values[1]
    return (4 * b - a) / 3


@pytest.mark.parametrize("mutant", [False, True])
def test_paths_relax_at_that_rate(mutant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """d = 4, T = .15, η = .1, 40,000 paths: E θ₁ from t = 2 to 6. Standard error of the log ratio about 1.4 %; 4.5 of them: false alarms 1e-5, resolves 8 %.

    With one transverse direction too few the rate is 15 % lower (mutant).
    """
    noise, eta = hot(4, 1.0, 0.15, 0.1), 0.1
    run = sg.simulate(sg.kernels.SGD(noise, eta), [1.0, 0.0, 0.0, 0.0], horizon=6.0, save=[2.0, 6.0], paths=40_000, seed=0, progress=False)
    x = run.states[:, :, 0].numpy()
    mean, stderr = x.mean(1), x.std(1) / 200
    found, unsure = -math.log(mean[1] / mean[0]) / 4, math.hypot(*(stderr / mean)) / 4
    if mutant:
        original = Space.after_step
        monkeypatch.setattr(Space, "after_step", lambda self, g, eta, s: original(self, g[:, :3], eta, s))
    distance = abs(found - sgd_crossing(noise, eta).rate) / unsure
    assert (distance < 4.5) == (not mutant)


def test_regression_numbers() -> None:
    """Rates at T = .05 with gain 1: SGD's and HA-SME's, two and ten dimensions."""
    for dim, eta, sgd, hasme in ((2, 0.05, 3.817550e-3, 4.163465e-3), (10, 0.025, 2.878269e-2, 3.149303e-2)):
        noise = hot(dim, 1.0, 0.05, eta)
        assert sgd_crossing(noise, eta).rate == pytest.approx(sgd, rel=1e-6)
        assert sde_crossing(sg.sdes.HASME(noise, eta)).rate == pytest.approx(hasme, rel=1e-6)


def test_refusals() -> None:
    """Another objective, noise with a direction, a model that does not exist in the wells, and rates too small are refused."""
    with pytest.raises(InputError, match="made for"):
        sgd_crossing(sg.noises.Gaussian(sg.objectives.DoubleWell(2), 1.0), 0.05)
    with pytest.raises(InputError, match="σ²I"):
        sgd_crossing(sg.noises.Gaussian(StiffeningWell(2), np.diag([1.0, 2.0])), 0.05)
    with pytest.raises(InputError, match="σ²I"):
        sde_crossing(sg.sdes.SME1(sg.noises.Gaussian(StiffeningWell(2), lambda x: torch.eye(2, dtype=x.dtype).expand(len(x), 2, 2)), 0.05))
    with pytest.raises(OracleRefusal, match="HASME does not exist"):
        sde_crossing(sg.sdes.HASME(hot(2, 1.0, 0.1, 0.3), 0.3))
    with pytest.raises(OracleRefusal, match="largest two bases differ"):
        sgd_crossing(hot(2, 1.0, 0.008, 0.05), 0.05)
