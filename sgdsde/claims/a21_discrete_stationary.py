"""A21: the stationary covariance of SGD with a finite step solves AV + VA − ηAVA = ηC; with momentum it has a closed form in one dimension."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.discrete_stationary import heavy_ball_variance, momentum_variance, stationary_equation
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import AtMost, Equivalence

EXACT, FORMULA, BY_PATHS = AtMost(1e-12), 1e-8, 0.03
DIMS = {"quick": (1, 5, 20), "full": (1, 2, 5, 20, 50)}
PAIRS = ((0.1, 0.0), (0.5, 0.5), (0.9, 0.9), (1.8, 0.5))
PATHS = {"quick": 20_000, "full": 100_000}


class DiscreteStationary(Claim):
    """Stationary covariances at a finite step."""

    id = "A21"
    title = "SGD's stationary covariance at a finite step, plain and with momentum"
    statement = (
        "On a quadratic with Hessian A and constant noise covariance C, SGD's stationary covariance solves AV + VA − ηAVA = ηC. With heavy-ball momentum β it "
        "is ησ²(1 + β)/(λ(1 − β)(2(1 + β) − ηλ)) in each eigendirection."
    )
    citations = (Citation("2012.03636v4", "stationary covariance of discrete-time SGD with and without momentum on a quadratic loss"),)
    conditions = (
        Condition("stable: 0 < ηλ < 2, with momentum 0 < ηλ < 2(1 + β)", "by construction; ηλ reaches 1.9"),
        Condition("constant noise covariance", "by construction"),
        Condition("v⁺ = βv − ηĝ, θ⁺ = θ + v⁺ (no 1 − β before the gradient)", "by construction; other conventions rescale η"),
    )
    not_shown = "Minibatch noise whose covariance grows with the loss (A13, A22), and how far SGD on a network is from stationary."
    size_name = "dimension, or x = ηλ"
    scales = {"quick": Scale.REDUCED, "full": Scale.REDUCED}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        cases: dict[str, tuple[int, float, float]] = {f"d = {dim}": (dim, 0.05, 0.95) for dim in DIMS[profile]}
        cases |= {f"d = {dim}, past ηλ = 1": (dim, 0.05, 1.9) for dim in DIMS[profile]}
        cases["drawn"] = (int(rng.integers(2, 31)), 0.05, float(rng.uniform(0.4, 1.9)))
        drawn = (round(float(rng.uniform(0.2, 1.5)), 4), round(float(rng.uniform(0.2, 0.9)), 4))
        equation = Measurement("stationary equation of SGD", stationary_equation, {"cases": cases}, seconds=0.3)
        momentum = Measurement(
            "stationary variance with momentum", momentum_variance, {"pairs": (*PAIRS, drawn), "paths": PATHS[profile]}, seconds=PATHS[profile] / 6000
        )
        rows = [Row(f"residual, {name}", equation.name, f"{name}/SGD", EXACT, case[0], drawn=name == "drawn") for name, case in cases.items()]
        for x, beta in (*PAIRS, drawn):
            formula, key = heavy_ball_variance(x, beta), f"{x}, {beta}"
            options: dict[str, Any] = {"drawn": (x, beta) == drawn, "parameters": {"x": x, "β": beta}}
            rows += [
                Row("λV/(ησ²), stationary equation", momentum.name, f"{key}/solver", Equivalence(formula, FORMULA), x, **options),
                Row("λV/(ησ²), iterated moments", momentum.name, f"{key}/recursion", Equivalence(formula, FORMULA), x, **options),
                Row("λV/(ησ²), paths", momentum.name, f"{key}/paths", Equivalence(formula, BY_PATHS), x, **options),
            ]
        rows += [
            Row("residual of SME-1's covariance, d = 5", equation.name, "d = 5/SME1", EXACT, 5, Role.CONTROL),
            Row("residual of SME-2's covariance, d = 5", equation.name, "d = 5/SME2", EXACT, 5, Role.CONTROL),
        ]
        rows += [
            Row(
                "Langevin limit 1/(2(1 − β))",
                momentum.name,
                f"{x}, {beta}/continuous",
                Equivalence(heavy_ball_variance(x, beta), BY_PATHS),
                x,
                Role.CONTROL,
                parameters={"x": x, "β": beta},
            )
            for x, beta in PAIRS[1:]
        ]
        return Plan((equation, momentum), tuple(rows))
