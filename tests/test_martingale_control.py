"""Martingale controls: the paths stay what they were, expectations are zero, estimates agree with exact ones, errors are what they say, and mutants fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.martingale_control import MartingaleControl
from sgdsde.measurements.digits_network import digits_network, start_at
from sgdsde.noises.gaussian import growing_covariance
from sgdsde.observables import Loss, SquaredDistance
from sgdsde.types import InputError
from sgdsde.value_function import Expansion

FAR = 5  # standard errors: false alarm 6e-7 a comparison


def made(noise: Any, eta: float, start: list[float], steps: int, *, model: str = "SME2", phi: Any = None, anchor: Any = None) -> MartingaleControl:
    function = SquaredDistance(tuple(start)) if phi is None else phi
    integrator = sg.kernels.Heun(getattr(sg.sdes, model)(noise, eta), eta / 4)
    return MartingaleControl(sg.kernels.SGD(noise, eta), integrator, [(function, steps)], start if anchor is None else anchor)


def run(pair: MartingaleControl, start: list[float], steps: int, paths: int, seed: int = 1) -> Any:
    return sg.simulate(pair, start, horizon=steps * pair.tick, paths=paths, seed=seed, block_size=1024, progress=False).states[-1]


def curved() -> Any:
    """Noise that depends on the point, on an objective that is no quadratic."""
    return sg.noises.Gaussian(sg.objectives.DoubleWell(2, transverse=1.5), growing_covariance)


def linear() -> Any:
    return sg.noises.Gaussian(sg.objectives.Quadratic([[2.0, 0.5], [0.5, 1.0]], [0.1, 0.2]), [[0.5, 0.1], [0.1, 0.3]])


@pytest.mark.parametrize("noise", [curved(), linear()])
def test_paths_are_those_of_the_coupled_pair(noise: Any) -> None:
    """To the last digit, so that a control can be asked for without changing a run."""
    pair, start = made(noise, 0.05, [0.7, -0.4], 6), [0.7, -0.4]
    plain = sg.simulate(pair.pair, start, horizon=0.3, paths=300, seed=1, block_size=1024, progress=False).states[-1]
    assert torch.equal(run(pair, start, 6, 300)[:, :4], plain)


def remainder(wrong: float = 1.0) -> float:
    """On a quadratic with constant noise u is quadratic: φ(θ) less SGD's martingale is Eφ(θ) on every path. The largest error of that."""
    noise, start = linear(), [0.7, -0.4]
    pair = made(noise, 0.2, start, 8)
    states = run(pair, start, 8, 64)
    theta, _ = pair.split(states)
    moments = sg.oracles.sgd_moments(noise, 0.2, start, 8)
    origin = torch.tensor(start, dtype=torch.float64)
    exact = float(((moments.mean - origin) ** 2).sum() + moments.covariance.trace())
    left = ((theta - origin) ** 2).sum(1).numpy() - wrong * pair.controls(states, 0)[:, 1]
    return float(np.abs(left - exact).max())


def test_on_a_quadratic_sgds_martingale_is_the_whole_deviation() -> None:
    """Against the exact moments, to the error of the differences that give ∇²φ."""
    assert remainder() < 1e-6


def test_a_martingale_that_is_off_by_a_tenth_is_not() -> None:
    """Mutant: coefficient 1.1."""
    assert remainder(1.1) > 1e-3


def distances_from_zero() -> np.ndarray:
    """Means of the two controls over their standard errors; expansion about a point that is not the start, so that u is far from right."""
    start = [0.7, -0.4]
    pair = made(curved(), 0.1, start, 5, anchor=[-0.5, 0.6])
    controls = pair.controls(run(pair, start, 5, 60_000), 0)
    return np.asarray(controls.mean(0) / controls.std(0) * len(controls) ** 0.5)


def test_expectations_are_zero_whatever_the_expansion() -> None:
    """Two means of 60,000 within 5 standard errors: false alarm 1e-6; resolves 7 standard errors, 3 % of a control's spread."""
    assert np.abs(distances_from_zero()).max() < FAR


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_a_wrong_trace_is_seen(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutants: no trace, half of it (a missing ½), twice."""
    right = Expansion.martingale
    monkeypatch.setattr(Expansion, "martingale", lambda self, x, kick, covariance: right(self, x, kick, factor * covariance))
    assert np.abs(distances_from_zero()).max() > 2 * FAR


#: η, σ, start, steps, model, φ: none of them a benchmark's setting
CASES = [
    (0.05, 0.8, -1.2, 12, "SME2", "loss"),
    (0.15, 0.3, 0.4, 6, "SME1", "squared distance"),
    (0.1, 0.5, 1.1, 30, "HASMEProduct", "squared distance"),
]


def measured(case: tuple[Any, ...], *, paths: int = 8192) -> tuple[Any, np.ndarray, Any, float]:
    """The pair, φ(X) − φ(θ), the states, and the exact E φ(X) − E φ(θ) of the model itself."""
    eta, sigma, start, steps, model, name = case
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), sigma**2)
    phi: Any = Loss(noise.objective) if name == "loss" else SquaredDistance((start,))
    pair = made(noise, eta, [start], steps, model=model, phi=phi)
    states = run(pair, [start], steps, paths)
    theta, x = pair.split(states)
    place: dict[str, Any] = {"theta0": [[start]], "horizon": steps * eta, "functions": {"φ": phi}}
    exact = sg.oracles.sde_expectations(pair.b.sde, **place).value[0, 0] - sg.oracles.sgd_expectations(noise, eta=eta, **place).value[0, 0]
    return pair, (phi(x) - phi(theta)).numpy(), states, float(exact)


@pytest.mark.parametrize("case", CASES)
def test_estimates_agree_with_the_exact_error_and_are_better_known(case: tuple[Any, ...]) -> None:
    """Against the oracles of the chain and of the SDE: within 5 standard errors (false alarm 6e-7) and 2 % of the error for the integrator's four steps a tick.
    The standard error falls at least by 1.4; mutant: controls of other paths win nothing.
    """
    pair, values, states, exact = measured(case)
    found = pair.difference(values, states, 0)
    assert abs(float(found.value) - exact) < FAR * float(found.stderr) + 0.02 * abs(exact)
    plain = values.std() / len(values) ** 0.5
    assert float(found.stderr) < plain / 1.4
    assert float(pair.difference(values, states.roll(1, 0), 0).stderr) > 0.98 * plain


def test_the_stated_error_is_the_spread_of_estimates() -> None:
    """128 groups of 64 paths: their spread over the mean stated error within 0.75…1.35; the spread's own error is 1/√256 = 6 % for normal estimates."""
    pair, values, states, _ = measured(CASES[1])
    groups = [pair.difference(values[k : k + 64], states[k : k + 64], 0) for k in range(0, len(values), 64)]
    ratio = np.std([float(one.value) for one in groups]) / np.sqrt(np.mean([float(one.stderr) ** 2 for one in groups]))
    assert 0.75 < ratio < 1.35


def test_on_the_network_it_wins_by_more_than_two_and_agrees_with_coupling() -> None:
    """18 parameters, minibatch covariance, from initialisation, 3 steps, 512 paths; the two means differ by at most 5 plain standard errors. Mutant: as above,
    controls of other paths.
    """
    objective = digits_network(100)
    start = start_at(objective, "initialisation", 1)
    noise = sg.noises.gaussian_surrogate(sg.noises.Minibatch(objective, 16))
    pair = made(noise, 0.3, start.tolist(), 3, phi=Loss(objective))
    states = run(pair, start.tolist(), 3, 512)
    theta, x = pair.split(states)
    values = (objective.loss(x) - objective.loss(theta)).detach().numpy()
    found, plain = pair.difference(values, states, 0), values.std() / 512**0.5
    assert float(found.stderr) < plain / 2
    assert abs(float(found.value) - values.mean()) < FAR * plain
    assert float(pair.difference(values, states.roll(1, 0), 0).stderr) > 0.98 * plain


def test_refusals() -> None:
    noise = curved()
    sgd, heun = sg.kernels.SGD(noise, 0.1), sg.kernels.Heun(sg.sdes.SME2(noise, 0.1), 0.05)
    target = (noise.objective.loss, 3)
    with pytest.raises(InputError, match="SGD and Heun"):
        MartingaleControl(sgd, sg.kernels.EulerMaruyama(heun.sde, 0.05), [target], [0.0, 0.0])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="anchor holds 2"):
        MartingaleControl(sgd, heun, [target], [[0.0, 0.0], [1.0, 0.0]])
    many = sg.noises.Gaussian(sg.objectives.Quadratic(torch.ones(65)), 1.0)
    with pytest.raises(InputError, match="at most 64 dimensions"):
        MartingaleControl(sg.kernels.SGD(many, 0.1), sg.kernels.Heun(sg.sdes.SME2(many, 0.1), 0.05), [(many.objective.loss, 3)], [0.0] * 65)
