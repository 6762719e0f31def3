"""A13: mean-square stability under noise that vanishes at the minimum: HA-SME has SGD's threshold, the other models have another one or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.mean_square_stability import drawn_inputs, sgd_threshold, thresholds
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, LessThan

LISTED = (1, 4, 8, 64)
EXACT, BY_DRAWS = 1e-6, 0.03
SAMPLES = {"quick": 1_000_000, "full": 4_000_000}


class MeanSquareStability(Claim):
    """Thresholds of mean-square stability."""

    id = "A13"
    title = "HA-SME has SGD's threshold of mean-square stability; the other models do not"
    statement = (
        "On interpolating one-dimensional least squares with Gaussian inputs and batch size B, E w² shrinks under SGD and under HA-SME (even-step past x = 1) "
        "exactly for x < 2/(1 + 2/B). Under SME-1 it shrinks for x < B; under SME-2 for x < 2 at B = 1 and always from B = 2 on; under SPF wherever SPF exists."
    )
    citations = (
        Citation("2102.05375v3", "linear regression: minibatch noise in discrete time and its stability"),
        Citation("", "the models' thresholds are derived in sgdsde.oracles.stability"),
    )
    conditions = (
        Condition("Σ(w) = (2/B)λ²w², λ fixed: fresh Gaussian inputs, zero loss at the minimum", "by construction; SGD's side is also met by drawing inputs"),
        Condition("B ≠ 2 for HA-SME, whose threshold is then x = 1, where it does not exist", "by construction"),
    )
    not_shown = "Stability in probability, which is lost later than in mean square (A22), and more than one dimension, where directions share a batch's noise."
    size_name = "batch size"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = (int(rng.integers(9, 41)),)
        batches = (*LISTED, *drawn)
        exact = Measurement("mean-square thresholds", thresholds, {"batches": batches}, seconds=2)
        cases = tuple((batch, sgd_threshold(batch)) for batch in (1, 4, 64, *drawn))
        inputs = Measurement(
            "mean-square growth with drawn inputs", drawn_inputs, {"cases": cases, "samples": SAMPLES[profile]}, seconds=SAMPLES[profile] / 4e6
        )
        rows: list[Row] = []
        for batch in batches:
            where: Mapping[str, Any] = {"B": batch}
            options: dict[str, Any] = {"drawn": batch in drawn, "parameters": where}
            sgd, sme1 = Equivalence(sgd_threshold(batch), EXACT), Equivalence(batch, EXACT)
            rows += [
                Row("SGD", exact.name, f"SGD/{batch}", sgd, batch, **options),
                Row("HA-SME", exact.name, f"HASME/{batch}", sgd, batch, **options),
                Row("SME-1", exact.name, f"SME1/{batch}", sme1, batch, **options),
                Row("SPF: largest log growth", exact.name, f"SPF/{batch}/largest", LessThan(0.0), batch, **options),
                Row("SME-1 held to SGD's threshold", exact.name, f"SME1/{batch}", sgd, batch, Role.CONTROL, **options),
            ]
            if batch == 1:
                rows.append(Row("SME-2", exact.name, "SME2/1", Equivalence(2.0, EXACT), 1, **options))
            else:
                rows.append(Row("SME-2: largest log growth", exact.name, f"SME2/{batch}/largest", LessThan(0.0), batch, **options))
        for batch, x in cases:
            where = {"B": batch, "x": round(x, 6)}
            zone, key = Equivalence(1.0, BY_DRAWS), f"{batch}/{x:.6g}"
            rows.append(Row("growth at SGD's threshold, drawn inputs", inputs.name, key, zone, batch, drawn=batch in drawn, parameters=where))
        return Plan((exact, inputs), tuple(rows))
