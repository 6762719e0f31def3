"""The integrator's correction of paired errors, how many paths would decide, and how the network's settings are shared out to measurements.

Exact, but for one power that is checked by simulation: 2,000 repetitions with a fixed seed, false alarm 1e-6, see a power off by .05.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.claims.a15_network import NetworkSurrogate, plan_for
from sgdsde.claims.a15_network_batch import NetworkMinibatch
from sgdsde.claims.a15_network_early import NetworkEarly
from sgdsde.claims.a15_network_loss import NetworkLoss
from sgdsde.error_ratio import Errors
from sgdsde.kernels import SGD, Heun
from sgdsde.measurements import network_comparison
from sgdsde.measurements.digits_network import digits_network, start_at
from sgdsde.measurements.network_comparison import OBSERVABLES, NetworkRun
from sgdsde.stats import check_mean

CLAIMS = (NetworkSurrogate(), NetworkMinibatch(), NetworkEarly(), NetworkLoss())


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs whose values are functions of the kernels' substeps: 7 for SGD and 10 + 8/n for n substeps, a bias of first order."""

    def pair(self: NetworkRun, a: Any, b: Any, paths: int, *, purpose: int) -> tuple[Any, Any, float, str]:
        noise = np.arange(paths) % 2 * 1.0
        values = [(7.0 if isinstance(kernel, SGD) else 10 + 8 / kernel.substeps) + noise for kernel in (a, b)]
        first, second = (dict.fromkeys(OBSERVABLES, column) for column in values)
        return first, second, 1.0, ""

    monkeypatch.setattr(NetworkRun, "_pair", pair)


def run() -> NetworkRun:
    f = digits_network(20)
    return NetworkRun(sg.noises.Minibatch(f, 1), 0.1, start_at(f, "initialisation", 3), 5, 7, 20)


def test_the_leading_error_of_the_integrator_is_taken_off(pairs: None) -> None:
    for substeps in (2, 4):
        found = run().corrected(("SME1",), 8, substeps)[0]["tr Cov"]
        assert found.value == pytest.approx(10 - 7)
        assert found.covariance == pytest.approx(0.0)  # path by path: what all have in common goes


def test_a_factor_other_than_two_is_seen(pairs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_comparison, "FIRST_ORDER", 1)
    one, other = (run().corrected(("SME1",), 8, substeps)[0]["tr Cov"].value for substeps in (2, 4))
    assert float(one[0] - other[0]) == pytest.approx(1)


def test_sgd_and_all_models_meet_the_same_increments() -> None:
    """To the last bit, whatever stands beside SGD; an integrator on another grid meets others."""
    one = run()
    surrogate = sg.noises.gaussian_surrogate(one.noise)
    beside = [Heun(model(surrogate, 0.1), 0.1 / n) for model, n in ((sg.sdes.GradientFlow, 4), (sg.sdes.SME1, 4), (sg.sdes.SME2, 4), (sg.sdes.SME1, 2))]
    losses = [one._pair(SGD(surrogate, 0.1), kernel, 6, purpose=1)[0]["loss"] for kernel in beside]
    assert np.array_equal(losses[0], losses[1])
    assert np.array_equal(losses[0], losses[2])
    assert not np.array_equal(losses[0], losses[3])


def test_errors_and_ratios_are_those_of_the_models_named() -> None:
    """Each model's error is a number of its own, of either sign; the ratios are theirs."""
    own = {"SME1": 3.0, "SME2": -5.0, "SPF": 7.0, "HASME": 2.0, "GradientFlow": 50.0}

    def found(self: NetworkRun, models: tuple[str, ...], paths: int, substeps: int) -> network_comparison.Found:
        errors = Errors(np.array([own[model] for model in models]), 1e-6 * np.eye(len(models)), paths, np.zeros(len(models)))
        return dict.fromkeys(OBSERVABLES, errors), dict.fromkeys(OBSERVABLES, 10.0), 1.0, ""

    settings = {"a": {"start": "initialisation", "training": 3, "x": 0.2, "batch": 1, "steps": 1}}
    measured = network_comparison._compared(found, 3, 0.99, settings, 20, 8, 1).estimates
    for model in network_comparison.MODELS:
        assert measured[f"a/surrogate/loss/{model}"].value == pytest.approx(10 * own[model])
        if model != "HASME":
            assert measured[f"a/surrogate/loss/HASME:{model}"].value == pytest.approx(abs(2 / own[model]))
    assert measured["a/surrogate/tr Cov/GradientFlow:SME1"].value == pytest.approx(50 / 3)
    assert measured["a/surrogate/tr Cov/SPF:SME1"].value == pytest.approx(7 / 3)


def told(samples: np.ndarray, level: float) -> bool:
    ratio = Errors.of(samples).ratio(0, 1, level=level)
    return float(ratio.high) < 1


def repeated(draw: Callable[[], Tensor], level: float, times: int = 2_000) -> np.ndarray:
    return np.array([told(draw().numpy(), level) for _ in range(times)], dtype=float)


def test_the_paths_told_decide_with_the_power_told() -> None:
    """Errors −.5 and 2 of one unit's scatter, correlated .6: at the number of paths that the population's moments ask for, 90 % of runs decide. Half as many
    paths, the mutant, do not.
    """
    mean, level, generator = torch.tensor([-0.5, 2.0], dtype=torch.float64), 0.9999, torch.Generator().manual_seed(4)
    covariance = np.array([[25.0, 15.0], [15.0, 25.0]])
    paths = math.ceil(Errors(mean.numpy(), covariance / 100, 100, np.zeros(2)).paths_to_tell(0, 1, level=level, power=0.9))
    root = torch.linalg.cholesky(torch.from_numpy(covariance))

    def draw(count: int) -> Tensor:
        return mean + torch.randn(count, 2, generator=generator, dtype=torch.float64) @ root.T

    found = repeated(lambda: draw(paths), level)
    assert 0.85 < found.mean() < 0.96
    with pytest.raises(AssertionError):
        check_mean(repeated(lambda: draw(paths // 2), level), 0.9)


def test_paths_grow_with_the_square_of_what_is_to_be_told() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]]) / 50
    near, far = (Errors(np.array([a, 3.0]), covariance, 50, np.zeros(2)).paths_to_tell(0, 1) for a in (2.0, 1.0))
    assert near == pytest.approx(4 * far)
    assert Errors(np.array([3.0, 3.0]), covariance, 50, np.zeros(2)).paths_to_tell(0, 1) == math.inf


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_family_shares_its_measurements(profile: str) -> None:
    plans = [claim.plan(profile, 3) for claim in CLAIMS]
    measured: dict[str, Any] = {}
    for plan in plans:
        for one in plan.measurements:
            assert measured.setdefault(one.name, one) == one
        held = {(one.name, setting) for one in plan.measurements for setting in one.parameters["settings"]}
        assert {(row.measurement, row.key.split("/")[0]) for row in plan.rows} <= held
        assert {row.measurement for row in plan.rows} == {one.name for one in plan.measurements}
    assert sum(len(one.parameters["settings"]) for one in measured.values()) == (7 if profile == "quick" else 14)


def test_more_paths_are_asked_for_in_full_only() -> None:
    def times(profile: str) -> list[int]:
        plan = plan_for("surrogate", ("tr Cov",), profile, 3, early=("tr Cov",))
        return [setting["times"] for one in plan.measurements for setting in one.parameters["settings"].values() if "times" in setting]

    assert times("quick") == []
    assert sorted(times("full")) == [2, 5, 6, 6, 7]
