"""B14: the mean over the paths that left is not the mean exit; total time over exits is consistent."""

from __future__ import annotations

import math
from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.censoring import censored_exits, memoryless, naive_limit
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, Near, Within

COUNTS, SIMULATED = (20, 60, 200, 600, 2000), (20, 200)
#: bias × expected exits: ln 2 to leading order
LEADING = Equivalence(math.log(2), 0.2)
NAIVE, CONSISTENT = Near(naive_limit(1.0), 0.03), Within(0.9, 1.1)
REPEATS, PATHS = {"quick": 100_000, "full": 1_000_000}, {"quick": 20_000, "full": 200_000}
WELLS = {"x = 0.3, R/s = 4": (0.3, 4.0), "x = 0.6, R/s = 2.8": (0.6, 2.8)}
HORIZONS = (0.5, 1.0, 2.0)


class Censoring(Claim):
    """Estimators of a mean exit from a watch that ends early."""

    id = "B14"
    title = "Averaging only the paths that left gives .31 of the truth at median censoring"
    statement = (
        "Exits that are memoryless, watched until half of the paths have left: the mean over those has the expectation 1 − ln 2 = .307 of the true mean. Total "
        "time watched over exits is consistent: its bias is ln 2 over the expected exits (+8 % for 20 paths, +.7 % for 200)."
    )
    citations = (Citation("", "maximum likelihood with type-I censoring; the bias by the binomial law of the exits"),)
    conditions = (
        Condition("memoryless exits", "by construction: exponential draws; SGD from its quasi-stationary law, where they are so exactly"),
        Condition("every path watched for the same time", "by construction"),
    )
    not_shown = (
        "Exits that are not memoryless (saddles, starts away from the quasi-stationary law): there total time over exits is no mean either. Use E min(τ, t)."
    )
    size_name = "paths, or horizon in medians"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn_n = int(rng.integers(40, 400))
        counts = (*COUNTS, drawn_n)
        exact = Measurement(
            "censored exponential exits", memoryless, {"counts": counts, "simulated": SIMULATED, "repeats": REPEATS[profile]}, seconds=REPEATS[profile] / 1e5
        )
        rows = [Row("bias of total time / exits × expected exits", exact.name, f"{n}/bias", LEADING, n, drawn=n == drawn_n) for n in counts]
        for n in SIMULATED:
            bias = 2 * math.log(2) / n
            rows += [
                Row("total time / exits, draws", exact.name, f"{n}/draws", Within(1 + 0.5 * bias, 1 + 1.5 * bias), n),
                Row("mean over those that left", exact.name, f"{n}/naive", NAIVE, n),
                Row("the same, watched to the end", exact.name, f"{n}/naive uncensored", NAIVE, n, Role.CONTROL),
            ]
        x = round(float(rng.uniform(0.25, 0.7)), 4)
        distance = round(float(rng.uniform(2.7, 3.1)) / math.sqrt(x * (2 - x)), 4)
        wells = WELLS | {"drawn": (x, distance)}
        paths = Measurement("censored exits of SGD", censored_exits, {"wells": wells, "paths": PATHS[profile]}, seconds=PATHS[profile] / 1e4)
        for name, (x, distance) in wells.items():
            where = {"x": x, "R/s": distance}
            for h in HORIZONS:
                options: dict[str, Any] = {"drawn": name == "drawn", "parameters": where}
                rows += [
                    Row("SGD: mean over those that left / truth", paths.name, f"{name}/naive/{h:g}", Near(naive_limit(h), 0.03), h, **options),
                    Row("SGD: total time / exits / truth", paths.name, f"{name}/likelihood/{h:g}", CONSISTENT, h, **options),
                    Row("ExitTimes.mean() refuses", paths.name, f"{name}/refused/{h:g}", Within(1, 1), h, **options),
                ]
            rows.append(
                Row("SGD: mean over those that left, held to the truth", paths.name, f"{name}/naive/1", CONSISTENT, 1, Role.CONTROL, name == "drawn", where)
            )
        return Plan((exact, paths), tuple(rows))
