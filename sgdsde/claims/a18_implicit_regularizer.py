"""A18: gradient descent follows the flow of f + (η/4)‖∇f‖²: one-step errors of order 2 and 3."""

from __future__ import annotations

from typing import Any

from sgdsde.claim import Citation, Claim, Condition, Plan, Role, Row, Scale
from sgdsde.measurement import Measurement
from sgdsde.measurements.implicit_regularizer import DIMS, one_step_orders
from sgdsde.measurements.random_quadratics import draws
from sgdsde.zone import Within

ETAS = (0.2, 0.1, 0.05, 0.025, 0.0125)
STARTS = {"digits": ("digits", (0.3, -0.2, 0.5, 0.1, -0.4, 0.2)), "double well": ("double well", (-1.4, 0.7)), "ripples": ("ripples", (0.9, -1.2, 0.4))}
SECOND, THIRD = Within(1.75, 2.25), Within(2.75, 3.25)


class ImplicitRegularizer(Claim):
    """Implicit gradient regularisation."""

    id = "A18"
    title = "One step of gradient descent is a step of the flow of f + (η/4)‖∇f‖²"
    statement = "The distance between θ − η∇f(θ) and the gradient flow of f over time η is of order η²; to the flow of f + (η/4)‖∇f‖² it is of order η³."
    citations = (Citation("2009.11162v3", "Section 3: the modified loss, by backward error analysis"),)
    conditions = (
        Condition("smooth objective that is not quadratic, a start that is not stationary", "by construction; digits: logistic regression of 3 against 8"),
        Condition("errors in their asymptotic regime", "ten accuracies above the solver's, settled slopes; else the row is inconclusive"),
    )
    not_shown = "What the regulariser does to generalisation, and its effect over many steps; with noise the corresponding model is SME-2 (A6)."
    size_name = "smallest η·‖H‖"
    scales = {"quick": Scale.EXACT, "full": Scale.EXACT}  # noqa: RUF012

    def plan(self, profile: str, seed: int) -> Plan:
        rng = draws(seed, self.id)
        starts: dict[str, tuple[str, tuple[float, ...]]] = dict(STARTS)
        for i in range(1 if profile == "quick" else 3):
            starts |= {f"{problem}, drawn {i + 1}": (problem, tuple(float(x) for x in rng.uniform(0.3, 1.5, dim))) for problem, dim in DIMS.items()}
        measurement = Measurement("one step of gradient descent against flows", one_step_orders, {"starts": starts, "etas": ETAS}, seconds=3)
        rows = []
        for name in starts:
            for eta in ETAS[2:] if "drawn" not in name else ETAS[-1:]:
                options: dict[str, Any] = {"drawn": "drawn" in name, "parameters": {"η·‖H‖": eta}}
                rows.append(Row(f"gradient flow, {name}", measurement.name, f"{name}/0.0/{eta}", SECOND, eta, **options))
                rows.append(Row(f"modified flow, {name}", measurement.name, f"{name}/0.25/{eta}", THIRD, eta, **options))
            if "drawn" not in name:
                key = f"{name}/0.5/{ETAS[-1]}"
                rows.append(Row(f"twice the regulariser, {name}", measurement.name, key, THIRD, ETAS[-1], Role.CONTROL, parameters={"η·‖H‖": ETAS[-1]}))
        return Plan((measurement,), tuple(rows))
