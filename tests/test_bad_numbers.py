"""Where a number is wanted only numbers are taken: no words, truth values or complex numbers, and points in double or single precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.types import InputError

NOISE = sg.noises.Gaussian(sg.objectives.Quadratic([2.0, 0.5]), 0.5)
SGD = sg.kernels.SGD(NOISE, 0.1)


def run(**changed: Any) -> Callable[[], Any]:
    recipe: dict[str, Any] = {"theta0": [1.0, 1.0], "horizon": 0.3, "paths": 2, "seed": 0} | changed
    return lambda: sg.simulate(SGD, recipe.pop("theta0"), **recipe)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (run(theta0="ab"), r"theta0 = 'ab'; wanted real numbers"),
        (run(theta0=None), r"theta0 = None; wanted real numbers"),
        (run(theta0=[[1.0, 2.0], [3.0]]), r"theta0 = .*wanted real numbers"),
        (run(theta0=np.ones(2) * 1j), r"theta0 = .*wanted real numbers"),
        (run(theta0=torch.ones(2, dtype=torch.complex128)), r"theta0 has dtype torch\.complex128; wanted float64 or float32"),
        (run(theta0=torch.ones(2, dtype=torch.float16)), r"theta0 has dtype torch\.float16; wanted float64 or float32"),
        (run(horizon="0.3"), r"horizon = '0\.3'; wanted a number"),
        (run(horizon=True), r"horizon = True; wanted a number"),
        (run(horizon=[0.1, 0.3]), r"horizon = \[0\.1, 0\.3\]; wanted a number"),
        (run(save="all"), r"save = 'all'; wanted real numbers"),
        (run(save=(0.1 * k for k in range(3))), r"save = <generator .*wanted real numbers"),
        (lambda: sg.kernels.SGD(NOISE, "0.1"), r"eta = '0\.1'; wanted a number"),  # type: ignore[arg-type]
        (lambda: sg.kernels.SGD(NOISE, 1j), r"eta = 1j; wanted a number"),  # type: ignore[arg-type]
        (lambda: sg.kernels.SGD(NOISE, np.complex128(0.1)), r"eta = .*wanted a number"),  # type: ignore[arg-type]
        (lambda: sg.kernels.SGD(NOISE, np.array([0.1, 0.2])), r"eta = array.*wanted a number"),  # type: ignore[arg-type]
        (lambda: sg.noises.Gaussian(NOISE.objective, "a"), r"covariance = 'a'; wanted real numbers"),
        (lambda: sg.noises.Gaussian(NOISE.objective, np.eye(2) * 1j), r"covariance = .*wanted real numbers"),
        (lambda: sg.objectives.Quadratic(np.eye(2) * 1j), r"hessian = .*wanted real numbers"),
    ],
)
def test_what_is_no_number_is_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(InputError, match="(?s)" + words):
        call()


@pytest.mark.parametrize("eta", [np.float64(0.1), np.array(0.1), torch.tensor(0.1, dtype=torch.float64), np.longdouble("0.1")])
def test_a_number_in_any_dress_is_taken(eta: Any) -> None:
    assert sg.kernels.SGD(NOISE, eta).tick == pytest.approx(0.1, rel=1e-15)


def test_a_tensor_that_asks_for_gradients_or_lies_in_strides_is_taken_as_its_numbers() -> None:
    start = torch.arange(8, dtype=torch.float64).reshape(2, 4).T
    plain = sg.simulate(SGD, start.contiguous(), horizon=0.3, seed=0)
    for other in (start, start.clone().requires_grad_(True)):
        found = sg.simulate(SGD, other, horizon=0.3, seed=0)
        assert torch.equal(found.states, plain.states)
        assert not found.states.requires_grad
