"""Rare exits by splitting against the exact chain, and what it refuses."""

from __future__ import annotations

import pytest

import sgdsde as sg
from sgdsde.types import InputError, OracleRefusal


def quadratic(sigma: float = 1.0) -> sg.Noise:
    return sg.noises.Gaussian(sg.objectives.Quadratic([[5.0]]), sigma**2)


@pytest.mark.parametrize("half", [0.5, 0.7])
def test_mean_exit_is_the_chains(half: float) -> None:
    """x = .5, mean exits of about 7e4 and 7e8 iterates. False alarm 1e-5 (|t| < 5.3 with 31 degrees of freedom); resolves a factor of 2."""
    region = sg.regions.Interval(-half, half)
    exact = sg.oracles.sgd_mean_exit(quadratic(), 0.1, [0.0], region).mean
    found = sg.rare_exit_time(sg.kernels.SGD(quadratic(), 0.1), [0.0], region=region, effort=512, replicas=32, seed=4, progress=False).mean
    assert abs(found.value - exact) < 5.3 * found.stderr
    assert found.stderr < 0.18 * exact


def test_a_wrong_noise_is_seen() -> None:
    """Noise 10 % too small makes the exit several times rarer."""
    region = sg.regions.Interval(-0.5, 0.5)
    exact = sg.oracles.sgd_mean_exit(quadratic(), 0.1, [0.0], region).mean
    found = sg.rare_exit_time(sg.kernels.SGD(quadratic(0.9), 0.1), [0.0], region=region, effort=256, replicas=16, seed=4, progress=False).mean
    assert found.low > 1.5 * exact


def test_what_cannot_be_done_is_refused() -> None:
    kernel = sg.kernels.SGD(quadratic(), 0.1)
    with pytest.raises(InputError):
        sg.rare_exit_time(kernel, [2.0], region=sg.regions.Interval(-0.5, 0.5), seed=1)
    with pytest.raises(OracleRefusal):
        sg.rare_exit_time(sg.kernels.SGD(quadratic(0.0), 0.1), [0.0], region=sg.regions.Interval(-0.5, 0.5), seed=1)
