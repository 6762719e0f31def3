"""Populations of starts: what a start draws is its own, settings are paired, and what the claims about them conclude is about most of them.

Exact: no random assertion, except that half of the labels change, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sgdsde.claim import Claim, Outcome, judge_plan
from sgdsde.claims.c12_outliers import BatchScalesOutliers, OutliersAndClasses, WidthScalesBulk
from sgdsde.claims.c13_data import HarderData, OutliersOnBlobs
from sgdsde.claims.c19_decoupling import DecouplingConjecture
from sgdsde.measurement import Finished, Measured
from sgdsde.measurements import hessian_layers
from sgdsde.measurements.hessian_network import RATE, perceptron
from sgdsde.measurements.hessian_sizes import geometric_mean
from sgdsde.measurements.many_starts import batched, initial, own_data, population, train_through, train_to_loss
from sgdsde.measurements.positivity import share
from sgdsde.stats import mean_estimate
from sgdsde.types import DomainError, Estimate

LEVEL = 1 - 0.05 / 2500
RUN = {"classes": 3, "samples": 40, "hidden": (6, 6), "batch": 10, "loss": 0.5}


def test_a_start_draws_its_own() -> None:
    data, rows = own_data(RUN, 3, 4)
    more, _ = own_data(RUN, 5, 4)
    torch.testing.assert_close(more.x[:120], data.x)  # a start does not hang on how many there are
    assert rows.tolist()[1] == list(range(40, 80))
    assert not torch.equal(data.x[rows[0]], data.x[rows[1]])
    blobs, _ = own_data(RUN | {"blobs": 7}, 2, 4)
    assert blobs.x.shape == (80, 7)
    assert not torch.equal(own_data(RUN | {"again": " again"}, 3, 4)[0].x, data.x)
    assert not torch.equal(own_data(RUN, 3, 5)[0].x, data.x)


def test_redrawn_labels_are_nested_and_leave_the_inputs() -> None:
    run = RUN | {"samples": 200}
    kept, half, whole = (own_data(run | {"random labels": part}, 1, 4)[0] for part in (0.0, 0.5, 1.0))
    torch.testing.assert_close(kept.x, half.x)
    changed = half.y != kept.y
    assert 0.2 < float(changed.double().mean()) < 0.45  # half of them, a third of which fall on the old label
    assert bool((whole.y[changed] == half.y[changed]).all())


def test_training_is_each_start_alone() -> None:
    """Side by side or alone, and by a loop of its own with plain SGD on the same batches."""
    data, rows = own_data(RUN, 3, 4)
    network = perceptron(data, (6, 6))
    theta = initial(network, 3, 4)
    final, steps = train_to_loss(network, rows, theta, batch=10, loss=0.5, seed=4)
    losses = batched(network).sample_loss(final, rows).mean(1)
    assert bool((losses <= 0.5).all())
    alone, once = train_to_loss(network, rows[:1], theta[:1], batch=10, loss=0.5, seed=4)
    torch.testing.assert_close(alone[0], final[0])
    assert int(once[0]) == int(steps[0])
    through = train_through(network, rows, theta, batch=10, save=(0, int(steps[0])), seed=4)
    torch.testing.assert_close(through[0], theta)
    torch.testing.assert_close(through[1, 0], final[0])
    full, _ = train_to_loss(network, rows, theta, batch=40, loss=0.5, seed=4)
    step = theta - RATE * torch.stack([batched(network).sample_grads(theta[s : s + 1], rows[s : s + 1])[0].mean(0) for s in range(3)])
    torch.testing.assert_close(train_through(network, rows, theta, batch=40, save=(1,), seed=4)[0], step)
    assert not torch.allclose(full, final)


def test_a_loss_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgdsde.measurements.many_starts.MOST", 20)
    with pytest.raises(DomainError, match="2 of 2 starts did not fall"):
        population(RUN | {"loss": 1e-9}, starts=2, seed=4)


def outcome(claim: Claim, estimates: dict[str, Estimate]) -> Outcome:
    plan = claim.plan("quick", 0)
    (made,) = plan.measurements
    return judge_plan(claim.id, plan, {made.name: Finished(Measured(estimates), "", 0.0)}, claim.scales["quick"]).outcome


@pytest.mark.parametrize(("right", "verdict"), [(64, Outcome.SUPPORTED), (50, Outcome.SUPPORTED), (40, Outcome.INCONCLUSIVE), (10, Outcome.CONTRADICTED)])
@pytest.mark.parametrize("claim", [OutliersAndClasses(), OutliersOnBlobs()])
def test_most_is_more_than_half_beyond_doubt(claim: Claim, right: int, verdict: Outcome) -> None:
    keys = [row.key for row in claim.plan("quick", 0).rows]
    found = {key: share(0 if "tanh" in key else right, 64, level=LEVEL) for key in keys}
    assert outcome(claim, found) is verdict


def test_controls_that_hold_are_seen() -> None:
    for claim in (OutliersAndClasses(), OutliersOnBlobs()):
        keys = [row.key for row in claim.plan("quick", 0).rows]
        assert outcome(claim, {key: share(60, 64, level=LEVEL) for key in keys}) is Outcome.CONTROL_FAILED


@pytest.mark.parametrize("claim", [WidthScalesBulk(), BatchScalesOutliers(), HarderData(), DecouplingConjecture()])
def test_plans_do_not_hang_on_the_seed(claim: Claim) -> None:
    """Where starts are the population no parameter is drawn in the plan: the seed reaches the measurement only."""
    assert claim.plan("quick", 1) == claim.plan("quick", 2)


def test_one_network_decides_nothing() -> None:
    """The mutant is one network: with scatter .3 of ln λmax about a true ratio of 1.2 the interval of 32 starts is right, single starts are not."""
    ratios = np.exp(np.log(1.2) + 0.3 * np.random.default_rng(3).standard_normal(32))
    found = geometric_mean(ratios, level=LEVEL)
    assert float(found.low) < 1.2 < float(found.high)
    assert float(found.value) == pytest.approx(float(np.exp(np.log(ratios).mean())))
    assert (ratios < 1).any(), "single networks say the opposite"
    assert float(found.low) == pytest.approx(float(np.exp(mean_estimate(np.log(ratios), level=LEVEL).low)))


def test_layers_of_some_starts_at_a_time_are_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    data, rows = own_data(RUN | {"classes": 10, "samples": 30}, 3, 4)
    network = perceptron(data, (12, 11))
    theta = initial(network, 3, 4)
    whole = hessian_layers.populations(network, theta, rows, torch.Generator().manual_seed(1))
    monkeypatch.setattr(hessian_layers, "TOGETHER", 2)
    parts = hessian_layers.populations(network, theta, rows, torch.Generator().manual_seed(1))
    for label, numbers in whole.items():
        torch.testing.assert_close(parts[label]["error"], numbers["error"])
        assert parts[label]["error"].shape == (3,)
