"""A7: how the weak error depends on the curvature λ at fixed η: HA-SME against SME-2 and SPF."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.random_quadratics import draws
from sgdsde.measurements.weak_orders import NAMES, smoothness
from sgdsde.zone import AtMost

ETAS = (0.1, 0.05, 0.025)
#: "significantly reduced": by at least one whole power of λ
A_POWER_LESS = AtMost(-1.0)
LISTED = {"amplitude": 0.6, "sigma": 0.8, "start": 1.3}


class Smoothness(Claim):
    """Dependence on the smoothness parameter."""

    id = "A7"
    title = "HA-SME's error depends much less on the curvature than SME-2's and SPF's"
    statement = (
        "At a fixed step size and horizon HA-SME's weak error depends much less on the curvature λ than that of SME-2 and SPF: its exponent in λ, the "
        "slope of log error in log λ over ηλ from .1 to .8, is smaller by at least 1; the error is the largest over eight test functions."
    )
    citations = (Citation("2405.18373v3", "abstract: order-best guarantee with significantly reduced dependence on the smoothness parameter"),)
    conditions = (
        Condition("f = λx²/2 + a·cos x: the curvature grows, higher derivatives stay", "by construction"),
        Condition("ηλ < 1", "by construction: at most .8"),
    )
    not_shown = (
        "A bound for all objectives: this is one family, whose growing part is the quadratic that HA-SME treats exactly. The exponent holds over a range, not "
        "at each λ: relative to its own error at the smallest λ HA-SME's can grow more than SPF's for a while (one draw in some forty), being fifty times "
        "smaller. Single test functions can show the opposite, because errors change sign: SME-2 beats HA-SME in E x² at λ = 2. A8 has more."
    )
    size_name = "η"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        problems = {"listed": LISTED}
        for i in range(2 if profile == "quick" else 6):
            problems[f"drawn {i + 1}"] = {
                "amplitude": float(rng.uniform(0.3, 0.8)),
                "sigma": float(rng.uniform(0.5, 1.0)),
                "start": float(rng.uniform(0.8, 1.8)),
            }
        options = {"problems": problems, "etas": ETAS, "horizon": 0.8}
        measurement = Measurement("weak error against curvature", smoothness, options, seconds=4)
        rows = [
            Row(
                f"exponent of HA-SME minus that of {NAMES[rival]}, {name}",
                measurement.name,
                f"{name}/{eta}/HASME:{rival}",
                A_POWER_LESS,
                eta,
                drawn=name != "listed",
                parameters={"η": eta, **parameters},
            )
            for name, parameters in problems.items()
            for eta in ETAS
            for rival in ("SME2", "SPF")
        ]
        rows += [
            Row("SME-2 in place of HA-SME, against SPF", measurement.name, f"listed/{eta}/SME2:SPF", A_POWER_LESS, eta, Role.CONTROL, parameters={"η": eta})
            for eta in ETAS
        ]
        return Plan((measurement,), tuple(rows))
