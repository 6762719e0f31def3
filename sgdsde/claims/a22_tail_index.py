"""A22: power-law tails under multiplicative noise: SGD's index is Kesten's, SME-1's is 1 + 2B/x, HA-SME's 1 + 2B/x − B."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.tail_index import approach, hill, index_by_sum, indices
from sgdsde.zone import Equivalence, Near

LISTED = ((0.1, 1), (0.5, 1), (0.9, 1), (0.5, 4))
#: x = 2/(1 + 1/B), where E w² neither grows nor shrinks
AT_THRESHOLD = (4, 16, 64)
SMALL = {"quick": (0.04, 0.02, 0.01), "full": (0.04, 0.02, 0.01, 0.005)}
SIMULATED = ((1.0, 1), (1.2, 1))
EXACT, FAR, BY_CHAINS = 1e-6, 0.01, 0.2
CHAINS = {"quick": 250_000, "full": 3_000_000}


class TailIndex(Claim):
    """Tail indices of SGD and its models."""

    id = "A22"
    title = "Power-law tails: SME-1's index is 1 + 2B/x, which is not SGD's"
    statement = (
        "With Gaussian gradient noise of variance λ²w²/B SGD's stationary law has a power-law tail whose index solves E|1 − x + xz/√B|^κ = 1. SME-1's index is "
        "1 + 2B/x, HA-SME's 1 + 2B/x − B. SGD's tends to the common limit 2B/x, at relative order 1, as x → 0; it equals HA-SME's where both are 2, at "
        "x = 2/(1 + 1/B); elsewhere neither model has it."
    )
    citations = (
        Citation("2006.04740v5", "heavy tails of SGD on quadratics with multiplicative noise, by Kesten's theorem"),
        Citation("2105.09557v3", "power-law stationary law of SDE models with noise proportional to the loss"),
    )
    conditions = (Condition("one dimension, Gaussian noise of variance λ²w²/B beside some additive noise", "by construction"),)
    not_shown = "Noise of other laws, which has other indices (Gaussian inputs: (2/B)λ²w²), and directions that share a batch's noise."
    size_name = "x = ηλ"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn = tuple((round(float(rng.uniform(0.15, 0.5)), 3), int(rng.integers(2, 17))) for _ in range(2))
        hill_drawn = (round(float(rng.uniform(0.98, 1.15)), 3), 1)
        cases = (*LISTED, *drawn)
        thresholds = tuple((round(2 / (1 + 1 / batch), 12), batch) for batch in AT_THRESHOLD)
        exact = Measurement("tail indices", indices, {"cases": (*cases, *thresholds)}, seconds=1)
        limit = Measurement("tail index for small x", approach, {"batch": 1, "xs": SMALL[profile]}, seconds=0.5)
        simulated = (*SIMULATED, hill_drawn)
        chains = Measurement("tail index by Hill's estimator", hill, {"cases": simulated, "chains": CHAINS[profile]}, seconds=CHAINS[profile] / 1.2e5)
        rows: list[Row] = []
        for x, batch in cases:
            options: dict[str, Any] = {"drawn": (x, batch) in drawn, "parameters": {"x": x, "B": batch}}
            key, sme1 = f"{x:.5g}/{batch}", 1 + 2 * batch / x
            rows += [
                Row("SGD's index", exact.name, f"{key}/SGD", Equivalence(index_by_sum(x, batch), EXACT), x, **options),
                Row("SME-1's index", exact.name, f"{key}/SME1", Equivalence(sme1, EXACT), x, **options),
                Row("HA-SME's index", exact.name, f"{key}/HASME", Equivalence(sme1 - batch, EXACT), x, **options),
                Row("SGD held to SME-1's index", exact.name, f"{key}/SGD", Equivalence(sme1, FAR), x, Role.CONTROL, **options),
                Row("SGD held to HA-SME's index", exact.name, f"{key}/SGD", Equivalence(sme1 - batch, FAR), x, Role.CONTROL, **options),
            ]
        for x, batch in thresholds:
            for process, label in (("SGD", "SGD's index at the threshold"), ("HASME", "HA-SME's index at the threshold")):
                zone, where = Equivalence(2.0, EXACT), {"x": round(x, 6), "B": batch}
                rows.append(Row(label, exact.name, f"{x:.5g}/{batch}/{process}", zone, x, parameters=where))
        for x in SMALL[profile][1:]:
            rows.append(Row("order of SGD's relative distance", limit.name, f"{x:.5g}", Near(1.0, 0.1), x, parameters={"x": x, "B": 1}))
        for x, batch in simulated:
            options = {"drawn": (x, batch) == hill_drawn, "parameters": {"x": x, "B": batch}}
            key = f"{x:.5g}/{batch}"
            kesten, sme1_zone = Equivalence(index_by_sum(x, batch), BY_CHAINS), Equivalence(1 + 2 * batch / x, BY_CHAINS)
            rows.append(Row("SGD's index from its chains", chains.name, key, kesten, x, **options))
            rows.append(Row("the chains held to SME-1's index", chains.name, key, sme1_zone, x, Role.CONTROL, **options))
        return Plan((exact, limit, chains), tuple(rows))
