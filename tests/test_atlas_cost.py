"""What an atlas costs: the points at which a model is evaluated, and that none of it is done twice."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest
import torch
from torch import Tensor

import sgdsde as sg
from sgdsde.predicted_error import Forecast

T64 = torch.float64


class Counted(sg.sdes.SME2):
    """SME-2 that counts the points of its drift and how often it is built."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self, noise: sg.Noise, eta: float) -> None:
        super().__init__(noise, eta)
        self.seen["built"] += 1

    def drift(self, t: float, x: Tensor) -> Tensor:
        self.seen["points"] += len(x)
        return super().drift(t, x)


def growing(theta: Tensor) -> Tensor:
    return (1 + 0.1 * theta[:, :1, None] ** 2) * 0.1 * torch.eye(theta.shape[1], dtype=theta.dtype)


def points_of(dim: int, covariance: object) -> tuple[int, Forecast]:
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(dim, transverse=1.5), covariance)  # type: ignore[arg-type]
    start = torch.full((1, dim), 0.4, dtype=T64)
    forecast = Forecast(noise, 0.05, start, steps=8, functions={"x": lambda x: x[:, 0]})
    Counted.seen.clear()
    forecast.predict(Counted, 2)
    return Counted.seen["points"], forecast


@pytest.mark.parametrize(("dim", "nodes"), [(2, 25), (3, 125), (5, 11)])
def test_a_model_is_evaluated_at_the_nodes_of_its_law_only(dim: int, nodes: int) -> None:
    """RK4 over 8 steps at η, 16 at η/2 and the split law's rest (in two dimensions 3 parts for 2 steps and 9 for 3, else 3 for 4), and settling substeps;
    by ticks it was 9, 7 and 11 times as many.
    """
    points, forecast = points_of(dim, growing)
    runs = 8 + 16 + (3 * 2 + 9 * 3 if dim == 2 else 3 * 4)
    substeps = max(forecast.substeps(Counted, halving) for halving in (1, 2))
    settling = 2 * 2 * len(forecast.inner.nodes) * 4 * (2 * 2 * substeps)
    assert points <= 4 * substeps * nodes * runs + settling


def test_order_three_at_constant_noise_goes_by_ticks_from_four_dimensions_on() -> None:
    assert [points_of(dim, 0.1)[1].nested for dim in (1, 2, 3, 4, 8, 9)] == [True, False, False, True, True, False]
    assert not points_of(5, growing)[1].nested


def test_a_model_is_built_once_for_each_step_size() -> None:
    """At η and η/2, by the chart, the prediction and the one-step error together."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), 0.25)
    Counted.seen.clear()
    sg.atlas(noise, 0.05, [0.4], models={"counted": Counted})
    assert Counted.seen["built"] == 2


def test_third_cumulants_by_moment_equations_are_as_exact_as_by_ticks() -> None:
    """The errors of SME-3 and HA-SME-3 on the line with Σ(θ), by the oracle: within 10 % at η = .05 (three test functions); without κ they miss by more."""
    noise = sg.noises.Gaussian(sg.objectives.DoubleWell(), lambda x: 0.2 + 0.1 * x[:, :1, None] ** 2)
    functions = {"x": lambda x: x[:, 0], "x²": lambda x: x[:, 0] ** 2, "x³": lambda x: x[:, 0] ** 3}
    models = {"SME3": sg.sdes.SME3, "HASME3": sg.sdes.HASME3}
    exact = sg.oracles.weak_errors(models, noise, eta=0.05, theta0=[-1.3], horizon=0.4, functions=functions, tolerance=1e-10)
    worst = {}
    for third in (True, False):
        forecast = Forecast(noise, 0.05, torch.tensor([[-1.3]], dtype=T64), steps=8, functions=functions)
        forecast.third, forecast.nested = third, False
        found = {name: forecast.predict(model, 3) for name, model in models.items()}
        worst[third] = max(abs(found[name][key].error / float(exact[name].error[key]) - 1) for name in models for key in functions)
    assert worst[True] < 0.1, worst
    assert worst[False] > 0.1, worst


@pytest.mark.parametrize(("one", "asked"), [(0.1, [False]), (0.08, [False]), (0.06, [False, True]), (-0.1, [False, True])])
def test_where_the_law_is_far_from_normal_the_model_goes_by_ticks(monkeypatch: pytest.MonkeyPatch, one: float, asked: list[bool]) -> None:
    """Where one part says ``one`` of the largest error and several say 0.1; the smaller error, on which they always disagree, decides nothing."""
    noise, seen = sg.noises.Gaussian(sg.objectives.DoubleWell(2, transverse=1.5), growing), []

    def differences(self: Forecast, factory: object, ticks: int, *, nested: bool) -> tuple[Tensor, Tensor, Tensor, bool]:
        seen.append(nested)
        full = torch.tensor([0.1, 0.001], dtype=T64) * (2 if nested else 1)
        return full, torch.tensor([one, -0.001], dtype=T64), torch.tensor([one / 4, 0.001], dtype=T64), False

    monkeypatch.setattr(Forecast, "_differences", differences)
    functions = {"x": lambda x: x[:, 0], "y": lambda x: x[:, 0]}
    found = Forecast(noise, 0.05, torch.tensor([[0.4, 0.1]], dtype=T64), steps=8, functions=functions).predict(sg.sdes.SME2, 2)
    assert seen == asked
    assert found["x"].error == (0.2 if asked[-1] else 0.1)


@pytest.mark.parametrize("eta", [0.2, 0.1])
def test_from_a_saddle_in_the_plane_errors_hold_within_a_factor_two(eta: float) -> None:
    """With much noise the law is bimodal. Exact: f is a sum over the coordinates, a double well by the oracle and a parabola in closed form."""
    well, parabola = (sg.noises.Gaussian(f, 0.7) for f in (sg.objectives.DoubleWell(), sg.objectives.Quadratic(1.5)))
    noise, steps = sg.noises.Gaussian(sg.objectives.DoubleWell(2, transverse=1.5), 0.7), round(1.6 / eta)
    models = {"SME1": sg.sdes.SME1, "SME2": sg.sdes.SME2}
    line = sg.oracles.weak_errors(models, well, eta=eta, theta0=[0.05], horizon=1.6, functions={"f": well.objective.loss}, tolerance=1e-9)
    forecast = Forecast(noise, eta, torch.tensor([[0.05, 0.0]], dtype=T64), steps=steps, functions={"f": noise.objective.loss})
    for order, (name, model) in enumerate(models.items(), 1):
        beside = sg.oracles.sde_moments(model(parabola, eta), [0.0], 1.6).covariance - sg.oracles.sgd_moments(parabola, eta, [0.0], steps).covariance
        exact = float(line[name].error["f"]) + 1.5 / 2 * float(beside.squeeze())
        assert 0.5 < forecast.predict(model, order)["f"].error / exact < 2, name
