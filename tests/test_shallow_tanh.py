"""The tanh network in closed form: against the same network by autodiff, and its trace of third derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

import sgdsde as sg
from sgdsde import calculus
from sgdsde.types import InputError


def logistic(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return softplus((1 - 2 * target) * output[..., 0], threshold=100)


@pytest.fixture(scope="module")
def nets() -> tuple[sg.Objective, sg.Objective]:
    data = sg.data.digits(components=4).against((1, 3, 5, 7, 9)).take(30)
    module = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1, bias=False)).double()
    return sg.objectives.ShallowTanh(data.x, data.y, hidden=3), sg.objectives.Network(module, logistic, data.x, data.y.double())


def points(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 18, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("function", [calculus.grad, calculus.hessian, calculus.sample_covariance, calculus.sample_grads])
def test_it_is_the_network_that_torch_flattens_the_same_way(nets: tuple[sg.Objective, sg.Objective], function: Callable) -> None:
    closed, autodiff = nets
    assert closed.dim == autodiff.dim == 18
    torch.testing.assert_close(function(closed, points()), function(autodiff, points()), rtol=1e-9, atol=1e-12)


def test_the_trace_of_third_derivatives_is_the_sum_of_third_derivatives(nets: tuple[sg.Objective, sg.Objective]) -> None:
    closed, _ = nets
    theta = points()
    S = closed.facts.covariance(theta)
    slow = sg.objectives.ShallowTanh(closed.x.original[:, :-1], closed.cross_entropy.labels.original.long(), hidden=3)
    slow.facts = replace(slow.facts, third_trace=None)
    wanted = calculus.third_trace(slow, theta, S)
    torch.testing.assert_close(calculus.third_trace(closed, theta, S), wanted, rtol=1e-9, atol=1e-12)
    half = calculus.third_trace(closed, theta, S / 2)  # a mutant: a missing factor is far outside the tolerance
    assert float((half - wanted).abs().max()) > 1e-3


def test_logits_on_new_inputs(nets: tuple[sg.Objective, sg.Objective]) -> None:
    closed, autodiff = nets
    x = torch.randn(6, 4, dtype=torch.float64)
    torch.testing.assert_close(closed.logits(points(), x), autodiff.outputs(points(), x)[..., 0])


def test_pieces_do_not_change_the_result() -> None:
    data = sg.data.digits(components=4).against((1, 3, 5, 7, 9))
    f = sg.objectives.ShallowTanh(data.x, data.y, hidden=3, ridge=0.1)
    theta = points(12)  # 12·1797·18 numbers: two pieces
    torch.testing.assert_close(calculus.hessian(f, theta)[11:], calculus.hessian(f, theta[11:]))
    torch.testing.assert_close(f.facts.third_trace(theta, f.facts.covariance(theta))[11:], f.facts.third_trace(theta[11:], f.facts.covariance(theta[11:])))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"hidden": 0}, "hidden = 0"),
        ({"hidden": 2, "ridge": -1.0}, "ridge"),
        ({"hidden": 2, "y": [0, 1, 2]}, "label"),
        ({"hidden": 2, "y": [0, 1]}, "mismatched"),
    ],
)
def test_bad_input(arguments: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        sg.objectives.ShallowTanh(torch.eye(3), **{"y": [0, 1, 1], **arguments})
