"""A21: the stationary covariance of SGD in discrete time, plain and with momentum, solves a Lyapunov-like equation."""

from __future__ import annotations

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.discrete_stationary import equation_residuals, line_variances, momentum_variance
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, Equivalence

DIMS = {"quick": (1, 5, 50), "full": (1, 2, 5, 10, 20, 50)}
#: (x, β) in one dimension; the last one lies beyond the plain limit x = 2
LISTED = ((0.1, 0.0), (0.9, 0.0), (1.7, 0.0), (0.1, 0.9), (0.9, 0.5), (2.5, 0.5))
ZERO = AtMost(1e-12)
EXACT, BY_PATHS = 1e-9, 0.03
PATHS = {"quick": 16_000, "full": 60_000}


class DiscreteStationary(Claim):
    """SGD's stationary covariance on quadratics."""

    id = "A21"
    title = "SGD's stationary covariance in discrete time, plain and with momentum"
    statement = (
        "On a quadratic with constant noise covariance C, SGD's stationary covariance V solves HV + VH − ηHVH = ηC. With heavy-ball momentum, v⁺ = βv − ηĝ, it "
        "solves (1−β)(HV+VH) − η(1+β²)/(1−β²)·HVH + ηβ/(1−β²)·(H²V+VH²) = ηC; in one dimension V = ησ²(1+β)/(λ(1−β)(2(1+β)−x)) for 0 < x < 2(1+β)."
    )
    citations = (
        Citation("2012.03636v4", "stationary covariance of SGD and of SGD with momentum on a quadratic"),
        Citation("2102.05375v3", "the same, exact in discrete time"),
    )
    conditions = (Condition("0 < ηλ < 2(1+β), noise independent between steps with constant covariance", "by construction; the sum refuses otherwise"),)
    not_shown = "Noise whose covariance depends on θ, and other ways to write momentum (with dampening or η inside v the formula changes by factors)."
    size_name = "dimension"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        cases = [(f"d = {dim}, β = {beta}", dim, 0.05, 1.9, beta) for dim in DIMS[profile] for beta in (0.0, 0.9)]
        dim, beta, top = int(rng.integers(2, 31)), round(float(rng.uniform(0.1, 0.9)), 3), round(float(rng.uniform(0.5, 1.95)), 3)
        drawn_case = (f"d = {dim}, β = {beta}, drawn", dim, 0.05, top, beta)
        drawn_point = (round(float(rng.uniform(0.2, 1.8)), 3), round(float(rng.uniform(0.1, 0.85)), 3))
        points = (*LISTED, drawn_point)
        matrices = Measurement("discrete stationary covariance, residuals", equation_residuals, {"cases": (*cases, drawn_case)}, seconds=0.2)
        line = Measurement(
            "discrete stationary variance, one dimension", line_variances, {"cases": points, "paths": PATHS[profile]}, seconds=PATHS[profile] / 1e4
        )
        rows = []
        for case in (*cases, drawn_case):
            drawn, where = case is drawn_case, {"β": case[4], "ηλ up to": case[3]}
            rows.append(Row("residual of the equation", matrices.name, case[0], ZERO, case[1], drawn=drawn, parameters=where))
            if case[4] == 0 or drawn:
                rows.append(Row("continuous-time solution in its place", matrices.name, f"{case[0]}/continuous", ZERO, case[1], Role.CONTROL, drawn, where))
        for x, beta in points:
            value, drawn, where = momentum_variance(x, beta), (x, beta) == drawn_point, {"x": x, "β": beta}
            rows.append(Row("V/(η²σ²), exactly", line.name, f"{x}/{beta}", Equivalence(value, EXACT), 1, drawn=drawn, parameters=where))
            rows.append(Row("V/(η²σ²), paths", line.name, f"{x}/{beta}/paths", Equivalence(value, BY_PATHS), 1, drawn=drawn, parameters=where))
        swapped = 1 / (0.9 * 0.5 * (2 - 0.9 / 0.5))  # plain SGD at η/(1−β)
        where = {"x": 0.9, "β": 0.5}
        rows.append(Row("plain SGD at η/(1−β) in its place", line.name, "0.9/0.5/paths", Equivalence(swapped, BY_PATHS), 1, Role.CONTROL, False, where))
        return Plan((matrices, line), tuple(rows))
