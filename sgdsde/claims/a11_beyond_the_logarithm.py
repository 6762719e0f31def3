"""A11: the real HA-SME ends at ηλ = 1, and says so. (What lies beyond: A11-even.)"""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.logarithm_domain import refusals
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Within

BEYOND, BELOW = (1.0, 1.2, 1.5, 2.0, 2.5), (0.9, 0.99)
REACH = (1.05, 1.2, 1.5)
ALL, NONE = Within(1, 1), Within(0, 0)
NAMES = {"HASME": "HA-SME", "SPF": "SPF", "PrincipalFlow": "principal flow"}


class BeyondTheLogarithm(Claim):
    """The end of the real logarithm."""

    id = "A11"
    title = "HA-SME, SPF and the principal flow end at ηλ = 1, and say so"
    statement = (
        "For ηλ ≥ 1 log(1 − ηλ) is not real: HA-SME, SPF and the principal flow do not exist there and are refused before a run (constant Hessian) or freeze "
        "and count the paths that get there."
    )
    citations = (
        Citation("2405.18373v3", "the condition on the step size for HA-SME to exist"),
        Citation("2302.01952v3", "the principal flow is complex beyond ηλ = 1"),
    )
    conditions = (
        Condition("constant Hessian for the refusal before a run", "by construction: one axis, and four axes one of which is at x"),
        Condition("a Hessian that varies for the frozen paths", "by construction: a rippled parabola whose ηλ reaches past 1"),
    )
    not_shown = "What lies beyond (A11-even). That the models exist below ηλ = 1 on every problem: HA-SME's diffusion matrix must be positive too (A9, A24)."
    size_name = "x = ηλ"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        drawn_x = tuple(round(float(x), 4) for x in rng.uniform(1.0, 3.0, 2))
        domain = Measurement("end of the real logarithm", refusals, {"xs": (*BEYOND, *drawn_x, *BELOW), "reach": REACH}, seconds=0.2)
        rows = [
            Row(f"{NAMES[model]} refused", domain.name, f"{model}/{x}", ALL, x, drawn=x in drawn_x, parameters={"x": x})
            for model in NAMES
            for x in (*BEYOND, *drawn_x)
        ]
        for r in REACH:
            where = {"largest ηλ": r}
            rows += [
                Row("paths frozen, and only those beyond", domain.name, f"frozen/{r}", ALL, r, parameters=where),
                Row("distance that a frozen path moved", domain.name, f"moved/{r}", NONE, r, parameters=where),
                Row("clips counted over starts past the clip's bound", domain.name, f"clipped/{r}", ALL, r, parameters=where),
            ]
        rows += [Row("HA-SME refused below the end", domain.name, f"HASME/{x}", ALL, x, Role.CONTROL, parameters={"x": x}) for x in BELOW]
        return Plan((domain,), tuple(rows))
