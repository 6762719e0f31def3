"""Claims that exact oracles decide: with a wrong formula or model in the right one's place each is contradicted, and the listed numbers come out.

Only measurements without paths are run. They are exact but for A24's means over random problems, whose rows have a false-alarm rate of .05/400 each
(a row is supported when the mean difference of errors, about .03, is several standard errors, .003, away from 0). Fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from sgdsde.claim import LEVEL, Claim, Outcome, Plan, Role, judge_plan
from sgdsde.claims import (
    a09_positivity,
    a11_even_steps,
    a12_growth,
    a13_mean_square,
    a14_third_order,
    a16_svag,
    a19_epoch_shuffling,
    a20_two_points,
    a22_tail_index,
    a24_product_form,
    a24_product_form_each,
    f06_defect_law,
    f08_autocorrelation,
)
from sgdsde.kernels import SVAG
from sgdsde.measurement import carry_out
from sgdsde.measurements import (
    autocorrelation,
    defect_law,
    even_steps,
    growth_factors,
    indefinite_diffusion,
    mean_square_stability,
    positivity,
    svag,
    tail_index,
    third_order,
    two_points,
)
from sgdsde.measurements.positivity import critical_correlation
from sgdsde.measurements.shuffled_variance import variance_ratios
from sgdsde.measurements.tail_index import index_by_sum
from sgdsde.sdes import SME1, SME2, SPF, HASMEProduct
from sgdsde.sdes.functions import phi_pair

SEED = 11


def outcomes(claim: Claim, measurement: str, *, seed: int = SEED, role: Role = Role.CLAIM) -> set[Outcome]:
    """The outcomes of the rows of a role that read one measurement."""
    plan = claim.plan("quick", seed)
    chosen = next(m for m in plan.measurements if m.name == measurement)
    part = Plan((chosen,), tuple(row for row in plan.rows if row.measurement == measurement))
    verdict = judge_plan(claim.id, part, {measurement: carry_out(chosen, seed, 1 - LEVEL / 400)}, claim.scales["quick"])
    return {row.outcome for row in verdict.rows if row.row.role is role}


def geometric_pairs(x: torch.Tensor) -> torch.Tensor:
    """φ(mᵢ²)^½φ(mⱼ²)^½ in φ(mᵢmⱼ)'s place: the product form's factors, never indefinite."""
    roots = phi_pair(x).diagonal(dim1=1, dim2=2).sqrt()
    return roots[:, :, None] * roots[:, None, :]


class HalvedNoise(mean_square_stability.GrowingNoise):
    """(1/B)w² in (2/B)w²'s place."""

    def __init__(self, batch: int) -> None:
        super().__init__(2 * batch)


class RootBatch(tail_index.GrowingNoise):
    """w²/√B in w²/B's place."""

    def __init__(self, batch: int) -> None:
        self.batch = batch**0.5


def one_step_more(noise: Any, eta: float, amplification: int) -> SVAG:
    return SVAG(noise, eta, amplification + 1)


def uncorrected(x: float, samples: int, batch: int) -> tuple[float, float]:
    """The ratios without their factor n/(n−1)."""
    mean, end = variance_ratios(x, samples, batch)
    return mean * (samples - 1) / samples, end * (samples - 1) / samples


@dataclass(frozen=True)
class Case:
    """A claim, the measurement to run, and how to break it."""

    claim: Claim
    measurement: str
    mutant: Callable[[pytest.MonkeyPatch], None]


CASES = (
    Case(a09_positivity.Positivity(), "positivity under random noise", lambda m: m.setattr(positivity, "phi_pair", geometric_pairs)),
    Case(a11_even_steps.EvenSteps(), "even-step law", lambda m: m.setitem(even_steps.MODELS, "EvenStepHASME", growth_factors.EvenStepSPF)),
    Case(a12_growth.Growth(), "growth factors on quadratics", lambda m: m.setitem(growth_factors.GROWTH, "SGD", growth_factors.GROWTH["SME1"])),
    Case(a13_mean_square.MeanSquareStability(), "mean-square thresholds", lambda m: m.setattr(mean_square_stability, "GrowingNoise", HalvedNoise)),
    Case(a16_svag.SvagTendsToSme1(), "SVAG's stationary variance", lambda m: m.setattr(svag, "SVAG", one_step_more)),
    Case(a19_epoch_shuffling.EpochShuffling(), "variance under epoch shuffling", lambda m: m.setattr(a19_epoch_shuffling, "variance_ratios", uncorrected)),
    Case(a20_two_points.TwoPointStatistics(), "two points on the circle, middle steps", lambda m: m.setattr(two_points, "SME2", SME1)),
    Case(a22_tail_index.TailIndex(), "tail indices", lambda m: m.setattr(tail_index, "GrowingNoise", RootBatch)),
    Case(a24_product_form.ProductForm(), "product form and projection, low rank, drawn", lambda m: m.setattr(indefinite_diffusion, "HASMEProduct", SPF)),
    Case(f06_defect_law.DefectLaw(), "law of the positivity defect", lambda m: m.setattr(defect_law, "HASME", HASMEProduct)),
    Case(f08_autocorrelation.Autocorrelation(), "autocorrelation on quadratics", lambda m: m.setitem(autocorrelation.MODELS, "SPF", SME2)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.claim.id)
def test_supported_as_it_stands_and_contradicted_when_broken(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcomes(case.claim, case.measurement) == {Outcome.SUPPORTED}
    case.mutant(monkeypatch)
    assert Outcome.CONTRADICTED in outcomes(case.claim, case.measurement)


def test_third_order_and_its_mutant(monkeypatch: pytest.MonkeyPatch) -> None:
    """HA-SME in product form has order 2 where HA-SME-3 has 3."""
    claim, name = a14_third_order.ThirdOrder(), "third order in product form on the torus"
    assert outcomes(claim, name) == {Outcome.SUPPORTED}
    monkeypatch.setattr(third_order, "HASME3Product", HASMEProduct)
    assert outcomes(claim, name) == {Outcome.CONTRADICTED}


def test_the_strong_reading_of_the_product_form_is_refuted() -> None:
    """One problem refutes it; the control rows fail as they must."""
    claim, name = a24_product_form_each.ProductFormEach(), "product form and projection, low rank"
    assert Outcome.CONTRADICTED in outcomes(claim, name)
    assert outcomes(claim, name, role=Role.CONTROL) == {Outcome.SUPPORTED}


def test_listed_numbers() -> None:
    """Regression: tail indices of SGD, ratios under epoch shuffling (mean over the epoch and at its end), the boundary of positivity."""
    assert [index_by_sum(x, 1) for x in (0.1, 0.5, 1.0)] == pytest.approx([21.86, 5.55, 2.00], abs=5e-3)
    means, ends = zip(*(variance_ratios(x, 64, 1) for x in (0.001, 0.01, 0.1, 0.5)), strict=True)
    assert means == pytest.approx((0.0213, 0.187, 0.759, 0.969), rel=2e-3)
    assert ends == pytest.approx((0.00035, 0.034, 0.715, 0.968), rel=1.5e-2)
    assert critical_correlation(0.3, 0.3) == pytest.approx(1.0, abs=1e-15)
    assert critical_correlation(0.01, -0.02) == pytest.approx(1 - 0.03**2 / 24, abs=2e-6)
