"""D3: batch size and learning rate scaled together change λmax, not test accuracy."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Plan, Row, Scale
from sgdsde.claims.d01_rate_lowers_sharpness import PROTOCOL, SMALLER, grid, label, reached, sharpening
from sgdsde.zone import Near

#: percentage points of test accuracy that count as no effect
MARGIN = 0.5


class ScaledTogether(Claim):
    """η/B fixed: λmax falls, accuracy stays."""

    id = "D3"
    title = "Scaling batch size and learning rate together moves λmax, not test accuracy"
    statement = (
        "With batch size and learning rate both multiplied by four, networks trained to 99 % training accuracy have a smaller λmax (geometric mean "
        f"over starts, paired), and a mean test accuracy that differs by at most {MARGIN} points."
    )
    citations = (Citation("2206.10654v3", "abstract, (2): λmax changes without affecting generalisation; the margin is this project's reading"),)
    conditions = PROTOCOL
    not_shown = (
        "Factors beyond 16, large networks and other data: all starts share one split. Single networks. The direction of λmax's change is that of linear "
        "scaling at a fixed stop."
    )
    size_name = "batch size"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        measurement, drawn = grid(profile, seed)
        pairs = [(label(32, 0.1), label(8, 0.025), 32, False), (label(128, 0.4), label(32, 0.1), 128, False)]
        above, below = drawn["scaled"]
        settings = measurement.parameters["settings"]
        pairs.append((above, below, settings[above]["batch"], True))
        rows = []
        for a, b, size, is_drawn in pairs:
            where = {"B": size, "η": settings[a]["rate"], "against B": settings[b]["batch"]}
            rows.append(Row("λmax over λmax of the smaller batch", measurement.name, f"{a} : {b}/lambda", SMALLER, size, drawn=is_drawn, parameters=where))
            key = f"{a} − {b}/accuracy"
            rows.append(Row("difference in test accuracy, points", measurement.name, key, Near(0, MARGIN), size, drawn=is_drawn, parameters=where))
        rows.append(sharpening(measurement, 0.025, "training at the smallest rate in place of scaling"))
        return Plan((measurement,), (*rows, *reached(measurement)))
