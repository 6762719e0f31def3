"""What the claims on generalisation measure: noise-aligned sharpness and stationary loss against dense matrices and the Lyapunov equation, ranks, splits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import sgdsde as sg
from sgdsde.calculus import hessian, sample_grads
from sgdsde.measurements import trained_digits as module
from sgdsde.measurements.random_quadratics import random_quadratic


def test_the_stationary_loss_is_half_the_trace_of_h_times_the_lyapunov_solution() -> None:
    """(η/4)tr[(I − ηH/2)⁻¹Σ] = ½tr(HV) for H and Σ that do not commute; without the half in the bracket it is not."""
    problem = random_quadratic(np.random.default_rng(3), 5, low=0.05, high=0.9, rank=5)
    noise = sg.noises.Gaussian(sg.objectives.Quadratic(problem.hessian), problem.covariance)
    V = np.asarray(sg.oracles.stationary_covariance(noise, problem.eta))
    wanted = 0.5 * np.trace(problem.hessian @ V)
    for half, right in ((0.5, True), (1.0, False)):
        found = problem.eta / 4 * np.trace(np.linalg.solve(np.eye(5) - half * problem.eta * problem.hessian, problem.covariance))
        assert bool(found == pytest.approx(wanted, rel=1e-10)) == right


def test_noise_measures_agree_with_dense_matrices() -> None:
    """2,560 draws (64 copies, 40 each) against traces of dense matrices, within 6 % (scatter about 1.5 %); none past ηλ = 2."""
    network = sg.objectives.Network.examples()[0]
    theta = 1.5 * network.initial(1, sg.rng.stream(2, "start")).double()  # type: ignore[attr-defined]
    H, G = hessian(network, theta)[0], sample_grads(network, theta)[0]
    values = torch.linalg.eigvalsh(H)
    rate, batch = float(1.2 / values[-1]), 3
    covariance = (G - G.mean(0)).T @ (G - G.mean(0)) / len(G) / batch
    copies = theta.expand(64, -1)
    measured = module._noise_measures(network, copies, rate, batch, seed=4, draws=40, products=20)
    trace, aligned, stationary = (values.mean() for values in measured)
    inverse = torch.linalg.inv(torch.eye(network.dim).double() - rate / 2 * H)
    for found, wanted in ((trace, H.trace()), (aligned, (H * covariance).sum()), (stationary, rate / 4 * (inverse @ covariance).trace())):
        assert float(found) == pytest.approx(float(wanted), rel=0.06)
    assert float(stationary) != pytest.approx(float(rate / 4 * covariance.trace()), rel=0.06)  # mutant: no inverse
    assert float(module._noise_measures(network, theta, float(2.6 / values[-1]), batch, seed=4)[2][0]) == np.inf


def test_rank_correlations_resample_whole_seeds() -> None:
    """Two settings, 40 seeds: a predictor that orders settings only has an interval that narrows with seeds, and NaN-free infinite values."""
    rng = np.random.default_rng(0)
    shift = {"a": 0.0, "b": 1.0}
    runs = {
        name: module._Runs(
            {"lambda": -d + 0.1 * rng.standard_normal(40), "trace": rng.standard_normal(40), "aligned": np.full(40, np.inf) if d else rng.standard_normal(40)}
            | {"stationary loss": rng.standard_normal(40), "accuracy": d + rng.standard_normal(40)}
            | {"half": d + rng.standard_normal(40)},
            1.0,
            10.0,
            "",
        )
        for name, d in shift.items()
    }
    found = module._ranks(runs, {"a": 0.1, "b": 0.2}, "all", seed=1, level=0.95)
    assert found["rank/lambda/all"].high < 0
    assert found["rank/rate/all"].low > 0
    assert found["rank/trace/all"].low < 0 < found["rank/trace/all"].high
    assert np.isfinite(found["rank/aligned/all"].value)
    for run in runs.values():
        run.values["half"] = run.values["accuracy"] + 0.3 * rng.standard_normal(40)
    part = module._ranks(runs, {"a": 0.1, "b": 0.2}, "all", seed=1, level=0.99999)["rank/half/all"]
    assert part.low > 0.5  # the control of what predicts: a part of the accuracy goes with the whole


def test_training_and_test_digits_do_not_meet() -> None:
    small, test = module.split(300)
    large, same = module.split(1000)
    assert len(small) == 300
    assert len(test) == 797
    assert torch.equal(test.x, same.x)
    assert torch.equal(large.x[:300], small.x)
    rows = {tuple(row.tolist()) for row in large.x}
    assert sum(tuple(row.tolist()) in rows for row in test.x) <= 5  # a few digits occur twice in the source
