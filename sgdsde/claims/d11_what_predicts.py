"""D11: which sharpness goes with test accuracy: λmax, the trace, tr(HΣ), or the stationary loss of HA-SME?"""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Plan, Role, Row, Scale
from sgdsde.claims.d01_rate_lowers_sharpness import PROTOCOL, RATES, grid, reached
from sgdsde.zone import LessThan

MEASURES = {"lambda": "λmax", "trace": "tr H", "aligned": "tr(HΣ)", "stationary loss": "stationary loss ½tr(HV)"}
NEGATIVE = LessThan(0.0)


class WhatPredicts(Claim):
    """Rank correlations of four measures of sharpness with test accuracy."""

    id = "D11"
    title = "Runs at flatter points have the higher test accuracy, whichever sharpness is asked"
    statement = (
        "Over runs that differ in learning rate, at one batch size and over all, λmax, tr H, the noise-aligned tr(HΣ) and the stationary loss ½tr(HV) of SGD "
        "and HA-SME each have a negative rank correlation with test accuracy."
    )
    citations = (
        Citation("2206.10654v3", "abstract: prior works speculate that flatter solutions generalise better"),
        Citation("", "the noise-aligned measures beside λmax: this project's own"),
    )
    conditions = PROTOCOL
    not_shown = (
        "Causes: the learning rate moves all of them. Runs that differ in SAM, dropout or BatchNorm; other data. Σ is that of the run's own "
        "batches, so tr(HΣ) and the stationary loss grow with the very noise that is said to help."
    )
    size_name = "batch size (largest: all runs)"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        measurement, _ = grid(profile, seed)
        rows = []
        for name, words in MEASURES.items():
            rows += [Row(f"rank correlation of {words}", measurement.name, f"rank/{name}/B = {B}", NEGATIVE, B, parameters={"B": B}) for B in RATES]
            rows.append(
                Row(f"rank correlation of {words}, all runs", measurement.name, f"rank/{name}/all", NEGATIVE, 1000, drawn=True, parameters={"B": "all"})
            )
        words = "accuracy on every other test digit in place of a sharpness"
        rows.append(Row(words, measurement.name, "rank/half/all", NEGATIVE, 1000, Role.CONTROL, True, {"B": "all"}))
        return Plan((measurement,), (*rows, *reached(measurement)))
