"""What C6-join measures over many minima: each on its own data, against one objective at a time and against Gaussian SGD's closed form.

The Monte-Carlo check says its false-alarm rate and what it resolves.
"""

from __future__ import annotations

import numpy as np
import torch

from sgdsde.calculus import grad
from sgdsde.claim import Outcome, judge_plan
from sgdsde.claims.c06_join import NoiseJoin
from sgdsde.measurement import Finished, Measured, exactly
from sgdsde.measurements.digits_network import HIDDEN, RIDGE, odd_digits
from sgdsde.measurements.noise_join import Minima, frozen, minima_of, real_variances
from sgdsde.measurements.positivity import share
from sgdsde.noises import Minibatch
from sgdsde.objectives import ShallowTanh
from sgdsde.rng import stream
from sgdsde.types import Estimate

SETS, SAMPLES, BATCH = 2, 120, 20


def test_minima_are_those_of_their_own_data() -> None:
    found = minima_of(SETS, SAMPLES, BATCH, 3)
    whole = odd_digits()
    for i in range(SETS):
        own = torch.randperm(len(whole), generator=stream(3, "join data", i))[:SAMPLES]
        objective = ShallowTanh(whole.x[own], whole.y[own], hidden=HIDDEN, ridge=RIDGE)
        point = found.theta[i : i + 1]
        assert float(grad(objective, point).norm()) < 1e-9
        basis, values = found.basis[i], found.values[i]
        torch.testing.assert_close(objective.facts.hessian(point)[0], basis @ torch.diag(values) @ basis.T)  # type: ignore[misc]
        torch.testing.assert_close(Minibatch(objective, BATCH).covariance(point)[0], basis @ found.sigma[i] @ basis.T)
        assert float(grad(objective, found.theta[i - 1 : i] if i else found.theta[1:2]).norm()) > 1e-3  # the mutant: another data set's minimum
        torch.testing.assert_close(found.joined.sample_loss(point, found.rows[i : i + 1]), objective.sample_loss(point))
    assert not torch.equal(minima_of(SETS, SAMPLES, BATCH, 4).theta, found.theta)


def test_real_variances_where_the_law_is_exact() -> None:
    """A small step in a round basin, where frozen H and Σ are nearly right: 4 × 200 paths of one minimum give the total to about 10 % (two standard errors
    .04 of the total); within 15 % (false alarm < 1e-6 by the scatter of a χ² of 800, the bias of the frozen law below 5 %). ηλ = .05 for .1 is off by two.
    """
    found = minima_of(1, SAMPLES, BATCH, 3)
    eta = 0.1 / found.values[:, -1]
    real = real_variances(found, eta, BATCH, 200, 4, 5).sum()
    exact = frozen(found, eta)["exact"].sum()
    assert abs(real / exact - 1) < 0.15 < abs(frozen(found, eta / 2)["exact"].sum() / exact - 1)


def test_frozen_laws_by_hand() -> None:
    """Diagonal Σ: SGD ηΣᵢᵢ/(λᵢ(2−ηλᵢ)), SME-1 ηΣᵢᵢ/(2λᵢ), Σ = cH ηc/(2−ηλᵢ)."""
    values, noise = torch.tensor([[0.2, 1.0]], dtype=torch.float64), torch.tensor([3.0, 0.5], dtype=torch.float64)
    empty = minima_of(1, 60, 10, 3)
    minima = Minima(empty.joined, empty.rows, empty.theta, values, torch.eye(2, dtype=torch.float64)[None], torch.diag(noise)[None])
    eta = 0.6
    found = frozen(minima, torch.tensor([eta], dtype=torch.float64))
    np.testing.assert_allclose(found["exact"][0], eta * noise / (values[0] * (2 - eta * values[0])))
    np.testing.assert_allclose(found["HASMEProduct"], found["exact"])
    np.testing.assert_allclose(found["SME1"][0], eta * noise / (2 * values[0]))
    np.testing.assert_allclose(found["cH"][0], eta * (3.5 / 1.2) / (2 - eta * values[0]))


def test_the_verdict_is_about_most_minima() -> None:
    plan = NoiseJoin().plan("quick", 0)
    (made,) = plan.measurements

    def outcome(uneven: int, total: Estimate) -> Outcome:
        found = {}
        for row in plan.rows:
            if row.key.endswith("cH/uneven"):
                found[row.key] = share(uneven, 64, level=1 - 2e-5)
            elif row.key.endswith("uneven"):
                found[row.key] = share(0, 64, level=1 - 2e-5)
            elif row.key.endswith("total"):
                found[row.key] = total
            else:
                found[row.key] = exactly(1.4 if "cH" in row.key else 1e-13, 0.0)
        return judge_plan("C6-join", plan, {made.name: Finished(Measured(found), "", 0.0)}, NoiseJoin.scales["quick"]).outcome

    near, wide = Estimate(0.95, 0.02, 64, 0.85, 1.05), Estimate(0.85, 0.04, 64, 0.7, 1.0)
    assert outcome(64, near) is Outcome.SUPPORTED
    assert outcome(40, near) is Outcome.INCONCLUSIVE
    assert outcome(64, wide) is Outcome.INCONCLUSIVE
    assert outcome(5, near) is Outcome.CONTRADICTED
