"""Saddles of the digits network: what they are, what leaves them, and what must be seen if it did not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sgdsde.calculus import sample_covariance
from sgdsde.kernels import SGD
from sgdsde.measurements.digits_network import digits_network, start_at
from sgdsde.measurements.network_saddles import Saddle, Slab, _watch, exact_steps, local_law, saddle_with_noise, saddles_along_training
from sgdsde.noises import Gaussian, Minibatch
from sgdsde.objectives import LocalQuadratic
from sgdsde.runs.listing import load
from sgdsde.stats import check_mean
from sgdsde.types import DomainError, InputError


@pytest.fixture(scope="module")
def saddle() -> Saddle:
    return saddle_with_noise()


def test_the_saddle_of_the_claims(saddle: Saddle) -> None:
    assert int((saddle.curvatures < 0).sum()) == 1
    assert float(saddle.curvatures[0]) < -0.05
    assert float(saddle.noise[0]) > 1e-3
    assert not saddle.symmetric


def test_a_minimum_is_no_saddle() -> None:
    f = digits_network(60)
    with pytest.raises(DomainError, match="no saddle"):
        Saddle.at(f, start_at(f, "minimum", 3))


def test_symmetric_saddles_have_no_noise_and_the_other_has(saddle: Saddle) -> None:
    found = [s for s in saddles_along_training(100, (0,), 20, 80) if s.symmetric]
    assert found
    for one in found:
        assert float((one.breaking.T @ sample_covariance(one.objective, one.point[None])[0] @ one.breaking).abs().max()) < 1e-12
    assert float(saddle.noise[0]) > 1e-2 * float(saddle.noise.mean())


def test_the_origin_is_symmetric_and_a_broken_unit_is_not() -> None:
    f = digits_network(60)
    origin = Saddle.at(f, torch.zeros(18, dtype=torch.float64))
    assert origin.symmetric
    moved = Saddle(f, torch.randn(18, generator=torch.Generator().manual_seed(0), dtype=torch.float64), origin.curvatures, origin.directions, origin.noise)
    assert moved.breaking.shape == (18, 0)
    assert not moved.symmetric
    twins = moved.point.clone()
    twins[4:8], twins[13], twins[16] = -twins[:4], -twins[12], -twins[15]  # unit 1 mirrors unit 0
    mirrored = Saddle(f, twins, origin.curvatures, origin.directions, origin.noise).breaking
    assert mirrored.shape == (18, 6)  # the sums of the two units' weights
    torch.testing.assert_close(mirrored.T @ mirrored, torch.eye(6, dtype=torch.float64))
    assert float((mirrored.T @ twins).abs().max()) < 1e-12


def test_exits_from_the_linear_world_take_the_oracles_time(saddle: Saddle) -> None:
    """3000 paths of SGD on the local quadratic, false alarm 1e-6; resolves 5 % of the mean. A law with Σ for Σ/B is far off."""
    eta, batch, radius = 0.9 / float(saddle.curvatures[-1]), 32, 0.2
    covariance = Minibatch(saddle.objective, batch).covariance(saddle.point[None])[0]
    kernel = SGD(Gaussian(LocalQuadratic(saddle.objective, saddle.point), covariance), eta)
    (steps,) = _watch(kernel, saddle, radius, 3000, 1, 150)
    assert steps.max() < 150
    passed = check_mean(steps, exact_steps(saddle, eta, float(saddle.noise[0]) / batch, radius), false_alarm=1e-6)
    assert passed.resolvable < 0.06 * steps.mean()
    assert exact_steps(saddle, eta, float(saddle.noise[0]), radius) < 0.6 * steps.mean()


def test_the_local_law_holds_for_weak_noise_and_fails_for_strong() -> None:
    """200 paths at level 99 %: large batches within a quarter of the law, batches of two beyond it."""
    settings = {"weak": {"x": 0.9, "batch": 256, "radius": 0.2}, "strong": {"x": 0.9, "batch": 2, "radius": 0.2}}
    found = local_law(seed=3, level=0.99, settings=settings, paths=200).estimates
    assert found["weak/time"].low > 0.75
    assert found["weak/time"].high < 1.25
    assert found["strong/time"].low > 1.1
    assert found["weak/isotropic"].low > 1.25


def test_the_slab() -> None:
    slab = Slab(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)
    assert slab(torch.tensor([[9.0, 0.4], [1.0, -0.6], [1.0, 0.6]])).tolist() == [True, False, False]


def test_a_block_of_the_study() -> None:
    """Weak noise: surrogate and HA-SME leave within the steps watched; the direction turns towards u as batches grow (20 paths, fixed seed)."""
    study = load("network-saddle", Path(__file__).parents[1] / "experiments")
    config = replace(study.config(), substeps=2, longest=100, radius=0.1)
    found = {cell: study.block(config, cell, paths=20, seed=3) for cell in ("B=64 SGD", "B=512 SGD", "B=512 surrogate", "B=512 HASME", "B=512 linear world")}
    assert all(float(parts["left"].mean) > 0.9 for parts in found.values())
    assert found["B=512 SGD"]["sin2"].mean < found["B=64 SGD"]["sin2"].mean
    steps = {cell: float(parts["steps"].mean) for cell, parts in found.items()}
    assert steps["B=512 SGD"] > steps["B=64 SGD"]
    with pytest.raises(InputError, match="EvenStepHASME"):
        study.check(replace(config, models=("EvenStepHASME",)))
