"""Claims written outside the package: judged as those within; what a measurement of one's own does wrongly becomes a reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import sgdsde as sg
from sgdsde.claim import Citation, Condition, Outcome, Plan, Role, Row, Scale, Verdict
from sgdsde.measurement import Measured, Measurement, carry_out
from sgdsde.types import InputError
from sgdsde.zone import AtLeast, AtMost, LessThan, MoreThan, Near


def mean_of(*, seed: int, level: float, mean: float) -> Measured:
    return Measured({"mean": sg.stats.mean_estimate(np.random.default_rng(seed).normal(mean, 1.0, 400), level=level)}, conventions="none")


def number(*, seed: int, level: float) -> Any:
    return 3.0


class Own(sg.Claim):
    """A mean is one; at five it is not."""

    id, title, statement, not_shown, size_name = "OWN", "A mean is one", "The mean is one.", "anything else", "n"
    citations = (Citation("1234.56789v1", "Theorem 1"),)
    conditions = (Condition("normal", "by construction"),)
    scales = {"quick": Scale.REDUCED}  # noqa: RUF012

    def __init__(self, measurement: Measurement) -> None:
        self.measurement = measurement

    def plan(self, profile: str, seed: int) -> Plan:
        control, zone = Measurement("five", mean_of, {"mean": 5.0}), Near(1.0, 0.5)
        rows = (Row("mean", self.measurement.name, "mean", zone, 1.0), Row("five", "five", "mean", zone, 1.0, Role.CONTROL))
        return Plan((self.measurement, control), rows)


def verdict(measurement: Measurement) -> Verdict:
    claim = Own(measurement)
    finished = {made.name: carry_out(made, 1, 0.999) for made in claim.plan("quick", 1).measurements}
    return claim.judge(finished, profile="quick", seed=1)


def test_a_claim_of_ones_own_is_judged() -> None:
    assert verdict(Measurement("one", mean_of, {"mean": 1.0})).outcome is Outcome.SUPPORTED
    assert verdict(Measurement("three", mean_of, {"mean": 3.0})).outcome is Outcome.CONTRADICTED


def test_a_measurement_that_returns_a_number_is_a_reason() -> None:
    found = verdict(Measurement("number", number))
    assert found.outcome is Outcome.NOT_RUN
    assert "what 'number' returned is of type float; wanted a sg.Measured" in found.rows[0].why


@pytest.mark.parametrize("zone", [AtMost, AtLeast, LessThan, MoreThan])
def test_a_zone_with_no_edge_is_refused(zone: type[AtMost]) -> None:
    with pytest.raises(InputError, match="bound NaN"):
        zone(math.nan)
    assert zone(1.0) == zone(1.0)
    assert zone(1.0) != zone(2.0)
    assert repr(zone(1.0)) == f"{zone.__name__}(bound=1.0)"
