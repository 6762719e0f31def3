"""C18: large- and small-batch solutions lie in one basin."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.hessian_basins import hessian_basins
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import LessThan

#: a tenth of the loss of a guess
LOW = LessThan(0.1)
SAMPLES, PAIRS = {"quick": (200, 400, 800), "full": (200, 400, 800, 1_600)}, {"quick": 1, "full": 4}


class OneBasin(Claim):
    """The loss on lines between solutions."""

    id = "C18"
    title = "Large- and small-batch solutions lie in one basin"
    statement = "Small batches started from a full-batch solution end where the straight line back has no barrier above a tenth of ln c, the loss of a guess."
    citations = (Citation("1706.04454v3", "large- and small-batch solutions are connected in one basin"),)
    conditions = (Condition("both solutions are trained", "stopped at losses .1 (full batch) and .02 (B = 8)"),)
    not_shown = "That independent large- and small-batch runs share a basin: those from different starts are the control, and have barriers. Permuting units."
    size_name = "samples n"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        made, rows = [], []
        for n in SAMPLES[profile]:
            pairs = tuple((int(rng.integers(2**31)), int(rng.integers(2**31))) for _ in range(PAIRS[profile]))
            name = f"lines between solutions, n = {n}"
            made.append(Measurement(name, hessian_basins, {"pairs": pairs, "samples": n}, seconds=n * len(pairs) / 200))
            for i in range(len(pairs)):
                where = {"size": n, "drawn": True, "parameters": {"n": n}}
                rows.append(Row(f"barrier / ln c, pair {i + 1}", name, f"pair {i + 1}/large to small", LOW, **where))
            rows.append(Row("independent starts", name, "pair 1/independent", LOW, n, Role.CONTROL, True, {"n": n}))
        return Plan(tuple(made), tuple(rows))
