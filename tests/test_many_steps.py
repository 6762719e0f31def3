"""Redrawn next steps of many networks: their second-order law against dense matrices, squares without bias, angles against a loop of its own.

Random assertions have fixed seeds; their false-alarm rates and what they resolve stand beside them. The rest is exact to rounding.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sgdsde.claim import Claim, Outcome, judge_plan
from sgdsde.claims.c08_steps import STARTS, SecondOrderLaw, StepAngles, TwoPhases
from sgdsde.measurement import Finished, Measured
from sgdsde.measurements import hessian_steps, many_steps
from sgdsde.measurements.hessian_network import RATE, Dense, perceptron
from sgdsde.measurements.many_starts import initial, own_data
from sgdsde.measurements.many_steps import NextSteps, next_steps
from sgdsde.objectives import Network
from sgdsde.stats import CheckFailed, check, check_mean, mean_estimate

RUN = {"classes": 10, "samples": 60}
CLAIMS = (TwoPhases(), SecondOrderLaw(), StepAngles())


def people(starts: int = 2) -> tuple[Network, Tensor, Tensor]:
    data, rows = own_data(RUN, starts, 4)
    network = perceptron(data, (5,))
    return network, initial(network, starts, 4), rows


def alone(start: int) -> Dense:
    """One of them by itself."""
    data, rows = own_data(RUN, 2, 4)
    network = perceptron(replace(data, x=data.x[rows[start]], y=data.y[rows[start]]), (5,))
    return Dense(network, people()[1][start])


def test_a_batch_of_all_is_the_full_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_steps, "BATCH", 60)
    found = next_steps(*people(), redraws=2, name="x", seed=1)
    for start in range(2):
        point = alone(start)
        mean, H = point.mean, point.H
        after = point.network.loss((point.theta - RATE * mean)[None])[0]
        torch.testing.assert_close(found.change[start], (after - point.loss).expand(2, 1))
        torch.testing.assert_close(found.descent[start], -RATE * mean @ mean)
        torch.testing.assert_close(found.linear[start], (-RATE * mean @ mean).expand(2, 1))
        torch.testing.assert_close(found.bend[start], RATE**2 / 2 * mean @ H @ mean, rtol=1e-4, atol=1e-9)
        torch.testing.assert_close(found.quadratic[start], found.bend[start].expand(2, 1), rtol=1e-4, atol=1e-9)
        assert float(found.noise[start].abs().max()) < 1e-6 * float(found.sizes[start])


def test_the_noise_is_the_batch_covariance_of_single_samples() -> None:
    """2,000 redraws in independent pairs, false alarm 1e-6: they resolve 16 % of (η²/2)tr(HΣ_B), where batches drawn with replacement (the mutant's 1/B in
    place of (n−B)/((n−1)B), B = 32 of 60) are off by more than half.
    """
    network, theta, rows = people(1)
    found = torch.cat([next_steps(network, theta, rows, redraws=2, name=str(i), seed=1).noise.flatten() for i in range(1_000)]).numpy()
    point, n, B = alone(0), 60, many_steps.BATCH
    wanted = RATE**2 / 2 * float((point.H * point.Sigma).sum())
    checked = check_mean(found, wanted * (n - B) / ((n - 1) * B))
    assert checked.resolvable < 0.2 * abs(wanted) / B
    with pytest.raises(CheckFailed):
        check_mean(found, wanted / B)


def test_the_law_against_a_loop_of_its_own() -> None:
    """E Δ by a loop over independent batches: 4,000 of them see 2 % of the terms' sizes with false alarm 1e-6; the law without its noise is off by more."""
    network, theta, rows = people(1)
    point, rng = alone(0), np.random.default_rng(0)
    gradients = point.gradients.numpy()
    batches = np.stack([rng.permutation(60)[: many_steps.BATCH] for _ in range(4_000)])
    moved = point.theta - RATE * torch.from_numpy(gradients[batches].mean(1))
    change = (point.network.loss(moved) - point.loss).numpy()
    parts = [next_steps(network, theta, rows, redraws=2, name=str(i), seed=2) for i in range(400)]
    size = float(torch.stack([part.sizes for part in parts]).mean())
    law = [float(part.descent + part.bend + part.noise.mean()) for part in parts]
    misses = [float((part.change - part.linear - part.quadratic).mean()) for part in parts]
    direct, formula, missed = mean_estimate(change / size), mean_estimate(np.array(law) / size), mean_estimate(np.array(misses) / size)
    spread = math.hypot(*(float(part.stderr) for part in (direct, formula, missed)))
    left = float(direct.value) - float(formula.value) - float(missed.value)
    noise = float(torch.stack([part.noise.mean() for part in parts]).mean()) / size
    assert abs(left) < 5 * spread < 0.02
    assert abs(left + noise) > 5 * spread
    assert float(missed.stderr) * missed.n**0.5 < 0.2 * float(direct.stderr) * direct.n**0.5  # what redraws and law have in common is gone


def test_batches_of_a_half_make_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four batches of fifteen hold all sixty samples, so that their mean gradient is μ."""
    monkeypatch.setattr(many_steps, "BATCH", 15)
    found = next_steps(*people(), redraws=8, name="x", seed=1)
    torch.testing.assert_close(found.linear.mean(2), found.descent[:, None].expand(2, 2))
    assert float(found.linear.std(2).min()) > 0
    assert not torch.allclose(found.change[:, 0], found.change[:, 1])  # another permutation


def drawn(miss: float, noise: float, starts: int = 4_000) -> NextSteps:
    """Redraws that miss by ``miss`` of the terms' sizes on average and scatter a lot."""
    scatter = torch.randn(starts, 2, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    zero, one = torch.zeros(starts, 2, 3, dtype=torch.float64), torch.ones(starts, dtype=torch.float64)
    return NextSteps(miss + scatter, zero, zero, zero + noise, -(1 - noise) * one, 0 * one)


def test_squares_of_misses_have_no_bias() -> None:
    """False alarm 1e-6; 4,000 starts resolve .04. The square of the one mean of all redraws is off by its variance, 1/6."""
    found = drawn(0.2, 0.25)
    check_mean(found.missed().numpy(), 0.2**2)
    check_mean(found.missed_without_noise().numpy(), 0.45**2)
    with pytest.raises(CheckFailed):
        check_mean((found.change.mean((1, 2)) ** 2).numpy(), 0.2**2)


def test_angles_against_a_loop_of_its_own() -> None:
    network, theta, rows = people()
    cosines, states = hessian_steps._walk(network, rows, theta, batch=20, save=range(5), steps=4, seed=3)
    torch.testing.assert_close(states[0], theta)
    assert cosines.shape == (4, 2)
    moves = torch.stack([states[k + 1] - states[k] for k in range(4)]).numpy()
    for k in range(3):
        for start in range(2):
            one, other = moves[k, start], moves[k + 1, start]
            assert float(cosines[k, start]) == pytest.approx(one @ other / np.sqrt((one @ one) * (other @ other)), rel=1e-9)


def judged(claim: Claim, values: dict[str, float], spread: float) -> Outcome:
    """The verdict where each row's starts scatter by ``spread`` about a value."""
    plan, starts = claim.plan("quick", 0), STARTS["quick"]
    (made,) = plan.measurements
    scatter = np.random.default_rng(5).standard_normal(starts)
    scatter = (scatter - scatter.mean()) / scatter.std(ddof=1)
    found = {row.key: mean_estimate(values[row.key] + spread * scatter, level=1 - 0.05 / 2359) for row in plan.rows}
    return judge_plan(claim.id, plan, {made.name: Finished(Measured(found), "", 0.0)}, claim.scales["quick"]).outcome


@pytest.mark.parametrize(("excess", "spread", "verdict"), [(0.4, 0.28, "supported"), (0.15, 0.28, "inconclusive"), (-0.1, 0.1, "contradicted")])
def test_phases_are_judged(excess: float, spread: float, verdict: str) -> None:
    values = {row.key: -0.2 if "full" in row.key else excess if "more" in row.key else 0.01 for row in TwoPhases().plan("quick", 0).rows}
    assert judged(TwoPhases(), values, spread) == verdict


def test_lost_controls_are_seen() -> None:
    for claim, low, high in ((SecondOrderLaw(), 0.001, 0.002), (StepAngles(), -0.2, -0.2)):
        keys = {row.key: high if "full" in row.key or "without" in row.key else low for row in claim.plan("quick", 0).rows}
        assert judged(claim, keys, 0.001) is Outcome.CONTROL_FAILED


@pytest.mark.parametrize("claim", CLAIMS)
def test_plans_do_not_hang_on_the_seed(claim: Claim) -> None:
    assert claim.plan("quick", 1) == claim.plan("quick", 2)
    assert all(made.population for made in claim.plan("full", 1).measurements)


def test_the_numbers_of_starts_resolve_what_the_claims_say() -> None:
    """.3 from a tenth at scatter .28, .19² from .2² at .006, .03 from zero at .046: with power .9 at the ledger's level of a quick run."""
    signs = np.array([-1.0, 1.0] * (STARTS["quick"] // 2))
    for scatter, effect in ((0.28, 0.2), (0.006, 0.2**2 - 0.19**2), (0.046, 0.03)):
        found = check(mean_estimate(scatter * signs), 0.0, false_alarm=0.05 / 2359)
        assert 0.8 * effect < found.resolvable < 1.03 * effect
