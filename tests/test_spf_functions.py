"""SPF by functions of the Hessian that need products only: the drift of the dense model, on a network and on a quadratic."""

from __future__ import annotations

import pytest
import torch
from chain_networks import T64, classifier, normal

import sgdsde as sg
from sgdsde.sdes import SPF, Dense, Krylov, Spectral
from sgdsde.types import DomainError

ETA = 0.4


@pytest.mark.parametrize(("functions", "tolerance"), [(Dense(), 0.0), (Krylov(20), 1e-8), (Spectral(20), 1e-3)])
def test_drift_is_that_of_the_dense_model(functions: Dense | Krylov | Spectral, tolerance: float) -> None:
    f = classifier()
    noise, theta = sg.noises.Minibatch(f, 2), 0.4 * normal(5, f.dim)
    wanted, found = SPF(noise, ETA).drift(0.0, theta), SPF(noise, ETA, functions=functions).drift(0.0, theta)
    assert float((found - wanted).norm() / wanted.norm()) <= tolerance
    first = -sg.calculus.grad(f, theta)
    assert float((first - wanted).norm() / wanted.norm()) > 0.02  # SME-1's drift is told apart


def test_paths_are_those_of_the_dense_model() -> None:
    """Heun on shared increments; SPF's diffusion does not see the Hessian."""
    f = classifier()
    noise = sg.noises.Surrogate(sg.noises.Minibatch(f, 2))
    runs = [
        sg.simulate(
            sg.kernels.Heun(SPF(noise, ETA, functions=functions), ETA / 2), 0.4 * normal(f.dim), horizon=4 * ETA, paths=6, seed=1, progress=False
        ).states
        for functions in (None, Krylov(20))
    ]
    torch.testing.assert_close(*runs, rtol=0, atol=1e-7)


def test_domain_is_looked_at_with_every_strategy() -> None:
    noise = sg.noises.Gaussian(sg.objectives.Quadratic([3.0, 1.0, 0.5]), 1.0)
    for functions in (Dense(), Krylov(3), Spectral(1)):
        with pytest.raises(DomainError, match=r"eta·lambda = 1\.2"):
            SPF(noise, ETA, functions=functions)
        clipped = SPF(noise, ETA, functions=functions, log="clip")
        assert bool(torch.isfinite(clipped.drift(0.0, torch.ones(2, 3, dtype=T64))).all())
