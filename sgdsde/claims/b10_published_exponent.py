"""B10-formula: the published escape exponent, a mean of 1/H at the minimum and 1/|H| at the top, holds only where the noise does not fade between them."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.claims.b10_flat_minima import LISTED, drawn_wells
from sgdsde.measurement import Measurement
from sgdsde.measurements.flat_minima import published_exponent
from sgdsde.zone import AtMost

FLOORS = (0.3, 0.1, 0.03, 0.01)
WITHIN = AtMost(1.0)


class PublishedExponent(Claim):
    """The exponent's bounds against the integral."""

    id = "B10-formula"
    title = "The escape exponent lies between 2BΔL/(ηH_minimum) and 2BΔL/(η|H_top|)"
    statement = (
        "With Σ = |H|/B the large-deviation exponent of SGD's first-order SDE over a barrier ΔL is (2BΔL/η)(s/H_minimum + (1 − s)/|H_top|) for some s in "
        "(0, 1): at most 2BΔL/η times the larger of 1/H_minimum and 1/|H_top|."
    )
    citations = (Citation("2002.03495v14", "Theorem 3.2"),)
    conditions = (
        Condition(
            "Σ equals H_minimum/B below and |H_top|/B above a point in between (the proof's approximation)",
            "not met: |H| passes through 0 at the inflection point",
        ),
    )
    not_shown = "The exponent's order of magnitude with floors near H_minimum, where the bounds hold. SGD's own steps, which jump over a thin quiet strip."
    size_name = "H_minimum/ε"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        drawn = drawn_wells(seed, self.id, 2 if profile == "quick" else 6)
        exact = Measurement("published exponent", published_exponent, {"cases": LISTED | drawn, "floors": FLOORS}, seconds=0.2)
        rows = []
        for name, wells in (LISTED | drawn).items():
            where = {"H_flat": wells["flat"], "H_sharp": wells["sharp"], "ΔL": wells["barrier"]}
            for floor in FLOORS:
                label = "exponent / its published upper bound"
                rows.append(Row(label, exact.name, f"{name}/{floor:g}", WITHIN, 1 / floor, Role.CLAIM, name in drawn, where | {"ε/H": floor}))
            rows.append(Row("with half the noise", exact.name, f"{name}/{FLOORS[0]:g}/halved", WITHIN, 1 / FLOORS[0], Role.CONTROL, name in drawn, where))
        return Plan((exact,), tuple(rows))
