"""A17: the principal flow is gradient descent at t = kη on quadratics, complex between iterates past ηλ = 1, unstable past 2."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.principal_flow import complex_flow, real_flow
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, LessThan, MoreThan, Within

DIMS = {"quick": (1, 5, 50), "full": (1, 2, 5, 10, 20, 50)}
TOPS = (1.2, 1.9, 2.1, 2.5)
#: equality up to rounding, and up to the ODE solver's tolerance
ZERO, SOLVED = AtMost(1e-12), AtMost(1e-8)
#: an imaginary part at all, as a share of the modulus (it is 1 in one direction, by the formula)
COMPLEX = MoreThan(0.5)


class PrincipalFlowIsGD(Claim):
    """The principal flow on quadratics."""

    id = "A17"
    title = "On quadratics the principal flow is gradient descent, past ηλ = 1 through complex numbers"
    statement = (
        "On a quadratic the principal flow passes through gradient descent's iterates at t = kη. Past ηλ = 1 its logarithm is complex: real at the iterates, "
        "not real between them, and not offered as a real model. Past ηλ = 2 it is unstable, as gradient descent is and gradient flow is not."
    )
    citations = (Citation("2302.01952v3", "principal flow: exactness on quadratics, and the role of ηλ = 1 and 2"),)
    conditions = (Condition("quadratic, no noise, ηλ ≠ 1", "by construction"),)
    not_shown = "Objectives that are not quadratic, where the principal flow keeps only the terms of gradient descent that hold powers of the Hessian."
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        real = [(f"d = {dim}", dim, -0.9 if dim > 1 else 0.9, 0.9) for dim in DIMS[profile]]
        dim, high = int(rng.integers(2, 31)), round(float(rng.uniform(0.3, 0.98)), 3)
        real_drawn = (f"d = {dim}, up to {high}", dim, round(float(rng.uniform(-1.5, 0.2)), 3), high)
        tops = [(f"d = {dim}, ηλ up to {top}", dim, 0.1, top) for dim, top in zip((1, 5, 20, 50), TOPS, strict=True)]
        dim, top = int(rng.integers(2, 31)), round(float(rng.uniform(1.1, 3.0)), 3)
        top_drawn = (f"d = {dim}, ηλ up to {top}", dim, 0.1, top)
        below = Measurement("principal flow below ηλ = 1", real_flow, {"cases": (*real, real_drawn)}, seconds=0.5)
        above = Measurement("principal flow past ηλ = 1", complex_flow, {"cases": (*tops, top_drawn)}, seconds=0.5)
        rows = []
        for case in (*real, real_drawn):
            name, size, drawn, where = case[0], case[1], case is real_drawn, {"ηλ from": case[2], "to": case[3]}
            rows += [
                Row("error at iterates 1, 5, 20", below.name, f"{name}/PrincipalFlow", ZERO, size, drawn=drawn, parameters=where),
                Row("error at iterate 5, by an ODE solver", below.name, f"{name}/solver", SOLVED, size, drawn=drawn, parameters=where),
                Row("gradient flow in its place", below.name, f"{name}/GradientFlow", ZERO, size, Role.CONTROL, drawn, where),
            ]
        for case in (*tops, top_drawn):
            name, size, drawn, where = case[0], case[1], case is top_drawn, {"ηλ up to": case[3]}
            growing = case[3] > 2
            rows += [
                Row("error at iterates 1, 5, 20", above.name, f"{name}/iterates", ZERO, size, drawn=drawn, parameters=where),
                Row("imaginary share halfway", above.name, f"{name}/between", COMPLEX, size, drawn=drawn, parameters=where),
                Row("the real model refuses", above.name, f"{name}/refused", Within(1, 1), size, drawn=drawn, parameters=where),
                Row("growth per tick", above.name, f"{name}/growth", MoreThan(1.0) if growing else LessThan(1.0), size, drawn=drawn, parameters=where),
            ]
            if growing:
                rows.append(Row("growth per tick, gradient flow", above.name, f"{name}/gradient flow", MoreThan(1.0), size, Role.CONTROL, drawn, where))
        return Plan((below, above), tuple(rows))
