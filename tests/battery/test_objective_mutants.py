"""Broken objectives: each check of the battery bites."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from battery.objective_checks import (
    check_against_autodiff,
    check_against_differences,
    check_barrier,
    check_batch,
    check_constant_hessian,
    check_paths_do_not_interact,
    check_pickle,
    check_shapes_and_dtype,
    check_stationary_points,
)
from torch import Tensor

from sgdsde import calculus
from sgdsde.objective import Facts, Objective
from sgdsde.objectives import StrictSaddle


class _Two(Objective):
    """Two samples, ℓ₁ = θ₁⁴ and ℓ₂ = θ₁θ₂² + θ₂²; the right facts, to be broken one at a time."""

    dim, n = 2, 2

    def sample_loss(self, theta: Tensor, batch: Tensor | None = None) -> Tensor:
        a, b = theta[:, 0], theta[:, 1]
        losses = torch.stack([a**4, a * b**2 + b**2], 1)
        return losses if batch is None else losses.gather(1, batch)


def _broken(**facts: object) -> Objective:
    f = _Two()
    f.facts = replace(Facts(), **facts)  # type: ignore[arg-type]
    return f


def _of(function: Callable[..., Tensor], change: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda *arguments: change(function(_Two(), *arguments))


def _mislabelled(f: Objective) -> Objective:
    f.facts = replace(f.facts, minima=f.facts.saddles[:1])
    return f


def _shift(x: Tensor) -> Tensor:
    return x + 1e-4


MUTANTS = {
    "gradient with a missing half": (_broken(grad=_of(calculus.grad_autodiff, lambda g: g / 2)), check_against_autodiff),
    "gradient with a missing half, by differences": (_broken(grad=_of(calculus.grad_autodiff, lambda g: g / 2)), check_against_differences),
    "shifted Hessian": (_broken(hessian=_of(calculus.hessian_autodiff, _shift)), check_against_autodiff),
    "shifted Hessian, by differences": (_broken(hessian=_of(calculus.hessian_autodiff, _shift)), check_against_differences),
    "product with another vector": (_broken(hvp=_of(calculus.hvp_autodiff, lambda x: x.flip(1))), check_against_autodiff),
    "third derivative, wrong sign": (_broken(third=_of(calculus.third_autodiff, torch.neg)), check_against_differences),
    "third derivative, wrong sign, by autodiff": (_broken(third=_of(calculus.third_autodiff, torch.neg)), check_against_autodiff),
    "sample gradients of the wrong samples": (
        _broken(sample_grads=lambda t, b=None: calculus.sample_grads_autodiff(_Two(), t, b).flip(1)),
        check_against_autodiff,
    ),
    "covariance with n − 1": (_broken(covariance=_of(calculus.sample_covariance, lambda c: 2 * c)), check_against_autodiff),
    "covariance that is a second moment": (
        _broken(covariance=lambda t: torch.einsum("pni,pnj->pij", *[calculus.sample_grads_autodiff(_Two(), t)] * 2) / 2),
        check_against_autodiff,
    ),
    "dtype lost": (_broken(grad=_of(calculus.grad_autodiff, torch.Tensor.double)), check_shapes_and_dtype),
    "paths mixed": (_broken(grad=_of(calculus.grad_autodiff, lambda g: g - g.mean(0))), check_paths_do_not_interact),
    "false minimum": (_broken(minima=((0.3, 0.0),)), check_stationary_points),
    "saddle sold as a minimum": (_mislabelled(StrictSaddle(2)), check_stationary_points),
    "minimum sold as a saddle": (_broken(saddles=((0.0, 0.0),)), check_stationary_points),
    "wrong barrier": (_broken(minima=((0.0, 0.0),), saddles=((0.0, 0.0),), barrier=0.1), check_barrier),
    "constant Hessian claimed": (_broken(constant_hessian=True), check_constant_hessian),
    "lambda in the facts": (_broken(grad=lambda t: t), check_pickle),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_fail(name: str) -> None:
    broken, check = MUTANTS[name]
    with pytest.raises((AssertionError, AttributeError, pickle.PicklingError)):
        check(broken)


def test_unbroken_example_passes() -> None:
    f = _Two()
    for check in (check_against_autodiff, check_against_differences, check_shapes_and_dtype, check_paths_do_not_interact, check_batch, check_constant_hessian):
        check(f)
