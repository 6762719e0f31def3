"""D7: full-batch gradient descent sits where λmax = 2/η."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.edge_of_stability import edge_of_stability
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Equivalence, Within

#: "λmax hovers at 2/η": within ten per cent
EDGE = Equivalence(1.0, 0.1)
RATES = (0.6, 0.7, 0.8)
SIZE = {"quick": {"samples": 100, "seeds": 32, "last": 2000}, "full": {"samples": 300, "seeds": 64, "last": 6000}}


class EdgeOfStability(Claim):
    """λmax·η/2 late in training by gradient descent."""

    id = "D7"
    title = "Full-batch gradient descent sits where λmax = 2/η"
    statement = "Gradient descent on all data (tanh network, squared error) brings λmax up to 2/η and keeps it there: λmax·η/2 = 1 within ten per cent."
    citations = (Citation("2103.00065v3", "Section 3: λmax rises, then hovers at, or just above, 2/η; the margin is this project's reading"),)
    conditions = (
        Condition("no run diverges", "a row for each rate"),
        Condition("training is late enough for λmax to have reached 2/η", "not checked apart: the last fifth of the steps is read"),
    )
    not_shown = "Cross-entropy, where λmax falls again at the end; minibatches, which stay below (the control); where exactly above 2/η it hovers."
    size_name = "step size η"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        size = SIZE[profile]
        samples, last = size["samples"], size["last"]
        drawn = round(float(rng.uniform(RATES[0], RATES[-1])), 2)
        settings: dict[str, dict[str, Any]] = {f"GD, η = {eta:g}": {"rate": eta, "batch": samples} for eta in RATES}
        settings |= {"GD, drawn": {"rate": drawn, "batch": samples}, "SGD, B = 10": {"rate": RATES[0], "batch": 10}}
        marks = tuple(round(share * last) for share in (0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 0.9, 1))
        options = {"settings": settings, "marks": marks, "late": 3, "samples": samples, "seeds": size["seeds"]}
        measurement = Measurement("edge of stability", edge_of_stability, options, seconds=samples * last * size["seeds"] * 5 / 3e6)
        rows = []
        for name, setting in settings.items():
            eta, role = setting["rate"], Role.CONTROL if name.startswith("SGD") else Role.CLAIM
            where = {"η": eta, "B": setting["batch"]}
            rows.append(Row("λmax·η/2 late in training", measurement.name, f"{name}/late", EDGE, eta, role, name == "GD, drawn", where))
            if role is Role.CLAIM:
                rows.append(
                    Row("share of runs that stay finite", measurement.name, f"{name}/ok", Within(1, 1), eta, Role.CONDITION, name == "GD, drawn", where)
                )
        return Plan((measurement,), tuple(rows))
